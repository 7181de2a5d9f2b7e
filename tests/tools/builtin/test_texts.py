"""The bytes of a text file change only where its text does."""

from __future__ import annotations

from codecs import BOM_UTF8

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.tools.builtin.texts import TextFile, encoded, is_binary
from chatstream.tools.tool import ToolFailure

UTF16 = ["utf-16-le", "utf-16-be"]
LINES = st.lists(st.sampled_from(["a\n", "a\r\n", "b\n", "b\r\n", "\r", "\n"]), max_size=12)


def edited(data: bytes, old: str, new: str) -> bytes:
    file = TextFile(data, "a.txt")
    old = file.as_seen(old)
    return encoded(file.replaced(file.positions(old), old, new), file.coding)


@pytest.mark.parametrize(
    ("data", "old", "new", "expected"),
    [
        (b"a\r\nb\r\nc", "a\nb", "x\ny\nz", b"x\r\ny\r\nz\r\nc"),
        (b"a\r\nb\r\nc", "b\n", "", b"a\r\nc"),
        (b"a\r\nb\r\nc", "\nb", "\n", b"a\r\n\r\nc"),
        (b"a\nb\r\nc\nd", "b\nc", "x\ny", b"a\nx\ny\nd"),
        (b"a\nb", "b", "c", b"a\nc"),
        (b"a\nb\n", "a\r\nb", "c\r\nd", b"c\nd\n"),
        (BOM_UTF8 + b"a", "a", "\xe9", BOM_UTF8 + b"\xc3\xa9"),
        (b"\xff\xfea\0", "a", "b", b"\xff\xfeb\0"),
        (b"\xfe\xff\0a", "a", "b", b"\xfe\xff\0b"),
        (b"a\r\r\nb", "a\r\nb", "c", b"c"),
        (b"caf\xe9\na", "a\n", "", b"caf\xe9\na"),
        (b"caf\xe9\nx", "x", "y", b"caf\xe9\ny"),
    ],
)
def test_only_the_text_that_is_replaced_changes(
    data: bytes, old: str, new: str, expected: bytes
) -> None:
    assert edited(data, old, new) == expected


@given(LINES, LINES, LINES)
def test_whatever_the_line_ends_are_all_around_stays(
    before: list[str], old: list[str], after: list[str]
) -> None:
    first, middle, last = "".join(before), "".join(["<", *old, ">"]), "".join(after)
    data = edited((first + middle + last).encode(), middle.replace("\r\n", "\n"), "new")
    assert data == (first + "new" + last).encode()


@pytest.mark.parametrize(
    ("data", "content", "expected"),
    [
        (b"a\r\nb\r\n", "x\ny\n", "x\r\ny\r\n"),
        (b"a\r\nb", "x\ny\n", "x\r\ny"),
        (b"a\n", "x", "x\n"),
        (b"a", "x\n", "x"),
        (b"", "x\n", "x\n"),
        (b"", "x", "x"),
        (b"a\n", "", ""),
        (b"a\r\nb\nc\n", "x\ny\n", "x\ny\n"),
    ],
)
def test_a_new_content_has_the_way_of_the_old_one(data: bytes, content: str, expected: str) -> None:
    assert TextFile(data, "a.txt").alike(content) == expected


def test_places_that_overlap_are_all_found() -> None:
    assert TextFile(b"aaa", "a").positions("aa") == [0, 1]


@pytest.mark.parametrize("encoding", UTF16)
def test_a_zero_byte_is_binary_but_in_utf16(encoding: str) -> None:
    assert is_binary(b"a\0b")
    mark = "\ufeff".encode(encoding)
    assert not is_binary(mark + "ab".encode(encoding))
    with pytest.raises(ToolFailure, match="is a binary file"):
        TextFile(b"a\0b", "a.txt")
    with pytest.raises(ToolFailure, match="is not valid UTF-16"):
        TextFile(mark + b"a", "a.txt")


def test_half_of_a_character_is_refused() -> None:
    file = TextFile(b"a", "a")
    with pytest.raises(ToolFailure, match="half of a character"):
        encoded("\ud800", file.coding)
