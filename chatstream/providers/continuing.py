"""The conversation that a request sends, and how a server is asked to continue an answer.

1. The text that is there becomes the last message, the assistant's. Servers that do not continue
   that message are asked in words, with one more turn of the user.
2. Calls and their results are put in the order and the form that the server takes (`rounds`).
"""

from __future__ import annotations

from collections.abc import Sequence

from chatstream.messages import ChatRequest, Message

GO_ON = (
    "Your answer broke off. Go on exactly where it stopped: write only what comes next, "
    "repeat nothing, and do not say that you go on. A code block or list that is open stays open."
)


ANY_ID = "(?s:.+)"


def conversation(request: ChatRequest, ids: str = ANY_ID) -> Sequence[Message]:
    """The messages of a request, and those that ask to continue its partial answer.

    `ids` is the regular expression of the ids of calls that the server takes.
    """
    asked = _asked(request)
    if not any(it.has_calls or it.role == "tool" for it in asked):
        return asked
    from chatstream.providers.rounds import whole_rounds

    return whole_rounds(asked, ids)


def _asked(request: ChatRequest) -> tuple[Message, ...]:
    if not continues(request):
        return request.messages
    text = request.partial.rstrip() if request.method == "stripped_prefill" else request.partial
    asked = (Message("user", GO_ON),) if request.method == "user_turn" else ()
    return (*request.messages, Message("assistant", text), *asked)


def continues(request: ChatRequest) -> bool:
    """Whether the request asks to continue an answer."""
    return request.method is not None and bool(request.partial.strip())
