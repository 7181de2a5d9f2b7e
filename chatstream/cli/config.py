"""Settings: where each comes from, which one holds.

From the strongest: flags, `CHATSTREAM_*` variables, the chosen profile of the configuration
file, the file's top level, `ACCESSIBLE`, defaults. The providers' own variables (`OPENAI_API_KEY`,
`OLLAMA_HOST`…) stand below all of these. A layer that names a provider brings its own model,
address and key: those of weaker layers that name another provider do not leak into it. Nor does
the key of a layer that names another server.

A text that is given and empty is a mistake, whatever the layer: most often it is a variable of a
script that is not set, and without it another server, or another model, would be asked. Only the
system prompt may be empty: none is sent then. An empty `CHATSTREAM_*` variable counts as not set,
as is the custom, only where it decides nothing about where a question goes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from chatstream.addresses import same_server
from chatstream.cli import headers
from chatstream.errors import ConfigError, UsageError
from chatstream.nearest import did_you_mean
from chatstream.providers import PROVIDERS
from chatstream.redact import redact

Seconds = Annotated[float, msgspec.Meta(ge=0)]
"""A limit; 0 is no limit."""


Days = Annotated[float, msgspec.Meta(ge=0)]
"""How long something is kept; 0 is for ever."""

OnDrop = Literal["continue", "restart", "stop", "fallback"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, with its default. The names are those of the file."""

    provider: str | None = None
    model: str | None = None
    base_url: str | None = None
    api_key: str | None = None
    key_variable: str | None = None
    key_command: str | None = None
    system: str | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    retries: Annotated[int, msgspec.Meta(ge=0)] = 3
    connect_timeout: Seconds = 10.0
    first_token_timeout: Seconds | None = None  # 300 s, for local servers 900 s
    idle_timeout: Seconds = 120.0
    timeout: Seconds = 0.0
    proxy: str | None = None
    ca_file: str | None = None
    headers: dict[str, str] = {}
    reasoning: Literal["show", "hide"] | None = None
    stats: bool | None = None
    options: dict[str, Any] = {}
    on_drop: OnDrop = "continue"
    fallback: list[str] = []  # MODEL, MODEL@PROVIDER or @PROVIDER
    strategy: str | None = None
    strategies: dict[str, Annotated[list[str], msgspec.Meta(min_length=1)]] = {}
    journal: bool = True
    keep_complete: Days = 7.0
    keep_incomplete: Days = 30.0
    buffer: Literal["none", "fixed", "dynamic", "sliding"] = "none"
    buffer_bytes: Annotated[int, msgspec.Meta(ge=4096)] = 1024 * 1024
    coalesce: bool = False
    theme: Literal["auto", "dark", "light"] = "auto"
    code_theme: str | None = None
    accessible: bool = False
    notify: Literal["none", "bell", "osc9"] = "none"


FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}
SECRETS = frozenset({"api_key"})
ADDRESSES = frozenset({"base_url", "proxy"})
KEYS = frozenset({"api_key", "key_variable", "key_command"})
BOUND = KEYS | {"model", "base_url"}
"""The settings that mean something only together with their provider."""

_DECIDING = BOUND | {"provider", "strategy", "fallback", "proxy", "ca_file"}
"""The settings that say where a question goes, and over what."""

_MAY_BE_EMPTY = frozenset({"system", "options"})

_TABLES = frozenset({"headers", "options", "strategies"})
"""The settings that are tables, and have no form as one text."""

_TOP_LEVEL = frozenset({"profile", "profiles"})

Layer = tuple[str, dict[str, Any]]
"""Settings of one origin, and how to name it; `{}` in the name stands for the setting."""


class Resolved(msgspec.Struct, frozen=True):
    """The settings that hold, and for each that is no default where it comes from."""

    settings: Settings
    origins: dict[str, str]
    profile: str | None = None


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The configuration file: `CHATSTREAM_CONFIG`, else in the platform's configuration folder.

    Raises `ConfigError` where that variable is empty.
    """
    explicit = environ.get("CHATSTREAM_CONFIG")
    if explicit is not None:
        check_given("CHATSTREAM_CONFIG", explicit)
        return Path(explicit)
    if os.name == "nt":
        base = Path(environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    else:
        base = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "chatstream" / "config.toml"


def load_file(path: Path) -> dict[str, Any]:
    """The file's content; nothing where there is no file. Raises `ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    import tomllib  # only for those who have a file

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def resolve(
    flags: Mapping[str, Any],
    *,
    profile: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Resolved:
    """The settings that hold. Flags that are None were not given.

    Raises `ConfigError`, and `UsageError` for a flag that is empty.
    """
    learn_secrets(environ)
    check_given("--profile", profile)
    if profile is None:
        profile = environ.get("CHATSTREAM_PROFILE")
        check_given("CHATSTREAM_PROFILE", profile)
    layers: list[Layer] = [
        ("--{}", {name: value for name, value in flags.items() if value is not None}),
        ("CHATSTREAM_{}", _from_environment(environ)),
        *_from_file(config_path(environ), profile),
        ("{}", {"accessible": True} if _is_accessible(environ) else {}),
    ]
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        chosen = "model" in values  # by a stronger layer: no strategy stands in its place
        foreign = "provider" in values and layer.get("provider") not in {None, values["provider"]}
        elsewhere = "base_url" in values and not _same(layer.get("base_url"), values["base_url"])
        for name, value in layer.items():
            _learn(name, value)
            if name == "options" and isinstance(value, dict):
                values["options"] = {**value, **values.get("options", {})}
                origins.setdefault(name, _named(origin, name))
            elif name == "headers":
                if not (foreign or elsewhere):
                    its = _typed(name, value, _named(origin, name))
                    values[name] = headers.merged(its, values.get(name, {}))
                    origins.setdefault(name, _named(origin, name))
            elif name not in values and not (
                (foreign and name in BOUND)
                or (elsewhere and name in KEYS)
                or (chosen and name == "strategy")
            ):
                origins[name] = _named(origin, name)
                values[name] = _typed(name, value, origins[name])
    return Resolved(Settings(**values), origins, profile)


def _same(address: Any, holding: str) -> bool:
    return not isinstance(address, str) or same_server(address, holding)


def learn_secrets(environ: Mapping[str, str] = os.environ) -> None:
    """Let no secret of the environment be shown: keys of known providers, passwords of servers
    and proxies.
    """
    for row in PROVIDERS.values():
        redact.learn(environ.get(row.key_variable or ""))
        redact.learn_address(environ.get(row.url_variable or ""))
    for name in SECRETS:
        redact.learn(environ.get(f"CHATSTREAM_{name.upper()}"))
    for name, value in environ.items():
        if name.lower().endswith("_proxy"):
            redact.learn_address(value)


def _learn(name: str, value: Any) -> None:
    if name == "options":
        redact.learn_options(value)
    elif name == "headers":
        redact.learn_headers(value)
    elif name in SECRETS:
        redact.learn(str(value))
    elif name in ADDRESSES:
        redact.learn_address(str(value))


def check_given(origin: str, value: Any) -> None:
    """Raise for a text, or a list with a text, that is empty.

    `origin` names it. For one that begins with "--" it is a `UsageError`, else a `ConfigError`.
    """
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, dict):  # of lists
        texts = [text for part in texts.values() if isinstance(part, list) for text in part]
    if isinstance(texts, list) and any(isinstance(it, str) and not it.strip() for it in texts):
        kind = UsageError if origin.startswith("--") else ConfigError
        raise kind(f"{origin} is empty", hint="give it a value, or leave it out")


def without_configuration(
    flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> Settings:
    """What holds where the settings cannot be used, so that this can be told: defaults.

    Only who listens to a screen reader is heard even then.
    """
    said = flags.get("accessible")
    return Settings(accessible=_is_accessible(environ) if said is None else said)


def parse(name: str, text: str) -> Any:
    """The value of a setting that is written as text. Raises `ConfigError`."""
    return _typed(name, text, name)


def _named(origin: str, name: str) -> str:
    if origin.startswith("--"):
        name = "header" if name == "headers" else name  # the option is given once for each
        return origin.format(name.replace("_", "-"))
    return origin.format(name.upper())


def _typed(name: str, value: Any, origin: str) -> Any:
    field = FIELDS.get(name)
    if field is None:
        hint = did_you_mean(name, FIELDS, f"the settings are: {', '.join(FIELDS)}")
        raise ConfigError(f"{origin}: there is no setting {name!r}", hint=hint)
    if name == "headers":
        return headers.checked(value, origin)
    if name not in _MAY_BE_EMPTY:
        check_given(origin, value)
    if isinstance(value, str):  # an argument need not be UTF-8, what we send has to be
        value = value.encode("utf-8", "replace").decode()
    if isinstance(value, str) and get_origin(field.type) is list:
        value = [item.strip() for item in value.split(",") if item.strip()]
    try:
        return msgspec.convert(value, field.type, strict=False)
    except msgspec.ValidationError as error:
        shown = "***" if name in SECRETS else repr(value)
        allowed = choices(name)
        near = did_you_mean(str(value), allowed)
        hint = f"{near or ''} one of: {', '.join(allowed)}".strip() if allowed else None
        raise ConfigError(
            f"{origin}: {shown} does not fit {name}: {error}",
            hint=hint,
        ) from error


def choices(name: str) -> list[str]:
    """The values of a setting that has just these."""
    kind = FIELDS[name].type
    kinds = [it for it in (kind, *get_args(kind)) if get_origin(it) is Literal]
    return [value for it in kinds for value in get_args(it)]


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found = {name: environ.get(f"CHATSTREAM_{name.upper()}") for name in FIELDS}
    return {
        name: text
        for name, text in found.items()
        if (text or (text is not None and name in _DECIDING)) and name not in _TABLES
    }


def _is_accessible(environ: Mapping[str, str]) -> bool:
    """Whether every program is asked to suit a screen reader."""
    return environ.get("ACCESSIBLE", "") not in {"", "0"}


def _from_file(path: Path, profile: str | None) -> list[Layer]:
    content = load_file(path)
    profiles = content.get("profiles", {})
    profile = content.get("profile") if profile is None else profile
    layers: list[Layer] = []
    if profile is not None:
        if not isinstance(profiles, dict) or not isinstance(profiles.get(profile), dict):
            names = [str(it) for it in profiles] if isinstance(profiles, dict) else []
            hint = f"profiles there: {', '.join(names) or 'none'}"
            raise ConfigError(
                f"there is no profile {profile!r} in {path}",
                hint=did_you_mean(str(profile), names, hint),
            )
        layers.append((f"profile {profile} in {path}".replace("{", "{{"), profiles[profile]))
    top = {name: value for name, value in content.items() if name not in _TOP_LEVEL}
    return [*layers, (str(path).replace("{", "{{"), top)]
