"""Claimed: who is asked is what the settings say, in their order; no key or address strays."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.engine.services import (
    Choice,
    begin_ahead,
    candidates,
    is_local,
    labels,
    model_names,
    provider_of,
    server_of,
    transport_options,
)
from chatstream.engine.settings import Settings
from chatstream.errors import AuthError, ChatstreamError, ConfigError, UsageError
from chatstream.flow import Arrival
from chatstream.providers import PROVIDERS
from chatstream.redact import redact
from tests.support.loopback import Reply, Request, Script

FIRST = Settings(
    provider="openai",
    model="gpt",
    base_url="http://first",
    api_key="key-of-the-first",
    key_variable="FIRST",
    key_command="first",
    temperature=0.5,
    proxy="http://proxy",
    options={"seed": 1},
)


def places(settings: Settings) -> list[tuple[str | None, str | None, str | None]]:
    """Of each candidate who it is and where."""
    return [(it.provider, it.model, it.base_url) for it in candidates(settings)]


def with_(**fields: Any) -> Settings:
    return replace(FIRST, **fields)


def test_one_model_is_asked_as_the_settings_say() -> None:
    assert candidates(FIRST) == [FIRST]
    assert candidates(Settings()) == [Settings()]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mini", ("openai", "mini", "http://first")),
        ("mini@openai", ("openai", "mini", "http://first")),
        ("@openai", ("openai", None, "http://first")),
        ("claude@anthropic", ("anthropic", "claude", None)),
        ("@demo", ("demo", None, None)),
        ("a@b@demo", ("demo", "a@b", None)),
        ("mini@http://second/v1", ("openai", "mini", "http://second/v1")),
        ("@localhost:11434", ("ollama", None, "localhost:11434")),
    ],
)
def test_a_fallback_is_a_model_a_place_or_both(name: str, place: tuple[str, str, str]) -> None:
    first, second = places(with_(fallback=[name]))
    assert first == ("openai", "gpt", "http://first")
    assert second == place


def test_another_provider_gets_no_address_and_no_key_of_the_first() -> None:
    _, same, other = candidates(with_(fallback=["mini", "claude@anthropic"]))
    assert (same.api_key, same.key_variable, same.key_command) == (
        "key-of-the-first",
        "FIRST",
        "first",
    )
    assert (other.api_key, other.key_variable, other.key_command) == (None, None, None)
    assert (other.temperature, other.proxy, other.options) == (0.5, "http://proxy", {"seed": 1})


def test_fallbacks_are_asked_in_their_order() -> None:
    assert [it.model for it in candidates(with_(fallback=["b", "a", "b"]))] == [
        "gpt",
        "b",
        "a",
        "b",
    ]


def test_a_strategy_stands_in_the_place_of_the_model() -> None:
    settings = with_(strategy="x", strategies={"x": ["a", "b@demo"]}, fallback=["c"])
    assert places(settings) == [
        ("openai", "a", "http://first"),
        ("demo", "b", None),
        ("openai", "c", "http://first"),
    ]


@pytest.mark.parametrize(("known", "hint"), [({}, "none yet"), ({"a": ["m"], "b": ["n"]}, "a, b")])
def test_an_unknown_strategy_is_a_mistake(known: dict[str, list[str]], hint: str) -> None:
    with pytest.raises(ConfigError, match="unknown strategy 'x'") as caught:
        candidates(with_(strategy="x", strategies=known))
    assert (caught.value.hint or "").endswith(hint)


@pytest.mark.parametrize(
    ("provider", "model", "words"),
    [
        ("openai", "gpt", "gpt@openai"),
        ("openai", None, "@openai"),
        (None, "gpt", "gpt"),
        (None, None, "the first model"),
    ],
)
def test_a_candidate_is_called_what_the_user_calls_it(
    provider: str | None, model: str | None, words: str
) -> None:
    assert labels([Settings(provider=provider, model=model)]) == [words]


def test_one_provider_at_two_addresses_is_told_apart() -> None:
    names = ["gpt@http://me:pass-word@second/v1", "gpt@demo", "mini"]
    assert labels(candidates(with_(fallback=names))) == [
        "gpt@http://first",
        "gpt@http://second/v1",
        "gpt@demo",
        "mini@openai",
    ]


T = TypeVar("T")


def result_of(steps: Generator[Arrival, None, T]) -> T:
    """What comes of it, after nothing but heartbeats."""
    results: list[T] = []

    def kept() -> Generator[Arrival, None, None]:
        results.append((yield from steps))

    assert not any(arrival.events for arrival in kept())
    return results[0]


def made(settings: Settings) -> tuple[str, str]:
    """The provider that is found, and its address."""
    provider = result_of(provider_of(settings, CancelToken()))
    provider.close()
    return provider.endpoint.name, provider.endpoint.base_url


def test_a_hosted_service_needs_a_key_and_says_which() -> None:
    for name, variable in (("anthropic", "ANTHROPIC_API_KEY"), ("groq", "GROQ_API_KEY")):
        with pytest.raises(AuthError) as caught:
            made(Settings(provider=name))
        assert variable in (caught.value.hint or "")


def test_an_address_of_ones_own_needs_no_key() -> None:
    assert made(Settings(base_url="http://127.0.0.1:9")) == ("openai", "http://127.0.0.1:9/v1")


def test_the_secrets_of_whoever_is_asked_are_masked_from_then_on() -> None:
    made(Settings(base_url="http://me:pass-word@127.0.0.1:9", api_key="the-key"))
    assert redact("the-key and pass-word") == "*** and ***"


def test_the_names_of_the_models_are_those_of_the_server() -> None:
    with Script(Reply.json({"data": [{"id": "a"}, {"id": "b"}]})) as server:
        names = result_of(model_names(Settings(base_url=server.url), CancelToken()))
    assert names == ["a", "b"]


def test_a_server_that_lists_none_raises_its_failure() -> None:
    with Script(Reply.json({"error": "no"}, 500)) as server:
        listing = model_names(Settings(base_url=server.url), CancelToken())
        with pytest.raises(ChatstreamError, match="no"):
            list(listing)


# ---- nothing is configured


def tags(*models: dict[str, Any]) -> Reply:
    return Reply.json({"models": list(models)})


def model(name: str, family: str = "llama", *capabilities: str) -> dict[str, Any]:
    """A model in a list of Ollama's; older servers leave out what it is capable of."""
    entry: dict[str, Any] = {"name": name, "model": name, "details": {"family": family}}
    return {**entry, "capabilities": [*capabilities]} if capabilities else entry


class Ollama(Script):
    """Lists these models; of each it tells what `shown` says, or that it does not know the call."""

    def __init__(self, *models: dict[str, Any], shown: dict[str, list[str]] | None = None) -> None:
        super().__init__(tags(*models))
        self.shown = shown

    def take(self, request: Request) -> Reply:
        reply = super().take(request)
        if request.path != "/api/show":
            return reply
        if self.shown is None:
            return Reply(b"404 page not found", status=404)
        return Reply.json({"details": {}, "capabilities": self.shown[request.json["model"]]})


@pytest.fixture
def choices(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Choice]]:
    """Who is chosen with this Ollama and these variables, where nothing else is set."""

    def chosen(ollama: Script | None, **environ: str) -> list[Choice]:
        monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9" if ollama is None else ollama.url)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        told: list[Choice] = []
        result_of(provider_of(Settings(), CancelToken(), told.append)).close()
        return told

    return chosen


LLAMA, GEMMA = model("llama3.2:latest"), model("gemma3:4b", "gemma3", "completion", "vision")
NOMIC = model("nomic-embed-text:latest", "nomic-bert")
EMBEDS = model("embeddinggemma:latest", "gemma3", "embedding")
PAINTS = model("z-image:latest", "", "image")


@pytest.mark.parametrize(
    ("ollama", "chosen"),
    [
        (Ollama(LLAMA), "llama3.2:latest"),
        (Ollama(NOMIC, LLAMA), "llama3.2:latest"),
        (Ollama(EMBEDS, PAINTS, GEMMA), "gemma3:4b"),
        (
            Ollama(
                model("of-a-chat-family", "qwen3"), GEMMA, shown={"of-a-chat-family": ["embedding"]}
            ),
            "gemma3:4b",
        ),
        (Ollama(LLAMA, shown={"llama3.2:latest": ["completion", "tools"]}), "llama3.2:latest"),
        (Ollama(LLAMA, shown={"llama3.2:latest": []}), "llama3.2:latest"),
    ],
)
def test_a_local_ollama_is_chosen_with_the_first_model_that_can_chat(
    ollama: Ollama, chosen: str, choices: Callable[..., list[Choice]]
) -> None:
    with ollama:
        assert [str(it) for it in choices(ollama, OPENAI_API_KEY="sk-1")] == [
            f"asking {chosen} on Ollama at {ollama.url} (no provider is set)"
        ]


@pytest.mark.parametrize(
    ("ollama", "why"),
    [
        (None, "Ollama does not answer"),
        (Ollama(), "has no chat model"),
        (Ollama(NOMIC, EMBEDS, PAINTS), "has no chat model"),
        (Ollama(LLAMA, shown={"llama3.2:latest": ["embedding"]}), "has no chat model"),
        (Script(Reply(b"<html>", status=502)), "Ollama does not answer"),
    ],
)
def test_without_one_the_first_key_decides(
    ollama: Script | None, why: str, choices: Callable[..., list[Choice]]
) -> None:
    with ollama or Script(Reply()):
        [choice] = choices(ollama, ANTHROPIC_API_KEY="sk-ant-1")
    assert choice.who == "claude-haiku-4-5 on anthropic"
    assert choice.why.startswith("ANTHROPIC_API_KEY is set; ")
    assert why in choice.why


def test_a_model_that_is_named_does_not_make_an_ollama_of_embeddings_the_one_to_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Ollama(NOMIC) as ollama:
        monkeypatch.setenv("OLLAMA_HOST", ollama.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
        assert made(Settings(model="gpt-5")) == ("openai", "https://api.openai.com/v1")


@pytest.mark.parametrize(
    ("environ", "who"),
    [
        ({"OPENAI_BASE_URL": ":8000"}, "the first model on openai at http://localhost:8000/v1"),
        ({"GROQ_API_KEY": "g", "XAI_API_KEY": "x"}, "the first model on groq"),
        ({"CEREBRAS_API_KEY": "c", "DEEPSEEK_API_KEY": "d"}, "deepseek-chat on deepseek"),
        ({"OPENAI_API_KEY": " ", "ANTHROPIC_API_KEY": "a"}, "claude-haiku-4-5 on anthropic"),
        ({"OLLAMA_API_KEY": "o", "OPENAI_API_KEY": "k"}, "gpt-5-mini on openai"),
    ],
)
def test_the_first_place_that_can_be_asked_as_things_are_is_chosen(
    environ: dict[str, str], who: str, choices: Callable[..., list[Choice]]
) -> None:
    [choice] = choices(None, **environ)
    assert choice.who.startswith(who)


def test_a_key_that_is_none_is_refused_and_not_passed_over(
    choices: Callable[..., list[Choice]],
) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY contains"):
        choices(None, OPENAI_API_KEY="two words", ANTHROPIC_API_KEY="a")


def test_with_nothing_at_all_it_is_said_what_to_do(choices: Callable[..., list[Choice]]) -> None:
    with pytest.raises(UsageError, match="no model server is set up") as caught:
        choices(None)
    assert "-p demo" in (caught.value.hint or "")


def test_a_server_that_is_named_gets_its_first_model_that_can_chat() -> None:
    listing = Reply.json(
        {"data": [{"id": "text-embedding-3"}, {"id": "a", "type": "embedding"}, {"id": "b"}]}
    )
    with Script(listing) as server:
        found = result_of(server_of(Settings(base_url=server.url), CancelToken()))
        assert found.settings.model == "b"
    with Ollama(NOMIC, LLAMA) as ollama:
        settings = Settings(provider="ollama", base_url=ollama.url)
        assert result_of(server_of(settings, CancelToken())).settings.model == "llama3.2:latest"


def test_a_server_with_embeddings_alone_has_no_model() -> None:
    with Ollama(NOMIC) as ollama, pytest.raises(UsageError, match="no chat model"):
        result_of(server_of(Settings(provider="ollama", base_url=ollama.url), CancelToken()))


def test_a_variable_with_the_address_of_the_service_itself_needs_a_key_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.openai.com/v1/chat/completions")
    with pytest.raises(AuthError):
        made(Settings(provider="openai"))
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    assert made(Settings(provider="openai")) == ("openai", "http://127.0.0.1:9/v1")


@pytest.mark.parametrize("given", ["box:3128", '"http://box:3128/"'])
def test_a_proxy_is_read_as_every_address(given: str) -> None:
    proxies = transport_options(PROVIDERS["openai"], Settings(proxy=given))["proxies"]
    assert proxies == {"http": "http://box:3128", "https": "http://box:3128"}
    with pytest.raises(ConfigError, match="not an address"):
        transport_options(PROVIDERS["openai"], Settings(proxy="ftp://box"))


KEY = "the-key"

SURE = {
    "an address": Settings(base_url="{}"),
    "an address of Ollama": Settings(provider="ollama", base_url="{}"),
    "an address and a key": Settings(base_url="{}", api_key=KEY, model="m"),
}
OPEN = {
    "nothing named": Settings(),
    "the demo": Settings(provider="demo"),
    "no key": Settings(provider="groq", model="m"),
    "no model": Settings(provider="groq", api_key=KEY),
    "a command for the key": Settings(base_url="http://127.0.0.1:9", key_command="true"),
    "no such provider": Settings(provider="nope"),
    "no address": Settings(base_url="ftp://127.0.0.1"),
}


@pytest.mark.parametrize("case", SURE)
def test_a_connection_begins_ahead_where_it_is_sure_who_is_asked(case: str) -> None:
    with Script(Reply()) as server:
        begun = begin_ahead(replace(SURE[case], base_url=server.url))
        assert begun is not None
        assert server.wait_connected()
        begun.close()


@pytest.mark.parametrize("case", OPEN)
def test_none_begins_where_another_may_be_asked_or_nobody(case: str) -> None:
    assert begin_ahead(OPEN[case]) is None


def test_a_fallback_and_a_strategy_may_name_an_alias() -> None:
    aliases = {"fast": "mini", "far": "claude@anthropic"}
    found = places(with_(aliases=aliases, fallback=["fast", "far"]))
    assert [it[:2] for it in found[1:]] == [("openai", "mini"), ("anthropic", "claude")]
    strategy = with_(aliases=aliases, strategy="s", strategies={"s": ["fast"]})
    assert [it[1] for it in places(strategy)] == ["mini"]


@pytest.mark.parametrize(
    ("settings", "local"),
    [
        (Settings(), True),  # Ollama is looked for first
        (Settings(provider="ollama"), True),
        (Settings(provider="openai"), False),
        (Settings(provider="openai", base_url="http://localhost:8000/v1"), True),
        (Settings(provider="ollama", base_url="https://ollama.example"), False),
    ],
)
def test_a_server_on_this_machine_is_local(settings: Settings, *, local: bool) -> None:
    assert is_local(settings) == local
