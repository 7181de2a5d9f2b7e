"""The models of a server, remembered, so that completion has them at once.

1. `known` waits `PATIENCE_SECONDS` for the server, whatever it does: a process of its own asks it,
   and that process ends after `MAX_WAIT_SECONDS` by an alarm. A server that is slower than
   patience is known the next time.
2. What is remembered is used as it is for `FRESH_SECONDS`, and later where nothing better
   came.
3. Nothing is run to get a key: `key_command` may ask for a passphrase.
4. Nothing is raised and nothing printed. What cannot be read or written is not remembered.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from chatstream.clock import Deadline
from chatstream.engine.services import provider_name
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError
from chatstream.files import make_private, replace
from chatstream.providers import PROVIDERS
from chatstream.store.place import state_folder

FRESH_SECONDS = 60.0
"""A model that was pulled meanwhile should be offered soon."""

PATIENCE_SECONDS = 0.2
"""Seconds that a person waits for a completion."""

MAX_WAIT_SECONDS = 5

_POLL_SECONDS = 0.005


def remember(settings: Settings, names: list[str]) -> None:
    """Keep the names of the models of the server that these settings ask."""
    with contextlib.suppress(OSError, ChatstreamError):  # no home, for one
        file = _file(settings)
        make_private(file.parent)
        replace(file, msgspec.json.encode(names), sync=False)


def known(settings: Settings) -> list[str]:
    """The models of the server that these settings ask, as far as they are known by now."""
    try:
        file = _file(settings)
        if not _is_fresh(file) and not settings.key_command and hasattr(os, "fork"):
            _ask_aside(settings)
        return msgspec.json.decode(file.read_bytes(), type=list[str])
    except (OSError, ChatstreamError, ValueError):
        return []


def _file(settings: Settings, environ: Mapping[str, str] = os.environ) -> Path:
    """A file for each place that may be asked; its name tells nothing of the address."""
    name = provider_name(settings)
    rows = [PROVIDERS[name]] if name in PROVIDERS else list(PROVIDERS.values())
    addresses = [settings.base_url or environ.get(row.url_variable or "") for row in rows]
    digest = sha256(repr((name, addresses)).encode("utf-8", "replace")).hexdigest()
    return state_folder(environ) / "models" / f"{digest[:16]}.json"


def _is_fresh(file: Path) -> bool:
    try:
        return abs(time.time() - file.stat().st_mtime) < FRESH_SECONDS
    except OSError:
        return False


def _ask_aside(settings: Settings) -> None:
    """Let another process ask and remember; returns when it has, or patience is at its end."""
    row = PROVIDERS.get(provider_name(settings) or "")
    is_built_in = row is not None and not row.base_url  # the demo: it always answers
    deadline = Deadline(MAX_WAIT_SECONDS if is_built_in else PATIENCE_SECONDS)
    child = os.fork()
    if child == 0:
        try:
            _ask(settings)
        finally:
            os._exit(0)  # nothing of the parent's is flushed or cleaned up twice
    while not deadline.passed:
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(_POLL_SECONDS)


def _ask(settings: Settings) -> None:
    import signal

    from chatstream.cancel import CancelToken
    from chatstream.engine.services import awaited, model_names

    os.setsid()  # Ctrl+C is not meant for it
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # the shell reads standard output until everybody has closed it
        os.dup2(nowhere, descriptor)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(MAX_WAIT_SECONDS)
    with contextlib.suppress(ChatstreamError):
        remember(settings, awaited(model_names(settings, CancelToken())))
