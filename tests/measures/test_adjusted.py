"""Differences at equal legitimate factors: values, errors and effects are those of statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.statistics import adjusted, designs, logit
from auditor.statistics.adjusted import adjusted_amounts, adjusted_rates
from auditor.statistics.designs import Control
from auditor.statistics.regression import conditional_odds_ratio


def made(n=3000, seed=1, effect=-0.6):
    draw = np.random.default_rng(seed)
    income, ratio = draw.gamma(4, 20, n), draw.normal(35, 8, n)
    purpose = draw.integers(0, 3, n)
    branch = draw.integers(0, 60, n)
    group = draw.random(n) < 0.3
    odds = 1.5 + 0.02 * (income - 80) - 0.08 * (ratio - 35) + 0.5 * (purpose == 1) + effect * group
    odds += draw.normal(0, 0.5, 60)[branch]
    return {
        "favourable": draw.random(n) < 1 / (1 + np.exp(-odds)),
        "group": group,
        "controls": [
            Control(name="income", values=income),
            Control(name="ratio", values=ratio),
            Control(name="purpose", values=purpose, levels=("buy", "refinance", "improve")),
        ],
        "branch": branch,
    }


def matrix(data):
    income, ratio, purpose = (control.values for control in data["controls"])
    scaled = [(each - each.mean()) / each.std() for each in (income, ratio)]
    base = np.bincount(purpose).argmax()
    dummies = [(purpose == level).astype(float) for level in range(3) if level != base]
    return np.column_stack([np.ones(len(income)), *scaled, *dummies, data["group"].astype(float)])


def ours(data, **more):
    return adjusted_rates(
        favourable=data["favourable"],
        rows=np.arange(len(data["group"])),
        group=data["group"],
        controls=data["controls"],
        level=0.95,
        **more,
    )


@pytest.mark.parametrize("clustered", [False, True])
def test_the_effect_and_its_error_are_those_of_statsmodels(clustered, monkeypatch):
    monkeypatch.setattr(designs, "BLOCK", 700)  # several blocks, the last one short
    monkeypatch.setattr(adjusted, "LEFT_OUT", 0)  # as of very many clusters
    data = made()
    found = ours(data, clusters=data["branch"] if clustered else None)
    kind = {"cov_type": "cluster", "cov_kwds": {"groups": data["branch"]}} if clustered else {"cov_type": "HC0"}
    peer = sm.Logit(data["favourable"].astype(float), matrix(data)).fit(disp=0, tol=1e-12, **kind)
    effects = peer.get_margeff(at="overall", dummy=True)
    # The peer's robust errors of a logistic fit have no factor for the columns, its clustered ones have.
    factor = 1.0 if clustered else np.sqrt(3000 / 2994)
    assert found.difference.value == pytest.approx(effects.margeff[-1], abs=1e-9)
    assert found.difference.counts["standard_error"] == pytest.approx(factor * effects.margeff_se[-1], rel=1e-6)
    assert found.odds_ratio.value == pytest.approx(np.exp(-peer.params[-1]), rel=1e-8)
    assert found.odds_ratio.test.sd_units == pytest.approx(-peer.tvalues[-1] / factor, rel=1e-6)
    assert ("clustered" in found.difference.method) == clustered


def test_the_conditional_odds_ratio_is_the_one_of_the_older_fit():
    data = made()
    found = ours(data)
    peer = conditional_odds_ratio(
        outcome=~data["favourable"],
        group=data["group"],
        controls=matrix(data)[:, 1:-1],
        control_names=["a", "b", "c", "d"],
        level=0.95,
    )
    assert found.odds_ratio.value == pytest.approx(peer.estimate.value, rel=1e-8)
    assert found.likelihood_ratio.statistic == pytest.approx(peer.likelihood_ratio.statistic, rel=1e-6)


@pytest.mark.parametrize("clustered", [False, True])
def test_amounts_are_those_of_least_squares(clustered, monkeypatch):
    monkeypatch.setattr(adjusted, "LEFT_OUT", 0)
    data = made()
    amounts = 5 + 0.3 * data["group"] + matrix(data) @ np.arange(6) + np.random.default_rng(4).exponential(2, 3000)
    found = adjusted_amounts(
        amounts=amounts,
        rows=np.arange(3000),
        group=data["group"],
        controls=data["controls"],
        clusters=data["branch"] if clustered else None,
        level=0.95,
    )
    kind = (
        {"cov_type": "cluster", "cov_kwds": {"groups": data["branch"]}, "use_t": True}
        if clustered
        else {"cov_type": "HC1"}
    )
    peer = sm.OLS(amounts, matrix(data)).fit(**kind)
    assert found.difference.value == pytest.approx(peer.params[-1], rel=1e-9)
    assert found.difference.counts["standard_error"] == pytest.approx(peer.bse[-1], rel=1e-8)
    low, high = peer.conf_int()[-1]
    # The clusters of the peer count as if they were of one size.
    assert (found.difference.interval.low, found.difference.interval.high) == pytest.approx(
        (low, high), rel=0.003 if clustered else 1e-7
    )


def test_the_error_of_few_clusters_is_that_of_leaving_each_out(monkeypatch):
    monkeypatch.setattr(designs, "BLOCK", 700)
    data = made()
    amounts = 5 + 0.3 * data["group"] + matrix(data) @ np.arange(6) + np.random.default_rng(4).exponential(2, 3000)
    found = adjusted_amounts(
        amounts=amounts,
        rows=np.arange(3000),
        group=data["group"],
        controls=data["controls"],
        clusters=data["branch"],
        level=0.95,
    )

    def error(fit):
        whole, kept = fit(np.ones(3000, dtype=bool)), [data["branch"] != one for one in range(60)]
        return np.sqrt(59 / 60 * sum((fit(here) - whole) ** 2 for here in kept))

    exact = error(lambda here: np.linalg.lstsq(matrix(data)[here], amounts[here])[0][-1])
    assert found.difference.counts["standard_error"] == pytest.approx(exact, rel=1e-8)
    # One step of Newton's where the fit has no closed form.
    refitted = error(lambda here: sm.Logit(data["favourable"][here] * 1.0, matrix(data)[here]).fit(disp=0).params[-1])
    rates = ours(data, clusters=data["branch"])
    slope = -np.log(rates.odds_ratio.value)
    assert slope / -rates.odds_ratio.test.sd_units == pytest.approx(refitted, rel=0.01)


def test_where_the_steps_begin_does_not_change_where_they_end(monkeypatch):
    data = made()
    plain = ours(data)
    monkeypatch.setattr(logit, "THIN", 500)
    warm = ours(data)
    assert warm.difference.value == pytest.approx(plain.difference.value, abs=1e-12)
    assert warm.odds_ratio.value == pytest.approx(plain.odds_ratio.value, rel=1e-10)
    assert warm.likelihood_ratio.statistic == pytest.approx(plain.likelihood_ratio.statistic, rel=1e-8)


def test_without_controls_it_is_the_plain_difference_of_rates():
    data = made()
    found = ours({**data, "controls": []})
    y, g = data["favourable"], data["group"]
    assert found.difference.value == pytest.approx(y[g].mean() - y[~g].mean(), abs=1e-12)


def test_what_is_not_stated_is_a_level_of_its_own_and_loses_no_case():
    data = made()
    income = data["controls"][0].values.copy()
    income[::7] = np.nan
    found = ours({**data, "controls": [Control(name="income", values=income)]})
    assert found.controls == ("income", "income: not stated")
    assert found.difference.n == 3000
    known = ~np.isnan(income)
    scaled = np.where(known, (income - income[known].mean()) / income[known].std(), 0.0)
    columns = np.column_stack([np.ones(3000), scaled, ~known, data["group"]]).astype(float)
    peer = sm.Logit(data["favourable"].astype(float), columns).fit(disp=0, tol=1e-12)
    assert found.odds_ratio.value == pytest.approx(np.exp(-peer.params[-1]), rel=1e-8)


def test_controls_that_follow_from_others_are_left_out_by_name():
    data = made()
    twice = Control(name="income in cents", values=data["controls"][0].values * 100 + 3)
    flat = Control(name="country", values=np.zeros(3000, dtype=int), levels=("US",))
    found = ours({**data, "controls": [*data["controls"], twice, flat]})
    assert found.difference.value == pytest.approx(ours(data).difference.value, abs=1e-9)
    assert found.dropped == {
        "income in cents": "it follows from the other controls",
        "country": "the same in nearly every case",
    }


def test_a_control_that_tells_the_group_is_the_answer():
    data = made()
    proxy = Control(name="club", values=data["group"].astype(int), levels=("no", "yes"))
    found = ours({**data, "controls": [proxy]})
    assert found.difference.value is None
    assert found.difference.reason == "the controls tell the group, so their effects cannot be told apart"


def test_levels_without_both_outcomes_do_not_separate_the_fit():
    data = made()
    product = np.where(np.arange(3000) < 50, 1, 0)
    favourable = data["favourable"].copy()
    favourable[:50] = True
    found = ours({**data, "favourable": favourable, "controls": [Control(name="p", values=product, levels=("a", "b"))]})
    # All of one level are favoured: put among the rare ones it stands alone, and the fit says that it is separated.
    assert found.difference.value is None
    assert "separate" in found.difference.reason


def test_few_clusters_carry_no_interval():
    data = made()
    found = ours(data, clusters=data["branch"] % 12)
    assert found.difference.value is not None
    assert found.difference.interval is found.difference.test is None
    assert "count as 11.7 of equal size, at least 20 needed for an interval or a test" in found.difference.reason


@pytest.mark.parametrize(
    ("favourable", "line"), [(np.ones(60, bool), "the same in every case of the protected"), (None, "no cases")]
)
def test_what_cannot_be_told_has_its_reason(favourable, line):
    group = np.arange(60) < 20
    if favourable is None:
        favourable, group = np.arange(60) % 2 == 0, np.zeros(60, bool)
    found = adjusted_rates(favourable=favourable, rows=np.arange(60), group=group, controls=[], level=0.95)
    assert found.difference.value is found.odds_ratio.value is None
    assert line in found.difference.reason


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-3, 1.0, 1e4]), shift=st.sampled_from([0.0, -500.0]))
def test_laws_of_swapping_groups_scaling_controls_and_reordering_rows(seed, scale, shift):
    data = made(400, seed)
    plain = ours(data)
    if plain.difference.value is None:
        return
    swapped = ours({**data, "group": ~data["group"]})
    assert swapped.difference.value == pytest.approx(-plain.difference.value, abs=1e-7)
    assert swapped.odds_ratio.value == pytest.approx(1 / plain.odds_ratio.value, rel=1e-6)
    income, *others = data["controls"]
    scaled = ours({**data, "controls": [Control(name="income", values=income.values * scale + shift), *others]})
    assert scaled.difference.value == pytest.approx(plain.difference.value, abs=1e-7)
    order = np.random.default_rng(seed).permutation(400)
    moved = adjusted_rates(
        favourable=data["favourable"][order],
        rows=order,
        group=data["group"][order],
        controls=data["controls"],
        level=0.95,
    )
    assert moved.difference.value == pytest.approx(plain.difference.value, abs=1e-9)
    twice = adjusted_rates(
        favourable=np.tile(data["favourable"], 2),
        rows=np.tile(np.arange(400), 2),
        group=np.tile(data["group"], 2),
        controls=data["controls"],
        clusters=np.tile(np.arange(400), 2),
        level=0.95,
    )
    # The same people twice, in clusters of their own, are as sure as once (but for what leaving one out makes of few).
    if twice.difference.value is not None and len(twice.controls) == len(plain.controls):
        assert twice.difference.value == pytest.approx(plain.difference.value, abs=1e-9)
        assert twice.difference.counts["standard_error"] == pytest.approx(
            plain.difference.counts["standard_error"], rel=0.05
        )


def test_clusters_that_are_copies_of_one_another_carry_no_interval_of_rounding():
    outcome, group = [1, 1, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1, 1]
    copies = 30
    data = {
        "rows": np.arange(7 * copies),
        "group": np.tile(np.array(group, dtype=bool), copies),
        "controls": (),
        "clusters": np.repeat(np.arange(copies), 7),
        "level": 0.95,
    }
    rates = adjusted_rates(favourable=np.tile(np.array(outcome, dtype=bool), copies), **data)
    amounts = adjusted_amounts(amounts=np.tile(1e7 * np.array(outcome) + 0.1, copies), **data)
    for found in (rates.difference, rates.odds_ratio, amounts.difference):
        assert (found.interval, found.test, found.reason) == (None, None, "no interval: nothing is left to vary")
    assert rates.difference.value == pytest.approx(2 / 4 - 2 / 3)
