"""Claimed: a run has the MCP servers that are named, and a mistake about one is said clearly."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.configuration import listing, look_up
from chatstream.engine.mcp_servers import MCPServer, fleet_of, from_file
from chatstream.engine.resolve import resolve
from chatstream.engine.tooling import Given, Tooling, tooling_of
from chatstream.errors import ChatstreamError, ConfigError, UsageError
from chatstream.redact import MASK
from chatstream.store.place import state_folder
from chatstream.tools.spawning import Keeper
from tests.support.mcpserver import TOOLS, HttpServer, command

pytestmark = pytest.mark.usefixtures("no_proxies")

NEW = shlex.join(command("new"))


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.touch()
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(path))
    return path


def made(**flags: Any) -> Tooling:
    """The tooling of a run with these settings, closed."""
    tooling = tooling_of(resolve({"provider": "demo", **flags}), Given())
    assert tooling is not None
    tooling.close()
    return tooling


def first(tooling: Tooling) -> str:
    return tooling.definitions[0].name


def written(path: Path, **servers: Any) -> Path:
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


# ---- which ones


def test_a_command_is_a_server() -> None:
    assert first(made(mcp_servers=[NEW])) == "mcpserver_echo"


def test_an_address_is_a_server() -> None:
    with HttpServer("new") as there:
        assert first(made(mcp_servers=[there.url])) == "127_0_0_1_echo"


def test_a_name_is_a_table_of_the_configuration(config: Path) -> None:
    program, *args = command("old")
    config.write_text(f"[mcp.mine]\ncommand = {json.dumps(program)}\nargs = {json.dumps(args)}\n")
    assert first(made(mcp_servers=["mine"])) == "mine_echo"


def test_a_table_may_have_a_whole_command_line(config: Path) -> None:
    config.write_text(f"[mcp.mine]\ncommand = {json.dumps(NEW)}\n")
    assert first(made(mcp_servers=["mine"])) == "mine_echo"


def test_only_a_table_of_the_configuration_makes_a_server_trusted(
    config: Path, tmp_path: Path
) -> None:
    program, *args = command("new", "only:echo")
    config.write_text(
        f"[mcp.mine]\ncommand = {json.dumps(NEW)}\ntrusted = true\n"
        f"[mcp.other]\ncommand = {json.dumps(NEW)}\ntrusted = false\n"
    )
    its = {"command": program, "args": args, "trusted": True}
    path = written(tmp_path / "mcp.json", filed=its)
    given = {"mcp_servers": ["mine", "other"], "mcp_config": str(path)}
    settings = resolve({"provider": "demo", **given}).settings
    with closing(Keeper()) as keeper:
        fleet = fleet_of(settings, [], lambda: keeper, CancelToken())
        assert fleet is not None
        foreign = {it.name: it.foreign for it in fleet.tools() if it.name.endswith("echo")}
        assert foreign == {"filed_echo": True, "mine_echo": False, "other_echo": True}
        fleet.close()


def test_a_table_alone_starts_nothing(config: Path) -> None:
    config.write_text('[mcp.mine]\ncommand = "false"\n')
    assert tooling_of(resolve({"provider": "demo"}), Given()) is None


def test_the_tables_of_a_profile_come_to_those_of_the_file(config: Path) -> None:
    config.write_text('[mcp.a]\ncommand = "a"\n[profiles.p.mcp.b]\ncommand = "b"\n')
    assert set(resolve({}, profile="p").settings.mcp) == {"a", "b"}


def test_a_file_of_other_clients_brings_all_its_servers(tmp_path: Path) -> None:
    program, *args = command("new")
    its = {"command": program, "args": args, "autoApprove": ["echo"]}
    path = written(tmp_path / "mcp.json", one=its, two=its, off={**its, "disabled": True})
    tooling = made(mcp_config=str(path))
    assert {it.name.partition("_")[0] for it in tooling.definitions} == {"one", "two"}
    assert tooling.kept["mcp_config"] == str(path)


def test_two_servers_of_one_name_are_a_mistake() -> None:
    with pytest.raises(UsageError, match="two MCP servers are called mcpserver"):
        made(mcp_servers=[NEW, shlex.join(command("old"))])


def test_the_same_server_twice_is_one() -> None:
    assert len(made(mcp_servers=[NEW, NEW]).definitions) == len(TOOLS)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("no-such-program", "there is no MCP server and no program 'no-such-program'"),
        ("'", "is not a command"),
        ("  ", "--mcp is empty"),
    ],
)
def test_what_is_not_a_server_is_said(given: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        made(mcp_servers=[given])
    assert words in caught.value.message


def test_a_mistyped_name_is_guessed(config: Path) -> None:
    config.write_text('[mcp.weather]\ncommand = "x"\n')
    with pytest.raises(UsageError) as caught:
        made(mcp_servers=["wether"])
    assert caught.value.hint == "did you mean 'weather'?"


def test_a_server_that_ends_at_once_is_told_with_its_command() -> None:
    line = shlex.join([sys.executable, "-c", "raise SystemExit('no key')"])
    with pytest.raises(ChatstreamError, match="no key") as caught:
        made(mcp_servers=[line])
    assert line in str(caught.value.hint)


# ---- the configuration


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('comand = "x"', "mcp.a: unknown key 'comand'"),
        ("command = 3", "mcp.a.command takes text in quotes, not a number"),
        ('command = "x"\nargs = "y"', "mcp.a.args takes a list of strings"),
        ('command = "x"\nenv = {A = 1}', "mcp.a.env.A takes text in quotes, not a number"),
        ('command = "x"\nurl = "http://x"', "mcp.a has both a command and a url"),
        ('command = "x"\ntrusted = "very"', "mcp.a.trusted takes"),
        ("args = []", "mcp.a has neither a command nor a url"),
        ('url = "x.org"', "mcp.a has a url that does not begin with http:// or https://"),
        ('command = "\'"', "is not a command"),
    ],
)
def test_a_mistake_in_a_table_is_named_with_its_place(config: Path, table: str, words: str) -> None:
    config.write_text(f"[mcp.a]\n{table}\n")
    with pytest.raises(ConfigError) as caught:
        resolve({})
    assert words in caught.value.message
    assert str(config) in caught.value.message


def test_a_name_that_no_tool_could_have_is_a_mistake(config: Path) -> None:
    config.write_text('[mcp."a.b c"]\ncommand = "x"\n')
    with pytest.raises(ConfigError, match=r"a server cannot be called 'a\.b c'"):
        resolve({})


def test_no_secret_of_a_table_is_shown(config: Path) -> None:
    config.write_text(
        '[mcp.a]\ncommand = "x"\nenv = {SOME = "hush-hush"}\n'
        '[mcp.b]\nurl = "https://u:hush-hush@x.org"\nheaders = {X-Tenant = "hush-hush"}\n'
    )
    shown = "\n".join([*listing(None, CancelToken()), str(look_up("mcp", None)[0])])
    assert "hush-hush" not in shown
    assert MASK in shown
    assert "hush-hush" not in str(look_up("mcp.b", None)[0])


# ---- the file of other clients


def test_variables_are_replaced_in_such_a_file(tmp_path: Path) -> None:
    path = written(
        tmp_path / "mcp.json",
        a={"command": "${HOME}/run", "args": ["${LEVEL:-2}"], "env": {"T": "a${TOKEN}b"}},
        b={"type": "http", "url": "https://x.org", "headers": {"Authorization": "${TOKEN}"}},
    )
    assert from_file(path, {"HOME": "/h", "TOKEN": "t"}) == {
        "a": MCPServer(("/h/run", "2"), {"T": "atb"}),
        "b": MCPServer((), {}, "https://x.org", {"Authorization": "t"}),
    }


@pytest.mark.parametrize(
    ("written_as", "given"),
    [("${EMPTY}", ""), ("${EMPTY:-other}", "other"), ("${NOPE:-}", ""), ("${SET:-other}", "set")],
)
def test_a_variable_that_is_empty_counts_as_in_a_shell(
    tmp_path: Path, written_as: str, given: str
) -> None:
    path = written(tmp_path / "mcp.json", a={"command": "run", "env": {"T": written_as}})
    assert from_file(path, {"EMPTY": "", "SET": "set"})["a"].env == {"T": given}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not valid JSON"),
        ("[]", "has no mcpServers"),
        ('{"servers": {}}', "has no mcpServers"),
        ('{"mcpServers": {"a": 3}}', "mcpServers.a is not an object"),
        ('{"mcpServers": {"a": {}}}', "mcpServers.a has neither a command nor a url"),
        ('{"mcpServers": {"a": {"command": 3}}}', "mcpServers.a.command is wrong"),
        ('{"mcpServers": {"a": {"type": "sse", "url": "http://x"}}}', "the old SSE transport"),
        ('{"mcpServers": {"a": {"command": "${NOPE}"}}}', "needs the variable NOPE"),
    ],
)
def test_a_mistake_in_such_a_file_is_named(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        from_file(path, {})
    assert words in caught.value.message
    assert str(path) in caught.value.message


def test_the_home_of_nobody_is_a_file_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="cannot read ~nobody"):
        made(mcp_config="~nobody-at-all/mcp.json")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        from_file(tmp_path / "none.json")


# ---- what it is told, and what is kept


@pytest.mark.parametrize("root", [None, ["."]], ids=["no root", "a root"])
def test_a_server_is_told_the_folders_that_the_user_has_named(
    root: list[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    resolved = resolve({"provider": "demo", "mcp_servers": [NEW], "root": root})
    roots = [tmp_path] if root else []
    with closing(Keeper()) as keeper:
        fleet = fleet_of(resolved.settings, roots, lambda: keeper, CancelToken())
        assert fleet is not None
        with closing(fleet):
            fleet.tools()
            assert fleet._servers[0][0]._roots == (
                [{"uri": tmp_path.as_uri(), "name": tmp_path.name}] if root else []
            )


def test_a_journal_keeps_the_command_but_not_a_secret() -> None:
    assert made(mcp_servers=[NEW]).kept["mcp_servers"] == [NEW]
    secret = f"{NEW} --api-key=sk-ant-api03-aaaaaaaaaaaaaaaaaaaaaaaa"
    assert "mcp_servers" not in made(mcp_servers=[secret]).kept


def test_nothing_is_written_before_a_call_runs() -> None:
    made(mcp_servers=[NEW])
    assert not state_folder().joinpath("mcp-approved.json").exists()


def test_servers_are_asked_to_end_before_the_keeper_ends_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "asked"
    made(mcp_servers=[shlex.join(command("new", f"parts:{path}"))], tools=["shell"])
    assert path.read_text() == "goodbye"
