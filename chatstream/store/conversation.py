"""Conversations: trees of runs. Which run follows which, where a conversation continues, its name.

1. A run's `parent` is the run whose answer its question follows; a run that `continues` another is
   a further attempt at the same answer. The first run is the conversation's root, and its id is the
   conversation's id. Asking again after an earlier run makes a branch; nothing is overwritten.
2. The head is the newest run below the one that the conversation's file names, or below the root
   where there is no file. So a run that was killed before it became the head is not lost.
3. An answer without text is no answer: a path passes over its whole turn, so that roles alternate.
   Calls that the caller is left with are one: their results may follow. A run that is still being
   written has no answer yet.
4. Journals say all of this; for runs whose journals have expired, the history does. It is opened
   only for those.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatstream.errors import JournalError, UsageError
from chatstream.messages import Message
from chatstream.nearest import did_you_mean
from chatstream.store.heads import Heads, State
from chatstream.store.journal import SUFFIX, is_run, is_running
from chatstream.store.place import HISTORY
from chatstream.store.reading import Record, find, opening, read, runs

if TYPE_CHECKING:
    from chatstream.store.history import History

_LONGEST_NAME = 100  # characters
_NEWEST = 1000  # runs of the history among which the newest conversation is looked for


class _Link(NamedTuple):
    """What a run follows and continues. `answered` is None where its journal says it."""

    parent: str | None
    continues: str | None
    answered: bool | None = None


class NoConversation(UsageError):
    """There is no answer yet."""

    hint = "leave out -c to start one"

    def __init__(self) -> None:
        super().__init__("there is no conversation to continue")


class Conversations:
    """The conversations of a state folder. Its methods raise `UsageError` and `JournalError`."""

    def __init__(self, state_folder: Path) -> None:
        self._folder = state_folder
        self._runs = state_folder / "runs"
        self._heads = Heads(state_folder)
        self._links: dict[str, _Link] = {}  # they never change
        self._roots: dict[str, str] = {}  # nor do these

    def newest(self) -> str:
        """The run to continue from in the conversation that has the newest run and an answer.

        Raises `NoConversation` as well.
        """
        seen: set[str] = set()
        for run in self._newest_first():
            if self._link(run) is None:
                continue
            root = self.root(run)
            if root not in seen:
                seen.add(root)
                if found := self.answered(self._head(root)):
                    return found
        raise NoConversation

    def named(self, name: str) -> str:
        """The run to continue from in the conversation with this name."""
        names = self._names()
        if name not in names:
            raise UsageError(
                f"there is no conversation named {name!r}",
                hint=did_you_mean(name, names, "`--name` gives a conversation a name"),
            )
        run = self.answered(self._head(names[name]))
        if run is None:
            raise UsageError(f"the conversation {name!r} has no answer yet")
        return run

    def has(self, name: str) -> bool:
        """Whether a conversation with an answer has this name."""
        root = self._names().get(name)
        return root is not None and self.answered(self._head(root)) is not None

    def find(self, run: str) -> str:
        """The whole id of a run, from its id or the beginning of it."""
        if not any(run and it.startswith(run) for it in runs(self._runs)):
            with self._history() as history:
                if history is not None:
                    return history.run(run).id
        return find(self._runs, run).stem

    def path(self, run: str) -> list[Message]:
        """Every message from the root to the answer of this run, in order.

        Turns without an answer are left out, and so is what followed on other branches.
        """
        return [message for _, turn in self.turns(run) for message in turn]

    def turns(self, run: str) -> list[tuple[str, list[Message]]]:
        """The messages of `path`, turn by turn, each with the run that made its answer.

        Turns whose journals have expired are one with the last of them.
        """
        turns: list[tuple[str, list[Message]]] = []
        for attempts in self._turns(run):
            if not self._has_journal(attempts[0]):
                turns.append((attempts[0], self._expired(attempts[0])))
                break
            records = map(self._record, attempts)
            if (answered := next((it for it in records if it.message.is_answer), None)) is not None:
                asked = answered.asked.messages if answered.asked else ()
                turns.append((answered.run, [*asked, *answered.messages]))
        return turns[::-1]

    def asked(self, run: str) -> list[Message]:
        """The messages that a run added to its conversation, without its answer."""
        if self._has_journal(run):
            record = read(self._path(run)).asked
            return list(record.messages) if record else []
        with self._history() as history:
            if history is None:
                raise _gone(run)
            return history.asked(run)

    def parent(self, run: str) -> str | None:
        """The run whose answer this one follows; None for the first of a conversation."""
        link = self._link(run)
        return link.parent if link else None

    def head(self, run: str) -> str:
        """The newest run of the conversation's head, with or without an answer."""
        return self._head(self.root(run))

    def root(self, run: str) -> str:
        """The conversation that a run belongs to."""
        way: list[str] = []
        for it in self._chain(run):
            way.append(it)
            if it in self._roots:
                break
        found = self._roots.get(way[-1], way[-1])
        if found in self._links:  # else its journal may still come
            self._roots.update(dict.fromkeys(way, found))
        return found

    def answered(self, run: str) -> str | None:
        """This run, or the nearest before it that has an answer to follow."""
        for it in self._chain(run):
            link, path = self._link(it), self._path(it)
            if link is None or is_running(path):
                continue
            if read(path).message.is_answer if link.answered is None else link.answered:
                return it
        return None

    def advance(self, parent: str, run: str) -> bool:
        """Make `run`, which follows `parent`, the head; to be called when the run has begun.

        False: the conversation had gone on elsewhere, so this is a branch. A resume of `parent`,
        and what ended without an answer, are not elsewhere.
        """
        root = self.root(parent)
        with self._heads.locked():
            head = self._heads.head(root)
            if head != run:
                self._heads.append(root, State(head=run))
        return head is None or head == run or self._follows(parent, head)

    def choose(self, run: str, among: Iterable[str]) -> None:
        """Continue from the answer of `run`, one of several to the same question.

        At the beginning of a conversation each of them is the root of one of its own. From now on
        those of the others lead to this run, too, so that it is the newest whichever began last.
        """
        with self._heads.locked():
            for root in {self.root(it) for it in (run, *among)}:
                self._heads.append(root, State(head=run))

    def name(self, run: str, name: str) -> None:
        """Name the conversation that a run belongs to; a name belongs to one conversation."""
        with self._heads.locked():
            self.check_name(name, run)
            self._heads.append(self.root(run), State(name=name))

    def check_name(self, name: str, run: str | None) -> None:
        """Raises `UsageError` if the conversation of this run, None for a new one, cannot have it.

        A conversation without an answer gives its name away: nothing can follow it.
        """
        if not (name.strip() == name and name.isprintable() and 0 < len(name) <= _LONGEST_NAME):
            raise UsageError(
                f"{name!r} cannot be the name of a conversation",
                hint=f"a name has 1 to {_LONGEST_NAME} characters on one line",
            )
        holder = self._names().get(name)
        if holder is None:
            return
        head = self._head(holder)
        own = self.root(run) if run is not None else None
        if own not in {holder, self.root(head)} and self.answered(head) is not None:
            raise UsageError(f"another conversation is named {name!r}", hint="choose another")

    def _follows(self, parent: str, head: str) -> bool:
        """Whether what follows `parent` follows the head, or what the head is worth."""
        if head in self._chain(parent) or parent in self._attempts(head):
            return True
        if is_running(self._path(head)):
            return False
        answered = self.answered(head)
        return answered is None or parent in self._attempts(answered)

    def _names(self) -> dict[str, str]:
        """The roots of the conversations that have a name; of two with one, the later."""
        found = {root: self._heads.of(root).name for root in sorted(self._heads.sizes())}
        return {name: root for root, name in found.items() if name}

    def _head(self, root: str) -> str:
        begin = self._heads.head(root) or root
        if self._link(begin) is None:  # it was removed, or a full disk left nothing of it
            begin = root
        later = [it for it in runs(self._runs) if it > begin]
        if not self._has_journal(begin):
            later = sorted({*later, *self._past_links(begin)})
        below, head = {begin}, begin
        for run in later:
            link = self._link(run)
            if link and below & {link.parent, link.continues}:
                below.add(run)
                head = run
        return head

    def _newest_first(self) -> list[str]:
        """The runs that there are. Journals of a later conversation may have expired earlier."""
        found = set(runs(self._runs))
        with contextlib.suppress(JournalError), self._history() as history:
            if history is not None:
                found.update(history.ids(_NEWEST))
        return sorted(found, reverse=True)

    def _chain(self, run: str) -> Iterator[str]:
        """The run, and what it continues or follows, up to the root."""
        seen: set[str] = set()
        following: str | None = run
        while following is not None:
            if following in seen:
                raise JournalError(f"run {run} follows itself: its journal was changed")
            seen.add(following)
            yield following
            following = self._continued(following) or self.parent(following)

    def _attempts(self, run: str) -> Iterator[str]:
        """The run, and what it continues."""
        for it in self._chain(run):
            yield it
            if self._continued(it) is None:
                return

    def _turns(self, run: str) -> Iterator[list[str]]:
        """The attempts of each turn, from this run back to the root."""
        attempts: list[str] = []
        for it in self._chain(run):
            attempts.append(it)
            if self._continued(it) is None:
                yield attempts
                attempts = []

    def _record(self, run: str) -> Record:
        record = read(self._path(run))
        if record.damage is not None:
            raise JournalError(
                f"the journal of run {run} is {record.damage}",
                hint=f"`chatstream history show {run} --text` prints the undamaged part",
            )
        return record

    def _expired(self, run: str) -> list[Message]:
        """The path to a run whose journal has expired."""
        with self._history() as history:
            if history is None or run not in history.links(run):
                raise _gone(run)
            return history.path(run)

    def _continued(self, run: str) -> str | None:
        link = self._link(run)
        return link.continues if link else None

    def _link(self, run: str) -> _Link | None:
        if run not in self._links and is_run(run):
            if (opened := opening(self._path(run))) is not None:
                self._links[run] = _Link(opened.parent, opened.continues)
            else:
                self._links.update(self._past_links(run))
        return self._links.get(run)

    def _past_links(self, run: str) -> Mapping[str, _Link]:
        """The links of the conversation of a run in the history, as far as it has no journals."""
        with self._history() as history:
            found = history.links(run) if history else {}
        return {
            it: _Link(link.parent, link.continues, link.answered)
            for it, link in found.items()
            if not self._has_journal(it)
        }

    @contextlib.contextmanager
    def _history(self) -> Iterator[History | None]:
        """The history, if there is one."""
        if not (self._folder / HISTORY).exists():
            yield None
            return
        from chatstream.store.history import History  # SQLite, which few need

        with History(self._folder) as history:
            yield history

    def _has_journal(self, run: str) -> bool:
        return is_run(run) and self._path(run).exists()

    def _path(self, run: str) -> Path:
        return self._runs / (run + SUFFIX)


def _gone(run: str) -> JournalError:
    return JournalError(f"run {run}, which this conversation needs, is gone")
