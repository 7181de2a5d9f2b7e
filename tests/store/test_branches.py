"""The tree of a conversation: every turn once, in the order in which it is drawn."""

from __future__ import annotations

from pathlib import Path

from chatstream.store.branches import Tree
from chatstream.store.conversation import Conversations
from chatstream.store.history import History
from tests.support.runs import failed, run_id, write_run


def drawn(tree: Tree) -> list[tuple[list[str], str | None, int]]:
    """Of each turn its runs, what it follows, and its branch."""
    return [([run.id for run in it.runs], it.follows, it.branch) for it in tree.turns]


def tree_of(folder: Path, number: int | None = None) -> Tree:
    """The tree of the conversation of a run, after a sync."""
    with History(folder) as history:
        history.sync()
        return history.tree(history.run(run_id(number)) if number else None)


def test_a_conversation_without_branches_is_a_line(tmp_path: Path) -> None:
    write_run(tmp_path, run_id(1), "a1", question="q1")
    write_run(tmp_path, run_id(2), "half", killed=True, question="q2", parent=run_id(1))
    resumed = write_run(
        tmp_path, run_id(3), "half, a3", question="q2", parent=run_id(1), continues=run_id(2)
    )
    write_run(tmp_path, run_id(4), "a4", question="q4", parent=resumed.stem)
    write_run(tmp_path, run_id(9), "another")
    tree = tree_of(tmp_path, 2)
    assert drawn(tree) == [
        ([run_id(1)], None, 0),
        ([run_id(2), run_id(3)], run_id(1), 0),
        ([run_id(4)], run_id(3), 0),
    ]
    assert [it.answer for it in tree.turns] == ["a1", "half, a3", "a4"]
    assert [it.runs[-1].question for it in tree.turns] == ["q1", "q2", "q4"]
    assert (tree.head, tree.name) == (run_id(4), None)
    assert drawn(tree_of(tmp_path)) == [([run_id(9)], None, 0)]


def test_an_older_branch_stands_aside_and_before_the_newer_one(tmp_path: Path) -> None:
    write_run(tmp_path, run_id(1), "a1")
    write_run(tmp_path, run_id(2), "a2", parent=run_id(1))
    write_run(tmp_path, run_id(3), "", end=failed("connect"), parent=run_id(2))
    write_run(tmp_path, run_id(4), "a4", parent=run_id(1))
    write_run(tmp_path, run_id(5), "a5", parent=run_id(2))
    write_run(tmp_path, run_id(6), "a6", parent=run_id(4))
    talks = Conversations(tmp_path)
    talks.advance(run_id(4), run_id(6))
    talks.name(run_id(6), "sky")
    tree = tree_of(tmp_path, 5)
    assert drawn(tree) == [
        ([run_id(1)], None, 0),
        ([run_id(2)], run_id(1), 1),
        ([run_id(3)], run_id(2), 2),
        ([run_id(5)], run_id(2), 1),
        ([run_id(4)], run_id(1), 0),
        ([run_id(6)], run_id(4), 0),
    ]
    assert (tree.head, tree.name) == (run_id(6), "sky")


def test_a_thousand_turns_are_drawn(tmp_path: Path) -> None:
    for number in range(1000):
        parent = run_id(number - 1) if number else None
        write_run(tmp_path, run_id(number), f"a{number}", question=f"q{number}", parent=parent)
    tree = tree_of(tmp_path)
    assert [it.answer for it in tree.turns] == [f"a{number}" for number in range(1000)]
    assert {it.branch for it in tree.turns} == {0}
