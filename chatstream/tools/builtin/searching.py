"""`grep`: the lines of files that match a regular expression.

1. The files of a folder are counted and then searched, in the order of their paths. Links are not
   followed, and neither are the folders that machines fill (`SKIPPED`).
2. What is found is shown as it is found, and all of it is the result: at most `MOST_MATCHES`
   matches, and so many characters as a model is given.
3. Each file is searched by the process of `matching`. It dies with the call, and a pattern that
   takes too long kills it.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec

from chatstream.clock import POLL_SECONDS
from chatstream.tools.builtin import matching
from chatstream.tools.builtin.base import MOST_CHARACTERS, Arguments, Reading
from chatstream.tools.builtin.files import SKIPPED
from chatstream.tools.builtin.globs import Wanted, wanted
from chatstream.tools.builtin.matching import FILES_AT_ONCE, Report, Search
from chatstream.tools.roots import Found
from chatstream.tools.tool import Context, InvalidArguments, ToolFailure
from chatstream.wording import counted, encodable

MOST_MATCHES = 300

_SECONDS = 5.0  # of computing on one MiB; what is quick takes a hundredth of a second
_MOST_LEVELS = 64  # of folders; each is an open descriptor


class GrepArguments(Arguments, frozen=True, kw_only=True):
    """Of `grep`."""

    pattern: Annotated[
        str,
        msgspec.Meta(
            min_length=1, max_length=1000, description="A regular expression, as in Python."
        ),
    ]
    path: Annotated[
        str, msgspec.Meta(description="The file or folder to search.", min_length=1)
    ] = "."
    glob: Annotated[
        Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | msgspec.UnsetType,
        msgspec.Meta(description="Search only these files: *.py, src/**/*.ts, *.{js,jsx}"),
    ] = msgspec.UNSET
    ignore_case: Annotated[
        bool, msgspec.Meta(description="Whether upper and lower case are the same.")
    ] = False
    context: Annotated[
        int, msgspec.Meta(ge=0, le=10, description="Lines to show around each match.")
    ] = 0


class Grep(Reading[GrepArguments]):
    """`grep`."""

    called = "grep"
    description = (
        "Search text files for lines that match a regular expression, in a file or in a folder "
        "and all folders below it. Each match is shown as path:line number:line. Binary files, "
        ".git, node_modules and the like are skipped."
    )
    arguments = GrepArguments

    def work(self, given: GrepArguments, context: Context) -> str:
        try:
            is_wanted = wanted(None if given.glob is msgspec.UNSET else given.glob)
        except ValueError as error:
            raise InvalidArguments(str(error)) from None
        with self.roots.find(given.path) as found, _Matcher(given, context) as matcher:
            search = _Searched(matcher, context, given.context)
            if found.kind == "file":
                search.these([found], 1)
                return search.summary()
            context.stages([("find the files", 1), ("search", 9)])
            total = sum(1 for _ in _files(found, is_wanted, context))
            context.next_stage()
            files = _opened(_files(found, is_wanted, context))
            while not search.is_full and (batch := list(islice(files, FILES_AT_ONCE))):
                try:
                    search.these(batch, total)
                finally:
                    for file in batch:
                        file.close()
            return search.summary()


def _files(
    folder: Found, is_wanted: Wanted, context: Context, above: tuple[str, ...] = ()
) -> Iterator[tuple[Found, str]]:
    """The files in a folder and below it that are wanted: the open folder, and the name."""
    try:
        entries = sorted(folder.entries())
    except ToolFailure:  # it may not be listed
        return
    for name, kind in entries:
        context.token.check()
        if folder.holds_keys(name):
            continue
        if kind == "file" and is_wanted((*above, name)):
            yield folder, name
        elif kind == "folder" and name not in SKIPPED and len(above) < _MOST_LEVELS:
            with contextlib.suppress(ToolFailure), folder.open(name) as below:
                yield from _files(below, is_wanted, context, (*above, name))


def _opened(files: Iterator[tuple[Found, str]]) -> Iterator[Found]:
    """These files, open; what has gone away, or may not be read, is left out."""
    for folder, name in files:
        with contextlib.suppress(ToolFailure):
            yield folder.open(name)


class _Searched:
    """What was found so far."""

    def __init__(self, matcher: _Matcher, context: Context, around: int) -> None:
        self.files = 0
        self._matcher = matcher
        self._context = context
        self._around = around
        self._matches = self._with_matches = self._binary = self._size = 0
        self._is_cut = False

    @property
    def is_full(self) -> bool:
        """Whether no more is shown."""
        return self._is_cut or self._matches >= MOST_MATCHES or self._size >= MOST_CHARACTERS

    def these(self, files: Sequence[Found], total: int) -> None:
        """Search some files, of so many in all, and show what is found in them."""
        reports = self._matcher.search(files, MOST_MATCHES - self._matches)
        for file in files:
            if self.is_full:
                return
            self._context.progress(self.files, total, file.shown)
            self._show(file, next(reports))
            self.files += 1

    def _show(self, file: Found, report: Report) -> None:
        self._binary += report.get("binary", False)
        self._is_cut = report.get("more", False)
        lines = report.get("lines") or []
        if not lines:
            return
        shown = []
        last = lines[0][0] - 1
        matched = 0
        for number, is_match, text in lines:
            if number != last + 1 and self._around:
                shown.append("--")
            last = number
            mark = ":" if is_match else "-"
            line = f"{file.shown}{mark}{number}{mark}{encodable(text)}"
            self._size += len(line.encode()) + 1
            if self._size > MOST_CHARACTERS and shown:
                self._is_cut = True
                break
            matched += is_match
            shown.append(line)
        self._matches += matched
        self._with_matches += 1
        self._context.output("\n".join(shown) + "\n")

    def summary(self) -> str:
        """The last line of the result."""
        files = counted(self.files, "file", commas=True)
        binary = f", {counted(self._binary, 'binary file')} skipped" if self._binary else ""
        if not self._matches:
            return f"[no match in {files}{binary}]"
        matches = f"{self._matches} {'match' if self._matches == 1 else 'matches'}"
        if self._is_cut or self.is_full:
            return f"[stopped after {matches}: narrow the pattern, the path or the glob]"
        return f"[{matches} in {self._with_matches} of {files}{binary}]"


class _Matcher:
    """The process that searches, from `with` to its end."""

    def __init__(self, given: GrepArguments, context: Context) -> None:
        self._given = given
        self._context = context
        self._received = b""

    def __enter__(self) -> _Matcher:
        import subprocess  # not for the other tools

        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(POLL_SECONDS)
        command = [sys.executable, "-I", "-S", str(Path(matching.__file__))]
        try:
            with theirs:
                self._process = subprocess.Popen(
                    command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={},
                    cwd="/",
                    start_new_session=True,  # Ctrl+C is for us, and we end it
                )
        except OSError as error:
            self._channel.close()
            raise ToolFailure(f"grep cannot start its process: {error}") from None
        search: Search = {
            "pattern": self._given.pattern,
            "ignore_case": self._given.ignore_case,
            "context": self._given.context,
            "seconds": _SECONDS,
        }
        try:
            self._send(json.dumps(search).encode() + b"\n")
            if wrong := self._report("the pattern itself").get("error"):
                raise InvalidArguments(f"the pattern is not a valid regular expression: {wrong}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def search(self, files: Sequence[Found], most: int) -> Iterator[Report]:
        """What is found in each of these files, which are `FILES_AT_ONCE` at most."""
        with contextlib.suppress(BrokenPipeError):  # the report says so
            descriptors = [it.descriptor for it in files]
            socket.send_fds(self._channel, [most.to_bytes(2, "big")], descriptors)
        for file in files:
            yield self._report(file.shown)

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._channel.sendall(data)

    def _report(self, where: str) -> Report:
        """The next report. Raises `ToolFailure`, or the reason if the call is to stop."""
        while b"\n" not in self._received:
            self._context.token.check()
            try:
                data = self._channel.recv(1024 * 1024)
            except TimeoutError:
                continue
            except ConnectionError:
                data = b""
            if not data:
                words = f"the pattern takes too long in {where}; avoid repeats inside of repeats"
                raise ToolFailure(words, code="too_slow")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        report: Report = json.loads(line)
        return report
