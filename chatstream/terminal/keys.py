"""The questions and the output of `chatstream keys`. Keys are never shown, and never arguments.

1. On a terminal a key is asked for without echo. Otherwise it is all of standard input.
2. However the question ends, by an answer or a signal, the terminal echoes again.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence

from chatstream.cancel import CancelToken
from chatstream.engine import stored_keys
from chatstream.errors import UsageError
from chatstream.redact import redact
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts

_MOST_CHARACTERS = 64 * 1024


def set_key(name: str, more: Sequence[str] = ()) -> int:
    """Store the key of a provider; returns the exit status. Raises a `ChatstreamError`.

    `more` are further arguments, which are refused: they are a key, given in the open.
    """
    if more:
        for text in more:
            redact.learn(text)
        raise UsageError(
            "a key cannot be an argument: the list of processes and the shell's history would show "
            "it",
            hint=f"`chatstream keys set {name}` asks for it, or reads it from a pipe",
        )
    stored_keys.check_name(name)
    where = stored_keys.store(name, _given(name))
    exits.note(f"the key of {name} is stored in {where}")
    return 0


def list_keys() -> int:
    """Print the providers that have a stored key. Raises a `ChatstreamError`."""
    for name in stored_keys.names():
        print(name)
    return 0


def remove_key(name: str) -> int:
    """Remove the key of a provider. Raises a `ChatstreamError`."""
    stored_keys.remove(name)
    exits.note(f"the key of {name} was removed")
    return 0


def _given(name: str) -> str:
    """The key that the user gives. Raises `UsageError`."""
    if sys.stdin is None:
        raise UsageError("no key was given: standard input is closed")
    if not sys.stdin.isatty():
        data = sys.stdin.buffer.read(_MOST_CHARACTERS + 1)
        if len(data) > _MOST_CHARACTERS:
            raise UsageError("standard input is longer than any key")
        return data.decode("utf-8", "replace")
    return _asked(f"API key of {name} (it is not shown): ")


def _asked(question: str) -> str:
    """The line that is typed, without echo. Raises `UsageError` without an answer, `Cancelled`."""
    from getpass import getpass

    token, restore = CancelToken(), _mode_of_terminal()
    with interrupts(token, restore):
        try:
            return token.wait_for(lambda: getpass(question))
        except EOFError as error:
            raise UsageError("no key was given") from error
        finally:
            restore()  # the waiting thread is left behind
            if token.cancelled:
                print(file=sys.stderr)


def _mode_of_terminal() -> Callable[[], None]:
    """A function that puts the terminal back as it is now."""
    if sys.platform == "win32":
        return lambda: None
    import termios

    mode = termios.tcgetattr(0)

    def restore() -> None:
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(0, termios.TCSANOW, mode)

    return restore
