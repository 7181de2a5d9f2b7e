"""Distributions on the path that were installed by nobody: a module and its entry points.

install(tmp_path, "acme-extras", {"chatstream.stages": {"upper": "acme_extras:upper"}}, CODE)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest


def install(folder: Path, name: str, points: Mapping[str, Mapping[str, str]], code: str) -> None:
    """A distribution of one module in this folder, with these entry points for each group."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(dedent(code))
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines: list[str] = []
    for group, its in points.items():
        lines += [f"[{group}]", *(f"{point} = {target}" for point, target in its.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (info / "RECORD").write_text("")


def importable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed in this folder can be imported, here and in processes that are started."""
    folder.mkdir(exist_ok=True)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
