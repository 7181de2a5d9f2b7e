"""What was typed and not sent, so that it outlives the chat in which it was typed.

1. Each chat has a file of its own while it has a draft: `<state>/drafts/<id>.json`, 0600, with one
   line of JSON. It is locked as long as its chat lives, so that no other chat takes it.
2. It is written in place: the new line, and then the end of the file. A process that is killed in
   between leaves the new line, behind which nothing is read.
3. A draft belongs to the run whose answer it follows. It is taken once, by a chat that continues
   that conversation, or by a new one if it follows nothing.
4. A draft that cannot be kept is no reason to disturb whoever types.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from chatstream.events import new_run
from chatstream.files import PRIVATE_FILE, Lock, make_private
from chatstream.wording import encodable

_SUFFIX = ".json"


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A draft in its file; `after` is the run whose answer it follows."""

    text: str
    after: str | None = None


_line = msgspec.json.Decoder(_Line)


class Drafts:
    """The drafts of a state folder, for one chat. Raises nothing."""

    def __init__(self, state_folder: Path) -> None:
        self._folder = state_folder / "drafts"
        self._path: Path | None = None
        self._descriptor = -1
        self._lock = Lock(None)

    def keep(self, text: str, after: str | None) -> None:
        """Keep this text, and nothing that was kept before; "" is no draft."""
        with contextlib.suppress(OSError):
            if not text:
                self._remove()
                return
            if self._path is None:
                self._open()
            data = msgspec.json.encode(_Line(encodable(text), after)) + b"\n"
            os.pwrite(self._descriptor, data, 0)
            os.ftruncate(self._descriptor, len(data))

    def take(self, belongs: Callable[[str | None], bool]) -> str:
        """The newest draft of a chat that is gone, if it `belongs` behind its run; else "".

        It is not there any more, but for this chat to keep.
        """
        try:
            paths = sorted(self._folder.iterdir(), reverse=True)
        except OSError:
            return ""
        for path in paths:
            with contextlib.suppress(OSError, ValueError):
                lock = Lock(os.open(path, os.O_RDONLY))
                try:
                    if not lock.take(alone=True):
                        continue
                    draft = _line.decode(path.read_bytes().partition(b"\n")[0])
                    if belongs(draft.after):
                        self.keep(draft.text, draft.after)
                        path.unlink()
                        return draft.text
                finally:
                    lock.close()
        return ""

    def close(self) -> None:
        """Leave the draft to others. Idempotent."""
        self._path = None
        self._lock.close()

    def _open(self) -> None:
        make_private(self._folder)
        path = self._folder / f"{new_run().run}{_SUFFIX}"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        self._path, self._lock = path, Lock(self._descriptor)
        self._lock.take(alone=True)

    def _remove(self) -> None:
        path, self._path = self._path, None
        if path is not None:
            path.unlink()
        self._lock.close()
