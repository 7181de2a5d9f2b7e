"""Claimed: every code block of an answer is found, and its code is exactly what stands in it."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatstream.sinks.codeblocks import CodeBlock, code_blocks, extension_of

FOUND: dict[str, tuple[str, list[CodeBlock]]] = {
    "nothing": ("", []),
    "prose": ("no `code` block, not even ```this```\n", []),
    "a-fence": ("a\n```py\nx = 1\n```\nb\n", [CodeBlock("py", "x = 1\n")]),
    "tildes": ("~~~ sh\nls\n~~~\n", [CodeBlock("sh", "ls\n")]),
    "no-language": ("```\nx\n```\n", [CodeBlock("", "x\n")]),
    "two-in-order": (
        "```a\n1\n```\n\n    2\n\n```c\n3\n```",
        [CodeBlock("a", "1\n"), CodeBlock("", "2\n"), CodeBlock("c", "3\n")],
    ),
    "a-fence-in-a-longer-one": (
        "````md\n```py\nx\n```\n````\n",
        [CodeBlock("md", "```py\nx\n```\n")],
    ),
    "a-fence-in-tildes": ("~~~md\n```\nx\n```\n~~~\n", [CodeBlock("md", "```\nx\n```\n")]),
    "a-fence-is-closed-by-a-longer-one": ("```\nx\n`````\ny\n", [CodeBlock("", "x\n")]),
    "a-fence-with-a-word-closes-nothing": ("```\nx\n```py\n```\n", [CodeBlock("", "x\n```py\n")]),
    "a-backtick-in-the-info-is-no-fence": ("``` a`b\nx\n", []),
    "indented": ("text\n\n    a\n\n      b\n\ntext\n", [CodeBlock("", "a\n\n  b\n")]),
    "indented-after-prose-is-prose": ("text\n    more\n", []),
    "in-an-ordered-list": (
        "1. first\n\n   ```py\n   if x:\n       y\n   ```\n\n2. second\n\n       z\n",
        [CodeBlock("py", "if x:\n    y\n"), CodeBlock("", "z\n")],
    ),
    "in-a-nested-list": (
        "- a\n  - b\n    ```\n    x\n      y\n    ```\n",
        [CodeBlock("", "x\n  y\n")],
    ),
    "directly-in-an-item": ("- ```\n  a\n\n  b\n  ```\n", [CodeBlock("", "a\n\nb\n")]),
    "in-a-quote": ("> ```\n> a\n>  b\n>c\n> ```\n", [CodeBlock("", "a\n b\nc\n")]),
    "in-a-quote-in-a-list": ("- > ```\n  > a\n  > ```\n", [CodeBlock("", "a\n")]),
    "a-quote-ends-its-fence": ("> ```\n> a\nb\n", [CodeBlock("", "a\n")]),
    "a-fence-that-is-indented": ("  ```\n  a\n    b\n c\n  ```\n", [CodeBlock("", "a\n  b\nc\n")]),
    "four-blanks-are-no-fence": ("    ```\n    a\n", [CodeBlock("", "```\na\n")]),
    "unclosed": ("```py\nx = 1\n\n", [CodeBlock("py", "x = 1\n\n")]),
    "unclosed-in-the-middle-of-a-line": ("```py\nx = ", [CodeBlock("py", "x = \n")]),
    "unclosed-in-a-list": ("- ```\n  a\n\n  b", [CodeBlock("", "a\n\nb\n")]),
    "half-of-a-closing-fence": ("```\nx\n``", [CodeBlock("", "x\n``\n")]),
    "an-opening-fence-and-no-more": ("text\n```py", [CodeBlock("py", "")]),
    "empty": ("```\n```\n", [CodeBlock("", "")]),
    "an-empty-line": ("```\n\n```\n", [CodeBlock("", "\n")]),
    "blanks-at-the-ends": ("```\n\n  a  \n\t\n\n```\n", [CodeBlock("", "\n  a  \n\t\n\n")]),
    "tabs-stay": ("```\n\ta\tb\n```\n", [CodeBlock("", "\ta\tb\n")]),
    "a-tab-indents": ("\ta\n\t\tb\n", [CodeBlock("", "a\n\tb\n")]),
    "crlf": ("```py\r\na\r\n\r\nb\r\n```\r\n", [CodeBlock("py", "a\n\nb\n")]),
    "cr-alone": ("```py\ra\rb\r```\r", [CodeBlock("py", "a\nb\n")]),
    "other-separators-end-no-line": (
        "```\na\u2028b\x0cc\x85d\x0be\n```\n",
        [CodeBlock("", "a\u2028b\x0cc\x85d\x0be\n")],
    ),
    "every-character": (
        "```\n\x00\x1b[31m\u202e\ufeff😀\ud83d\n```\n",
        [CodeBlock("", "\x00\x1b[31m\u202e\ufeff😀\ud83d\n")],
    ),
    "markup-is-code": ("```\n*a* &amp; \\* <b>\n```\n", [CodeBlock("", "*a* &amp; \\* <b>\n")]),
    "html-is-text": ("<div>\n\n```\na\n```\n</div>\n", [CodeBlock("", "a\n")]),
    "the-first-word-is-the-language": (
        '```  python title="a b.py"\n```\n```c\\+\\+ &amp;\n```\n',
        [CodeBlock("python", ""), CodeBlock("c++", "")],
    ),
    "after-a-table": ("|a|\n|-|\n|b|\n```\nx\n```\n", [CodeBlock("", "x\n")]),
}


@pytest.mark.parametrize(("text", "blocks"), FOUND.values(), ids=FOUND)
def test_these_are_the_code_blocks(text: str, blocks: list[CodeBlock]) -> None:
    assert code_blocks(text) == blocks


def fences(text: str) -> list[tuple[str, str]]:
    """What a plain reading of lines finds, where nothing else can be a block of code: a fence with
    a language opens a level where the last one open says "md".
    """
    found: list[tuple[str, str]] = []
    levels: list[tuple[str, str]] = []
    for line in text.split("\n"):
        mark = re.fullmatch(r"(`{3,}|~{3,})(\w*)", line)
        if not levels:
            if mark:
                found.append((mark[2], ""))
                levels = [(mark[1], mark[2])]
            continue
        fence, language = levels[-1]
        if mark and mark[1].startswith(fence):
            if not mark[2]:
                levels.pop()
            elif language == "md":
                levels.append((mark[1], mark[2]))
        if levels:
            found[-1] = (found[-1][0], found[-1][1] + line + "\n")
    return found


PLAIN = ["", "text", "two words", "x = 1", "  y", "``", "~~", "# heading", "*a*", "\\"]
MARKS = ["```", "```py", "````", "````md", "`````", "~~~", "~~~sh", "~~~~", "~~~~~~"]


@given(st.lists(st.sampled_from(PLAIN + MARKS), max_size=20))
@example(["```", "~~~", "```", "~~~"])
@example(["````", "```", "````py", "`````", "```"])
@example(["````md", "````md", "`````py", "`````", "````", "````"])
def test_plain_fences_are_what_a_plain_reading_finds(lines: list[str]) -> None:
    if lines and not lines[-1]:
        lines = [*lines, "end"]  # otherwise the last LF would end a line or be one
    assert code_blocks("\n".join(lines)) == fences("\n".join(lines))


codes = st.lists(
    st.text(st.characters(exclude_characters="\r\n\t")).map(lambda line: line + "\n"), max_size=6
).map("".join)
containers = st.lists(st.sampled_from(["> ", "- ", "1. ", "10) "]), max_size=5)


@given(codes, containers)
def test_any_code_comes_out_of_any_container_as_it_went_in(code: str, marks: list[str]) -> None:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
    lines = [fence + "py", *code.split("\n")[:-1], fence]
    for mark in reversed(marks):
        rest = mark if mark == "> " else " " * len(mark)
        lines = [mark + lines[0], *(rest + line for line in lines[1:])]
    assert code_blocks("before\n\n" + "\n".join(lines) + "\n\nafter") == [CodeBlock("py", code)]


@given(codes)
def test_any_code_that_was_cut_off_comes_out_too(code: str) -> None:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
    assert code_blocks(f"{fence}py\n{code}") == [CodeBlock("py", code)]


def test_the_blocks_of_a_growing_answer_never_go_away() -> None:
    text = "a\n```py\nx\n```\n- b\n\n  ```\n  y\n  ```\n\n> ~~~\n> z\n> ~~~\n"
    numbers = [len(code_blocks(text[:end])) for end in range(len(text) + 1)]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 3


@pytest.mark.parametrize(
    ("language", "extension"),
    [
        ("python", ".py"),
        ("Python", ".py"),
        ("bash", ".sh"),
        ("c++", ".cpp"),
        ("c#", ".cs"),
        ("tsx", ".tsx"),
        ("", ".txt"),
        ("text", ".txt"),
        ("../../.bashrc", ".txt"),
        ("py\x1b]0;x\x07", ".txt"),
        ("💥" * 300, ".txt"),
    ],
)
def test_an_extension_is_one_of_ours(language: str, extension: str) -> None:
    assert extension_of(language) == extension
