"""A summary of an earlier conversation in the system prompt of the one that continues it.

There is only one message with the role `system`, because many servers take no second one. The
summary stands at its end, below a heading.
"""

from __future__ import annotations

HEADING = "Summary of the conversation so far:"

_PARTED = "\n\n"


def with_summary(system: str, summary: str) -> str:
    """The system prompt with this summary, which replaces an older one."""
    own, _ = parted(system)
    below = f"{HEADING}{_PARTED}{summary}" if summary else ""
    return _PARTED.join(it for it in (own, below) if it)


def parted(system: str) -> tuple[str, str]:
    """The system prompt without its summary, and the summary; "" if either is missing."""
    own, _, summary = f"{_PARTED}{system}".partition(f"{_PARTED}{HEADING}{_PARTED}")
    return own.removeprefix(_PARTED), summary
