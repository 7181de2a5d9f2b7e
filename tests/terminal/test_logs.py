"""Claimed: `--log` shows what the named rooms log from the named level on, without secrets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import chatstream
from chatstream.errors import UsageError
from chatstream.terminal import logs
from tests.support.client import run, server_flags
from tests.support.loopback import SSE, Reply, Script

ROOT = Path(chatstream.__file__).parent


@pytest.fixture(autouse=True)
def no_logging_left() -> Iterator[None]:
    handlers = logging.getLogger().handlers
    names = ["chatstream", *(f"chatstream.{name}" for name in logs.COMPONENTS)]
    before = {name: logging.getLogger(name).level for name in names}
    yield
    handlers[:] = [it for it in handlers if not isinstance(it.formatter, logs._Redacted)]
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def test_the_components_are_the_rooms_that_log() -> None:
    rooms = {
        path.relative_to(ROOT).parts[0]
        for path in ROOT.glob("*/**/*.py")
        if "getLogger(__name__)" in path.read_text()
    }
    assert set(logs.COMPONENTS) == rooms


@pytest.mark.parametrize(
    ("rules", "shown"),
    [
        (["debug"], "store d, store w, wire d, wire w"),
        (["warning"], "store w, wire w"),
        (["error"], ""),
        (["debug:wire"], "store w, wire d, wire w"),
        (["error", "debug:wire"], "wire d, wire w"),
        (["debug", "error:wire"], "store d, store w"),
        (["error:wire", "DEBUG"], "store d, store w"),
        (["debug:wire", "error:wire"], "store w"),
    ],
)
def test_each_room_has_its_level(
    rules: list[str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.show(rules)
    for room in ("store", "wire"):
        log = logging.getLogger(f"chatstream.{room}.module")
        log.debug(f"{room} d")
        log.warning(f"{room} w")
    said = [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()]
    assert ", ".join(said) == shown


def test_what_is_logged_is_redacted_whole_and_safe(capsys: pytest.CaptureFixture[str]) -> None:
    logs.show(["debug"])
    log = logging.getLogger("chatstream")
    try:
        raise ValueError("at http://me:pass-word@host")
    except ValueError:
        log.debug("with %s \x1b[31m", "sk-abcdef123456", exc_info=True)
    said = capsys.readouterr().err
    assert "with ***" in said
    assert "http://***@host" in said
    assert "pass-word" not in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("loud", "unknown log level 'loud'; the levels are: debug, info, warning, error"),
        ("", "unknown log level ''"),
        ("debug:", "unknown component ''"),
        ("debug:wires", "unknown component 'wires'; the components are: wire, transport"),
        ("wire:debug", "unknown log level 'wire'"),
    ],
)
def test_a_rule_that_makes_no_sense_names_what_there_is(rule: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        logs.parse(rule)
    assert f"{caught.value.message}; {caught.value.hint}".startswith(said)
    from tests.support.client import run_here

    for command in ("ask", "resume", "bench", "doctor", "models"):
        done = run_here([command, "--log", rule])
        assert (done.status, said in done.stderr) == (2, True)


def test_every_room_says_something_of_a_run() -> None:
    """A 503, then a stream with a comment, and a journal."""
    body = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    end = b": ping\n\ndata: [DONE]\n\n"
    with Script(Reply(b"busy", status=503), Reply([body, end], headers=SSE)) as server:
        arguments = ["ask", *server_flags("openai", server.url), "hi"]
        done = run([*arguments, "--log", "error", "--log", "debug"], CHATSTREAM_RETRY_DELAY="0")
        only = run([*arguments, "--log", "error", "--log", "debug:store"])
    assert done.stdout == b"a"
    for room in ("wire", "transport", "providers", "recovery", "store"):
        assert f"chatstream.{room}." in done.stderr
    assert [line.split()[2].split(".")[1] for line in only.stderr.splitlines()] == ["store"]
