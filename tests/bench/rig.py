"""Where the benchmarks run: one mock server, an environment of their own, and children that are
measured from outside. Linux only.

Children get no variable of this shell: no keys, no proxies, and Python as it is by default, so
that byte code is compiled and output is buffered for everybody alike. The peers are run from
byte code, as the modules of installed programs are.
"""

from __future__ import annotations

import json
import os
import py_compile
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.mockserver import MockServer
from tests.support.peak import measured, peak_in

PEERS = Path(__file__).with_name("peers")
BIN = Path(sys.executable).parent


class Failed(Exception):
    """A child did not do what it was measured for."""


@dataclass(frozen=True)
class Spent:
    """What a process took from its start to its end, in seconds."""

    wall: float
    cpu: float


@dataclass
class Child:
    """A process that is measured."""

    process: subprocess.Popen[bytes]
    began: float

    def finish(self) -> Spent:
        """Wait for its end. Raises `Failed`."""
        _, status, usage = os.wait4(self.process.pid, 0)
        wall = time.perf_counter() - self.began
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if status:
            command = " ".join(map(str, self.process.args))  # type: ignore[arg-type]
            raise Failed(f"exit status {self.process.returncode}: {command}")
        return Spent(wall, usage.ru_utime + usage.ru_stime)


class Rig:
    """What every benchmark is given."""

    def __init__(self, url: str, home: Path, *, quick: bool) -> None:
        self.url, self.quick = url, quick
        self._home = home
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "LLM_USER_PATH": str(home),
        }

    def pairs(self, count: int = 7) -> int:
        """How many pairs of runs to make."""
        return 2 if self.quick else count

    # ---- commands

    def chatstream(self, *arguments: str) -> list[str]:
        """Our command."""
        return [str(BIN / "chatstream"), *arguments]

    def ask(self, dialect: str, spec: str, *flags: str) -> list[str]:
        """Our command with a question to the mock server."""
        url = self.url + ("/v1" if dialect == "openai" else "")
        return self.chatstream("ask", "-p", dialect, "--base-url", url, "-m", spec, *flags, "hi")

    def compare(self, dialect: str, spec: str, times: int) -> list[str]:
        """Our command that asks the mock server's model several times at once."""
        more = ("-p", dialect, "--base-url", self.url, "-m", spec, "-n", str(times))
        return self.chatstream("compare", *more, "hi")

    def peer(self, name: str, *arguments: str) -> list[str]:
        """A script of `peers/`."""
        compiled = self._home / f"{name}.pyc"
        py_compile.compile(str(PEERS / f"{name}.py"), str(compiled), doraise=True)
        return [sys.executable, str(compiled), *arguments]

    def llm(self, spec: str) -> list[str]:
        """The `llm` command with a question to the mock server."""
        model = {"model_id": spec, "model_name": spec, "api_base": f"{self.url}/v1"}
        with (self._home / "extra-openai-models.yaml").open("a") as models:
            models.write(f"- {json.dumps(model)}\n")
        return [str(BIN / "llm"), "prompt", "--no-log", "-m", spec, "hi"]

    # ---- measurements

    def start(self, command: Sequence[str], **streams: Any) -> Child:
        """Start a command; standard input is empty unless `streams` say something else."""
        began = time.perf_counter()
        streams = {"stdin": subprocess.DEVNULL, "env": self._environment, **streams}
        return Child(subprocess.Popen(command, bufsize=0, **streams), began)

    def spend(self, command: Sequence[str]) -> Spent:
        """Run a command to its end, its output thrown away."""
        return self.start(command, stdout=subprocess.DEVNULL).finish()

    def peak(self, command: Sequence[str]) -> float:
        """The most memory that a command has, in MB. Raises `Failed`."""
        child = self.start(measured(command), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        with child.process.stderr as errors:  # type: ignore[union-attr]
            said = errors.read()
        child.finish()
        return peak_in(said)

    def wall(self, command: Sequence[str]) -> float:
        """Seconds that a command takes."""
        return self.spend(command).wall

    def first_byte(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> float:
        """Seconds until a command writes its first byte; `environment` is added to the rig's."""
        env = {**self._environment, **(environment or {})}
        child = self.start(command, stdout=subprocess.PIPE, env=env)
        with child.process.stdout as output:  # type: ignore[union-attr]
            first = output.read(1)
            seconds = time.perf_counter() - child.began
            output.read()
        child.finish()
        if not first:
            raise Failed(f"no output: {' '.join(command)}")
        return seconds

    def first_shown(self, command: Sequence[str], words: str) -> float:
        """Seconds until these words are on the terminal of a command, which Ctrl+D then ends."""
        controller, terminal = os.openpty()
        termios.tcsetwinsize(terminal, (24, 80))
        streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
        child = self.start(command, **streams, start_new_session=True)
        os.close(terminal)  # the child's copies are the last
        shown = b""
        try:
            while words.encode() not in shown:
                shown += os.read(controller, 65536)
            seconds = time.perf_counter() - child.began
            os.write(controller, b"\x04")
            with suppress(OSError):  # EIO: it has ended
                while os.read(controller, 65536):
                    pass
        except OSError as error:
            raise Failed(f"it ended without {words!r}: {shown.decode()}") from error
        finally:
            child.finish()
            os.close(controller)
        return seconds

    def output(self, command: Sequence[str], **environment: str) -> bytes:
        """All that a command prints; `environment` is added to the rig's. Raises `Failed`."""
        env = {**self._environment, **environment}
        child = self.start(command, stdout=subprocess.PIPE, env=env)
        with child.process.stdout as output:  # type: ignore[union-attr]
            printed = output.read()
        child.finish()
        return printed

    def sent(self) -> list[int]:
        """When the server sent each token of the last stream, in ns of the monotonic clock."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/_stamps") as answer:
            stamps: list[int] = json.load(answer)["sent"]
        return stamps


@contextmanager
def open_rig(*, quick: bool) -> Iterator[Rig]:
    """A rig with its server, which keeps to one processor."""
    processor = min(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as home, MockServer("--cpu", str(processor)) as server:
        yield Rig(server.url, Path(home), quick=quick)
