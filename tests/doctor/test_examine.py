"""`doctor`: over a real socket it sees what is wrong with a stream, and says so.

Nothing here depends on how long something takes: a stream that is to be held back is held back
until its end by a proxy, and that a good one flows is the pace of its server.
"""

from __future__ import annotations

import gzip
import re
import shlex
import sys
from collections.abc import Callable

import msgspec
import pytest

from chatstream.cli.app import main
from chatstream.doctor.diagnosis import Finding
from tests.support.answers import ending, frames, headers
from tests.support.client import Finished, server_flags
from tests.support.faultproxy import FaultProxy
from tests.support.loopback import SSE, Framing, Reply, Script

pytestmark = pytest.mark.serial

WORDS = [f"word{n} " for n in range(40)]
HOLD = 3_600_000  # milliseconds: a proxy that lets go at the end, and not before


def stream(
    dialect: str = "openai", *, framing: Framing = "chunked", pace: float = 0.03, by: str = "me"
) -> Reply:
    """An answer of 40 tokens, in more than a second."""
    body = [*frames(dialect, WORDS), *ending(dialect)]
    return Reply(body, headers={**headers(dialect), "Server": by}, framing=framing, pace=pace)


def findings_of(done: Finished) -> dict[str, Finding]:
    """The findings of a run with --json, by their codes."""
    found = [msgspec.json.decode(line, type=Finding) for line in done.stdout.splitlines()]
    return {finding.code: finding for finding in found}


Examine = Callable[..., Finished]


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Examine:
    """The command, in this process."""

    def examine(*arguments: str) -> Finished:
        monkeypatch.setattr(sys, "argv", ["chatstream", "doctor", *arguments])
        status = main(sys.argv[1:])
        out, err = capfd.readouterr()
        return Finished(status, out.encode(), err, 0.0)

    return examine


def test_a_stream_is_one_and_is_asked_for_twice_in_other_words(examine: Examine) -> None:
    with Script(stream()) as server:
        done = examine(*server_flags("openai", server.url), "--json")
        first, second = (request.json["messages"] for request in server.requests)
    assert (done.status, done.stderr) == (0, "")
    assert findings_of(done)["stream"].severity == "ok"
    assert first != second


def test_it_says_what_it_asks_while_it_asks_and_asks_what_it_is_told(examine: Examine) -> None:
    with Script(stream(pace=0.0)) as server:
        done = examine(
            *server_flags("openai", server.url), "--prompt", "Count to ten.", "--max-tokens", "77"
        )
        asked = [request.json for request in server.requests]
    assert [it["messages"][0]["content"].partition(" ")[2] for it in asked] == ["Count to ten."] * 2
    assert 77 in asked[0].values()
    lines = done.stderr.splitlines()
    assert lines[0].endswith(f"({server.url}/v1): 'Count to ten.'")
    assert lines[1].startswith("Two requests of at most 77 tokens, with up to 300 s for each first")
    assert [re.sub(r"[\d.]+ s$", "… s", it) for it in lines[2:]] == [
        "Sending request 1 of 2.",
        "Request 1 of 2: 40 tokens in … s",
        "Sending request 2 of 2.",
        "Request 2 of 2: 40 tokens in … s",
    ]


def test_its_own_advice_can_be_followed(examine: Examine) -> None:
    at_once = b"".join([*frames("openai", WORDS[:3]), *ending("openai")])
    reply = Reply([at_once], headers=headers("openai"))
    with Script(reply) as server:
        done = examine(*server_flags("openai", server.url))
        (advice,) = [it for it in done.stdout.decode().splitlines() if "--prompt" in it]
        flags = shlex.split(advice[advice.index("--prompt") :])
        assert examine(*server_flags("openai", server.url), *flags).status == 0
        assert 800 in server.requests[-1].json.values()


def test_a_proxy_that_holds_everything_back_is_found(examine: Examine) -> None:
    reply = stream(framing="close", by="nginx/1.27", pace=0.02)
    with (
        Script(reply) as server,
        FaultProxy((server.host, server.port), f"buffer:delay={HOLD}") as proxy,
    ):
        done = examine(*server_flags("openai", proxy.url))
    lines = done.stdout.decode().splitlines()
    assert done.status == 1
    assert re.match(r"✗ all \d+ tokens arrived within .*, after .*", lines[0])
    assert lines[1].startswith("  nginx: set `proxy_buffering off;`")


def test_a_compressor_that_holds_everything_back_is_found(examine: Examine) -> None:
    packed = gzip.compress(b"".join([*frames("openai", WORDS), *ending("openai")]))
    reply = Reply([packed[:10], packed[10:]], headers={**SSE, "Content-Encoding": "gzip"}, pace=0.5)
    with Script(reply) as server:
        found = findings_of(examine(*server_flags("openai", server.url), "--json"))
    assert {found["buffered"].severity, found["compressed"].severity} == {"problem"}


def test_a_whole_json_body_is_no_stream(examine: Examine) -> None:
    body = {"choices": [{"message": {"content": "all at once"}, "finish_reason": "stop"}]}
    with Script(Reply.json(body)) as server:
        done = examine(*server_flags("openai", server.url), "--json")
    assert (done.status, set(findings_of(done))) == (1, {"not-streamed"})


def test_a_body_without_any_framing_is_a_note(examine: Examine) -> None:
    with Script(stream("ollama", framing="close", pace=0.0)) as server:
        found = findings_of(examine(*server_flags("ollama", server.url), "--json"))
    assert found["unframed"].severity == "note"


@pytest.mark.parametrize("fault", ["cut", "rst"])
def test_a_cut_is_found_and_not_asked_for_again(examine: Examine, fault: str) -> None:
    with (
        Script(stream(pace=0.0)) as server,
        FaultProxy((server.host, server.port), f"{fault}:after=1500:body=1") as proxy,
    ):
        done = examine(*server_flags("openai", proxy.url), "--json")
        assert len(server.requests) == 1
    assert (done.status, findings_of(done)["cut"].severity) == (1, "problem")


@pytest.mark.parametrize(
    ("reply", "code", "requests"),
    [
        (Reply.json({"error": {"message": "bad key"}}, 401), "http-401", 1),
        (Reply.json({"error": {"message": "no such model"}}, 404), "http-404", 1),
        (Reply.json({"error": {"message": "Loading model", "code": 503}}, 503), "loading", 2),
        (Reply(b"<html>Bad Gateway</html>", 502, {"Content-Type": "text/html"}), "http-502", 2),
    ],
)
def test_a_refusal_is_the_only_finding(
    examine: Examine, reply: Reply, code: str, requests: int
) -> None:
    with Script(reply) as server:
        done = examine(*server_flags("openai", server.url), "--json")
        assert len(server.requests) == requests
    assert (done.status, set(findings_of(done))) == (1, {code})


def test_no_server_is_a_finding(examine: Examine) -> None:
    with Script() as server:
        url = server.url
    done = examine(url, "-p", "openai", "-m", "m", "--json")
    assert (done.status, set(findings_of(done))) == (1, {"no-connection"})
    assert "connection refused" in findings_of(done)["no-connection"].what
    unnamed = examine(url, "-p", "openai", "--json")  # its models cannot be asked for
    assert unnamed.stdout == done.stdout


def test_a_server_that_lists_no_models_is_asked_all_the_same(examine: Examine) -> None:
    with Script(Reply.json({}, 404), stream(pace=0.0)) as server:
        done = examine(server.url, "-p", "openai", "--json")
        assert server.requests[1].json["model"] == "default"
    assert "http-404" not in findings_of(done)


def test_a_server_without_any_model_is_one_for_the_user(examine: Examine) -> None:
    with Script(Reply.json({"data": []})) as server:
        done = examine(server.url, "-p", "openai")
    assert (done.status, done.stdout) == (2, b"")
    assert "has no chat model" in done.stderr


def test_what_a_server_sends_cannot_drive_the_terminal_and_stays_one_line(examine: Examine) -> None:
    evil = Reply.json({"error": {"message": "\x1b]0;owned\x07\nsecond\x9b2J"}}, 400)
    with Script(evil) as server:
        done = examine(*server_flags("openai", server.url))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stdout.decode())
    assert len(done.stdout.splitlines()) == 2


def test_a_key_is_never_shown(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sesame-opens-the-door"
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    with Script(Reply.json({"error": {"message": f"invalid key: {secret}"}}, 401)) as server:
        for more in ([], ["--json"]):
            done = examine(*server_flags("openai", server.url), *more)
            assert b"invalid key: ***" in done.stdout
            assert secret not in done.stdout.decode() + done.stderr
