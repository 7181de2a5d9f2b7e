"""Which settings are secret, which belong together, and how each of them is named elsewhere."""

from __future__ import annotations

from chatstream.engine.settings import FIELDS
from chatstream.engine.shapes import is_table, words_of

PREFIX = "CHATSTREAM_"

SECRETS = frozenset({"api_key"})
ADDRESSES = frozenset({"base_url", "proxy"})
KEYS = frozenset({"api_key", "key_variable", "key_command"})
FOR_ONE_SERVER = KEYS | {"headers"}
"""The settings that are sent to one server and to no other."""

FOR_ONE_PROVIDER = KEYS | {"model", "base_url"}
"""The settings that mean something only together with their provider."""

SOURCES_OF_TOOLS = ("tools", "tools_file", "tool_exec", "mcp_servers", "mcp_config")
"""The settings that give a run tools."""

TABLES = frozenset(name for name, setting in FIELDS.items() if is_table(setting.type))
"""The settings that are tables, which cannot be written as a single text."""


def variable(name: str) -> str:
    """The environment variable of a setting; tables have none."""
    return PREFIX + name.upper()


def keys_of(name: str) -> tuple[str, ...]:
    """The keys of a setting in the file; TABLE.KEY is one entry of a setting that is a table."""
    table, _, key = name.partition(".")
    return (table, key) if key and table in TABLES else (name,)


def choices(name: str) -> list[str]:
    """The values of a setting that takes only a few."""
    return list(words_of(FIELDS[name].type))
