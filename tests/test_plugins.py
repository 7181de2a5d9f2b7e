"""Claimed: what another package adds works from a plain installation, and what fails in it is one
line that names it: no token is lost, and the journal has the answer as it came.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import sysconfig
import threading
import venv
from functools import partial
from pathlib import Path

import pytest

from chatstream import plugins
from chatstream.cancel import CancelToken
from chatstream.errors import UsageError
from chatstream.events import Analysis, Content, Warn
from chatstream.plugins import ANALYZERS, SINKS, STAGES, Apart, PluginError
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals, read
from tests.support.answers import TEXT, ending, frames, headers, whole
from tests.support.client import Finished, Running, run_here, server_flags
from tests.support.distributions import importable, install
from tests.support.loopback import Reply, Script
from tests.support.terminal import on_terminal
from tests.support.waiting import until_true

EXAMPLE = Path(__file__).parent / "plugin"
ROOT = Path(__file__).parents[1]

CODE = """
    import os
    import sys
    import time
    from chatstream.events import Content

    def upper(arrivals):
        for arrival in arrivals:
            for event in arrival.events:
                if isinstance(event, Content):
                    event.delta = event.delta.upper()
            yield arrival

    def broken(arrivals):
        for at, arrival in enumerate(upper(arrivals)):
            if at == 4:
                raise ValueError("no luck")
            yield arrival

    class Vowels:
        def __init__(self):
            self.count = 0
        def feed(self, text):
            self.count += sum(it in "aeiou" for it in text)
        def figures(self):
            return {"vowels": self.count}

    class Broken(Vowels):
        def figures(self):
            sys.exit(3)

    class Stars:
        def __init__(self, output):
            self.output = output
        def write(self, arrival):
            for event in arrival.events:
                if isinstance(event, Content):
                    self.output.write("*" * len(event.delta))
        def close(self):
            self.output.write("\\n")

    def stuck(arrivals):
        for arrival in upper(arrivals):
            if any(isinstance(it, Content) for it in arrival.events):
                hang()
            yield arrival

    def hang():
        open(os.environ["STUCK"], "w").close()
        while True:
            time.sleep(60)

    class Stuck(Stars):
        def write(self, arrival):
            super().write(arrival)
            if any(isinstance(it, Content) for it in arrival.events):
                hang()

    class Half(Stars):
        def write(self, arrival):
            if any(isinstance(it, Content) and "w" in it.delta for it in arrival.events):
                raise KeyError("w")
            super().write(arrival)
    """

STAGES_OF = ("upper", "broken", "absent", "stuck")
SINKS_OF = {"stars": "acme:Stars", "half": "acme:Half", "stuck": "acme:Stuck"}
POINTS = {
    ANALYZERS: {"vowels": "acme:Vowels"},
    STAGES: {name: f"acme:{name}" for name in STAGES_OF},
    SINKS: {**SINKS_OF, "nowhere": "nowhere:Sink"},
}
BROKEN = {ANALYZERS: {"broken": "acme_broken:Broken", "nowhere": "nowhere:Words"}}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    importable(folder, monkeypatch)
    install(folder, "acme", POINTS, CODE)
    return folder


def ask(*arguments: str) -> Finished:
    with Script(whole("ollama")) as server:
        return run_here(["ask", *server_flags("ollama", server.url), *arguments, "hi"])


@pytest.mark.usefixtures("site")
def test_a_name_that_nobody_has_is_refused_and_the_one_that_was_meant_is_named() -> None:
    for group, kind, name in ((STAGES, "filter", "uper"), (SINKS, "renderer", "star")):
        with pytest.raises(UsageError, match=f"there is no {kind} '{name}'") as caught:
            plugins.find(group, name)
        assert "did you mean" in (caught.value.hint or "")
    with pytest.raises(UsageError) as caught:
        plugins.find(STAGES, "xyzzy")
    assert caught.value.hint == "installed: upper, broken, absent, stuck"


def test_without_packages_that_is_said() -> None:
    with pytest.raises(UsageError, match="there is no filter 'x'") as caught:
        plugins.find(STAGES, "x")
    assert caught.value.hint == "no filters are installed"


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("group", "name", "words"),
    [
        (STAGES, "absent", "the filter 'absent' of the package 'acme' cannot be loaded: Attribute"),
        (SINKS, "nowhere", "the renderer 'nowhere' of the package 'acme' cannot be loaded: Module"),
    ],
)
def test_what_cannot_be_loaded_is_one_line_that_names_it(group: str, name: str, words: str) -> None:
    with pytest.raises(PluginError, match=words) as caught:
        plugins.load(plugins.find(group, name))
    assert "\n" not in caught.value.message
    assert caught.value.exit_status == 2


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    "arguments",
    [["--filter", "absent"], ["--renderer", "nowhere"], ["--filter", "no"], ["--renderer", "no"]],
    ids=" ".join,
)
def test_what_is_not_there_is_said_before_anything_is_asked(arguments: list[str]) -> None:
    with Script(whole("ollama")) as server:
        done = run_here(["ask", *server_flags("ollama", server.url), *arguments, "hi"])
        assert server.requests == []
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("site")
def test_a_filter_changes_what_is_shown_and_not_what_is_kept() -> None:
    done = ask("--filter", "upper")
    assert (done.status, done.stdout.decode(), done.stderr) == (0, TEXT.upper(), "")
    (journal,) = journals(runs_folder())
    assert read(journal).message.content == TEXT


@pytest.mark.usefixtures("site")
def test_a_filter_that_fails_loses_nothing_and_is_named_once() -> None:
    done = ask("--filter", "broken")
    assert (done.status, done.stdout.decode().lower()) == (0, TEXT.lower())
    (line,) = done.stderr.splitlines()
    assert line.startswith("warning: the filter 'broken' of the package 'acme' failed")
    assert line.endswith("ValueError: no luck")
    (journal,) = journals(runs_folder())
    assert read(journal).message.content == TEXT
    assert '"warning"' not in journal.read_text("utf-8")


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("more", [[], ["--buffer", "none"]], ids=" ".join)
@pytest.mark.parametrize("kind", ["filter", "renderer"])
def test_one_control_c_ends_what_hangs_and_the_run_ends_as_it_would(
    kind: str, more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gracefully: a process that is ended at once would say nothing, and neither its journal."""
    monkeypatch.setenv("STUCK", str(tmp_path / "stuck"))
    never = threading.Event()
    endless = Reply(
        [*frames("ollama"), *ending("ollama")], headers=headers("ollama"), hold={2: never}
    )
    with Script(endless) as server:
        command = ["ask", *server_flags("ollama", server.url), f"--{kind}", "stuck", *more, "hi"]
        with Running(command) as client:
            until_true(lambda: (tmp_path / "stuck").exists())
            client.process.send_signal(signal.SIGINT)
            done = client.finish()
    assert done.status == 130
    (journal,) = journals(runs_folder())
    record = read(journal)
    assert record.outcome == "cancelled"
    assert f"the {kind} 'stuck' of the package 'acme' failed" in done.stderr
    assert "it did not return" in done.stderr
    assert f"chatstream resume {record.run}" in done.stderr
    assert TEXT.startswith(record.message.content)
    shown = done.stdout.decode()
    assert shown.startswith("*" if kind == "renderer" else record.message.content)


@pytest.mark.usefixtures("site")
def test_filters_and_renderers_work_on_a_recording_too() -> None:
    assert ask().status == 0
    (journal,) = journals(runs_folder())
    done = run_here(["replay", "--instant", "--filter", "upper", journal.stem])
    assert (done.status, done.stdout.decode()) == (0, TEXT.upper())
    done = run_here(["replay", "--instant", "--renderer", "stars", journal.stem])
    assert (done.status, done.stdout.decode()) == (0, "*" * len(TEXT) + "\n")
    assert run_here(["replay", "--instant", "--filter", "no", journal.stem]).status == 2


@pytest.mark.usefixtures("site")
def test_a_renderer_shows_the_answer_and_one_that_fails_loses_nothing() -> None:
    done = ask("--renderer", "stars")
    assert (done.status, done.stdout.decode(), done.stderr) == (0, "*" * len(TEXT) + "\n", "")
    done = ask("--renderer", "half")
    assert done.status == 0
    assert done.stdout.decode() in {"******wörld 🌍!", TEXT}  # as the server's writes arrived
    (line,) = done.stderr.splitlines()
    assert line.startswith("warning: the renderer 'half' of the package 'acme' failed")
    for stronger in ("--json", "--plain"):
        assert b"***" not in ask("--renderer", "stars", stronger).stdout


@pytest.mark.usefixtures("site")
def test_a_renderer_has_a_terminal_to_itself() -> None:
    with Script(whole("ollama")) as server:
        flags = server_flags("ollama", server.url)
        status, screen, written = on_terminal(["ask", *flags, "--renderer", "stars", "hi"])
    assert status == 0
    assert [it for it in screen.text() if it] == ["*" * len(TEXT)]
    assert b"\x1b" not in written


def test_analyzers_add_their_figures_and_those_that_fail_are_named(site: Path) -> None:
    install(site, "acme-broken", BROKEN, CODE)
    done = ask("--analyze", "--json")
    events = done.events
    (last,) = [it for it in events if isinstance(it, Analysis) and it.final]
    assert last.figures.plugins == {"vowels": {"vowels": 2}}
    warnings = [it.message for it in events if isinstance(it, Warn)]
    assert len(warnings) == 2
    assert all("of the package 'acme-broken' failed" in it for it in warnings)
    assert done.status == 0
    assert "".join(it.delta for it in events if isinstance(it, Content)) == TEXT


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the example: chatstream and what it needs come from here."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    own = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    here = sysconfig.get_path("purelib")
    Path(own, "here.pth").write_text(f"{here}\n{ROOT}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([*pip, *offline, str(EXAMPLE)], check=True)
    return python


def test_the_examples_work_from_a_distribution_that_is_installed(environment: Path) -> None:
    text = "\u201cWhy?\u201d\nIt\u2019s so.\n"
    reply = Reply([*frames("ollama", list(text)), *ending("ollama")], headers=headers("ollama"))
    with Script(reply) as server:
        command = [str(environment), "-m", "chatstream", "ask", *server_flags("ollama", server.url)]
        options = ["--analyze", "--filter", "straight-quotes", "--renderer", "numbered"]
        done = subprocess.run(
            [*command, *options, "hi"], capture_output=True, check=True, stdin=subprocess.DEVNULL
        )
        told = subprocess.run(
            [*command, "--analyze", "--json", "hi"],
            capture_output=True,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    assert done.stdout.decode() == '   1 "Why?"\n   2 It\'s so.\n'
    assert "questions: questions 1" in done.stderr.decode().splitlines()
    (last,) = [it for line in told.stdout.splitlines() if (it := json.loads(line)).get("final")]
    assert last["figures"]["plugins"] == {"questions": {"questions": 1}}


def test_the_example_is_not_installed_here() -> None:
    assert "questions" not in [it.name for it in plugins.points(ANALYZERS)]


# ---- a thread for a plugin


def test_what_a_plugin_returns_or_raises_is_what_the_call_does() -> None:
    apart = Apart(CancelToken())
    assert apart.call(lambda: threading.current_thread().name) == "plugin"
    with pytest.raises(SystemExit):
        apart.call(partial(sys.exit, 3))
    assert apart.call(lambda: 7) == 7
    apart.close()
    apart.close()


def test_a_plugin_that_does_not_return_after_a_cancel_is_left_behind() -> None:
    token, inside, gate = CancelToken(), threading.Event(), threading.Event()
    apart = Apart(token)

    def stuck() -> None:
        inside.set()
        gate.wait()

    def cancel() -> None:
        inside.wait()
        token.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(TimeoutError, match="it did not return"):
        apart.call(stuck)
    canceller.join()
    assert apart.is_left
    with pytest.raises(TimeoutError):
        apart.call(lambda: 1)
    gate.set()
    apart.close()


def test_a_plugin_that_returns_after_a_cancel_has_its_turn() -> None:
    token = CancelToken()
    token.cancel()
    apart = Apart(token)
    assert [apart.call(lambda: 7) for _ in range(3)] == [7, 7, 7]
    apart.close()


def test_a_plugin_is_not_left_while_it_waits_for_others() -> None:
    token, gate = CancelToken(), threading.Event()
    token.cancel()
    apart, asked = Apart(token), 0

    def may_leave() -> bool:
        nonlocal asked
        asked += 1
        if asked == 2:
            gate.set()
        return False

    assert apart.call(gate.wait, may_leave)
    assert not apart.is_left
    apart.close()
