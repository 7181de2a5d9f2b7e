"""The looks: a style for each kind of text, for dark and for light terminals.

The sixteen colours of the terminal and no backgrounds, so that the user's own palette holds and
what is copied is clean. A new theme is one more entry of `THEMES`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, NamedTuple

from rich.style import Style


class Theme(NamedTuple):
    """A style for each kind of text; `code` is the name of a theme of Pygments, or Rich's own."""

    heading: Style
    title: Style  # a heading of the first level
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


def _theme(
    heading: str, literal: str, link: str, marker: str, tool: str, warning: str, code: str
) -> Theme:
    style = Style.parse
    return Theme(
        heading=style(f"bold {heading}"),
        title=style(f"bold underline {heading}"),
        strong=style("bold"),
        emphasis=style("italic"),
        strike=style("strike"),
        literal=style(literal),
        link=style(f"underline {link}"),
        quote=style("italic"),
        marker=style(marker),
        rule=style("dim"),
        dim=style("dim"),
        success=style("green"),
        warning=style(warning),
        failure=style("bold red"),
        tool=style(tool),
        code=code,
    )


THEMES = {
    "dark": _theme(
        "bright_magenta", "bright_cyan", "bright_blue", "yellow", "cyan", "yellow", "ansi_dark"
    ),
    "light": _theme("magenta", "blue", "blue", "magenta", "blue", "magenta", "ansi_light"),
}


def theme_for(
    name: str,
    code: str | None,
    background: Literal["dark", "light"] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Theme:
    """The theme of this name; "auto" is that of the terminal's background.

    Where this is not known, it looks at `COLORFGBG`, which some terminals set.
    `code` is another theme for code blocks. Names that do not exist are the caller's to refuse.
    """
    if name == "auto":
        colour = environ.get("COLORFGBG", "").rpartition(";")[2]
        name = background or ("light" if colour in {"7", "15"} else "dark")
    theme = THEMES[name]
    return theme._replace(code=code) if code else theme
