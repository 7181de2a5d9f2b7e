"""`compose` as a command: what is shown where, in which order, and what a second run does."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from chatstream.events import Content, Done, Event, Metadata, Progress, decode
from tests.support.answers import frames
from tests.support.client import COMMAND, LIMIT, Finished, Running, run, run_here, server_flags
from tests.support.loopback import NDJSON, Reply
from tests.support.sampling import by_size, seeded
from tests.support.sections import (
    OUTLINE,
    Continued,
    Sections,
    ignored,
    outline,
    refused,
    rest_of,
    says,
)
from tests.support.terminal import on_terminal
from tests.support.tmux import tmux
from tests.support.unavailable import require

BROKEN = Reply.json({"error": "no room left"}, 400)
TEXTS = {1: "The first one.", 2: "The second one.", 3: "The third one."}
DOCUMENT = (
    "# Title\n\n## A\n\nThe first one.\n\n## B\n\nThe second one.\n\n## C\n\nThe third one.\n"
)


@pytest.fixture
def plan(tmp_path: Path) -> str:
    path = tmp_path / "plan.md"
    path.write_text("# Title\n## A\n## B\n## C\n")
    return str(path)


def replies() -> dict[int, Reply]:
    return {number: says(text) for number, text in TEXTS.items()}


def command(server: Sections, *more: str) -> list[str]:
    flags = server_flags("ollama", server.url)
    return ["compose", *flags, "--retries", "0", *more, "a topic"]


def compose(server: Sections, *more: str) -> Finished:
    return run_here(command(server, *more))


def test_in_a_pipe_the_document_is_bytes_and_standard_error_names_what_is_written(
    plan: str,
) -> None:
    with Sections(replies()) as server:
        done = compose(server, "--outline", plan)
    assert (done.status, done.stdout.decode()) == (0, DOCUMENT)
    assert sorted(done.stderr.splitlines()) == ["written: 1 A", "written: 2 B", "written: 3 C"]


def test_sections_are_shown_in_order_though_they_end_out_of_order(plan: str) -> None:
    first, second = threading.Event(), threading.Event()
    held = {
        1: says("The first", " one.", hold={1: first}),
        2: says("The second one.", hold={"after_head": second}),
        3: says(TEXTS[3]),
    }
    with Sections(held) as server, Running(command(server, "--outline", plan)) as client:
        assert client.process.stderr is not None
        assert client.process.stdout is not None
        assert client.process.stderr.readline() == b"written: 3 C\n"
        shown = os.read(client.process.stdout.fileno(), 1000)
        while len(shown) < len("# Title\n\n## A\n\nThe first"):
            shown += os.read(client.process.stdout.fileno(), 1000)
        assert shown == b"# Title\n\n## A\n\nThe first"  # the one whose turn it is, live
        second.set()
        assert client.process.stderr.readline() == b"written: 2 B\n"
        first.set()
        done = client.finish()
    assert shown + done.stdout == DOCUMENT.encode()
    assert done.status == 0


def test_json_has_labelled_events_progress_and_the_end_of_the_document(plan: str) -> None:
    with Sections(replies()) as server:
        done = compose(server, "--outline", plan, "--json")
    events = [decode(line) for line in done.stdout.splitlines()]
    for number, label in enumerate(("1 A", "2 B", "3 C"), 1):
        own = [it for it in events if it.stream == label]
        assert [it.seq for it in own] == list(range(len(own)))
        assert "".join(it.delta for it in own if isinstance(it, Content)) == TEXTS[number]
        assert isinstance(own[-1], Done)
    told = [it.percentage or 0 for it in events if isinstance(it, Progress)]
    assert told == sorted(told)
    assert told[-1] == 100
    assert isinstance(events[-1], Done)
    assert events[-1].stream is None
    assert (done.status, done.stderr) == (0, "")


def test_a_second_run_prints_the_document_and_asks_nothing(plan: str) -> None:
    with Sections(replies()) as server:
        first = compose(server, "--outline", plan)
        server.play(Reply())
        second = compose(server, "--outline", plan)
        assert server.asked == []
        assert (second.status, second.stdout) == (0, first.stdout)
        assert "the document was already complete; --again starts over" in second.stderr
        assert compose(server, "--outline", plan, "--again").stdout == first.stdout
        assert sorted(server.asked) == [1, 2, 3]


def test_a_failed_section_is_named_and_is_all_that_the_second_run_writes(plan: str) -> None:
    with Sections({**replies(), 2: BROKEN}) as server:
        first = compose(server, "--outline", plan)
        server.replies = replies()
        server.play(Reply())
        second = compose(server, "--outline", plan)
    assert first.status == 1
    assert first.stdout == b"# Title\n\n## A\n\nThe first one.\n\n## C\n\nThe third one.\n"
    assert "2 B: " in first.stderr
    assert "no room left" in first.stderr
    assert "1 section could not be written" in first.stderr
    assert "run the same command again to write what is missing" in first.stderr
    assert (second.status, second.stdout.decode()) == (0, DOCUMENT)
    assert server.asked == [2]


def half(text: str) -> Reply:
    return Reply(frames("ollama", [text]), headers=NDJSON)


def test_a_section_that_broke_off_is_continued_and_one_line_says_so(plan: str) -> None:
    with Sections({**replies(), 2: half("The sec")}) as server:
        first = compose(server, "--outline", plan)
        server.replies = replies()
        server.play(Reply())
        second = compose(server, "--outline", plan)
    assert first.status == 1
    assert (second.status, second.stdout.decode()) == (0, DOCUMENT)
    assert server.begun == [(2, "The sec")]
    assert sorted(second.stderr.splitlines()) == [
        "warning: 2 B: continued where it broke off",
        "written: 2 B",
    ]


@pytest.mark.parametrize("continued", [refused, ignored])
def test_a_section_that_cannot_be_continued_is_written_again_and_one_line_says_why(
    plan: str, continued: Continued
) -> None:
    with Sections({**replies(), 1: half("The first one began in another way.")}) as server:
        compose(server, "--outline", plan)
        server.replies = {**replies(), 1: says("The first one begins like this.")}
        server.continued = continued
        second = compose(server, "--outline", plan)
    assert second.status == 0
    assert second.stdout.decode() == DOCUMENT.replace(
        "The first one.", "The first one begins like this."
    )
    told = [it for it in second.stderr.splitlines() if not it.startswith("written: ")]
    assert len(told) == 1
    assert told[0].startswith("warning: 1 A: asked again from the beginning: ")


def test_json_has_the_text_of_the_earlier_run_as_replayed(plan: str) -> None:
    with Sections({**replies(), 2: half("The sec")}) as server:
        compose(server, "--outline", plan)
        server.replies = replies()
        done = compose(server, "--outline", plan, "--json")
    events = [decode(line) for line in done.stdout.splitlines()]
    own = [it for it in events if it.stream == "2 B"]
    assert [it.seq for it in own] == list(range(len(own)))
    assert isinstance(own[0], Metadata)
    assert own[0].continues is not None
    pieces = [(it.delta, it.replayed) for it in own if isinstance(it, Content)]
    assert pieces[0] == ("The sec", True)
    assert "".join(text for text, _ in pieces) == TEXTS[2]
    assert not any(replayed for _, replayed in pieces[1:])
    told = [it.percentage or 0 for it in events if isinstance(it, Progress)]
    assert told == sorted(told)
    assert isinstance(events[-1], Done)
    assert (done.status, done.stderr) == (0, "")


def test_a_refused_key_is_a_refusal(plan: str) -> None:
    with Sections(dict.fromkeys(TEXTS, Reply.json({"error": "wrong key"}, 401))) as server:
        done = compose(server, "--outline", plan)
    assert (done.status, done.stdout) == (3, b"")
    assert len(server.asked) == 1  # the gate


def test_the_outline_may_come_from_the_model() -> None:
    with Sections({OUTLINE: outline("A", "B", "C"), **replies()}) as server:
        done = compose(server, "--sections", "3")
        assert (done.status, done.stdout.decode()) == (0, DOCUMENT)
        server.play(Reply())
        again = compose(server, "--sections", "3")
    assert (again.status, again.stdout) == (0, done.stdout)
    assert server.asked == []


def test_an_outline_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    with Sections({OUTLINE: BROKEN}) as server:
        for more in ([], ["--out", str(out)], ["--json"]):
            done = compose(server, *more)
            assert done.status == 3
            told = done.stdout.decode() if more == ["--json"] else done.stderr
            assert "no outline: " in told
            assert "no room left" in told
    assert not out.exists()


def test_a_page_has_its_own_outline() -> None:
    said = {1: "Fresh bread", 2: "Warm since 1890.", 3: "Our oven is old.", 4: "Come in."}
    with Sections({number: says(text) for number, text in said.items()}) as server:
        done = compose(server, "--outline", "page")
    assert done.status == 0
    assert done.stdout.decode() == (
        "# Fresh bread\n\n## Warm since 1890.\n\nOur oven is old.\n\nCome in.\n"
    )


def test_a_file_gets_the_document_when_it_is_whole(plan: str, tmp_path: Path) -> None:
    out = tmp_path / "document.md"
    out.write_text("the one before")
    with Sections({**replies(), 2: BROKEN}) as server:
        failed = compose(server, "--outline", plan, "--out", str(out))
        assert (failed.status, failed.stdout) == (1, b"")
        assert out.read_text() == "the one before"
        assert "1 section could not be written" in failed.stderr
        server.replies = replies()
        done = compose(server, "--outline", plan, "--out", str(out))
    assert (done.status, done.stdout) == (0, b"")
    assert out.read_text() == DOCUMENT
    assert f"wrote {out}" in done.stderr


def test_the_end_of_a_file_rings_the_bell(plan: str, tmp_path: Path) -> None:
    with Sections(replies()) as server:
        more = ["--outline", plan, "--out", str(tmp_path / "o.md"), "--notify", "bell"]
        status, _, written = on_terminal(command(server, *more))
    assert (status, written.count(b"\a")) == (0, 1)


def test_json_and_a_file_go_together(plan: str, tmp_path: Path) -> None:
    out = tmp_path / "document.md"
    with Sections(replies()) as server:
        done = compose(server, "--outline", plan, "--out", str(out), "--json")
    assert isinstance(decode(done.stdout.splitlines()[-1]), Done)
    assert out.read_text() == DOCUMENT


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--outline", "/nowhere/plan"], "/nowhere/plan cannot be read: No such file"),
        (["--outline", "/dev/null"], "/dev/null has no sections"),
        (["--outline", "page", "--sections", "3"], "--outline and --sections exclude each other"),
        (["--sections", "0"], "--sections"),
        (["--sections", "many"], "--sections"),
        (["-j", "0"], "--jobs"),
        (["--out", "/"], "--out / cannot be written"),
        (["-p", "nobody"], "nobody"),
        (["--outline", ""], "cannot be read"),
        (["--outline", "-"], "--outline does not read standard input"),
        (["--encoding", "klingon"], "is not a text encoding"),
    ],
)
def test_a_mistake_is_one_clear_line_and_asks_nothing(more: list[str], said: str) -> None:
    done = run_here(["compose", *more, "a topic"])
    assert (done.status, done.stdout) == (2, b"")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("topic", [[], [""], [" "], ["-"]])
def test_no_topic_is_a_mistake(topic: list[str]) -> None:
    done = run_here(["compose", "--outline", "page", *topic])
    assert (done.status, done.stdout) == (2, b"")
    assert "error: no topic was given\nchatstream compose " in done.stderr


def test_the_encoding_is_that_of_the_topic_and_of_the_outline(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    path.write_bytes("Caf\xe9\n".encode("cp1252"))
    with Sections({1: says("text")}) as server:
        flags = [*server_flags("ollama", server.url), "--outline", str(path)]
        done = run_here(["compose", *flags, "--encoding", "cp1252", "-"], stdin=b"Th\xe9")
    assert (done.status, done.stdout.decode()) == (0, "# Th\xe9\n\n## Caf\xe9\n\ntext\n")


def test_a_topic_may_come_from_standard_input_and_files(tmp_path: Path, plan: str) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("what we know")
    with Sections(replies()) as server:
        flags = server_flags("ollama", server.url)
        done = run_here(
            ["compose", *flags, "--outline", plan, "-f", str(notes), "-"], stdin=b"from a pipe"
        )
    assert done.status == 0
    asked = server.requests[0].json["messages"][-1]["content"]
    assert "from a pipe" in asked
    assert "what we know" in asked


def test_a_reader_that_has_seen_enough_is_no_failure(plan: str) -> None:
    with Sections(replies()) as server, Running(command(server, "--outline", plan)) as client:
        assert client.process.stdout is not None
        client.process.stdout.close()
        assert client.process.wait(LIMIT) == 0


def test_a_full_disk_is_a_failure(plan: str) -> None:
    with Sections(replies()) as server:
        done = run_here(command(server, "--outline", plan), stdout=Path("/dev/full"))
    assert done.status == 1
    assert "No space left" in done.stderr


def test_a_reader_of_events_that_is_gone_gets_no_half_file(plan: str, tmp_path: Path) -> None:
    out, held = tmp_path / "o.md", threading.Event()
    slow = {**replies(), 3: says(TEXTS[3], hold={"after_head": held})}
    more = ["--outline", plan, "--json", "--out", str(out)]
    with Sections(slow) as server, Running(command(server, *more)) as client:
        assert client.process.stdout is not None
        client.read_until(b'"done"')
        client.process.stdout.close()
        held.set()
        assert client.process.wait(LIMIT) == 0
    assert not out.exists()


@pytest.mark.parametrize("home", ["", "/dev/null"])
def test_where_nothing_can_be_kept_the_document_is_written_all_the_same(
    plan: str, home: str
) -> None:
    with Sections(replies()) as server:
        done = run_here(command(server, "--outline", plan), XDG_STATE_HOME="/dev/null/x", HOME=home)
    assert (done.status, done.stdout.decode()) == (0, DOCUMENT)
    assert "the next run will write everything again: " in done.stderr


def test_control_c_says_how_to_continue_and_loses_nothing(plan: str) -> None:
    held = threading.Event()
    slow = says("The second", " one.", hold={1: held})
    with Sections({**replies(), 2: slow}) as server:
        with Running(command(server, "--outline", plan)) as client:
            assert client.process.stderr is not None
            for _ in range(2):
                assert client.process.stderr.readline().startswith(b"written: ")
            client.process.send_signal(signal.SIGINT)
            done = client.finish()
        held.set()
        assert done.status == 130
        assert "run the same command again to write what is missing" in done.stderr
        server.play(Reply())
        again = run(command(server, "--outline", plan))
    assert (again.status, again.stdout.decode()) == (0, DOCUMENT)
    assert server.begun == [(2, "The second")]


def test_two_processes_do_not_write_one_document(plan: str) -> None:
    held = threading.Event()
    slow = {number: says(text, hold={"after_head": held}) for number, text in TEXTS.items()}
    with Sections(slow) as server, Running(command(server, "--outline", plan)) as client:
        assert server.wait_requests(1, LIMIT)
        other = compose(server, "--outline", plan)
        held.set()
        assert (client.finish().status, other.status) == (0, 2)
    assert "being written by another process" in other.stderr


@pytest.mark.screen
def test_kill_loses_no_token_and_none_is_written_twice(tmp_path: Path) -> None:
    """Killed at random moments; then nothing that was printed is ever asked for again."""
    sections = by_size(6, 30)
    chance = seeded("compose")
    plan = tmp_path / "plan"
    plan.write_text("".join(f"H{number}\n" for number in range(1, sections + 1)))
    words = {at: [f"{word} of {at}, " for word in range(40)] for at in range(1, sections + 1)}
    slow = {number: says(*its, pace=0.002) for number, its in words.items()}
    whole: set[int] = set()
    printed: dict[int, str] = {}
    with Sections(slow) as server:
        for _ in range(by_size(3, 12)):
            server.play(Reply())
            with Running(command(server, "--outline", str(plan), "--json")) as client:
                enough = chance.randrange(20 * sections, 40 * sections)  # all would be 45 each
                for _ in range(enough):
                    if not client.read_line():
                        break
                client.process.kill()
                client.process.wait()
            check(server.begun, whole, printed)
            whole |= ended(client._read)
            printed |= text_in(client._read)
        assert whole
        server.play(Reply())
        done = run(command(server, "--outline", str(plan)))
        check(server.begun, whole, printed)
    assert done.status == 0
    texts = ("".join(it).strip() for it in words.values())
    expected = "".join(f"\n\n## H{at}\n\n{text}" for at, text in enumerate(texts, 1))
    assert done.stdout.decode() == f"# a topic{expected}\n"


def check(begun: list[tuple[int, str]], whole: set[int], printed: Mapping[int, str]) -> None:
    """No section was asked for that was whole, and none without the text that was printed."""
    for number, text in begun:
        assert number not in whole
        assert text.startswith(printed.get(number, ""))


def text_in(output: bytes) -> dict[int, str]:
    """What was printed of each section."""
    found: dict[int, str] = {}
    for line in output[: output.rfind(b"\n") + 1].splitlines():
        it = decode(line)
        if isinstance(it, Content) and it.stream:
            found[number_of(it)] = found.get(number_of(it), "") + it.delta
    return found


def ended(output: bytes) -> set[int]:
    """The sections whose end was printed."""
    events = map(decode, output[: output.rfind(b"\n") + 1].splitlines())
    return {number_of(it) for it in events if isinstance(it, Done) and it.stream}


def number_of(event: Event) -> int:
    return int(str(event.stream).partition(" ")[0])


# ---- on a terminal


@pytest.mark.screen
@pytest.mark.parametrize("columns", [80, 40])
def test_a_terminal_shows_the_sections_in_order_and_one_bar(columns: int, plan: str) -> None:
    first, second = threading.Event(), threading.Event()
    held = {
        1: says("The first", " one.", hold={1: first}),
        2: says(TEXTS[2], hold={"after_head": second}),
        3: says(TEXTS[3]),
    }
    with Sections(held) as server, require(tmux(columns, 24)) as pane:
        pane.run([*COMMAND, *command(server, "--outline", plan)])
        pane.until_shown("The first")
        pane.until(lambda: share(pane.text()) > 30)
        assert "The third one." not in pane.text()
        at_first = share(pane.text())
        second.set()
        pane.until(lambda: share(pane.text()) > 60)
        assert share(pane.text()) >= at_first
        assert "The second one." not in pane.text()
        first.set()
        pane.until(lambda: pane.ended)
        assert pane.status == 0
        lines = [line for line in pane.lines() if line.strip() and "✓" not in line]
    assert lines[:7] == ["Title", "A", TEXTS[1], "B", TEXTS[2], "C", TEXTS[3]]
    assert "writing" not in "\n".join(lines)


def share(text: str) -> int:
    """The percentage that the bar shows."""
    found = re.findall(r"(\d+) %", text)
    return int(found[-1]) if found else 0


@pytest.mark.screen
@pytest.mark.parametrize("columns", [80, 40])
def test_a_terminal_has_the_bar_while_a_file_is_written(
    columns: int, plan: str, tmp_path: Path
) -> None:
    held = threading.Event()
    slow: Mapping[int, Reply] = {**replies(), 2: says(TEXTS[2], hold={"after_head": held})}
    out = tmp_path / "o.md"
    with Sections(slow) as server, require(tmux(columns, 24)) as pane:
        pane.run([*COMMAND, *command(server, "--outline", plan, "--out", str(out))])
        pane.until(lambda: share(pane.text()) > 60)
        assert len(pane.lines()) == 1
        held.set()
        pane.until(lambda: pane.ended)
        assert pane.status == 0
        assert pane.text().replace("\n", "") == f"wrote {out}"
    assert out.read_text() == DOCUMENT


@pytest.mark.screen
def test_a_screen_reader_gets_a_line_for_each_section_of_a_file(plan: str, tmp_path: Path) -> None:
    out = tmp_path / "o.md"
    with Sections(replies()) as server, require(tmux(80, 24)) as pane:
        more = ["--outline", plan, "--accessible", "-j", "1", "--out", str(out)]
        pane.run([*COMMAND, *command(server, *more)])
        pane.until(lambda: pane.ended)
        assert pane.status == 0
        assert pane.lines()[:3] == ["written: 1 A", "written: 2 B", "written: 3 C"]


@pytest.mark.screen
def test_control_c_on_a_terminal_leaves_what_was_shown(plan: str) -> None:
    never = threading.Event()
    slow: Mapping[int, Reply] = {**replies(), 2: says("The second", " one.", hold={1: never})}
    with Sections(slow) as server, require(tmux(80, 24)) as pane:
        pane.run([*COMMAND, *command(server, "--outline", plan)])
        pane.until_shown("The second")
        pane.send("C-c")
        pane.until(lambda: pane.ended)
        assert pane.status == 130
        shown = pane.text()
    assert "■ stopped" in shown
    assert "run the same command again to write what is missing" in " ".join(shown.split())
    assert shown.count("The first one.") == 1


@pytest.mark.screen
def test_a_terminal_shows_the_text_that_is_continued_once(plan: str) -> None:
    go_on = threading.Event()
    with Sections({**replies(), 1: half("The fir"), 2: half("The sec")}) as server:
        compose(server, "--outline", plan)
        server.replies = replies()
        server.continued = lambda reply, text: replace(rest_of(reply, text), hold={1: go_on})
        with require(tmux(80, 24)) as pane:
            pane.run([*COMMAND, *command(server, "--outline", plan)])
            pane.until_shown("The first one.")
            go_on.set()
            pane.until(lambda: pane.ended)
            assert pane.status == 0
            lines = [line for line in pane.lines() if line.strip() and "✓" not in line]
    notes = [it for it in lines if "continued where it broke off" in it]
    assert len(notes) == 2
    assert "1 A" in notes[0]
    document = [it for it in lines if it not in notes]
    assert document == ["Title", "A", TEXTS[1], "B", TEXTS[2], "C", TEXTS[3]]
