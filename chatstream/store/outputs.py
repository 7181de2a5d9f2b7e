"""What tools have written and no model was given whole: files, in a folder for each run.

The folder has the name of the run and goes with its journal: when that expires, and when the run is
removed from the history.
"""

from __future__ import annotations

from pathlib import Path


def outputs_of(state: Path, run: str) -> Path:
    """The folder of this run, in the folder of the state; it need not exist."""
    return state / "outputs" / run


def remove_outputs(state: Path, run: str) -> None:
    """Remove what this run has, as far as it can be removed."""
    folder = outputs_of(state, run)
    if folder.exists():
        import shutil  # only for the few runs that have any

        shutil.rmtree(folder, ignore_errors=True)
