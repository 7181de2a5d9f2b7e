"""The tools of a run, and where they come from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from chatstream.errors import UsageError
from chatstream.plugins import TOOLS
from chatstream.tools import builtin
from chatstream.tools.functions import tool
from chatstream.tools.registry import Toolset, built_in, from_callables
from chatstream.tools.tool import Tool
from tests.support.distributions import importable, install
from tests.support.toolcalls import Said


class Own(Tool):
    """A tool in the form of a class."""

    effect = "read"

    def __init__(self, roots: Sequence[Path] = (), private: Sequence[Path] = ()) -> None:
        super().__init__("own", "One of its own.", {"type": "object", "properties": {}})
        self.roots, self.private = roots, private
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Notes:
    """A toolbox: its tools share what it knows."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    @property
    def explosive(self) -> str:
        raise AssertionError("a property was read")

    @tool
    def keep(self, text: str) -> None:
        """Keep a text."""
        self.kept.append(text)

    @tool(effect="read")
    def all_of_them(self) -> list[str]:
        """All texts."""
        return self.kept

    @tool
    def _private(self) -> None: ...

    def unmarked(self) -> None: ...


class Louder(Notes):
    @tool(effect="write", name="shout")
    def keep(self, text: str) -> None:
        """Keep it in capitals."""
        self.kept.append(text.upper())


def add(a: int) -> int:
    return a


def names(tools: list[Tool]) -> list[str]:
    return [it.name for it in tools]


def test_a_toolset_knows_each_tool_by_its_name() -> None:
    own = Own()
    toolset = Toolset([own, *from_callables([add])])
    assert toolset.names == ["own", "add"]
    assert toolset.get("own") is own
    assert toolset.get("other") is None
    assert [it.name for it in toolset.definitions] == ["own", "add"]
    assert len(toolset) == 2
    assert [it.name for it in toolset] == ["own", "add"]
    toolset.close()
    assert own.closed == 1


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two tools called 'own'"):
        Toolset([Own(), Own()])


def test_a_tool_that_is_given_twice_is_one() -> None:
    own = Own()
    assert Toolset([own, own]).names == ["own"]


def test_what_tools_share_is_closed_after_all_of_them() -> None:
    closed: list[str] = []

    class Closing(Own):
        def close(self) -> None:
            closed.append("tool")

    Toolset([Closing()], lambda: closed.append("shared")).close()
    assert closed == ["tool", "shared"]


@pytest.mark.parametrize(("all_ended", "how"), [(True, ["back"]), (False, ["tool", "shared"])])
def test_what_is_lent_is_given_back_once_unless_it_may_still_run(
    all_ended: bool, how: list[str]
) -> None:
    closed: list[str] = []

    class Closing(Own):
        def close(self) -> None:
            closed.append("tool")

    toolset = Toolset([Closing()], lambda: closed.append("shared"), lambda: closed.append("back"))
    toolset.close(all_ended=all_ended)
    toolset.close()
    assert closed == how


def test_a_program_gives_functions_tools_and_lists_of_them() -> None:
    assert names(from_callables([add, [Own(), (tool(Notes().keep),)]])) == ["add", "own", "keep"]


def test_a_toolbox_shares_its_state_and_has_its_marked_public_methods() -> None:
    box = Notes()
    tools = Toolset(from_callables([box]))
    assert tools.names == ["keep", "all_of_them"]
    for text in ("a", "b"):
        found = tools.get("keep")
        assert found is not None
        found.run({"text": text}, Said().context)
    found = tools.get("all_of_them")
    assert found is not None
    assert found.effect == "read"
    assert found.run({}, Said().context) == ["a", "b"]


def test_a_method_that_is_written_again_has_its_own_mark() -> None:
    assert names(from_callables([Louder()])) == ["shout", "all_of_them"]


def test_a_method_that_is_written_again_without_a_mark_is_no_tool() -> None:
    class Quiet(Notes):
        def keep(self, text: str) -> None: ...

    assert names(from_callables([Quiet()])) == ["all_of_them"]


def test_an_object_may_say_itself_what_its_tools_are() -> None:
    class Server:
        def tools(self) -> list[object]:
            return [Own(), add]

    assert names(from_callables([Server()])) == ["own", "add"]


def test_an_object_that_can_be_called_needs_a_name() -> None:
    class Callable:
        def __call__(self, a: int) -> int:
            return a

    with pytest.raises(UsageError, match="cannot be called"):
        from_callables([Callable()])


@pytest.mark.parametrize("given", [Notes, Own])
def test_a_class_is_refused_with_what_to_write(given: type) -> None:
    with pytest.raises(UsageError, match=f"the class {given.__name__} is no tool") as caught:
        from_callables([given])
    assert caught.value.hint == f"give an object of it: {given.__name__}(…)"


@pytest.mark.parametrize("given", [3, "read_file", None])
def test_what_is_no_tool_is_refused(given: object) -> None:
    with pytest.raises(UsageError, match="is no tool"):
        from_callables([given])


# ---- by name


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "BUILT_IN", {"own": f"{__name__}:Own"})


@pytest.mark.usefixtures("table")
def test_a_built_in_tool_is_made_for_the_roots_once() -> None:
    (made,) = built_in(["own", "own"], [Path("/a")], [Path("/a/b")])
    assert isinstance(made, Own)
    assert (made.roots, made.private) == ([Path("/a")], [Path("/a/b")])


@pytest.mark.usefixtures("table")
def test_an_unknown_name_suggests_the_one_that_was_meant(site: Site) -> None:
    with pytest.raises(UsageError, match="no tool 'owm'") as caught:
        built_in(["owm"], [])
    assert caught.value.hint == "did you mean 'own'?"
    site.install("other-tools", {"weather": "other_tools:now"}, "def now(): ...")
    with pytest.raises(UsageError) as caught:
        built_in(["xyzzy"], [])
    assert caught.value.hint == "the tools are: own, weather"


class Site:
    """A folder on the path into which distributions are installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, points: dict[str, str], code: str) -> None:
        install(self.folder, name, {TOOLS: points}, code)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    folder = tmp_path / "site"
    importable(folder, monkeypatch)
    return Site(folder)


CODE = """
    import chatstream

    @chatstream.tool(effect="net")
    def weather(city: str) -> str:
        return f"rain in {city}"

    class Notes:
        def __init__(self):
            self.kept = []

        @chatstream.tool
        def keep(self, text: str) -> int:
            self.kept.append(text)
            return len(self.kept)

    class Sure(chatstream.Tool):
        effect, confined = "read", True
        def __init__(self):
            super().__init__("sure", "", {"type": "object", "properties": {}})

    notes = Notes()
    several = [weather, notes]
    """


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("weather", ["weather"]),
        ("Notes", ["keep"]),
        ("notes", ["keep"]),
        ("Sure", ["sure"]),
        ("several", ["weather", "keep"]),
    ],
)
def test_a_package_brings_functions_toolboxes_and_lists(
    site: Site, target: str, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("rain-tools", {"rain": f"rain_tools:{target}"}, CODE)
    monkeypatch.delitem(sys.modules, "rain_tools", raising=False)
    tools = built_in(["rain"], [])
    assert names(tools) == found
    assert {(it.origin, it.confined) for it in tools} == {("entry point", False)}
    if "weather" in found:
        assert tools[0].effect == "net"
        assert tools[0].run({"city": "Bath"}, Said().context) == "rain in Bath"


def test_a_package_is_not_imported_unless_a_tool_of_it_is_named(site: Site) -> None:
    site.install("a-tools", {"a": "a_tools:a"}, "def a() -> None: ...")
    site.install("b-tools", {"b": "b_tools:b"}, "raise SystemError('imported')")
    assert names(built_in(["a"], [])) == ["a"]
    assert "b_tools" not in sys.modules
    del sys.modules["a_tools"]


@pytest.mark.parametrize(
    ("point", "code", "why"),
    [
        ("bad_tools:bad", "import no_such_module", "ModuleNotFoundError: No module named"),
        ("bad_tools:bad", "", "AttributeError: module 'bad_tools' has no attribute 'bad'"),
        ("bad_tools:bad", "bad = 3", "3 is no tool"),
        ("bad_tools:bad", "def bad(*a): ...", r"the function bad cannot be a tool: \*a takes"),
    ],
)
def test_a_tool_that_cannot_be_loaded_names_its_package(
    site: Site, point: str, code: str, why: str
) -> None:
    site.install("bad-tools", {"bad": point}, code)
    sys.modules.pop("bad_tools", None)
    with pytest.raises(UsageError, match=why) as caught:
        built_in(["bad"], [])
    assert caught.value.message.startswith(
        "the tool 'bad' of the package 'bad-tools' cannot be loaded: "
    )
    sys.modules.pop("bad_tools", None)
