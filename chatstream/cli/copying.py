"""What was answered, given away: `--copy`, `--copy-code`, `--copy-to`, `--save-code`.

1. `check` refuses what cannot work before anything is asked; `stage` gathers the answer; `finish`
   does what was asked for, when the answer has ended, whole or not. It says a line for each thing
   it did or could not do, and that the answer is not whole if it is not.
2. Text leaves as it was received, in UTF-8; half a character becomes "?". The clipboard gets it in
   base64 and a file is no terminal, so it drives nothing. A `--copy-to` that is a terminal gets it
   cleaned.
3. A terminal's clipboard is set by OSC 52. No terminal answers to that: we tell what was sent.
4. `--save-code` overwrites nothing, follows no link, and no name has a word of the model in it.
   `--copy-to` replaces a file whole or leaves it as it was; what is no regular file, and our own
   standard output, is written to.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from chatstream.accumulate import Accumulator
from chatstream.errors import ChatstreamError, UsageError
from chatstream.events import Done, Event, Metadata, Retry, Warn
from chatstream.flow import Burst, close
from chatstream.sinks.codeblocks import CodeBlock, code_blocks, extension_of
from chatstream.sinks.escape import clean
from chatstream.sinks.output import Output

Out = Callable[[str], None]
"""Prints a line for the user."""

SURE_BYTES = 74_994
"""Of text: 99,992 in base64, and a sequence of 100,000, which is what many terminals take."""

_SCREEN_PIECE = 240  # GNU screen takes strings of 768 bytes, before 4.2.1 of 512, once of 256
_TMUX_PATIENCE = 5.0  # seconds
_INSTEAD = "--copy-to FILE puts it into a file"


class Copying:
    """What to do with the answer to one question.

    `copy` copies the answer, `code` its code block of that number, from 1, or the last one for 0.
    The copy goes to the file `to`, or to the clipboard. All code blocks go into the folder `save`.
    """

    def __init__(
        self,
        copy: bool = False,
        code: int | None = None,
        to: Path | None = None,
        save: Path | None = None,
    ) -> None:
        self.copy = copy
        self.code = code
        self.to = to
        self.save = save
        self._answer = Accumulator()
        self._has_gaps = False

    @property
    def wanted(self) -> bool:
        """Whether any of it was asked for, so that there is something to check."""
        return self.copy or any(it is not None for it in (self.code, self.to, self.save))

    def check(self) -> None:
        """Raise `UsageError` for what cannot work. Makes the folder `save`."""
        if self.copy and self.code is not None:
            raise UsageError(
                "--copy and --copy-code exclude each other",
                hint="--copy takes the whole answer, --copy-code one of its code blocks",
            )
        if self.code is not None and self.code < 0:
            raise UsageError(
                f"--copy-code {self.code}: there is no such code block",
                hint="the first is 1; without a number it is the last",
            )
        if self.to is not None:
            if not self.copy and self.code is None:
                raise UsageError(
                    "--copy-to does not say what to copy",
                    hint="add --copy for the answer, or --copy-code for a code block",
                )
            with _failing(UsageError, f"--copy-to {self.to} cannot be written"):
                _check_file(self.to)
        if self.save is not None:
            with _failing(UsageError, f"--save-code {self.save} cannot be used"):
                self.save.mkdir(parents=True, exist_ok=True)
                _check_folder(self.save)

    def stage(self, events: Iterator[Event]) -> Iterator[Event]:
        """A stage that passes everything on and gathers the answer."""
        try:
            for event in events:
                if type(event) is Burst:
                    for content in event.contents:
                        self._answer.add(content)
                else:
                    self._gather(event)
                yield event
        finally:
            close(events)

    def finish(self, out: Out) -> bool:
        """Do what was asked for. False if any of it could not be done."""
        text = self._answer.message.content
        if not text:
            out("there is no answer to copy")
            return False
        tasks: list[Callable[[str, Out], None]] = []
        if self.copy or self.code is not None:
            tasks.append(self._copy)
        if self.save is not None:
            tasks.append(self._save)
        ok = True
        for task in tasks:
            try:
                task(text, out)
            except ChatstreamError as error:
                out(error.message)
                ok = False
        if self._has_gaps or not isinstance(self._answer.terminal, Done):
            out("careful: the answer is not whole")
        return ok

    def _gather(self, event: Event) -> None:
        self._answer.add(event)
        match event:
            case Warn(code="dropped"):  # by a sliding buffer, which stands before us
                self._has_gaps = True
            case Metadata(restart=True) | Retry(action="reset"):
                self._has_gaps = False

    def _copy(self, text: str, out: Out) -> None:
        if self.code is not None:
            text = _block(code_blocks(text), self.code).code
        amount = _count(len(text), "character")
        if self.to is not None:
            with _failing(ChatstreamError, f"{self.to} cannot be written"):
                _write(self.to, text)
            out(f"wrote {amount} to {self.to}")
            return
        data = _bytes(text)
        with _failing(ChatstreamError, "the terminal cannot be written"):
            place = _to_clipboard(data)
        out(f"sent {amount} to {place}")
        # It is sent whatever its length: most terminals take megabytes, and whoever asks for a copy
        # is not helped by none. Only a terminal that takes less cannot tell, so we do.
        if len(data) > SURE_BYTES:
            out("some terminals take less than that; if it did not arrive, use --copy-to FILE")

    def _save(self, text: str, out: Out) -> None:
        assert self.save is not None
        for number, block in enumerate(_some(code_blocks(text)), 1):
            ending = extension_of(block.language)
            name = f"code-{number}"
            with _failing(ChatstreamError, f"{name}{ending} cannot be saved in {self.save}"):
                path = _write_new(self.save, name, ending, _bytes(block.code))
            taken = path.name != name + ending
            out(f"saved {path}" + (f" ({name}{ending} was there already)" if taken else ""))


def _to_clipboard(data: bytes) -> str:
    """Send it; returns where to. Raises `ChatstreamError` where nothing takes it, `OSError`."""
    # By default tmux takes no OSC 52 from a program in it, and passes none on (set-clipboard is
    # "external", allow-passthrough off); its own command reaches the terminal around it whatever
    # they are. A tmux that is gone, or older than 3.2, fails here and may take the sequence.
    if os.environ.get("TMUX") and _to_tmux(data):
        return "tmux and the terminal's clipboard"
    sequence = b"\x1b]52;c;" + b64encode(data) + b"\x07"
    if _is_in_screen(os.environ):
        starts = range(0, len(sequence), _SCREEN_PIECE)
        pieces = [sequence[start : start + _SCREEN_PIECE] for start in starts]
        sequence = b"".join(b"\x1bP" + piece + b"\x1b\\" for piece in pieces)
    with _terminal() as descriptor:
        Output(descriptor).write(sequence)
    return "the terminal's clipboard"


def _to_tmux(data: bytes) -> bool:
    command = ["tmux", "load-buffer", "-w", "-"]
    try:
        ended = subprocess.run(command, input=data, capture_output=True, timeout=_TMUX_PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def _is_in_screen(environ: Mapping[str, str]) -> bool:
    """Whether GNU screen stands before the terminal; it shows what is too long for it as text.

    It names the terminal "screen.xterm", for one. "screen" alone, without its `STY`, is more often
    tmux at the other end of a connection, which takes the sequence as it is.
    """
    return bool(environ.get("STY")) or environ.get("TERM", "").startswith("screen.")


@contextlib.contextmanager
def _terminal() -> Iterator[int]:
    """A descriptor of the terminal that we run on."""
    if os.environ.get("TERM") == "dumb":
        raise ChatstreamError("nothing was copied: a dumb terminal has no clipboard; " + _INSTEAD)
    for descriptor in (1, 2):
        if os.isatty(descriptor):
            yield descriptor
            return
    try:
        descriptor = os.open("/dev/tty", os.O_WRONLY)
    except OSError:
        message = "nothing was copied: there is no terminal whose clipboard could take it; "
        raise ChatstreamError(message + _INSTEAD) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _check_file(path: Path) -> None:
    """Raises `OSError` for what `_write` cannot write."""
    status = _status(path)
    if status is None:
        _check_folder(_target(path).parent)
    elif stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    elif stat.S_ISREG(status.st_mode) and _own_descriptor(status) is None:
        os.close(os.open(path, os.O_WRONLY))
        _check_folder(_target(path).parent)


def _check_folder(folder: Path) -> None:
    """Raises `OSError` where no file can be made: by making one, which tells the true reason."""
    tempfile.TemporaryFile(dir=folder).close()


def _write(path: Path, text: str) -> None:
    """Write it to a file, as the shell's `>` would. Raises `OSError`; a regular file is whole."""
    status = _status(path)
    own = None if status is None else _own_descriptor(status)
    if own is not None:
        _put(own, text)
    elif status is None or stat.S_ISREG(status.st_mode):
        _replace(_target(path), _bytes(text), None if status is None else status.st_mode & 0o777)
    else:
        with path.open("wb", buffering=0) as special:
            _put(special.fileno(), text)


def _put(descriptor: int, text: str) -> None:
    Output(descriptor).write(_bytes(clean(text) if os.isatty(descriptor) else text))


def _replace(target: Path, data: bytes, mode: int | None) -> None:
    fresh = target.with_name(f".chatstream-{os.urandom(8).hex()}")
    file = fresh.open("xb")
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the new name with nothing in it
        if mode is not None:
            fresh.chmod(mode)
        fresh.replace(target)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _write_new(folder: Path, name: str, ending: str, data: bytes) -> Path:
    """Write a file that was not there before; returns its path. Raises `OSError`."""
    file = _open_new(folder, name, ending)
    path = Path(file.name)
    try:
        with file:
            file.write(data)
    except OSError:
        path.unlink(missing_ok=True)  # half of the code looks like all of it
        raise
    return path


def _open_new(folder: Path, name: str, ending: str) -> BinaryIO:
    for number in itertools.count(1):
        path = folder / (name + (f"-{number}" if number > 1 else "") + ending)
        with contextlib.suppress(FileExistsError):  # or a link, wherever it leads
            return path.open("xb")
    raise AssertionError("numbers do not end")


def _status(path: Path) -> os.stat_result | None:
    """Of what a name leads to, None for nothing. Raises `OSError`."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _target(path: Path) -> Path:
    """Where its links lead, so that not they are replaced."""
    return Path(os.path.realpath(path))


def _own_descriptor(status: os.stat_result) -> int | None:
    """Our standard output or error, if it is this file: the answer may be there already."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # it is closed
            if os.path.samestat(os.fstat(descriptor), status):
                return descriptor
    return None


def _some(blocks: list[CodeBlock]) -> list[CodeBlock]:
    if not blocks:
        raise ChatstreamError("the answer has no code block")
    return blocks


def _block(blocks: list[CodeBlock], number: int) -> CodeBlock:
    """The block of that number; 0 is the last."""
    if number > len(_some(blocks)):
        there_are = _count(len(blocks), "code block")
        raise ChatstreamError(f"the answer has {there_are}, there is no {_ordinal(number)}")
    return blocks[number - 1]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("s" if number != 1 else "")


def _ordinal(number: int) -> str:
    teens = 10 <= number % 100 <= 20
    return f"{number}" + ("th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th"))


@contextlib.contextmanager
def _failing(kind: type[ChatstreamError], what: str) -> Iterator[None]:
    """An `OSError` as one of ours: what cannot be done, and why."""
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {error.strerror or error}") from error
