"""Many exchanges read by one loop: the same bytes as ever, each with its receive time."""

from __future__ import annotations

import gzip
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from chatstream.cancel import CancelToken
from chatstream.clock import monotonic
from chatstream.errors import (
    Cancelled,
    ChatstreamError,
    ConnectError,
    ProtocolError,
    TLSError,
    Truncated,
)
from chatstream.transport import meter as metering
from chatstream.transport.exchange import Call, Head, Tick
from chatstream.transport.meter import Meter, Metered
from chatstream.transport.stamps import SLACK_SECONDS
from tests.support.loopback import SSE, Framing, Point, Reply, Script
from tests.support.names import Names, at
from tests.support.proxy import ForwardProxy

pytestmark = pytest.mark.serial

LIMIT = 20.0  # seconds that any exchange of a test takes at most
PIECES = [b"data: %d\n\n" % number for number in range(40)]


class RequestRecord:
    """One exchange that is being read."""

    def __init__(self, transport: Metered, url: str, token: CancelToken | None = None) -> None:
        self.transport = transport
        self.token = token or CancelToken()
        call = Call(url, {"Accept-Encoding": "identity"}, b"{}")
        self.items = transport.exchange(call, self.token)
        self.head: Head | None = None
        self.body: list[bytes] = []
        self.times: list[float] = []  # of each piece of the body
        self.ended = False

    def pull(self) -> None:
        """Take what it holds."""
        for item in self.items:
            if isinstance(item, bytes):
                self.body.append(item)
                self.times.append(self.transport.clock())
            elif isinstance(item, Head):
                self.head = item
            elif isinstance(item, Tick) and not self.transport.news:
                return
        self.ended = True


def read(meter: Meter, *all_asked: RequestRecord, until: Callable[[], bool] | None = None) -> None:
    """Read until every exchange has ended, or until something is so."""
    limit = time.monotonic() + LIMIT
    while not (until() if until else all(asked.ended for asked in all_asked)):
        assert time.monotonic() < limit
        meter.wait()
        for asked in all_asked:
            if not asked.ended:
                asked.pull()


@contextmanager
def sending(data: bytes) -> Iterator[tuple[str, threading.Event]]:
    """A server's URL; it answers one request with these bytes, closes, and sets the event."""
    sent = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(data)
        sent.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", sent
        thread.join()


@pytest.fixture(params=["kernel", "user"])
def meter(request: pytest.FixtureRequest) -> Iterator[Meter]:
    with Meter(kernel=request.param == "kernel") as meter:
        yield meter


@pytest.mark.parametrize("https", [False, True])
@pytest.mark.parametrize("split", [None, 1, 3, 1000])
@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
def test_an_exchange_brings_every_byte(
    meter: Meter, framing: Framing, split: int | None, https: bool
) -> None:
    reply = Reply(PIECES, headers=SSE, framing=framing, split=split)
    with Script(reply, https=https) as server:
        transport = Metered(meter, ca_file=str(server.ca_file) if server.ca_file else None)
        asked = RequestRecord(transport, server.url)
        read(meter, asked)
        transport.close()
    assert asked.head is not None
    assert (asked.head.status, b"".join(asked.body)) == (200, b"".join(PIECES))


def test_a_long_body_comes_whole(meter: Meter) -> None:
    body = bytes(range(256)) * 20_000
    with Script(Reply(body, framing="length")) as server:
        transport = Metered(meter)
        asked = RequestRecord(transport, server.url)
        read(meter, asked)
        transport.close()
    assert b"".join(asked.body) == body
    for receipt in transport.trace.receipts:  # a read that was not the last emptied nothing
        assert receipt.kernel == meter.kernel
        assert receipt.since <= receipt.at + SLACK_SECONDS


def test_a_body_that_comes_with_its_head_is_read_with_its_time(meter: Meter) -> None:
    body = b"x" * 20_000  # more than http.client reads at once
    with sending(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + body) as (url, _):
        transport = Metered(meter)
        asked = RequestRecord(transport, url)
        read(meter, asked)
        transport.close()
    assert b"".join(asked.body) == b"x" * 20_000
    trace = transport.trace
    assert trace.sent is not None
    assert trace.head is not None
    assert trace.sent <= trace.head <= trace.receipts[0].at
    assert len({id(receipt) for receipt in trace.receipts}) == len(trace.receipts)


def test_an_end_that_came_before_the_head_was_looked_at_is_seen(meter: Meter) -> None:
    with sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") as (url, sent):
        transport = Metered(meter)
        asked = RequestRecord(transport, url)
        asked.pull()
        assert sent.wait(LIMIT)
        for _ in range(20):  # the head is read, and the end, and nobody has looked
            meter.wait()
        with pytest.raises(Truncated):
            read(meter, asked)
        transport.close()


def test_every_piece_has_the_time_of_the_read_that_brought_it(meter: Meter) -> None:
    with Script(Reply(PIECES, headers=SSE, pace=0.003)) as server:
        transport = Metered(meter)
        asked = RequestRecord(transport, server.url)
        read(meter, asked)
        transport.close()
    trace = transport.trace
    assert set(asked.times) <= {receipt.at for receipt in trace.receipts}
    assert asked.times == sorted(asked.times)
    for receipt, following in itertools.pairwise(trace.receipts):
        assert receipt.at <= following.at
    for receipt in trace.receipts:
        assert receipt.at <= receipt.read
        assert receipt.since <= receipt.read
        assert receipt.kernel or receipt.at == receipt.read


def test_the_kernel_stamps_reads_of_plain_connections_only() -> None:
    with Meter() as meter:
        if not meter.kernel:
            pytest.skip("only Linux stamps what TCP receives")
        for https in (False, True):
            with Script(Reply(PIECES, headers=SSE, pace=0.002), https=https) as server:
                ca_file = str(server.ca_file) if server.ca_file else None
                transport = Metered(meter, ca_file=ca_file)
                asked = RequestRecord(transport, server.url)
                read(meter, asked)
                transport.close()
            assert all(it.kernel != https for it in transport.trace.receipts)


def test_a_connection_is_used_again_though_the_body_ends_after_its_end_mark(
    meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metering, "LINGER_SECONDS", LIMIT)
    hold = threading.Event()
    with Script(Reply(PIECES, headers=SSE, hold={len(PIECES): hold}), Reply(b"two")) as server:
        transport = Metered(meter)
        asked = RequestRecord(transport, server.url)
        read(meter, asked, until=lambda: b"data: 39" in b"".join(asked.body))
        asked.items.close()  # at the end mark: the reader needs nothing more
        if hasattr(socket, "TCP_INFO"):
            assert transport.trace.rtt
        hold.set()
        again = RequestRecord(transport, server.url)
        read(meter, again)
        transport.close()
        assert b"".join(again.body) == b"two"
        assert {request.connection for request in server.requests} == {0}
    assert transport.trace.reused
    assert transport.trace.tcp is None


def test_a_body_that_does_not_end_holds_up_the_next_request_only_briefly(meter: Meter) -> None:
    never = threading.Event()
    with Script(Reply(PIECES, headers=SSE, hold={len(PIECES): never}), Reply(b"two")) as server:
        transport = Metered(meter)
        asked = RequestRecord(transport, server.url)
        read(meter, asked, until=lambda: b"data: 39" in b"".join(asked.body))
        asked.items.close()
        again = RequestRecord(transport, server.url)
        read(meter, again)
        transport.close()
        assert b"".join(again.body) == b"two"
        assert server.wait_closed()
    assert not transport.trace.reused


def test_a_transport_closed_at_an_end_mark_leaves_its_number_to_the_next_one(meter: Meter) -> None:
    never = threading.Event()
    with Script(Reply(PIECES, headers=SSE, hold={len(PIECES): never}), Reply(b"two")) as server:
        first, second = Metered(meter), Metered(meter)
        asked = RequestRecord(first, server.url)
        read(meter, asked, until=lambda: b"data: 39" in b"".join(asked.body))
        asked.items.close()
        first.close()  # its descriptor is free again
        again = RequestRecord(second, server.url)
        read(meter, again)
        assert b"".join(again.body) == b"two"
        second.close()


def test_phases_of_a_new_connection_are_measured_apart(meter: Meter) -> None:
    with Script(Reply(b"ok"), https=True) as server:
        transport = Metered(meter, ca_file=str(server.ca_file))
        read(meter, RequestRecord(transport, server.url))
        first = transport.trace
        read(meter, RequestRecord(transport, server.url))
        second = transport.trace
        transport.close()
    assert not first.reused
    assert min(first.dns or 0, first.tcp or 0, first.tls or 0) > 0
    assert second.reused
    assert second.connect is None
    assert second.sent is not None


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (Reply(PIECES, cut_after=30), Truncated),
        (Reply(PIECES, cut_after=30, rst=True), Truncated),
        (Reply(PIECES, framing="length", cut_after=30), Truncated),
    ],
)
def test_a_cut_is_told_after_what_came_before_it(
    meter: Meter, reply: Reply, failure: type[ChatstreamError]
) -> None:
    with Script(reply) as server:
        transport = Metered(meter)
        asked = RequestRecord(transport, server.url)
        with pytest.raises(failure):
            read(meter, asked)
        transport.close()
    assert b"".join(PIECES).startswith(b"".join(asked.body))
    if not reply.rst:  # a reset may overtake
        assert len(b"".join(asked.body)) == 30


def test_a_refused_connection_and_a_strange_certificate_are_told(meter: Meter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    transport = Metered(meter)
    with pytest.raises(ConnectError):
        read(meter, RequestRecord(transport, f"http://127.0.0.1:{port}/"))
    with Script(Reply(b"ok"), https=True) as server, pytest.raises(TLSError):
        read(meter, RequestRecord(transport, server.url))
    transport.close()


def test_what_is_told_at_the_end_has_the_time_of_the_end(meter: Meter) -> None:
    with Script(Reply(PIECES, framing="close")) as server:
        transport = Metered(meter)
        read(meter, RequestRecord(transport, server.url))
        assert transport.clock() == transport.clock() > transport.trace.receipts[-1].at
        transport.close()


def test_the_clock_of_the_next_exchange_goes_on(meter: Meter) -> None:
    with Script(Reply(b"one", framing="length")) as server:
        transport = Metered(meter)
        read(meter, RequestRecord(transport, server.url))
        before = transport.clock()
        again = RequestRecord(transport, server.url)
        again.pull()
        assert transport.clock() > before
        read(meter, again)
        transport.close()


def test_what_a_tunnel_is_asked_for_is_no_part_of_the_request(
    meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    Names(monkeypatch)  # a server on loopback would not be asked through it
    with Script(Reply(b"ok"), https=True) as server, ForwardProxy() as proxy:
        proxies = {"https": proxy.url}
        transport = Metered(meter, ca_file=str(server.ca_file), proxies=proxies)
        before = monotonic()
        asked = RequestRecord(transport, at("server.test", server.url))
        read(meter, asked)
        transport.close()
    trace = transport.trace
    assert b"".join(asked.body) == b"ok"
    assert trace.sent is not None
    assert trace.connect is not None
    assert trace.sent >= before + trace.connect


def test_a_number_that_is_used_anew_before_its_former_owner_has_left_waits_for_it(
    meter: Meter,
) -> None:
    with sending(b"this is no head\r\n\r\n") as (url, sent), Script(Reply(b"fine")) as server:
        broken, whole = Metered(meter), Metered(meter)
        first = RequestRecord(broken, url)
        first.pull()
        assert sent.wait(LIMIT)
        for _ in range(100):  # its own thread finds that out, and closes the socket
            meter.wait()
        second = RequestRecord(whole, server.url)
        second.pull()
        assert server.wait_requests(1)
        for _ in range(20):
            meter.wait()
        with pytest.raises(ProtocolError):
            read(meter, first)
        read(meter, second)
        assert b"".join(second.body) == b"fine"
        broken.close()
        whole.close()


def test_a_cancel_before_the_head_leaves_no_thread_behind(meter: Meter) -> None:
    with Script(Reply(PIECES, hold={"before_head": threading.Event()})) as server:
        token = CancelToken()
        transport = Metered(meter)
        asked = RequestRecord(transport, server.url, token)
        read(meter, asked, until=lambda: server.wait_holding(0.001))
        token.cancel()
        with pytest.raises(Cancelled):
            asked.pull()
        transport.close()
        for thread in threading.enumerate():
            if "_send" in thread.name:
                thread.join(LIMIT)
                assert not thread.is_alive()


@pytest.mark.parametrize("point", ["before_head", "after_head", 5])
def test_a_cancel_ends_an_exchange_wherever_it_is(meter: Meter, point: Point) -> None:
    never = threading.Event()
    with Script(Reply(PIECES, hold={point: never})) as server:
        token = CancelToken()
        transport = Metered(meter)
        asked = RequestRecord(transport, server.url, token)
        read(meter, asked, until=lambda: server.wait_holding(0.001))
        token.cancel()
        with pytest.raises(Cancelled):
            read(meter, asked)
        transport.close()
        assert server.wait_closed()


def test_a_compressed_body_is_inflated(meter: Meter) -> None:
    headers = {"Content-Encoding": "gzip"}
    with Script(Reply(gzip.compress(b"hello" * 100), headers=headers, split=7)) as server:
        transport = Metered(meter)
        asked = RequestRecord(transport, server.url)
        read(meter, asked)
        transport.close()
    assert b"".join(asked.body) == b"hello" * 100


def test_a_hundred_exchanges_are_read_at_once(meter: Meter) -> None:
    with Script(Reply(PIECES, headers=SSE)) as server, ExitStack() as stack:
        transports = [Metered(meter) for _ in range(100)]
        for transport in transports:
            stack.callback(transport.close)
        asked = [RequestRecord(transport, server.url) for transport in transports]
        read(meter, *asked)
    assert all(b"".join(it.body) == b"".join(PIECES) for it in asked)


def test_a_descriptor_that_is_used_anew_is_read_for_its_new_owner(meter: Meter) -> None:
    for _ in range(20):  # connections that break in the head are closed by another thread
        with Script(Reply(b"", cut_after=0, status=200), Reply(b"fine")) as server:
            broken, whole = Metered(meter), Metered(meter)
            first = RequestRecord(broken, server.url)
            with pytest.raises(Truncated):
                read(meter, first)
            second = RequestRecord(whole, server.url)
            read(meter, second)
            assert b"".join(second.body) == b"fine"
            broken.close()
            whole.close()
