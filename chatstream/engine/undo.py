"""Undoing what tools of a run have written: every file becomes what it was, byte for byte.

1. The writes of a run are undone from the newest to the oldest, and with them those of the runs
   that it continues and that continue it: to the user, all of them are one answer.
2. A file that is not as a write has left it was changed since. It is left alone, unless that is
   forced. A file that is as it was before the write needs nothing: the process was killed before
   it wrote, or the write was undone already.
3. A file that the run has made is removed, and so are the folders that were made for it, if they
   are empty.
4. In the meantime nobody else undoes anything, and nobody continues these runs; whoever tries waits
   for a moment first. A run that has not ended is not undone. The locks on the journals are shared,
   so that to everybody else these runs are over.
5. Each write is forgotten once it is undone, so an undo that was interrupted can be continued. A
   write whose undo was refused can be tried again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from chatstream.clock import Deadline
from chatstream.engine.resume_tools import PATIENCE_SECONDS
from chatstream.errors import ChatstreamError, UsageError
from chatstream.files import Lock, alone
from chatstream.store.journal import SUFFIX
from chatstream.store.outputs import images_of, runs_with_images
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import find, opening
from chatstream.store.unfinished import newest_attempt
from chatstream.tools.places import Place, changed, place
from chatstream.tools.preimages import PreImages, Written, digest
from chatstream.tools.roots import Roots
from chatstream.wording import encodable

Action = Literal["restored", "removed", "unchanged", "refused"]


class Undone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one write. `why` says why it was refused.

    "unchanged": the file already was what it was before that write.
    """

    run: str
    path: str
    action: Action
    why: str | None = None


def undo(run: str | None, *, force: bool = False) -> Iterator[Undone]:
    """Undo what this run has written, or the newest one that has written anything.

    Raises `UsageError`: there is no such run, it has written nothing, it has not ended, or another
    process is undoing something.
    """
    state = state_folder()
    name = _newest(state) if run is None else find(runs_folder(), run).stem
    with _alone(state), ExitStack() as held:
        attempts = _attempts(name)
        written: list[tuple[str, PreImages, Written]] = []
        for it in attempts:
            images = PreImages(images_of(state, it))
            written += [(it, images, change) for change in images.newest_first()]
        if not written:
            raise UsageError(f"run {name} has written no files, or they were restored already")
        for it in attempts:
            held.enter_context(_over(it))
        if _attempts(name) != attempts:  # while the locks were taken
            raise UsageError(f"another process continues run {name}")
        for it, images, change in written:
            yield _undone(it, images, change, force=force)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Nobody else undoes anything meanwhile. Raises `UsageError`."""
    folder = images_of(state, "")
    with ExitStack() as held:
        try:
            if folder.exists():
                held.enter_context(alone(folder, Deadline(PATIENCE_SECONDS)))
        except TimeoutError:
            raise UsageError(
                "another process is undoing what a run has written",
                hint="try again once that has ended",
            ) from None
        yield


@contextmanager
def _over(run: str) -> Iterator[None]:
    """Nobody writes the journal of this run, and nobody resumes it meanwhile. Raises `UsageError`.

    The lock is shared: who looks whether the run is over (`is_running`) finds that it is.
    """
    try:
        lock = Lock(os.open(runs_folder() / (run + SUFFIX), os.O_RDONLY))
    except FileNotFoundError:  # it has expired: nobody can resume it
        lock = Lock(None)
    try:
        if not lock.take(alone=False):
            raise UsageError(f"run {run} has not ended yet")
        yield
    finally:
        lock.close()


def _newest(state: Path) -> str:
    """The newest run that has written anything. Raises `UsageError`."""
    for name in runs_with_images(state):
        if PreImages(images_of(state, name)).newest_first():
            return name
    raise UsageError("no run has written any files that could be restored")


def _attempts(run: str) -> list[str]:
    """This run, and all that it continues or that continue it, the newest first."""
    folder = runs_folder()
    attempts = [newest_attempt(folder, run)]
    while (head := opening(folder / (attempts[-1] + SUFFIX))) is not None and head.continues:
        attempts.append(head.continues)
    return attempts


def _undone(run: str, images: PreImages, change: Written, *, force: bool) -> Undone:
    path = encodable(str(change.path))
    try:
        root = Path(os.fsdecode(change.root))
        with place(Roots([root]), "/".join(map(os.fsdecode, change.names))) as at:
            action = _put_back(at, images, change, force=force)
        images.forget(change)
    except (ChatstreamError, OSError) as error:
        words = error.message if isinstance(error, ChatstreamError) else str(error)
        return Undone(run=run, path=path, action="refused", why=words)
    return Undone(run=run, path=path, action=action)


def _put_back(at: Place, images: PreImages, change: Written, *, force: bool) -> Action:
    """Undo a write. Raises `ToolFailure`, and `JournalError` for what is lost."""
    if at.path != change.path:
        raise changed(f"a link has taken the place of {change.path}, or of a folder on its way")
    at.remove_fresh(change.fresh)
    state = at.state()
    now = None if state is None else digest(state.data)
    if now == change.before:
        at.remove_folders(change.folders)  # they may have been made before the process was killed
        return "unchanged"
    if now != change.after and not force:
        how = "removed" if state is None else "changed"
        raise changed(f"it was {how} after the run had written it")
    if change.before is None:
        assert state is not None, "it would be unchanged"
        at.remove(state)
        at.remove_folders(change.folders)
        return "removed"
    # By the same name as before: should this process be killed, too, the next one removes it.
    at.write(images.image(change), state, fresh=change.fresh, manner=change.manner)
    return "restored"
