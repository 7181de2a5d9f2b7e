"""A server of several models, each with a reply of its own, and what compares them.

with ByModel(a=says("Blue."), b=holds("The sky ")) as server:
    done = run_here(compare_line(server, "a", "b"))
"""

from __future__ import annotations

from tests.support.chats import sent
from tests.support.loopback import Reply, Request, Script


class ByModel(Script):
    """Ollama's protocol; a model that is not there is not found."""

    def __init__(self, **replies: Reply) -> None:
        super().__init__(Reply())
        self.replies = replies

    def take(self, request: Request) -> Reply:
        if request.path != "/api/chat":
            return Reply.json({"models": []})
        super().take(request)
        missing = Reply.json({"error": "model not found"}, 404)
        return self.replies.get(request.json["model"], missing)

    def asked(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """The model of each question and its messages, in the order of the models."""
        return sorted(zip([it.json["model"] for it in self.requests], sent(self), strict=True))


def compare_line(server: Script, *models: str, question: str = "why?") -> list[str]:
    """The arguments that compare these models there."""
    named = [word for model in models for word in ("-m", model)]
    return [
        *("compare", "-p", "ollama", "--base-url", server.url, "--retries", "0"),
        *("--on-drop", "stop", *named, question),
    ]
