"""The user is called back at the end of a run: a bell, or a notification of the terminal.

1. The text is ours and fixed; nothing of the model is in it.
2. It goes to the terminal that standard error or standard output is, else nowhere. Standard error
   is tried first, so that standard output stays the answer's or JSON's own.
3. A terminal that is gone is no failure: there is nobody to be called.
"""

from __future__ import annotations

import contextlib
import os
from typing import Literal

from chatstream.sinks.notes import standard_error
from chatstream.sinks.output import Output

_BELL = b"\a"
_WHOLE = b"\x1b]9;chatstream: the answer has arrived\x1b\\"
_BROKEN = b"\x1b]9;chatstream: the answer broke off\x1b\\"


def notify(kind: Literal["bell", "osc9"], *, whole: bool) -> None:
    """Call the user; `whole` tells that the answer is complete."""
    signal = _BELL if kind == "bell" else _WHOLE if whole else _BROKEN
    for descriptor in (2, 1):
        if os.isatty(descriptor):
            writer = standard_error() if descriptor == 2 else Output(1)
            with contextlib.suppress(OSError):
                writer.write(signal)
            return
