"""Claimed: the names in a server's list of models are found in each form that servers use."""

from __future__ import annotations

import pytest

from chatstream.errors import ChatstreamError
from chatstream.providers.models import models_in
from chatstream.transport import Head

OK = Head(200, {})


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ('{"data": [{"id": "a"}, {"id": "b"}]}', ["a", "b"]),
        ('{"models": [{"name": "a"}, {"model": "b"}]}', ["a", "b"]),
        ('[{"id": "a"}]', ["a"]),
        ('\ufeff{"data": [{"id": "a"}, {"id": 3}, {}]}', ["a"]),
        ('{"data": null}', []),
    ],
)
def test_the_names_are_found(body: str, names: list[str]) -> None:
    assert [name for name, _ in models_in(OK, body.encode())] == names


@pytest.mark.parametrize("body", ["", "<html>", '{"data": 3}', '{"error": "no"}', "{} {}"])
def test_what_is_not_a_list_is_a_failure(body: str) -> None:
    with pytest.raises(ChatstreamError):
        models_in(OK, body.encode())
