"""Probes solved together are the probes scikit-learn solves one by one, and they see nothing they were not shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from auditor.mechanisms._shared.probe_fits import (
    assign_folds,
    balanced_weights,
    basis_of,
    cross_validate,
    fit,
    held_out,
)

Array = npt.NDArray[Any]


def made(n: int, width: int, *, gap: float = 1.0, seed: int = 0) -> tuple[Array, Array]:
    generator = np.random.default_rng(seed)
    y = np.arange(n) % 3 == 0
    x = generator.standard_normal((n, width)) * np.geomspace(0.1, 100, width) + 7
    x[:, 0] += 0.1 * gap * y
    return x, y


@pytest.mark.parametrize(("n", "width"), [(150, 20), (60, 200), (40, 40)])
@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0])
def test_all_folds_at_once_equal_scikit_learn_one_by_one(n: int, width: int, penalty: float) -> None:
    x, y = made(n, width, gap=2.0)
    folds = np.arange(n) % 5
    logits, solved = cross_validate(basis=basis_of(x), labels=y[:, None], partitions=[folds], penalty=penalty)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    peer = np.zeros(n)
    for fold in range(5):
        train = folds != fold
        probe = LogisticRegression(C=1 / penalty, class_weight="balanced", tol=1e-9, max_iter=20_000)
        peer[~train] = probe.fit(standard[train], y[train]).decision_function(standard[~train])

    assert solved
    np.testing.assert_allclose(logits[:, 0], peer, atol=2e-4)


@given(
    n=st.integers(8, 80),
    width=st.integers(1, 100),
    penalty=st.floats(1e-3, 1e3),
    gap=st.floats(0, 50),
    seed=st.integers(0, 99),
)
def test_the_gradient_is_zero_where_a_probe_says_it_is_solved(
    n: int, width: int, penalty: float, gap: float, seed: int
) -> None:
    x, y = made(n, width, gap=gap, seed=seed)
    basis = basis_of(x)
    labels = np.stack([y, ~y, np.arange(n) % 2 == 0], axis=1)
    weights = balanced_weights(labels=labels, used=np.ones_like(labels))
    fits = fit(basis=basis, labels=labels, weights=weights, penalty=penalty)
    residual = weights * (1 / (1 + np.exp(-fits.logits)) - labels)
    gradient = basis.scores.T @ residual
    gradient[:-1] += penalty * fits.coefficients[:-1]

    assert fits.solved
    assert (np.abs(gradient) <= 1e-4 * np.sqrt(basis.squares)[:, None] + 1e-6).all()
    np.testing.assert_allclose(fits.logits[:, 0], -fits.logits[:, 1], atol=1e-3)


def test_every_test_row_shares_neither_application_nor_name_with_its_training_rows() -> None:
    applications = np.array([f"a{number // 2}" for number in range(60)])
    names = np.array([f"n{number % 7}" for number in range(60)])
    y = np.arange(60) % 2
    parts = [
        assign_folds(groups=groups, labels=y, folds=4, seed=1) for groups in (applications.tolist(), names.tolist())
    ]
    tested = np.zeros(60, dtype=int)
    for train, test in held_out(parts):
        tested += test
        assert not set(applications[train]) & set(applications[test])
        assert not set(names[train]) & set(names[test])

    assert (tested == 1).all()


def test_folds_keep_groups_whole_and_labels_even() -> None:
    groups = [f"g{number // 3}" for number in range(300)]
    y = np.arange(300) // 3 % 4 == 0
    folds = assign_folds(groups=groups, labels=y, folds=5, seed=0)

    assert all(len(set(folds[3 * group : 3 * group + 3])) == 1 for group in range(100))
    assert [int((y & (folds == fold)).sum()) for fold in range(5)] == [15] * 5
    assert np.bincount(folds).tolist() == [60] * 5


def test_duplicated_rows_leak_through_plain_folds_and_not_through_grouped_ones() -> None:
    generator = np.random.default_rng(0)
    x = np.repeat(generator.standard_normal((60, 300)), 4, axis=0)
    y = np.repeat(generator.permutation(60) < 30, 4)
    basis = basis_of(x)
    groups = [str(row // 4) for row in range(240)]
    plain = [np.arange(240) % 4]
    grouped = [assign_folds(groups=groups, labels=y, folds=4, seed=0)]
    right = []
    for parts in (plain, grouped):
        logits, _ = cross_validate(basis=basis, labels=y[:, None], partitions=parts, penalty=1.0)
        right.append(float(((logits[:, 0] > 0) == y).mean()))

    assert right[0] > 0.95
    assert abs(right[1] - 0.5) < 0.15


def test_features_that_are_constant_but_for_rounding_carry_nothing() -> None:
    generator = np.random.default_rng(0)
    y = np.arange(40) % 2 == 0
    x = np.full((40, 5), 3.0) + 1e-6 * y[:, None] + 1e-7 * generator.standard_normal((40, 5))
    logits, _ = cross_validate(basis=basis_of(x), labels=y[:, None], partitions=[np.arange(40) // 2 % 4], penalty=1.0)

    assert basis_of(x).scores.shape == (40, 1)
    np.testing.assert_allclose(logits, 0.0, atol=1e-6)


def test_a_fold_that_cannot_be_fitted_is_not_guessed() -> None:
    y = np.array([1, 1, 0, 0, 0, 0], dtype=bool)
    logits, _ = cross_validate(
        basis=basis_of(np.eye(6)), labels=y[:, None], partitions=[np.array([0, 0, 1, 1, 2, 2])], penalty=1.0
    )

    assert np.isnan(logits[:2]).all()
    assert np.isfinite(logits[2:]).all()


def test_labels_of_one_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="one label only"):
        fit(basis=basis_of(np.eye(3)), labels=np.ones((3, 1)), weights=np.ones((3, 1)), penalty=1.0)
