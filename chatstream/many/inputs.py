"""The lines of a batch as they come: from a file or standard input, one at a time.

1. A file is JSON Lines if its name says so or its first line is a JSON object; CSV if its name says
   so or there is a template; otherwise text with one prompt per line. Blank lines are skipped, and
   so are rows of CSV without any text (spreadsheets leave `,,,` at the end).
2. Lines are read only when needed, and not kept. While a pipe has none, the iterator yields None
   several times a second, so that the consumer stays responsive.
3. A line that cannot be used is still a `Line`, with the reason in `wrong`. Only problems of the
   whole file raise an exception: it cannot be read, it is a JSON array, its header is not CSV, or
   it lacks a column that the template names.
4. A CSV template names columns in braces; a doubled brace stands for a single one.
5. Text is UTF-8, or UTF-16 or UTF-32 with its byte order mark, unless an encoding is declared.
   A line with a NUL character is not sent: it is UTF-16 without its mark, or no text at all.
"""

from __future__ import annotations

import codecs
import csv
import errno
import os
import re
import select
import stat
import sys
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

import msgspec

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS
from chatstream.errors import UsageError
from chatstream.files import is_file
from chatstream.nearest import did_you_mean
from chatstream.text import check_encoding, marked
from chatstream.wording import counted

STDIN = "-"

_READ_BYTES = 1 << 16
_LONGEST = 64 * 1024 * 1024  # bytes of a line; no question may be longer
_JSON_NAMES = (".jsonl", ".ndjson", ".json")
_CSV_NAMES = (".csv", ".tsv")
_DELIMITERS = ",;\t"
_HOLE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_BOM = b"\xef\xbb\xbf"
_MARK_BEGINS = (b"\xff", b"\xfe", b"\0")  # of UTF-16 and UTF-32
_MARK_BYTES = 4  # of the longest byte order mark
_ARRAY = re.compile(rb"\s*\[\s*(\{|$)")
_NUL = "it contains a NUL character; if the file is UTF-16, use --encoding"


class Line(msgspec.Struct, frozen=True):
    """One line: its number from 1, and what it holds: a prompt as text, or JSON that is not read.

    `wrong` says why it cannot be used.
    """

    number: int
    prompt: str | None = None
    json: bytes | None = None
    wrong: str | None = None


_Raw = tuple[int, bytes]


def lines_of(
    name: str, template: str | None, token: CancelToken, encoding: str | None = None
) -> Iterator[Line | None]:
    """The lines of the input of this name; None while nothing comes.

    Raises `UsageError`, or the token's reason if it is cancelled while a pipe is opened.
    """
    if encoding is not None:
        check_encoding(encoding)
    raw = _raw(name, token, encoding)
    kind = Path(name).suffix.lower()
    if kind in _JSON_NAMES:
        if template is not None:
            raise UsageError(
                "--template is for CSV", hint=f"leave it out: {name} contains whole prompts"
            )
        return _json_lines(raw, name)
    if kind in _CSV_NAMES or template is not None:
        return _csv_lines(raw, name, template)
    return _json_or_text(raw, name)


def count(
    name: str, template: str | None, token: CancelToken, encoding: str | None = None
) -> int | None:
    """The number of lines; None for what can be read only once.

    Raises `UsageError`, or the token's reason.
    """
    if name == STDIN or not is_file(Path(name)):
        return None
    number = 0
    for _ in lines_of(name, template, token, encoding):
        token.check()
        number += 1
    return number


def called(name: str) -> str:
    """What messages call the input of this name."""
    return "standard input" if name == STDIN else name


def _json_or_text(raw: Iterator[_Raw | None], name: str) -> Iterator[Line | None]:
    for first in raw:
        if first is None:
            yield None
        elif first[1].strip():
            rest = chain([first], raw)
            is_json = first[1].lstrip().startswith(b"{") or _ARRAY.match(first[1])
            yield from _json_lines(rest, name) if is_json else _text_lines(rest)


def _json_lines(raw: Iterator[_Raw | None], name: str) -> Iterator[Line | None]:
    is_first = True
    for it in raw:
        if it is None:
            yield None
        elif it[1].strip():
            if is_first and _ARRAY.match(it[1]):
                raise UsageError(
                    f"{called(name)} is a JSON array, but a batch takes one object per line",
                    hint="`jq -c '.[]'` writes the items of an array as lines",
                )
            is_first = False
            yield Line(it[0], json=it[1])


def _text_lines(raw: Iterator[_Raw | None]) -> Iterator[Line | None]:
    for it in raw:
        if it is None:
            yield None
        elif it[1].strip():
            yield _prompt(it[0], _text(it[1]))


def _prompt(number: int, text: str) -> Line:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        byte = ord(error.object[error.start]) - 0xDC00
        return Line(number, wrong=f"it is not UTF-8: byte 0x{byte:02x} at character {error.start}")
    return Line(number, wrong=_NUL) if "\0" in text else Line(number, prompt=text)


def _text(data: bytes) -> str:
    """What is not UTF-8 stays as surrogates, so that only its own line is wrong."""
    return data.decode("utf-8", "surrogateescape").rstrip("\r\n")


# ---- CSV


class _NothingYet(Exception):
    """A pipe has nothing more at the moment."""


def _csv_lines(
    raw: Iterator[_Raw | None], name: str, template: str | None
) -> Iterator[Line | None]:
    csv.field_size_limit(_LONGEST)
    columns: list[str] | None = None
    for it in _records(raw):
        if it is None:
            yield None
        elif isinstance(it, Line):
            if columns is None:
                raise UsageError(f"the header of {called(name)} cannot be read: {it.wrong}")
            yield it
        elif columns is None:
            columns = it[1]
            _check(template, columns, name)
        elif not any(cell.strip() for cell in it[1]):
            continue
        elif len(it[1]) != len(columns):
            cells, heads = counted(len(it[1]), "cell"), counted(len(columns), "column")
            yield Line(it[0], wrong=f"it has {cells}, but the header has {heads}")
        else:
            row = dict(zip(columns, it[1], strict=True))
            yield _prompt(it[0], _filled(template or "", row))


def _records(raw: Iterator[_Raw | None]) -> Iterator[tuple[int, list[str]] | Line | None]:
    """The rows of CSV, each with the number of its first line; one may be longer than a line.

    Python's reader cannot wait in the middle of a row: it then reads the row once more.
    """
    begun: list[_Raw] = []  # the lines of the row under way
    delimiter = ""

    def texts() -> Iterator[str]:
        yield from (_text(data) + "\n" for _, data in tuple(begun))
        for it in raw:
            if it is None:
                raise _NothingYet
            if begun or it[1].strip():
                begun.append(it)
                yield _text(it[1]) + "\n"

    while True:
        try:
            source = texts()
            if not delimiter:
                source = chain([head := next(source)], source)
                delimiter = max(_DELIMITERS, key=head.count)
            row = next(csv.reader(source, delimiter=delimiter, strict=True))
        except _NothingYet:
            yield None
            continue
        except StopIteration:
            return
        except csv.Error as error:
            why, *_ = str(error).split(" - ")  # what follows is about Python
            yield Line(begun[0][0], wrong=f"it is not CSV: {why}")
        else:
            yield begun[0][0], row
        begun.clear()


def _check(template: str | None, columns: list[str], name: str) -> None:
    named = ", ".join(columns)
    if template is None:
        raise UsageError(
            f"{name} is CSV, so it needs a --template",
            hint=f'for example --template "… {{{columns[0]}}} …"; columns: {named}',
        )
    holes = [it[1] for it in _HOLE.finditer(template) if it[1] is not None]
    if not holes:
        raise UsageError(
            "--template names no column, so every prompt would be the same",
            hint=f"write a name in braces, such as {{{columns[0]}}}; columns: {named}",
        )
    for column in holes:
        if columns.count(column) > 1:
            raise UsageError(
                f"--template: {name} has several columns {column!r}",
                hint="give each column a name of its own",
            )
        if column not in columns:
            there = f"columns: {named}"
            raise UsageError(
                f"--template: {name} has no column {column!r}",
                hint=did_you_mean(column, columns, there) or there,
            )


def _filled(template: str, row: Mapping[str, str]) -> str:
    return _HOLE.sub(lambda it: it[0][0] if it[1] is None else row[it[1]], template)


# ---- bytes


def _raw(name: str, token: CancelToken, encoding: str | None) -> Iterator[_Raw | None]:
    """The lines as they are, with their numbers; None while nothing comes. Raises `UsageError`."""
    where = called(name)
    try:
        descriptor = token.wait_for(lambda: _opened(name))  # a pipe may have no other end yet
    except OSError as error:
        raise UsageError(f"{where} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{where!r} cannot be read: {error}") from error
    read = _read(descriptor, where, keeps=name == STDIN)
    return _numbered(_split(_as_utf8(read, where, encoding)), where)


def _opened(name: str) -> int:
    if name == STDIN:
        if sys.stdin is None:
            raise OSError(errno.EBADF, "it is closed")
        return sys.stdin.fileno()
    descriptor = os.open(name, os.O_RDONLY)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return descriptor


def _numbered(lines: Iterator[bytes | None], where: str) -> Iterator[_Raw | None]:
    number = 0
    for line in lines:
        if line is None:
            yield None
            continue
        number += 1
        if len(line) > _LONGEST:
            raise UsageError(f"line {number} of {where} is longer than {_LONGEST:,} bytes")
        yield number, line.removeprefix(_BOM) if number == 1 else line


def _split(read: Iterator[bytes | None]) -> Iterator[bytes | None]:
    """The lines of what is read, without their ends."""
    held = bytearray()
    for data in read:
        if data is None:
            yield None
            continue
        held += data
        if b"\n" in data or len(held) > _LONGEST:
            *whole, rest = bytes(held).split(b"\n")
            held = bytearray(rest)
            yield from whole
        if len(held) > _LONGEST:
            yield rest
    yield bytes(held)


def _as_utf8(
    read: Iterator[bytes | None], where: str, encoding: str | None
) -> Iterator[bytes | None]:
    """What is read, in UTF-8. What has no other encoding passes as it is."""
    begin = b""
    for data in read:
        if data is None:
            yield None
            continue
        begin += data
        if encoding is not None or not begin.startswith(_MARK_BEGINS) or len(begin) >= _MARK_BYTES:
            break
    encoding = encoding or marked(begin) or "utf-8"
    if codecs.lookup(encoding).name.startswith("utf-8"):
        yield begin
        yield from read
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    for data in chain([begin], read, [b""]):
        if data is None:
            yield None
            continue
        try:
            text = decoder.decode(data, final=not data)
            whole = text.encode()
        except ValueError as error:
            if isinstance(error, UnicodeDecodeError):
                line += error.object.count(b"\n", 0, error.start)
            raise UsageError(
                f"{where} is not {encoding.upper()} text: see line {line:,}"
            ) from error
        line += text.count("\n")
        yield whole


def _read(descriptor: int, where: str, *, keeps: bool) -> Iterator[bytes | None]:
    """What comes; None while nothing does. `keeps`: the descriptor stays open."""
    try:
        while True:
            try:
                if os.name == "posix" and not select.select([descriptor], [], [], POLL_SECONDS)[0]:
                    yield None
                    continue
                data = os.read(descriptor, _READ_BYTES)
            except BlockingIOError:  # another reader was faster
                continue
            except OSError as error:
                raise UsageError(f"{where} cannot be read: {error.strerror}") from error
            if not data:
                return
            yield data
    finally:
        if not keeps:
            os.close(descriptor)
