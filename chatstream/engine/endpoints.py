"""From settings to an endpoint: the address of the server, and the key that belongs to it.

The key is that of the settings (`api_key`, `key_command`, `key_variable`), else the stored one
(`stored_keys`), else that of the provider's own variable.

A key is sent only to the server that it was given for. An origin that sets both a key and an
address sets a pair: if a stronger origin sets another address, the key is not used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from chatstream.addresses import same_server, unquoted
from chatstream.engine import stored_keys
from chatstream.engine.api_keys import clean_key, run_key_command
from chatstream.engine.places import base_address
from chatstream.engine.settings import Settings
from chatstream.errors import ConfigError
from chatstream.providers import PROVIDERS, Endpoint, Service
from chatstream.redact import redact


def endpoint(
    name: str, service: Service, settings: Settings, environ: Mapping[str, str] = os.environ
) -> Endpoint:
    """The endpoint of a service. Raises `ConfigError` for an invalid address or key."""
    url = address(service, settings, environ)
    key = api_key(service, settings, environ, name=name)
    return Endpoint(name, url, key, service.continues, service.prefix_path, settings.headers)


def address(service: Service, settings: Settings, environ: Mapping[str, str] = os.environ) -> str:
    """The address of the server: from the settings, the provider's variable, or the table.

    Raises `ConfigError` for an address that cannot be used.
    """
    given = settings.base_url or _variable(service.url_variable, environ)
    redact.learn_address(given)
    return base_address(given, service) if given else service.base_url


def api_key(
    service: Service,
    settings: Settings,
    environ: Mapping[str, str] = os.environ,
    *,
    name: str | None = None,
) -> str | None:
    """The key: from the settings, a command or a variable that they name, the stored key of the
    provider called `name`, or the provider's own variable; or None.

    Raises `ConfigError` if the key cannot be obtained or is not valid.
    """
    if settings.api_key:
        if key := clean_key(settings.api_key, "api_key"):
            return key
        raise ConfigError("api_key is empty")
    if settings.key_command:
        return run_key_command(settings.key_command)
    if variable := settings.key_variable:
        if key := clean_key(environ.get(variable, ""), variable):
            return key
        raise ConfigError(
            f"the environment variable {variable}, which should hold the API key, is not set"
        )
    if name is not None and has_stored_key(service, settings, environ, name=name):
        return stored_keys.key_of(name, environ)
    return _key_in_environment(service, settings, environ)


def has_key(
    service: Service,
    settings: Settings,
    environ: Mapping[str, str] = os.environ,
    *,
    name: str | None = None,
) -> bool:
    """Whether a key would be sent. Runs no key command and asks no keyring."""
    own = settings.api_key or settings.key_command or settings.key_variable
    stored = has_stored_key(service, settings, environ, name=name)
    return bool(own or stored or _key_in_environment(service, settings, environ))


def has_stored_key(
    service: Service,
    settings: Settings,
    environ: Mapping[str, str] = os.environ,
    *,
    name: str | None,
) -> bool:
    """Whether the key of `chatstream keys` for the provider called `name` may be sent."""
    if name is None or name not in stored_keys.names(environ):
        return False
    return stored_keys.is_for(service, address(service, settings, environ))


def providers_in_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The providers that the environment has a key or an address for, each with that variable.

    They are in the order of the table.
    """
    found = {}
    for name, service in PROVIDERS.items():
        for variable in (service.key_variable, service.url_variable):
            if name not in found and variable and _variable(variable, environ):
                found[name] = variable
    return found


def _key_in_environment(
    service: Service, settings: Settings, environ: Mapping[str, str]
) -> str | None:
    """The key in the provider's own variable, unless its other variable names another server."""
    theirs = _variable(service.url_variable, environ)
    if theirs and settings.base_url and not _is_one_server(theirs, settings.base_url, service):
        return None
    return clean_key(_variable(service.key_variable, environ), service.key_variable or "")


def _variable(name: str | None, environ: Mapping[str, str]) -> str:
    """The value of a provider's variable; a blank one counts as not set."""
    return unquoted(environ.get(name, "")) if name else ""


def _is_one_server(theirs: str, own: str, service: Service) -> bool:
    try:
        return same_server(base_address(theirs, service), base_address(own, service))
    except ConfigError:  # an address that is not used may be invalid
        return False
