"""Where a file is written: the folder that it is in, open, and its name there.

1. A place is found by the rules of `roots`: nothing outside of them is written, nothing that holds
   keys, and nothing in `.git`, whose hooks are programs. A link is followed beneath the root, so
   the file is written and not the link. A link that leads nowhere is refused.
2. Missing folders are made with the file. Replacing one of them by a link leads nowhere: each is
   opened in the one before it.
3. A file is replaced in one step, from a new file beside it whose data is on the disk, and keeps
   its mode, its attributes and, where this user may give it, its owner. A process
   that is killed in the meantime leaves the old file, and at most the new one beside it.
4. A file is not written if it is no longer as `state` has found it (which is checked at the last
   moment), or if this user may not write it. A new file never replaces one that somebody else has
   made in the meantime.

Failures are `ToolFailure`s, one sentence each.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import Self

import msgspec

from chatstream.tools.roots import Found, Roots, outside
from chatstream.tools.secrets import off_limits, on_way_to_keys
from chatstream.tools.tool import ToolFailure
from chatstream.wording import bounded, encodable

MOST_BYTES = 16 * 1024 * 1024
"""Of a file before and after it is written."""

FRESH = ".chatstream-"
"""What the name of a new file begins with, until it has its place."""

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}  # on this file system
_CHECK = os.O_WRONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0)


class Manner(msgspec.Struct, frozen=True):
    """The mode and the owner of a file."""

    mode: int
    user: int
    group: int


class State:
    """A file as it is: its bytes, its manner, its attributes, and a mark that changes with it."""

    def __init__(
        self, data: bytes, status: os.stat_result, attributes: Mapping[str, bytes]
    ) -> None:
        self.data = data
        self.attributes = attributes
        self.manner = Manner(stat.S_IMODE(status.st_mode) & 0o777, status.st_uid, status.st_gid)
        self.mark = _mark(status)


class Place:
    """Where a file is or may be made. `missing` folders are made for it. Close it after use."""

    def __init__(self, folder: Found, missing: Sequence[str], name: str) -> None:
        self.missing = tuple(missing)
        self._folder = folder
        self._name = name

    @property
    def root(self) -> Path:
        """The root that it is beneath."""
        return self._folder.root

    @property
    def parts(self) -> tuple[str, ...]:
        """The names that lead to it from the root."""
        return (*self._folder.parts, *self.missing, self._name)

    @property
    def path(self) -> Path:
        """Its own path, which has no link in it."""
        return self.root.joinpath(*self.parts)

    @property
    def shown(self) -> str:
        """Its path in a form that can be given again."""
        return self._folder.path_of("/".join((*self.missing, self._name)))

    def state(self) -> State | None:
        """The file that is there now; None without one. Raises `ToolFailure`."""
        if self.missing:
            return None
        try:
            found = self._folder.open(self._name)
        except ToolFailure as error:
            if error.code == "not_found":
                return None
            raise
        with found, _failures(self.shown):
            if found.kind != "file":
                raise ToolFailure(f"{self.shown} is a folder, not a file", code="unsuitable")
            with open(found.descriptor, "rb", closefd=False) as file:
                data = file.read(MOST_BYTES + 1)
            if len(data) > MOST_BYTES:
                raise ToolFailure(
                    f"{self.shown} is too large to be changed: the limit is {MOST_BYTES:,} bytes",
                    code="too_large",
                )
            return State(data, found.status, _attributes(found.descriptor))

    def write(
        self, data: bytes, before: State | None, *, fresh: str, manner: Manner | None = None
    ) -> None:
        """Write a file with these bytes; `before` is what `state` has found there.

        It gets this manner, or else that of the old file. `fresh` is its temporary name
        (`fresh_name`).
        """
        manner = manner or (before.manner if before else None)
        with ExitStack() as opened, _failures(self.shown):
            folder = self._made(opened).descriptor
            if before is not None:
                os.close(os.open(self._name, _CHECK, dir_fd=folder))
            descriptor = os.open(fresh, _NEW, 0o666 if manner is None else 0o600, dir_fd=folder)
            opened.callback(_unlink, fresh, folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                if manner is not None:
                    _dress(descriptor, manner)
                for name, value in (before.attributes if before else {}).items():
                    with contextlib.suppress(OSError):
                        os.setxattr(descriptor, name, value)
                os.fsync(descriptor)
            self._check(before, folder)
            if before is not None:
                os.rename(fresh, self._name, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                self._put(fresh, folder)
            _sync(folder)

    def remove(self, before: State) -> None:
        """Remove the file that `state` has found. Raises `ToolFailure`."""
        with _failures(self.shown):
            self._check(before, self._folder.descriptor)
            os.unlink(self._name, dir_fd=self._folder.descriptor)

    def remove_folders(self, count: int) -> None:
        """Remove up to `count` folders above it, the innermost first, while they are empty."""
        with contextlib.suppress(OSError):  # this one is not empty
            for folder in [it for it in self.path.parents[:count] if it.exists()]:
                folder.rmdir()

    def remove_fresh(self, fresh: str) -> None:
        """Remove what a killed process has left beside the file."""
        if fresh.startswith(FRESH) and "/" not in fresh and not self.missing:
            _unlink(fresh, self._folder.descriptor)

    def close(self) -> None:
        """Let go of it. Idempotent."""
        self._folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _made(self, opened: ExitStack) -> Found:
        """The folder of the file, open, and made if it was missing."""
        folder = self._folder
        for name in self.missing:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=folder.descriptor)
            folder = opened.enter_context(folder.open(name))
            if folder.kind != "folder":
                raise ToolFailure(f"{folder.shown} is a file, not a folder", code="unsuitable")
        return folder

    def _check(self, before: State | None, folder: int) -> None:
        """Raises `ToolFailure` if the file is not what it was."""
        mark = None
        with contextlib.suppress(FileNotFoundError):
            mark = _mark(os.stat(self._name, dir_fd=folder, follow_symlinks=False))
        if mark != (before.mark if before else None):
            raise changed(f"{self.shown} was just changed by somebody else, and is left alone")

    def _put(self, fresh: str, folder: int) -> None:
        """Give the new file its name, unless that is taken."""
        try:
            try:
                os.link(fresh, self._name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                os.close(os.open(self._name, _NEW, 0o600, dir_fd=folder))  # from here it is ours
                os.rename(fresh, self._name, src_dir_fd=folder, dst_dir_fd=folder)
        except FileExistsError:
            words = f"{self.shown} was just made by somebody else, and is left alone"
            raise changed(words) from None


def fresh_name() -> str:
    """A name that nobody can guess."""
    return f"{FRESH}{os.urandom(8).hex()}"


def changed(words: str) -> ToolFailure:
    """The failure of a call whose file is not what it was."""
    return ToolFailure(words, code="changed")


def place(roots: Roots, path: str) -> Place:
    """Where the file of this path is, or may be made. Raises `ToolFailure`.

    A missing file gets a place in the nearest folder on its way that exists: with several roots,
    in the first root that has it.
    """
    try:
        found = roots.find(path)
    except ToolFailure as error:
        if error.code != "not_found":
            raise
        made = _to_be_made(roots, path, error)
    else:
        with found:
            if found.kind != "file":
                raise ToolFailure(f"{found.shown} is a folder, not a file", code="unsuitable")
            made = Place(roots.folder(str(found.path.parent)), (), found.parts[-1])
    try:
        _check_names(made)
    except BaseException:
        made.close()
        raise
    return made


def _to_be_made(roots: Roots, path: str, why: ToolFailure) -> Place:
    """The place of a missing file, in the nearest folder on its way that exists."""
    *above, name = path.split("/")
    if name in {"", ".", ".."}:
        raise why
    if "\0" in path or not _is_name(path):  # what comes after a missing folder was not checked
        raise ToolFailure(f"{encodable(bounded(path))!r} is not a path", code="unsuitable")
    missing: list[str] = []
    while True:
        try:
            folder = roots.find("/".join(above) or ("/" if PurePath(path).is_absolute() else "."))
            break
        except ToolFailure as error:
            if error.code != "not_found" or not above:
                raise
            missing.insert(0, above.pop())
    missing = [it for it in missing if it not in {"", "."}]
    made = Place(folder, missing, name)
    try:
        if _goes_above(len(folder.parts), missing):
            raise outside(path)
        if folder.kind != "folder" or ".." in missing:
            raise why
        if _is_there(folder, made.parts[len(folder.parts)]):
            raise ToolFailure(f"{made.shown} is a link that leads nowhere", code="unsuitable")
    except BaseException:
        made.close()
        raise
    return made


def _goes_above(depth: int, names: Sequence[str]) -> bool:
    """Whether these names lead above the root, from a folder that is so many names below it."""
    for name in names:
        depth += -1 if name == ".." else 1
        if depth < 0:
            return True
    return False


def _is_name(text: str) -> bool:
    """Whether the system has bytes for this text; it has none for half of a character."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def _is_there(folder: Found, name: str) -> bool:
    try:
        folder.look(name)
    except ToolFailure as error:
        if error.code == "not_found":
            return False
        raise
    return True


def _check_names(made: Place) -> None:
    parts = made.parts
    if on_way_to_keys(parts):
        raise off_limits(made.shown)
    if any(it.lower() == ".git" for it in parts):
        raise ToolFailure(f"{made.shown} belongs to Git, and is not written", code="private")


def _mark(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _dress(descriptor: int, manner: Manner) -> None:
    """Give a new file this manner.

    If it cannot be given the group (only root and members can do that), the group gets no rights:
    the mode was meant for another group.
    """
    mode = manner.mode
    for owner in (manner.user, -1):  # only root may give a file away
        with contextlib.suppress(OSError):
            os.fchown(descriptor, owner, manner.group)
            break
    if os.fstat(descriptor).st_gid != manner.group:
        mode &= ~0o070
    os.fchmod(descriptor, mode)


def _sync(folder: int) -> None:
    """Put the names of an open folder on the disk, where the file system does that."""
    with contextlib.suppress(OSError):
        listed = os.open(".", os.O_RDONLY, dir_fd=folder)  # the other one may be for passing only
        try:
            os.fsync(listed)
        finally:
            os.close(listed)


def _attributes(descriptor: int) -> dict[str, bytes]:
    """The extended attributes that a user has given a file: their own, and access lists."""
    found: dict[str, bytes] = {}
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):  # a file system without them
            for name in os.listxattr(descriptor):
                if name.startswith(("user.", "system.posix_acl")):
                    found[name] = os.getxattr(descriptor, name)
    return found


def _unlink(name: str, folder: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)


@contextlib.contextmanager
def _failures(path: str) -> Iterator[None]:
    """What the system says about this path, as a sentence."""
    try:
        yield
    except PermissionError:
        words = f"{encodable(bounded(path))} may not be written by this user"
        raise ToolFailure(words, code="private") from None
    except OSError as error:
        words = f"{encodable(bounded(path))} cannot be written: {error.strerror or error}"
        raise ToolFailure(words) from None
