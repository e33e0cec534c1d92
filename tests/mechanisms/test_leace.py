"""What erasure promises: nothing linear is left, whatever the size of the group or the number of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from auditor.mechanisms._shared.leace import fit_eraser

Array = npt.NDArray[Any]


def made(n: int = 2000, width: int = 12, *, share: float = 0.4, gap: float = 2.0, seed: int = 0) -> tuple[Array, Array]:
    """States with uneven, correlated features whose mean depends on a group."""
    generator = np.random.default_rng(seed)
    z = np.zeros(n)
    z[: max(2, round(share * n))] = 1
    generator.shuffle(z)
    mixing = generator.standard_normal((width, width)) * np.geomspace(0.01, 10, width)
    x = generator.standard_normal((n, width)) @ mixing + 5
    return x + gap * z[:, None] * generator.standard_normal(width), z


def covariance(x: Array, z: Array) -> Array:
    z = z[:, None] if z.ndim == 1 else z
    return np.asarray((x - x.mean(axis=0)).T @ (z - z.mean(axis=0)) / len(x))


@given(
    n=st.integers(20, 200),
    width=st.integers(2, 60),
    share=st.floats(0.05, 0.95),
    shrinkage=st.sampled_from([None, 0.0, 0.1, 1.0]),
    seed=st.integers(0, 50),
)
def test_nothing_linear_is_left_with_more_or_fewer_rows_than_features(
    n: int, width: int, share: float, shrinkage: float | None, seed: int
) -> None:
    x, z = made(n, width, share=share, seed=seed)
    z[:2] = [0, 1]
    erased = fit_eraser(states=x, concept=z, shrinkage=shrinkage)(x)

    assert np.abs(covariance(erased, z)).max() <= 1e-6 * np.linalg.norm(covariance(x, z))
    np.testing.assert_allclose(erased[z == 1].mean(axis=0), erased[z == 0].mean(axis=0), atol=1e-6 * np.abs(x).max())


def test_a_group_of_one_in_a_thousand_is_erased_too() -> None:
    x, z = made(50_000, share=0.001, gap=1.0)
    before = np.abs(x[z == 1].mean(axis=0) - x[z == 0].mean(axis=0)).max()
    erased = fit_eraser(states=x, concept=z)(x)

    assert before > 0.5
    assert np.abs(erased[z == 1].mean(axis=0) - erased[z == 0].mean(axis=0)).max() < 1e-9


def test_a_rare_group_beside_a_common_one_is_erased_too() -> None:
    x, common = made(20_000, gap=3.0)
    rare = np.zeros(len(x))
    rare[:20] = 1
    x[:20] += np.linspace(-1, 1, x.shape[1])
    eraser = fit_eraser(states=x, concept=np.stack([common, rare], axis=1))

    assert eraser.rank == 2
    assert np.abs(covariance(eraser(x), rare)).max() <= 1e-6 * np.linalg.norm(covariance(x, rare))


def test_erasing_twice_is_erasing_once() -> None:
    x, z = made()
    eraser = fit_eraser(states=x, concept=z)

    np.testing.assert_allclose(eraser(eraser(x)), eraser(x), atol=1e-8)


def test_a_probe_is_at_chance_after_erasure_and_unpenalised_coefficients_vanish() -> None:
    x, z = made(4000, gap=1.0)
    half = len(x) // 2
    eraser = fit_eraser(states=x[:half], concept=z[:half])
    train, test = eraser(x[:half]), eraser(x[half:])
    scale = train.std(axis=0)
    probe = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit((train - train.mean(axis=0)) / scale, z[:half])

    assert np.abs(probe.coef_).max() < 1e-4
    plain = LogisticRegression(max_iter=5000).fit((x[:half] - x[:half].mean(axis=0)) / scale, z[:half])
    assert roc_auc_score(z[half:], plain.decision_function((x[half:] - x[:half].mean(axis=0)) / scale)) > 0.7
    again = LogisticRegression(max_iter=5000).fit((test - test.mean(axis=0)) / scale, z[half:])
    assert roc_auc_score(z[half:], probe.decision_function((test - train.mean(axis=0)) / scale)) == pytest.approx(
        0.5, abs=0.05
    )
    assert roc_auc_score(z[:half], again.decision_function((train - train.mean(axis=0)) / scale)) == pytest.approx(
        0.5, abs=0.05
    )


def test_without_shrinkage_no_other_map_that_equals_the_means_moves_states_less() -> None:
    x, z = made()
    ours = fit_eraser(states=x, concept=z, shrinkage=0.0)
    moved = ((ours(x) - x) ** 2).sum()
    gap = x[z == 1].mean(axis=0) - x[z == 0].mean(axis=0)
    gap /= np.linalg.norm(gap)
    orthogonal = ((x - x.mean(axis=0)) @ gap)[:, None] * gap

    assert moved < (orthogonal**2).sum()
    for shrinkage in (0.05, 0.5, 1.0):
        assert moved <= ((fit_eraser(states=x, concept=z, shrinkage=shrinkage)(x) - x) ** 2).sum()


def test_a_number_can_be_erased_as_well_as_a_group() -> None:
    generator = np.random.default_rng(1)
    x, _ = made(500)
    income = x[:, 3] * 2 + generator.standard_normal(500)
    eraser = fit_eraser(states=x, concept=income)

    assert np.abs(covariance(eraser(x), income)).max() <= 1e-6 * np.linalg.norm(covariance(x, income))


def test_a_concept_that_does_not_vary_is_refused() -> None:
    with pytest.raises(ValueError, match="does not vary"):
        fit_eraser(states=np.eye(4), concept=np.ones(4))


def test_states_that_do_not_vary_are_left_as_they_are() -> None:
    x = np.full((6, 3), 2.0)
    eraser = fit_eraser(states=x, concept=np.arange(6) % 2)

    assert eraser.rank == 0
    np.testing.assert_array_equal(eraser(x), x)


def test_many_draws_at_once_are_the_draws_one_by_one() -> None:
    draws = [made(40, 90, seed=seed) for seed in range(5)]
    together = fit_eraser(
        states=torch.tensor(np.stack([x for x, _ in draws])),
        concept=torch.tensor(np.stack([z for _, z in draws]))[..., None],
    )
    erased = together(torch.tensor(np.stack([x for x, _ in draws])))

    for number, (x, z) in enumerate(draws):
        np.testing.assert_allclose(erased[number].numpy(), fit_eraser(states=x, concept=z)(x), rtol=1e-9, atol=1e-9)


def test_a_draw_whose_states_do_not_vary_leaves_the_others_as_they_are() -> None:
    x, z = made(20, 30)
    still = np.full_like(x, 2.0)
    eraser = fit_eraser(states=np.stack([still, x]), concept=np.stack([z, z])[..., None])
    erased = eraser(np.stack([still, x]))

    np.testing.assert_array_equal(erased[0], still)
    np.testing.assert_allclose(erased[1], fit_eraser(states=x, concept=z)(x), rtol=1e-9)
