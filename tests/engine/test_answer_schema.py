"""Claimed: fields, JSON and files become the schema that they mean; anything else is one clear
line."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.answer_schema import again, schema_of
from chatstream.engine.settings import Settings
from chatstream.errors import Cancelled, UsageError
from chatstream.schemas import table

STR, INT = {"type": "string"}, {"type": "integer"}
TEXTS = {"type": "array", "items": STR}


def of(text: str) -> Any:
    return schema_of(Settings(schema=text), CancelToken())


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("name", {"name": STR}),
        ("name, age int, tags list", {"name": STR, "age": INT, "tags": TEXTS}),
        (
            "  name str ,ok bool,x float ",
            {"name": STR, "ok": {"type": "boolean"}, "x": {"type": "number"}},
        ),
        (
            "name: a full name., age int",
            {"name": STR | {"description": "a full name."}, "age": INT},
        ),
        (
            "name: first, last\nage int: in years\n",
            {
                "name": STR | {"description": "first, last"},
                "age": INT | {"description": "in years"},
            },
        ),
        ("größe int", {"größe": INT}),
    ],
)
def test_a_short_form_is_a_closed_object(text: str, fields: dict[str, Any]) -> None:
    assert of(text) == table(fields)


def test_a_schema_may_be_given_itself_or_in_a_file(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"name": STR}}
    file = tmp_path / "person.json"
    file.write_text(json.dumps(schema))
    assert of(str(file)) == of(json.dumps(schema)) == schema


def test_a_file_beside_us_is_named_with_a_dot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("name").write_text('{"type": "object", "required": ["x"]}')
    assert of("./name") == {"type": "object", "required": ["x"]}
    assert of("name") == table({"name": STR})  # whatever files there are


def test_a_tilde_stands_for_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "person.json").write_text('{"type": "object"}')
    assert of("~/person.json") == {"type": "object"}


def test_a_cancel_ends_the_wait_for_a_pipe_that_nobody_writes_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    token = CancelToken()
    threading.Timer(0.05, lambda: token.cancel(Cancelled("enough"))).start()
    with pytest.raises(Cancelled, match="enough"):
        schema_of(Settings(schema=str(tmp_path / "pipe")), token)


def test_a_schema_of_a_damaged_journal_is_refused() -> None:
    assert again(None) is None
    assert again({"type": "object"}) == {"type": "object"}
    with pytest.raises(UsageError, match="the journal has no usable schema"):
        again({"type": "object", "$ref": "#/nowhere"})


def test_multi_asks_for_a_list_of_them() -> None:
    its = {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": INT}}
    rest = {name: it for name, it in its.items() if name != "$defs"}
    made = schema_of(Settings(schema_multi=json.dumps(its)), CancelToken())
    assert made == table({"items": {"type": "array", "items": rest}}) | {"$defs": {"x": INT}}


def test_without_a_schema_there_is_none() -> None:
    assert schema_of(Settings(), CancelToken()) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name, , age", "has an empty field"),
        ("name,", "has an empty field"),
        ("name, age int int", "a field that is not a name and a type: 'age int int'"),
        ("name, 3d", "a field that is not a name and a type: '3d'"),
        ("name, name int", "has the field 'name' twice"),
        ("age itn", "has the unknown type 'itn'"),
        ("missing.json", "missing.json cannot be read: No such file"),
        (".", ". cannot be read: Is a directory"),
        ("a.b\0c", "cannot be read"),
        ("{", "--schema is not JSON"),
        ('{"a": NaN}', "--schema is not JSON: NaN"),
        ('{"type": "object", "typ": 1}', "--schema is not a usable schema"),
        ('{"type": "array"}', "does not describe an object"),
        ("http://a.example/person.json", "--schema takes no address"),
        ("HTTPS://a.example", "--schema takes no address"),
        ("/dev/zero", "/dev/zero cannot be read: File too large"),
        ('{"type": "object", "properties": {"a": {}, "a": {}}}', "--schema has 'a' twice in one"),
    ],
)
def test_each_bad_input_is_one_clear_line(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        of(text)
    assert words in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[1]", "is not a usable schema: the schema is not a JSON object"),
        (b"\xff", "person.json"),
        (b"name", "is not JSON"),
        (b"", "is not JSON"),
        (b'{"type": "object", "type": "object"}', "person.json has 'type' twice in one object"),
        (b"{" + b" " * 1024**2 + b"}", "person.json cannot be read: File too large"),
    ],
)
def test_a_file_that_holds_no_schema_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    file = tmp_path / "person.json"
    file.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        of(str(file))
    assert words in caught.value.message


def test_both_at_once_are_refused() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        schema_of(Settings(schema="a", schema_multi="a"), CancelToken())


def test_a_list_of_what_refers_to_itself_is_refused() -> None:
    its = {"type": "object", "properties": {"below": {"$ref": "#"}}}
    with pytest.raises(UsageError, match="moves into a list"):
        schema_of(Settings(schema_multi=json.dumps(its)), CancelToken())
