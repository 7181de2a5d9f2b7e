"""Which value of a setting applies, and where it comes from.

From the strongest: flags, the role, `CHATSTREAM_*` variables, the chosen profile of the
configuration file, the file's top level, `ACCESSIBLE`, defaults. The providers' own variables
(`OPENAI_API_KEY`, `OLLAMA_HOST`…) are weaker than all of these. A layer that names a provider has
its own model, address and key: those of weaker layers that name another provider are not mixed in.
Nor is the key of a layer that names another server. A model's name may contain its place, see
`places`.

A text that is given but empty is an error in every layer. Most often it is an unset variable of a
script, and ignoring it would ask another server or another model. Only the system prompt may be
empty: then none is sent. An empty `CHATSTREAM_*` variable counts as not set, as is customary, but
only if it has no influence on where a question goes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from chatstream.addresses import same_server
from chatstream.engine import config_file, headers, labels
from chatstream.engine.config_file import ConfigFile
from chatstream.engine.kinds import (
    ADDRESSES,
    FOR_ONE_PROVIDER,
    KEYS,
    PREFIX,
    SECRETS,
    TABLES,
    keys_of,
    variable,
)
from chatstream.engine.layers import TOP_LEVEL, Layer, from_file, profiles_in, without
from chatstream.engine.places import PLACE, settings_of, split
from chatstream.engine.settings import FIELDS, Settings
from chatstream.engine.shapes import Misfit, fitted
from chatstream.errors import ConfigError, UsageError
from chatstream.nearest import did_you_mean, nearest
from chatstream.providers import PROVIDERS
from chatstream.redact import redact

if TYPE_CHECKING:
    from chatstream.engine.roles import Role

PROFILE_VARIABLE = variable("profile")

_ROUTING = FOR_ONE_PROVIDER | {"provider", "strategy", "fallback", "proxy", "ca_file"}
"""The settings that decide where a question goes, and over what."""

_MAY_BE_EMPTY = frozenset({"system", "options"})

_MERGED = frozenset({"aliases", "labels", "mcp", "prices"})
"""The tables whose entries come from all layers, beside `options`."""


def _checked_servers(value: Any, origin: str) -> Any:
    from chatstream.engine.mcp_servers import checked  # only where there are any

    return checked(value, origin)


def _checked_prices(value: Any, origin: str) -> Any:
    from chatstream.engine.prices import checked  # only where there are any

    return checked(value, origin)


def _checked_condition(value: Any, origin: str) -> Any:
    check_given(origin, value)
    from chatstream.stages.stopping import BadCondition, condition  # only where there is one

    if isinstance(value, str):
        try:
            condition(value)
        except BadCondition as error:
            raise _kind(origin)(f"{origin} {error}", hint=error.hint) from None
    return value


_CHECKS = {
    "headers": headers.checked,
    "labels": labels.checked,
    "mcp": _checked_servers,
    "prices": _checked_prices,
    "stop_when": _checked_condition,
}
"""What else a value has to be; of a table that is an option, each entry is one text."""


class Resolved(msgspec.Struct, frozen=True):
    """The settings that apply, and the origin of each that is not a default.

    `warnings` say what was found and ignored. `context` are the files that were added to the system
    prompt, None if none were looked for. `recorded` are the settings of tools that come from an
    earlier run of the conversation, and are not announced again.
    """

    settings: Settings
    origins: dict[str, str]
    profile: str | None = None
    warnings: tuple[str, ...] = ()
    role: Role | None = None
    context: tuple[Path, ...] | None = None
    recorded: frozenset[str] = frozenset()


def resolve(
    flags: Mapping[str, Any],
    *,
    profile: str | None = None,
    environ: Mapping[str, str] = os.environ,
    places: bool = True,
) -> Resolved:
    """The settings that apply. A flag that is None was not given.

    `options` and `headers` may be a dict, or a list of the arguments of `-o` and `--header`. `role`
    among the flags is a `Role`. `places`: a model's name may contain a place after its `@`. Raises
    `ConfigError`, and `UsageError` for a flag that is empty or does not fit.
    """
    learn_secrets(environ)
    check_given("--profile", profile)
    if profile is None:
        profile = environ.get(PROFILE_VARIABLE)
        check_given(PROFILE_VARIABLE, profile)
    given = {name: value for name, value in flags.items() if value is not None}
    role: Role | None = given.pop("role", None)
    if isinstance(given.get("options"), list):
        from chatstream.engine.option_pairs import from_pairs

        given["options"] = from_pairs(given["options"])
    usual = {"accessible": True} if _is_accessible(environ) else {}
    file = config_file.find(environ)
    layers: list[Layer] = [
        Layer(given, _flag, _flag),
        *([role.layer] if role is not None else ()),
        Layer(_from_environment(environ), variable, variable),
        *from_file(file, profile),
        Layer(usual, str.upper, str.upper),
    ]
    layers = _without_aliases(layers)
    if places:
        layers, profile = _with_place(layers, profile, file)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        its = layer.values
        chosen = "model" in values  # by a stronger layer: no strategy replaces it
        foreign = "provider" in values and its.get("provider") not in (None, values["provider"])
        elsewhere = "base_url" in values and not _same(its.get("base_url"), values["base_url"])
        for name, value in its.items():
            _learn(name, value)
            if name in _MERGED or (name == "options" and isinstance(value, dict)):
                values[name] = {**_typed(name, value, layer.subject), **values.get(name, {})}
                origins.setdefault(name, layer.origin(name))
            elif name == "headers":
                if not (foreign or elsewhere):
                    values[name] = headers.merged(
                        _typed(name, value, layer.subject), values.get(name, {})
                    )
                    origins.setdefault(name, layer.origin(name))
            elif name not in values and not (
                (foreign and name in FOR_ONE_PROVIDER)
                or (elsewhere and name in KEYS)
                or (chosen and name == "strategy")
            ):
                origins[name] = layer.origin(name)
                values[name] = _typed(name, value, layer.subject)
    return Resolved(Settings(**values), origins, profile, tuple(_unknown(environ)), role)


def meant(name: str, profile: str | None = None) -> str:
    """The name of the model that an alias stands for, or the name itself. Raises `ConfigError`."""
    return resolve({}, profile=profile, places=False).settings.aliases.get(name, name)


def _without_aliases(layers: list[Layer]) -> list[Layer]:
    """The layers, with aliases replaced by the models they stand for."""
    tables = [it for layer in layers if isinstance(it := layer.values.get("aliases"), dict)]
    aliases: dict[str, str] = {}  # an invalid name is reported like any other value of a setting
    for table in reversed(tables):
        aliases |= {name: it for name, it in table.items() if isinstance(it, str) and it.strip()}
    return [_meaning(layer, aliases) for layer in layers] if aliases else layers


def _meaning(layer: Layer, aliases: Mapping[str, str]) -> Layer:
    name = layer.values.get("model")
    if not isinstance(name, str) or name not in aliases:
        return layer
    return msgspec.structs.replace(layer, values={**layer.values, "model": aliases[name]})


def _with_place(
    layers: list[Layer], profile: str | None, file: ConfigFile | None
) -> tuple[list[Layer], str | None]:
    """The layers, with one for the place in the model's name, and the profile in use."""
    for at, layer in enumerate(layers):
        if layer.values.get("provider") is not None:
            break  # then the whole name is that of a model
        name = layer.values.get("model")
        if isinstance(name, str):
            model, place = split(name)
            if place is not None:
                used = place if place in profiles_in(file) else profile
                return [*layers[:at], *_placed(layers[at:], model, place, file)], used
            break
    return layers, profile


def _placed(
    layers: list[Layer], model: str, place: str, file: ConfigFile | None
) -> Iterator[Layer]:
    """The layers, the first of which names a model at a place.

    The other settings of that layer are stronger than the place, and models of weaker layers do not
    count. Keys and headers that are not arguments are not sent to a profile's server, because they
    may be meant for another one.
    """
    layer, profiles = layers[0], profiles_in(file)
    origin, subject = layer.origin("model"), layer.subject("model")
    found = settings_of(place, subject, profiles, partial(profile_in, file))
    address = layer.values.get("base_url")
    if address and found.get("base_url") not in (None, address):
        raise _kind(subject)(
            f"{subject} and {layer.subject('base_url')} both give an address",
            hint="leave one of them out",
        )
    found["model"] = model or found["model"]
    known = {name: value for name, value in found.items() if value is not None}
    others = {*PLACE, "headers"} if place in profiles else set()
    yield without(layer, {"model"} if subject.startswith("--") else {"model", *others})
    yield Layer(known, lambda _: origin, lambda *_: subject)
    for weaker in layers[1:]:
        yield without(weaker, {"model", "strategy", *others})


def profile_in(file: ConfigFile | None, profile: str) -> Settings:
    """The settings of a profile and of the file's top level. Raises `ConfigError`."""
    environ = {config_file.VARIABLE: str(file.path)} if file else {}
    return resolve({}, profile=profile, environ=environ, places=False).settings


def _same(address: Any, holding: str) -> bool:
    return not isinstance(address, str) or same_server(address, holding)


def learn_secrets(environ: Mapping[str, str] = os.environ) -> None:
    """Redact the secrets of the environment: keys, and passwords of servers and proxies."""
    for service in PROVIDERS.values():
        redact.learn(environ.get(service.key_variable or ""))
        redact.learn_address(environ.get(service.url_variable or ""))
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
    elif name in SECRETS and isinstance(value, str):
        redact.learn(value)
    elif name in ADDRESSES and isinstance(value, str):
        redact.learn_address(value)


def check_given(origin: str, value: Any) -> None:
    """Raise if a text, or a text in a list, is empty.

    `origin` is used in the message. If it begins with "--" this is a `UsageError`, otherwise a
    `ConfigError`.
    """
    if _is_empty(value):
        raise _kind(origin)(f"{origin} is empty", hint="give it a value, or leave it out")


def _kind(subject: str) -> type[ConfigError | UsageError]:
    """The class of an error: of the command line, or of the configuration."""
    return UsageError if subject.startswith("-") else ConfigError


def _is_empty(value: Any) -> bool:
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, dict):  # of lists
        texts = [text for part in texts.values() if isinstance(part, list) for text in part]
    if not isinstance(texts, list):
        return False
    return any(isinstance(it, str) and not it.strip() for it in texts)


def without_configuration(
    flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> Settings:
    """The settings with which to report that the configuration cannot be used: the defaults.

    Only `accessible` is respected even then, for the sake of a screen reader.
    """
    said = flags.get("accessible")
    return Settings(accessible=_is_accessible(environ) if said is None else said)


def parse(name: str, text: str) -> Any:
    """The value of a setting, or of an entry of a table, from its text. Raises `ConfigError`."""
    setting, *entry = keys_of(name)
    if not entry:
        return _typed(name, text, lambda *names: ".".join(names))
    value: Any = text
    if get_args(FIELDS[setting].type)[1] is Any:  # JSON, or else text
        with contextlib.suppress(ValueError, RecursionError):
            value = msgspec.json.decode(text)
    return _typed(setting, {entry[0]: value}, lambda *names: ".".join(names))[entry[0]]


def mistakes(file: ConfigFile) -> list[ConfigError]:
    """Everything that is wrong in a file, including the profiles that are not chosen."""
    profiles = file.content.get("profiles", {})
    found: dict[str, ConfigError] = {}
    for profile in (None, *(profiles if isinstance(profiles, dict) else ())):
        try:
            layers = from_file(file, profile)
        except ConfigError as error:
            found.setdefault(error.message, error)
            continue
        for layer in layers:
            for wrong in mistakes_in(layer):
                found.setdefault(wrong.message, wrong)
    return list(found.values())


def mistakes_in(layer: Layer) -> Iterator[ConfigError]:
    """Everything that is wrong with the settings of a layer."""
    for name, value in layer.values.items():
        try:
            _typed(name, value, layer.subject)
        except ConfigError as error:
            yield error


def _flag(name: str, *deeper: str) -> str:
    its = FIELDS[name].flags if name in FIELDS else ()
    shown = its[0].partition("/")[0] if its else f"--{name.replace('_', '-')}"
    return f"{shown} {'.'.join(deeper)}" if deeper else shown


def _typed(name: str, value: Any, subject: Callable[..., str]) -> Any:
    """The value, converted to the type of its setting. Raises `ConfigError`, `UsageError`."""
    field = FIELDS.get(name)
    if field is None:
        at = subject(name).removesuffix(name)
        raise ConfigError(f"{at}unknown setting {name!r}", hint=setting_hint(name))
    check = _CHECKS.get(name)
    if check is not None and name in TABLES and subject(name).startswith("--"):
        return check(value, subject(name))
    if name not in _MAY_BE_EMPTY and _is_empty(value):
        check_given(subject(name), value)
    try:
        fit = fitted(field.type, value)
    except Misfit as misfit:
        hint = did_you_mean(value, misfit.words) if isinstance(value, str) else None
        what = subject(name, *misfit.keys)
        raise _kind(what)(f"{what} {misfit}", hint=hint) from None
    return check(fit, subject(name)) if check is not None else fit


def setting_hint(name: str) -> str | None:
    """A hint for an unknown setting."""
    there = f"the settings are: {', '.join(FIELDS)}"
    return did_you_mean(name, [*FIELDS, *TOP_LEVEL], there)


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    """Warnings about variables that look like ours and are not."""
    ours = sorted(
        {it for it in environ if it.startswith(PREFIX)} - {config_file.VARIABLE, PROFILE_VARIABLE}
    )
    known = {variable(it): it for it in FIELDS} if ours else {}
    for name in ours:
        if name not in known:
            near = nearest(name.removeprefix(PREFIX), FIELDS)
            hint = f"; did you mean {variable(near[0])}?" if near else ""
            yield f"{name} is ignored: it is not a chatstream variable{hint}"
        elif known[name] in TABLES:
            yield f"{name} is ignored: a table can only be set in the configuration file"


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found = {name: environ.get(variable(name)) for name in FIELDS}
    return {
        name: text
        for name, text in found.items()
        if (text or (text is not None and name in _ROUTING)) and name not in TABLES
    }


def _is_accessible(environ: Mapping[str, str]) -> bool:
    """Whether all programs are asked to be usable with a screen reader."""
    return environ.get("ACCESSIBLE", "") not in {"", "0"}
