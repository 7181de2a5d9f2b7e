"""The conversation that a request sends, and how a server is asked to continue an answer.

The text that is there becomes the last message, the assistant's. Servers that do not continue
that message are asked in words, with one more turn of the user.
"""

from __future__ import annotations

from chatstream.messages import ChatRequest, Message

GO_ON = (
    "Your answer broke off. Go on exactly where it stopped: write only what comes next, "
    "repeat nothing, and do not say that you go on. A code block or list that is open stays open."
)


def conversation(request: ChatRequest) -> tuple[Message, ...]:
    """The messages of a request, and those that ask to continue its partial answer."""
    if not continues(request):
        return request.messages
    text = request.partial.rstrip() if request.method == "stripped_prefill" else request.partial
    asked = (Message("user", GO_ON),) if request.method == "user_turn" else ()
    return (*request.messages, Message("assistant", text), *asked)


def continues(request: ChatRequest) -> bool:
    """Whether the request asks to continue an answer."""
    return request.method is not None and bool(request.partial.strip())
