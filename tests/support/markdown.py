"""Answers as models write them, and nastier, each known by its number.

`document(n)` is the same text for ever. A line that must be on the final screen exactly once begins
with a word of its own, one of `marks`; the rows of tables have theirs in `cells`, because a narrow
column may break them. There are no joiners and no variation selectors: pyte drops what follows them
in the same chunk.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

DOCUMENTS = 200

_TEXT = (
    "the a of stream token terminal answer model line width which because there is nothing that "
    "could change any more, so it stays. However; (for example) it's “quoted”, 3.14 or 2 * 3 = 6 "
    "snake_case __init__ a<b && c>d 50% C:\\path café naïve Größe αβγ Привет 你好世界 表示幅 한국 "
    "日本語のテキスト 🚀 😀😀 e\u0301tude → ≤ ½ שלום supercalifragilisticexpialidocious"
)
_WORDS = tuple(_TEXT.split())
_MARKED = (
    "**{}**",
    "*{}*",
    "***{}***",
    "__{}__",
    "_{}_",
    "~~{}~~",
    "`{}`",
    "`` a`{} ``",
    "**{} `code * with_marks`**",
    "[{}](https://example.com/a_(b)?q=1&r=%20)",
    "[**{}** and `x`](http://example.com)",
    "![{}](image.png)",
    "<https://example.com/{}>",
    "&amp;{}&nbsp;",
    "\\*{}\\*",
    "**{}",
    "[{}][ref]",
    "2 *{} * 3",
    "<b>{}</b>",
)
_CODE = {
    "python": (
        "import os",
        'def f(x: int) -> str:\n    """A docstring\n\n    of `some` **lines**\n    """',
        "    return f'{x!r}'  # 注释 😀",
        "class A:\n\n\n    x = '''\n# not a comment\n'''",
        "\tif True:\n\t\tprint('tabs')\t# aligned",
    ),
    "c": (
        "#include <stdio.h>",
        "/* a comment\n * over lines\n */",
        'int main(void)\n{\n\tprintf("%d\\n", 1);\n}',
    ),
    "javascript": ("const a = `one\n  ${two}\nthree`;", "/** doc\n */", "a => ({...a})"),
    "html": ("<div class='x'>\n  <!-- one\n  two -->\n</div>", "<script>\nlet a = 1\n</script>"),
    "bash": ("cat <<'EOF'\n$HOME `x`\nEOF", 'for f in *; do echo "$f"; done', "a='b\nc'"),
    "json": ('{"a": [1, 2.5e3, null],\n "b": "ü"}',),
    "diff": ("--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new",),
    "no-such-language {.x}": ("anything | at > all", "- not a list", "# not a heading"),
    "": ("plain", "  indented", "", "~~~", "> not a quote"),
}
_NASTY = (
    *(
        "***",
        "---",
        "===",
        "- ",
        "1.",
        "10) ten",
        ">",
        "> - a\n>   b\nlazy",
        "- > q\nlazy",
        "+",
        "*",
    ),
    *(
        "~~~",
        "    code",
        "\tcode\there",
        "| a | b |\n|---|:-:|",
        "a | b\n-|-\n1 | 2 | 3",
        "|",
        "|-|",
    ),
    *("[a]: http://x 'y'", "<div>\n*x*\n</div>", "&#x202e;&#27;&#10;&lt;", "**open", "`open", "\\"),
    *(
        "  ",
        "\t",
        "#",
        "####### no",
        "# closed ##",
        "a\n===",
        "b\n---",
        "c  \nd\\\ne",
        "![",
        "[x](",
        "](",
    ),
    *(
        "> > > deep",
        "- - - x",
        "1. - > # all",
        "-\n\n  late",
        "-     code in item",
        "2. two\n3. three",
    ),
    *(
        "* a\n\n  b\n\n\n  c",
        "- a\n    - b\n        - c",
        "``` a`b",
        "````md\n```\nx\n```\n````",
        "x\n    y",
    ),
    *(
        "0123456789" * 30,
        "宽" * 70,
        "a" * 19 + "宽",
        "a" * 39 + "宽宽",
        "word " * 60,
        "|".join("abc"),
    ),
)


@dataclass(frozen=True)
class Document:
    """One answer; `marks` and `cells` are words that stand in it once."""

    number: int
    text: str
    marks: tuple[str, ...]
    cells: tuple[str, ...]


def document(number: int) -> Document:
    """The document of this number."""
    return _Writer(number).write()


class _Writer:
    def __init__(self, number: int) -> None:
        self._number = number
        self._random = random.Random(f"document {number}")
        self._marks: list[str] = []
        self._cells: list[str] = []
        self._kinds: tuple[Callable[[], str], ...] = (
            *(self._paragraph, self._heading, self._list, self._code, self._quote, self._table),
            *(self._nasty, self._setext, self._long, self._rule, self._indented, self._nested),
        )

    def write(self) -> Document:
        """Every kind of block comes first in some documents; a fence without an end comes last."""
        first = self._kinds[self._number % len(self._kinds)]
        others = self._random.choices(self._kinds, (6, 3, 3, 3, 1, 2, 2, 1, 0.2, 1, 1, 1), k=5)
        blocks = [kind() for kind in (first, *others[: self._random.randint(0, 5)])]
        ends = ("\n\n", "\n\n", "\n\n", "\n", "\n\n\n", "\n \n")
        text = "".join(block + self._random.choice(ends) for block in blocks)
        if self._number % 5 == 0:
            text += self._fenced(ended=False)
        elif self._number % 5 == 1:
            text = text.rstrip("\n")
        return Document(self._number, text, tuple(self._marks), tuple(self._cells))

    def _mark(self) -> str:
        self._marks.append(f"k{len(self._marks)}q")
        return self._marks[-1]

    def _words(self, most: int) -> str:
        words = self._random.choices(_WORDS, k=self._random.randint(1, most))
        if self._random.random() < 0.4:
            at = self._random.randrange(len(words))
            words[at] = self._random.choice(_MARKED).format(words[at])
        return " ".join(words)

    def _line(self, most: int = 12) -> str:
        return f"{self._mark()} {self._words(most)}"

    def _paragraph(self) -> str:
        end = self._random.choice(("\n", "\n", "  \n", "\\\n"))
        return end.join(self._line(30) for _ in range(self._random.randint(1, 4)))

    def _long(self) -> str:
        """Endless, with markup or without it."""
        words = self._words if self._random.random() < 0.5 else lambda most: "plain words" * 2
        text = self._line()
        while len(text) < 5000:
            text += f"{self._random.choice(('', ' ', ' ', ' '))}{words(20)}"
        return text

    def _heading(self) -> str:
        return f"{'#' * self._random.randint(1, 6)} {self._line(6)}"

    def _setext(self) -> str:
        return f"{self._line(6)}\n{self._random.choice(('===', '-', '------'))}"

    def _rule(self) -> str:
        return self._random.choice(("---", "***", "_ _ _", "-----------"))

    def _list(self, depth: int = 0) -> str:
        number = self._random.choice((0, 0, 1, 9, 99))
        loose = "\n" if self._random.random() < 0.3 else ""
        items = []
        for at in range(self._random.randint(1, 5)):
            marker = f"{number + at}." if number else "-"
            indent = " " * (len(marker) + 1)
            more = self._random.random()
            inner = ""
            if more < 0.2 and depth < 3:
                inner = self._list(depth + 1)
            elif more < 0.3:
                inner = self._fenced()
            elif more < 0.35:
                inner = "\n" + self._line()
            elif more < 0.4:
                inner = "\n" + self._table(most=5)
            body = f"{self._line()}\n{inner}" if inner else self._line()
            items.append(f"{marker} " + body.replace("\n", f"\n{indent}"))
        return f"\n{loose}".join(items)

    def _quote(self) -> str:
        kinds = (self._paragraph, self._list, self._heading, self._fenced, self._table, self._quote)
        inner = "\n\n".join(kind() for kind in self._random.choices(kinds, (6, 3, 1, 1, 1, 1), k=2))
        return "> " + inner.replace("\n", self._random.choice(("\n> ", "\n> ", "\n>")))

    def _nested(self) -> str:
        """A list in a quote in a list."""
        inner = f"> {self._list()}\n\n{self._paragraph()}".replace("\n", "\n> ")
        return f"1. {self._line()}\n\n   " + inner.replace("\n", "\n   ")

    def _code(self) -> str:
        return self._fenced()

    def _fenced(self, *, ended: bool = True) -> str:
        language = self._random.choice(list(_CODE))
        fence = self._random.choice(("```", "```", "```", "~~~~", "`````"))
        lines = []
        for _ in range(self._random.randint(0, 8)):
            lines.append(self._random.choice(_CODE[language]))
            if self._random.random() < 0.3:
                lines.append(f"{self._mark()} = {'x' * self._random.choice((1, 30, 300))}")
        code = "\n".join(lines).replace(fence, "")
        return f"{fence}{language}\n{code}" + (f"\n{fence}" if ended else "")

    def _indented(self) -> str:
        lines = [f"    {self._line(6)}" for _ in range(self._random.randint(1, 4))]
        return self._random.choice(("\n", "\n\n")).join(lines)

    def _table(self, most: int = 60) -> str:
        columns = self._random.randint(1, 6)
        rows = self._random.choice((0, 1, 3, 8, 39, 40, 41, 60))
        edge = self._random.choice(("|", "|", "")) if columns > 1 else "|"
        kinds = ("---", ":--", "--:", ":-:", "-")
        header = [self._words(2).replace("|", "") for _ in range(columns)]
        table = [header, self._random.choices(kinds, k=columns)]
        for _ in range(min(rows, most)):
            row = [self._cell() for _ in range(columns)]
            self._cells.append(f"r{len(self._cells)}q")
            row[0] = f"{self._cells[-1]} {row[0]}"
            table.append(row)
        return "\n".join(f"{edge} {' | '.join(row)} {edge}".strip() for row in table)

    def _cell(self) -> str:
        return "" if self._random.random() < 0.1 else self._words(self._random.choice((1, 2, 2, 8)))

    def _nasty(self) -> str:
        lines = self._random.choices(_NASTY, k=self._random.randint(1, 8))
        return self._random.choice(("\n", "\n", "\n\n")).join(lines)
