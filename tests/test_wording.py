"""Claimed: whatever a text holds, what is made of it can be encoded, and nothing is lost."""

from __future__ import annotations

import os

import pytest

from chatstream.wording import encodable


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
