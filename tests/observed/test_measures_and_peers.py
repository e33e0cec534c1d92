"""Every measure over the columns of a decision file against an independent way to the same number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_ratio,
    equal_opportunity_difference,
    equalized_odds_difference,
    selection_rate,
)
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2

from auditor.observed.columns import crossed, tallies_by
from auditor.observed.contrasts import contrast_of
from auditor.observed.measures import (
    Sampling,
    agreement_gaps,
    amount_gaps,
    at_equal_factors,
    by_segment,
    later_gaps,
    likely_gap,
    marginal,
    rate_gaps,
    reason_gaps,
    score_gap,
    scoring_rates,
)
from auditor.statistics.clustered import ClusteredRows
from auditor.statistics.groups import HIGHEST_RATE
from tests.observed.made_up import columns, table

HOW = Sampling(0.95)


@pytest.fixture(scope="module")
def observed():
    return columns()


@pytest.fixture(scope="module")
def contrast(observed):
    return contrast_of(observed, observed.attribute("race"), group="Black", reference="White")


def alone(contrast):
    """The same contrast where no decision has anything in common with another."""
    return replace(contrast, observed=replace(contrast.observed, cluster=None))


def test_the_error_of_a_gap_of_rates_is_that_of_a_regression_on_the_group_with_clustered_errors(contrast, frame):
    fit = sm.OLS(frame["yes"].to_numpy().astype(float), sm.add_constant(frame["black"].to_numpy().astype(float))).fit(
        cov_type="cluster", cov_kwds={"groups": frame["branch"].rank("dense").to_numpy()}, use_t=True
    )
    rows = ClusteredRows(contrast.favourable, contrast.protected, contrast.clusters(contrast.rows))
    parts = rows.parts
    # The jackknife over branches is nearly the sandwich here, and is exactly the one of branches left out in turn.
    error = parts.belong.error(parts.influence("difference"))
    assert error == pytest.approx(fit.bse[-1], rel=0.05)
    assert error == pytest.approx(left_out(frame, "yes"), rel=1e-9)
    assert 38 < parts.belong.fewest < 40  # of nearly one size


def left_out(frame, column):
    """The error of a difference of means by leaving out one branch after another."""

    def gap(part):
        means = dict(part.group_by("black").agg(pl.col(column).mean()).iter_rows())
        return means[True] - means[False]

    branches = frame["branch"].unique(maintain_order=True).to_list()
    each = np.array([gap(frame.filter(pl.col("branch") != branch)) for branch in branches])
    return np.sqrt((len(each) - 1) / len(each) * ((each - gap(frame)) ** 2).sum())


@pytest.fixture(scope="module")
def frame():
    """The decided applications of both groups."""
    made = table().filter(pl.col("decision") != "withdrawn").filter(pl.col("race") != "Asian")
    return made.with_columns(yes=pl.col("decision") == "approved", black=pl.col("race") == "Black")


def test_rates_are_fairlearns(contrast, frame):
    peer = MetricFrame(
        metrics=selection_rate,
        y_true=frame["yes"].to_numpy(),
        y_pred=frame["yes"].to_numpy(),
        sensitive_features=frame["race"].to_numpy(),
    )
    protected, reference = contrast.decisions
    assert protected.rate == pytest.approx(peer.by_group["Black"])
    assert reference.rate == pytest.approx(peer.by_group["White"])
    gaps = rate_gaps(alone(contrast), level=0.95)
    assert abs(gaps.difference.value) == pytest.approx(peer.difference())
    ratio = demographic_parity_ratio(
        frame["yes"].to_numpy(), frame["yes"].to_numpy(), sensitive_features=frame["race"].to_numpy()
    )
    assert gaps.ratio.value == pytest.approx(ratio)
    yes, black = frame["yes"].to_numpy(), frame["black"].to_numpy()
    cells = Table2x2(np.array([[(~yes & group).sum(), (yes & group).sum()] for group in (black, ~black)]))
    assert gaps.odds_ratio.value == pytest.approx(cells.oddsratio)
    assert (gaps.odds_ratio.interval.low, gaps.odds_ratio.interval.high) == pytest.approx(cells.oddsratio_confint())
    assert gaps.shortfall.value == pytest.approx(-gaps.difference.value * protected.n)


def test_those_decided_neither_way_are_counted_against_all_who_applied(contrast):
    made = table()
    shares = {
        race: (made.filter(pl.col("race") == race)["decision"] == "withdrawn").mean() for race in ("Black", "White")
    }
    assert rate_gaps(contrast, level=0.95).neither.value == pytest.approx(shares["Black"] - shares["White"])


def test_scores_are_scipys_welch_and_the_pooled_sd(observed, contrast, frame):
    black, white = (frame.filter(pl.col("black") == each)["score"].to_numpy() for each in (True, False))
    pooled = np.sqrt(((len(black) - 1) * black.var(ddof=1) + (len(white) - 1) * white.var(ddof=1))
                     / (len(black) + len(white) - 2))  # fmt: skip
    found = score_gap(contrast, observed.score, HOW)
    assert found.value == pytest.approx((black.mean() - white.mean()) / pooled)
    assert found.test.p_value == pytest.approx(stats.ttest_ind(black, white, equal_var=False).pvalue)


def test_scoring_rates_count_who_lies_above_the_median_of_everybody(observed):
    found = scoring_rates(
        observed, observed.attribute("race"), observed.score, reference=HIGHEST_RATE, min_share=0.02, level=0.95
    )
    made = table().with_columns(above=pl.col("score") > pl.col("score").median())
    shares = dict(made.group_by("race").agg(pl.col("above").mean()).iter_rows())
    assert {name: rate.value for name, rate in found.rates.items()} == pytest.approx(shares)
    best = max(shares, key=shares.get)
    assert found.reference == best
    assert found.ratios["Black"].value == pytest.approx(shares["Black"] / shares[best])


def design(frame):
    income = frame["income"].replace("NA", None).cast(pl.Float64)
    parts = [frame["ratio"].to_numpy(), income.is_null().to_numpy(), income.fill_null(income.mean()).to_numpy()]
    parts += [(frame["purpose"] == each).to_numpy() for each in ("buy", "improve")]
    return sm.add_constant(np.column_stack([*parts, frame["black"].to_numpy()]).astype(float))


def test_differences_at_equal_factors_are_statsmodels_with_branches_as_clusters(contrast, frame):
    found = at_equal_factors(contrast, level=0.95)
    groups = frame["branch"].rank("dense").to_numpy()
    peer = sm.Logit(frame["yes"].to_numpy().astype(float), design(frame)).fit(
        disp=0, tol=1e-12, maxiter=100, cov_type="cluster", cov_kwds={"groups": groups}
    )
    effects = peer.get_margeff(at="overall", dummy=True)
    assert found.difference.value == pytest.approx(effects.margeff[-1], abs=1e-8)
    assert found.difference.counts["standard_error"] == pytest.approx(effects.margeff_se[-1], rel=0.01)
    assert found.odds_ratio.value == pytest.approx(np.exp(-peer.params[-1]), rel=1e-7)
    assert found.difference.counts["clusters"] == 40
    # The planted effect of −0.8 log-odds lies within the interval.
    assert found.odds_ratio.interval.low < np.exp(0.8) < found.odds_ratio.interval.high


def test_segments_are_statsmodels_strata(contrast, observed, frame):
    found = by_segment(alone(contrast), observed.segments[0], level=0.95)
    tables = []
    for purpose in ("buy", "improve", "refinance"):
        own = frame.filter(pl.col("purpose") == purpose)
        tables.append([[((own["yes"] == yes) & (own["black"] == black)).sum() for yes in (True, False)]
                       for black in (True, False)])  # fmt: skip
    peer = StratifiedTable([np.array(each) for each in tables])
    assert found.mantel_haenszel_odds_ratio.value == pytest.approx(peer.oddsratio_pooled)
    assert found.mantel_haenszel_ratio.value == pytest.approx(peer.riskratio_pooled)
    assert found.cmh.statistic == pytest.approx(peer.test_null_odds(correction=False).statistic)
    assert found.homogeneity.p_value == pytest.approx(peer.test_equal_odds(adjust=True).pvalue)


def test_labelled_measures_are_fairlearns(contrast, frame):
    found = later_gaps(contrast, HOW)
    peer = {
        "y_true": (frame["status"] == "repaid").to_numpy().astype(int),
        "y_pred": frame["yes"].to_numpy().astype(int),
        "sensitive_features": frame["race"].to_numpy(),
    }
    assert found.labelled.equalised_odds_difference.value == pytest.approx(equalized_odds_difference(**peer))
    assert abs(found.labelled.equal_opportunity.value) == pytest.approx(equal_opportunity_difference(**peer))
    favoured = frame.filter("yes")
    kept = [(favoured.filter(pl.col("black") == each)["status"] == "repaid").mean() for each in (True, False)]
    assert found.kept.value == pytest.approx(kept[0] - kept[1])


def test_calibration_and_residuals_are_plain_means_of_the_rows(contrast, frame):
    found = later_gaps(contrast, HOW)
    edges = np.quantile(table()["score"].to_numpy(), np.arange(1, 10) / 10)
    cut = frame.with_columns(
        bin=pl.Series(np.searchsorted(edges, frame["score"].to_numpy(), side="right")), good=frame["status"] == "repaid"
    )
    gaps = []
    for bin_ in range(10):
        means = [cut.filter((pl.col("bin") == bin_) & (pl.col("black") == each))["good"] for each in (True, False)]
        if min(map(len, means)) >= 11:
            gaps.append(abs(means[0].mean() - means[1].mean()))
    assert found.calibration.gap.value == pytest.approx(max(gaps))
    residual = (frame["status"] == "repaid").cast(pl.Float64) - frame["score"]
    parts = [residual.filter(frame["black"] == each).to_numpy() for each in (True, False)]
    spread = np.sqrt(sum((len(each) - 1) * each.var(ddof=1) for each in parts) / (sum(map(len, parts)) - 2))
    assert found.residual.value == pytest.approx((parts[0].mean() - parts[1].mean()) / spread)


def test_a_score_that_is_no_probability_is_put_on_a_line_first(frame):
    ranked = columns(score_is="number")
    contrast = contrast_of(ranked, ranked.attribute("race"), group="Black", reference="White")
    found = later_gaps(contrast, HOW).residual
    good, score = (frame["status"] == "repaid").to_numpy().astype(float), frame["score"].to_numpy()
    residual = good - LinearRegression().fit(score[:, None], good).predict(score[:, None])
    parts = [residual[(frame["black"] == each).to_numpy()] for each in (True, False)]
    spread = np.sqrt(sum((len(each) - 1) * each.var(ddof=1) for each in parts) / (sum(map(len, parts)) - 2))
    assert found.value == pytest.approx((parts[0].mean() - parts[1].mean()) / spread)


def test_prices_are_welchs_and_at_equal_factors_least_squares(contrast, observed, frame):
    favoured = frame.filter("yes")
    plain = amount_gaps(alone(contrast), observed.prices[0], HOW).plain
    found = amount_gaps(contrast, observed.prices[0], HOW)
    parts = [favoured.filter(pl.col("black") == each)["rate"].to_numpy() for each in (True, False)]
    peer = stats.ttest_ind(*parts, equal_var=False)
    assert plain.value == found.plain.value == pytest.approx(parts[0].mean() - parts[1].mean())
    assert plain.test.p_value == pytest.approx(peer.pvalue)
    apart = sm.OLS(favoured["rate"].to_numpy(), sm.add_constant(favoured["black"].to_numpy().astype(float))).fit(
        cov_type="cluster", cov_kwds={"groups": favoured["branch"].rank("dense").to_numpy()}, use_t=True
    )
    assert found.plain.counts["standard_error"] == pytest.approx(apart.bse[-1], rel=0.05)
    assert found.plain.counts["standard_error"] == pytest.approx(left_out(favoured, "rate"), rel=1e-9)
    fit = sm.OLS(favoured["rate"].to_numpy(), design(favoured)).fit(
        cov_type="cluster", cov_kwds={"groups": favoured["branch"].rank("dense").to_numpy()}, use_t=True
    )
    assert found.adjusted.difference.value == pytest.approx(fit.params[-1])
    assert found.adjusted.difference.counts["standard_error"] == pytest.approx(fit.bse[-1], rel=0.01)
    # Planted: 0.2 points dearer.
    assert found.adjusted.difference.interval.low < 0.2 < found.adjusted.difference.interval.high


def test_likely_groups_are_weighted_averages(observed):
    found = likely_gap(observed, observed.probabilities[0], group="Black", reference="White", how=HOW)
    made = table().filter(pl.col("decision") != "withdrawn")
    yes = (made["decision"] == "approved").to_numpy()
    rates = [np.average(yes, weights=made[name].to_numpy()) for name in ("p_black", "p_white")]
    assert found.weighted_difference.value == pytest.approx(rates[0] - rates[1], abs=1e-6)
    sure = made.filter(pl.col("p_black") >= 0.8)
    assert found.protected.rate == pytest.approx((sure["decision"] == "approved").mean(), abs=0.002)
    # The truth lies between the two readings here, as it generally does.
    truth = rate_gaps(
        contrast_of(observed, observed.attribute("race"), group="Black", reference="White"), level=0.95
    ).difference.value
    assert truth < found.weighted_difference.value < 0


def test_agreement_is_scikit_learns_kappa_in_either_group(contrast, frame):
    found = agreement_gaps(contrast, level=0.95)
    for black, side in ((True, found.protected), (False, found.reference)):
        own = frame.filter(pl.col("black") == black)
        person = (own["officer"] == "yes").to_numpy()
        assert side.kappa.value == pytest.approx(cohen_kappa_score(own["yes"].to_numpy(), person))
        assert side.raised.rate == pytest.approx(person[~own["yes"].to_numpy()].mean())
    assert found.raised.value == pytest.approx(found.protected.raised.rate - found.reference.raised.rate)


def test_reasons_are_shares_of_adverse_decisions(contrast, frame):
    denied = frame.filter(~pl.col("yes"))
    for reason, gap in reason_gaps(contrast, level=0.95).items():
        shares = [(denied.filter(pl.col("black") == each)["reason"] == reason).mean() for each in (True, False)]
        assert gap.value == pytest.approx(shares[0] - shares[1])


def test_marginal_applicants_find_the_planted_line(observed, contrast):
    found = marginal(contrast, HOW)
    assert found.near_gap.value < 0
    assert found.near_gap.test.p_value < 0.01
    assert len(found.comparators) == 20
    for one in found.comparators:
        assert observed.outcome[contrast.rows[one.denied]] == 0
        assert observed.outcome[contrast.rows[one.approved]] == 1
        assert one.denied_index > one.approved_index
    alike = columns(bias=0.0)
    fair = marginal(contrast_of(alike, alike.attribute("race"), group="Black", reference="White"), HOW)
    assert fair.near_gap.test.p_value > 0.05


def test_crossed_groups_are_those_of_both_attributes(observed):
    tallies = tallies_by(
        crossed(observed.attribute("race"), observed.attribute("sex")), observed.favourable, among=observed.decided
    )
    made = table().filter(pl.col("decision") != "withdrawn")
    own = made.filter((pl.col("race") == "Black") & (pl.col("sex") == "female"))
    assert tallies["Black, female"].rate == pytest.approx((own["decision"] == "approved").mean())
