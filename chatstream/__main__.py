"""`python -m chatstream`, and the `chatstream` command."""

from __future__ import annotations

import os
import sys

from chatstream.collector import delay


def run() -> None:
    """The process: imports, then the command line, then its exit status."""
    delay()
    try:
        _fill_standard_descriptors()
        from chatstream.sinks import notes, output

        notes.take_over()
        output.take_over()
        from chatstream.cli.app import main

        sys.exit(main())
    except KeyboardInterrupt:  # before a command had its handlers
        sys.exit(130)


def _fill_standard_descriptors() -> None:
    """A closed one would go to the first socket, and the answer would be written into that."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor
    if sys.stdin is None:  # Python found it closed
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)


if __name__ == "__main__":
    run()
