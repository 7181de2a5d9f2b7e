"""Starting the installed real servers: each on loopback and a free port, gone after the block.

    with require(llama_server()) as server:  # OpenAI and Anthropic; models: install.MODELS
        server.url + "/v1/chat/completions"
    with require(aimock()) as server:  # Ollama, OpenAI and Anthropic, from fixtures.json
        server.url + "/api/chat", fixture("plain text")["response"]["content"]
    with require(llama_server()) as llama, require(nginx(llama.url)) as front:
        front.urls["close"] + "/v1/messages"

What is missing is installed first (see install.py); what cannot be had raises `Unavailable`.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count as count_from
from pathlib import Path
from typing import Any

from tests.support.real import install
from tests.support.real.install import mcp_server
from tests.support.tls import make_certificate

START_LIMIT = 60.0  # seconds until a server must answer
STOP_LIMIT = 5.0  # seconds until a server that was asked to end is killed
ATTEMPTS = 3  # somebody else may take a free port before the server has it
FIRST_PORT = 10_000  # the kernel gives ports from 32768 on to everybody who asks for a free one
PORTS_A_PROCESS = 20  # more than the servers of one test need
HERE = Path(__file__).parent
WAYS = ["plain", "gzip", "gzip-streamed", "impatient", "close"]
WAYS += ["redirect", "limited", "tls", "down", "prefix"]  # the ports of nginx.conf.in, in order

Build = Callable[[Path, list[int]], list[str]]
"""The command line of a server that may write into the folder and must listen on the ports."""


@dataclass(frozen=True)
class Server:
    """A running server: its base URL, the file of what it prints, and ways to hurt it."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def freeze(self) -> None:
        """It hangs with its sockets open."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """A frozen server goes on."""
        os.killpg(self.process.pid, signal.SIGCONT)

    def crash(self) -> None:
        """It is killed; the kernel closes its sockets, mid-stream or not."""
        os.killpg(self.process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Nginx:
    """nginx in front of another server: a base URL for each of its ways, and its own CA."""

    urls: Mapping[str, str]
    ca: Path


@contextmanager
def llama_server(model: str = "tiny", *options: str) -> Iterator[Server]:
    """llama.cpp's server with one of `install.MODELS`; `options` end its command line."""
    root, models = install.debian(), install.models()
    ggml = next(root.glob("usr/lib/*-linux-gnu")) / "ggml"

    def build(_: Path, ports: list[int]) -> list[str]:
        command = install.unpacked(root, "usr/bin/llama-server")
        command += ["--model", str(models / f"{model}.gguf"), "--alias", "tiny"]
        command += ["--host", "127.0.0.1", "--port", str(ports[0])]
        return [*command, "--threads", "1", "--parallel", "2", "--ctx-size", "4096", *options]

    with _started(build, "/health", {"GGML_BACKEND_PATH": str(_backend(ggml))}) as (server, _):
        yield server


@contextmanager
def aimock(*options: str) -> Iterator[Server]:
    """aimock with fixtures.json; `options` end its command line."""
    script = install.aimock()

    def build(folder: Path, ports: list[int]) -> list[str]:
        fixtures = folder / "fixtures.json"
        fixtures.write_text(json.dumps({"fixtures": _fixtures()}), "utf-8")
        command = ["node", str(script), "-h", "127.0.0.1", "-p", str(ports[0])]
        return [*command, "-f", str(fixtures), "--log-level", "warn", *options]

    with _started(build, "/ready") as (server, _):
        yield server


@contextmanager
def mcp_over_http() -> Iterator[Server]:
    """server-everything over streamable HTTP, at the path /mcp."""
    command = mcp_server("everything")
    environment: dict[str, str] = {}

    def build(_: Path, ports: list[int]) -> list[str]:
        environment["PORT"] = str(ports[0])
        return [*command, "streamableHttp"]

    with _started(build, "/mcp", environment) as (server, _):
        yield server


def fixture(prompt: str, number: int = 0) -> dict[str, Any]:
    """What aimock answers to `prompt`: the entries of fixtures.json for it, by number."""
    return [it for it in _fixtures() if it["match"].get("userMessage") == prompt][number]


@contextmanager
def nginx(upstream: str) -> Iterator[Nginx]:
    """nginx in front of the server at the URL `upstream`; nginx.conf.in says what each way does."""
    root = install.debian()

    def build(folder: Path, ports: list[int]) -> list[str]:
        make_certificate(folder)
        values = {"DIR": str(folder), "UPSTREAM": upstream.removeprefix("http://").rstrip("/")}
        values |= {f"P{index}": str(port) for index, port in enumerate(ports)}
        text = (HERE / "nginx.conf.in").read_text("utf-8")
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        (folder / "nginx.conf").write_text(text, "utf-8")
        command = install.unpacked(root, "usr/sbin/nginx")
        return [*command, "-p", f"{folder}", "-c", "nginx.conf", "-e", "error.log"]

    with _started(build, "/", ports=len(WAYS)) as (server, ports):
        urls = {way: f"http://127.0.0.1:{port}" for way, port in zip(WAYS, ports, strict=True)}
        urls["tls"] = urls["tls"].replace("http:", "https:")
        urls["prefix"] += "/base"
        yield Nginx(urls, server.log.with_name("ca.pem"))


def _fixtures() -> list[dict[str, Any]]:
    """fixtures.json, its entries' own word `repeat` (times the content is said) applied."""
    entries: list[dict[str, Any]] = json.loads((HERE / "fixtures.json").read_text("utf-8"))
    for entry in entries:
        if times := entry.pop("repeat", 0):
            entry["response"]["content"] *= times
    return entries


def _backend(ggml: Path) -> Path:
    """The build of ggml for this processor; the plainest one unless it is known to be newer."""
    fast = "avx2" in Path("/proc/cpuinfo").read_text().split()
    found = sorted(ggml.glob("*/libggml-cpu-*.so"))
    named = [path for path in found if path.stem.endswith("-haswell" if fast else "-x64")]
    return (named or found)[0]


@contextmanager
def _started(
    build: Build, health: str, environment: Mapping[str, str] | None = None, ports: int = 1
) -> Iterator[tuple[Server, list[int]]]:
    """Start a server on free ports, wait until it answers GET `health`, and end it afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chatstream-")))
        log = folder / "log"
        for _ in range(ATTEMPTS):
            free = _free_ports(ports)
            command = build(folder, free)
            if setpriv := shutil.which("setpriv"):  # so that it dies with us, however we die
                command = [setpriv, "--pdeathsig", "TERM", *command]
            with log.open("wb") as output:
                process = subprocess.Popen(
                    command,
                    env={**os.environ, **(environment or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            stack.callback(_stop, process)
            if _healthy(process, free, health):
                yield Server(f"http://127.0.0.1:{free[0]}", log, process), free
                return
        told = log.read_text("utf-8", "replace")[-1000:]
        raise RuntimeError(f"{' '.join(command)} does not start:\n{told}")


def _free_ports(count: int) -> list[int]:
    """Free ports of this process alone.

    A port that the kernel hands out may be handed to another worker before our server has it;
    the other worker's server then answers in our server's place.
    """
    found: list[int] = []
    with ExitStack() as stack:
        for port in count_from(FIRST_PORT + os.getpid() % 1_000 * PORTS_A_PROCESS):
            with suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
            if len(found) == count:
                break
    return found


def _healthy(process: subprocess.Popen[bytes], ports: list[int], path: str) -> bool:
    """Wait until every port accepts and the first gives an answer other than 503 (still loading).

    False when the process ended.
    """
    end = time.monotonic() + START_LIMIT
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            for port in ports:
                socket.create_connection(("127.0.0.1", port), timeout=2).close()
            connection = http.client.HTTPConnection("127.0.0.1", ports[0], timeout=2)
            try:
                connection.request("GET", path)
                if connection.getresponse().status != 503:
                    return process.poll() is None
            finally:
                connection.close()
        time.sleep(0.02)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children, also a frozen one."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        os.killpg(process.pid, signal.SIGCONT)
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
