"""The options of `chatstream compare`."""

from __future__ import annotations

from chatstream.cli.compare_options import TAKEN
from chatstream.engine.settings import DECLARED


def test_every_setting_with_an_option_is_taken_but_the_model_and_the_tools() -> None:
    left_out = {name for name, it in DECLARED.items() if it.flags} - {*TAKEN}
    assert {"model", "strategy"} < left_out
    assert {DECLARED[it].about.group for it in left_out - {"model", "strategy"}} == {"Tools"}
