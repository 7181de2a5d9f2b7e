"""Numbers on the command line, parsed with the limits and the messages of the settings.

Each function makes a `parser` for typer. A value that does not fit gets one line that names the
option, what it takes and what was given. Infinities, NaN and numbers too large for a system call
never fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import typer

from chatstream.engine.declaration import LARGEST_NUMBER
from chatstream.engine.settings import FIELDS
from chatstream.engine.shapes import Misfit, fitted


class _Unfit(typer.BadParameter):
    """A number does not fit; the message is that of a setting."""

    def format_message(self) -> str:
        """`--timeout takes a number from 0 to 10, not "inf"`."""
        names = self.param.opts if self.param is not None else ()
        return f"{max(names, key=len, default='it')} {self.message}"


def like(setting: str) -> Callable[[Any], Any]:
    """A number that this setting takes."""
    return reader(FIELDS[setting].type)


def whole(least: int, most: int = LARGEST_NUMBER) -> Callable[[Any], int]:
    """A whole number between these limits."""
    return reader(Annotated[int, msgspec.Meta(ge=least, le=most)])


def number(least: float, most: float = LARGEST_NUMBER) -> Callable[[Any], float]:
    """A number between these limits."""
    return reader(Annotated[float, msgspec.Meta(ge=least, le=most)])


def reader(kind: Any) -> Callable[[Any], Any]:
    """A number of this type."""

    def read(value: Any) -> Any:
        try:
            return fitted(kind, value)
        except Misfit as misfit:
            raise _Unfit(str(misfit)) from None

    return read
