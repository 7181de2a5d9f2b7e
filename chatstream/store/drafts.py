"""The drafts of chats: text that was typed and not sent outlives its chat.

1. Each chat has a file of its own while it has a draft: `<state>/drafts/<id>.json`, 0600, with one
   line of JSON. The file is locked before it gets that name and as long as its chat lives, so that
   no other chat takes it.
2. A draft that fits into one page is written in place: first the new line, then the file is cut
   after it. A process that is killed in between leaves the new line, and nothing after it is read.
   A longer draft is written to a file beside it that replaces it, because a kill may end a write
   between two pages.
3. A draft belongs to the run whose answer it follows. It is taken once, by a chat that continues
   that conversation. A draft that follows no run, or one that is gone, is for a new chat.
4. If a draft cannot be stored, the user is not disturbed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Generator
from pathlib import Path

import msgspec

from chatstream.events import new_run
from chatstream.files import PRIVATE_FILE, Lock, make_private
from chatstream.wording import encodable

_SUFFIX = ".json"
_NEW = ".new"  # not yet in its place
_PAGE_BYTES = 4096


class Draft(msgspec.Struct, frozen=True, omit_defaults=True):
    """The text that was typed, and its attachments: files, and images (files or URLs).

    `after` is the run whose answer it follows.
    """

    text: str = ""
    after: str | None = None
    files: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


_line = msgspec.json.Decoder(Draft)

Belongs = Callable[[str | None], bool]
"""Whether a draft that follows this run is wanted."""


class Drafts:
    """The drafts of a state folder, for one chat. Raises nothing."""

    def __init__(self, state_folder: Path) -> None:
        self._folder = state_folder / "drafts"
        self._path: Path | None = None
        self._descriptor = -1
        self._lock = Lock(None)

    def keep(self, draft: Draft) -> None:
        """Store this draft in place of the one before; an empty draft removes it."""
        with contextlib.suppress(OSError):
            if not (draft.text or draft.files or draft.images):
                self._remove()
                return
            data = msgspec.json.encode(_encodable(draft)) + b"\n"
            if self._path is None or len(data) > _PAGE_BYTES:
                self._replace(data)
            else:
                os.pwrite(self._descriptor, data, 0)
                os.ftruncate(self._descriptor, len(data))

    def take(self, belongs: Belongs) -> Draft | None:
        """The newest draft of a chat that is gone, if it `belongs` behind its run.

        It is removed: from now on this chat has to store it.
        """
        with contextlib.closing(_left(self._folder)) as left:
            for path, draft in left:
                if belongs(draft.after):
                    self.keep(draft)
                    _unlink(path)
                    return draft
        return None

    def has(self, belongs: Belongs) -> bool:
        """Whether a draft of a chat that is gone could be taken."""
        with contextlib.closing(_left(self._folder)) as left:
            return any(belongs(draft.after) for _, draft in left)

    def close(self) -> None:
        """Leave the draft to others. Idempotent."""
        self._path = None
        self._lock.close()

    def _replace(self, data: bytes) -> None:
        """Write the file of this chat as a new one, locked from its beginning."""
        make_private(self._folder)
        path = self._path or self._folder / f"{new_run().run}{_SUFFIX}"
        fresh = path.with_suffix(_NEW)
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
        lock = Lock(descriptor)
        try:
            if not lock.take(alone=True):  # another chat looks at it; the next key tries again
                raise BlockingIOError
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            fresh.replace(path)
        except OSError:
            _unlink(fresh)
            lock.close()
            raise
        self._lock.close()
        self._path, self._descriptor, self._lock = path, descriptor, lock

    def _remove(self) -> None:
        path, self._path = self._path, None
        if path is not None:
            path.unlink()
        self._lock.close()


def remove_drafts(state_folder: Path, runs: Collection[str]) -> None:
    """Remove the drafts that follow these runs, if possible and if no chat has them."""
    with contextlib.closing(_left(state_folder / "drafts")) as left:
        for path, draft in left:
            if draft.after in runs:
                _unlink(path)


def _left(folder: Path) -> Generator[tuple[Path, Draft], None, None]:
    """The drafts of chats that are gone, newest first, each locked until the next."""
    try:
        paths = sorted(folder.iterdir(), reverse=True)
    except OSError:
        return
    for path in paths:
        try:
            lock = Lock(os.open(path, os.O_RDONLY))
        except OSError:
            continue
        try:
            if not lock.take(alone=True):
                continue
            if path.suffix == _NEW:  # a kill left it; the draft before it still exists
                _unlink(path)
                continue
            try:
                draft = _line.decode(path.read_bytes().partition(b"\n")[0])
            except (OSError, ValueError):
                continue
            yield path, draft
        finally:
            lock.close()


def _encodable(draft: Draft) -> Draft:
    files, images = (tuple(map(encodable, it)) for it in (draft.files, draft.images))
    return Draft(encodable(draft.text), draft.after, files, images)


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
