import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.statistics.bootstrap import resample_weights
from auditor.statistics.operating_points import (
    Margins,
    midway,
    nearest,
    reference_thresholds,
    resample,
    with_unreadable,
)

TARGETS = np.array([0.0, 0.1, 0.5, 0.7, 0.75, 0.9, 1.0])
FIXED = np.array([0.0, 1.0])


def by_hand(x, y, target):
    """Δ and threshold of one expanded sample, by the plain functions."""
    thresholds, counts = reference_thresholds(x)
    cut = thresholds[nearest(counts, n=len(x), target=target)]
    return np.mean(y >= cut) - np.mean(x >= cut), cut


@pytest.mark.parametrize(
    ("digits", "unread", "each"),
    [(1, 0.0, 1), (0, 0.2, 2), (6, 0.3, 3)],
    ids=["ties", "crowds with unreadable cases", "three pairs a profile"],
)
def test_every_resample_sets_its_own_threshold_as_if_it_were_the_data(digits, unread, each):
    rng = np.random.default_rng(digits)
    n = 30 * each
    x = np.round(rng.normal(2, 1.5, n), digits)
    y = np.round(x + rng.normal(-0.3, 0.4, n), digits)
    x, y = (np.where(rng.random(n) < unread, -np.inf, values) for values in (x, y))
    codes = np.arange(n) // each
    drawn = resample(
        Margins(control=x, protected=y, codes=codes, arm=x, arm_codes=codes, clusters=30),
        targets=TARGETS,
        fixed=FIXED,
        resamples=2000,
        seed=4,
    )
    weights = next(resample_weights(clusters=30, resamples=2000, seed=4)).astype(int)
    for row in range(150):
        times = weights[row][codes]
        one, other = np.repeat(x, times), np.repeat(y, times)
        for column, target in enumerate(TARGETS):
            effect, cut = by_hand(one, other, target)
            assert drawn.effects[row, column] == pytest.approx(effect, abs=1e-12)
            assert drawn.thresholds[row, column] == cut
        for column, cut in enumerate(FIXED):
            assert drawn.fixed[row, column] == pytest.approx(np.mean(other >= cut) - np.mean(one >= cut), abs=1e-12)


def test_smoothing_takes_out_the_roughness_of_the_sample_and_leaves_its_slope():
    rng = np.random.default_rng(0)
    truth, rough, smooth = [], [], []
    for _ in range(25):
        x = rng.normal(2, 1.5, 100)
        y = x + rng.normal(-0.3, 0.5, 100)
        ids = np.arange(100)
        margins = Margins(control=x, protected=y, codes=ids, arm=x, arm_codes=ids, clusters=100)
        drawn = resample(margins, targets=np.array([0.85]), fixed=np.array([]), resamples=2000, seed=0)
        rough.append(drawn.effects.std())
        smooth.append(drawn.smoothed.std())
    for _ in range(3000):
        x = rng.normal(2, 1.5, 100)
        y = x + rng.normal(-0.3, 0.5, 100)
        truth.append(by_hand(x, y, 0.85)[0])
    assert np.mean(rough) > 1.12 * np.std(truth)
    assert 0.97 * np.std(truth) < np.mean(smooth) < 1.12 * np.std(truth)
    assert drawn.smoothed.mean() == pytest.approx(drawn.effects.mean(), abs=1e-12)


@given(values=st.lists(st.integers(-5, 5), min_size=1, max_size=30))
def test_every_threshold_favours_the_count_it_says_and_none_is_a_margin_between_two(values):
    margins = np.array(values, dtype=float)
    thresholds, counts = reference_thresholds(margins)
    assert [int((margins >= cut).sum()) for cut in thresholds] == list(counts)
    assert not np.isin(thresholds[1:-1], margins).any()
    assert counts[0] == 0
    assert counts[-1] == len(margins)


def test_margins_too_near_for_a_number_between_them_are_still_told_apart():
    upper = np.array([1.0])
    lower = np.nextafter(upper, 0)
    assert midway(upper, lower)[0] == 1.0
    assert midway(np.array([np.inf]), np.array([2.0]))[0] == np.nextafter(2.0, 3)
    assert midway(np.array([2.0]), np.array([-np.inf]))[0] == 2.0


def test_an_unreadable_margin_may_be_anything_and_counts_below_every_threshold():
    found = with_unreadable([1.0, np.nan, 9.0], [True, False, False], name="control")
    assert list(found) == [1.0, -np.inf, -np.inf]
    with pytest.raises(ValueError, match="finite numbers"):
        with_unreadable([np.nan], [True], name="control")
    with pytest.raises(ValueError, match="differ in length"):
        with_unreadable([1.0], [True, False], name="control")
