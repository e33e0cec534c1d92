"""Directions at right angles do not interfere; planted overlap is found at its planted size; bounds hold."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from auditor.conclusions import adjust_and_conclude
from auditor.mechanisms._shared.corpus import Read
from auditor.mechanisms._shared.feature_responses import Overlap, Tails, overlap, responding, tails
from auditor.mechanisms.sae.geometry import (
    effective_count,
    geometry,
    held_share,
    participation_by_values,
    participation_ratio,
    unit_rows,
    welch_bound,
)
from auditor.mechanisms.sae.rows import NoDictionary
from auditor.mechanisms.superposition.measure import measures
from auditor.mechanisms.superposition.null import chance
from auditor.mechanisms.superposition.result import Angles, Beside, Carried, Shared
from auditor.records import Conclusion
from tests.mechanisms import planted_corpus as planted

seeds = st.integers(0, 2**32 - 1)


def orthogonal(count: int, width: int, seed: int = 0) -> Any:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((width, count)))[0].T


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), seeds)
def test_directions_at_right_angles_have_no_coherence_and_a_dimension_each(count: int, seed: int) -> None:
    found = geometry(orthogonal(count, 12, seed))

    assert found.coherence == pytest.approx(0.0, abs=1e-12)
    assert found.welch == 0.0
    assert found.dimensions == pytest.approx(np.ones(count))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.integers(1, 20), seeds)
def test_no_dictionary_undercuts_welch_and_dimensions_add_up_to_at_most_the_rank(
    count: int, width: int, seed: int
) -> None:
    found = geometry(np.random.default_rng(seed).standard_normal((count, width)))

    assert found.coherence >= found.welch - 1e-9
    assert found.rms >= found.welch - 1e-9
    assert found.coherence >= found.rms - 1e-9
    assert found.dimensions.sum() <= min(count, width) + 1e-9


def test_three_directions_in_a_plane_reach_welch_and_share_two_dimensions() -> None:
    angles = 2 * np.pi * np.arange(3) / 3
    found = geometry(np.stack([np.cos(angles), np.sin(angles)], axis=1))

    assert welch_bound(features=3, width=2) == pytest.approx(0.5)
    assert found.coherence == pytest.approx(0.5)
    assert found.dimensions == pytest.approx(np.full(3, 2 / 3))


def test_opposite_directions_share_one_dimension() -> None:
    found = geometry([[1.0, 0.0], [-2.0, 0.0], [0.0, 0.0]])

    assert found.features == 2
    assert found.coherence == 1.0
    assert found.dimensions == pytest.approx([0.5, 0.5])


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(1).standard_normal((50, 7))
    whole = geometry(rows)
    monkeypatch.setattr("auditor.mechanisms.sae.geometry.BLOCK", 8)
    blocked = geometry(rows)

    assert blocked.coherence == pytest.approx(whole.coherence, abs=1e-12)
    assert blocked.dimensions == pytest.approx(whole.dimensions, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), seeds, st.floats(0.1, 10))
def test_participation_counts_equal_dimensions_and_knows_no_scale(used: int, seed: int, scale: float) -> None:
    # ± every axis: a covariance with so many equal eigenvalues.
    axes = orthogonal(used, 8, seed)
    states = np.concatenate([axes, -axes])

    assert participation_ratio(states) == pytest.approx(used)
    assert participation_ratio(scale * states + 3) == pytest.approx(used)


def test_participation_is_the_same_from_either_gram_matrix() -> None:
    wide = np.random.default_rng(2).standard_normal((6, 9))
    values = np.linalg.eigvalsh(np.cov(wide.T))

    assert participation_ratio(wide) == pytest.approx(values.sum() ** 2 / (values**2).sum())
    assert participation_by_values(wide) == pytest.approx(participation_ratio(wide))


def test_states_that_do_not_vary_have_no_participation() -> None:
    with pytest.raises(ValueError, match="do not vary"):
        participation_ratio(np.ones((4, 3)))


def test_equal_weights_count_in_full_and_none_count_nothing() -> None:
    assert effective_count([2.0, 2.0, 2.0, 0.0]) == pytest.approx(3.0)
    assert effective_count([0.0, 0.0]) == 0.0


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), seeds)
def test_the_held_share_is_the_length_of_the_projection(count: int, seed: int) -> None:
    rows = unit_rows(np.random.default_rng(seed).standard_normal((count + 1, 9)))
    basis = np.linalg.qr(rows[1:].T)[0]

    share = held_share(0, list(range(1, count + 1)), cosines=rows @ rows.T)

    assert share == pytest.approx(float(((basis.T @ rows[0]) ** 2).sum()), abs=1e-9)


def planted_overlap(cosine: float, *, applications: int = 10, seed: int = 4) -> Any:
    """Latent 0 carries an attribute, 1 a credit field at this cosine to it, 2 to 9 act beside them at right angles."""
    rows = orthogonal(10, 16, seed)
    rows[1] = cosine * rows[0] + np.sqrt(1 - cosine**2) * rows[1]
    active = np.ones((2 * applications, 10), dtype=bool)
    names = [f"a{number // 2}" for number in range(2 * applications)]
    return overlap(active, applications=names, first=[0], second=[1], apart=[0, 1], cosines=rows @ rows.T, seed=0)


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.95, 0.95))
def test_a_planted_overlap_is_found_at_its_size_and_not_in_random_partners(cosine: float) -> None:
    found = planted_overlap(cosine)

    assert found.cosine == pytest.approx(np.full(10, abs(cosine)), abs=1e-9)
    assert found.share == pytest.approx(np.full(10, cosine**2), abs=1e-9)
    assert found.random == pytest.approx(np.zeros(10), abs=1e-9)
    assert found.pairs == 20


def test_features_that_never_act_together_are_not_compared() -> None:
    active = np.eye(4, dtype=bool).repeat(3, axis=0)
    found = overlap(active, applications=["a"] * 12, first=[0], second=[1], apart=[], cosines=np.eye(4), seed=0)

    assert found.pairs == 0
    assert len(found.cosine) == 0


def test_a_feature_of_both_kinds_is_compared_as_the_attribute_s_only() -> None:
    active = np.ones((4, 6), dtype=bool)
    cosines = np.full((6, 6), 0.3) + 0.7 * np.eye(6)
    found = overlap(active, applications=list("aabb"), first=[0, 1], second=[1, 2], apart=[], cosines=cosines, seed=0)

    assert found.cosine == pytest.approx([0.3, 0.3])


def race(corpus: Any, row: int) -> float:
    return float(corpus.back[row] <= 1 and planted.value(corpus, row, "race") == "Black")


def ratio(corpus: Any, row: int) -> float:
    return planted.value(corpus, row, "ratio") / 10 if corpus.back[row] == 0 else 0.0


@pytest.fixture(scope="module")
def closing() -> Tails:
    concepts = [race, ratio, planted.everywhere, planted.on_credit_words]
    return tails(planted.read(concepts), norms=np.array([1.0, 2.0, 1.0, 1.0]))


def test_the_closing_words_are_those_all_prompts_have_behind_the_last_field(closing: Tails) -> None:
    # A line break, “Decision” and the colon.
    assert closing.values.shape == (24 * 4, 3, 3)
    assert closing.latents.tolist() == [0, 1, 2]


def test_only_the_feature_of_a_field_responds_to_it(closing: Tails) -> None:
    quiet = np.zeros(3)

    assert responding(closing.response("race"), noise=quiet, most=5) == [0]
    assert responding(closing.response("ratio"), noise=quiet, most=5) == [1]
    assert responding(closing.response("amount"), noise=quiet, most=5) == []


def test_a_response_no_larger_than_to_an_irrelevant_change_does_not_count(closing: Tails) -> None:
    response = closing.response("race")

    assert responding(response, noise=response, most=5) == []


def test_a_response_grows_with_the_length_a_feature_writes(closing: Tails) -> None:
    changes = closing.changes("ratio")[:, -1, 1]
    filed = [prompt for prompt in planted.planted_corpus().prompts if prompt.changed == "ratio"]

    # Norm 2, activation ratio / 10; the other ratio is 75 minus it.
    assert changes == pytest.approx([2 * (2 * item.values["ratio"] - 75) / 10 for item in filed])


def test_a_prompt_that_ends_in_a_field_is_read_at_its_last_token() -> None:
    corpus = planted.planted_corpus()
    inside = corpus.take(np.flatnonzero(corpus.segment < 4))
    last = np.flatnonzero(np.diff(inside.prompt, append=-1))
    back = np.ones(len(inside), dtype=np.int64)
    back[last] = 0
    read = Read(replace(inside, back=back), csr_matrix(np.ones((len(inside), 1))))

    assert tails(read, norms=np.ones(1)).values.shape == (96, 1, 1)


def planted_chance(cosine: float, *, carriers: int = 2, others: int = 400, seed: int = 4) -> Any:
    """Carriers of an attribute at this cosine to a credit field's one feature, among many others at random."""
    generator = np.random.default_rng(seed)
    rows = unit_rows(generator.standard_normal((1 + carriers + others, 64)))
    for one in range(1, 1 + carriers):
        across = unit_rows((rows[one] - (rows[one] @ rows[0]) * rows[0])[None])[0]
        rows[one] = cosine * rows[0] + np.sqrt(1 - cosine**2) * across
    count = len(rows)
    found = chance(
        together=np.ones((count, count)),
        cosines=rows @ rows.T,
        first=list(range(1, 1 + carriers)),
        second=[0],
        taken=[],
        alike=np.zeros((count, 1)),
        seed=0,
        level=0.95,
    )
    assert found is not None
    return found


def result(cosine: float, *, orthogonal: float = 0.0, again: float = 0.9, others: int = 400) -> Shared:
    found, tried = planted_overlap(cosine), planted_chance(cosine, others=others)
    both = Beside(field="", features=(3, 9), shared=1, overlap=found, chance=tried)
    nothing = Beside(field="amount", features=(), shared=0, overlap=Overlap(), chance=None)
    return Shared(
        layer=3,
        tokens=500,
        participation=6.5,
        participation_again=6.5,
        unexplained=0.3,
        angles=Angles(
            latents=64,
            features=40,
            width=16,
            coherence=0.9,
            coherence_again=again,
            rounding=1e-6,
            rms=0.25,
            welch=welch_bound(features=40, width=16),
            dimensions=15.0,
            dimensions_each=0.375,
            effective=24.0,
        ),
        attributes=(
            Carried(
                attribute="race",
                features=(7, 9),
                together=both,
                fields=(both.model_copy(update={"field": "ratio"}), nothing),
            ),
        ),
        orthogonal=orthogonal,
    )


def measured(**options: Any) -> dict[str, Any]:
    context: Any = SimpleNamespace(plan=SimpleNamespace(thresholds=SimpleNamespace(alpha=0.05)))
    found = adjust_and_conclude(list(measures(context, [result(**options)], test="superposition")))
    return {item.id.removeprefix("superposition/superposition_"): item for item in found}


def test_a_large_overlap_is_said_to_be_more_than_random_in_plain_words() -> None:
    item = measured(cosine=0.6)["interference/attribute=race"]

    assert item.estimate == pytest.approx(0.6)
    assert all(check.held for check in item.checks)
    assert item.conclusion_reason == (
        "The directions that carry race and those that carry credit fields overlap by 0.60 where both act (0 at right "
        "angles, 1 the same; features like them 0.11): more than features like them do. 1 of the 2 that carry race "
        "carry both."
    )


def test_an_overlap_like_that_of_matched_features_shows_no_difference() -> None:
    found = measured(cosine=0.1)

    assert found["interference/attribute=race"].conclusion_reason.count("no difference is shown") == 1
    assert found["excess/attribute=race"].p_value > 0.05
    assert found["shared_features/attribute=race"].estimate == 0.5


def test_single_fields_are_described_and_not_tested() -> None:
    found = measured(cosine=0.6)

    assert found["interference/attribute=race/field=ratio"].p_value is None
    assert "more than" not in found["interference/attribute=race/field=ratio"].conclusion_reason
    assert [item.id for item in found.values() if item.p_value is not None] == [
        "superposition/superposition_excess/attribute=race"
    ]


def test_applications_give_no_interval_to_an_overlap() -> None:
    found = measured(cosine=0.6)

    assert found["interference/attribute=race"].low is None
    assert found["shared_space/attribute=race"].low is None
    assert "not replicates" in found["interference/attribute=race"].method


def test_the_test_of_an_attribute_is_a_declared_contrast_of_its_own_family() -> None:
    item = measured(cosine=0.6)["excess/attribute=race"]

    assert item.family == "inside: superposition"
    assert item.p_value < 0.01
    assert item.low > 0


def test_too_few_features_to_draw_from_end_in_words_and_no_p_value() -> None:
    found = measured(cosine=0.6, others=8)
    item = found["excess/attribute=race"]

    assert item.p_value is None
    assert item.conclusion is Conclusion.INCONCLUSIVE
    assert item.conclusion_reason == (
        "too few features to say: 2 that act beside one of the other kind, and 24 different draws of features like "
        "them, where 39 are needed"
    )
    assert "too few features to say whether that is chance" in found["interference/attribute=race"].conclusion_reason


def test_a_largest_cosine_that_is_not_its_pair_s_breaks_the_check() -> None:
    assert measured(cosine=0.3)["coherence/states=before layer 3"].estimate == 0.9
    assert measured(cosine=0.3, again=0.8)["coherence/states=before layer 3"].estimate is None


def test_a_field_that_moves_no_feature_has_a_reason_and_no_number() -> None:
    item = measured(cosine=0.3)["interference/attribute=race/field=amount"]

    assert item.estimate is None
    assert item.missing_reason == "no feature moves at the end of the prompt when amount changes"


def test_interference_of_directions_at_right_angles_breaks_the_check() -> None:
    item = measured(cosine=0.3, orthogonal=0.1)["interference/attribute=race"]

    assert item.estimate is None
    assert [check.held for check in item.checks] == [False]


def test_without_a_dictionary_the_reason_is_said() -> None:
    context: Any = SimpleNamespace(plan=SimpleNamespace(thresholds=SimpleNamespace(alpha=0.05)))
    (draft,) = measures(context, [NoDictionary(reason="the states do not vary")], test="superposition")

    assert draft.measurement.estimate is None
    assert draft.measurement.missing_reason == "the states do not vary"
