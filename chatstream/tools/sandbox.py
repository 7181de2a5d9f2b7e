"""The sandbox around the programs of tools: bubblewrap, or else Landlock, or else a warning.

1. A program sees the folders of the system, what is on PATH, and the roots. It writes in the roots
   and in a scratch folder, which is its home. It has no network, unless that is granted.
2. bubblewrap shows nothing else: no other process, no socket of the system. What holds keys by
   its name (`secrets`) at the top of a root is hidden, and so are the `closed` folders. Names
   deeper in a root are not checked.
3. Landlock makes the kernel refuse the rest. It cannot hide anything in a root, and has no rules
   for some things (see `landlock`); what is known of that is a warning.
4. "auto" takes the first one that works here. One that is chosen by its name, and does not work, is
   a `UsageError`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from chatstream.errors import UsageError
from chatstream.tools import landlock
from chatstream.tools.environment import environment
from chatstream.tools.secrets import holds_keys
from chatstream.tools.spawning import Order
from chatstream.wording import encodable

Choice = Literal["auto", "bwrap", "landlock", "off"]
Kind = Literal["bwrap", "landlock", "off"]
Reach = Literal["nothing", "all but TCP", "everything"]

_SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/sys"),
    *("/nix/store", "/gnu/store"),
)
_TOOLCHAINS = (
    ".pyenv",
    ".rbenv",
    ".nvm",
    ".volta",
    ".rustup",
    "go",
    ".local/lib",
    ".local/share/uv",
)
"""Readable folders of a home, which programs on `PATH` need. None of them has keys."""

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm")
_PROBE_SECONDS = 5.0
_TCP_VERSION = 4  # of Landlock


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """What programs may do. The `warnings` say what is not enforced, each in a line."""

    kind: Kind
    roots: Sequence[str]
    scratch: str
    readable: Sequence[str] = ()
    hidden: Sequence[str] = ()
    bwrap: str = "bwrap"
    warnings: Sequence[str] = ()
    reach: Reach = "everything"
    """What a program without the network can still reach."""

    def order(self, argv: Sequence[str], *, network: bool = False) -> Order:
        """How to start this program, in the first root."""
        env, cwd = environment(), self.roots[0]
        if self.kind == "off":
            return Order(argv=argv, env=env, cwd=cwd)
        env["HOME"] = env["TMPDIR"] = self.scratch
        if self.kind == "bwrap":
            argv = [*self._wrapped(network=network), *argv]
            return Order(argv=argv, env=env, cwd=cwd, wraps=True)
        rules = {
            "read": [*self.readable, "/proc", "/dev"],
            "write": [*self.roots, self.scratch, *(f"/dev/{it}" for it in _DEVICES)],
            "network": network,
        }
        return Order(argv=argv, env=env, cwd=cwd, landlock=rules)

    def _wrapped(self, *, network: bool) -> Iterator[str]:
        """bubblewrap and its options. Each one covers those before it."""
        yield from (self.bwrap, "--die-with-parent", "--new-session", "--cap-drop", "ALL")
        yield from ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
        if not network:
            yield "--unshare-net"
        yield from ("--tmpfs", "/tmp")
        for path in self.readable:
            yield from ("--ro-bind-try", path, path)
        for path in (*self.roots, self.scratch):
            yield from ("--bind", path, path)
        yield from ("--proc", "/proc", "--dev", "/dev")
        for path in self.hidden:
            is_folder = Path(path).is_dir()
            yield from ("--tmpfs", path) if is_folder else ("--ro-bind", "/dev/null", path)
        yield from ("--chdir", self.roots[0], "--")


def sandbox(
    choice: Choice,
    roots: Sequence[Path],
    scratch: Path,
    closed: Sequence[Path] = (),
    programs: Sequence[Path] = (),
) -> Sandbox:
    """The chosen sandbox, for programs that work in these roots. Raises `UsageError`.

    `programs` can be run wherever they are.
    """
    real = [os.path.realpath(it) for it in roots]
    for given, it in zip(roots, real, strict=True):
        if not Path(it).is_dir():
            raise UsageError(f"the root {given} is not a folder", hint="check --root")
    wanted = [*_readable(), *map(str, programs), *(os.path.realpath(it) for it in programs)]
    readable = list(_outermost(wanted))
    hidden = list(_hidden(real, closed))
    kind, bwrap, warnings = _chosen(choice)
    if kind == "landlock" and hidden:
        names = ", ".join(encodable(it) for it in hidden)
        warnings.append(f"Landlock cannot hide what is in a root: programs can read {names}")
    return Sandbox(
        kind=kind,
        roots=real,
        scratch=str(scratch),
        readable=readable,
        hidden=hidden,
        bwrap=bwrap or "bwrap",
        warnings=warnings,
        reach=_reach(kind),
    )


def _reach(kind: Kind) -> Reach:
    if kind == "bwrap":
        return "nothing"
    holds = kind == "landlock" and landlock.version() >= _TCP_VERSION
    return "all but TCP" if holds else "everything"


def _chosen(choice: Choice) -> tuple[Kind, str | None, list[str]]:
    """The kind, the program of bubblewrap, and the warnings about it."""
    bwrap, why = None, "it is not installed"
    if choice in {"auto", "bwrap"} and (bwrap := shutil.which("bwrap")):
        why = _failure_of(bwrap)
        if not why:
            return "bwrap", bwrap, []
    if choice == "bwrap":
        raise UsageError(
            f"bubblewrap cannot be used: {why}",
            hint="install the package bubblewrap, or leave the choice to --sandbox auto",
        )
    version = landlock.version() if choice in {"auto", "landlock"} else 0
    if version:
        words = "this kernel's Landlock does not keep programs off the network"
        return "landlock", None, [words] if version < _TCP_VERSION else []
    if choice == "landlock":
        raise UsageError(
            "this kernel has no Landlock", hint="it needs Linux 5.13; use --sandbox auto"
        )
    if choice == "auto":
        words = (
            "programs of tools run without a sandbox: neither bubblewrap nor Landlock works here"
        )
        return "off", None, [words]
    return "off", None, []


def _failure_of(bwrap: str) -> str:
    """Why this bubblewrap does not work; nothing if it does. Many systems forbid what it needs."""
    tried = [bwrap, "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "--proc", "/proc"]
    try:
        done = subprocess.run(
            [*tried, "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            env=environment(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    words = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return words[-1] if words else f"it ends with status {done.returncode}"


def _readable() -> Iterator[str]:
    """The folders of the system, and those of the programs on `PATH`."""
    yield from _SYSTEM
    given = [*os.environ.get("PATH", "").split(":"), os.environ.get("VIRTUAL_ENV", "")]
    home = os.path.realpath(Path.home())
    yield from (f"{home}/{it}" for it in _TOOLCHAINS)
    for path in dict.fromkeys([*given, sys.prefix, sys.base_prefix]):
        real = os.path.realpath(path)
        # If a home, or a folder above it, is on PATH, it is still not readable.
        if Path(path).is_absolute() and not Path(home).is_relative_to(real):
            yield from dict.fromkeys((path, real))


def _outermost(paths: Sequence[str]) -> Iterator[str]:
    """Those that are not inside another one. Each mount takes time, and so does each rule."""
    found = set(paths)
    for path in dict.fromkeys(paths):
        if found.isdisjoint(map(str, Path(path).parents)):
            yield path


def _hidden(roots: Sequence[str], closed: Sequence[Path]) -> Iterator[str]:
    """What is inside the roots and must not be seen."""
    for root in roots:
        with suppress(PermissionError):  # then its contents cannot be listed
            for it in sorted(Path(root).iterdir()):
                # If a link leads nowhere, bubblewrap would create its target.
                if holds_keys([it.name]) and os.path.exists(it):  # noqa: PTH110 - it never raises
                    yield os.path.realpath(it)
        for path in closed:
            real = os.path.realpath(path)
            if Path(real).is_relative_to(root) and Path(real).exists():
                yield real
