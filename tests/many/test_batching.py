"""Claimed: `chatstream.batch` yields a result for each prompt, and raises what all would share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import chatstream
from chatstream.cancel import CancelToken
from chatstream.errors import AuthError, Cancelled, UsageError
from chatstream.flow import close
from tests.support.batches import Answering, answer_to
from tests.support.loopback import Reply

COUNT = 30


def options(server: Answering) -> dict[str, Any]:
    return {
        "provider": "openai",
        "base_url": f"{server.url}/v1",
        "model": "m",
        "api_key": "k",
        "retries": 0,
    }


def test_there_is_a_result_for_each_prompt_in_its_place() -> None:
    asked = [f"prompt {number}" for number in range(COUNT)]
    with Answering() as server:
        found = list(chatstream.batch(asked, jobs=8, **options(server)))
    assert [(it.index, it.content) for it in found] == [
        (number, answer_to(prompt)) for number, prompt in enumerate(asked)
    ]
    assert all(it.run and it.duration is not None for it in found)


def test_a_prompt_is_what_stream_takes_and_a_wrong_one_is_a_result() -> None:
    asked: list[Any] = ["one", [{"role": "user", "content": "two"}], "", 5]
    with Answering() as server:
        found = list(chatstream.batch(asked, **options(server)))
    assert [it.content for it in found] == [answer_to("one"), answer_to("two"), None, None]
    assert [it.error.message if it.error else None for it in found[2:]] == [
        "prompt 3: the question is empty",
        "prompt 4: a question cannot be of type int",
    ]


def test_prompts_are_read_only_as_they_are_needed() -> None:
    taken: list[int] = []

    def prompts() -> Iterator[str]:
        for number in range(10_000):
            taken.append(number)
            yield f"prompt {number}"

    with Answering() as server:
        results = chatstream.batch(prompts(), jobs=2, **options(server))
        next(results)
        close(results)
    assert len(taken) < 500


def test_what_all_would_share_is_raised_after_the_results_that_there_are() -> None:
    bad = Reply.json({"error": {"message": "wrong key"}}, 401)
    with Answering(others={"c": [bad]}) as server:
        results = chatstream.batch(["a", "b", "c", "d"], jobs=1, **options(server))
        assert [next(results).content, next(results).content] == [answer_to("a"), answer_to("b")]
        with pytest.raises(AuthError, match="wrong key"):
            next(results)
        assert "d" not in server.asked


def test_a_cancelled_batch_raises_the_reason() -> None:
    token = CancelToken()
    with Answering() as server:
        results = chatstream.batch(map(str, range(1000)), token=token, **options(server))
        next(results)
        token.cancel(Cancelled("enough"))
        with pytest.raises(Cancelled, match="enough"):
            list(results)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"nonsense": 1}, "unknown option"),
        ({"tools": ["read_file"]}, "a batch cannot call tools"),
        ({"execute": print}, "a batch cannot call tools"),
        ({"provider": "nobody"}, "unknown provider"),
    ],
)
def test_a_mistake_in_the_options_is_raised(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        list(chatstream.batch(["a"], **given))


@pytest.mark.parametrize("given", ["hello", b"hello", {"role": "user", "content": "hi"}, None, 5])
def test_one_question_is_no_list_of_questions(given: Any) -> None:
    with pytest.raises(UsageError, match="prompts cannot be"):
        list(chatstream.batch(given, provider="demo"))


@pytest.mark.parametrize("value", [0, -1, "3", 1.5, True])
@pytest.mark.parametrize("name", ["jobs", "rpm", "tpm"])
def test_a_number_that_lets_nothing_through_is_a_mistake(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{name} takes a whole number from 1"):
        list(chatstream.batch(["a"], provider="demo", **{name: value}))


def test_the_number_of_jobs_is_not_left_open() -> None:
    with pytest.raises(UsageError, match="jobs takes a whole number from 1, not None"):
        list(chatstream.batch(["a"], provider="demo", jobs=None))  # type: ignore[arg-type]
