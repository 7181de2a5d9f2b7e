"""What tests.support.recordings reads from the shared folder is whole."""

from __future__ import annotations

from tests.support.recordings import recordings, requires_shared, sse_cases

pytestmark = requires_shared


def test_every_kind_is_there_under_its_own_name() -> None:
    cases = list(recordings())
    assert {case.kind for case in cases} == {
        *("recorded", "constructed", "errors", "nonstream", "models")
    }
    assert len({case.name for case in cases}) == len(cases)
    assert all(case.body and case.headers["content-type"] for case in cases)


def test_streams_have_an_outcome_frames_and_their_own_reads() -> None:
    for case in recordings("recorded", "constructed"):
        assert case.outcomes <= {"complete", "error", "truncated"}
        assert case.outcomes
        assert sum(case.recorded_reads) in (0, len(case.body))
        if case.kind == "recorded":
            assert case.frame_ends()[-1] == len(case.body)


def test_an_sse_case_tells_its_events_after_every_read() -> None:
    for case in sse_cases():
        assert len(case.events_after_chunk) == len(case.chunks)
        assert case.events_after_chunk[-1] == len(case.expected)
