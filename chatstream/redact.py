"""Secrets on their way out of the process, masked: one home for every rule.

1. `redact` masks in a text each secret that it has learned, whatever looks like a key, the user
   and password of an address, secret parameters of its query, and headers that carry secrets.
2. Whoever comes to know a secret calls `redact.learn` at once. There is one `redact` for the whole
   process, so that an error is masked wherever it is shown.
3. It works on whole texts: a secret that is cut in two is not found. The answer is never redacted.

Everything for a reader goes through here: errors, warnings, `--debug`, `config show`, journals,
exports, the findings of `doctor` and the results of `bench`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from chatstream.events import Error, Event, Fallback, Retry, Warn

MASK = "***"
_MIN_SECRET_CHARACTERS = 4  # a shorter secret would mask words

# Patterns, compiled when something is to be masked and not at every start.
_KEY = (
    r"\b(?:(?:sk|pk|gsk|xai)-[A-Za-z0-9_*-]{6,}|(?:gsk|hf|r8)_[A-Za-z0-9]{16,}"
    r"|AIza[A-Za-z0-9_-]{16,}|nvapi-[A-Za-z0-9_-]{16,})"
)
_SECRET = (
    r"(?:[\w.%-]{0,60}?[-_.])?"
    r"(?:(?:api|access|secret|private|subscription|functions|account|auth)[-_]?key"
    r"|(?:access|auth|id|refresh|session|security|bearer|api)?[-_]?token"
    r"|sig|signature|passw(?:or)?d|pwd|passphrase|credentials?|auth|authorization"
    r"|(?:client)?secret|(?:set-)?cookie)"
)
"""The name of a parameter, a field or a header whose value is a secret."""

_NO_SECRET_NAMES = frozenset({"eos_token", "bos_token", "pad_token", "stop_token"})
"""Options of models that only look like one."""

_NO_SECRETS = frozenset(
    {"dummy", "empty", "lm-studio", "local", "none", "not-needed", "null", "ollama", "test", "vllm"}
)
"""What people give as a key to a server that wants none: masked, it would only hide words."""

_USER = r"//(?:[^\s/?#\"'<>]*@|[^\s/?#@:\"'<>]*:(?!\d{1,5}(?:[/?#\s\"']|$))[^\s@\"'<>]{0,200}@)"
_PARAMETER = rf"([?&;](?:{_SECRET}|key|code)=)[^&;#\s\"'<>]+"
_FIELD = rf"([\"']{_SECRET}[\"']\s*:\s*[\"'])(?:[^\"'\\]|\\.)+"
_HEADER = (
    r"\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic|token|digest)\s+)?"
    r"|(?:x-)?(?:goog-)?api-key[\"']?\s*[:=]\s*[\"']?)[^\s\"',;&]{8,}"
)
_COOKIE = r"\b((?:set-)?cookie[\"']?\s*:\s*[\"']?)[^\r\n\"'=]{1,200}=[^\r\n\"']*"
_BEARER = r"\b(bearer\s+)(?=\S*\d)[A-Za-z0-9._~+/=-]{8,}"

_RULES = (
    (_USER, f"//{MASK}@"),
    *((rule, rf"\g<1>{MASK}") for rule in (_PARAMETER, _FIELD, _HEADER, _COOKIE, _BEARER)),
    (_KEY, MASK),
)

_SHOWN_HEADERS = frozenset(
    {
        *(
            "accept",
            "accept-encoding",
            "accept-ranges",
            "age",
            "allow",
            "alt-svc",
            "apim-request-id",
        ),
        *("anthropic-beta", "anthropic-version", "cache-control", "cf-cache-status", "cf-ray"),
        *("connection", "content-encoding", "content-length", "content-type", "date", "expires"),
        *("host", "keep-alive", "location", "openai-model", "openai-processing-ms"),
        *("openai-version", "pragma", "request-id", "retry-after", "retry-after-ms", "server"),
        *("server-timing", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary", "via"),
        *("x-accel-buffering", "x-cache", "x-generation-id", "x-powered-by", "x-request-id"),
        *("x-served-by", "x-should-retry"),
    }
)
_SHOWN_BEGINNINGS = ("anthropic-ratelimit-", "x-ratelimit-")


class Redactor:
    """Masks secrets in texts; see the rules above. Safe to use from any thread."""

    def __init__(self, *secrets: str | None) -> None:
        self._secrets: tuple[str, ...] = ()
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str | None) -> None:
        """Mask this secret from now on, also as it stands in a URL."""
        if not secret or secret in self._secrets:
            return
        forms = {secret, secret.strip(), quote(secret, safe="", errors="replace"), unquote(secret)}
        told = {
            it
            for it in forms
            if len(it) >= _MIN_SECRET_CHARACTERS and it.lower() not in _NO_SECRETS
        }
        known = {*self._secrets, *told}
        self._secrets = tuple(sorted(known, key=len, reverse=True))

    def learn_address(self, address: str | None) -> None:
        """Mask the password and the secret parameters of this address from now on."""
        self.learn(password_in(address))
        for value in _secret_values(address or ""):
            self.learn(value)

    def learn_options(self, options: Any, *, named: bool = False) -> None:
        """Mask what stands under the name of a secret in JSON-like data from now on."""
        if isinstance(options, Mapping):
            for name, value in options.items():
                self.learn_options(value, named=named or is_secret_name(str(name)))
        elif isinstance(options, list | tuple):
            for value in options:
                self.learn_options(value, named=named)
        elif named and isinstance(options, str):
            self.learn(options)

    def learn_headers(self, headers: Any) -> None:
        """Mask the values of these headers from now on, but those that are known to be harmless.

        `headers` is what a user gave: a mapping, or texts such as `Name: value`.
        """
        if isinstance(headers, list | tuple):
            headers = dict(str(it).partition(":")[::2] for it in headers)
        if not isinstance(headers, Mapping):
            return
        for name, value in headers.items():
            if not _is_shown(str(name).strip()):
                value = str(value).strip()
                self.learn(value)
                self.learn(value.partition(" ")[2])  # without "Bearer"

    def forget(self) -> None:
        """Know no secret any more: tests begin with it."""
        self._secrets = ()

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        for rule, instead in _RULES:
            text = re.sub(rule, instead, text, flags=re.IGNORECASE)
        return text


redact = Redactor()
"""The one of this process."""


def redact_event(event: Event, redact: Callable[[str], str] = redact) -> Event:
    """The event; the words of an error, a warning or a cause in it are redacted in place."""
    if isinstance(event, Error):
        event.message = redact(event.message)
        event.hint = redact(event.hint) if event.hint else event.hint
    elif isinstance(event, Warn):
        event.message = redact(event.message)
    elif isinstance(event, Retry | Fallback):
        event.cause = redact(event.cause)
    return event


def is_secret_name(name: str) -> bool:
    """Whether the value of a parameter, field or option of this name is a secret."""
    return name not in _NO_SECRET_NAMES and bool(re.fullmatch(_SECRET, name, re.IGNORECASE))


def masked(value: Any) -> Any:
    """JSON-like data with every secret in it masked: fit to be printed."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {k: MASK if is_secret_name(str(k)) else masked(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value


def without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are fit to be kept: those that hold a secret anywhere are left out."""
    return {
        name: value
        for name, value in options.items()
        if not is_secret_name(name) and masked(value) == value
    }


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, the values of all that are not known to be harmless masked."""
    return {name: redact(it) if _is_shown(name) else MASK for name, it in headers.items()}


def _is_shown(name: str) -> bool:
    return name.lower() in _SHOWN_HEADERS or name.lower().startswith(_SHOWN_BEGINNINGS)


def show_url(url: str) -> str:
    """The address without user, password and query: fit to be printed."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def mask_address(address: str) -> str:
    """The address with its secrets masked: fit to be printed and to be kept."""
    if "@" not in address and "?" not in address:
        return address
    if "//" not in address:
        return mask_address(f"//{address}").removeprefix("//")
    for rule, instead in _RULES[:2]:
        address = re.sub(rule, instead, address, flags=re.IGNORECASE)
    return address


def bare_address(address: str) -> str:
    """The address without its secrets: two of the same server are equal."""
    place, _, query = mask_address(address).replace(f"{MASK}@", "", 1).partition("?")
    kept = "&".join(pair for pair in query.split("&") if not pair.endswith(f"={MASK}"))
    return f"{place}?{kept}" if kept else place


def password_in(address: str | None) -> str | None:
    """The password in an address, if there is one."""
    try:
        return urlsplit(_with_scheme(address)).password if address else None
    except ValueError:
        return None


def _secret_values(address: str) -> Iterable[str]:
    try:
        pairs = parse_qsl(urlsplit(_with_scheme(address)).query)
    except ValueError:
        return []
    return [value for name, value in pairs if name in {"key", "code"} or is_secret_name(name)]


def _with_scheme(address: str) -> str:
    return address if "//" in address else f"//{address}"
