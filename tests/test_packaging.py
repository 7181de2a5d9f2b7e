"""The package has what it promises to those who install it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import chatstream

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_licence_is_the_one_named_and_lies_inside_the_package() -> None:
    (named,) = PROJECT["project"]["license-files"]
    text = (ROOT / named).read_text(encoding="utf-8")
    assert text.startswith(f"{PROJECT['project']['license']} License\n")
    assert (ROOT / named).parent == Path(chatstream.__file__).parent  # a wheel takes that whole


def test_everything_that_a_source_package_includes_is_there() -> None:
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert [name for name in included if not (ROOT / name).exists()] == []
    assert PROJECT["project"]["readme"] in included
