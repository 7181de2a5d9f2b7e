"""The question, put together from the command line, standard input, files and pages on the web.

1. The prompt comes first, then what was piped in, then each file under its name, between fences
   that are longer than any in it. `-` is standard input, as the prompt or as a file; then it stands
   there and nowhere else.
2. Standard input is read to its end, unless it is a terminal and was not named. If nothing comes
   for a while, a note says once that we are waiting.
3. Standard input that cannot be read (`nohup` leaves one) counts as empty beside a question.
4. A file whose name is an address (http, https) is fetched. A PDF, recognised by its bytes, is sent
   as its text, wherever it comes from.
5. `MAX_BYTES` limits everything that is read together, and reading stops there.
"""

from __future__ import annotations

import os
import re
import select
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chatstream.addresses import is_url
from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS, Clock, Deadline, monotonic
from chatstream.engine.settings import Settings
from chatstream.errors import UsageError
from chatstream.files import named
from chatstream.messages import Message
from chatstream.redact import mask_address
from chatstream.sinks.notes import standard_error
from chatstream.text import STANDARD_INPUT, argument, check_encoding, decoded
from chatstream.wording import encodable

if TYPE_CHECKING:
    from chatstream.engine.resolve import Resolved

MAX_BYTES = 64 * 1024 * 1024
"""Bytes of a question with all that is fed to it: far beyond what any model takes."""

NOTICE_SECONDS = 2.0
"""Seconds of silence before we say what we are waiting for."""

PDF = b"%PDF-"
"""The first bytes of a PDF."""

_PROGRESS_SECONDS = 0.5  # that a fetch takes before it is shown

_SETTINGS = Settings()

_NAMES = {"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}
_STDIN = "standard input"

Tell = Callable[[str], None]


def _tell(line: str) -> None:
    standard_error().write(f"{line}\n".encode())


def message_of(
    prompt: str | None,
    files: Sequence[str],
    images: Sequence[str],
    token: CancelToken,
    resolved: Resolved,
    *,
    encoding: str | None,
    use_stdin: bool,
) -> Message:
    """The question with its images, in the words of the role if there is one.

    Raises what `compose` raises, and `UsageError` for an image that cannot be sent.
    """
    if encoding is not None:
        check_encoding(encoding)
    settings = resolved.settings
    question = compose(
        prompt, files, token, encoding=encoding, use_stdin=use_stdin, settings=settings
    )
    if resolved.role is not None:
        question = resolved.role.asked(question)
    if not images:
        return Message("user", question)
    from chatstream.engine.attaching import with_images

    return with_images(question, images, token, keep=settings.journal)


def compose(
    prompt: str | None,
    files: Sequence[str],
    token: CancelToken,
    *,
    encoding: str | None = None,
    use_stdin: bool = True,
    settings: Settings = _SETTINGS,
    tell: Tell = _tell,
    clock: Clock = monotonic,
) -> str:
    """The whole question.

    `files` are names of files, and addresses. `encoding` is that of standard input and the files.
    `use_stdin`: standard input is read even if it is not named. `settings` say how pages are
    fetched. Raises `UsageError` without a question, and for input that cannot be read or is not
    text; a `ChatstreamError` for a page that cannot be fetched.
    """
    piped = [name for name in files if _is_stdin(name)]
    uses = [*([STANDARD_INPUT] if prompt == STANDARD_INPUT else []), *(f"-f {it}" for it in piped)]
    if len(uses) > 1:
        raise UsageError(
            f"standard input can be read only once, but it is given as {' and '.join(uses)}"
        )
    if uses and not use_stdin:
        raise UsageError(f"--no-stdin contradicts {uses[0]}")
    feed = _Feed(token, encoding, settings, tell, clock)
    if prompt == STANDARD_INPUT:
        parts = [feed.stdin().strip("\n")]
    else:
        parts = [argument(prompt, "the question", encoding) if prompt else ""]
        if use_stdin and not piped:
            asked = bool(files or parts[0].strip())
            parts.append(feed.piped(asked=asked).strip("\n"))
    for name in files:
        if is_url(name):
            parts.append(_fenced(*feed.page(name)))
        else:
            text = feed.stdin() if name in piped else feed.file(named(name))
            parts.append(_fenced(_STDIN if name == STANDARD_INPUT else name, text))
    question = "\n\n".join(part for part in parts if part.strip())
    if not question:
        raise NoQuestion
    return question


class NoQuestion(UsageError):
    """Nothing was given."""

    hint = 'chatstream ask "why is the sky blue?"'

    def __init__(self) -> None:
        super().__init__("no question was given")


class _Feed:
    """What is read for one question."""

    def __init__(
        self,
        token: CancelToken,
        encoding: str | None,
        settings: Settings,
        tell: Tell,
        clock: Clock,
    ) -> None:
        self._token = token
        self._encoding = encoding
        self._settings = settings
        self._tell = tell
        self._clock = clock
        self._left = MAX_BYTES

    def file(self, path: Path) -> str:
        """The text of a file, without line ends at its end."""

        def read() -> bytes:
            with path.open("rb") as file:
                return file.read(self._left + 1)

        name = encodable(str(path))
        try:  # a FIFO may have no writer yet
            data = self._token.wait_for(read)
        except OSError as error:
            raise UsageError(f"{name} cannot be read: {error.strerror}") from error
        return self._text(data, name)

    def page(self, address: str) -> tuple[str, str]:
        """The name of a page, which is its address without secrets, and its text."""
        from chatstream.engine.fetching import page, text_in

        with self._progress(f"fetching {mask_address(address)}") as report:
            found = page(address, self._settings, self._token, most=self._left, report=report)
        if found.data.startswith(PDF):
            return found.name, self._text(found.data, found.name)
        self._count(found.data, found.name)
        return found.name, text_in(found, self._encoding, self._token)

    def piped(self, *, asked: bool) -> str:
        """What stands on standard input that nobody has named; `asked`: there is a question."""
        if sys.stdin is None or sys.stdin.isatty():
            return ""
        try:
            return self._text(self._all(", --no-stdin ignores it" if asked else ""), _STDIN)
        except _Unreadable as error:
            if asked:
                return ""
            raise UsageError(f"no question was given, and {error.message}") from error

    def stdin(self) -> str:
        """What stands on standard input, even if it is a terminal."""
        if sys.stdin is None:
            raise UsageError(f"{_STDIN} is closed")
        return self._text(self._all(""), _STDIN)

    def _all(self, way_out: str) -> bytearray:
        """Standard input to its end, or to the limit.

        It waits in slices: Python restarts a read that Ctrl+C interrupts.
        """
        descriptor, data = sys.stdin.fileno(), bytearray()
        patience, told = Deadline(NOTICE_SECONDS, self._clock), False
        try:
            while len(data) <= self._left:
                self._token.check()
                if os.name == "posix" and not select.select([descriptor], [], [], POLL_SECONDS)[0]:
                    if not told and patience.passed:
                        told = True
                        self._tell(f"waiting for {_STDIN}; Ctrl+D ends it{way_out}")
                    continue
                try:
                    part = os.read(descriptor, 65536)
                except BlockingIOError:  # another reader was faster
                    continue
                if not part:
                    break
                data += part
                patience = Deadline(NOTICE_SECONDS, self._clock)
        except OSError as error:
            kind = UsageError if data else _Unreadable
            raise kind(f"{_STDIN} cannot be read: {error.strerror}") from error
        return data

    def _text(self, data: bytes | bytearray, name: str) -> str:
        if data.startswith(PDF):
            return self._pdf(bytes(data), name)
        self._count(data, name)
        return decoded(bytes(data), name, self._encoding).rstrip("\n")

    def _pdf(self, data: bytes, name: str) -> str:
        from chatstream.engine.pdf import text_of

        left = self._left
        self._count(data, name)
        with self._progress(f"reading {name}") as report:
            text = self._token.wait_for(lambda: text_of(data, name, report, self._token))
        self._left = left
        self._count(text.encode(), name)
        return text

    def _count(self, data: bytes | bytearray, name: str) -> None:
        """Count the bytes of one more input. Raises `UsageError` if the total is too large."""
        if len(data) > self._left:
            what = name if self._left == MAX_BYTES else "the question with all its files"
            raise UsageError(f"{what} is larger than the limit of {MAX_BYTES // 1024**2} MiB")
        self._left -= len(data)

    @contextmanager
    def _progress(self, stage: str) -> Iterator[Callable[[float, float | None], None]]:
        """Shows the progress of this stage on a terminal, once it has taken a while."""
        from chatstream.progressing import Meter
        from chatstream.terminal.progress import bar

        meter = Meter([(stage, 1)], self._clock)
        quiet = self._settings.accessible
        with bar(quiet=quiet, patience=_PROGRESS_SECONDS, clock=self._clock) as draw:

            def report(done: float, total: float | None) -> None:
                meter.report(done, total)
                draw(meter.event())

            yield report


class _Unreadable(UsageError):
    """Nothing at all could be read."""


def _is_stdin(name: str) -> bool:
    """Whether this is a name of standard input, or the pipe that it is.

    A regular file is opened by its name even then: standard input may be in the middle of it.
    """
    if name == STANDARD_INPUT or name in _NAMES:
        return True
    try:
        status = Path(name).stat()
        is_pipe = stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)
        return is_pipe and os.path.samestat(status, os.fstat(sys.stdin.fileno()))
    except (OSError, ValueError, AttributeError):  # there is no such file, or no standard input
        return False


def _on_a_line(name: str) -> str:
    """The name of a file on one line, that begins no fence."""
    name = "".join(
        it if it.isprintable() else it.encode("unicode_escape").decode() for it in encodable(name)
    )
    return f"./{name}" if name.lstrip().startswith(("```", "~~~")) else name


def _fenced(name: str, text: str) -> str:
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{_on_a_line(name)}:\n{fence}\n{text}\n{fence}"
