"""Ctrl+C while a tool works: the tool is stopped, what is said of it is true, nothing is left."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from chatstream import events as ev
from tests.support.client import Running, run

pytestmark = pytest.mark.serial

TOOLS = """\
import os, time
import chatstream

@chatstream.tool(effect="write")
def work() -> str:
    "Work, and say where."
    print(os.getpid(), flush=True)
    {body}
    return "done"
"""

BODIES = {
    "sleeps": "time.sleep(1000)",
    "computes": "while True: pass",
    "catches-everything": "\n    ".join(
        ("while True:", "    try:", "        time.sleep(1000)", "    except BaseException: pass")
    ),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("body", BODIES)
def test_a_signal_stops_the_tool_and_the_run(
    tmp_path: Path, body: str, number: signal.Signals
) -> None:
    file = tmp_path / "tools.py"
    file.write_text(TOOLS.format(body=BODIES[body]))
    asked = ["-p", "demo", "-m", "demo-fast", "--tools-file", str(file), "--allow", "work"]
    with Running(["ask", "--json", *asked, "hi"]) as client:
        said = ev.decode(client.read_until(b'"tool_output"'))
        assert isinstance(said, ev.ToolOutput)
        client.process.send_signal(number)
        done = client.finish()
    assert done.status == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}[number]
    opening, *_, end, last = done.events
    assert isinstance(opening, ev.Metadata)
    assert isinstance(end, ev.ToolError)
    assert (end.outcome, end.code) == ("stopped", "stopped")
    assert isinstance(last, ev.Error)
    assert (last.code, last.resume) == ("cancelled", f"chatstream resume {opening.run}")
    with pytest.raises(ProcessLookupError):
        os.kill(int(said.delta), 0)


def test_a_run_whose_tool_was_stopped_can_be_resumed_and_starts_it_no_more(tmp_path: Path) -> None:
    file, began = tmp_path / "tools.py", tmp_path / "began"
    body = f"open({str(began)!r}, 'a').write('x'); time.sleep(1000)"
    file.write_text(TOOLS.format(body=body))
    asked = ["-p", "demo", "-m", "demo-fast", "--tools-file", str(file), "--allow", "work"]
    with Running(["ask", "--json", *asked, "hi"]) as client:
        client.read_until(b'"tool_output"')
        client.process.send_signal(signal.SIGINT)
        client.finish()
    assert run(["resume", "--plain", "--allow", "work"]).status == 0
    assert began.read_text() == "x"
