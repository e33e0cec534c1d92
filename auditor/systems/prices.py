"""Prices that an administrator entered, and what asking comes to: requests, tokens, money, minutes.

Money is counted in millionths of the currency as whole numbers, so that sums over many requests lose nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from auditor.systems.asking import Usage

MILLION = 1_000_000
CHARACTERS_A_TOKEN = 4.0
"""Of English, before anything was measured."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What asking costs, in the currency: per million tokens of prompts and of answers, and per request."""

    currency: str = ""
    prompt: Decimal = Decimal(0)
    answer: Decimal = Decimal(0)
    request: Decimal = Decimal(0)

    @property
    def known(self) -> bool:
        """Whether any price was entered."""
        return bool(self.prompt or self.answer or self.request)

    def cost(self, usage: Usage) -> int | None:
        """Millionths that an answer cost, rounded up; ``None`` where its tokens are not counted and cost something."""
        if (usage.prompt is None and self.prompt) or (usage.answer is None and self.answer):
            return None
        return self._of(usage.prompt or 0, usage.answer or 0)

    def most(self, *, characters: int, max_tokens: int) -> int:
        """Millionths a request can cost at most. A token stands for at least one byte, ``characters`` counts bytes."""
        return self._of(characters, max_tokens)

    def _of(self, prompt: float, answer: float) -> int:
        # A price for a million tokens, in units, is the price of one token in millionths.
        total = self.prompt * Decimal(prompt) + self.answer * Decimal(answer) + self.request * MILLION
        return int(total.to_integral_value(rounding=ROUND_CEILING))


def money_words(millionths: int, currency: str) -> str:
    """An amount as people read it."""
    amount = millionths / MILLION
    # Less than a cent is not nothing.
    return f"{currency} {amount:,.4f}" if 0 < amount < 0.01 else f"{currency} {amount:,.2f}"


@dataclass(frozen=True, kw_only=True)
class MeasuredUse:
    """What the probe showed: characters of prompts, tokens counted for them and their answers, seconds an answer."""

    characters: int
    prompt_tokens: int
    answers: int
    answer_tokens: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class CostEstimate:
    """What a run will ask for, before it starts.

    Attributes
    ----------
    requests, prompt_tokens, answer_tokens
        Counts; tokens estimated.
    money, most_money
        Millionths: expected, and if every answer were as long as it may be. ``None`` without prices.
    minutes
        Expected, without rests and repeats; ``None`` if nothing was measured.
    measured
        Whether tokens are counted by the probe or by four characters a token.
    """

    requests: int
    prompt_tokens: int
    answer_tokens: int
    money: int | None
    most_money: int | None
    minutes: float | None
    measured: bool


def estimate(
    lengths: Sequence[int],
    *,
    max_tokens: int,
    replicates: int,
    prices: Prices,
    measured: MeasuredUse | None,
    concurrency: int,
    a_second: float | None = None,
) -> CostEstimate:
    """What asking prompts of these lengths comes to.

    Parameters
    ----------
    lengths
        Characters of each prompt, the system prompt with them.
    max_tokens
        The longest answer.
    replicates
        How often each prompt is asked.
    prices, measured
        As entered and as probed; ``None``: nobody was asked yet.
    concurrency, a_second
        Requests at a time, and a second at most.
    """
    requests = len(lengths) * replicates
    characters = sum(lengths) * replicates
    a_token = CHARACTERS_A_TOKEN
    answer = float(max_tokens)
    if measured is not None and measured.prompt_tokens and measured.characters:
        a_token = measured.characters / measured.prompt_tokens
    if measured is not None and measured.answers and measured.answer_tokens:
        answer = min(answer, measured.answer_tokens / measured.answers)
    prompt_tokens, answer_tokens = math.ceil(characters / a_token), math.ceil(requests * answer)
    minutes = None
    if measured is not None:
        pace = max(measured.seconds / concurrency, 1.0 / a_second if a_second else 0.0)
        minutes = requests * pace / 60.0
    by_request = prices.request * MILLION * requests
    tokens = prices.prompt * prompt_tokens
    return CostEstimate(
        requests=requests,
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
        money=math.ceil(tokens + prices.answer * answer_tokens + by_request) if prices.known else None,
        most_money=math.ceil(tokens + prices.answer * max_tokens * requests + by_request) if prices.known else None,
        minutes=minutes,
        measured=measured is not None and bool(measured.prompt_tokens),
    )
