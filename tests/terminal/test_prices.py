"""Claimed: prices are listed with their source, and updated by a command that says what it kept."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.client import run_here
from tests.support.loopback import Reply, Script

ENTRY = {"id": "a/one", "pricing": {"prompt": "0.000003", "completion": "0.000015"}}
OTHER = {"id": "b/\x1b[2Jtwo", "pricing": {"prompt": "0", "completion": "0"}}


def update() -> None:
    with Script(Reply.json({"data": [ENTRY, OTHER]})) as server:
        done = run_here(["prices", "update", "--base-url", server.url])
    assert done.status == 0
    assert done.stderr == "kept the prices of 2 models\n"
    assert done.stdout == b""


def test_without_prices_the_way_to_get_them_is_told() -> None:
    done = run_here(["prices", "list"])
    assert done.status == 2
    assert "chatstream prices update" in done.stderr


def test_what_was_updated_is_listed_and_cleaned() -> None:
    update()
    rows = run_here(["prices", "list"]).stdout.decode().splitlines()
    assert len(rows) == 2
    assert rows[0].split()[:3] == ["a/one", "$3", "in"]
    assert "\x1b" not in rows[1]
    [row] = run_here(["prices", "list", "ONE", "--json"]).stdout.splitlines()
    fields = json.loads(row)
    assert (fields["model"], fields["input"], fields["output"]) == ("a/one", 3.0, 15.0)
    assert fields["cached"] is None
    assert run_here(["prices", "list", "three"]).status == 2


def test_prices_of_the_configuration_come_first(tmp_path: Path) -> None:
    update()
    file = tmp_path / "config.toml"
    file.write_text('[prices."z"]\ninput = 1\noutput = 2\n', "utf-8")
    rows = run_here(["prices", "list"], CHATSTREAM_CONFIG=str(file)).stdout.decode().splitlines()
    assert rows[0].split() == ["z", "$1", "in", "$2", "out", "configuration"]


def test_a_price_that_is_no_number_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[prices."z"]\ninput = "a lot"\noutput = 2\n', "utf-8")
    done = run_here(["prices", "list"], CHATSTREAM_CONFIG=str(file))
    assert done.status == 2
    assert "z" in done.stderr


def test_a_server_that_refuses_is_an_error() -> None:
    with Script(Reply.json({"error": {"message": "closed today"}}, 503)) as server:
        done = run_here(["prices", "update", "--json", "--base-url", server.url])
    assert done.status == 1
    assert json.loads(done.stdout.splitlines()[-1])["type"] == "error"
