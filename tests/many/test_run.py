"""Claimed: runs are side by side under a limit, each an ordinary one; tasks are taken lazily."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from chatstream.cancel import CancelToken
from chatstream.clock import monotonic
from chatstream.engine.client import Client
from chatstream.engine.place import START
from chatstream.engine.pool import Pool
from chatstream.engine.run import Run
from chatstream.errors import Cancelled, UsageError
from chatstream.events import Content, Done, Error, Event, Terminal
from chatstream.flow import Arrival, close
from chatstream.many.gate import Gates
from chatstream.many.run import Task, running
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals
from tests.support.answers import TEXT, whole
from tests.support.loopback import Point, Reply, Request, Script

MANY = 40
GRACE = 0.2  # a request that was on its way already may come after the refusal


def holding(point: Point) -> Reply:
    """A whole answer that never gets further than this."""
    return whole("openai", hold={point: threading.Event()})


def pull(arrivals: Iterator[Arrival], until: Callable[[], bool]) -> None:
    """Read until something holds; heartbeats come all the time."""
    for _ in arrivals:
        if until():
            return


def asking(client: Client, server: Script, label: str) -> Task:
    options = {"provider": "openai", "base_url": server.url, "model": "m", "api_key": "k"}

    def begin(token: CancelToken) -> Run:
        return client.run_at(START, label, {**options, "retries": 0}, token, None)

    return Task(label, begin)


def told(arrivals: Iterator[Arrival]) -> dict[str, list[Event]]:
    """The events of each label, which every arrival and every event has."""
    found: dict[str, list[Event]] = {}
    for arrival in arrivals:
        assert arrival.stream is not None
        assert {event.stream for event in arrival.events} <= {arrival.stream}
        found.setdefault(arrival.stream, []).extend(arrival.events)
    return found


def test_every_task_has_its_answer_and_its_journal() -> None:
    names = [f"task {number}" for number in range(MANY)]
    with Script(whole("openai")) as server, Client() as client:
        tasks = (asking(client, server, name) for name in names)
        found = told(running(tasks, 3, CancelToken()))
        assert len(server.requests) == MANY
    assert sorted(found) == sorted(names)
    for events in found.values():
        assert [type(it) for it in events].count(Done) == 1
        assert isinstance(events[-1], Done)
        assert "".join(it.delta for it in events if isinstance(it, Content)) == TEXT
    assert len(list(journals(runs_folder()))) == MANY


def test_no_more_than_the_limit_are_under_way_and_tasks_are_taken_lazily() -> None:
    taken: list[str] = []
    release = threading.Event()

    def tasks() -> Iterator[Task]:
        for number in range(MANY):
            taken.append(str(number))
            yield asking(client, server, str(number))

    with Script(whole("openai", hold={"before_head": release})) as server, Client() as client:
        arrivals = running(tasks(), 4, CancelToken())
        pull(arrivals, lambda: len(server.requests) == 4)
        assert len(taken) == 4
        release.set()
        told(arrivals)
    assert len(taken) == MANY


def test_one_that_fails_or_cannot_begin_ends_nothing_else() -> None:
    def cannot(_: CancelToken) -> Run:
        raise UsageError("no")

    with Script(whole("openai"), Reply(b"no", 400), whole("openai")) as server, Client() as client:
        tasks = [asking(client, server, name) for name in "abc"]
        found = told(running([*tasks, Task("d", cannot)], 1, CancelToken()))
    ends = [events[-1] for events in found.values()]
    codes = [it.code if isinstance(it, Error) else None for it in ends]
    assert dict(zip(found, codes, strict=True)) == {
        "a": None,
        "b": "bad_request",
        "c": None,
        "d": "usage",
    }


def test_cancelling_ends_what_is_under_way_and_takes_nothing_more() -> None:
    token = CancelToken()
    with Script(holding("before_head")) as server, Client() as client:
        tasks = (asking(client, server, str(number)) for number in range(MANY))
        arrivals = running(tasks, 3, token)
        pull(arrivals, lambda: len(server.requests) == 3)
        token.cancel(Cancelled("enough"))
        found = told(arrivals)
        assert len(server.requests) == 3
    ends = [events[-1] for events in found.values()]
    assert [it.code for it in ends if isinstance(it, Error)] == ["cancelled"] * 3


def test_closing_stops_everything() -> None:
    with Script(holding(1)) as server, Client() as client:
        tasks = (asking(client, server, str(number)) for number in range(MANY))
        arrivals = running(tasks, 3, CancelToken())
        pull(arrivals, lambda: len(server.requests) == 3)
        close(arrivals)
        assert server.wait_closed()
        assert len(server.requests) == 3


def test_tasks_that_raise_let_what_is_under_way_finish() -> None:
    def tasks() -> Iterator[Task]:
        yield asking(client, server, "a")
        raise UsageError("line 2 cannot be read")

    found: list[Arrival] = []
    server, client = Script(whole("openai")), Client()
    with server, client, pytest.raises(UsageError, match="line 2"):
        found.extend(running(tasks(), 2, CancelToken()))
    assert [type(it.events[-1]) for it in found if it.events][-1] is Done


def test_what_is_passed_on_of_a_run_is_decided_on_its_lane() -> None:
    threads: set[str] = set()

    def ends(task: Task, run: Run) -> Iterator[Arrival]:
        for arrival in run.arrivals:
            threads.add(threading.current_thread().name)
            if arrival.events and isinstance(arrival.events[-1], Terminal):
                yield Arrival(arrival.events[-1:])

    with Script(whole("openai")) as server, Client() as client:
        tasks = (asking(client, server, str(number)) for number in range(8))
        found = told(running(tasks, 2, CancelToken(), ends))
    assert [len(events) for events in found.values()] == [1] * 8
    assert threads <= {"lane 1", "lane 2"}


def test_a_wrong_key_costs_one_request() -> None:
    gates = Gates()
    with Script(Reply.json({"error": {"message": "wrong key"}}, 401)) as server:
        with Client(Pool(gates)) as client:
            tasks = (asking(client, server, str(number)) for number in range(MANY))
            found = told(running(tasks, 8, CancelToken()))
        assert len(server.requests) == 1
    assert gates.refusal is not None
    codes = Counter(it[-1].code for it in found.values() if isinstance(it[-1], Error))
    assert codes == {"auth": MANY}


class Timed(Script):
    """Notes when each request came."""

    def __init__(self, *replies: Reply) -> None:
        self.times: list[float] = []
        super().__init__(*replies)

    def take(self, request: Request) -> Reply:
        self.times.append(monotonic())
        return super().take(request)


def test_no_worker_asks_while_the_server_wants_all_to_wait() -> None:
    limited = Reply.json({"error": {"message": "slowly"}}, 429, {"Retry-After": "1"})
    with Timed(*[whole("openai")] * 6, limited, whole("openai")) as server:
        with Client(Pool(Gates())) as client:
            tasks = (asking(client, server, str(number)) for number in range(MANY))
            found = told(running(tasks, 4, CancelToken()))
        gaps = [late - early for early, late in zip(server.times, server.times[1:], strict=False)]
    assert all(isinstance(events[-1], Done) for events in found.values())
    assert len(server.times) == MANY + 1
    assert max(gaps) >= 1.0 - GRACE
