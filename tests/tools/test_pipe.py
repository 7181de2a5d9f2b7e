"""Claimed: what is printed arrives whole and in order, it is bounded, and nobody waits for ever."""

from __future__ import annotations

import itertools
import threading

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, ChatstreamError
from chatstream.tools.pipe import PIECE_CHARACTERS, PIECE_OVERHEAD, UNREAD, Bell, Bells, Pipe
from tests.support.handmade import PATIENCE_SECONDS


def piped() -> tuple[Pipe, Bells, CancelToken]:
    token, bells = CancelToken(), Bells()
    return Pipe(token, bells), bells, token


def test_a_bell_rings_until_somebody_has_waited() -> None:
    bell = Bell()
    assert not bell.wait(0.0)
    bell.ring()
    bell.ring()
    assert bell.wait(0.0)
    assert not bell.wait(0.0)


def test_a_bell_is_rung_by_many_threads_at_once() -> None:
    bell = Bell()

    def ring() -> None:
        for _ in range(2000):
            bell.ring()

    threads = [threading.Thread(target=ring) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        bell.wait(0.001)
    bell.wait(0.0)
    bell.ring()
    assert bell.wait(0.0)


def test_all_that_waits_is_taken_at_once() -> None:
    pipe, bells, _ = piped()
    assert pipe.take() == ""
    pipe.put("one ")
    pipe.put("")
    pipe.put("two")
    assert bells.news.wait(0.0)
    assert not bells.urgent.wait(0.0)
    assert pipe.take() == "one two"
    assert pipe.take() == ""


def test_what_is_half_full_cannot_wait() -> None:
    pipe, bells, _ = piped()
    pipe.put("x" * (UNREAD // 2))
    assert bells.urgent.wait(0.0)


def test_who_prints_waits_while_the_pipe_is_full_and_nothing_is_lost() -> None:
    pipe, bells, _ = piped()
    whole = "".join(map(str, range(400_000)))

    def write() -> None:
        pipe.put(whole)
        pipe.close()
        bells.news.ring()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    taken = []
    while not pipe.closed:
        assert bells.news.wait(PATIENCE_SECONDS)
        taken.append(pipe.take())
    writer.join()
    taken.append(pipe.take())
    assert "".join(taken) == whole
    assert max(map(len, taken)) <= UNREAD
    assert len(whole) > 4 * UNREAD


def test_many_threads_print_their_pieces_whole() -> None:
    pipe, bells, _ = piped()
    count = 3000

    def write(name: str) -> None:
        for _ in range(count):
            pipe.put(name * 50)

    writers = [threading.Thread(target=write, args=[name], daemon=True) for name in "abc"]
    for writer in writers:
        writer.start()
    taken = ""
    while len(taken) < 3 * 50 * count:
        assert bells.news.wait(PATIENCE_SECONDS)
        taken += pipe.take()
    for writer in writers:
        writer.join()
    assert {len(list(same)) % 50 for _, same in itertools.groupby(taken)} == {0}


@pytest.mark.parametrize("piece", ["x", "x" * 1000, "x" * (3 * PIECE_CHARACTERS)])
def test_at_most_so_much_waits_and_a_cancel_ends_the_wait(piece: str) -> None:
    pipe, bells, token = piped()
    reason, raised = Cancelled("stop"), list[BaseException]()

    def print_for_ever() -> None:
        try:
            while True:
                pipe.put(piece)
        except Cancelled as error:
            raised.append(error)

    writer = threading.Thread(target=print_for_ever, daemon=True)
    writer.start()
    assert bells.urgent.wait(PATIENCE_SECONDS)  # half full, and nobody takes
    token.cancel(reason)
    writer.join(PATIENCE_SECONDS)
    assert raised == [reason]
    assert UNREAD // 2 < pipe._put <= UNREAD
    assert len(pipe.take()) + PIECE_OVERHEAD <= UNREAD


def test_after_the_end_nothing_is_output() -> None:
    pipe, _, _ = piped()
    pipe.put("before")
    pipe.close()
    with pytest.raises(ChatstreamError, match="has ended"):
        pipe.put("after")
    assert pipe.take() == "before"


@pytest.mark.parametrize("no_text", [b"bytes", 1, None, ["a"]])
def test_only_text_is_output(no_text: object) -> None:
    pipe, _, _ = piped()
    with pytest.raises(TypeError, match="only a str can be output"):
        pipe.put(no_text)  # type: ignore[arg-type]
    assert pipe.take() == ""
