"""The stand-in for jq gives what jq gives for the README's filters."""

from __future__ import annotations

from tests.support.jq import selected

LINES = [
    '{"type":"content","delta":"a"}',
    '{"type":"usage"}',
    '{"type":"content","delta":"b"}',
    '{"type":"result","arms":[{"summaries":[1,2]},{"summaries":[3]}]}',
]


def test_it_selects_by_type_and_follows_a_path() -> None:
    assert list(selected(LINES, 'select(.type == "content").delta')) == ["a", "b"]
    assert list(selected(LINES, 'select(.type == "result").arms[].summaries[]')) == [1, 2, 3]
    assert list(selected(LINES, 'select(.type == "usage")')) == [{"type": "usage"}]
