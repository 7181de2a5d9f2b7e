"""What a server's error means: its class, its message, and how long to wait.

`shapes` finds what the error says. The class comes from its codes, then from the HTTP status; a
status inside the error beats the HTTP status, since errors in the middle of a stream arrive with
HTTP 200. Words of the message only decide where code and status leave it open: no word beats a
status that has a meaning of its own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from chatstream.errors import (
    AuthError,
    BadRequest,
    ChatstreamError,
    ContentPolicy,
    ContextLength,
    ModelNotFound,
    Overloaded,
    ProtocolError,
    QuotaExceeded,
    RateLimited,
    Refused,
    ServerError,
    UnsupportedParameter,
)
from chatstream.providers.lenient import count_of, values_in
from chatstream.providers.shapes import Said, is_error, said
from chatstream.providers.text import whole_characters
from chatstream.providers.waits import retry_after, wait_in
from chatstream.wording import excerpt, in_words, status_words

Kind = type[ChatstreamError]

# Parts of a code, as `shapes` compacts it. The last two rows only say in general who failed.
_CODES: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (QuotaExceeded, ("insufficientquota", "billing", "creditserror", "insufficientbalance",
                     "insufficientcredit", "insufficientfunds", "quotaexceeded", "currentquota",
                     "paymentrequired", "overdue", "arrear", "dailylimit")),
    (ContextLength, ("contextlength", "contextwindow", "contextsize", "toomanyprompttokens")),
    (ContentPolicy, ("contentpolicy", "contentfilter", "responsibleai", "moderation",
                     "datainspection")),
    (Overloaded, ("overload", "unavailable", "serverbusy", "overcapacity", "notready")),
    (RateLimited, ("ratelimit", "toomanyrequests", "toomanytokens", "throttl",
                   "resourceexhausted", "usagelimit", "limitreached", "slowdown")),
    (ModelNotFound, ("modelnotfound", "invalidmodel", "decommissioned", "modelnotsupported",
                     "deploymentnotfound", "unknownmodel", "modelnotexist")),
    (AuthError, ("authenticationerror", "unauthenticated", "invalidapikey", "apikeyinvalid",
                 "permission", "unauthorized", "accessdenied", "invalidtoken", "expiredtoken",
                 "tokenexpired", "unrecognizedclient")),
    (ServerError, ("servererror", "internal", "apierror", "timeout", "badgateway", "upstream")),
    (BadRequest, ("invalidrequest", "badrequest", "invalidargument", "invalidparam",
                  "validation", "failedprecondition", "unprocessable")),
)  # fmt: skip

# Patterns, compiled when a failure has to be told apart and not at every start.
_WORDS: tuple[tuple[Kind, str], ...] = (
    (QuotaExceeded, r"insufficient_quota|billing_error|exceeded your current quota|"
     r"insufficient (balance|credits?|funds)|credit balance|quota exceeded|out of credits|"
     r"specified (workspace )?api usage limits|\bkey limit exceeded"),
    (ContextLength, r"context_length|context.?(length|window|size)|too_many_prompt_tokens|"
     r"maximum context|prompt is too long|prompt too long|input is too long|input token count"),
    (ContentPolicy, r"content_policy|content_filter|responsibleaipolicy|"
     r"content management policy|content exists risk|input was flagged"),
    (Overloaded, r"overloaded|server (is )?busy|engine is currently|over capacity"),
    (RateLimited, r"rate.?limit|too many requests"),
    (AuthError, r"authentication.?(error|fail)|permission_error|unauthorized|not authorized|"
     r"(invalid|incorrect|missing|expired)_?.?api.?key|api.?key (is )?(not valid|invalid|expired)|"
     r"(invalid|expired) (access )?token|token (is )?(expired|invalid)"),
    (ModelNotFound, r"model_not_found|invalid_model|deploymentnotfound|not a valid model|"
     r"\bmodels?\b[\s:/]*(['\"`][^'\"`]*['\"`]|[^\s:]\S*)?,? (was |is |could |has |do(es)? )?"
     r"(not (be )?found|not exist|doesn't exist|not supported by any)|no endpoints found for|"
     r"model\b.{0,100}\bdecommissioned|unknown model|no such model|^invalid model|^model:"),
)  # fmt: skip
_ANY = tuple(kind for kind, _ in _WORDS)

# What the words of a message may still make of a class, and of a status.
_OPEN: dict[Kind, tuple[Kind, ...]] = {
    BadRequest: _ANY,
    ServerError: (Overloaded,),
    RateLimited: (QuotaExceeded, Overloaded),
    AuthError: (QuotaExceeded, ContentPolicy, ModelNotFound),
}
_OPEN_BY_STATUS: dict[int, tuple[Kind, ...]] = {401: (), 404: (ModelNotFound,)}

_MINIMAX: dict[int, Kind] = {  # platform.minimax.io/docs/api-reference/errorcode
    **dict.fromkeys((1000, 1001, 1013, 1024, 1033), ServerError),
    **dict.fromkeys((1002, 1039, 1041), RateLimited),
    **dict.fromkeys((1004, 2049), AuthError),
    **dict.fromkeys((1008, 2056), QuotaExceeded),
    **dict.fromkeys((1026, 1027), ContentPolicy),
    **dict.fromkeys((1042, 2013), BadRequest),
}
_STATUSES: dict[int, Kind] = {
    401: AuthError,
    402: QuotaExceeded,
    403: AuthError,
    408: ServerError,
    409: ServerError,
    413: ContextLength,
    429: RateLimited,
    503: Overloaded,
    529: Overloaded,
}
_PER_MINUTE = r"per.?(minute|min\b|second|sec\b)"
_PER_DAY = r"\bdaily\b|\bper.?day\b"
_REGION = (
    r"(country|region|territory|user location)\b.{0,40}\bnot (supported|available)|"
    r"not available in your (country|region)|^request not allowed$"
)
_NO_STREAM = (
    r"(does|do) ?n[o']t support (\w+ )?stream|stream(ing)?\b.{0,40}"
    r"\b(not (be )?(support|allow|enabl)|unsupported)|cannot stream"
)
_NOT_TAKEN = (
    r"not (be )?(support|permit|allow|match)|n[o']t support|unsupported|unknown|unrecognized|"
    r"unexpected|no endpoints found that support"
)
_ADDED = ("tool_choice", "parallel_tool_calls", "logprobs")
_EFFORT = (  # OpenAI's, OpenRouter's, Ollama's and Anthropic's words for it
    r"reasoning(_effort|[._]effort)|\bthink value|support thinking|\bthinking\.type|"
    r"\beffort parameter|adaptive thinking"
)
_NO_ENCRYPTED = r"encrypted content is not supported"  # of the Responses API
_FOREIGN_THINKING = r"bound to a different"  # of Anthropic; other tools make a conversation another
_CANNOT = (  # the words of servers whose model cannot call tools or read images, and what to do
    (
        r"--enable-auto-tool-choice",
        "start the server with `vllm serve MODEL --enable-auto-tool-choice --tool-call-parser "
        "PARSER`; which parser fits the model is in vLLM's documentation",
    ),
    (r"requires --jinja", "start the server with `llama-server --jinja`"),
    (
        r"(do(es)? not support|found that support) (tool|function)|"
        r"(tools?`?|(tool|function) (use|calling)) (is|are) not supported",
        "use a model that can call tools, or ask without them",
    ),
    (
        r"image input is not supported|images? (is|are) not supported|"
        r"(do(es)? ?n[o']t support|found that support) (image|vision)",
        "use a model that reads images; llama.cpp also needs its `--mmproj` file",
    ),
)
_STATUS_WORDS = r"\b(?:error code|status(?: code)?|http(?:/[0-9.]+)?)[ :=]+([45][0-9]{2})\b"
_TOKEN = r'"(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*("?)|[][{},]'
_BLOCKED = r"error code: 1[0-9]{3}\s*$"  # Cloudflare's, as text
_CHALLENGE = r"just a moment|attention required|checking your browser"
_WANTS_TLS = r"HTTP request (?:was )?(?:sent )?to (?:an )?HTTPS"  # nginx's and Go's page for it
_OF_THE_REGION = "the provider refuses this country or network; the API key is not the reason"
_OF_A_GUARD = (
    "this page comes from a firewall, proxy or bot protection, not from the API: check the "
    "address (--base-url) and the network"
)
_READ_CHARACTERS = 4096  # of a message or page; the patterns are not linear
_REQUEST_IDS = ("x-request-id", "request-id", "x-generation-id", "apim-request-id")


def failure_of(status: int, body: bytes, headers: Mapping[str, str]) -> ChatstreamError:
    """The failure that a response with an error status, or with a body of no use, stands for."""
    text = body.decode("utf-8-sig", "replace")
    value = _json_in(text)
    page = _page(text[:_READ_CHARACTERS])
    if status < 400 and error_in(value) is None:
        shown = (page if value is None else "") or excerpt(
            whole_characters(text[:_READ_CHARACTERS])
        )
        return ProtocolError(
            f"the server sent something that is not an answer: {shown or 'an empty body'}",
            status=status,
        )
    if value is None and _is_a_guards(status, text, page, headers):
        failure: ChatstreamError = Refused(page or _phrase(status), hint=_OF_A_GUARD, status=status)
    else:
        failure = failure_in(value if value is not None else page, status)
    if failure.status == 404 and type(failure) is BadRequest and not failure.hint:
        failure.hint = (
            "check the address (--base-url) and the provider: the server has nothing at this path"
        )
    if re.search(_WANTS_TLS, page):
        failure.hint = "the server expects TLS: write https:// in its address (--base-url)"
    failure.request_id = request_id(headers)
    _ask_to_wait(failure, retry_after(headers, time.time(), status))
    if (advice := headers.get("x-should-retry")) in {"true", "false"}:
        failure.retryable = advice == "true"
    return failure


def request_id(headers: Mapping[str, str]) -> str | None:
    """What the provider calls this request, to be told to its support."""
    return next((headers[name] for name in _REQUEST_IDS if name in headers), None)


def no_answer(status: int, *, empty: bool = False) -> ProtocolError | None:
    """The failure of a response whose status says that no answer comes with it; else None.

    204, 205 and every 3xx that was not followed never have one. `empty`: the body has ended
    without a byte, which is also the whole of a 201, 202 or 203.
    """
    if status in {204, 205} or 300 <= status < 400 or (empty and 200 < status < 300):
        return ProtocolError(
            f"the server replied {status_words(status)}, which carries no answer", status=status
        )
    return None


def error_in(value: object) -> ChatstreamError | None:
    """The failure that a decoded object from a stream describes; None if it is no error."""
    return failure_in(value) if is_error(value) else None


def failure_in(value: object, status: int = 0) -> ChatstreamError:
    """The failure that a decoded error stands for; `status` 0 is the middle of a stream."""
    error = said(value)
    message = error.message[:_READ_CHARACTERS]
    status = error.status or status
    shown = excerpt(whole_characters(message), 500) or _phrase(status)
    if (parameter := _refused_parameter(error, message, status)) is not None:
        return UnsupportedParameter(shown, parameter, status=status)
    wait = wait_in(error.levels, message, time.time())
    decisive = status if status >= 400 else _status_in_words(message)
    kind = _kind(error, message, decisive, waits=wait is not None)
    if issubclass(kind, AuthError | BadRequest) and _is_regional(error, message):
        return Refused(shown, hint=_OF_THE_REGION, status=status or None)
    for pattern, hint in _CANNOT:
        if re.search(pattern, message, re.IGNORECASE):  # llama.cpp says it with a 500
            kind = BadRequest if issubclass(kind, ServerError) else kind
            failure = kind(shown, hint=hint, status=status or None)
            failure.retryable = False
            return failure
    failure = kind(shown, status=status or None)
    if failure.retryable:
        _ask_to_wait(failure, wait)
    return failure


def _ask_to_wait(failure: ChatstreamError, seconds: float | None) -> None:
    """Note what the server asks for; the hint tells it to the user."""
    if seconds is not None:
        failure.retry_after = seconds
        if failure.retryable:
            failure.hint = f"the server asks for a wait of {in_words(seconds)}"


def _kind(error: Said, message: str, status: int, *, waits: bool) -> Kind:
    """The class of an error; `status` is 0, or at least 400. `waits`: it says when it passes."""
    codes = error.codes
    if status == 413:  # Groq calls a prompt that is too long a rate limit; waiting is no use
        return ContextLength
    kind = _by_vendor(error) or next(
        (kind for kind, parts in _CODES if any(part in codes for part in parts)), None
    )
    if kind is None or (kind in {ServerError, BadRequest} and status):
        kind = _by_status(status) if status else None
        allowed = _OPEN_BY_STATUS.get(status, _OPEN.get(kind, ()) if kind else _ANY)
    else:
        allowed = () if kind is AuthError else _OPEN.get(kind, ())
    for other, pattern in _WORDS:
        if other in allowed and re.search(pattern, message, re.IGNORECASE):
            kind = other
            break
    if kind is QuotaExceeded and status != 402 and "insufficientquota" not in codes:
        passes = waits or re.search(_PER_MINUTE, f"{codes} {message}", re.IGNORECASE)
        kind = RateLimited if passes else kind
    if kind is RateLimited and (
        "perday" in codes  # Gemini's quotaId
        or (
            not waits
            and re.search(_PER_DAY, message, re.IGNORECASE)
            and not re.search(_PER_MINUTE, message, re.IGNORECASE)
        )
    ):
        return QuotaExceeded
    return kind or ServerError


def _by_vendor(error: Said) -> Kind | None:
    """MiniMax counts its errors by numbers of its own."""
    for fields in error.levels:
        number = count_of(fields.get("statuscode"))
        if number is not None and "statusmsg" in fields:
            return _MINIMAX.get(number)
    return None


def _by_status(status: int) -> Kind:
    if status in _STATUSES:
        return _STATUSES[status]
    return BadRequest if 400 <= status < 500 else ServerError


def _is_regional(error: Said, message: str) -> bool:
    """Whether the country or the network is refused, and not the key."""
    named = ("unsupportedcountry", "unsupportedlocation", "unsupportedregion")
    return any(name in error.codes for name in named) or bool(
        re.search(_REGION, message, re.IGNORECASE)
    )


def _is_a_guards(status: int, text: str, page: str, headers: Mapping[str, str]) -> bool:
    """Whether a page is that of a guard before the server: Cloudflare's challenge, a firewall."""
    if headers.get("cf-mitigated", "").strip().lower() == "challenge":
        return True
    if not text.lstrip().startswith("<"):
        return re.match(_BLOCKED, text.strip(), re.IGNORECASE) is not None
    challenge = status in {403, 429, 503} and re.search(_CHALLENGE, page, re.IGNORECASE)
    return status == 403 or bool(challenge)


def _refused_parameter(error: Said, message: str, status: int) -> str | None:
    """A parameter that we add ourselves and that this server does not take."""
    if status == 403 and "logprobs" in message:  # OpenAI, for some models
        return "logprobs"
    if status not in {400, 404, 405, 422, 501}:
        return None
    parameter = next((name for fields in error.levels if (name := fields.get("param"))), None)
    if "stream_options" in message or parameter == "stream_options":
        return "stream_options"
    if "max_completion_tokens" in message and "max_tokens" in message:
        return "max_tokens"
    for name in _ADDED:
        told = rf"{name}.{{0,60}}({_NOT_TAKEN})|({_NOT_TAKEN}).{{0,60}}{name}"
        if re.search(told, message, re.IGNORECASE):
            return name
    if re.search(_NO_ENCRYPTED, message, re.IGNORECASE):
        return "encrypted content"
    if re.search(_FOREIGN_THINKING, message, re.IGNORECASE):
        return "earlier thinking"
    if (parameter and re.search(_EFFORT, str(parameter))) or (
        re.search(_EFFORT, message, re.IGNORECASE) and re.search(_NOT_TAKEN, message, re.IGNORECASE)
    ):
        return "effort"
    if parameter == "stream" or re.search(_NO_STREAM, message, re.IGNORECASE):
        return "stream"
    return None


def _status_in_words(message: str) -> int:
    """A status that a proxy has written into its message: "Error code: 429 - {…}"; else 0."""
    found = re.search(_STATUS_WORDS, message, re.IGNORECASE)
    return int(found.group(1)) if found else 0


def _json_in(text: str) -> object:
    """The JSON of an error body; None without any.

    It may come as an event of a stream, have something behind it, or have lost its end: to a cut,
    to our own limit, or to a length that counted characters and not bytes.
    """
    event = re.match(r"(?:(?:event|id|retry)?:[^\n]*\n\s*)*data:", text)
    text = text[event.end() if event else 0 :].strip()
    values, rest = values_in(text)
    if len(values) == 1 and not rest:
        return values[0]
    for candidate in (text, *_closed(text)) if text[:1] in {"{", "["} else ():
        values, _ = values_in(candidate)
        if values and is_error(values[0]):
            return values[0]
    return None


def _closed(text: str) -> tuple[str, str]:
    """A JSON text that broke off, with what is open closed: all of it, and up to its last comma."""
    ends: list[str] = []
    before_comma = ""
    for token in re.finditer(_TOKEN, text, re.DOTALL):
        sign = token[0]
        if sign[0] == '"':
            if not token[1]:
                text = text[: token.end()] + '"'
                break
        elif sign in "{[":
            ends.append("}" if sign == "{" else "]")
        elif sign == ",":
            before_comma = text[: token.start()] + "".join(reversed(ends))
        elif ends:
            ends.pop()
    return text + "".join(reversed(ends)), before_comma


def _page(text: str) -> str:
    """What a page that is no JSON says: its title, or its first words."""
    title = re.search(r"<(title|h1)[^>]*>(.*?)</\1", text, re.IGNORECASE | re.DOTALL)
    return excerpt(title.group(2) if title else re.sub(r"<[^>]*>", " ", text))


def _phrase(status: int) -> str:
    return (
        f"HTTP {status_words(status)}"
        if status
        else "the server reports an error without a message"
    )
