"""Claimed: of any output the model gets the ends, the file the beginning, and memory stays flat."""

from __future__ import annotations

import re
import stat
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.escape import clean
from chatstream.messages import NO_OUTPUT
from chatstream.tools import output as module
from chatstream.tools.output import (
    FILE_BYTES,
    HEAD_BYTES,
    MODEL_BYTES,
    SAMPLE_LINE_CHARACTERS,
    SAMPLE_LINES,
    SAMPLE_SECONDS,
    SHOWN_BYTES,
    TAIL_BYTES,
    Output,
)
from tests.support.sampling import by_size, examples

LEFT_OUT = re.compile(r"\[… ([\d,]+) (lines?|bytes of a line) left out(.*)\]\n")


def lines(first: int, last: int) -> str:
    return "".join(f"line {number}\n" for number in range(first, last))


def test_a_short_output_is_given_as_it_is() -> None:
    output = Output()
    assert output.printed("one\n", 0.0) == "one\n"
    assert output.printed("two", 0.0) == "two"
    assert output.result() == "one\ntwo"


def test_what_is_returned_follows_on_a_line_of_its_own_and_is_not_shown() -> None:
    output = Output()
    output.printed("printed", 0.0)
    output.returned("re")
    output.returned("turned")
    assert output.result() == "printed\nreturned"
    assert output.sample(1e9, last=True) == ""


@pytest.mark.parametrize("blank", ["", "\n", " \t\n"])
def test_no_output_is_said_in_words(blank: str) -> None:
    output = Output()
    output.printed(blank, 0.0)
    assert output.result() == NO_OUTPUT


@pytest.mark.parametrize(
    ("text", "result"), [("", "[why]"), ("a", "a\n[why]"), ("a\n", "a\n[why]")]
)
def test_a_mark_is_the_last_line(text: str, result: str) -> None:
    output = Output()
    output.printed(text, 0.0)
    assert output.result("[why]") == result


def test_escapes_never_pass_also_where_they_are_cut(tmp_path: Path) -> None:
    output = Output(tmp_path)
    text = "a\x1b[2Jb\r\nc\udce9\x9b1m\n" * 5000
    shown = "".join(output.printed(text[at : at + 7], 0.0) for at in range(0, len(text), 7))
    result = output.result()
    (file,) = tmp_path.iterdir()
    assert shown == clean(text)[: len(shown)]
    assert file.read_text() == clean(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", shown + result)


def test_of_a_long_output_the_model_gets_both_ends_at_line_ends() -> None:
    output = Output()
    text = lines(0, 10_000)
    output.printed(text, 0.0)
    result = output.result()
    mark = LEFT_OUT.search(result)
    assert mark is not None
    head, tail = result[: mark.start()], result[mark.end() :]
    assert text.startswith(head)
    assert text.endswith(tail)
    assert head.endswith("\n")
    assert HEAD_BYTES - 12 < len(head) <= HEAD_BYTES
    assert TAIL_BYTES - 12 < len(tail) <= TAIL_BYTES
    left_out = int(mark[1].replace(",", ""))
    assert left_out == 10_000 - head.count("\n") - tail.count("\n")
    assert mark[3] == ""


def test_exactly_what_fits_is_given_whole(tmp_path: Path) -> None:
    for more, is_cut in ((0, False), (1, True)):
        output = Output(tmp_path)
        output.printed("x" * (MODEL_BYTES + more), 0.0)
        assert bool(LEFT_OUT.search(output.result())) is is_cut
        assert len(list(tmp_path.iterdir())) == more


def test_a_line_without_an_end_is_cut_between_characters() -> None:
    output = Output()
    output.printed("é€😀" * 20_000, 0.0)
    result = output.result()
    mark = LEFT_OUT.search(result)
    assert mark is not None
    assert mark[2] == "bytes of a line"
    assert set(result[: mark.start()] + result[mark.end() :]) == {*"é€😀\n"}
    assert len(result[: mark.start()].encode()) >= HEAD_BYTES - 3


def test_one_line_end_far_from_the_cut_does_not_cost_the_rest() -> None:
    output = Output()
    output.printed("first\n" + "x" * 100_000 + "\nlast", 0.0)
    head, _, tail = output.result().partition("\n[… ")
    assert len(head) == HEAD_BYTES
    assert len(tail) > TAIL_BYTES


def test_the_file_is_private_and_made_only_for_what_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "missing" / "outputs"
    output = Output(folder, "grep")
    text = lines(0, 10_000)
    output.printed(text[:MODEL_BYTES], 0.0)
    assert not folder.exists()
    output.printed(text[MODEL_BYTES:50_000], 0.0)
    output.printed(text[50_000:], 0.0)
    result = output.result()
    (file,) = folder.iterdir()
    assert file.read_text() == text
    assert f"; all in {file}]" in result
    assert file.name.startswith("grep-")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_file_ends_at_its_limit_and_the_mark_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FILE_BYTES", 2 * 1024 * 1024)
    output = Output(tmp_path)
    for _ in range(30):
        output.printed("0123456789\n" * 10_000, 0.0)
    result = output.result()
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size == 2 * 1024 * 1024
    assert f"; the first 2 MiB in {file}]" in result
    assert FILE_BYTES == 16 * 1024 * 1024


def test_a_file_that_cannot_be_made_is_not_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file is no folder")
    output = Output(tmp_path / "taken")
    output.printed(lines(0, 10_000), 0.0)
    output.printed(lines(0, 10_000), 0.0)
    mark = LEFT_OUT.search(output.result())
    assert mark is not None
    assert mark[3] == ""
    assert len(caplog.records) == 1


def test_a_disk_that_is_full_leaves_no_file_and_names_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = Output(tmp_path)
    output.printed(lines(0, 10_000), 0.0)
    full = Path("/dev/full").open("wb")  # noqa: SIM115  # the output closes it
    held = output._file._file
    assert held is not None
    held.close()
    output._file._file = full
    output.printed(lines(0, 10_000), 0.0)
    mark = LEFT_OUT.search(output.result())
    assert mark is not None
    assert mark[3] == ""
    assert list(tmp_path.iterdir()) == []
    assert "No space left" in caplog.text


def test_past_the_limit_only_the_newest_lines_are_shown_now_and_then() -> None:
    output = Output()
    whole = "x" * 63 + "\n"
    shown = output.printed(whole * (SHOWN_BYTES // 64), 0.0)
    assert len(shown) == SHOWN_BYTES
    assert output.printed(lines(0, 1000), 10.0) == ""
    assert output.sample(10.0 + SAMPLE_SECONDS / 2) == ""
    assert output.sample(10.0 + SAMPLE_SECONDS) == (
        "[… 997 lines not shown]\nline 997\nline 998\nline 999\n"
    )
    assert output.sample(20.0) == ""  # nothing is new
    output.printed("line 1000\nline 1001\nhalf", 20.0)
    assert output.sample(20.0) == "line 1000\nline 1001\n"
    output.printed(" a line", 20.1)
    assert output.sample(20.1, last=True) == "half a line\n"
    assert output.sample(99.0, last=True) == ""


def test_the_mark_begins_a_line_where_the_limit_cut_one() -> None:
    output = Output()
    output.printed("y" * (SHOWN_BYTES + 10) + "\n" + lines(0, 4), 0.0)
    assert output.sample(9.0) == "\n[… 2 lines not shown]\nline 1\nline 2\nline 3\n"


def test_a_sample_is_small_however_long_the_lines_are() -> None:
    output = Output()
    output.printed("z" * SHOWN_BYTES, 0.0)
    output.printed(("w" * 1000 + "\n") * 5000, 0.0)
    sample = output.sample(9.0)
    assert len(sample) < (SAMPLE_LINES + 1) * (SAMPLE_LINE_CHARACTERS + 1)
    output.printed("v" * 100_000, 10.0)
    assert output.sample(19.0) == ""  # no line has ended
    assert len(output.sample(19.0, last=True)) == SAMPLE_LINE_CHARACTERS + 1


@given(
    st.lists(st.text(st.sampled_from("ab\n é😀"), max_size=40), max_size=40),
    st.integers(8, 60),
)
@settings(max_examples=examples(200), deadline=None)
def test_however_it_is_cut_the_ends_and_the_count_are_right(pieces: list[str], most: int) -> None:
    whole = "".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MODEL_BYTES", most)
        patch.setattr(module, "HEAD_BYTES", most * 6 // 10)
        patch.setattr(module, "TAIL_BYTES", most - most * 6 // 10)
        output = Output()
        for piece in pieces:
            output.printed(piece, 0.0)
        text = output.text
    if len(whole.encode()) <= most:
        assert text == whole
        return
    mark = LEFT_OUT.search(text)
    assert mark is not None
    head, tail = text[: mark.start()], text[mark.end() :]
    assert whole.startswith(head.removesuffix("\n"))
    assert whole.endswith(tail)
    assert len((head.removesuffix("\n") + tail).encode()) <= most
    if mark[2] != "bytes of a line":
        left_out = whole.count("\n") - tail.count("\n") - int(mark[1])
        assert left_out in (head.count("\n"), head.removesuffix("\n").count("\n"))


def test_memory_does_not_grow_with_the_output(tmp_path: Path) -> None:
    piece = ("0123456789" * 8 + "\n") * 3000

    def peak(pieces: int) -> int:
        output = Output(tmp_path)
        tracemalloc.start()
        for number in range(pieces):
            output.printed(piece, float(number))
            output.sample(float(number))
        output.result()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(20), peak(by_size(100, 400))
    assert many < 1.2 * few
    assert many < 4 * 1024 * 1024


def test_small_pieces_take_no_more_work_than_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = 0

    class Counted(bytearray):
        def __delitem__(self, key: object) -> None:
            nonlocal copied
            copied += len(self)
            super().__delitem__(key)  # type: ignore[arg-type]

    output = Output()
    output._tail = Counted()
    for _ in range(10_000):
        output.printed("0123456789", 0.0)
    assert copied < 4 * 10 * 10_000
