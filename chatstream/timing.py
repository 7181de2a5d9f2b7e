"""When what happened on the wire: the values that the transport notes and `bench` reads.

All times are seconds on the monotonic clock (`clock.monotonic`); only differences mean something.
"""

from __future__ import annotations

import msgspec

from chatstream.clock import Clock, monotonic


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """One read from the socket.

    `at` is when the bytes were there: the kernel's receive time of the last of them where there is
    one (`kernel`), else the same as `read`, when this process had them. At `since` the socket was
    still empty: no byte of this read came before.
    """

    at: float
    read: float
    since: float
    size: int
    kernel: bool


class Trace(msgspec.Struct):
    """One exchange. What never happened is None.

    `dns`, `tcp` and `tls` are the seconds of the phases of a new connection; a `reused` one has
    none. `sent` is the moment before the first byte of the request went to the kernel, on a
    connected socket: every latency counts from there. `head` is when the response head was
    there, `receipts` are the reads that brought the body. `rtt` is the kernel's estimate of the
    round trip, in seconds, taken at the end.
    """

    reused: bool = False
    dns: float | None = None
    tcp: float | None = None
    tls: float | None = None
    sent: float | None = None
    status: int | None = None
    headers: dict[str, str] = {}
    head: float | None = None
    receipts: list[Receipt] = []
    rtt: float | None = None

    @property
    def connect(self) -> float | None:
        """Seconds that the new connection took, all phases; None when it was reused."""
        phases = [it for it in (self.dns, self.tcp, self.tls) if it is not None]
        return sum(phases) if phases else None


class Stopwatch:
    """A clock that can be held at a moment: the receive time of what is being looked at."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self.held: float | None = None

    def __call__(self) -> float:
        """The held moment, else now."""
        return self._clock() if self.held is None else self.held
