"""What a docstring says, in the three styles that people write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.tools.docs import described

GOOGLE = """Count the lines of a file.

    Only those that match, if there is a pattern.

    Args:
        path (str): The file. It may be
            far away: anywhere.
        pattern (Optional[Dict(str, str)]): What to look for.
        *rest: Whatever
        empty:

    Returns:
        path: no parameter
    """

NUMPY = """Count the lines of a file.

    Only those that match, if there is a pattern.

    Parameters
    ----------
    path : str
        The file. It may be
        far away: anywhere.
    pattern, other : str, optional
        What to look for.
    empty

    Returns
    -------
    int
        The number.
    """

SPHINX = """Count the lines of a file.

    Only those that match, if there is a pattern.

    :param str path: The file. It may be
        far away: anywhere.
    :param pattern: What to look for.
    :type pattern: str
    :param empty:
    :returns: The number.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_each_style_says_the_same(text: str) -> None:
    found = described(text)
    assert found.description == (
        "Count the lines of a file.\n\nOnly those that match, if there is a pattern."
    )
    assert found.parameters["path"] == "The file. It may be far away: anywhere."
    assert found.parameters["pattern"] == "What to look for."
    assert not {"empty", "returns", "int", "Returns"} & set(found.parameters)


def test_what_returns_has_is_no_parameter() -> None:
    assert set(described(GOOGLE).parameters) == {"path", "pattern", "rest"}


def test_several_names_of_numpy_share_what_is_said() -> None:
    assert described(NUMPY).parameters["other"] == "What to look for."


@pytest.mark.parametrize("text", [None, "", "   \n  "])
def test_no_docstring_says_nothing(text: str | None) -> None:
    assert described(text) == ("", {})


def test_one_line_is_the_description() -> None:
    assert described("Add two numbers.") == ("Add two numbers.", {})


def test_a_section_alone_has_no_description() -> None:
    assert described("Args:\n    a: One.") == ("", {"a": "One."})


def test_a_colon_in_the_description_begins_no_section() -> None:
    text = "Look here:\n    not a parameter: it is text.\nNote that: it goes on."
    assert described(text) == (text, {})


def test_an_indented_title_is_text() -> None:
    assert described("Do it.\n\n    Args:\n        a: b").parameters == {"a": "b"}
    assert described("Do it.\n\nExample of one::\n\n    Args:\n        a: b").parameters == {}


def test_the_second_kind_of_parameters_is_read_too() -> None:
    text = "Do.\n\nArgs:\n    a: One.\n\nKeyword Args:\n    b: Two.\n"
    assert described(text).parameters == {"a": "One.", "b": "Two."}


MARKS = ["Args:", "Returns:", "Parameters", "----------", "  a: b", "a : int", ":param a: b", ":x:"]
LINES = st.sampled_from([*MARKS, "", "text"])


@given(st.lists(LINES | st.text(max_size=20)))
def test_no_docstring_is_refused(lines: list[str]) -> None:
    found = described("\n".join(lines))
    assert all(text and "\n" not in text for text in found.parameters.values())
