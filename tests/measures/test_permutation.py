import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from auditor.statistics.permutation import sign_flip_test


@settings(max_examples=40)
@given(d=st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_a_small_sample_is_enumerated_exactly(d):
    sums = [
        abs(sum(s * v for s, v in zip(signs, d, strict=True))) for signs in itertools.product((1, -1), repeat=len(d))
    ]
    assert sign_flip_test(d).p_value == pytest.approx(np.mean(np.array(sums) >= abs(sum(d))), abs=1e-12)


def test_with_unit_differences_it_is_exact_mcnemar():
    d = [1] * 4 + [-1] * 11 + [0] * 50
    assert sign_flip_test(d).p_value == pytest.approx(stats.binomtest(4, 15, 0.5).pvalue, abs=1e-12)
    assert sign_flip_test(d).sd_units == pytest.approx(-7 / np.sqrt(15))


def test_sampled_flips_come_near_scipy_and_repeat_with_the_seed():
    d = np.random.default_rng(0).normal(0.15, 1, 120)
    ours = sign_flip_test(d, seed=4)
    assert ours == sign_flip_test(d, seed=4)
    assert ours.p_value != sign_flip_test(d, seed=5).p_value
    oracle = stats.permutation_test((d,), np.sum, permutation_type="samples", n_resamples=20_000, rng=1).pvalue
    assert ours.p_value == pytest.approx(oracle, abs=0.015)


def test_a_sampled_p_value_is_never_zero_and_no_movement_is_one():
    assert sign_flip_test(np.ones(40), flips=999).p_value == 1 / 1000
    assert sign_flip_test(np.zeros(40)).p_value == 1
    assert sign_flip_test([]).p_value == 1


@settings(max_examples=25)
@given(d=st.lists(st.floats(-5, 5), min_size=1, max_size=30), scale=st.sampled_from([-4.0, 0.5, 2.0, -1.0]))
def test_scale_and_direction_do_not_change_the_p_value(d, scale):
    one, two = sign_flip_test(d, flips=999), sign_flip_test([scale * v for v in d], flips=999)
    assert one.p_value == two.p_value
    assert (one.sd_units is None) == (two.sd_units is None)


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite numbers"):
        sign_flip_test([1.0, float("nan")])
    with pytest.raises(ValueError, match="at least 999"):
        sign_flip_test([1.0], flips=10)
