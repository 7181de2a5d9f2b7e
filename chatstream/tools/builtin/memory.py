"""What a run knows about files: which state of each was shown, and may be written over.

1. A file that the model has seen or written is only written again while it is still the same. The
   same holds once a person was shown the change to a file: what they allowed is what is done. If
   several calls of one round change a file, each is shown as applied after those before it.
2. The old content is kept before a file is written (`preimages`); if that fails, nothing is
   written. A run without a journal keeps nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from pathlib import Path

from chatstream.tools.places import Place, State, changed, fresh_name
from chatstream.tools.preimages import PreImages, digest
from chatstream.tools.tool import ToolFailure


class Memory:
    """Of one run, shared by its tools. `folder` keeps the old contents; None: they are not kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self._images = PreImages(folder) if folder is not None else None
        self._read: dict[Path, str] = {}
        self._previewed: dict[tuple[Path, Hashable], str | None] = {}
        self._lock = threading.Lock()  # `read_file` may run several times at once

    def has_read(self, path: Path, data: bytes) -> None:
        """The model was shown this state of a file."""
        with self._lock:
            self._read[path] = digest(data)

    def has_previewed(self, path: Path, call: Hashable, data: bytes | None) -> None:
        """A person was shown what a call would make of these bytes; None: of no file."""
        with self._lock:
            self._previewed[path, call] = None if data is None else digest(data)

    def check(self, place: Place, call: Hashable, state: State | None) -> None:
        """Raises `ToolFailure` if the file was changed since it was read, or shown to a person."""
        now = None if state is None else digest(state.data)
        if place.path in self._read and self._read[place.path] != now:
            how = "changed" if now else "removed"
            words = f"{place.shown} was {how} since it was read in this run; nothing was written"
            raise changed(f"{words}: read it again")
        with self._lock:
            shown = self._previewed.pop((place.path, call), now)
        if shown != now:
            words = f"{place.shown} was changed after the diff was shown; nothing was written"
            raise changed(f"{words}: try it again")

    def write(self, place: Place, data: bytes, before: State | None) -> None:
        """Write a file that has this state. Raises `ToolFailure`."""
        fresh = fresh_name()
        if self._images is not None:
            try:
                self._images.keep(
                    place.root,
                    place.parts,
                    before.data if before else None,
                    data,
                    fresh=fresh,
                    manner=before.manner if before else None,
                    folders=len(place.missing),
                )
            except OSError as error:
                raise ToolFailure(
                    f"{place.shown} was not written, because its old content cannot be kept: "
                    f"{error.strerror or error}"
                ) from None
        place.write(data, before, fresh=fresh)
        with self._lock:
            self._read[place.path] = digest(data)
