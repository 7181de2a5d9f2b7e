"""Claimed: code is coloured line by line as Pygments colours the whole, and never changed."""

from __future__ import annotations

import sys
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments.lexers import get_lexer_by_name
from pygments.styles import get_all_styles
from rich.style import Style

from chatstream.fences import info_of
from chatstream.sinks.code import MAX_LINE_CHARACTERS, Highlighter, is_code_theme
from chatstream.sinks.codetheme import code_theme
from chatstream.sinks.lexing import MAX_STATES
from chatstream.sinks.lines import Line, text_of
from tests.support.sampling import sampled

THEME = "ansi_dark"

# What runs over several lines is in each of them, wherever the language has it.
CODE = {
    "python": '''\
#!/usr/bin/env python
"""A module,
and the second line of its docstring; # no comment
"""
from __future__ import annotations

import os, sys as system


@cached
def area(width: float, *, height: "float" = 2e-3) -> str:
    r\'\'\'Raw \\d docstring,

    with an empty line.\'\'\'
    text = """a %s string
that {goes} on""" % width + \\
        f"{width!r:>{height}} \\n {os.path.join('a', "b")}"
    return text  # done


class Shape(Base, metaclass=Meta):
    """\\
    A docstring that begins with "an escape"; it's long.
    """
    value: int = 0x1F

    async def run(self) -> None:
        raise ValueError("it's /* no comment */") from None
''',
    "js": """\
#!/usr/bin/env node
/* A comment
 * over `three` lines "here"
 */
import { a as b } from './module.js';
const url = "http://example.org/*"; // not a comment */
const text = `first ${b + `inner ${1 + 1}
line`} second
third`;
class A extends B {
  static #count = 0;
  get name() { return this.x / 2 / 3; }
  test(s) { return /ab+c[/]/gi.test(s) && s !== null; }
}
const long = 'continued \\
string';
export default async (x) => { await x?.y ?? 0n; };
""",
    "ts": """\
/**
 * Documentation.
 * @param x what
 */
export interface Shape<T extends object> {
  readonly name: string;
  area?(): Promise<number>;
}
type Keys = keyof typeof shapes | "a" | `b${string}`;
enum Colour { Red = 1, Green }
@Component({ selector: "app" })
export class App implements Shape<Any> {
  constructor(private readonly http: HttpClient) {}
  area = async <T,>(x: T): Promise<T> => x as unknown as T;
}
""",
    "tsx": """\
import React, { useState } from "react";

export function Counter({ start }: { start: number }) {
  const [count, setCount] = useState<number>(start);
  return (
    <div className="counter" onClick={() => setCount(count + 1)}>
      {/* a comment
          over two lines */}
      <Title text={`Count: ${count}`} />
      {count > 3 && <b>many</b>}
    </div>
  );
}
""",
    "java": '''\
package org.example;

import java.util.*;

/**
 * A shape.
 */
@Entity
public final class Shape<T extends Number> implements Comparable<Shape<T>> {
    private static final String TEXT = """
        A text "block"
        of lines.
        """;

    @Override
    public int compareTo(Shape<T> other) {
        /* inner
           comment */ int x = 'c' + 0xFFL;
        return x > 0 ? -1 : (int) 1.5e3; // end
    }
}
''',
    "c": """\
#include <stdio.h>
#define MAX(a, b) \\
    ((a) > (b) ? (a) : (b)) /* a macro */
/* A comment
   "over" lines */ static const char *name = "x /* y";

struct point { int x, y; };

#if 0
this is off
#endif

int main(int argc, char **argv) {
    size_t n = sizeof(struct point); // size
    for (int i = 0; i < argc; i++) {
        printf("%d: %s\\n", i, argv[i]);
    }
    return 0;
}

static void swap(int *a, int *b)
{
    int c = *a;
    *a = *b; *b = c;
}
""",
    "c++": """\
#include <vector>
namespace app {
template <typename T>
class Stack : public Base<T> {
public:
    explicit Stack(size_t n) : items_(n) {}
    virtual ~Stack() = default;
    const T& top() const { return items_.back(); }  // top
private:
    std::vector<T> items_;
};
}  // namespace app
const char *raw = R"sql(select *
from "table")sql";
auto f = [&](auto x) -> int { return x * 1'000; };
void run(int n)
{
    if (n > 3) { std::cout << "n" << std::endl; }
}
""",
    "csharp": """\
using System;
namespace App;
/* several
   lines */
[Serializable]
public record Person(string Name, int Age)
{
    private const string Path = @"C:\\temp
on two lines";
    public async Task<int> RunAsync(CancellationToken token = default)
    {
        var text = $"Hello {Name}"; // hello
        return await Task.FromResult(text.Length);
    }
}
""",
    "go": """\
package main

import (
	"fmt"
	"os"
)

/* A block
   comment */
const query = `select *
from "table"
where x = 1 -- /* no comment`

func (s *Server) Run(ctx context.Context) (err error) {
	defer func() { err = s.Close() }()
	for i := range 10 {
		fmt.Printf("%d %c\\n", i, 'x')
	}
	return nil // done
}
""",
    "rust": """\
//! A crate.
/* outer /* nested
   comment */ still
   one */
use std::collections::HashMap;

#[derive(Debug, Clone)]
pub struct Point<'a, T: ?Sized> { name: &'a str, x: T }

impl<'a> Point<'a, f64> {
    pub fn new(name: &'a str) -> Self {
        let text = "a string
            over lines \\" and";
        let raw = r#"raw "string"
            over lines"#;
        println!("{} {:?}", text, raw);
        Self { name, x: 1.0_f64 }
    }
}
""",
    "css": """\
@charset "utf-8";
/* A comment
   over lines: { color: red; } */
:root { --main-color: #06c; }
@media (max-width: 600px) {
  .card > a:hover::before,
  #main {
    color: var(--main-color); /* inner */
    background: url("a.png") no-repeat;
    margin: -1.5em auto !important;
  }
}
""",
    "scss": """\
$width: 10px;
/* block
   comment */
@mixin box($size: 2) {
  width: $width * $size;
  &:hover { color: red; } // line
}
.a { @include box(3); }
""",
    "html": """\
<!DOCTYPE html>
<html lang="en">
<head>
  <title>It's a page &amp; more</title>
  <!-- a comment
       <b>over lines</b> -->
  <style>
    /* in css
       { */
    body { color: #333;
           margin: 0 }
  </style>
  <script type="module">
    /* in
       js */
    const text = `a
      <b>${name}</b>`;
    if (a < b && c > d) { run("x"); }
  </script>
</head>
<body class="a
  b">
  <p onclick="go()">Text <img src=x.png/></p>
  <script>alert(1)</script><script src="x.js"></script>
</body>
</html>
""",
    "xml": """\
<?xml version="1.0"?>
<!DOCTYPE svg PUBLIC "a"
  "b">
<!-- several
     lines -->
<root a="1"
      b='2'>
  <![CDATA[ raw <b>
    text ]]>
  text &lt; it's
</root>
""",
    "sql": """\
-- a line's comment
/* a block's
   comment */
CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL);
INSERT INTO users VALUES (1, 'it''s
on two lines');
SELECT u.name, COUNT(*) AS n FROM users u
LEFT JOIN orders o ON o.user_id = u.id
WHERE u.created > '2020-01-01' GROUP BY 1 HAVING COUNT(*) > 2;
""",
    "bash": """\
#!/bin/bash
set -euo pipefail
name="a string
with $HOME in it"
awk '
  { print $1 }  # awk
' "$file" | sort -u > out.txt
cat <<EOF > config.ini
[section]
key = "$name" isn't code
EOF
for f in *.txt; do
  if [[ -f "$f" && $((1 + 2)) -gt 2 ]]; then echo "${f%.txt}" $(date +%s); fi
done
curl -X POST \\
  -H 'Content-Type: application/json' \\
  -d '{
    "a": 1
  }' https://example.org
""",
    "ruby": """\
# frozen_string_literal: true
=begin
A block
comment
=end
module App
  class User < Base
    attr_reader :name, :age
    def greet(other = nil)
      text = <<~TEXT
        Hello #{name},
        it's you
      TEXT
      puts "Hi #{other&.name || 'you'}", %w[a b], /ab+/i, text
      [1, 2].each { |x| yield x }
    end
  end
end
""",
    "php": """\
<?php
/**
 * Documentation.
 */
namespace App;
/* a plain
   comment */
final class User extends Model {
    private ?string $name = 'it\\'s
two lines';
    public function greet(int $n = 1): string {
        $text = <<<TEXT
            Hello {$this->name}
            TEXT;
        return "Hi $text " . strlen($text); // done
    }
}
?>
<p>Text <?= $x ?></p>
""",
    "yaml": """\
# a workflow
name: "Build and test"
on: [push, pull_request]
env: &env
  KEY: 'value'
jobs:
  build:
    runs-on: ${{ matrix.os }}
    steps:
      - uses: actions/checkout@v4
      - name: Run
        run: |
          echo "a: b"
            # not a comment

          make test
      - <<: *env
        folded: >-
          text
          more
---
- null
- 1.5
""",
    "toml": '''\
# a comment
title = "A \\"title\\""
[owner.name]
born = 1979-05-27T07:32:00Z
text = """
several
lines"""
raw = \'\'\'
raw \\
\'\'\'
list = [ 1, 2.5, true,
  "x" ]
''',
    "json": """\
{
  "name": "value: \\"x\\"",
  "list": [1, -2.5e3, true, null],
  "inner": {"a": {}}
}
""",
    "kotlin": '''\
package app
/* a
   comment */
data class User(val name: String, var age: Int? = null)
fun main() {
    val text = """
        raw $name
        ${1 + 2}
    """.trimIndent()
    println("Hi ${text.length} $text") // end
    when (val x = f()) { is Int -> x; else -> null }
}
''',
    "swift": '''\
import Foundation
/* outer
   /* inner */ comment */
@objc class A: NSObject {
    let text = """
        many \\(1 + 2)
        lines
        """
    func run(_ x: Int?) throws -> [String: Any] { guard let x else { return [:] } }
}
''',
    "lua": """\
--[[ a block
comment ]]
local text = [==[ long
string ]] still ]==]
function M.run(self, ...)
  for k, v in pairs(t) do print(k, "x", 'y', 0x1F) end -- end
  return #t ~= 0 and nil
end
""",
    "powershell": """\
<# a block
   comment #>
param([string]$Name = "x")
$text = @"
Hello $Name
"@
function Get-It { Get-ChildItem -Path $env:TEMP | Where-Object { $_.Length -gt 1kb } } # end
""",
    "haskell": """\
{- a block {- nested -}
   comment -}
module Main (main) where
import qualified Data.Map as M
-- | A function
area :: Double -> Maybe Double
area r | r > 0 = Just (pi * r ^ 2)
       | otherwise = Nothing
""",
    "perl": """\
use strict;
=head1 NAME

It's documentation

=cut
my $text = <<'END';
here
END
my %h = (a => 1, 'b
c' => [1, 2]); # end
my @names = qw/one
  two/;
print "x $h{a}\\n" if $text =~ /ab+c/i;
""",
    "dockerfile": """\
FROM python:3.12-slim AS base
ENV A=1 B="two"
COPY --from=build /a /b
RUN pip install x
CMD ["python", "-m", "app"]
""",
    "diff": """\
--- a/file
+++ b/file
@@ -1,2 +1,2 @@
-old
+new
 same
""",
    "common-lisp": """\
;; a comment
#| a block
   comment |#
(defun area (r)
  "A docstring
over lines."
  (let ((x '(1 2))) (format t "~a" (* pi r r))))
""",
    "cmake": """\
#[[ a block
comment ]]
cmake_minimum_required(VERSION 3.20)
set(TEXT "several
lines ${VAR}")
if(WIN32 AND NOT X) # end
  add_executable(app main.c)
endif()
""",
}


def highlighted(language: str, code: str, theme: str = THEME) -> list[Line]:
    highlighter = Highlighter(language, theme)
    return [highlighter.feed(line) for line in code.split("\n")]


def spread(line: Line) -> list[tuple[str, Style | None]]:
    """Each character with its style."""
    return [(character, style) for text, style, _ in line for character in text]


def visible(characters: list[tuple[str, Style | None]]) -> list[tuple[str, Style | None]]:
    """What a person can see of these: on a blank, only whether it is underlined."""
    line = Style(underline=True)
    return [
        (character, (line if style and style.underline else None) if character == " " else style)
        for character, style in characters
    ]


def by_pygments(language: str, code: str) -> list[list[tuple[str, Style | None]]]:
    """The lines as Pygments sees the whole text."""
    theme = code_theme(THEME)
    lines: list[list[tuple[str, Style | None]]] = [[]]
    for _, kind, text in get_lexer_by_name(language).get_tokens_unprocessed(code):
        style = theme.get_style_for_token(kind)
        for character in text:
            if character == "\n":
                lines.append([])
            else:
                lines[-1].append((character, style if style else None))
    return lines


@pytest.mark.parametrize("language", CODE)
def test_lines_are_coloured_as_pygments_colours_the_whole_text(language: str) -> None:
    code = CODE[language]
    found = [visible(spread(line)) for line in highlighted(language, code)]
    for number, (ours, theirs) in enumerate(zip(found, by_pygments(language, code), strict=True)):
        assert ours == visible(theirs), code.split("\n")[number]


@pytest.mark.parametrize("language", CODE)
def test_the_texts_joined_are_the_code(language: str) -> None:
    code = CODE[language]
    assert "\n".join(map(text_of, highlighted(language, code))) == code


@pytest.mark.parametrize("language", CODE)
def test_a_look_at_an_open_line_changes_nothing(language: str) -> None:
    code = CODE[language]
    highlighter = Highlighter(language, THEME)
    found: list[Line] = []
    for line in code.split("\n"):
        for cut in range(len(line)):
            assert text_of(highlighter.peek(line[:cut])) == line[:cut]
        seen = highlighter.peek(line)
        found.append(highlighter.feed(line))
        assert seen == found[-1]
    assert found == highlighted(language, code)


@pytest.mark.parametrize("language", CODE)
def test_neighbours_differ_in_style_and_none_is_empty(language: str) -> None:
    for line in highlighted(language, CODE[language]):
        assert all(segment.text for segment in line)
        for one, other in pairwise(line):
            assert one.style != other.style


def test_blanks_belong_to_what_stands_before_them() -> None:
    texts = [text for text, *_ in Highlighter("python", THEME).feed("    return  None  # done")]
    assert texts == ["    ", "return  None  ", "# done"]


def test_no_underline_runs_on_into_blanks() -> None:
    line = Highlighter("json", THEME).feed("@@@ true")
    lined = [text for text, style, _ in line if style is not None and style.underline]
    assert "".join(lined) == "@@@"


def test_blocks_of_one_language_do_not_disturb_each_other() -> None:
    one, other = Highlighter("python", THEME), Highlighter("python", THEME)
    found: list[tuple[Line, Line]] = []
    for line in CODE["python"].split("\n"):
        found.append((one.feed(line), other.feed(line[::-1])))
    assert [line for line, _ in found] == highlighted("python", CODE["python"])


MARKS = ['"', "'", '"""', "`", "/*", "*/", "<!--", "-->", "<<A", "A", "(", "{", "}", "\\", "$", "#"]
MARKS += ["<script>", "</script>", "<style>", "<?php", "?>", "=begin", "```", "[[", "]]", "def "]
PIECES = st.one_of(
    st.sampled_from([*MARKS, " ", "\t"]), st.text(st.characters(exclude_categories=["C"]))
)


@given(
    st.sampled_from([*CODE, "markdown", "console", "vue", "postgresql", "make", "erb", "x"]),
    st.lists(st.lists(PIECES, max_size=6).map("".join), max_size=8),
)
def test_no_text_is_ever_changed(language: str, lines: list[str]) -> None:
    highlighter = Highlighter(language, THEME)
    for line in lines:
        seen = highlighter.peek(line)
        assert text_of(seen) == line
        assert highlighter.feed(line) == seen


@pytest.mark.parametrize("language", ["", " ", "nonsense", "{}", "mermaid", "\u202e", "a" * 5000])
def test_an_unknown_language_is_plain(language: str) -> None:
    highlighter = Highlighter(language, THEME)
    for line in ["def f(): pass ", "\tx", ""]:
        assert spread(highlighter.feed(line)) == [(character, None) for character in line]
        assert len(highlighter.feed(line)) <= 1


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ("py", "python"),
        ("Python", "python"),
        ("python title=x", "python"),
        ("python,linenos", "python"),
        ("python:src/x.py", "python"),
        ("{.c}", "c"),
        ("{ .python .number }", "python"),
        ("js{1,3}", "javascript"),
        ("C++", "cpp"),
        ("c#", "csharp"),
        ("sh", "bash"),
        ("yml", "yaml"),
        ("ts", "typescript"),
        ("kt", "kotlin"),
        ("jsonc", "json"),
        ("vb", "vb.net"),
        ("shellsession", "console"),
    ],
)
def test_an_info_string_names_a_language_as_people_write_it(info: str, language: str) -> None:
    code = "$ if (x == 1) return \"a\"  # 'b' // c\n- key: true"
    lines = highlighted(info_of(info).language, code)
    assert lines == highlighted(language, code)
    assert any(style for line in lines for _, style, _ in line)


@pytest.mark.parametrize(
    "theme", ["ansi_dark", "ansi_light", *sampled(sorted(get_all_styles()), 12, "themes")]
)
def test_no_theme_brings_a_background_or_black(theme: str) -> None:
    assert is_code_theme(theme)
    styles = {
        s for lang in CODE for line in highlighted(lang, CODE[lang], theme) for _, s, _ in line
    }
    for style in styles - {None}:
        assert style is not None
        assert style.bgcolor is None
        assert style.color is None or style.color.triplet != (0, 0, 0)


@pytest.mark.parametrize("name", ["", "nonsense", "os.path", "Monokai", "../default", "ansi"])
def test_a_theme_that_does_not_exist_is_none(name: str) -> None:
    assert not is_code_theme(name)


def test_a_comment_that_never_ends_is_a_comment() -> None:
    comment = Highlighter("c", THEME).feed("/* x */")[0].style
    lines = highlighted("c", "/* one\nint x;\n\nreturn 1;")
    assert [style for line in lines for _, style, _ in line] == [comment] * 3


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("c", 'char *s = "/*";'),
        ("c", "// see /*"),
        ("js", "const s = '<!--';"),
        ("python", 'x = \'/*\'  # """'),
        ("html", "<p>it's \"so</p>"),
        ("html", "it's /* \""),
        ("bash", "# it's"),
        ("bash", "echo \\' \\\""),
        ("sql", "-- it's /*"),
        ("go", "// a `"),
        ("rust", "fn f<'a>(x: &'a str) {}"),
    ],
)
def test_a_mark_without_meaning_opens_nothing(language: str, line: str) -> None:
    highlighter = Highlighter(language, THEME)
    highlighter.feed(line)
    alone = Highlighter(language, THEME)
    alone.feed("")
    for follower in ["if (x) return 1;", "<b>x</b>"]:
        assert highlighter.feed(follower) == alone.feed(follower)


def test_only_the_first_line_is_the_start_of_the_code() -> None:
    first, second = highlighted("js", "#!/bin/node\n#!/bin/node")
    assert first[0].style == Highlighter("js", THEME).feed("// a comment")[0].style
    assert second[0].style != first[0].style


def test_a_long_line_is_plain_and_changes_nothing() -> None:
    highlighter = Highlighter("c", THEME)
    highlighter.feed("/* open")
    comment = highlighter.peek("x")
    longest = "*/ " + "x" * (MAX_LINE_CHARACTERS - 3)
    assert highlighter.peek(longest)[0].style is not None
    longer = longest + "x"
    assert spread(highlighter.feed(longer)) == [(character, None) for character in longer]
    assert spread(highlighter.feed("y" * 1_000_000))[0] == ("y", None)
    assert highlighter.feed("x") == comment


def test_a_lexer_that_gives_up_leaves_the_rest_plain() -> None:
    highlighter = Highlighter("scheme", THEME)
    keyword = highlighter.feed("(define x 1)")
    assert len(keyword) > 1
    deep = "(" * (MAX_STATES + 1)
    assert highlighter.peek(deep) == [(deep, None, None)]
    assert len(highlighter.peek("(define x 1)")) > 1
    assert highlighter.feed(deep) == [(deep, None, None)]
    assert highlighter.feed("(define x 1)") == [("(define x 1)", None, None)]


def test_more_closed_than_opened_does_no_harm() -> None:
    lines = ["(f 1))", ")))", "(define x 1)"]
    found = highlighted("scheme", "\n".join(lines))
    assert visible(spread(found[2])) == visible(by_pygments("scheme", "\n".join(lines))[2])
    assert len(found[2]) > 1


def test_a_lexer_that_takes_seconds_for_a_line_is_not_used() -> None:
    assert highlighted("autoit", "If $x = 1 Then") == [[("If $x = 1 Then", None, None)]]


def test_what_a_wrapper_leaves_for_its_callbacks_is_there() -> None:
    """The callback for a quoted body reads an attribute that the lexer's own method sets."""
    highlighter = Highlighter("postgresql", THEME)
    highlighter.feed("CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql;")
    assert len(highlighter.feed("SELECT 'x' FROM t;")) > 1


def test_the_language_in_a_script_is_forgotten_at_its_end() -> None:
    lines = highlighted("html", "<script>\n/* open\n</script>\n<script>\nvar x = 1;\n</script>")
    assert spread(lines[4]) == spread(highlighted("js", "var x = 1;")[0])


def calls(language: str, lines: list[str]) -> int:
    """How many functions are called, Python's and C's, to colour these lines."""
    highlighter = Highlighter(language, THEME)
    highlighter.feed("")
    count = 0

    def note(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for line in lines:
            highlighter.feed(line)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    ("language", "opening"),
    [
        ("python", ""),
        ("python", '"""'),
        ("c", "/*"),
        ("bash", "cat <<EOF"),
        ("ruby", "x = <<~EOF"),
        ("html", "<script>"),
        ("html", "<!--"),
        ("yaml", "a: |"),
        ("json", ""),
    ],
)
def test_the_cost_of_a_line_does_not_depend_on_how_many_came_before(
    language: str, opening: str
) -> None:
    lines = [opening, *["    total = price * quantity"] * 20]
    once = calls(language, lines)
    many = calls(language, lines + lines[1:] * 9)
    assert many <= 10.5 * once
