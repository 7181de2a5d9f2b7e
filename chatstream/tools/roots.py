"""The folders that a tool may look into, and nothing outside of them.

1. A path is relative to a root, or absolute and beneath one. With several roots a relative path
   belongs to the first root that has it.
2. A path without links is opened by the kernel in one step, beneath the root (`beneath`). Any other
   path, and every path where the kernel cannot do that, is walked: each component is looked up in
   the open folder before it, and the system never follows a link: we read where it leads, and go
   there by the same rules. So neither `..` nor a link of any kind leads out of a root, even while
   somebody renames folders. Both ways lead to the same file, or to the same failure.
3. Every name on the way is checked, including those that a link leads to. Names that keys are kept
   under (`secrets`) are refused, and so are the `closed` folders and files, which are our own.
4. Only regular files are opened. FIFOs, devices and sockets are refused, and never waited for.

Failures are `ToolFailure`s, one sentence each. A root that is not a folder is a `UsageError`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Literal, Self

from chatstream.errors import UsageError
from chatstream.nearest import did_you_mean
from chatstream.tools.beneath import open_beneath
from chatstream.tools.secrets import holds_keys, off_limits, on_way_to_keys
from chatstream.tools.tool import ToolFailure
from chatstream.wording import bounded, encodable

MOST_LINKS = 40
"""Links on the way to one file, as in the kernel."""

Kind = Literal["file", "folder", "link", "other"]

_MOST_NAMES = 2000  # names of a folder among which a mistyped one is looked for
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = getattr(os, "O_DIRECTORY", 0) | _NO_FOLLOW
_LOOK = getattr(os, "O_PATH", 0) | _NO_FOLLOW  # opens nothing, so a device is not touched
_PASS = _FOLDER | getattr(os, "O_PATH", os.O_RDONLY)  # O_PATH needs no right to list the folder
# A FIFO that takes the place of the file in the last instant must not block.
_FILE = os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


class Roots:
    """These folders. Raises `UsageError` if one is not a folder, or lies in a `closed` one."""

    def __init__(self, folders: Sequence[Path], closed: Sequence[Path] = ()) -> None:
        if os.open not in os.supports_dir_fd:
            raise UsageError("the built-in tools cannot read files on this system")
        self._given = [Path.cwd() / it for it in folders]  # as a model may have been told of it
        self.folders = [Path(os.path.realpath(it)) for it in folders]
        self._closed = [Path(os.path.realpath(it)) for it in closed]
        for given, real in zip(folders, self.folders, strict=True):
            if not real.is_dir():
                raise UsageError(f"the root {given} is not a folder", hint="check --root")
            if any(real.is_relative_to(it) for it in self._closed):
                raise UsageError(
                    f"the root {given} is chatstream's own folder", hint="check --root"
                )

    def find(self, path: str) -> Found:
        """The file or folder of this path, open. Raises `ToolFailure`."""
        failure: ToolFailure | None = None
        for number, parts in self._places(path):
            try:
                return self._at_once(number, parts) or self._walk(number, parts, path)
            except ToolFailure as error:
                if error.code != "not_found":
                    raise
                failure = failure or error
        raise failure or outside(path)

    def file(self, path: str) -> Found:
        """The same, and it is a file."""
        found = self.find(path)
        if found.kind != "file":
            found.close()
            raise ToolFailure(f"{found.shown} is a folder, not a file", code="unsuitable")
        return found

    def folder(self, path: str) -> Found:
        """The same, and it is a folder."""
        found = self.find(path)
        if found.kind != "folder":
            found.close()
            raise ToolFailure(f"{found.shown} is a file, not a folder", code="unsuitable")
        return found

    def _places(self, path: str) -> Iterator[tuple[int, Sequence[str]]]:
        """Where a path may be: the number of a root, and the names from there."""
        if not PurePath(path).is_absolute():
            yield from ((number, path.split("/")) for number in range(len(self.folders)))
            return
        for number in range(len(self.folders)):
            if (parts := self._below(number, path)) is not None:
                yield number, parts

    def _below(self, number: int, path: str) -> Sequence[str] | None:
        """The names that lead from a root to an absolute path; None if it is not below it."""
        for root in (self._given[number], self.folders[number]):
            if PurePath(path).is_relative_to(root):
                return PurePath(path).parts[len(root.parts) :]
        return None

    def _at_once(self, number: int, parts: Sequence[str]) -> Found | None:
        """What the kernel opens in one step; None for any other path, which is then walked.

        Without `..` and links, the names on the way are those of the path. The folders above are
        looked at from below: whatever is renamed in the meantime, they hold what was opened.
        """
        names = tuple(it for it in parts if it not in {"", "."})
        if ".." in names or on_way_to_keys(names):
            return None
        with contextlib.ExitStack() as opened, contextlib.suppress(OSError, ValueError):
            root = _kept(opened, os.open(self.folders[number], _PASS))
            status = os.fstat(_kept(opened, open_beneath(root, "/".join(names) or ".", _LOOK)))
            is_folder = stat.S_ISDIR(status.st_mode)
            if not (is_folder or stat.S_ISREG(status.st_mode)) or self._is_closed(status):
                return None
            if not is_folder and parts[-1] != names[-1]:  # "file/", "file/."
                return None
            folders = names if is_folder else names[:-1]
            folder = _kept(opened, open_beneath(root, "/".join(folders) or ".", _PASS))
            if self._closed and self._is_below_closed(folder, os.fstat(root), opened):
                return None
            place, flags = (".", _PASS) if is_folder else (names[-1], _FILE)
            descriptor = open_beneath(folder, place, flags)
            if os.path.samestat(os.fstat(descriptor), status):
                return Found(self, descriptor, status, names, number)
            os.close(descriptor)  # another has taken its place
        return None

    def _is_below_closed(
        self, folder: int, root: os.stat_result, opened: contextlib.ExitStack
    ) -> bool:
        """Whether an open folder, or one above it up to the root, is a closed one.

        A folder that was moved out of the root in the meantime counts as closed: the root is not
        found above it.
        """
        while not os.path.samestat(status := os.fstat(folder), root):
            folder = _kept(opened, os.open("..", _PASS, dir_fd=folder))
            if self._is_closed(status) or os.path.samestat(status, os.fstat(folder)):
                return True
        return False

    def _walk(self, number: int, parts: Sequence[str], path: str) -> Found:
        todo = deque(parts)
        names: list[str] = []
        way: list[int] = []  # the open folders: the root, and one for each name
        links = 0
        with _failures(path), contextlib.ExitStack() as cleanup:
            cleanup.callback(_close_all, way)
            way.append(os.open(self.folders[number], _PASS))
            status = os.fstat(way[0])
            while todo:
                name = todo.popleft()
                if name in {"", "."}:
                    continue
                if name == "..":
                    if not names:
                        raise outside(path)
                    names.pop()
                    os.close(way.pop())
                    status = os.fstat(way[-1])
                    continue
                found = self._step(way[-1], (*names, name), path)
                if isinstance(found, str):
                    links += 1
                    if links > MOST_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                    target: Sequence[str] | None = found.split("/")
                    if PurePath(found).is_absolute():
                        target = self._below(number, found)
                        if target is None:
                            raise outside(path)
                        while names:
                            names.pop()
                            os.close(way.pop())
                    todo.extendleft(reversed(target or ()))
                    continue
                descriptor, status = found
                names.append(name)
                way.append(descriptor)
                if todo and not stat.S_ISDIR(status.st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, "")
            return Found(self, way.pop(), status, tuple(names), number)

    def _step(
        self, folder: int, parts: Sequence[str], path: str
    ) -> tuple[int, os.stat_result] | str:
        """What the last name is, in this open folder: it is opened, or it is a link to this."""
        name = parts[-1]
        if holds_keys(parts):
            raise off_limits(_short(path))
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            raise _missing(path, name, folder) from None
        if stat.S_ISLNK(status.st_mode):
            return os.readlink(name, dir_fd=folder)
        if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
            raise _irregular(path)
        descriptor = os.open(name, _PASS if stat.S_ISDIR(status.st_mode) else _FILE, dir_fd=folder)
        try:
            status = os.fstat(descriptor)  # another may have taken its place
            if self._is_closed(status):
                raise off_limits(_short(path))
            if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
                raise _irregular(path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, status

    def _is_closed(self, status: os.stat_result) -> bool:
        for closed in self._closed:
            with contextlib.suppress(OSError):  # it need not be there
                if os.path.samestat(closed.stat(), status):
                    return True
        return False


class Found:
    """A file or a folder that is open, to be closed. A file can be read by its `descriptor`.

    `parts` are the names from its `root`, and `shown` is its path in a form that can be given
    again.
    """

    def __init__(
        self,
        roots: Roots,
        descriptor: int,
        status: os.stat_result,
        parts: tuple[str, ...],
        number: int,
    ) -> None:
        self.descriptor = descriptor
        self.status = status
        self.parts = parts
        self.kind: Kind = "folder" if stat.S_ISDIR(status.st_mode) else "file"
        self.root = roots.folders[number]
        self._roots = roots
        self._number = number
        self._base = str(self.root) if number else ""

    @property
    def path(self) -> Path:
        """Its own path, which has no link in it."""
        return self.root.joinpath(*self.parts)

    @property
    def shown(self) -> str:
        """Its path."""
        return self.path_of("")

    def path_of(self, name: str) -> str:
        """The path of what has this name in this folder."""
        return encodable("/".join(filter(None, (self._base, *self.parts, name)))) or "."

    def holds_keys(self, name: str) -> bool:
        """Whether what has this name in this folder is refused."""
        return holds_keys((*self.parts, name))

    def entries(self) -> Iterator[tuple[str, Kind]]:
        """The names in this folder, in no order, and what they are. Raises `ToolFailure`."""
        with _failures(self.shown):
            listed = os.open(".", os.O_RDONLY | _FOLDER, dir_fd=self.descriptor)
            try:
                with os.scandir(listed) as found:
                    for it in found:
                        yield it.name, _kind(it)
            finally:
                os.close(listed)

    def look(self, name: str) -> os.stat_result:
        """The status of what has this name in this folder, a link's own. Raises `ToolFailure`."""
        with _failures(self.path_of(name)):
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def target(self, name: str) -> str:
        """Where the link of this name leads. Raises `ToolFailure`."""
        with _failures(self.path_of(name)):
            return encodable(os.readlink(name, dir_fd=self.descriptor))

    def open(self, name: str) -> Found:
        """What has this name in this folder and is not a link. Raises `ToolFailure`."""
        path, parts = self.path_of(name), (*self.parts, name)
        with _failures(path):
            found = self._roots._step(self.descriptor, parts, path)
            if isinstance(found, str):
                raise ToolFailure(f"{path} is a link", code="unsuitable")
            return Found(self._roots, *found, parts, self._number)

    def close(self) -> None:
        """Let go of it. Idempotent."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _kind(entry: os.DirEntry[str]) -> Kind:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


def _kept(opened: contextlib.ExitStack, descriptor: int) -> int:
    """A descriptor that is closed with the others."""
    opened.callback(os.close, descriptor)
    return descriptor


def _close_all(descriptors: Sequence[int]) -> None:
    for it in descriptors:
        os.close(it)


@contextlib.contextmanager
def _failures(path: str) -> Iterator[None]:
    """What the system says about this path, as a sentence."""
    path = _short(path)
    try:
        yield
    except FileNotFoundError:
        raise ToolFailure(f"{path} does not exist", code="not_found") from None
    except NotADirectoryError:
        words = f"{path} does not exist, because a name on its way is a file"
        raise ToolFailure(words, code="not_found") from None
    except PermissionError:
        raise ToolFailure(f"{path} may not be read by this user", code="private") from None
    except OSError as error:
        raise ToolFailure(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError:  # a NUL character, or half of a character
        raise ToolFailure(f"{path!r} is not a path", code="unsuitable") from None


def _missing(path: str, name: str, folder: int) -> ToolFailure:
    words = f"{_short(path)} does not exist"
    names: list[str] = []
    with contextlib.suppress(OSError):
        listed = os.open(".", os.O_RDONLY | _FOLDER, dir_fd=folder)
        try:
            with os.scandir(listed) as found:
                names = [it.name for it, _ in zip(found, range(_MOST_NAMES), strict=False)]
        finally:
            os.close(listed)
    question = did_you_mean(name[:255], names)
    return ToolFailure(f"{words}; {question}" if question else words, code="not_found")


def outside(path: str) -> ToolFailure:
    """The failure of a path that leads out of the roots."""
    return ToolFailure(f"{_short(path)} is outside of the root folders", code="outside")


def _irregular(path: str) -> ToolFailure:
    return ToolFailure(f"{_short(path)} is neither a file nor a folder", code="unsuitable")


def _short(path: str) -> str:
    return encodable(bounded(path))
