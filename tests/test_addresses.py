"""Claimed: every usual way to write an address is understood, and no other is guessed at; what is
this machine, and what is one server, is told as a connection would find it.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.addresses import (
    PROXY_SCHEMES,
    in_normal_form,
    is_loopback,
    is_private,
    joined,
    looks_like_one,
    origin,
    redirected,
    same_server,
    whole,
)
from chatstream.errors import ConfigError


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


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://box:8000/v1", "http://box:8000/v1"),
        ("HTTPS://box/v1/", "https://box/v1"),
        # without a scheme
        ("box:8000", "http://box:8000"),
        ("localhost", "http://localhost"),
        ("10.1.2.3/v1", "http://10.1.2.3/v1"),
        ("box.lan/v1", "http://box.lan/v1"),
        ("//box:1", "http://box:1"),
        ("api.example.com/v1", "https://api.example.com/v1"),
        ("api.example.com:8000/v1", "http://api.example.com:8000/v1"),
        ("box:443", "https://box:443"),
        ("me:pass-word@box:8000", "http://me:pass-word@box:8000"),
        # a port of this machine
        (":8000", "http://localhost:8000"),
        ("8000", "http://localhost:8000"),
        ("8000/v1?a=1", "http://localhost:8000/v1?a=1"),
        ("http://:8000", "http://localhost:8000"),
        # IPv6
        ("::1", "http://[::1]"),
        ("[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("::1:8000", "http://[::1]:8000"),
        ("http://::1/v1", "http://[::1]/v1"),
        ("2001:db8::2", "http://[2001:db8::2]"),
        ("fe80::1%lo", "http://[fe80::1%lo]"),
        ("http://me:pass-word@::1/v1", "http://me:pass-word@[::1]/v1"),
        # what a server listens on
        ("http://0.0.0.0:8000/v1", "http://127.0.0.1:8000/v1"),
        ("[::]:8000", "http://localhost:8000"),
        # what stands around it
        (' "http://box"\n', "http://box"),
        ("'box:1'", "http://box:1"),
        ("`http://box`", "http://box"),
        ("<http://box/v1>", "http://box/v1"),
        ("“http://box”", "http://box"),
        ("http://box:", "http://box"),
        # the query keeps its place, the fragment is never sent
        ("http://box/v1?api-version=1&b=2", "http://box/v1?api-version=1&b=2"),
        ("http://box/v1?a=1#part", "http://box/v1?a=1"),
        ("http://box/v1/#", "http://box/v1"),
    ],
)
def test_an_address_is_made_whole(written: str, meant: str) -> None:
    assert whole(written) == meant
    assert whole(meant) == meant


@pytest.mark.parametrize(
    ("written", "why"),
    [
        *((blank, "empty") for blank in ("", "  ", "''")),
        *((it, "white space") for it in ("my box", "http://box /v1", "http://box\n.evil")),
        *((it, "://") for it in ("http:/box", "http:box", "https:8000")),
        *((it, "scheme") for it in ("ftp://box", "file:///etc", "socks5://box")),
        *((it, "host") for it in ("http://", "http:///v1", "https://?a=1")),
        *((it, "address") for it in ("http://[::1", "1::2::3", "http://box:1:2")),
        ("http://box:0", "port 0 is not allowed"),
        *((it, "port is not a number") for it in ("http://box:port", "http://box:70000", "box:1,")),
        *(
            (it, "is not an IPv6 address")
            for it in ("1::2::3", "http://box:1:2", "http://::1]:8000")
        ),
    ],
)
def test_what_is_no_address_is_refused_with_its_reason(written: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        whole(written)
    assert "is not an address" in caught.value.message
    assert "box:8000" in (caught.value.hint or "")


@given(st.text(st.sampled_from("ab:/[]@?#.%01é~") | st.characters(), max_size=24))
def test_any_text_is_an_address_made_whole_for_good_or_refused(text: str) -> None:
    try:
        once = whole(text)
    except ConfigError:
        return
    assert whole(once) == once
    assert once.startswith(("http://", "https://"))
    assert same_server(once, text)


@pytest.mark.parametrize(
    "written", ["http://me:pass-word@box:port", "me:pass-word@[::1", "http://box:x?key=pass-word"]
)
def test_no_password_of_an_address_is_shown(written: str) -> None:
    with pytest.raises(ConfigError) as caught:
        whole(written)
    assert "pass-word" not in f"{caught.value.message}{caught.value.hint}"


def test_the_usual_port_of_a_service_stands_in_for_one_that_is_left_out() -> None:
    assert whole("box", port=11434) == "http://box:11434"
    assert whole("ollama.example.com", port=11434) == "http://ollama.example.com:11434"
    assert whole("box:1", port=11434) == "http://box:1"
    assert whole("http://box", port=11434) == "http://box"


def test_a_proxy_may_be_of_another_scheme() -> None:
    assert whole("socks5h://box:1080", schemes=PROXY_SCHEMES) == "socks5h://box:1080"
    assert whole("box:3128", schemes=PROXY_SCHEMES) == "http://box:3128"


@pytest.mark.parametrize(
    ("base", "path", "call"),
    [
        ("http://box/v1?a=1", "/chat", "http://box/v1/chat?a=1"),
        ("http://box?a=1", "/chat?b=2", "http://box/chat?a=1&b=2"),
        ("http://box/.", "/chat", "http://box/chat"),
    ],
)
def test_a_call_goes_behind_the_path_and_before_the_query(base: str, path: str, call: str) -> None:
    assert joined(base, path) == call


@pytest.mark.parametrize(
    "text",
    [
        *("http://box", "https://api.example.com/v1", "box:8000", ":8000", "box.lan:1/v1"),
        *("localhost", "localhost/v1", "127.0.0.1", "[::1]:80", "::1", "::1:8000"),
    ],
)
def test_an_address_is_told_from_a_name(text: str) -> None:
    assert looks_like_one(text)


@pytest.mark.parametrize("text", ["", "openai", "cf/meta/llama", "q4", "20240620", "7b:q4", "a.b"])
def test_a_name_is_told_from_an_address(text: str) -> None:
    assert not looks_like_one(text)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "::ffff:192.168.0.1", "fe80::1%eth0", "fec0::1", "224.0.0.1"]
)
def test_an_address_that_is_not_of_the_internet_is_private(address: str) -> None:
    assert is_private(address)
    assert not is_private("1.1.1.1")
    assert not is_private("::ffff:1.1.1.1")


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("http://box", "http://box/"),
        ("http://box?a=1&b", "http://box/?a=1&b"),
        ("https://box:80/", "https://box:80/"),
        ("https://a-b.example.com/x/.hidden/y.z", "https://a-b.example.com/x/.hidden/y.z"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/"),
        ("http://[::1]/", "http://[::1]/"),
        ("https://w.org/wiki/C%2B%2B_(a)", "https://w.org/wiki/C%2B%2B_(a)"),
    ],
)
def test_the_normal_form_of_an_address(url: str, same: str) -> None:
    assert in_normal_form(url) == same
    assert in_normal_form(same) == same


@pytest.mark.parametrize(
    "url", ["http://box:99999/", "ftp://box/", "http:///x", "http://box/%zz", "http://box/%c3", ""]
)
def test_what_has_no_normal_form(url: str) -> None:
    assert in_normal_form(url) is None


@pytest.mark.parametrize(
    ("status", "location", "target"),
    [
        (301, "/b?x=1", "http://box:8000/b?x=1"),
        (308, "https://other/", "https://other/"),
        (307, "//other", "http://other"),
        (302, None, None),
        (302, "", None),
        (304, "/b", None),
        (200, "/b", None),
    ],
)
def test_where_a_response_leads(status: int, location: str | None, target: str | None) -> None:
    assert redirected("http://box:8000/a", status, location) == target


@pytest.mark.parametrize("location", ["http://box:port/", "http://[::1/"])
def test_a_response_that_leads_to_what_cannot_be_read(location: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        redirected("http://box/", 302, location)
