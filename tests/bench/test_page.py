"""Claimed: the page needs nothing else, shows every figure, and no text in it can act."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.bench import page
from chatstream.bench.conclusion import conclusion
from chatstream.bench.page import html
from chatstream.bench.result import (
    OK,
    Arm,
    Client,
    Comparison,
    Gate,
    Result,
    Sample,
    Stall,
    Summary,
    Throughput,
    decode,
)
from tests.support.pages import Page, data_of, figures, plots
from tests.support.results import result
from tests.support.sampling import examples

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\"'><img src=x onerror=alert(1)>",
    "]]>&lt;&amp;&#60;",
    "\u202ereversed\u2066",
    "nul\x00esc\x1b[31m\ud7ff\ufffe",
)


def hostile(text: str) -> Result:
    """A result with the text wherever a text can be."""
    sample = Sample(
        number=1,
        arm=text,
        status=text,
        message=text,
        ttft=0.5,
        arrivals=[0.5, 0.6],
        deltas_at=[1, 1],
        stalls=[Stall(0.5, 0.1)],
    )
    well = Sample(number=2, arm=text, ttft=0.4, arrivals=[0.4, 0.5], deltas_at=[1, 1])
    summary = Summary(metric="ttft", n=6, median=0.4, low=0.3, high=0.5, min=0.3, max=0.6)
    other = Summary(metric=text, n=1, median=0.4)
    arm = Arm(
        name=text,
        provider=text,
        model=text,
        statuses={text: 1, OK: 1},
        summaries=[summary, other],
        cold=sample,
    )
    return Result(
        version=1,
        chatstream=text,
        started_at=text,
        target=text,
        settings={text: text},
        definitions={text: text},
        samples=[sample, well],
        arms=[arm, Arm(name=text, provider=text, model=text)],
        client=Client(clock="user", verdict="CLIENT-BOUND", reason=text),
        gates=[Gate(text=text, failed=True, note=text)],
        comparisons=[
            Comparison(
                metric=text, arm=text, against=text, old=None, new=1.0, verdict="INCONCLUSIVE"
            )
        ],
        baseline=text,
        warnings=[text],
    )


# ---- a page by itself


def test_the_page_refers_to_nothing_outside_and_runs_nothing() -> None:
    text = html(result(n=12, arms=3, failures=2))
    it = Page(text)
    for tag, attributes in it.elements:
        assert not {"src", "href", "action", "xlink:href", "style"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert tag not in ("link", "img", "iframe", "object", "base", "form", "a", "use", "image")
    assert [a.get("type") for tag, a in it.elements if tag == "script"] == ["application/json"]
    assert "url(" not in it.text["style"]
    assert "@import" not in it.text["style"]
    policies = [a["content"] for tag, a in it.elements if a.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_it_tells_its_language_and_fits_a_phone_a_dark_room_and_paper() -> None:
    text = html(result(n=6))
    it = Page(text)
    assert ("html", {"lang": "en"}) in it.elements
    assert any(a.get("name") == "viewport" for _, a in it.elements)
    assert "prefers-color-scheme:dark" in it.text["style"]
    assert "@media print" in it.text["style"]


def test_every_plot_is_xml_and_has_a_title_and_a_description() -> None:
    text = html(result(n=12, arms=2, failures=1))
    shown = plots(text)
    assert len(shown) == 7
    for plot in shown.values():
        names = (plot.get("aria-labelledby") or "").split()
        title, words = plot.find("title"), plot.find("desc")
        assert title is not None
        assert words is not None
        assert [title.get("id"), words.get("id")] == names
        assert words.text
    ids = [a["id"] for _, a in Page(text).elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_tables_have_headers_with_a_scope() -> None:
    text = html(result(n=12, failures=1))
    heads = [a.get("scope") for tag, a in Page(text).elements if tag == "th"]
    assert set(heads) == {"col", "row"}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_everywhere(text: str) -> None:
    made = html(hostile(text))
    it, plain = Page(made), Page(html(hostile("plain")))
    assert [tag for tag, _ in it.elements] == [tag for tag, _ in plain.elements]
    assert [sorted(a) for _, a in it.elements] == [sorted(a) for _, a in plain.elements]
    assert len(figures(made)) == len(figures(html(hostile("plain"))))
    assert decode(it.text["script"]) == hostile(text)
    if text.isprintable():
        assert text in it.seen


def test_what_is_invisible_or_turns_the_text_is_replaced() -> None:
    seen = Page(html(hostile("a\u202eb\x1bc\x00d"))).seen
    assert "a\ufffdb\ufffdc\ufffdd" in seen
    assert not {"\u202e", "\x1b", "\x00"} & set(seen)


def test_the_data_ends_where_the_page_says_whatever_is_in_it() -> None:
    text = html(hostile("</script><!--<script>"))
    body = text.split('<script type="application/json" id="result">')[1]
    assert "<" not in body.split("</script>")[0]


# ---- what it shows


def test_the_result_can_be_read_from_the_page_again() -> None:
    made = result(n=12, arms=2)
    assert data_of(html(made)) == made


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "Measured"),
        (1, "gate"),
        (3, "too many"),
        (4, "Inconclusive"),
        (5, "client"),
        (130, "Stop"),
    ],
)
def test_the_exit_status_is_told_in_words(status: int, words: str) -> None:
    it = Page(html(result(n=6, exit_status=status)))
    assert words in it.text["strong"]
    assert f"Exit status {status} " in it.text["p"]


def test_only_what_was_judged_and_is_in_no_doubt_is_green() -> None:
    gate = Gate(text="ttft.p50>1s", failed=False, measured=0.4, limit=1.0)
    bound = Client(clock="kernel", verdict="CLIENT-BOUND", reason="busy")
    unsure = Comparison(
        metric="ttft", arm="a", against="baseline", old=0.4, new=0.4, verdict="INCONCLUSIVE"
    )
    colours = {
        "good": result(n=6, gates=[gate]),
        "plain": result(n=6),
        "warn": result(n=6, gates=[gate], warnings=["the server closes connections"]),
    }
    for colour, made in colours.items():
        assert f'<div class="verdict {colour}">' in html(made)
    for doubtful in ({"client": bound}, {"comparisons": [unsure]}, {"failures": 1}):
        page = html(result(n=30, gates=[gate], **doubtful))
        assert '<div class="verdict warn">' in page
        assert "Passed" not in Page(page).text["strong"]


def test_the_sentence_stands_at_the_top() -> None:
    made = result(n=12, arms=2)
    assert conclusion(made) in Page(html(made)).text["p"]


def test_plots_come_first_and_arms_stand_side_by_side() -> None:
    made = result(n=12, arms=3, warnings=["w"])
    text = html(made)
    heads = re.findall(r"<h2>(.*?)</h2>", text)
    assert heads[:3] == ["Warnings", "Plots", "Side by side"]
    table = text[text.index("<h2>Side by side") : text.index("</table>")]
    head = re.findall(r'<th scope="col">(.*?)</th>', table)
    assert head[1::2] == [arm.name for arm in made.arms]
    ttft = re.search(r'<th scope="row">TTFT</th>(.*?)</tr>', table)
    assert ttft is not None
    medians = re.findall(r"<td>(.*?)</td>", ttft[1])[::2]
    assert medians == [f"{arm.summaries[0].median or 0:.3f}"[2:] + " ms" for arm in made.arms]
    assert "Side by side" not in html(result(n=12))


def test_a_load_has_its_throughput() -> None:
    load = Throughput(requests_per_second=3.2149, tokens_per_second=412.4)
    assert "3.21 requests/s, 412 tokens/s in total" in Page(html(result(throughput=load))).seen


def test_the_figures_are_those_of_the_summaries() -> None:
    summary = Summary(
        metric="ttft", n=30, median=0.4125, low=0.4, high=0.43, min=0.39, max=1.5, p90=0.5
    )
    arm = Arm(name="a", provider="p", model="m", summaries=[summary])
    text = html(Result(version=1, chatstream="9.8", started_at="then", target="t", arms=[arm]))
    cells = re.findall(r"<td>(.*?)</td>", text)
    assert cells == [
        *("412 ms", "400 ms to 430 ms", "390 ms", "1.50 s", "500 ms", "\u2013", "\u2013", "30", "0")
    ]


def test_figures_of_failed_runs_are_infinite() -> None:
    summary = Summary(metric="ttft", n=8, failed=5, low=0.4, min=0.4)
    arm = Arm(name="a", provider="p", model="m", summaries=[summary])
    text = html(Result(version=1, chatstream="", started_at="", target="", arms=[arm]))
    assert re.findall(r"<td>(.*?)</td>", text)[:4] == ["∞", "400 ms to ∞", "400 ms", "∞"]


def test_a_number_of_tokens_that_is_a_guess_is_marked() -> None:
    made = result(n=6)
    assert "≈" not in Page(html(made)).seen
    made.samples[3].approximate = True
    seen = Page(html(made)).seen
    assert "≈ TPOT" in seen
    assert "≈ TTFT" not in seen


def test_the_cold_run_has_its_connection_added() -> None:
    cold = Sample(number=1, arm="a", cold=True, dns=0.001, tcp=0.002, tls=0.004, ttft=1.0)
    arm = Arm(name="a", provider="p", model="m", cold=cold)
    text = html(Result(version=1, chatstream="", started_at="", target="", arms=[arm]))
    assert re.findall(r"<td>(.*?)</td>", text) == [
        *("ok", "1.00 ms", "2.00 ms", "4.00 ms", "1.00 s", "1.01 s")
    ]


def test_comparisons_and_gates_are_told() -> None:
    compared = Comparison(
        metric="ttft",
        arm="a",
        against="before",
        old=0.4,
        new=0.5,
        ratio=1.25,
        low=1.1,
        high=1.4,
        p=0.001,
        verdict="REGRESSED",
        more_runs=7,
    )
    gates = [
        Gate(text="a: ttft.p50>300ms", failed=True, measured=0.5, limit=0.3),
        Gate(text="stalls.max>0", failed=False, measured=0.0, limit=0.0),
    ]
    made = result(n=6, comparisons=[compared], gates=gates, baseline="before")
    cells = re.findall(r"<td>(.*?)</td>", html(made))
    assert cells[:8] == [
        *("a", "before", "400 ms", "500 ms", "1.250", "1.100 to 1.400", "0.001"),
        "REGRESSED, about 7 more runs would decide",
    ]
    assert cells[8:16] == ["failed", "500 ms", "300 ms", "", "passed", "0", "0", ""]


def test_a_big_benchmark_makes_no_big_page() -> None:
    arrivals = [0.3 + n * 0.0123456789 for n in range(1000)]
    samples = [
        Sample(
            number=n,
            arm="a",
            ttft=0.3 + n / 1e4,
            arrivals=arrivals,
            deltas_at=[1] * 1000,
            lags=[0.0000123456] * 1000,
        )
        for n in range(1000)
    ]
    arm = Arm(name="a", provider="p", model="m")
    made = Result(version=1, chatstream="", started_at="", target="", samples=samples, arms=[arm])
    text = html(made)
    assert len(text) < 8_000_000
    kept = data_of(text).samples
    assert sum(len(it.arrivals) for it in kept) == page.MAX_ARRIVALS
    assert [it.ttft for it in kept] == [it.ttft for it in samples]
    assert "except the arrivals of the later runs" in Page(text).seen


# ---- whatever the result


time = st.one_of(st.none(), st.floats(1e-12, 1e4))
odd_samples = st.builds(
    lambda number, arm, status, cold, ttft, arrivals, deltas: Sample(
        number=number,
        arm=arm,
        status=status,
        cold=cold,
        ttft=ttft,
        arrivals=sorted(arrivals),
        deltas_at=[deltas] * len(arrivals),
        stalls=[Stall(it, 0.5) for it in arrivals[:2]],
    ),
    st.integers(0, 10**6),
    st.sampled_from(["a", "b", "of no arm"]),
    st.sampled_from([OK, OK, "reset", "cancelled"]),
    st.booleans(),
    time,
    st.lists(st.floats(0.0, 1e4), max_size=6),
    st.integers(0, 5),
)


@settings(max_examples=examples(40))
@given(st.lists(odd_samples, max_size=8))
def test_any_samples_make_a_page(samples: list[Sample]) -> None:
    arms = [Arm(name=name, provider="p", model="m") for name in ("a", "b")]
    text = html(
        Result(version=1, chatstream="", started_at="", target="", samples=samples, arms=arms)
    )
    assert Page(text).count("html") == 1
    for plot in figures(text):
        for drawn in plot.iter("path"):
            assert "nan" not in (drawn.get("d") or "")
            assert "inf" not in (drawn.get("d") or "")


def test_nothing_measured_is_a_page_without_plots() -> None:
    text = html(
        Result(version=1, chatstream="", started_at="", target="http://127.0.0.1", exit_status=130)
    )
    assert Page(text).count("svg") == 0
    assert "Plots" not in text
