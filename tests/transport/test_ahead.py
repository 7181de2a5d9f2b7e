"""A connection that begins ahead: who uses it, who closes it, and where none is made."""

from __future__ import annotations

import gc
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, ChatstreamError, TLSError, Unreachable
from chatstream.transport import Call, Transport, ahead
from chatstream.transport.ahead import Ahead, Goal
from tests.support.loopback import Reply, Script
from tests.support.names import Names, at
from tests.support.proxy import ForwardProxy, black_hole
from tests.support.refused import refused_port

LIMIT = 5.0

OK = Reply(b"ok")


def begin(url: str, **how: Any) -> Ahead:
    return Ahead(url, **{"limit": LIMIT, "setting": None, "ca_file": None, **how})


def over(begun: Ahead, url: str, **how: Any) -> bytes:
    """What the server answers to a request that may use the connection."""
    with closing(Transport(ahead=begun, **how)) as transport:
        items = list(transport.exchange(Call(f"{url}/x", {}, b"{}"), CancelToken()))
    return b"".join(item for item in items if isinstance(item, bytes))


def settle(begun: Ahead) -> None:
    """Wait until its thread has ended."""
    begun._thread.join(LIMIT)
    assert not begun._thread.is_alive()


@pytest.fixture(params=[False, True], ids=["http", "https"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    with Script(OK, https=request.param) as script:
        if script.ca_file:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(script.ca_file))
        yield script


def test_the_request_uses_the_connection(server: Script) -> None:
    begun = begin(server.url)
    assert over(begun, server.url) == b"ok"
    assert len(server.connections) == 1


def test_the_request_waits_for_a_connection_that_is_being_made(
    server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    resolve = socket.getaddrinfo

    def slow(*args: Any, **options: Any) -> Any:
        assert go.wait(LIMIT)
        return resolve(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    begun = begin(server.url)
    with closing(Transport(ahead=begun)) as transport:
        items = transport.exchange(Call(server.url, {}, b"{}"), CancelToken())
        next(items)
        go.set()
        assert b"ok" in list(items)
    assert len(server.connections) == 1


def test_only_the_first_request_uses_it(server: Script) -> None:
    server.play(Reply(b"ok", framing="close"))
    begun = begin(server.url)
    with closing(Transport(ahead=begun)) as transport:
        for _ in range(2):
            assert b"ok" in list(transport.exchange(Call(server.url, {}, b"{}"), CancelToken()))
    assert [request.connection for request in server.requests] == [0, 1]


def test_a_request_to_another_server_does_not_use_it(server: Script) -> None:
    with Script(OK) as other:
        begun = begin(server.url)
        assert over(begun, other.url) == b"ok"
        assert server.wait_closed()
        assert (len(other.connections), server.requests) == (1, [])


@pytest.mark.parametrize("settled", [False, True])
def test_a_connection_that_nobody_wants_is_closed(server: Script, settled: bool) -> None:
    begun = begin(server.url)
    if settled:
        settle(begun)
    begun.close()
    begun.close()
    settle(begun)
    assert not server.connections or server.wait_closed()
    with pytest.raises(OSError, match="cancelled"):
        begun.take(Goal("127.0.0.1", server.port, secure=False))


def test_the_garbage_collector_closes_it_too(server: Script) -> None:
    begun = begin(server.url)
    settle(begun)
    del begun
    gc.collect()
    assert server.wait_closed()


def test_closing_ends_an_attempt_that_never_ends() -> None:
    with black_hole() as url:
        begun = begin(url, limit=None)
        begun.close()
        settle(begun)


def test_a_cancel_ends_the_request_that_waits_for_it() -> None:
    with black_hole() as url:
        begun = begin(url, limit=None)
        token = CancelToken()
        with closing(Transport(ahead=begun)) as transport:
            items = transport.exchange(Call(url, {}, b"{}"), token)
            next(items)
            threading.Thread(target=token.cancel).start()
            with pytest.raises(Cancelled):
                for _ in items:
                    pass
        settle(begun)


def test_a_process_does_not_wait_for_it() -> None:
    script = (
        "import sys; from chatstream.transport.ahead import Ahead;"
        "begun = Ahead(sys.argv[1], limit=None, setting=None, ca_file=None);"
        "print(*sorted({'requests', 'urllib3', 'http'} & {*sys.modules}))"
    )
    with black_hole() as url:
        ended = subprocess.run(
            [sys.executable, "-c", script, url],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    assert (ended.stdout, ended.stderr) == ("\n", ""), "nothing slow is imported for it"


def test_a_failure_is_that_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch)
    port = refused_port()
    begun = begin(f"http://a.test:{port}")
    with pytest.raises(Unreachable, match="connection refused"):
        over(begun, f"http://a.test:{port}")
    assert names.places == [("a.test", port)]


def test_an_old_failure_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "FRESH_SECONDS", -1.0)
    names = Names(monkeypatch)
    with Script(OK) as server:
        url = at("a.test", server.url)
        names.name("a.test")
        begun = begin(url)
        settle(begun)
        names.name("a.test", "127.0.0.1")
        assert over(begun, url) == b"ok"


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n", None])
def test_what_the_server_has_left_is_not_used(said: bytes | None) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        if said:
            theirs.sendall(said)
        elif said is not None:
            theirs.close()
        ours.settimeout(3.0)
        assert ahead._is_open(ours) is (said is None)
        if said is None:
            assert ours.gettimeout() == 3.0


class Impatient(Script):
    """Closes the first connection as soon as it is there."""

    def handle(self, number: int, sock: socket.socket) -> None:
        if number:
            super().handle(number, sock)


def test_the_request_makes_its_own_connection_where_the_server_has_closed_that_one() -> None:
    with Impatient(OK) as server:
        begun = begin(server.url)
        settle(begun)
        (outcome,) = begun._outcome._items
        assert isinstance(outcome, ahead.Ready)
        assert outcome.sock.recv(1, socket.MSG_PEEK) == b"", "its end has arrived"
        assert over(begun, server.url) == b"ok"


# ---- certificates


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("url", ["{}", "https://server.test"])
def test_who_asks_for_the_context_does_not_wait_for_the_connection(url: str) -> None:
    with black_hole() as hole:
        begun = begin(url.format(hole), limit=None, setting={"https": hole})
        asking = threading.Thread(target=begun.context, daemon=True)
        asking.start()
        asking.join(LIMIT)
        assert not asking.is_alive()
        assert (begun.context() is not None) == url.startswith("https")
        begun.close()
        settle(begun)


def test_an_unknown_authority_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with Script(OK, https=True) as server:
        begun = begin(server.url)
        with pytest.raises(TLSError):
            over(begun, server.url)
        assert len(server.connections) == 1
        assert server.requests == []


def test_a_certificate_of_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch)
    with Script(OK, https=True) as server:
        url, ca_file = at("other.test", server.url), str(server.ca_file)
        begun = begin(url, ca_file=ca_file)
        with pytest.raises(TLSError):
            over(begun, url, ca_file=ca_file)
        assert server.requests == []


def test_nobody_is_contacted_where_the_certificates_cannot_be_read(tmp_path: Path) -> None:
    with Script(OK, https=True) as server:
        begun = begin(server.url, ca_file=str(tmp_path / "missing.pem"))
        settle(begun)
        assert server.connections == []
        with pytest.raises((OSError, ChatstreamError)):
            begun.take(Goal("127.0.0.1", server.port, secure=True))


def test_the_connection_speaks_what_a_later_one_would(server: Script) -> None:
    begun = begin(server.url)
    ready = begun.take(Goal("127.0.0.1", server.port, secure=server.ca_file is not None))
    assert ready is not None
    with closing(ready.sock) as sock:
        assert sock.gettimeout() == LIMIT
        assert (ready.tls is not None) == isinstance(sock, ssl.SSLSocket)


# ---- proxies


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("variable", ["{}_proxy", "{}_PROXY", "ALL_PROXY", None])
def test_where_a_proxy_is_named_it_is_dialled(
    server: Script, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch)
    scheme, url = server.url.partition(":")[0], at("server.test", server.url)
    with ForwardProxy() as proxy:
        setting = None if variable else dict.fromkeys(("http", "https"), proxy.url)
        if variable:
            monkeypatch.setenv(
                variable.format(scheme if "_p" in variable else scheme.upper()), proxy.url
            )
        begun = begin(url, setting=setting)
        settle(begun)
        assert names.places == [("127.0.0.1", proxy.port)]
        assert over(begun, url, proxies=setting) == b"ok"
        assert names.places.count(("127.0.0.1", proxy.port)) == 1
        assert [it.method for it in proxy.requests] == ["CONNECT" if scheme == "https" else "POST"]


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("proxy", ["socks5h://127.0.0.1:9", "https://127.0.0.1:9"])
def test_a_proxy_that_needs_more_than_tcp_is_left_to_the_request(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch)
    begun = begin("http://server.test:9", setting={"http": proxy})
    settle(begun)
    assert names.places == []


@pytest.mark.usefixtures("no_proxies")
def test_this_machine_and_what_no_proxy_names_are_dialled_directly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names(monkeypatch)
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test:9")
    monkeypatch.setenv("NO_PROXY", "server.test")
    with Script(OK) as server:
        for url in (server.url, at("server.test", server.url)):
            assert over(begin(url), url) == b"ok"
    assert {host for host, _ in names.places} == {"127.0.0.1", "server.test"}


@pytest.mark.parametrize("url", ["http://bücher.test", "http://[fe80::1%25lo]", "http://"])
def test_a_host_that_requests_may_write_in_another_way_is_left_to_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch)
    settle(begin(url))
    assert names.places == []
