"""Real servers that nobody here wrote: `python3 -m tests.support.real.install` fetches them.

    llama.cpp   llama-server from Debian testing, with tiny models made here (make_tiny_gguf.py)
    nginx       from Debian testing
    tmux        from Debian testing, where the system has none
    zsh, fish   from Debian testing; bash is the system's
    bwrap       bubblewrap from Debian testing, where the system has none
    aimock      from npm: Ollama, OpenAI and Anthropic out of one file of fixtures
    MCP         server-everything, -filesystem and -memory from npm, which speak the older era of
                the protocol; mcp-server-time and -git from PyPI, which speak only the newer one

The folder is ${XDG_CACHE_HOME:-~/.cache}/chatstream-tests. Debian's packages are unpacked there
with their own libc and started through its loader: the system stays as it is, and no root is
needed. Every step is done once; an interrupted one is done again. What cannot be installed
raises `Unavailable`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.support.unavailable import Unavailable

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chatstream-tests"

SUITE = "forky"
PACKAGES = ("llama.cpp-tools", "nginx")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
GGUF = "gguf==0.19.0"
MAKER = Path(__file__).with_name("make_tiny_gguf.py")
AIMOCK = "1.43.0"
MCP_OLD = "2026.8.31"  # from npm
MCP_NEW = "2026.10.19"  # from PyPI
LIMIT = 600  # seconds for one command
MODELS: dict[str, tuple[str, ...]] = {
    "tiny": (),  # English-like Markdown with accents, CJK and emoji; ends by itself
    "tiny-think": ("--begin", "think"),  # <think>...</think>, then text
    "tiny-tool": ("--begin", "tool"),  # one tool call, and text after its result
    "tiny-long": ("--context", "65536"),  # for long streams: ignore_eos, max_tokens 60000
}


def debian() -> Path:
    """The folder where `PACKAGES` and all they depend on are unpacked."""
    return _once(CACHE / f"debian-{SUITE}", partial(_unpack_debian, packages=PACKAGES))


def tmux() -> list[str]:
    """How to run tmux: the system's, or one that is unpacked like `debian()`."""
    if found := shutil.which("tmux"):
        return [found]
    root = _once(CACHE / f"tmux-{SUITE}", partial(_unpack_debian, packages=("tmux",)))
    return unpacked(root, "usr/bin/tmux")


def shells() -> Path:
    """The folder where zsh and fish are unpacked like `debian()`."""
    return _once(CACHE / f"shells-{SUITE}", partial(_unpack_debian, packages=("zsh", "fish")))


def bwrap() -> Path:
    """The folder where a program called bwrap is: the system's, or one that is unpacked."""
    if found := shutil.which("bwrap"):
        return Path(found).parent
    return _once(CACHE / f"bwrap-{SUITE}", _install_bwrap) / "bin"


def unpacked(root: Path, program: str) -> list[str]:
    """How to run a program of `debian()`: with its own loader and libraries."""
    library = next(root.glob("usr/lib/*-linux-gnu"))
    loader = next(library.glob("ld-linux-*"))
    return [str(loader), "--library-path", f"{library}:{library / 'llama'}", str(root / program)]


def models() -> Path:
    """The folder of the tiny models, NAME.gguf for each of `MODELS`."""
    version = hashlib.sha256(MAKER.read_bytes() + repr(MODELS).encode()).hexdigest()[:8]
    return _once(CACHE / f"models-{version}", _make_models)


def aimock() -> Path:
    """The script that node runs to start aimock."""
    folder = _once(CACHE / f"aimock-{AIMOCK}", _install_aimock)
    return folder / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"


def mcp_server(name: str) -> list[str]:
    """How to run an MCP server: everything, filesystem, memory, time or git."""
    if name in ("time", "git"):
        root = _once(CACHE / f"mcp-new-{MCP_NEW}", _install_mcp_new)
        return [str(root / ".venv" / "bin" / "python"), "-m", f"mcp_server_{name}"]
    root = _once(CACHE / f"mcp-old-{MCP_OLD}", _install_mcp_old)
    package = root / "node_modules" / "@modelcontextprotocol" / f"server-{name}"
    return ["node", str(package / "dist" / "index.js")]


def mcp() -> Path:
    """The folder where all MCP servers are."""
    mcp_server("time")
    mcp_server("everything")
    return CACHE


def _unpack_debian(root: Path, packages: Sequence[str]) -> None:
    """apt with its own sources, lists and empty status, so that it fetches every dependency."""
    if platform.system() != "Linux" or not shutil.which("apt-get") or not KEYRING.exists():
        raise Unavailable(f"{packages[0]} needs apt-get and Debian's keyring")
    apt = root / ".apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} {SUITE} main\n")
    options = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "1",
    }
    apt_get = ["apt-get", *(f"-o{name}={value}" for name, value in options.items())]
    _run(*apt_get, "update")
    _run(*apt_get, "install", "--yes", "--download-only", "--no-install-recommends", *packages)
    for package in sorted((apt / "cache" / "archives").glob("*.deb")):
        _run("dpkg", "-x", package, root)
    shutil.rmtree(apt)


def _install_bwrap(root: Path) -> None:
    """With a script of its name around it, which names its loader."""
    _unpack_debian(root, ("bubblewrap",))
    place = CACHE / f"bwrap-{SUITE}"  # where `root` will be
    script = root / "bin" / "bwrap"
    script.parent.mkdir(exist_ok=True)
    words = [it.replace(str(root), str(place)) for it in unpacked(root, "usr/bin/bwrap")]
    script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    script.chmod(0o755)


def _mirror() -> str:
    """The Debian mirror this machine uses: `'BASE/dists/SUITE/InRelease' ...` gives BASE."""
    listed = _run("apt-get", "update", "--print-uris").split()
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    for uri in listed:
        base, found, _ = uri.strip("'").partition(f"/dists/{release}/")
        if found and base.endswith("debian"):
            return base
    raise Unavailable("apt-get knows no Debian mirror")


def _make_models(folder: Path) -> None:
    """With gguf (and its numpy) in a venv of their own: they are nobody's dependency here."""
    venv = folder / ".venv"
    _run(sys.executable, "-m", "venv", venv)
    _run(venv / "bin" / "python", "-m", "pip", "install", "--quiet", GGUF)
    for name, options in MODELS.items():
        _run(venv / "bin" / "python", MAKER, folder / f"{name}.gguf", *options)
    shutil.rmtree(venv)


def _install_aimock(folder: Path) -> None:
    if not shutil.which("npm") or not shutil.which("node"):
        raise Unavailable("aimock needs npm and node")
    (folder / "package.json").write_text('{"name": "chatstream-tests", "private": true}\n')
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts")
    _run("npm", "install", "--prefix", folder, *quiet, f"@copilotkit/aimock@{AIMOCK}")


def _install_mcp_old(folder: Path) -> None:
    if not shutil.which("npm") or not shutil.which("node"):
        raise Unavailable("the MCP servers of npm need npm and node")
    (folder / "package.json").write_text('{"name": "chatstream-tests", "private": true}\n')
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts")
    names = ("everything", "filesystem", "memory")
    packages = [f"@modelcontextprotocol/server-{it}@{MCP_OLD}" for it in names]
    _run("npm", "install", "--prefix", folder, *quiet, *packages)


def _install_mcp_new(folder: Path) -> None:
    """In a venv of their own, whose Python is run by its path: scripts of a moved venv fail."""
    venv = folder / ".venv"
    _run(sys.executable, "-m", "venv", venv)
    packages = [f"mcp-server-{it}=={MCP_NEW}" for it in ("time", "git")]
    _run(venv / "bin" / "python", "-m", "pip", "install", "--quiet", *packages)


def _once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, made by `make` under another name and renamed when it is whole."""
    if folder.exists():
        return folder
    with _lock():
        if folder.exists():
            return folder
        began = time.monotonic()
        _say(f"{folder.name}: installing")
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        make(partial)
        partial.rename(folder)
        _say(f"{folder.name}: installed in {time.monotonic() - began:.0f} s")
    return folder


@contextmanager
def _lock() -> Iterator[None]:
    """One installation at a time, over all processes of this user."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(*command: str | Path) -> str:
    """The command's standard output. Failing is Unavailable, with the end of what it printed."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{name} did not end within {LIMIT} s") from None
    if done.returncode:
        told = (done.stderr.strip() or done.stdout.strip())[-500:]
        raise Unavailable(f"{name} exited {done.returncode}: {told}")
    return done.stdout


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Install everything; say what could not be, and return 1 for it."""
    failed = False
    for step in (debian, models, aimock, tmux, shells, bwrap, mcp):
        try:
            _say(f"{step.__name__}: {step()}")
        except Unavailable as why:
            _say(f"{step.__name__}: unavailable: {why}")
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
