"""What tools leave beside the journal: folders for each run.

1. Outputs are the texts that were too long for the model. Pre-images are the contents of files
   before a tool wrote them, for `undo`.
2. The folders have the name of the run and are removed with its journal: when that expires, and
   when the run is removed from the history.
"""

from __future__ import annotations

from pathlib import Path


def outputs_of(state: Path, run: str) -> Path:
    """The folder of the outputs of this run, in the folder of the state; it need not exist."""
    return state / "outputs" / run


def images_of(state: Path, run: str) -> Path:
    """The folder of the pre-images of this run; it need not exist."""
    return state / "undo" / run


def runs_with_images(state: Path) -> list[str]:
    """The runs that have pre-images, the newest first. Raises `OSError`."""
    folder = images_of(state, "")
    return sorted((it.name for it in folder.iterdir()), reverse=True) if folder.exists() else []


def remove_outputs(state: Path, run: str) -> None:
    """Remove what this run has, as far as it can be removed."""
    for folder in (outputs_of(state, run), images_of(state, run)):
        if folder.exists():
            import shutil  # only for the few runs that have any

            shutil.rmtree(folder, ignore_errors=True)
