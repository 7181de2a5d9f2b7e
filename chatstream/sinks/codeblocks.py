"""The code blocks of a Markdown answer, to be copied or saved. Pure.

1. What is a code block is decided as in the live view, by the same Markdown: fenced or indented,
   also inside lists and quotes, and a fence that was never closed.
2. The code is exact: the indentation and the marks of what it stands in are removed, nothing
   else. Every line ends with LF, whatever it ended with before, and the last one too.
3. An extension is one of ours, whatever the model called the language.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from chatstream.fences import info_of
from chatstream.sinks.blocks import Blocks
from chatstream.sinks.pieces import Code, CodeLine, End

_LINE_END = re.compile(r"\r\n?")
_LANGUAGES = {
    ".py": "python py python3 pycon",
    ".sh": "bash sh shell zsh ksh",
    ".ps1": "powershell ps1 pwsh",
    ".bat": "bat batch cmd dos",
    ".js": "javascript js node mjs",
    ".jsx": "jsx",
    ".ts": "typescript ts",
    ".tsx": "tsx",
    ".html": "html htm xhtml",
    ".css": "css",
    ".json": "json jsonc json5",
    ".yaml": "yaml yml",
    ".toml": "toml",
    ".ini": "ini cfg conf",
    ".xml": "xml svg",
    ".csv": "csv",
    ".md": "markdown md",
    ".tex": "latex tex",
    ".sql": "sql mysql postgresql postgres sqlite plsql",
    ".c": "c h",
    ".cpp": "cpp c++ cc cxx hpp",
    ".cs": "csharp cs c#",
    ".java": "java",
    ".kt": "kotlin kt kts",
    ".go": "go golang",
    ".rs": "rust rs",
    ".swift": "swift",
    ".m": "objective-c objectivec objc matlab octave",
    ".rb": "ruby rb",
    ".php": "php",
    ".pl": "perl pl",
    ".lua": "lua",
    ".r": "r",
    ".jl": "julia jl",
    ".hs": "haskell hs",
    ".ml": "ocaml ml",
    ".ex": "elixir ex exs",
    ".lisp": "lisp elisp common-lisp",
    ".dart": "dart",
    ".zig": "zig",
    ".tf": "terraform hcl tf",
    ".proto": "protobuf proto",
    ".diff": "diff patch",
    ".mk": "makefile make",
    ".dockerfile": "dockerfile docker containerfile",
}
_EXTENSIONS = {name: ending for ending, names in _LANGUAGES.items() for name in names.split()}


class CodeBlock(NamedTuple):
    """One block. `language` is what the words after the fence name (`fences`), "" for none."""

    language: str
    code: str


def code_blocks(text: str) -> list[CodeBlock]:
    """All code blocks of an answer, in order."""
    blocks = Blocks()
    found: list[CodeBlock] = []
    language = ""
    lines: list[str] | None = None
    for piece in [*blocks.feed(_LINE_END.sub("\n", text)), *blocks.finish()]:
        match piece:
            case Code(_, info):
                language, lines = info_of(info).language, []
            case CodeLine(line, joined) if lines is not None:
                lines.append(line if joined else line + "\n")
            case End() if lines is not None:
                found.append(CodeBlock(language, "".join(lines)))
                lines = None
    return found


def extension_of(language: str) -> str:
    """What the name of a file in this language ends with: ".py"; ".txt" for an unknown one."""
    return _EXTENSIONS.get(language.lower(), ".txt")
