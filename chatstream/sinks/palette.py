"""The colours that text may have, on a dark and on a light background, and which of the two it is.

1. Text reaches a contrast of 4.5 : 1 (WCAG 2) with the default palettes of xterm, Apple's Terminal
   and VS Code. Of the sixteen colours, which the user may have chosen, those are used that do. In
   place of the others come colours of the fixed cube (16 to 255), which are the same everywhere.
2. A terminal with sixteen colours gets what `SIXTEEN` says for a colour of the cube: another of the
   sixteen, or the terminal's own text colour. The nearest one would often be unreadable.
3. Nothing is faint (SGR 2): most terminals halve the contrast then.

No colour of the cube is readable both on VS Code's dark background and on its light one, so there
is no third palette for a background that is unknown: that one counts as dark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Background = Literal["dark", "light"]

PALETTES: dict[Background, dict[str, str]] = {
    "dark": {
        "red": "bright_red",
        "green": "bright_green",
        "yellow": "yellow",
        "blue": "color(75)",
        "magenta": "bright_magenta",
        "cyan": "bright_cyan",
        "grey": "color(246)",
        "line": "color(243)",
    },
    "light": {
        "red": "red",
        "green": "color(22)",
        "yellow": "color(94)",
        "blue": "blue",
        "magenta": "color(127)",
        "cyan": "color(24)",
        "grey": "color(242)",
        "line": "color(244)",
    },
}
"""Names of colours, as Rich's styles have them. Lines are no text: 3 : 1 is enough for them."""

SIXTEEN = {
    22: "default",
    24: "blue",
    75: "bright_cyan",
    94: "red",
    127: "default",
    242: "default italic",
    243: "default",
    244: "default",
    246: "default italic",
}
"""The style that stands for a colour of the cube where there are sixteen."""

ADVICE = "3"
"""Italics in parameters of SGR: what may be passed over, and readable on every background."""

NOTES: dict[Background, dict[str, str]] = {
    "dark": {"success": "32", "warning": "33", "failure": "1;91", "advice": ADVICE},
    "light": {"success": "1", "warning": "34", "failure": "1;31", "advice": ADVICE},
}
"""The parameters of SGR for each kind of note on standard error; safe with sixteen colours."""


def background_for(
    theme: str, environ: Mapping[str, str], told: Background | None = None
) -> Background:
    """The background that a theme is for.

    "auto" is what the terminal `told`, else what `COLORFGBG` says, which some terminals set, else
    dark. Raises `KeyError` for a name that is no theme.
    """
    if theme == "auto":
        number = environ.get("COLORFGBG", "").rpartition(";")[2]
        return told or ("light" if number in {"7", "15"} else "dark")
    for name in PALETTES:
        if name == theme:
            return name
    raise KeyError(theme)
