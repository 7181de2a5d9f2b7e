"""Odd values, and command lines made of them: what people mistype, paste and script by accident.

Commands and their options come from the command line itself, settings from their own table, so a
new one is tried without a word here. Number I of a seed is always the same line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from typer.main import get_command

from chatstream.cli.app import app
from chatstream.engine.settings import FIELDS
from chatstream.engine.shapes import Misfit, fitted

NUMBERS = [
    *("inf", "-inf", "nan", "NaN", "Infinity", "1e20", "1e400", "-1e400", "-0", "-1", "0", "1"),
    *("0.0", "1e-320", "0x10", "1_000", " 5 ", "+5", "5.", ".5", "1e3", "5s", "5,0", "5 000"),
    *(
        "9" * 19,
        "9" * 30,
        "9" * 5000,
        "18446744073709551616",
        "2147483648",
        "\uff11\uff12",
        "\u00bd",
        "\u0663",
    ),
    *("true", "null", "[1]", "--5"),
]
TEXTS = [
    *("", " ", "\t", "\n", "-", "--", "---", "a b", "日本", "e\u0301", "\ufeff", "\u202e", "😀"),
    *("caf\udce9", "\udcc3\udca9", "\x1b[31m", "\x07", "\r", "{}", "{0}", "%s", "%", "'"),
    *('"', "\\", "`", "$(x)", "a=b", "a@b", "@", "@@", "@openai", "x@nope", "[bold]", "[/]", ":x:"),
    *("x" * 300, "y" * 9000, "None", "null", "../..", "con", "--help", "#"),
]
ADDRESSES = [
    *("http://", "https://", "://", "http://[", "http://[::1", "http://]", "::1", "[::1]:80"),
    *("http://127.0.0.1:99999", "http://127.0.0.1:-1", "http://127.0.0.1:x", "127.0.0.1:0"),
    *("ftp://127.0.0.1", "file:///etc/passwd", "http://127.0.0.1:9", "http://a b", "http://ü.test"),
    *(
        "http://user:pa ss@127.0.0.1:9",
        "http://127.0.0.1:9/?k=v#f",
        "http://127.0.0.1:9/\n",
        "http:",
    ),
    *("socks5://127.0.0.1:9", "http://" + "a" * 70 + ".test", "http://x..test", "http://\udce9"),
    *("http://127.1:9", "http://0x7f.1:9", "http://127.0.0.1:9 ", "'http://127.0.0.1:9'"),
]
PAIRS = [
    *("=", "a", "a=", "=a", "a=NaN", "a=Infinity", "a=1e400", "a=" + "9" * 400, "a=" + "9" * 5000),
    *(
        'a="\\ud800"',
        "a=" + "[" * 500,
        "a=" + "[" * 100_000,
        'a={"a":',
        "a=null",
        "a={}",
        "a=[[1]]",
    ),
    *("caf\udce9=1", "a=caf\udce9", "model=1", "messages=1", "stream=maybe", "stream=false"),
    *("a=18446744073709551616", "a=-9223372036854775809", "temperature=nan", "a.b=1", " a = 1 "),
]
USUAL = [
    *(
        "1",
        "2",
        "0.5",
        "100",
        "5000",
        "true",
        "10",
        "hi",
        "demo",
        "demo-fast",
        "a=1",
        "show",
        "stop",
        "dark",
        "bell",
    ),
    *("text", "folder", "new.csv", "none", "fixed", "latin-1", "errors>0", "markdown"),
]
"""Values that fit somewhere: the rest of the line is not always wrong."""

WORDS = ["openai", "demo", "ollama", "anthropic", "llamacpp", "nope", "show", "hide", "continue"]
GATES = ["ttft.p50>500ms", "ttft>", ">", "ttft.p50>nanms", "ttft.p50>1e400ms", "errors>-1", "a>b%"]
STDIN = [
    *(b"", b"", b"piped", b"caf\xe9", b"\xef\xbb\xbfhi", "hi".encode("utf-16"), b"\xff\xfe\x00"),
    *(
        b"\x00" * 1000,
        b"```\n",
        b"\x1b[31m",
        b'{"type":"metadata"}\n',
        b"nonsense\n",
        b"[" * 100_000,
    ),
    b'{"type":"done","seq":0,"t":1e999}\n',
]
LINES = [
    *("", "=", "[", "a = ", "[profiles]", "profiles = 1", "profile = 1", "[profiles.x]\na=1"),
    *("\ufeffretries = 1", "retries = 1\nretries = 2", "x = " + "[" * 1000, "x = " + "9" * 5000),
    *("options = 1", "[options]\na = 1979-05-27", "[options]\na = nan", "[options]\na = 1e400"),
    *("[strategies]\na = []", "[strategies]\na = 1", "strategies = 1", "\x00", 'model = "\\u0000"'),
    *("proxy = ['http://127.0.0.1:9']", "[options]\na = " + "9" * 400, "[options.a.b.c]\nd = inf"),
]
SHARES = {"ask": 12, "compare": 4, "bench": 4, "resume": 4, "replay": 4}
SHARES |= dict.fromkeys(("chat", "doctor", "models"), 3)
"""How often a command comes; any other once."""

UNUSABLE = {"--install-completion", "--self-test"}
"""The first changes the shell's files, the second measures for 5 s."""


@dataclass(frozen=True)
class Line:
    """A command line and what is around it."""

    arguments: list[str]
    environ: dict[str, str]
    config: str | None
    stdin: bytes
    encoding: str
    is_full: bool

    def __str__(self) -> str:
        parts = [
            json.dumps(it if len(it) < 80 else f"{it[:60]}…{len(it)}") for it in self.arguments
        ]
        parts += [f"{name}={value[:80]!r}" for name, value in self.environ.items()]
        if self.config is not None:
            parts.append(f"config: {self.config[:120]!r}")
        if self.stdin:
            parts.append(f"stdin: {self.stdin[:40]!r}")
        if self.encoding != "utf-8" or self.is_full:
            parts.append(f"stdout: {self.encoding}{', full' * self.is_full}")
        return "  ".join(parts)


@cache
def commands() -> dict[tuple[str, ...], Any]:
    """Every command that there is, by its words; groups too."""

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        yield words, command
        if hasattr(command, "list_commands"):
            for name in command.list_commands(None):
                yield from walk(command.get_command(None, name), (*words, name))

    return dict(walk(get_command(app), ()))


def paths(folder: Path) -> list[str]:
    """Places that are odd to read or to write."""
    names = {
        "text": b"text\n",
        "bytes": b"caf\xe9",
        "mark": b"\xef\xbb\xbfx",
        "fence": b"````\n",
        "empty": b"",
        "run.jsonl": b'{"type":"metadata","seq":0,"t":0.0,"version":1,"run":"r"}\n',
        "whole.jsonl": b'{"type":"metadata","version":1,"run":"r","started_at":"x","seq":0,'
        b'"t":0.0}\n{"type":"content","delta":"hi","seq":1,"t":0.1}\n'
        b'{"type":"error","code":"cancelled","message":"m","recoverable":false,"partial":true,'
        b'"seq":2,"t":0.2}\n',
        "deep.json": b'{"type":"result","x":' + b"[" * 100_000,
        "a\n\x1bb": b"x",
    }
    for name, data in names.items():
        (folder / name).write_bytes(data)
    (folder / "folder").mkdir(exist_ok=True)
    if not (folder / "loop").is_symlink():
        (folder / "loop").symlink_to("loop")
    Path(os.fsdecode(bytes(folder) + b"/caf\xe9")).write_bytes(b"x")
    made = [str(folder / name) for name in (*names, "folder", "loop", "missing", "text/x", "no/x")]
    return [
        *made,
        os.fsdecode(bytes(folder) + b"/caf\xe9"),
        *("/dev/null", "/dev/full", "/", ".", "..", "-", "./-", "/" + "n" * 300, "/x" * 3000),
        *("/proc/self/mem", "/dev/stdin", "/nonexistent/\udce9", "~", "/dev/fd/99"),
    ]


def _takes(option: Any, value: str) -> bool:
    try:
        option.type.convert(value, option, None)
    except Exception:  # whatever it raises, the value is not a usual one
        return False
    return option.multiple or option.name not in FIELDS or _fits(option.name, value)


def _fits(setting: str, value: str) -> bool:
    try:
        fitted(FIELDS[setting].type, value)
    except Misfit:
        return False
    return True


class Maker:
    """Makes the lines. `url` is a server on loopback, `folder` one for odd files."""

    def __init__(self, seed: int, url: str, folder: Path) -> None:
        self._seed = seed
        self._url = url
        self._folder = folder
        self._usual_values = [
            *USUAL,
            *(str(folder / it) for it in ("text", "whole.jsonl", "folder")),
        ]
        self._known: dict[tuple[str, ...], list[str]] = {}
        self._pools = [NUMBERS, TEXTS, ADDRESSES, PAIRS, paths(folder), WORDS, GATES]

    def make(self, number: int) -> Line:
        """The line of this number."""
        chance = Random(f"{self._seed} {number}")
        shares = [SHARES.get(words[0] if words else "", 1) for words in commands()]
        (words,) = chance.choices(list(commands()), shares)
        arguments = [*words, *self._usual(words, chance)]
        options = [it for it in commands()[words].params if it.param_type_name == "option"]
        for option in chance.sample(options, min(len(options), chance.choice((0, 1, 1, 1, 2)))):
            arguments += self._option(option, chance)
        for argument in commands()[words].params:
            if argument.param_type_name == "argument" and chance.random() < 0.7:
                arguments += [self._often_usual(chance) for _ in range(abs(argument.nargs))]
        if chance.random() < 0.05:
            arguments.insert(chance.randrange(len(arguments) + 1), self._value(chance))
        return Line(
            [it for it in arguments if it not in UNUSABLE],
            self._environ(chance),
            self._config(chance) if chance.random() < 0.15 else None,
            chance.choice(STDIN) if chance.random() < 0.3 else b"",
            chance.choice(["utf-8"] * 6 + ["ascii", "cp1252", "utf-16"]),
            chance.random() < 0.05,
        )

    def _usual(self, words: tuple[str, ...], chance: Random) -> list[str]:
        """What leads to the server, and keeps a benchmark short."""
        if words[:1] == ("bench",):
            return ["-n", "1", "-m", "t=3", "-p", "openai", "--base-url", f"{self._url}/v1"]
        if words[:1] not in {("ask",), ("doctor",), ("models",), ("resume",)}:
            return []
        if words == ("doctor",) and chance.random() < 0.5:  # its argument is the address
            return ["-m", "t=3"]
        if chance.random() < 0.3:
            return ["-p", "demo", *(["-m", "demo-fast"] if words != ("models",) else [])]
        server = ["-p", "openai", "--base-url", f"{self._url}/v1"]
        return server if words == ("models",) else [*server, "-m", "t=3"]

    def _option(self, option: Any, chance: Random) -> list[str]:
        name = chance.choice([*option.opts, *option.secondary_opts])
        if option.is_flag:
            return [name]
        value = (
            chance.choice(self._fitting(option)) if chance.random() < 0.5 else self._value(chance)
        )
        return [f"{name}={value}"] if chance.random() < 0.3 else [name, value]

    def _value(self, chance: Random) -> str:
        return chance.choice(chance.choice(self._pools))

    def _fitting(self, option: Any) -> list[str]:
        """Usual values that this option takes."""
        key = (option.name, *option.opts)
        if key not in self._known:
            self._known[key] = [it for it in self._usual_values if _takes(option, it)] or [""]
        return self._known[key]

    def _often_usual(self, chance: Random) -> str:
        return chance.choice(self._usual_values) if chance.random() < 0.5 else self._value(chance)

    def _environ(self, chance: Random) -> dict[str, str]:
        found = {}
        for name in chance.sample(list(FIELDS), chance.choice((0, 0, 0, 0, 1, 2))):
            usual = [it for it in self._usual_values if _fits(name, it)] or [""]
            value = chance.choice(usual) if chance.random() < 0.5 else self._value(chance)
            if name != "retries":  # a server that is not there would be asked for ever
                found[f"CHATSTREAM_{name.upper()}"] = value
        for name in ("HTTP_PROXY", "XDG_STATE_HOME", "CHATSTREAM_CONFIG", "CHATSTREAM_PROFILE"):
            if chance.random() < 0.02:
                found[name] = self._value(chance)
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OLLAMA_HOST", "SSL_CERT_FILE"):
            if chance.random() < 0.02:
                found[name] = self._value(chance)
        return found

    def _config(self, chance: Random) -> str:
        if chance.random() < 0.4:
            return chance.choice(LINES)
        names = chance.sample([it for it in FIELDS if it != "retries"], 2)
        values = [json.dumps(self._value(chance).encode("utf-8", "replace").decode()), "inf", "nan"]
        values += ["-1", "0", "1e400", "1e20", "9" * 400, "9" * 5000, "true", "[]", '[""]', "{}"]
        values += ["1979-05-27", "07:32:00", "[[1]]", "{ a = nan }", '{ a = ["m"] }']
        return "".join(f"{name} = {chance.choice(values)}\n" for name in names)
