"""A diff is what `diff -u` writes, and `patch` makes the new text of the old one with it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatstream.tools.diffs import MOST_CHARACTERS, unified
from tests.support.sampling import examples

TEXT = st.lists(st.sampled_from(["a\n", "b\n", "c\r\n", "\n", " x\n", "--- y\n"]), max_size=30).map(
    "".join
)


def test_one_line_in_the_middle() -> None:
    old = "".join(f"{number}\n" for number in range(1, 11))
    assert unified("n.txt", old, old.replace("5\n", "five\n")) == (
        "--- a/n.txt\n+++ b/n.txt\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
    )


def test_changes_that_are_far_apart_are_two_and_near_ones_are_one() -> None:
    old = "".join(f"{number}\n" for number in range(1, 31))
    far = unified("n", old, old.replace("\n5\n", "\nV\n").replace("\n25\n", "\nXXV\n"))
    near = unified("n", old, old.replace("\n5\n", "\nV\n").replace("\n11\n", "\nXI\n"))
    assert (far.count("@@ -"), near.count("@@ -")) == (2, 1)


def test_a_file_that_is_made_and_one_without_a_last_line_end() -> None:
    assert unified("n", None, "a\nb") == (
        "--- /dev/null\n+++ b/n\n@@ -0,0 +1,2 @@\n+a\n+b\n\\ No newline at end of file\n"
    )
    assert unified("n", "a", "a\n") == (
        "--- a/n\n+++ b/n\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"
    )
    assert unified("n", "a\n", "") == "--- a/n\n+++ b/n\n@@ -1 +0,0 @@\n-a\n"


def test_a_name_cannot_look_like_lines() -> None:
    assert unified("n\n+evil", None, "a\n").splitlines()[1] == '+++ b/"n\\n+evil"'


def test_without_a_change_there_is_no_diff() -> None:
    assert unified("n", "a\n", "a\n") == ""


def test_other_line_ends_are_a_change_that_is_seen() -> None:
    assert "-a\r\n+a\n" in unified("n", "a\r\nb\r\n", "a\nb\r\n")


def test_what_is_too_large_to_compare_is_one_change() -> None:
    old = "".join(f"{number}\n" for number in range(30_000))
    diff = unified("n", old, "".join(f"{number}\n" for number in range(30_000, 1, -1)))
    assert diff.count("@@ -") == 1
    assert len(diff) <= MOST_CHARACTERS + 150
    assert re.search(r"more lines of this diff not shown; SHA-256 [0-9a-f]{64}\]\n$", diff)


def test_diffs_that_differ_only_behind_the_cut_are_not_the_same() -> None:
    old = "".join(f"{number}\n" for number in range(50_000))
    diffs = {unified("n", f"{old}{last}", "") for last in ("a", "b")}
    assert len(diffs) == 2
    assert len({it.rpartition("\n[")[0] for it in diffs}) == 1


@pytest.mark.skipif(shutil.which("patch") is None, reason="no patch here")
@settings(
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(TEXT, TEXT, st.booleans(), st.booleans())
def test_patch_makes_the_new_text_of_the_old_one(
    tmp_path: Path, old: str, new: str, no_end: bool, has_no_end: bool
) -> None:
    old = old.removesuffix("\n") if no_end else old
    new = new.removesuffix("\n") if has_no_end else new
    if not (diff := unified("n", old, new)):
        assert old == new
        return
    (tmp_path / "n").write_bytes(old.encode())
    done = subprocess.run(
        ["patch", "--binary", "--no-backup-if-mismatch", "-s", "n"],
        cwd=tmp_path,
        input=diff.encode(),
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout
    left = (tmp_path / "n").read_bytes() if (tmp_path / "n").exists() else b""
    assert left == new.encode()
