"""Claimed: whatever a text holds, what is made of it can be encoded, and nothing is lost."""

from __future__ import annotations

import os

import pytest

from chatstream.wording import bounded, counted, encodable, in_words, sized, status_words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é 日本", "plain, é 日本"),
        (os.fsdecode(b"caf\xe9.txt"), "caf\\xe9.txt"),
        ("na\udcc3\udca9", "naé"),  # UTF-8 that Python read as ASCII
        ("\ud83d", "\\ud83d"),
        ("é \udcff \ud800", "é \\xff \\ud800"),
    ],
)
def test_what_has_no_encoding_is_escaped(text: str, shown: str) -> None:
    assert encodable(text) == shown
    encodable(text).encode()


def test_a_message_stays_readable_whatever_it_quotes() -> None:
    assert bounded("there is no run 'x'") == "there is no run 'x'"
    path = "/long" * 50
    assert bounded(f"{path} is not there") == f"{path} is not there"
    assert bounded(f"no {'9' * 5000} is there") == f"no {'9' * 300}… is there"
    assert len(bounded("word " * 5000)) == 1001


def test_one_thing_is_one_and_no_things_are_several() -> None:
    assert [counted(n, "token") for n in (0, 1, 2)] == ["0 tokens", "1 token", "2 tokens"]
    assert [counted(n, "line", commas=True) for n in (1, 2000)] == ["1 line", "2,000 lines"]
    assert counted(2000, "token") == "2000 tokens"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 B"),
        (812, "812 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (2_640_000_000, "2.6 GB"),
        (9_960_000, "10 MB"),
        (999_600_000, "1.0 GB"),
        (7 * 10**15, "7000 TB"),
    ],
)
def test_a_size_is_told_in_the_largest_unit_that_fits(number: int, shown: str) -> None:
    assert sized(number) == shown


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (799, "799")])
def test_a_status_is_named_where_it_has_a_name(status: int, words: str) -> None:
    assert status_words(status) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.006, "0.1 s"),
        (2.5, "2.5 s"),
        (2.51, "2.6 s"),
        (3.0, "3 s"),
        (34.07, "35 s"),
        (60.0, "1 min"),
        (864.0, "14 min 24 s"),
        (3600.0, "1 h"),
        (9568.0, "2 h 39 min"),
        (86400.0, "1 d"),
        (90000.0, "1 d 1 h"),
    ],
)
def test_a_pause_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
