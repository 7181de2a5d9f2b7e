"""Where an answer is shown, and how it looks."""

from __future__ import annotations

import pytest

from chatstream.engine.settings import Settings
from chatstream.errors import ConfigError
from chatstream.terminal.look import check_look, is_resettable, is_screen


@pytest.mark.usefixtures("terminal")
def test_a_terminal_is_a_screen_unless_something_else_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert is_screen(Settings(), as_json=False, plain=False)
    assert not is_screen(Settings(), as_json=True, plain=False)
    assert not is_screen(Settings(), as_json=False, plain=True)
    assert not is_screen(Settings(accessible=True), as_json=False, plain=False)
    assert is_resettable(as_json=False)
    for term in ("dumb", "unknown", ""):
        monkeypatch.setenv("TERM", term)
        assert not is_screen(Settings(), as_json=False, plain=False)
    monkeypatch.delenv("TERM")
    assert not is_screen(Settings(), as_json=False, plain=False)


@pytest.mark.usefixtures("pipe")
def test_a_pipe_is_no_screen_and_only_events_can_be_taken_back_there() -> None:
    assert not is_screen(Settings(), as_json=False, plain=False)
    assert not is_resettable(as_json=False)
    assert is_resettable(as_json=True)


@pytest.mark.usefixtures("terminal")
def test_a_look_that_does_not_exist_is_told_with_the_nearest() -> None:
    def check(name: str | None, *, accessible: bool = False, plain: bool = False) -> None:
        settings = Settings(code_theme=name, accessible=accessible)
        check_look(settings, as_json=False, plain=plain)

    for name in (None, "monokai", "ansi_light"):
        check(name)
    with pytest.raises(ConfigError, match="unknown code theme 'Monokay'") as caught:
        check("Monokay")
    assert caught.value.hint == "did you mean 'monokai'?"
    with pytest.raises(ConfigError) as caught:
        check("?")
    assert caught.value.hint is not None
    assert "monokai" in caught.value.hint
    check("?", plain=True)  # nothing is drawn in colours there
    check("?", accessible=True)
