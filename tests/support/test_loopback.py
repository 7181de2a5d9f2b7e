"""The scripted server, asked through raw sockets."""

from __future__ import annotations

import itertools
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.loopback import SSE, Point, Reply, Script
from tests.support.proxy import ForwardProxy, black_hole
from tests.support.unavailable import Unavailable, skip_unavailable

LIMIT = 5.0
REQUEST = b'POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n{"a": 1}'
LAST = REQUEST.replace(b"Host: x", b"Host: x\r\nConnection: close")


@contextmanager
def connected(server: Script | ForwardProxy, data: bytes = LAST) -> Iterator[socket.socket]:
    with socket.create_connection((server.host, server.port), timeout=LIMIT) as sock:
        sock.sendall(data)
        yield sock


def rest(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def ask(server: Script, data: bytes = LAST) -> tuple[bytes, bytes]:
    """The head and the rest of what the server sends until it closes."""
    with connected(server, data) as sock:
        head, _, body = rest(sock).partition(b"\r\n\r\n")
        return head, body


def receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += sock.recv(size - len(data))
    return data


def test_chunked_is_one_chunk_a_write() -> None:
    with Script(Reply([b"ab", b"cde"], headers=SSE)) as server:
        head, body = ask(server)
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    assert body == b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"


def test_close_and_length_framing() -> None:
    with Script(Reply(b"abc", framing="close"), Reply(b"abc", framing="length")) as server:
        closed, length = ask(server, REQUEST), ask(server)
    assert closed == (b"HTTP/1.1 200 OK\r\nConnection: close", b"abc")
    assert length == (b"HTTP/1.1 200 OK\r\nContent-Length: 3", b"abc")


def test_split_cuts_the_body_anew() -> None:
    with Script(Reply([b"ab", b"cde"], split=4)) as server:
        assert ask(server)[1] == b"4\r\nabcd\r\n1\r\ne\r\n0\r\n\r\n"


@pytest.mark.parametrize("cut", range(6))
def test_a_cut_is_exact_and_has_no_last_chunk(cut: int) -> None:
    with Script(Reply([b"ab", b"cde"], split=1, cut_after=cut)) as server:
        assert ask(server)[1] == b"".join(b"1\r\n%c\r\n" % byte for byte in b"abcde"[:cut])


def test_a_short_body_keeps_the_announced_length() -> None:
    with Script(Reply(b"abcde", framing="length", cut_after=2)) as server:
        assert ask(server) == (b"HTTP/1.1 200 OK\r\nContent-Length: 5", b"ab")


def test_reset() -> None:
    with Script(Reply([b"ab", b"cd"], cut_after=2, rst=True)) as server:
        with connected(server) as sock, pytest.raises(ConnectionResetError):
            rest(sock)
        assert server.wait_closed()
        assert not server.connections[0].client_gone.is_set()


def test_replies_follow_each_other_over_kept_and_new_connections() -> None:
    with Script(Reply.json(1), Reply.json(2, 529), Reply.json(3)) as server:
        with connected(server, REQUEST + REQUEST + LAST) as sock:
            answers = rest(sock)
        assert [answers.count(b"\r\n\r\n%d" % number) for number in (1, 2, 3)] == [1, 1, 1]
        assert b"HTTP/1.1 529 " in answers
        assert [ask(server)[1] for _ in range(2)] == [b"3", b"3"]
        assert [request.connection for request in server.requests] == [0, 0, 0, 1, 2]
        server.play(Reply.json(4), Reply.json(5), cycle=True)
        assert [ask(server)[1] for _ in range(3)] == [b"4", b"5", b"4"]
        assert len(server.requests) == 3


def test_requests_are_recorded() -> None:
    chunked = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with Script(Reply(b"")) as server:
        ask(server)
        ask(server, chunked + b"3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n")
    first, second = server.requests
    assert (first.method, first.path, first.json) == ("POST", "/x", {"a": 1})
    assert first.headers == {"host": "x", "content-length": "8", "connection": "close"}
    assert (second.path, second.body) == ("/c", b"abc0123456789")


@pytest.mark.parametrize("point", ["before_head", "after_head", 1, 2])
def test_a_hold_lasts_until_the_test_ends_it(point: Point) -> None:
    go = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    seen: dict[Point, bytes]
    seen = {"before_head": b"", "after_head": head, 1: head + b"ab", 2: head + b"abcd"}
    reply = Reply([b"ab", b"cd"], framing="close", hold={point: go})
    with Script(reply) as server, connected(server) as sock:
        assert server.wait_holding()
        assert receive(sock, len(seen[point])) == seen[point]
        assert select.select([sock], [], [], 0)[0] == []
        go.set()
        assert rest(sock) == (head + b"abcd").removeprefix(seen[point])


@pytest.mark.parametrize("point", ["before_head", 1])
def test_a_client_that_leaves_is_noted_while_the_reply_holds(point: Point) -> None:
    with Script(Reply([b"ab"], hold={point: threading.Event()})) as server:
        with connected(server):
            assert server.wait_holding()
            assert not server.wait_closed(0)
            left = time.monotonic()
        assert server.wait_closed()
        assert server.connections[0].client_gone.is_set()
        assert server.connections[0].client_gone_at
        assert server.connections[0].client_gone_at - left < 1


def test_a_client_that_leaves_ends_an_endless_paced_body() -> None:
    with Script(Reply(itertools.repeat(b": ping\n\n"), pace=60)) as server:
        with connected(server) as sock:
            receive(sock, 60)
        assert server.wait_closed()
    assert server.connections[0].client_gone.is_set()


def test_the_end_of_the_block_ends_a_hold() -> None:
    reply = Reply(hold={"before_head": threading.Event()})
    with Script(reply) as server, connected(server) as sock:
        assert server.wait_holding()
        server.stop()
        assert rest(sock) == b""
    assert not server.connections[0].client_gone.is_set()


def test_https_with_its_own_authority() -> None:
    with Script(Reply([b"ab"] * 1000), Reply(b"ab", cut_after=1), https=True) as server:
        context = ssl.create_default_context(cafile=server.ca_file)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        for body, ragged in ((b"2\r\nab\r\n" * 1000 + b"0\r\n\r\n", False), (b"1\r\na\r\n", True)):
            with connected(server, b"") as sock:
                tls = context.wrap_socket(
                    sock, server_hostname="localhost", suppress_ragged_eofs=ragged
                )
                with tls:
                    tls.sendall(LAST)
                    assert rest(tls).partition(b"\r\n\r\n")[2] == body
        assert server.url.startswith("https://127.0.0.1:")
        assert server.wait_closed()


def test_a_black_hole_swallows_connections() -> None:
    with black_hole() as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with pytest.raises(TimeoutError):
            socket.create_connection((host, int(port)), timeout=0.2)


def test_the_proxy_forwards_absolute_urls_and_tunnels() -> None:
    absolute = LAST.replace(b"/x", b"http://%s/x?y=1").replace(b"Host", b"Proxy-Token: t\r\nHost")
    with Script(Reply(b"abc", framing="length")) as server, ForwardProxy() as proxy:
        address = f"{server.host}:{server.port}"
        with connected(proxy, absolute % address.encode()) as sock:
            assert rest(sock).endswith(b"abc")
        with connected(proxy, b"CONNECT %s HTTP/1.1\r\n\r\n" % address.encode()) as sock:
            assert receive(sock, 39).endswith(b"\r\n\r\n")
            sock.sendall(LAST)
            assert rest(sock).endswith(b"abc")
    assert [(it.method, it.target) for it in proxy.requests] == [
        ("POST", f"http://{address}/x?y=1"),
        ("CONNECT", address),
    ]
    assert proxy.requests[0].headers["proxy-token"] == "t"
    assert [it.path for it in server.requests] == ["/x?y=1", "/x"]
    assert "proxy-token" not in server.requests[0].headers


def test_what_is_unavailable_skips_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for ci, outcome in (("", pytest.skip.Exception), ("true", pytest.fail.Exception)):
        monkeypatch.setenv("CI", ci)
        with pytest.raises(outcome, match="no such thing"), skip_unavailable():
            raise Unavailable("no such thing")
