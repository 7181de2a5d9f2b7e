"""A sample of the odd command lines; `python -m tests.fuzz.commands` is the whole of them."""

from __future__ import annotations

import pytest

from chatstream.cli.commands import COMMANDS
from chatstream.engine.settings import FIELDS
from tests.fuzz.commands import fuzz, main, report
from tests.fuzz.odd import UNUSABLE, Maker, commands
from tests.support.sampling import SEED, by_size

NUMBER = by_size(100, 10_000)

pytestmark = pytest.mark.serial  # a line is slow by the clock


def test_no_odd_value_is_called_a_bug_or_ends_without_a_clear_line() -> None:
    tally = fuzz(SEED, range(NUMBER))
    if tally.faults:
        pytest.fail("\n".join(report(tally, SEED)))
    assert tally.statuses[0] > NUMBER / 10
    assert tally.statuses[2] > NUMBER / 10


def test_every_command_option_and_setting_comes(tmp_path_factory: pytest.TempPathFactory) -> None:
    maker = Maker(1, "http://127.0.0.1:9", tmp_path_factory.mktemp("odd"))
    lines = [maker.make(number) for number in range(10000)]
    given = {it.partition("=")[0] for line in lines for it in line.arguments}
    options = {
        it for command in commands().values() for param in command.params for it in param.opts
    }
    assert {it for it in options if it.startswith("-")} - UNUSABLE - given == set()
    assert set(COMMANDS) <= given
    variables = {name for line in lines for name in line.environ}
    assert {f"CHATSTREAM_{name.upper()}" for name in FIELDS if name != "retries"} <= variables


def test_a_line_is_known_by_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3", "-n", "5"]) == 0
    assert "faults: 0" in capsys.readouterr().out
    assert main(["--seed", "3", "--only", "4"]) == 0
    assert "Finished(status=" in capsys.readouterr().out
