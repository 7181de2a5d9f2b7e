"""Past runs in words: what identifies one, who answered, how it ended. Pure; nothing is cleaned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from chatstream.messages import Image, Message, Part, Text, ToolCall, ToolResult
from chatstream.sinks.words import UNUSUAL_ENDS
from chatstream.store.branches import Tree
from chatstream.store.entries import Conversation, Run
from chatstream.store.figures import Figures
from chatstream.wording import counted

_SHORT_ID_CHARACTERS = 15  # characters of an id: the date and the second


def short_ids(runs: Sequence[Run]) -> list[str]:
    """The beginning of each id, long enough to tell it from its neighbours."""
    ids = [run.id for run in runs]
    short = []
    for newer, own, older in zip(["", *ids], ids, [*ids[1:], ""], strict=False):
        length = _SHORT_ID_CHARACTERS
        while length < len(own) and own[:length] in (newer[:length], older[:length]):
            length += 1
        short.append(own[:length])
    return short


def local_time(started_at: str) -> str:
    """A recorded time in the local time zone, to the minute."""
    try:
        return datetime.fromisoformat(started_at).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):  # not written by chatstream
        return started_at


def who(run: Run) -> str:
    """The provider and the model, as far as they are known."""
    return "/".join(filter(None, (run.provider, run.model))) or "-"


def outcome(run: Run | Figures) -> str:
    """How a run ended. A turn that the model paused is not complete."""
    return "paused" if run.finish_reason == "paused" else run.outcome


def why(run: Run) -> str:
    """How a run ended, and the reason if it failed."""
    return outcome(run) if run.error is None else f"{run.outcome}: {run.error}"


def unfinished(answer: Message, last: Run) -> str | None:
    """What the text of an answer does not show: that it is not whole, and what to do about it.

    `last` is the newest run that worked on the answer.
    """
    if answer.complete:
        return UNUSUAL_ENDS.get(last.finish_reason or "")
    way = "" if last.outcome == "damaged" else f"; `chatstream resume {last.id}` continues it"
    return f"this answer is cut off ({why(last)}){way}"


def closing(run: Run) -> str:
    """How a run ended, who answered, the figures that are known and its labels, on one line."""
    parts = [
        why(run),
        who(run),
        f"first token {run.ttft:.2f} s" if run.ttft is not None else "",
        counted(run.output_tokens, "token") if run.output_tokens is not None else "",
        f"{run.duration:.1f} s",
        f"project {' '.join(run.project.split())}" if run.project else "",
        f"agent {' '.join(run.agent.split())}" if run.agent else "",
        run.id,
    ]
    return " · ".join(part for part in parts if part)


def first_line(text: str) -> str:
    """The first line that is not blank, or ""."""
    return next((line for line in text.splitlines() if line.strip()), "")


def ended(text: str) -> str:
    """The text with a newline at its end."""
    return text if text.endswith("\n") else text + "\n"


def graph(tree: Tree) -> list[str]:
    """What is drawn before each turn of a conversation: lines for branches, a dot for the turn.

    The dot is filled at the head, from which the conversation continues.
    """
    drawn = []
    branches: dict[str | None, int] = {None: 0}  # of each turn, by its newest attempt
    for turn in tree.turns:
        newest = turn.runs[-1].id
        branches[newest] = turn.branch
        forks = turn.branch > branches[turn.follows]
        lines = "│ " * (turn.branch - forks) + "├─" * forks
        drawn.append(f"{lines}{'●' if newest == tree.head else '○'} ")
    return drawn


def words_of(message: Message) -> str:
    """What a message says: its text, the label of an image, calls, and their results by name."""
    words = []
    for part in message.parts:
        match part:
            case Text(text=text):
                words.append(text)
            case Image(url=url, media_type=media_type):
                on_web = url is not None and not url.startswith("data:")
                words.append(f"[image {url}]" if on_web else f"[{media_type or 'image'}]")
            case ToolCall():
                before = ended(words.pop()) if words else ""
                words.append(before + calls_of([part]))
            case ToolResult(name=name, content=content):
                words.append(f"{name}: {ended(content)}")
    return "".join(words)


def calls_of(parts: Iterable[Part]) -> str:
    """The calls among these parts, a line each."""
    calls = (it for it in parts if isinstance(it, ToolCall))
    return "".join(f"⚙ {it.name}({it.arguments})\n" for it in calls)


def markdown(conversation: Conversation) -> str:
    """A whole conversation as a Markdown document."""
    last = conversation.runs[-1]
    head = f"# {local_time(conversation.started_at)}, {who(last)}\n\n"
    turns = (f"## {it.role}\n\n{ended(words_of(it))}\n" for it in conversation.messages)
    return head + "".join(turns) + f"*{closing(last)}*\n\n"
