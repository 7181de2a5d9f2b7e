"""Claimed: a conversation is one thing, however its turns are asked, cut off, killed or shared.

All of it goes through the command line or the library, against a server on loopback; what the
parts do by themselves is tested in their own rooms.
"""

from __future__ import annotations

import json
import shutil
import signal
import threading
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

import chatstream
from chatstream import events as ev
from chatstream.store.conversation import Conversations
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import journals
from chatstream.transcript import Transcript
from tests.support.answers import ALL_DIALECTS, TEXT, ending, frames, headers, whole
from tests.support.client import Finished, Running, run_here, server_flags
from tests.support.loopback import SSE, Reply, Script
from tests.support.rounds import QUESTION, READS, Counting, continued, whole_run
from tests.support.runs import run_id, write_run
from tests.support.sampling import by_size, sampled
from tests.support.summing import messages_in

PREVIOUS = Path(__file__).parent / "store" / "previous"
KEYS: dict[str, Any] = {"OPENAI_API_KEY": "test-key", "ANTHROPIC_API_KEY": "test-key"}
AT_ONCE: dict[str, Any] = {
    "CHATSTREAM_KEEP_COMPLETE": "0.0000001",
    "CHATSTREAM_KEEP_INCOMPLETE": "0.0000001",
}

TURNS = by_size(20, 100)

Turn = tuple[str, str]
"""The role of a message and its text."""


def says(text: str, dialect: str = "ollama") -> Reply:
    return Reply([*frames(dialect, [text]), *ending(dialect)], headers=headers(dialect))


def cut(text: str, dialect: str = "ollama") -> Reply:
    """Some text, and then the end of the body where the end mark should be."""
    return Reply(frames(dialect, [text]), headers=headers(dialect))


def ask(server: Script, question: str, *more: str, dialect: str = "ollama") -> Finished:
    flags = [*server_flags(dialect, server.url), "--on-drop", "stop", "--retries", "0"]
    return run_here(["ask", *flags, *more, question], **KEYS)


def go_on(question: str, *more: str) -> Finished:
    """The next question; the server is that of the answer before it."""
    flags = [] if {"--at", "--edit", "--name"} & {*more} else ["-c"]
    return run_here(["ask", *flags, "--on-drop", "stop", "--retries", "0", *more, question], **KEYS)


def sent(server: Script, number: int = -1) -> list[Turn]:
    """The messages of a request."""
    return [(it["role"], it["content"]) for it in messages_in(server.requests[number].json)]


def lines(*arguments: str) -> list[Any]:
    """What a command prints as JSON Lines."""
    done = run_here([*arguments])
    assert done.status == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def shown(*run: str) -> list[Turn]:
    """The messages of a conversation."""
    (conversation,) = lines("history", "show", "--json", *run)
    return [(it["role"], it.get("content", "")) for it in conversation["messages"]]


def runs() -> list[str]:
    """The runs that have a journal, the oldest first."""
    return [path.stem for path in journals(runs_folder())][::-1]


def requests_kept() -> list[bytes]:
    """What each journal keeps of its question, the oldest first."""
    files = [path.read_bytes() for path in journals(runs_folder())[::-1]]
    first = [json.loads(file.splitlines()[0]) for file in files]
    return [json.dumps(it["request"]["messages"], ensure_ascii=False).encode() for it in first]


def assert_tree(run: str, *questions: str) -> None:
    """The tree of the run's conversation has these questions."""
    done = run_here(["history", "tree", run])
    assert done.status == 0, done.stderr
    for question in questions:
        assert f"\t{question}\n" in done.stdout.decode()


# ---- one conversation


def test_three_turns_are_one_conversation_with_six_messages_and_one_hit_for_a_word() -> None:
    turns = [("user", "one?"), ("assistant", "Uno, the unicorn."), ("user", "two?")]
    turns += [("assistant", "Due."), ("user", "three?"), ("assistant", "Tre.")]
    with Script(*(says(text) for role, text in turns if role == "assistant")) as server:
        assert ask(server, "one?").stdout == b"Uno, the unicorn."
        for question, answer in (("two?", b"Due."), ("three?", b"Tre.")):
            done = go_on(question)
            assert (done.status, done.stdout, done.stderr) == (0, answer, "")
        assert [sent(server, number) for number in range(3)] == [turns[:1], turns[:3], turns[:5]]
    assert shown() == turns
    assert len(lines("history", "export", "--format", "json")) == 1
    (found,) = lines("history", "search", "--json", "unicorn")
    assert found["role"] == "assistant"
    assert len(lines("history", "--json")) == 3
    first, *_ = runs()
    assert run_here(["history", "show", "--text", first]).stdout == b"Uno, the unicorn."


def test_many_turns_keep_what_as_many_questions_keep(tmp_path: Path) -> None:
    question, answer = (" ".join(islice(cycle(words), 170)) for words in (["why"], ["because"]))
    sizes, questions = [], []
    with Script(says(answer)) as server:
        options: dict[str, Any] = {"provider": "ollama", "base_url": server.url, "model": "m"}
        for follow in (False, True):
            with (
                pytest.MonkeyPatch.context() as patch,
                chatstream.Client(**options) as client,
            ):
                patch.setenv("XDG_STATE_HOME", str(tmp_path / str(follow)))
                conversation = client.conversation()
                for _ in range(TURNS):
                    (conversation if follow else client).ask(question)
                kept = [path.stat().st_size for path in journals(runs_folder())]
                assert len(kept) == TURNS
                sizes.append(sum(kept))
                questions.append(sum(map(len, requests_kept())))
        assert len(sent(server)) == 2 * TURNS - 1
    assert sizes[1] <= 1.05 * sizes[0]
    assert questions[1] == questions[0]


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_roles_alternate_after_an_answer_that_was_cut_and_after_none(dialect: str) -> None:
    refused = Reply.json({"error": {"message": "no"}}, 400)
    replies = [cut("Some of", dialect), refused, says("Whole.", dialect), says("End.", dialect)]
    with Script(*replies) as server:
        assert ask(server, "a", dialect=dialect).status == 5
        assert go_on("b").status == 3
        assert go_on("c").status == 0
        assert go_on("d").status == 0
        before: list[Turn] = [("user", "a"), ("assistant", "Some of")]
        assert sent(server, 1) == [*before, ("user", "b")]
        assert sent(server, 2) == [*before, ("user", "c")]
        assert sent(server) == [*before, ("user", "c"), ("assistant", "Whole."), ("user", "d")]


def test_a_call_that_got_no_result_is_not_sent_again() -> None:
    calls = [{"function": {"name": "weather", "arguments": {"city": "Bern"}}}]
    lines_of = [
        {"message": {"content": "I will look.", "tool_calls": calls}, "done": False},
        {"message": {"content": ""}, "done": True, "done_reason": "stop"},
    ]
    body = b"".join(json.dumps(it).encode() + b"\n" for it in lines_of)
    with Script(Reply(body, headers=headers("ollama")), says("Sunny.")) as server:
        ask(server, "How is the weather?")
        go_on("Just guess.")
        sent_back = server.requests[-1].json["messages"]
    assert sent_back[1] == {"role": "assistant", "content": "I will look."}
    (conversation,) = lines("history", "show", "--json")
    assert conversation["messages"][1]["tool_calls"][0]["name"] == "weather"


def calls_alone() -> Reply:
    """An answer that is nothing but a call."""
    calls = [{"function": {"name": "weather", "arguments": {"city": "Bern"}}}]
    told = {"message": {"content": "", "tool_calls": calls}, "done": False}
    end = {"message": {"content": ""}, "done": True, "done_reason": "stop"}
    body = b"".join(json.dumps(it).encode() + b"\n" for it in (told, end))
    return Reply(body, headers=headers("ollama"))


def test_an_answer_of_calls_alone_is_followed_without_them() -> None:
    with Script(calls_alone(), says("Sunny.")) as server:
        ask(server, "How is the weather?")
        assert go_on("Just guess.").status == 0
        assert sent(server) == [("user", "How is the weather?"), ("user", "Just guess.")]
        assert go_on("Surely?").status == 0
        assert [role for role, _ in sent(server)] == ["user", "user", "assistant", "user"]
    first, second, _ = runs()
    assert_tree(first, "How is the weather?", "Just guess.")
    (conversation,) = lines("history", "show", "--json", second)
    roles = [it["role"] for it in conversation["messages"]]
    assert roles == ["user", "assistant", "user", "assistant"]


def test_a_conversation_keeps_calls_that_it_does_not_send() -> None:
    with (
        Script(calls_alone(), says("Sunny.")) as server,
        chatstream.Client(provider="ollama", base_url=server.url, model="m") as client,
    ):
        conversation = client.conversation()
        for question in ("How is the weather?", "Just guess.", "Surely?"):
            conversation.ask(question)
        assert [role for role, _ in sent(server)] == ["user", "user", "assistant", "user"]
    assert [it.role for it in conversation.messages] == ["user", "assistant"] * 3
    assert conversation.messages[1].tool_calls


def test_the_results_of_calls_that_the_caller_was_left_with_can_follow() -> None:
    result = {"type": "tool_result", "name": "weather", "content": "sunny"}
    with (
        Script(calls_alone(), says("It is sunny.")) as server,
        chatstream.Client(provider="ollama", base_url=server.url, model="m") as client,
    ):
        conversation = client.conversation()
        (call,) = conversation.ask("How is the weather?").tool_calls
        answer = conversation.ask([{"role": "tool", "parts": [{**result, "id": call.id}]}])
        assert answer.content == "It is sunny."
        assert [role for role, _ in sent(server)] == ["user", "assistant", "tool"]
    again = client.conversation(last=True).messages
    assert again == conversation.messages
    assert [it.role for it in again] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize("expired", [False, True], ids=["journals", "history"])
@pytest.mark.parametrize("cut", sampled(range(1, len(whole_run())), 8, "cuts"))
def test_a_loop_of_tools_that_was_killed_and_resumed_is_one_conversation(
    cut: int, expired: bool
) -> None:
    events = whole_run()[:cut]
    after = continued(events, Counting(reads=READS))
    asked = [QUESTION]
    write_run(state_folder(), run_id(1), pieces=events[1:], asked=asked, killed=True)
    lines("history", "--json")
    write_run(state_folder(), run_id(2), pieces=after[1:-1], asked=asked, continues=run_id(1))
    made = Transcript()
    for event in after:
        made.add(event)
    if expired:
        assert run_here(["history", "--json"]).status == 0
        for journal in journals(runs_folder()):
            journal.unlink()
    assert Conversations(state_folder()).path(run_id(2)) == [QUESTION, *made.messages]
    assert Conversations(state_folder()).newest() == run_id(2)
    for run in (run_id(1), run_id(2)):
        assert shown(run)[0] == ("user", QUESTION.content)
        assert lines("history", "export", "--format", "json", run)
    (conversation,) = lines("history", "show", "--json", run_id(2))
    assert [it["role"] for it in conversation["messages"]] == [
        *("user", "assistant", "tool", "assistant", "tool", "assistant")
    ]
    with Script(says("Five.")) as server:
        flags = [*server_flags("ollama", server.url), "--retries", "0"]
        assert run_here(["ask", "-c", *flags, "and then?"]).status == 0
        roles = [role for role, _ in sent(server)]
    assert roles == ["user", "assistant", "tool", "tool", "assistant", "tool", "assistant", "user"]


def test_a_person_sees_the_calls_and_their_results() -> None:
    write_run(state_folder(), run_id(1), pieces=whole_run()[1:-1], asked=[QUESTION])
    told = run_here(["history", "show"]).stdout.decode()
    exported = run_here(["history", "export"]).stdout.decode()
    for text in (told, exported):
        assert '⚙ add({"n": 1})\n⚙ look({"at": "x"})\n' in text
        assert 'add: add({"n": 1})\nlook: look({"at": "x"})\n' in text
        assert "I look. \n⚙ add" in text


def test_what_a_tool_has_said_is_found() -> None:
    pieces = [
        ev.ToolCall("i", "read_file", '{"path": "a.txt"}'),
        ev.ToolComplete("i", "read_file", "The zebra sleeps.", 0.1),
        ev.Metadata(provider="demo"),
        ev.Content("It sleeps."),
    ]
    write_run(state_folder(), run_id(1), pieces=pieces)
    (found,) = lines("history", "search", "--json", "zebra")
    assert (found["run"], found["role"], found["snippet"]) == (
        run_id(1),
        "tool",
        "The zebra sleeps.",
    )


def test_a_question_behind_a_loop_is_found_when_only_the_history_is_left() -> None:
    write_run(state_folder(), run_id(1), pieces=whole_run()[1:-1], asked=[QUESTION])
    lines("history", "--json")
    for journal in journals(runs_folder()):
        journal.unlink()
    assert Conversations(state_folder()).asked(run_id(1)) == [QUESTION]


def test_a_resumed_answer_is_followed_as_a_whole() -> None:
    with Script(says("First."), cut("Second, "), says("and more."), says("Third.")) as server:
        ask(server, "a")
        assert go_on("b").status == 5
        resumed = run_here(["resume"])
        assert (resumed.status, resumed.stdout) == (0, b"Second, and more.")
        assert go_on("c").stdout == b"Third."
        turns = [("user", "a"), ("assistant", "First."), ("user", "b")]
        assert sent(server, 2)[:3] == turns
        assert sent(server) == [*turns, ("assistant", "Second, and more."), ("user", "c")]
    assert shown() == [*sent(server), ("assistant", "Third.")]
    for run in runs():
        assert "Second, and more." in [text for _, text in shown(run)] or run == runs()[0]


# ---- branches and names


def test_a_question_is_asked_in_the_place_of_another_and_both_stay() -> None:
    with Script(*(says(text) for text in ("A.", "B.", "C.", "D.", "E."))) as server:
        ask(server, "a")
        go_on("b")
        first, second = runs()
        assert go_on("not b", "--edit", second).stdout == b"C."
        assert sent(server) == [("user", "a"), ("assistant", "A."), ("user", "not b")]
        go_on("further", "--at", second[:-2])
        assert sent(server)[-2:] == [("assistant", "B."), ("user", "further")]
        edited, further = runs()[2:]
        assert go_on("instead of a", "--edit", first).stdout == b"E."
        assert sent(server) == [("user", "instead of a")]
    assert shown(edited) == [*sent(server, 2), ("assistant", "C.")]
    assert shown(further) == [*sent(server, 3), ("assistant", "D.")]
    exported = lines("history", "export", "--format", "json", first)
    assert [[it["content"] for it in branch["messages"]] for branch in exported] == [
        ["a", "A.", "not b", "C."],
        ["a", "A.", "b", "B.", "further", "D."],
    ]
    assert_tree(first, "a", "b", "not b", "further")


def test_a_conversation_has_a_name_of_its_own() -> None:
    with Script(says("A."), says("B."), says("C.")) as server:
        ask(server, "a", "--name", "sky")
        ask(server, "other")
        assert go_on("b", "--name", "sky").stdout == b"C."
        assert sent(server) == [("user", "a"), ("assistant", "A."), ("user", "b")]
        taken = run_here(["ask", "--at", runs()[1], "--name", "sky", "c"])
        assert (taken.status, taken.stdout) == (2, b"")
        assert taken.stderr.startswith("error: another conversation is named 'sky'")
    assert len(runs()) == 3


def test_a_conversation_without_an_answer_gives_its_name_away() -> None:
    with Script(Reply.json({"error": "no"}, 400), says("A."), says("B.")) as server:
        assert ask(server, "a", "--name", "sky").status == 3
        assert ask(server, "again", "--name", "sky").stdout == b"A."
        assert go_on("b", "--name", "sky").stdout == b"B."
        assert sent(server) == [("user", "again"), ("assistant", "A."), ("user", "b")]


def test_two_processes_make_two_branches_and_the_later_one_says_so() -> None:
    held = threading.Event()
    slow = Reply(
        [b"".join(frames("ollama", ["First "])), *frames("ollama", ["branch."]), *ending("ollama")],
        headers=headers("ollama"),
        hold={1: held},
    )
    with Script(says("A."), slow, says("Second branch.")) as server:
        ask(server, "a")
        with Running(["ask", "-c", "--plain", "one way"]) as client:
            assert server.wait_holding(20)
            later = go_on("other way")
            held.set()
            earlier = client.finish()
        assert sent(server, 1) == [("user", "a"), ("assistant", "A."), ("user", "one way")]
        assert sent(server, 2) == [("user", "a"), ("assistant", "A."), ("user", "other way")]
    assert (earlier.status, earlier.stdout, earlier.stderr) == (0, b"First branch.", "")
    assert (later.status, later.stdout) == (0, b"Second branch.")
    assert "branch" in later.stderr
    assert len(later.stderr.splitlines()) == 1
    _, one, other = runs()
    assert shown(one) == [*sent(server, 1), ("assistant", "First branch.")]
    assert shown(other) == [*sent(server, 2), ("assistant", "Second branch.")]
    assert_tree(one, "a", "one way", "other way")


# ---- nothing is lost


def test_a_turn_that_was_killed_is_followed_as_far_as_it_came() -> None:
    held = Reply(
        [b"".join(frames("ollama", ["Th", "re"])), b"x"],
        headers=headers("ollama"),
        hold={1: threading.Event()},
    )
    with Script(says("One."), says("Two."), held, says("Four."), says("Five.")) as server:
        ask(server, "1")
        go_on("2")
        with Running(["ask", "-c", "--json", "3"]) as client:
            client.read_until(b'"re"')
            client.process.send_signal(signal.SIGKILL)
            client.finish()
        for question in ("4", "5"):
            assert go_on(question).status == 0
        answers = ["One.", "Two.", "Thre", "Four.", "Five."]
        turns = [
            it
            for n, text in enumerate(answers, 1)
            for it in (("user", str(n)), ("assistant", text))
        ]
        assert sent(server) == turns[:-1]
    assert shown() == turns
    assert len(lines("history", "export", "--format", "json")) == 1


def thoughtful(text: str, signature: str) -> Reply:
    """An answer of Anthropic's after signed thinking and thinking that is withheld."""
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    parts: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        (
            thinking,
            [
                {"type": "thinking_delta", "thinking": f"I think of {text}"},
                {"type": "signature_delta", "signature": signature},
            ],
        ),
        ({"type": "redacted_thinking", "data": f"hidden {signature}"}, []),
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": text}]),
    ]
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {"content": []}}]
    for at, (block, deltas) in enumerate(parts):
        events.append({"type": "content_block_start", "index": at, "content_block": block})
        events += [{"type": "content_block_delta", "index": at, "delta": it} for it in deltas]
        events.append({"type": "content_block_stop", "index": at})
    events.append({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}})
    events.append({"type": "message_stop"})
    body = [f"event: {it['type']}\ndata: {json.dumps(it)}\n\n".encode() for it in events]
    return Reply(body, headers=SSE)


def blocks(text: str, signature: str) -> list[dict[str, Any]]:
    """The same answer as the server wants it back."""
    return [
        {"type": "thinking", "thinking": f"I think of {text}", "signature": signature},
        {"type": "redacted_thinking", "data": f"hidden {signature}"},
        {"type": "text", "text": text},
    ]


@pytest.mark.parametrize("expired", [False, True], ids=["journals", "history"])
def test_signatures_go_back_also_when_only_the_history_is_left(expired: bool) -> None:
    with Script(thoughtful("A.", "s1=="), thoughtful("B.", "s2=="), says("C.", "anthropic")) as it:
        ask(it, "a", dialect="anthropic")
        go_on("b")
        if expired:
            assert run_here(["history", "prune"], **AT_ONCE).status == 0
            assert runs() == []
        done = go_on("c", "--base-url", it.url, "--provider", "anthropic")
        assert (done.status, done.stdout) == (0, b"C.")
        roles, contents = zip(*sent(it), strict=True)
    assert roles == ("user", "assistant", "user", "assistant", "user")
    assert contents[1] == blocks("A.", "s1==")
    assert contents[3] == blocks("B.", "s2==")
    assert shown() == [
        *zip(roles, ("a", "A.", "b", "B.", "c"), strict=True),
        ("assistant", "C."),
    ]
    assert len(lines("history", "export", "--format", "json")) == 1


def test_an_expired_conversation_is_continued_at_its_own_server() -> None:
    with Script(says("A."), says("B."), says("C.")) as server:
        ask(server, "a", "-s", "Be brief.")
        first = runs()[0]
        assert run_here(["history", "prune"], **AT_ONCE).status == 0
        assert runs() == []
        assert go_on("b").stdout == b"B."
        assert go_on("c", "--edit", first).stdout == b"C."
        assert sent(server, 1)[1:] == [("user", "a"), ("assistant", "A."), ("user", "b")]
        assert sent(server) == [("system", "Be brief."), ("user", "c")]
        assert {it.json["model"] for it in server.requests} == {"m"}


def test_the_expiry_of_a_conversation_counts_from_its_newest_turn() -> None:
    for number in (1, 2):
        write_run(state_folder(), run_id(number), "A.")
    with Script(says("B.")) as server:
        flags = server_flags("ollama", server.url)
        assert go_on("b", "--at", run_id(1), *flags).status == 0
    assert run_here(["history", "prune"]).status == 0
    assert len(runs()) == 2
    assert runs()[0] == run_id(1)
    assert len(lines("history", "--json")) == 3


@pytest.mark.parametrize("left", ["journals", "database", "both"])
def test_a_conversation_of_the_previous_version_is_continued(left: str) -> None:
    state_folder().mkdir(parents=True)
    if left != "database":
        shutil.copytree(PREVIOUS / "runs", runs_folder())
    if left != "journals":
        shutil.copy(PREVIOUS / "history.db", state_folder())
    names = [path.stem for path in sorted((PREVIOUS / "runs").iterdir())]
    third, last = names[7], names[-1]
    before = [
        ("user", "Where do penguins live?"),
        ("assistant", "In the Antarctic."),
        ("user", "What do they eat?"),
        ("assistant", "Fish and krill."),
        ("user", "Can they fly?"),
        ("assistant", "No, they swim."),
    ]
    with Script(says("Up to 15 years.")) as server:
        there = ["--base-url", server.url]
        assert go_on("How long do they live?", "--at", third, *there).status == 0
        question = ("user", "How long do they live?")
        assert sent(server) == [*before, question]
        assert server.requests[-1].json["model"] == "qwen3:4b"
        assert go_on("And whales?", *there).status == 0
        assert sent(server)[-3:] == [
            question,
            ("assistant", "Up to 15 years."),
            ("user", "And whales?"),
        ]
        assert go_on("Who made them?", "--at", last, *there).status == 0
        assert [role for role, _ in sent(server)] == ["user", "assistant", "user"]
    assert len(shown()) == 4
    continued = lines("history", "search", "--json", "live")[0]["run"]
    assert shown(continued) == [*before, question, ("assistant", "Up to 15 years.")]


def test_what_is_removed_is_the_whole_conversation() -> None:
    with Script(says("A.")) as server:
        ask(server, "a", "--name", "sky")
        go_on("b")
        ask(server, "other")
        assert run_here(["history", "rm", runs()[1]]).status == 0
        assert len(runs()) == 1
        assert len(lines("history", "--json")) == 1
        assert shown() == [("user", "other"), ("assistant", "A.")]
        ask(server, "new", "--name", "sky")  # the name is free again
        assert sent(server) == [("user", "new")]


# ---- output


def test_json_is_what_it_is_without_a_conversation_but_for_the_parent() -> None:
    with Script(whole("ollama")) as server:
        alone = ask(server, "a", "--json")
        first = json.loads(alone.stdout.splitlines()[0])
        following = go_on("b", "--json")
    opening, *others = map(json.loads, following.stdout.splitlines())
    assert opening.pop("parent") == first["run"]
    for line in (opening, first):
        del line["run"], line["started_at"], line["t"]
    assert opening == first
    assert [it["type"] for it in others] == [
        json.loads(line)["type"] for line in alone.stdout.splitlines()[1:]
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c"],
        ["--at", "nonesuch"],
        ["--edit", "nonesuch"],
        ["-c", "--at", "nonesuch"],
        ["--at", "x", "--edit", "y"],
    ],
)
def test_what_cannot_be_continued_is_one_clear_line(arguments: list[str]) -> None:
    done = run_here(["ask", *arguments, "-p", "demo", "hi"])
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    as_json = run_here(["ask", "--json", *arguments, "-p", "demo", "hi"])
    assert as_json.status == 2
    assert json.loads(as_json.stdout.splitlines()[-1])["code"] == "usage"
    assert TEXT not in done.stderr
