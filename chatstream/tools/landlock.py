"""Landlock: what this process, and all that it starts, may do with files and over TCP from now on.

1. `rules` are `{"read": [PATHS], "write": [PATHS], "network": BOOL}`. Below a path of `read` files
   can be read and run; below one of `write` everything can be done. Anything else is refused. A
   path that does not exist is left out.
2. Without `network`, no TCP connection can be made or accepted, from version 4 of the interface
   on. From version 6 on, no signal and no abstract Unix socket leads out either.
3. What the kernel has no rules for is allowed: UDP, Unix sockets that are files, and the owner,
   mode and times of files. A restricted process cannot look into one that is not, and so cannot
   read its `/proc/PID/environ`. The capabilities of root are gone after the next `exec`, because
   one of them would open that environment again.

The system calls can only be made through ctypes; their numbers are the same on every architecture.
Only the standard library is used, because the keeper imports this module.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
import sys
from typing import Any

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION = 1  # flag of _CREATE
_PATH_BENEATH = 1
_DROP_CAPABILITY, _NO_NEW_PRIVILEGES = 24, 38  # of prctl
_MOST_CAPABILITIES = 64

# The rights of linux/landlock.h, in the order of their bits.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_FIRST = (1 << 13) - 1  # all of version 1
_READS = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_TCP = 3  # bind and connect
_SCOPES = 3  # abstract Unix sockets, and signals


def version() -> int:
    """The version of the interface; 0 where there is no Landlock."""
    if sys.platform != "linux":
        return 0
    found: int = ctypes.CDLL(None).syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)
    return max(found, 0)


def restrict(rules: dict[str, Any]) -> None:
    """Restrict this process permanently. Raises `OSError`."""
    newest = version()
    handled = _FIRST | (_REFER if newest >= 2 else 0) | (_TRUNCATE if newest >= 3 else 0)
    attributes = struct.pack("=Q", handled)
    if newest >= 4:
        attributes += struct.pack("=Q", 0 if rules["network"] else _TCP)
    if newest >= 6:
        attributes += struct.pack("=Q", _SCOPES)
    ruleset = _call(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    try:
        for name, rights in (("read", _READS), ("write", handled)):
            for path in rules[name]:
                with contextlib.suppress(FileNotFoundError):
                    _add(ruleset, path, rights)
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in range(_MOST_CAPABILITIES):
            libc.prctl(_DROP_CAPABILITY, ctypes.c_ulong(capability), 0, 0, 0)  # refused if not root
        if libc.prctl(_NO_NEW_PRIVILEGES, ctypes.c_ulong(1), 0, 0, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        _call(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _add(ruleset: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def _call(number: int, *arguments: Any) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    done: int = libc.syscall(number, *arguments)
    if done < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return done
