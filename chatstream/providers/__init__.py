"""Who can be asked. One row a service; a new one that speaks a known dialect is one more row.

The dialects are the modules beside this table; each makes events of what its servers send.
Other packages add providers through the entry-point group `chatstream.providers`, whose entries
name a `Service`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import msgspec

from chatstream.addresses import origin, same_server
from chatstream.errors import UsageError
from chatstream.messages import ContinuationMethod
from chatstream.nearest import did_you_mean

if TYPE_CHECKING:
    from chatstream.providers.base import Provider

OLLAMA = "chatstream.providers.ollama:Ollama"
OPENAI = "chatstream.providers.openai:OpenAI"
RESPONSES = "chatstream.providers.responses:Responses"
ANTHROPIC = "chatstream.providers.anthropic:Anthropic"
LLAMACPP = "chatstream.providers.llamacpp:LlamaCpp"
DEMO = "chatstream.providers.demo:Demo"


class Service(msgspec.Struct, frozen=True):
    """A service: its dialect (`module:Class`), its address and where its key is.

    `local` servers load their model on demand, need no key, and wait longer for a first token.
    `continues` is how they continue an answer that broke off (None: only when asked in words),
    `prefix_path` what comes before the path of a chat call that does. `starts` is the command
    that starts a local one.
    """

    dialect: str
    base_url: str
    key_variable: str | None = None
    url_variable: str | None = None
    model: str | None = None
    local: bool = False
    starts: str | None = None
    continues: ContinuationMethod | None = None
    prefix_path: str = ""


class Endpoint(msgspec.Struct, frozen=True):
    """Where to ask. `base_url` is without a slash at its end, `headers` are the user's own."""

    name: str
    base_url: str
    key: str | None = None
    continues: ContinuationMethod | None = None
    prefix_path: str = ""
    headers: dict[str, str] = {}


PROVIDERS: dict[str, Service] = {
    "ollama": Service(
        OLLAMA,
        "http://127.0.0.1:11434",
        "OLLAMA_API_KEY",
        "OLLAMA_HOST",
        local=True,
        starts="ollama serve",
        continues="prefill",
    ),
    "openai": Service(
        OPENAI,
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        model="gpt-5-mini",
    ),
    "anthropic": Service(
        ANTHROPIC,
        "https://api.anthropic.com",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        model="claude-haiku-4-5",
    ),
    "demo": Service(DEMO, "", model="demo", local=True, continues="prefill"),
    "cerebras": Service(OPENAI, "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "deepseek": Service(
        OPENAI,
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        model="deepseek-chat",
        continues="prefix",
        prefix_path="/beta",
    ),
    "fireworks": Service(OPENAI, "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "gemini": Service(
        OPENAI, "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"
    ),
    "groq": Service(OPENAI, "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": Service(OPENAI, "https://api.mistral.ai/v1", "MISTRAL_API_KEY", continues="prefix"),
    "openai-responses": Service(
        RESPONSES, "https://api.openai.com/v1", "OPENAI_API_KEY", model="gpt-5-mini"
    ),
    "openrouter": Service(OPENAI, "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "perplexity": Service(OPENAI, "https://api.perplexity.ai", "PERPLEXITY_API_KEY"),
    "together": Service(OPENAI, "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "xai": Service(OPENAI, "https://api.x.ai/v1", "XAI_API_KEY"),
    "llamacpp": Service(
        LLAMACPP,
        "http://127.0.0.1:8080/v1",
        "LLAMA_API_KEY",
        local=True,
        starts="llama-server -m MODEL.gguf",
        continues="stream",
    ),
    "lmstudio": Service(
        OPENAI,
        "http://127.0.0.1:1234/v1",
        "LMSTUDIO_API_KEY",
        local=True,
        starts="lms server start",
    ),
    "vllm": Service(
        OPENAI,
        "http://127.0.0.1:8000/v1",
        "VLLM_API_KEY",
        local=True,
        starts="vllm serve MODEL",
        continues="continue_final_message",
    ),
}


def find(name: str) -> Service:
    """The row of a provider. Raises `UsageError` for an unknown name."""
    row = PROVIDERS.get(name)
    if row is None:
        row = _from_entry_points(name)
    if row is None:
        raise UsageError(
            f"unknown provider {name!r}",
            hint=did_you_mean(
                name,
                PROVIDERS,
                f"one of: {', '.join(PROVIDERS)}; any other OpenAI-compatible server: "
                "--provider openai --base-url URL",
            ),
        )
    return row


def service_of(endpoint: Endpoint) -> str:
    """The service that is asked: by its address, if that is one of the table, else by its name."""
    named = (name for name, it in PROVIDERS.items() if same_server(it.base_url, endpoint.base_url))
    return next(named, endpoint.name)


def how_to_start(endpoint: Endpoint) -> str | None:
    """The command that starts the server that would be there, on this machine; None: not known.

    The port tells it where the provider does not: `-p openai` is also used with Ollama.
    """
    usual = [row for row in PROVIDERS.values() if row.starts]
    at_port = (row for row in usual if origin(row.base_url)[2] == origin(endpoint.base_url)[2])
    own = PROVIDERS.get(endpoint.name)
    row = own if own in usual else next(at_port, None)
    return row.starts if row else None


def is_known(name: str) -> bool:
    """Whether there is a provider of that name."""
    return name in PROVIDERS or _from_entry_points(name) is not None


def dialect(row: Service) -> type[Provider]:
    """The class of a row's dialect; imported here and not before."""
    module, _, name = row.dialect.partition(":")
    found: type[Provider] = getattr(importlib.import_module(module), name)
    return found


def _from_entry_points(name: str) -> Service | None:
    from chatstream import plugins  # rarely needed

    for entry in plugins.points(plugins.PROVIDERS):
        if entry.name == name:
            row: Service = entry.load()
            return row
    return None
