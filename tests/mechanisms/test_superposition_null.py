"""Features of a dictionary stand in for chance: random directions are found no more often than the level says."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.conclusions import adjust_and_conclude
from auditor.mechanisms.sae.geometry import unit_rows
from auditor.mechanisms.superposition import method as superposition
from auditor.mechanisms.superposition.null import Chance, chance
from auditor.statistics.minimums import draws_needed
from benchmarks.inside_nulls_superposition import material, null_rate, planted_rate, random_dictionary

LATENTS, WIDTH = 240, 24


def tried(seed: int, *, carriers: int = 5, draws: int = 199) -> Chance:
    """Random directions, random activity, two sets picked by activity alone."""
    generator = np.random.default_rng(seed)
    rows = unit_rows(generator.standard_normal((LATENTS, WIDTH)))
    active = generator.random((80, LATENTS)) < generator.uniform(0.05, 0.6, LATENTS)
    often = active.sum(axis=0)
    order = np.argsort(-often, kind="stable")
    found = chance(
        together=active.T.astype(float) @ active,
        cosines=rows @ rows.T,
        first=order[:carriers].tolist(),
        second=order[carriers : 2 * carriers].tolist(),
        taken=[],
        alike=np.log1p(often)[:, None],
        draws=draws,
        seed=seed,
        level=0.95,
    )
    assert found is not None
    return found


def test_p_values_of_random_directions_are_below_each_level_no_more_often_than_it_says() -> None:
    p_values = np.array([tried(seed).p_value() for seed in range(300)])

    for level in (0.05, 0.1, 0.2, 0.5):
        # Three binomial standard errors above.
        assert (p_values <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 300)
    # Not for lack of small ones: half of them lie in the lower half, or nearly.
    assert (p_values <= 0.5).mean() > 0.35


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_null_copies_of_small_families_raise_no_more_findings_than_the_level(family: str) -> None:
    count = null_rate(family, tied=False, models=1, dictionaries=40, described=5)

    assert count.tested == 40
    # At 5 % of 40, more than 6 would come about in fewer than one run of a hundred.
    assert count.found <= 6
    # What took applications for replicates found most of them.
    assert count.by_applications >= 2


def test_planted_superposition_is_found() -> None:
    count = planted_rate("llama", models=1, dictionaries=4, described=0)

    assert count.tested == 4
    assert count.found >= 3


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_renumbering_latents_or_turning_the_space_changes_nothing_observed(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows = unit_rows(generator.standard_normal((30, 8)))
    turned = rows @ np.linalg.qr(generator.standard_normal((8, 8)))[0]
    order = generator.permutation(30)
    place = np.argsort(order)
    together, alike = generator.integers(0, 5, (30, 30)).astype(float), generator.standard_normal((30, 2))

    def of(
        cosines: np.ndarray, first: list[int], second: list[int], counts: np.ndarray, like: np.ndarray
    ) -> Chance | None:
        return chance(
            together=counts,
            cosines=cosines,
            first=first,
            second=second,
            taken=[],
            alike=like,
            draws=9,
            seed=0,
            level=0.95,
        )

    one = of(rows @ rows.T, [0, 1], [2, 3], together, alike)
    again = of(turned @ turned.T, [0, 1], [2, 3], together, alike)
    renamed = of(
        (rows @ rows.T)[np.ix_(order, order)],
        place[[0, 1]].tolist(),
        place[[2, 3]].tolist(),
        together[np.ix_(order, order)],
        alike[order],
    )
    assert (one is None) == (again is None) == (renamed is None)
    if one is not None and again is not None and renamed is not None:
        assert one.value == pytest.approx(again.value) == pytest.approx(renamed.value)
        assert one.p_value() == again.p_value()


def test_what_is_in_both_sets_is_in_neither() -> None:
    cosines = np.full((40, 40), 0.2) + 0.8 * np.eye(40)
    cosines[0, 2] = cosines[2, 0] = 0.9
    found = chance(
        together=np.ones((40, 40)),
        cosines=cosines,
        first=[0, 1],
        second=[1, 2],
        taken=[],
        alike=np.zeros((40, 1)),
        seed=0,
        level=0.95,
    )

    assert found is not None
    assert (found.features, found.value) == (1, pytest.approx(0.9))


def test_features_that_never_act_beside_the_others_give_nothing_to_compare() -> None:
    assert (
        chance(
            together=np.eye(6),
            cosines=np.eye(6),
            first=[0],
            second=[1],
            taken=[],
            alike=np.zeros((6, 1)),
            seed=0,
            level=0.95,
        )
        is None
    )


@pytest.mark.parametrize(
    ("alpha", "contrasts", "needed"), [(0.05, 1, 39), (0.05, 3, 119), (0.01, 2, 399), (0.1, 0, 19)]
)
def test_draws_needed_are_those_at_which_the_smallest_p_value_is_the_worst_step(
    alpha: float, contrasts: int, needed: int
) -> None:
    assert draws_needed(alpha=alpha, family_size=max(1, contrasts), tails=2) == needed
    assert 2 / (1 + needed) <= alpha / max(1, contrasts) + 1e-12


@pytest.mark.parametrize("acting", [0, 1])
def test_a_dictionary_that_hardly_acts_gives_reasons_and_no_angle(acting: int) -> None:
    here, drawn = material("llama", 0), random_dictionary(0, tied=False)
    bias = torch.full((drawn.autoencoder.latents,), -1e9)
    bias[:acting] = 5.0
    silent = replace(drawn, autoencoder=replace(drawn.autoencoder, encoder_bias=bias))
    result = superposition.measured(silent, here.corpus, here.states, here.payload, most=8, level=0.95)
    context: Any = SimpleNamespace(plan=here.plan)
    found = {item.metric: item for item in adjust_and_conclude(list(superposition.measure(context, [result])))}

    assert found["superposition_coherence"].estimate is None
    assert "two have an angle" in str(found["superposition_coherence"].missing_reason)
    assert found["superposition_interference"].estimate is None
    assert found["superposition_interference"].missing_reason
