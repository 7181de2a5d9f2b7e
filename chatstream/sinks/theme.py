"""The looks: a style for each kind of text, for dark and for light terminals.

The colours are those of `palette` and there are no backgrounds, so that the user's own palette
holds and what is copied is clean. Headings differ by attributes, so they do without colours, too.
Where something is told by a colour alone, or by nothing, its Markdown marks stay (`Theme.marks`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

from chatstream.sinks.lines import Line
from chatstream.sinks.palette import PALETTES, SIXTEEN, Background, background_for

_HEADINGS = ("bold underline", "bold", "bold italic", "underline", "underline italic", "italic")

_UNCOLOURED = frozenset({"code", "s"})
_UNSTYLED = _UNCOLOURED | {"strong", "em", "heading"}


class Theme(NamedTuple):
    """A style for each kind of text; `code` is the name of a theme of Pygments, or Rich's own.

    `marks` names the markup that cannot be seen otherwise, so that its marks are drawn: "code",
    "s", "strong", "em", "heading".
    """

    headings: tuple[Style, ...]  # of level 1 to 6
    strong: Style
    emphasis: Style
    strike: Style
    literal: Style  # `code` in a line
    link: Style
    quote: Style
    marker: Style  # of a list
    rule: Style
    dim: Style
    success: Style
    warning: Style
    failure: Style
    tool: Style
    code: str
    marks: frozenset[str] = frozenset()


def _theme(background: Background) -> Theme:
    style = Style.parse
    colours = PALETTES[background]
    return Theme(
        headings=tuple(style(f"{look} {colours['magenta']}") for look in _HEADINGS),
        strong=style("bold"),
        emphasis=style("italic"),
        strike=style("strike"),
        literal=style(colours["cyan"]),
        link=style(f"underline {colours['blue']}"),
        quote=style("italic"),
        marker=style(colours["yellow"]),
        rule=style(colours["line"]),
        dim=style(colours["grey"]),
        success=style(colours["green"]),
        warning=style(colours["yellow"]),
        failure=style(f"bold {colours['red']}"),
        tool=style(colours["cyan"]),
        code=f"ansi_{background}",
    )


THEMES = {background: _theme(background) for background in PALETTES}


def theme_for(
    name: str,
    code: str | None,
    environ: Mapping[str, str] = os.environ,
    *,
    told: Background | None = None,
    shows: Literal["colours", "attributes", "nothing"] = "colours",
) -> Theme:
    """The theme of this name; for "auto" see `background_for`.

    `code` is another theme for code blocks. Names that do not exist are the caller's to refuse.
    `shows` is what the terminal shows of styles; "attributes" are bold, italic and underline.
    """
    theme = THEMES[background_for(name, environ, told)]
    if code:
        theme = theme._replace(code=code)
    if shows != "colours":  # dim text, such as the model's thinking, must still be another text
        marks = _UNCOLOURED if shows == "attributes" else _UNSTYLED
        theme = theme._replace(dim=Style(italic=True), rule=Style.null(), marks=marks)
    return theme


@lru_cache(maxsize=256)
def in_sixteen(style: Style) -> Style:
    """The style for a terminal with sixteen colours; other colours than ours are left to Rich."""
    color = style.color
    if color is None or color.triplet is not None or color.number not in SIXTEEN:
        return style
    return style + Style.parse(SIXTEEN[color.number])


def escaped(line: Line, colors: ColorSystem | None) -> str:
    """The text of a line, with the escape sequences of its styles; without colours no sequences."""
    if colors in (ColorSystem.STANDARD, ColorSystem.WINDOWS):
        line = [Segment(it.text, it.style and in_sixteen(it.style)) for it in line]
    return "".join(
        style.render(text, color_system=colors) if style else text for text, style, _ in line
    )
