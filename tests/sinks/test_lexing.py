"""Claimed: a line is read with the state before it, as in the whole text, by public means only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from pygments.lexers import get_lexer_by_name

from chatstream.sinks import code, lexing
from chatstream.sinks.lexing import Reader, State, StatefulReader, Token


def read(reader: Reader, text: str) -> list[list[Token]]:
    """The tokens of each line."""
    state: State | None = None
    found = []
    for line in text.split("\n"):
        tokens, state = reader.read(line, state)
        found.append(tokens)
    return found


def kinds(tokens: list[Token]) -> list[tuple[str, str]]:
    """Each character but blanks, with its type."""
    return [(str(kind), it) for kind, text in tokens for it in text if not it.isspace()]


@pytest.mark.parametrize("module", [code, lexing])
def test_no_private_field_of_another_object_is_touched(module: object) -> None:
    tree = ast.parse(Path(str(vars(module)["__file__"])).read_text())
    private = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    ]
    assert private == []


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", 'x = f"""a {b +\nc} d""" + """\n# e\n""" # f'),
        ("c", "/* a\nb */ int c; // d"),
        ("csharp", 'class Änderung {\n    string a = @"b\nc";\n    // d\n}'),
        ("nemerle", "class A {\n  /* b\n  c */ def d = 1;\n}"),
        ("perl", "my @a = qw/b\n  c d/;\nmy $e = q!f\ng!; # h"),
        ("perl", "=pod\n\na\n\n=cut\nmy $b = 1;"),
        ("ruby", "a = <<~B\n  c's\nB\nd = 1"),
        ("rust", 'let a = r##"b"\nc"# d"##; // e'),
        ("rust", "let a = [[1, 2],\n[3, 4]];"),
        ("c++", 'auto a = R"b(c\n)" d)b"; // e'),
        ("c++", "[[nodiscard]]\nint a(int b)\n{\n    return b;\n}"),
        ("lua", "a = [[b\nc]] -- d\n--[==[ e\n]] f ]==] g = 1"),
        ("html", "<!-- a\n-- > b --> <p c='d\ne'>f</p>"),
        ("xml", "<![CDATA[ a --> b\n ]]><c/>"),
        ("xml", '<!DOCTYPE a PUBLIC "b"\n"c">\n<d/>'),
        ("go", "a := `b\n// c`\n// d"),
        ("powershell", '$a = @"\nb $c\n"@\n# d'),
    ],
)
def test_what_runs_over_lines_is_read_as_in_the_whole_text(language: str, text: str) -> None:
    lexer = get_lexer_by_name(language)
    whole = [(kind, piece) for _, kind, piece in lexer.get_tokens_unprocessed(text + "\n")]
    found = [pair for line in read(StatefulReader(lexer), text) for pair in kinds(line)]
    assert found == kinds(whole)


@pytest.mark.parametrize("language", ["inform7", "csharp", "http", "mime", "modula2", "snowball"])
def test_lexers_with_a_constructor_or_callbacks_of_their_own_are_read_too(language: str) -> None:
    reader = StatefulReader(get_lexer_by_name(language))
    text = "a \"b\" (c)\n\nContent-Type: text/html\n\n{ d = 'e' }"
    assert ["".join(piece for _, piece in line) for line in read(reader, text)] == text.split("\n")


@pytest.mark.parametrize("language", ["python", "html", "bash", "scheme"])
def test_reading_changes_neither_the_state_nor_the_reader(language: str) -> None:
    reader = StatefulReader(get_lexer_by_name(language))
    _, state = reader.read("<script> ( cat <<E \"'", None)
    once = reader.read("x = (1 /* </script> E", state)[0]
    read(reader, "'''\n<style>\n(((\n<<A")
    assert reader.read("x = (1 /* </script> E", state)[0] == once


def test_a_lexer_without_states_reads_each_line_alone() -> None:
    reader = Reader(get_lexer_by_name("console"))
    first, second = read(reader, "$ ls\n$ ls")
    assert first == second
