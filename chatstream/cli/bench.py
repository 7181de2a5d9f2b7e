"""`chatstream bench`: how soon and how steadily a model answers."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from chatstream.bench import export, saved
from chatstream.bench.definitions import explain as explained
from chatstream.bench.gates import parse_gate
from chatstream.bench.plan import Plan, arms_of
from chatstream.cancel import CancelToken
from chatstream.cli import exits
from chatstream.cli.benching import Wanted, results_folder
from chatstream.cli.benching import bench as run
from chatstream.cli.choose import Server, awaited, candidates, server_of, with_model
from chatstream.cli.config import Settings, check_given, resolve
from chatstream.cli.interrupt import interrupts
from chatstream.cli.measuring import Measuring
from chatstream.cli.options import (
    BaseUrl,
    ConnectTimeout,
    Debug,
    FirstTokenTimeout,
    IdleTimeout,
    Json,
    Option,
    Profile,
    Provider,
    Temperature,
    Timeout,
    file_path,
    options_in,
    settings_in,
)
from chatstream.cli.output import show_debug
from chatstream.errors import ChatstreamError, UsageError
from chatstream.redact import mask_address


def bench(
    provider: Provider = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL[@PROVIDER]",
            help="The model to measure. Repeatable: several are compared.",
        ),
    ] = None,
    base_url: BaseUrl = None,
    profile: Profile = None,
    runs: Annotated[
        int | None,
        typer.Option(
            "-n", "--runs", min=1, metavar="N", help="Measure exactly N runs of each model."
        ),
    ] = None,
    time: Annotated[
        float | None,
        typer.Option(
            "--time",
            min=0.1,
            metavar="S",
            show_default="about 30",
            help="Stop after S seconds.",
        ),
    ] = None,
    precision: Annotated[
        float,
        typer.Option(
            "--precision",
            min=0.1,
            max=100.0,
            metavar="PCT",
            help="Stop once the median is known to within PCT %.",
        ),
    ] = 5.0,
    concurrency: Annotated[
        int,
        typer.Option(
            "-c",
            "--concurrency",
            min=1,
            max=1000,
            metavar="N",
            help="Keep N requests running at once.",
        ),
    ] = 1,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            min=0.001,
            metavar="N",
            help="Start N requests per second.",
        ),
    ] = None,
    arrivals: Annotated[
        Literal["constant", "poisson"],
        typer.Option("--arrivals", help="How --rate spaces the requests."),
    ] = "constant",
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="The question to ask.")
    ] = None,
    prompt_tokens: Annotated[
        int | None,
        typer.Option(
            "--prompt-tokens",
            min=1,
            max=10_000_000,
            metavar="N",
            help="Put about N tokens of filler before the question.",
        ),
    ] = None,
    max_tokens: Annotated[
        int,
        typer.Option("--max-tokens", min=1, metavar="N", help="End each answer after N tokens."),
    ] = 128,
    conn: Annotated[
        Literal["reuse", "new"],
        typer.Option("--conn", help="Reuse one connection, or open a new one for each run."),
    ] = "reuse",
    cache: Annotated[
        Literal["bust", "reuse", "compare"],
        typer.Option(
            "--cache",
            help="Defeat the server's prefix cache, use it, or compare both.",
        ),
    ] = "bust",
    vs_blocking: Annotated[
        bool,
        typer.Option("--vs-blocking", help="Compare with the same request without streaming."),
    ] = False,
    temperature: Temperature = None,
    option: Option = None,
    connect_timeout: ConnectTimeout = None,
    first_token_timeout: FirstTokenTimeout = None,
    idle_timeout: IdleTimeout = None,
    timeout: Timeout = None,
    as_json: Json = False,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", parser=file_path, metavar="FILE", help="Write one row per run."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", parser=file_path, metavar="FILE", help="Write a page with plots."),
    ] = None,
    save: Annotated[
        str | None, typer.Option("--save", metavar="NAME", help="Keep the result under this name.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="NAME|FILE", help="Compare with a result that was kept."
        ),
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
        bool,
        typer.Option(
            "--strict", help="Also fail if the result is inconclusive or this client is the limit."
        ),
    ] = False,
    self_test: Annotated[
        bool,
        typer.Option("--self-test", help="Check how exactly this machine measures; takes 5 s."),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Explain every figure and exit.")
    ] = False,
    debug: Debug = False,
) -> int:
    """Measure how soon and how steadily a model answers.

    A first, cold run is shown apart. Exit status: 0 passed, 1 a gate failed or it is worse
    than the baseline, 2 usage or configuration, 3 too many runs failed, 4 inconclusive and
    5 limited by this client (both only with --strict), 130 Ctrl+C.
    """
    arguments = locals()
    if debug:
        show_debug()
    if explain:
        typer.echo("\n".join(explained()))
        return 0
    token = CancelToken()
    with interrupts(token):
        try:
            if self_test:
                return _self_test(token)
            return _bench(arguments, token)
        except ChatstreamError as error:
            return exits.report(token.reason or error, sys.argv if as_json else ())


def _bench(given: dict[str, Any], token: CancelToken) -> int:
    """Everything is looked at before anything is asked."""
    if given["rate"] is not None and given["concurrency"] != 1:
        raise UsageError("--rate and --concurrency exclude each other: a rate is an open loop")
    files = [(name, given[name]) for name in ("csv", "html") if given[name] is not None]
    for _, path in files:
        export.check(path)
    if given["save"] is not None:
        saved.check(given["save"])
    check_given("--prompt", given["prompt"])
    gates = [parse_gate(text) for text in given["fail_if"] or ()]
    baseline = given["baseline"]
    if baseline is None and any(gate.scale is not None for gate in gates):
        raise UsageError("a gate speaks of a baseline", hint="name it with --baseline")
    wanted = Wanted(
        files=files,
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
        prompt=_utf8(given["prompt"]),
        prompt_tokens=given["prompt_tokens"],
        max_tokens=given["max_tokens"],
    )
    servers = _servers(given, token)
    models = [(str(it.settings.provider), str(it.settings.model)) for it in servers]
    arms = arms_of(models, given["cache"], given["vs_blocking"])
    each = len(arms) // len(servers)
    settings = {arm.name: servers[at // each].settings for at, arm in enumerate(arms)}
    addresses = dict.fromkeys(mask_address(it.address) or "built in" for it in servers)
    return run(arms, settings, ", ".join(addresses), plan, wanted, token)


def _servers(given: dict[str, Any], token: CancelToken) -> list[Server]:
    """Whom to ask: for each model that is named, else what the settings say."""
    flags = {**settings_in(given), "options": options_in(given["option"])}
    names = flags.pop("model") or []
    del flags["max_tokens"]
    settings = resolve(flags, profile=given["profile"]).settings
    check_given("--model", names)
    asked: list[Settings] = [with_model(settings, _utf8(name) or "") for name in names]
    return [awaited(server_of(it, token)) for it in asked or candidates(settings)[:1]]


def _utf8(text: str | None) -> str | None:
    """An argument need not be UTF-8, what we send has to be."""
    return None if text is None else text.encode("utf-8", "replace").decode()


def _self_test(token: CancelToken) -> int:
    from chatstream.bench.selftest import selftest
    from chatstream.bench.steal import Steal

    def wires(url: str, kernel: bool) -> Measuring:
        settings = Settings(provider="ollama", base_url=url, model="truth")
        return Measuring({"self-test": settings}, kernel=kernel)

    steal = Steal()
    found = selftest(wires, token)
    lines = [*found.lines, *([f"And {steal.warning}."] if steal.warning else [])]
    with contextlib.suppress(BrokenPipeError):
        typer.echo("\n".join(lines))
    return found.exit_status
