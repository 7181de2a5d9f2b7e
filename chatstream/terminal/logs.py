"""What `--log` and `--debug` show: what the rooms of the program log, on stderr, without secrets.

A rule is LEVEL, for all rooms, or LEVEL:COMPONENT, for one. Later rules are stronger than earlier
ones, and those for one room stronger than those for all. `--debug` is the rule `debug`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from chatstream.errors import UsageError
from chatstream.escape import clean
from chatstream.redact import redact

LEVELS = ("debug", "info", "warning", "error")
COMPONENTS = ("wire", "transport", "providers", "recovery", "stages", "store", "tools")
"""The rooms that log something."""


def show(rules: Sequence[str]) -> None:
    """Log as these rules say. Raises `UsageError` for one that makes no sense."""
    parsed = [parse(rule) for rule in rules]
    handler = logging.StreamHandler()
    handler.setFormatter(_Redacted("%(relativeCreated)6.0f ms %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    for level, component in parsed:
        name = f"chatstream.{component}" if component else "chatstream"
        logging.getLogger(name).setLevel(level.upper())


def parse(rule: str) -> tuple[str, str]:
    """The level and the component of a rule, "" for all. Raises `UsageError`."""
    level, colon, component = (part.strip().lower() for part in rule.partition(":"))
    if level not in LEVELS:
        raise UsageError(f"unknown log level {level!r}", hint=_choice("levels", LEVELS))
    if colon and component not in COMPONENTS:
        raise UsageError(f"unknown component {component!r}", hint=_choice("components", COMPONENTS))
    return level, component


def _choice(what: str, words: Sequence[str]) -> str:
    return f"the {what} are: {', '.join(words)}"


class _Redacted(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return clean(redact(super().format(record)))
