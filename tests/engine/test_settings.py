"""Every setting is declared once, and what its field says is whole."""

from __future__ import annotations

from typing import get_args

import pytest

from chatstream.engine.declaration import Group, Option
from chatstream.engine.settings import DECLARED, FIELDS, Settings
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
