"""Labels of a run: how they are written, and that the run carries them and its server does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import chatstream
from chatstream import events as ev
from chatstream.engine.labels import checked, kept, labels_of
from chatstream.engine.resolve import resolve
from chatstream.errors import ChatstreamError, ConfigError, UsageError
from chatstream.events import Labels, Metadata
from chatstream.redact import MASK, redact
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals, read
from tests.support.answers import frames, headers, whole
from tests.support.client import run_here
from tests.support.loopback import Reply, Script

pytestmark = pytest.mark.usefixtures("no_proxies")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.touch()
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(path))
    return path


# ---- how they are written


def test_an_option_is_a_name_and_a_value() -> None:
    texts = ["project= a=b ", "agent=first", "agent=last"]
    assert checked(texts, "--label") == {"project": "a=b", "agent": "last"}


@pytest.mark.parametrize(
    ("given", "says", "hint"),
    [
        (["project"], "--label 'project' is not NAME=VALUE", "for example: --label project=web"),
        (["projct=x"], "--label: unknown label 'projct'", "did you mean 'project'?"),
        (["x=y"], "--label: unknown label 'x'", "the labels are: project, agent"),
        (["=y"], "--label: unknown label ''", "the labels are: project, agent"),
        (["agent= "], "--label: the label agent is empty", "for example"),
        ({"agent": 5}, "--label: the label agent must be text in quotes", "for example"),
        ({"agent": "\ud83d"}, "--label: the label agent contains an unpaired surrogate", ""),
        ("project=x", "--label takes a name and a value", "for example"),
    ],
)
def test_what_is_no_label_is_a_usage_error_that_says_what_to_do(
    given: Any, says: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve({"labels": given})
    assert caught.value.message.startswith(says)
    assert (caught.value.hint or "").startswith(hint)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('labels = "web"', "labels takes a table, not text"),
        ("[labels]\nproject = 5", "labels.project takes text in quotes, not a number"),
        ('[labels]\nprojct = "web"', "labels: unknown label 'projct'"),
        ('[labels]\nproject = ""', "labels: the label project is empty"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_place(text: str, says: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        resolve({})
    assert caught.value.message.startswith(str(file))
    assert caught.value.message.endswith(says)


def test_the_layers_are_joined_label_by_label(file: Path) -> None:
    file.write_text(
        '[labels]\nproject = "top"\nagent = "top"\n[profiles.work.labels]\nagent = "profile"\n'
    )
    assert resolve({}).settings.labels == {"project": "top", "agent": "top"}
    assert resolve({}, profile="work").settings.labels == {"project": "top", "agent": "profile"}
    flags = {"labels": ["project=flag"], "provider": "demo"}
    resolved = resolve(flags, profile="work")
    assert resolved.settings.labels == {"project": "flag", "agent": "profile"}
    assert resolved.origins["labels"] == "--label"


@pytest.mark.parametrize(
    ("earlier", "given", "expected"),
    [
        (None, None, None),
        (Labels(project="a"), None, {"project": "a"}),
        (None, ["agent=b"], {"agent": "b"}),
        (Labels(project="a", agent="a"), ["agent=b"], {"project": "a", "agent": "b"}),
        (Labels(project="a"), {"project": "b"}, {"project": "b"}),
    ],
)
def test_a_run_that_follows_another_keeps_the_labels_that_are_not_given_again(
    earlier: Labels | None, given: Any, expected: Mapping[str, str] | None
) -> None:
    assert kept(earlier, given) == expected


def test_a_secret_in_a_label_is_masked() -> None:
    redact.learn("sk-1234567890")
    assert labels_of({"agent": "sk-1234567890"}) == Labels(agent=MASK)
    assert labels_of({}) is None


# ---- where they go


def opening_of(stdout: bytes) -> Metadata:
    event = ev.decode(stdout.splitlines()[0])
    assert isinstance(event, Metadata)
    return event


def test_a_run_carries_its_labels_in_its_first_event_and_its_journal_and_sends_them_to_nobody() -> (
    None
):
    with Script(whole("ollama")) as server:
        where = ["-p", "ollama", "--base-url", server.url, "-m", "m"]
        labels = ["--label", "project=website", "--label", "agent=reviewer"]
        done = run_here(["ask", "--json", *where, *labels, "hi"])
        (request,) = server.requests
    assert b"website" not in request.body
    assert "website" not in str(request.headers)
    expected = Labels(project="website", agent="reviewer")
    assert opening_of(done.stdout).labels == expected
    (path,) = journals(runs_folder())
    assert read(path).labels == expected


def test_without_labels_there_is_no_trace_of_them() -> None:
    assert b"label" not in ev.encode(next(chatstream.stream("hi", provider="demo")))


def test_an_answer_that_is_continued_keeps_its_labels() -> None:
    with Script(Reply(frames("ollama")[0], headers=headers("ollama")), whole("ollama")) as server:
        where = ["-p", "ollama", "--base-url", server.url, "-m", "m", "--on-drop", "stop"]
        run_here(["ask", *where, "--label", "project=website", "--label", "agent=a", "hi"])
        done = run_here(["resume", "--json", "--label", "agent=b"])
    assert opening_of(done.stdout).labels == Labels(project="website", agent="b")


def test_a_turn_of_a_conversation_keeps_its_labels() -> None:
    with Script(whole("ollama")) as server:
        where = ["-p", "ollama", "--base-url", server.url, "-m", "m"]
        run_here(["ask", *where, "--label", "project=website", "hi"])
        done = run_here(["ask", "-c", "--json", "and now?"])
    assert opening_of(done.stdout).labels == Labels(project="website")


def test_the_history_keeps_them_when_the_journal_has_expired() -> None:
    with Script(whole("ollama")) as server:
        where = ["-p", "ollama", "--base-url", server.url, "-m", "m"]
        run_here(["ask", *where, "--label", "project=website", "hi"])
        (listed,) = run_here(["history", "--json"]).stdout.splitlines()
        run = json.loads(listed)
        assert (run["project"], run["agent"]) == ("website", None)
        shown = run_here(["history", "show"]).stdout.decode()
        assert f" · project website · {run['id']}\n" in shown
        journals(runs_folder())[0].unlink()
        done = run_here(["ask", "-c", "--json", "--base-url", server.url, "and now?"])
    assert opening_of(done.stdout).labels == Labels(project="website")


def test_the_library_takes_them_as_an_option() -> None:
    opening = next(chatstream.stream("hi", provider="demo", labels={"project": "website"}))
    assert isinstance(opening, Metadata)
    assert opening.labels == Labels(project="website")
    with pytest.raises(ChatstreamError, match="unknown label 'projekt'") as caught:
        chatstream.ask("hi", provider="demo", labels={"projekt": "website"})
    assert (caught.value.code, caught.value.hint) == ("usage", "did you mean 'project'?")
