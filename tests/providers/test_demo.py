"""The demo server: a real one, with an answer written beforehand."""

from __future__ import annotations

import pytest

from chatstream import events as ev
from chatstream.api import stream
from chatstream.providers.demo import ANSWER, THOUGHT
from tests.support.client import answer_of, run
from tests.support.terminal import on_terminal


def test_the_answer_is_the_same_every_time() -> None:
    for _ in range(2):
        answer = answer_of(stream("hi", provider="demo", model="demo-fast"))
        assert (answer.outcome, answer.text, answer.reasoning) == ("complete", ANSWER, THOUGHT)


def test_without_streaming_it_is_the_same_too() -> None:
    answer = answer_of(stream("hi", provider="demo", model="demo-fast", streaming=False))
    assert (answer.text, answer.reasoning) == (ANSWER, THOUGHT)


def test_a_model_that_it_does_not_have_is_told() -> None:
    answer = answer_of(stream("hi", provider="demo", model="gpt-9"))
    assert isinstance(answer.terminal, ev.Error)
    assert (answer.terminal.code, answer.terminal.status) == ("model_not_found", 404)


def tool(name: str, **properties: str) -> dict[str, object]:
    return {
        "name": name,
        "description": f"{name}.",
        "parameters": {
            "type": "object",
            "properties": {key: {"type": kind} for key, kind in properties.items()},
            "required": list(properties),
        },
    }


TOOLS = [
    tool("read_file", path="string", lines="integer"),
    tool("calculate", expression="string"),
    tool("time"),
]
RESULTS = {"time": "12:00", "calculate": "42", "read_file": "a `line`\nand more"}


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    ("tools", "called"),
    [
        (TOOLS, [("calculate", '{"expression": "6*7"}'), ("time", "{}")]),
        (TOOLS[:1], [("read_file", '{"path": ".", "lines": 1}')]),
    ],
)
def test_it_calls_two_tools_and_tells_what_they_have_answered(
    tools: list[dict[str, object]], called: list[tuple[str, str]], streaming: bool
) -> None:
    calls: list[ev.ToolCall] = []

    def execute(call: ev.ToolCall) -> str:
        calls.append(call)
        return RESULTS[call.name]

    answer = answer_of(
        stream(
            "hi",
            provider="demo",
            model="demo-fast",
            streaming=streaming,
            tools=tools,
            execute=execute,
        )
    )
    assert answer.outcome == "complete"
    assert [(it.name, it.arguments) for it in calls] == called
    told = {"calculate": "`42`", "time": "`12:00`", "read_file": "`a 'line' and more`"}
    lines = "".join(f"- **{name}**: {told[name]}\n" for name, _ in called)
    assert answer.text == f"The tools have answered:\n\n{lines}\n{ANSWER}"


MAKE_DEMO = ["ask", "-p", "demo", "-m", "demo-fast", "--tool", "time,calculate", "hi"]


def test_the_demo_shows_tools_without_a_terminal() -> None:
    done = run(MAKE_DEMO)
    assert done.status == 0
    assert done.stdout.decode().startswith("The tools have answered:\n\n- **time**: `20")
    assert "- **calculate**: `42`\n" in done.stdout.decode()
    told = [line.partition(" after")[0] for line in done.stderr.splitlines()]
    assert told[:2] == ["the tool time runs", "the tool calculate runs with expression: 6*7"]
    assert sorted(told[2:]) == ["the tool calculate finished", "the tool time finished"]


def test_the_demo_shows_tools_on_a_terminal() -> None:
    status, screen, _ = on_terminal(MAKE_DEMO)
    told = [line.rpartition(" · ")[0] for line in screen.text() if line.startswith("✓ ")]
    assert (status, told[:2]) == (0, ["✓ time", "✓ calculate(expression: 6*7)"])
