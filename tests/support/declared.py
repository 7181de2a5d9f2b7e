"""What files say about the settings, written from their declaration.

    python -m tests.support.declared       # or make settings

These are the README's table, and in the Python API the fields of `Options` and the list of options
in the docstring of `stream`: type checkers, editors and readers need them in the file.
"""

from __future__ import annotations

import json
import re
import textwrap
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from chatstream.engine.declaration import Group, Setting
from chatstream.engine.settings import DECLARED
from chatstream.engine.shapes import is_list, is_table

ROOT = Path(__file__).parents[2]
_COLUMNS = 100  # of a line of Python
_PATH = "str | os.PathLike[str]"


class Part(NamedTuple):
    """A part of a file: the text between two that are there once. `made` is what it has to be."""

    file: str
    before: str
    after: str
    made: Callable[[], str]

    def found(self) -> re.Match[str]:
        """Where it is in the file, between its ends."""
        text = (ROOT / self.file).read_text(encoding="utf-8")
        (match,) = re.finditer(
            f"(?<={re.escape(self.before)}).*?(?={re.escape(self.after)})", text, re.DOTALL
        )
        return match

    def write(self) -> bool:
        """Put into the file what has to be there; whether it was something else."""
        match = self.found()
        if match[0] == self.made():
            return False
        text = match.string[: match.start()] + self.made() + match.string[match.end() :]
        (ROOT / self.file).write_text(text, encoding="utf-8")
        return True


def readme_table() -> str:
    """A row for every setting, under the headings of the help pages."""
    rows = ["| setting | option | default | meaning |", "|---|---|---|---|"]
    for group in get_args(Group):
        rows.append(f"| **{group}** | | | |")
        rows += [_row(it) for it in DECLARED.values() if it.about.group == group]
    return "\n".join(rows) + "\n"


def _row(setting: Setting) -> str:
    value = getattr(setting.about, "value", "")
    flags = ", ".join(f"`{flag}`" for flag in _flags(setting))
    option = f"{flags[:-1]} {value}`" if value else flags
    default = _default(setting).replace("True", "true").replace("False", "false")
    cells = [f"`{setting.name}`", option, default, setting.about.help]
    return "|".join(["", *(f" {it} " if it else " " for it in map(_escaped, cells)), ""])


def _escaped(text: str) -> str:
    """As it is in a cell of a table."""
    return text.replace("|", r"\|")


def _flags(setting: Setting) -> list[str]:
    """Its options, short ones first, as on a help page."""
    names = [name for flag in setting.flags for name in flag.split("/")]
    return sorted(names, key=lambda it: it.startswith("--"))


def _default(setting: Setting) -> str:
    if setting.about.shown_default or setting.default in (None, [], {}):
        return setting.about.shown_default
    is_float = isinstance(setting.default, float)
    return f"{setting.default:g}" if is_float else str(setting.default)


def in_python() -> list[Setting]:
    """The settings that `stream` takes."""
    return [it for it in DECLARED.values() if it.about.in_python]


def docstring_rows() -> str:
    """A row for every option of `stream`: `NAME=N` where the text speaks of N, and `NAME=[…]`."""
    rows = [(_called(it), _told(it)) for it in in_python()]
    start = 4 + max(len(name) for name, _ in rows) + 2
    wrapped = (
        textwrap.fill(
            f"{'':4}{name}".ljust(start) + text, _COLUMNS, subsequent_indent=" " * start
        ).replace("\N{NO-BREAK SPACE}", " ")
        for name, text in rows
    )
    return "\n".join(wrapped) + "\n"


def _called(setting: Setting) -> str:
    value = getattr(setting.about, "value", "")
    if is_table(setting.type) or is_list(setting.type):
        return setting.name + ("={…}" if is_table(setting.type) else "=[…]")
    return f"{setting.name}={value}" if len(value) == 1 else setting.name


def _told(setting: Setting) -> str:
    default = f"[default: {_default(setting)}]".replace(" ", "\N{NO-BREAK SPACE}")
    return f"{setting.about.help} {default}" if _default(setting) else setting.about.help


def options_fields() -> str:
    """The fields of `Options`."""
    return "".join(f"    {it.name}: {_type(it)}\n" for it in in_python())


def _type(setting: Setting) -> str:
    return _PATH if setting.name.endswith("_file") else " | ".join(_types(setting.type))


def _types(kind: Any) -> Iterator[str]:
    """The types that may be given; None is what an option that is left out has."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _types(get_args(kind)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(kind):
            yield from _types(member)
    elif origin is Literal:
        yield f"Literal{json.dumps(get_args(kind))}"
    elif kind is not types.NoneType:
        yield str(kind).replace("typing.", "") if origin else kind.__name__


PARTS = (
    Part("README.md", "<!-- make settings -->\n", "<!-- end -->\n", readme_table),
    Part(
        "chatstream/engine/options.py",
        'each means."""\n\n',
        "\n\ndef checked(",
        options_fields,
    ),
    Part("chatstream/api.py", "    configuration file:\n\n", '    """\n', docstring_rows),
)


def main() -> None:
    """Write every part that is not what it has to be."""
    for part in PARTS:
        print(f"{part.file}: {'written' if part.write() else 'unchanged'}")


if __name__ == "__main__":
    main()
