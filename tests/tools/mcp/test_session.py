"""Claimed: a server is greeted in its own era, and lists what it offers, whole, in its time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from chatstream.cancel import CancelToken
from chatstream.clock import Deadline
from chatstream.errors import Cancelled
from chatstream.tools.mcp.messages import MODERN, Request, Response, answer
from chatstream.tools.mcp.session import Limits, Offered, ServerFailed, Session
from tests.support.mcpserver import OLD, TOOLS, command
from tests.support.stdio import stdio
from tests.support.toolcalls import LIMIT

pytestmark = pytest.mark.usefixtures("ends_keeper")


class Begun:
    """A session with a server of the hand-written kind."""

    def __init__(self, *arguments: str, discover: float = LIMIT, start: float = LIMIT) -> None:
        self.channel = stdio(command(*arguments), self._answer)
        limits = Limits(start=start, discover=discover)
        self.session = Session("s", self.channel, {}, limits)
        self.deadline = Deadline(start)

    def _answer(self, request: Request) -> Response:
        return answer(request, [])

    def offered(self, token: CancelToken | None = None) -> list[Offered]:
        """All steps, one after the other."""
        token = token or CancelToken()
        if not self.session.discover(self.deadline, token):
            self.session.initialize(self.deadline, token)
        return list(self.session.offered(self.deadline, token))


@pytest.fixture
def made() -> Iterator[list[Begun]]:
    """Sessions whose servers are ended after the test."""
    begun: list[Begun] = []
    yield begun
    for it in begun:
        it.channel.close()


@pytest.mark.parametrize(("era", "version"), [("old", OLD), ("new", MODERN)])
@pytest.mark.parametrize("pages", [[], ["pages"]], ids=["one page", "pages"])
def test_each_era_is_told_by_its_answer(
    made: list[Begun], era: str, version: str, pages: list[str]
) -> None:
    made.append(Begun(era, *pages))
    assert [it.name for it in made[0].offered()] == [it["name"] for it in TOOLS]
    assert made[0].session.version == version


def test_one_that_was_only_slow_to_answer_is_of_its_own_era(made: list[Begun]) -> None:
    made.append(Begun("new", "late", discover=0.05))
    assert len(made[0].offered()) == len(TOOLS)
    assert made[0].session.version == MODERN


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("new", "future"), "speaks only 2031-01-01"),
        (("new", "endless"), "lists more and more tools without end"),
    ],
)
def test_what_cannot_be_used_is_said(
    made: list[Begun], arguments: tuple[str, ...], words: str
) -> None:
    made.append(Begun(*arguments))
    with pytest.raises(ServerFailed) as caught:
        made[0].offered()
    assert caught.value.message == f"the MCP server s {words}"


def test_silence_has_a_limit(made: list[Begun]) -> None:
    made.append(Begun("old", "mute", discover=0.1, start=0.3))
    with pytest.raises(ServerFailed, match=r"did not answer within 0\.3 s"):
        made[0].offered()


def test_a_cancel_ends_the_wait(made: list[Begun]) -> None:
    made.append(Begun("old", "mute"))
    token = CancelToken()
    threading.Timer(0.1, token.cancel).start()
    with pytest.raises(Cancelled):
        made[0].offered(token)


def test_what_is_not_a_tool_is_left_out(made: list[Begun]) -> None:
    made.append(Begun("new", "sloppy"))
    assert made[0].offered() == [Offered("echo")]
