"""The colours of code: our own two themes, in the colours of `palette`, and those of others.

Our two are called as Rich's are, `ansi_dark` and `ansi_light`, whose faint comments and blue and
green words cannot be read on some terminals. Blanks have no style.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from rich.style import Style

from chatstream.sinks.palette import PALETTES

if TYPE_CHECKING:
    from rich.syntax import SyntaxTheme

_LOOKS = {
    "Comment": "italic grey",
    "Comment.Preproc": "cyan",
    "Keyword": "blue",
    "Keyword.Type": "cyan",
    "Operator.Word": "magenta",
    "Name.Builtin": "cyan",
    "Name.Function": "green",
    "Name.Namespace": "cyan",
    "Name.Class": "bold green",
    "Name.Exception": "cyan",
    "Name.Decorator": "bold magenta",
    "Name.Variable": "red",
    "Name.Constant": "red",
    "Name.Attribute": "cyan",
    "Name.Tag": "blue",
    "Literal.String": "yellow",
    "Literal.Number": "blue",
    "Generic.Deleted": "red",
    "Generic.Inserted": "green",
    "Generic.Heading": "bold",
    "Generic.Subheading": "bold magenta",
    "Generic.Prompt": "bold",
    "Generic.Error": "red",
    "Error": "underline red",
}
"""The look of a type of token of Pygments, and of its subtypes that are not listed."""


@cache
def code_theme(name: str) -> SyntaxTheme:
    """The theme of this name; Pygments's default for a name that does not exist."""
    from pygments.token import string_to_tokentype
    from rich.syntax import ANSISyntaxTheme, Syntax

    for background, colours in PALETTES.items():
        if name == f"ansi_{background}":
            return ANSISyntaxTheme(
                {
                    string_to_tokentype(kind): Style.parse(
                        " ".join(colours.get(word, word) for word in look.split())
                    )
                    for kind, look in _LOOKS.items()
                }
            )
    return Syntax.get_theme(name)
