from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.sinks.escape import Escaper, clean

CORPUS = {
    "CSI colour": "\x1b[31mred\x1b[0m",
    "CSI moves": "\x1b[2J\x1b[H\x1b[5A\x1b[?1049h",
    "OSC title": "\x1b]0;owned\x07",
    "OSC 52 clipboard": "\x1b]52;c;cm0gLXJm\x1b\\",
    "DCS": '\x1bP$q"p\x1b\\',
    "8-bit CSI": "\x9b31mred",
    "8-bit OSC": "\x9d0;owned\x9c",
    "bell, backspace, shift out": "\x07\x08\x0e\x0f",
    "bidi override": "safe\u202etxt.exe\u202c \u2066x\u2069 \u200f\u200e\u061c",
    "lone surrogates": "\ud800 \udfff",
    "carriage return": "all well\rrm -rf /",
    "DEL and NUL": "\x7f\x00",
}


def is_safe(text: str) -> bool:
    return all(
        char in "\n\t"
        or (
            unicodedata.category(char) not in ("Cc", "Cs")
            and unicodedata.bidirectional(char)
            not in ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")
            and char not in "\u200e\u200f\u061c"
        )
        for char in text
    )


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS.keys())
def test_nothing_that_drives_a_terminal_gets_through_at_any_cut(text: str) -> None:
    assert is_safe(clean(text))
    for cut in range(len(text) + 1):
        escaper = Escaper()
        assert escaper.feed(text[:cut]) + escaper.feed(text[cut:]) == clean(text)


def test_every_character_there_is_comes_out_safe() -> None:
    assert is_safe(clean("".join(map(chr, range(0x30000)))))


def test_controls_become_visible() -> None:
    assert clean("\x1b[0m\x07\x7f\x9b\u202e") == "␛[0m␇␡\ufffd\ufffd"


def test_ordinary_text_is_untouched() -> None:
    text = "prose,\ttabs\n你好 café 👩\u200d💻 🇫🇷 e\u0301 שלום\n"
    assert clean(text) == text
    assert Escaper().feed(text) == text


@pytest.mark.parametrize(
    "chunks", [["a\r\nb"], ["a\r", "\nb"], ["a", "\r", "", "\n", "b"], ["a\rb"]]
)
def test_cr_lf_and_cr_are_one_line_end_also_when_split(chunks: list[str]) -> None:
    escaper = Escaper()
    assert "".join(map(escaper.feed, chunks)) == "a\nb"


def test_two_lone_line_ends_stay_two() -> None:
    escaper = Escaper()
    assert "".join(map(escaper.feed, ["\r", "\n", "\n", "\r", "\r"])) == "\n\n\n\n"


@given(st.lists(st.text(alphabet=st.sampled_from("ab\r\n\x1b\x9b\u202e\t"), max_size=4)))
def test_chunks_join_to_the_whole(chunks: list[str]) -> None:
    escaper = Escaper()
    assert "".join(map(escaper.feed, chunks)) == clean("".join(chunks))
