"""The cost of a run, request by request, and the limit on it.

1. The cost that a server reports is exact (`usage.cost`). Otherwise it is estimated from the tokens
   and their price. If neither is known for one response, the cost of the run is unknown.
2. The limit applies to the conversation: its answers so far, this run, and the request that is
   about to be sent. An answer of unknown cost, such as one that was stopped, counts as nothing;
   those before it still count. The cost of the request is that of its prompt, by an estimate, and
   of the longest answer that `--max-tokens` allows. Retries and rounds of tools are requests like
   any other. A request that the server refused has cost nothing.
3. Runs side by side that share a `Budget` have one limit. What is set aside for a request that is
   under way counts until its cost is known. Whoever asks first, gets it.
4. If the price is unknown, the limit cannot be checked, and nothing is sent. A server on the user's
   own machine costs nothing and is not limited.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from chatstream.cancel import CancelToken
from chatstream.engine.run import Question
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError, CostLimit
from chatstream.events import Content, Cost, Done, Reasoning, ToolCallDelta, Usage
from chatstream.flow import Arrival, Open, close
from chatstream.messages import ChatRequest
from chatstream.providers import Service
from chatstream.store.place import NoHome, runs_folder

if TYPE_CHECKING:
    from chatstream.engine.prices import Price
    from chatstream.providers.base import Provider

_DIGITS = 10  # of a dollar; any beyond them are rounding errors

_ANSWER = (Content, Reasoning, ToolCallDelta)


class _Sum:
    """Dollars, and whether some of them are an estimate."""

    def __init__(self, dollars: float = 0.0, estimated: bool = False) -> None:
        self.dollars = dollars
        self.estimated = estimated

    def add(self, dollars: float, *, estimated: bool) -> None:
        self.dollars += dollars
        self.estimated = self.estimated or estimated


class _Response:
    """A response: whether any of it came, its last usage, and its expected cost in dollars."""

    def __init__(self, provider: Provider, model: str, expected: float) -> None:
        self.provider = provider
        self.model = model
        self.expected = expected
        self.spoke = False
        self.usage: Usage | None = None


class Budget:
    """What runs that have one limit have asked for, together."""

    def __init__(self) -> None:
        self.responses: list[_Response] = []
        self.lock = threading.Lock()  # from a check until its request is among the responses


class Spending:
    """The costs of one run."""

    def __init__(self, settings: Settings, question: Question) -> None:
        self._settings = settings
        self._question = question
        self._responses: list[_Response] = []
        self._budget = question.budget or Budget()

    def around(self, provider: Provider, service: Service, source: Open) -> Open:
        """`source`, noting its cost; it is not opened if it would cost too much."""

        def opened(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
            expected, budget = 0.0, self._budget
            with budget.lock:
                if self._settings.max_cost is not None and not service.local:
                    expected = self._check(provider, request, self._settings.max_cost)
                response = _Response(provider, request.model, expected)
                budget.responses.append(response)
            self._responses.append(response)
            arrivals = source(request, token)
            try:
                for arrival in arrivals:
                    if Usage in map(type, arrival.events):  # for most tokens that is all
                        counted = [it for it in arrival.events if isinstance(it, Usage)]
                        response.usage = counted[-1]
                    if not response.spoke:
                        response.spoke = any(isinstance(it, _ANSWER) for it in arrival.events)
                    yield arrival
            except ChatstreamError as error:
                if error.status is not None and not response.spoke:
                    response.expected = 0.0  # the server refused it
                raise
            finally:
                close(arrivals)

        return opened

    def cost(self) -> Cost | None:
        """The cost of the run so far; None if unknown."""
        run = _Sum()
        for response in self._responses:
            if response.usage is None and not response.spoke:
                continue  # it was refused, or broke off before anything came
            exact = response.usage.cost if response.usage else None
            dollars = self._estimate(response) if exact is None else exact
            if dollars is None:
                return None
            run.add(dollars, estimated=exact is None)
        if not self._responses:
            return None
        cost = Cost(round(run.dollars, _DIGITS), run.estimated)
        if (before := self._before()) is not None:
            before.add(run.dollars, estimated=run.estimated)
            cost.conversation = round(before.dollars, _DIGITS)
            cost.conversation_estimated = before.estimated
        return cost

    def _check(self, provider: Provider, request: ChatRequest, limit: float) -> float:
        """The expected cost of the request. Raises `CostLimit`, `ConfigError`."""
        from chatstream.providers.context import BYTES_PER_TOKEN, size_of

        price = self._price(provider, request.model)
        tokens = round(size_of(request.messages, request.tools) / BYTES_PER_TOKEN)
        likely = Usage(tokens, request.max_tokens or 0)
        expected = price.cost(likely) if price is not None else None
        if expected is None:
            raise CostLimit(
                f"the price of {request.model} is not known, so --max-cost cannot be checked",
                hint="`chatstream prices update` fetches prices; [prices] in the configuration "
                "sets them",
            )
        spent = self._question.spent + known_cost(self._question.parent)
        what = "spent"
        for it in self._budget.responses:
            dollars = it.usage.cost if it.usage else None
            dollars = self._estimate(it) if dollars is None else dollars
            if dollars is None and it.expected and it not in self._responses:
                what = "spent or set aside for other answers"
            spent += it.expected if dollars is None else dollars
        if spent + expected > limit:
            raise CostLimit(
                f"the next request would cost about ${expected:.4g}, but ${spent:.4g} of the limit "
                f"of ${limit:.4g} is already {what}",
                hint="nothing more was sent; raise the limit with --max-cost",
            )
        return expected

    def _estimate(self, response: _Response) -> float | None:
        price = self._price(response.provider, response.model)
        if response.usage is None or price is None:
            return None
        return price.cost(response.usage, cached_apart=response.provider.counts_cached_apart)

    def _price(self, provider: Provider, model: str) -> Price | None:
        from chatstream.engine.prices import price_of  # after the answer, or for a limit

        return price_of(self._settings, provider.endpoint, model)

    def _before(self) -> _Sum | None:
        """The cost of the conversation before this run; None if it is unknown or zero."""
        if self._question.parent is None or self._question.record is not None:
            return None
        told = conversation_cost(self._question.parent)
        return _Sum(*told) if told is not None else None


def known_cost(run: str | None) -> float:
    """The known cost of a conversation up to the answer of this run, in dollars."""
    from chatstream.store.journal import SUFFIX
    from chatstream.store.reading import ends

    spent, seen = 0.0, set()
    while run is not None and run not in seen:
        seen.add(run)
        if (told := conversation_cost(run)) is not None:
            return spent + told[0]
        try:
            opening, last = ends(runs_folder() / (run + SUFFIX))
        except (ChatstreamError, NoHome, OSError):
            break
        if isinstance(last, Done) and last.cost is not None:
            spent += last.cost.run
        run = opening.parent if opening is not None else None
    return spent


def conversation_cost(run: str) -> tuple[float, bool] | None:
    """The cost of a conversation up to the answer of this run, in dollars; None if unknown.

    The second value: some of it is an estimate.
    """
    from chatstream.store.journal import SUFFIX
    from chatstream.store.reading import ends

    try:
        opening, last = ends(runs_folder() / (run + SUFFIX))
    except (ChatstreamError, NoHome, OSError):
        return None
    if opening is None or not isinstance(last, Done) or last.cost is None:
        return None
    if opening.continues is not None:
        return None  # its cost is that of the rest of an answer
    cost = last.cost
    if opening.parent is None:
        return cost.run, cost.estimated
    if cost.conversation is None:
        return None
    return cost.conversation, cost.conversation_estimated
