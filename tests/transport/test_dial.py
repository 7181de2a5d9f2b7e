"""Connecting: all addresses in one race and under one limit; what is said where nobody is."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

from chatstream.clock import Deadline
from chatstream.transport.dial import Address, Guard, NobodyThere, dial, in_turn, look_up, race
from tests.support.names import Names
from tests.support.proxy import black_hole
from tests.support.refused import refused_port

AT_ONCE, NEVER = 0.0, 1e6
LIMIT = 5.0  # seconds: a test that fails does not hang
V4, V6 = socket.AF_INET, socket.AF_INET6
NO_FAMILY = Address(12345, socket.SOCK_STREAM, 0, ("127.0.0.1", 1))
NO_ROUTE = Address(V4, socket.SOCK_STREAM, 0, ("224.0.0.1", 9))  # TCP goes to no multicast address


def at(port: int, host: str = "127.0.0.1") -> Address:
    family = V6 if ":" in host else V4
    return Address(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, (host, port))


def refusing() -> Address:
    return at(refused_port())


@contextmanager
def dead() -> Iterator[Address]:
    """An address where no attempt ever ends."""
    with black_hole() as url:
        yield at(urlsplit(url).port or 0)


@pytest.fixture
def live() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        yield listener


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


class Recording(Guard):
    """Keeps the sockets that were begun; `begun` is set with the first one."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets: list[socket.socket] = []
        self.begun = threading.Event()

    def watch(self, sock: socket.socket) -> None:
        if sock not in self.sockets:
            self.sockets.append(sock)
        super().watch(sock)
        self.begun.set()


@pytest.fixture
def guard() -> Iterator[Recording]:
    with closing(Recording()) as made:
        yield made


def test_the_families_take_turns_and_an_address_counts_once() -> None:
    six = [at(1, f"::{n}") for n in range(1, 5)]
    four = [at(1, f"127.0.0.{n}") for n in range(1, 3)]
    found = [six[0], six[1], six[0], *four, four[0], *six[2:]]
    assert in_turn(found) == [six[0], four[0], six[1], four[1], six[2], six[3]]
    assert in_turn(four[::-1]) == four[::-1]
    assert in_turn([]) == []


def test_a_dead_address_delays_the_next_by_the_stagger_only(
    live: socket.socket, guard: Recording
) -> None:
    with (
        dead() as one,
        dead() as two,
        race([one, two, at(port_of(live))], Deadline(LIMIT), guard, AT_ONCE) as sock,
    ):
        assert sock.getpeername() == live.getsockname()
        assert [it.fileno() for it in guard.sockets[:2]] == [-1, -1], "the others are closed"


def test_an_address_that_fails_does_not_even_cost_that(
    live: socket.socket, guard: Recording
) -> None:
    addresses = [refusing(), NO_FAMILY, NO_ROUTE, refusing(), at(port_of(live))]
    with race(addresses, Deadline(LIMIT), guard, NEVER) as sock:
        assert sock.getpeername() == live.getsockname()


def test_a_failure_is_waited_for_while_another_attempt_runs(
    live: socket.socket, guard: Recording
) -> None:
    with (
        dead() as first,
        race([first, refusing(), at(port_of(live))], Deadline(LIMIT), guard, 0.001) as sock,
    ):
        assert sock.getpeername() == live.getsockname()


def test_an_address_that_answers_leaves_the_others_alone(
    live: socket.socket, guard: Recording
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        race([at(port_of(live)), at(port_of(other))], Deadline(LIMIT), guard, NEVER),
    ):
        assert len(guard.sockets) == 1


@pytest.mark.parametrize("stagger", [AT_ONCE, NEVER])
def test_one_limit_holds_for_all_of_them(stagger: float, guard: Recording) -> None:
    with dead() as one, dead() as two, pytest.raises(TimeoutError):
        race([one, two], Deadline(0.05), guard, stagger)
    assert {it.fileno() for it in guard.sockets} == {-1}


def test_every_address_refuses(guard: Recording) -> None:
    with pytest.raises(NobodyThere, match="refused") as caught:
        race([refusing(), NO_FAMILY, refusing()], Deadline(None), guard)
    assert (caught.value.here, caught.value.named) == (True, True)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_a_family_without_a_route_is_the_failure_where_there_is_no_other(guard: Recording) -> None:
    with pytest.raises(OSError, match=r"unreachable|not supported") as caught:
        race([NO_ROUTE, NO_FAMILY], Deadline(None), guard)
    assert caught.value.errno in {errno.ENETUNREACH, errno.EAFNOSUPPORT}
    assert not isinstance(caught.value, NobodyThere), "that may pass: there may be no network yet"


@pytest.mark.parametrize(
    ("host", "here"),
    [("no-such-host.invalid", False), ("a..b", False), ("nobody.localhost", True)],
)
def test_a_name_that_leads_nowhere(host: str, here: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if host != "a..b":  # which no resolver gets to see
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(NobodyThere) as caught:
        look_up(host, 80)
    assert (caught.value.here, caught.value.named) == (here, False)


def test_a_name_without_an_address(monkeypatch: pytest.MonkeyPatch, guard: Recording) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    with pytest.raises(NobodyThere, match="no address"):
        dial("empty.test", 80, 1.0, guard)


@pytest.mark.parametrize("order", [("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
@pytest.mark.parametrize("lives", ["::1", "127.0.0.1"])
def test_localhost_is_reached_whichever_family_its_server_listens_on(
    lives: str, order: tuple[str, str], monkeypatch: pytest.MonkeyPatch, guard: Recording
) -> None:
    family = V6 if ":" in lives else V4
    try:
        listener = socket.create_server((lives, 0), family=family)
    except OSError:
        pytest.skip("this machine has no IPv6")
    Names(monkeypatch).name("localhost", *order)
    with listener, closing(dial("localhost", port_of(listener), None, guard).sock) as sock:
        assert sock.getpeername()[0] == lives


def test_a_socket_says_who_asks_at_once_and_finds_out_a_peer_that_vanished(
    live: socket.socket, guard: Recording
) -> None:
    there = dial("127.0.0.1", port_of(live), 7.0, guard)
    with closing(there.sock) as sock:
        assert sock.gettimeout() == 7.0
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert min(there.dns, there.tcp) > 0


def test_a_shutdown_ends_the_race(guard: Recording) -> None:
    ended: list[BaseException] = []

    def run(addresses: list[Address]) -> None:
        try:
            race(addresses, Deadline(LIMIT), guard, AT_ONCE)
        except OSError as error:
            ended.append(error)

    with dead() as one, dead() as two:
        thread = threading.Thread(target=run, args=([one, two],))
        thread.start()
        assert guard.begun.wait(5)
        guard.shutdown()
        thread.join(5)
        assert not thread.is_alive()
    assert len(ended) == 1
    assert {it.fileno() for it in guard.sockets} == {-1}


def test_after_a_shutdown_nobody_is_dialled(live: socket.socket, guard: Recording) -> None:
    guard.shutdown()
    with pytest.raises(OSError, match="cancelled"):
        race([at(port_of(live))] * 2, Deadline(None), guard)
    live.settimeout(0)
    with pytest.raises(BlockingIOError):
        live.accept()


def test_a_guard_that_is_closed_while_it_takes_a_socket_keeps_none(
    monkeypatch: pytest.MonkeyPatch, live: socket.socket
) -> None:
    guard, made = Guard(), []

    def dup(number: int) -> int:
        guard.shutdown()
        guard.close()
        made.append(os.dup(number))
        return made[-1]

    monkeypatch.setattr("chatstream.transport.dial.socket.dup", dup)
    with pytest.raises(OSError, match="cancelled"):
        guard.watch(live)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(made[0])


def test_a_vet_sees_all_addresses_before_any_is_dialled(
    monkeypatch: pytest.MonkeyPatch, live: socket.socket
) -> None:
    Names(monkeypatch).name("two.test", "127.0.0.1", "::1")
    seen: list[tuple[str, list[object]]] = []

    def vet(host: str, addresses: Sequence[Address]) -> None:
        seen.append((host, [it.place[0] for it in addresses]))
        raise PermissionError("not there")

    guard = Recording()
    guard.vet = vet
    with pytest.raises(PermissionError, match="not there"):
        dial("two.test", port_of(live), 1.0, guard)
    assert seen == [("two.test", ["127.0.0.1", "::1"])]
    assert guard.sockets == []
