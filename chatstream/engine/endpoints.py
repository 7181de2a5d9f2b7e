"""From settings to a place to ask: the address and the key that belongs to it.

A key goes only to the server that it was given for. Whatever names a key and an address names a
pair: where a stronger origin gives another address, this key is not used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from chatstream.addresses import same_server, unquoted
from chatstream.engine.api_keys import ask_command, cleaned
from chatstream.engine.places import base_address
from chatstream.engine.settings import Settings
from chatstream.errors import ConfigError
from chatstream.providers import PROVIDERS, Endpoint, Service
from chatstream.redact import redact


def endpoint(
    name: str, service: Service, settings: Settings, environ: Mapping[str, str] = os.environ
) -> Endpoint:
    """Where to ask. Raises `ConfigError` for an address or a key that cannot be used."""
    url = address(service, settings, environ)
    key = api_key(service, settings, environ)
    return Endpoint(name, url, key, service.continues, service.prefix_path, settings.headers)


def address(service: Service, settings: Settings, environ: Mapping[str, str] = os.environ) -> str:
    """The address of the server: of the settings, the provider's variable, or the table.

    Raises `ConfigError` for an address that cannot be used.
    """
    given = settings.base_url or _variable(service.url_variable, environ)
    redact.learn_address(given)
    return base_address(given, service) if given else service.base_url


def api_key(
    service: Service, settings: Settings, environ: Mapping[str, str] = os.environ
) -> str | None:
    """The key: from the settings, a command, or a variable; None without one.

    Raises `ConfigError` for a key that cannot be had, and for what is no key.
    """
    if settings.api_key:
        if key := cleaned(settings.api_key, "api_key"):
            return key
        raise ConfigError("api_key is empty")
    if settings.key_command:
        return ask_command(settings.key_command)
    if variable := settings.key_variable:
        if key := cleaned(environ.get(variable, ""), variable):
            return key
        raise ConfigError(
            f"the environment variable {variable}, which should hold the API key, is not set"
        )
    return _usual_key(service, settings, environ)


def has_key(service: Service, settings: Settings, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a key would be sent; no command is run to find out."""
    own = settings.api_key or settings.key_command or settings.key_variable
    return bool(own or _usual_key(service, settings, environ))


def named_by_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The providers that the environment has a key or a server for, in the order of the table.

    Each with the variable that says so.
    """
    found = {}
    for name, service in PROVIDERS.items():
        for variable in (service.key_variable, service.url_variable):
            if name not in found and variable and _variable(variable, environ):
                found[name] = variable
    return found


def _usual_key(service: Service, settings: Settings, environ: Mapping[str, str]) -> str | None:
    """That of the provider's own variable, unless its other variable names another server."""
    theirs = _variable(service.url_variable, environ)
    if theirs and settings.base_url and not _one_server(theirs, settings.base_url, service):
        return None
    return cleaned(_variable(service.key_variable, environ), service.key_variable or "")


def _variable(name: str | None, environ: Mapping[str, str]) -> str:
    """What a variable of a provider says; one that is blank counts as not set."""
    return unquoted(environ.get(name, "")) if name else ""


def _one_server(theirs: str, own: str, service: Service) -> bool:
    try:
        return same_server(base_address(theirs, service), base_address(own, service))
    except ConfigError:  # an address that is not used need not be a good one
        return False
