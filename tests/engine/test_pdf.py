"""Claimed: a PDF is read as the text of its pages, or refused in one line."""

from __future__ import annotations

import contextlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf.errors import DependencyError

from chatstream.cancel import CancelToken
from chatstream.engine import pdf as room
from chatstream.engine.pdf import text_of
from chatstream.errors import Cancelled, UsageError
from tests.support.pdfs import encrypted, pdf

TWO = pdf("first page", "second page")


def read(data: bytes) -> str:
    return text_of(data, "a.pdf", lambda *_: None, CancelToken())


def refused(data: bytes) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read(data)
    assert "\n" not in caught.value.message
    return caught.value


def test_the_text_is_that_of_the_pages_in_their_order() -> None:
    assert read(TWO) == "first page\n\nsecond page"


def test_a_page_without_text_leaves_no_gap() -> None:
    assert read(pdf("first page", "", "last page")) == "first page\n\nlast page"


def test_how_far_it_is_is_told_in_pages() -> None:
    told: list[tuple[float, float | None]] = []
    text_of(TWO, "a.pdf", lambda *it: told.append(it), CancelToken())
    assert told == [(1, 2), (2, 2)]


def test_without_the_extra_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    error = refused(TWO)
    assert error.message == "a.pdf is a PDF, which needs the package pypdf, version 7 or later"
    assert "pip install --upgrade pypdf" in (error.hint or "")


def test_one_that_needs_a_password_is_refused_and_one_that_everybody_may_open_is_read() -> None:
    assert refused(encrypted(TWO, "secret")).message == "a.pdf is encrypted and cannot be read"
    assert read(encrypted(TWO, "")) == "first page\n\nsecond page"


def test_what_pypdf_needs_to_decrypt_a_pdf_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(*_: object) -> None:  # what an AES-256 file makes it do
        raise DependencyError("cryptography>=3.1 is required for AES algorithm")

    monkeypatch.setattr("pypdf.PdfReader", lacks)
    error = refused(TWO)
    assert error.message == "a.pdf is encrypted, which needs the package cryptography"
    assert "pip install cryptography" in (error.hint or "")


def test_a_scan_is_refused() -> None:
    error = refused(pdf("", ""))
    assert error.message == "a.pdf has no text: it may be a scan"
    assert "--image" in (error.hint or "")


@pytest.mark.parametrize(
    "data", [b"%PDF-", b"%PDF-1.4\n", TWO[:300], b"%PDF-1.7\n" + b"x" * 5000, TWO[:9]]
)
def test_a_broken_one_is_refused(data: bytes) -> None:
    assert refused(data).message.startswith("a.pdf is a broken PDF: ")


@given(
    st.lists(st.tuples(st.integers(5, len(TWO) - 1), st.integers(0, 255)), min_size=1, max_size=20)
)
def test_whatever_is_wrong_in_it_is_no_other_failure(changes: list[tuple[int, int]]) -> None:
    data = bytearray(TWO)
    for place, byte in changes:
        data[place] = byte
    with contextlib.suppress(UsageError):
        assert isinstance(read(bytes(data)), str)


def test_text_past_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_CHARACTERS", 15)
    assert "more text than the limit of 15 characters" in refused(TWO).message


def test_a_cancel_ends_it_between_two_pages() -> None:
    token = CancelToken()
    with pytest.raises(Cancelled):
        text_of(TWO, "a.pdf", lambda *_: token.cancel(), token)
