"""Claimed: a layer of the file says what stands there, and names the place where it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.cli.configfile import ConfigFile, parsed
from chatstream.cli.layers import from_file, profiles_in, usual_profile, without
from chatstream.errors import ConfigError

TEXT = b"""\
model = "m"
profile = "work"

[profiles.work]
base_url = "http://box"
"""


@pytest.fixture
def file() -> ConfigFile:
    return parsed(Path("c.toml"), TEXT)


def test_the_usual_profile_comes_before_the_top_level(file: ConfigFile) -> None:
    work, top = from_file(file, None)
    assert (work.values, top.values) == ({"base_url": "http://box"}, {"model": "m"})
    assert (work.origin("base_url"), top.origin("model")) == ("profile work in c.toml", "c.toml")
    assert work.subject("base_url") == "profile work in c.toml, line 5: base_url"
    assert top.subject("model") == "c.toml, line 1: model"
    assert usual_profile(file) == "work"


def test_without_a_file_there_is_no_layer_and_no_profile() -> None:
    assert from_file(None, None) == []
    assert profiles_in(None) == {}
    with pytest.raises(ConfigError, match="no configuration file"):
        from_file(None, "work")


def test_a_profile_that_there_is_not_is_a_mistake(file: ConfigFile) -> None:
    assert list(profiles_in(file)) == ["work"]
    with pytest.raises(ConfigError, match="no profile 'home'") as caught:
        from_file(file, "home")
    assert "work" in (caught.value.hint or "")


def test_a_layer_may_be_without_some_settings(file: ConfigFile) -> None:
    work, _ = from_file(file, None)
    assert without(work, {"base_url", "model"}).values == {}
    assert work.values == {"base_url": "http://box"}
