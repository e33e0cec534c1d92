"""A reader that bends tells what a line cannot, on rows it has not seen, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from auditor.mechanisms._shared.ridge import STRENGTHS, predict, skill
from auditor.mechanisms.look_ahead.kernel_reader import kernels, predict_curved

FOLDS = np.arange(120) % 5


def skills(columns: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """What the linear and the kernel reader tell of a number."""
    y = target[:, None]
    straight, means = predict(features=columns, targets=y, folds=FOLDS)
    curved = predict_curved(columns=columns, targets=y, folds=FOLDS)
    spread = ((y - means) ** 2)[:, 0]
    return tuple(  # type: ignore[return-value]
        skill(errors=((y - found) ** 2)[:, 0], spread=spread, level=0.95).value for found in (straight, curved)
    )


def test_products_and_thresholds_of_fields_are_read_that_a_line_misses() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    for target in (x[:, 0] * x[:, 1], np.abs(x[:, 2]), (x[:, 0] > 0) * x[:, 1]):
        straight, curved = skills(x, target)
        assert curved > 0.6
        assert curved > straight + 0.2


def test_where_a_line_is_right_little_is_lost_and_where_nothing_is_told_nothing_is_read() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 3))
    straight, curved = skills(x, x @ [1.0, -2.0, 0.5])
    assert curved > straight - 0.02
    assert max(skills(x, rng.normal(size=120))) < 0.1


def test_a_held_out_row_is_predicted_as_by_scikit_learn() -> None:
    """Same kernel, same penalty, centred by hand: the peer has no intercept."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    folds = np.array([0] * 5 + [1] * 25)
    [gram, *_] = kernels(x)
    train, test = folds == 1, folds == 0
    centre = np.eye(25) - 1 / 25
    own = centre @ gram[np.ix_(train, train)] @ centre
    across = (gram[np.ix_(test, train)] - gram[np.ix_(train, train)].mean(axis=0)) @ centre
    said = [
        KernelRidge(alpha=strength * np.trace(own) / 25, kernel="precomputed").fit(own, y[train] - y[train].mean())
        for strength in STRENGTHS
    ]
    peers = np.array([y[train].mean() + model.predict(across) for model in said])
    from auditor.mechanisms.look_ahead import kernel_reader

    whole = kernel_reader._read(gram, train, test, (y[train] - y[train].mean())[:, None])[1][:, 0] + y[train].mean()
    assert np.abs(peers - whole).max(axis=1).min() == pytest.approx(0, abs=1e-9)


def test_columns_that_do_not_vary_give_the_mean_of_the_other_folds() -> None:
    y = np.arange(10.0)[:, None]
    folds = np.arange(10) % 2
    found = predict_curved(columns=np.ones((10, 2)), targets=y, folds=folds)
    assert found[0] == y[folds == 1].mean()
    assert kernels(np.empty((10, 0))) == []
