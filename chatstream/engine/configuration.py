"""Settings by their names, as `config` lists, shows and changes them. Secrets are masked.

A name is that of a setting, TABLE.KEY for one entry of a table, or `profile`, which is the profile
that is used where none is named. Each function raises a `ChatstreamError`, and none prints.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from chatstream.cancel import CancelToken
from chatstream.engine import mcp_servers
from chatstream.engine.config_file import config_path, find, read, remove_key, set_key
from chatstream.engine.kinds import ADDRESSES, SECRETS, TABLES, keys_of
from chatstream.engine.layers import default_profile, profiles_in
from chatstream.engine.resolve import check_given, parse, resolve, setting_hint
from chatstream.engine.settings import FIELDS
from chatstream.engine.whom import whom
from chatstream.errors import ChatstreamError, ConfigError, UsageError
from chatstream.providers import PROVIDERS
from chatstream.redact import MASK, is_secret_name, mask_address, mask_headers, masked, redact

USUAL_PROFILE = "profile"
"""The name of the profile that is used where none is named."""


def listing(profile: str | None, token: CancelToken) -> Iterator[str]:
    """A line for each setting, with its value and origin; then who would be asked, and why."""
    resolved = resolve({}, profile=profile)
    for name in FIELDS:
        value = getattr(resolved.settings, name)
        shown = MASK if name in SECRETS and value else masked(value)
        if name == "headers":
            shown = mask_headers(value)
        if name == "mcp":
            shown = mcp_servers.shown(value)
        if name in ADDRESSES and value:
            shown = mask_address(value)
        text = "-" if shown in (None, {}) else str(shown)
        yield f"{name:24} {text:24} {resolved.origins.get(name, 'default')}"
    for service in PROVIDERS.values():
        for variable in (service.key_variable, service.url_variable):
            if variable and (value := os.environ.get(variable)):
                shown = MASK if variable == service.key_variable else mask_address(value)
                yield f"{variable:24} {shown:24} environment"
    try:
        for name, value, why in whom(resolved, token):
            yield f"{name:24} {value} ({redact(why)})"
    except ChatstreamError as error:
        yield f"{'asked now':24} - ({redact(error.message)})"


def look_up(name: str, profile: str | None) -> tuple[str | None, tuple[str, ...]]:
    """The value of one setting as `set_value` takes it, None without one; and warnings."""
    _check_name(name)
    resolved = resolve({}, profile=profile)
    setting, *entry = keys_of(name)
    if name == USUAL_PROFILE:
        file = find()
        value: Any = resolved.profile or (default_profile(file) if file else None)
    else:
        value = getattr(resolved.settings, setting)
        value = value.get(entry[0]) if entry else value
    return None if value is None else as_text(name, value), resolved.warnings


def set_value(name: str, text: str, profile: str | None) -> list[str]:
    """Give a setting a value, in a profile or at the top level; "" removes it. Returns warnings."""
    check_given("--profile", profile)
    if name in TABLES and text:
        raise UsageError(
            f"{name} is a table and cannot be set as a whole",
            hint=f"set one entry with {name}.KEY, or use `chatstream config edit`",
        )
    _check_name(name, profile)
    value = parse(name, text) if text and name != USUAL_PROFILE else text
    path = config_path()
    if not text:
        remove_key(path, _keys(name, profile))
        return []
    set_key(path, _keys(name, profile), value)
    return _missing_profile(path, text) if name == USUAL_PROFILE else []


def unset(name: str, profile: str | None) -> bool:
    """Remove a setting, also one that chatstream does not know; returns whether it was there."""
    check_given("--profile", profile)
    if remove_key(config_path(), _keys(name, profile)):
        return True
    _check_name(name, profile)
    return False


def _check_name(name: str, profile: str | None = None) -> None:
    """Raise `ConfigError` for an unknown setting, `UsageError` for a profile in a profile."""
    if name == USUAL_PROFILE:
        if profile is not None:
            raise UsageError("a profile cannot name another profile", hint="leave out --profile")
    elif keys_of(name)[0] not in FIELDS:
        raise ConfigError(f"unknown setting {name!r}", hint=setting_hint(name))


def _keys(name: str, profile: str | None) -> tuple[str, ...]:
    """The keys of a setting in the file."""
    return keys_of(name) if profile is None else ("profiles", profile, *keys_of(name))


def as_text(name: str, value: Any) -> str:
    """The value of a setting, or of an entry of a table, as `set_value` takes it."""
    setting, *entry = keys_of(name)
    if setting in SECRETS or (entry and is_secret_name(entry[0])):
        return MASK
    if setting == "mcp":
        value = mcp_servers.shown({entry[0]: value} if entry else value)
        value = value[entry[0]] if entry else value
    if setting == "headers" and not entry:
        value = mask_headers(value)
    value = mask_address(value) if setting in ADDRESSES else masked(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list) and setting != "options":
        return ",".join(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode(value).decode()


def _missing_profile(path: Path, profile: str) -> list[str]:
    if profile in profiles_in(read(path)):
        return []
    return [
        f"profile {profile!r} does not exist in {path} yet; "
        f"`chatstream config set --profile {profile} model NAME` creates it"
    ]
