"""Executables as tools: what they say about themselves, what they are given, how they end."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, UsageError
from chatstream.tools import executables as module
from chatstream.tools.executables import Executable, executables
from chatstream.tools.sandbox import sandbox
from chatstream.tools.spawning import Keeper
from chatstream.tools.tool import Returned
from tests.support.processes import write_program
from tests.support.toolcalls import Said

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs process groups")

WEATHER = """\
#!/bin/sh
if [ "$1" = --describe ]; then
    echo '{"name": "weather", "description": "Tell the weather.", "effect": "net", "more": 1,'
    echo ' "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}'
    exit
fi
[ $# = 0 ] || exit 9
cat
echo " is sunny"
exit 4
"""

Make = Callable[[str], Executable]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """The tool of an executable with this text."""
    with closing(Keeper()) as keeper:
        its = sandbox("off", [tmp_path], keeper.scratch)

        def made(text: str, token: CancelToken | None = None) -> Executable:
            (tool,) = executables([write_program(tmp_path / "t", text)], keeper, its, token)
            return tool

        yield made


def describing(line: str) -> str:
    return f"#!/bin/sh\n{line}\n"


def test_it_is_what_it_says_it_is(make: Make) -> None:
    tool = make(WEATHER)
    assert (tool.name, tool.definition.description) == ("weather", "Tell the weather.")
    assert tool.definition.parameters["properties"] == {"city": {"type": "string"}}
    assert (tool.effect, tool.origin, tool.confined) == ("net", "file", False)


def test_what_it_does_not_say_is_that_it_runs_something_without_arguments(make: Make) -> None:
    tool = make(describing("""echo '{"name": "t", "description": "d"}'"""))
    assert tool.effect == "run"
    assert tool.definition.parameters == {"type": "object", "properties": {}}


def test_a_call_gives_it_the_arguments_and_tells_its_status(make: Make) -> None:
    tool, said = make(WEATHER), Said()
    returned = tool.run({"city": "Rōma"}, said.context)
    assert said.text == '{"city":"Rōma"} is sunny\n'
    assert returned == Returned("[exit status 4]\n", 4)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("echo hello", "what it prints does not describe a tool"),
        ("true", "what it prints does not describe a tool"),
        ("""echo '{"name": "t"}'""", "missing required field `description`"),
        ("""echo '{"name": 1, "description": ""}'""", "Expected `str`, got `int`"),
        ("""echo '{"name": "t", "description": "", "effect": "all"}'""", "Invalid enum value"),
        ("echo broken >&2; exit 3", "it ended with status 3: broken"),
    ],
)
def test_what_does_not_describe_a_tool_is_refused(make: Make, line: str, why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)) as caught:
        make(describing(line))
    assert caught.value.hint is not None


def test_a_name_that_no_service_takes_is_refused(make: Make) -> None:
    with pytest.raises(UsageError, match="cannot be called 'a b'"):
        make(describing("""echo '{"name": "a b", "description": "d"}'"""))


def test_what_is_not_there_or_no_executable_is_refused(tmp_path: Path, make: Make) -> None:
    with closing(Keeper()) as keeper:
        its = sandbox("off", [tmp_path], keeper.scratch)
        with pytest.raises(UsageError, match="there is no executable"):
            executables([tmp_path / "none"], keeper, its)
        (tmp_path / "text").touch(0o644)
        with pytest.raises(UsageError, match="cannot be executed") as caught:
            executables([tmp_path / "text"], keeper, its)
        assert caught.value.hint == f"chmod +x {tmp_path}/text"
        write_program(tmp_path / "odd", "#!/no/such/interpreter\n")
        with pytest.raises(UsageError, match="cannot be started"):
            executables([tmp_path / "odd"], keeper, its)


def test_what_does_not_come_to_an_end_is_ended(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DESCRIBE_SECONDS", 0.2)
    with pytest.raises(UsageError, match=r"it did not end within 0\.2 s"):
        make(describing("sleep 1000"))


def test_a_cancel_ends_the_description(tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel(Cancelled("stopped"))
    with closing(Keeper()) as keeper:
        its = sandbox("off", [tmp_path], keeper.scratch)
        path = write_program(tmp_path / "t", describing("sleep 1000"))
        with pytest.raises(Cancelled):
            executables([path], keeper, its, token)
