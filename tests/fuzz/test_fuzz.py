"""A sample of the fuzz; `python -m tests.fuzz` is the whole of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz import oracle
from tests.fuzz.mutate import MUTATORS
from tests.fuzz.reader import Found, read
from tests.fuzz.run import ask, fuzz, main, make, report
from tests.support.recordings import Recording, recordings, requires_shared
from tests.support.sampling import by_size

pytestmark = requires_shared

SEED = 20
NUMBER = by_size(600, 1500)
WHOLE = [r for r in recordings("recorded", "constructed", "nonstream") if r.status < 400]


def test_no_damage_is_passed_over_in_silence() -> None:
    tally = fuzz(SEED, range(NUMBER))
    if tally.failed:
        pytest.fail("\n".join(report(tally, SEED, 20)))
    assert tally.harmless > NUMBER / 5
    assert set(tally.ended) == set(MUTATORS)


@pytest.mark.parametrize("case", WHOLE, ids=str)
def test_an_undamaged_recording_is_told_as_it_is(case: Recording) -> None:
    answer, found = ask(case, [case.body]), read(case.provider, case.body)
    assert not list(oracle.faults(found, answer, []))
    assert {code for code, _ in oracle.warnings(answer)} <= set(worth_a_warning(case, found))


def worth_a_warning(case: Recording, found: Found) -> Iterator[str]:
    """The codes of what is truly odd about a recording."""
    if case.expected.get("refusal"):
        yield "refusal"
    if found.failure:
        yield "late_error"
    if case.expected.get("finish_reason") in {"custom", "pause_turn", "compaction"}:
        yield "finish_reason"
    if not found.text().strip() and not case.expected.get("tool_calls"):
        yield "no_answer"


def test_a_mutant_is_known_by_its_number() -> None:
    base, mutant, reads = make(SEED, 7)
    assert (base, mutant, reads) == make(SEED, 7)
    assert b"".join(reads) == mutant.body


def test_the_program_prints_a_table_and_one_mutant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-n", "20", "--seed", "3", "--kind", "respell"]) == 0
    assert "harmless changes" in capsys.readouterr().out
    assert main(["--seed", "3", "--kind", "respell", "--only", "4"]) == 0
    assert "harmless: True" in capsys.readouterr().out
