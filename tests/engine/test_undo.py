"""What tools have written is undone: byte for byte, newest first, and nothing of anybody else."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chatstream.engine.resume_tools import carried_on
from chatstream.engine.undo import Undone, undo
from chatstream.errors import UsageError
from chatstream.flow import close
from chatstream.store.journal import is_running
from chatstream.store.outputs import images_of
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import Record, find, read
from chatstream.tools.builtin.base import share_memory
from chatstream.tools.registry import built_in
from tests.support.client import LIMIT
from tests.support.rounds import Counting
from tests.support.runs import run_id, running, write_run
from tests.support.sampling import by_size
from tests.support.toolcontext import result


class Work:
    """A folder, and runs whose tools write in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.root.mkdir()

    def run(self, number: int, continues: int | None = None) -> Callable[[str, str], None]:
        """Begin a run that was killed; what it can do is write a file."""
        before = None if continues is None else run_id(continues)
        write_run(state_folder(), run_id(number), killed=True, continues=before)
        images = images_of(state_folder(), run_id(number))
        (tool,) = tools = built_in(["write_file"], [self.root])
        share_memory(tools, images)

        def write(path: str, content: str) -> None:
            result(tool, path=path, content=content)

        return write

    def tree(self) -> dict[str, bytes | None]:
        """Everything in the folder; None for a folder."""
        return {
            str(it.relative_to(self.root)): None if it.is_dir() else it.read_bytes()
            for it in self.root.rglob("*")
        }

    def put(self, name: str, data: bytes) -> None:
        (self.root / name).write_bytes(data)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path)


def actions(undone: list[Undone]) -> list[tuple[str, str]]:
    return [(it.action, Path(it.path).name) for it in undone]


def done(run: int | None = None, *, force: bool = False) -> list[tuple[str, str]]:
    return actions(list(undo(None if run is None else run_id(run), force=force)))


def nothing_left(run: int | None = None) -> str:
    with pytest.raises(UsageError) as raised:
        done(run)
    return raised.value.message


def test_everything_becomes_what_it_was(work: Work) -> None:
    work.put("a.txt", b"old\r\nfile")
    (work.root / "a.txt").chmod(0o750)
    before = work.tree()
    write = work.run(1)
    write("a.txt", "first\n")
    write("x/y/b.txt", "made\n")
    write("a.txt", "second\n")
    (work.root / "a.txt").chmod(0o600)
    assert done() == [("restored", "a.txt"), ("removed", "b.txt"), ("restored", "a.txt")]
    assert work.tree() == before
    assert (work.root / "a.txt").stat().st_mode & 0o777 == 0o750
    assert nothing_left() == "no run has written any files that could be restored"
    assert not images_of(state_folder(), run_id(1)).exists()


def test_bytes_that_are_not_text_come_back(work: Work) -> None:
    data = b"\xff\xfe" + "half \ud83d and \r\n lines".encode("utf-16-le", "surrogatepass")
    work.put("a.txt", data)
    work.put("b.txt", b"caf\xe9 \x80 no end")
    write = work.run(1)
    write("a.txt", "new")
    write("b.txt", "new")
    done()
    assert work.tree() == {"a.txt": data, "b.txt": b"caf\xe9 \x80 no end"}


def test_the_newest_run_that_wrote_is_undone_or_the_one_that_is_named(work: Work) -> None:
    for number in (1, 2):
        work.run(number)(f"{number}.txt", "made\n")
    work.run(3)
    assert nothing_left(3) == f"run {run_id(3)} has written no files, or they were restored already"
    assert done(1) == [("removed", "1.txt")]
    assert done() == [("removed", "2.txt")]


def test_a_run_and_those_that_continue_it_are_one(work: Work) -> None:
    work.put("a.txt", b"old")
    work.run(1)("a.txt", "first")
    work.run(2, continues=1)("b.txt", "second")
    work.run(3, continues=2)("a.txt", "third")
    for run in (1, 2, 3, None):
        assert done(run) == [("restored", "a.txt"), ("removed", "b.txt"), ("restored", "a.txt")]
        assert work.tree() == {"a.txt": b"old"}
        for number, name in ((1, "a.txt"), (2, "b.txt"), (3, "a.txt")):
            images = images_of(state_folder(), run_id(number))
            (tool,) = tools = built_in(["write_file"], [work.root])
            share_memory(tools, images)
            result(tool, path=name, content=f"{number} again")


def test_a_run_that_has_not_ended_is_not_undone(work: Work) -> None:
    work.run(1)("a.txt", "first")
    with running(state_folder(), run_id(2), continues=run_id(1)):
        assert nothing_left(1) == f"run {run_id(2)} has not ended yet"
    assert done(1) == [("removed", "a.txt")]


def test_a_file_that_was_changed_since_is_left_alone_unless_forced(work: Work) -> None:
    work.put("a.txt", b"old")
    write = work.run(1)
    write("a.txt", "new")
    write("b.txt", "new")
    write("c.txt", "new")
    work.put("a.txt", b"theirs")
    work.put("b.txt", b"theirs")
    undone = list(undo(None))
    assert actions(undone) == [("removed", "c.txt"), ("refused", "b.txt"), ("refused", "a.txt")]
    assert undone[2].why == "it was changed after the run had written it"
    assert work.tree() == {"a.txt": b"theirs", "b.txt": b"theirs"}
    assert done(force=True) == [("removed", "b.txt"), ("restored", "a.txt")]
    assert work.tree() == {"a.txt": b"old"}


def test_a_file_that_was_removed_since_comes_back_only_by_force(work: Work) -> None:
    work.put("a.txt", b"old")
    write = work.run(1)
    write("a.txt", "new")
    write("b.txt", "new")
    for name in ("a.txt", "b.txt"):
        (work.root / name).unlink()
    assert done() == [("unchanged", "b.txt"), ("refused", "a.txt")]
    assert done(force=True) == [("restored", "a.txt")]
    assert work.tree() == {"a.txt": b"old"}


def test_a_folder_that_somebody_uses_stays(work: Work) -> None:
    work.run(1)("x/y/a.txt", "made")
    work.put("x/theirs", b"")
    assert done() == [("removed", "a.txt")]
    assert work.tree() == {"x": None, "x/theirs": b""}


def test_nobody_who_puts_a_link_there_gets_anything_written_elsewhere(work: Work) -> None:
    outside = work.root.parent / "outside"
    outside.mkdir()
    (work.root / "src").mkdir()
    work.put("src/a.txt", b"old")
    work.put("b.txt", b"old")
    write = work.run(1)
    write("src/a.txt", "new")
    write("b.txt", "new")
    for path in (outside / "a.txt", work.root / "c.txt"):
        path.write_bytes(b"new")
    (work.root / "src").rename(work.root / "gone")
    (work.root / "src").symlink_to("../outside")
    (work.root / "b.txt").unlink()
    (work.root / "b.txt").symlink_to("c.txt")
    for force in (False, True):
        assert done(force=force) == [("refused", "b.txt"), ("refused", "a.txt")]
    assert (outside / "a.txt").read_bytes() == b"new"
    assert (work.root / "c.txt").read_bytes() == b"new"


def test_what_is_lost_is_said_and_the_rest_is_restored(work: Work) -> None:
    for name in ("a.txt", "b.txt"):
        work.put(name, name.encode())
    write = work.run(1)
    write("a.txt", "new")
    write("b.txt", "new")
    for image in images_of(state_folder(), run_id(1)).glob("*.before"):
        if image.read_bytes() == b"b.txt":
            image.unlink()
    undone = list(undo(None))
    assert actions(undone) == [("refused", "b.txt"), ("restored", "a.txt")]
    assert "earlier content cannot be read" in str(undone[0].why)
    work.root.rename(work.root.parent / "moved")
    assert "is not a folder" in str(next(undo(None)).why)


def test_a_run_that_nobody_knows_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="there is no run 'x'"):
        list(undo("x"))
    assert nothing_left() == "no run has written any files that could be restored"


# ---- beside others


class Waited:
    """Stands for the module `time` of whoever waits for a lock: tells that it waits."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._wait = threading.Event()  # never set

    def sleep(self, seconds: float) -> None:
        self.begun.set()
        self._wait.wait(seconds)


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> Waited:
    """Whoever waits for a lock has as much patience as a test has."""
    waits = Waited()
    monkeypatch.setattr("chatstream.files.time", waits)
    monkeypatch.setattr("chatstream.engine.undo.PATIENCE_SECONDS", LIMIT)
    monkeypatch.setattr("chatstream.engine.resume_tools.PATIENCE_SECONDS", LIMIT)
    return waits


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a lock."""
    monkeypatch.setattr("chatstream.engine.undo.PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("chatstream.engine.resume_tools.PATIENCE_SECONDS", 0.0)


def beside(do: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Do it on a thread of its own; what it returns, or what it raises, is put into the list."""
    came: list[object] = []

    def doing() -> None:
        try:
            came.append(do())
        except UsageError as error:
            came.append(error.message)

    thread = threading.Thread(target=doing, daemon=True)
    thread.start()
    return thread, came


def two_files(work: Work) -> Iterator[Undone]:
    """An undo of two files that has restored the first and is about to restore the other."""
    work.put("a.txt", b"old")
    write = work.run(1)
    write("a.txt", "new")
    write("b.txt", "made")
    undoing = undo(run_id(1))
    assert actions([next(undoing)]) == [("removed", "b.txt")]
    return undoing


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("run", [1, 2, None])
def test_no_other_undo_works_meanwhile(work: Work, run: int | None) -> None:
    work.run(2)("c.txt", "made")
    undoing = two_files(work)
    assert nothing_left(run) == "another process is undoing what a run has written"
    assert actions(list(undoing)) == [("restored", "a.txt")]
    assert done(2) == [("removed", "c.txt")]


def test_a_second_undo_waits_and_undoes_nothing_twice(work: Work, waited: Waited) -> None:
    work.run(0)("c.txt", "made")  # an earlier one, which nobody has asked to undo
    undoing = two_files(work)
    thread, came = beside(lambda: done(None))
    assert waited.begun.wait(LIMIT)
    assert actions(list(undoing)) == [("restored", "a.txt")]
    thread.join(LIMIT)
    assert came == [f"run {run_id(1)} has written no files, or they were restored already"]
    assert work.tree() == {"a.txt": b"old", "c.txt": b"made"}


@pytest.mark.usefixtures("impatient")
def test_who_leaves_an_undo_in_the_middle_keeps_nobody_out(work: Work) -> None:
    undoing = two_files(work)
    close(undoing)
    assert done(1) == [("restored", "a.txt")]


def record_of(number: int) -> Record:
    return read(find(runs_folder(), run_id(number)))


@pytest.mark.usefixtures("impatient")
def test_a_run_is_not_resumed_while_it_is_undone(work: Work) -> None:
    undoing = two_files(work)
    assert not is_running(find(runs_folder(), run_id(1))), "for the history it is over"
    with pytest.raises(UsageError) as raised:
        carried_on(Counting(), record_of(1))
    assert raised.value.message == f"what run {run_id(1)} has written is being undone"
    list(undoing)
    carried_on(Counting(), record_of(1)).runner.close()


def test_a_resume_waits_for_an_undo(work: Work, waited: Waited) -> None:
    undoing = two_files(work)
    thread, came = beside(lambda: carried_on(Counting(), record_of(1)).runner.close())
    assert waited.begun.wait(LIMIT)
    assert came == []
    list(undoing)
    thread.join(LIMIT)
    assert came == [None]


def test_a_run_is_not_undone_while_a_resume_begins(work: Work) -> None:
    work.run(1)("a.txt", "new")
    carried = carried_on(Counting(), record_of(1))  # it has no journal of its own yet
    assert nothing_left(1) == f"run {run_id(1)} has not ended yet"
    assert work.tree() == {"a.txt": b"new"}
    carried.runner.close()
    assert done(1) == [("removed", "a.txt")]


def test_a_run_that_was_resumed_meanwhile_is_undone_with_that(work: Work, waited: Waited) -> None:
    undoing = two_files(work)
    work.run(2)("c.txt", "first")
    thread, came = beside(lambda: done(2))
    assert waited.begun.wait(LIMIT)
    work.run(3, continues=2)("c.txt", "second")
    list(undoing)
    thread.join(LIMIT)
    assert came == [[("restored", "c.txt"), ("removed", "c.txt")]]


# ---- kill -9

KILLED = """
import os, signal, sys
from pathlib import Path
from chatstream.engine.undo import undo
from chatstream.store.outputs import images_of
from chatstream.store.place import state_folder
from chatstream.tools.builtin.base import share_memory
from chatstream.tools.registry import built_in
from tests.support.runs import run_id, write_run
from tests.support.toolcontext import result

CALLS = ("open", "mkdir", "rename", "replace", "link", "unlink", "rmdir", "fsync", "fchmod")
root, what = Path(sys.argv[1]), sys.argv[2]


def kill_at(number):
    left = [number]

    def killing(call):
        def called(*args, **more):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **more)
        return called

    for name in CALLS:
        setattr(os, name, killing(getattr(os, name)))
    os.supports_dir_fd.add(os.open)


def writes(run, number):
    (tool,) = tools = built_in(["write_file"], [root / str(number)])
    share_memory(tools, images_of(state_folder(), run))
    return lambda path, content: result(tool, path=path, content=content)


def work(number):
    write = writes(run_id(number), number)
    if what == "write":
        kill_at(number)
    write("a.txt", "new")
    write("x/y/b.txt", "made")
    if what == "undo-many":  # the same bytes twice, a file twice, and a run that was resumed
        write("same.txt", "new")
        write("a.txt", "newer")
        write = writes(run_id(number + 1000), number)
        write("same.txt", "newest")
        write("x/c.txt", "made")
    if what != "write":
        kill_at(number)
        list(undo(run_id(number)))


for number in range(1, 1000, int(sys.argv[3])):
    write_run(state_folder(), run_id(number), killed=True)
    if what == "undo-many":
        resumed = run_id(number + 1000)
        write_run(state_folder(), resumed, killed=True, continues=run_id(number))
    (root / str(number)).mkdir()
    for name in ("a.txt", "same.txt"):
        (root / str(number) / name).write_bytes(b"old\\r\\n")
        (root / str(number) / name).chmod(0o640)
    child = os.fork()
    if not child:
        work(number)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status):
        break
print(number)
"""


@pytest.mark.parametrize("what", ["write", "undo", "undo-many"])
def test_whenever_it_is_killed_everything_becomes_what_it_was(work: Work, what: str) -> None:
    step = by_size(7, 1) if what == "undo-many" else 1
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(work.root), what, str(step)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
        timeout=LIMIT,
    )
    moments = int(killed.stdout) - 1
    assert moments > 20
    left = set[int]()
    for number in range(1, moments + 1, step):
        left.add(len(work.tree()))
        with suppress(UsageError):  # it was killed before its first write, or after all was undone
            assert "refused" not in {it.action for it in undo(run_id(number))}
        folder = work.root / str(number)
        assert {it.name for it in folder.rglob("*")} == {"a.txt", "same.txt"}, number
        for name in ("a.txt", "same.txt"):
            assert (folder / name).read_bytes() == b"old\r\n", number
            assert (folder / name).stat().st_mode & 0o777 == 0o640, number
    assert len(left) > 1  # there was something to undo
