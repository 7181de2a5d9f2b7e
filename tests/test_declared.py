"""What files say about the settings is what the settings declare."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_type_hints

import pytest

from chatstream.cli.app import main
from chatstream.engine.declaration import Option, Setting
from chatstream.engine.options import Options, RoleOptions, ToolOptions
from chatstream.engine.settings import DECLARED, FIELDS, Settings
from tests.support import declared
from tests.support.declared import PARTS, Part, docstring_rows, in_python, options_fields

TEXTS = {part.file: part.found()[0] for part in PARTS}


@pytest.mark.parametrize("part", PARTS, ids=lambda it: it.file)
def test_a_file_says_what_is_declared(part: Part) -> None:
    assert part.found()[0] == part.made(), "`make settings` writes it"


@pytest.mark.parametrize("setting", DECLARED.values(), ids=lambda it: it.name)
def test_a_setting_is_in_every_file_that_lists_some(setting: Setting) -> None:
    assert f"| `{setting.name}` |" in TEXTS["README.md"]
    for file in ("chatstream/api.py", "chatstream/engine/options.py"):
        rows = [line.split()[0] for line in TEXTS[file].splitlines()]
        names = [it.partition("=")[0].rstrip(":") for it in rows]
        assert (setting.name in names) is setting.about.in_python


def test_the_options_of_the_library_have_the_types_of_the_settings() -> None:
    options, settings = get_type_hints(Options), get_type_hints(Settings)
    for name in (*ToolOptions.__annotations__, *RoleOptions.__annotations__):
        del options[name]
    assert set(options) == {it.name for it in in_python()}
    assert options.pop("profile") is str
    for file in ("ca_file", "tools_file"):
        assert options.pop(file) == str | os.PathLike[str]
    for name, kind in options.items():
        assert kind | None == settings[name] | None, name


def test_a_setting_that_is_added_is_in_every_file(monkeypatch: pytest.MonkeyPatch) -> None:
    about = Option("Output", "Wait S seconds.", value="S")
    fresh = Setting("fresh_one", float | None, None, about)
    monkeypatch.setitem(DECLARED, fresh.name, fresh)
    made = [part.made() for part in PARTS]
    assert "| `fresh_one` | `--fresh-one S` | | Wait S seconds. |\n" in made[0]
    assert "    fresh_one: float\n" in options_fields()
    assert "    fresh_one=S            Wait S seconds.\n" in docstring_rows()


def test_what_is_out_of_date_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared, "ROOT", tmp_path)
    file = tmp_path / "file"
    file.write_text("before\nold\nafter\n")
    part = Part("file", "before\n", "after\n", lambda: "new\n")
    assert [part.write(), part.write()] == [True, False]
    assert file.read_text() == "before\nnew\nafter\n"


def test_every_setting_is_shown_by_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names[: len(FIELDS)] == list(FIELDS)
