"""Kernel receive times on the monotonic clock, whatever the wall clock does (T8)."""

from __future__ import annotations

import random
import socket
import struct
import sys
import time

import pytest

from chatstream.transport.stamps import SPACE, Placing, ask, begin, stamp_in

pytestmark = pytest.mark.serial

EPOCH = 1_795_000_000 * 10**9
SECOND = 10**9


class Clocks:
    """A monotonic and a wall clock in ns; the wall clock can be stepped."""

    def __init__(self) -> None:
        self.mono = 50 * SECOND
        self.ahead = EPOCH

    def monotonic(self) -> int:
        return self.mono

    def wall(self) -> int:
        return self.mono + self.ahead


def test_a_stamp_is_placed_by_its_age() -> None:
    clocks = Clocks()
    placing = Placing(clocks.monotonic, clocks.wall)
    clocks.mono += SECOND
    stamp = clocks.wall() - 3_000_000
    assert placing.place(stamp, 50.0, 51.0) == pytest.approx(50.997, abs=1e-9)


@pytest.mark.parametrize("step", [2.0, -2.0, 0.05, -0.05, 3600.0])
@pytest.mark.parametrize("between", ["stamp and read", "two reads"])
def test_a_step_of_the_wall_clock_moves_no_sample(step: float, between: str) -> None:
    chance = random.Random(7)
    clocks = Clocks()
    placing = Placing(clocks.monotonic, clocks.wall)
    for number in range(200):
        since = clocks.mono
        clocks.mono += chance.randrange(1000, 20_000_000)
        arrived, stamp = clocks.mono, clocks.wall()
        stepping = number % 40 == 20
        if stepping and between == "stamp and read":
            clocks.ahead += int(step * SECOND)
        clocks.mono += chance.randrange(20_000, 200_000)
        at = placing.place(stamp, since / 1e9, clocks.mono / 1e9)
        assert at == pytest.approx(arrived / 1e9, abs=1e-6)
        if stepping and between == "two reads":
            clocks.ahead += int(step * SECOND)


def test_a_reading_of_the_clocks_that_was_interrupted_moves_no_sample() -> None:
    clocks = Clocks()
    interrupted = 0

    def wall() -> int:
        clocks.mono += interrupted
        return clocks.wall()

    placing = Placing(clocks.monotonic, wall)
    for number in range(100):
        since = clocks.mono
        clocks.mono += 25_000_000
        arrived, stamp = clocks.mono, clocks.wall()
        clocks.mono += 30_000_000
        read = clocks.mono
        interrupted = 20_000_000 if number % 10 == 5 else 0
        at = placing.place(stamp, since / 1e9, read / 1e9)
        assert at == pytest.approx(arrived / 1e9, abs=1e-6)


def test_a_packet_may_be_stamped_long_before_its_socket_has_it() -> None:
    clocks = Clocks()
    placing = Placing(clocks.monotonic, clocks.wall)
    stamp = clocks.wall() - 30_000_000  # the machine stopped for 25 ms after that
    assert placing.place(stamp, 49.995, 50.0) == pytest.approx(49.97, abs=1e-9)


def test_soon_after_a_step_such_a_stamp_is_not_believed() -> None:
    clocks = Clocks()
    placing = Placing(clocks.monotonic, clocks.wall)
    clocks.ahead += 2 * SECOND
    assert placing.place(clocks.wall() - 30_000_000, 49.995, 50.0) is None
    clocks.mono += 2 * SECOND
    at = placing.place(clocks.wall() - 30_000_000, 51.995, 52.0)
    assert at == pytest.approx(51.97, abs=1e-9)


def test_a_stamp_that_fits_nowhere_is_not_believed() -> None:
    clocks = Clocks()
    placing = Placing(clocks.monotonic, clocks.wall)
    assert placing.place(clocks.wall() - 5 * SECOND, 49.0, 50.0) is None
    assert placing.place(clocks.wall() + 5 * SECOND, 49.0, 50.0) is None


def test_a_stamp_is_never_after_its_read() -> None:
    clocks = Clocks()
    placing = Placing(clocks.monotonic, clocks.wall)
    assert placing.place(clocks.wall() + 50_000, 49.0, 50.0) == 50.0


def test_ancillary_data_without_a_stamp_has_none() -> None:
    empty = struct.pack("6l", 0, 0, 0, 0, 0, 0)
    assert stamp_in([]) is None
    assert stamp_in([(socket.SOL_SOCKET, 37, empty)]) is None
    assert (
        stamp_in([(socket.SOL_SOCKET, 1, b"\1" * 48), (socket.IPPROTO_TCP, 37, b"\1" * 48)]) is None
    )
    assert stamp_in([(socket.SOL_SOCKET, 37, b"\1")]) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps what TCP receives")
def test_the_kernel_stamps_what_tcp_receives() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    stamping = begin()
    assert stamping is not None
    with stamping, listener, socket.create_connection(listener.getsockname()) as client:
        assert ask(client)
        server, _ = listener.accept()
        with server:
            client.settimeout(5)
            before = time.time_ns()
            server.send(b"x")
            data, ancillary, _, _ = client.recvmsg(10, SPACE)
            assert data == b"x"
            stamp = stamp_in(ancillary)
            assert stamp is not None
            assert before - 10**6 <= stamp <= time.time_ns() + 10**6


def test_where_there_are_no_stamps_nothing_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert begin() is None
