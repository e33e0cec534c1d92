"""Gaps of mean amounts are Welch's, to the digit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditor.statistics.mean_gaps import mean_gap


def groups(seed=1, n_p=80, n_0=300):
    draw = np.random.default_rng(seed)
    return draw.lognormal(1.0, 0.5, n_p), draw.lognormal(0.9, 0.3, n_0)


def test_it_is_scipys_welch_test_and_interval():
    p, r = groups()
    found = mean_gap(protected=p, reference=r, level=0.9)
    peer = stats.ttest_ind(p, r, equal_var=False)
    bounds = peer.confidence_interval(0.9)
    assert found.value == pytest.approx(p.mean() - r.mean())
    assert found.test.p_value == pytest.approx(peer.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx((bounds.low, bounds.high))
    assert found.counts["median_p"] == np.median(p)


@pytest.mark.parametrize(
    ("p", "r", "line"),
    [
        ([], [1.0], "no amount is stated in the protected"),
        ([1.0], [2.0, 3.0], "a group of one"),
        ([1, 1], [2, 2], "alike"),
    ],
)
def test_what_cannot_be_told_has_its_reason(p, r, line):
    found = mean_gap(protected=p, reference=r, level=0.95)
    assert found.interval is found.test is None
    assert line in found.reason


@given(seed=st.integers(0, 200), scale=st.sampled_from([0.01, 3.0, 1e5]), shift=st.sampled_from([0.0, -7.0]))
def test_swapping_turns_the_sign_and_units_scale(seed, scale, shift):
    p, r = groups(seed)
    plain = mean_gap(protected=p, reference=r, level=0.95)
    swapped = mean_gap(protected=r, reference=p, level=0.95)
    scaled = mean_gap(protected=(p + shift) * scale, reference=(r + shift) * scale, level=0.95)
    assert swapped.value == pytest.approx(-plain.value)
    assert scaled.value == pytest.approx(plain.value * scale)
    assert scaled.test.p_value == pytest.approx(plain.test.p_value, rel=1e-6)
