"""Names: of a server, from its command or address; of its tools, as every model accepts them.

1. A server's name has letters, digits, underscores and hyphens. A server without a name gets
   one from the telling word of its command (`uvx mcp-server-git` is "git"), or from its host.
2. A tool is called SERVER_TOOL, or TOOL if the server calls it so already. Characters
   that models do not accept become `_`. If the name is too long or already taken, it ends with a
   hash of the whole name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

LONGEST = 64
"""Characters of a name that every service accepts."""

_HASH_CHARACTERS = 8
_LAUNCHERS = {"uvx", "npx", "bunx", "pipx", "uv", "node", "deno", "bun", "docker", "env", "run"}
_LAUNCHERS |= {"python", "python3", "tool", "sh", "bash"}
_PLACES = {
    "index",
    "main",
    "server",
    "cli",
    "dist",
    "build",
    "src",
    "bin",
    "lib",
    "__main__",
    "mcp",
}
_AROUND = re.compile(r"^(?:mcp[-_])?(?:server[-_])?|(?:[-_]mcp)?(?:[-_]server)?(?:[-_]mcp)?$")
_SUFFIX = re.compile(r"\.(?:py|js|mjs|cjs|ts|exe|sh)$")


def of_command(command: Sequence[str]) -> str:
    """The name of a server that this command starts."""
    words = [it for it in command if not it.startswith("-")]
    telling = [it for it in words if _SUFFIX.sub("", it.rsplit("/", 1)[-1]) not in _LAUNCHERS]
    for part in reversed((telling or words)[0].split("/")):
        word = _SUFFIX.sub("", part.partition("@")[0] or part)
        core = _AROUND.sub("", word)
        if core and word not in _PLACES and core not in _PLACES:
            return spelled(core)
    return "mcp"


def of_address(url: str) -> str:
    """The name of the server at this address."""
    host = urlsplit(url).hostname or "mcp"
    labels = [it for it in host.split(".") if it not in {"mcp", "www", "api"}]
    is_number = not labels or all(it.isdigit() for it in labels)
    return spelled(host if is_number else labels[0])


def spelled(word: str) -> str:
    """A word as the name of a server can be spelled."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", word)[:32]


def of_tools(server: str, tools: Iterable[str]) -> list[str]:
    """The names of a server's tools, all of them different."""
    given: list[str] = []
    for tool in tools:
        whole = tool if tool.startswith(f"{server}_") else f"{server}_{tool}"
        name = re.sub(r"[^a-zA-Z0-9_-]", "_", whole)
        if len(name) > LONGEST or name in given:
            mark = hashlib.sha256(tool.encode("utf-8", "replace")).hexdigest()[:_HASH_CHARACTERS]
            name = f"{name[: LONGEST - _HASH_CHARACTERS - 1]}_{mark}"
        given.append(name)
    return given
