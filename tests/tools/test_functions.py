"""A Python function as a tool: what it is called with, what it says, and how it ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest

import chatstream
from chatstream.errors import Cancelled, UsageError
from chatstream.tools.functions import FunctionTool, mark_of, tool
from chatstream.tools.tool import Context, InvalidArguments, Returned
from tests.support.toolcalls import LIMIT, Said


def run(function: Any, **arguments: Any) -> object:
    return FunctionTool(function).run(arguments, Said().context)


def add(a: int, b: int = 2) -> int:
    """Add two numbers.

    Args:
        a: The first.
    """
    return a + b


def test_a_plain_function_is_a_tool_that_may_change_something() -> None:
    made = FunctionTool(add)
    assert (made.name, made.definition.description) == ("add", "Add two numbers.")
    assert made.definition.parameters["properties"]["a"]["description"] == "The first."
    assert (made.effect, made.origin, made.confined) == ("write", "caller", False)
    assert run(add, a=1) == 3


def test_the_decorator_gives_the_function_back() -> None:
    assert tool(add) is add
    assert tool(effect="read")(add) is add
    assert add(1) == 3
    del add.__chatstream_tool__  # type: ignore[attr-defined]


def test_the_decorator_says_what_the_function_does_not() -> None:
    @chatstream.tool(effect="net", name="sum-up", description="Sums up.")
    def function(a: int) -> int:
        """Not this."""
        return a

    made = FunctionTool(function)
    assert (made.name, made.definition.description, made.effect) == ("sum-up", "Sums up.", "net")


def test_an_unknown_effect_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no effect 'reed'") as caught:
        tool(effect="reed")  # type: ignore[call-overload]
    assert caught.value.hint == "did you mean 'read'?"


@pytest.mark.parametrize("thing", [3, "look", [len]])
def test_what_is_not_callable_cannot_be_marked(thing: Any) -> None:
    with pytest.raises(UsageError, match=f"of type {type(thing).__name__} cannot be a tool"):
        tool(thing)


def test_a_builtin_function_cannot_be_marked() -> None:
    with pytest.raises(UsageError, match="the function len cannot be marked as a tool") as caught:
        tool(len)
    assert caught.value.hint == "write a function that calls it"


def test_a_name_that_no_service_takes_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be called '<lambda>'"):
        FunctionTool(lambda: 1)


def test_arguments_are_checked_before_and_decoded_for_the_call() -> None:
    made = FunctionTool(add)
    made.check({"a": 1})
    for arguments in ({"a": "1"}, {}, {"a": 1, "c": 2}):
        with pytest.raises(InvalidArguments):
            made.check(arguments)
        with pytest.raises(InvalidArguments):
            made.run(arguments, Said().context)


def test_a_context_is_given_where_it_is_asked_for() -> None:
    def work(times: int, told: Context) -> str:
        told.stages([("one", 1.0)])
        for number in range(times):
            told.output(f"{number} ")
            told.progress(number + 1, times, "working")
        told.next_stage()
        return told.call_id

    said = Said("call00007")
    assert FunctionTool(work).run({"times": 2}, said.context) == "call00007"
    assert said.text == "0 1 "
    assert said.progress == [
        [("one", 1.0)], (1, 2, "working"), (2, 2, "working"), "next stage",
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["text", None, 3, {"a": [1]}, Returned("text", 2)])
def test_what_a_function_returns_is_the_result_as_it_is(value: object) -> None:
    assert run(lambda_named(value)) is value


def lambda_named(value: object) -> Any:
    def function() -> object:
        return value

    return function


def test_what_a_function_raises_comes_out() -> None:
    def fail() -> None:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        run(fail)


def test_a_generator_is_heard_while_it_works() -> None:
    goes_on = threading.Event()

    def work() -> Generator[object, None, str]:
        yield "first\n"
        assert goes_on.wait(LIMIT)
        yield {"second": 2}
        return "end"

    said, ended = Said(), []
    thread = threading.Thread(target=lambda: ended.append(FunctionTool(work).run({}, said.context)))
    thread.start()
    assert said.spoken.wait(LIMIT)
    assert said.output == ["first\n"]
    goes_on.set()
    thread.join(LIMIT)
    assert said.output == ["first\n", '{"second":2}\n']
    assert ended == ["end"]


def test_a_generator_is_closed_where_it_is_stopped() -> None:
    closed: list[str] = []

    def work() -> Iterator[str]:
        try:
            yield "first"
            said.token.cancel(Cancelled("stopped"))
            yield "second"
            closed.append("not reached")
        finally:
            closed.append("closed")

    said = Said()
    with pytest.raises(Cancelled, match="stopped"):
        FunctionTool(work).run({}, said.context)
    assert (said.output, closed) == (["first"], ["closed"])


def test_a_coroutine_is_run_to_its_end() -> None:
    async def work(a: int, told: Context) -> int:
        await asyncio.sleep(0)
        told.output("working")
        return a + 1

    said = Said()
    assert FunctionTool(work).run({"a": 1}, said.context) == 2
    assert said.text == "working"


def test_a_coroutine_ends_at_its_await_once_it_is_stopped() -> None:
    cleaned = []

    async def work(told: Context) -> None:
        try:
            told.output("waiting")
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    said, raised = Said(), []

    def call() -> None:
        try:
            FunctionTool(work).run({}, said.context)
        except Cancelled as error:
            raised.append(error.message)

    thread = threading.Thread(target=call)
    thread.start()
    assert said.spoken.wait(LIMIT)
    said.token.cancel(Cancelled("the user stopped it"))
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert (raised, cleaned) == (["the user stopped it"], [True])


def test_a_coroutine_that_was_stopped_before_it_began_does_not_wait() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    said = Said()
    said.token.cancel(Cancelled("early"))
    with pytest.raises(Cancelled, match="early"):
        FunctionTool(work).run({}, said.context)


def test_a_coroutine_that_cancels_itself_has_failed_and_was_not_stopped() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(work)


def test_an_asynchronous_generator_is_heard_like_any_other() -> None:
    async def work() -> AsyncIterator[str]:
        for word in ("a", "b"):
            await asyncio.sleep(0)
            yield word

    said = Said()
    assert FunctionTool(work).run({}, said.context) is None
    assert said.output == ["a", "b"]


def test_a_token_keeps_nothing_of_a_coroutine_that_has_ended() -> None:
    async def work() -> int:
        return 1

    said = Said()
    FunctionTool(work).run({}, said.context)
    assert said.token._callbacks == []
    said.token.cancel()


def test_a_static_method_can_be_marked_in_both_orders() -> None:
    class Box:
        @tool(effect="read")
        @staticmethod
        def outside() -> int:
            return 1

        @staticmethod
        @tool(effect="read")
        def inside() -> int:
            return 2

    for method in (Box().outside, Box().inside):
        mark = mark_of(method)
        assert mark is not None
        assert mark.effect == "read"
    assert mark_of(add) is None


def test_the_public_names_are_these() -> None:
    assert chatstream.tool is tool
    assert chatstream.Context is Context
    assert issubclass(FunctionTool, chatstream.Tool)


def test_the_decorator_needs_little_of_the_program() -> None:
    code = "import chatstream, sys; chatstream.tool; print(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    loaded = set(modules.decode().split())
    assert not {"asyncio", "requests", "rich", "chatstream.engine", "subprocess"} & loaded
