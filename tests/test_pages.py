"""The text of a page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.pages import text_of

AT = "https://docs.test/guide/page.html"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One   two\n three</p><p>four</p>", "One two three\n\nfour"),
        ("<title>T</title><body><h1>A</h1>b", "T\n\nA\nb"),
        ("a<script>x<y; 'b'</script><style>p{}</style>c", "ac"),
        ("<ul><li>one<li>two</ul>", "- one\n- two"),
        ("<table><tr><th>a<td>b<tr><td>c</table>", "a b\nc"),
        ("&lt;b&gt; &amp; &eacute;&nbsp;x", "<b> & é x"),
        ("<p>x<pre>a\n  b</pre>", "x\na\n  b"),
        ("x<br>y", "x\ny"),
        ("<svg><text>drawn</text></svg>shown", "shown"),
        ("<!-- no --><p>yes", "yes"),
        ("</p></script></svg>broken < ends <b", "broken < ends <b"),
    ],
)
def test_what_a_page_says(html: str, text: str) -> None:
    assert text_of(html, AT) == text


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("other.html", "see (https://docs.test/guide/other.html)"),
        ("/top", "see (https://docs.test/top)"),
        ("https://x.test/", "see (https://x.test/)"),
        ("#part", "see"),
        ("javascript:run()", "see"),
        ("http://[broken", "see (http://[broken)"),
    ],
)
def test_a_link_is_followed_by_where_it_leads(target: str, shown: str) -> None:
    assert text_of(f'<a href="{target}">see</a>', AT) == shown


@pytest.mark.parametrize("part", ["<a ", "<svg>", "<!--", "</object>", "<b>", "x<"])
def test_a_page_that_takes_long_can_be_stopped_on_its_way(part: str) -> None:
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 20:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        text_of(part * 1000, AT, look)


@given(st.text(alphabet="<>/!&; abscriptpre-\n\"'=", max_size=80))
def test_whatever_comes_is_read(html: str) -> None:
    assert isinstance(text_of(html, AT), str)
