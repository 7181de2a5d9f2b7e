"""The turns of a request, and how a dialect's server is asked to continue an answer.

The text that is there becomes the last message, the assistant's. Servers that do not continue
that message are asked in words, with one more turn of the user.
"""

from __future__ import annotations

from chatstream.messages import ChatRequest

GO_ON = (
    "Your answer broke off. Go on exactly where it stopped: write only what comes next, "
    "repeat nothing, and do not say that you go on. A code block or list that is open stays open."
)


def turns(request: ChatRequest) -> list[dict[str, object]]:
    """The messages in the form that all dialects share: role and content."""
    messages: list[dict[str, object]] = [
        {"role": message.role, "content": message.content} for message in request.messages
    ]
    if request.method is None or not request.partial.strip():
        return messages
    text = request.partial.rstrip() if request.method == "stripped_prefill" else request.partial
    messages.append({"role": "assistant", "content": text})
    if request.method == "prefix":
        messages[-1]["prefix"] = True
    elif request.method == "user_turn":
        messages.append({"role": "user", "content": GO_ON})
    return messages
