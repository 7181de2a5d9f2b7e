"""The journal: each run is one append-only file, so that nothing is lost with the process.

1. A line is an event, encoded as for `--json`. The opening `metadata` also carries `request`, all
   that is needed to ask again but no secret, and `digest`, the SHA-256 of that JSON.
2. Events are written in batches, one arrival each. The last line of a batch has a field `crc`:
   the CRC-32 of every byte of the file before that field. So a flipped bit is found, and a file
   that ends anywhere is a whole journal up to there.
3. The writer holds a lock on the file for as long as it lives. The kernel lets go of it, whatever
   ends the process, so a reader can tell a run that goes on from one that was killed.
4. Written is handed to the kernel: `kill -9` loses nothing, a power cut may lose seconds. Before a
   tool starts that may change something, it is on the disk.
5. Files are named by their run, and names sort by time. Files 0600, their folder 0700.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import zlib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from chatstream.errors import JournalError
from chatstream.events import Event, Metadata, ToolStart, encode_lines
from chatstream.files import PRIVATE_FILE, make_private
from chatstream.messages import Effort, Message, ToolDefinition, encode

log = logging.getLogger(__name__)

SUFFIX = ".jsonl"
_ID = re.compile(r"[\w-]{1,200}", re.ASCII)  # no longer: file systems allow 255 bytes
_CRC = b',"crc":%d}\n'
_ELSEWHERE = "set XDG_STATE_HOME, or use --no-journal"

LONGEST = 64 * 1024 * 1024
"""Bytes of a line. The longest is the first, which holds the question with all its files."""

_SYNC = getattr(os, "fdatasync", os.fsync)  # macOS has no `fdatasync`
_REST = 1024 * 1024  # bytes for the rest of the first line


class RequestRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was asked, and whom first: enough to ask again. The key is looked up again.

    `base_url` is the address that was truly asked, its secrets masked. None: it has none (the
    demo), or it was looked for, or the journal is of an earlier version; who answered stands in
    `metadata`. `named`: the address was given with the question, and not by settings that may
    have changed since.

    `tools` are those that the model could call, frozen for the run and whatever continues it, and
    `tool_settings` says where their code is. `role_settings` are the settings of the role that are
    recorded nowhere else.
    """

    messages: tuple[Message, ...]
    provider: str | None = None
    model: str | None = None
    base_url: str | None = None
    named: bool = False
    profile: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    effort: Effort | None = None
    stop_when: str | None = None
    options: dict[str, Any] = {}
    stream_id: str | None = msgspec.field(default=None, name="conversation")
    tools: tuple[ToolDefinition, ...] = ()
    tool_settings: dict[str, Any] = {}
    schema: dict[str, Any] | None = None
    role: str | None = None
    role_settings: dict[str, Any] = {}


class Head(Metadata, tag="metadata"):
    """The first line of a journal: the `metadata` that opens the run, and what was asked."""

    request: msgspec.Raw = msgspec.Raw()
    digest: str = ""


def is_journal(name: str) -> bool:
    """Whether a file may be a journal by its name; what is not ASCII was not named by us."""
    return name.endswith(SUFFIX) and name.isascii()


def is_run(text: str) -> bool:
    """Whether a text may be the id of a run, and so the name of a file; a journal may be forged."""
    return _ID.fullmatch(text) is not None


def digest_of(request: bytes | msgspec.Raw) -> str:
    """The digest of a request's JSON."""
    return "sha256:" + sha256(request).hexdigest()


class Journal:
    """The file of one run, made with the first `write`, whose first event must open the run.

    `folder` is None where there is no place for it, and every write fails.
    """

    def __init__(self, folder: Path | None, asked: RequestRecord) -> None:
        self._folder = folder
        self._asked = asked
        self.ok = True  # everything was written so far
        self._file: int | None = None
        self._crc = 0

    def write(self, events: Sequence[Event]) -> None:
        """Append a batch. Raises `JournalError`."""
        self.ok = False
        try:
            if self._file is None:
                events = [self._open(events[0]), *events[1:]]
            lines = encode_lines(events)[:-2]  # without the last brace and its line end
            crc = zlib.crc32(lines, self._crc)
            mark = _CRC % crc
            self._crc = zlib.crc32(mark, crc)
            data = memoryview(lines + mark)
            assert self._file is not None, "opened above"
            while data:
                data = data[os.write(self._file, data) :]
            if type(last := events[-1]) is ToolStart and last.effect != "read":
                _SYNC(self._file)
        except UnicodeEncodeError as error:
            raise JournalError(
                "the text contains an unpaired surrogate (invalid Unicode)"
            ) from error
        except OSError as error:
            raise JournalError(f"{self._folder}: {error.strerror}", hint=_ELSEWHERE) from error
        self.ok = True

    def close(self) -> None:
        """Let go of the file and its lock. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # a full disk, told of late: nobody is left to warn
                os.close(file)

    def _open(self, opening: Event) -> Head:
        if not isinstance(opening, Metadata) or opening.run is None:
            raise JournalError("a journal begins with the event that opens the run")
        if self._folder is None:
            raise JournalError("HOME is not set", hint=_ELSEWHERE)
        request = encode(self._asked)
        if len(request) > LONGEST - _REST:
            raise JournalError("the question is too large for it")
        make_private(self._folder)
        path = self._folder / (opening.run + SUFFIX)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._file = os.open(path, flags, PRIVATE_FILE)
        _lock(self._file)
        log.debug("the journal is %s", path)
        return Head(
            **{name: getattr(opening, name) for name in Metadata.__struct_fields__},
            request=msgspec.Raw(request),
            digest=digest_of(request),
        )


def _lock(file: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows, where a file that is open cannot be taken away anyway
        return
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX)  # waits for a reader that asks this very moment


def is_running(path: Path) -> bool:
    """Whether a living process still writes this journal."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:  # gone
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(file)
    return False
