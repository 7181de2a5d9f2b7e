"""`ask --image`, as a user has it: the bodies of the three protocols, and every bad input."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import ALL_DIALECTS, TEXT, whole
from tests.support.client import Finished, run, run_here, server_flags
from tests.support.images import png, webp
from tests.support.loopback import Script
from tests.support.real.servers import aimock, fixture
from tests.support.recorder import Recorder
from tests.support.unavailable import require

PNG = png()
ENCODED = base64.b64encode(PNG).decode()
WEB = "https://a.example/b.png"


@pytest.fixture
def picture(tmp_path: Path) -> str:
    file = tmp_path / "picture.txt"
    file.write_bytes(PNG)
    return str(file)


def ask(server: Script, dialect: str, *more: str) -> Finished:
    url = f"{server.url}/v1" if dialect == "llamacpp" else server.url
    return run_here(["ask", *server_flags(dialect, url), *more, "what?"])


def images_in(dialect: str, message: dict[str, Any]) -> list[Any]:
    """The images of a turn that also asks "what?"."""
    if dialect == "ollama":
        assert message["content"] == "what?"
        return list(message["images"])
    *images, text = message["content"]
    if dialect == "openai-responses":
        assert text == {"type": "input_text", "text": "what?"}
        assert {it["type"] for it in images} == {"input_image"}
        return [it["image_url"] for it in images]
    assert text == {"type": "text", "text": "what?"}
    if dialect == "openai":
        return [it["image_url"]["url"] for it in images]
    return [it["source"] for it in images]


def turns_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The turns of a body."""
    turns: list[dict[str, Any]] = body.get("messages") or body["input"]
    return turns


SENT = {
    "ollama": ENCODED,
    "openai": f"data:image/png;base64,{ENCODED}",
    "openai-responses": f"data:image/png;base64,{ENCODED}",
    "anthropic": {"type": "base64", "media_type": "image/png", "data": ENCODED},
}


@pytest.mark.parametrize("more", [[], ["--no-journal"]], ids=["kept", "not kept"])
@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_each_protocol_gets_the_image_as_it_wants_it(
    dialect: str, more: list[str], picture: str
) -> None:
    with Script(whole(dialect)) as server:
        done = ask(server, dialect, "--image", picture, "--image", picture, *more)
    assert (done.status, done.stdout) == (0, TEXT.encode())
    turn = turns_of(server.requests[0].json)[-1]
    assert images_in(dialect, turn) == [SENT[dialect]] * 2


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_a_conversation_still_has_the_image(dialect: str, picture: str) -> None:
    with Script(whole(dialect), cycle=True) as server:
        ask(server, dialect, "--image", picture)
        Path(picture).unlink()
        done = ask(server, dialect, "-c")
    assert done.status == 0, done.stderr
    assert images_in(dialect, turns_of(server.requests[1].json)[0]) == [SENT[dialect]]


def test_an_address_is_sent_where_servers_fetch_it() -> None:
    with Script(whole("openai")) as server:
        ask(server, "openai", "--image", WEB)
    assert images_in("openai", server.requests[0].json["messages"][0]) == [WEB]
    with Script(whole("anthropic")) as server:
        ask(server, "anthropic", "--image", WEB)
    source = {"type": "url", "url": WEB}
    assert images_in("anthropic", server.requests[0].json["messages"][0]) == [source]
    with Script() as server:
        done = ask(server, "ollama", "--image", WEB)
    assert (done.status, len(server.requests)) == (2, 0)
    assert "Ollama takes no image by its address on the web" in done.stderr


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"%PDF-1.7", "is not an image that models take"),
    ],
)
def test_a_bad_image_is_exit_2_before_anything_is_asked(
    tmp_path: Path, data: bytes | None, words: str
) -> None:
    file = tmp_path / "a.png"
    if data is not None:
        file.write_bytes(data)
    with Script() as server:
        done = ask(server, "openai", "--image", str(file))
    assert (done.status, done.stdout, len(server.requests)) == (2, b"", 0)
    assert words in done.stderr.splitlines()[0]
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.parametrize(
    ("dialect", "data", "words"),
    [
        ("anthropic", png(8001, 1), "8001 × 1 pixels, but Anthropic takes at most 8000 × 8000"),
        ("anthropic", PNG + bytes(25 * 1024**2), "but Anthropic takes 32 MB a request"),
        ("llamacpp", webp(b"VP8X", 1, 1), "llama.cpp cannot read WebP"),
    ],
    ids=["pixels", "bytes", "WebP"],
)
def test_an_image_that_a_server_refuses_is_exit_2_before_it_is_sent(
    tmp_path: Path, dialect: str, data: bytes, words: str
) -> None:
    file = tmp_path / "a"
    file.write_bytes(data)
    with Script() as server:
        done = ask(server, dialect, "--image", str(file))
    assert (done.status, len(server.requests)) == (2, 0)
    assert words in done.stderr.splitlines()[0]


@pytest.mark.real
@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_aimock_answers_about_an_image(dialect: str, picture: str) -> None:
    said = fixture("plain text")["response"]["content"]
    with require(aimock()) as mock, Recorder(mock.url) as server:
        url = f"{server.url}/v1" if dialect.startswith("openai") else server.url
        flags = server_flags(dialect, url)
        done = run(["ask", *flags, "--image", picture, "plain text"])
    assert (done.status, done.stdout.decode()) == (0, said), done.stderr
