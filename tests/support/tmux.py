"""A real terminal: a pane of a tmux server of its own.

with require(tmux(80, 24)) as pane:
    pane.run(["chatstream", ...]); pane.until(lambda: "done" in pane.text()); pane.resize(40, 24)

Lines that the terminal wrapped are one line of `lines()`. The pane stays when its program ends.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.real import install

LIMIT = 30.0  # seconds that anything here takes at most
_SETTINGS = """
set -g history-limit 100000
set -g remain-on-exit on
set -g remain-on-exit-format ""
set -g status off
set -g default-terminal tmux-256color
"""

PRESSES, PRESS_SECONDS = 12, 1.5  # how often a key is pressed, and how long each time is waited


class Pane:
    """The only pane of a server; `columns` by `lines` cells."""

    def __init__(self, tmux: Sequence[str], folder: Path, columns: int, lines: int) -> None:
        self._server = [*tmux, "-S", str(folder / "socket"), "-f", str(folder / "settings")]
        self._settings = folder / "settings"
        self.settings = _SETTINGS
        self._status = folder / "status"
        self._size = ["-x", str(columns), "-y", str(lines)]

    def run(self, command: Sequence[str], **environ: str) -> None:
        """Start a command in the pane, with the `settings` as they are now."""
        self._settings.write_text(self.settings)
        variables = [f"{name}={value}" for name, value in environ.items()]
        line = shlex.join(["env", *variables, *command])
        status = shlex.quote(str(self._status))
        # Not tmux's own word for the status: it comes late, and now and then never.
        self._tmux("new-session", "-d", *self._size, f"trap : INT; {line}; echo $? >{status}")

    def send(self, keys: str) -> None:
        """Press a key, by tmux's name for it."""
        self._tmux("send-keys", keys)

    def type(self, text: str) -> None:
        """Type these characters."""
        self._tmux("send-keys", "-l", "--", text)

    def paste(self, text: str) -> None:
        """Paste it as a terminal does: bracketed where the program has asked for that."""
        path = self._settings.with_name("pasted")
        path.write_text(text)
        self._tmux("load-buffer", str(path))
        self._tmux("paste-buffer", "-p", "-r")

    def type_at_once(self, text: str) -> None:
        """Type all of this in one piece, control characters too."""
        path = self._settings.with_name("typed")
        path.write_text(text, newline="")
        self._tmux("load-buffer", str(path))
        self._tmux("paste-buffer", "-r")

    def signal(self, name: str, times: int = 1) -> None:
        """Send a signal to the command, by its name without SIG; the first may already end it."""
        shell = self._asked("pane_pid")
        for number in range(times):
            command = ["pkill", f"-{name}", "-P", shell]
            subprocess.run(command, check=number == 0, timeout=LIMIT)

    def resize(self, columns: int, lines: int) -> None:
        """Another size of the window. tmux tells the program a moment after its screen has it."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))
        with self._terminal() as terminal:
            self.until(lambda: os.get_terminal_size(terminal) == (columns, lines))

    def lines(self) -> list[str]:
        """Scrollback and screen, with what the terminal wrapped in one line; no blanks at ends."""
        captured = self._tmux("capture-pane", "-p", "-J", "-S", "-").split("\n")
        lines = [line.rstrip() for line in captured]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def text(self) -> str:
        """`lines` as one text."""
        return "\n".join(self.lines())

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + LIMIT
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"never came true; the pane:\n{self.text()}")
            time.sleep(0.02)

    def until_shown(self, words: str, times: int = 1) -> None:
        """Wait until these words are in the pane, in whichever rows, at least so many times."""
        self.until(lambda: self._shows(words, times))

    def press(self, key: str, words: str, times: int = 1) -> None:
        """Press a key that counts only after a moment without keys, until these words are there."""
        self.press_until(key, lambda: self._shows(words, times))

    def press_until(self, key: str, holds: Callable[[], bool]) -> None:
        """Press a key that counts only at a moment which the pane does not show, until `holds`."""
        for _ in range(PRESSES):
            self.send(key)
            deadline = time.monotonic() + PRESS_SECONDS
            while time.monotonic() < deadline:
                if holds():
                    return
                time.sleep(0.02)
        raise AssertionError(f"{key} was never heard; the pane:\n{self.text()}")

    def _shows(self, words: str, times: int) -> bool:
        return " ".join(self.text().split()).count(" ".join(words.split())) >= times

    @property
    def ended(self) -> bool:
        """Whether the command has ended, and all that it wrote is in the pane."""
        return self._asked("pane_dead") == "1"

    @property
    def status(self) -> int:
        """Its exit status, when it has ended."""
        return int(self._status.read_text())

    @property
    def cursor(self) -> tuple[int, int]:
        """The cell and the row of the cursor on the screen."""
        return int(self._asked("cursor_x")), int(self._asked("cursor_y"))

    @property
    def cursor_hidden(self) -> bool:
        """Whether the cursor is not to be seen."""
        return self._asked("cursor_flag") == "0"

    def until_raw(self) -> None:
        """Wait until every key is for the program alone: Enter is Enter, and Ctrl+C no signal."""

        def is_raw() -> bool:
            mode = termios.tcgetattr(terminal)
            return not (mode[0] & termios.ICRNL or mode[3] & termios.ISIG)

        with self._terminal() as terminal:
            self.until(is_raw)

    def close(self) -> None:
        """End the server and what runs in it."""
        subprocess.run([*self._server, "kill-server"], capture_output=True, timeout=LIMIT)

    @contextmanager
    def _terminal(self) -> Iterator[int]:
        terminal = os.open(self._asked("pane_tty"), os.O_RDWR | os.O_NOCTTY)
        try:
            yield terminal
        finally:
            os.close(terminal)

    def _asked(self, variable: str) -> str:
        return self._tmux("display-message", "-p", f"#{{{variable}}}").strip()

    def _tmux(self, *arguments: str) -> str:
        environment = {name: it for name, it in os.environ.items() if name != "TMUX"}
        done = subprocess.run(
            [*self._server, "-u", *arguments],
            env={**environment, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=LIMIT,
        )
        if done.returncode:
            raise AssertionError(f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout


@contextmanager
def tmux(columns: int, lines: int) -> Iterator[Pane]:
    """A pane of this size in which nothing runs yet. Raises `Unavailable`."""
    command = install.tmux()
    with tempfile.TemporaryDirectory() as folder:
        pane = Pane(command, Path(folder), columns, lines)
        try:
            yield pane
        finally:
            pane.close()
