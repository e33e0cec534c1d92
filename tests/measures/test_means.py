import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.api import OLS

from auditor.statistics.means import mean_change


def test_with_one_value_a_profile_it_is_the_t_interval():
    values = np.random.default_rng(0).gamma(2, 1, 40)
    found = mean_change(values, level=0.95)
    expected = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert (found.interval.low, found.interval.high) == pytest.approx(expected, rel=1e-12)
    ninety = stats.t.interval(0.90, 39, values.mean(), stats.sem(values))
    assert (found.tost_interval.low, found.tost_interval.high) == pytest.approx(ninety, rel=1e-12)


def test_with_several_the_error_is_that_of_clustered_least_squares():
    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(30), rng.integers(1, 5, 30))
    values = rng.normal(0, 1, 30)[codes] + rng.normal(0, 0.5, len(codes))
    fit = OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": codes, "use_correction": False})
    found = mean_change(values, clusters=codes, level=0.9)
    assert found.counts["standard_error"] == pytest.approx(fit.bse[0] * np.sqrt(30 / 29), rel=1e-9)
    assert found.value == pytest.approx(fit.params[0])


def test_a_change_of_margins_may_exceed_one_which_no_interval_for_rates_allows():
    found = mean_change(np.random.default_rng(2).normal(-7, 1, 100), level=0.95)
    assert found.interval.low < -6.5
    assert found.interval.method == "t over profiles"
    assert found.test.p_value < 0.001


@given(scale=st.sampled_from([0.01, 30.0]), seed=st.integers(0, 100))
def test_turning_the_sign_and_the_unit_turns_the_interval(scale, seed):
    values = np.random.default_rng(seed).normal(0.2, 1, 25)
    once, turned = mean_change(values, level=0.95, flips=999), mean_change(-scale * values, level=0.95, flips=999)
    assert (turned.interval.low, turned.interval.high) == pytest.approx(
        (-scale * once.interval.high, -scale * once.interval.low), rel=1e-9
    )
    assert turned.test.p_value == once.test.p_value


def test_values_all_alike_get_no_interval_and_a_reason():
    still = mean_change(np.zeros(600), level=0.95)
    assert (still.value, still.interval, still.test.p_value) == (0, None, 1)
    assert still.reason == "no interval: the values do not vary"
    assert mean_change([1.0, 2.0], clusters=[0, 0], level=0.95).reason == "no interval: all cases are in one profile"
    assert mean_change([], level=0.95).reason == "there are no cases"
