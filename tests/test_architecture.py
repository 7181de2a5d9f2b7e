"""Every module imports only what its room may: the table of the house, a test for each rule."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import chatstream
from chatstream.cli.commands import COMMANDS

ROOT = Path(chatstream.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

VALUES = {
    *("errors", "events", "grammar", "messages", "cancel", "clock", "collector", "flow", "timing"),
    *("counts", "pages"),
    *("addresses", "escape", "fences", "inbox", "nearest", "redact", "schemas", "text", "wording"),
    *("control", "merge", "plugins", "progressing", "readahead"),
}
PURE = {"analysis", "wire", "transcript"}
MAKERS = {"providers", "recovery", "stages", "sinks", "store", "tools"}
ENGINE = VALUES | PURE | {"files", "transport"} | MAKERS
USES = VALUES | PURE | {"files", "sinks", "store", "engine", "__version__"}  # of a run
EVERYTHING = {"*"}

MOST_LINES = 450
MOST_LINES_OF_A_COMMAND = 150

# room -> the rooms that it may import; a room may always import itself.
MAY_IMPORT: dict[str, set[str]] = {
    **dict.fromkeys(VALUES, VALUES),
    **dict.fromkeys(PURE, VALUES),
    "files": VALUES,
    "transport": VALUES,
    "providers": VALUES | PURE | {"transport"},
    "recovery": VALUES | PURE,
    "stages": VALUES | PURE,
    "sinks": VALUES | PURE,
    "store": VALUES | PURE | {"files"},
    "tools": VALUES | PURE | {"files", "__version__"},
    "engine": ENGINE,
    "terminal": USES,
    "bench": USES | {"terminal"},
    "many": USES | {"terminal"},
    "completion": USES | {"providers", "terminal", "bench"},  # what each of them may be given
    "chat": USES | {"terminal", "completion", "many"},
    "doctor": USES | {"terminal", "bench", "providers"},  # it measures, and knows the services
    "stats": USES | {"terminal", "bench"},  # its percentiles and plots are those of `bench`
    "api": USES | {"many"},
    "__init__": USES | {"api", "tools"},
    "__main__": {"cli", "sinks", "collector"},
    "cli": EVERYTHING,
}

# package -> the only places that may import it.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "requests": ("transport/",),
    "urllib3": ("transport/",),
    "socks": ("transport/socks.py",),
    "certifi": ("transport/trust.py",),
    "truststore": ("transport/trust.py",),
    "tenacity": ("recovery/policy.py",),
    "rich": ("sinks/", "terminal/", "cli/"),
    "markdown_it": ("sinks/",),
    "typer": ("cli/",),
    "difflib": ("nearest.py", "tools/diffs.py", "many/differing.py"),
    "tomlkit": ("engine/config_file.py",),
    "prompt_toolkit": ("chat/line.py",),
    "pypdf": ("engine/pdf.py",),
}

# What must not be imported while a module is imported: it would slow every start.
ONLY_INSIDE_FUNCTIONS = {"tomlkit", "tenacity", "rich", "certifi", "truststore", "pypdf"}
DRAWING = {
    *("live", "region", "markdown", "inline", "tables", "code", "codetheme", "lines"),
    *("theme", "rendered", "status", "tools", "thoughts", "typed", "wrapping"),
    *("column", "columns", "secondscreen"),
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


def imported() -> Iterator[tuple[str, str, bool]]:
    """Every import of every module: where, what, and whether at the top of the module."""
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for name, statement in imports(tree):
            yield place(path), name, statement in tree.body


def test_a_module_imports_only_the_rooms_of_the_table() -> None:
    wrong = []
    for where, name, _ in imported():
        allowed = MAY_IMPORT[room(ROOT / where)] | {room(ROOT / where)}
        is_ours = name.startswith("chatstream.")
        if is_ours and "*" not in allowed and name.split(".")[1] not in allowed:
            wrong.append(f"{where} imports {name}")
    assert wrong == []


def test_a_package_is_imported_only_in_its_place() -> None:
    wrong = []
    for where, name, _ in imported():
        places = ONLY_IN.get(name.split(".")[0])
        if places is not None and not where.startswith(places):
            wrong.append(f"{where} imports {name}")
    assert wrong == []


def test_a_slow_package_is_imported_where_it_is_used() -> None:
    wrong = []
    for where, name, at_top in imported():
        is_slow = name.split(".")[0] in ONLY_INSIDE_FUNCTIONS
        if is_slow and at_top and where not in ALLOWED_AT_TOP:
            wrong.append(f"{where} imports {name} at its top")
    assert wrong == []


def test_a_module_fits_its_room() -> None:
    lengths = {place(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {where: lines for where, lines in lengths.items() if lines > MOST_LINES} == {}


def test_a_command_declares_and_calls_and_does_nothing_else() -> None:
    targets = dict(target.split(":") for target, _ in COMMANDS.values())
    wrong = []
    for module, attribute in targets.items():
        path = ROOT.parent / f"{module.replace('.', '/')}.py"
        text = path.read_text()
        if len(text.splitlines()) > MOST_LINES_OF_A_COMMAND:
            wrong.append(f"{place(path)} is too long")
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef):
                wrong.append(f"{place(path)} has the class {node.name}")
            elif isinstance(node, ast.FunctionDef) and node.name != attribute:
                decorators = [ast.unparse(it) for it in node.decorator_list]
                if not any(it.startswith(f"{attribute}.") for it in decorators):
                    wrong.append(f"{place(path)} has the function {node.name}")
    assert wrong == []


def test_every_module_has_a_test_file_of_its_name() -> None:
    modules = [path.relative_to(ROOT) for path in SOURCES if not path.name.startswith("__")]
    tests = [Path(__file__).parent / it.parent / f"test_{it.name}" for it in modules]
    assert [test for test in tests if not test.exists()] == []


def test_every_room_stands_in_the_table() -> None:
    assert {room(path) for path in SOURCES} == set(MAY_IMPORT)
