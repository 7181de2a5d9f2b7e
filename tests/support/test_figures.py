"""What tests tell is summed up over all of them, and told once."""

from __future__ import annotations

import pytest

from tests.support.figures import Figures, told


def reports(*properties: tuple[str, object]) -> list[pytest.TestReport]:
    """The three reports of a test that told these; each has them all."""
    place = ("test_it.py", 1, "test_it")
    return [
        pytest.TestReport(
            "test_it.py::test_it",
            place,
            {},
            "passed",
            None,
            when,
            user_properties=list(properties),
        )
        for when in ("setup", "call", "teardown")
    ]


def test_counts_are_summed_up_and_lines_are_told_as_they_are() -> None:
    noted: list[tuple[str, object]] = []
    figures = Figures(lambda name, value: noted.append((name, value)))
    figures.count("cuts", 1200)
    figures.line("peak: 3 MB")
    stats = {"passed": reports(*noted), "": reports(("of somebody else", 1), *noted[:1])}
    assert list(told(stats)) == ["peak: 3 MB", "cuts: 2,400"]
