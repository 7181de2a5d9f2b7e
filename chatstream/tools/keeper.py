"""The keeper: a process that starts programs, and lets none of them outlive it.

    python -I -S -c START CONTROL OWNER SCRATCH

1. It is started once per run, in a session of its own, with an environment without keys. For
   each program it forks a *minder*; that takes a millisecond, where a new Python takes fifteen.
   Neither has a second thread, so forking is safe, and so is `PDEATHSIG`, which follows the thread.
2. The socket CONTROL carries single bytes, each with the socket of a new minder.
3. If a minder is killed, its programs are killed. When the process OWNER ends or lets go of the
   socket, the minders end theirs; then the keeper kills what is left, and removes the folder
   SCRATCH.

It uses only a little of the standard library, because a start must not wait for imports.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from typing import NoReturn

from chatstream.tools import descendants
from chatstream.tools.minder import ORPHANED, mind, taken


def main() -> NoReturn:
    """Be the keeper. Its arguments are the last three of the command line."""
    control, owner = socket.socket(fileno=int(sys.argv[-3])), int(sys.argv[-2])
    control.set_inheritable(False)
    descendants.adopt()
    signals = descendants.Signals()
    life = descendants.life_of(owner)
    minders: set[int] = set()
    while descendants.is_alive(owner):
        ready = descendants.wait([control, signals, *life], None)
        signals.clear()
        for pid, status in descendants.reaped():
            minders.discard(pid)
            if status:  # the minder was killed: what it minded is ours now
                descendants.send(signal.SIGKILL, descendants.below(os.getpid(), spared=minders))
        if life and life[0] in ready:
            break
        if control in ready:
            byte, files = taken(control, 1, 1)
            if not byte:
                break
            link = socket.socket(fileno=files[0])
            if (pid := os.fork()) == 0:
                control.close()
                mind(link, owner, life)
            link.close()
            minders.add(pid)
    _end(minders, signals, sys.argv[-1])


def _end(minders: set[int], signals: descendants.Signals, scratch: str) -> NoReturn:
    """Wait for the minders, which have seen the end too, and leave nothing behind."""
    until = time.monotonic() + ORPHANED[-1][0] + 1.0
    while minders and (left := until - time.monotonic()) > 0:
        descendants.wait([signals], left)
        signals.clear()
        minders -= {pid for pid, _ in descendants.reaped()}
    descendants.send(signal.SIGKILL, descendants.below(os.getpid()))
    try:
        os.rmdir(scratch)  # noqa: PTH106 - pathlib would have to be imported
    except OSError:  # most programs leave nothing there
        import shutil

        shutil.rmtree(scratch, ignore_errors=True)
    os._exit(0)
