"""The providers of a client, kept with their connections from one run to the next.

1. A run has its provider to itself: it takes it out, and gives it back at its end. A provider whose
   run failed is closed instead, for its connection may be the cause.
2. Providers are told apart by the settings that decide about a connection. A key command runs once.
3. What is given back to a closed pool is closed at once.
4. What a server does not take is learned once for each model, and holds for all runs.
5. The gatekeeper, if there is one, holds the requests of all runs that share the pool.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from chatstream.engine.settings import Settings

if TYPE_CHECKING:
    from chatstream.engine.gatekeeping import Gatekeeper
    from chatstream.flow import Open
    from chatstream.providers.base import Provider

_CONNECTION = (
    *("provider", "base_url", "api_key", "key_variable", "key_command"),
    *("proxy", "ca_file", "headers", "connect_timeout"),
)


class Pool:
    """Idle providers. Safe to use from several threads."""

    def __init__(self, gatekeeper: Gatekeeper | None = None) -> None:
        self._gatekeeper = gatekeeper
        self._idle: dict[bytes, list[Provider]] = {}
        self._refused: dict[tuple[bytes, str], set[str]] = {}
        self._closed = False
        self._lock = threading.Lock()

    def has(self, settings: Settings) -> bool:
        """Whether there is an idle provider for these settings."""
        return bool(self._idle.get(_key(settings)))

    def take(self, settings: Settings) -> Provider | None:
        """An idle provider for these settings, if there is one."""
        with self._lock:
            idle = self._idle.get(_key(settings))
            return idle.pop() if idle else None

    def give(self, settings: Settings, provider: Provider) -> None:
        """Keep a provider for the next run with these settings."""
        with self._lock:
            if not self._closed:
                self._idle.setdefault(_key(settings), []).append(provider)
                return
        provider.close()

    def refused(self, settings: Settings, model: str) -> set[str]:
        """The parameters that this server has refused for this model, for `degrade` to add to."""
        with self._lock:
            return self._refused.setdefault((_key(settings), model), set())

    def guarded(self, provider: Provider, source: Open) -> Open:
        """`source`, held by the gatekeeper if there is one."""
        return self._gatekeeper.around(provider, source) if self._gatekeeper else source

    def close(self) -> None:
        """Close all idle providers, and each that is given back from now on. Idempotent."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, {}
        for providers in idle.values():
            for provider in providers:
                provider.close()


def _key(settings: Settings) -> bytes:
    return msgspec.json.encode([getattr(settings, name) for name in _CONNECTION])
