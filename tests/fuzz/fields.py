"""Damage to one field of a frame, or to that field in every frame: servers have habits.

An editor looks at a field and says what to do to it; `field` makes it a mutator.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tests.fuzz.stream import Mutator, Step, Stream, any_frame, encodable

_HARMLESS = {
    "openai": "id object created model system_fingerprint service_tier obfuscation p provider "
    "user_id prompt_filter_results moderation timings usage x_groq.id x_groq.usage x_groq.seed "
    "x_groq.usage_breakdown choices.logprobs choices.native_finish_reason choices.matched_stop "
    "choices.stop_reason choices.content_filter_results choices.delta.role choices.message.role "
    "choices.delta.tool_calls.type choices.message.tool_calls.type",
    "anthropic": "message.id message.model message.role message.usage message.stop_sequence "
    "message.container message.provider message.stop_details usage context_management "
    "delta.stop_sequence delta.container delta.signature content_block.signature "
    "content_block.caller id model role stop_sequence container",
    "ollama": "model created_at message.role context total_duration load_duration "
    "prompt_eval_count prompt_eval_duration eval_count eval_duration remote_model remote_host",
}
HARMLESS = {dialect: frozenset(paths.split()) for dialect, paths in _HARMLESS.items()}
"""Paths, without positions in lists, that mean nothing for text, calls and finish reason."""

COUNTED = ("usage", "timings", "x_groq.usage", "message.usage", "prompt_eval", "eval_")
"""Harmless for the answer, but the counts may differ."""

_CARRYING = """
    choices delta message index content text response reasoning reasoning_content thinking
    tool_calls function arguments partial_json name id type content_block finish_reason
    stop_reason done done_reason error
"""
CARRYING = frozenset(_CARRYING.split())
"""Names of fields that carry the answer, its end or a failure; they are damaged more often."""

_REASONS = """
    stop STOP length MAX_TOKENS error abort aborted network_error TIMEOUT cancelled content_filter
    SAFETY tool_calls eos end_turn pause_turn refusal model_length MALFORMED_FUNCTION_CALL
"""
REASONS = tuple(_REASONS.split())
"""Reasons why an answer ends, in the words of many servers."""

_OPAQUE = frozenset({"arguments", "input"})  # what a model wrote: a new field there is meant
_WORDS = (
    *("stop", "STOP", "length", "error", "abort", "tool_calls", "content_filter", "eos", "timeout"),
    *("", "x", "0", "1", "null", "text", "assistant", "ping", "message_stop", "[DONE]"),
)
_NUMBERS = ("0", "1", "-1", "2", "0.0", "0.5", "1e308", "-1e999", "9007199254740993", "1e-320")
_ODD_NUMBERS = ("NaN", "Infinity", "1" + "0" * 400, "9" * 5000)
_DEEP = "[" * 3000 + "]" * 3000
_RAW = "\x00raw\x00"  # stands for a literal in the text that `json` would not write
_TWICE = "\x00twice\x00"

Path = tuple[str | int, ...]


@dataclass
class _Spot:
    """A field of a frame: a member of an object or of a list."""

    root: dict[str, Any]
    parent: Any
    key: Any
    path: Path

    @property
    def value(self) -> Any:
        return self.parent[self.key]

    @property
    def name(self) -> str:
        return ".".join(part for part in self.path if isinstance(part, str))


@dataclass(frozen=True)
class _Edit:
    """What to do to a field, here or in every frame that has it."""

    told: str
    apply: Callable[[_Spot], None]
    harmless: bool | None = None  # None: as the table says


Editor = Callable[[_Spot, Stream, Random], _Edit | None]


def field(editor: Editor) -> Mutator:
    """The mutator that edits a field, here or in every frame that has it."""

    def mutator(stream: Stream, random: Random) -> Step | None:
        if not stream.frames:
            return None
        at = any_frame(stream, random)
        root = stream.frames[at].value()
        spot = _any_spot(root, random) if root else None
        edit = editor(spot, stream, random) if spot else None
        if spot is None or edit is None:
            return None
        everywhere = random.random() < 0.25
        frames = list(stream.frames)
        for number in range(len(frames)) if everywhere else [at]:
            here = _spot_at(frames[number].value(), spot.path)
            if here is not None:
                edit.apply(here)
                frames[number] = replace(frames[number], text=_write(here.root))
        shown = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in spot.path)
        return Step(
            replace(stream, frames=tuple(frames)),
            f"{'all frames' if everywhere else f'frame {at}'}{shown}: {edit.told}",
            _is_harmless(stream.dialect, spot.name) if edit.harmless is None else edit.harmless,
            counts=not spot.name.startswith(COUNTED),
        )

    return mutator


def _any_spot(root: dict[str, Any], random: Random) -> _Spot:
    """A field of this frame: one that carries the answer, or any; near the root more often."""
    if random.random() < 0.4 and (carrying := list(_carrying(root, root, ()))):
        return random.choice(carrying)
    node: Any = root
    path: Path = ()
    while True:
        key = random.choice(list(node) if isinstance(node, dict) else range(len(node)))
        path = (*path, key)
        child = node[key]
        if not (isinstance(child, dict | list) and child) or random.random() < 0.2:
            return _Spot(root, node, key, path)
        node = child


def _carrying(root: dict[str, Any], node: Any, path: Path) -> Iterator[_Spot]:
    """The fields that carry the answer, its end or a failure."""
    members = enumerate(node) if isinstance(node, list) else node.items()
    for key, child in members:
        if key in CARRYING:
            yield _Spot(root, node, key, (*path, key))
        if isinstance(child, dict | list):
            yield from _carrying(root, child, (*path, key))


def _spot_at(root: dict[str, Any] | None, path: Path) -> _Spot | None:
    """The field at this path, if the frame has it."""
    node: Any = root
    try:
        for part in path[:-1]:
            node = node[part]
        node[path[-1]]
    except (LookupError, TypeError):
        return None
    return _Spot(root, node, path[-1], path) if root and isinstance(node, dict | list) else None


def _is_harmless(dialect: str, name: str) -> bool:
    parts = name.split(".")
    known = HARMLESS[dialect]
    return any(".".join(parts[:n]) in known for n in range(1, len(parts) + 1))


def _write(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if not encodable(text):
        text = json.dumps(value, separators=(",", ":"))
    if "\\u0000" in text:
        text = re.sub(r'"\\u0000raw\\u0000([^"]*)"', r"\1", text)
        text = text.replace("\\u0000twice\\u0000", "")
    return text


def _becomes(new: object, told: str | None = None, harmless: bool | None = None) -> _Edit:
    def apply(spot: _Spot) -> None:
        spot.parent[spot.key] = new

    return _Edit(told or f"-> {_short(new)}", apply, harmless)


def retyped(spot: _Spot, _: Stream, random: Random) -> _Edit:
    """A value of another JSON type."""
    old = spot.value
    new: tuple[object, ...] = (None, True, False, 7, "x", "", [], {}, [None], [[]])
    return _becomes(random.choice([*new, [old], {"x": old}, {"0": old}, str(old)]))


def nulled(_: _Spot, __: Stream, ___: Random) -> _Edit:
    """null."""
    return _becomes(None)


def numbered(_: _Spot, __: Stream, random: Random) -> _Edit:
    """A number, of any size, or a literal that is none."""
    number = random.choice(_ODD_NUMBERS if random.random() < 0.1 else _NUMBERS)
    return _becomes(_RAW + number, f"-> {_short(number)}")


def worded(spot: _Spot, _: Stream, random: Random) -> _Edit:
    """Another word."""
    word = random.choice(REASONS if "reason" in str(spot.key) else _WORDS)
    return _becomes(word, harmless=False if word == "error" else None)


def deepened(_: _Spot, __: Stream, ___: Random) -> _Edit:
    """A value deeper than any reader goes."""
    return _becomes(_RAW + _DEEP, "3000 lists in each other", harmless=False)


def wrapped(spot: _Spot, _: Stream, random: Random) -> _Edit | None:
    """Text as an object, a list, or a list of parts."""
    if not isinstance(spot.value, str):
        return None
    way = random.choice(["part", "parts", "object", "list", "two parts"])

    def apply(spot: _Spot) -> None:
        old = spot.value
        part = {"type": "text", "text": old}
        ways = {"part": part, "parts": [part], "object": {"text": old}, "list": [old]}
        spot.parent[spot.key] = ways.get(way, [part, part])

    return _Edit(f"{_short(spot.value)} as {way}", apply)


def borrowed(spot: _Spot, stream: Stream, random: Random) -> _Edit | None:
    """The value that another frame has in this place."""
    other = _spot_at(stream.frames[any_frame(stream, random)].value(), spot.path)
    return None if other is None else _becomes(other.value)


def dropped(spot: _Spot, _: Stream, __: Random) -> _Edit:
    """A field is left out."""

    def apply(spot: _Spot) -> None:
        del spot.parent[spot.key]

    return _Edit(f"dropped {_short(spot.value)}", apply)


def doubled(spot: _Spot, _: Stream, random: Random) -> _Edit:
    """A key stands twice in its object, or a value in its list."""
    other: tuple[object, ...] = (None, "", 1, {}, [], "x")
    again = spot.value if random.random() < 0.7 else random.choice(other)

    def apply(spot: _Spot) -> None:
        if isinstance(spot.parent, list):
            spot.parent.insert(spot.key, spot.value)
            return
        items = list(spot.parent.items())
        at = list(spot.parent).index(spot.key) + 1
        _refill(spot.parent, [*items[:at], (_TWICE + str(spot.key), again), *items[at:]])

    return _Edit(f"twice, then {_short(again)}", apply)


def renamed(spot: _Spot, _: Stream, random: Random) -> _Edit | None:
    """A field under another name."""
    if isinstance(spot.parent, list):
        return None
    old = str(spot.key)
    name = random.choice([old + "X", old.upper(), "x_" + old, old[:-1], ""])
    if name in spot.parent:
        return None

    def apply(spot: _Spot) -> None:
        _refill(spot.parent, [(name if k == old else k, v) for k, v in spot.parent.items()])

    return _Edit(f"renamed {name!r}", apply)


def moved(spot: _Spot, _: Stream, random: Random) -> _Edit | None:
    """A field stands in another object of its frame."""
    if isinstance(spot.parent, list):
        return None
    which = random.random()

    def apply(spot: _Spot) -> None:
        value = spot.parent.pop(spot.key)
        homes = [home for home in _objects(spot.root) if home is not spot.parent]
        home = homes[int(which * len(homes))] if homes else spot.parent
        home[spot.key] = value

    return _Edit("moved", apply, harmless=False)


def added(spot: _Spot, _: Stream, random: Random) -> _Edit | None:
    """A field that nobody has heard of."""
    if isinstance(spot.parent, list) or _OPAQUE & set(spot.path[:-1]):
        return None
    name = random.choice(["x_new", "trace", "extra_body", "zzz", "_"])
    values: tuple[object, ...] = (None, True, 7, 0.5, "x", "", [], {}, ["x"], {"a": ["x"]})
    new = random.choice(values)
    first = random.random() < 0.5

    def apply(spot: _Spot) -> None:
        items = list(spot.parent.items())
        _refill(spot.parent, [(name, new), *items] if first else [*items, (name, new)])

    return _Edit(f"beside it {name!r}: {_short(new)}", apply, harmless=True)


def _refill(parent: dict[str, Any], items: list[tuple[str, Any]]) -> None:
    parent.clear()
    parent.update(items)


def _objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for child in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _objects(child)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
