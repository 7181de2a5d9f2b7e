"""What holds for every test: no setting and no key of this machine reaches it, Hypothesis looks at
no clock, and what measures time runs alone.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from chatstream.providers import PROVIDERS
from chatstream.redact import redact
from tests.support import sampling
from tests.support.figures import Figures, told

# A busy machine is slow, and no test may fail because of that. A sample is the same each time.
settings.register_profile(
    "chatstream",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=sampling.examples(100),
    derandomize=sampling.SIZE == "sample",
    print_blob=True,
)
settings.load_profile("chatstream")

# A shell lets what it starts in the background ignore Ctrl+C, and so would every client of ours.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest-xdist runs the tests of one group in one process, one after another."""
    for item in items:
        for name in ("screen", "serial", "real"):
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.xdist_group(name))


def pytest_report_header() -> str:
    """How much of each matrix is run, and what repeats the choice."""
    return f"size: {sampling.SIZE}, TEST_SEED={sampling.SEED}"


@pytest.fixture
def usual_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has asked for colours, or for none: a terminal has them, a pipe has not."""
    for variable in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy is set, and no exception from one, but those that the test sets itself."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Figures:
    """What a test has to tell besides its verdict."""
    return Figures(record_property)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests told, whichever process they ran in."""
    for line in told(terminalreporter.stats):
        terminalreporter.write_line(line)


@pytest.fixture
def ends_keeper() -> Iterator[None]:
    """The keeper of the MCP servers that a test has started ends with the test."""
    yield
    from tests.support.stdio import end_keeper

    end_keeper()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration, keys, known secrets or terminal of this machine; a home of its own.

    What else is set stays: a test that depends on proxies, colours, certificates or encodings
    says so itself, and the others have to hold with whatever the machine has.
    """
    redact.forget()
    for name in list(os.environ):
        if name.startswith("CHATSTREAM_") or name in {"COLUMNS", "LINES"}:
            monkeypatch.delenv(name)
    for row in PROVIDERS.values():
        for variable in filter(None, (row.key_variable, row.url_variable)):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
