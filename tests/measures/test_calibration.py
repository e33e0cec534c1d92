import numpy as np
import pytest
from scipy import stats

from auditor.statistics import calibration
from auditor.statistics.calibration import calibration_gap, quantile_edges


def sample(n=1200, lift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0, 1, n)
    protected = rng.random(n) < 0.4
    labels = rng.random(n) < np.clip(scores + lift * protected * (scores > 0.5), 0, 1)
    return {"scores": scores, "labels": labels, "protected": protected}


def test_the_gap_is_the_largest_over_bins_by_hand():
    data = sample()
    edges = quantile_edges(data["scores"], bins=4)
    assert edges == pytest.approx(np.quantile(data["scores"], [0.25, 0.5, 0.75]))
    result = calibration_gap(**data, edges=edges, level=0.95)
    gaps = []
    for low, high in zip([-np.inf, *edges], [*edges, np.inf], strict=True):
        here = (data["scores"] >= low) & (data["scores"] < high)
        p, r = (data["labels"][here & member].mean() for member in (data["protected"], ~data["protected"]))
        gaps.append(abs(p - r))
    assert result.gap.value == pytest.approx(max(gaps), abs=1e-12)
    assert sum(item.protected.n + item.reference.n for item in result.bins) == 1200


def test_under_no_difference_the_permutation_p_value_is_uniform_enough():
    p = [
        calibration_gap(
            **sample(n=300, seed=seed), edges=[0.25, 0.5, 0.75], permutations=999, seed=seed, level=0.95
        ).gap.test.p_value
        for seed in range(150)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert 0.0 < np.mean(np.array(p) < 0.05) < 0.12


def test_a_real_gap_is_found_although_a_maximum_is_biased():
    found = calibration_gap(**sample(lift=0.3), edges=[0.25, 0.5, 0.75], level=0.95)
    assert found.gap.test.p_value < 0.001
    assert found.gap.interval.low > 0.05


def test_the_permutation_p_value_counts_ties_and_agrees_with_the_exact_distribution():
    data = sample(n=60, lift=0.1, seed=4)
    result = calibration_gap(**data, edges=[], permutations=100_000, level=0.95)
    p, r = result.bins[0].protected, result.bins[0].reference
    favourable = p.favourable + r.favourable
    drawn = np.arange(max(0, favourable - r.n), min(p.n, favourable) + 1)
    gaps = np.abs(drawn / p.n - (favourable - drawn) / r.n)
    chances = stats.hypergeom(p.n + r.n, favourable, p.n).pmf(drawn)
    exact = chances[gaps >= result.gap.value - 1e-9].sum()
    assert chances[np.abs(gaps - result.gap.value) < 1e-9].sum() > 0.02  # so that losing the ties would show
    assert result.gap.test.p_value == pytest.approx(exact, abs=0.008)


def test_a_score_on_an_edge_falls_in_the_bin_above():
    result = calibration_gap(scores=[0.5, 0.4], labels=[1, 1], protected=[1, 1], edges=[0.5], min_cell=1, level=0.95)
    assert [item.protected.n for item in result.bins] == [1, 1]
    below = calibration_gap(scores=[0.5, 0.6], labels=[1, 1], protected=[1, 1], edges=[0.5], min_cell=1, level=0.95)
    assert [item.protected.n for item in below.bins] == [0, 2]


def test_small_bins_are_skipped_and_said_to_be():
    scores = np.r_[np.full(20, 0.1), np.full(20, 0.9), np.full(10, 0.9)]
    protected = np.r_[np.ones(10), np.zeros(10), np.ones(20), np.zeros(10)].astype(bool)
    labels = np.tile([1, 0], 25)
    none = calibration_gap(scores=scores, labels=labels, protected=protected, edges=[0.5], level=0.95)
    assert none.gap.value is None
    assert none.gap.reason == "no bin holds at least 11 cases of both groups"
    assert [item.skipped for item in none.bins] == [True, True]
    kept = calibration_gap(scores=scores, labels=labels, protected=protected, edges=[0.5], min_cell=10, level=0.95)
    assert kept.gap.counts == {"bins": 2, "bins_skipped": 0}


def test_rows_that_belong_together_have_the_test_of_one_row_each():
    data = sample(n=400, lift=0.3)
    once = calibration_gap(**data, edges=[0.5], level=0.95).gap
    twice = {name: np.repeat(column, 2) for name, column in data.items()}
    again = calibration_gap(**twice, edges=[0.5], clusters=np.repeat(np.arange(400), 2), level=0.95).gap
    assert again.test.p_value == pytest.approx(once.test.p_value, abs=0.02)
    assert again.interval.low == pytest.approx(once.interval.low, abs=0.02)
    few = calibration_gap(**twice, edges=[0.5], clusters=np.arange(800) // 25, level=0.95).gap
    assert few.test is not None
    none = calibration_gap(**twice, edges=[0.5], clusters=np.arange(800) // 80, level=0.95).gap
    assert (none.interval, none.test) == (None, None)
    assert "count as 9.6 of equal size, at least 20 needed" in none.reason


def test_the_interval_of_a_largest_gap_holds_none_where_there_is_none():
    held = [
        calibration_gap(**sample(n=600, seed=seed), edges=[0.2, 0.4, 0.6, 0.8], level=0.95).gap.interval.low == 0
        for seed in range(60)
    ]
    assert sum(held) >= 54


def test_edges_that_do_not_increase_are_refused():
    with pytest.raises(ValueError, match="edges must increase"):
        calibration_gap(**sample(n=50), edges=[0.5, 0.5], level=0.95)
    with pytest.raises(ValueError, match="bins must be at least 1"):
        quantile_edges([], bins=3)


def test_very_many_cases_are_resampled_as_counts_to_the_same_interval(monkeypatch):
    draw = np.random.default_rng(6)
    scores = draw.random(5000)
    protected = draw.random(5000) < 0.3
    labels = draw.random(5000) < np.clip(scores - 0.1 * protected, 0, 1)

    def found():
        return calibration_gap(
            scores=scores,
            labels=labels,
            protected=protected,
            edges=quantile_edges(scores, bins=5),
            level=0.95,
            resamples=4000,
        ).gap

    one = found()
    monkeypatch.setattr(calibration, "MANY", 1000)
    other = found()
    assert other.value == one.value
    assert other.test == one.test
    width = one.interval.high - one.interval.low
    assert (other.interval.low, other.interval.high) == pytest.approx(
        (one.interval.low, one.interval.high), abs=0.06 * width
    )
