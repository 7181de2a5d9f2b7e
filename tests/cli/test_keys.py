"""`keys`: names are listed, keys are not, and each mistake is one clear line."""

from __future__ import annotations

import pytest

from chatstream.engine import stored_keys
from tests.support.client import run, run_here

KEY = "sk-0123456789abcdef"


def test_names_are_listed_and_removed() -> None:
    stored_keys.store("openai", KEY)
    stored_keys.store("anthropic", KEY)
    assert run_here(["keys", "list"]).stdout == b"anthropic\nopenai\n"
    assert run_here(["keys", "remove", "openai"]).status == 0
    assert run_here(["keys", "list"]).stdout == b"anthropic\n"
    shown = run_here(["config", "show"]).stdout.decode()
    assert (
        "stored with `chatstream keys`"
        in run_here(["config", "show"], CHATSTREAM_PROVIDER="anthropic").stdout.decode()
    )
    assert KEY not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["set", "opnai"], "unknown provider 'opnai'"),
        (["set", "demo"], "demo takes no key"),
        (["set"], "NAME"),
        (["remove", "openai"], "no key is stored for 'openai'"),
        (["lst"], "list"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments: list[str], said: str) -> None:
    done = run_here(["keys", *arguments])
    assert (done.status, done.stdout) == (2, b"")
    assert said in done.stderr


def test_a_key_with_a_blank_in_it_is_not_stored_and_not_shown() -> None:
    done = run(["keys", "set", "openai"], stdin=b"my secret words here\n")
    assert done.status == 2
    assert "secret words" not in done.stderr
    assert stored_keys.names() == []
