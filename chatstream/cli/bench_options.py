"""The options that only `chatstream bench` has, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from chatstream.bench.export import STDOUT
from chatstream.cli.numbers import like, number, whole
from chatstream.cli.options import file_path

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL[@PLACE]",
        help="The model to measure. Repeatable: several are compared.",
    ),
]
Runs = Annotated[
    int | None,
    typer.Option(
        "-n",
        "--runs",
        parser=whole(1),
        metavar="N",
        help="Measure exactly N runs of each model.",
    ),
]
Time = Annotated[
    float | None,
    typer.Option(
        "--time",
        parser=number(0.1),
        metavar="S",
        show_default="about 30",
        help="Stop after S seconds.",
    ),
]
Precision = Annotated[
    float,
    typer.Option(
        "--precision",
        parser=number(0.1, 100),
        metavar="PCT",
        help="Stop once the median is known to within PCT %.",
    ),
]
Concurrency = Annotated[
    int,
    typer.Option(
        "-c",
        "--concurrency",
        parser=whole(1, 1000),
        metavar="N",
        help="Keep N requests running at once.",
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        "--rate",
        parser=number(0.001),
        metavar="N",
        help="Start N requests per second, answered or not.",
    ),
]
Arrivals = Annotated[
    Literal["constant", "poisson"],
    typer.Option("--arrivals", help="How --rate spaces its requests."),
]
Prompt = Annotated[
    str | None,
    typer.Option("--prompt", metavar="TEXT", help="Ask this instead of the built-in prompt."),
]
PromptTokens = Annotated[
    int | None,
    typer.Option(
        "--prompt-tokens",
        parser=whole(1, 10_000_000),
        metavar="N",
        help="Put about N tokens of filler before the question.",
    ),
]
MaxTokens = Annotated[
    int,
    typer.Option(
        "--max-tokens",
        parser=like("max_tokens"),
        metavar="N",
        help="Limit each answer to N tokens.",
    ),
]
Connection = Annotated[
    Literal["reuse", "new"],
    typer.Option("--conn", help="Reuse one connection, or open one per run."),
]
Cache = Annotated[
    Literal["bust", "reuse", "compare"],
    typer.Option("--cache", help="Defeat the prefix cache, use it, or compare both."),
]
VsBlocking = Annotated[
    bool,
    typer.Option("--vs-blocking", help="Compare with the same request without streaming."),
]


def file_or_stdout(text: str) -> Path:
    """What `--csv` and `--html` take. `./-` is a file of that name, and `-` is not."""
    path = file_path(text)
    return path.absolute() if path == STDOUT and text != str(path) else path


Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        parser=file_or_stdout,
        metavar="FILE",
        help="Write one row per run; - is standard output.",
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(
        "--html",
        parser=file_or_stdout,
        metavar="FILE",
        help="Write a page with plots; - is standard output.",
    ),
]
Save = Annotated[
    str | None, typer.Option("--save", metavar="NAME", help="Save the result for --baseline.")
]
Baseline = Annotated[
    str | None,
    typer.Option("--baseline", metavar="NAME|FILE", help="Compare with a saved result."),
]
FailIf = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if",
        metavar="GATE",
        help="Exit with 1 if this holds, such as 'errors>0' or 'ttft.p50>baseline+10%'. "
        "Repeatable.",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Also fail if the result is inconclusive.")]
SelfTest = Annotated[
    bool, typer.Option("--self-test", help="Check how accurately this machine measures (5 s).")
]
Explain = Annotated[bool, typer.Option("--explain", help="Say exactly what each figure means.")]
