"""What was answered, given away: `--copy`, `--copy-code`, `--copy-to`, `--save-code`, and with
`images` `--save-images`.

1. `check` refuses what cannot work before anything is asked; `stage` gathers the answer; `finish`
   does what was asked for, when the answer has ended, whole or not. It says a line for each thing
   it did or could not do, and that the answer is not whole if it is not.
2. Text leaves as it was received, in UTF-8; half a character becomes "?". The clipboard gets it in
   base64 and a file is no terminal, so it drives nothing. A `--copy-to` that is a terminal gets it
   cleaned.
3. A terminal's clipboard is set by OSC 52. No terminal answers to that: we tell what was sent.
4. How files are written is the matter of `files`. No name has a word of the model in it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from chatstream.errors import ChatstreamError, UsageError
from chatstream.events import Done, Event, Image, Warn, voids
from chatstream.flow import Arrival, close
from chatstream.sinks.codeblocks import CodeBlock, code_blocks, extension_of
from chatstream.sinks.output import Output
from chatstream.terminal.images import save_images
from chatstream.terminal.saving import (
    Out,
    check_file,
    check_folder,
    encoded,
    failing,
    save_new,
    write,
)
from chatstream.transcript import Transcript
from chatstream.wording import counted

SURE_BYTES = 74_994
"""Of text: 99,992 in base64, and a sequence of 100,000, which is what many terminals take."""

_SCREEN_PIECE_BYTES = 240  # GNU screen takes strings of 768 bytes, before 4.2.1 of 512, once of 256
_TMUX_SECONDS = 5.0
_INSTEAD = "--copy-to FILE writes it to a file"


class Copying:
    """What to do with the answer to one question.

    `copy` copies the answer, `code` its code block of that number, from 1, or the last one for 0.
    The copy goes to the file `to`, or to the clipboard. All code blocks go into the folder `save`,
    all images into the folder `images`.
    """

    def __init__(
        self,
        copy: bool = False,
        code: int | None = None,
        to: Path | None = None,
        save: Path | None = None,
        images: Path | None = None,
    ) -> None:
        self.copy = copy
        self.code = code
        self.to = to
        self.save = save
        self.images = images
        self._answer = Transcript()
        self._images: list[Image] = []
        self._has_gaps = False

    def check(self) -> None:
        """Raise `UsageError` for what cannot work. Makes the folders."""
        if self.copy and self.code is not None:
            raise UsageError(
                "--copy and --copy-code cannot be combined",
                hint="--copy takes the whole answer, --copy-code one of its code blocks",
            )
        if self.code is not None and self.code < 0:
            raise UsageError(
                f"--copy-code {self.code}: code blocks are numbered from 1",
                hint="without a number, the last code block is copied",
            )
        if self.to is not None:
            if not self.copy and self.code is None:
                raise UsageError(
                    "--copy-to says only where to copy",
                    hint="add --copy for the answer, or --copy-code for a code block",
                )
            with failing(UsageError, f"--copy-to {self.to} cannot be written"):
                check_file(self.to)
        for option, folder in (("--save-code", self.save), ("--save-images", self.images)):
            if folder is not None:
                with failing(UsageError, f"{option} {folder} cannot be used"):
                    folder.mkdir(parents=True, exist_ok=True)
                    check_folder(folder)

    def stage(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        """A stage that passes everything on and gathers the answer."""
        try:
            for arrival in arrivals:
                for event in arrival.events:
                    self._gather(event)
                yield arrival
        finally:
            close(arrivals)

    def finish(self, out: Out) -> bool:
        """Do what was asked for. False if any of it could not be done."""
        text = self._answer.message.content
        tasks: list[Callable[[str, Out], None]] = []
        if self.copy or self.code is not None:
            tasks.append(self.copy_from)
        if self.save is not None:
            tasks.append(self._save)
        ok = bool(text or not tasks)
        if not ok:
            out("there is no answer to copy")
            tasks.clear()
        if self.images is not None:
            tasks.append(self._save_images)
        for task in tasks:
            try:
                task(text, out)
            except ChatstreamError as error:
                out(error.message)
                ok = False
        whole = isinstance(self._answer.terminal, Done) and not self._has_gaps
        if tasks and (text or self._images) and not whole:
            out("careful: the answer is incomplete")
        return ok

    def _gather(self, event: Event) -> None:
        self._answer.add(event)
        match event:
            case Warn(code="dropped"):  # by a sliding buffer, which stands before us
                self._has_gaps = True
            case Image():
                self._images.append(event)
            case _ if voids(event):
                self._has_gaps = False
                self._images.clear()

    def copy_from(self, text: str, out: Out) -> None:
        """Copy this text or its code block. Raises `ChatstreamError` if that is not possible."""
        if self.code is not None:
            text = _block(code_blocks(text), self.code).code
        amount = counted(len(text), "character", commas=True)
        if self.to is not None:
            with failing(ChatstreamError, f"{self.to} cannot be written"):
                write(self.to, text)
            out(f"wrote {amount} to {self.to}")
            return
        data = encoded(text)
        with failing(ChatstreamError, "the terminal cannot be written to"):
            place = _to_clipboard(data)
        out(f"sent {amount} to {place}")
        # It is sent whatever its length: most terminals take megabytes, and whoever asks for a copy
        # is not helped by none. Only a terminal that takes less cannot tell, so we do.
        if len(data) > SURE_BYTES:
            out("some terminals accept less; if the text did not arrive, use --copy-to FILE")

    def _save(self, text: str, out: Out) -> None:
        assert self.save is not None
        for number, block in enumerate(_some(code_blocks(text)), 1):
            ending = extension_of(block.language)
            save_new(self.save, f"code-{number}", ending, encoded(block.code), out)

    def _save_images(self, _text: str, out: Out) -> None:
        assert self.images is not None
        save_images(self._images, self.images, out)


def _to_clipboard(data: bytes) -> str:
    """Send it; returns where to. Raises `ChatstreamError` where nothing takes it, `OSError`."""
    # By default tmux takes no OSC 52 from a program in it, and passes none on (set-clipboard is
    # "external", allow-passthrough off); its own command reaches the terminal around it whatever
    # they are. A tmux that is gone, or older than 3.2, fails here and may take the sequence.
    if os.environ.get("TMUX") and _to_tmux(data):
        return "tmux and the terminal's clipboard"
    sequence = b"\x1b]52;c;" + b64encode(data) + b"\x07"
    if _is_in_screen(os.environ):
        starts = range(0, len(sequence), _SCREEN_PIECE_BYTES)
        pieces = [sequence[start : start + _SCREEN_PIECE_BYTES] for start in starts]
        sequence = b"".join(b"\x1bP" + piece + b"\x1b\\" for piece in pieces)
    with _terminal() as descriptor:
        Output(descriptor).write(sequence)
    return "the terminal's clipboard"


def _to_tmux(data: bytes) -> bool:
    command = ["tmux", "load-buffer", "-w", "-"]
    try:
        ended = subprocess.run(command, input=data, capture_output=True, timeout=_TMUX_SECONDS)
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
        message = "nothing was copied: no terminal is connected, so the clipboard is out of reach; "
        raise ChatstreamError(message + _INSTEAD) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _some(blocks: list[CodeBlock]) -> list[CodeBlock]:
    if not blocks:
        raise ChatstreamError("the answer has no code block")
    return blocks


def _block(blocks: list[CodeBlock], number: int) -> CodeBlock:
    """The block of that number; 0 is the last."""
    if number > len(_some(blocks)):
        there_are = counted(len(blocks), "code block", commas=True)
        raise ChatstreamError(f"the answer has no code block {number}, only {there_are}")
    return blocks[number - 1]
