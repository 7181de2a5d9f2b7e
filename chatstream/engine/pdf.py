"""The text of a PDF, which pypdf reads: the extra `chatstream[pdf]`.

1. The text is that of the pages in order, with an empty line between them. Text that is only
   drawn, as in a scan, is not read.
2. A PDF that cannot be read raises `UsageError`, whatever is wrong with it: pypdf raises errors of
   many kinds for broken files.
3. `MOST_CHARACTERS` limits the text. pypdf limits the size of compressed data and the tokens of a
   page.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from chatstream.cancel import CancelToken
from chatstream.errors import ChatstreamError, UsageError
from chatstream.wording import excerpt

if TYPE_CHECKING:
    from pypdf import PdfReader

MOST_CHARACTERS = 64 * 1024 * 1024

Report = Callable[[float, float | None], None]
"""Called with the number of pages read so far, and of all pages."""


def text_of(data: bytes, name: str, report: Report, token: CancelToken) -> str:
    """The text of a PDF, which messages call `name`. Raises `UsageError`, or the token's reason."""
    try:
        import pypdf
        from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError
    except ImportError as error:
        raise UsageError(
            f"{name} is a PDF, which needs the package pypdf, version 7 or later",
            hint="install it: pip install --upgrade pypdf, or pipx inject chatstream pypdf",
        ) from error
    # The oddities that it logs do not matter to somebody who wants the text.
    logging.getLogger("pypdf").addHandler(logging.NullHandler())
    try:
        text = _read(pypdf.PdfReader(io.BytesIO(data)), name, report, token)
    except ChatstreamError:
        raise
    except FileNotDecryptedError as error:
        raise UsageError(
            f"{name} is encrypted and cannot be read", hint="save an unencrypted copy, and add that"
        ) from error
    except DependencyError as error:  # for AES, even if no password is needed
        raise UsageError(
            f"{name} is encrypted, which needs the package cryptography",
            hint="install it: pip install cryptography, or pipx inject chatstream cryptography",
        ) from error
    except LimitReachedError as error:
        raise UsageError(f"{name} is too large to be read: {excerpt(str(error))}") from error
    except MemoryError:
        raise
    except Exception as error:
        raise UsageError(f"{name} is a broken PDF: {excerpt(str(error) or repr(error))}") from error
    if not text.strip():
        raise UsageError(
            f"{name} has no text: it may be a scan", hint="add its pages as images, with --image"
        )
    return text


def _read(reader: PdfReader, name: str, report: Report, token: CancelToken) -> str:
    texts, size, pages = [], 0, len(reader.pages)
    for number, page in enumerate(reader.pages, 1):
        token.check()
        # Some fonts map to half a character: it is joined to its other half or, without one,
        # replaced.
        text = page.extract_text().encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        size += len(text)
        if size > MOST_CHARACTERS:
            raise UsageError(
                f"{name} has more text than the limit of {MOST_CHARACTERS:,} characters"
            )
        texts.append(text.strip())
        report(number, pages)
    return "\n\n".join(it for it in texts if it)
