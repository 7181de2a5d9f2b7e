"""The options that only `chatstream compare` has, and the settings that it takes."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from chatstream.cli.numbers import whole
from chatstream.cli.options import ALL
from chatstream.engine.settings import DECLARED
from chatstream.many.compare import MOST

TAKEN = tuple(
    name
    for name in ALL
    if name not in {"model", "strategy"} and DECLARED[name].about.group != "Tools"
)
"""Every setting but those that name the model, and those of tools, which are not used."""

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", help="Ask this model: MODEL or MODEL@PLACE. Repeatable."
    ),
]
Times = Annotated[
    int,
    typer.Option(
        "--times", "-n", parser=whole(1, MOST), metavar="N", help="Ask one model N times."
    ),
]
LayoutName = Annotated[
    Literal["columns", "stack"] | None,
    typer.Option(
        "--layout",
        metavar="columns|stack",
        show_default="columns if they fit",
        help="Show columns, or one answer at a time.",
    ),
]
Diff = Annotated[bool, typer.Option("--diff", help="Show what differs between two answers.")]
Judge = Annotated[
    str | None,
    typer.Option("--judge", metavar="MODEL", help="Ask this model which answer is best."),
]
Pick = Annotated[
    int | None,
    typer.Option(
        "--pick",
        parser=whole(0, MOST),
        metavar="[N]",
        show_default="ask",
        help="Let -c continue from answer N.",
    ),
]
