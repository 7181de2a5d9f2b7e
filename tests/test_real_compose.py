"""Quick answers and documents of servers that nobody here wrote: llama.cpp, and aimock in chaos."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.events import Content, Done, decode
from tests.support.client import run, server_flags
from tests.support.real.servers import aimock, fixture, llama_server
from tests.support.unavailable import require

pytestmark = pytest.mark.real

CHAOS = ("--chaos-ratelimit", "0.2", "--chaos-drop", "0.2", "--chaos-disconnect", "0.2")
EVEN = [f"-o{name}" for name in ("seed=3", "top_k=0", "top_p=1", "min_p=0")]
ENDING = ["-t", "10", *EVEN, '-ologit_bias=[["\\"",35]]']
"""The model's weights are random: with these, the texts in its JSON come to an end."""


@pytest.fixture
def plan(tmp_path: Path) -> str:
    path = tmp_path / "plan"
    path.write_text("".join(f"H{number}\n" for number in range(1, 7)))
    return str(path)


def test_llama_cpp_gives_a_quick_answer_and_a_detailed_one() -> None:
    with require(llama_server("tiny")) as server:
        flags = server_flags("llamacpp", f"{server.url}/v1", "tiny")
        flags += ["--max-tokens", "20", "-t", "0", "--json"]
        done = run(["ask", *flags, "--quick", "tiny", "who?"])
    assert done.status == 0, done.stderr
    events = [decode(line) for line in done.stdout.splitlines()]
    text = {"quick": "", "detailed": ""}
    for it in events:
        if isinstance(it, Content):
            text[str(it.stream)] += it.delta
    assert text["quick"] == text["detailed"] != ""
    assert (events[-1].stream, type(events[-1])) == ("detailed", Done)


def test_llama_cpp_makes_an_outline_by_a_schema_and_writes_its_sections() -> None:
    with require(llama_server("tiny")) as server:
        flags = server_flags("llamacpp", f"{server.url}/v1", "tiny")
        command = ["compose", *flags, *ENDING, "--max-tokens", "40", "--sections", "2", "who?"]
        first = run(command)
        assert first.status == 0, first.stderr
    assert first.stdout.count(b"\n## ") == 2
    again = run(command)  # without a server
    assert (again.status, again.stdout) == (0, first.stdout)


def test_a_document_is_whole_after_all_if_the_server_is_in_chaos(plan: str) -> None:
    text = fixture("plain text")["response"]["content"].strip()
    with require(aimock(*CHAOS)) as server:
        command = ["compose", *server_flags("ollama", server.url), "--outline", plan, "plain text"]
        for _ in range(5):
            done = run([*command, "--retries", "2"])
            if done.status == 0:
                break
            assert "run the same command again" in done.stderr
    assert done.status == 0, done.stderr
    sections = "\n\n".join(f"## H{number}\n\n{text}" for number in range(1, 7))
    assert done.stdout.decode() == f"# plain text\n\n{sections}\n"
