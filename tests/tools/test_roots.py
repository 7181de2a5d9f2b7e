"""Nothing outside of the roots is reached, however a path is written and whatever stands in it.

Every test is run twice: the kernel opens what it can, or all is walked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatstream.errors import UsageError
from chatstream.tools.beneath import open_beneath
from chatstream.tools.roots import Roots
from chatstream.tools.tool import ToolFailure
from tests.support.descriptors import open_descriptors
from tests.support.sampling import by_size

SECRET = "the secret outside"
SWAPS = by_size(2000, 10_000)


def refusing(*_: object) -> int:
    """A kernel without `openat2`."""
    raise OSError(errno.ENOSYS, "")


@pytest.fixture(params=["kernel", "walk"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a path is opened."""
    if request.param == "walk":
        monkeypatch.setattr("chatstream.tools.roots.open_beneath", refusing)
    return str(request.param)


@contextlib.contextmanager
def walked() -> Iterator[None]:
    """Everything is walked in here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chatstream.tools.roots.open_beneath", refusing)
        yield


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root with a file in it, and a file outside."""
    root = tmp_path / "root"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.txt").write_text("inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text(SECRET)
    return root


def read(roots: Roots, path: str) -> str:
    with roots.file(path) as found:
        return os.read(found.descriptor, 1000).decode()


def code(roots: Roots, path: str) -> str:
    with pytest.raises(ToolFailure) as failure:
        read(roots, path)
    assert SECRET not in str(failure.value)
    return failure.value.code


@pytest.mark.parametrize(
    "path",
    [
        *("src/a.txt", "./src/a.txt", "src//a.txt", "src/./a.txt", "src/../src/a.txt"),
        *("inner", "deep", "absolute", "src/up", "folder/a.txt", "folder/../src/a.txt"),
    ],
)
def test_what_stays_inside_is_read(tree: Path, path: str) -> None:
    (tree / "inner").symlink_to("src/a.txt")
    (tree / "deep").symlink_to("inner")
    (tree / "absolute").symlink_to(tree / "src" / "a.txt")
    (tree / "src" / "up").symlink_to("../src/a.txt")
    (tree / "folder").symlink_to("src")
    assert read(Roots([tree]), path) == "inside"


def test_an_absolute_path_beneath_the_root_is_read(tree: Path) -> None:
    assert read(Roots([tree]), str(tree / "src" / "a.txt")) == "inside"


def test_an_absolute_path_by_another_name_of_the_root_is_read(tree: Path) -> None:
    name = tree.parent / "name"
    name.symlink_to(tree)
    for path in (name, tree):
        assert read(Roots([name]), str(path / "src" / "a.txt")) == "inside"


HOSTILE: list[str] = [
    *("../outside/secret.txt", "src/../../outside/secret.txt", "./../outside/secret.txt"),
    *("src/../../root/src/a.txt", "..", "/etc/passwd", "/", "//etc/passwd"),
    *("link", "chain", "folder/secret.txt", "src/folder/secret.txt", "above/outside/secret.txt"),
    *("absolute", "proc/self/root/etc/passwd", "proc/self/cwd/x", "{root}/../outside/secret.txt"),
]


@pytest.mark.parametrize("path", HOSTILE)
def test_nothing_leads_outside(tree: Path, path: str) -> None:
    (tree / "link").symlink_to("../outside/secret.txt")
    (tree / "chain").symlink_to("link")
    (tree / "folder").symlink_to("../outside")
    (tree / "src" / "folder").symlink_to("../../outside")
    (tree / "above").symlink_to("..")
    (tree / "absolute").symlink_to(tree.parent / "outside" / "secret.txt")
    (tree / "proc").symlink_to("/proc")
    assert code(Roots([tree]), path.format(root=tree)) == "outside"


@pytest.mark.parametrize("path", ["root/etc/passwd", "root", "cwd/etc/passwd", "exe", "fd/0", "ns"])
def test_the_links_of_proc_lead_nowhere_even_if_it_is_the_root(path: str) -> None:
    """They are no links but doors: the kernel does not look at what they read like."""
    roots = Roots([Path("/proc/self")])
    assert code(roots, path) in {"outside", "not_found", "unsuitable"}
    assert read(roots, "comm") == Path("/proc/self/comm").read_text()


def test_a_root_whose_name_begins_like_another_folder_is_not_that_folder(tree: Path) -> None:
    (tree.parent / "root-of-another").mkdir()
    (tree.parent / "root-of-another" / "a").write_text(SECRET)
    assert code(Roots([tree]), f"{tree}-of-another/a") == "outside"


def test_a_folder_that_is_replaced_by_a_link_on_the_way_leads_nowhere(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def swapping(path: str, *args: int, dir_fd: int | None = None) -> int:
        if path == "src":  # between the look and the opening
            (tree / "src").rename(tree / "gone")
            (tree / "src").symlink_to("../outside")
        return real(path, *args, dir_fd=dir_fd)

    monkeypatch.setattr("chatstream.tools.roots.open_beneath", refusing)
    monkeypatch.setattr(os, "open", swapping)
    monkeypatch.setattr(os, "supports_dir_fd", {swapping})
    with pytest.raises(ToolFailure):
        Roots([tree]).find("src/secret.txt")


def test_a_fifo_that_takes_the_place_of_a_file_does_not_block(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def swapping(path: str, *args: int, dir_fd: int | None = None) -> int:
        if path == "a.txt":
            (tree / "src" / "a.txt").unlink()
            os.mkfifo(tree / "src" / "a.txt")
        return real(path, *args, dir_fd=dir_fd)

    monkeypatch.setattr("chatstream.tools.roots.open_beneath", refusing)
    monkeypatch.setattr(os, "open", swapping)
    monkeypatch.setattr(os, "supports_dir_fd", {swapping})
    assert code(Roots([tree]), "src/a.txt") == "unsuitable"


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize("make", [os.mkfifo, _make_socket])
def test_what_is_no_regular_file_is_refused(tree: Path, make: Callable[[Path], None]) -> None:
    make(tree / "odd")
    (tree / "link").symlink_to("odd")
    assert code(Roots([tree]), "odd") == "unsuitable"
    assert code(Roots([tree]), "link") == "unsuitable"


def test_a_device_is_refused() -> None:
    assert code(Roots([Path("/dev")]), "zero") == "unsuitable"


@pytest.mark.parametrize(
    "name",
    [
        *(".env", ".ENV", ".env.local", ".env.production", ".envrc", ".ssh/id", ".ssh"),
        *("id_rsa", "src/id_ed25519", ".netrc", "_netrc", ".git-credentials", ".npmrc"),
        *("tls/server.key", "ca.PEM", "keys.kdbx", ".cargo/credentials.toml", ".config/gh/hosts"),
        *(".git/config", ".git/modules/x/config", ".git/config.worktree", ".aws/credentials"),
    ],
)
def test_what_holds_keys_is_refused_by_itself_and_through_a_link(tree: Path, name: str) -> None:
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SECRET)
    (tree / "harmless").symlink_to(name)
    (tree / "again").symlink_to("src/../harmless")
    for way in (name, f"src/../{name}", "harmless", "again", str(path)):
        assert code(Roots([tree]), way) == "private"


@pytest.mark.parametrize(
    "name",
    [
        ".env.example",
        ".environment",
        "config",
        ".git/HEAD",
        "id_rsa.pub",
        "env",
        "ssh",
        "key",
        "gh",
        ".key",
    ],
)
def test_what_is_called_alike_is_read(tree: Path, name: str) -> None:
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).write_text("inside")
    assert read(Roots([tree]), name) == "inside"


def test_our_own_folders_are_refused_also_if_they_are_made_later(tree: Path) -> None:
    roots = Roots([tree], closed=[tree / ".config" / "ours"])
    (tree / ".config" / "ours").mkdir(parents=True)
    (tree / ".config" / "ours" / "config.toml").write_text(SECRET)
    (tree / "link").symlink_to(".config/ours")
    assert code(roots, ".config/ours/config.toml") == "private"
    assert code(roots, "link/config.toml") == "private"


def test_a_root_inside_of_our_own_folder_is_a_mistake(tree: Path) -> None:
    with pytest.raises(UsageError, match="own folder"):
        Roots([tree / "src"], closed=[tree])


def test_a_root_that_is_no_folder_is_a_mistake(tree: Path) -> None:
    for path in (tree / "src" / "a.txt", tree / "gone"):
        with pytest.raises(UsageError, match="is not a folder"):
            Roots([path])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *(("gone", "not_found"), ("src/a.txt/x", "not_found"), ("src/a.txt/..", "not_found")),
        *(("src", "unsuitable"), ("loop", "failed"), ("x" * 300, "failed")),
        *(("a\0b", "unsuitable"), ("\ud800", "unsuitable"), ("dangling", "not_found")),
    ],
)
def test_each_failure_has_a_sentence_and_a_code(tree: Path, path: str, expected: str) -> None:
    (tree / "loop").symlink_to("loop")
    (tree / "dangling").symlink_to("gone")
    assert code(Roots([tree]), path) == expected


NOBODY = 65534


def test_what_the_user_may_not_read_is_said_to_be_so(tree: Path) -> None:
    (tree / "src" / "a.txt").chmod(0)
    roots, is_root = Roots([tree]), os.geteuid() == 0
    if is_root:  # who may read everything
        os.seteuid(NOBODY)
    try:
        assert code(roots, "src/a.txt") == "private"
    finally:
        if is_root:
            os.seteuid(0)


def test_a_mistyped_name_is_asked_about(tree: Path) -> None:
    with pytest.raises(ToolFailure, match=r"src/a\.tx does not exist; did you mean 'a\.txt'\?"):
        Roots([tree]).find("src/a.tx")


def test_a_relative_path_is_that_of_the_first_root_that_has_it(tree: Path) -> None:
    other = tree.parent / "other"
    other.mkdir()
    (other / "b.txt").write_text("of the other")
    roots = Roots([tree, other])
    assert read(roots, "b.txt") == "of the other"
    assert read(roots, "src/a.txt") == "inside"
    with roots.file("b.txt") as found:
        assert found.shown == str(other / "b.txt")
        assert read(roots, found.shown) == "of the other"


def test_a_name_that_is_not_utf8_is_shown_in_a_form_that_can_be_sent(tree: Path) -> None:
    os.close(os.open(os.fsencode(tree) + b"/caf\xe9", os.O_CREAT | os.O_WRONLY))
    with Roots([tree]).folder(".") as folder:
        shown = [folder.path_of(name) for name, _ in folder.entries()]
    assert r"caf\xe9" in shown


NAME = st.sampled_from(["a", "b", "src", "a.txt", "link", "..", ".", "", ".env", "root"])
PATH = st.lists(NAME, min_size=1, max_size=7).map("/".join)


def answer(roots: Roots, path: str) -> object:
    """What becomes of a path: the file or folder that it leads to, and its name, or the failure."""
    try:
        with roots.find(path) as found:
            status = os.fstat(found.descriptor)
            return found.kind, found.shown, found.parts, status.st_dev, status.st_ino
    except ToolFailure as failure:
        return failure.code, failure.message


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(PATH, PATH | PATH.map("/{}".format)), max_size=6), st.lists(PATH))
def test_whatever_links_there_are_what_is_read_is_the_file_inside(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[str, str]], paths: list[str]
) -> None:
    base = tmp_path_factory.mktemp("links")
    root = base / "root"
    for folder in (base, base / "src", root, root / "src", root / "src" / "a"):
        folder.mkdir(exist_ok=True)
        (folder / "a.txt").write_text("inside" if folder.is_relative_to(root) else SECRET)
    (root / ".env").write_text(SECRET)
    for at, target in links:
        place = Path(os.path.normpath(root / at.lstrip("/")))
        target = f"{base}{target}" if target.startswith("/") else target
        if place.is_relative_to(base):
            with contextlib.suppress(OSError, ValueError):
                place.symlink_to(target)
    roots = Roots([root])
    for path in (*paths, *(at for at, _ in links)):
        by_the_kernel = answer(roots, path)
        with walked():
            assert answer(roots, path) == by_the_kernel
        with contextlib.suppress(ToolFailure), roots.file(path) as found:
            assert os.read(found.descriptor, 1000) == b"inside"
            if not path.startswith("/"):
                assert os.path.samestat(os.fstat(found.descriptor), (root / path).stat())


def test_no_descriptor_is_left_open(tree: Path) -> None:
    (tree / "src" / "fifo").symlink_to("/dev/zero")
    roots = Roots([tree])
    before = open_descriptors()
    read(roots, "src/../src/a.txt")
    for path in ("src/fifo", "src/gone", "../x", "src/a.txt/x", "src/../..", "src"):
        code(roots, path)
    with roots.folder("src") as folder, folder.open("a.txt"):
        list(folder.entries())
    assert open_descriptors() == before


@pytest.mark.parametrize("way", ["kernel"], indirect=True)
@pytest.mark.parametrize("path", ["src/a.txt", "src", ".", "", "src/", "./src//a.txt"])
def test_the_kernel_opens_a_path_without_links_by_itself(
    tree: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Roots, "_step", None)
    with Roots([tree], closed=[tree / "ours"]).find(path) as found:
        assert os.path.samestat(os.fstat(found.descriptor), (tree / path).stat())


def test_a_closed_folder_is_refused_under_every_name_that_it_has(tree: Path) -> None:
    (tree / "ours").mkdir()
    (tree / "ours" / "a").write_text(SECRET)
    (tree / "kept.toml").write_text(SECRET)
    os.link(tree / "kept.toml", tree / "harmless")
    roots = Roots([tree], closed=[tree / "ours", tree / "kept.toml"])
    for path in ("ours/a", "ours", "harmless", "kept.toml"):
        assert code(roots, path) == "private"
    (tree / "ours").rename(tree / "other")
    (tree / "ours").symlink_to("other")
    assert code(roots, "other/a") == "private"


def test_what_takes_the_place_of_a_file_that_was_looked_at_is_looked_at_too(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "ours").write_text(SECRET)

    def swapping(folder: int, path: str, flags: int) -> int:
        if path == "a.txt":  # the last of the steps
            (tree / "src" / "a.txt").unlink()
            os.link(tree / "ours", tree / "src" / "a.txt")
        return open_beneath(folder, path, flags)

    monkeypatch.setattr("chatstream.tools.roots.open_beneath", swapping)
    assert code(Roots([tree], closed=[tree / "ours"]), "src/a.txt") == "private"


@pytest.mark.parametrize("name", ["a.txt", "src"])
def test_whoever_swaps_links_under_load_gets_nothing_out(tree: Path, name: str) -> None:
    """A file, or the folder that it is in, is now itself and now a link to what is outside."""
    (tree.parent / "outside" / "a.txt").write_text(SECRET)
    at = tree / "src" / name if name == "a.txt" else tree / name
    kept, link, over = tree / "kept", tree / "link", threading.Event()
    target = tree.parent / "outside"
    link.symlink_to(target / "a.txt" if name == "a.txt" else target)

    def swap() -> None:
        while not over.is_set():
            at.rename(kept)
            link.rename(at)
            at.rename(link)
            kept.rename(at)

    swapping = threading.Thread(target=swap)
    swapping.start()
    roots, answers = Roots([tree]), set[str]()
    try:
        for _ in range(SWAPS):
            try:
                answers.add(read(roots, "src/a.txt"))
            except ToolFailure as failure:
                answers.add(failure.code)
    finally:
        over.set()
        swapping.join(10)
    assert "inside" in answers
    assert answers <= {"inside", "outside", "not_found", "failed", "private"}
    assert len(answers) > 1  # it did happen in the middle of looking
