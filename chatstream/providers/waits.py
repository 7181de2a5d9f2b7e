"""How long a server asks us to wait: in headers, in fields of the error, or in its message.

Everything here is in seconds. What is not a finite, positive number says nothing: Azure sends
`retry-after-ms: 0` beside `retry-after: 1`. Spans come as numbers, as "1m30s" (Go), "34s"
(Google), "2.5 seconds" (messages); points in time as HTTP dates, RFC 3339, or Unix time in
seconds or ms. The header names are those of WIRE section 7.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime

from chatstream.providers.lenient import object_of

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = (
    r"(?:[0-9]{1,9}(?:\.[0-9]{1,12})?)\s?"
    r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![a-z])"
)
_SPAN = rf"{_PART}(?:(?:\s|,|\sand\s){{0,2}}{_PART}){{0,4}}"
_ASKED = (
    r"\b(?:wait(?: (?:for|at least|about|another))*|resets? (?:in|after)"
    r"|(?:try|retry|retrying|come back|available)(?: (?:it|again|your request))*[ -](?:in|after))"
    rf"[ :]\s?(?:about |around |approximately |at least |~)?({_SPAN})"
)
_SPANS = {  # fields that name a span, and its unit
    **dict.fromkeys(("retryafter", "retryafterseconds", "retrydelay"), 1.0),
    **dict.fromkeys(("resetsinseconds", "resetinseconds", "estimatedtime"), 1.0),
    **dict.fromkeys(("retryafterms", "retryaftermilliseconds"), 0.001),
    **dict.fromkeys(("resetsat", "resetat"), 1.0),
}
_EPOCH = 1e9  # a number from here on is Unix time, and from a thousand times that on in ms
_RESET = r"(?:x-|anthropic-)?ratelimit-(?:reset(?:-.*)?|.*-reset)"


def retry_after(headers: Mapping[str, str], now: float, status: int = 0) -> float | None:
    """What the headers ask for; `now` is the wall clock.

    `retry-after-ms` first, then `retry-after` in seconds or as a date; with status 429 also the
    time at which the limit that is used up is reset.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (seconds := _seconds(headers.get(name), now, unit)) is not None:
            return seconds
    return _reset(headers, now) if status == 429 else None


def used_up(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the limits are reset of which nothing remains; None if something does."""
    return max(_resets(headers, now, "some")[0], default=None)


def wait_in(levels: Sequence[Mapping[str, object]], message: str, now: float) -> float | None:
    """What an error asks for: in a field of one of its objects, else in the message."""
    for fields in levels:
        for name, unit in _SPANS.items():
            if (seconds := _seconds(fields.get(name), now, unit)) is not None:
                return seconds
        details = fields.get("details")
        for detail in details if isinstance(details, list) else ():  # Google's RetryInfo
            if (seconds := _seconds(object_of(detail).get("retryDelay"), now)) is not None:
                return seconds
        headers = object_of(fields.get("headers"))  # OpenRouter's, of the provider behind it
        if headers:
            told = {name.lower(): str(value) for name, value in headers.items()}
            if (seconds := retry_after(told, now, 429)) is not None:
                return seconds
    found = re.search(_ASKED, message, re.IGNORECASE)
    return _positive(_span(found.group(1))) if found else None


def _reset(headers: Mapping[str, str], now: float) -> float | None:
    """When the limits that are used up are reset, or the first one if none says that it is."""
    gone, others = _resets(headers, now, "0")
    return max(gone) if gone else min(others, default=None)


def _resets(headers: Mapping[str, str], now: float, unsaid: str) -> tuple[list[float], list[float]]:
    """When the limits are reset that are used up, and the others. `unsaid` remains if none says."""
    gone: list[float] = []
    others: list[float] = []
    for name, value in headers.items():
        if re.fullmatch(_RESET, name) and (seconds := _seconds(value, now)) is not None:
            remaining = headers.get(name.replace("reset", "remaining"), unsaid).strip()
            (gone if remaining in {"", "0"} else others).append(seconds)
    return gone, others


def _seconds(value: object, now: float, unit: float = 1.0) -> float | None:
    """The seconds from `now` on that a number, a span or a date stands for."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return _positive(_span(value) or _until(value, now)) if isinstance(value, str) else None
    if number >= _EPOCH and unit == 1.0:
        number = number / (1000 if number >= 1000 * _EPOCH else 1) - now
    return _positive(number * unit)


def _positive(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _span(text: str) -> float:
    """ "1m30s" or "2 minutes and 5 seconds" in seconds; 0 where it is something else."""
    if not re.fullmatch(_SPAN, text.strip(), re.IGNORECASE):
        return 0.0
    total = 0.0
    for number, unit in re.findall(r"([0-9.]+)\s?([a-z]+)", text.lower()):
        short = "ms" if unit.startswith(("ms", "milli")) else unit[0]
        total += float(number) * _UNITS[short]
    return total


def _until(date: str, now: float) -> float:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(date).timestamp() - now
        except (ValueError, OverflowError):
            continue
    return 0.0
