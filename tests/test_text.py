"""Claimed: text is decoded as what it is or refused with the place of the first bad byte."""

from __future__ import annotations

import pytest

from chatstream.errors import UsageError
from chatstream.text import argument, check_encoding, decoded, items_of

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        ("Grüße 日本".encode(), None, "Grüße 日本"),
        (BOM + b"hello", None, "hello"),
        (BOM + BOM + b"hello", None, "\ufeffhello"),  # only one does not belong to the text
        ("é".encode("utf-16"), None, "é"),
        (b"\xfe\xff" + "é".encode("utf-16-be"), None, "é"),
        ("é".encode("utf-32"), None, "é"),
        (b"caf\xe9", "latin-1", "café"),
        (b"\x93x\x94", "cp1252", "\u201cx\u201d"),
        ("日本".encode("shift_jis"), "shift-jis", "日本"),
        (b"\xff\xfe" + "é".encode("utf-16-le"), "utf-16-le", "é"),
        (b"", "latin-1", ""),
    ],
)
def test_text_is_decoded_without_its_mark(data: bytes, encoding: str | None, text: str) -> None:
    assert decoded(data, "it", encoding) == text


@pytest.mark.parametrize(
    ("data", "encoding", "said"),
    [
        (b"caf\xe9", None, r"it is not UTF-8 text: byte 4 \(0xe9, line 1\) does not fit"),
        (b"a\nb\n\xc3", None, r"byte 5 \(0xc3, line 3\)"),
        (b"\xed\xa0\x80", None, "byte 1 "),  # half a character
        (b"\xff\xfe\x00", None, "not UTF-16 text: byte 3 "),
        (b"\xe9", "ascii", "not ASCII text: byte 1 "),
        (b"\\ud800", "unicode_escape", "not UNICODE_ESCAPE text"),
    ],
)
def test_what_is_not_text_is_refused_with_its_place(
    data: bytes, encoding: str | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said) as failure:
        decoded(data, "it", encoding)
    assert "--encoding" in str(failure.value.hint)


@pytest.mark.parametrize("name", ["utf-8", "UTF_16", "cp1252", "Shift-JIS", "utf-8-sig"])
def test_a_text_encoding_can_be_declared(name: str) -> None:
    check_encoding(name)


@pytest.mark.parametrize(
    "name", ["", "nope", "rot13", "base64", "zlib", "undefined", "a\0b", "\udce9", "x" * 500]
)
def test_anything_else_cannot(name: str) -> None:
    with pytest.raises(UsageError, match="--encoding"):
        check_encoding(name)


def test_an_argument_is_the_text_of_its_bytes() -> None:
    assert argument("café", "it") == "café"
    assert argument("na\udcc3\udca9", "it") == "naé"  # UTF-8, read as ASCII
    assert argument("caf\udce9", "it", "latin-1") == "café"


@pytest.mark.parametrize("text", ["caf\udce9", "\ud800"])
def test_an_argument_that_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="it "):
        argument(text, "it")


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a, b,,c ", ["a", "b", "", "c"]),
        ("", [""]),
        ("grep,shell(echo a,b),list", ["grep", "shell(echo a,b)", "list"]),
        ("shell(a (b),c),d", ["shell(a (b),c)", "d"]),
        ("shell(a,b", ["shell(a", "b"]),
    ],
)
def test_a_comma_in_parentheses_belongs_to_its_item(text: str, items: list[str]) -> None:
    assert items_of(text) == items
