"""A sample of unscreened nodes bounds how many may be larger, not how large they are, and it keeps its level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import comb

from auditor.mechanisms.attribution_patching.screening import most_exceeding, screened


@given(population=st.integers(1, 400), share=st.floats(0, 1), alpha=st.sampled_from([0.01, 0.05, 0.1]))
def test_the_bound_is_the_last_count_that_a_sample_without_any_leaves_likely(
    population: int, share: float, alpha: float
) -> None:
    """The closed form: C(R − q, k) / C(R, k)."""
    drawn = int(share * population)
    found = most_exceeding(population=population, drawn=drawn, seen=0, alpha=alpha)

    def missing_all(count: int) -> float:
        return float(comb(population - count, drawn, exact=True) / comb(population, drawn, exact=True))

    assert missing_all(found) > alpha
    assert found == population - drawn or missing_all(found + 1) <= alpha


def test_nothing_drawn_bounds_nothing_and_all_drawn_leaves_nothing_open() -> None:
    assert most_exceeding(population=290, drawn=0, seen=0, alpha=0.05) == 290
    assert most_exceeding(population=290, drawn=290, seen=3, alpha=0.05) == 3
    assert most_exceeding(population=0, drawn=0, seen=0, alpha=0.05) == 0
    assert most_exceeding(population=290, drawn=15, seen=0, alpha=0.05) == 51


def test_a_sample_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="5 of 4 drawn"):
        most_exceeding(population=10, drawn=4, seen=5, alpha=0.05)


@pytest.mark.parametrize("heavy", [False, True])
def test_more_nodes_exceed_than_the_bound_says_in_no_more_than_alpha_of_draws(heavy: bool) -> None:
    """Whatever the sizes are; the largest of the sample as a bound on sizes would be wrong in most draws."""
    rng = np.random.default_rng(3)
    sizes = rng.standard_cauchy(290) if heavy else rng.normal(size=290)
    sizes = np.abs(sizes)
    wrong, larger, draws = 0, 0, 2000
    for _ in range(draws):
        drawn = rng.choice(290, size=15, replace=False)
        found = screened(reported=np.array([1.0]), sample=sizes[drawn], unscreened=290, alpha=0.05)
        beyond = int((sizes > found.largest).sum())
        wrong += beyond > found.exceed_largest
        larger += beyond > 0
    assert wrong / draws <= 0.065  # 0.05 and three standard errors of 2,000 draws
    assert larger / draws > 0.9


def test_nodes_above_the_smallest_reported_are_counted_with_those_the_sample_may_have_missed() -> None:
    found = screened(reported=np.array([0.5, 0.2]), sample=np.array([0.3, 0.1, 0.05, 0.02]), unscreened=40, alpha=0.05)
    assert (found.seen, found.drawn, found.largest) == (1, 4, 0.3)
    assert found.exceed_reported > found.exceed_largest > 0
