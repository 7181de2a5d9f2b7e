"""The contrast of text (WCAG 2) with the colours of three terminals that many people use."""

from __future__ import annotations

from typing import NamedTuple

from rich.color import Color, ColorType


class Terminal(NamedTuple):
    """What a terminal shows by default, as hexadecimal RGB; `colours` are the sixteen."""

    name: str
    background: str
    foreground: str
    colours: list[str]


# XTerm-col.ad of xterm, with the names of X11 looked up in rgb.txt.
_XTERM = [
    "000000",
    "cd0000",
    "00cd00",
    "cdcd00",
    "0000ee",
    "cd00cd",
    "00cdcd",
    "e5e5e5",
    "7f7f7f",
    "ff0000",
    "00ff00",
    "ffff00",
    "5c5cff",
    "ff00ff",
    "00ffff",
    "ffffff",
]
# The profiles "Basic" and "Pro" of macOS, as Wikipedia lists them ("ANSI escape code", Colors).
_APPLE = [
    "000000",
    "c23621",
    "25bc24",
    "adad27",
    "492ee1",
    "d338d3",
    "33bbc8",
    "cbcccd",
    "818383",
    "fc391f",
    "31e722",
    "eaec23",
    "5833ff",
    "f935f8",
    "14f0f0",
    "e9ebeb",
]
# terminalColorRegistry.ts of VS Code; backgrounds of "Dark+" and of "Light Modern".
_CODE_DARK = [
    "000000",
    "cd3131",
    "0dbc79",
    "e5e510",
    "2472c8",
    "bc3fbc",
    "11a8cd",
    "e5e5e5",
    "666666",
    "f14c4c",
    "23d18b",
    "f5f543",
    "3b8eea",
    "d670d6",
    "29b8db",
    "e5e5e5",
]
_CODE_LIGHT = [
    "000000",
    "cd3131",
    "107c10",
    "949800",
    "0451a5",
    "bc05bc",
    "0598bc",
    "555555",
    "666666",
    "cd3131",
    "14ce14",
    "b5ba00",
    "0451a5",
    "bc05bc",
    "0598bc",
    "a5a5a5",
]

TERMINALS = {
    "dark": [
        Terminal("xterm -rv", "000000", "ffffff", _XTERM),
        Terminal("Terminal, Pro", "000000", "f2f2f2", _APPLE),
        Terminal("VS Code", "1e1e1e", "cccccc", _CODE_DARK),
    ],
    "light": [
        Terminal("xterm", "ffffff", "000000", _XTERM),
        Terminal("Terminal, Basic", "ffffff", "000000", _APPLE),
        Terminal("VS Code", "f8f8f8", "3b3b3b", _CODE_LIGHT),
    ],
}


def contrast(one: str, other: str) -> float:
    """From 1 to 21: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def rgb(color: Color | None, terminal: Terminal) -> str:
    """What the terminal shows for a colour of Rich's."""
    if color is None or color.type is ColorType.DEFAULT:
        return terminal.foreground
    if color.triplet is not None:
        return color.triplet.hex.removeprefix("#")
    number = color.number
    assert number is not None
    if number < 16:
        return terminal.colours[number]
    if number >= 232:
        return f"{8 + 10 * (number - 232):02x}" * 3
    steps = (0, 95, 135, 175, 215, 255)
    number -= 16
    return "".join(f"{steps[it]:02x}" for it in (number // 36, number // 6 % 6, number % 6))


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4))
    red, green, blue = (
        it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
