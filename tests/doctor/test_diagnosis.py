"""Claimed: what keeps a stream from streaming is told by its headers and arrival times alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from chatstream.bench.result import Sample
from chatstream.doctor.diagnosis import (
    CHECKS,
    Case,
    Exchange,
    Finding,
    diagnose,
    is_worth_repeating,
)
from chatstream.doctor.proxies import ADVICE, IDLE_LIMITS, PROXIES, TOTAL_LIMITS
from chatstream.events import ServerTimes
from chatstream.timing import Receipt, Trace

SENT = 1000.0  # on some monotonic clock
STREAM = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
FRAME = 230  # bytes that a token has on the wire


def exchange(
    arrivals: Sequence[float] = (),
    deltas: int = 1,
    *,
    reads: Sequence[tuple[float, int]] | None = None,
    status: str = "ok",
    http: int | None = 200,
    headers: dict[str, str] | None = None,
    ended: float | None = None,
    number: int = 1,
    tokens: int | None = None,
    **more: Any,
) -> Exchange:
    """A request with these arrivals, in seconds since it was sent, each of so many deltas.

    `reads` are all reads of the body, those without tokens too. `more` are fields of the sample,
    and of the trace where it has them.
    """
    times = list(arrivals)
    reads = [(at, FRAME * deltas) for at in times] if reads is None else reads
    phases = {name: more.pop(name) for name in ("dns", "tcp", "tls", "rtt") if name in more}
    receipts = [Receipt(SENT + at, SENT + at, SENT, size, True) for at, size in reads]
    head = SENT + min([0.05, *(at for at, _ in reads)]) if http is not None else None
    trace = Trace(
        sent=SENT,
        status=http,
        headers=STREAM if headers is None else headers,
        head=head,
        receipts=receipts,
        **phases,
    )
    sample = Sample(
        number=number,
        arm="m",
        status=status,
        ttft=times[0] if times else None,
        tokens=len(times) * deltas if tokens is None else tokens,
        deltas=len(times) * deltas,
        arrivals=times,
        deltas_at=[deltas] * len(times),
        **more,
    )
    last = max([0.05, *times, *(at for at, _ in reads)])
    return Exchange(sample, trace, SENT + (last if ended is None else ended))


def steady(count: int = 100, first: float = 0.4, gap: float = 0.02) -> list[float]:
    return [first + gap * n for n in range(count)]


def found(cold: Exchange, warm: Exchange | None = None) -> dict[str, Finding]:
    """The findings by their codes, of which none may come twice."""
    findings = diagnose(Case(cold, warm))
    by_code = {finding.code: finding for finding in findings}
    assert len(by_code) == len(findings)
    return by_code


def severities(cold: Exchange, warm: Exchange | None = None) -> dict[str, str]:
    return {code: finding.severity for code, finding in found(cold, warm).items()}


def test_a_stream_is_told_with_its_pace_and_nothing_else() -> None:
    healthy = exchange(steady(first=0.412, gap=0.021), tpot=0.021)
    what = "a stream: first token after 412 ms, then one every 21 ms"
    assert diagnose(Case(healthy, healthy)) == [Finding(code="stream", severity="ok", what=what)]


def test_a_finding_is_one_object_of_json() -> None:
    finding = Finding(code="stream", severity="ok", what="w")
    expected = b'{"type":"finding","code":"stream","severity":"ok","what":"w"}'
    assert msgspec.json.encode(finding) == expected


# ---- held back


def test_all_tokens_at_the_end_were_held_back() -> None:
    held = exchange([3.0], 100)
    assert severities(held, held) == {"buffered": "problem"}
    assert found(held)["buffered"].what == "all 100 tokens arrived within 0.0 ms, after 3.0 s"


def test_a_burst_in_several_segments_is_held_back_too() -> None:
    assert "buffered" in found(exchange([3.0 + 0.0003 * n for n in range(16)], 6))


@pytest.mark.parametrize("gap", [0.001, 0.002])
def test_a_fast_model_after_a_long_wait_is_a_stream(gap: float) -> None:
    """All within 1 or 2 % of the time, but one by one: a prompt that was long to read."""
    assert severities(exchange(steady(100, 10.0, gap))) == {"stream": "ok"}


def test_a_slow_reader_of_a_true_stream_finds_no_buffer() -> None:
    """Ten tokens a read, but over the whole time."""
    assert "stream" in found(exchange(steady(10, 0.4, 0.05), 10))


def test_what_is_fast_as_a_whole_is_too_fast_to_tell() -> None:
    assert severities(exchange([0.2], 100)) == {"too-fast": "note"}


def test_the_servers_own_time_is_a_proof_for_a_fast_one_too() -> None:
    fast = exchange([0.2], 100, server=ServerTimes(generation=0.15))
    assert severities(fast) == {"buffered": "problem"}
    assert "though the server took 150 ms" in found(fast)["buffered"].what


def test_the_servers_time_proves_what_was_held_for_most_of_it() -> None:
    """Released over 0.4 s, as over a slow line, while the server wrote for 3 s."""
    slow = exchange([1.0 + 0.05 * n for n in range(9)], 12, server=ServerTimes(generation=3.0))
    assert "buffered" in found(slow)


def test_a_server_that_says_it_was_quick_is_believed() -> None:
    """A very fast server that sends many tokens at a time, after a long prompt."""
    quick = exchange([4.0 + 0.008 * n for n in range(5)], 20, server=ServerTimes(generation=0.04))
    assert severities(quick) == {"stream": "ok"}
    at_once = exchange([4.0], 100, server=ServerTimes(generation=0.04))
    assert severities(at_once) == {"too-fast": "note"}


def test_a_stream_that_takes_as_long_as_the_server_is_one() -> None:
    times = steady(20, 0.4, 0.1)
    bundles = exchange(times, 5, server=ServerTimes(generation=2.0))
    assert "stream" in found(bundles)


@pytest.mark.parametrize(
    ("arrivals", "deltas"), [([3.0], 7), ([3.0], 1), ([3.0, 3.001, 3.002, 3.003], 4)]
)
def test_a_few_tokens_at_once_tell_nothing(arrivals: list[float], deltas: int) -> None:
    assert severities(exchange(arrivals, deltas)) == {"too-short": "note"}


def test_a_few_tokens_one_by_one_are_a_stream() -> None:
    assert "stream" in found(exchange(steady(3)))


def test_a_single_delta_of_many_tokens_was_held_back() -> None:
    assert "buffered" in found(exchange([3.0], 1, tokens=100))


def test_the_second_request_decides_and_the_first_where_that_failed() -> None:
    held, flowing = exchange([3.0], 100), exchange(steady())
    assert "buffered" in found(flowing, held)
    assert "stream" in found(held, flowing)
    cut = exchange(status="truncated", number=2)
    assert {"stream", "cut"} == set(found(flowing, cut))


def test_one_json_body_is_no_stream_whatever_its_length_says() -> None:
    headers = {"content-type": "application/json", "content-length": "900"}
    body = exchange([2.0], 1, headers=headers)
    assert severities(body) == {"not-streamed": "problem"}


def test_an_answer_without_a_token_is_told() -> None:
    assert severities(exchange(reads=[(0.3, 100)])) == {"empty": "problem"}


@pytest.mark.parametrize("row", PROXIES, ids=lambda row: f"{row[0]}-{row[2]}")
def test_a_proxy_is_named_by_its_header(row: tuple[str, str, str, str]) -> None:
    header, part, name, todo = row
    held = exchange([3.0], 100, headers={**STREAM, header: f"1.1 {part.title()}/1.25"})
    advice = found(held)["buffered"].todo or ""
    assert f"{name}: {todo}" in advice
    assert "X-Accel-Buffering" not in advice


def test_without_a_trace_of_a_proxy_nginx_is_the_first_guess() -> None:
    assert "proxy_buffering off" in (found(exchange([3.0], 100))["buffered"].todo or "")


def test_no_nginx_is_blamed_where_its_header_came_through() -> None:
    """nginx takes `X-Accel-*` out of what it passes on."""
    headers = {**STREAM, "x-accel-buffering": "no"}
    todo = found(exchange([3.0], 100, headers=headers))["buffered"].todo or ""
    assert "proxy_buffering" not in todo
    assert "nginx is not the cause" in todo


# ---- in pieces


@pytest.mark.parametrize("block", [4096, 8192, 16384, 65536])
def test_writes_of_a_buffers_size_are_blocks(block: int) -> None:
    """With the size lines of chunks in them, in segments, and a rest at the end."""
    reads = []
    for n in range(4):
        for part in range(2):
            reads.append((1.0 + 0.2 * n + 0.0005 * part, block // 2 + 4 * part))
    reads.append((1.8, 700))
    blocks = exchange([at for at, _ in reads], 10, reads=reads)
    assert found(blocks)["blocks"].what == f"arrives in blocks of {block // 1024} KB: 4 of 4 writes"
    assert set(found(blocks)) == {"blocks"}


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([3100, 4100, 5200, 2800, 6100, 3900, 700], id="all sizes"),
        pytest.param([4096, 4096, 2900, 3300, 4090, 5100, 700], id="half of them alike"),
        pytest.param([3500, 3500, 3500, 3500, 700], id="alike, but no buffer"),
    ],
)
def test_writes_of_no_buffers_size_are_no_blocks(sizes: list[int]) -> None:
    reads = [(1.0 * n, size) for n, size in enumerate(sizes, 1)]
    assert "blocks" not in found(exchange([at for at, _ in reads], 18, reads=reads))


def test_one_full_buffer_and_a_rest_are_blocks() -> None:
    """As nginx with buffers of 16 KB sends a body that ends with its connection."""
    two = exchange([1.4, 2.3], 60, reads=[(1.4, 16384), (2.3, 11000)])
    assert severities(two) == {"blocks": "problem"}


def test_buffers_that_fill_faster_than_anybody_sees_are_no_problem() -> None:
    reads = [(1.0 + 0.05 * n, 4096) for n in range(6)]
    assert severities(exchange([at for at, _ in reads], 16, reads=reads)) == {"stream": "ok"}


def test_a_fast_stream_is_no_block() -> None:
    """Tokens less than 5 ms apart are joined to one write, not to several of a size."""
    assert severities(exchange(steady(200, 0.4, 0.002))) == {"stream": "ok"}


def test_tokens_in_jerks_are_a_note() -> None:
    assert severities(exchange(steady(12, 0.4, 0.2), 8)) == {"stream": "ok", "bundled": "note"}
    assert found(exchange(steady(12, 0.4, 0.2), 8))["bundled"].what == (
        "8 tokens at a time, 200 ms apart"
    )


def test_a_slow_model_is_not_bundled() -> None:
    assert severities(exchange(steady(20, 0.4, 0.5))) == {"stream": "ok"}


def test_groups_at_the_pace_of_delayed_acks_are_nagles() -> None:
    assert "nagle" in found(exchange(steady(40, 0.4, 0.0405), 3))
    assert "nagle" not in found(exchange(steady(40, 0.4, 0.0405), 1))
    assert "nagle" not in found(exchange(steady(3, 0.4, 0.0405), 3))


# ---- headers


def test_a_compressor_that_holds_tokens_back_is_a_problem() -> None:
    headers = {**STREAM, "content-encoding": "gzip", "cf-ray": "1-AMS"}
    held = found(exchange([3.0], 100, headers=headers))
    assert held["compressed"].severity == "problem"
    assert "gzip, although not requested (through Cloudflare)" in held["compressed"].what
    assert found(exchange(steady(), headers=headers))["compressed"].severity == "note"


def test_identity_is_no_compression() -> None:
    assert severities(exchange(steady(), headers={**STREAM, "content-encoding": "identity"})) == {
        "stream": "ok"
    }


def test_a_stream_of_known_length_was_collected_before() -> None:
    headers = {"content-type": "text/event-stream", "content-length": "23000"}
    assert severities(exchange(steady(), headers=headers))["sized"] == "problem"


def test_a_body_that_ends_with_its_connection_is_a_note_and_only_one() -> None:
    headers = {"content-type": "text/event-stream", "connection": "close"}
    assert severities(exchange(steady(), headers=headers)) == {"stream": "ok", "unframed": "note"}


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", None])
def test_another_content_type_is_a_note(kind: str | None) -> None:
    headers = {"transfer-encoding": "chunked", **({"content-type": kind} if kind else {})}
    finding = found(exchange(steady(), headers=headers))["content-type"]
    assert finding.severity == "note"
    assert (kind or "no Content-Type") in finding.what


def test_ollamas_lines_are_a_stream() -> None:
    headers = {**STREAM, "content-type": "application/x-ndjson"}
    assert severities(exchange(steady(), headers=headers)) == {"stream": "ok"}


def test_connections_that_are_closed_cost_their_time_again() -> None:
    headers = {**STREAM, "connection": "close"}
    warm = exchange(steady(), headers=headers, tcp=0.012, tls=0.026)
    assert found(warm, warm)["no-reuse"].what.endswith("a new connection, at 38 ms")


# ---- silence


def test_silence_of_15_s_wants_keep_alives() -> None:
    late = exchange(steady(first=16.0))
    assert severities(late) == {"stream": "ok", "no-keep-alive": "note"}
    assert "16.0 s without a byte before the first token" in found(late)["no-keep-alive"].what
    assert "no-keep-alive" not in found(exchange(steady(first=14.0)))


def test_silence_between_tokens_is_told_as_such() -> None:
    times = [*steady(10), 20.58, *steady(10, 20.6)]
    assert "20.0 s without a byte between two tokens" in (
        found(exchange(times))["no-keep-alive"].what
    )


def test_the_silence_before_a_failure_counts() -> None:
    cut = exchange(steady(10), status="truncated", ended=21.0)
    assert set(found(cut)) == {"stream", "no-keep-alive", "cut"}


def test_keep_alives_are_no_silence() -> None:
    times = steady(first=40.0)
    reads = [*((float(at), 3) for at in range(1, 40)), *((at, FRAME) for at in times)]
    assert severities(exchange(times, reads=reads)) == {"stream": "ok"}


def test_the_silence_of_the_first_request_counts_though_the_second_is_quick() -> None:
    assert "no-keep-alive" in found(exchange(steady(first=30.0)), exchange(steady()))


# ---- failures


@pytest.mark.parametrize("limit", IDLE_LIMITS, ids=lambda limit: f"{limit[0]:.0f}")
@pytest.mark.parametrize("status", ["truncated", "reset"])
def test_a_cut_after_the_silence_of_a_known_limit_names_it(
    limit: tuple[float, str], status: str
) -> None:
    seconds, whose = limit
    times = steady(10)
    cut = exchange(times, status=status, ended=times[-1] + seconds + 0.6)
    finding = found(cut)["idle-cut"]
    assert finding.severity == "problem"
    assert "10 tokens" in finding.what
    assert f"{seconds:.0f} s limit of {whose}" in finding.what


def test_a_cut_before_the_first_byte_counts_from_the_request() -> None:
    cut = exchange(http=None, status="reset", ended=60.2, message="the connection broke")
    assert set(found(cut)) == {"idle-cut"}
    assert "no token and 60.2 s of silence" in found(cut)["idle-cut"].what


@pytest.mark.parametrize("limit", TOTAL_LIMITS, ids=lambda limit: f"{limit[0]:.0f}")
def test_a_cut_in_the_middle_of_the_tokens_names_a_limit_on_the_whole(
    limit: tuple[float, str],
) -> None:
    seconds, whose = limit
    times = steady(10, seconds - 1.0, 0.1)
    reads = [*((at / 2, 3) for at in range(1, 2 * int(seconds))), *((at, FRAME) for at in times)]
    cut = exchange(times, reads=sorted(reads), status="truncated", ended=seconds + 0.2)
    assert f"{seconds:.0f} s limit of {whose}" in found(cut)["time-cut"].what


def test_a_cut_at_no_known_limit_names_none() -> None:
    cut = exchange(steady(30), status="truncated", message="the connection was closed")
    finding = found(cut)["cut"]
    assert (
        finding.what == "cut after 30 tokens, 0.0 ms after the last byte: the connection was closed"
    )
    assert set(found(cut)) == {"stream", "cut"}


def test_without_an_answer_nothing_else_is_said() -> None:
    refused = exchange(http=None, status="connect", headers={}, message="connection refused")
    assert [it.what for it in diagnose(Case(refused))] == ["connection refused"]


@pytest.mark.parametrize("status", ADVICE)
def test_an_http_error_comes_alone_and_with_advice(status: int) -> None:
    error = exchange(
        http=status,
        status=f"http_{status}",
        headers={"content-type": "application/json", "content-length": "5"},
        message="not\nthis\tway",
    )
    assert diagnose(Case(error)) == [
        Finding(
            code=f"http-{status}",
            severity="problem",
            what=f"HTTP {status}: not this way",
            todo=ADVICE[status],
        )
    ]


def test_a_page_is_a_proxys_and_its_wait_names_the_limit() -> None:
    page = {"content-type": "text/html", "server": "nginx/1.25"}
    error = exchange(
        http=504, status="http_504", headers=page, ended=60.03, message="504 Gateway Time-out"
    )
    assert found(error)["http-504"].what == (
        "HTTP 504 (through nginx) after 60.0 s, like the 60 s limit of nginx "
        "(proxy_read_timeout), Apache (ProxyTimeout) and AWS ALB: 504 Gateway Time-out"
    )
    late = exchange(http=500, status="http_500", headers=page, ended=60.0, message="no")
    assert found(late)["http-500"].what == "HTTP 500 (through nginx): no"
    quick = exchange(http=504, status="http_504", headers={"content-type": "text/html"})
    assert found(quick)["http-504"].what.startswith("HTTP 504 from a proxy:")


def test_a_model_that_is_being_loaded_is_told_from_a_server_that_is_full() -> None:
    busy = exchange(http=503, status="http_503", headers={}, message="no free slot")
    loading = exchange(http=503, status="http_503", headers={}, message="Loading model")
    assert set(found(busy)) == {"http-503"}
    assert severities(loading) == {"loading": "problem"}


def test_a_first_request_that_failed_is_told_beside_the_second() -> None:
    error = exchange(http=502, status="http_502", headers={}, message="Bad Gateway")
    both = found(error, exchange(steady(), number=2))
    assert set(both) == {"stream", "http-502"}
    assert both["http-502"].what.startswith("request 1 of 2: HTTP 502")


@pytest.mark.parametrize("status", ["timeout_first_token", "timeout_total", "stream_error"])
def test_other_failures_keep_their_name(status: str) -> None:
    failed = exchange(status=status, message="it was not to be", ended=5.0)
    assert severities(failed) == {status.replace("_", "-"): "problem"}


def test_what_the_user_stopped_is_no_finding() -> None:
    assert diagnose(Case(exchange(http=None, status="cancelled", headers={}))) == []


def test_remote_text_stays_in_one_line_of_some_length() -> None:
    error = exchange(http=400, status="http_400", headers={}, message="a \n" * 500)
    assert len(found(error)["http-400"].what) < 200
    assert "\n" not in found(error)["http-400"].what


# ---- the first request against the second


@pytest.mark.parametrize(
    ("cold", "warm", "told"),
    [(4.0, 0.4, True), (0.9, 0.05, False), (4.0, 2.0, False), (1.1, 0.05, True)],
)
def test_a_first_token_that_is_much_later_at_first_means_loading(
    cold: float, warm: float, told: bool
) -> None:
    findings = severities(exchange(steady(first=cold)), exchange(steady(first=warm)))
    assert (findings.get("loading") == "note") is told


def test_the_servers_own_load_time_needs_no_comparison() -> None:
    loaded = exchange(steady(first=2.0), server=ServerTimes(load=1.6))
    assert found(loaded, exchange(steady(first=1.9)))["loading"].severity == "note"


def test_a_model_that_is_loaded_each_time_is_a_problem() -> None:
    loaded = exchange(steady(first=2.0), server=ServerTimes(load=1.6))
    assert found(loaded, loaded)["loading"].what == (
        "the model was loaded for each request: 1.6 s and 1.6 s"
    )
    assert found(loaded, loaded)["loading"].severity == "problem"


@pytest.mark.parametrize(
    ("phases", "says"),
    [
        ({"dns": 0.3, "tcp": 0.01}, "DNS took 300 ms"),
        ({"dns": 0.2, "tcp": 0.9, "rtt": 0.03}, "TCP took 900 ms; a round trip is 30 ms"),
        ({"tls": 0.8}, "TLS took 800 ms"),
        ({"dns": 0.05, "tcp": 0.2, "tls": 0.4}, None),
    ],
)
def test_the_slowest_phase_of_connecting_is_told(phases: dict[str, Any], says: str | None) -> None:
    finding = found(exchange(steady(), **phases)).get("slow-connect")
    assert (finding.what if finding else None) == says


# ---- all of it


def test_only_an_answer_or_a_failing_server_is_asked_again() -> None:
    again = {
        status: is_worth_repeating(exchange(status=status))
        for status in ("ok", "http_503", "http_401", "connect", "timeout_first_token", "cancelled")
    }
    assert [status for status, worth in again.items() if worth] == ["ok", "http_503"]


def test_every_problem_and_note_says_what_to_do_in_one_line() -> None:
    headers = {"content-type": "text/plain", "content-encoding": "br", "connection": "close"}
    cases = [
        exchange([3.0], 100, headers=headers),
        exchange(steady(first=16.0), headers=headers, dns=1.0),
        exchange(steady(30), status="truncated", message="cut"),
        exchange(status="timeout_first_token"),
        exchange(http=None, status="connect", headers={}),
    ]
    findings = [finding for case in cases for finding in diagnose(Case(case, case))]
    assert len(findings) > 8
    for finding in findings:
        assert (finding.todo is None) is (finding.severity == "ok")
        assert "\n" not in finding.what + (finding.todo or "")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_check_takes_an_exchange_of_which_nothing_is_known(check: Any) -> None:
    nothing = Exchange(Sample(number=1, arm="m", status="stream_error"), Trace(), SENT)
    check(Case(nothing))
    check(Case(nothing, nothing))
