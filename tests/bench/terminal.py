"""CPU time while Markdown streams into a terminal at 50 tokens a second; the start counts too."""

from __future__ import annotations

import os
import termios
import threading
from collections.abc import Iterator
from contextlib import suppress

from tests.bench.rig import Rig
from tests.bench.rows import Row

LINES, COLUMNS = 40, 120
PACE = 50
ANSWERS, WIDE_COLUMNS = 4, 160  # side by side, 37 cells each


def rows(rig: Rig) -> Iterator[Row]:
    """CPU seconds to the seconds between the first and the last token."""
    spec = f"t={PACE * (3 if rig.quick else 10)},rate={PACE},kind=md"
    command = rig.ask("ollama", spec)
    runs = [_stream(rig, command, COLUMNS) for _ in range(rig.pairs())]
    cpu, wall = zip(*runs, strict=True)
    yield Row(f"terminal: cpu of {PACE} tokens/s / one core", 0.10, cpu, wall, "s")
    command = rig.compare("ollama", spec, ANSWERS)
    runs = [_stream(rig, command, WIDE_COLUMNS) for _ in range(rig.pairs())]
    cpu, wall = zip(*runs, strict=True)
    yield Row(f"terminal: cpu of {ANSWERS} columns at {PACE} tokens/s", 0.15, cpu, wall, "s")


def _stream(rig: Rig, command: list[str], columns: int) -> tuple[float, float]:
    controller, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (LINES, columns))
    reader = threading.Thread(target=_drain, args=(controller,))
    reader.start()
    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    child = rig.start(command, **streams, start_new_session=True)
    os.close(terminal)  # the child's copies are the last: the reader ends with it
    try:
        spent = child.finish()
    finally:
        reader.join()
        os.close(controller)
    sent = rig.sent()
    return spent.cpu, (sent[-1] - sent[0]) / 1e9


def _drain(descriptor: int) -> None:
    with suppress(OSError):  # the terminal is gone
        while os.read(descriptor, 65536):
            pass
