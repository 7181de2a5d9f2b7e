"""Claimed: no connection is attempted to another place than the one that the user named.

Every look-up of a name, and every connection to two servers and a proxy, is recorded. A is the
server that is named, B one that weaker or later settings name. `{A}` and `{B}` stand for their
addresses, once on this machine's loopback and once under names of other hosts. All of it is done
without a proxy and with each variable that names one. An HTTP proxy is not used for loopback; a
SOCKS proxy is used for all, so that nobody at all is reached where PySocks is missing, as here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

import chatstream
from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.doctor.examine import examine
from chatstream.engine.resolve import resolve
from chatstream.engine.services import awaited, model_names
from chatstream.errors import ChatstreamError
from chatstream.messages import Message
from chatstream.store.journal import Journal, RequestRecord
from chatstream.store.place import runs_folder
from tests.support.answers import frames, headers, whole
from tests.support.client import Answer, answer_of
from tests.support.loopback import Reply, Request, Script
from tests.support.names import Names, Place, at
from tests.support.runs import failed, run_id, started_at
from tests.support.sampling import by_size

Where = Literal["loopback", "remote"]
Texts = Mapping[str, str]

PROXIES: dict[str, dict[str, str]] = {
    "no proxy": {},
    "HTTP_PROXY": {"HTTP_PROXY": "{P}"},
    "http_proxy and NO_PROXY": {"http_proxy": "{P}", "NO_PROXY": "elsewhere.test"},
    "ALL_PROXY": {"ALL_PROXY": "{P}"},
    "SOCKS": {"all_proxy": "socks5h://127.0.0.1:9"},
    "the setting": {"CHATSTREAM_PROXY": "{P}"},
}
FEW = by_size(("no proxy", "HTTP_PROXY"), tuple(PROXIES))
"""Where the proxy itself makes no difference any more."""

OLLAMA = ("127.0.0.1", 11434)
KEY_A, KEY_B = "key-of-a", "key-of-b"


@dataclass(frozen=True)
class Settings:
    """What a user says, and where: options, variables, the configuration file."""

    options: Mapping[str, Any] = field(default_factory=dict)
    environ: Texts = field(default_factory=dict)
    file: str = ""


# ---- who is asked

B_BY_VARIABLE = {"OPENAI_BASE_URL": "{B}", "OPENAI_API_KEY": KEY_B}
B_BY_FILE = f'base_url = "{{B}}"\napi_key = "{KEY_B}"\n'

ASKED: dict[str, Settings] = {
    "an option": Settings({"base_url": "{A}"}, B_BY_VARIABLE, B_BY_FILE),
    "an option and its provider": Settings(
        {"provider": "openai", "base_url": "{A}"}, B_BY_VARIABLE, B_BY_FILE
    ),
    "an option of another provider": Settings(
        {"provider": "ollama", "base_url": "{A}"},
        {**B_BY_VARIABLE, "OLLAMA_HOST": "{B}"},
        B_BY_FILE,
    ),
    "CHATSTREAM_BASE_URL": Settings({}, {**B_BY_VARIABLE, "CHATSTREAM_BASE_URL": "{A}"}, B_BY_FILE),
    "OPENAI_BASE_URL": Settings(
        {"provider": "openai"},
        {"OPENAI_BASE_URL": "{A}", "OPENAI_API_KEY": KEY_A, "OLLAMA_HOST": "{B}"},
        f'provider = "ollama"\n{B_BY_FILE}',
    ),
    "ANTHROPIC_BASE_URL": Settings(
        {"provider": "anthropic"},
        {**B_BY_VARIABLE, "ANTHROPIC_BASE_URL": "{A}", "ANTHROPIC_API_KEY": KEY_A},
    ),
    "OLLAMA_HOST": Settings({"provider": "ollama"}, {**B_BY_VARIABLE, "OLLAMA_HOST": "{A}"}),
    "OLLAMA_HOST alone": Settings({}, {**B_BY_VARIABLE, "OLLAMA_HOST": "{A}"}),
    "the file": Settings({}, B_BY_VARIABLE, f'base_url = "{{A}}"\napi_key = "{KEY_A}"\n'),
    "the file's provider": Settings(
        {}, {**B_BY_VARIABLE, "OLLAMA_HOST": "{A}"}, 'provider = "ollama"\n'
    ),
    "a profile": Settings(
        {"profile": "work"}, B_BY_VARIABLE, f'{B_BY_FILE}[profiles.work]\nbase_url = "{{A}}"\n'
    ),
    "CHATSTREAM_PROFILE": Settings(
        {},
        {**B_BY_VARIABLE, "CHATSTREAM_PROFILE": "work"},
        f'{B_BY_FILE}[profiles.work]\nprovider = "ollama"\nbase_url = "{{A}}"\n',
    ),
    "the usual profile": Settings(
        {},
        B_BY_VARIABLE,
        f'profile = "work"\n{B_BY_FILE}[profiles.work]\nbase_url = "{{A}}"\n',
    ),
    "the demo": Settings({"provider": "demo"}, {**B_BY_VARIABLE, "OLLAMA_HOST": "{B}"}),
}


# ---- who goes on with an answer


@dataclass(frozen=True)
class Change:
    """A run at A that broke off, and a resume under settings that have changed in between.

    `to`: the server that goes on, or what is said where none does.
    """

    before: Settings
    after: Settings
    to: str


BY_OPTION = Settings({"provider": "openai", "base_url": "{A}"}, {"OPENAI_API_KEY": KEY_A})
BY_VARIABLE = Settings({"provider": "openai"}, {"OPENAI_BASE_URL": "{A}", "OPENAI_API_KEY": KEY_A})
BY_HOST = Settings({"provider": "ollama"}, {"OLLAMA_HOST": "{A}"})
BY_FILE = Settings({}, {}, f'base_url = "{{A}}"\napi_key = "{KEY_A}"\n')
BY_PROFILE = Settings({"profile": "work"}, {}, f"[profiles.work]\n{BY_FILE.file}")
NOT_SENT = "its key is not sent to another server"

RESUMED: dict[str, Change] = {
    "an option, nothing new": Change(BY_OPTION, Settings({}, BY_OPTION.environ), "A"),
    "an option, variables for B": Change(BY_OPTION, Settings({}, B_BY_VARIABLE), "A"),
    "an option, a file for B": Change(BY_OPTION, Settings({}, {}, B_BY_FILE), "A"),
    "an option, now B": Change(BY_OPTION, Settings({"base_url": "{B}"}), "B"),
    "variables, nothing new": Change(BY_VARIABLE, Settings({}, BY_VARIABLE.environ), "A"),
    "variables, gone": Change(BY_VARIABLE, Settings(), "A"),
    "variables, B without a key": Change(
        BY_VARIABLE, Settings({}, {"OPENAI_BASE_URL": "{B}"}), "A"
    ),
    "variables, B with its key": Change(BY_VARIABLE, Settings({}, B_BY_VARIABLE), "A"),
    "variables, the table's server with its key": Change(
        BY_VARIABLE, Settings({}, {"OPENAI_API_KEY": KEY_B}), NOT_SENT
    ),
    "variables, a file with another key": Change(
        BY_VARIABLE, Settings({}, {}, f'api_key = "{KEY_B}"\n'), NOT_SENT
    ),
    "OLLAMA_HOST, gone, a key of another": Change(
        BY_HOST, Settings({}, {"OLLAMA_API_KEY": KEY_B}), NOT_SENT
    ),
    "a file, gone, a key of another": Change(
        BY_FILE, Settings({}, {"OPENAI_API_KEY": KEY_B}), NOT_SENT
    ),
    "variables, B, the provider named": Change(
        BY_VARIABLE, Settings({"provider": "openai"}, B_BY_VARIABLE), "A"
    ),
    "variables, B, another model": Change(
        BY_VARIABLE, Settings({"model": "other"}, B_BY_VARIABLE), "A"
    ),
    "variables, B, A named": Change(BY_VARIABLE, Settings({"base_url": "{A}"}, B_BY_VARIABLE), "A"),
    "variables, B, a file for B": Change(BY_VARIABLE, Settings({}, {}, B_BY_FILE), "A"),
    "variables, B, another provider named": Change(
        BY_VARIABLE, Settings({"provider": "ollama"}, {"OLLAMA_HOST": "{B}"}), "B"
    ),
    "OLLAMA_HOST, nothing new": Change(BY_HOST, Settings({}, BY_HOST.environ), "A"),
    "OLLAMA_HOST, gone": Change(BY_HOST, Settings(), "A"),
    "OLLAMA_HOST, B": Change(BY_HOST, Settings({}, {"OLLAMA_HOST": "{B}"}), "A"),
    "OLLAMA_HOST, B with its key": Change(
        BY_HOST, Settings({}, {"OLLAMA_HOST": "{B}", "OLLAMA_API_KEY": KEY_B}), "A"
    ),
    "OLLAMA_HOST, CHATSTREAM_BASE_URL": Change(
        BY_HOST, Settings({}, {"CHATSTREAM_BASE_URL": "{B}"}), "A"
    ),
    "found, B": Change(
        Settings({}, {"OLLAMA_HOST": "{A}"}), Settings({}, {"OLLAMA_HOST": "{B}"}), "A"
    ),
    "found, gone": Change(Settings({}, {"OLLAMA_HOST": "{A}"}), Settings({}, B_BY_VARIABLE), "A"),
    "a file, nothing new": Change(BY_FILE, BY_FILE, "A"),
    "a file, gone": Change(BY_FILE, Settings(), "A"),
    "a file, B with its key": Change(BY_FILE, Settings({}, {}, B_BY_FILE), "A"),
    "a file, variables for B": Change(BY_FILE, Settings({}, B_BY_VARIABLE, BY_FILE.file), "A"),
    "a profile, nothing new": Change(BY_PROFILE, Settings({}, {}, BY_PROFILE.file), "A"),
    "a profile, B without a key": Change(
        BY_PROFILE, Settings({}, {}, '[profiles.work]\nbase_url = "{B}"\n'), "A"
    ),
    "a profile, B with its key": Change(
        BY_PROFILE, Settings({}, {}, f"[profiles.work]\n{B_BY_FILE}"), "A"
    ),
    "a profile, another named": Change(
        BY_PROFILE,
        Settings({"profile": "home"}, {}, f"{BY_PROFILE.file}[profiles.home]\n{B_BY_FILE}"),
        "B",
    ),
    "a profile, another one usual": Change(
        BY_PROFILE,
        Settings({}, {}, f'profile = "home"\n{BY_PROFILE.file}[profiles.home]\n{B_BY_FILE}'),
        "A",
    ),
    "a profile, CHATSTREAM_PROFILE": Change(
        BY_PROFILE,
        Settings(
            {},
            {"CHATSTREAM_PROFILE": "home"},
            f"{BY_PROFILE.file}[profiles.home]\n{B_BY_FILE}",
        ),
        "A",
    ),
    "a password, nothing new": Change(
        Settings({"provider": "openai"}, {"OPENAI_BASE_URL": "{A@}", "OPENAI_API_KEY": KEY_A}),
        Settings({}, {"OPENAI_BASE_URL": "{A@}", "OPENAI_API_KEY": KEY_A}),
        "A",
    ),
    "a password, gone": Change(
        Settings({"provider": "ollama"}, {"OLLAMA_HOST": "{A@}"}),
        Settings({}, {"OLLAMA_HOST": "{B}"}),
        "the journal stores no passwords",
    ),
    "a password of an option": Change(
        Settings({"base_url": "{A@}"}), Settings(), "the journal stores no passwords"
    ),
    "a key in the query": Change(
        Settings({"base_url": "{A}/v1?key=in-the-query"}),
        Settings(),
        "the journal stores no passwords",
    ),
}


# ---- the world


class Server(Script):
    """Answers each path in its dialect: a whole answer, or one that breaks off."""

    def __init__(self) -> None:
        super().__init__(Reply())
        self.cut = False
        self.down = False
        self.silent = False
        self.foreign = False  # an Ollama that is none
        self.first: Reply | None = None  # before all others

    def take(self, request: Request) -> Reply:
        super().take(request)
        if self.first is not None:
            first, self.first = self.first, None
            return first
        if self.down:
            return Reply.json({"error": "overloaded"}, 503)
        if self.silent and request.method == "POST":
            return Reply.json({"error": "overloaded"}, 503)
        if request.method == "GET":
            return Reply.json({"models": [{"name": "m"}]}, 404 if self.foreign else 200)
        ends = {"/api/chat": "ollama", "/messages": "anthropic"}
        dialect = next((it for end, it in ends.items() if request.path.endswith(end)), "openai")
        return Reply(frames(dialect), headers=headers(dialect)) if self.cut else whole(dialect)


class World:
    """Two servers, a proxy that answers itself, and what was attempted."""

    def __init__(self, where: Where, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.a, self.b, self.proxy = Server(), Server(), Server()
        self.names = Names(monkeypatch)
        self.where = where
        self._monkeypatch = monkeypatch
        self._file = tmp_path / "config.toml"
        self._outside = {*os.environ}

    def place(self, server: Server) -> Place:
        """Where a server is to be reached."""
        remote = {self.a: "a.test", self.b: "b.test"} if self.where == "remote" else {}
        return remote.get(server, "127.0.0.1"), server.port

    def url(self, server: Server) -> str:
        """The address of a server."""
        return at(self.place(server)[0], server.url)

    def hold(self, settings: Settings, proxies: str = "no proxy") -> dict[str, Any]:
        """Let these settings hold, and no others; the options among them."""
        for name in {*os.environ} - self._outside:
            self._monkeypatch.delenv(name)
        for name, value in {**settings.environ, **PROXIES[proxies]}.items():
            self._monkeypatch.setenv(name, self._told(value))
        self._monkeypatch.setenv("CHATSTREAM_CONFIG", str(self._file))
        self._file.write_text(self._told(settings.file))
        self.names.places.clear()
        for server in (self.a, self.b, self.proxy):
            server.play(Reply())
        return {
            name: self._told(value) if isinstance(value, str) else value
            for name, value in settings.options.items()
        }

    def _told(self, text: str) -> str:
        a, b = self.url(self.a), self.url(self.b)
        text = text.replace("{A@}", a.replace("//", "//me:pass-word@"))
        return text.replace("{A}", a).replace("{B}", b).replace("{P}", self.proxy.url)

    def check(self, *servers: Server, proxies: str = "no proxy") -> None:
        """These were reached, through the proxy where it counts, and no other; nor was any key."""
        allowed = {self.place(it) for it in servers}
        proxied = self.where == "remote" and proxies != "no proxy"
        if proxies == "SOCKS":  # which no installation has: nothing is asked past it
            expected = set()
        else:
            expected = {self.place(self.proxy)} if proxied and servers else allowed
        assert {*self.names.places} == expected
        reached = [it for it in (self.a, self.b, self.proxy) if it.requests]
        assert all(self.place(it) in expected for it in reached)
        prefixes = tuple(f"http://{host}:{port}/" for host, port in allowed)
        assert all(it.path.startswith(prefixes) for it in self.proxy.requests)
        for server, foreign in ((self.a, KEY_B), (self.b, KEY_A)):
            url = self.url(server)
            sent = [*server.requests, *(it for it in self.proxy.requests if url in it.path)]
            assert foreign not in str([it.headers for it in sent])


@pytest.fixture(params=["loopback", "remote"])
def world(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[World]:
    made = World(request.param, monkeypatch, tmp_path)
    with made.a, made.b, made.proxy:
        yield made


def asked(options: Mapping[str, Any]) -> Answer:
    given: Any = {"model": "m", "retries": 0, "on_drop": "stop", **options}
    return answer_of(chatstream.stream("why?", **given))


def resumed(options: Mapping[str, Any], run: str | None = None) -> Answer:
    given: Any = {"retries": 0, "on_drop": "stop", **options}
    return answer_of(chatstream.resume(run, **given))


# ---- the matrix


def by_stream(options: dict[str, Any]) -> None:
    asked(options)


def by_models(options: dict[str, Any]) -> None:
    profile = options.pop("profile", None)
    awaited(model_names(resolve(options, profile=profile).settings, CancelToken()))


def by_doctor(options: dict[str, Any]) -> None:
    profile = options.pop("profile", None)
    settings = resolve({"model": "m", **options}, profile=profile).settings
    examine(settings, CancelToken())


@pytest.mark.parametrize("case", ASKED)
@pytest.mark.parametrize(
    ("command", "proxies"),
    [
        *((by_stream, name) for name in PROXIES),
        *((command, "HTTP_PROXY") for command in (by_models, by_doctor)),
    ],
)
def test_the_server_that_is_named_is_asked_and_no_other(
    world: World, case: str, proxies: str, command: Callable[[dict[str, Any]], None]
) -> None:
    options = world.hold(ASKED[case], proxies)
    with suppress(ChatstreamError):  # SOCKS
        command(options)
    if case == "the demo":
        (place,) = {*world.names.places}
        assert place[0] == "127.0.0.1"
        world.names.places.clear()
        world.check(proxies=proxies)
    else:
        world.check(world.a, proxies=proxies)


@pytest.mark.parametrize("proxies", FEW)
@pytest.mark.parametrize("case", RESUMED)
def test_the_server_that_gave_the_text_goes_on_with_it_or_it_is_said_why_not(
    world: World, case: str, proxies: str
) -> None:
    change = RESUMED[case]
    world.a.cut = True
    first = asked(world.hold(change.before))
    assert first.outcome == "truncated", first.terminal
    world.check(world.a)
    world.a.cut = False
    answer = resumed(world.hold(change.after, proxies))
    if change.to in {"A", "B"}:
        world.check(world.a if change.to == "A" else world.b, proxies=proxies)
        if proxies != "SOCKS":
            assert isinstance(answer.terminal, ev.Done)
    else:
        world.check()
        assert isinstance(answer.terminal, ev.Error)
        assert answer.terminal.code == "usage"
        assert change.to in answer.terminal.message
        assert "--base-url" in (answer.terminal.hint or "")
        assert "pass-word" not in f"{answer.terminal.message}{answer.terminal.hint}"


# ---- fallback

TWO = Settings(
    {"provider": "openai", "base_url": "{A}", "fallback": ["m@ollama"], "on_drop": "fallback"},
    {"OPENAI_API_KEY": KEY_A, "OLLAMA_HOST": "{B}", "OLLAMA_API_KEY": KEY_B},
)
MOVED = Settings({}, {"OLLAMA_HOST": "{A}", "OPENAI_BASE_URL": "{B}"})


@pytest.mark.parametrize("proxies", [it for it in PROXIES if it != "SOCKS"])
def test_a_fallback_is_asked_at_its_own_server_with_its_own_key(world: World, proxies: str) -> None:
    world.a.down = world.proxy.down = True
    asked(world.hold(TWO, proxies))
    world.check(world.a, world.b, proxies=proxies)


def test_the_model_that_took_over_goes_on_at_its_own_server(world: World) -> None:
    world.a.down = world.b.cut = True
    asked(world.hold(TWO))
    world.check(world.a, world.b)
    world.b.cut = False
    assert resumed(world.hold(MOVED)).outcome == "complete"
    world.check(world.b)


def test_a_model_that_took_over_in_vain_leaves_the_text_to_the_first(world: World) -> None:
    world.a.cut = world.b.down = True
    asked(world.hold(TWO))
    world.check(world.a, world.b)
    world.a.cut = world.b.down = False
    assert resumed(world.hold(MOVED)).outcome == "complete"
    world.check(world.a)


def test_a_resume_that_broke_off_is_resumed_at_the_same_server(world: World) -> None:
    """No run in between turns an address of a variable into one that was given by hand."""
    world.a.cut = True
    asked(world.hold(BY_VARIABLE))
    resumed(world.hold(Settings()))
    world.check(world.a)
    world.a.cut = False
    refused = resumed(world.hold(Settings({}, {"OPENAI_API_KEY": KEY_B})))
    world.check()
    assert isinstance(refused.terminal, ev.Error)
    assert NOT_SENT in refused.terminal.message
    assert resumed(world.hold(BY_VARIABLE)).outcome == "complete"
    world.check(world.a)


# ---- nothing is named


@pytest.mark.parametrize("world", ["loopback"], indirect=True)
@pytest.mark.parametrize("proxies", [it for it in PROXIES if it != "SOCKS"])
@pytest.mark.parametrize("fault", ["foreign", "down"])
def test_what_is_no_ollama_is_passed_over_for_the_service_with_a_key(
    world: World, fault: str, proxies: str
) -> None:
    setattr(world.a, fault, True)
    world.names.lead(OLLAMA, world.a.port)
    options = world.hold(Settings({}, B_BY_VARIABLE), proxies)
    assert asked(options).outcome == "complete"
    assert {*world.names.places} == {OLLAMA, world.place(world.b)}
    assert [it.path for it in world.a.requests] == ["/api/tags"]
    assert world.proxy.connections == []


def test_without_what_a_socks_proxy_needs_nobody_is_asked_instead(world: World) -> None:
    world.names.lead(OLLAMA, world.a.port)
    failed = asked(world.hold(Settings({}, B_BY_VARIABLE), "SOCKS"))
    world.check(proxies="SOCKS")
    assert isinstance(failed.terminal, ev.Error)
    assert (failed.terminal.code, "PySocks" in failed.terminal.message) == ("config", True)


def test_a_mistake_that_keeps_an_ollama_from_being_asked_sends_nothing_elsewhere(
    world: World,
) -> None:
    broken = {"OLLAMA_HOST": "https://a.test", "REQUESTS_CA_BUNDLE": "/no/such.pem"}
    failed = asked(world.hold(Settings({}, {**B_BY_VARIABLE, **broken})))
    world.check()
    assert isinstance(failed.terminal, ev.Error)
    assert failed.terminal.message.startswith("REQUESTS_CA_BUNDLE: /no/such.pem")


def test_a_proxys_page_for_an_ollama_elsewhere_is_no_ollama(world: World) -> None:
    world.proxy.down = True
    settings = Settings(
        {}, {"OLLAMA_HOST": "far.test", "OPENAI_API_KEY": KEY_B, "OPENAI_BASE_URL": "{B}"}
    )
    options = world.hold(settings, "HTTP_PROXY")
    if world.where == "loopback":
        assert asked(options).outcome == "complete"
        assert world.b.requests[0].path == "/v1/chat/completions"
    else:  # the service is asked through the same proxy
        asked(options)
        assert [it.method for it in world.proxy.requests] == ["GET", "POST"]


def test_a_server_that_was_found_is_written_down_before_it_is_asked(world: World) -> None:
    world.a.silent = True  # it lists its models, and never answers
    asked(world.hold(Settings({}, {"OLLAMA_HOST": "{A}"})))
    world.check(world.a)
    world.a.silent = False
    assert resumed(world.hold(Settings({}, {"OLLAMA_HOST": "{B}"}))).outcome == "complete"
    world.check(world.a)


# ---- journals of earlier versions


def earlier(provider: str | None, base_url: str | None) -> None:
    """A run that broke off, as earlier versions wrote it down."""
    run = run_id(1)
    opening = ev.Metadata(provider=provider, version=1, run=run, started_at=started_at(run))
    told = ev.Metadata(provider=provider or "openai", model="m")
    events = [opening, told, ev.Content("Hel"), failed()]
    for seq, event in enumerate(events):
        event.seq, event.t = seq, float(seq)
    asked = RequestRecord(
        (Message("user", "why?"),), provider=provider, model="m", base_url=base_url
    )
    journal = Journal(runs_folder(), asked)
    journal.write(events)
    journal.close()


@pytest.mark.parametrize("provider", ["openai", None])
@pytest.mark.parametrize(
    "settings", [Settings(), Settings({}, B_BY_VARIABLE), Settings({}, {}, B_BY_FILE)]
)
def test_a_journal_without_an_address_is_resumed_only_where_one_is_named(
    world: World, provider: str | None, settings: Settings
) -> None:
    earlier(provider, None)
    refused = resumed(world.hold(settings))
    world.check()
    assert isinstance(refused.terminal, ev.Error)
    assert "does not say which server was asked" in refused.terminal.message
    assert "--base-url" in (refused.terminal.hint or "")
    resumed(world.hold(Settings({"base_url": "{A}"}, settings.environ, settings.file)), run_id(1))
    world.check(world.a)


def test_a_provider_that_is_named_is_enough_for_a_journal_without_an_address(world: World) -> None:
    earlier("openai", None)
    resumed(world.hold(BY_VARIABLE))
    world.check(world.a)


@pytest.mark.parametrize("provider", ["openai", None])
def test_a_journal_with_the_address_of_a_setting_is_resumed_there(
    world: World, provider: str | None
) -> None:
    earlier(provider, world.url(world.a))
    assert resumed(world.hold(Settings({}, {"OPENAI_BASE_URL": "{B}"}))).outcome == "complete"
    world.check(world.a)
    refused = resumed(world.hold(Settings({}, {"OPENAI_API_KEY": KEY_B})), run_id(1))
    world.check()
    assert isinstance(refused.terminal, ev.Error)
    assert NOT_SENT in refused.terminal.message


# ---- the connection that begins ahead


@pytest.mark.parametrize("proxies", [it for it in PROXIES if it != "SOCKS"])
@pytest.mark.parametrize("settings", [BY_OPTION, BY_VARIABLE, BY_HOST, BY_FILE])
def test_an_answer_takes_one_connection(world: World, settings: Settings, proxies: str) -> None:
    assert asked(world.hold(settings, proxies)).outcome == "complete"
    assert len(world.names.places) == 1
    assert sum(len(it.connections) for it in (world.a, world.b, world.proxy)) == 1


MISTAKES: dict[str, Settings] = {
    "no key": Settings({"provider": "groq"}),
    "a key that is none": Settings({"provider": "groq", "api_key": "schl\u00fcssel"}),
    "a key variable that is not set": Settings({"provider": "groq", "key_variable": "NO_SUCH_KEY"}),
    "a key command that fails": Settings({"provider": "groq", "key_command": "false"}),
    "no model": Settings({"provider": "groq", "model": None, "api_key": KEY_A}),
    "no such provider": Settings({"provider": "nope", "base_url": "{A}"}),
    "no such strategy": Settings({"base_url": "{A}", "strategy": "nope"}),
    "no fallback": Settings({"base_url": "{A}", "on_drop": "fallback"}),
    "no address": Settings({"base_url": "ftp://a.test"}),
    "a setting that does not fit": Settings({"base_url": "{A}", "temperature": "hot"}),
    "no such certificates": Settings({"base_url": "https://a.test", "ca_file": "/no/such.pem"}),
}


@pytest.mark.parametrize("world", ["remote"], indirect=True)
@pytest.mark.parametrize("proxies", FEW)
@pytest.mark.parametrize("case", MISTAKES)
def test_nobody_is_contacted_for_a_mistake(world: World, case: str, proxies: str) -> None:
    answer = asked(world.hold(MISTAKES[case], proxies))
    assert isinstance(answer.terminal, ev.Error)
    assert world.names.places == []


# ---- redirects


@pytest.mark.parametrize("proxies", FEW)
@pytest.mark.parametrize("key", [None, KEY_A])
@pytest.mark.parametrize("target", ["{B}/v1/new", "{S}/v1/new", "//{b}/new", "/new"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_leads_elsewhere(
    world: World, status: int, target: str, key: str | None, proxies: str
) -> None:
    options = world.hold(
        Settings({"base_url": "{A}", **({"api_key": key} if key else {})}), proxies
    )
    a, b = world.url(world.a), world.url(world.b)
    where = target.replace("{B}", b).replace("{b}", b.removeprefix("http://"))
    where = where.replace("{S}", a.replace("http", "https"))
    redirect = Reply(b"", status, {"Location": where}, "length")
    for server in (world.a, world.proxy):
        server.first = redirect
    answer = asked(options)
    world.check(world.a, proxies=proxies)
    if proxies == "SOCKS":
        return
    followed = target == "/new" and status in {307, 308}
    asked_at = world.a if world.where == "loopback" or proxies == "no proxy" else world.proxy
    assert len(asked_at.requests) == (2 if followed else 1)
    if not followed:
        assert isinstance(answer.terminal, ev.Error)
        assert "redirects to" in answer.terminal.message
