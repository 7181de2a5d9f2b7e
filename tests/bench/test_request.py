"""Claimed: a mistake in what a benchmark is asked for is found before the first request."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from chatstream.bench.plan import Plan
from chatstream.bench.request import benchmark, places_of, plan_of, wanted_of
from chatstream.cancel import CancelToken
from chatstream.cli.bench import bench
from chatstream.engine.services import Server
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError
from tests.support.loopback import Script


def given(**changes: Any) -> dict[str, Any]:
    """The arguments of the command when nothing else is written on the command line."""
    defaults = {name: it.default for name, it in inspect.signature(bench).parameters.items()}
    assert not changes.keys() - defaults.keys()
    return {**defaults, **changes}


def test_without_options_a_benchmark_is_planned_as_the_help_says() -> None:
    assert plan_of(given()) == Plan()


def test_a_time_that_the_user_gave_is_kept() -> None:
    assert plan_of(given(time=5.0)) == Plan(seconds=5.0, timed=True)


def test_options_are_planned_in_the_units_of_the_plan() -> None:
    plan = plan_of(given(precision=2.5, conn="new", prompt="hi", runs=3))
    assert plan == Plan(precision=0.025, reuse=False, prompt="hi", runs=3)


def test_an_export_goes_to_its_file_or_to_standard_output(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    wanted = wanted_of(given(csv=table, html=Path("-")))
    assert (wanted.files, wanted.printed) == ([("csv", table)], "html")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rate": 5.0, "concurrency": 3}, "cannot be combined"),
        ({"prompt": ""}, "--prompt is empty"),
        ({"fail_if": ["nonsense"]}, "is not a condition"),
        ({"fail_if": ["ttft.p50>baseline+10%"]}, "mentions a baseline, but none is given"),
        ({"baseline": "never-saved"}, "no saved result is named"),
        ({"save": "../escape"}, "is not a valid name"),
        ({"csv": Path("-"), "html": Path("-")}, "--csv - and --html - would both write"),
        ({"csv": Path("-"), "as_json": True}, "--csv - and --json would both write"),
        ({"csv": Path("same"), "html": Path("./same")}, "name the same file"),
        ({"model": [""]}, "--model is empty"),
    ],
)
def test_a_mistake_is_found_before_anything_is_asked(changes: dict[str, Any], says: str) -> None:
    with Script() as server:
        flags = {"provider": "ollama", "base_url": server.url, "model": "m"}
        with pytest.raises(ChatstreamError, match=says):
            benchmark(given(**changes), flags, None, CancelToken())
        with pytest.raises(ChatstreamError, match="unknown profile 'nowhere'"):
            benchmark(given(), flags, "nowhere", CancelToken())
    assert server.requests == []


def test_a_place_is_called_as_the_user_called_it() -> None:
    def server(provider: str, model: str) -> Server:
        return Server(Settings(provider=provider, model=model), "http://127.0.0.1:1/v1")

    names = ["m", "tiny@work", "tiny@http://127.0.0.1:1/v1", "odd@name"]
    servers = [server("ollama", it) for it in ("m", "tiny", "tiny", "odd@name")]
    assert places_of(names, servers) == ["ollama", "work", "127.0.0.1:1", "ollama"]
    assert places_of((), servers[:1]) == ["ollama"]
