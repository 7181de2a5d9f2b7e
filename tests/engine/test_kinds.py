"""What is said of some of the settings is true, and so are their names."""

from __future__ import annotations

from chatstream.engine.kinds import (
    ADDRESSES,
    FOR_ONE_PROVIDER,
    FOR_ONE_SERVER,
    KEYS,
    SECRETS,
    SOURCES_OF_TOOLS,
    TABLES,
    choices,
    keys_of,
    variable,
)
from chatstream.engine.settings import FIELDS


def test_what_is_said_of_settings_is_said_of_some_that_there_are() -> None:
    named = SECRETS | ADDRESSES | FOR_ONE_SERVER | FOR_ONE_PROVIDER | TABLES | KEYS
    assert named | set(SOURCES_OF_TOOLS) <= set(FIELDS)
    assert set(TABLES) == {"headers", "labels", "options", "strategies", "mcp", "prices", "aliases"}


def test_an_entry_of_a_table_has_two_keys() -> None:
    assert keys_of("options.seed") == ("options", "seed")
    assert keys_of("options") == ("options",)
    assert keys_of("model.x") == ("model.x",)


def test_a_setting_with_few_values_has_them_in_order() -> None:
    assert choices("theme") == ["auto", "dark", "light"]
    assert choices("reasoning") == ["show", "hide"]
    assert choices("model") == []
    assert variable("base_url") == "CHATSTREAM_BASE_URL"
