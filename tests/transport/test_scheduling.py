"""Short turns: asked for, put back, and harmless where there are none."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from chatstream.transport.scheduling import take_short_turns

pytestmark = pytest.mark.serial

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has slices")


def test_where_there_are_none_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not take_short_turns()


@linux
def test_asking_changes_neither_policy_nor_niceness() -> None:
    seen: list[tuple[int, int]] = []

    def ask() -> None:
        take_short_turns()
        seen.append((os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)))
        take_short_turns(0)
        seen.append((os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)))

    before = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    thread = threading.Thread(target=ask)  # a slice belongs to a thread
    thread.start()
    thread.join()
    assert seen == [before, before]


@linux
def test_a_thread_with_another_policy_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: 3)  # SCHED_BATCH: a choice of somebody
    assert not take_short_turns()
