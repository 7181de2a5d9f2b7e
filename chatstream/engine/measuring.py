"""The sources of a benchmark: real providers over the transport that knows when bytes came.

    within( watchdog( answer( thinking( raw( degrade( provider.open ))))))

The same decoders, limits and settings as in `ask`; nothing is retried, kept or shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, Self

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.engine.pipeline import first_token
from chatstream.engine.services import make_provider, transport_options
from chatstream.engine.settings import Settings
from chatstream.flow import Arrival, Stage, pipe
from chatstream.messages import ChatRequest
from chatstream.providers import find
from chatstream.recovery.degrade import degrade
from chatstream.recovery.watchdog import Limits, watchdog, within
from chatstream.stages.thinking import thinking
from chatstream.timing import Trace
from chatstream.transport.meter import Meter, Metered


class Arm(Protocol):
    """Whom a source asks: the name under which its settings are kept, and the provider."""

    @property
    def name(self) -> str:
        """The name of the settings."""

    @property
    def provider(self) -> str:
        """The name of the provider."""


class Measuring:
    """The `Wires` of a benchmark. `settings` are those of each arm, by its name.

    `kernel` asks for the kernel's receive times. A context manager: at its end every source is
    closed.
    """

    def __init__(self, settings: Mapping[str, Settings], *, kernel: bool = True) -> None:
        self._settings = settings
        self._meter = Meter(kernel=kernel)
        self._sources: list[Asking] = []
        self._refused: dict[str, frozenset[str]] = {}

    def source(self, arm: Arm) -> Asking:
        """A new source, with a connection of its own. Raises `ConfigError`, `AuthError`."""
        source = Asking(arm, self._settings[arm.name], self._meter, self._refused)
        self._sources.append(source)
        return source

    def wait(self) -> None:
        """Take what arrives, for all sources. About 1 ms at most."""
        self._meter.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for source in self._sources:
            source.close()
        self._meter.close()


class Asking:
    """A `Source`: one provider, with one connection.

    `refused` keeps the parameters that an arm's server does not take, so that it is asked in vain
    once, by the cold run.
    """

    def __init__(
        self,
        arm: Arm,
        settings: Settings,
        meter: Meter,
        refused: dict[str, frozenset[str]],
    ) -> None:
        self._arm = arm
        self._settings = settings
        self._refused = refused
        self._transport = Metered(meter, **transport_options(find(arm.provider), settings))
        self._provider = make_provider(
            arm.provider, settings, self._transport, self._transport.clock
        )

    @property
    def trace(self) -> Trace:
        """That of the latest exchange."""
        return self._transport.trace

    @property
    def news(self) -> bool:
        """Whether something has come that was not handed out."""
        return self._transport.news

    def open(
        self, request: ChatRequest, token: CancelToken, raw: Stage, answer: Stage
    ) -> Iterator[Arrival]:
        """Ask; see `Source.open`."""
        settings, service = self._settings, find(self._arm.provider)
        without = self._refused.get(self._arm.name, frozenset())
        request = replace(
            request, without=without, stream=request.stream and "stream" not in without
        )
        limits = Limits(
            connect=settings.connect_timeout or None,
            first_token=first_token(settings, service),
            between_tokens=settings.idle_timeout or None,
        )

        def once(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
            self._refused[self._arm.name] = request.without
            yield from self._provider.open(request, token)

        def told(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
            yield from pipe(degrade(once)(request, token), raw, thinking, answer)

        yield from within(watchdog(told, limits), settings.timeout or None)(request, token)

    def close(self) -> None:
        """Close its connection."""
        self._provider.close()
