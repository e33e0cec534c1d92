import numpy as np
import pytest
from scipy import stats

from auditor.statistics import bootstrap
from auditor.statistics.bootstrap import (
    BootstrapSample,
    bootstrap_totals,
    cluster_codes,
    cluster_totals,
    effective_size,
    resample_weights,
    resampled_sums,
    sample_of,
)


def mean(sums):
    return sums[:, 0] / sums[:, 1]


def totals_of(values, clusters=None):
    codes, k = cluster_codes(clusters, n=len(values))
    return cluster_totals(np.column_stack([values, np.ones(len(values))]), codes=codes, clusters=k)


def test_one_seed_gives_one_sequence_whatever_the_block(monkeypatch):
    totals = totals_of(np.random.default_rng(0).normal(size=50))
    whole = bootstrap_totals(totals=totals, statistic=mean, seed=3).values
    monkeypatch.setattr(bootstrap, "BLOCK_CELLS", 7 * 50)
    # The resamples are the same; a product of matrices of another height may round its last digit otherwise.
    assert bootstrap_totals(totals=totals, statistic=mean, seed=3).values == pytest.approx(whole, rel=1e-12, abs=1e-15)
    assert (bootstrap_totals(totals=totals, statistic=mean, seed=4).values != whole).any()


def test_every_resample_draws_as_many_clusters_as_there_are():
    weights = np.concatenate(list(resample_weights(clusters=31, resamples=2000, seed=0)))
    assert weights.shape == (2000, 31)
    assert (weights.sum(axis=1) == 31).all()
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(30 / 31, rel=0.05)  # binomial(31, 1/31)


def test_memory_is_bounded_by_the_block_and_not_by_the_data():
    blocks = list(resample_weights(clusters=20_000, resamples=2000, seed=0))
    assert max(block.size for block in blocks) <= bootstrap.BLOCK_CELLS
    assert sum(len(block) for block in blocks) == 2000


def test_the_interval_of_a_mean_agrees_with_scipy_and_with_theory():
    values = np.random.default_rng(1).exponential(size=300)
    ours = bootstrap_totals(totals=totals_of(values), statistic=mean, resamples=20_000, seed=1).interval(0.95)
    oracle = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    spread = values.std(ddof=1) / np.sqrt(300)
    assert (ours.low, ours.high) == pytest.approx((oracle.low, oracle.high), abs=0.05 * spread)
    assert ours.high - ours.low == pytest.approx(2 * 1.96 * spread, rel=0.05)


def test_repeating_rows_inside_their_cluster_changes_nothing():
    values = np.random.default_rng(1).normal(size=80)
    once = bootstrap_totals(totals=totals_of(values, np.arange(80)), statistic=mean).interval(0.95)
    repeated = bootstrap_totals(
        totals=totals_of(np.repeat(values, 5), np.repeat(np.arange(80), 5)), statistic=mean
    ).interval(0.95)
    assert (repeated.low, repeated.high) == pytest.approx((once.low, once.high), abs=1e-12)


def test_too_many_undefined_resamples_withhold_the_interval():
    values = np.arange(1000.0)
    values[:40] = np.nan
    assert BootstrapSample(values).interval(0.95) is not None
    values[:60] = np.nan
    assert BootstrapSample(values).interval(0.95) is None


def test_ninety_percent_lies_inside_ninety_five():
    sample = bootstrap_totals(totals=totals_of(np.random.default_rng(1).normal(size=50)), statistic=mean)
    wide, narrow = sample.interval(0.95), sample.interval(0.90)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_too_few_resamples_or_no_cluster_are_refused():
    with pytest.raises(ValueError, match="at least 2000"):
        next(resample_weights(clusters=3, resamples=100, seed=0))
    with pytest.raises(ValueError, match="at least one cluster"):
        next(resample_weights(clusters=0, resamples=2000, seed=0))
    with pytest.raises(ValueError, match=r"clusters must have shape \(2,\)"):
        cluster_codes([1, 2, 3], n=2)


def test_the_intra_cluster_correlation_is_recovered_and_sets_the_effective_size():
    rng = np.random.default_rng(9)
    shared, own = rng.normal(size=4000), rng.normal(size=(4000, 3))
    values = (np.sqrt(0.4) * shared[:, None] + np.sqrt(0.6) * own).ravel()
    result = effective_size(values=values, clusters=np.repeat(np.arange(4000), 3))
    assert result.correlation == pytest.approx(0.4, abs=0.03)
    assert result.design_effect == pytest.approx(1 + 2 * result.correlation)
    assert result.effective_n == pytest.approx(12_000 / result.design_effect)


def test_the_correlation_agrees_with_one_way_analysis_of_variance():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(30, 4)) + rng.normal(size=30)[:, None]
    f = stats.f_oneway(*values).statistic
    result = effective_size(values=values.ravel(), clusters=np.repeat(np.arange(30), 4))
    assert result.correlation == pytest.approx((f - 1) / (f + 3), rel=1e-9)


@pytest.mark.parametrize(
    ("values", "clusters", "effective", "reason"),
    [
        ([1, 0, 1], [0, 1, 2], 3, "no cluster has more than one row"),
        ([1, 0, 1, 0], [0, 0, 0, 0], 1, "all rows are in one cluster"),
        ([1, 1, 1, 1], [0, 0, 1, 1], 2, "all values are alike"),
    ],
)
def test_an_unknown_correlation_has_a_reason_and_the_worst_case_counts(values, clusters, effective, reason):
    result = effective_size(values=values, clusters=clusters)
    assert result.correlation is None
    assert result.reason == reason
    assert result.effective_n == pytest.approx(effective)


def test_clusters_that_disagree_inside_never_add_information():
    result = effective_size(values=[0, 1] * 20, clusters=np.repeat(np.arange(20), 2))
    assert result.correlation == pytest.approx(-1)
    assert result.effective_n == 40


def test_sums_drawn_once_serve_every_statistic():
    totals = totals_of(np.random.default_rng(2).normal(size=60))
    once = sample_of(resampled_sums(totals=totals, seed=5), mean, clusters=60)
    assert (once.values == bootstrap_totals(totals=totals, statistic=mean, seed=5).values).all()
    assert once.interval(0.95) == bootstrap_totals(totals=totals, statistic=mean, seed=5).interval(0.95)
    undefined = sample_of(np.array([[1.0, 0.0], [2.0, 1.0]]), mean, clusters=2)
    assert np.isnan(undefined.values).tolist() == [True, False]
