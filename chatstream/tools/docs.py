"""What a docstring says: about the function, and about each of its parameters.

1. The three common styles are read: Google (`Args:`), NumPy (`Parameters` over a line of hyphens)
   and Sphinx (`:param name: …`). A docstring may mix them.
2. The description is what stands before the first section or field, whatever that is about.
3. Text is kept as it is written, but for its indentation; what is said about a parameter becomes
   one line. Types in a docstring are ignored: the hints of the signature hold.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import NamedTuple

_PARAMETERS = {"args", "arguments", "parameters", "params", "keyword args", "keyword arguments"}
_PARAMETERS |= {"other parameters"}
_OTHERS = {"returns", "return", "yields", "yield", "raises", "warns", "attributes", "methods"}
_OTHERS |= {"example", "examples", "note", "notes", "warnings", "see also", "references", "todo"}
_UNDERLINE = re.compile(r"\s*-{3,}\s*")
_FIELD = re.compile(r":(\w+)(?:\s+([^:]*))?:\s*(.*)")  # :param int lines: How many.
_GOOGLE = re.compile(r"\*{0,2}(\w+)\s*(?:\(.*?\))?\s*:(?:\s+(.*)|\s*)")  # lines (int): How many.
_NUMPY = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?")  # x, y : int
_OF_PARAMETERS = {"param", "parameter", "arg", "argument", "key", "keyword"}


class Described(NamedTuple):
    """What a docstring says."""

    description: str
    parameters: dict[str, str]


def described(docstring: str | None) -> Described:
    """What this docstring says; empty for a function without one."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    found: dict[str, str] = {}
    first = len(lines)
    for start, end, title in _sections(lines):
        first = min(first, start)
        if title in _PARAMETERS:
            is_numpy = _is_underline(lines, start + 1)
            body = lines[start + 1 + is_numpy : end]
            found |= _numpy(body) if is_numpy else _google(body)
    fields = [number for number, line in enumerate(lines) if _FIELD.fullmatch(line)]
    if fields:
        first = min(first, fields[0])
        found |= _sphinx(lines[fields[0] :])
    return Described("\n".join(lines[:first]).strip(), found)


def _sections(lines: Sequence[str]) -> list[tuple[int, int, str]]:
    """The first line of each section, the line after its last one, and its title."""
    starts: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        title = line.strip().lower()
        is_google = title.endswith(":") and title[:-1] in _PARAMETERS | _OTHERS
        is_numpy = title in _PARAMETERS | _OTHERS and _is_underline(lines, number + 1)
        if line[:1].strip() and (is_google or is_numpy):
            starts.append((number, title.removesuffix(":")))
    ends = [*(number for number, _ in starts), len(lines)][1:]
    return [(start, end, title) for (start, title), end in zip(starts, ends, strict=True)]


def _is_underline(lines: Sequence[str], number: int) -> bool:
    return number < len(lines) and bool(_UNDERLINE.fullmatch(lines[number]))


def _google(body: Sequence[str]) -> dict[str, str]:
    """Each parameter begins at the indentation of the first; deeper lines continue it."""
    found: dict[str, list[str]] = {}
    lines = inspect.cleandoc("\n".join(["", *body])).splitlines()
    words: list[str] = []
    for line in lines:
        if line[:1].strip():
            match = _GOOGLE.fullmatch(line)
            words = found.setdefault(match[1], [match[2] or ""]) if match else []
        else:
            words.append(line)
    return _joined(found)


def _numpy(body: Sequence[str]) -> dict[str, str]:
    """Names stand at the margin, several with commas; what is said of them is indented."""
    found: dict[str, list[str]] = {}
    words: list[str] = []
    for line in body:
        if line[:1].strip():
            match, words = _NUMPY.fullmatch(line), []
            for name in match[1].split(",") if match else ():
                found[name.strip(" *")] = words
        else:
            words.append(line)
    return _joined(found)


def _sphinx(body: Sequence[str]) -> dict[str, str]:
    """Each field begins with `:word`; the lines up to the next one belong to it."""
    found: dict[str, list[str]] = {}
    words: list[str] = []
    for line in body:
        match = _FIELD.fullmatch(line)
        if match is None:
            words.append(line)
            continue
        words = [match[3]]
        if match[1] in _OF_PARAMETERS and match[2]:
            found[match[2].split()[-1].lstrip("*")] = words
    return _joined(found)


def _joined(found: dict[str, list[str]]) -> dict[str, str]:
    texts = {name: " ".join(" ".join(words).split()) for name, words in found.items()}
    return {name: text for name, text in texts.items() if text}
