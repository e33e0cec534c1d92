"""Sums of resamples drawn directly have the law of those that are drawn case by case."""

import numpy as np
import pytest
from scipy import stats

from auditor.statistics import bootstrap, many_cases
from auditor.statistics.many_cases import drawn_counts, drawn_sums
from auditor.statistics.scores import compare_labelled, smd


def case_by_case(totals, *, resamples=4000, seed=9):
    weights = np.random.default_rng(seed).multinomial(len(totals), np.full(len(totals), 1 / len(totals)), resamples)
    return weights @ totals


def mixed(n=3000, small=40, seed=2):
    """A large and a small group with a skewed number, as columns of sums (n, y, y²) of each."""
    draw = np.random.default_rng(seed)
    y = draw.exponential(size=n)
    member = np.arange(n) < small
    return np.column_stack([member, member * y, member * y**2, ~member, ~member * y, ~member * y**2]).astype(float)


def test_counts_of_cells_have_the_multinomial_law():
    counts = np.array([3, 50, 947])
    drawn = drawn_counts(counts, resamples=20_000, seed=1)
    assert (drawn.sum(axis=1) == 1000).all()
    assert drawn.mean(axis=0) == pytest.approx(counts, rel=0.02)
    # The law of the rarest cell is the binomial one, to the probability of each count.
    seen = np.bincount(drawn[:, 0].astype(int), minlength=12)[:8] / 20_000
    assert seen == pytest.approx(stats.binom.pmf(np.arange(8), 1000, 0.003), abs=0.01)


def test_few_patterns_are_drawn_as_their_counts():
    totals = np.repeat([[1.0, 0.0], [1.0, 1.0], [0.0, 7.0]], [5, 20, 2], axis=0)
    drawn = drawn_sums(totals, resamples=20_000, seed=1)
    ours, theirs = drawn.std(axis=0), case_by_case(totals, resamples=20_000).std(axis=0)
    assert ours == pytest.approx(theirs, rel=0.03)
    # Whole numbers of each pattern, never a normal approximation.
    assert (drawn == np.round(drawn)).all()


def test_moments_of_every_sum_are_those_of_a_resample():
    totals = mixed()
    drawn = drawn_sums(totals, resamples=40_000, seed=3)
    assert drawn.mean(axis=0) == pytest.approx(totals.sum(axis=0), rel=0.01)
    exact = np.cov(totals.T, bias=True) * len(totals)
    errors = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert np.abs(np.cov(drawn.T) - exact).max() < 0.03 * errors.max()
    assert np.abs((np.cov(drawn.T) - exact) / errors).max() < 0.03


def test_a_small_group_among_many_keeps_its_own_law():
    totals = mixed()
    drawn = drawn_sums(totals, resamples=20_000, seed=4)
    peer = case_by_case(totals, resamples=20_000)
    mean, peer_mean = drawn[:, 1] / drawn[:, 0], peer[:, 1] / peer[:, 0]
    shares = [0.005, 0.025, 0.5, 0.975, 0.995]
    spread = peer_mean.std()
    assert np.quantile(mean, shares) == pytest.approx(np.quantile(peer_mean, shares), abs=0.08 * spread)


def test_the_same_seed_gives_the_same_sums():
    totals = mixed()
    assert (drawn_sums(totals, resamples=2000, seed=5) == drawn_sums(totals, resamples=2000, seed=5)).all()
    assert not (drawn_sums(totals, resamples=2000, seed=5) == drawn_sums(totals, resamples=2000, seed=6)).all()


def test_intervals_of_a_sample_are_alike_on_either_side_of_the_bound(monkeypatch):
    draw = np.random.default_rng(8)
    protected = np.arange(6000) < 1500
    scores = draw.gamma(2.0, size=6000) - 0.2 * protected
    labels = draw.random(6000) < 0.6
    said = draw.random(6000) < np.where(labels, 0.7, 0.3) - 0.1 * protected

    def both():
        gap = smd(scores=scores, protected=protected, reference=~protected, level=0.95, resamples=4000)
        labelled = compare_labelled(
            labels=labels, decisions=said, protected=protected, reference=~protected, level=0.95, resamples=4000
        )
        return gap, labelled.equal_opportunity, labelled.equalised_odds_difference

    drawn = both()
    for module in (bootstrap, many_cases):
        monkeypatch.setattr(module, "MANY", 1000)
    direct = both()
    for one, other in zip(drawn, direct, strict=True):
        assert one.value == other.value
        width = one.interval.high - one.interval.low
        assert (other.interval.low, other.interval.high) == pytest.approx(
            (one.interval.low, one.interval.high), abs=0.06 * width
        )


def test_a_million_cases_take_seconds():
    draw = np.random.default_rng(1)
    protected = draw.random(1_000_000) < 0.2
    scores = draw.normal(size=1_000_000) - 0.1 * protected
    found = smd(scores=scores, protected=protected, reference=~protected, level=0.95)
    # The large-sample error of a standardised difference (Hedges and Olkin 1985).
    n_p, n_0 = int(protected.sum()), int((~protected).sum())
    error = np.sqrt(1 / n_p + 1 / n_0 + found.value**2 / (2 * (n_p + n_0)))
    assert found.interval.high - found.interval.low == pytest.approx(2 * 1.96 * error, rel=0.06)
