"""A model server in this process, so that everything can be tried with nothing installed.

It is a real HTTP server on a free port of the loopback interface and speaks Ollama's protocol;
only the answer is written beforehand. So the demo goes the way of every real answer. The models
are `demo`, at the pace of a real one, and `demo-fast`, without pauses.

Where it is given tools it calls two of them first, and its answer begins with their results.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from chatstream.clock import Clock, monotonic
from chatstream.providers import Endpoint
from chatstream.providers.base import Provider
from chatstream.providers.ollama import Ollama
from chatstream.transport import Transport
from chatstream.wording import excerpt

MODELS = ("demo", "demo-fast")
SECONDS_PER_TOKEN = 0.016  # 60 tokens/s, a quick local model
FIRST_TOKEN_SECONDS = 0.3  # of silence, as a warm model has

THOUGHT = "The user wants to see how streaming looks. I will show a bit of everything.\n"
ANSWER = """\
## Hello from the demo model

This answer comes from a small server *inside* chatstream, over a **real** loopback socket, token
by token, as it would come from Ollama, OpenAI or Anthropic.

| Feature | Shown here |
|---------|------------|
| Tables  | yes        |
| Code    | below      |
| Unicode | café, 5 €, 你好, 日本語, 👩‍💻 🇫🇷 🚀 |

```python
import chatstream

for event in chatstream.stream("Why is the sky blue?", provider="demo"):
    print(event)
```

1. Press **Ctrl+C**: what has arrived stays on the screen.
2. Pipe it: `chatstream ask -p demo hello | head -1`.
3. Ask a real model: start Ollama, or set `OPENAI_API_KEY` or `ANTHROPIC_API_KEY`.

> Every token is shown the moment it arrives, and none is lost.
"""

WITH_TOOLS = "The user gave me tools. I will call some of them first.\n"
CALLS = 2  # of tools, at most
EXPRESSION = "6*7"
_LIKED = ("time", "calculate")
_VALUES = {"integer": 1, "number": 1, "boolean": False, "array": [], "object": {}}
_PLACE = "."  # for any other parameter: most likely a path or a pattern
_RESULT_CHARACTERS = 200


def _pieces(text: str) -> list[str]:
    """The text in pieces of about four characters, as a tokenizer cuts it."""
    return [text[i : i + 4] for i in range(0, len(text), 4)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stopped = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Silence: stderr belongs to the run."""

    def do_GET(self) -> None:
        self._send(200, {"models": [{"name": name} for name in MODELS]})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        request = msgspec.json.decode(self.rfile.read(length), type=dict[str, object])
        model = str(request.get("model"))
        if model not in MODELS:
            self._send(404, {"error": f"model '{model}' not found"})
            return
        pause = SECONDS_PER_TOKEN if model == "demo" else 0.0
        turn = _turn(request)
        lines = list(_lines(model, turn))
        if request.get("stream") is False:
            message = _message(content=turn.text, thinking=turn.thought, **turn.calling)
            self._send(200, {**lines[-1], "message": message})
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self.server.stopped.wait(FIRST_TOKEN_SECONDS if pause else 0)
            for line in lines:
                data = msgspec.json.encode(line) + b"\n"
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
                if pause and self.server.stopped.wait(pause):
                    return
            self.wfile.write(b"0\r\n\r\n")
        except OSError:  # the client hung up, which is its right
            self.close_connection = True

    def _send(self, status: int, value: object) -> None:
        body = msgspec.json.encode(value)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Turn(msgspec.Struct, frozen=True):
    """What the model says now: text, calls, or the rest of a text."""

    thought: str
    text: str = ""
    calls: list[dict[str, object]] = []

    @property
    def calling(self) -> dict[str, object]:
        return {"tool_calls": self.calls} if self.calls else {}


def _turn(request: dict[str, Any]) -> _Turn:
    messages = request.get("messages") or []
    asked = max((at for at, it in enumerate(messages) if it["role"] == "user"), default=-1)
    since = messages[asked + 1 :]
    results = [it for it in since if it["role"] == "tool"]
    if (tools := request.get("tools")) and not results:
        return _Turn(WITH_TOOLS, calls=_calls([it["function"] for it in tools]))
    answer = _told(results) + ANSWER
    begun = str(since[-1].get("content", "")) if since and since[-1]["role"] == "assistant" else ""
    if begun and answer.startswith(begun):
        return _Turn("", answer[len(begun) :])
    return _Turn(THOUGHT, answer)


def _calls(functions: list[dict[str, Any]]) -> list[dict[str, object]]:
    """Two calls, of the tools that say most here if they are there."""
    functions = sorted(functions, key=lambda it: it["name"] not in _LIKED)[:CALLS]
    return [{"function": {"name": it["name"], "arguments": _arguments(it)}} for it in functions]


def _arguments(function: dict[str, Any]) -> dict[str, object]:
    parameters = function.get("parameters") or {}
    fields = parameters.get("properties") or {}
    return {name: _value(name, fields.get(name) or {}) for name in parameters.get("required", ())}


def _value(name: str, schema: dict[str, Any]) -> object:
    if name == "expression":
        return EXPRESSION
    if schema.get("enum"):
        return schema["enum"][0]
    return _VALUES.get(str(schema.get("type")), _PLACE)


def _told(results: list[dict[str, Any]]) -> str:
    if not results:
        return ""
    lines = (
        f"- **{it.get('tool_name', 'tool')}**: "
        f"`{excerpt(it['content'].replace('`', chr(39)), _RESULT_CHARACTERS)}`\n"
        for it in results
    )
    return f"The tools have answered:\n\n{''.join(lines)}\n"


def _lines(model: str, turn: _Turn) -> Iterator[dict[str, object]]:
    for field, text in (("thinking", turn.thought), ("content", turn.text)):
        for piece in _pieces(text):
            yield {"model": model, "message": _message(**{field: piece}), "done": False}
    if turn.calls:
        yield {"model": model, "message": _message(**turn.calling), "done": False}
    yield {
        "model": model,
        "message": _message(),
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 12,
        "eval_count": len(_pieces(turn.thought)) + len(_pieces(turn.text)),
    }


def _message(**fields: object) -> dict[str, object]:
    return {"role": "assistant", "content": "", **fields}


class Demo(Ollama):
    """The provider: an Ollama server of its own, which has no models to load."""

    can_pull = False
    details, pull = Provider.details, Provider.pull

    def __init__(self, endpoint: Endpoint, transport: Transport, clock: Clock = monotonic) -> None:
        self._server = _Server()
        # The poll interval is how long `shutdown` takes.
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{self._server.server_port}"
        super().__init__(msgspec.structs.replace(endpoint, base_url=address), transport, clock)

    def close(self) -> None:
        self._server.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        super().close()
