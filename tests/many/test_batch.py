"""Claimed: each request has one result, in its place, and nothing is asked that need not be."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.place import START, resolved_at
from chatstream.engine.pool import Pool
from chatstream.errors import Cancelled
from chatstream.flow import close
from chatstream.many import batch as module
from chatstream.many.asking import Asker
from chatstream.many.batch import MOST_UNREACHED, Batch
from chatstream.many.files import Begun, Failure, Output, Result
from chatstream.many.gate import Gates
from chatstream.many.inputs import Line
from chatstream.many.requests import Request as Asked
from chatstream.many.requests import requests_of
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals
from tests.support.answers import ending, frames, whole
from tests.support.batches import Answering, answer_to
from tests.support.loopback import SSE, Reply, Request, Script

MANY = 60

Make = Callable[..., Batch]


def prompts(count: int = MANY) -> list[str]:
    return [f"prompt {number}" for number in range(count)]


def requests(asked: Sequence[str]) -> Iterator[Asked | None]:
    return requests_of(Line(number, prompt=it) for number, it in enumerate(asked, 1))


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes batches that ask a server; their connections are closed at the end."""
    monkeypatch.setenv("CHATSTREAM_MODEL", "m")
    with ExitStack() as stack:

        def made(server: Script, token: CancelToken | None = None, **options: Any) -> Batch:
            provider = options.pop("provider", "openai")
            flags: dict[str, Any] = {"provider": provider, "base_url": f"{server.url}/v1"}
            flags |= {"api_key": "k", "retries": options.pop("retries", 0)}
            flags["journal"] = options.get("keeps", True)
            gates = options.pop("gates", None) or Gates(pause=0.01)
            pool = stack.enter_context(closing(Pool(gates)))
            ask = Asker(resolved_at(START, flags), pool)
            return Batch(ask, gates, token or CancelToken(), **{"most": 8, **options})

        yield made


def results(batch: Batch, asked: Sequence[str]) -> list[Result]:
    return [it for it in batch.results(requests(asked)) if it is not None]


def test_results_come_in_the_order_of_the_requests(make: Make) -> None:
    with Answering() as server:
        batch = make(server)
        found = results(batch, prompts())
        assert set(server.asked.values()) == {1}
    assert [it.index for it in found] == list(range(MANY))
    assert [it.content for it in found] == [answer_to(it) for it in prompts()]
    assert {(it.finish_reason, it.attempts) for it in found} == {("stop", 1)}
    assert all(it.usage and it.usage.output_tokens == 5 and it.ttft is not None for it in found)
    assert (batch.tally.answered, batch.tally.failed, batch.tally.tokens) == (MANY, 0, 5 * MANY)
    assert batch.stopped is None


def test_one_that_is_slow_holds_up_the_order_but_not_the_work(make: Make) -> None:
    release = threading.Event()
    slow = whole("openai", hold={"before_head": release})
    asked = prompts()
    with Answering(others={asked[1]: [slow]}) as server:
        batch = make(server)
        found: list[Result] = []
        for it in batch.results(requests(asked)):
            if it is not None:
                found.append(it)
            if len(server.asked) == MANY and not release.is_set():
                assert [it.index for it in found] == [0]
                release.set()
    assert [it.index for it in found] == list(range(MANY))


@pytest.mark.parametrize("journal", [True, False])
def test_answers_that_wait_are_held_or_read_from_their_journals(
    make: Make, monkeypatch: pytest.MonkeyPatch, journal: bool
) -> None:
    monkeypatch.setattr(module, "HELD_BYTES", 100)
    release = threading.Event()
    slow = whole("openai", hold={"before_head": release})
    asked = prompts()
    with Answering(others={asked[0]: [slow]}) as server:
        batch = make(server, keeps=journal)
        found: list[Result] = []
        for it in batch.results(requests(asked)):
            if it is not None:
                found.append(it)
            if batch.tally.answered == MANY - 1:
                release.set()
    assert [it.content for it in found[1:]] == [answer_to(it) for it in asked[1:]]
    assert bool(list(journals(runs_folder()))) == journal


def test_answers_whose_journals_cannot_be_written_are_held(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELD_BYTES", 0)
    runs_folder().parent.mkdir(parents=True)
    runs_folder().write_text("in the way")
    release = threading.Event()
    slow = whole("openai", hold={"before_head": release})
    asked = prompts(9)
    with Answering(others={asked[0]: [slow]}) as server:
        batch = make(server)
        found: list[Result] = []
        for it in batch.results(requests(asked)):
            if it is not None:
                found.append(it)
            if batch.tally.answered == len(asked) - 1:
                release.set()
    assert [it.content for it in found[1:]] == [answer_to(it) for it in asked[1:]]
    assert batch.unsaved is not None
    assert batch.unsaved.startswith("the journal cannot be written: ")
    assert not any(it.warnings for it in found)


def test_what_else_happened_to_an_answer_is_in_its_result(make: Make) -> None:
    odd = Reply([*frames("openai", ["two"]), b"data: {\n\n", *ending("openai")], headers=SSE)
    with Answering(others={"two": [odd]}) as server:
        one, two = results(make(server), ["one", "two"])
    assert one.warnings == []
    assert two.content == "two"
    assert len(two.warnings) == 1
    assert "skipped" in two.warnings[0]


def test_out_of_order_nothing_waits(make: Make) -> None:
    release = threading.Event()
    asked = prompts()
    slow = whole("openai", hold={"before_head": release})
    with Answering(others={asked[1]: [slow]}) as server:
        found = []
        for it in make(server, in_order=False).results(requests(asked)):
            if it is not None:
                found.append(it.index)
            if len(found) == MANY - 1:
                release.set()
    assert found[-1] == 1
    assert sorted(found) == list(range(MANY))


def test_a_failure_is_a_result_and_costs_nothing_else(make: Make) -> None:
    asked = prompts(10)
    bad = Reply.json({"error": {"message": "too odd"}}, 400)
    with Answering(others={asked[3]: [bad]}) as server:
        batch = make(server)
        lines = [Line(n, prompt=it) for n, it in enumerate(asked, 1)]
        lines[5] = Line(6, json=b"nonsense")
        found = [it for it in batch.results(requests_of(lines)) if it is not None]
        assert asked[5] not in server.asked
    assert [it.index for it in found] == list(range(10))
    failures = {it.index: it.error for it in found if it.error is not None}
    assert failures.keys() == {3, 5}
    assert failures[3] == Failure("bad_request", "too odd", 400)
    assert failures[5].message.startswith("line 6: it is not JSON")
    assert (batch.tally.answered, batch.tally.failed) == (8, 2)


@pytest.mark.parametrize("good", [0, 1])
def test_lines_that_cannot_be_asked_have_their_results_also_behind_the_last_answer(
    make: Make, good: int
) -> None:
    lines = [Line(1, prompt="a")][:good] + [Line(n, json=b"nonsense") for n in (2, 3)]
    with Answering() as server:
        batch = make(server, most=1)
        found = [it for it in batch.results(requests_of(lines)) if it is not None]
    assert [it.error is None for it in found] == [True] * good + [False, False]
    assert (batch.tally.answered, batch.tally.failed) == (good, 2)


@pytest.mark.parametrize(
    ("status", "error", "headers", "code"),
    [
        (401, {"message": "wrong key"}, {}, "auth"),
        (429, {"code": "insufficient_quota"}, {}, "quota"),
        (429, {"message": "later"}, {"Retry-After": "86400"}, "rate_limited"),
        (404, {"code": "model_not_found"}, {}, "model_not_found"),
    ],
)
def test_what_all_share_stops_the_batch_after_one_request(
    make: Make, status: int, error: dict[str, str], headers: dict[str, str], code: str
) -> None:
    with Script(Reply.json({"error": error}, status, headers)) as server:
        batch = make(server, retries=3)
        assert results(batch, prompts()) == []
        assert [it.method for it in server.requests].count("POST") == 1
    assert batch.stopped is not None
    assert batch.stopped.code == code
    assert batch.tally.failed == 0


def test_a_quota_that_ends_in_the_middle_keeps_what_there_is(make: Make) -> None:
    asked = prompts()
    gone = Reply.json({"error": {"message": "x", "code": "insufficient_quota"}}, 429)
    with Answering(others={asked[30]: [gone]}) as server:
        batch = make(server)
        found = results(batch, asked)
        assert len(server.asked) < MANY
    assert batch.stopped is not None
    assert len(found) == batch.tally.answered >= 23
    assert 30 not in [it.index for it in found]


def test_a_server_that_is_not_there_stops_the_batch(make: Make) -> None:
    with Script(whole("openai")) as server:
        pass
    batch = make(server)
    assert results(batch, prompts()) == []
    assert batch.stopped is not None
    assert batch.stopped.code == "connect"


def test_a_limit_that_all_wait_for_loses_no_request(make: Make) -> None:
    """No retry is allowed here, and every prompt is refused once."""
    asked = prompts()
    limited = Reply.json({"error": {"message": "slowly"}}, 429, {"retry-after-ms": "5"})
    with Answering(others={it: [limited] for it in asked}) as server:
        batch = make(server)
        found = results(batch, asked)
    assert [it.content for it in found] == [answer_to(it) for it in asked]
    assert {it.attempts for it in found} == {1}


class Limiting(Answering):
    """Refuses one of the first `most` prompts once all of them are asked, and asks to wait 2 s.

    The others are answered once `release` is set. `asked_at` is when every request came.
    """

    def __init__(self, asked: Sequence[str], most: int) -> None:
        self.release = threading.Event()
        self._all, self._most = threading.Event(), most
        limited = {"error": {"message": "slowly"}}
        refused = Reply.json(limited, 429, {"Retry-After": "2"})
        others = {it: [whole("openai", hold={1: self.release})] for it in asked[:most]}
        others[asked[1]] = [replace(refused, hold={"before_head": self._all})]
        super().__init__(others=others)
        self.asked_at: list[float] = []

    def take(self, request: Request) -> Reply:
        self.asked_at.append(monotonic())
        if len(self.asked_at) == self._most:
            self._all.set()
        return super().take(request)


def test_after_a_429_nobody_asks_before_the_time_that_the_server_names(make: Make) -> None:
    asked, gates, most = prompts(), Gates(), 32
    with Limiting(asked, most) as server:
        batch = make(server, gates=gates, most=most)
        found: list[Result] = []
        for it in batch.results(requests(asked)):
            found += [it] if it is not None else []
            if gates.wait():  # now 31 of them want to ask their next
                server.release.set()
        at = server.asked_at
    assert len(at) == MANY + 1
    assert at[most] - at[most - 1] >= 2
    assert len(found) == MANY
    assert {it.attempts for it in found} == {1}


def test_a_parameter_that_the_server_refuses_costs_one_request_of_all(
    make: Make,
) -> None:
    asked, message = prompts(), "Unrecognized request argument: stream_options"

    class Old(Answering):
        def take(self, request: Request) -> Reply:
            reply = super().take(request)
            if "stream_options" in request.json:
                return Reply.json({"error": {"message": message}}, 400)
            return reply

    with Old() as server:
        found = results(make(server, most=4), asked)
        assert server.asked.total() == MANY + 1
    assert [it.content for it in found] == [answer_to(it) for it in asked]


def test_an_image_that_cannot_be_sent_fails_only_its_line(make: Make) -> None:
    image = {"type": "image", "url": "data:image/webp;base64,UklGRgAAAABXRUJQVlA4IA=="}
    first = {"messages": [{"role": "user", "parts": [image]}]}
    lines = [Line(1, json=json.dumps(first).encode()), Line(2, prompt="two")]
    with Answering() as server:
        batch = make(server, provider="llamacpp", most=1)
        found = [it for it in batch.results(requests_of(lines)) if it is not None]
    assert [it.content for it in found] == [None, answer_to("two")]
    assert found[0].error is not None
    assert found[0].error.message == "llama.cpp cannot read WebP"


def test_a_server_of_another_protocol_is_not_asked_for_ever(make: Make) -> None:
    with Script(whole("ollama")) as server:
        batch = make(server, most=1)
        found = results(batch, prompts())
        assert len(server.requests) <= MOST_UNREACHED + 1  # one may be under way
    assert [it.index for it in found] == list(range(MOST_UNREACHED - 1))
    assert batch.stopped is not None
    assert batch.stopped.code == "protocol"


def test_fail_fast_asks_nothing_more(make: Make) -> None:
    asked = prompts()
    bad = Reply.json({"error": {"message": "too odd"}}, 400)
    with Answering(others={asked[1]: [bad]}) as server:
        batch = make(server, fail_fast=True, most=1)
        found = results(batch, asked)
        assert set(server.asked) == set(asked[:2])
    assert [it.index for it in found] == [0, 1]
    assert batch.is_ending
    assert batch.stopped is None


def test_fail_fast_asks_nothing_after_a_line_that_cannot_be_asked(make: Make) -> None:
    lines = [Line(1, wrong="it is torn"), *(Line(n, prompt=f"prompt {n}") for n in range(2, 20))]
    with Answering() as server:
        found = list(filter(None, make(server, fail_fast=True).results(requests_of(lines))))
        assert not server.asked
    assert [it.index for it in found] == [0]


def test_cancelling_ends_it_and_makes_no_results_of_what_was_under_way(make: Make) -> None:
    token, hold = CancelToken(), threading.Event()
    asked = prompts()
    slow = whole("openai", hold={3: hold})
    with Answering(others={it: [slow] for it in asked[10:]}) as server:
        batch = make(server, token)
        found: list[Result] = []
        for it in batch.results(requests(asked)):
            if it is not None:
                found.append(it)
            if batch.under_way == (8, 8) and len(found) == 10:
                token.cancel(Cancelled("enough"))
        assert server.wait_closed()
    assert [it.index for it in found] == list(range(10))


def test_closing_ends_it(make: Make) -> None:
    slow = whole("openai", hold={1: threading.Event()})
    with Script(slow) as server:
        found = make(server).results(requests(prompts()))
        for _ in found:
            if server.requests:
                break
        close(found)
        assert server.wait_closed()


def test_an_answer_that_was_not_written_is_taken_from_its_journal(
    make: Make, tmp_path: Path
) -> None:
    asked = prompts(6)
    output = Output(tmp_path / "out.jsonl")
    with Answering() as server:
        first = results(make(server, begun=Begun(output)), asked[:4])
        server.asked.clear()
        (tmp_path / "out.jsonl").touch()
        output.is_new = False
        batch = make(server, begun=Begun(output))
        again = results(batch, asked)
        assert set(server.asked) == set(asked[4:])
    assert again[:4] == first
    assert batch.tally.found == 4
    output.close()


def test_a_run_that_was_not_whole_is_asked_again(make: Make, tmp_path: Path) -> None:
    asked = prompts(2)
    output = Output(tmp_path / "out.jsonl")
    bad = Reply.json({"error": {"message": "too odd"}}, 400)
    with Answering(others={asked[0]: [bad]}) as server:
        results(make(server, begun=Begun(output)), asked)
        for path in journals(runs_folder()):
            if b'"error"' not in path.read_bytes():
                path.unlink()  # it has expired
        output.is_new = False
        found = results(make(server, begun=Begun(output)), asked)
        assert set(server.asked.values()) == {2}
    assert [it.content for it in found] == [answer_to(it) for it in asked]
    output.close()


def test_a_server_that_is_gone_in_the_middle_stops_the_batch(make: Make) -> None:
    found: list[Result] = []
    with ExitStack() as stack:
        batch = make(stack.enter_context(Answering()), most=1)
        for it in batch.results(requests(prompts())):
            found += [it] if it is not None else []
            if len(found) == 5:
                stack.close()
    assert batch.stopped is not None
    assert batch.stopped.code == "connect"
    failed = [it for it in found if it.error is not None]
    assert len(failed) <= MOST_UNREACHED
    assert len(found) - len(failed) == batch.tally.answered >= 5


def test_a_mistake_of_one_line_is_its_own(make: Make) -> None:
    lines = [Line(1, prompt="a"), Line(2, json=b'{"prompt": "b", "model": "m@nowhere"}')]
    with Answering() as server:
        batch = make(server)
        found = [it for it in batch.results(requests_of(lines)) if it is not None]
    assert [it.error.code if it.error else None for it in found] == [None, "config"]
    assert batch.stopped is None
