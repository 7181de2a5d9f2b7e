"""`chatstream bench`: how soon and how steadily a model answers."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import typer

from chatstream.bench import export, saved
from chatstream.bench.definitions import explain as explained
from chatstream.bench.gates import parse_gate
from chatstream.bench.layout import to_ascii
from chatstream.bench.plan import Plan, arms_of
from chatstream.bench.session import Wanted, results_folder
from chatstream.bench.session import bench as run
from chatstream.cancel import CancelToken
from chatstream.cli.numbers import like, number, whole
from chatstream.cli.options import (
    Debug,
    Json,
    Log,
    file_path,
    options_in,
    start_log,
    takes,
)
from chatstream.engine.measuring import Measuring
from chatstream.engine.places import split
from chatstream.engine.resolve import check_given, resolve
from chatstream.engine.services import Server, awaited, candidates, server_of
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError, UsageError
from chatstream.redact import mask_address
from chatstream.terminal import exits, stdout
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.present import tell
from chatstream.text import argument


def _file_or_stdout(text: str) -> Path:
    """What `--csv` and `--html` take. `./-` is a file of that name, and `-` is not."""
    path = file_path(text)
    return path.absolute() if path == export.STDOUT and text != str(path) else path


_SERVER = ("provider", "base_url", "profile", "headers")
_REQUEST = ("temperature", "options")
_LIMITS = ("connect_timeout", "first_token_timeout", "idle_timeout", "timeout")


@takes(*_SERVER, *_REQUEST, *_LIMITS)
def bench(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL[@PLACE]",
            help="The model to measure. Repeatable: several are compared.",
        ),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--runs",
            parser=whole(1),
            metavar="N",
            help="Measure exactly N runs of each model.",
        ),
    ] = None,
    time: Annotated[
        float | None,
        typer.Option(
            "--time",
            parser=number(0.1),
            metavar="S",
            show_default="about 30",
            help="Stop after S seconds.",
        ),
    ] = None,
    precision: Annotated[
        float,
        typer.Option(
            "--precision",
            parser=number(0.1, 100),
            metavar="PCT",
            help="Stop once the median is known to within PCT %.",
        ),
    ] = 5.0,
    concurrency: Annotated[
        int,
        typer.Option(
            "-c",
            "--concurrency",
            parser=whole(1, 1000),
            metavar="N",
            help="Keep N requests running at once.",
        ),
    ] = 1,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            parser=number(0.001),
            metavar="N",
            help="Start N requests per second, answered or not.",
        ),
    ] = None,
    arrivals: Annotated[
        Literal["constant", "poisson"],
        typer.Option("--arrivals", help="How --rate spaces its requests."),
    ] = "constant",
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", metavar="TEXT", help="Ask this instead of the built-in prompt."),
    ] = None,
    prompt_tokens: Annotated[
        int | None,
        typer.Option(
            "--prompt-tokens",
            parser=whole(1, 10_000_000),
            metavar="N",
            help="Put about N tokens of filler before the question.",
        ),
    ] = None,
    max_tokens: Annotated[
        int,
        typer.Option(
            "--max-tokens",
            parser=like("max_tokens"),
            metavar="N",
            help="Limit each answer to N tokens.",
        ),
    ] = 128,
    conn: Annotated[
        Literal["reuse", "new"],
        typer.Option("--conn", help="Reuse one connection, or open one per run."),
    ] = "reuse",
    cache: Annotated[
        Literal["bust", "reuse", "compare"],
        typer.Option("--cache", help="Defeat the prefix cache, use it, or compare both."),
    ] = "bust",
    vs_blocking: Annotated[
        bool,
        typer.Option("--vs-blocking", help="Compare with the same request without streaming."),
    ] = False,
    as_json: Json = False,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            parser=_file_or_stdout,
            metavar="FILE",
            help="Write one row per run; - is standard output.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            parser=_file_or_stdout,
            metavar="FILE",
            help="Write a page with plots; - is standard output.",
        ),
    ] = None,
    save: Annotated[
        str | None, typer.Option("--save", metavar="NAME", help="Save the result for --baseline.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="NAME|FILE", help="Compare with a saved result."),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="GATE",
            help="Exit with 1 if this holds, such as 'errors>0' or 'ttft.p50>baseline+10%'. "
            "Repeatable.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Also fail if the result is inconclusive.")
    ] = False,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Check how accurately this machine measures (5 s).")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say exactly what each figure means.")
    ] = False,
    debug: Debug = False,
    log: Log = None,
    *,
    profile: str | None,
    **flags: Any,
) -> int:
    """Measure how soon and how steadily a model answers.

    A first, cold run is shown apart. Exit status: 0 passed, 1 a gate failed or a figure is
    worse than the baseline, 2 usage or configuration, 3 too many runs failed, 4 inconclusive,
    5 client-bound (both only with --strict), 130 Ctrl+C.
    """
    arguments = locals()
    start_log(arguments)
    token = CancelToken()
    with interrupts(token):
        try:
            if explain:
                return _explain()
            if self_test:
                return _self_test(token)
            return _bench(arguments, token)
        except ChatstreamError as error:
            return exits.report(token.reason or error, sys.argv if as_json else ())


def _bench(given: dict[str, Any], token: CancelToken) -> int:
    """Everything is looked at before anything is asked."""
    if given["rate"] is not None and given["concurrency"] != 1:
        raise UsageError(
            "--rate and --concurrency cannot be combined",
            hint="--rate opens as many streams as it needs",
        )
    files, printed = _outputs(given)
    if given["save"] is not None:
        saved.check(given["save"], results_folder())
    check_given("--prompt", given["prompt"])
    gates = [parse_gate(text) for text in given["fail_if"] or ()]
    baseline = given["baseline"]
    if baseline is None and any(gate.scale is not None for gate in gates):
        raise UsageError(
            "--fail-if mentions a baseline, but none is given", hint="name one with --baseline"
        )
    wanted = Wanted(
        files=files,
        printed=printed,
        save=given["save"],
        baseline=None if baseline is None else (baseline, saved.load(baseline, results_folder())),
        gates=gates,
        strict=given["strict"],
        as_json=given["as_json"],
    )
    plan = Plan(
        runs=given["runs"],
        seconds=given["time"] or 30.0,
        timed=given["time"] is not None,
        precision=given["precision"] / 100,
        concurrency=given["concurrency"],
        rate=given["rate"],
        arrivals=given["arrivals"],
        reuse=given["conn"] == "reuse",
        prompt=_text("--prompt", given["prompt"]),
        prompt_tokens=given["prompt_tokens"],
        max_tokens=given["max_tokens"],
    )
    servers = _servers(given, token)
    models = [(str(it.settings.provider), str(it.settings.model)) for it in servers]
    places = _places(given["model"] or (), servers)
    placed = [(*it, place) for it, place in zip(models, places, strict=True)]
    arms = arms_of(placed, given["cache"], given["vs_blocking"])
    each = len(arms) // len(servers)
    settings = {arm.name: servers[at // each].settings for at, arm in enumerate(arms)}
    addresses = dict.fromkeys(mask_address(it.address) or "built in" for it in servers)
    return run(arms, settings, ", ".join(addresses), plan, wanted, token)


def _outputs(given: dict[str, Any]) -> tuple[list[tuple[str, Path]], str | None]:
    """The files to write, each with its format, and the format that standard output gets.

    Raises `UsageError` where one of them cannot be written, or would overwrite another.
    """
    wanted = [(name, given[name]) for name in ("csv", "html") if given[name] is not None]
    files = [(name, path) for name, path in wanted if path != export.STDOUT]
    printed = [name for name, path in wanted if path == export.STDOUT]
    claims = [f"--{name} -" for name in printed] + ["--json"] * given["as_json"]
    if printed and len(claims) > 1:
        raise UsageError(
            f"{' and '.join(claims)} would both write to standard output",
            hint="write one of them to a file",
        )
    for _, path in files:
        export.check(path)
    if len({path.resolve() for _, path in files}) < len(files):
        raise UsageError(f"--csv and --html name the same file: {files[0][1]}")
    return files, printed[0] if printed else None


def _servers(given: dict[str, Any], token: CancelToken) -> list[Server]:
    """Whom to ask: for each model that is named, else what the settings say."""
    flags = {**given["flags"], "options": options_in(given["flags"]["options"])}
    names = given["model"] or []
    check_given("--model", names)
    each = [{**flags, "model": argument(name, "--model")} for name in names] or [flags]
    resolved = [resolve(it, profile=given["profile"]) for it in each]
    exits.warn(resolved[0].warnings)
    asked = [it.settings for it in resolved] if names else candidates(resolved[0].settings)[:1]
    return [awaited(server_of(it, token, tell)) for it in asked]


def _places(names: Sequence[str], servers: Sequence[Server]) -> list[str]:
    """Where each model is: in the user's words of MODEL@PLACE, else by its provider."""
    places = [str(it.settings.provider) for it in servers]
    for at, (name, it) in enumerate(zip(names, servers, strict=False)):
        _, place = split(name)
        if place and name != it.settings.model:
            places[at] = urlsplit(mask_address(place)).netloc or place
    return places


def _text(name: str, given: str | None) -> str | None:
    return None if given is None else argument(given, name)


def _explain() -> int:
    lines = explained(stdout.columns())
    if not stdout.can_show("".join(lines), sys.stdout.encoding):
        lines = [to_ascii(line) for line in lines]
    stdout.show("\n".join(lines) + "\n")
    return 0


def _self_test(token: CancelToken) -> int:
    from chatstream.bench.selftest import selftest
    from chatstream.bench.steal import Steal

    def wires(url: str, kernel: bool) -> Measuring:
        settings = Settings(provider="ollama", base_url=url, model="truth", proxy="")
        return Measuring({"self-test": settings}, kernel=kernel)

    steal = Steal()
    found = selftest(wires, token)
    lines = found.lines(stdout.columns())
    if steal.warning:
        lines.append(f"Note: {steal.warning}.")
    stdout.show("\n".join(lines) + "\n")
    return found.exit_status
