"""Claimed: a fence is judged alike wherever the program looks for one, and says what it says."""

from __future__ import annotations

from itertools import product

import pytest

from chatstream.events import Content
from chatstream.fences import MAX_CONTAINERS, Fence, Fences, closes, info_of, may_begin, opening
from chatstream.recovery.seam import _in_code
from chatstream.sinks.accessible import Sentences
from chatstream.sinks.blocks import Blocks, _Fenced
from chatstream.sinks.codeblocks import code_blocks
from chatstream.stages.thinking import ThinkingSplitter

# What is code is upper case, and nothing else is.
SITUATIONS = [
    "a\n\n```py\nX\n```\nb",
    "> ```py\n> X\n> ```\nb",
    "> ```py\n> X\nb",
    "> > ```\n> > X\n> b",
    "- ```py\n  X\n\n  Y\n  ```\n- b",
    "- ```py\n  X\nb",
    "1. ```\n   X\n2. b",
    "- > ```\n  > X\n  > ```\n  b",
    "1. a\n\n   ```sh\n   X\n   ```\n\n2. b",
    "10. a\n    ```\n    X\n    ```\n",
    "~~~ a`b\nX\n```\nY\n~~~\nb",
    "````\nX\n```\nY\n````\nb",
    "```\nX\n~~~\n`````\nb",
    "``` a`b\nb",
    "```\nX\n``` Y\n```\nb",
    "   ```\n   X\n  ```\nb",
    "```\nX\n    ```\nY\n```\nb",
    "  ```\n  X\n    ```\n  Y\n  ```\nb",
    "```markdown\n# X\n\n```bash\nY\n```\n\nZ\n```\nb",
    "```md\n~~~py\nX\n~~~\nY\n```\nb",
    "```markdown\n```python\nX\n```\n```js\nY\n```\n```\nb",
    "```markdown\n```markdown\n```py\nX\n```\n```\nY\n```\nb",
    "````markdown\n```\nX\n```\nY\n````\nb",
    "```python\nX\n```bash\nY\n```\nb",
    "- ```markdown\n  X\n  ```sh\n  Y\n  ```\n  Z\n  ```\n- b",
    "1. a\n   ```sh\n   X\n2. b\nc",
    "- a\n  ```py\n  X\n\nb",
    "- a\n  - b\n    ```\n    X\n  - c\n",
    "> - ```py\n>   X\n\n    b",
    "- a\nb\n\n  ```\n  X\n  ```\nc",
    "- a\n  ```\n  X\n      ```\n  Y\n  ```\nb",
    "```\nX",
    "b",
]


def code_of(text: str) -> str:
    """The letters that stand for code."""
    return "".join(it for it in text if it in "XYZ")


@pytest.mark.parametrize("text", SITUATIONS)
def test_whoever_looks_sees_the_same_code(text: str) -> None:
    shown = code_of("".join(block.code for block in code_blocks(text)))
    assert shown == code_of(text)  # what is shown and saved
    fences = Fences()
    inside = []
    for line in text.split("\n"):
        before = fences.open is not None
        if not fences.line(line) and (before or fences.open) and fences.open:
            inside.append(line)
    assert code_of("".join(inside)) == code_of(text)
    assert not {"a", "b", "c"} & {line.strip(" >-12.") for line in inside}
    ends_inside = fences.open is not None
    assert _in_code(text) == ends_inside
    voice = Sentences()
    voice.feed(text + "\n")
    assert voice.in_code == ends_inside


LINES = (
    *("", "a", "  a", "    a", "```", "  ```", "    ```", "```py", "> ```py", "> a", ">"),
    *("- ```py", "- a", "  - ```py", "1. a", "   ```", "~~~", "- > ```", "  > ```", "# h"),
)


def test_the_lines_of_a_text_are_judged_as_its_blocks_are() -> None:
    for lines in product(LINES, repeat=3):
        blocks, fences = Blocks(), Fences()
        for line in lines:
            blocks.feed(f"{line}\n")
            fences.line(line)
            assert (fences.open is not None) == isinstance(blocks._leaf, _Fenced), lines


def test_marks_within_the_deepest_container_are_text() -> None:
    fences = Fences()
    fences.line(">" * 100_000)
    assert len(fences._containers) == MAX_CONTAINERS


@pytest.mark.parametrize("text", SITUATIONS)
def test_a_lone_tag_in_code_is_code(text: str) -> None:
    fences = Fences()
    for line in text.split("\n"):
        fences.line(line)
    if fences.open is not None and fences.heeds_text:
        return  # the tag would end the container as well
    splitter = ThinkingSplitter("")
    parts = [*splitter.feed(f"{text}\n</think>\nrest"), *splitter.finish()]
    told = "".join(event.delta for event in _contents(parts))
    assert ("</think>" in told) == (fences.open is not None)


# What a line is told by its beginning must not depend on how the text was cut.
CUTS = [
    *SITUATIONS,
    "- ```py\n  X\n\nb is. c",
    "> ```py\n> X\nb is. c",
    "> ```py\n> X\n" + "b " * 300,
    "- ```py\n  " + "X " * 300 + "\nb",
    "- ```py\n  X\n" + "b" * 1500 + "\nc",
    "- a\n\nb is. c\n\n    ```\n    d",
    "- a\n  b is. c\n\n    ```\n    X",
    "- a\n\n" + "b " * 300 + "\n\n    ```\n    c",
]


@pytest.mark.parametrize("text", CUTS)
def test_how_the_text_is_cut_does_not_change_what_is_code(text: str) -> None:
    fences = Fences()
    for line in text.split("\n"):
        fences.line(line)
    after = f"{text}\n</think>\nrest"
    whole, cut = ThinkingSplitter(), ThinkingSplitter()
    parts = [*whole.feed(after), *whole.finish()]
    pieces = [it for char in after for it in cut.feed(char)] + cut.finish()
    assert "".join(it for _, it in pieces) == "".join(it for _, it in parts)
    voice, slow = Sentences(), Sentences()
    voice.feed(f"{text}\n")
    said = "".join(slow.feed(char) + slow.rest() for char in f"{text}\n")
    assert voice.in_code == slow.in_code == (fences.open is not None)
    assert said.count("End of code.") == said.count("Code:") + said.count("Code, ") - slow.in_code


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- ```py\n  x\nb\n", "Code, py:\n  x\nEnd of code.\nb\n"),
        ("> ```\n> x\nb\n", "Code:\n> x\nEnd of code.\nb\n"),
        ("- ```\n  x\n- ```js\n  y", "Code:\n  x\nEnd of code.\nCode, js:\n"),
    ],
)
def test_a_voice_tells_that_the_item_or_quote_of_code_has_ended(text: str, said: str) -> None:
    assert Sentences().feed(text) == said


def test_containers_end_in_the_order_that_they_began_in() -> None:
    text = "- > ```\n  > X\n> b"
    fences = Fences()
    assert [fences.line(line) for line in text.split("\n")] == [True, False, False]
    assert fences.open is None
    assert code_blocks(text)[0].code == "X\n"
    assert not Fences().line("-      ```")  # indented code in an item


def _contents(parts: list[tuple[bool, str]]) -> list[Content]:
    return [Content(text) for reasoning, text in parts if not reasoning]


@pytest.mark.parametrize(
    ("info", "language", "title"),
    [
        ("", "", ""),
        ("python", "python", ""),
        ('python title="app.py" {1,3-4}', "python", "app.py"),
        ("python {1,3-4} title='my app.py'", "python", "my app.py"),
        ("js:src/app.js", "js", "src/app.js"),
        ("python app.py", "python", "app.py"),
        ("ts src/index.ts", "ts", "src/index.ts"),
        ("tsx app/(shop)/[id]/page.tsx", "tsx", "app/(shop)/[id]/page.tsx"),
        ("{.python .numberLines}", "python", ""),
        ('{.python file="a b.py"}', "python", "a b.py"),
        ("yaml filename=docker-compose.yml", "yaml", "docker-compose.yml"),
        ("app.py", "py", "app.py"),
        ("src/main.rs", "rs", "src/main.rs"),
        ("vb.net", "vb.net", ""),
        ("c++", "c++", ""),
        ("python showLineNumbers", "python", ""),
        ("title=app.py", "", "app.py"),
        ("rust,ignore", "rust", ""),
        ("python{1,3}", "python", ""),
        ("{}", "", ""),
        (":", "", ""),
    ],
)
def test_the_words_after_a_fence_name_a_language_and_a_file(
    info: str, language: str, title: str
) -> None:
    assert info_of(info) == (language, title)


@pytest.mark.parametrize(
    ("content", "fence"),
    [
        ("```", Fence("```", "")),
        ("````  py x ", Fence("````", "py x")),
        ("~~~ a`b~c", Fence("~~~", "a`b~c")),
        ("``` a`b", None),
        ("``", None),
        ("a```", None),
        ("", None),
    ],
)
def test_a_fence_has_words_after_it(content: str, fence: Fence | None) -> None:
    assert opening(content) == fence


@pytest.mark.parametrize(
    ("mark", "content", "does"),
    [
        ("```", "```", True),
        ("```", "`````  ", True),
        ("````", "```", False),
        ("```", "~~~", False),
        ("```", "``` a", False),
        ("```", "``` ```", False),
        ("```", "", False),
    ],
)
def test_a_fence_is_closed_by_one_that_is_as_long(mark: str, content: str, does: bool) -> None:
    assert closes(mark, content) == does


@pytest.mark.parametrize("text", SITUATIONS)
def test_each_beginning_of_a_line_with_a_fence_may_become_one(text: str) -> None:
    fences = Fences()
    for line in text.split("\n"):
        if fences.line(line):
            assert all(may_begin(line[:end]) for end in range(len(line) + 1))
    assert not may_begin("a")
    assert not may_begin("``a")
