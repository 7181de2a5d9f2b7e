"""Claimed: a run with tools goes on where its loop was, from its journal alone, and only once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from chatstream import events as ev
from chatstream import grammar
from chatstream.cancel import CancelToken
from chatstream.engine import pipeline
from chatstream.engine.pool import Pool
from chatstream.engine.resume import continuation, settings_of, unfinished
from chatstream.engine.resume_tools import carried_on
from chatstream.engine.tooling import Given, Tooling, tooling_of
from chatstream.errors import JournalError, UsageError
from chatstream.messages import ToolDefinition
from chatstream.store.journal import is_running
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import Record, events_at, find, read
from chatstream.store.unfinished import last_unfinished
from chatstream.tools.loop import Limits
from tests.support.rounds import QUESTION, READS, ROUNDS, Counting, continued, whole_run
from tests.support.runs import failed, run_id, running, write_run
from tests.support.sampling import sampled
from tests.support.summing import Call, Summing, results_in, sum_of

TOOLS = [ToolDefinition(name, f"{name}.", {"type": "object"}) for name in ("add", "look")]
PLAN = [[Call(ask.name) for ask in asks] for asks in ROUNDS]
EVENTS = whole_run()
FIRST_ROUND = next(at for at, it in enumerate(EVENTS) if isinstance(it, ev.ToolComplete)) + 1


def killed(number: int, cut: int = FIRST_ROUND, **more: Any) -> Path:
    """A run with tools that was killed after so many events."""
    given: dict[str, Any] = {"tools": TOOLS, "killed": True, "asked": [QUESTION], **more}
    return write_run(state_folder(), run_id(number), pieces=whole_run()[1:cut], **given)


def on(number: int, *, whole: bool, continues: int) -> Path:
    """A run that continued another one, to its end or until it was killed itself."""
    pieces = continued(whole_run()[:FIRST_ROUND], Counting(reads=READS))[1:-1]
    return write_run(
        state_folder(),
        run_id(number),
        pieces=pieces if whole else pieces[:-3],
        killed=not whole,
        continues=run_id(continues),
        asked=[QUESTION],
        tools=TOOLS,
    )


def resumed(
    server: Summing, runner: Counting, run: str | None = None, **flags: Any
) -> list[ev.Event]:
    """The events of the run that continues this one, with these tools."""
    where = {"provider": "openai", "base_url": server.url, "model": "m", "api_key": "test-key"}
    record = unfinished(run)
    resolved, question = continuation(record, {**where, **flags})
    carried = carried_on(runner, record)
    tooling = Tooling(
        definitions=tuple(TOOLS),
        runner=carried.runner,
        limits=Limits(),
        begun=carried.begun,
        replayed=carried.replayed,
    )
    question = replace(question, tooling=tooling)
    pool = Pool()
    try:
        return list(pipeline.run(resolved, question, pool, CancelToken()))
    finally:
        pool.close()


def names(runs: Sequence[ev.Event]) -> list[str]:
    return [it.name for it in runs if isinstance(it, ev.ToolStart) and not it.replayed]


@pytest.mark.parametrize("cut", sampled(range(1, len(EVENTS)), 10, "cuts"))
def test_a_loop_that_was_killed_goes_on_from_its_journal(cut: int) -> None:
    killed(1, cut)
    runner = Counting(reads=READS)
    with Summing(PLAN) as server:
        events = resumed(server, runner)
        results = results_in(server.requests[-1].json["messages"])
    grammar.check(events)
    assert isinstance(events[-1], ev.Done)
    text = "".join(it.delta for it in events if isinstance(it, ev.Content))
    text = text.removeprefix("I look. ")
    last = [at for at, it in enumerate(EVENTS) if isinstance(it, ev.Metadata)][-1]
    begun = "".join(it.delta for it in EVENTS[last:cut] if isinstance(it, ev.Content))
    assert text == begun + sum_of(results)[len(begun) :]
    before = [it.name for it in EVENTS[:cut] if isinstance(it, ev.ToolStart)]
    assert sorted([*names(events), *(it for it in before if it == "add")]).count("add") == 2
    journal = list(events_at(find(runs_folder(), unfinished_run(events))))
    assert [type(it) for it in journal] == [type(it) for it in events]
    assert runner.closed


def unfinished_run(events: Sequence[ev.Event]) -> str:
    opening = events[0]
    assert isinstance(opening, ev.Metadata)
    assert opening.continues == run_id(1)
    return str(opening.run)


def test_what_happened_before_is_marked_and_what_is_new_is_not() -> None:
    killed(1)
    with Summing(PLAN) as server:
        events = resumed(server, Counting(reads=READS))
    marks = [it.replayed for it in events[1:]]
    assert marks == sorted(marks, reverse=True)
    assert sum(marks) > 5
    assert not any(isinstance(it, ev.Usage) for it in events if it.replayed)


def test_a_failure_behind_a_round_says_how_to_resume() -> None:
    killed(1)
    with Summing(PLAN) as server:
        server.play()
        runner = Counting(reads=READS)
        events = resumed(server, runner, base_url="http://127.0.0.1:9", retries=0)
    assert isinstance(events[-1], ev.Error)
    run = unfinished_run(events)
    assert events[-1].resume == f"chatstream resume {run}"
    assert last_unfinished(runs_folder()).stem == run
    with Summing(PLAN) as server:
        again = resumed_again(server, run)
    assert isinstance(again[-1], ev.Done)
    assert names(again) == ["add"]


def resumed_again(server: Summing, run: str) -> list[ev.Event]:
    return resumed(server, Counting(reads=READS), run)


# ---- once


def test_the_newest_run_that_continues_it_is_continued() -> None:
    killed(1)
    on(2, whole=False, continues=1)
    on(3, whole=False, continues=2)
    for run in (None, run_id(1), run_id(2), run_id(3)):
        assert unfinished(run).run == run_id(3)


def test_a_run_that_was_continued_to_its_end_is_not_continued_again() -> None:
    killed(1)
    on(2, whole=True, continues=1)
    with pytest.raises(UsageError) as raised:
        unfinished(run_id(1))
    assert raised.value.message == (
        f"run {run_id(1)} was continued by run {run_id(2)}, which is complete: "
        "there is nothing to continue"
    )


def test_a_run_that_is_being_continued_is_not_continued() -> None:
    killed(1)
    with running(state_folder(), run_id(2), continues=run_id(1), tools=TOOLS):
        with pytest.raises(UsageError, match="which has not ended yet"):
            unfinished(run_id(1))
        with pytest.raises(UsageError, match="there is no unfinished run"):
            unfinished(None)


def test_two_processes_do_not_continue_the_same_run() -> None:
    killed(1)
    record = unfinished(run_id(1))
    runner = Counting()
    first = carried_on(runner, record).runner
    with pytest.raises(UsageError, match="another process continues run"):
        carried_on(runner, record)
    assert unfinished_error() == f"run {run_id(1)} has not ended yet"
    first.close()
    assert runner.closed
    carried_on(runner, record).runner.close()
    assert not is_running(find(runs_folder(), run_id(1)))


def unfinished_error() -> str:
    with pytest.raises(UsageError) as raised:
        unfinished(run_id(1))
    return raised.value.message


def test_who_comes_late_finds_that_the_run_was_continued() -> None:
    killed(1)
    record = unfinished(run_id(1))
    on(2, whole=True, continues=1)
    with pytest.raises(UsageError, match="another process continues run"):
        carried_on(Counting(), record)
    assert not is_running(find(runs_folder(), run_id(1)))


def test_a_run_that_was_killed_while_it_wrote_its_beginning_does_not_count() -> None:
    """The kernel may have written any part of the first batch."""
    killed(1)
    path = on(2, whole=False, continues=1)
    whole = path.read_bytes()
    batch = whole[: whole.index(b',"crc":')]
    first_line = batch.index(b"\n") + 1
    ends = [at + 1 for at, it in enumerate(batch) if it == ord("\n")]
    for end in (*ends, *range(first_line, len(batch), max(1, len(batch) // 40))):
        path.write_bytes(whole[:end])
        assert unfinished(None).run == run_id(1), end
        assert unfinished(run_id(1)).run == run_id(1), end
        assert unfinished(run_id(2)).run == run_id(1), end
    for end in (0, 1, first_line // 2):
        path.write_bytes(whole[:end])
        assert unfinished(None).run == run_id(1), end
        assert unfinished(run_id(1)).run == run_id(1), end
    path.write_bytes(whole)
    assert unfinished(None).run == run_id(2)


def test_without_a_journal_nothing_is_continued() -> None:
    killed(1)
    with pytest.raises(UsageError, match="only continued with a journal"):
        continuation(unfinished(None), {"journal": False})


# ---- what is not continued, and what is kept


def test_calls_that_nobody_ran_here_are_not_continued() -> None:
    killed(1, tools=[])
    with pytest.raises(UsageError, match="contains tool calls"):
        unfinished(None)


def test_a_damaged_journal_is_not_continued() -> None:
    path = killed(1)
    path.write_bytes(path.read_bytes().replace(b'"many"', b'"mane"'))
    with pytest.raises(JournalError, match="damaged in line"):
        unfinished(run_id(1))


def test_a_loop_that_a_limit_ended_can_go_on() -> None:
    cut = next(at for at, it in enumerate(EVENTS) if isinstance(it, ev.Approval))
    killed(1, cut, killed=False, end=replace(failed("tool_limit"), recoverable=False))
    with Summing(PLAN) as server:
        events = resumed(server, Counting(reads=READS))
    assert isinstance(events[-1], ev.Done)
    assert names(events) == ["add", "look", "add"]


def test_the_settings_of_the_tools_are_those_that_it_began_with_and_more_can_be_named() -> None:
    killed(1)
    record = read(find(runs_folder(), run_id(1)))
    assert record.asked is not None
    kept = {"tools": ["read_file"], "root": ["/there"], "max_rounds": 3, "gone": 1}
    record = replace(record, asked=replace(record.asked, tool_settings=kept))
    settings = settings_of(record, {"provider": "demo"}).settings
    assert (settings.tools, settings.root, settings.max_rounds) == (["read_file"], ["/there"], 3)
    given = {"provider": "demo", "tools": ["grep", "read_file"], "max_rounds": 9}
    resolved, _ = continuation(record, given)
    assert resolved.settings.tools == ["read_file", "grep"]
    assert resolved.settings.max_rounds == 9


def began_with(*tools: str, **kept: Any) -> Record:
    """The record of a killed run with these built-in tools, whose journal kept these settings."""
    frozen = [ToolDefinition(it, f"{it}.", {"type": "object"}) for it in tools]
    killed(1, tools=frozen)
    record = read(find(runs_folder(), run_id(1)))
    assert record.asked is not None
    settings = {"tools": list(tools), **kept}
    return replace(record, asked=replace(record.asked, tool_settings=settings))


def test_what_was_forbidden_stays_so_whatever_is_forbidden_besides() -> None:
    record = began_with("grep", "list", deny=["grep"], ask=["list"])
    given = {"provider": "demo", "deny": ["list"], "ask": ["list", "grep"]}
    settings = continuation(record, given)[0].settings
    assert (settings.deny, settings.ask) == (["grep", "list"], ["list", "grep"])


def test_what_the_configuration_forbids_now_holds_for_what_is_resumed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('deny = ["list"]\n')
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(file))
    record = began_with("grep", "list", deny=["grep"])
    settings = continuation(record, {"provider": "demo"})[0].settings
    assert settings.deny == ["grep", "list"]


def test_a_rule_about_tools_of_other_runs_does_not_keep_a_run_from_being_resumed() -> None:
    record = began_with("grep", deny=["other"])
    resolved, question = continuation(record, {"provider": "demo"})
    tooling = tooling_of(resolved, Given(), question)
    assert tooling is not None
    tooling.close()
    resolved, question = continuation(record, {"provider": "demo", "deny": ["another"]})
    with pytest.raises(UsageError, match="--deny names 'another'"):
        tooling_of(resolved, Given(), question)
