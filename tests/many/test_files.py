"""Claimed: a result is there whole or not at all, nobody else's file is touched, order is kept."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.counts import Counts
from chatstream.errors import OutputError, UsageError
from chatstream.many.files import Begun, Failure, Output, Result, encoded
from tests.support.batches import lines_in


def result(index: int, text: str | None = "é\n", key: str | None = None) -> Result:
    key = key or f"k{index}"
    if text is None:
        return Result(id=key, index=index, error=Failure("auth", "no"), key=key)
    return Result(
        id=key, index=index, run="r", content=text, usage=Counts(output_tokens=3), cost=0.5, key=key
    )


def write(path: Path, *results: Result) -> None:
    output = Output(path)
    for it in results:
        output.write(it)
    output.close()


def keys_in(path: Path) -> list[str]:
    return [line["key"] for line in lines_in(path)]


def test_a_line_has_what_was_promised_and_nothing_that_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(path, result(0), result(1, None))
    assert lines_in(path) == [
        {
            "id": "k0",
            "index": 0,
            "run": "r",
            "content": "é\n",
            "usage": {"output_tokens": 3},
            "cost": 0.5,
            "key": "k0",
        },
        {"id": "k1", "index": 1, "error": {"code": "auth", "message": "no"}, "key": "k1"},
    ]


@pytest.mark.parametrize("cut", range(1, len(encoded(result(1)))))
def test_a_torn_last_line_is_taken_away_wherever_it_was_cut(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "out.jsonl"
    write(path, result(0), result(1))
    os.truncate(path, path.stat().st_size - cut)
    output = Output(path)
    kept = ["k0", "k1"] if cut == 1 else ["k0"]  # all but its end
    assert list(output.places) == kept == keys_in(path)
    assert path.read_bytes().endswith(b"\n")
    output.write(result(2))
    output.close()
    assert keys_in(path) == [*kept, "k2"]


def test_a_file_that_is_nothing_but_a_torn_line_is_one_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(encoded(result(0))[:20])
    Output(path).close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "data",
    [
        *(b"my notes\n", b"my notes", b"{}\n", b"\n"),
        *(b'{"id":1}\n', b'{"id":1}', b'{"id":"a","index":0}\n', b'{"id":"a","name":"mine"}'),
    ],
)
def test_a_file_of_somebody_else_is_not_touched(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "notes.txt"
    for there in (data, encoded(result(0)) + data + encoded(result(1))):
        path.write_bytes(there)
        with pytest.raises(UsageError, match="is not from a batch"):
            Output(path)
        assert path.read_bytes() == there


@pytest.mark.parametrize("end", [b"my notes", b'{"id":"a","name":"mine"}', b"{}"])
def test_what_somebody_has_added_at_the_end_is_not_removed(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(there := encoded(result(0)) + end)
    with pytest.raises(UsageError, match=r"line 2 .* is not from a batch"):
        Output(path)
    assert path.read_bytes() == there


def test_two_batches_never_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    first = Output(path)
    with pytest.raises(UsageError, match="another batch is writing"):
        Output(path)
    first.close()
    Output(path).close()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (
        tmp_path,
        Path("/dev/null"),
        tmp_path / "none" / "out.jsonl",
        tmp_path / ("x" * 300),
    ):
        with pytest.raises(UsageError):
            Output(path)


def test_the_last_line_of_a_key_holds(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(path, result(0, None), result(1), result(0))
    output = Output(path)
    assert [place.failed for place in output.places.values()] == [False, False]
    output.tidy(["k0", "k1"])
    output.close()
    assert keys_in(path) == ["k0", "k1"]
    assert "error" not in lines_in(path)[0]


def test_a_file_in_order_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(path, result(0), result(1))
    before = path.stat()
    output = Output(path)
    output.tidy(["k0", "k1"])
    output.close()
    assert path.stat().st_ino == before.st_ino


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)), st.permutations(range(6)))
def test_tidy_gives_the_order_of_the_input(
    tmp_path_factory: pytest.TempPathFactory, written: list[int], gone: set[int], asked: list[int]
) -> None:
    path = tmp_path_factory.mktemp("tidy") / "out.jsonl"
    write(path, *(result(it) for it in written))
    keys = [f"k{it}" for it in asked if it not in gone]
    output = Output(path)
    output.tidy(keys)
    output.close()
    lines = lines_in(path)
    assert [line["key"] for line in lines[: len(keys)]] == keys
    assert [line["index"] for line in lines[: len(keys)]] == list(range(len(keys)))
    left = [f"k{it}" for it in written if it in gone]
    assert [line["key"] for line in lines[len(keys) :]] == left
    assert all(line["content"] == "é\n" for line in lines)


def test_what_a_full_disk_has_no_room_for_leaves_no_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    output = Output(path)
    output.write(result(0))
    size = path.stat().st_size
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limit[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            output.write(result(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    output.write(result(2))
    output.close()
    assert keys_in(path) == ["k0", "k2"]


def test_which_runs_were_begun_is_known_to_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    output = Output(path)
    begun = Begun(output)
    begun.note("k0", "run-1")
    begun.note("k0", "run-2")
    begun.note("k1", "run-3")
    begun.close()
    output.close()
    beside = tmp_path / "out.jsonl.runs"
    beside.write_bytes(beside.read_bytes() + b"k2 run-")
    output = Output(path)
    begun = Begun(output)
    found = [begun.run_of(key) for key in ("k0", "k1", "k2")]
    assert found == ["run-2", "run-3", None]
    begun.note("k3", "run-4")  # on a line of its own
    begun.close()
    assert Begun(output).run_of("k3") == "run-4"
    begun.remove()
    begun.remove()
    assert not beside.exists()
    output.close()


def test_what_is_beside_an_output_and_cannot_be_read_is_told(tmp_path: Path) -> None:
    write(tmp_path / "out.jsonl", result(0))
    (tmp_path / "out.jsonl.runs").mkdir()
    output = Output(tmp_path / "out.jsonl")
    with pytest.raises(UsageError, match=r"out.jsonl.runs cannot be read: Is a directory"):
        Begun(output)
    output.close()


def test_runs_beside_an_output_that_was_removed_count_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    (tmp_path / "out.jsonl.runs").write_text("k0 run-1\n")
    output = Output(path)
    assert Begun(output).run_of("k0") is None
    output.close()
