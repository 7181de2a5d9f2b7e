"""What holds for every built-in tool."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from chatstream.engine.outfit import Outfit
from chatstream.engine.settings import Settings
from chatstream.errors import UsageError
from chatstream.tools.builtin import BUILT_IN
from chatstream.tools.builtin.base import MOST_CHARACTERS, BuiltIn
from chatstream.tools.builtin.files import ReadFile
from chatstream.tools.registry import built_in
from chatstream.tools.tool import InvalidArguments
from tests.support.toolcontext import result

EFFECTS = {"write_file": "write", "edit_file": "write", "shell": "run", "http_get": "net"}
"""All others only read."""


def made(name: str, folder: Path) -> BuiltIn[Any]:
    with closing(Outfit(Settings(sandbox="off"), [folder], [])) as outfit:
        (tool,) = built_in([name], [folder], outfitted=outfit.built_in)
    assert isinstance(tool, BuiltIn)
    return tool


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_is_what_the_table_says_and_stays_inside_the_roots(name: str, tmp_path: Path) -> None:
    tool = made(name, tmp_path)
    assert tool.name == name
    found = (tool.effect, tool.origin, tool.confined)
    effect = EFFECTS.get(name, "read")
    assert found == (effect, "built in", effect in {"read", "write"})


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_describes_itself_and_every_argument(name: str, tmp_path: Path) -> None:
    definition = made(name, tmp_path).definition
    jsonschema.Draft202012Validator.check_schema(definition.parameters)
    assert definition.description.endswith(".")
    assert definition.parameters["type"] == "object"
    for argument in definition.parameters["properties"].values():
        assert argument["description"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_argument_that_nobody_knows_is_a_mistake(name: str, tmp_path: Path) -> None:
    required: dict[str, Any] = {"read_file": {"path": "a"}, "grep": {"pattern": "a"}}
    required |= {"calculate": {"expression": "1"}, "shell": {"command": "ls"}}
    required["write_file"] = {"path": "a", "content": ""}
    required["edit_file"] = {"path": "a", "old_text": "a", "new_text": "b"}
    required["http_get"] = {"url": "http://a.test"}
    with pytest.raises(InvalidArguments, match="unknown field `force`"):
        made(name, tmp_path).check({**required.get(name, {}), "force": True})


@pytest.mark.parametrize("name", ["read_file", "list", "grep", "write_file", "edit_file"])
def test_a_root_that_is_no_folder_is_a_mistake_of_the_user(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        made(name, tmp_path / "gone")


def test_the_model_is_told_of_several_roots(tmp_path: Path) -> None:
    roots = [tmp_path / "one", tmp_path / "two"]
    for root in roots:
        root.mkdir()
    assert "root folders" not in ReadFile(roots[:1]).definition.description
    description = ReadFile(roots).definition.description
    assert all(str(root) in description for root in roots)


def test_no_schema_has_a_null(tmp_path: Path) -> None:
    for name in BUILT_IN:
        assert "null" not in json.dumps(made(name, tmp_path).definition.parameters)


def test_a_result_fits_what_a_model_is_given() -> None:
    assert MOST_CHARACTERS < 32 * 1024 - 2000  # with the last line, and one that was cut


def test_what_needs_no_files_needs_no_roots(tmp_path: Path) -> None:
    assert result(made("calculate", tmp_path / "gone"), expression="1") == "1"
