"""Details and pulls go to the server of the settings; a pull without one goes to Ollama."""

from __future__ import annotations

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.models import details, pull
from chatstream.engine.services import awaited
from chatstream.engine.settings import Settings
from chatstream.errors import ModelNotFound, UsageError
from tests.support.loopback import Reply, Script


def at(server: Script, provider: str, model: str = "m") -> Settings:
    return Settings(provider=provider, base_url=server.url, model=model, api_key="sk-1234567890")


def test_a_pull_without_a_provider_goes_to_ollama(monkeypatch: pytest.MonkeyPatch) -> None:
    with Script(Reply(b'{"status":"success"}\n')) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        list(pull(Settings(model="m"), CancelToken()))
        monkeypatch.delenv("OLLAMA_HOST")
        list(pull(Settings(model="m", base_url=server.url), CancelToken()))
    assert [it.path for it in server.requests] == ["/api/pull"] * 2


@pytest.mark.parametrize("provider", ["openai", "llamacpp", "anthropic", "demo"])
def test_who_cannot_pull_says_so_and_is_not_asked(provider: str) -> None:
    with Script(Reply.json({})) as server:
        asked = at(server, provider)
        with pytest.raises(UsageError, match=f"{provider} cannot pull models; only Ollama can"):
            list(pull(asked, CancelToken()))
    assert server.requests == []


def test_a_model_that_is_not_there_can_be_pulled() -> None:
    missing = Reply.json({"error": "model 'm' not found"}, 404)
    with Script(missing) as server, pytest.raises(ModelNotFound) as caught:
        awaited(details(at(server, "ollama"), CancelToken()))
    hint = f"`chatstream models pull m -p ollama --base-url {server.url}` downloads it"
    assert caught.value.hint == hint


def test_a_server_that_only_lists_its_models() -> None:
    listed = Reply.json({"data": [{"id": "m", "max_model_len": 512}]})
    with Script(listed) as server:
        assert awaited(details(at(server, "vllm"), CancelToken())).context_length == 512
        wrong = at(server, "vllm", "mm")
        with pytest.raises(ModelNotFound, match="does not list a model mm"):
            awaited(details(wrong, CancelToken()))


def test_without_a_model_nothing_is_asked() -> None:
    with pytest.raises(UsageError, match="no model is named"):
        list(pull(Settings(), CancelToken()))
