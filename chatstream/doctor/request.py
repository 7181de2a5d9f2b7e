"""What `doctor` can be asked for: a checkup of this installation, or a diagnosis of a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chatstream.cancel import CancelToken
from chatstream.doctor.diagnosis import Finding, diagnose
from chatstream.doctor.examine import MAX_TOKENS, QUESTION, Asking, examine
from chatstream.engine.resolve import check_given, resolve
from chatstream.errors import UsageError
from chatstream.terminal import exits
from chatstream.text import argument


def findings(
    flags: Mapping[str, Any],
    profile: str | None,
    token: CancelToken,
    *,
    url: str | None,
    prompt: str | None,
    max_tokens: int | None,
    is_quiet: bool,
) -> Iterable[Finding]:
    """The findings; a checkup yields each as soon as it is known. Raises `ChatstreamError`.

    Any argument that names a server, or what to ask it, makes it a diagnosis. `flags` are settings,
    `url` is another way to write --base-url; `is_quiet`: no progress is shown.
    """
    check_given("--profile", profile)
    asked = (url, prompt, max_tokens, *(flags.get(it) for it in ("provider", "model", "base_url")))
    if all(it is None for it in asked):
        from chatstream.doctor.checkup import checkup

        return checkup(flags, profile, token)
    if url is not None and flags.get("base_url") is not None:
        raise UsageError("the address is given twice: as URL and as --base-url")
    check_given("--prompt", prompt)
    resolved = resolve(flags if url is None else {**flags, "base_url": url}, profile=profile)
    exits.warn(resolved.warnings)
    question = QUESTION if prompt is None else argument(prompt, "--prompt")
    asking = Asking(question, max_tokens or MAX_TOKENS, is_quiet=is_quiet)
    found = diagnose(examine(resolved.settings, token, asking))
    token.check()
    return found
