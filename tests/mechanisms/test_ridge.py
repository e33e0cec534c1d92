"""Held-out ridge regression is scikit-learn's, and says nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from auditor.mechanisms._shared.ridge import STRENGTHS, gain, predict, skill

GENERATOR = np.random.default_rng(3)
FEATURES = GENERATOR.standard_normal((60, 12))
FOLDS = np.arange(60) % 5


def test_predictions_are_those_of_scikit_learn() -> None:
    targets = FEATURES[:, :2] @ np.array([[1.0, -2.0], [0.5, 3.0]]) + GENERATOR.standard_normal((60, 2))
    found, means = predict(features=FEATURES, targets=targets, folds=FOLDS)

    for fold in range(5):
        test = fold == FOLDS
        train = ~test
        x = FEATURES[train] - FEATURES[train].mean(axis=0)
        size = (x**2).sum() / len(x)
        for column in range(2):
            peer = RidgeCV(alphas=[each * size for each in STRENGTHS]).fit(FEATURES[train], targets[train, column])
            seen = targets[train, column]
            expected = np.clip(peer.predict(FEATURES[test]), seen.min(), seen.max())
            assert found[test, column] == pytest.approx(expected, abs=1e-9)
        assert (means[test] == targets[train].mean(axis=0)).all()


def test_the_mean_has_no_skill_and_a_linear_number_nearly_all_of_it() -> None:
    targets = FEATURES[:, :1] * 4.0
    found, means = predict(features=FEATURES, targets=targets, folds=FOLDS)
    spread = ((targets - means) ** 2)[:, 0]
    nothing, _ = predict(features=np.empty((60, 0)), targets=targets, folds=FOLDS)

    # Not quite all: what lies beyond the training rows is read as their largest.
    assert skill(errors=((targets - found) ** 2)[:, 0], spread=spread, level=0.95).value > 0.95
    assert np.median(((targets - found) ** 2)[:, 0]) < 1e-4
    none = skill(errors=((targets - nothing) ** 2)[:, 0], spread=spread, level=0.95)
    assert (none.value, none.p_value) == (0.0, 1.0)


def test_the_gain_is_the_difference_of_two_skills_and_changes_sign_with_them() -> None:
    spread, one, two = (GENERATOR.uniform(0.5, 2.0, 40) for _ in range(3))
    there = gain(errors=one, others=two, spread=spread, level=0.95)
    back = gain(errors=two, others=one, spread=spread, level=0.95)
    skills = [skill(errors=errors, spread=spread, level=0.95).value for errors in (one, two)]

    assert there.value == pytest.approx(skills[0] - skills[1], abs=1e-12)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-12)


def test_the_interval_covers_the_skill_of_a_reader_that_is_known() -> None:
    """Errors of variance 1 on a number of variance 4: the skill is 3/4, and 95 % intervals cover it as often."""
    covered = 0
    for _ in range(400):
        errors, number = GENERATOR.standard_normal(100) ** 2, (2 * GENERATOR.standard_normal(100)) ** 2
        found = skill(errors=errors, spread=number, level=0.95)
        covered += found.low <= 0.75 <= found.high
    assert 0.90 < covered / 400 < 0.98


def test_the_interval_of_few_applications_with_heavy_tails_holds_the_skill_as_often() -> None:
    """A reader of noise, 24 applications: the ratio made linear held its skill of −.09 in 91 % of these data sets."""
    covered = 0
    for seed in range(3000):
        generator = np.random.default_rng((24, seed))
        number = generator.standard_t(5, 24) / np.sqrt(5 / 3)
        errors = (number - 0.3 * generator.standard_normal(24)) ** 2
        found = skill(errors=errors, spread=number**2, level=0.95)
        covered += found.low <= -0.09 <= found.high
    assert 0.925 < covered / 3000 < 0.96


def test_one_application_that_holds_all_of_the_spread_gives_an_interval() -> None:
    spread = np.array([0.0, 4.0, 0.0])
    found = skill(errors=np.array([0.0, 1.0, 0.0]), spread=spread, level=0.95)
    assert found.value == pytest.approx(0.75)
    assert np.isfinite([found.low, found.high, found.p_value]).all()
