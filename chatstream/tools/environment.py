"""The environment of programs that we start: some of our variables, by their names, and no key."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

ALLOWED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR", "VIRTUAL_ENV"),
        *("LANG", "LANGUAGE", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY"),
        *("LC_NUMERIC", "LC_TIME", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    }
)
"""The variables that programs are given. Any other one may hold a key."""

_ADDED = {"TERM": "dumb", "PAGER": "cat", "GIT_PAGER": "cat", "GIT_TERMINAL_PROMPT": "0"}
"""There is nobody who could turn pages or type a password."""


def environment(of: Mapping[str, str] = os.environ, also: Iterable[str] = ()) -> dict[str, str]:
    """The variables for a program. `also` are names that it is given besides those of all."""
    names = ALLOWED.union(also)
    return {**{name: it for name, it in of.items() if name in names}, **_ADDED}
