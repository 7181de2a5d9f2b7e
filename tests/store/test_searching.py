"""Searching: words of every script are found, and a snippet shows where."""

# ruff: noqa: RUF001 - full-width characters are what some of it is about

from __future__ import annotations

import sqlite3
import unicodedata
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.store.searching import TOKENIZER, expression, matches, searchable, snippet

CHINESE = "今天讨论了部署方案，为什么天空是蓝色的？"
JAPANESE = "サーバーのデプロイは明日です。ﾃｽﾄも書きました"
KOREAN = "오늘 배포를 시작했고 서버가 재시작되었습니다"
MIXED = "用GPT4模型写plan，然后部署 the plan"
THAI = "วันนี้ฝนตกหนักไม่มีรถ"


def finds(text: str, question: str) -> bool:
    """Whether the index finds the text."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(
            f"CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = '{TOKENIZER}', prefix = '1')"
        )
        db.execute("INSERT INTO words VALUES (?)", (searchable(text),))
        found = db.execute("SELECT * FROM words WHERE words MATCH ?", (expression(question),))
        return found.fetchone() is not None


@pytest.mark.parametrize(
    ("text", "question", "marked"),
    [
        (CHINESE, "部署", ["部署"]),
        (CHINESE, "天空", ["天空"]),
        (CHINESE, "讨论了", ["讨论了"]),
        (CHINESE, "天", ["天", "天"]),
        (CHINESE, "部署 天空", ["部署", "天空"]),
        (CHINESE, "部署*", ["部署"]),
        (CHINESE, "署部", []),
        (CHINESE, "天蓝", []),  # both characters are there, side by side they are not
        (CHINESE, "部署 地面", []),
        (CHINESE, "。", []),
        (JAPANESE, "デプロイ", ["デプロイ"]),
        (JAPANESE, "明日", ["明日"]),
        (JAPANESE, "サーバ", ["サーバ"]),
        (JAPANESE, "テスト", ["ﾃｽﾄ"]),
        (JAPANESE, "ﾃﾞﾌﾟﾛｲ", ["デプロイ"]),
        (JAPANESE, "です", ["です"]),
        (JAPANESE, "てす", []),
        (KOREAN, "배포", ["배포"]),
        (KOREAN, "시작", ["시작", "시작"]),
        (KOREAN, unicodedata.normalize("NFD", "서버"), ["서버"]),
        (unicodedata.normalize("NFD", KOREAN), "서버", [unicodedata.normalize("NFD", "서버")]),
        (KOREAN, "하", []),
        (MIXED, "部署 plan", ["plan", "部署", "plan"]),
        (MIXED, "GPT4", ["GPT4"]),
        (MIXED, "gpt4模型", ["GPT4模型"]),
        (MIXED, "ＧＰＴ４", ["GPT4"]),
        (MIXED, "用gpt*", ["用GPT4"]),
        (MIXED, "GPT", []),
        (MIXED, "pla", []),
        (MIXED, "pla*", ["plan", "plan"]),
        ("ＦＵＬＬ　Ｗｉｄｔｈ", "width", ["Ｗｉｄｔｈ"]),
        (THAI, "ฝน", ["ฝน"]),
        (THAI, "ไม่มี", ["ไม่มี"]),
        (THAI, "ไมมี", []),
        ("ខ្ញុំស្រលាញ់ភាសា", "ភាសា", ["ភាសា"]),
        ("မြန်မာစာ", "စာ", ["စာ"]),
        ("यह हिन्दी है", "हिन्दी", ["हिन्दी"]),
        ("The naïve Café", "naive CAFE", ["naïve", "Café"]),
        ("cafe\u0301", "café", ["cafe\u0301"]),
        ("die Straße", "STRASSE", ["Straße"]),
        ("Чай и й", "й", ["й"]),
        ("it's C++", "it's c", ["it's", "C"]),
        ("ﬁle 5²", "file", ["ﬁle"]),
        ("a b", "＂ OR ＂", []),
    ],
)
def test_the_index_and_the_marks_find_the_same_words(
    text: str, question: str, marked: list[str]
) -> None:
    assert finds(text, question) == bool(marked)
    if marked:
        assert [text[begin:end] for begin, end in matches(text, question)] == marked


def test_what_the_index_is_given_never_changes() -> None:
    """A message is removed from the index by the same words, years later. A migration that
    rebuilds the index may change this test.
    """
    given = searchable("部署v2を ｂ(ｶﾟ) Café Straße 한 ½ ไม่ Й")
    kept = " 部 署 v2 を  b( カ \u309a ) cafe strasse  한  1\u20442  ไ ม ่  й"
    assert given == kept


@given(st.text(), st.text())
def test_no_text_upsets_it(text: str, question: str) -> None:
    spans = matches(text, question)
    assert all(0 <= begin < end <= len(text) for begin, end in spans)
    assert spans == sorted(spans)
    assert len(snippet(text, question)) <= 162
    assert matches(f"so {question} so", question) or expression(question) == '""'


def test_a_snippet_shows_the_match_and_what_is_around_it() -> None:
    filler = "one two three four five six seven\n" * 10
    shown = snippet(f"{filler}the needle is here. {filler}", "needle")
    assert "seven the needle is here. one two" in shown
    assert (shown[0], shown[-1], "\n" in shown) == ("…", "…", False)
    assert shown[1:-1].split()[0] in filler.split()  # cut between words
    assert snippet("short needle", "needle") == "short needle"
    assert snippet("", "needle") == ""
    assert snippet(filler, "nothing of it").startswith("one two")


def test_a_snippet_of_text_without_spaces_shows_the_match_too() -> None:
    filler = "春夏秋冬" * 50
    shown = snippet(f"{filler}部署{filler}", "部署", before=5, length=20)
    assert shown == "…冬春夏秋冬部署春夏秋冬春夏秋冬春夏秋冬春…"


def test_a_snippet_begins_near_the_first_match_of_any_word() -> None:
    text = "x " * 200 + "second " + "x " * 200 + "first"
    assert "second" in snippet(text, "first second")
