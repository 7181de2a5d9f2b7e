"""Claimed: a file has two layers at most, the chosen profile before the top level, and whatever
stands in the place of a profile is reported with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.engine.config_file import ConfigFile, parsed
from chatstream.engine.layers import default_profile, from_file, profiles_in, without
from chatstream.errors import ConfigError

TEXT = """\
profile = "work"
model = "top"
[profiles.work]
model = "work"
[profiles."at {home}"]
retries = 1
"""


def file(text: str) -> ConfigFile:
    return parsed(Path("/c.toml"), text.encode())


def test_the_profile_comes_before_the_top_level() -> None:
    work, top = from_file(file(TEXT), None)
    assert (work.values, top.values) == ({"model": "work"}, {"model": "top"})
    assert (work.origin("model"), top.origin("model")) == ("profile work in /c.toml", "/c.toml")
    assert work.subject("model") == "profile work in /c.toml, line 4: model"
    assert top.subject("model", "deep") == "/c.toml: model.deep"
    home, _ = from_file(file(TEXT), "at {home}")
    assert home.subject("retries") == "profile at {home} in /c.toml, line 6: retries"


def test_without_a_file_there_is_no_layer_and_no_profile() -> None:
    assert from_file(None, None) == []
    with pytest.raises(ConfigError, match="unknown profile 'work': there is no config"):
        from_file(None, "work")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profile = 3", "line 1: profile takes the name of a profile in quotes"),
        ("[profile.work]", "line 1: profile takes the name of a profile in quotes"),
        ('profile = " "', "line 1: profile is empty"),
        ("profiles = []", "line 1: profiles takes a table"),
        ("[profiles]\nwork = 3", "line 2: profiles.work takes a table"),
        ("[profiles.home]", "unknown profile 'work' in /c.toml"),
    ],
)
def test_what_stands_in_the_place_of_a_profile_is_reported(text: str, said: str) -> None:
    given = None if text.startswith(("profile ", "[profile.")) else "work"
    with pytest.raises(ConfigError) as caught:
        from_file(file(text), given)
    assert said in caught.value.message


def test_the_usual_profile_is_that_of_the_file() -> None:
    assert default_profile(file(TEXT)) == "work"
    assert default_profile(file("")) is None


def test_the_profiles_of_a_file_are_listed_unchecked() -> None:
    assert list(profiles_in(file(TEXT))) == ["work", "at {home}"]
    assert profiles_in(None) == profiles_in(file("profiles = 3")) == {}


def test_a_layer_may_be_without_some_settings() -> None:
    work, _ = from_file(file(TEXT), None)
    assert without(work, {"base_url", "model"}).values == {}
    assert work.values == {"model": "work"}
