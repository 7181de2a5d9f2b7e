"""Claimed: every format is read line by line, and a line that cannot be used costs nothing else."""

from __future__ import annotations

import json
import os
import threading
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, UsageError
from chatstream.many.inputs import Line, count, lines_of

TOKEN = CancelToken()


def lines(path: Path, data: bytes | str, template: str | None = None) -> list[Line]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    found = [it for it in lines_of(str(path), template, TOKEN) if it is not None]
    assert count(str(path), template, TOKEN) == len(found)
    return found


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_text_is_a_prompt_a_line(tmp_path: Path, end: str, mark: str) -> None:
    break_ = end[:2].replace("\n\n", "\n") or "\n"
    text = mark + break_.join(["first", "", "  ", "second ünd 日本", "third"]) + end
    found = lines(tmp_path / "a.txt", text)
    assert [(it.number, it.prompt) for it in found] == [
        (1, "first"),
        (4, "second ünd 日本"),
        (5, "third"),
    ]


@pytest.mark.parametrize(("name", "first"), [("a.jsonl", "nonsense"), ("a.txt", '{"prompt": "a"}')])
def test_json_lines_are_known_by_their_name_or_their_first_line(
    tmp_path: Path, name: str, first: str
) -> None:
    found = lines(tmp_path / name, f"\n{first}\n\nmore\n")
    assert [(it.number, it.json) for it in found] == [(2, first.encode()), (4, b"more")]


def test_a_line_of_text_that_is_not_utf8_is_wrong_and_the_others_are_not(tmp_path: Path) -> None:
    found = lines(tmp_path / "a.txt", b"one\ncaf\xe9\nthree\n")
    assert [it.prompt for it in found] == ["one", None, "three"]
    assert found[1].wrong == "it is not UTF-8: byte 0xe9 at character 3"


def test_a_template_is_filled_from_the_columns(tmp_path: Path) -> None:
    text = 'name,city\nAnn,"Bath, England"\n\n"Bo ""B""","two\nlines"\n'
    found = lines(tmp_path / "a.csv", text, "{name} in {city}: {{name}}")
    assert [(it.number, it.prompt) for it in found] == [
        (2, "Ann in Bath, England: {name}"),
        (4, 'Bo "B" in two\nlines: {name}'),
    ]


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", "a;b\n1;2\n"), ("a.tsv", "a\tb\n1\t2\n"), ("a.txt", "a,b\n1,2\n")]
)
def test_the_delimiter_is_that_of_the_first_row(tmp_path: Path, name: str, text: str) -> None:
    assert [it.prompt for it in lines(tmp_path / name, text, "{a}+{b}")] == ["1+2"]


def test_a_row_without_any_text_is_skipped(tmp_path: Path) -> None:
    found = lines(tmp_path / "a.csv", 'a,b\n,\n1,\n" ",""\n,,,,\n', "Greet {a}.")
    assert [(it.number, it.prompt) for it in found] == [(3, "Greet 1.")]


def test_a_row_that_does_not_fit_its_columns_is_wrong(tmp_path: Path) -> None:
    found = lines(tmp_path / "a.csv", b'a,b\n1\n1,2,3\n1,\xff\n1,"2"3\n1,2\n', "{a}{b}")
    assert [it.prompt for it in found] == [None, None, None, None, "12"]
    assert [it.wrong for it in found[:2]] == [
        "it has 1 cell, but the header has 2 columns",
        "it has 3 cells, but the header has 2 columns",
    ]
    assert "not UTF-8" in str(found[2].wrong)
    assert "not CSV" in str(found[3].wrong)


@pytest.mark.parametrize(
    ("name", "template", "says"),
    [
        ("a.csv", None, "it needs a --template"),
        ("a.csv", "{nmae}", "has no column 'nmae'"),
        ("a.csv", "", "names no column"),
        ("a.csv", "{{name}} {city", "names no column"),
        ("twice.csv", "{name}", "has several columns 'name'"),
        ("a.jsonl", "{name}", "--template is for CSV"),
    ],
)
def test_a_template_that_does_not_fit_is_told(
    tmp_path: Path, name: str, template: str | None, says: str
) -> None:
    head = "name,name" if name == "twice.csv" else "name,city"
    with pytest.raises(UsageError, match=says) as raised:
        lines(tmp_path / name, f"{head}\nAnn,Bath\n", template)
    assert raised.value.hint


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_a_byte_order_mark_names_the_encoding(tmp_path: Path, name: str, encoding: str) -> None:
    kind = Path(name).suffix
    quote = '"' if kind == ".jsonl" else ""
    text = {".csv": "a\r\n"}.get(kind, "") + "".join(
        f"{quote}{it}{quote}\r\n" for it in ("ä", "ਊ日")
    )
    found = lines(tmp_path / name, text.encode(encoding), "{a}" if kind == ".csv" else None)
    read = [it.prompt if it.json is None else json.loads(it.json) for it in found]
    assert read == ["ä", "ਊ日"]


def test_an_encoding_may_be_declared(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("é\nü".encode("cp1252"))
    found = lines_of(str(path), None, TOKEN, "cp1252")
    assert [it.prompt for it in found if it is not None] == ["é", "ü"]
    path.write_bytes(b"a\nb\x81\n")
    with pytest.raises(UsageError, match="not CP1252 text: see line 2"):
        list(lines_of(str(path), None, TOKEN, "cp1252"))
    with pytest.raises(UsageError, match="--encoding 'nonsense'"):
        lines_of(str(path), None, TOKEN, "nonsense")


def test_utf16_without_its_mark_is_not_sent(tmp_path: Path) -> None:
    found = lines(tmp_path / "a.txt", "one\ntwo".encode("utf-16-le"))
    assert all(it.prompt is None and "NUL character" in str(it.wrong) for it in found)


@pytest.mark.parametrize("data", ['[{"prompt": "a"}]', '\n[\n{"prompt": "a"}\n]', ' [ {"a": 1},\n'])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.txt"])
def test_an_array_is_told_from_lines(tmp_path: Path, name: str, data: str) -> None:
    with pytest.raises(UsageError, match="is a JSON array, but a batch takes one object per line"):
        lines(tmp_path / name, data)


def test_a_header_that_is_not_csv_makes_no_other_row_the_header(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the header of .* cannot be read: it is not CSV: "):
        lines(tmp_path / "a.csv", 'na"me,"ci"ty\nname,city\nAnn,Bath\n', "{name}")
    with pytest.raises(UsageError, match=r"new-line character seen in unquoted field$"):
        lines(tmp_path / "a.csv", "name,city\rAnn,Bath\r", "{name}")


@pytest.mark.parametrize("name", ["", "missing.txt", "folder", "a\0b"])
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        list(lines_of(f"{tmp_path}/{name}", None, TOKEN))


@given(st.lists(st.text(alphabet='a"é,\n', max_size=8), max_size=6), st.integers(1, 7))
def test_a_pipe_is_read_as_it_comes_however_it_is_cut(cells: list[str], size: int) -> None:
    quoted = ['"' + it.replace('"', '""') + '"' for it in cells]
    data = "".join(f"{it}\n" for it in ["h", *quoted]).encode()
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb", buffering=0) as file:
            for start in range(0, len(data), size):
                file.write(data[start : start + size])

    writing = threading.Thread(target=write)
    writing.start()
    found = [it for it in lines_of(f"/dev/fd/{reader}", "{h}", TOKEN) if it is not None]
    writing.join()
    os.close(reader)
    assert [it.prompt for it in found] == [it for it in cells if it.strip()]


def test_nothing_comes_from_a_pipe_that_has_nothing_but_the_reader_stays_awake() -> None:
    reader, writer = os.pipe()
    found = lines_of(f"/dev/fd/{reader}", None, TOKEN)
    assert list(islice(found, 2)) == [None, None]
    os.write(writer, b"one\ntw")
    assert next(found) == Line(1, prompt="one")
    assert next(found) is None
    os.close(writer)
    assert list(found) == [Line(2, prompt="tw")]
    os.close(reader)


def test_a_row_of_csv_may_come_in_parts() -> None:
    reader, writer = os.pipe()
    found = lines_of(f"/dev/fd/{reader}", "<{a}>", TOKEN)
    os.write(writer, b'a\n"one\n')
    assert next(found) is None
    os.write(writer, b'two"\n')
    assert next(it for it in found if it is not None) == Line(2, prompt="<one\ntwo>")
    os.close(writer)
    assert list(found) == []
    os.close(reader)


def test_a_pipe_that_nobody_opens_holds_up_nobody_who_cancels(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    token = CancelToken()
    threading.Timer(0.05, token.cancel).start()
    with pytest.raises(Cancelled):
        lines_of(str(tmp_path / "pipe.txt"), None, token)


def test_what_can_be_read_only_once_is_not_counted(tmp_path: Path) -> None:
    assert count("-", None, TOKEN) is None
    os.mkfifo(tmp_path / "pipe")
    assert count(str(tmp_path / "pipe"), None, TOKEN) is None
