"""`openat2` of Linux: a path that the kernel opens beneath a folder, and through no link.

1. `RESOLVE_BENEATH` refuses an absolute path, and a `..` that leads above the folder, even while
   somebody renames folders on the way (it then fails with `OSError`, and may be tried again).
   `RESOLVE_NO_MAGICLINKS` refuses `/proc/self/root` and the like, `RESOLVE_NO_SYMLINKS` any link.
2. It is called through `ctypes`, because not every C library has a function for it. Its
   number is the same on all architectures of Linux but Alpha, for which there is no Python wheel.
3. Where the kernel does not have it (before 5.6, other systems, some sandboxes), `open_beneath`
   raises `OSError` with ENOSYS each time, and the caller takes another way.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from functools import cache
from typing import Any

_NUMBER = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_RESOLVE = _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS | _RESOLVE_NO_SYMLINKS
_HOW = struct.Struct("QQQ")  # struct open_how: flags, mode, resolve


def open_beneath(folder: int, path: str, flags: int) -> int:
    """Open this path beneath an open folder; the descriptor is not inherited.

    Raises `OSError`: ENOSYS or EPERM where the call does not exist, EXDEV for a path outside the
    folder, ELOOP for a link. Raises `ValueError` for a path with a NUL character.
    """
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError("embedded null byte")
    call = _syscall()
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    how = _HOW.pack(flags | os.O_CLOEXEC, 0, _RESOLVE)
    descriptor: int = call(_NUMBER, folder, name, how, len(how))
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return descriptor


@cache
def _syscall() -> Any | None:
    """`syscall` of the C library; None on another system."""
    if sys.platform != "linux" or os.uname().machine == "alpha":
        return None
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    call.argtypes = (
        *(ctypes.c_long, ctypes.c_int),
        *(ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t),
    )
    return call
