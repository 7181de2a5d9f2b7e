"""A TCP proxy on loopback that breaks connections on purpose.

    with FaultProxy(("127.0.0.1", 8080), "cut:after=900,clean") as proxy:
        ... proxy.port, proxy.log ...
    python -m tests.support.faultproxy --upstream 127.0.0.1:8080 --mode cut:after=900,clean

A plan has one fault per connection, in order, the last one for all further ones (or, cycling,
from the first one again): "cut,clean" proves a retry. A fault's options (mode:name=value:...)
default to the flags of the same name. Faults act on what the server sends to the client:

    clean       pass everything on
    cut         after AFTER bytes: orderly close (FIN); AFTER 0 is an empty answer
    rst         after AFTER bytes: reset (RST)
    half-close  after AFTER bytes: send FIN but keep reading from the client, at most HOLD seconds
    stall       after AFTER bytes: send no more but stay connected, at most HOLD seconds
    pause       after AFTER bytes: send nothing for HOLD seconds, then go on to the end
    corrupt     replace the byte at offset AFTER by BYTE (0xff is never valid UTF-8)
    drip        from offset AFTER on: SIZE bytes every DELAY ms (default 1 byte, 1 ms)
    chop        from offset AFTER on: random pieces of 1..SIZE bytes every DELAY ms, out of SEED
    buffer      hold back until the server is silent for DELAY ms (or ends), then send one burst
    status      do not ask the server: answer HTTP CODE with an HTML page, as a gateway does

BODY=1 counts AFTER from the end of the response head. A fault counts over its whole connection,
also when that carries several requests. Printed are "listening on HOST:PORT" and, as in `log`,
a JSON line per ended connection: what was asked, how many bytes went each way, who ended it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from tests.support.listener import Address, Listener, require_loopback

MODES = ["clean", "cut", "rst", "half-close", "stall", "pause"]
MODES += ["corrupt", "drip", "chop", "buffer", "status"]


@dataclass(frozen=True)
class Fault:
    """What happens to one connection."""

    mode: str = "clean"
    after: int = 0  # bytes from the server before the fault
    body: int = 0  # 1: count them from the end of the response head
    hold: float = 3600.0  # stall, half-close, pause: seconds
    size: int = 1  # drip, chop: bytes a piece
    delay: float = 1.0  # drip, chop, buffer: milliseconds
    byte: int = 0xFF  # corrupt: the byte put in
    seed: int = 0  # chop: of the random sizes
    code: int = 502  # status: the HTTP status


@dataclass
class Record:
    """What became of one connection."""

    conn: int  # its number, from 1
    mode: str
    request: str = ""  # the request line
    up: int = 0  # bytes from the client
    down: int = 0  # bytes to the client
    ended_by: Literal["client", "server", "fault"] = "fault"
    seconds: float = 0.0
    error: str = ""  # why the server could not be reached


def _number(text: str) -> int:
    return int(text, 0)


OPTIONS: dict[str, Callable[[str], float]] = {
    option.name: float if option.type == "float" else _number
    for option in dataclasses.fields(Fault)
    if option.name != "mode"
}
CLEAN = Fault()


def parse_plan(text: str, defaults: Fault = CLEAN) -> list[Fault]:
    """'cut:after=900,clean': a Fault for each connection. Raises ValueError."""
    return [_parse_fault(item.strip(), defaults) for item in text.split(",")]


def _parse_fault(item: str, defaults: Fault) -> Fault:
    mode, *options = item.split(":")
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}; one of: {', '.join(MODES)}")
    try:
        pairs = (option.partition("=") for option in options)
        values = {name: OPTIONS[name](value) for name, _, value in pairs}
    except (KeyError, ValueError) as error:
        raise ValueError(f"bad option in {item!r}: {error}") from None
    return dataclasses.replace(defaults, mode=mode, **values)  # type: ignore[arg-type]


class Connection:
    """One client connection and, unless the fault answers by itself, one to the server."""

    def __init__(
        self, record: Record, fault: Fault, client: socket.socket, server: socket.socket | None
    ) -> None:
        self._record, self._fault, self._client, self._server = record, fault, client, server
        self._client_gone = threading.Event()

    def run(self) -> None:
        """Relay until the fault, the client or the server ends it; fills in the record."""
        uplink = threading.Thread(target=self._relay_up, daemon=True)
        uplink.start()
        try:
            if self._server is None:
                self._answer_status()
            elif self._fault.mode == "buffer":
                self._relay_bursts(self._server)
            else:
                self._relay_down(self._server)
        except OSError:  # the client went away while we wrote to it
            self._client_gone.set()
        if self._client_gone.is_set():
            self._record.ended_by = "client"
        for end in filter(None, (self._client, self._server)):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RD)  # wakes the uplink; sends nothing yet
        uplink.join()
        if self._fault.mode == "rst" and self._record.ended_by == "fault":
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _relay_up(self) -> None:
        """Client to server, untouched. The client's end of file ends the connection."""
        with suppress(OSError):
            while data := self._client.recv(65536):
                if not self._record.request:
                    self._record.request = data.partition(b"\r\n")[0].decode("latin-1")
                self._record.up += len(data)
                if self._server:
                    self._server.sendall(data)
        self._client_gone.set()
        if self._server:
            with suppress(OSError):
                self._server.shutdown(socket.SHUT_RDWR)

    def _send(self, data: bytes) -> None:
        self._client.sendall(data)
        self._record.down += len(data)

    def _answer_status(self) -> None:
        while not self._record.up and not self._client_gone.wait(0.005):
            pass
        self._client_gone.wait(0.05)  # let the rest of the request arrive
        page = f"<html><h1>{self._fault.code}</h1></html>\n"
        head = f"HTTP/1.1 {self._fault.code} Fault\r\nContent-Type: text/html\r\n"
        head += f"Content-Length: {len(page)}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
        self._send((head + page).encode())

    def _relay_down(self, server: socket.socket) -> None:
        """Server to client: pass on what lies before the fault's offset, then apply the fault."""
        position, head, after = 0, b"", self._fault.after
        offset = None if self._fault.body else after  # None: the end of the head is not seen yet
        while data := server.recv(65536):
            if offset is None:
                head += data
                if (end := head.find(b"\r\n\r\n")) >= 0:
                    offset = end + 4 + after
            if offset is None or self._fault.mode == "clean":
                keep = len(data)
            else:
                keep = max(0, offset - position)
            position += len(data)
            if data[:keep]:
                self._send(data[:keep])
            if data[keep:] and not self._strike(data[keep:]):
                return
        self._record.ended_by = "server"

    def _strike(self, data: bytes) -> bool:
        """Apply the fault to the first bytes past its offset. False: the connection ends here."""
        fault = self._fault
        match fault.mode:
            case "drip" | "chop":
                self._send_pieces(data)
                return True
            case "corrupt":
                self._send(bytes([fault.byte]) + data[1:])
            case "pause":
                self._client_gone.wait(fault.hold)
                self._send(data)
            case "half-close":
                self._client.shutdown(socket.SHUT_WR)
                self._client_gone.wait(fault.hold)
                return False
            case "stall":
                self._client_gone.wait(fault.hold)
                return False
            case _:  # cut, rst
                return False
        self._fault = dataclasses.replace(fault, mode="clean")  # once is enough
        return True

    def _send_pieces(self, data: bytes) -> None:
        fault = self._fault
        sizes = random.Random(f"{fault.seed} {self._record.down}")
        while data and not self._client_gone.is_set():
            size = fault.size if fault.mode == "drip" else sizes.randint(1, fault.size)
            self._send(data[:size])
            data = data[size:]
            time.sleep(fault.delay / 1000)

    def _relay_bursts(self, server: socket.socket) -> None:
        server.settimeout(self._fault.delay / 1000)
        held, ended = b"", False
        while not ended:
            try:
                data = server.recv(65536)
                ended = not data
                held += data
                silent = ended
            except TimeoutError:
                silent = True
            if held and silent:
                self._send(held)
                held = b""
        self._record.ended_by = "server"


class FaultProxy(Listener):
    """The proxy. `log` has a Record for every ended connection, in the order of their ends."""

    def __init__(
        self,
        upstream: Address,
        plan: str | list[Fault],
        listen: Address = ("127.0.0.1", 0),
        cycle: bool = False,
        report: Callable[[Record], None] = lambda record: None,
    ) -> None:
        """Raises ValueError for a bad plan and for an address that is not loopback."""
        super().__init__(listen)
        require_loopback(upstream)
        self.log: list[Record] = []
        self._upstream, self._cycle, self._report = upstream, cycle, report
        self._plan = parse_plan(plan) if isinstance(plan, str) else plan
        self._logged = threading.Condition()

    @property
    def url(self) -> str:
        """http://127.0.0.1:PORT"""
        return f"http://{self.host}:{self.port}"

    def wait_log(self, count: int = 1, timeout: float = 5.0) -> bool:
        """Wait until `count` connections have ended; False when they have not."""
        with self._logged:
            return self._logged.wait_for(lambda: len(self.log) >= count, timeout)

    def handle(self, number: int, sock: socket.socket) -> None:
        """Relay one connection and log it."""
        last = len(self._plan) - 1
        fault = self._plan[number % (last + 1) if self._cycle else min(number, last)]
        record = Record(number + 1, fault.mode)
        began = time.monotonic()
        try:
            with self._connected(fault) as server, sock:
                Connection(record, fault, sock, server).run()
        except OSError as error:  # no server there: hang up
            record.ended_by, record.error = "server", str(error)
        record.seconds = round(time.monotonic() - began, 3)
        self._report(record)
        with self._logged:
            self.log.append(record)
            self._logged.notify_all()

    @contextmanager
    def _connected(self, fault: Fault) -> Iterator[socket.socket | None]:
        if fault.mode == "status":
            yield None
            return
        with socket.create_connection(self._upstream) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield server


def address(text: str) -> Address:
    """[HOST:]PORT; a URL's http:// and localhost are fine."""
    host, _, port = text.removeprefix("http://").rstrip("/").rpartition(":")
    return (host or "127.0.0.1").replace("localhost", "127.0.0.1"), int(port)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--listen", type=address, default=("127.0.0.1", 0), metavar="[HOST:]PORT")
    add("--upstream", type=address, required=True, metavar="HOST:PORT")
    add("--mode", default="clean", help="the plan, of: " + " ".join(MODES))
    add("--cycle", action="store_true", help="after the last fault start again with the first")
    for name, kind in OPTIONS.items():
        add(f"--{name}", type=kind, default=getattr(CLEAN, name))
    given = parser.parse_args()

    def report(record: Record) -> None:
        print(json.dumps(dataclasses.asdict(record)), flush=True)

    try:
        plan = parse_plan(given.mode, Fault(**{name: getattr(given, name) for name in OPTIONS}))
        proxy = FaultProxy(given.upstream, plan, given.listen, given.cycle, report)
    except ValueError as error:
        parser.error(str(error))
    with proxy, suppress(KeyboardInterrupt):
        print(f"listening on {proxy.host}:{proxy.port}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
