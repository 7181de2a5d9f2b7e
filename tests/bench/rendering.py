"""What the live view costs: how its CPU time grows, against other ways to draw, and what it writes.

All in this process, on a terminal in memory of 100 by 40 cells with 256 colours. Time is the
sink's own, so that each update is a frame.
"""

from __future__ import annotations

import io
import itertools
import math
import random
import time
from collections.abc import Callable, Iterator
from functools import partial

from rich.console import Console

from chatstream import events as ev
from chatstream.flow import Arrival
from chatstream.sinks.live import FRAMES_PER_SECOND, LiveSink
from tests.bench.peers import live_markdown, sliding_window
from tests.bench.rig import Rig
from tests.bench.rows import Row, compare

TOKEN = 4  # characters
TOGETHER = 5  # tokens of an update
WORDS = "the of stream token latency when server model answers bytes socket frame journal reads"


def rows(rig: Rig) -> Iterator[Row]:
    """Exponents of growth, two peers, bytes at three speeds."""
    scale = 20 if rig.quick else 1
    for name, make, sizes in (
        ("mixed Markdown", mixed, (10_000, 40_000, 160_000)),
        ("a code block", code, (625, 2_500, 5_000)),
        ("a list", items, (250, 1_000, 2_000)),
        ("one paragraph", paragraph, (20_000, 80_000, 320_000)),
    ):
        lengths = [size // scale for size in sizes]
        seconds = [best(make(length), rig.pairs(3)) for length in lengths]
        spent = " ".join(f"{it:.3g}" for it in seconds)
        yield Row(
            f"rendering: exponent, {name}",
            1.05,
            [exponent(lengths, seconds)],
            [1.0],
            f"({spent} s)",
        )
    answer = mixed(16_000 // scale)
    half = answer[: len(answer) // 2]
    for name, peer, text, limit in (
        ("aider, as long", sliding_window.show, answer, 0.05),
        ("Live(Markdown), half as long", live_markdown.show, half, 0.05),
    ):
        yield compare(
            f"rendering: 4,000 tokens / {name}",
            limit,
            partial(cpu_of, partial(draw, answer)),
            partial(cpu_of, partial(draw_with, peer, text)),
            pairs=rig.pairs(2),
        )
    answer = mixed(40_000 // scale)
    whole = draw(answer, together=len(answer))
    for rate in (30, 50, 100):
        written = draw(answer, together=1, pause=1 / rate)
        yield Row(f"rendering: bytes at {rate} tokens/s / once", 3.2, [written], [whole], "bytes")


def draw(text: str, together: int = TOGETHER, pause: float = 1.01 / FRAMES_PER_SECOND) -> int:
    """Show an answer, `together` tokens at a time; how many bytes were written."""
    now = 0.0
    file = io.StringIO()
    sink = LiveSink(terminal(file), reasoning="hide", stats=True, clock=lambda: now)
    for update in pieces(text, together * TOKEN):
        sink.write(Arrival([ev.Content(token, t=now) for token in pieces(update, TOKEN)]))
        now += pause
    stats = ev.Stats(duration=now, chunks=len(text) // TOKEN)
    sink.write(Arrival([ev.Done(finish_reason="stop", stats=stats, attempts=1, t=now)]))
    sink.close()
    return len(file.getvalue().encode())


def draw_with(show: Callable[[Console, Iterator[str]], None], text: str) -> None:
    """Show an answer with a peer, which is given the text so far at each update."""
    ends = range(TOGETHER * TOKEN, len(text) + TOGETHER * TOKEN, TOGETHER * TOKEN)
    show(terminal(io.StringIO()), (text[:end] for end in ends))


def terminal(file: io.StringIO) -> Console:
    """A terminal in memory."""
    return Console(
        file=file,
        force_terminal=True,
        color_system="256",
        width=100,
        height=40,
        _environ={"TERM": "xterm-256color"},
    )


def cpu_of(work: Callable[[], object]) -> float:
    """Seconds of this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def best(text: str, times: int) -> float:
    """Seconds that an answer takes at least: what else runs here only adds to it."""
    return min(cpu_of(partial(draw, text)) for _ in range(times))


def exponent(lengths: list[int], seconds: list[float]) -> float:
    """The power of the length that the time grows with: least squares over the logarithms."""
    x, y = ([math.log(it) for it in values] for values in (lengths, seconds))
    x_mean, y_mean = sum(x) / len(x), sum(y) / len(y)
    products = sum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True))
    return products / sum((a - x_mean) ** 2 for a in x)


def pieces(text: str, length: int) -> Iterator[str]:
    """The text in parts of this length; the last may be shorter."""
    return (text[start : start + length] for start in range(0, len(text), length))


# ---- answers


def mixed(characters: int) -> str:
    """Headings, paragraphs, lists, code and tables."""
    chance = random.Random(1)
    text = ""
    for number in itertools.count(1):
        if len(text) >= characters:
            break
        text += "".join(_section(number, partial(_words, chance)))
    return text[:characters]


def code(lines: int) -> str:
    """One code block."""
    chance = random.Random(2)
    body = "".join(f"    x_{line} = {line} + x  # {_words(chance, 5)}\n" for line in range(lines))
    return f"```python\ndef f(x):\n{body}```\n"


def items(count: int) -> str:
    """One list."""
    words = partial(_words, random.Random(3))
    return "".join(f"- {words(9)} **{words(1)}** {words(4)}\n" for _ in range(count))


def paragraph(characters: int) -> str:
    """One line."""
    return _words(random.Random(4), characters // 4)[:characters]


def _words(chance: random.Random, count: int) -> str:
    return " ".join(chance.choices(WORDS.split(), k=count))


def _section(number: int, words: Callable[[int], str]) -> Iterator[str]:
    yield f"## Part {number}: {words(3)}\n\n"
    yield f"{words(40)} **{words(2)}** {words(30)} `{words(1)}` {words(20)}.\n\n"
    yield "".join(f"- {words(9)} **{words(1)}** {words(4)}\n" for _ in range(6)) + "\n"
    body = "".join(f"def f{it}(x):\n    return x + {it}  # {words(4)}\n" for it in range(6))
    yield f"```python\n{body}```\n\n"
    table = "".join(f"| {words(1)} | {words(2)} | {it} |\n" for it in range(5))
    yield f"| a | b | c |\n|---|---|---|\n{table}\n"
    yield f"{words(60)}.\n\n"
    yield "".join(f"{it}. {words(12)}\n" for it in range(1, 6)) + "\n"
