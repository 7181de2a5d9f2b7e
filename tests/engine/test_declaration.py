"""A declaration says how its option is called, and what it leaves out is made from its name."""

from __future__ import annotations

import pytest

from chatstream.engine.declaration import About, Option, Setting

SWITCH = Option("Output", "Do it.")
VALUE = Option("Output", "Do it.", value="X")


@pytest.mark.parametrize(
    ("about", "flags", "option"),
    [
        (About("Output", "Do it."), (), ""),
        (SWITCH, ("--a-b/--no-a-b",), "--a-b"),
        (VALUE, ("--a-b",), "--a-b"),
        (Option("Output", "Do it.", names=("--no-a",)), ("--no-a",), "--no-a"),
        (Option("Output", "Do it.", value="X", names=("-o", "--own")), ("-o", "--own"), "--own"),
    ],
)
def test_an_option_is_called_as_it_is_declared_or_else_like_its_setting(
    about: About, flags: tuple[str, ...], option: str
) -> None:
    setting = Setting("a_b", str, "", about)
    assert (setting.flags, setting.option) == (flags, option)
