"""The summary in a system prompt."""

from __future__ import annotations

import pytest

from chatstream.engine.summaries import HEADING, parted, with_summary


@pytest.mark.parametrize("system", ["", "Be brief.", "Be brief.\n\nAnd kind.\n"])
@pytest.mark.parametrize("summary", ["", "It was about the sky.", "one\n\ntwo"])
def test_a_summary_is_put_into_a_prompt_and_found_there_again(system: str, summary: str) -> None:
    whole = with_summary(system, summary)
    assert parted(whole) == (system, summary)
    assert with_summary(whole, "new") == with_summary(system, "new")


def test_without_a_prompt_the_summary_stands_alone() -> None:
    assert with_summary("", "the sky") == f"{HEADING}\n\nthe sky"


def test_the_heading_in_the_middle_of_a_line_is_text() -> None:
    system = f"Begin with {HEADING}\n\nand so on"
    assert parted(system) == (system, "")
