"""Which descriptions of tools somebody has approved: hashes, in one file of the state.

1. The first call of a tool that is allowed to run approves its description, and with it its
   parameters. A description that has changed since makes the tool suspect (`changed`) until a call
   of it is allowed once more.
2. A server is known by its name and by how it is reached: another command is another server.
3. The file has nothing but names of tools and hashes. If it cannot be read or written, approvals
   are not kept, and that is logged.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from pathlib import Path

import msgspec

from chatstream.clock import Deadline
from chatstream.errors import ChatstreamError
from chatstream.files import PRIVATE_FILE, alone, make_private, read_whole, replace
from chatstream.tools.mcp.session import Offered

log = logging.getLogger(__name__)

LOCK_SECONDS = 2.0
"""Seconds to wait for other processes, each of which needs milliseconds."""

_Kept = dict[str, dict[str, str]]  # server -> tool -> hash


class Approved:
    """The file at this path; None: approvals are known to this run only. Thread-safe."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._kept = _read(path)

    def changed(self, server: str, offered: Offered) -> bool:
        """Whether a different description was approved. `server` is its `key_of`."""
        before = self._kept.get(server, {}).get(offered.name)
        return before is not None and before != _hash(offered)

    def approve(self, server: str, offered: Offered) -> None:
        """Take note that a call of this tool was allowed."""
        with self._lock:
            tools = self._kept.setdefault(server, {})
            if tools.get(offered.name) == (made := _hash(offered)):
                return
            tools[offered.name] = made
            if self._path is not None:
                self._write(self._path, server, offered.name, made)

    def _write(self, path: Path, server: str, tool: str, made: str) -> None:
        try:
            make_private(path.parent)
            with alone(path.parent, Deadline(LOCK_SECONDS)):
                kept = _read(path)  # other processes may have approved something since
                kept.setdefault(server, {})[tool] = made
                replace(path, msgspec.json.encode(kept), mode=PRIVATE_FILE)
        except (OSError, ChatstreamError) as error:
            log.warning("what was approved cannot be kept: %s", error)


def key_of(name: str, reached: str) -> str:
    """What a server is known by: its name, and a hash of how it is reached."""
    return f"{name}:{hashlib.sha256(reached.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


def _hash(offered: Offered) -> str:
    data = msgspec.json.encode(
        [offered.name, offered.description, offered.parameters], order="deterministic"
    )
    return hashlib.sha256(data).hexdigest()


def _read(path: Path | None) -> _Kept:
    if path is None:
        return {}
    try:
        return msgspec.json.decode(read_whole(path), type=_Kept)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("what was approved cannot be read: %s", error)
        return {}
