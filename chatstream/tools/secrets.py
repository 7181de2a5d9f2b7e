"""Files and folders whose names say that they hold keys. No tool reads, writes or lists them.

1. Only names count, in upper or lower case: nothing is opened to find out.
2. Some names count everywhere (`.env`, `.ssh`, `*.pem`), others only below a certain folder
   (`.git/config`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from chatstream.tools.tool import ToolFailure

_KEYS = re.compile(
    r"""
      \.env | \.env\.(?!(example|sample|template|dist)$).* | \.envrc
    | \.ssh | \.gnupg | \.aws | \.azure | \.kube | \.docker | \.password-store
    | [._]netrc | \.pgpass | \.my\.cnf | \.npmrc | \.pypirc | \.git-credentials
    | \.vault-token | \.htpasswd | \.s3cfg | \.boto | \.dockercfg | \.terraformrc
    | id_(rsa|dsa|ecdsa|ed25519)(_sk)?
    | .+\.(pem|key|p12|pfx|ppk|jks|keystore|kdbx)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_KEYS_BELOW = {  # a folder -> what holds keys anywhere below it
    ".git": re.compile(r"config(\.worktree)?|credentials", re.IGNORECASE),
    ".cargo": re.compile(r"credentials(\.toml)?", re.IGNORECASE),
    ".gem": re.compile(r"credentials", re.IGNORECASE),
    ".config": re.compile(r"gh|gcloud|rclone|op", re.IGNORECASE),
}


def holds_keys(parts: Sequence[str]) -> bool:
    """Whether the last of these names, which lead from a root, is one that keys are kept under."""
    *above, name = parts
    found = [_KEYS, *(_KEYS_BELOW[it] for it in map(str.lower, above) if it in _KEYS_BELOW)]
    return any(it.fullmatch(name) for it in found)


def on_way_to_keys(parts: Sequence[str]) -> bool:
    """Whether any of these names, which lead from a root, is one that keys are kept under."""
    return any(holds_keys(parts[: end + 1]) for end in range(len(parts)))


def off_limits(shown: str) -> ToolFailure:
    """The failure of a call that asks for such a file; `shown` is its path."""
    return ToolFailure(f"{shown} may hold keys or private data, and is off limits", code="private")
