"""Claimed: the settings of tools are declared apart, and are settings like any other."""

from __future__ import annotations

from chatstream.engine.settings import FIELDS, Settings
from chatstream.engine.tool_settings import ToolSettings


def test_they_are_all_settings_of_tools_and_all_of_those() -> None:
    names = set(ToolSettings.__annotations__)
    assert names == {name for name, it in FIELDS.items() if it.about.group == "Tools"}
    assert issubclass(Settings, ToolSettings)
