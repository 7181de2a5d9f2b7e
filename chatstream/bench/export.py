"""A result as a file: CSV for a spreadsheet, JSON for a program, HTML for a person.

One writer a format: `FORMATS`. A file is written after every run, each time whole: `write` puts
it in place of the old one in one step, so that a reader finds the one or the other.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from chatstream import files
from chatstream.bench.result import Result, Sample, encode
from chatstream.bench.stats import median
from chatstream.errors import JournalError, UsageError
from chatstream.events import ServerTimes

Cell = str | int | float | bool | None

_NESTED = ("arrivals", "deltas_at", "stalls", "server", "lags")
_SCALARS = tuple(name for name in Sample.__struct_fields__ if name not in _NESTED)
_SERVER = ServerTimes.__struct_fields__

COLUMNS = (
    *_SCALARS,
    *("connect", "stalls", "longest_stall", "gap_p50"),
    *(f"server_{name}" for name in _SERVER),
)
"""The header of the CSV: times in seconds, `stalls` is how many there were."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a cell for a formula, at once or after it has trimmed it."""


def as_csv(result: Result) -> bytes:
    """One row a run, below a header (RFC 4180, UTF-8); what there is no value for is empty.

    Text from a server could be a formula that the spreadsheet runs. Such a cell begins with an
    apostrophe, as OWASP has it ("CSV Injection"); numbers stay numbers.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in _row(sample)] for sample in result.samples)
    return text.getvalue().encode("utf-8", "replace")


def as_json(result: Result) -> bytes:
    """The whole result in one line, which `saved.load` reads."""
    return encode(result) + b"\n"


def as_html(result: Result) -> bytes:
    """The whole result as one page, with plots."""
    from chatstream.bench.page import html  # what draws is big, and seldom asked for

    return html(result).encode("utf-8", "replace")


STDOUT = Path("-")
"""The file that stands for standard output."""

FORMATS: dict[str, Callable[[Result], bytes]] = {"csv": as_csv, "json": as_json, "html": as_html}


def check(path: Path) -> None:
    """Raise `UsageError` where `write` could not write, before anything is measured."""
    _check_place(path)
    try:
        files.check(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def write(path: Path, data: bytes) -> None:
    """Put a file with `data` at `path`, in place of an old one, in one step.

    Raises `UsageError` where no file can be, and `JournalError` for what came in between, such
    as a full disk; then the old file is as it was.
    """
    _check_place(path)
    try:
        files.replace(path, data)
    except OSError as error:
        raise JournalError(f"cannot write {path}: {error.strerror}") from error


def _check_place(path: Path) -> None:
    """Raise `UsageError` where there can be no file."""
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():  # to replace /dev/null would be bad
            raise UsageError(
                f"cannot write {path}: it is not a regular file",
                hint="for standard output, use - as the file name",
            )
        if not target.parent.is_dir():
            raise UsageError(f"cannot write {path}: the folder {path.parent} does not exist")
    except (OSError, RuntimeError) as error:  # a name that is too long, links in a circle
        raise UsageError(f"cannot write {path}: {error}") from error


def _row(sample: Sample) -> Iterator[Cell]:
    yield from (getattr(sample, name) for name in _SCALARS)
    gaps = sample.gaps
    yield sample.connect
    yield len(sample.stalls)
    yield max((it.seconds for it in sample.stalls), default=None)
    yield median(gaps) if gaps else None
    yield from (getattr(sample.server, name, None) for name in _SERVER)


def _cell(value: Cell) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
