"""What is taken for a file with keys, by its name, and what is not."""

from __future__ import annotations

import pytest

from chatstream.tools.secrets import holds_keys, off_limits, on_way_to_keys


@pytest.mark.parametrize(
    "path",
    [
        *(".env", ".ENV", ".env.local", ".envrc", ".ssh", "id_rsa", "src/id_ed25519_sk"),
        *(".netrc", "_netrc", ".npmrc", "tls/server.key", "ca.PEM", "keys.kdbx"),
        *(".git/config", ".git/modules/x/config", ".GIT/CONFIG", ".config/gh", ".gem/credentials"),
    ],
)
def test_a_name_that_keys_are_kept_under(path: str) -> None:
    assert holds_keys(path.split("/"))
    assert on_way_to_keys([*path.split("/"), "deeper"])


@pytest.mark.parametrize(
    "path",
    [
        *(".env.example", ".env.dist", ".environment", "env", "ssh", "key", ".key", "id_rsa.pub"),
        *("config", ".git/HEAD", "gh", ".config/other", "credentials"),
    ],
)
def test_a_name_that_is_only_like_one(path: str) -> None:
    assert not on_way_to_keys(path.split("/"))


def test_what_is_below_such_a_folder_is_found_on_the_way_only() -> None:
    assert not holds_keys([".ssh", "known_hosts"])
    assert on_way_to_keys([".ssh", "known_hosts"])


def test_the_failure_names_the_path() -> None:
    failure = off_limits("src/.env")
    assert failure.code == "private"
    assert failure.message.startswith("src/.env may hold keys")
