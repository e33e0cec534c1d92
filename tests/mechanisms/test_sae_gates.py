"""Nothing is said of the features of a dictionary that too few tokens formed, or that leaves too much unexplained."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms.interpretation import method as interpretation
from auditor.mechanisms.sae import dictionary as made_in
from auditor.mechanisms.sae.dictionary import Dictionary, dictionary_for, speaking_dictionary
from auditor.mechanisms.sae.gates import (
    LEAST_HELD_OUT,
    MOST_UNEXPLAINED,
    ROWS_A_LATENT,
    too_few_rows,
    too_poor,
)
from auditor.mechanisms.sae.rows import NoDictionary
from auditor.mechanisms.sparse_features.result import NotContrasted
from auditor.mechanisms.superposition import method as superposition
from tests.acceptance.planted import planted_model
from tests.mechanisms import test_features_of_a_plan as features
from tests.mechanisms import test_sae_sparse_features, typed
from tests.mechanisms.asking import asked
from tests.mechanisms.test_sae_dictionary import at_work, wanted


def test_thousands_of_latents_are_not_formed_on_fewer_tokens() -> None:
    assert "12,000 distinct tokens for 16,384 latents, 0.7 each" in str(too_few_rows(12_000, 16_384))
    assert too_few_rows(int(ROWS_A_LATENT * 100), 100) is None
    assert too_few_rows(int(ROWS_A_LATENT * 100) - 1, 100)


@pytest.mark.parametrize(
    ("unexplained", "tokens", "said"),
    [
        (MOST_UNEXPLAINED, LEAST_HELD_OUT, None),
        (MOST_UNEXPLAINED + 0.01, LEAST_HELD_OUT, "leaves 31% of the variance of held-out states unexplained"),
        (float("nan"), LEAST_HELD_OUT, "unexplained"),
        (0.0, LEAST_HELD_OUT - 1, "too few tokens to say"),
    ],
)
def test_what_held_out_states_do_not_bear_out_is_not_spoken_of(
    unexplained: float, tokens: int, said: str | None
) -> None:
    found = too_poor(unexplained, tokens)
    assert found is None if said is None else said in str(found)


def test_too_many_latents_for_the_tokens_are_not_even_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was trained")

    monkeypatch.setattr(made_in, "train", trained)
    found = dictionary_for(at_work(), wanted(expansion=64))
    assert isinstance(found, NotApplicable)
    assert found.reason.startswith("too few tokens to say: ")
    assert "for 2,048 latents" in found.reason


def test_a_dictionary_that_was_hardly_trained_is_measured_and_not_spoken_of() -> None:
    poor = dictionary_for(at_work(), wanted(steps=1))
    assert isinstance(poor, Dictionary)
    assert poor.quality.fvu > MOST_UNEXPLAINED
    assert speaking_dictionary(at_work(), wanted(steps=1)) == NotApplicable(poor.shortfall)
    assert "unexplained" in str(poor.shortfall)


def test_every_test_on_features_ends_with_the_reason_where_the_dictionary_is_poor() -> None:
    model, plan = planted_model("B", against=40.0), test_sae_sparse_features.plan_of(steps=1)
    quality, *contrasts = test_sae_sparse_features.computed(model, plan)
    assert quality.fvu > MOST_UNEXPLAINED
    assert contrasts
    for result in contrasts:
        assert isinstance(result, NotContrasted)
        assert result.reason == quality.shortfall
    tests: tuple[Any, ...] = (superposition, interpretation)
    for test in tests:
        chosen = features.SETTINGS[test.CARD.name]
        asking = asked(chosen, plan=features.plan_of(steps=1), data=features.DATA)
        for found in typed.results(test, features.context_with(model, chosen), asking):
            assert isinstance(found, NoDictionary)
            assert "of the variance of held-out states unexplained" in found.reason
