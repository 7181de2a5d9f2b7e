"""Claimed: a key is sent alone, or not at all; a command for one fails in its own words."""

from __future__ import annotations

import threading

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.api_keys import clean_key, run_key_command
from chatstream.errors import Cancelled, ConfigError
from chatstream.redact import redact

KEY = "sk-proj-0123456789"


@pytest.mark.parametrize(
    "pasted",
    [
        KEY,
        f" {KEY}\n",
        f'"{KEY}"',
        f"'{KEY}'",
        f"Bearer {KEY}",
        f"bearer  {KEY}",
        f"Authorization: Bearer {KEY}",
        f"x-api-key: {KEY}",
        f"export OPENAI_API_KEY={KEY}",
        f'export OPENAI_API_KEY="{KEY}"',
        f"OPENAI_API_KEY={KEY}",
        f"$env:OPENAI_API_KEY = '{KEY}'",
        f'api_key = "{KEY}"',
        f"'Bearer {KEY}'",
    ],
)
def test_what_was_pasted_around_a_key_is_taken_off(pasted: str) -> None:
    assert clean_key(pasted, "X") == KEY
    assert redact(KEY) == "***"


@pytest.mark.parametrize("key", ["AB_CD==", "abc=def", "a.b.c", "user:token", "sk-\u007e"])
def test_no_part_of_a_key_is_taken_off(key: str) -> None:
    assert clean_key(key, "X") == key


@pytest.mark.parametrize("blank", ["", " ", "''", '" "', "Bearer ", "export OPENAI_API_KEY="])
def test_what_holds_no_key_is_none(blank: str) -> None:
    assert clean_key(blank, "X") is None


@pytest.mark.parametrize(
    "given",
    [
        *("line-one\nline-two", "schlüssel", "two words", "tab\tbed", "nul\0", "“half"),
        *("$OPENAI_API_KEY", "${KEY}", "%KEY%", "export A_KEY=$OTHER_KEY"),
    ],
)
def test_what_no_server_takes_as_a_key_is_refused_and_not_shown(given: str) -> None:
    with pytest.raises(ConfigError, match=r"^MY_KEY contains") as caught:
        clean_key(given, "MY_KEY")
    assert given not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    "command",
    [
        f"echo {KEY}",
        f"printf '{KEY}\\nurl: https://example.com\\nuser: me\\n'",  # as `pass` has it
        f"echo {KEY} | cat",
        f"KEY={KEY}; echo $KEY",
        f"echo note >&2; echo; echo '\"{KEY}\"'",
    ],
)
def test_a_key_command_is_a_line_for_the_shell_and_prints_the_key_first(command: str) -> None:
    assert run_key_command(command) == KEY


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("exit 7", "failed with exit status 7$"),
        ("echo first >&2; echo the store is locked >&2; exit 2", "status 2: the store is locked$"),
        ("no-such-command-at-all", "failed with exit status 127: .*no-such-command-at-all"),
        ("kill -9 $$", "SIGKILL"),
        ("true", "printed no key$"),
        ("echo nothing here >&2", "printed no key: nothing here$"),
        ("echo 'two words'", "what the key command printed contains"),
        ("'", "failed with exit status 2"),
        ("echo a\0b", "cannot be run"),
        ("exec yes", "printed more than 64 KiB"),
        ("exec cat /dev/zero", "printed more than 64 KiB"),
        ("exec yes >&2", "SIGPIPE"),
    ],
)
def test_a_key_command_that_fails_is_reported_in_its_own_words(command: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        run_key_command(command)
    assert "Error" not in caught.value.message


def test_a_command_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatstream.engine.api_keys._LIMIT_SECONDS", 0.1)
    monkeypatch.setattr("chatstream.engine.api_keys._QUIET_SECONDS", 0.05)
    with pytest.raises(ConfigError, match=r"did not finish within 0.1 s"):
        run_key_command("exec sleep 60")


def test_what_a_slow_command_asks_for_is_shown_meanwhile(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("chatstream.engine.api_keys._QUIET_SECONDS", 0.2)
    assert run_key_command(f"echo touch your key >&2; sleep 0.4; echo {KEY}") == KEY
    assert "touch your key" in capfd.readouterr().err


def test_a_stop_ends_the_wait_for_a_command() -> None:
    token = CancelToken()
    threading.Timer(0.1, token.cancel).start()
    with pytest.raises(Cancelled):
        run_key_command("sleep 60; echo late", token)
