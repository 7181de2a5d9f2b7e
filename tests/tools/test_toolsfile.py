"""The functions of a file as tools: in a process of their own, which may be stopped and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, UsageError
from chatstream.tools import toolsfile
from chatstream.tools.tool import InvalidArguments, Returned, ToolFailure
from chatstream.tools.toolsfile import tools_of_file
from tests.support.figures import Figures
from tests.support.processes import alive, new_mark
from tests.support.sampling import by_size
from tests.support.toolcalls import LIMIT, FromFile, Said

Make = Callable[[str], FromFile]

HEAD = """
import os, signal, subprocess, sys, threading, time
from chatstream import Context, tool
from chatstream.tools.tool import Returned, ToolFailure
"""


# ---- what they are, and what they return


def test_a_function_of_a_file_is_a_tool_like_any_other(from_file: Make) -> None:
    file = from_file(
        HEAD
        + '''
@tool(effect="read")
def add(a: int, b: int = 2) -> int:
    """Add.

    Args:
        a: The first.
    """
    return a + b
'''
    )
    (made,) = file.tools.values()
    assert (made.name, made.effect, made.origin, made.confined) == ("add", "read", "file", False)
    assert made.definition.description == "Add."
    assert made.definition.parameters["properties"] == {
        "a": {"type": "integer", "description": "The first."},
        "b": {"type": "integer", "default": 2},
    }
    assert file.call("add", a=1) == 3


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("return 'text'", "text"),
        ("return None", None),
        ("return {'a': [1, 2.5, True, None]}", {"a": [1, 2.5, True, None]}),
        ("return Returned('text', 3)", Returned("text", 3)),
        ("return 'lone \\udce9 surrogate'", "lone \\xe9 surrogate"),
    ],
)
def test_a_value_comes_back_as_it_is(from_file: Make, code: str, value: object) -> None:
    assert from_file(f"{HEAD}\ndef work():\n    {code}\n").call("work") == value


@pytest.mark.parametrize(
    ("code", "words", "failure"),
    [
        ("raise ValueError('bad')", "ValueError: bad", "raised"),
        ("raise KeyError", "KeyError", "raised"),
        ("raise ToolFailure('no such city', code='no_city')", "no such city", "no_city"),
        ("sys.exit(3)", "SystemExit: 3", "raised"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "raised"),
        ("input()", "EOFError: EOF when reading a line", "raised"),
    ],
)
def test_a_failure_is_one_sentence_and_ends_nothing_else(
    from_file: Make, code: str, words: str, failure: str
) -> None:
    file = from_file(f"{HEAD}\ndef work():\n    {code}\ndef fine():\n    return os.getpid()\n")
    before = file.call("fine")
    with pytest.raises(ToolFailure) as caught:
        file.call("work")
    assert (caught.value.message, caught.value.code) == (words, failure)
    assert file.call("fine") == before


def test_arguments_are_checked_by_the_types_of_the_file(from_file: Make) -> None:
    file = from_file(
        """
        from dataclasses import dataclass

        @dataclass
        class Place:
            x: int

        def go(to: Place) -> int:
            return to.x
        """
    )
    go = file.tools["go"]
    go.check({"to": {"x": 1}})
    assert file.call("go", to={"x": 1}) == 1
    with pytest.raises(InvalidArguments) as caught:
        go.check({"to": {"x": "1"}})
    assert caught.value.message == "Expected `int`, got `str` - at `$.to.x`"
    with pytest.raises(InvalidArguments, match="unknown argument 'too'; did you mean 'to'"):
        go.check({"too": 1})


def test_progress_and_output_come_in_the_order_in_which_they_are_said(from_file: Make) -> None:
    file = from_file(
        f"""{HEAD}
def work(told: Context):
    told.stages([("a", 1), ("b", 3)])
    told.progress(1, 2, "half")
    print("printed")
    told.next_stage()
    yield "yielded"
    return told.call_id
"""
    )
    said = Said("call00042")
    assert file.tools["work"].run({}, said.context) == "call00042"
    assert said.progress == [[("a", 1.0), ("b", 3.0)], (1.0, 2.0, "half"), "next stage"]
    assert said.text == "printed\nyielded"


def test_output_is_heard_while_the_call_runs(from_file: Make) -> None:
    file = from_file(
        f"{HEAD}\ngo_on = threading.Event()\n"
        f"def work():\n    print('working')\n    return go_on.wait({LIMIT})\n"
        "def release():\n    go_on.set()\n"
    )
    call = file.start("work")
    assert call.said.spoken.wait(LIMIT)
    file.call("release")  # a second call runs beside the first
    assert call.end() is True
    assert call.said.text == "working\n"


def test_calls_share_the_state_of_the_file(from_file: Make) -> None:
    file = from_file("kept = []\ndef keep(it: int):\n    kept.append(it)\n    return kept\n")
    file.call("keep", it=1)
    assert file.call("keep", it=2) == [1, 2]


# ---- files that cannot be used


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import no_such_module", "line 1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = 1\n\ndef f(:\n", "line 3: SyntaxError: invalid syntax"),
        ("def g():\n    1 / 0\ng()\n", "line 2: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit('no')", "line 2: SystemExit: no"),
        ("x = 1", "it has no functions"),
        ("def f(*a): ...", "the function f cannot be a tool: *a takes any arguments, and a model"),
        ("import os\nos._exit(4)", "it ended with status 4 while it was loaded"),
        ("import os\nos.kill(os.getpid(), 9)", "it was killed by SIGKILL while it was loaded"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, code: str, why: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(code)
    with pytest.raises(UsageError) as caught:
        tools_of_file(path)
    assert caught.value.message.startswith(f"the tools file {path} cannot be used: {why}")
    assert "\n" not in caught.value.message
    assert "Traceback" not in caught.value.message


def test_the_trace_is_for_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "bad.py"
    path.write_text("1 / 0\n")
    with caplog.at_level("DEBUG", "chatstream.tools"), pytest.raises(UsageError):
        tools_of_file(path)
    assert "Traceback" in caplog.text
    assert f'File "{path}", line 1' in caplog.text


@pytest.mark.parametrize(("name", "why"), [("none.py", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_starts_nothing(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(UsageError, match=f"cannot read the tools file .*: {why}"):
        tools_of_file(tmp_path / name)


def test_a_cancel_ends_the_wait_for_a_file_that_loads_for_ever(tmp_path: Path) -> None:
    fifo, path = tmp_path / "alive", tmp_path / "slow.py"
    os.mkfifo(fifo)
    path.write_text(f"held = open({str(fifo)!r}, 'w')\nwhile True:\n    pass\n")
    token, raised = CancelToken(), []

    def load() -> None:
        try:
            tools_of_file(path, token)
        except Cancelled as error:
            raised.append(error.message)

    thread = threading.Thread(target=load)
    thread.start()
    with fifo.open("rb") as alive:  # opens once the file is being loaded
        token.cancel(Cancelled("enough"))
        thread.join(LIMIT)
        assert raised == ["enough"]
        assert alive.read() == b""  # the end: nobody holds it open any more


# ---- stops


ENDS = f"""{HEAD}
calls = 0

def number() -> int:
    global calls
    calls += 1
    return calls

def looks(told: Context) -> str:
    print("begun")
    while not told.stopped:
        pass
    return "saw it"

def spins() -> None:
    print("begun")
    while True:
        pass

def sleeps() -> None:
    print("begun")
    while True:  # an exception that comes before the first sleep is no end
        try:
            time.sleep(1000)
        except BaseException:
            pass

def floods() -> None:
    while True:
        print("x" * 1000)

def runs_a_program() -> str:
    print("begun")
    return str(subprocess.run(["sleep", "1000"]).returncode)
"""


def stopped(file: FromFile, name: str) -> None:
    call = file.start(name)
    assert call.said.spoken.wait(LIMIT)
    call.stop()
    with pytest.raises(Cancelled, match="stopped"):
        call.end()


def test_a_function_that_looks_ends_by_itself(from_file: Make) -> None:
    file = from_file(ENDS)
    call = file.start("looks")
    assert call.said.spoken.wait(LIMIT)
    call.stop()
    assert call.end() == "saw it"


@pytest.mark.parametrize("name", ["spins", "floods"])
def test_what_runs_python_is_interrupted_and_the_process_stays(from_file: Make, name: str) -> None:
    file = from_file(ENDS)
    assert file.call("number") == 1
    stopped(file, name)
    assert file.call("number") == 2


def test_a_program_of_a_stopped_call_gets_the_signal_first(from_file: Make) -> None:
    file = from_file(ENDS)
    assert file.call("number") == 1
    call = file.start("runs_a_program")
    assert call.said.spoken.wait(LIMIT)
    call.stop()
    with suppress(Cancelled):  # raised in the function, unless it ends with its program first
        assert call.end() == "-2"
    assert file.call("number") == 2


def test_what_cannot_be_interrupted_ends_with_the_process(from_file: Make) -> None:
    file = from_file(ENDS)
    assert file.call("number") == 1
    stopped(file, "sleeps")
    assert file.call("number") == 1  # the file was loaded again


def test_what_ignores_everything_is_killed(from_file: Make) -> None:
    file = from_file(
        f"{ENDS}\nfor number_of in (signal.SIGINT, signal.SIGTERM):\n"
        "    signal.signal(number_of, signal.SIG_IGN)\n"
    )
    stopped(file, "sleeps")
    assert file.call("number") == 1


def test_what_the_process_has_started_ends_with_it(from_file: Make, tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    file = from_file(
        f"""{HEAD}
def leaves_a_program() -> None:
    print("begun")
    with open({str(fifo)!r}, "w") as held:
        subprocess.Popen(["sh", "-c", "trap '' INT TERM; sleep 1000"], stdout=held)
    time.sleep(1000)
"""
    )
    call = file.start("leaves_a_program")
    with fifo.open("rb") as alive:
        call.stop()
        with pytest.raises(Cancelled):
            call.end()
        assert alive.read() == b""


def test_a_sibling_that_dies_of_a_stop_says_so(from_file: Make) -> None:
    file = from_file(ENDS)
    meant, sibling = file.start("sleeps"), file.start("sleeps")
    for call in (meant, sibling):
        assert call.said.spoken.wait(LIMIT)
    meant.stop()
    with pytest.raises(Cancelled):
        meant.end()
    with pytest.raises(ToolFailure) as caught:
        sibling.end()
    assert (caught.value.code, caught.value.outcome) == ("worker_ended", "unknown")
    assert caught.value.message == (
        "the process of the tools file is gone: it was killed by SIGTERM; "
        "the call may have taken effect"
    )


def test_a_sibling_lives_on_where_the_call_can_be_interrupted(
    from_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However busy the machine is, no other signal comes before this one is heard.
    monkeypatch.setattr(toolsfile, "STEPS", ((0.2, signal.SIGINT), (LIMIT, signal.SIGTERM)))
    file = from_file(ENDS)
    meant, sibling = file.start("spins"), file.start("looks")
    for call in (meant, sibling):
        assert call.said.spoken.wait(LIMIT)
    meant.stop()
    with pytest.raises(Cancelled):
        meant.end()
    sibling.stop()
    assert sibling.end() == "saw it"


# ---- the end of the process, and another start


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("os._exit(7)", "it ended with status 7"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "it was killed by SIGKILL"),
    ],
)
def test_a_process_that_ends_is_started_again_by_the_next_call(
    from_file: Make, code: str, how: str
) -> None:
    file = from_file(f"{HEAD}\ndef die():\n    {code}\ndef who():\n    return os.getpid()\n")
    before = file.call("who")
    with pytest.raises(ToolFailure, match=how) as caught:
        file.call("die")
    assert (caught.value.code, caught.value.outcome) == ("worker_ended", "unknown")
    after = file.call("who")
    assert isinstance(after, int)
    assert after != before
    file.tools["who"].check({})


def test_the_last_words_of_a_crash_are_told(from_file: Make) -> None:
    file = from_file("import ctypes\ndef crash():\n    ctypes.string_at(0)\n")
    with pytest.raises(ToolFailure, match="it was killed by SIGSEGV") as caught:
        file.call("crash")
    assert "\n" not in caught.value.message


def test_a_file_that_was_changed_meanwhile_runs_nothing(from_file: Make) -> None:
    file = from_file(f"{HEAD}\ndef die():\n    os._exit(1)\n")
    file.write(f"{HEAD}\ndef die(now: bool):\n    os._exit(1)\n")
    with pytest.raises(ToolFailure, match="gone"):
        file.call("die")
    with pytest.raises(ToolFailure, match="was changed during the run"):
        file.call("die")
    file.write("import no_such_module")
    with pytest.raises(ToolFailure, match="line 1: ModuleNotFoundError"):
        file.call("die")


def test_closing_one_tool_ends_the_process_of_all(from_file: Make, tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    file = from_file(
        f"held = None\ndef hold():\n    global held\n    held = open({str(fifo)!r}, 'w')\n"
        "def other(): ...\n"
    )
    call = file.start("hold")
    with fifo.open("rb") as alive:
        call.end()
        file.tools["other"].close()
        assert alive.read() == b""
    file.tools["other"].close()


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    fifo, path = tmp_path / "alive", tmp_path / "own_tools.py"
    os.mkfifo(fifo)
    path.write_text(
        f"{HEAD}\n"
        f"def wait():\n    held = open({str(fifo)!r}, 'w')\n"
        "    subprocess.Popen(['sleep', '1000'], stdout=held)\n"
        "    print('ready', file=held, flush=True)\n    time.sleep(1000)\n"
    )
    code = (
        "import sys; from pathlib import Path\n"
        "from chatstream.tools.toolsfile import tools_of_file\n"
        "from tests.support.toolcalls import Said\n"
        "(tool,) = tools_of_file(Path(sys.argv[1]))\n"
        "tool.run({}, Said().context)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    with fifo.open("rb") as alive:
        assert alive.readline() == b"ready\n"  # the call runs
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert alive.read() == b""  # both the worker and its program have ended


# ---- floods, and what a call costs


FLOODS = f"""{HEAD}
def through_python(megabytes: int) -> None:
    for _ in range(megabytes * 16):
        print("x" * 65535)

def below_python(megabytes: int) -> None:
    for _ in range(megabytes * 16):
        os.write(1, b"x" * 65535 + b"\\n")

def returned(megabytes: int) -> str:
    return "x" * megabytes * 1024 * 1024

def peak() -> int:
    with open("/proc/self/status") as file:
        (line,) = [it for it in file if it.startswith("VmHWM")]
    return int(line.split()[1])
"""
PARENT = """
import sys
from pathlib import Path
from chatstream.tools.toolsfile import tools_of_file
from tests.support.toolcalls import Said

def peak():
    with open("/proc/self/status") as file:
        (line,) = [it for it in file if it.startswith("VmHWM")]
    return int(line.split()[1])

class Counting(Said):
    size = 0
    def _put(self, text):
        Counting.size += len(text)

tools = {it.name: it for it in tools_of_file(Path(sys.argv[1]))}
flood, megabytes = tools[sys.argv[2]], int(sys.argv[3])
flood.run({"megabytes": 1}, Counting().context)
before, its = peak(), tools["peak"].run({}, Said().context)
Counting.size = 0
flood.run({"megabytes": megabytes}, Counting().context)
print(Counting.size, peak() - before, tools["peak"].run({}, Said().context) - its)
for tool in tools.values():
    tool.close()
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("name", ["through_python", "below_python"])
def test_a_flood_takes_the_memory_of_neither_side(
    tmp_path: Path, name: str, figures: Figures
) -> None:
    megabytes = by_size(30, 100)
    path = tmp_path / "floods.py"
    path.write_text(FLOODS)
    words = subprocess.run(
        [sys.executable, "-c", PARENT, str(path), name, str(megabytes)],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        check=True,
        timeout=LIMIT,
    ).stdout
    size, here, there = map(int, words.split())
    figures.line(f"{megabytes} MB {name}: {here} kB more here, {there} kB there")
    assert size == megabytes * 1024 * 1024
    assert here < 5000
    assert there < 5000


def test_a_large_result_comes_as_output(from_file: Make) -> None:
    file = from_file(f"{FLOODS}\ndef many() -> list[int]:\n    return list(range(300_000))\n")
    said = Said()
    assert file.tools["returned"].run({"megabytes": 2}, said.context) is None
    assert said.text == "x" * 2 * 1024 * 1024
    said = Said()
    assert file.tools["many"].run({}, said.context) is None
    assert json.loads(said.text) == list(range(300_000))
    assert file.call("returned", megabytes=0) == ""


@pytest.mark.serial
def test_what_a_start_and_a_call_cost(tmp_path: Path, figures: Figures) -> None:
    path = tmp_path / "own_tools.py"
    path.write_text("def add(a: int) -> int:\n    return a + 1\n")

    def timed(work: Callable[[], object]) -> float:
        began = time.perf_counter()
        work()
        return (time.perf_counter() - began) * 1000

    file: list[FromFile] = []
    code = path.read_text()
    starts = sorted(timed(lambda: file.append(FromFile(tmp_path, code))) for _ in range(5))
    add = file[0].tools["add"]
    add.run({"a": 1}, Said().context)

    def call() -> None:
        add.check({"a": 1})
        add.run({"a": 1}, Said().context)

    calls = sorted(timed(call) for _ in range(1000))
    closes = sorted(timed(it.close) for it in file)
    figures.line(
        f"a tools file: started in {starts[2]:.0f} ms, closed in {closes[2]:.1f} ms; "
        f"a call: {calls[500]:.2f} ms, p99 {calls[990]:.2f} ms"
    )
    assert calls[500] < 5


def test_a_cancelled_run_does_not_wait_for_a_process_that_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "once.py"
    path.write_text(
        "import pathlib, time\n"
        "mark = pathlib.Path(__file__).with_suffix('.mark')\n"
        "while mark.exists():\n"
        "    time.sleep(0.01)\n"
        "mark.touch()\n"
        "def look() -> str:\n"
        "    return ''\n"
    )
    token = CancelToken()
    (tool,) = tools_of_file(path, token)
    tool.close()
    monkeypatch.setattr(toolsfile, "LOAD_SECONDS", 2.0)
    token.cancel(Cancelled("by the user"))
    with pytest.raises(Cancelled, match="by the user"):
        tool.check({})
    tool.close()


@pytest.mark.parametrize(
    ("returned", "value"),
    [
        ("float('nan')", "nan"),
        ("float('-inf')", "-inf"),
        ("b'caf\\xc3\\xa9'", "café"),
        ("bytearray(b'\\xff')", "\ufffd"),
    ],
)
def test_what_json_lacks_comes_back_as_text(tmp_path: Path, returned: str, value: str) -> None:
    file = FromFile(tmp_path, f"def odd(): return {returned}")
    try:
        assert file.call("odd") == value
    finally:
        file.close()


def test_a_value_that_is_no_json_fails_and_says_that_the_work_was_done(tmp_path: Path) -> None:
    file = FromFile(tmp_path, "def odd(): return object()")
    try:
        with pytest.raises(ToolFailure, match=r"^it did its work, but returned a value") as caught:
            file.call("odd")
        assert caught.value.code == "result"
    finally:
        file.close()


def test_the_caller_can_do_something_while_the_file_is_loaded(tmp_path: Path) -> None:
    file, there = tmp_path / "own_tools.py", tmp_path / "there"
    waits = f"import os, time\nwhile not os.path.exists({str(there)!r}):\n    time.sleep(0.01)\n"
    file.write_text(f"{waits}def add(a: int) -> int: return a\n")
    (tool,) = tools_of_file(file, meanwhile=there.touch)
    with closing(tool):
        assert tool.name == "add"


def test_what_fails_meanwhile_ends_the_process(tmp_path: Path) -> None:
    mark, file, begun = new_mark(), tmp_path / "own_tools.py", tmp_path / "begun"
    os.mkfifo(begun)
    command = f"echo begun > {begun}; exec sleep {mark}"
    file.write_text(f"import subprocess\nsubprocess.run({command!r}, shell=True)\ndef a(): ...\n")

    def fails() -> None:
        assert begun.read_text() == "begun\n"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tools_of_file(file, meanwhile=fails)
    assert alive(mark) == []
