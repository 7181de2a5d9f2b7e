"""Labels of a run: the project that it belongs to, and the agent that asked.

They are written as a table `[labels]` in the configuration file, as `--label project=NAME`, or as
a mapping in the Python API. They are kept with the run and sent to nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from chatstream.errors import ConfigError, UsageError
from chatstream.events import Labels
from chatstream.nearest import did_you_mean
from chatstream.redact import redact
from chatstream.text import argument

NAMES = Labels.__struct_fields__

_FLAG = "--label"
_OPTION = "for example: --label project=website"
_TABLE = 'in the file, write a table: [labels], and below it project = "website"'


def checked(value: Any, origin: str) -> dict[str, str]:
    """The labels that are given: a mapping, or the texts of `--label`. `origin` names them.

    Raises `UsageError` for an option, `ConfigError` for what is given elsewhere.
    """
    is_option = origin.startswith("--")
    kind, example = (UsageError, _OPTION) if is_option else (ConfigError, _TABLE)
    if not isinstance(value, Mapping | list | tuple):
        raise kind(f"{origin} takes a name and a value", hint=example)
    found = {}
    for name, text in _pairs(value, origin):
        if name not in NAMES:
            there = f"the labels are: {', '.join(NAMES)}"
            hint = did_you_mean(name, NAMES, there) or there
            raise kind(f"{origin}: unknown label {name!r}", hint=hint)
        if not isinstance(text, str) or not text.strip():
            what = "is empty" if isinstance(text, str) else "must be text in quotes"
            raise kind(f"{origin}: the label {name} {what}", hint=example)
        found[name] = argument(text, f"{origin}: the label {name}").strip()
    return found


def labels_of(found: Mapping[str, str]) -> Labels | None:
    """What the run carries. A secret in it is masked, as the journal keeps none."""
    return Labels(**{name: redact(text) for name, text in found.items()}) if found else None


def kept(labels: Labels | None, given: Any) -> dict[str, str] | None:
    """The labels of a run that follows one with these, where others are given now.

    Raises `UsageError`.
    """
    earlier = msgspec.structs.asdict(labels) if labels is not None else {}
    now = checked(given, _FLAG) if given is not None else {}
    return {name: text for name, text in {**earlier, **now}.items() if text is not None} or None


def _pairs(value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], origin: str) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from ((str(name), text) for name, text in value.items())
        return
    for text in value:
        name, equals, rest = argument(str(text), origin).partition("=")
        if not equals:
            raise UsageError(f"{origin} {text!r} is not NAME=VALUE", hint=_OPTION)
        yield name.strip(), rest
