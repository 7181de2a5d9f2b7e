"""`schema`: the published form of the events."""

from __future__ import annotations

import json

import jsonschema

from chatstream.bench.result import Result
from chatstream.events import json_schema
from tests.support.client import run


def test_the_schema_is_a_valid_schema_of_the_events() -> None:
    done = run(["schema"])
    assert done.status == 0
    schema = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == json.loads(json.dumps(json_schema(Result)))
