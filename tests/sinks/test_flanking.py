"""Claimed: marks are emphasis where GFM and readers of CJK expect it, and else themselves."""

# ruff: noqa: RUF001 - full-width characters are what some of it is about
from __future__ import annotations

import pytest
from rich.style import Style

from chatstream.sinks.flanking import Run, run_at
from chatstream.sinks.inline import Inline
from chatstream.sinks.lines import text_of
from chatstream.sinks.theme import THEMES

THEME = THEMES["dark"]
INLINE = Inline(THEME)


def parts(text: str, style: Style) -> list[str]:
    """What has this style; nothing else may have one."""
    [line] = INLINE.lines(text)
    assert {it.style for it in line} <= {None, style}
    return [it.text for it in line if it.style]


def test_a_run_tells_what_it_can_do() -> None:
    assert run_at("**a**", 0, 5) == Run(opens=True, closes=False, length=2)
    assert run_at("**a**", 3, 5) == Run(opens=False, closes=True, length=2)
    assert run_at("a * b", 2, 5) == Run(opens=False, closes=False, length=1)
    assert run_at("(*a", 1, 2) == Run(opens=False, closes=True, length=1)  # as if it ended there


@pytest.mark.parametrize(
    "text",
    [
        *("2*3*4 equals 24", "a*b*c is a volume", "5 * 3 * 2", "α*β*γ", "x₁ * x₂", "é*a*e\u0301*b"),
        *("(a+b)*c*(d+e)", "f(x)*g(x) + h(x)*k(x)", "a[i]*b[j] - a[k]*b[l]", "(a)*(b)*(c)"),
        *("2**10 and 2**20", "x**2 + y**2 = z**2", "(a+b)**2 + (c+d)**2", "x**n + y**n = z**n"),
        *("|a|*|b|*|c|", "10**-3 to 10**-6", "n!*m!*k!", "5%*3*x", "5€*, 6€*", "90°*, 45%*"),
        *(".*foo.*", "[a-z]*[0-9]*", "(ab)*c(de)*f", "a.*b.*c", '"foo.*", "bar.*"', r"\\d*\\w*"),
        *("*.txt and *.md", '"*.txt" and "*.md"', "src/*.py and tests/*.py", "(*.js, *.ts)"),
        *(
            "/api/*/users/*/posts",
            "a/**/b and c/**/d",
            "**/*.js and **/*.ts",
            "a/**/*.py, b/**/*.py",
        ),
        *("COUNT(*) and SUM(*)", "SELECT t.*, u.*", "Accept: */*, text/*", '"*" or "*"'),
        *(
            "*/5 * * * *",
            "char *p, *q;",
            "**kwargs, *args",
            "f(*args, **kwargs)",
            "int **a; int **b",
        ),
    ],
)
def test_stars_that_are_no_marks_are_themselves(text: str) -> None:
    assert parts(text, THEME.emphasis) == []
    assert text_of(INLINE.line(text)) == text.replace(r"\\", "\\")


@pytest.mark.parametrize(
    "text",
    [
        *("my_file_name.py", "__init__.py", "__main__.py and __init__.py", "_private_var_"),
        *("snake_case_", "the __init__ and __str__ methods", "if __name__ == '__main__':"),
        *("obj.__dict__ and obj.__class__", "self._a and self._b", "__my_own__", "#if __FILE__"),
        *("_foo_.py", "super().__init__()", "x__y__z", "2_000_000"),
    ],
)
def test_names_keep_their_underscores(text: str) -> None:
    assert parts(text, THEME.strong) == []
    assert text_of(INLINE.line(text)) == text


@pytest.mark.parametrize(
    ("text", "bold"),
    [
        ("**a**", ["a"]),
        ("__a b__ and __important__", ["a b", "important"]),
        ("(**a**), “**b**”, **c**.", ["a", "b", "c"]),
        ("un**believ**able", ["believ"]),
        ("**A**pple and **1**st", ["A", "1"]),
        ("the**Important Note** here", ["Important Note"]),
        ("**2**10 = 1024**", ["2**10 = 1024"]),
        ("**The result is 2**10.**", ["The result is 2**10."]),
        ("**all src/*.py and t/*.py**", ["all src/*.py and t/*.py"]),
        ("**sum(*)**", ["sum(*)"]),
        ("**/etc/hosts** is", ["/etc/hosts"]),
        ("**.NET** is", [".NET"]),
        ("1.**Step** one", ["Step"]),
        ("**Note:**text", []),  # as in GFM
    ],
)
def test_bold(text: str, bold: list[str]) -> None:
    assert parts(text, THEME.strong) == bold


@pytest.mark.parametrize(
    ("text", "italic"),
    [
        ("*a* and _b_", ["a", "b"]),
        ("*he*/*she*", ["he", "she"]),
        ("*text*(note)", ["text"]),
        ("(*sic*) *A sentence.*", ["sic", "A sentence."]),
        ("a*b *c* d*e", ["c"]),
        ("*Homo sapiens*, *Pan*", ["Homo sapiens", "Pan"]),
        ("…*so* and '*it*'", ["so", "it"]),
    ],
)
def test_italic(text: str, italic: list[str]) -> None:
    assert parts(text, THEME.emphasis) == italic


@pytest.mark.parametrize(
    ("text", "bold"),
    [
        ("他说**今天不去。**然后走了", ["今天不去。"]),
        ("**提示：**先保存", ["提示："]),
        ("请看**“说明”**部分", ["“说明”"]),
        ("请看**(说明)**部分", ["(说明)"]),
        ("彼は**「はい」**と言った", ["「はい」"]),
        ("これは**Python(パイソン)**です", ["Python(パイソン)"]),
        ("먼저 **설치(install)**를 합니다", ["설치(install)"]),
        ("**중요!**입니다", ["중요!"]),
        ("这是**重要**的", ["重要"]),
        ("用**Python3**写", ["Python3"]),
        ("禰󠄀**(注)**豆", ["(注)"]),  # an ideographic variation selector before the run
        ("丸︀**(注)**豆", ["(注)"]),  # a standardized one
        ("**\u201ca\u201d\ufe01**b", ["\u201ca\u201d\ufe01"]),  # a full-width quotation mark
        ("第2**(注)**x", []),  # neither neighbour is CJK
        ("**⭐**b", []),  # an emoji is not CJK
        ("__重要__、这__不__是", ["重要"]),
    ],
)
def test_punctuation_next_to_cjk_does_not_stop_emphasis(text: str, bold: list[str] | None) -> None:
    if bold is None:
        assert [it.text for it in INLINE.line(text) if it.style] == ["不", "三！"]
    else:
        assert parts(text, THEME.strong) == bold


@pytest.mark.parametrize(
    ("text", "italic"),
    [
        ("使用*Python*语言", ["Python"]),
        ("这*很*好", ["很"]),
        ("*강조*하다", ["강조"]),
        ("ภาษา*ไทย*ดี", ["ไทย"]),
        ("然后*“强调”*。", ["“强调”"]),
    ],
)
def test_a_part_of_what_has_no_blanks_can_be_emphasised(text: str, italic: list[str]) -> None:
    assert parts(text, THEME.emphasis) == italic


def test_strikethrough_has_two_tildes_and_the_same_rules() -> None:
    assert parts("~~a~~ 不~~好。~~吗", THEME.strike) == ["a", "好。"]
    assert parts("~a~ H~2~O a ~~ b", THEME.strike) == []
    assert text_of(INLINE.line("~~~a~~~")) == "~a~"


CHARACTERS = {
    "blank": " \u3000",
    "CJK punctuation": "。，「」（！",
    "CJK": "中あ한\U00020000",
    "punctuation": "(-“!⭐+",
    "other": "aéя",
}


@pytest.mark.parametrize("mark", ["**", "~~", "_", "__"])
@pytest.mark.parametrize("before", CHARACTERS)
@pytest.mark.parametrize("after", CHARACTERS)
def test_the_rest_is_as_the_specification_has_it(mark: str, before: str, after: str) -> None:
    left = after != "blank" and (after != "punctuation" or before != "other")
    right = before != "blank" and (before != "punctuation" or after != "other")
    opens, closes = left, right
    if mark[0] == "_":
        opens = left and (not right or "punctuation" in before)
        closes = right and (not left or "punctuation" in after)
    for last in CHARACTERS[before]:
        for following in CHARACTERS[after]:
            run = run_at(f"x{last}{mark}{following}x", 2, 9)
            assert run == Run(opens, closes, len(mark)), (last, following)
