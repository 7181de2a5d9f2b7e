"""`python -m chatstream`, and the `chatstream` command."""

from __future__ import annotations

import gc
import sys


def run() -> None:
    """The process: imports, then the command line, then its exit status."""
    # Imports allocate much and free nothing; collecting while they run is a tenth of a start.
    gc.disable()
    try:
        from chatstream.cli.app import main

        sys.exit(main())
    except KeyboardInterrupt:  # before a command had its handlers
        sys.exit(130)


if __name__ == "__main__":
    run()
