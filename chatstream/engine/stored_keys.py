"""The API keys that `chatstream keys` has stored, one for each provider.

1. They are in the system's keyring, if the package `keyring` is installed and its keyring returns
   what was stored. Otherwise they are in `keys.json` in the folder of the configuration, which only
   its owner may read.
2. `keys.json` has the providers' names in either case: a keyring does not list its keys, and the
   package takes long to import. If a name has no key there, its key is in the keyring.
3. A stored key is sent to the provider's own server and to no other. If the provider's servers are
   the user's own (`local`), the key is sent to the address that the settings name.
4. `redact` knows every key that was read or stored here.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from chatstream.addresses import same_server
from chatstream.clock import Deadline
from chatstream.engine.api_keys import clean_key
from chatstream.engine.config_file import LOCK_SECONDS
from chatstream.errors import ConfigError, UsageError
from chatstream.files import PRIVATE_FILE, alone, make_private, read_whole, replace
from chatstream.nearest import did_you_mean
from chatstream.providers import Service, find
from chatstream.redact import redact
from chatstream.store.place import NoHome, config_folder
from chatstream.wording import excerpt

KEYRING = "the system's keyring"

_FILE = "keys.json"
_SERVICE = "chatstream"
_MOST_BYTES = 1024 * 1024


def names(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The providers that have a stored key. Raises `ConfigError`."""
    return sorted(_read(environ))


def place_of(name: str) -> str:
    """Where a stored key is, in words. Raises `ConfigError`."""
    return KEYRING if _read().get(name, "") is None else str(_path())


def key_of(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The key that is stored for a provider, if any. Raises `ConfigError`."""
    stored = _read(environ)
    if name not in stored:
        return None
    text = stored[name]
    origin = f"the stored key of {name}"
    key = clean_key(_from_keyring(name) if text is None else text, origin)
    if key is None:
        raise ConfigError(f"{origin} is empty", hint=_again(name))
    return key


def is_for(service: Service, address: str) -> bool:
    """Whether a stored key of this service may be sent to this address."""
    return service.local or same_server(address, service.base_url)


def check_name(name: str) -> None:
    """Raise `UsageError` for a provider that is unknown, or takes no key."""
    if not find(name).key_variable:
        raise UsageError(f"{name} takes no key")


def store(name: str, text: str) -> str:
    """Store a key, replacing an earlier one; returns where, in words.

    Raises `UsageError`, and `ConfigError` for a key that no server accepts.
    """
    check_name(name)
    key = clean_key(text, "the key")
    if key is None:
        raise UsageError("no key was given")
    redact.learn(key)
    in_keyring = _put_into_keyring(name, key)
    _change(name, None if in_keyring else key)
    return KEYRING if in_keyring else str(_path())


def remove(name: str) -> None:
    """Remove a stored key. Raises `UsageError` without one, `ConfigError`."""
    stored = _read()
    if name not in stored:
        hint = did_you_mean(name, stored, "`chatstream keys list` lists the stored keys")
        raise UsageError(f"no key is stored for {name!r}", hint=hint)
    if stored[name] is None:
        keyring = _keyring()
        if keyring is not None:
            try:
                keyring.delete_password(_SERVICE, name)
            except keyring.errors.PasswordDeleteError:  # it was already removed there
                pass
            except Exception as error:
                raise _refused(error) from error
    _change(name)


def _path(environ: Mapping[str, str] = os.environ) -> Path:
    return config_folder(environ) / _FILE


def _read(environ: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    try:
        path = _path(environ)
        data = read_whole(path, _MOST_BYTES)
    except (NoHome, FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError as error:
        if not os.access(path.parent, os.X_OK):
            return {}  # the home folder is somebody else's, as in many containers
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    try:
        stored = msgspec.json.decode(data, type=dict[str, str | None])
    except ValueError as error:  # its words could hold a key
        hint = "correct it, or remove it and store the keys again with `chatstream keys set`"
        raise ConfigError(f"{path} is damaged", hint=hint) from error
    return stored


def _change(name: str, *key: str | None) -> None:
    """Enter a key in the file, None for one in the keyring; without `key` remove the provider.

    Raises `ConfigError`.
    """
    path = _path()
    try:
        make_private(path.parent)
        with alone(path.parent, Deadline(LOCK_SECONDS)):
            stored = _read()
            stored.pop(name, None)
            if key:
                [stored[name]] = key
            with contextlib.suppress(FileNotFoundError):
                path.chmod(PRIVATE_FILE)  # the new file keeps the mode of the old one
            replace(path, msgspec.json.encode(stored), mode=PRIVATE_FILE)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


def _keyring() -> Any:
    """The package `keyring`, or None if it is not installed."""
    try:
        importlib.import_module("keyring.errors")
        return importlib.import_module("keyring")
    except ImportError:
        return None


def _put_into_keyring(name: str, key: str) -> bool:
    """Store the key in the system's keyring; returns whether there is one. Raises `ConfigError`."""
    keyring = _keyring()
    if keyring is None:
        return False
    try:
        keyring.set_password(_SERVICE, name, key)
        return bool(keyring.get_password(_SERVICE, name) == key)  # its null backend keeps nothing
    except keyring.errors.NoKeyringError:
        return False
    except Exception as error:  # backends raise errors that the package does not wrap
        raise _refused(error) from error


def _from_keyring(name: str) -> str:
    keyring = _keyring()
    if keyring is None:
        raise ConfigError(
            f"the key of {name} is in {KEYRING}, but the package keyring is not installed",
            hint=f"install it, or store the key again with `chatstream keys set {name}`",
        )
    try:
        found = keyring.get_password(_SERVICE, name)
    except Exception as error:
        raise _refused(error) from error
    if found is None:
        raise ConfigError(f"the key of {name} is no longer in {KEYRING}", hint=_again(name))
    return str(found)


def _again(name: str) -> str:
    return f"store it again with `chatstream keys set {name}`"


def _refused(error: Exception) -> ConfigError:
    said = excerpt(str(error)) or type(error).__name__
    return ConfigError(f"{KEYRING} cannot be used: {said}", hint="unlock it and try again")
