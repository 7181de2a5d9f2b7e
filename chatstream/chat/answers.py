"""What an answer has in a chat, and not in `ask`: the chat's own words, and an end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chatstream.cancel import CancelToken
from chatstream.chat import fullness
from chatstream.engine.settings import Settings
from chatstream.errors import ContextLength, CostLimit, HungUp, Terminated
from chatstream.events import Context, Error
from chatstream.flow import Arrival, close
from chatstream.sinks.output import put
from chatstream.terminal.look import ends_line, is_screen


def part(text: str, settings: Settings) -> None:
    """Separate an answer from what follows: by an empty line on a screen, by a line end in a pipe.

    Raises `BrokenPipeError`, `OutputError`.
    """
    if is_screen(settings, as_json=False, plain=False) or not ends_line(text, settings):
        put(b"\n")


def in_our_words(
    token: CancelToken,
    settings: Callable[[], Settings],
    resume: str,
    follows: bool,
    arrivals: Iterator[Arrival],
) -> Iterator[Arrival]:
    """Make the notes of an answer name the commands of a chat, `resume` among them. Drop the one
    about a full window: the chat adds its own after the answer. `follows`: the question follows
    others. `token` is that of the answer, and its settings are asked for when they are needed.
    """
    try:
        for arrival in arrivals:
            for event in [*arrival.events]:
                if isinstance(event, Context) and not event.left_out:
                    arrival.events.remove(event)
                elif isinstance(event, Error):
                    if event.resume and not isinstance(token.reason, (HungUp, Terminated)):
                        event.resume = resume  # else there is no prompt any more
                    if event.code == ContextLength.code:
                        trims = settings().trim
                        event.hint = fullness.way_out(event.hint, follows=follows, trims=trims)
                    elif event.code == CostLimit.code and event.hint:
                        event.hint = event.hint.replace("--max-cost", "/set max_cost USD")
            yield arrival
    finally:
        close(arrivals)
