"""The process of a tools file, spoken to by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from chatstream.tools import protocol
from chatstream.tools.protocol import (
    Call,
    Check,
    Checked,
    Ended,
    Interrupt,
    Order,
    Output,
    Ready,
    Report,
    Stop,
    Unusable,
)
from tests.support.toolcalls import LIMIT


class Worker:
    """One process, as its parent sees it."""

    def __init__(self, folder: Path, code: str, name: str = "own_tools.py") -> None:
        self.path = folder / name
        self.path.write_text(dedent(code))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chatstream.tools.worker", str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._limit = threading.Timer(LIMIT, self.process.kill)  # or a failure would wait for ever
        self._limit.start()

    def tell(self, order: Order) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(protocol.encode(order) + b"\n")
        self.process.stdin.flush()

    def read(self) -> Report:
        assert self.process.stdout is not None
        return protocol.decode_report(self.process.stdout.readline())

    def names(self) -> list[str]:
        ready = self.read()
        assert isinstance(ready, Ready)
        return [it.definition.name for it in ready.tools]

    def end(self) -> int:
        """Close the orders, and wait for its end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        status = self.process.wait()
        self._limit.cancel()
        self.process.stdout.close()
        return status


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Worker]]:
    made: list[Worker] = []
    yield made
    for worker in made:
        if worker.process.poll() is None:
            worker.process.kill()
        worker.end()


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def a(): ...\ndef b(): ...\ndef _c(): ...", ["a", "b"]),
        ("import chatstream\n@chatstream.tool\ndef a(): ...\ndef b(*x): ...", ["a"]),
        ("from json import dumps\nfrom os.path import join\ndef a(): ...", ["a"]),
        ("class A:\n    def __call__(self): ...\na = A()\ndef b(): ...\nalso = b", ["b"]),
        ("from __future__ import annotations\ndef a(x: int): ...", ["a"]),
        ("if __name__ == '__main__':\n    def no(): ...\ndef a(): ...", ["a"]),
        ("@__import__('functools').cache\ndef no(): ...\ndef a(): ...", ["a"]),
    ],
)
def test_the_tools_are_those_that_are_marked_or_else_all_public_functions(
    tmp_path: Path, started: list[Worker], code: str, names: list[str]
) -> None:
    started.append(Worker(tmp_path, code))
    assert started[0].names() == names


def test_two_tools_of_one_name_cannot_be_used(tmp_path: Path, started: list[Worker]) -> None:
    started.append(
        Worker(
            tmp_path,
            "from chatstream import tool\n@tool\ndef a(): ...\n@tool(name='a')\ndef b(): ...",
        )
    )
    report = started[0].read()
    assert isinstance(report, Unusable)
    assert report.why == "there are two tools called 'a' (file, file)"


def test_a_file_that_cannot_be_used_is_reported_and_the_process_waits_for_its_end(
    tmp_path: Path, started: list[Worker]
) -> None:
    started.append(Worker(tmp_path, "1 / 0"))
    report = started[0].read()
    assert isinstance(report, Unusable)
    assert report.why == "line 1: ZeroDivisionError: division by zero"
    assert report.trace.startswith("Traceback")
    assert started[0].process.poll() is None
    started[0].end()


def test_modules_beside_the_file_can_be_imported_and_nothing_is_written_there(
    tmp_path: Path, started: list[Worker]
) -> None:
    (tmp_path / "beside.py").write_text("def f(): return 'beside'")
    started.append(Worker(tmp_path, "import beside\ndef a(): return beside.f()"))
    worker = started[0]
    assert worker.names() == ["a"]
    worker.tell(Call(1, "a", {}, "c"))
    assert worker.read() == Ended(1, "beside")
    assert sorted(it.name for it in tmp_path.iterdir()) == ["beside.py", "own_tools.py"]


def test_a_file_may_be_called_like_a_module_that_it_imports(
    tmp_path: Path, started: list[Worker]
) -> None:
    started.append(Worker(tmp_path, "import threading\ndef a(): ...", name="json.py"))
    assert started[0].names() == ["a"]


def test_it_ends_with_its_orders_and_what_was_registered_for_the_end_is_done(
    tmp_path: Path, started: list[Worker]
) -> None:
    done = tmp_path / "done"
    started.append(
        Worker(
            tmp_path,
            f"""
            import atexit, pathlib
            atexit.register(pathlib.Path({str(done)!r}).touch)
            def a(): ...
            """,
        )
    )
    started[0].names()
    started[0].end()
    assert done.exists()


@pytest.mark.parametrize(
    "code",
    [
        "import atexit, time\natexit.register(time.sleep, 1000)\ndef a(): ...",
        "import threading, time\nthreading.Thread(target=time.sleep, args=[1000]).start()\n"
        "def a(): ...",
    ],
    ids=["atexit", "thread"],
)
def test_nothing_can_keep_it_from_ending(tmp_path: Path, started: list[Worker], code: str) -> None:
    started.append(Worker(tmp_path, code))
    started[0].names()
    assert started[0].end() in (-signal.SIGALRM, -signal.SIGKILL)


def test_a_call_that_looks_may_end_first_when_the_orders_end(
    tmp_path: Path, started: list[Worker]
) -> None:
    done = tmp_path / "done"
    started.append(
        Worker(
            tmp_path,
            f"""
            import pathlib
            from chatstream import Context
            def a(told: Context):
                print("begun")
                told.token.sleep(1000)
                pathlib.Path({str(done)!r}).touch()
            """,
        )
    )
    worker = started[0]
    worker.names()
    worker.tell(Call(1, "a", {}, "c"))
    assert worker.read() == Output(1, "begun\n")
    worker.end()
    assert done.exists()


def test_orders_are_obeyed_while_calls_run(tmp_path: Path, started: list[Worker]) -> None:
    started.append(
        Worker(
            tmp_path,
            """
            from chatstream import Context
            def wait(told: Context, seconds: int):
                return told.token.sleep(seconds)
            """,
        )
    )
    worker = started[0]
    worker.names()
    worker.tell(Call(1, "wait", {"seconds": 1000}, "c"))
    worker.tell(Check(2, "wait", {"seconds": "1"}))
    assert worker.read() == Checked(2, "Expected `int`, got `str` - at `$.seconds`")
    worker.tell(Check(3, "wait", {"seconds": 1}))
    assert worker.read() == Checked(3, None)
    worker.tell(Stop(1))
    assert worker.read() == Ended(1, True)
    worker.tell(Stop(1))  # too late: it means nothing


def test_an_interrupt_reaches_only_the_call_that_is_meant(
    tmp_path: Path, started: list[Worker]
) -> None:
    started.append(
        Worker(
            tmp_path,
            """
            def spin():
                print("spinning")
                while True:
                    pass
            """,
        )
    )
    worker = started[0]
    worker.names()
    for number in (1, 2):
        worker.tell(Call(number, "spin", {}, "c"))
        assert worker.read() == Output(number, "spinning\n")
    for number in (1, 2):
        worker.tell(Stop(number))
        worker.tell(Interrupt(number))
        assert worker.read() == Ended(number, error="KeyboardInterrupt")
        worker.tell(Interrupt(number))  # too late: it means nothing
    worker.tell(Check(3, "spin", {}))
    assert worker.read() == Checked(3, None)


def test_a_signal_of_the_group_ends_programs_and_not_the_process(
    tmp_path: Path, started: list[Worker]
) -> None:
    started.append(
        Worker(
            tmp_path,
            """
            import subprocess
            def program():
                with subprocess.Popen(["sleep", "1000"]) as process:
                    print("begun")
                return process.returncode
            """,
        )
    )
    worker = started[0]
    worker.names()
    worker.tell(Call(1, "program", {}, "c"))
    assert worker.read() == Output(1, "begun\n")
    os.killpg(worker.process.pid, signal.SIGINT)
    assert worker.read() == Ended(1, -signal.SIGINT)


def test_without_a_group_of_its_own_it_kills_nobody(tmp_path: Path) -> None:
    path = tmp_path / "own_tools.py"
    path.write_text("def a(): ...")
    code = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-m', 'chatstream.tools.worker', {str(path)!r}],"
        " stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)\n"
        "print('alive')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=LIMIT, start_new_session=True
    )
    assert ended.stdout == b"alive\n"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")
def test_a_fork_holds_none_of_the_pipes(tmp_path: Path, started: list[Worker]) -> None:
    started.append(
        Worker(
            tmp_path,
            """
            import os
            def fork():
                end, start = os.pipe()
                if os.fork() == 0:
                    left = [os.readlink(f"/proc/self/fd/{it}") for it in os.listdir("/proc/self/fd")
                            if os.path.exists(f"/proc/self/fd/{it}")]
                    os.write(start, "\\n".join(left).encode())
                    os._exit(0)
                os.close(start)
                os.wait()
                return os.read(end, 65536).decode().splitlines()
            def own():
                return [os.readlink(f"/proc/self/fd/{it}") for it in (0, 1, 2)]
            """,
        )
    )
    worker = started[0]
    worker.names()
    worker.tell(Call(1, "fork", {}, "c"))
    ended = worker.read()
    assert isinstance(ended, Ended)
    assert worker.process.stdin is not None
    assert worker.process.stdout is not None
    for ours in (worker.process.stdin, worker.process.stdout):
        assert str(Path(f"/proc/self/fd/{ours.fileno()}").readlink()) not in ended.value
    worker.tell(Call(2, "own", {}, "c"))
    own = worker.read()
    assert isinstance(own, Ended)
    assert own.value[0] == "/dev/null"
    assert own.value[1] == own.value[2]
