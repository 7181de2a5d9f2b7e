"""What programs know of our environment."""

from __future__ import annotations

from chatstream.tools.environment import environment

KEYS = {"OPENAI_API_KEY": "k", "HTTP_PROXY": "http://u:p@x", "MY_TOKEN": "t"}
OTHERS = {"LD_PRELOAD": "x", "SSH_AUTH_SOCK": "/s", "XDG_CACHE_HOME": "/cache"}


def test_only_variables_of_the_list_are_given() -> None:
    found = environment({"PATH": "/bin", "LC_ALL": "C", **KEYS, **OTHERS})
    assert found.pop("PATH") == "/bin"
    assert found.pop("LC_ALL") == "C"
    assert set(found) == {"TERM", "PAGER", "GIT_PAGER", "GIT_TERMINAL_PROMPT"}


def test_who_starts_a_program_may_name_more() -> None:
    found = environment({**KEYS, **OTHERS}, also=["XDG_CACHE_HOME", "NOT_SET"])
    assert found["XDG_CACHE_HOME"] == "/cache"
    assert not {*KEYS, "LD_PRELOAD", "SSH_AUTH_SOCK", "NOT_SET"} & set(found)
