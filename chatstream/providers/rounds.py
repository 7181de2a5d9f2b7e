"""The calls of a conversation and their results, as every server takes them.

1. The results of a message's calls stand right behind it, one for each call, in the order of the
   calls. A call without a result, of a run that broke off, gets one that says so. A result without
   a call is left out.
2. An id stands for one call. One that the server would refuse, or that an earlier call has, is
   replaced, in the call and in its result. What replaces it depends only on the messages before,
   so a conversation that grows is sent with the same ids.
3. So is a name of a form that no server gives a tool; models make some up.
4. A result that is only white space says that there is no output: Anthropic refuses such errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from chatstream.messages import NO_OUTPUT, Message, Part, ToolCall, ToolResult

NO_RESULT = "there is no result of this call: the run that made it broke off"


def whole_rounds(messages: Sequence[Message], id_form: str) -> list[Message]:
    """The messages, with their calls and results as the rules above have them.

    `id_form` is the regular expression of the ids that the server takes.
    """
    ids = _Ids(id_form)
    rest = list(reversed(messages))
    found: list[Message] = []
    while rest:
        message = rest.pop()
        if message.role == "tool":
            continue  # nobody has called for it
        if not message.tool_calls:
            found.append(message)
            continue
        results: dict[str, ToolResult] = {}
        while rest and rest[-1].role == "tool":
            results |= {it.id: it for it in rest.pop().parts if isinstance(it, ToolResult)}
        parts: list[Part] = []
        ends: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolCall):
                result = results.get(part.id) or ToolResult(part.id, part.name, NO_RESULT, True)
                content = result.content if result.content.strip() else NO_OUTPUT
                part = replace(part, id=ids.of(part.id), name=_name(part.name))
                ends.append(replace(result, id=part.id, name=part.name, content=content))
            parts.append(part)
        found += [Message(message.role, parts, message.complete), Message("tool", ends)]
    return found


class _Ids:
    def __init__(self, form: str) -> None:
        self._form = re.compile(form)
        self._used: set[str] = set()

    def of(self, given: str) -> str:
        """The id of the next call."""
        candidates = _replacements(given)
        chosen = given
        while chosen in self._used or not self._form.fullmatch(chosen):
            chosen = next(candidates)
        self._used.add(chosen)
        return chosen


def _replacements(given: str) -> Iterator[str]:
    """Ids of nine letters and digits, which every server takes."""
    import hashlib  # rarely needed

    number = 0
    while True:
        number += 1
        yield hashlib.sha256(f"{number} {given}".encode("utf-8", "replace")).hexdigest()[:9]


def _name(name: str) -> str:
    return re.sub("[^a-zA-Z0-9_-]", "_", name)[:64] or "unnamed"
