"""`chatstream bench`: how soon and how steadily a model answers."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

import sys
from typing import Any

from chatstream.bench import request
from chatstream.cancel import CancelToken
from chatstream.cli.bench_options import (
    Arrivals,
    Baseline,
    Cache,
    Concurrency,
    Connection,
    Csv,
    Explain,
    FailIf,
    Html,
    MaxTokens,
    Models,
    Precision,
    Prompt,
    PromptTokens,
    Rate,
    Runs,
    Save,
    SelfTest,
    Strict,
    Time,
    VsBlocking,
)
from chatstream.cli.options import Debug, Json, Log, start_log, takes
from chatstream.errors import ChatstreamError
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts

_SERVER = ("provider", "base_url", "profile", "headers")
_REQUEST = ("temperature", "options")
_LIMITS = ("connect_timeout", "first_token_timeout", "idle_timeout", "timeout")


@takes(*_SERVER, *_REQUEST, *_LIMITS)
def bench(
    model: Models = None,
    runs: Runs = None,
    time: Time = None,
    precision: Precision = 5.0,
    concurrency: Concurrency = 1,
    rate: Rate = None,
    arrivals: Arrivals = "constant",
    prompt: Prompt = None,
    prompt_tokens: PromptTokens = None,
    max_tokens: MaxTokens = 128,
    conn: Connection = "reuse",
    cache: Cache = "bust",
    vs_blocking: VsBlocking = False,
    as_json: Json = False,
    csv: Csv = None,
    html: Html = None,
    save: Save = None,
    baseline: Baseline = None,
    fail_if: FailIf = None,
    strict: Strict = False,
    self_test: SelfTest = False,
    explain: Explain = False,
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
                return request.explain()
            if self_test:
                return request.self_test(token)
            return request.benchmark(arguments, flags, profile, token)
        except ChatstreamError as error:
            return exits.report(token.reason or error, sys.argv if as_json else ())
