"""Mistakes made on purpose, to see whether the tests find them.

    python -m tests.support.mutants                  # all of them, about 10 minutes
    python -m tests.support.mutants NAME…            # some of them
    python -m tests.support.mutants --project DIR    # against the tests of another checkout

Each row replaces one text in one file of a copy of the project, and runs the named test files
there. A mutant is *killed* if a test fails, *survived* if all pass, *stale* if the old text is not
in the file exactly once, and *broken* if pytest could not run. The exit status is 0 if every
mutant was killed. Run it before and after a change of the tests, to show that they lost nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

HERE = Path(__file__).resolve().parents[2]
LIMIT = 600.0  # seconds for the tests of one mutant; whoever hangs is killed by that

Verdict = Literal["killed", "survived", "stale", "broken"]


class Mutant(NamedTuple):
    """One mistake. `file` is in `chatstream/`, the test files are in `tests/`."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "a LF after a CR is taken for a second line end",
        "wire/lines.py",
        "if data[0] == 0x0A:",
        "if data[0] == 0x0B:",
        ("wire/test_lines.py",),
    ),
    Mutant(
        "only the open line has a limit",
        "wire/lines.py",
        "if len(self._tail) > self._limit or len(longest) > self._limit:",
        "if len(self._tail) > self._limit:",
        ("wire/test_lines.py",),
    ),
    Mutant(
        "an id with a NUL counts",
        "wire/sse.py",
        'if b"\\0" not in value:',
        "if True:",
        ("wire/test_sse.py",),
    ),
    Mutant(
        "lines of data are joined without a LF",
        "wire/sse.py",
        'text = b"\\n".join(self._data)',
        'text = b"".join(self._data)',
        ("wire/test_sse.py",),
    ),
    Mutant(
        "NDJSON keeps its BOM",
        "wire/ndjson.py",
        "lines[0] = lines[0].removeprefix(_BOM)",
        "lines[0] = lines[0]",
        ("wire/test_ndjson.py",),
    ),
    Mutant(
        "a pure module imports the network",
        "wire/ndjson.py",
        "from __future__ import annotations\n",
        "from __future__ import annotations\n\nimport requests  # noqa: F401\n",
        ("test_architecture.py",),
    ),
    Mutant(
        "a slow package is imported at every start",
        "terminal/present.py",
        "import contextlib\n",
        "import contextlib\n\nimport rich  # noqa: F401\n",
        ("test_architecture.py",),
    ),
    Mutant(
        "OpenAI is not asked for its usage",
        "providers/openai_body.py",
        '{"include_usage": True}',
        '{"include_usage": False}',
        ("providers/test_openai_body.py",),
    ),
    Mutant(
        "the other name of max_tokens is never used",
        "providers/openai_body.py",
        '"max_completion_tokens" if refused else "max_tokens"',
        '"max_tokens"',
        ("providers/test_openai_body.py",),
    ),
    Mutant(
        "an option of the user lets the model call tools where it has to answer",
        "providers/openai_body.py",
        'body["tool_choice"] = "none"',
        'body.setdefault("tool_choice", "none")',
        ("providers/test_openai_body.py",),
    ),
    Mutant(
        "an id stands for two calls",
        "providers/rounds.py",
        "while chosen in self._used or not",
        "while not",
        ("providers/test_rounds.py",),
    ),
    Mutant(
        "the result that is missing looks like a success",
        "providers/rounds.py",
        "ToolResult(part.id, part.name, NO_RESULT, True)",
        "ToolResult(part.id, part.name, NO_RESULT, False)",
        ("providers/test_rounds.py",),
    ),
    Mutant(
        "the search of a server is forgotten",
        "providers/anthropic.py",
        "        self._kept.start(index, block)\n",
        "",
        ("providers/test_anthropic.py",),
    ),
    Mutant(
        "Gemini's own calls are marked as another's",
        "providers/openai_messages.py",
        'if not is_old and not any("extra_content" in call for call in calls):',
        "if not is_old:",
        ("providers/test_openai_messages.py",),
    ),
    Mutant(
        "Ollama may cut off the beginning in silence",
        "providers/ollama.py",
        'body.setdefault("truncate", False)',
        "pass",
        ("providers/test_ollama.py",),
    ),
    Mutant(
        "llama.cpp's milliseconds are taken for seconds",
        "providers/openai.py",
        "is None else value / 1000",
        "is None else value",
        ("providers/test_llamacpp.py", "providers/test_openai.py"),
    ),
    Mutant(
        "Ollama's nanoseconds are taken for microseconds",
        "providers/ollama.py",
        "count / 1e9",
        "count / 1e6",
        ("providers/test_ollama.py",),
    ),
    Mutant(
        "Ollama gets the limit of tokens under OpenAI's name",
        "providers/ollama.py",
        'options["num_predict"]',
        'options["max_tokens"]',
        ("providers/test_ollama.py", "providers/test_base.py"),
    ),
    Mutant(
        "tokens written to Anthropic's cache count as read from it",
        "providers/anthropic.py",
        '"cache_read_input_tokens"',
        '"cache_creation_input_tokens"',
        ("providers/test_anthropic.py", "test_recordings.py"),
    ),
    Mutant(
        "tools that Anthropic runs itself are ours to run",
        "providers/anthropic.py",
        'if kind == "tool_use":  # server_tool_use',
        'if kind in ("tool_use", "server_tool_use"):  # server_tool_use',
        ("providers/test_anthropic.py", "test_recordings.py"),
    ),
    Mutant(
        "Claude 4.5 does not continue",
        "providers/anthropic.py",
        "> (4, 5)",
        ">= (4, 5)",
        ("providers/test_anthropic.py", "providers/test_continuing.py"),
    ),
    Mutant(
        "the name of a call is appended each time it comes",
        "providers/toolcalls.py",
        "call.name = call.name or name",
        "call.name += name",
        ("providers/test_toolcalls.py",),
    ),
    Mutant(
        "a wait of 0 ms hides the seconds beside it",
        "providers/waits.py",
        "return seconds if math.isfinite(seconds) and seconds > 0 else None",
        "return seconds if math.isfinite(seconds) else None",
        ("providers/test_waits.py",),
    ),
    Mutant(
        "a request that timed out is a bad one",
        "providers/failures.py",
        "    408: ServerError,\n",
        "",
        ("providers/test_failures.py",),
    ),
    Mutant(
        "a server may ask for any wait",
        "recovery/policy.py",
        "and (error.retry_after is None or error.retry_after <= MAX_WAIT_SECONDS)",
        "",
        ("recovery/test_policy.py",),
    ),
    Mutant(
        "attempts that were spent still count as to come",
        "recovery/attempts.py",
        "return self.number + self._retries - self._spent",
        "return self.number + self._retries",
        ("recovery/test_attempts.py",),
    ),
    Mutant(
        "a server that does not run on this machine is asked again",
        "recovery/attempts.py",
        "if error.here or self._looked_again:",
        "if self._looked_again:",
        ("recovery/test_attempts.py",),
    ),
    Mutant(
        "a server that cannot stream is asked to stream again",
        "recovery/degrade.py",
        'stream = request.stream and "stream" not in known',
        "stream = request.stream",
        ("recovery/test_degrade.py",),
    ),
    Mutant(
        "a bad request goes on to the next model",
        "recovery/fallback.py",
        "if last or isinstance(error, _SHARED) or",
        "if last or",
        ("recovery/test_fallback.py",),
    ),
    Mutant(
        "the next model's answer is added to the broken one",
        "recovery/fallback.py",
        "insert(at, Metadata(restart=True))",
        "insert(at, Metadata())",
        ("recovery/test_fallback.py",),
    ),
    Mutant(
        "an answer that called tools is asked for again",
        "recovery/retry.py",
        'if plan.on_drop in {"stop", "fallback"} or (self._tools and not again):',
        'if plan.on_drop in {"stop", "fallback"}:',
        ("recovery/test_retry.py",),
    ),
    Mutant(
        "a refused policy is taken for a refused continuation",
        "recovery/retry.py",
        "isinstance(cause, BadRequest) and not isinstance(cause, _SHARED)",
        "isinstance(cause, BadRequest)",
        ("recovery/test_retry.py",),
    ),
    Mutant(
        "a text that repeats itself is taken for an overlap",
        "recovery/seam.py",
        "return 0 if goes_on else length",
        "return length",
        ("recovery/test_seam.py",),
    ),
    Mutant(
        "the time in which the process was stopped is silence",
        "recovery/watchdog.py",
        "since += max(0.0, t - seen - AWAY_SECONDS)",
        "since += 0.0",
        ("recovery/test_watchdog.py",),
    ),
    Mutant(
        "an arrival without a keep-alive forgets those before it",
        "recovery/watchdog.py",
        "alive = alive or arrival.alive",
        "alive = arrival.alive",
        ("recovery/test_watchdog.py",),
    ),
    Mutant(
        "an answer that ends at the limit on silence is no whole one",
        "recovery/watchdog.py",
        "                    if type(event) is Finish:\n                        break\n",
        "",
        ("recovery/test_watchdog.py",),
    ),
    Mutant(
        "an abandoned run leaves no end in its journal",
        "stages/journal.py",
        "                self._writer.write(rest)",
        "                pass",
        ("stages/test_journal.py",),
    ),
    Mutant(
        "after the journal's warning two events have one number",
        "stages/journal.py",
        "_move(held[place:])",
        "_move([])",
        ("stages/test_journal.py",),
    ),
    Mutant(
        "coalesced text is lost in a failure",
        "stages/coalesce.py",
        "        except Exception:\n            yield Arrival([*self._release()])\n",
        "        except Exception:\n",
        ("stages/test_coalesce.py",),
    ),
    Mutant(
        "time goes back",
        "stages/seal.py",
        "self._t = max(self._t, round(now - self._began, 6))",
        "self._t = round(now - self._began, 6)",
        ("stages/test_seal.py",),
    ),
    Mutant(
        "a restart keeps the usage of what it dropped",
        "transcript.py",
        "self._before, self._now = self._floor, None",
        "self._before = self._floor",
        ("stages/test_seal.py", "test_transcript.py"),
    ),
    Mutant(
        "the gap of dropped text tells only its last piece",
        "stages/buffer.py",
        "last.characters += characters",
        "last.characters = characters",
        ("stages/test_buffer.py",),
    ),
    Mutant(
        "joined arrivals forget that the first was connected",
        "readahead.py",
        "self.connected = self.connected or newer.connected",
        "self.connected = newer.connected",
        ("stages/test_buffer.py",),
    ),
    Mutant(
        "a source that is fast starves the others",
        "readahead.py",
        "turns.rotate(-1)",
        "pass",
        ("test_readahead.py",),
    ),
    Mutant(
        "a label is put on the events that other watchers see",
        "merge.py",
        "arrival.events = [replace(event, stream=label) for event in arrival.events]",
        "[setattr(event, 'stream', label) for event in arrival.events]",
        ("test_merge.py",),
    ),
    Mutant(
        "8-bit control characters reach the terminal",
        "escape.py",
        r"\x7f-\x9f\u034f",
        r"\x7f\u034f",
        ("test_hostile.py",),
    ),
    Mutant(
        "a CR and a LF in two pieces are two line ends",
        "escape.py",
        'if self._after_cr and text[0] == "\\n":',
        "if False:",
        ("test_hostile.py",),
    ),
    Mutant(
        "a part of a line is drawn as a line of its own",
        "sinks/live.py",
        "if self._joined and self._final:",
        "if False:",
        ("sinks/test_live.py", "test_screens.py"),
    ),
    Mutant(
        "calls of an answer that was cut at its token limit are run",
        "tools/loop.py",
        'if finish.reason != "tool_calls":',
        'if finish.reason != "tool_calls" and not self._called():',
        ("tools/test_loop.py",),
    ),
    Mutant(
        "the tools run while the connection to the model is still held",
        "tools/loop.py",
        "        finally:\n            close(arrivals)",
        "        finally:\n            pass",
        ("tools/test_loop.py",),
    ),
    Mutant(
        "an id that was used before is used again",
        "tools/loop.py",
        "while not chosen or chosen in self._used:",
        "while not chosen:",
        ("tools/test_loop.py",),
    ),
    Mutant(
        "the same call is only the same if it is written alike",
        "tools/loop.py",
        "canonical(pending.call.arguments)",
        "pending.call.arguments",
        ("tools/test_loop.py",),
    ),
    Mutant(
        "an allow rule is stronger than an ask rule",
        "tools/approval.py",
        '{"allow": 0, "ask": 1, "deny": 2}',
        '{"allow": 1, "ask": 0, "deny": 2}',
        ("tools/test_approval.py",),
    ),
    Mutant(
        "a command that is not simple gets past a rule that denies some",
        "tools/approval.py",
        'is_unclear = is_unclear or decision != "allow"',
        "is_unclear = False",
        ("tools/test_approval.py",),
    ),
    Mutant(
        "a path is allowed although its links lead elsewhere",
        "tools/rules.py",
        'all(fitting) if decision == "allow" else any(fitting)',
        "any(fitting)",
        ("tools/test_rules.py",),
    ),
    Mutant(
        "a variable in double quotes is a plain word",
        "tools/rules.py",
        r'"[^"$`\\!',
        r'"[^"`\\!',
        ("tools/test_rules.py",),
    ),
    Mutant(
        "a tool that is always allowed gets past rules about its arguments",
        "tools/deciding.py",
        "if name in self._always and not verdict.narrow:",
        "if name in self._always:",
        ("tools/test_deciding.py",),
    ),
    Mutant(
        "what is allowed now is an answer to calls that did not wait for one",
        "tools/deciding.py",
        "if ready.shown is not None and self._answers(",
        "if self._answers(",
        ("cli/test_ask_tools.py",),
    ),
    Mutant(
        "what is allowed now is an answer to what was never shown",
        "tools/deciding.py",
        "if settled is None or is_stale:",
        "if settled is None:",
        ("tools/test_deciding.py",),
    ),
    Mutant(
        "a round that needs an approval runs without those calls",
        "tools/runner.py",
        "            raise _needed(unanswered)\n",
        "            unanswered.clear()\n",
        ("tools/test_runner.py",),
    ),
    Mutant(
        "whatever says that it only reads is allowed",
        "tools/approval.py",
        'if tool.effect == "read" and tool.confined else',
        'if tool.effect == "read" else',
        ("tools/test_approval.py",),
    ),
    Mutant(
        "the journal keeps what is allowed",
        "engine/tooling.py",
        '*("tools", "ask", "deny", "on_ask"),',
        '*("tools", "allow", "ask", "deny", "on_ask"),',
        ("engine/test_tooling.py",),
    ),
    Mutant(
        "the built-in tools may read the configuration",
        "engine/tooling.py",
        "closed.append(file.path)",
        "pass",
        ("engine/test_tooling.py",),
    ),
    Mutant(
        "tools stay open where a run cannot begin",
        "engine/client.py",
        "question.tooling.close()",
        "pass",
        ("engine/test_client.py",),
    ),
    Mutant(
        "a restart voids the rounds that are settled",
        "stages/seal.py",
        "self._partial, self._tools, self._joined = settled, settled, False",
        "self._partial, self._tools, self._joined = False, False, False",
        ("stages/test_seal.py",),
    ),
    Mutant(
        "a response is taken for whole before a fate of its calls is there",
        "tools/settled.py",
        "    if now.fates:\n        rounds.append(now)",
        "    if now.fates or now.calls:\n        rounds.append(now)",
        ("tools/test_settled.py",),
    ),
    Mutant(
        "a round is settled when its first call has ended",
        "tools/settled.py",
        "return self._ended >= {it.id for it in self.message.tool_calls}",
        "return bool(self._ended)",
        ("tools/test_settled.py",),
    ),
    Mutant(
        "what was void before a round of tools comes back with it",
        "tools/settled.py",
        "        elif ev.voids(event):\n            now = _Round(now.who)\n",
        "",
        ("tools/test_settled.py",),
    ),
    Mutant(
        "what an interrupted tool had said is forgotten",
        "tools/settled.py",
        "isinstance(fate, ev.ToolOutput) and fate.id in ended",
        "isinstance(fate, ev.ToolOutput)",
        ("tools/test_settled.py",),
    ),
    Mutant(
        "text of a response that is asked for again is continued as well",
        "tools/settled.py",
        'text = "" if now.calls else now.message.content',
        "text = now.message.content",
        ("tools/test_settled.py",),
    ),
    Mutant(
        "a recorded result is given again for the same call",
        "tools/recorded.py",
        "recorded.popleft() if recorded",
        "recorded[0] if recorded",
        ("tools/test_recorded.py",),
    ),
    Mutant(
        "a run is continued as often as it is named",
        "engine/resume.py",
        "if named is not None and _has_tools(named):",
        "if named is None and _has_tools(record):",
        ("engine/test_resume_tools.py",),
    ),
    Mutant(
        "two processes continue a run at once",
        "engine/resume_tools.py",
        "if not lock.take(alone=True) or newest",
        "if newest",
        ("engine/test_resume_tools.py",),
    ),
    Mutant(
        "a run that was killed over its first lines has continued another",
        "store/reading.py",
        "return any(_MARK.search(line) for line in file)",
        "return any(True for line in file)",
        ("engine/test_resume_tools.py",),
    ),
    Mutant(
        "the start of a tool may be lost with the power",
        "store/journal.py",
        "_SYNC(self._file)",
        "pass",
        ("store/test_journal.py",),
    ),
    Mutant(
        "each batch of a journal is checked alone",
        "store/journal.py",
        "crc = zlib.crc32(lines, self._crc)",
        "crc = zlib.crc32(lines)",
        ("store/test_journal.py", "store/test_reading.py"),
    ),
    Mutant(
        "a journal that lacks events is whole",
        "store/reading.py",
        "if seq != self._next and (self._strict or 0 <= seq < self._next):",
        "if 0 <= seq < self._next:",
        ("store/test_reading.py",),
    ),
    Mutant(
        "a database of a newer version is written to",
        "store/database.py",
        "if not 0 <= found <= len(MIGRATIONS):",
        "if found < 0:",
        ("store/test_database.py",),
    ),
    Mutant(
        "a conversation is pruned by its oldest run",
        "store/history.py",
        "HAVING max(started_at) < ?",
        "HAVING min(started_at) < ?",
        ("store/test_history.py", "cli/test_history.py"),
    ),
    Mutant(
        "the extension of a chunk breaks its size",
        "transport/body.py",
        'int(line.partition(b";")[0], 16)',
        "int(line, 16)",
        ("transport/test_body.py",),
    ),
    Mutant(
        "a cut answer looks whole",
        "transport/connection.py",
        'raise Truncated("the connection was closed in the middle of the answer")',
        'return b""',
        ("transport/test_connection.py", "transport/test_exchange.py", "test_recordings.py"),
    ),
    Mutant(
        "an address that fails holds up the next",
        "transport/dial.py",
        "failures.append(error)\n                    due = clock()",
        "failures.append(error)",
        ("transport/test_dial.py",),
    ),
    Mutant(
        "a connection that the server has closed is used",
        "transport/ahead.py",
        "outcome.goal == goal and _is_open(outcome.sock)",
        "outcome.goal == goal",
        ("transport/test_ahead.py",),
    ),
    Mutant(
        "a connection that begins ahead goes to a server that is behind a proxy",
        "transport/ahead.py",
        "if proxy is not None:",
        "if False:",
        ("transport/test_ahead.py",),
    ),
    Mutant(
        "a POST follows a redirect that makes it a GET",
        "transport/exchange.py",
        "same_method = head.status in {307, 308} or call.body is None",
        "same_method = True",
        ("transport/test_exchange.py",),
    ),
    Mutant(
        "the last reason of a cancel wins",
        "cancel.py",
        "        if self.reason is None:\n            self.reason = reason",
        "        if True:\n            self.reason = reason",
        ("test_cancel.py",),
    ),
    Mutant(
        "a second hang-up ends the process at once",
        "terminal/interrupt.py",
        "if number != _HANG_UP:",
        "if True:",
        ("terminal/test_interrupt.py",),
    ),
    Mutant(
        "a question after -- is taken for --json",
        "terminal/exits.py",
        'own = arguments[: arguments.index("--")] if "--" in arguments else arguments',
        "own = arguments",
        ("cli/test_app.py", "terminal/test_exits.py"),
    ),
    Mutant(
        "a key is used for another provider than its own",
        "engine/resolve.py",
        "(foreign and name in FOR_ONE_PROVIDER)",
        "False",
        ("engine/test_resolve.py",),
    ),
    Mutant(
        "a copy that failed is a success",
        "terminal/present.py",
        "return status or (token.reason.exit_status if token.reason else 1)",
        "return status",
        ("cli/test_ask.py", "terminal/test_copying.py"),
    ),
    Mutant(
        "a tool starts before its start is written down",
        "tools/runner.py",
        ("                    yield Arrival([_start(ready)])\n"),
        (
            "                    running.start(self._execution(ready, running, token))\n"
            "                    yield Arrival([_start(ready)])\n"
        ),
        ("tools/test_runner.py",),
    ),
    Mutant(
        "tools that write run together",
        "tools/runner.py",
        'groupby(approved, lambda it: it.tool.effect == "read")',
        "groupby(approved, lambda it: True)",
        ("tools/test_runner.py",),
    ),
    Mutant(
        "where there is nobody to ask, a call is allowed",
        "tools/deciding.py",
        '_Settled("deny", "default", _nobody(',
        '_Settled("allow", "default", _nobody(',
        ("tools/test_deciding.py",),
    ),
    Mutant(
        "an approve that returns a coroutine has approved",
        "tools/deciding.py",
        "if isinstance(answer, bool):",
        "if answer:",
        ("tools/test_deciding.py",),
    ),
    Mutant(
        "calls of one response that share an id are one",
        "tools/loop.py",
        "        if is_whole:\n",
        "        if False:\n",
        ("tools/test_loop.py",),
    ),
    Mutant(
        "what was interrupted runs again by itself",
        "tools/runner.py",
        '            if self._interrupted == "tell" and not only_reads:',
        '            if self._interrupted == "tell" and only_reads:',
        ("tools/test_runner.py",),
    ),
    Mutant(
        "a cancelled run ends as if it were whole",
        "tools/runner.py",
        ("            running.end()\n        token.check()\n"),
        ("            running.end()\n"),
        ("tools/test_runner.py",),
    ),
    Mutant(
        "an open question outlives its run",
        "tools/deciding.py",
        ("            if control.question is not None:\n                control"),
        ("            if control.question is None:\n                control"),
        ("tools/test_deciding.py",),
    ),
    Mutant(
        "the end of a call is taken before its last output",
        "tools/execution.py",
        "shown = self._output.printed(self._printed.take(), now)\n",
        'shown = self._output.printed(self._printed.take(), now) if not over else ""\n',
        ("tools/test_execution.py",),
    ),
    Mutant(
        "what does not end is said to be stopped",
        "tools/execution.py",
        'words, "not_stopped", "unknown",',
        'words, "not_stopped", "stopped",',
        ("tools/test_execution.py",),
    ),
    Mutant(
        "an exception is raised in the thread of any tool",
        "tools/execution.py",
        "if self._interrupted or not self.tool.interruptible:",
        "if self._interrupted:",
        ("tools/test_execution.py",),
    ),
    Mutant(
        "an exception that comes late is nobody's",
        "tools/execution.py",
        "            if not self._beyond and self._thread",
        "            if self._thread",
        ("tools/test_execution.py",),
    ),
    Mutant(
        "who prints never waits",
        "tools/pipe.py",
        "                if unread + size <= UNREAD:",
        "                if unread + size <= UNREAD or True:",
        ("tools/test_pipe.py",),
    ),
    Mutant(
        "who waits for room does not see that it has to stop",
        "tools/pipe.py",
        ("            while True:\n                self._token.check()\n"),
        ("            self._token.check()\n            while True:\n"),
        ("tools/test_pipe.py",),
    ),
    Mutant(
        "the timeout stops every call",
        "tools/running.py",
        "execution.seconds >= self._timeout:",
        "self.executions[0].seconds >= self._timeout:",
        ("tools/test_running.py",),
    ),
    Mutant(
        "an x stops also what runs later",
        "tools/running.py",
        ("            self._stops = self._control.stops\n            why"),
        "            why",
        ("tools/test_running.py",),
    ),
    Mutant(
        "all of a long output goes to the model",
        "tools/output.py",
        ("        if self._size <= MODEL_BYTES:\n            return self._head.decode()\n"),
        ("        if True:\n            return self._head.decode()\n"),
        ("tools/test_output.py",),
    ),
    Mutant(
        "a file that ends at its limit is said to have all",
        "tools/output.py",
        "self._has_all and len(data) <= self._room",
        "self._has_all",
        ("tools/test_output.py",),
    ),
)


class Copy:
    """A copy of a project in which one mutant at a time lives."""

    def __init__(self, project: Path, folder: Path) -> None:
        self._root = folder / "project"
        ignored = shutil.ignore_patterns(".*", "__pycache__", "*.log")
        shutil.copytree(project, self._root, ignore=ignored)
        shared = project.parent / "shared"
        if shared.is_dir():
            (folder / "shared").symlink_to(shared.resolve())
        self._writes = 0

    def test(self, mutant: Mutant) -> Verdict:
        """What the tests make of it."""
        with self._mutated(mutant) as is_mutated:
            if not is_mutated:
                return "stale"
            status = self.pytest(mutant.tests)
        verdicts: dict[int, Verdict] = {0: "survived", 1: "killed"}
        return verdicts.get(status, "broken")

    def pytest(self, tests: Sequence[str]) -> int:
        """The exit status of these test files; 1 as well if they do not end."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        files = [f"tests/{test}" for test in tests]
        environ = {**os.environ, "PYTHONPATH": str(self._root)}
        try:
            done = subprocess.run(
                [*command, *files],
                cwd=self._root,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 1
        return done.returncode

    @contextmanager
    def _mutated(self, mutant: Mutant) -> Iterator[bool]:
        path = self._root / "chatstream" / mutant.file
        text = path.read_text("utf-8") if path.exists() else ""
        if text.count(mutant.old) != 1:
            yield False
            return
        self._write(path, text.replace(mutant.old, mutant.new))
        try:
            yield True
        finally:
            self._write(path, text)

    def _write(self, path: Path, text: str) -> None:
        """Write it with a time of its own: bytecode is made anew only where the time differs."""
        path.write_text(text, "utf-8")
        self._writes += 1
        time = path.stat().st_mtime + 10 * self._writes
        os.utime(path, (time, time))


def main(argv: Sequence[str] | None = None) -> int:
    """Test all mutants, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.mutants")
    parser.add_argument("--project", type=Path, default=HERE, help="the checkout to test")
    parser.add_argument("names", nargs="*", help="a part of a name; all mutants without any")
    given = parser.parse_args(argv)
    chosen = [it for it in MUTANTS if not given.names or any(n in it.name for n in given.names)]
    killed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(given.project.resolve(), Path(folder))
        needed = sorted({test for mutant in chosen for test in mutant.tests})
        if copy.pytest(needed) != 0:
            print("these tests fail without any mutant:", *needed)
            return 2
        for mutant in chosen:
            verdict = copy.test(mutant)
            killed += verdict == "killed"
            print(f"{verdict:8}  {mutant.file}: {mutant.name}", flush=True)
    print(f"{killed} of {len(chosen)} killed")
    return 0 if killed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
