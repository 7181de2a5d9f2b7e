"""A program as the work of a call: what it is given, what is taken of it, and how it ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatstream.cancel import CancelToken
from chatstream.tools.environment import environment
from chatstream.tools.pipe import UNREAD, Bells, Pipe
from chatstream.tools.programs import run_program
from chatstream.tools.spawning import Keeper, Order
from chatstream.tools.tool import Context, Returned, ToolFailure
from tests.support.toolcalls import LIMIT, Said

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs process groups")

Run = Callable[..., tuple[str, Returned]]


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with closing(Keeper()) as made:
        yield made


def order(command: str, cwd: Path | str = "/") -> Order:
    return Order(argv=["/bin/sh", "-c", command], env=environment(), cwd=str(cwd))


@pytest.fixture
def run(keeper: Keeper) -> Run:
    def made(command: str, *, given: bytes = b"", terminal: bool = False) -> tuple[str, Returned]:
        said = Said()
        returned = run_program(keeper, order(command), said.context, given=given, terminal=terminal)
        return said.text, returned

    return made


def test_output_and_error_come_in_the_order_of_their_writing(run: Run) -> None:
    assert run("echo 1; echo 2 >&2; echo 3")[0] == "1\n2\n3\n"


def test_an_exit_status_is_a_result_that_the_model_is_told(run: Run) -> None:
    assert run("echo no; exit 3") == ("no\n", Returned("[exit status 3]\n", 3))
    assert run("true") == ("", Returned("", 0))


def test_nobody_can_type_into_it(run: Run) -> None:
    assert run("cat; read line || echo end; cat < /dev/tty")[0].startswith("end\n")


def test_it_is_given_what_it_reads_however_long_that_is(run: Run) -> None:
    assert run("wc -c", given=b"x" * 3_000_000)[0].strip() == "3000000"


def test_what_it_does_not_read_hinders_nothing(run: Run) -> None:
    assert run("echo done", given=b"x" * 3_000_000)[0] == "done\n"


def test_all_that_was_written_before_the_end_is_there(run: Run) -> None:
    assert len(run("head -c 1000000 /dev/zero | tr '\\0' x")[0]) == 1_000_000


def test_bytes_that_are_not_utf_8_are_replaced_and_characters_are_not_cut(run: Run) -> None:
    command = "printf '\\377'; printf '\\303'; sleep 0.02; printf '\\251 \\303'"
    assert run(command)[0] == "\ufffdé \ufffd"


def test_with_a_terminal_its_output_is_one_and_its_input_is_none(run: Run) -> None:
    command = "test -t 1 && test -t 2 && ! test -t 0 && stty size < /dev/stdout; echo end"
    assert run(command, terminal=True)[0] == "40 100\nend\n"


def test_a_terminal_controls_nothing(run: Run) -> None:
    assert run("(: < /dev/tty) 2>/dev/null || echo none", terminal=True)[0] == "none\n"


def test_what_cannot_be_started_is_a_failure(keeper: Keeper) -> None:
    missing = Order(argv=["no-such-program"], env=environment(), cwd="/")
    with pytest.raises(ToolFailure, match="cannot be started: no-such-program: No such file"):
        run_program(keeper, missing, Said().context)


def test_a_program_waits_while_its_output_is_not_taken(keeper: Keeper, tmp_path: Path) -> None:
    """It gets no further than the pipes hold, and to its end once somebody reads."""
    token, bells = CancelToken(), Bells()
    pipe = Pipe(token, bells)
    context = Context("c", token, pipe.put, lambda *_: None, lambda _: None, lambda: None)
    command = "yes | head -c 2000000; echo done > over"
    thread = threading.Thread(
        target=run_program, args=(keeper, order(command, tmp_path), context), daemon=True
    )
    thread.start()
    while pipe._put < UNREAD - 2 * 65536:
        assert bells.news.wait(LIMIT)
    assert not (tmp_path / "over").exists()
    size = 0
    while thread.is_alive() or pipe._put > pipe._taken:
        size += len(pipe.take())
        bells.news.wait(0.01)
    assert size == 2_000_000
    assert (tmp_path / "over").exists()


def test_a_stop_is_not_held_up_by_output_that_nobody_takes(keeper: Keeper) -> None:
    token, bells = CancelToken(), Bells()
    pipe = Pipe(token, bells)
    context = Context("c", token, pipe.put, lambda *_: None, lambda _: None, lambda: None)
    command = "trap 'echo ending; exit 4' INT; while :; do echo yes; done"
    ended: list[Returned] = []
    thread = threading.Thread(
        target=lambda: ended.append(run_program(keeper, order(command), context)), daemon=True
    )
    thread.start()
    while pipe._put < UNREAD - 2 * 65536:
        assert bells.news.wait(LIMIT)
    token.cancel()
    thread.join(LIMIT)
    assert [it.exit_status for it in ended] == [4]
