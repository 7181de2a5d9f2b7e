"""The tree of failures. Each class knows its code, exit status, and whether a retry may help.

A failure travels through the pipeline as an exception of this tree; the last stage turns it
into the one `error` event. `code` is the word in that event, `exit_status` what the process
returns, `retryable` whether the same request may succeed a little later. The message says what
was wrong and the hint what to do; neither ever holds a secret.

Exit status: 1 failed, 2 usage or configuration, 3 the provider refused the request, 4 timeout
or stall, 5 truncated, 6 a tool needs approval, 7 the limit of --max-cost, 129 SIGHUP, 130 Ctrl+C,
143 SIGTERM.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chatstream.wording import encodable

if TYPE_CHECKING:
    from chatstream.messages import Message

MAX_WAIT_SECONDS = 120.0
"""The longest that a server may ask us to wait; the official clients have the same limit."""


class ChatstreamError(Exception):
    """Anything that ends a run. `status` is the HTTP status where there is one.

    `phase` names the limit that passed: connect, first_token, between_tokens or total.
    """

    code = "internal"
    exit_status = 1
    retryable = False
    hint: str | None = None
    over = False
    """The answer is whole, so there is nothing to continue."""
    resume_options = ""
    """More options for the command that resumes the run."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        message = encodable(message)  # it may name a file, and is to be shown, sent and kept
        super().__init__(message)
        self.message = message
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after  # seconds the server asks us to wait
        self.phase: str | None = None
        self.partial: Message | None = None  # what had arrived, where the whole was asked for
        if hint is not None:
            self.hint = encodable(hint)


class InternalError(ChatstreamError):
    """A mistake of ours."""

    hint = "this is a bug in chatstream; run again with --debug and report what it prints"


class OutputError(ChatstreamError):
    """Standard output takes no more: the disk is full, for one."""

    code = "output"

    @classmethod
    def of(cls, error: OSError) -> OutputError:
        """What the system said about a write."""
        return cls(f"cannot write the output: {error.strerror or error}")


class OutOfMemory(ChatstreamError):
    """The system gives us no more memory."""

    code = "memory"


def mistake(error: Exception) -> ChatstreamError:
    """An exception that nobody expected, as a failure: a bug, unless the memory was used up."""
    if isinstance(error, MemoryError):
        return OutOfMemory("out of memory")
    return InternalError(f"{type(error).__name__}: {error}")


class UsageError(ChatstreamError):
    """The command line asks for something that cannot be done."""

    code = "usage"
    exit_status = 2


class CostLimit(UsageError):
    """The next request would cost more than the user wants to spend."""

    code = "max_cost"
    exit_status = 7


class ConfigError(ChatstreamError):
    """The configuration cannot be used."""

    code = "config"
    exit_status = 2


class JournalError(ChatstreamError):
    """The record of a run cannot be read, or not be written."""

    code = "journal"


class ConnectError(ChatstreamError):
    """No connection to the server, or none that lasted until its response head."""

    code = "connect"
    retryable = True
    hint = "check that the server runs and that the address is right (--base-url)"


class ProxyRefused(ConnectError):
    """The proxy does not let the request through. Trying again cannot help."""

    retryable = False


class Unreachable(ConnectError):
    """Every address of the server refuses, or its name leads nowhere.

    `here`: it would be on this machine. `named`: the name has an address.
    """

    def __init__(self, message: str, *, here: bool = False, named: bool = True) -> None:
        super().__init__(message)
        self.here, self.named = here, named
        if not named:
            self.hint = "check the name of the server (--base-url), and the network"


class TLSError(ChatstreamError):
    """No secure connection to the server. Trying again cannot help."""

    code = "connect"
    hint = "check the address and the port (--base-url)"


class ProtocolError(ChatstreamError):
    """The server sent something that is not the protocol."""

    code = "protocol"
    hint = "check that --provider matches the server and that --base-url is the address of its API"


class LineTooLong(ProtocolError):
    """A line of the stream passed the safety limit."""


class Truncated(ChatstreamError):
    """The stream ended before the protocol's end mark."""

    code = "truncated"
    exit_status = 5
    retryable = True
    hint = "the answer is incomplete"


class InvalidAnswer(ChatstreamError):
    """The answer is whole, but does not fit the schema that it was asked for."""

    code = "invalid_answer"
    over = True
    hint = "ask again; a server or model that supports schemas is less likely to stray from one"


class Stalled(ChatstreamError):
    """No token for longer than the limit between two tokens."""

    code = "stalled"
    exit_status = 4
    retryable = True
    hint = "raise the limit with --idle-timeout"


class TimedOut(ChatstreamError):
    """A limit passed before the first token, or the limit for the whole run."""

    code = "timeout"
    exit_status = 4
    retryable = True


class Cancelled(ChatstreamError):
    """The user, or a signal, ended the run."""

    code = "cancelled"
    exit_status = 130


class Terminated(Cancelled):
    """SIGTERM ended the run."""

    exit_status = 143


class HungUp(Cancelled):
    """SIGHUP ended the run: its terminal was closed."""

    exit_status = 129


class Unrecorded(Cancelled):
    """A tool was not started because its start could not be written down."""

    code = "journal"
    exit_status = 1
    hint = "free some space, and resume the run; or ask again with --no-journal"


class ApprovalNeeded(ChatstreamError):
    """Calls of these tools need approval, and there is nobody to ask."""

    code = "approval_needed"
    exit_status = 6

    def __init__(self, message: str, tools: Sequence[str] = ()) -> None:
        self.resume_options = f"--allow {','.join(tools)}" if tools else ""
        super().__init__(message, hint=f"{self.resume_options} lets it run" if tools else None)


class ServerError(ChatstreamError):
    """The server failed (5xx, or an error of its own inside the stream)."""

    code = "server_error"
    retryable = True
    hint = "the server failed; try again in a while"


class Overloaded(ServerError):
    """The server has too much to do."""

    code = "overloaded"


class RateLimited(ChatstreamError):
    """Too many requests for now."""

    code = "rate_limited"
    retryable = True
    hint = "wait a while, or raise --retries"


class Refused(ChatstreamError):
    """The provider will not serve this request, however often it is sent."""

    code = "refused"
    exit_status = 3


class AuthError(Refused):
    """No key, a wrong key, or one without the right."""

    code = "auth"
    hint = "check the API key: `chatstream config show` shows where it comes from"


class ModelNotFound(Refused):
    """The server does not have the model."""

    code = "model_not_found"
    hint = "`chatstream models` lists the server's models"


class QuotaExceeded(Refused):
    """The account has nothing left; waiting does not help."""

    code = "quota"
    hint = "check the plan and billing of the account"


class BadRequest(Refused):
    """The request itself was not accepted."""

    code = "bad_request"


class UnsupportedParameter(BadRequest):
    """The server does not take one parameter; without it the request may do."""

    def __init__(self, message: str, parameter: str, *, status: int | None = None) -> None:
        super().__init__(message, status=status)
        self.parameter = parameter


class ContextLength(BadRequest):
    """Prompt and answer do not fit the model's context."""

    code = "context_length"
    hint = "shorten the prompt, or use a model with a longer context"


class ContentPolicy(BadRequest):
    """The provider's content policy refused the request."""

    code = "content_policy"


def _tree(kind: type[ChatstreamError]) -> list[type[ChatstreamError]]:
    return [kind, *(below for sub in kind.__subclasses__() for below in _tree(sub))]


def class_of(code: str) -> type[ChatstreamError]:
    """The class that an error event's `code` stands for, the most general of that code."""
    return next((kind for kind in _tree(ChatstreamError) if kind.code == code), ChatstreamError)
