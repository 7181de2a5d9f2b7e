"""The sandbox as a table: each kind against each thing that must not be done, every cell tried."""

from __future__ import annotations

import json
import os
import select
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from chatstream.errors import UsageError
from chatstream.tools import landlock
from chatstream.tools import sandbox as module
from chatstream.tools.builtin.shells import Shell
from chatstream.tools.executables import Described, Executable
from chatstream.tools.programs import run_program
from chatstream.tools.sandbox import Kind, Sandbox, sandbox
from chatstream.tools.spawning import Keeper
from tests.support.client import run
from tests.support.loopback import Reply, Script
from tests.support.processes import write_program
from tests.support.sandboxes import KINDS
from tests.support.toolcalls import Said

KEY = "sk-the-key-of-this-test"
ROOT = Path(__file__).parents[2]


def readme() -> Mapping[str, Mapping[str, bool]]:
    """The table of the README: whether a program can do this, in each kind of sandbox."""
    text = (ROOT / "README.md").read_text()
    lines = text.partition("| A program could… |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [[it.strip() for it in line.strip("|").split("|")] for line in lines]
    known = {"no": False, "**yes**": True}
    return {what: {k: known[it] for k, it in zip(KINDS, its, strict=True)} for what, *its in cells}


class Desk:
    """A home with a project in it, which is the root; `run` runs a command in the sandbox."""

    def __init__(self, home: Path, kind: Kind) -> None:
        self.home, self.root = home, home / "project"
        for folder in (self.root, self.root / "deeper", home / ".ssh"):
            folder.mkdir()
        (home / ".ssh" / "id_ed25519").write_text("SECRET")
        for it in (self.root, self.root / "deeper"):
            (it / ".env").write_text("SECRET")
        self.keeper = Keeper()
        self.sandbox = sandbox(kind, [self.root], self.keeper.scratch)
        assert self.sandbox.kind == kind

    def run(self, *argv: str, network: bool = False) -> tuple[str, int | None]:
        """What a program puts out, and its status."""
        said = Said()
        order = self.sandbox.order(argv, network=network)
        status = run_program(self.keeper, order, said.context).exit_status
        return said.text, status

    def sh(self, command: str) -> tuple[str, int | None]:
        """The same for a command."""
        return self.run("/bin/sh", "-c", command)


@pytest.fixture
def desk(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    made = Desk(tmp_path, kind)
    with closing(made.keeper):
        yield made


@pytest.fixture
def other() -> Iterator[int]:
    """A process of this user, with our keys in its environment: as we are one."""
    with subprocess.Popen(["sleep", "1000"], env={**os.environ, "OPENAI_API_KEY": KEY}) as process:
        yield process.pid
        process.kill()


Run = Callable[[str], str]
"""What a command prints, which a tool runs."""


def by_shell(desk: Desk) -> Run:
    """By `shell`."""
    tool = Shell(desk.keeper, desk.sandbox)

    def run(command: str) -> str:
        said = Said()
        tool.run({"command": command}, said.context)
        return said.text

    return run


def by_executable(desk: Desk) -> Run:
    """By an executable, as `--tool-exec` has it."""

    def run(command: str) -> str:
        said, path = Said(), write_program(desk.root / "own", f"#!/bin/sh\n{command}\n")
        Executable(path, Described("own", ""), desk.keeper, desk.sandbox).run({}, said.context)
        return said.text

    return run


@pytest.mark.parametrize("by", [by_shell, by_executable])
def test_each_cell_of_the_table_in_the_readme(
    desk: Desk, by: Callable[[Desk], Run], other: int
) -> None:
    said = readme()
    assert said.keys() == TRIED.keys()
    run = by(desk)
    tried = {what: can(desk, run, other) for what, can in TRIED.items()}
    assert tried == {what: cells[desk.sandbox.kind] for what, cells in said.items()}


def _changes(desk: Desk, run: Run, other: int) -> bool:
    (desk.root / "here").write_text("as it was")
    run("echo changed > here")
    return (desk.root / "here").read_text() == "changed\n"


def _writes(desk: Desk, run: Run, other: int) -> bool:
    run(f"echo x > {desk.home}/outside; echo x > {desk.home}/.ssh/known_hosts; echo x > ../beside")
    made = ("outside", "beside", ".ssh/known_hosts")
    return any((desk.home / it).exists() for it in made)


def _chmods(desk: Desk, run: Run, other: int) -> bool:
    file = desk.home / "file"
    file.touch(0o644)
    run(f"chmod 600 {file}; touch -d 2001-01-01 {file}")
    return file.stat().st_mode & 0o777 == 0o600 or file.stat().st_mtime < 1e9


def _reads_ssh(desk: Desk, run: Run, other: int) -> bool:
    return "SECRET" in run(f"cat {desk.home}/.ssh/*; cat ~/.ssh/*; cat ../.ssh/id_ed25519")


def _reads_env(desk: Desk, run: Run, other: int) -> bool:
    return "SECRET" in run("cat .env; cat ./.e*; cp .env copy && cat copy")


def _reads_deeper(desk: Desk, run: Run, other: int) -> bool:
    return "SECRET" in run("cat deeper/.env")


def _python(code: str) -> str:
    return shlex.join([sys.executable, "-I", "-S", "-c", f"import socket; {code}"])


def _connects(desk: Desk, run: Run, other: int) -> bool:
    with Script(Reply()) as listener:
        code = f"socket.create_connection(('127.0.0.1', {listener.port}), 5); print('connected')"
        return "connected" in run(_python(code))


def _sends(desk: Desk, run: Run, other: int) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        place = receiver.getsockname()
        run(_python(f"socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', {place})"))
        return bool(select.select([receiver], [], [], 0)[0])


def _reaches(desk: Desk, run: Run, other: int) -> bool:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/it"  # a short one
        listener.bind(path)
        listener.listen()
        run(_python(f"socket.socket(socket.AF_UNIX).connect({path!r})"))
        return bool(select.select([listener], [], [], 0)[0])


def _signals(desk: Desk, run: Run, other: int) -> bool:
    return "sent" in run(f"kill -0 {other} && echo sent")


def _has_keys(desk: Desk, run: Run, other: int) -> bool:
    return KEY in run("env; cat /proc/self/environ")


def _reads_keys(desk: Desk, run: Run, other: int) -> bool:
    return KEY in run(f"cat /proc/{other}/environ /proc/self/root/proc/{other}/environ")


TRIED: Mapping[str, Callable[[Desk, Run, int], bool]] = {
    "change files in the roots": _changes,
    "write outside the roots": _writes,
    "change the mode or times of files outside the roots": _chmods,
    "read `~/.ssh`": _reads_ssh,
    "read `.env` in a root": _reads_env,
    "read `.env` deeper in a root": _reads_deeper,
    "connect out over TCP": _connects,
    "send out over UDP": _sends,
    "reach a Unix socket outside the roots": _reaches,
    "send a signal to other programs": _signals,
    "read keys in its own environment": _has_keys,
    "read keys in chatstream's environment": _reads_keys,
}
"""Whether it can be done, by what the README calls it. `other` is a process with our keys."""


@pytest.mark.serial
def test_the_keys_of_the_command_itself(kind: Kind, tmp_path: Path) -> None:
    looks = json.dumps({"command": "env; cat /proc/*/environ | tr '\\0' '\\n'"})
    asked = ["--sandbox", kind, "--root", str(tmp_path), "--allow", "shell"]
    done = run(["tools", "call", *asked, "shell", looks], OPENAI_API_KEY=KEY)
    assert "PATH=" in done.stdout.decode()
    assert (KEY in done.stdout.decode()) == readme()["read keys in chatstream's environment"][kind]


def test_a_program_works_in_the_root_and_has_a_home(desk: Desk) -> None:
    said, status = desk.sh("pwd; echo made > here; mkdir sub; mv here sub/there; cat sub/there")
    assert (said, status) == (f"{desk.root}\nmade\n", 0)
    assert (desk.root / "sub" / "there").read_text() == "made\n"
    if desk.sandbox.kind != "off":
        assert desk.sh("echo kept > ~/note; cd; cat $TMPDIR/note")[0] == "kept\n"
        assert (desk.keeper.scratch / "note").exists()


def test_the_sandbox_itself_is_not_taken_for_a_program_that_is_left(desk: Desk) -> None:
    order = desk.sandbox.order(["true"])
    texts = {run_program(desk.keeper, order, Said().context).text for _ in range(20)}
    assert texts == {""}


def test_a_program_that_may_has_the_network(desk: Desk) -> None:
    with Script(Reply()) as listener:
        code = f"import socket; socket.create_connection(('127.0.0.1', {listener.port}), 5)"
        assert desk.run(sys.executable, "-I", "-S", "-c", code, network=True)[1] == 0


def test_devices_and_proc_are_there(desk: Desk) -> None:
    command = "echo x > /dev/null && head -c 1 /dev/urandom > f && cat /proc/self/stat > g"
    assert desk.sh(command)[1] == 0


def test_a_program_can_be_run_wherever_it_is(desk: Desk) -> None:
    path, link = write_program(desk.home / "own", "#!/bin/sh\necho done\n"), desk.home / "link"
    link.symlink_to(path)
    kind = desk.sandbox.kind
    desk.sandbox = sandbox(kind, [desk.root], desk.keeper.scratch, programs=[link])
    assert desk.run(str(link)) == ("done\n", 0)


# ---- the choice


def broken_bwrap(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_program(folder / "bwrap", "#!/bin/sh\necho 'bwrap: No permissions' >&2\nexit 1\n")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def made(kind: module.Choice, root: Path) -> Sandbox:
    return sandbox(kind, [root], root / "scratch")


def test_auto_takes_landlock_where_bubblewrap_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_bwrap(tmp_path, monkeypatch)
    monkeypatch.setattr(landlock, "version", lambda: 4)
    found = made("auto", tmp_path)
    assert (found.kind, found.warnings, found.reach) == ("landlock", [], "all but TCP")


def test_auto_warns_once_where_there_is_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_bwrap(tmp_path, monkeypatch)
    monkeypatch.setattr(landlock, "version", lambda: 0)
    found = made("auto", tmp_path)
    assert found.kind == "off"
    assert found.warnings == [
        "programs of tools run without a sandbox: neither bubblewrap nor Landlock works here"
    ]


def test_an_old_landlock_is_said_to_leave_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 3)
    found = made("landlock", tmp_path)
    (warning,) = found.warnings
    assert "network" in warning
    assert found.reach == "everything"


def test_a_link_to_what_is_not_there_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("nowhere")
    assert sandbox("off", [tmp_path], tmp_path / "scratch").hidden == []


def test_landlock_says_which_secrets_it_cannot_hide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 6)
    (tmp_path / ".env").touch()
    (tmp_path / "private").mkdir()
    found = sandbox("landlock", [tmp_path], tmp_path / "scratch", [tmp_path / "private"])
    (warning,) = found.warnings
    assert f"{tmp_path}/.env" in warning
    assert f"{tmp_path}/private" in warning


def test_what_is_asked_for_by_name_must_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_bwrap(tmp_path, monkeypatch)
    with pytest.raises(UsageError, match="bubblewrap cannot be used: bwrap: No permissions"):
        made("bwrap", tmp_path)
    monkeypatch.setattr(landlock, "version", lambda: 0)
    with pytest.raises(UsageError, match="no Landlock"):
        made("landlock", tmp_path)


def test_a_root_that_is_not_a_folder_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        made("off", tmp_path / "none")


def test_off_needs_no_warning(tmp_path: Path) -> None:
    found = made("off", tmp_path)
    assert (found.warnings, found.reach) == ([], "everything")


def test_what_is_in_a_readable_folder_is_not_named_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, beside = tmp_path / "own" / "bin", tmp_path / "own-too"
    inner.mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{inner}:{inner.parent}:{beside}:/usr/bin:/usr/local/bin")
    readable = list(made("off", tmp_path).readable)
    assert {str(inner.parent), str(beside), "/usr"} <= set(readable)
    assert not {str(inner), "/usr/bin", "/usr/local/bin"} & set(readable)
    assert len(readable) == len(set(readable))


def test_a_home_on_the_path_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{tmp_path}:{tmp_path.parent}:.:/usr/bin")
    readable = made("off", tmp_path).readable
    assert f"{tmp_path}/bin" in readable
    assert not {str(tmp_path), str(tmp_path.parent), ".", str(Path.cwd())} & set(readable)
