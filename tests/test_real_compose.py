"""Quick answers and documents of servers that nobody here wrote: llama.cpp, and aimock in chaos."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.events import Content, Done, Metadata, decode
from tests.support.client import Running, run, server_flags
from tests.support.real.servers import aimock, fixture, llama_server
from tests.support.unavailable import require

pytestmark = pytest.mark.real

CHAOS = ("--chaos-ratelimit", "0.2", "--chaos-drop", "0.2", "--chaos-disconnect", "0.2")
EVEN = [f"-o{name}" for name in ("seed=3", "top_k=0", "top_p=1", "min_p=0")]
ENDING = ["-t", "10", *EVEN, '-ologit_bias=[["\\"",35]]']
"""The model's weights are random: with these, the texts in its JSON mostly come to an end."""


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


def test_llama_cpp_writes_the_sections_of_an_outline(plan: str) -> None:
    with require(llama_server("tiny")) as server:
        flags = server_flags("llamacpp", f"{server.url}/v1", "tiny")
        command = ["compose", *flags, "--max-tokens", "40", "-t", "0", "--outline", plan, "who?"]
        first = run(command)
        assert first.status == 0, first.stderr
    assert first.stdout.count(b"\n## ") == 6
    again = run(command)  # without a server
    assert (again.status, again.stdout) == (0, first.stdout)


def test_llama_cpp_continues_what_was_killed(plan: str) -> None:
    with require(llama_server("tiny")) as server:
        flags = server_flags("llamacpp", f"{server.url}/v1", "tiny")
        command = ["compose", *flags, "--max-tokens", "60", "-t", "0", "--outline", plan, "--json"]
        with Running([*command, "who?"]) as client:
            for _ in range(60):
                client.read_line()
            client.process.kill()
            client.process.wait()
        broken = texts_in(client._read)
        done = run([*command, "who?"])
    assert done.status == 0, done.stderr
    texts = texts_in(done.stdout)
    assert len(texts) == 6
    assert broken
    for label, text in broken.items():
        assert texts[label].startswith(text)
    openings = [it for it in map(decode, done.stdout.splitlines()) if isinstance(it, Metadata)]
    assert any(it.continues for it in openings)


def texts_in(output: bytes) -> dict[str, str]:
    """What was printed of each section, in whole lines."""
    found: dict[str, str] = {}
    for line in output[: output.rfind(b"\n") + 1].splitlines():
        it = decode(line)
        if isinstance(it, Content) and it.stream:
            found[it.stream] = found.get(it.stream, "") + it.delta
    return found


def test_llama_cpp_follows_the_schema_of_an_outline_as_far_as_it_comes() -> None:
    """What its random weights make of it differs from processor to processor."""
    with require(llama_server("tiny")) as server:
        flags = server_flags("llamacpp", f"{server.url}/v1", "tiny")
        more = [*ENDING, "--max-tokens", "40", "--sections", "2"]
        done = run(["compose", *flags, *more, "who?"])
    headings = done.stdout.count(b"\n## ")
    assert headings == 2 or (headings == 0 and "no outline: " in done.stderr), done.stderr
    assert (done.status == 0) == (headings == 2)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_aimock_gives_an_outline_and_its_sections(provider: str) -> None:
    text = fixture("plain text")["response"]["content"].strip()
    with require(aimock()) as server:
        flags = server_flags(provider, f"{server.url}/v1")
        done = run(["compose", *flags, "--sections", "2", "plain text"])
    assert done.status == 0, done.stderr
    assert done.stdout.decode() == f"# Colours\n\n## Red\n\n{text}\n\n## Blue\n\n{text}\n"


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
