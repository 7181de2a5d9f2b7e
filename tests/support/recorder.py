"""A proxy on loopback that keeps what is asked of a server, and what it answers.

with Recorder(server.url) as recorder:
    ... a client asks recorder.url ...
check("anthropic", recorder.exchanges)
"""

from __future__ import annotations

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

from tests.support.strict import Exchange

LIMIT = 60.0  # seconds that the server may take for an answer


class Recorder:
    """Each POST is passed on whole, and so is its answer, when it has ended."""

    def __init__(self, upstream: str) -> None:
        self.exchanges: list[Exchange] = []
        place = urlsplit(upstream)
        exchanges = self.exchanges

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server = http.client.HTTPConnection(place.netloc, timeout=LIMIT)
                kept = {k: v for k, v in self.headers.items() if k.lower() != "host"}
                server.request("POST", self.path, body, kept)
                response = server.getresponse()
                answer = response.read()
                server.close()
                exchanges.append(Exchange(json.loads(body), answer))
                self.send_response(response.status)
                self.send_header("Content-Type", response.headers["Content-Type"] or "")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
