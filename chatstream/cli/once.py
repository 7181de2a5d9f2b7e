"""An option that takes one value may be given once: all values but the last would be dropped.

Switches may be repeated, and may follow their opposite (`--stats … --no-stats`): nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class OnceParser:
    """A typer parser that refuses what it would drop."""

    def __init__(self, parser: Any, context: Any) -> None:
        self._parser = parser
        self._context = context

    def parse_args(self, args: list[str]) -> Any:
        """The values, the rest, and the parameters in the order in which they were given.

        Raises typer's usage error.
        """
        values, rest, order = self._parser.parse_args(args=args)
        if not self._context.resilient_parsing and (name := _twice(order)):
            self._context.fail(f"Option '{name}' can be given only once.")
        return values, rest, order

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)


def _twice(order: Iterable[Any]) -> str | None:
    """The first option that dropped a value."""
    seen: set[str] = set()
    for it in order:
        if it.param_type_name != "option" or it.multiple or it.is_flag or it.count:
            continue
        if it.name in seen:
            return str(max(it.opts, key=len))
        seen.add(it.name)
    return None
