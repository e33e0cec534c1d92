"""Requests, tokens, money and minutes before the start, and money to the millionth while it runs."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.systems.asking import Usage
from auditor.systems.prices import MILLION, MeasuredUse, Prices, estimate
from auditor.systems.wire import count

PRICES = Prices(currency="USD", prompt=Decimal("2.50"), answer=Decimal(10), request=Decimal("0.001"))
MEASURED = MeasuredUse(characters=4000, prompt_tokens=800, answers=10, answer_tokens=30, seconds=1.5)


def test_an_estimate_counts_what_was_measured() -> None:
    found = estimate([1000] * 60, max_tokens=16, replicates=3, prices=PRICES, measured=MEASURED, concurrency=4)
    assert (found.requests, found.prompt_tokens, found.answer_tokens) == (180, 36_000, 540)
    # 36,000 × 2.50 + 540 × 10 millionths, and 180 × 0.001 of the currency
    assert found.money == 90_000 + 5_400 + 180_000
    assert found.most_money == 90_000 + 180 * 16 * 10 + 180_000
    assert found.minutes == pytest.approx(180 * 1.5 / 4 / 60)
    assert found.measured


def test_before_anything_was_measured_it_says_so() -> None:
    found = estimate([1000] * 2, max_tokens=5, replicates=1, prices=Prices(), measured=None, concurrency=4)
    assert (found.prompt_tokens, found.answer_tokens, found.measured) == (500, 10, False)
    assert (found.money, found.most_money, found.minutes) == (None, None, None)


def test_a_bound_on_requests_a_second_is_in_the_minutes() -> None:
    found = estimate(
        [10] * 120, max_tokens=5, replicates=1, prices=Prices(), measured=MEASURED, concurrency=64, a_second=1.0
    )
    assert found.minutes == pytest.approx(2.0)


@given(prompt=st.integers(0, 10**6), answer=st.integers(0, 10**5))
def test_costs_are_rounded_up_to_a_millionth_and_never_above_the_most(prompt: int, answer: int) -> None:
    cost = PRICES.cost(Usage(prompt, answer))
    assert cost is not None
    exact = (PRICES.prompt * prompt + PRICES.answer * answer) + PRICES.request * MILLION
    assert exact <= cost < exact + 1
    assert cost <= PRICES.most(characters=prompt, max_tokens=answer)


def test_tokens_that_nobody_counted_have_no_cost_where_they_cost_something() -> None:
    assert PRICES.cost(Usage(None, 3)) is None
    assert PRICES.cost(Usage(3, None)) is None
    assert Prices(request=Decimal(1)).cost(Usage()) == MILLION


def test_a_count_of_tokens_that_no_answer_has_is_no_count() -> None:
    assert count({"n": 1 << 32}, "n") == 1 << 32
    assert count({"n": 10**30}, "n") is None
    assert count({"n": -1}, "n") is None
