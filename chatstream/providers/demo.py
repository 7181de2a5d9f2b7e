"""A model server in this process, so that everything can be tried with nothing installed.

It is a real HTTP server on a free port of the loopback interface and speaks Ollama's protocol;
only the answer is written beforehand. So the demo goes the way of every real answer. The models
are `demo`, at the pace of a real one, and `demo-fast`, without pauses.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

from chatstream.clock import Clock, monotonic
from chatstream.providers import Endpoint
from chatstream.providers.ollama import Ollama
from chatstream.transport import Transport

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
        lines = list(_lines(model, _begun(request)))
        if request.get("stream") is False:
            message = {"role": "assistant", "content": ANSWER, "thinking": THOUGHT}
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


def _begun(request: dict[str, object]) -> str:
    """How much of the answer is there already: the assistant's message at the end."""
    messages = request.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else {}
    text = str(last.get("content", "")) if last.get("role") == "assistant" else ""
    return text if ANSWER.startswith(text) else ""


def _lines(model: str, begun: str) -> Iterator[dict[str, object]]:
    rest = ANSWER[len(begun) :]
    for field, text in (("thinking", "" if begun else THOUGHT), ("content", rest)):
        for piece in _pieces(text):
            message = {"role": "assistant", "content": "", field: piece}
            yield {"model": model, "message": message, "done": False}
    yield {
        "model": model,
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 12,
        "eval_count": len(_pieces(THOUGHT)) + len(_pieces(rest)),
    }


class Demo(Ollama):
    """The provider: an Ollama server that it brings itself."""

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
