"""`python -m tests.support.reading_pictures FOLDER`: what answers look like, as PNG files.

A tutorial, a mathematical and a Chinese-English answer on a terminal of 80 columns, dark and light,
each beside Rich's own Markdown. The pictures are drawn from the cells of the terminal in memory, in
xterm's colours, by Chromium. They are to be looked at and stay out of the repository.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path

import pyte
from rich.console import Console
from rich.markdown import Markdown

from tests.support.reader import ANSWERS
from tests.support.screen import Emulator, Screen, console_on
from tests.support.showing import Background, pieces, show
from tests.support.unavailable import Unavailable

NAMES = ("tutorial", "mathematics", "chinese-english")
COLUMNS, LINES = 80, 400
CELL, ROW, FONT = 9.6328, 20, 16  # pixels; the first is what DejaVu Sans Mono has at that size
BACKGROUNDS: dict[Background, tuple[str, str]] = {
    "dark": ("#000000", "#e5e5e5"),
    "light": ("#ffffff", "#000000"),
}
XTERM = {
    **dict(
        zip(
            ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white"),
            ("000000", "cd0000", "00cd00", "cdcd00", "0000ee", "cd00cd", "00cdcd", "e5e5e5"),
            strict=True,
        )
    ),
    **dict(
        zip(
            (
                *("brightblack", "brightred", "brightgreen", "brightbrown", "brightblue"),
                *("brightmagenta", "brightcyan", "brightwhite"),
            ),
            (
                *("7f7f7f", "ff0000", "00ff00", "ffff00", "5c5cff"),
                *("ff00ff", "00ffff", "ffffff"),
            ),
            strict=True,
        )
    ),
}


class _Dimming(Emulator):
    """pyte does not know dim text; here `blink` stands for it, which nothing else uses."""

    def select_graphic_rendition(self, *attrs: int, **options: bool) -> None:
        told: list[int] = []
        rest = list(attrs)
        while rest:
            code = rest.pop(0)
            if code in (38, 48):
                length = 2 if rest[:1] == [5] else 4
                told += [code, *rest[:length]]
                del rest[:length]
            else:
                told += {2: [5], 22: [22, 25]}.get(code, [code])
        super().select_graphic_rendition(*told, **options)


def main(arguments: Sequence[str]) -> int:
    """Draw them all."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        for theme in BACKGROUNDS:
            ours, rich = _screen(), _screen()
            show(console_on(ours), pieces(ANSWERS[name], "tokens"), theme)
            _print(console_on(rich), ANSWERS[name])
            path = folder / f"{name}-{theme}.png"
            _draw(path, [ours, rich], theme)
            print(path)
    return 0


def _screen() -> Screen:
    return Screen(COLUMNS, LINES, _Dimming)


def _print(console: Console, text: str) -> None:
    console.print(Markdown(text))


def _draw(path: Path, screens: Sequence[Screen], theme: Background) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        raise Unavailable("the pictures need Chromium")
    width = int(len(screens) * (COLUMNS * CELL + 40))
    height = max(len(screen.text()) for screen in screens) * ROW + 40
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(_page(screens, theme), encoding="utf-8")
        subprocess.run(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--user-data-dir={folder}/profile", f"--window-size={width},{height}"),
                *(f"--screenshot={path.absolute()}", page.as_uri()),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def _page(screens: Sequence[Screen], theme: Background) -> str:
    back, fore = BACKGROUNDS[theme]
    parts = [
        "<meta charset=utf-8><style>body{margin:0;position:relative;white-space:pre;"
        f"background:{back};color:{fore};font:{FONT}px/{ROW}px 'DejaVu Sans Mono',"
        "'WenQuanYi Zen Hei Mono','Noto Color Emoji',monospace}i{font-style:inherit;"
        "position:absolute}</style>"
    ]
    for number, screen in enumerate(screens):
        left = 20 + number * (COLUMNS * CELL + 40)
        for y, row in enumerate(screen.cells()[: len(screen.text())]):
            for x, cell in enumerate(row):
                if cell.data not in ("", " ") or cell.bg != "default" or cell.underscore:
                    at = f"left:{left + x * CELL:.1f}px;top:{20 + y * ROW}px"
                    wide = x + 1 < len(row) and not row[x + 1].data
                    look = _look(cell, theme, wide=wide)
                    parts.append(f'<i style="{at};{look}">{escape(cell.data)}</i>')
    return "".join(parts)


def _look(cell: pyte.screens.Char, theme: Background, *, wide: bool) -> str:
    back, fore = BACKGROUNDS[theme]
    ink = fore if cell.fg == "default" else "#" + XTERM.get(cell.fg, cell.fg)
    paper = back if cell.bg == "default" else "#" + XTERM.get(cell.bg, cell.bg)
    if cell.reverse:
        ink, paper = paper, ink
    look = [f"color:{ink}"]
    if paper != back:
        look.append(f"background:{paper};width:{CELL * (1 + wide)}px")
    if cell.blink:
        look.append("opacity:.6")
    if cell.bold:
        look.append("font-weight:bold")
        if wide:  # the CJK font has no bold face
            look.append("text-shadow:.7px 0 currentColor")
    if cell.italics:
        look.append("font-style:italic")
    lines = [("underline", cell.underscore), ("line-through", cell.strikethrough)]
    if any(drawn for _, drawn in lines):
        look.append(f"text-decoration:{' '.join(name for name, drawn in lines if drawn)}")
    return ";".join(look)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
