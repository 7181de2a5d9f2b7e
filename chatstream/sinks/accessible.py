"""The answer for a screen reader: whole sentences, one after the other, nothing ever redrawn.

1. On a terminal text and sentences of our own share `output`, in their order. Elsewhere `output`
   gets the content's own bytes, each read at once, and `notes` gets the sentences.
2. Text is handed out by sentence or line, so that a voice reads no half words: a sentence ends with
   its mark and white space (after a CJK mark none is needed). What is held goes out when no text
   came for `PAUSE_SECONDS`, when it grows past `MAX_HELD_CHARACTERS`, and before any sentence of
   ours.
3. Markdown is left as it is; only the fences of code are said: "Code, python:", "End of code."
4. While nothing is heard for `SILENCE_SECONDS`, one sentence tells that the work goes on. No
   spinner, no cursor movement, no colour, no thread: time passes in `write`.
5. Of tools it tells what starts and how it ended. A question is asked by somebody else
   (`terminal.asking`), after all that came before it.
6. Remote text passes `escape` wherever a person reads it.
"""

from __future__ import annotations

import re
from math import ceil
from typing import TYPE_CHECKING

from chatstream import events as ev
from chatstream.clock import Clock, monotonic
from chatstream.escape import Escaper, clean
from chatstream.fences import Fences, info_of, may_begin
from chatstream.flow import Arrival
from chatstream.sinks.output import Output, Writer
from chatstream.sinks.sources import Sources
from chatstream.sinks.words import ending, note, one_line
from chatstream.wording import counted

if TYPE_CHECKING:
    from chatstream.sinks.calls import Unrun

PAUSE_SECONDS = 2.0
"""Seconds without text after which half a sentence is handed out."""
SILENCE_SECONDS = 30.0
"""Seconds without a sound, at least, from one "still working" to the next."""
MAX_HELD_CHARACTERS = 500
"""Characters without the end of a sentence."""

_CONNECTED = "Connected, waiting for the first token."
_THINKING = "The model is thinking."
_STARTS_OVER = "The answer starts over."
_END_OF_CODE = "End of code."


class AccessibleSink:
    """Tells one run. `reasoning`: the model's thinking is told too. `stats`: figures at the end."""

    def __init__(
        self,
        output: Output,
        notes: Writer,
        *,
        terminal: bool,
        reasoning: bool,
        stats: bool,
        clock: Clock = monotonic,
    ) -> None:
        self._output = output
        self._voice = _Voice(output if terminal else notes)
        self._terminal = terminal
        self._reasoning = reasoning
        self._stats = stats
        self._clock = clock
        self._ready: list[str] = []  # of the content, not yet handed out
        self._answer = Sentences()
        self._thoughts = Sentences()
        self._thinking: float | None = None  # since when
        self._begun = False  # this answer has text
        self._sources = Sources()
        self._unrun: Unrun | None = None  # once there are calls
        self._tools: dict[str, str] = {}  # what each running tool has put out, its end
        self._doing: str | None = None
        self._came = clock()  # when there was text, or something to tell of
        self._said = clock()  # when the voice was heard

    def write(self, arrival: Arrival) -> None:
        """Hand out what is ready; after a pause also what is not."""
        for event in arrival.events:
            if self._unrun is not None:
                for call in self._unrun.note(event):
                    arguments = one_line(call.arguments)
                    self._say(f"the model calls the tool {call.name} with {arguments}")
            self._take(event)
        self._hand_out()
        now = self._clock()
        if now - self._came >= PAUSE_SECONDS:
            self._hand_out_halves()
        if now - self._said >= SILENCE_SECONDS:
            doing = f": {self._doing}" if self._doing else ""
            self._voice.line(sentence(f"still working, {seconds(now - self._came)}{doing}"))
            self._said = now

    def _take(self, event: ev.Event) -> None:
        match event:
            case ev.Content(delta=delta):
                self._end_thought()
                self._begun = True
                self._ready.append(self._answer.feed(delta) if self._terminal else delta)
                self._came = self._said = self._clock()
            case ev.Reasoning(delta=delta):
                if self._thinking is None:
                    self._say(_THINKING)
                    self._thinking = self._clock()
                if self._reasoning:
                    self._voice.text(self._thoughts.feed(delta))
                    self._came = self._said = self._clock()
            case ev.ToolProgress():
                known = event.progress is not None
                self._doing = f"{event.name}, {event.progress:.0f} percent" if known else event.name
                if event.message == "stopping":
                    self._say(f"the tool {event.name} is being stopped")
            case ev.Progress(percentage=percentage):
                known = percentage is not None
                self._doing = f"{event.stage}, {percentage:.0f} percent" if known else event.stage
            case ev.ToolOutput():
                self._tools[event.id] = (self._tools.get(event.id, "") + event.delta)[
                    -MAX_HELD_CHARACTERS:
                ]
            case ev.Analysis(final=True):
                self._end_thought()
                self._end_answer()
                self._tell_analysis(event)
            case ev.Done() | ev.Error():
                self._end_thought()
                self._end_answer()
                for line in self._sources.lines():
                    self._voice.line(line)
                for line in _ending(event, stats=self._stats):
                    self._voice.line(line)
                self._said = self._clock()  # nothing works any more
            case _:
                self._other(event)

    def close(self) -> None:
        """Hand out everything. Idempotent."""
        self._end_thought()
        self._end_answer()

    def _hand_out(self) -> None:
        if not self._ready:
            return
        text = "".join(self._ready)
        self._ready.clear()  # before the write: what a broken pipe refused is not tried again
        if self._terminal:
            self._voice.text(text)
        else:
            self._output.write(text.encode("utf-8", "replace"))

    def _hand_out_halves(self) -> None:
        self._voice.text(self._answer.rest())
        self._voice.text(self._thoughts.rest())

    def _other(self, event: ev.Event) -> None:
        self._sources.note(event)
        if ev.voids(event):
            self._start_over()
        match event:
            case ev.Metadata(version=None, replayed=False):  # the head of a response
                self._say(_CONNECTED)
            case ev.Retry():
                self._end_thought()
                doing = "continuing" if event.emitted_chars else "trying again"
                self._say(f"{doing} in {seconds(ceil(event.delay))}: {event.cause}")
            case ev.Fallback():
                self._say(f"{event.source} failed: {event.cause}")
                self._say(f"asking {event.target}")
            case ev.Context() if (said := note(event)) is not None:
                self._say(said)
            case ev.Warn():
                self._say(f"warning: {event.message}")
            case ev.ToolCall():
                self._end_thought()
                self._note_call(event)
            case ev.Image():
                self._end_thought()
                self._say("the answer contains an image")
            case ev.Approval() | ev.ToolStart() | ev.ToolComplete() | ev.ToolError():
                self._end_thought()
                self._tell_fate(event)

    def _tell_analysis(self, analysis: ev.Analysis) -> None:
        from chatstream.sinks.analyses import analysis_lines

        for line in analysis_lines(analysis.figures):
            self._voice.line(sentence(line))

    def _note_call(self, call: ev.ToolCall) -> None:
        """Nothing is said of it before its fate is known."""
        if self._unrun is None:
            from chatstream.sinks.calls import Unrun

            self._unrun = Unrun()
            self._unrun.note(call)

    def _tell_fate(
        self, event: ev.Approval | ev.ToolStart | ev.ToolComplete | ev.ToolError
    ) -> None:
        from chatstream.sinks.calls import told

        if (words := told(event, seconds)) is not None:
            self._say(words)
        elif isinstance(event, ev.Approval) and event.is_question:
            self._end_answer()  # the question begins a line of its own
        elif isinstance(event, ev.Approval) and event.by == "nobody" and not event.replayed:
            from chatstream.sinks.questions import question_lines

            self._end_answer()
            for line in question_lines(event):
                self._voice.line(line.text)
        match event:
            case ev.Approval():
                waits = event.is_question
                self._doing = "a question waits for your answer" if waits else None
            case ev.ToolStart(replayed=False):
                self._doing = event.name
            case ev.ToolComplete() | ev.ToolError():
                self._end_tool(event.id)

    def _say(self, words: str) -> None:
        """A sentence of our own; all that came before it is handed out."""
        self._hand_out()
        self._hand_out_halves()
        self._voice.line(sentence(words))
        self._came = self._said = self._clock()

    def _end_thought(self) -> None:
        since, self._thinking = self._thinking, None
        if since is not None:
            self._finish(self._thoughts)
            self._thoughts = Sentences()
            self._voice.line(sentence(f"thought for {seconds(self._clock() - since)}"))

    def _end_answer(self) -> None:
        self._hand_out()
        self._finish(self._answer)
        self._answer = Sentences()

    def _finish(self, text: Sentences) -> None:
        self._voice.text(text.finish())
        if text.in_code:
            self._voice.line(_END_OF_CODE)
        self._voice.end_line()

    def _start_over(self) -> None:
        if self._begun:
            self._end_thought()
            self._end_answer()
            self._say(_STARTS_OVER)
        self._begun = False

    def _end_tool(self, tool: str) -> None:
        self._doing = None
        last = clean(self._tools.pop(tool, "")).rstrip().rpartition("\n")[2]
        if last:
            self._voice.line(f"Its last line: {one_line(last)}")


class _Voice:
    """Text and whole lines on one output."""

    def __init__(self, output: Writer) -> None:
        self._output = output
        self._open = False  # the last line has no end yet

    def text(self, text: str) -> None:
        if text:
            self._open = not text.endswith("\n")
            self._output.write(text.encode("utf-8", "replace"))

    def end_line(self) -> None:
        if self._open:
            self.text("\n")

    def line(self, line: str) -> None:
        self.end_line()
        self.text(line + "\n")


# Brackets, quotes and emphasis may close after the mark.
_CLOSERS = r"""[)\]}"'\u201d\u2019\u00bb\u300d\u300f\uff09*_`]*"""
_SENTENCE = re.compile(
    rf"[.!?:\u2026]{_CLOSERS}\s+|[\u3002\uff01\uff1f\uff1a\uff0e\uff61]{_CLOSERS}\s*"
)
_NUMBER = re.compile(r"[ \t>]*\d+\.\s+")  # of a list item


class Sentences:
    """Remote text, cleaned, cut into what a voice can say: sentences, lines, lines of code."""

    def __init__(self) -> None:
        self._escaper = Escaper()
        self._held = ""
        self._middle = False  # the beginning of the line that is held has been handed out
        self._fences = Fences()

    @property
    def in_code(self) -> bool:
        """Whether code has begun and not ended."""
        return self._fences.open is not None

    def feed(self, text: str) -> str:
        """The next piece; returns what can be said now."""
        *lines, self._held = (self._held + self._escaper.feed(text)).split("\n")
        said = [self._line(line) for line in lines]
        if len(self._held) > MAX_HELD_CHARACTERS:
            space = self._held.rfind(" ") + 1
            said.append(self._cut(space or len(self._held)))
        elif not self.in_code and (self._middle or not may_begin(self._held)):
            marker = None if self._middle else _NUMBER.match(self._held)
            end = 0
            for match in _SENTENCE.finditer(self._held, marker.end() if marker else 0):
                end = match.end()
            said.append(self._cut(end))
        return "".join(said)

    def rest(self) -> str:
        """What is held, but for what may become a fence."""
        if not self._middle and may_begin(self._held):
            return ""
        return self._cut(len(self._held))

    def finish(self) -> str:
        """All that is held: nothing more comes."""
        last, self._held = self._held, ""
        return self._line(last) if last else ""

    def _cut(self, at: int) -> str:
        said, self._held = self._held[:at], self._held[at:]
        if said and not self._middle:
            self._middle = True
            line = said + self._held
            if not may_begin(line):  # what it means for the code is known before its end
                said = self._judge(line)[1] + said
        return said

    def _line(self, line: str) -> str:
        """A line that is whole: itself, or what its fence means."""
        middle, self._middle = self._middle, False
        if middle:
            return line + "\n"
        is_fence, ended = self._judge(line)
        if not is_fence:
            return f"{ended}{line}\n"
        if self._fences.open is None:
            return ended
        language = info_of(self._fences.open.info).language
        return ended + (f"Code, {language}:\n" if language else "Code:\n")

    def _judge(self, line: str) -> tuple[bool, str]:
        """Whether the line is a fence, and the words for the code that ends with it or before."""
        was_in_code = self.in_code
        is_fence = self._fences.line(line)
        has_ended = was_in_code and (is_fence or not self.in_code)
        return is_fence, f"{_END_OF_CODE}\n" if has_ended else ""


def sentence(words: str) -> str:
    """These words as one sentence on one line, cleaned."""
    words = " ".join(clean(words).split())
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def seconds(number: float) -> str:
    """A duration in words."""
    whole = round(number)
    if whole == 0:
        return "less than a second"
    return counted(whole, "second")


def _ending(event: ev.Terminal, *, stats: bool) -> list[str]:
    """The sentences that close a run."""
    if isinstance(event, ev.Error):
        lines = [sentence(ending(event, stats=False)[0])]
        if event.hint:
            lines.append(sentence(event.hint))
        if event.resume:  # to be copied: nothing after it
            lines.append(f"To continue it, run: {clean(event.resume)}")
        return lines
    tokens = event.usage.output_tokens if event.usage else None
    about, number = ("", tokens) if tokens is not None else ("about ", event.stats.chunks)
    count = about + counted(number, "token")
    figures = sentence(f"{count} in {seconds(event.stats.duration)}")
    done = f"Done. {figures}" if stats else "Done."
    return [*map(sentence, ending(event, stats=False)), done]
