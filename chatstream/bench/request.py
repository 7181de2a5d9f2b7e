"""What `bench` can be asked for: a benchmark, the self-test, and what each figure means.

Everything that can be wrong with a benchmark's options is found here, before the first request.
`given` are the options that only a benchmark has, by the names of the command's parameters.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from chatstream.bench import export, saved
from chatstream.bench.definitions import explain as explained
from chatstream.bench.gates import parse_gate
from chatstream.bench.layout import to_ascii
from chatstream.bench.plan import Plan, arms_of
from chatstream.bench.session import Wanted, bench, results_folder
from chatstream.cancel import CancelToken
from chatstream.engine.measuring import Measuring
from chatstream.engine.places import split
from chatstream.engine.resolve import check_given, resolve
from chatstream.engine.services import Server, awaited, candidates, server_of
from chatstream.engine.settings import Settings
from chatstream.errors import UsageError
from chatstream.redact import mask_address
from chatstream.terminal import exits, stdout
from chatstream.terminal.present import tell
from chatstream.text import argument


def benchmark(
    given: Mapping[str, Any], flags: Mapping[str, Any], profile: str | None, token: CancelToken
) -> int:
    """Check everything, then run it; returns the exit status. Raises a `ChatstreamError`.

    `flags` are settings.
    """
    plan = plan_of(given)
    wanted = wanted_of(given)
    servers = _servers(given["model"] or [], flags, profile, token)
    models = [(str(it.settings.provider), str(it.settings.model)) for it in servers]
    places = places_of(given["model"] or (), servers)
    placed = [(*it, place) for it, place in zip(models, places, strict=True)]
    arms = arms_of(placed, given["cache"], given["vs_blocking"])
    each = len(arms) // len(servers)
    settings = {arm.name: servers[at // each].settings for at, arm in enumerate(arms)}
    addresses = dict.fromkeys(mask_address(it.address) or "built in" for it in servers)
    return bench(arms, settings, ", ".join(addresses), plan, wanted, token)


def self_test(token: CancelToken) -> int:
    """Measure how accurately this installation measures; returns the exit status."""
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


def explain() -> int:
    """Print what each figure means; returns the exit status."""
    lines = explained(stdout.columns())
    if not stdout.can_show("".join(lines), sys.stdout.encoding):
        lines = [to_ascii(line) for line in lines]
    stdout.show("\n".join(lines) + "\n")
    return 0


def plan_of(given: Mapping[str, Any]) -> Plan:
    """How the benchmark is to be run. Raises `UsageError`."""
    if given["rate"] is not None and given["concurrency"] != 1:
        raise UsageError(
            "--rate and --concurrency cannot be combined",
            hint="--rate opens as many streams as it needs",
        )
    prompt = given["prompt"]
    check_given("--prompt", prompt)
    plan = Plan(
        runs=given["runs"],
        precision=given["precision"] / 100,
        concurrency=given["concurrency"],
        rate=given["rate"],
        arrivals=given["arrivals"],
        reuse=given["conn"] == "reuse",
        prompt=None if prompt is None else argument(prompt, "--prompt"),
        prompt_tokens=given["prompt_tokens"],
        max_tokens=given["max_tokens"],
    )
    seconds = given["time"]
    return plan if seconds is None else replace(plan, seconds=seconds, timed=True)


def wanted_of(given: Mapping[str, Any]) -> Wanted:
    """What happens to the figures. Raises `UsageError`, and `ConfigError` for a baseline."""
    files, printed = _outputs(given)
    save, baseline = given["save"], given["baseline"]
    if save is not None:
        saved.check(save, results_folder())
    gates = [parse_gate(text) for text in given["fail_if"] or ()]
    if baseline is None and any(gate.scale is not None for gate in gates):
        raise UsageError(
            "--fail-if mentions a baseline, but none is given", hint="name one with --baseline"
        )
    return Wanted(
        files=files,
        printed=printed,
        save=save,
        baseline=None if baseline is None else (baseline, saved.load(baseline, results_folder())),
        gates=gates,
        strict=given["strict"],
        as_json=given["as_json"],
    )


def places_of(names: Sequence[str], servers: Sequence[Server]) -> list[str]:
    """The place of each model: what the user wrote in MODEL@PLACE, else the provider's name."""
    places = [str(it.settings.provider) for it in servers]
    for at, (name, it) in enumerate(zip(names, servers, strict=False)):
        _, place = split(name)
        if place and name != it.settings.model:
            places[at] = urlsplit(mask_address(place)).netloc or place
    return places


def _outputs(given: Mapping[str, Any]) -> tuple[list[tuple[str, Path]], str | None]:
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


def _servers(
    names: Sequence[str], flags: Mapping[str, Any], profile: str | None, token: CancelToken
) -> list[Server]:
    """The server of each model that is named, else the first that the settings name."""
    check_given("--model", names)
    each = [{**flags, "model": argument(name, "--model")} for name in names] or [{**flags}]
    resolved = [resolve(it, profile=profile) for it in each]
    exits.warn(resolved[0].warnings)
    asked = [it.settings for it in resolved] if names else candidates(resolved[0].settings)[:1]
    return [awaited(server_of(it, token, tell)) for it in asked]
