"""What the tests of tools share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatstream.tools.sandbox import Kind
from chatstream.tools.spawning import Keeper
from tests.support.sandboxes import EACH, provide
from tests.support.toolcalls import FromFile


@pytest.fixture
def from_file(tmp_path: Path) -> Iterator[Callable[[str], FromFile]]:
    """Makes a file of tools of its code, and ends its process after the test."""
    made: list[FromFile] = []

    def make(code: str) -> FromFile:
        made.append(FromFile(tmp_path, code))
        return made[-1]

    yield make
    for file in made:
        file.close()


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    """A keeper, which is closed after the test."""
    with closing(Keeper()) as made:
        yield made


@pytest.fixture(params=EACH)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    """Each kind of sandbox."""
    return provide(request.param, monkeypatch)
