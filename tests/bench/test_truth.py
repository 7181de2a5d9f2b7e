"""Claimed: the truth server plays its script in every dialect, never early, and logs each send."""

from __future__ import annotations

import http.client
import itertools
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import msgspec
import pytest

from chatstream.bench.truth import SWITCH_SECONDS, Log, Script, Truth
from chatstream.cancel import CancelToken
from chatstream.errors import ChatstreamError, Truncated
from chatstream.events import Content, Event, Usage
from chatstream.flow import Finish, events_in
from chatstream.messages import ChatRequest, Message
from chatstream.providers import Endpoint
from chatstream.providers.anthropic import Anthropic
from chatstream.providers.base import Provider
from chatstream.providers.ollama import Ollama
from chatstream.providers.openai import OpenAI
from chatstream.transport import Transport
from tests.bench.accuracy import Served

pytestmark = pytest.mark.serial

DIALECTS: dict[type[Provider], str] = {Ollama: "", OpenAI: "/v1", Anthropic: ""}
LIMIT = 10.0  # seconds that a wait takes at most


@pytest.fixture(scope="module")
def truth() -> Iterator[Truth]:
    with Truth() as server:
        yield server


@pytest.fixture(params=DIALECTS, ids=lambda kind: kind.__name__)
def provider(request: pytest.FixtureRequest, truth: Truth) -> Iterator[Provider]:
    kind = request.param
    provider = kind(Endpoint("truth", truth.url + DIALECTS[kind]), Transport())
    yield provider
    provider.close()


_numbers = itertools.count()


def prompt() -> str:
    """One that no other test has."""
    return f"question {next(_numbers)}"


def ask(provider: Provider, script: Script, text: str) -> tuple[list[Event], Exception | None]:
    """The events of an answer with the time of their reading, and what ended it."""
    events: list[Event] = []
    request = ChatRequest(script.model, (Message("user", text),))
    try:
        events.extend(events_in(provider.open(request, CancelToken())))
    except ChatstreamError as error:
        return events, error
    return events, None


def deltas(events: list[Event]) -> list[Content]:
    return [event for event in events if isinstance(event, Content)]


def test_an_answer_is_whole_in_every_dialect_and_its_usage_is_true(provider: Provider) -> None:
    events, failure = ask(provider, Script(tokens=7, gap=0.0), prompt())
    assert failure is None
    assert "".join(it.delta for it in deltas(events)) == "0000 0001 0002 0003 0004 0005 0006 "
    assert [e.output_tokens for e in events if isinstance(e, Usage)] == [7]
    assert isinstance(events[-1], Finish)
    assert events[-1].reason == "stop"


def test_each_delta_is_one_write_and_is_logged(provider: Provider, truth: Truth) -> None:
    text = prompt()
    events, _ = ask(provider, Script(tokens=5, gap=0.001), text)
    assert len(deltas(events)) == len(truth.log(text).sends) == 5


def test_no_delta_is_received_before_the_time_in_the_log(provider: Provider, truth: Truth) -> None:
    text = prompt()
    events, _ = ask(provider, Script(tokens=30, gap=0.002), text)
    log = truth.log(text)
    assert log.asked <= log.sends[0]
    for sent, event in zip(log.sends, deltas(events), strict=True):
        assert sent <= event.t


def test_nothing_is_sent_earlier_than_the_script_says(provider: Provider, truth: Truth) -> None:
    text = prompt()
    ask(provider, Script(tokens=6, gap=0.003, first=0.02, stalls={3: 0.05}), text)
    log = truth.log(text)
    assert log.sends[0] - log.asked >= 0.02
    assert all(gap >= 0.003 for gap in log.gaps)
    assert log.gaps[2] >= 0.053


def test_a_bundle_is_one_delta_of_several_tokens(provider: Provider, truth: Truth) -> None:
    text = prompt()
    script = Script(tokens=10, bundle=4, gap=0.001)
    events, _ = ask(provider, script, text)
    assert [it.delta for it in deltas(events)] == [
        "0000 0001 0002 0003 ",
        "0004 0005 0006 0007 ",
        "0008 0009 ",
    ]
    assert [e.output_tokens for e in events if isinstance(e, Usage)] == [10]
    assert len(truth.log(text).sends) == 3


@pytest.mark.parametrize("end", ["truncated", "reset"])
def test_an_answer_may_end_without_an_end_mark(provider: Provider, end: str) -> None:
    script = Script(tokens=3, gap=0.001, end="reset" if end == "reset" else "truncated")
    events, failure = ask(provider, script, prompt())
    assert isinstance(failure, Truncated)
    assert len(deltas(events)) == 3
    reset = isinstance(failure.__cause__, ConnectionResetError)
    assert reset == (end == "reset")


def test_a_model_that_is_no_script_plays_the_servers_own() -> None:
    with Truth(Script(tokens=2, gap=0.0)) as server:
        provider = Ollama(Endpoint("truth", server.url), Transport())
        request = ChatRequest("llama3", (Message("user", "hi"),))
        events = list(events_in(provider.open(request, CancelToken())))
        provider.close()
    assert len(deltas(events)) == 2


def test_a_script_is_the_name_of_the_model_that_plays_it(provider: Provider, truth: Truth) -> None:
    text = prompt()
    script = Script(tokens=2, gap=0.0, first=0.001, stalls={1: 0.001}, bundle=2)
    ask(provider, script, text)
    assert truth.log(text).script == script


def test_the_log_of_a_prompt_is_that_of_its_latest_request(truth: Truth) -> None:
    provider = Ollama(Endpoint("truth", truth.url), Transport())
    text = prompt()
    for tokens in (1, 2):
        ask(provider, Script(tokens=tokens, gap=0.0), text)
    provider.close()
    assert truth.log(text).script.tokens == 2
    with pytest.raises(LookupError, match="no request asked 'something else'"):
        truth.log("something else")


def test_the_true_pace_counts_the_tokens_after_the_first_write() -> None:
    log = Log(prompt="", script=Script(tokens=9, bundle=4), asked=0.0, sends=[1.0, 1.4, 1.5])
    assert log.tpot == pytest.approx(0.5 / 5)
    assert log.gaps == pytest.approx([0.4, 0.1])
    cut = Log(prompt="", script=Script(tokens=9, bundle=4), asked=0.0, sends=[1.0, 1.4])
    assert cut.tpot == pytest.approx(0.4 / 4)


def test_many_streams_at_once_each_have_their_own_script_and_log(truth: Truth) -> None:
    texts = [prompt() for _ in range(64)]
    found: dict[str, int] = {}

    def one(number: int, text: str) -> None:
        provider = Ollama(Endpoint("truth", truth.url), Transport())
        events, _ = ask(provider, Script(tokens=number + 1, gap=0.002), text)
        provider.close()
        found[text] = len(deltas(events))

    threads = [threading.Thread(target=one, args=it) for it in enumerate(texts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, text in enumerate(texts):
        assert found[text] == len(truth.log(text).sends) == number + 1


# ---- HTTP


def body_of(text: str, script: Script) -> bytes:
    messages = [{"role": "user", "content": text}]
    return msgspec.json.encode({"model": script.model, "messages": messages, "stream": True})


def test_a_connection_stays_open_for_the_next_request(truth: Truth) -> None:
    client = http.client.HTTPConnection(urlsplit(truth.url).netloc, timeout=LIMIT)
    client.connect()
    own = client.sock.getsockname()
    for _ in range(3):
        client.request("POST", "/api/chat", body_of(prompt(), Script(tokens=2, gap=0.0)))
        answer = client.getresponse()
        assert answer.status == 200
        assert answer.getheader("Transfer-Encoding") == "chunked"
        assert answer.read().count(b"\n") == 3
        assert client.sock.getsockname() == own
    client.close()


def test_a_request_may_come_byte_by_byte_and_the_next_one_behind_it(truth: Truth) -> None:
    texts = [prompt(), prompt()]
    bodies = [body_of(text, Script(tokens=2, gap=0.0)) for text in texts]
    heads = [b"POST /api/chat HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(it) for it in bodies]
    with socket.create_connection(("127.0.0.1", urlsplit(truth.url).port), LIMIT) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in heads[0] + bodies[0]:
            client.send(bytes([byte]))
        client.sendall(heads[1] + bodies[1])
        received = b""
        while received.count(b"0\r\n\r\n") < 2:
            data = client.recv(65536)
            assert data, "the server hung up"
            received += data
    assert [len(truth.log(text).sends) for text in texts] == [2, 2]


def test_a_request_that_comes_too_early_is_answered_after_the_one_before(truth: Truth) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(truth.url).port), LIMIT) as client:
        received = b""
        for tokens in (5, 2):
            body = body_of(prompt(), Script(tokens=tokens, gap=0.05))
            client.sendall(b"POST /api/chat HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body))
            client.sendall(body)
            received += client.recv(65536)  # the answer has begun
        while received.count(b"0\r\n\r\n") < 2:
            data = client.recv(65536)
            assert data, "the server hung up"
            received += data
    first, _, second = received.partition(b"0\r\n\r\n")
    assert [part.count(b'"done":false') for part in (first, second)] == [5, 2]


def test_another_path_is_not_found_and_the_connection_goes_on(truth: Truth) -> None:
    client = http.client.HTTPConnection(urlsplit(truth.url).netloc, timeout=LIMIT)
    for _ in range(2):
        client.request("GET", "/api/tags")
        answer = client.getresponse()
        assert answer.status == 404
        assert answer.read() == b""
    client.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"POST /api/chat HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /api/chat HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b'POST /api/chat HTTP/1.1\r\nContent-Length: 27\r\n\r\n{"model":"m","messages":[]}',
        b"x" * (1 << 21),
    ],
)
def test_what_is_no_request_ends_its_connection_and_nothing_else(
    truth: Truth, request_bytes: bytes
) -> None:
    address = "127.0.0.1", urlsplit(truth.url).port
    # It may hang up before it has read everything.
    with socket.create_connection(address, LIMIT) as client, suppress(ConnectionError):
        client.sendall(request_bytes)
        assert client.recv(10) == b""
    provider = Ollama(Endpoint("truth", truth.url), Transport())
    assert ask(provider, Script(tokens=1, gap=0.0), prompt())[1] is None
    provider.close()


def test_a_client_that_leaves_ends_only_its_own_answer(truth: Truth) -> None:
    text = prompt()
    body = body_of(text, Script(tokens=100_000, gap=0.0))
    client = http.client.HTTPConnection(urlsplit(truth.url).netloc, timeout=LIMIT)
    client.request("POST", "/api/chat", body)
    client.getresponse().read(10)
    client.close()
    count, end = -1, time.monotonic() + LIMIT
    while count != len(truth.log(text).sends):  # until nothing more is sent
        assert time.monotonic() < end
        count = len(truth.log(text).sends)
        provider = Ollama(Endpoint("truth", truth.url), Transport())
        assert ask(provider, Script(tokens=2, gap=0.01), prompt())[1] is None
        provider.close()
    assert count < 100_000


# ---- in this process


def test_threads_change_more_often_only_while_it_runs() -> None:
    before = sys.getswitchinterval()
    try:
        for own, running in ((0.02, SWITCH_SECONDS), (SWITCH_SECONDS / 2, SWITCH_SECONDS / 2)):
            sys.setswitchinterval(own)
            with Truth():
                assert sys.getswitchinterval() == pytest.approx(running)
            assert sys.getswitchinterval() == pytest.approx(own)
    finally:
        sys.setswitchinterval(before)


def test_it_ends_at_once_with_its_connections_and_its_thread() -> None:
    before = threading.active_count()
    with Truth() as server:
        port = urlsplit(server.url).port
        client = socket.create_connection(("127.0.0.1", port), LIMIT)
        body = body_of("q", Script(tokens=5, gap=3600.0))
        client.sendall(b"POST /api/chat HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    while client.recv(65536):
        pass
    client.close()
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), LIMIT)


def test_a_process_of_its_own_hands_each_log_over_once() -> None:
    with Served() as server:
        provider = Ollama(Endpoint("truth", server.url), Transport())
        for text in ("a", "b"):
            before = time.monotonic()
            events, _ = ask(provider, Script(tokens=3, gap=0.001), text)
            logs = server.logs()
            assert list(logs) == [text]
            assert before <= logs[text].asked <= logs[text].sends[0] <= deltas(events)[0].t
        assert server.logs() == {}
        provider.close()
