"""Numbers on the command line: read as those of the settings are, with limits and in their words.

Each function makes a `parser` for typer. What does not fit is one line that names the option, what
it takes and what was given; infinities, NaN and numbers that no system call takes never fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import typer

from chatstream.engine.settings import FIELDS, LARGEST_NUMBER
from chatstream.engine.shapes import Misfit, fitted


class _Unfit(typer.BadParameter):
    """A number that does not fit, in the words of the settings."""

    def format_message(self) -> str:
        """`--timeout takes a number from 0 to 10, not "inf"`."""
        names = self.param.opts if self.param is not None else ()
        return f"{max(names, key=len, default='it')} {self.message}"


def like(setting: str) -> Callable[[Any], Any]:
    """What this setting takes."""
    return reader(FIELDS[setting].type)


def whole(least: int, most: int = LARGEST_NUMBER) -> Callable[[Any], int]:
    """A whole number."""
    return reader(Annotated[int, msgspec.Meta(ge=least, le=most)])


def number(least: float, most: float = LARGEST_NUMBER) -> Callable[[Any], float]:
    """Any number."""
    return reader(Annotated[float, msgspec.Meta(ge=least, le=most)])


def reader(kind: Any) -> Callable[[Any], Any]:
    """A number of this kind."""

    def read(value: Any) -> Any:
        try:
            return fitted(kind, value)
        except Misfit as misfit:
            raise _Unfit(str(misfit)) from None

    return read
