"""The tables of what is known of proxies."""

from __future__ import annotations

import pytest

from chatstream.doctor.proxies import ADVICE, IDLE_LIMITS, PROXIES, TOTAL_LIMITS


@pytest.mark.parametrize("limits", [IDLE_LIMITS, TOTAL_LIMITS])
def test_limits_are_told_apart_and_stand_in_order(limits: tuple[tuple[float, str], ...]) -> None:
    seconds = [limit for limit, _ in limits]
    assert seconds == sorted(set(seconds))
    assert all(whose for _, whose in limits)


def test_headers_are_in_lower_case_as_they_are_looked_up() -> None:
    for header, part, name, todo in PROXIES:
        assert (header, part) == (header.lower(), part.lower())
        assert name
        assert todo


def test_there_is_advice_for_what_proxies_say_themselves() -> None:
    assert {401, 404, 429, 502, 503, 504} <= set(ADVICE)
    assert not any("\n" in text for text in ADVICE.values())
