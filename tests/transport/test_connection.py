"""The sockets: reachable before they connect, read as bytes arrive, given back when whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, TLSError
from chatstream.transport import Call, Head, Tick, Transport
from tests.support.loopback import Framing, Point, Reply, Script
from tests.support.names import Names, at
from tests.support.proxy import ForwardProxy, black_hole

Connect = Callable[..., Transport]


def call(url: str) -> Call:
    return Call(f"{url}/x", {"Content-Type": "application/json"}, b"{}")


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes transports that are closed when the test ends."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(closing(Transport(**how)))


def cancel_while_waiting(transport: Transport, url: str) -> None:
    """Cancel from another thread once the exchange has begun to wait."""
    token = CancelToken()
    items = transport.exchange(call(url), token)
    assert isinstance(next(items), Tick)
    threading.Thread(target=token.cancel).start()
    with pytest.raises(Cancelled):
        for _ in items:
            pass


def test_a_connect_into_a_black_hole_is_cancelled(connect: Connect) -> None:
    with black_hole() as url:
        cancel_while_waiting(connect(), url)


@pytest.mark.parametrize("point", ["before_head", "after_head"])
@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
def test_a_cancel_closes_the_connection_in_every_phase(
    connect: Connect, point: Point, https: bool
) -> None:
    reply = Reply(hold={point: threading.Event()})
    with Script(reply, https=https) as server:
        ca_file = str(server.ca_file) if server.ca_file else None
        cancel_while_waiting(connect(ca_file=ca_file), server.url)
        assert server.wait_closed()
        assert server.connections[0].client_gone.is_set()


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
def test_a_cancel_reaches_through_a_proxy(
    connect: Connect, https: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    Names(monkeypatch)  # a server on loopback would not be asked through it
    reply = Reply(hold={"before_head": threading.Event()})
    with Script(reply, https=https) as server, ForwardProxy() as proxy:
        transport = connect(
            proxies={"http": proxy.url, "https": proxy.url},
            ca_file=str(server.ca_file) if server.ca_file else None,
        )
        cancel_while_waiting(transport, at("server.test", server.url))
        assert server.wait_closed()
        assert proxy.requests[0].method == ("CONNECT" if https else "POST")


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
def test_each_write_is_out_before_the_next_is_sent(
    connect: Connect, framing: Framing, https: bool
) -> None:
    go = threading.Event()
    reply = Reply([b"first", b"second"], framing=framing, hold={1: go})
    with Script(reply, https=https) as server:
        transport = connect(ca_file=str(server.ca_file) if server.ca_file else None)
        items = transport.exchange(call(server.url), CancelToken())
        assert next(i for i in items if isinstance(i, bytes)) == b"first"
        assert server.wait_holding()
        go.set()
        assert b"".join(i for i in items if isinstance(i, bytes)) == b"second"


def test_a_body_read_to_its_end_gives_its_connection_back(connect: Connect) -> None:
    with Script(Reply(b"whole")) as server:
        transport = connect()
        for _ in range(3):
            assert b"whole" in list(transport.exchange(call(server.url), CancelToken()))
        assert len(server.requests) == 3
        assert len(server.connections) == 1


def test_a_reader_that_stops_at_the_end_mark_gives_the_connection_back(connect: Connect) -> None:
    with Script(Reply(b"mark", framing="length")) as server:
        transport = connect()
        for _ in range(2):
            items = transport.exchange(call(server.url), CancelToken())
            assert next(i for i in items if isinstance(i, bytes)) == b"mark"
            items.close()
        assert len(server.connections) == 1


def test_a_reader_that_stops_in_the_middle_hangs_up(connect: Connect) -> None:
    never = threading.Event()
    with Script(Reply([b"a", b"b"], hold={1: never})) as server:
        items = connect().exchange(call(server.url), CancelToken())
        assert next(i for i in items if isinstance(i, bytes)) == b"a"
        items.close()
        assert server.wait_closed()


def test_the_request_is_told_as_on_the_wire_once_it_is(connect: Connect) -> None:
    go = threading.Event()
    with Script(Reply(b"x", hold={"before_head": go})) as server:
        items = connect().exchange(call(server.url), CancelToken())
        tick = next(i for i in items if isinstance(i, Tick) and i.connected)
        assert tick.connected
        assert server.wait_requests()
        go.set()
        assert any(isinstance(item, Head) for item in items)


def test_an_unknown_authority_is_refused(connect: Connect) -> None:
    with (
        Script(Reply(b"x"), https=True) as server,
        pytest.raises(TLSError, match="no secure connection"),
    ):
        list(connect().exchange(call(server.url), CancelToken()))
