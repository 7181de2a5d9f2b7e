"""Claimed: the pieces are those of CommonMark, as early as can be, in linear time, nothing lost.

The oracle is markdown-it over the whole text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from chatstream.fences import MAX_CONTAINERS
from chatstream.sinks import paragraphs, scan, tex
from chatstream.sinks.blocks import MAX_LINE_CHARACTERS, MAX_PARAGRAPH_CHARACTERS, Blocks
from chatstream.sinks.pieces import (
    Blank,
    Code,
    CodeLine,
    Container,
    End,
    Formula,
    Heading,
    Item,
    Paragraph,
    Piece,
    Quote,
    Row,
    Rule,
    Table,
    Verbatim,
)
from tests.support.sampling import examples, sampled

# Lines of these, joined at random, meet in every order. Each `w` becomes a word of its own.
PREFIXES = [
    *("", "", "", "", " ", "  ", "   ", "    ", "     ", "\t", " \t"),
    *(">", "> ", ">  ", " > ", ">>"),
    *("- ", "-  ", "-   ", "-    ", "-     ", "-\t", "* ", "+ ", " - ", "  - ", "   - ", "-\t\t"),
    *("1. ", "2. ", "1) ", "10. ", " 1. ", "01. ", "1986. ", "0. ", "003) "),
]
CONTENTS = [
    *("", "", "", "w", "w w", "w  ", "w\\", "===", "---", "=", "-", "--", "- - -", "***", "* * *"),
    *("___", "# w", "## w ##", "#", "# #", "#w", "####### w", "w #", "### w #   ", "=== w"),
    *("```", "```w", "````", "~~~", "~~~ w w", "```w`w", "`` `", "| w | w |", "w | w", "|---|---|"),
    *("--- | ---", ":-: | -:", "|---|", "| - |", "-|-", "|", "||", "w \\| w | w", "w|w|w", "- | -"),
    *("1986. w", "1986.", "-", "+", "*", "1.", "w\tw", "<w>", "</w>", "[w]: /w", "\u0663. w"),
    *("--- w", "---|"),
]

numbered = st.builds(
    lambda lines, end: _numbered("\n".join(lines) + end),
    st.lists(
        st.builds(
            lambda prefixes, content, end: "".join(prefixes) + content + end,
            st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=3),
            st.sampled_from(CONTENTS),
            st.sampled_from(["", "", "", " ", "  ", "\n"]),
        ),
        max_size=10,
    ),
    st.sampled_from(["", "\n"]),
)


def _numbered(text: str) -> str:
    words = iter(range(len(text)))
    return re.sub("w", lambda _: f"w{next(words)}.", text)


def words(text: str) -> list[str]:
    return re.findall(r"w\d+\.", text)


# ---- leaves: what pieces and tokens are both brought to

Leaf = tuple[Any, ...]
"""Kind, containers (mark and number), and what is in it."""

Standing = Paragraph | Heading | Rule | Code | Table | Blank
"""The pieces that stand somewhere; the others go on with one of these."""


def _ranked(leaves: list[Leaf]) -> list[Leaf]:
    """The containers numbered as they come."""
    ranks: dict[int, int] = {}
    return [
        (kind, tuple((mark, ranks.setdefault(n, len(ranks))) for mark, n in containers), *rest)
        for kind, containers, *rest in leaves
    ]


def _lines(text: str) -> str:
    """A paragraph without the indents of its lines, which mean nothing."""
    return "\n".join(line.lstrip(" \t") for line in text.split("\n"))


def leaves_of(pieces: list[Piece]) -> list[Leaf]:
    leaves: list[Leaf] = []
    joined = False

    def containers(piece: Standing) -> tuple[Any, ...]:
        return tuple(
            (">" if isinstance(one, Quote) else one.marker, one.number)
            for one in piece.where.containers
        )

    for piece in pieces:
        match piece:
            case Paragraph(_, text, goes_on, part):
                if part:
                    before = leaves.pop()
                    assert before[:2] == ("paragraph", containers(piece))
                    text = before[2] + ("" if joined else "\n") + text
                leaves.append(("paragraph", containers(piece), text))
                joined = goes_on
            case Heading(_, level, text):
                leaves.append(("heading", containers(piece), level, text))
            case Code(_, info):
                leaves.append(("code", containers(piece), info, []))
                joined = False
            case CodeLine(text, goes_on):
                lines = leaves[-1][3]
                lines[len(lines) - joined :] = [lines[-1] + text if joined else text]
                joined = goes_on
            case Table(_, columns, header):
                leaves.append(("table", containers(piece), list(columns), [list(header)]))
            case Row(cells):
                leaves[-1][3].append(list(cells))
            case Rule() | Blank():
                leaves.append((type(piece).__name__.lower(), containers(piece)))
            case End():
                assert leaves[-1][0] in {"code", "table"}
            case Verbatim():
                raise AssertionError("only `open` gives a literal")
    return _ranked(leaves)


def _oracle() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 1000})
    parser.enable(["table", "strikethrough"]).block.ruler.disable("reference")
    return parser


ORACLE = _oracle()


def leaves_of_markdown_it(text: str) -> list[Leaf]:
    leaves: list[Leaf] = []
    containers: list[tuple[str, int]] = []
    numbers: list[list[str]] = []  # of the items, as they are written, of each open list
    begun: list[int] = []  # leaves before each open item
    tokens = ORACLE.parse(text if text.endswith("\n") else text + "\n")
    for at, token in enumerate(tokens):
        where = tuple(containers)
        content = tokens[at + 1].content if at + 1 < len(tokens) else ""
        match token.type:
            case "blockquote_open":
                containers.append((">", at))
            case "blockquote_close":
                containers.pop()
            case "ordered_list_open" | "bullet_list_open":
                numbers.append([])
            case "ordered_list_close" | "bullet_list_close":
                numbers.pop()
            case "list_item_open":
                numbers[-1].append(token.info)
                containers.append(
                    (_number_of(numbers[-1]) + token.markup if token.info else "-", at)
                )
                begun.append(len(leaves))
            case "list_item_close":
                if begun.pop() == len(leaves):
                    leaves.append(("blank", where))
                containers.pop()
            case "paragraph_open":
                leaves.append(("paragraph", where, _lines(content)))
            case "heading_open":
                leaves.append(("heading", where, int(token.tag[1]), _lines(content)))
            case "hr":
                leaves.append(("rule", where))
            case "fence" | "code_block":
                leaves.append(("code", where, token.info.strip(), _code_of(token)))
            case "table_open":
                leaves.append(("table", where, [], []))
            case "tr_open":
                leaves[-1][3].append([])
            case "th_open" | "td_open":
                leaves[-1][3][-1].append(content)
                if token.type == "th_open":
                    style = str(token.attrs.get("style", ":default"))
                    leaves[-1][2].append(style.split(":")[1])
    return _ranked(leaves)


def _code_of(token: Token) -> list[str]:
    lines = token.content.split("\n")[:-1]
    if token.type == "code_block":
        return [line if line.strip(" \t") else "" for line in lines]
    return lines


def _number_of(written: list[str]) -> str:
    """What the last item of a list is numbered, if those are the numbers of all of them."""
    first, *others = map(int, written)
    counts = others[:1] == [first]
    number = first + len(others) if counts else int(written[-1])
    return str(number).rjust(len(written[-1]), "0")


_IN_CONTAINER = re.compile(r"[ \t]*(?:>|[-+*]|[0-9]{1,9}[.)])")
_LIKE_CODE = re.compile(r"[ >]*(?: {4}| {0,3}\t)[ \t]*[^ \tw<\[]")
_DELIMITERS = re.compile(r"[ \t>]*[-|:][-|: \t]*$")


def is_misread(text: str) -> bool:
    """Whether markdown-it may read it otherwise than cmark, which reads it as we do: see CMARK."""
    contained, before = False, ""
    for line in text.split("\n"):
        if "\t" in line.partition(">")[2]:
            return True  # it counts wrong columns
        if contained and _LIKE_CODE.match(line):
            return True  # it does not see that markup which is indented like code is lazy
        if contained and "|" in before and _DELIMITERS.match(line):
            return True  # it takes the marker of the container for a part of the header
        contained = bool(line.strip(" \t")) and (contained or bool(_IN_CONTAINER.match(line)))
        before = line
    return False


# Where we differ from both, on purpose: what a row has too much.
_TOO_MUCH = re.compile(r"w\d+\.\|w\d+\.\|w\d+\.")


def fed(parts: list[str]) -> list[Piece]:
    blocks = Blocks()
    pieces: list[Piece] = []
    for part in parts:
        pieces += blocks.feed(part)
    return _joined(pieces + blocks.finish())


def _joined(pieces: list[Piece]) -> list[Piece]:
    """The parts of an endless line of code, as they come, are one line."""
    out: list[Piece] = []
    for piece in pieces:
        before = out[-1] if out else None
        if isinstance(piece, CodeLine) and isinstance(before, CodeLine) and before.joined:
            out[-1] = CodeLine(before.text + piece.text, piece.joined)
        else:
            out.append(piece)
    return out


# ---- what is said is what CommonMark says


@settings(max_examples=examples(500))
@given(numbered)
def test_the_pieces_are_those_of_the_oracle(text: str) -> None:
    if not is_misread(text) and not _TOO_MUCH.search(text):
        assert leaves_of(fed([text])) == leaves_of_markdown_it(text)


SPEC = {
    "tabs": """
        →foo→baz→→bim  ··→foo→baz→→bim  ····a→a↵····ὐ→a  ··-·foo↵↵→bar  -·foo↵↵→→bar  >→→foo
        -→→foo  ····foo↵→bar  #→Foo  *→*→*→  ·-·foo↵···-·bar↵→·-·baz  1.→foo↵↵→bar  ```↵→foo↵```
        -·```↵→→foo
    """,
    "precedence": """
        -·`one↵-·two`
    """,
    "thematic breaks": """
        ***↵---↵___  +++  ===  --↵**↵__  ·***↵··***↵···***  ····***  Foo↵····***
        _____________________________________  ·-·-·-  -·····-······-  ·**··*·**·*·**·*·**
        -·-·-·-····  _·_·_·_·a↵↵a------↵↵---a---  ·*-*  -·foo↵***↵-·bar  Foo↵***↵bar  Foo↵---↵bar
        *·Foo↵*·*·*↵*·Bar  -·Foo↵-·*·*·*
    """,
    "headings": r"""
        #·foo↵##·foo↵###·foo↵####·foo↵#####·foo↵######·foo  #######·foo  #5·bolt  #hashtag
        \##·foo  #·foo·*bar*·\*baz\*  #··················foo·······  ·###·foo↵··##·foo↵···#·foo
        ····#·foo  foo↵····#·bar  ##·foo·##↵··###···bar····###
        #·foo·##################################↵#####·foo·##  ###·foo·###·····  ###·foo·###·b
        #·foo#  ###·foo·\###↵##·foo·#\##↵#·foo·\#  ****↵##·foo↵****  Foo·bar↵#·baz↵Bar·foo
        ##·↵#↵###·###  #→foo→#→
    """,
    "setext headings": r"""
        Foo·*bar*↵=========↵↵Foo·*bar*↵---------  Foo·*bar↵baz*↵====  Foo↵-------------
        ··Foo·*bar↵baz*→↵====  Foo↵=  ···Foo↵---↵↵··Foo↵-----↵↵··Foo↵··===
        ····Foo↵····---↵↵····Foo↵---  Foo↵···----······  Foo↵····---  Foo↵=·=↵↵Foo↵---·-
        Foo··↵-----  Foo\↵----  `Foo↵----↵`  >·Foo↵---  >·foo↵bar↵===  -·Foo↵---  Foo↵Bar↵---
        ---↵Foo↵---↵Bar↵---↵Baz  ↵====  ---↵---  -·foo↵-----  ····foo↵---  >·foo↵-----
        \>·foo↵------  Foo↵↵bar↵---↵baz  Foo↵bar↵↵---↵↵baz  Foo↵bar↵↵*·*·*↵↵baz  Foo↵bar↵\---↵baz
        -·Foo↵··===  1.·a↵···b↵···---
    """,
    "indented code": """
        ····a·simple↵······indented·code·block  ··-·foo↵↵····bar  1.··foo↵↵····-·bar
        ····<a/>↵····*hi*↵↵····-·one  ····chunk1↵↵····chunk2↵··↵·↵·↵····chunk3
        ····chunk1↵······↵······chunk2  Foo↵····bar  ····foo↵bar  ········foo↵····bar
        #·Heading↵····foo↵Heading↵------↵····foo↵----  ↵····↵····foo↵····↵  ····foo··
    """,
    "fences": """
        ```↵<↵·>↵```  ~~~↵<↵·>↵~~~  ``↵foo↵``  ```↵aaa↵~~~↵```  ~~~↵aaa↵```↵~~~
        ````↵aaa↵```↵``````  ~~~~↵aaa↵~~~↵~~~~  ```  `````↵↵```↵aaa  >·```↵>·aaa↵↵bbb  ```↵↵··↵```
        ```↵```  ·```↵·aaa↵aaa↵```  ··```↵aaa↵··aaa↵aaa↵··```  ···```↵···aaa↵····aaa↵··aaa↵···```
        ····```↵····aaa↵····```  ```↵aaa↵··```  ···```↵aaa↵··```  ```↵aaa↵····```  ```·```↵aaa
        ~~~~~~↵aaa↵~~~·~~  foo↵```↵bar↵```↵baz  foo↵---↵~~~↵bar↵~~~↵#·baz
        ```ruby↵def·foo(x)↵··return·3↵end↵```  ````;↵````
        ~~~~····ruby·startline=3·$%@#$↵def↵~~~~~~~  ```·aa·```↵foo  ~~~·aa·```·~~~↵foo↵~~~
        ```↵```·aaa↵```  -·```↵··a↵·b  -·```↵··a↵↵··b↵··```↵··c  >·```↵b  1.·~~~↵↵···~~~
    """,
    "paragraphs": r"""
        aaa↵↵bbb  aaa↵bbb↵↵ccc↵ddd  aaa↵↵↵bbb  ··aaa↵·bbb  aaa↵·············bbb  ···aaa↵bbb
        ····aaa↵bbb  aaa·····↵bbb·····  ··↵↵aaa↵··↵↵#·aaa↵↵··  [foo]:·/url↵↵[foo]  <div>↵*hello*↵
        foo\↵bar  foo··↵·····bar
    """,
    "tables": r"""
        |·foo·|·bar·|↵|·---·|·---·|↵|·baz·|·bim·|  |·abc·|·defghi·|↵:-:·|·-----------:↵bar·|·baz
        |·f\|oo··|↵|·------·|↵|·b·`\|`·az·|↵|·b·**\|**·im·|  |a|b|↵|-|-|↵|c|d|↵>·bar
        |·abc·|·def·|↵|·---·|·---·|↵|·bar·|·baz·|↵bar↵↵bar  |·abc·|·def·|↵|·---·|↵|·bar·|
        |·abc·|·def·|↵|·---·|·---·|↵|·bar·|  |·abc·|·def·|↵|·---·|·---·|  text↵|a|b|↵|-|-|↵|c|
        -·|a|b|↵··|-|-|↵··|c|d|↵↵··e  >·|a|b|↵>·|-|-|↵>·|c|d|↵e  |a|↵|-|↵····b  |a|↵····|-|
        |a|b|↵|-|-|↵#·c  |a|b|↵|-|-|↵-·c  |a|b|↵|-|-|↵```↵c↵```  |a|b|↵|-|-|↵---  a·|·b↵-·|·-↵
        a↵-|-  a|b↵--  a|↵--  |↵|-  ||↵|-|  |a|b|↵|-|-|↵|·|x|·↵|  |a|↵|:|
        a↵····b|c↵-|-  a↵···b|c↵-|-
    """,
    "quotes": """
        >·#·Foo↵>·bar↵>·baz  >#·Foo↵>bar↵>·baz  ···>·#·Foo↵···>·bar↵·>·baz  ····>·#·Foo
        >·#·Foo↵>·bar↵baz  >·bar↵baz↵>·foo  >·foo↵---  >·-·foo↵-·bar  >·····foo↵····bar
        >·```↵foo↵```  >·foo↵····-·bar  >  >↵>··↵>·  >↵>·foo↵>··  >·foo↵↵>·bar  >·foo↵>·bar
        >·foo↵>↵>·bar  foo↵>·bar  >·aaa↵***↵>·bbb  >·bar↵baz  >·bar↵↵baz  >·bar↵>↵baz
        >·>·>·foo↵bar  >>>·foo↵>·bar↵>>baz  >·····code↵↵>····not·code  >·a↵>·↵>·b↵↵↵>·c
    """,
    "items": """
        A·paragraph↵with·two·lines.↵↵····indented·code↵↵>·A·block·quote.  -·one↵↵·two
        1.··A·paragraph↵····with·two·lines.↵↵········code↵↵····>·quote  -·one↵↵··two
        ·-····one↵↵·····two  ·-····one↵↵······two  ···>·>·1.··one↵>>↵>>·····two
        >>-·one↵>>↵··>··>·two  -one↵↵2.two  -·foo↵↵↵··bar
        1.··foo↵↵····```↵····bar↵····```↵↵····baz↵↵····>·bam  -·Foo↵↵······bar↵↵↵······baz
        123456789.·ok  1234567890.·not·ok  0.·ok  003.·ok  -1.·no  -·foo↵↵······bar
        ··10.··foo↵↵···········bar  1.·····code↵↵···paragraph↵↵·······more
        1.······code↵↵···paragraph  ···foo↵↵bar  -····foo↵↵··bar  -··foo↵↵···bar
        -↵··foo↵-↵··```↵··bar↵··```↵-↵······baz  -···↵··foo  -↵↵··foo  -·foo↵-↵-·bar
        -·foo↵-···↵-·bar  1.·foo↵2.↵3.·bar  *  foo↵*↵↵foo↵1.  -·>↵↵↵··foo  -·>·a↵↵··b
        ·1.··A↵·····with↵↵·········code↵↵·····>·q  ····1.··A↵········with
        ··1.··A↵with·two↵lines.↵↵··········code  ··1.··A↵····with
        >·1.·>·Blockquote↵continued·here.  >·1.·>·Blockquote↵>·continued·here.
        -·foo↵··-·bar↵····-·baz↵······-·boo  -·foo↵·-·bar↵··-·baz↵···-·boo  10)·foo↵····-·bar
        10)·foo↵···-·bar  -·-·foo  1.·-·2.·foo  -·#·Foo↵-·Bar↵··---↵··baz  -·a↵···b↵······c
        -·-↵··b
    """,
    "lists": """
        -·foo↵-·bar↵+·baz  1.·foo↵2.·bar↵3)·baz  Foo↵-·bar↵-·baz  The·number·of↵14.··doors
        The·number·of↵1.··doors  -·foo↵↵-·bar↵↵↵-·baz  -·foo↵··-·bar↵····-·baz↵↵↵······bim
        -·foo↵-·bar↵↵<!--·-->↵↵-·baz  -···foo↵↵····notcode↵↵-···foo↵↵<!--·-->↵↵····code
        -·a↵·-·b↵··-·c↵···-·d↵··-·e↵·-·f↵-·g  1.·a↵↵··2.·b↵↵···3.·c  -·a↵·-·b↵··-·c↵···-·d↵····-·e
        1.·a↵↵··2.·b↵↵····3.·c  -·a↵-·b↵↵-·c  *·a↵*↵↵*·c  -·a↵-·b↵↵··c↵-·d
        -·a↵-·```↵··b↵↵↵··```↵-·c  -·a↵··-·b↵↵····c↵-·d  *·a↵··>·b↵··>↵*·c
        -·a↵··>·b↵··```↵··c↵··```↵-·d  -·a  -·a↵··-·b  1.·```↵···foo↵···```↵↵···bar
        *·foo↵··*·bar↵↵··baz  -·a↵··-·b↵··-·c↵↵-·d↵··-·e↵··-·f  3.·a↵7.·b↵↵···c↵1.·d
        1.·a↵↵text↵↵2.·b  1.·a↵>·q↵2.·b  >·6.·a↵↵6.·b  >·6.·a↵6.·b  1.·a↵··-·b↵2.·c  01.·a↵02.·b
        a↵01.·b  a↵2.·b  >·a↵2.·b  -·a↵2.·b  -·a↵↵↵↵··b  1.·a↵1.·b↵1)·c↵1.·d
    """,
}
"""Examples of the specification, with white space made visible; every section of blocks."""

_INVISIBLE = str.maketrans("·↵→", " \n\t")


@pytest.mark.parametrize(
    "shown",
    [pytest.param(text, id=f"{name}: {text}") for name in SPEC for text in SPEC[name].split()],
)
def test_the_examples_of_the_specification(shown: str) -> None:
    text = shown.translate(_INVISIBLE)
    assert leaves_of(fed([text])) == leaves_of_markdown_it(text)


CMARK: dict[str, list[Leaf]] = {
    ">\n    >": [("code", (), "", [">"])],
    ">\n\t>": [("code", (), "", [">"])],
    ">>\t\tw": [("code", ((">", 0), (">", 1)), "", [" w"])],
    ">>> \t#": [("code", ((">", 0), (">", 1), (">", 2)), "", ["#"])],
    ">\t>\t- w": [("paragraph", ((">", 0), (">", 1), ("-", 2)), "w")],
    ">>1.\t :": [("code", ((">", 0), (">", 1), ("1.", 2)), "", [":"])],
    ">>w\n\t~~~": [("paragraph", ((">", 0), (">", 1)), "w\n~~~")],
    ">>w\n    2.": [("paragraph", ((">", 0), (">", 1)), "w\n2.")],
    "-    w\n\t>": [("paragraph", (("-", 0),), "w\n>")],
    "1.   - w\n\t+": [("paragraph", (("1.", 0), ("-", 1)), "w\n+")],
    "986. =\n\t#": [("paragraph", (("986.", 0),), "=\n#")],
    "1. |\n-|": [("paragraph", (("1.", 0),), "|\n-|")],
    "2. |-\n-|-": [("paragraph", (("2.", 0),), "|-\n-|-")],
    ">|\n--": [("paragraph", ((">", 0),), "|\n--")],
    "- x\n-||\n  -|-": [
        ("paragraph", (("-", 0),), "x"),
        ("table", (("-", 0),), ["default"] * 2, [["-", ""]]),
    ],
}
"""Texts that markdown-it misreads, as cmark-gfm 0.29.0.gfm.13 reads them."""


@pytest.mark.parametrize(("text", "leaves"), CMARK.items(), ids=map(repr, CMARK))
def test_the_reference_decides_where_the_oracle_errs(text: str, leaves: list[Leaf]) -> None:
    assert leaves_of_markdown_it(text) != leaves
    assert is_misread(text)
    assert leaves_of(fed([text])) == leaves


def test_only_ascii_digits_number_an_item() -> None:
    assert leaves_of(fed(["\u0663. three"])) == [("paragraph", (), "\u0663. three")]


def test_what_a_row_has_too_much_stands_in_its_last_cell() -> None:
    pieces = fed(["a|b\n-|-\n1|2|3||5\n1|\n"])
    assert [piece.cells for piece in pieces if isinstance(piece, Row)] == [
        ("1", "2 | 3 |  | 5"),
        ("1", ""),
    ]


def test_within_the_deepest_container_a_marker_is_text() -> None:
    for marker in ("> ", "1. "):
        first, *_ = fed([marker * (MAX_CONTAINERS + 2) + "a\n"])
        assert isinstance(first, Paragraph)
        assert len(first.where.containers) == MAX_CONTAINERS
        assert first.text == marker * 2 + "a"


def test_a_line_in_the_deepest_container_belongs_to_it() -> None:
    first, second, *_ = fed([(">" * 500 + " a\n") * 2 + "\n" + ">" * MAX_CONTAINERS + "# b\n"])
    assert isinstance(first, Paragraph)
    assert first.text.split() == [">" * (500 - MAX_CONTAINERS), "a"] * 2
    assert isinstance(second, Heading)


# ---- where a piece stands


@given(numbered)
def test_a_container_is_fresh_once(text: str) -> None:
    seen: set[Container] = set()
    for piece in fed([text]):
        if isinstance(piece, Standing):
            containers, fresh, _ = piece.where
            assert seen.issuperset(containers[:fresh])
            assert seen.isdisjoint(containers[fresh:])
            seen.update(containers)
    assert len({container.number for container in seen}) == len(seen)


@pytest.mark.parametrize(
    ("text", "gaps"),
    [
        ("a\nb", [False]),
        ("a\n\nb", [False, True]),
        ("a\n \t\nb\n# c", [False, True, False]),
        ("- a\n- b", [False, False]),
        ("- a\n\n- b\n- c", [False, True, False]),
        ("-\n  a\n-\n- b", [False, False, False]),
        ("-\n\n  a", [False, True]),
        ("> a\n>\n> b", [False, True]),
        (">\n> a", [False]),
        ("> a\n>\nb", [False, True]),
        ("```\n\n```\na", [False, False]),
        ("```\n```\n\na", [False, True]),
        ("    a\n\nb", [False, True]),
        ("    a\n\n    b\nc", [False, False]),
        ("|a|\n|-|\n\nb", [False, True]),
        ("a\n\nb|c\n-|-", [False, True]),
        ("a\n\nb\n===", [False, True]),
        ("a\n\nb\nc|d\n-|-", [False, True, False]),
    ],
)
def test_a_gap_is_told_with_the_piece_after_it(text: str, gaps: list[bool]) -> None:
    wheres = [piece.where for piece in fed([text]) if isinstance(piece, Standing)]
    assert [where.gap for where in wheres] == gaps


@pytest.mark.parametrize(
    ("text", "offsets"),
    [
        ("- a", [2]),
        (" -  a", [4]),
        ("-     code", [2]),
        ("-", [2]),
        ("12)    a", [7]),
        ("-\ta", [4]),
        ("> 1. - a", [3, 2]),
    ],
)
def test_the_offset_of_an_item_is_where_its_content_begins(text: str, offsets: list[int]) -> None:
    (piece, *_) = fed([text])
    assert isinstance(piece, Paragraph | Code | Blank)
    assert [one.offset for one in piece.where.containers if isinstance(one, Item)] == offsets


# ---- how it was cut does not matter

LONG = [
    *("x" * 5000, "word " * 1000, "a b" * 1700, " " * 2500, "-" * 2500, "- " * 1200, "`" * 2200),
    *("# " + "h " * 1500, "| a " * 700, "|---" * 700, "> " * 1100, "=" * 2100, "\t" * 2100),
    *(
        "x" * (MAX_PARAGRAPH_CHARACTERS - 1),
        "x" * MAX_PARAGRAPH_CHARACTERS,
        "x" * (MAX_PARAGRAPH_CHARACTERS + 1),
        "x" * (MAX_PARAGRAPH_CHARACTERS - 2) + "  y",
    ),
    *("- " + "item " * 600, "1. " + "x" * 2500, "    " + "code " * 600, "```" + "info" * 600),
    *("#" * (MAX_LINE_CHARACTERS + 9), "| x " * 5000, " " * (MAX_LINE_CHARACTERS + 9) + "x"),
    *("[a](b) **c** " * 400, "\u65e5\u672c" * 1500),
]

long_documents = st.lists(
    st.builds(
        "".join,
        st.lists(st.sampled_from(PREFIXES + CONTENTS + LONG), min_size=1, max_size=3),
    ),
    max_size=6,
).map("\n".join)


@settings(max_examples=examples(150))
@given(numbered, st.integers(1, 7))
@example("- x\n* a | b\n--- | ---\n", 1)
def test_the_pieces_do_not_depend_on_the_cuts(text: str, step: int) -> None:
    whole = fed([text])
    assert fed(list(text)) == whole
    assert fed(text.splitlines(keepends=True)) == whole
    assert fed([text[at : at + step] for at in range(0, len(text), step)]) == whole


@settings(max_examples=examples(60))
@given(long_documents, st.data())
def test_the_pieces_of_long_lines_do_not_depend_on_the_cuts(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    whole = fed([text])
    assert fed([text[a:b] for a, b in pairwise([0, *cuts, len(text)])]) == whole
    assert fed([text[at : at + 700] for at in range(0, len(text), 700)]) == whole


@pytest.mark.parametrize("line", LONG, ids=lambda line: f"{line[:10]!r}-{len(line)}")
@pytest.mark.parametrize("before", ["", "> ", "```\n", "a|b\n", "a|b\n-|-\n", "- a\n\n      b\n  "])
def test_a_long_line_fed_by_character_is_the_line_fed_whole(line: str, before: str) -> None:
    assert fed(list(before + line + "\nend")) == fed([before + line + "\nend"])


@pytest.mark.parametrize(
    "text",
    [
        "word " * 1000,
        "x" * 5000,
        "- " + "word " * 1000 + "\n- b",
        "> " + "word " * 1000 + "\n" + "lazy " * 700,
        "line of words\n" * 400,
        "# " + "word " * 1000 + "\nb",
        "a|b\n-|-\n" + "word " * 1000 + "|b\nc|d",
        "```" + "info" * 600 + "\na\n```\nb",
        "```\na\n" + "`" * 2500 + "\nb",
        "    a\n" + " " * 2500 + "\n\nb",
        "```\n" + "x" * 5000 + "\n" + "word " * 1000 + "\n```\nb",
        "    " + "x" * 5000 + "\n\n    b\nc",
        "a" * 1999 + "  b\nc  \nd" + "e " * 1500 + "\nf",
        "1. a\n   " + "b" * 3000 + "\n2. c",
    ],
    ids=lambda text: f"{text[:12]!r}-{len(text)}",
)
def test_a_long_text_says_what_a_short_one_would(text: str) -> None:
    assert leaves_of(fed([text])) == leaves_of_markdown_it(text)


@pytest.mark.parametrize(("line", "kinds"), [("===", []), ("---", [Rule]), ("-|-", [])])
def test_a_paragraph_of_which_a_part_is_handed_out_stays_one(
    line: str, kinds: list[type[Piece]]
) -> None:
    text = "word " * 500 + "a|b"
    first, *others = fed([f"{text}\n{line}"])
    assert isinstance(first, Paragraph)
    assert [type(piece) for piece in others] == [Paragraph, *kinds]


def test_what_follows_a_line_that_is_too_long_is_text() -> None:
    blocks = Blocks()
    pieces = blocks.feed("# " + "x" * MAX_LINE_CHARACTERS)
    assert [type(piece) for piece in pieces] == [Heading]
    assert [type(piece) for piece in blocks.feed("y" * MAX_PARAGRAPH_CHARACTERS)] == [Paragraph]


def test_a_long_paragraph_is_handed_out_while_it_is_written() -> None:
    blocks = Blocks()
    held = 0
    for _ in range(3000):
        held += 5 - sum(len(p.text) for p in blocks.feed("word ") if isinstance(p, Paragraph))
        assert held <= MAX_PARAGRAPH_CHARACTERS + 5


def test_a_long_line_of_code_is_handed_out_while_it_is_written() -> None:
    blocks = Blocks()
    blocks.feed("```\n" + "x" * MAX_PARAGRAPH_CHARACTERS + "x")
    assert blocks.feed("y") == [CodeLine("y", joined=True)]
    assert blocks.feed("z\n") == [CodeLine("z", joined=True), CodeLine("")]


@settings(max_examples=examples(200))
@given(numbered)
def test_every_word_is_in_one_piece(text: str) -> None:
    assert _words_of(fed([text])) == words(text)


@settings(max_examples=examples(40))
@given(st.lists(st.sampled_from([*PREFIXES, *CONTENTS, "w " * 700, "w" * 1200, "|w" * 900])))
def test_every_word_of_a_long_line_is_in_one_piece(fragments: list[str]) -> None:
    text = _numbered("".join(fragments))
    found = "".join(" ".join(_texts([piece])) for piece in fed([text]))
    assert words(found) == words(text)


def _texts(pieces: list[Piece]) -> Iterator[str]:
    for piece in pieces:
        match piece:
            case Paragraph(text=text) | Heading(text=text) | CodeLine(text=text) | Verbatim(text):
                yield text
            case Code(info=text):
                yield text
            case Table(header=cells) | Row(cells):
                yield from cells


def _words_of(pieces: list[Piece]) -> list[str]:
    return words(" ".join(_texts(pieces)))


# ---- as early as can be

EARLY: list[tuple[str, list[type[Piece]]]] = [
    ("one\n", []),
    ("one\n\n", [Paragraph]),
    ("one\n# two", []),
    ("one\n# two\n", [Paragraph, Heading]),
    ("one\n===\n", [Heading]),
    ("```\n", [Code]),
    ("```\na\n", [Code, CodeLine]),
    ("```\na\n```\n", [Code, CodeLine, End]),
    ("    a\n", [Code, CodeLine]),
    ("    a\n\n", [Code, CodeLine]),
    ("    a\n\n    b\n", [Code, CodeLine, CodeLine, CodeLine]),
    ("a\nb|c\n", []),
    ("a\nb|c\n-|-\n", [Paragraph, Table]),
    ("b|c\n-|-\nd\n", [Table, Row]),
    ("a\n$$\n", [Paragraph, Formula]),
    ("$$\na\n", [Formula, Formula]),
    ("$$ a $$\n", [Formula]),
    ("a $$\n- b\n", []),
    ("b|c\n-|-\n\n", [Table, End]),
    ("- a\n", []),
    ("- a\n-\n", [Paragraph]),
    ("- a\n-\n-\n", [Paragraph, Blank]),
    ("- a\n-\n\n", [Paragraph, Blank]),
    ("> a\n>\n", [Paragraph]),
    ("***\n", [Rule]),
]


@pytest.mark.parametrize(("text", "kinds"), EARLY)
def test_a_piece_is_handed_out_when_nothing_can_change_it(
    text: str, kinds: list[type[Piece]]
) -> None:
    assert [type(piece) for piece in Blocks().feed(text)] == kinds


@settings(max_examples=examples(100))
@given(numbered, numbered)
def test_what_was_handed_out_does_not_depend_on_what_comes(text: str, more: str) -> None:
    blocks = Blocks()
    early = blocks.feed(text)
    assert fed([text + more])[: len(early)] == early


# ---- the view of what is open


@settings(max_examples=examples(100))
@given(numbered)
def test_open_shows_every_word_of_any_beginning_and_changes_nothing(text: str) -> None:
    blocks = Blocks()
    out: list[Piece] = []
    for at, character in enumerate(text):
        out += blocks.feed(character)
        view = blocks.open()
        assert view == blocks.open()
        assert _words_of(out + view) == words(text[: at + 1])
    assert _joined(out + blocks.finish()) == fed([text])


@settings(max_examples=examples(15))
@given(long_documents)
def test_open_changes_nothing_of_long_lines(text: str) -> None:
    blocks = Blocks()
    out: list[Piece] = []
    for at in range(0, len(text), 97):
        out += blocks.feed(text[at : at + 97])
        blocks.open()
    assert _joined(out + blocks.finish()) == fed([text])


@given(numbered)
def test_open_is_what_finish_gives_after_a_whole_line(text: str) -> None:
    ended = text + "\n"
    viewed, finished = Blocks(), Blocks()
    viewed.feed(ended)
    finished.feed(ended)
    assert viewed.open() == finished.finish()


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("a", [Paragraph]),
        ("a\n", [Paragraph]),
        ("a\n-", [Paragraph, Verbatim]),
        ("a\n==", [Paragraph, Verbatim]),
        ("#", [Verbatim]),
        ("# a", [Heading]),
        ("12", [Verbatim]),
        ("12.", [Verbatim]),
        ("12. a", [Paragraph]),
        ("> ", []),
        ("> -", [Verbatim]),
        ("``", [Verbatim]),
        ("```py", [Code, End]),
        ("```\na", [CodeLine, End]),
        ("```\na\n``", [End]),
        ("```\n`a", [CodeLine, End]),
        ("a|b\n-|", [Paragraph, Verbatim]),
        ("a|b\n-|-\nc|", [Row, End]),
        ("$", [Paragraph]),
        ("$$", [Formula]),
        ("$$\n-", [Formula]),
        ("a $$\n-", [Paragraph]),
        ("a\n\\[", [Paragraph, Formula]),
        ("- a\n- ", [Paragraph, Verbatim]),
    ],
)
def test_half_a_line_is_shown_as_what_it_most_likely_becomes(
    text: str, kinds: list[type[Piece]]
) -> None:
    blocks = Blocks()
    blocks.feed(text)
    assert [type(piece) for piece in blocks.open()] == kinds


# ---- where a note may stand


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", True),
        ("a", True),
        ("a\nb", True),
        ("- a\n", True),
        ("word " * 300, True),
        ("word " * 500, False),
        ("word " * 500 + "\n\n", True),
        ("line of words\n" * 400, False),
        ("```\n", False),
        ("```\na\n```", False),
        ("```\na\n```\n", True),
        ("    a\n\n", False),
        ("    a\n\nb", False),
        ("    a\n\nb\n", True),
        ("a|b\n", True),
        ("a|b\n-|-\n", False),
        ("a|b\n-|-\n\n", True),
        ("> ```\n", False),
        ("> ```\nb\n", True),
        ("$$\n", False),
        ("$$\na\n$$\n", True),
        ("$$ a $$\n", True),
        ("a $$\nb\n", True),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_it_is_whole_where_a_note_tears_nothing_apart(text: str, whole: bool) -> None:
    blocks = Blocks()
    blocks.feed(text)
    assert blocks.is_whole == whole


@given(numbered)
def test_what_comes_where_it_is_whole_begins_something(text: str) -> None:
    blocks = Blocks()
    for character in text:
        whole = blocks.is_whole
        for piece in blocks.feed(character)[:1]:
            assert not whole or not isinstance(piece, CodeLine | Row | End)


@given(st.integers(0, 3000), st.sampled_from(["word ", "x", "a\n", "word word\n"]))
def test_it_is_not_whole_within_a_line_of_a_long_paragraph(length: int, unit: str) -> None:
    blocks = Blocks()
    out = blocks.feed("y" * 2500 + (unit * length)[:length])
    last = out[-1]
    assert isinstance(last, Paragraph)
    assert blocks.is_whole == (not last.joined)


def test_it_can_be_used_again_after_finish() -> None:
    blocks = Blocks()
    for text in ("1. a\n\n", "```\nb", "-", "c" * 5000, "|a|\n|-|", ""):
        assert _joined(blocks.feed(text) + blocks.finish())[1:] == fed([text])[1:]
        assert blocks.is_whole
        assert blocks.open() == blocks.finish() == []


def test_after_finish_a_list_counts_anew_and_nothing_is_before_it() -> None:
    blocks = Blocks()
    blocks.feed("1. a\n\n")
    blocks.finish()
    blocks.feed("1. b")
    (piece,) = blocks.finish()
    assert isinstance(piece, Paragraph)
    assert [one.marker for one in piece.where.containers if isinstance(one, Item)] == ["1."]
    assert not piece.where.gap


# ---- the cost


def work(run: Callable[[], object]) -> int:
    """The lines of our code that are executed, and the characters that its functions are given."""
    files = {it.__file__ for it in (scan, tex, paragraphs, sys.modules[Blocks.__module__])}
    done = 0

    def count(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal done
        if frame.f_code.co_filename not in files:
            return None
        if event == "call":
            done += sum(len(value) for value in frame.f_locals.values() if isinstance(value, str))
        done += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        run()
    finally:
        sys.settrace(before)
    return done


def feed(text: str, step: int = 5) -> Callable[[], object]:
    def run() -> None:
        blocks = Blocks()
        for at in range(0, len(text), step):
            blocks.feed(text[at : at + step])
        blocks.finish()

    return run


GROWING: dict[str, Callable[[int], str]] = {
    "fence": lambda n: "```\n" + "    return value\n" * n,
    "list": lambda n: "- item of a list\n" * n,
    "loose list": lambda n: "1. item\n\n   more\n\n" * n,
    "nested list": lambda n: "- item\n  - nested\n    - deeper\n" * n,
    "table": lambda n: "a|b\n-|-\n" + "one | two\n" * n,
    "paragraph": lambda n: "some words " * n,
    "paragraph of lines": lambda n: "some words\n" * n,
    "no spaces": lambda n: "x" * 40 * n,
    "marks that never close": lambda n: "(`* " * 9 * n,
    "quotes in quotes": lambda n: ">" * n + " x\n" + ">" * n,
    "items in items": lambda n: "1. " * n + "x\n",
    "code without end": lambda n: "```\n" + "x" * 40 * n,
    "empty lines": lambda n: "\n" * n,
    "empty lines of indented code": lambda n: "    a\n" + "\n" * n + "    b",
    "white space": lambda n: " " * 40 * n + "x",
    "tabs": lambda n: "> " + "\t" * 40 * n + "x",
    "pipes": lambda n: "a|b\n" + "|" * 40 * n,
    "rows of pipes": lambda n: "a|b\n" + "|\n" * n,
    "delimiters": lambda n: "a|b\n" + "|-" * 20 * n,
    "escaped pipes": lambda n: "a|b\n-|-\n" + "\\|" * 20 * n,
    "heading of white space": lambda n: "#" + " " * 40 * n + "#",
    "number signs": lambda n: "#" * 40 * n,
    "a rule or not": lambda n: "* " * 20 * n + "x",
    "an underline or not": lambda n: "a\n" + "=" * 40 * n + "x",
    "a fence or not": lambda n: "`" * 40 * n + "x`",
    "lines of a formula": lambda n: "$$\n" + "x + y\n" * n,
    "formulas": lambda n: "$$\nx\n$$\n\\[ y \\]\n" * n,
    "an endless formula": lambda n: "$$ " + "x + " * 10 * n,
    "a formula without end in a paragraph": lambda n: "a \\(\n" + "x + y\n" * n,
    "formulas without end": lambda n: "\\(\\[ $$a $b `" * 9 * n,
    "formulas in a paragraph": lambda n: "a $x$ \\(y\\) " * n,
    "dollars": lambda n: "$5 and " * n,
    "delimiters after delimiters": lambda n: "a|b\n" + "|-\n" * n,
}


@pytest.mark.parametrize("kind", sampled(list(GROWING), 15, "twice"))
def test_twice_the_text_is_twice_the_work(kind: str) -> None:
    text = GROWING[kind]
    # Past MAX_LINE_CHARACTERS, where what is held of a line stops growing.
    once, twice = work(feed(text(450), 40)), work(feed(text(900), 40))
    assert twice < 2.3 * once


@pytest.mark.parametrize("text", GROWING.values(), ids=GROWING)
def test_the_view_of_what_is_open_costs_no_more_after_a_longer_text(
    text: Callable[[int], str],
) -> None:
    def cost(n: int) -> int:
        blocks = Blocks()
        blocks.feed(text(n))
        return work(blocks.open)

    assert cost(4000) < cost(450) + 10 * MAX_LINE_CHARACTERS


@pytest.mark.parametrize(
    ("text", "markers"),
    [
        ("- [ ] a\n- [x] b\n  - [X] c\n- d", ["☐", "☑", "☑", "-"]),
        ("1. [ ] a\n2. [x] b", ["1. ☐", "2. ☑"]),
        ("-\n  [x] a", ["☑"]),
        ("- [ ] a\n\n  [x] b", ["☐", "☐"]),
        ("- [x]", ["-"]),
        ("- a\n  [x] b", ["-"]),
        ("- # [x] b", ["-"]),
        ("- > [x] b", ["-"]),
    ],
)
def test_the_box_of_a_task_is_the_marker_of_its_item(text: str, markers: list[str]) -> None:
    for cut in range(len(text) + 1):
        blocks = Blocks()
        pieces = [*blocks.feed(text[:cut]), *blocks.feed(text[cut:]), *blocks.finish()]
        items = [
            [one for one in piece.where.containers if isinstance(one, Item)][-1]
            for piece in pieces
            if isinstance(piece, Paragraph | Heading)
        ]
        assert [item.marker for item in items] == markers
