"""Where servers put an error: its many shapes, read into one.

An error is an object with the message under one of a dozen names, alone or inside `error`,
`errors[]`, `detail`, `fault`, `base_resp` (MiniMax), a choice, or OpenRouter's `metadata.raw`,
which holds the error of the provider behind it. `said` reads what is known to be an error;
`is_error` tells whether an object that was found in a stream is one.

Names are compared in lower case and without `_` and `-`: `errorMessage`, `error_message` and
AWS's `__type` need no rows of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus

import msgspec

from chatstream.providers.lenient import count_of, json_or_text, json_text, object_of, text_of

Fields = dict[str, object]

_INSIDE = (
    *("error", "errors", "fault", "baseresp", "choices", "metadata", "raw", "detail"),
    *("xgroq", "response", "data", "message"),
)
_MESSAGES = (
    *("error", "message", "errormessage", "errmessage", "errormsg", "errmsg", "msg"),
    *("statusmsg", "faultstring", "errordescription", "detail", "errors", "title"),
)
_TEXTS = ("reason", "description", "content", "text", "data")  # where there is no message
_STATUSES = (
    *("statuscode", "code", "rawstatuscode", "status", "httpstatus", "httpstatuscode"),
    *("httpcode", "errorcode", "errcode"),
)
_CODES = ("type", "code", "status", "reason", "errorcode", "errcode", "errortype", "error")
_MAX_DEPTH = 8  # objects inside each other that are read
_MAX_CODE_CHARACTERS = 80  # a longer text is no code

# What an ordinary chunk, message or event carries. Beside it only an explicit error counts.
_ANSWER = frozenset(
    {"choices", "delta", "contentblock", "content", "candidates", "output", "done", "usage"}
)
_STATES = frozenset(
    {"accepted", "completed", "connected", "created", "debug", "done", "heartbeat", "inprogress"}
    | {"info", "keepalive", "loading", "log", "none", "notice", "null", "ok", "pending", "ping"}
    | {"processing", "progress", "queued", "ready", "running", "started", "starting", "status"}
    | {"success", "successful", "succeeded", "waiting", "warming", "warning"}
)
_NO_ERROR = frozenset({"", "0", "200", "false", "no", "none", "null", "ok", "success"})
_FAILED = frozenset({"error", "fail", "failed", "failure"})
_KINDS = ("type", "object", "event", "status")
_TROUBLE = (
    *("error", "exception", "fail", "fault", "invalid", "exceed", "denied", "limit", "unauth"),
    *("badrequest", "toomany", "notfound", "unavailable", "exhausted", "throttl", "forbidden"),
    *("refused", "abort", "timeout", "precondition", "internal"),
)
_PHRASES = frozenset(status.phrase.lower() for status in HTTPStatus)


class Said(msgspec.Struct, frozen=True):
    """What an error says. `levels` are its objects, the innermost first.

    `message` is "" without one, `status` an HTTP status that the error names, or 0.
    `codes` are its types, codes and reasons in lower case, letters and digits only, with spaces
    between them.
    """

    message: str
    status: int
    codes: str
    levels: list[Fields]


def said(value: object) -> Said:
    """What a decoded error says: an object, a list with one, or text."""
    levels = _levels(value)
    message = _with_raw(levels) or _message(levels) or _message(levels, _TEXTS)
    if not message:
        message = value if isinstance(value, str) else json_text(value) if value else ""
    codes = " ".join(filter(None, map(compact, _codes(levels))))
    return Said(message, next(filter(None, map(_status, levels)), 0), codes, levels)


def is_error(value: object) -> bool:
    """Whether a decoded object from a stream describes an error.

    An error object beside an answer's fields counts; a message, a code or a `detail` counts only
    where there is nothing of an answer, and nothing that says "in progress" or "success".
    """
    fields = _plain(_first(value))
    if not fields:
        return False
    if (
        _tells(fields.get("error"))
        or _tells(fields.get("errors"))
        or object_of(fields.get("fault"))
        or any(_tells(_plain(choice).get("error")) for choice in _list(fields.get("choices")))
        or any(_tells(_plain(fields.get(name)).get("error")) for name in ("xgroq", "response"))
        or _fails(_plain(fields.get("baseresp")).get("statuscode"))
        or any(fields.get(name) == "error" for name in ("type", "object", "event"))
    ):
        return True
    if any(fields.get(name) for name in _ANSWER) or isinstance(fields.get("message"), dict):
        return False
    kinds = {word for name in _KINDS if (word := _word(fields.get(name)))}
    if kinds & _FAILED or fields.get("success") is False or fields.get("ok") is False:
        return True
    if kinds & _STATES or fields.get("success") is True:
        return False
    message = _message([fields])
    values = {name: fields.get(name) for name in _STATUSES}
    if _word(values["status"]):  # a word is no code, and has been looked at
        del values["status"]
    codes = [code for code in values.values() if code is not None]
    if codes:
        return message != "" and any(map(_fails, codes))
    if any(not any(part in kind for part in _TROUBLE) for kind in kinds):
        return False  # it says what it is, and that is no error
    return message != "" and compact(message) not in _STATES


def compact(text: str) -> str:
    """A code as it is compared: `rate_limit_exceeded` and `RateLimitExceeded` are the same.

    A sentence is no code; a phrase of HTTP is.
    """
    text = text.strip().lower()
    if len(text) > _MAX_CODE_CHARACTERS or (" " in text and text not in _PHRASES):
        return ""
    return re.sub(r"[^a-z0-9]", "", text)


def _word(value: object) -> str:
    """The word for what an object is, as it is compared; the address of a document is no word."""
    text = text_of(value)
    return "" if ":" in text or text.isdecimal() else compact(text)


def _tells(error: object) -> bool:
    """Whether the value of an `error` field is an error: not null, empty, false, or a success."""
    if isinstance(error, dict):
        fields = _plain(error)
        codes = [fields[name] for name in _STATUSES if fields.get(name) is not None]
        if codes and not any(map(_fails, codes)):
            return False
        return any(fields.values())
    if isinstance(error, list):
        return any(map(_tells, error))
    if isinstance(error, bool):
        return error
    if isinstance(error, str):  # even "ping" says something where it is called an error
        return error.strip().lower() not in _NO_ERROR
    return _fails(error)


def _fails(code: object) -> bool:
    """Whether a code, of HTTP or of the vendor's own, or a text stands for a failure."""
    if isinstance(code, str):
        return (
            code.strip().lower() not in {"", "0", "200", "false"} and compact(code) not in _STATES
        )
    return bool(code) and not isinstance(code, bool) and code != HTTPStatus.OK


def _levels(value: object) -> list[Fields]:
    levels: list[Fields] = []
    inner = _first(value)
    while inner and len(levels) < _MAX_DEPTH:
        fields = _plain(inner)
        levels.insert(0, fields)
        inner = next(filter(None, (_inner(name, fields.get(name)) for name in _INSIDE)), {})
    return levels


def _inner(name: str, value: object) -> Fields:
    """The object inside a field, which may have been written as JSON text."""
    if not value or isinstance(value, int | float):
        return {}
    if name == "choices":
        return next(
            (object_of(it) for it in _list(value) if _tells(object_of(it).get("error"))), {}
        )
    if isinstance(value, str):
        decoded = json_or_text(value) if value.lstrip()[:1] in {"{", "["} else None
        return _first(decoded) or ({"message": value} if name == "raw" else {})
    if name == "detail":  # a list there is FastAPI's, and is read whole
        return object_of(value)
    return _first(value)


def _with_raw(levels: list[Fields]) -> str:
    """OpenRouter's message, with the name and the words of the provider behind it."""
    for depth, fields in enumerate(levels):
        if depth and fields.get("raw"):
            reason, outer = _message(levels[:depth]), _message(levels[depth + 1 :])
            provider = text_of(fields.get("providername"))
            named = f"{outer} ({provider})" if provider else outer
            return f"{named}: {reason}" if reason and reason != outer else outer
    return ""


def _message(levels: list[Fields], names: tuple[str, ...] = _MESSAGES) -> str:
    """The first text that is a sentence; else the first word, which a phrase of HTTP is not."""
    texts = [text for fields in levels for name in names if (text := _text(fields.get(name)))]
    own = [text for text in texts if text.strip().lower() not in _PHRASES] or texts
    return next((text for text in own if " " in text.strip()), own[0] if own else "")


def _text(value: object) -> str:
    """A text, or that of an object; a list of them, as FastAPI says what is wrong and where."""
    if isinstance(value, list):
        return "; ".join(filter(None, map(_text, value)))
    if isinstance(value, dict):
        where = ".".join(map(str, _list(value.get("loc"))))
        said_there = text_of(value.get("msg")) or text_of(value.get("message"))
        return ": ".join(filter(None, (where, said_there)))
    text = text_of(value)
    return text if text.strip() else ""


def _codes(levels: list[Fields]) -> Iterator[str]:
    for fields in levels:
        yield from (text_of(fields.get(name)) for name in _CODES)
        yield text_of(_plain(fields.get("innererror")).get("code"))
        for detail in map(_plain, _list(fields.get("details"))):  # Google's
            yield text_of(detail.get("reason"))
            for violation in map(_plain, _list(detail.get("violations"))):
                yield text_of(violation.get("quotaid"))


def _status(fields: Fields) -> int:
    """An HTTP status that this level itself names; 0 if none."""
    for name in _STATUSES:
        value = fields.get(name)
        if isinstance(value, str) and re.fullmatch("[45][0-9]{2}( .*)?", value):
            return int(value[:3])
        number = count_of(value)
        if number is not None and 400 <= number < 600:
            return number
    return 0


def _plain(value: object) -> Fields:
    """The object with its names as they are compared."""
    names = object_of(value).items()
    return {name.lower().replace("_", "").replace("-", ""): field for name, field in names}


def _first(value: object) -> Fields:
    """The object, or the first one of a list: Gemini puts its error into one."""
    return next((it for it in _list(value) if isinstance(it, dict) and it), object_of(value))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
