"""The environment of programs that we start: a few of our variables, and no key."""

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
"""Nobody could turn pages or type a password."""


def environment(of: Mapping[str, str] = os.environ, also: Iterable[str] = ()) -> dict[str, str]:
    """The variables for a program. `also` names more that this one is given."""
    names = ALLOWED.union(also)
    return {**{name: it for name, it in of.items() if name in names}, **_ADDED}
