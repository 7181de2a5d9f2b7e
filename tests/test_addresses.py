"""Claimed: what is this machine, and what is one server, is told as a connection would find it."""

from __future__ import annotations

import pytest

from chatstream.addresses import is_loopback, origin, same_server


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.53", "127.255.255.254", "127.1", "2130706433", "0x7f.1"),
        *("::1", "[::1]", "::ffff:127.0.0.1", "0.0.0.0", "::", "0"),
        *("localhost", "LocalHost", "localhost.", "ollama.localhost", "a.b.localhost."),
    ],
)
def test_this_machine_is_known_in_every_spelling(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        *("10.0.0.1", "192.168.0.1", "169.254.1.1", "128.0.0.1", "8.8.8.8", "fe80::1%lo", "::2"),
        *("localhost.example", "notlocalhost", "127.0.0.1.example", "box", "", "127.0.0.1x"),
    ],
)
def test_no_other_machine_is_taken_for_it(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://box/v1", "http://box:80/v2?x#y", True),
        ("https://BOX", "https://me:pw@box:443/", True),
        ("box:8000", "http://box:8000/v1", True),
        ("http://box", "https://box", False),
        ("http://box", "http://box:8080", False),
        ("http://box", "http://box.example", False),
        ("http://[::1", "http://[::1", False),
        ("http://box:port", "http://box:port", False),
    ],
)
def test_scheme_host_and_port_make_a_server(one: str, other: str, same: bool) -> None:
    assert same_server(one, other) is same


def test_the_usual_port_is_the_one_of_the_scheme() -> None:
    assert origin("https://box") == ("https", "box", 443)
    assert origin("box") == ("http", "box", 80)
