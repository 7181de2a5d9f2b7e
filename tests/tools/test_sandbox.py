"""The sandbox as a table: each kind against each thing that must not be done, every cell tried."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from chatstream.errors import UsageError
from chatstream.tools import landlock
from chatstream.tools import sandbox as module
from chatstream.tools.programs import run_program
from chatstream.tools.sandbox import Sandbox, sandbox
from chatstream.tools.spawning import Keeper
from tests.support.loopback import Reply, Script
from tests.support.processes import write_program
from tests.support.real.install import bwrap
from tests.support.toolcalls import Said
from tests.support.unavailable import skip_unavailable

KEY = "sk-the-key-of-this-test"

HELD: Mapping[str, Mapping[str, bool]] = {
    "write outside of the roots": {"bwrap": True, "landlock": True, "off": False},
    "read ~/.ssh": {"bwrap": True, "landlock": True, "off": False},
    "read .env in the root": {"bwrap": True, "landlock": False, "off": False},
    "connect out": {"bwrap": True, "landlock": True, "off": False},
    "read our keys in its environment": {"bwrap": True, "landlock": True, "off": True},
    "read our keys in our environment": {"bwrap": True, "landlock": True, "off": False},
    "send us a signal": {"bwrap": True, "landlock": True, "off": False},
}
"""What each kind holds; the README says what is not held."""

KINDS = [pytest.param("bwrap", marks=pytest.mark.real), "landlock", "off"]


class Desk:
    """A home with a project in it, which is the root; `run` runs a command in the sandbox."""

    def __init__(self, home: Path, kind: str) -> None:
        self.home, self.root = home, home / "project"
        for folder in (self.root, home / ".ssh"):
            folder.mkdir()
        (home / ".ssh" / "id_ed25519").write_text("SECRET")
        (self.root / ".env").write_text("SECRET")
        self.keeper = Keeper()
        self.sandbox = sandbox(kind, [self.root], self.keeper.scratch)  # type: ignore[arg-type]
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


@pytest.fixture(params=KINDS)
def desk(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    if request.param == "bwrap":
        with skip_unavailable():
            monkeypatch.setenv("PATH", f"{bwrap()}:{os.environ['PATH']}")
    if request.param == "landlock" and landlock.version() < 6:
        pytest.skip("this kernel's Landlock is older than version 6")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    made = Desk(tmp_path, request.param)
    with closing(made.keeper):
        yield made


@pytest.fixture
def other() -> Iterator[int]:
    """A process of this user, with our keys in its environment: as we are one."""
    with subprocess.Popen(["sleep", "1000"], env={**os.environ, "OPENAI_API_KEY": KEY}) as process:
        yield process.pid
        process.kill()


def test_each_cell_of_the_table(desk: Desk, other: int) -> None:
    assert {what: TRIED[what](desk, other) for what in HELD} == {
        what: held[desk.sandbox.kind] for what, held in HELD.items()
    }


def _writes(desk: Desk, other: int) -> bool:
    desk.sh(f"echo x > {desk.home}/outside; echo x > {desk.home}/.ssh/known_hosts")
    made = [desk.home / "outside", desk.home / ".ssh" / "known_hosts"]
    return not any(it.exists() for it in made)


def _reads_ssh(desk: Desk, other: int) -> bool:
    return (
        "SECRET" not in desk.sh(f"cat {desk.home}/.ssh/*; cat ~/.ssh/*; cat ../.ssh/id_ed25519")[0]
    )


def _reads_env(desk: Desk, other: int) -> bool:
    return "SECRET" not in desk.sh("cat .env; cat ./.e*; cp .env copy && cat copy")[0]


def _connects(desk: Desk, other: int) -> bool:
    with Script(Reply()) as listener:
        code = f"import socket; socket.create_connection(('127.0.0.1', {listener.port}), 5)"
        return desk.run(sys.executable, "-I", "-S", "-c", code)[1] != 0


def _has_keys(desk: Desk, other: int) -> bool:
    return KEY not in desk.sh("env")[0]


def _reads_keys(desk: Desk, other: int) -> bool:
    places = f"/proc/{other}/environ /proc/self/root/proc/{other}/environ /proc/*/environ"
    return KEY not in desk.sh(f"cat {places}")[0]


def _signals(desk: Desk, other: int) -> bool:
    return desk.sh(f"kill -0 {other}")[1] != 0


TRIED: Mapping[str, Callable[[Desk, int], bool]] = {
    "write outside of the roots": _writes,
    "read ~/.ssh": _reads_ssh,
    "read .env in the root": _reads_env,
    "connect out": _connects,
    "read our keys in its environment": _has_keys,
    "read our keys in our environment": _reads_keys,
    "send us a signal": _signals,
}


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
    assert (found.kind, found.warnings) == ("landlock", [])


def test_auto_warns_once_where_there_is_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_bwrap(tmp_path, monkeypatch)
    monkeypatch.setattr(landlock, "version", lambda: 0)
    found = made("auto", tmp_path)
    assert found.kind == "off"
    assert found.warnings == [
        "programs of tools run without a sandbox: bubblewrap and Landlock are not there"
    ]


def test_an_old_landlock_is_said_to_leave_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 3)
    (warning,) = made("landlock", tmp_path).warnings
    assert "network" in warning


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


def test_a_root_that_is_no_folder_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        made("off", tmp_path / "none")


def test_off_is_no_warning(tmp_path: Path) -> None:
    assert made("off", tmp_path).warnings == []


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
    assert not {str(tmp_path), str(tmp_path.parent), ".", os.getcwd()} & set(readable)  # noqa: PTH109
