"""Every module imports only what its room may: the table of the house, held by a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import chatstream

ROOT = Path(chatstream.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

VALUES = {
    *("errors", "events", "grammar", "messages", "cancel", "clock", "flow", "timing"),
    *("addresses", "redact"),
}
PURE = {"wire", "accumulate"}
EVERYTHING = {"*"}

# room -> the rooms that it may import; a room may always import itself.
MAY_IMPORT: dict[str, set[str]] = {
    **dict.fromkeys(VALUES, VALUES),
    **dict.fromkeys(PURE, VALUES),
    "transport": VALUES,
    "providers": VALUES | PURE | {"transport"},
    "recovery": VALUES | PURE,
    "stages": VALUES | PURE,
    "sinks": VALUES | PURE,
    "store": VALUES | PURE,
    "bench": VALUES | PURE,
    "cli": EVERYTHING,
    "__init__": EVERYTHING,
    "__main__": EVERYTHING,
}

# package -> the only places that may import it.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "requests": ("transport/",),
    "urllib3": ("transport/",),
    "tenacity": ("recovery/policy.py",),
    "rich": ("sinks/", "cli/"),
    "markdown_it": ("sinks/",),
    "typer": ("cli/",),
    "tomlkit": ("cli/configure.py",),
}

# What must not be imported while a module is imported: it would slow every start.
ONLY_INSIDE_FUNCTIONS = {"tomlkit", "tenacity", "rich"}
DRAWING = {
    *("live", "region", "markdown", "inline", "tables", "code", "lines"),
    *("theme", "status", "tools", "thoughts"),
}
ALLOWED_AT_TOP = {  # imported late themselves
    "recovery/policy.py",
    *(f"sinks/{name}.py" for name in DRAWING),
}


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Every imported module of a tree, with its statement."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node
            for alias in node.names:
                if node.module == "chatstream":
                    yield f"chatstream.{alias.name}", node


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_a_module_imports_only_the_rooms_of_the_table(path: Path) -> None:
    allowed = MAY_IMPORT[room(path)] | {room(path)}
    for name, _ in imports(ast.parse(path.read_text())):
        if name.startswith("chatstream.") and "*" not in allowed:
            assert name.split(".")[1] in allowed, f"{place(path)} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_a_package_is_imported_only_in_its_place(path: Path) -> None:
    for name, _ in imports(ast.parse(path.read_text())):
        places = ONLY_IN.get(name.split(".")[0])
        assert places is None or place(path).startswith(places), f"{place(path)} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_a_slow_package_is_imported_where_it_is_used(path: Path) -> None:
    if place(path) in ALLOWED_AT_TOP:
        return
    tree = ast.parse(path.read_text())
    for name, statement in imports(tree):
        if name.split(".")[0] in ONLY_INSIDE_FUNCTIONS:
            assert statement not in tree.body, f"{place(path)} imports {name} at its top"


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_a_module_fits_its_room(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 450


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_every_module_has_a_test_file_of_its_name(path: Path) -> None:
    if path.name.startswith("__"):
        return
    tests = Path(__file__).parent / path.relative_to(ROOT).parent
    assert (tests / f"test_{path.name}").exists()


def test_every_room_stands_in_the_table() -> None:
    assert {room(path) for path in SOURCES} == set(MAY_IMPORT)
