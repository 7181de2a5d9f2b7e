"""Claimed: nothing that is typed while an answer runs is lost, however its bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.chat.typeahead import TypeAhead, joined, last_character

UP, ESCAPE = b"\x1b[A", b"\x1b"
SEQUENCES = [
    b"\x1b[1;5A",
    b"\x1b[15~",
    b"\x1b[[A",
    b"\x1b[?61;4c",
    b"\x1b[<0;10;20M",
    b"\x1b[Z",
    b"\x1bOP",
    b"\x1bO5A",
    b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\",
    b"\x1b]11;rgb:ffff/ffff/ffff\x07",
    b"\x1bP1$r0m\x1b\\",
    b"\x1b\x1b[A",
    b"\x1bf",
    "\x1bé".encode(),
]
"""What keys and replies send that nobody here knows."""
CHARACTERS = [
    "é",
    "e\u0301",
    "語",
    "👍",
    "👍🏽",
    "❤\ufe0f",
    "1\ufe0f\u20e3",
    "👨\u200d👩\u200d👧",
    "🇩🇪",
    "🏴\U000e0067\U000e0062\U000e007f",
    "\u1112\u1161\u11ab",
    "न\u093f",
]
"""Each is one to its reader."""

text = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
paste = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda it: "\x1b[201~" not in it)
deaf = st.one_of(
    text.map(str.encode),
    paste.map(lambda it: pasted(it)),
    st.sampled_from([*SEQUENCES, b"\r", b"\n", b"\x1b\r", b"\x01", b"\x04", UP, b"\x14", b"\x00"]),
)
"""What takes no text away."""
anything = st.one_of(
    deaf, st.binary(), st.sampled_from([b"\x7f", b"\x15", b"\x17", ESCAPE, b"\x1b[", b"\x1b[200~"])
)


def pasted(text: str) -> bytes:
    return f"\x1b[200~{text}\x1b[201~".encode()


def typed(*pieces: bytes | str) -> TypeAhead:
    made = TypeAhead()
    for it in pieces:
        made.feed(it.encode() if isinstance(it, str) else it)
    return made


def shown(made: TypeAhead) -> tuple[list[str], str]:
    return made.queued, made.draft


@given(st.lists(anything), st.data())
def test_cuts_make_no_difference(keys: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(keys)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    once, cut = TypeAhead(), TypeAhead()
    meant = once.feed(whole)
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert [it for piece in pieces for it in cut.feed(piece)] == meant
    assert shown(cut) == shown(once)
    assert cut.is_whole == once.is_whole
    assert cut.settle() == once.settle()
    assert cut.take() == once.take()


@given(st.lists(deaf))
def test_no_character_is_lost_and_no_sequence_is_text(keys: list[bytes]) -> None:
    made, expected = TypeAhead(), ""
    for key in keys:
        made.feed(key)
        if key.startswith(b"\x1b[200~"):
            expected += key.decode()[6:-6].replace("\r", "\n")
        elif not key.startswith(b"\x1b"):
            expected += key.decode()
    assert made.settle() == []
    assert made.is_whole
    queued, draft = made.take()
    left = "".join([*queued, draft])
    assert [it for it in left if not _lost_or_added(it)] == [
        it for it in expected if not _lost_or_added(it)
    ]


def _lost_or_added(it: str) -> bool:
    """A space on an empty line is a key, line ends part messages, and controls are no text."""
    return it in " \n\r\x00\x01\x04\x14"


@given(st.lists(anything))
def test_nothing_is_left_to_wait_for_after_a_moment_but_a_paste_and_half_a_character(
    keys: list[bytes],
) -> None:
    made = typed(*keys, b"\x1b[201~", b" ")
    made.settle()
    assert made.is_whole


def test_a_line_is_a_draft_until_enter_queues_it() -> None:
    assert shown(typed("and a ", "pic")) == ([], "and a pic")
    assert shown(typed("one\rtwo\rthree")) == (["one", "two"], "three")


@pytest.mark.parametrize("line", ["", "\n", "\n\t"])
def test_an_empty_line_is_not_queued(line: str) -> None:
    assert typed(f"{line}\r").queued == []


def test_alt_enter_and_ctrl_j_begin_a_new_line() -> None:
    assert shown(typed("a\x1b\rb\nc\r")) == (["a\nb\nc"], "")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_paste_is_one_message_and_is_not_sent(end: str) -> None:
    lines = end.join(f"line {number} 日本語 👍" for number in range(10_000))
    made = TypeAhead()
    data = pasted(f" {lines}{end}")
    assert len(data) > 200_000
    for start in range(0, len(data), 4095):
        made.feed(data[start : start + 4095])
        assert made.queued == []
    assert made.draft == f" {lines}{end}".replace(end, "\n")
    made.feed(b"\r")
    assert made.queued == [f" {lines}{end}".replace(end, "\n")]


def test_what_looks_like_a_key_in_a_paste_is_text() -> None:
    said = "\x1b[A \x15\x7f\x14 \x1b \x1b[200~ \x1b[20"
    assert shown(typed("x", pasted(said))) == ([], f"x{said}")


def test_esc_just_before_a_paste_is_a_key() -> None:
    made = typed("a\r")
    assert made.feed(ESCAPE + pasted("b")) == []
    assert shown(made) == ([], "ab")


def test_what_has_come_of_a_paste_is_taken_and_the_rest_is_still_one() -> None:
    made = typed(b"\x1b[200~one\rtwo\x1b[2")
    assert not made.is_whole
    assert made.settle() == []
    assert made.take() == ([], "one\ntwo")
    made.feed(b"01~")
    assert made.is_whole
    made = typed(b"\x1b[200~one\r")
    made.take()
    made.feed(b"two\r\x1b[201~")
    assert made.take() == ([], "two\n")


@pytest.mark.parametrize("character", CHARACTERS)
def test_backspace_takes_one_character_as_people_see_it(character: str) -> None:
    assert typed(f"ab{character}\x7f").draft == "ab"
    assert typed(f"ab{character}{character}\x08").draft == f"ab{character}"
    assert typed(f"{character}\x7f").draft == ""
    assert typed(f"\n{character}\x7f").draft == "\n"


@given(st.text(st.sampled_from("".join(CHARACTERS) + "a\n\t")))
def test_a_character_ends_where_the_text_does(text: str) -> None:
    start = last_character(text)
    assert text == "" or start < len(text)


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        ("", "\x7f", ""),
        ("one two  ", "\x17", "one "),
        ("one\ntwo", "\x17", "one\n"),
        ("one", "\x17", ""),
        ("one two", "\x1b\x7f", "one "),
        ("one\ntwo", "\x15", "one\n"),
        ("one\n", "\x15", "one"),
        ("one two", "\x15", ""),
    ],
)
def test_deleting(before: str, key: str, after: str) -> None:
    assert typed(pasted(before), key).draft == after


@pytest.mark.parametrize("up", ["\x1b[A", "\x1bOA"])
def test_up_takes_the_newest_message_back_in_front_of_the_line(up: str) -> None:
    assert shown(typed("one\rtwo\r", up)) == (["one"], "two")
    assert shown(typed("one\rtwo\rthree", up)) == (["one"], joined("two", "three"))
    assert shown(typed("three", up)) == ([], "three")


def test_esc_takes_back_the_queue_first_and_then_stops() -> None:
    made = typed("one\rtwo\rthree", ESCAPE)
    assert made.queued == ["one", "two"]  # an arrow key may follow
    assert made.settle() == []
    assert shown(made) == ([], joined("one", "two", "three"))
    made.feed(ESCAPE)
    assert made.settle() == ["stop"]
    assert shown(made) == ([], joined("one", "two", "three"))


def test_esc_pressed_again_and_again_is_pressed_as_often() -> None:
    made = typed("one\r")
    assert made.feed(ESCAPE * 4) == ["stop"]
    assert made.settle() == ["stop", "stop"]
    assert shown(made) == ([], "one")


def test_what_the_other_keys_mean() -> None:
    made = TypeAhead()
    assert made.feed(b"\x14 \x0b ") == ["thinking", "pause", "tools", "pause"]
    assert made.feed(b"a b\r ") == ["pause"]
    assert shown(made) == (["a b"], "")


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_an_unknown_sequence_is_swallowed_whole(sequence: bytes) -> None:
    made = TypeAhead()
    for byte in b"a" + sequence + b"b":
        made.feed(bytes([byte]))
    assert made.is_whole
    assert shown(made) == ([], "ab")


@pytest.mark.parametrize(
    ("cut", "text"), [("\x1b[", ""), ("\x1b[12", "12"), ("\x1bO", ""), ("\x1b]what?", "what?")]
)
def test_what_never_becomes_a_sequence_is_text(cut: str, text: str) -> None:
    made = typed("a", cut)
    assert made.settle() == []
    assert shown(made) == ([], f"a{text}")
    assert shown(typed("a", cut, "\r")) == ([f"a{text}"], "")


def test_half_a_character_waits_for_its_rest() -> None:
    made = typed("語".encode()[:2])
    made.settle()
    assert not made.is_whole
    made.feed("語".encode()[2:])
    assert made.draft == "語"


def test_it_begins_with_what_was_not_sent() -> None:
    made = TypeAhead(["one"], "tw")
    made.feed(b"o\r")
    assert made.take() == (["one", "two"], "")
    assert made.take() == ([], "")
