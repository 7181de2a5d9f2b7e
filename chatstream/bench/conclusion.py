"""A result in one plain sentence: what was measured, how sure it is, and which arm is faster.

1. Pure: a result in, text out. Names in it are still as the server gave them; the caller
   cleans or escapes the sentence.
2. A difference is stated only where `verdict.between` is sure of it. Otherwise the sentence says
   that these runs show none.
3. More than two arms: the best one is named, in comparison with the second best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from chatstream.bench import stats
from chatstream.bench.figures import figure, is_approximate, runs_of, summaries_of
from chatstream.bench.layout import TIMES, name
from chatstream.bench.metrics import failed, samples_of, values_of
from chatstream.bench.result import Arm, Comparison, Result
from chatstream.bench.verdict import between
from chatstream.wording import counted

NAME_CELLS = 40
"""Cells of an arm's name."""

POOR_PERCENT = 10
"""The half width of a median's interval, in percent, above which the median is not well known."""

NO_DIFFERENCE = "these runs show no difference"


_WORDS = {
    "ttft": ("sooner to its first token", "soonest", "time to first token"),
    "tpot": ("faster", "fastest", "speed"),
}
"""How the sentence puts a metric: better than another, best of all, and by its name."""


def conclusion(result: Result) -> str:
    """The sentence, and another for what takes away from it; empty where nothing was asked."""
    arms = [arm for arm in result.arms if runs_of(result, arm)]
    text = ""
    if arms:
        text = _alone(result, arms[0]) if len(arms) == 1 else _together(result, arms)
    silent = [_who(arm) for arm in result.arms if arm not in arms]
    if silent:
        text = f"{text} {' and '.join(silent)} gave no complete answer.".strip()
    if arms and result.client is not None and result.client.verdict != "TRUSTED":
        text += " Do not rely on these figures: this client was the limit."
    return text


# ---- one arm


def _alone(result: Result, arm: Arm) -> str:
    samples = samples_of(result, arm)
    warm = [it for it in samples if not it.cold]
    failures = sum(map(failed, warm))
    by = summaries_of(arm)
    start, pace = by.get("ttft"), by.get("tokens_per_second")
    if start is None or start.median is None:
        return f"{_who(arm)} failed {failures} of {counted(len(warm), 'run')}."
    known = stats.precision(values_of("ttft", samples))
    sure = "" if known is None or math.isinf(known) else f", {_known(known)},"
    text = f"{_who(arm)} sends its first token after {figure('ttft', start.median)}{sure}"
    if pace is not None and pace.median:
        speed = figure("tokens_per_second", pace.median, is_approximate(runs_of(result, arm)))
        text += f" and then {speed} tokens/s"
    basis = [f"median of {counted(start.n, 'run')}" if start.n > 1 else "1 run"]
    if known is None:
        basis[0] += ", too few for a confidence interval"
    if failures:
        basis[0] += f", {failures} of which failed"
    return f"{text.rstrip(',')} ({'; '.join([*basis, _timed(result, [arm])])})."


def _known(share: float) -> str:
    percent = 100 * share
    if percent > POOR_PERCENT:
        return f"known only to within {math.ceil(percent)} %"
    return f"known to within {math.ceil(10 * percent) / 10:g} %"


# ---- several arms


def _together(result: Result, arms: Sequence[Arm]) -> str:
    starts, paces = _ranked(result, arms, "ttft"), _ranked(result, arms, "tpot")
    two = {arm.name for arm in starts[:2]}
    if max(len(starts), len(paces)) < 2:
        text = f"{_who(arms[0])} and {_who(arms[1])} have no figure in common"
    elif len(arms) == 2:
        text = _two(result, starts, paces)
    elif min(len(starts), len(paces)) < 2 or two == {arm.name for arm in paces[:2]}:
        text = f"The best two of {len(arms)}: {_two(result, starts, paces)}"
    else:
        text = f"Of {len(arms)} arms, {_best(result, starts, 'ttft')}"
        text += f"; {_best(result, paces, 'tpot')}"
    return f"{text}; {_timed(result, arms)}."


def _ranked(result: Result, arms: Sequence[Arm], metric: str) -> list[Arm]:
    """The arms that have this metric, the best first; one whose median run failed is the last."""
    by = [(summaries_of(arm).get(metric), arm) for arm in arms]
    known = [(math.inf if it.median is None else it.median, arm) for it, arm in by if it]
    return [arm for _, arm in sorted(known, key=lambda it: it[0])]


def _two(result: Result, starts: list[Arm], paces: list[Arm]) -> str:
    start, pace = _judged(result, starts, "ttft"), _judged(result, paces, "tpot")
    sooner, faster = _is_better(start), _is_better(pace)
    decided_by_pace = (faster and not sooner) or len(starts) < 2
    first, second = map(_who, (paces if decided_by_pace else starts)[:2])
    if sooner:
        text = f"{first} is {_times(start)} {_WORDS['ttft'][0]}"
        if faster and paces[0] is starts[0]:
            return f"{text} and {_times(pace)} {_WORDS['tpot'][0]} than {second}"
        text += f" than {second}"
        if faster:
            return f"{text}, but then {_times(pace)} slower"
        if pace is not None:
            text += (
                ", and then as fast" if pace.verdict == "SAME" else f"; after that, {NO_DIFFERENCE}"
            )
        return text
    if faster:
        text = f"{first} is {_times(pace)} {_WORDS['tpot'][0]} than {second}"
        if start is not None:
            same = start.verdict == "SAME"
            text += f"; up to the first token, {'they are equal' if same else NO_DIFFERENCE}"
        return text
    judged = [it for it in (start, pace) if it is not None]
    if judged and all(it.verdict == "SAME" for it in judged):
        return f"{first} and {second} are equally fast"
    more = max((it.more_runs or 0 for it in judged), default=0)
    text = f"{first} and {second}: {NO_DIFFERENCE}"
    return text + (f" (about {counted(more, 'more run')} might show one)" if more else "")


def _best(result: Result, ranked: list[Arm], metric: str) -> str:
    """The best of several, if these runs can distinguish it from the second best."""
    better, best, what = _WORDS[metric]
    first, second = map(_who, ranked[:2])
    judged = _judged(result, ranked, metric)
    if _is_better(judged):
        return f"{first} is {best} ({_times(judged)} {better} than {second})"
    if judged is not None and judged.verdict == "SAME":
        return f"{first} and {second} are equally {best}"
    return f"{first} and {second} lead in {what}; {NO_DIFFERENCE} between them"


def _judged(result: Result, ranked: list[Arm], metric: str) -> Comparison | None:
    """The best against the second best."""
    return between(metric, result, ranked[0], ranked[1]) if len(ranked) > 1 else None


def _is_better(it: Comparison | None) -> bool:
    return it is not None and it.verdict == "FASTER"


def _times(it: Comparison | None) -> str:
    """How many times better the first is."""
    if it is None or not it.ratio:  # the median run of the other failed
        return "far"
    times = 1 / it.ratio
    digits = 0 if times >= 10 else 1 if times >= 2 else 2
    return f"{times:.{digits}f} {TIMES}"


# ---- words


def _who(arm: Arm) -> str:
    return name(arm.name, NAME_CELLS)


def _timed(result: Result, arms: Sequence[Arm]) -> str:
    """Whose clock the times are from."""
    kernel = [all(it.kernel for it in runs_of(result, arm)) for arm in arms]
    both = "" if len(arms) == 1 else "both " if len(arms) == 2 else "all "
    if all(kernel):
        return f"{both}kernel-timed"
    if not any(kernel):
        return f"{both}timed by this process"
    named = [_who(arm) for arm, it in zip(arms, kernel, strict=True) if it]
    return f"only {' and '.join(named)} kernel-timed"
