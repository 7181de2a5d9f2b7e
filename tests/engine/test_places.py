"""Claimed: a model's name may hold its place everywhere, and an unknown place is a mistake; an
address is taken as vendors print it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chatstream
from chatstream.engine.places import base_address, provider_at, settings_of, split
from chatstream.engine.resolve import resolve
from chatstream.engine.services import at_model, candidates
from chatstream.engine.settings import Settings
from chatstream.errors import ConfigError, UsageError
from chatstream.providers import PROVIDERS
from tests.support.answers import whole
from tests.support.client import answer_of, run_here
from tests.support.loopback import Reply, Script

FILE = """\
provider = "openai"
model = "usual"
api_key = "key-of-the-file"
strategy = "cheap"
system = "of the file"

[strategies]
cheap = ["small@work", "m@http://box:1/v1", "@demo"]

[profiles.work]
base_url = "http://work.lan/v1"
api_key = "key-of-work"
model = "of-work"
system = "of work"
proxy = "http://proxy.lan:1"

[profiles.bare]
provider = "ollama"
base_url = "box"

[profiles.demo]
provider = "anthropic"
api_key = "key-of-the-profile-demo"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(path))
    return path


# ---- names


@pytest.mark.parametrize(
    ("name", "model", "place"),
    [
        ("gpt", "gpt", None),
        ("gpt@openai", "gpt", "openai"),
        ("@openai", "", "openai"),
        ("gpt@", "gpt", ""),
        ("@cf/meta/llama@openai", "@cf/meta/llama", "openai"),
        ("m@http://box:1/v1", "m", "http://box:1/v1"),
        ("m@https://me:pass@box/v1?a=b@c", "m", "https://me:pass@box/v1?a=b@c"),
        ("a@b@http://me@box", "a@b", "http://me@box"),
    ],
)
def test_the_place_stands_behind_the_last_at(name: str, model: str, place: str | None) -> None:
    assert split(name) == (model, place)


def place_of(settings: Settings) -> tuple[Any, ...]:
    return settings.provider, settings.model, settings.base_url, settings.api_key


NAMED: dict[str, tuple[Any, ...]] = {
    "m@openai": ("openai", "m", None, "key-of-the-file"),
    "m@anthropic": ("anthropic", "m", None, None),
    "@groq": ("groq", None, None, None),
    "m@http://box:1/v1": ("openai", "m", "http://box:1/v1", "key-of-the-file"),
    "m@box:1": ("openai", "m", "box:1", "key-of-the-file"),
    "m@localhost:11434": ("ollama", "m", "localhost:11434", None),
    "m@https://api.anthropic.com": ("anthropic", "m", "https://api.anthropic.com", None),
    "m@work": ("openai", "m", "http://work.lan/v1", "key-of-work"),
    "@work": ("openai", "of-work", "http://work.lan/v1", "key-of-work"),
    "m@bare": ("ollama", "m", "box", None),
    "m@demo": ("anthropic", "m", None, "key-of-the-profile-demo"),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_name_with_a_place_decides_who_is_asked(name: str, file: Path) -> None:
    settings = resolve({"model": name}).settings
    assert place_of(settings) == NAMED[name]
    assert (settings.strategy, settings.system) == (None, "of the file")
    assert settings.proxy == ("http://proxy.lan:1" if name.endswith("@work") else None)


@pytest.mark.parametrize("name", NAMED)
def test_a_variable_and_a_file_may_name_it_too(
    name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_option = place_of(resolve({"model": name}).settings)
    monkeypatch.setenv("CHATSTREAM_MODEL", name)
    assert place_of(resolve({}).settings) == by_option
    monkeypatch.delenv("CHATSTREAM_MODEL")
    file.write_text(f'{FILE}[profiles.named]\nmodel = "{name}"\n')
    assert place_of(resolve({}, profile="named").settings) == by_option


def test_no_key_that_stands_elsewhere_goes_to_a_profile(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATSTREAM_API_KEY", "key-of-the-variable")
    monkeypatch.setenv("CHATSTREAM_BASE_URL", "http://variable")
    assert place_of(resolve({"model": "m@work"}).settings) == NAMED["m@work"]
    monkeypatch.delenv("CHATSTREAM_BASE_URL")
    assert place_of(resolve({"model": "m@bare"}).settings) == NAMED["m@bare"]
    monkeypatch.setenv("CHATSTREAM_MODEL", "m@bare")
    assert place_of(resolve({}).settings) == NAMED["m@bare"]


def test_a_key_that_is_an_argument_beside_the_name_is_the_one_to_use(file: Path) -> None:
    settings = resolve({"model": "m@work", "api_key": "mine"}).settings
    assert (settings.base_url, settings.api_key) == ("http://work.lan/v1", "mine")


@pytest.mark.parametrize("name", ["@cf/meta/llama", "m@nowhere", "m@openai", "m@work", "m@"])
def test_beside_its_provider_a_name_is_taken_as_it_is(name: str, file: Path) -> None:
    settings = resolve({"provider": "openai", "model": name}).settings
    assert (settings.provider, settings.model, settings.base_url) == ("openai", name, None)
    file.write_text(f'provider = "openai"\nmodel = "{name}"\n')
    assert resolve({}).settings.model == name


@pytest.mark.parametrize("name", ["@cf/meta/llama", "m@nowhere", "m@", "m@7b:q4", "m@20240620"])
def test_a_place_that_there_is_not_is_a_mistake_that_names_what_there_is(
    name: str, file: Path
) -> None:
    place = name.rpartition("@")[2]
    for mistake in (
        lambda: resolve({"model": name}),
        lambda: candidates(Settings(fallback=[name])),
        lambda: candidates(Settings(strategy="s", strategies={"s": [name]})),
    ):
        with pytest.raises((UsageError, ConfigError), match=place or "nothing") as caught:
            mistake()
        for known in ("ollama", "work", "bare", "http://", "-p PROVIDER"):
            assert known in (caught.value.hint or "")


def test_a_mistyped_place_gets_its_neighbour() -> None:
    with pytest.raises(UsageError) as caught:
        settings_of("wrok", "--model", ["work"], lambda _: None)
    assert (caught.value.hint or "").startswith("did you mean 'work'?")


def test_an_address_is_given_once() -> None:
    with pytest.raises(UsageError, match="--model and --base-url"):
        resolve({"model": "m@http://a:1", "base_url": "http://b:1"})
    settings = resolve({"model": "m@anthropic", "base_url": "http://b:1"}).settings
    assert (settings.provider, settings.base_url) == ("anthropic", "http://b:1")


def test_two_profiles_that_name_each_other_end(file: Path) -> None:
    file.write_text('[profiles.a]\nmodel = "m@b"\n[profiles.b]\nmodel = "n@a"\n')
    assert resolve({"model": "@a"}).settings.model is None
    assert resolve({}, profile="a").settings.model == "m"


def test_a_strategy_and_a_fallback_name_places_as_well(file: Path) -> None:
    settings = resolve({"fallback": ["m@bare", "x"]}).settings
    found = [place_of(it)[:3] for it in candidates(settings)]
    assert found == [
        ("openai", "small", "http://work.lan/v1"),
        ("openai", "m", "http://box:1/v1"),
        ("anthropic", None, None),
        ("ollama", "m", "box"),
        ("openai", "x", None),
    ]


FIRST = Settings(provider="openai", base_url="http://first/v1", api_key="key", model="gpt")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("m", "key"),
        ("m@openai", "key"),
        ("m@http://first", "key"),
        ("m@http://first:81", None),
        ("m@anthropic", None),
        ("m@work", "key-of-work"),
        ("m@bare", None),
    ],
)
def test_a_fallback_at_another_server_does_not_get_the_key_of_the_first(
    name: str, key: str | None, file: Path
) -> None:
    assert at_model(FIRST, name).api_key == key


# ---- everywhere

CUT = Reply([b'data: {"choices":[{"delta":{"content":"one "}}]}\n\n'])


def by_library(url: str) -> str:
    return answer_of(chatstream.stream("why?", model=f"m@{url}", retries=0)).text


def by_ask(url: str) -> str:
    return run_here(["ask", "-m", f"m@{url}", "why?"]).stdout.decode()


def by_fallback(url: str) -> str:
    dead = "m@http://127.0.0.1:9"
    flags = ["--retries", "0", "--fallback", f"m@{url}"]
    return run_here(["ask", "-m", dead, *flags, "why?"]).stdout.decode()


def by_doctor(url: str) -> str:
    run_here(["doctor", "-m", f"m@{url}"])
    return ""


def by_bench(url: str) -> str:
    run_here(["bench", "-m", f"m@{url}", "-n", "1"])
    return ""


@pytest.mark.parametrize("way", [by_library, by_ask, by_fallback, by_doctor, by_bench])
def test_every_way_to_name_a_model_takes_a_place(way: Callable[[str], str]) -> None:
    with Script(whole("openai")) as server:
        way(f"{server.url}/v1")
        posts = [it for it in server.requests if it.method == "POST"]
    assert {it.path for it in posts} == {"/v1/chat/completions"}
    assert {it.json["model"] for it in posts} == {"m"}


def test_two_servers_are_compared_by_their_places() -> None:
    with Script(whole("openai")) as one, Script(whole("openai")) as other:
        names = [it for server in (one, other) for it in ("-m", f"m@{server.url}")]
        done = run_here(["bench", *names, "-n", "2"])
        assert done.status == 0
        assert len(one.requests) == len(other.requests) == 3  # one of them cold


def test_an_answer_is_continued_where_its_name_had_led(file: Path) -> None:
    with Script(CUT) as server:
        file.write_text(f'[profiles.work]\nbase_url = "{server.url}"\napi_key = "key-of-work"\n')
        first = answer_of(chatstream.stream("why?", model="m@work", retries=0, on_drop="stop"))
        assert first.outcome == "truncated"
        server.play(whole("openai"))
        again = answer_of(chatstream.resume(retries=0))
        assert again.outcome == "complete"
        assert server.requests[-1].headers["authorization"] == "Bearer key-of-work"


def test_an_answer_of_an_address_in_a_name_is_continued_with_the_key_it_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "usual-key")
    with Script(CUT) as server:
        name = f"m@{server.url}"
        answer_of(chatstream.stream("why?", model=name, retries=0, on_drop="stop"))
        server.play(whole("openai"))
        assert answer_of(chatstream.resume(retries=0)).outcome == "complete"
        keys = {it.headers["authorization"] for it in server.requests}
        assert keys == {"Bearer usual-key"}


def test_an_answer_is_continued_at_another_place_that_is_named() -> None:
    with Script(CUT) as server, Script(whole("ollama")) as other:
        answer_of(chatstream.stream("why?", model=f"m@{server.url}", retries=0, on_drop="stop"))
        asked = len(server.requests)
        again = answer_of(chatstream.resume(model=f"n@{other.url}/api/chat", retries=0))
        assert again.outcome == "complete"
        assert len(server.requests) == asked
        assert (other.requests[-1].path, other.requests[-1].json["model"]) == ("/api/chat", "n")


# ---- addresses of a service


@pytest.mark.parametrize(
    ("provider", "given", "base"),
    [
        ("ollama", "localhost", "http://localhost:11434"),
        ("ollama", "box:8080", "http://box:8080"),
        ("ollama", "0.0.0.0", "http://127.0.0.1:11434"),
        ("ollama", ":9", "http://localhost:9"),
        ("ollama", "https://ollama.example/", "https://ollama.example"),
        ("ollama", "http://box:1/api/", "http://box:1"),
        ("ollama", "http://box:1/ollama/api/chat", "http://box:1/ollama"),
        ("ollama", "http://box:11434/v1", "http://box:11434"),
        ("ollama", "http://box:11434/v1/chat/completions", "http://box:11434"),
        ("openai", "http://box:8000", "http://box:8000/v1"),
        ("openai", "http://box:8000/v1/", "http://box:8000/v1"),
        ("openai", "box/api/v1", "http://box/api/v1"),
        ("openai", "http://box/v1/chat/completions", "http://box/v1"),
        ("openai", "http://box/v1/responses", "http://box/v1"),
        ("openai", "http://box/v1/completions/", "http://box/v1"),
        (
            "openai",
            "https://a.example/openai/deployments/d/chat/completions?api-version=1",
            "https://a.example/openai/deployments/d?api-version=1",
        ),
        ("openai", "http://box/chat/completions", "http://box/."),
        ("openai", "http://box/.", "http://box/."),
        ("llamacpp", "8080", "http://localhost:8080/v1"),
        ("llamacpp", "http://box:8080/completion", "http://box:8080/."),
        ("deepseek", "https://api.deepseek.com", "https://api.deepseek.com"),
        ("perplexity", "https://api.perplexity.ai/chat/completions", "https://api.perplexity.ai"),
        ("groq", "api.groq.com", "https://api.groq.com/openai/v1"),
        ("anthropic", "https://proxy.example/v1", "https://proxy.example"),
        ("anthropic", "https://proxy.example/v1/messages", "https://proxy.example"),
        ("anthropic", "https://proxy.example/base", "https://proxy.example/base"),
    ],
)
def test_the_base_of_a_service_is_found_in_an_address(provider: str, given: str, base: str) -> None:
    row = PROVIDERS[provider]
    assert base_address(given, row) == base
    assert base_address(base, row) == base


def test_a_call_without_a_prefix_is_asked_as_it_was_printed() -> None:
    with Script(whole("openai")) as server:
        by_library(f"{server.url}/chat/completions")
        assert server.requests[-1].path == "/chat/completions"


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("http://box:8000/v1", "openai"),
        (":8080", "openai"),
        ("https://api.groq.com/openai/v1/chat/completions", "groq"),
        ("https://api.anthropic.com", "anthropic"),
        ("http://box/v1/messages", "anthropic"),
        ("http://box/v1/chat/completions", "openai"),
        ("http://box/api/chat", "ollama"),
        ("box:11434", "ollama"),
        ("http://box:11434/v1", "openai"),
    ],
)
def test_the_provider_of_an_address_is_told_by_its_call_or_its_server(
    address: str, provider: str
) -> None:
    assert provider_at(address) == provider
