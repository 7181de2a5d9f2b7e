"""What the process of a tools file and the one that started it say to each other.

1. A message is a line of JSON, `["Name", …]`. Orders go to the standard input of the process,
   reports come from its standard output. What the tools print is no part of it: both are moved away
   from where functions and programs find them.
2. The first report is `Ready` or `Unusable`. Then each `Check` is answered with `Checked`, and each
   `Call` with any number of `Output`, `Advanced`, `Planned` and `NextStage`, and with `Ended`.
3. A call has a number of its own, for an id of a call may come again. The number 0 stands for what
   belongs to no call.
4. At most `WINDOW` characters of a call are under way: its tool waits until some of them are taken,
   which `Taken` says. So a flood of output fills the memory of neither side. One report has at most
   `BATCH` characters of it.
5. The end of the standard input is the end of the process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chatstream.events import Effect
from chatstream.messages import ToolDefinition

WINDOW = 256 * 1024
BATCH = 64 * 1024


class _Message(msgspec.Struct, tag=True, array_like=True, frozen=True, gc=False):
    number: int


class Check(_Message, frozen=True):
    """Do these arguments fit?"""

    name: str
    arguments: dict[str, Any]


class Call(_Message, frozen=True):
    """Run this."""

    name: str
    arguments: dict[str, Any]
    call_id: str


class Taken(_Message, frozen=True):
    """So many characters of the output of this call are taken."""

    characters: int


class Stop(_Message, frozen=True):
    """This call is to end."""


class Interrupt(_Message, frozen=True):
    """This call has not ended: raise something in it."""


Order = Check | Call | Taken | Stop | Interrupt


class Defined(msgspec.Struct, frozen=True):
    """A tool of the file."""

    definition: ToolDefinition
    effect: Effect


class Ready(_Message, frozen=True):
    """The file is loaded."""

    tools: tuple[Defined, ...]


class Unusable(_Message, frozen=True):
    """The file cannot be used. `trace` is for those who look for the mistake."""

    why: str
    hint: str | None
    trace: str


class Checked(_Message, frozen=True):
    """The answer to `Check`: None, or what does not fit."""

    error: str | None


class Output(_Message, frozen=True):
    """What a call prints; of the number 0, what no call has printed."""

    text: str

    @property
    def size(self) -> int:
        """Its share of the window."""
        return len(self.text)


class _Small(_Message, frozen=True):
    @property
    def size(self) -> int:
        """Its share of the window: not nothing, or a tool could send these without end."""
        return 256


class Advanced(_Small, frozen=True):
    """`Context.progress`."""

    done: float
    total: float | None
    message: str | None


class Planned(_Small, frozen=True):
    """`Context.stages`."""

    stages: tuple[tuple[str, float], ...]


class NextStage(_Small, frozen=True):
    """`Context.next_stage`."""


class Ended(_Message, frozen=True):
    """A call has ended: with a value, which may be nothing, or with an `error` of this `code`.

    `exit_status` is that of a `Returned`, whose text is the value.
    """

    value: Any = None
    exit_status: int | None = None
    error: str | None = None
    code: str = "raised"


Said = Output | Advanced | Planned | NextStage
"""What a call says while it runs."""

Report = Ready | Unusable | Checked | Said | Ended

encode = msgspec.json.Encoder().encode
decode_order: Callable[[bytes], Order] = msgspec.json.Decoder(Order).decode
decode_report: Callable[[bytes], Report] = msgspec.json.Decoder(Report).decode
