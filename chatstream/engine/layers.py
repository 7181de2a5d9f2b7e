"""The layers that settings come from: what each one sets, and how messages refer to it.

This module also reads the layers of the configuration file: the chosen profile and the top level.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chatstream.engine.config_file import ConfigFile
from chatstream.errors import ConfigError
from chatstream.nearest import did_you_mean

TOP_LEVEL = ("profile", "profiles")
"""The keys at the top level of the file that are not settings."""


class Layer(msgspec.Struct, frozen=True):
    """The settings of one origin.

    `origin` returns the name of the origin for a setting. `subject` returns the name of the setting
    in that origin, with which an error message can begin.
    """

    values: dict[str, Any]
    origin: Callable[[str], str]
    subject: Callable[..., str]


def without(layer: Layer, names: set[str]) -> Layer:
    """The layer without these settings."""
    kept = {name: value for name, value in layer.values.items() if name not in names}
    return msgspec.structs.replace(layer, values=kept)


def from_file(file: ConfigFile | None, profile: str | None) -> list[Layer]:
    """The layers of a file: the chosen profile and the top level. Raises `ConfigError`."""
    if file is None:
        if profile is not None:
            raise ConfigError(
                f"unknown profile {profile!r}: there is no configuration file",
                hint="`chatstream config edit` creates one",
            )
        return []
    path = str(file.path)
    layers: list[Layer] = []
    if profile is None:
        profile = default_profile(file)
    if profile is not None:
        layers.append(
            Layer(
                _profile(file, profile),
                lambda _: f"profile {profile} in {path}",
                lambda *names: (
                    f"profile {profile} in "
                    f"{file.place('profiles', profile, *names)}: {'.'.join(names)}"
                ),
            )
        )
    top = {name: value for name, value in file.content.items() if name not in TOP_LEVEL}
    layers.append(
        Layer(top, lambda _: path, lambda *names: f"{file.place(*names)}: {'.'.join(names)}")
    )
    return layers


def default_profile(file: ConfigFile) -> str | None:
    """The profile that a file selects, if any. Raises `ConfigError`."""
    profile = file.content.get("profile")
    if profile is None or (isinstance(profile, str) and profile.strip()):
        return profile
    place = file.place("profile")
    if isinstance(profile, str):
        raise ConfigError(f"{place}: profile is empty", hint="give it a value, or leave it out")
    raise ConfigError(
        f"{place}: profile takes the name of a profile in quotes",
        hint="put the settings of a profile under [profiles.NAME]",
    )


def _profile(file: ConfigFile, profile: str) -> dict[str, Any]:
    profiles = _table(file, file.content.get("profiles", {}), "profiles")
    if profile not in profiles:
        hint = did_you_mean(profile, profiles, f"known profiles: {', '.join(profiles) or 'none'}")
        if file.content.get("profile") == profile:
            hint = f"{hint}; `chatstream config unset profile` stops using it".replace("?;", "?")
        raise ConfigError(f"unknown profile {profile!r} in {file.path}", hint=hint)
    return _table(file, profiles[profile], "profiles", profile)


def _table(file: ConfigFile, value: Any, *keys: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(
            f"{file.place(*keys)}: {'.'.join(keys)} takes a table",
            hint="put the settings of a profile under [profiles.NAME]",
        )
    return value


def profiles_in(file: ConfigFile | None) -> dict[str, Any]:
    """The profiles of a file, unchecked."""
    profiles = file.content.get("profiles") if file else None
    return profiles if isinstance(profiles, dict) else {}
