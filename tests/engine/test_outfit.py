"""What tools are outfitted with: `http_get` against real sockets, and its rules for addresses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from chatstream.engine.fetching import vet
from chatstream.engine.outfit import Outfit
from chatstream.engine.settings import Settings
from chatstream.errors import Refused
from chatstream.tools import landlock
from chatstream.tools.tool import Tool, ToolFailure
from chatstream.transport.dial import Address
from tests.support.loopback import Reply, Script
from tests.support.names import Names, at
from tests.support.processes import write_program
from tests.support.proxy import ForwardProxy
from tests.support.toolcontext import result

TEXT = {"Content-Type": "text/plain"}

pytestmark = pytest.mark.usefixtures("no_proxies")


def http_get(hosts: Sequence[str] = (), **settings: object) -> Tool:
    made = Settings(http_hosts=list(hosts), **settings)  # type: ignore[arg-type]
    return Outfit(made, [], []).built_in["http_get"]()


def test_this_machine_is_refused_and_not_connected_to() -> None:
    with Script(Reply(b"secret", headers=TEXT)) as server:
        for url in (server.url, f"http://localhost:{server.port}", f"http://0x7f.1:{server.port}"):
            with pytest.raises(ToolFailure, match="is not fetched") as failure:
                result(http_get(), url=url)
            assert failure.value.code == "refused"
        assert server.connections == []


@pytest.mark.parametrize("name", ["127.0.0.1", "127.0.0.1:{port}"])
def test_a_host_that_is_named_is_reached(name: str) -> None:
    with Script(Reply(b"hello", headers=TEXT)) as server:
        tool = http_get([name.format(port=server.port)])
        assert result(tool, url=f"{server.url}/page?x=1") == "hello"
        (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/page?x=1")
    assert request.headers["user-agent"] == "chatstream"
    assert not {"authorization", "cookie"} & request.headers.keys()


def test_another_port_of_a_named_place_is_refused() -> None:
    with Script(Reply(b"secret", headers=TEXT)) as server:
        with pytest.raises(ToolFailure, match="is not fetched"):
            result(http_get([f"127.0.0.1:{server.port + 1}"]), url=server.url)
        assert server.connections == []


def test_a_name_that_leads_here_is_refused_and_looked_up_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names(monkeypatch)
    with Script(Reply(b"secret", headers=TEXT)) as server:
        with pytest.raises(ToolFailure, match=r"public\.test is at 127\.0\.0\.1"):
            result(http_get(), url=at("public.test", server.url))
        assert names.places == [("public.test", server.port)]
        assert result(http_get(["public.test"]), url=at("public.test", server.url)) == "secret"
        assert len(names.places) == 2


def test_a_redirect_to_this_machine_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch)
    with Script(Reply(b"secret", headers=TEXT)) as inner:
        there = Reply(b"", 302, {"Location": inner.url}, "length")
        with Script(there) as outer:
            told = result(http_get(["named.test"]), url=at("named.test", outer.url))
        assert told == f"HTTP 302: it redirects to another host: {inner.url}"
        assert inner.connections == []


def test_the_key_of_the_model_s_server_goes_nowhere() -> None:
    with Script(Reply(b"x", headers=TEXT)) as server:
        tool = http_get(["127.0.0.1"], api_key="sk-key-of-the-model", headers={"X-Key": "value"})
        result(tool, url=server.url)
        assert "sk-key-of-the-model" not in str(server.requests[0].headers)
        assert "x-key" not in server.requests[0].headers


def test_through_a_proxy_the_address_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch)
    with Script(Reply(b"from far", headers=TEXT)) as server, ForwardProxy() as proxy:
        url = at("far.test", server.url)
        with pytest.raises(ToolFailure, match="is not fetched"):
            result(http_get(proxy=proxy.url), url=url)
        assert server.connections == []
        assert result(http_get(["far.test"], proxy=proxy.url), url=url) == "from far"


def test_a_dot_behind_an_address_does_not_hide_it_from_the_check_before_a_proxy() -> None:
    with ForwardProxy() as proxy:
        with pytest.raises(ToolFailure, match="is not fetched"):
            result(http_get(proxy=proxy.url), url="http://10.0.0.1./")
        assert proxy.requests == []


@pytest.mark.parametrize(
    "place",
    [
        *("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "ff02::1"),
    ],
)
def test_private_addresses_of_every_kind_are_refused(place: str) -> None:
    address = Address(2, 1, 6, (place, 80))
    with pytest.raises(Refused):
        vet([])("host.test", [Address(2, 1, 6, ("93.184.216.34", 80)), address])
    vet(["host.test"])("HOST.test", [address])


@pytest.mark.parametrize("place", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_addresses_of_the_internet_are_not(place: str) -> None:
    vet([])("host.test", [Address(2, 1, 6, (place, 80))])


@pytest.mark.skipif(os.name != "posix", reason="needs process groups")
def test_the_keeper_is_made_once_and_ends_after_all_of_its_tools(tmp_path: Path) -> None:
    outfit = Outfit(Settings(sandbox="off"), [tmp_path], [])
    outfit.close()
    assert outfit.warnings == ()
    keeper = outfit.keeper()
    for shell in (outfit.built_in["shell"](), outfit.built_in["shell"]()):
        assert vars(shell)["_keeper"] is keeper
        shell.close()
    assert keeper.scratch.is_dir()
    assert keeper._process.poll() is None
    outfit.close()
    outfit.close()
    assert keeper._process.returncode == 0
    assert not keeper.scratch.exists()


@pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")
def test_an_executable_runs_in_the_sandbox_wherever_it_is(tmp_path: Path) -> None:
    text = """#!/bin/sh\necho '{"name": "own", "description": "Do it."}'\n"""
    path, root = write_program(tmp_path / "own", text), tmp_path / "root"
    root.mkdir()
    with closing(Outfit(Settings(sandbox="landlock"), [root], [], [path])) as outfit:
        outfit.built_in["shell"]()  # is made first, and shares the sandbox
        assert [it.name for it in outfit.executables(None)] == ["own"]
