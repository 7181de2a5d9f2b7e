"""The conversation that a draft belongs to, and its attachments, on top of `store.drafts`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from chatstream.addresses import is_url
from chatstream.errors import JournalError, UsageError
from chatstream.files import is_file
from chatstream.files import named as path_of

if TYPE_CHECKING:
    from chatstream.store.conversation import Conversations


def belongs(known: Conversations, head: str | None, after: str | None) -> bool:
    """Whether a draft that follows the run `after` belongs to the conversation of `head`.

    Without a `head` the conversation is new, and has the drafts that follow no run, or one that is
    gone.
    """
    try:
        if head is None:
            return after is None or not known.find(after)
        return after is not None and known.root(after) == known.root(head)
    except UsageError:  # there is no such run
        return head is None
    except JournalError:  # it is damaged, and may belong to any conversation
        return False


def named(names: Iterable[str]) -> tuple[str, ...]:
    """Names of files and URLs that are valid in any folder."""
    return tuple(it if is_url(it) else str(path_of(it).absolute()) for it in names)


def added(names: list[str], more: Iterable[str]) -> list[str]:
    """The names, and those of `more` that are new; a file that is gone is left out."""
    there = (it for it in more if is_url(it) or is_file(Path(it)))
    return list(dict.fromkeys([*names, *there]))
