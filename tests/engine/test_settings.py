"""Every setting is declared once, and what its field says is whole."""

from __future__ import annotations

from typing import get_args

import pytest

from chatstream.engine.declaration import Group, Option
from chatstream.engine.settings import (
    ADDRESSES,
    DECLARED,
    FIELDS,
    FOR_ONE_PROVIDER,
    FOR_ONE_SERVER,
    SECRETS,
    TABLES,
    Settings,
    choices,
    keys_of,
    variable,
)
from chatstream.engine.shapes import fitted, is_number


@pytest.mark.parametrize("name", DECLARED)
def test_a_setting_says_what_it_means_and_where_it_is_listed(name: str) -> None:
    about = DECLARED[name].about
    assert about.group in get_args(Group)
    for text in filter(None, (about.help, getattr(about, "option_help", ""))):
        assert text[0].isupper()
        assert text[-1] == "."


@pytest.mark.parametrize("name", FIELDS)
def test_a_default_fits_its_type(name: str) -> None:
    default = FIELDS[name].default
    assert default == getattr(Settings(), name)
    assert default is None or fitted(FIELDS[name].type, default) == default


@pytest.mark.parametrize("name", FIELDS)
def test_an_option_takes_a_value_unless_it_is_a_switch(name: str) -> None:
    setting = FIELDS[name]
    if isinstance(setting.about, Option):
        is_switch = isinstance(setting.default, bool) or name == "stats"
        assert bool(setting.about.value) is not is_switch
        if is_number(setting.type):
            assert f" {setting.about.value} " in f" {setting.about.help} " or name == "temperature"


def test_the_names_of_options_are_those_of_the_settings_unless_they_are_declared() -> None:
    flags = {name: setting.flags for name, setting in DECLARED.items()}
    assert flags["base_url"] == ("--base-url",)
    assert flags["coalesce"] == ("--coalesce/--no-coalesce",)
    assert flags["model"] == ("--model", "-m")
    assert flags["headers"] == ("--header",)
    assert flags["api_key"] == ()
    names = [name for it in flags.values() for flag in it for name in flag.split("/")]
    assert len(names) == len(set(names))


def test_what_is_said_of_settings_is_said_of_some_that_there_are() -> None:
    named = SECRETS | ADDRESSES | FOR_ONE_SERVER | FOR_ONE_PROVIDER | TABLES
    assert named <= set(FIELDS)
    assert set(TABLES) == {"headers", "labels", "options", "strategies", "mcp"}


def test_an_entry_of_a_table_has_two_keys() -> None:
    assert keys_of("options.seed") == ("options", "seed")
    assert keys_of("options") == ("options",)
    assert keys_of("model.x") == ("model.x",)


def test_a_setting_with_few_values_has_them_in_order() -> None:
    assert choices("theme") == ["auto", "dark", "light"]
    assert choices("reasoning") == ["show", "hide"]
    assert choices("model") == []
    assert variable("base_url") == "CHATSTREAM_BASE_URL"
