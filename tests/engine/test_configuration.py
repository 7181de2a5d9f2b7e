"""Claimed: a setting is looked up, set and removed by its name; no secret is shown.

How the commands behave for a user is in `tests/cli/test_configure.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.configuration import listing, look_up, set_value, unset
from chatstream.errors import ConfigError, UsageError

SECRET = "very-secret-1234567890"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.touch()
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(path))
    return path


def value(name: str, profile: str | None = None) -> str | None:
    return look_up(name, profile)[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("model", "m"),
        ("retries", "5"),
        ("timeout", "2.5"),
        ("coalesce", "true"),
        ("fallback", "a,b@demo"),
        ("options.stop", '["a","b"]'),
    ],
)
def test_a_value_is_looked_up_as_it_is_set(path: Path, name: str, text: str) -> None:
    before = value(name)
    assert set_value(name, text, None) == []
    assert value(name) == text
    assert unset(name, None)
    assert (value(name), unset(name, None)) == (before, False)


def test_an_empty_value_removes_a_setting(path: Path) -> None:
    set_value("model", "m", None)
    set_value("model", "", None)
    assert (path.read_text(), value("model")) == ("", None)


def test_a_profile_has_settings_of_its_own(path: Path) -> None:
    set_value("model", "m", None)
    set_value("model", "other", "work")
    assert (value("model"), value("model", "work")) == ("m", "other")
    assert unset("model", "work")
    assert value("model", "work") == "m"


def test_the_profile_that_is_used_has_a_name_like_a_setting(path: Path) -> None:
    (warning,) = set_value("profile", "work", None)
    assert warning.startswith(f"profile 'work' does not exist in {path} yet; ")
    set_value("model", "other", "work")
    assert set_value("profile", "work", None) == []
    assert (value("profile"), value("model")) == ("work", "other")
    with pytest.raises(UsageError, match="a profile cannot name another profile"):
        set_value("profile", "home", "work")


def test_a_name_that_is_no_setting_can_only_be_removed(path: Path) -> None:
    path.write_text('modle = "m"\n')
    with pytest.raises(ConfigError):
        look_up("modle", None)
    with pytest.raises(ConfigError, match="unknown setting 'modle'"):
        set_value("modle", "m", None)
    assert unset("modle", None)
    with pytest.raises(ConfigError, match="unknown setting 'modle'"):
        unset("modle", None)


def test_warnings_come_with_the_value(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATSTREAM_RETRYS", "1")
    _, (warning,) = look_up("retries", None)
    assert "did you mean CHATSTREAM_RETRIES?" in warning


def test_no_secret_is_looked_up_or_listed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_value("provider", "groq", None)
    set_value("api_key", SECRET, None)
    set_value("options.access_token", SECRET, None)
    set_value("headers.X-Api-Key", SECRET, None)
    set_value("proxy", f"http://me:{SECRET}@host", None)
    monkeypatch.setenv("GROQ_API_KEY", SECRET)
    shown = [value(it) or "" for it in ("api_key", "options", "headers", "headers.X-Api-Key")]
    lines = [*listing(None, CancelToken()), *shown, value("proxy") or ""]
    assert not any(SECRET in line for line in lines)
    assert value("proxy") == "http://***@host"
    assert lines.count(f"{'GROQ_API_KEY':24} {'***':24} environment") == 1


def test_a_setting_is_listed_with_its_origin(path: Path) -> None:
    set_value("provider", "demo", None)
    lines = list(listing(None, CancelToken()))
    assert f"{'provider':24} {'demo':24} {path}" in lines
    assert f"{'model':24} {'-':24} default" in lines
    assert lines[-3].startswith("asked now: server")


def test_who_cannot_be_asked_is_one_line(path: Path) -> None:
    set_value("strategy", "missing", None)
    assert list(listing(None, CancelToken()))[-1].startswith(f"{'asked now':24} - (")
