"""The tests on features run in half precision and on a second device, as far as either can tell the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.packed import PackedScorer
from auditor.language_models.targets import Target, target_of
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.concepts import place
from auditor.mechanisms.interpretation import method as interpretation
from auditor.mechanisms.sae.dictionary import Dictionary, dictionary_for
from auditor.mechanisms.sae.rows import NoDictionary
from auditor.mechanisms.sae.windows import open_window
from auditor.mechanisms.sparse_features import method as sparse_features
from auditor.mechanisms.sparse_features.result import ContrastsPayload, NotContrasted
from auditor.mechanisms.superposition import method as superposition
from tests.acceptance.planted import planted_model
from tests.engine.small import small_data
from tests.mechanisms import typed
from tests.mechanisms.asking import PACKABLE, asked
from tests.mechanisms.test_sae_sparse_features import context_with, plan_of
from tests.second_device import second_device

DATA = small_data(24)
TESTS = {
    sparse_features: {"attributes": ("race",), "applications": 8, "features": 4, "random_draws": 3, "spliced": 2},
    superposition: {"applications": 6},
    interpretation: {"applications": 8, "report": 4},
}
DICTIONARY = {"expansion": 4, "k": 8, "steps": 100}


def computed(test: Any, context: ComputeContext, plan: Any, *, gradients: bool = True) -> list[Any]:
    planned = [
        payload
        for payload in typed.payloads(test, asked(context.settings, plan=plan, data=DATA))
        # The second device has no gradients, by which features are chosen.
        if gradients or not isinstance(payload, ContrastsPayload)
    ]
    return [typed.result_of(test, context, payload) for payload in planned]


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.CARD.name)
def test_a_test_on_features_runs_in_half_precision_with_its_checks(test: Any) -> None:
    plan = plan_of(**DICTIONARY)
    settings = test.Settings(**TESTS[test])
    model = planted_model("B", against=40.0).to(torch.bfloat16)
    found = computed(test, context_with(model, settings, plan), plan)

    assert found
    assert not any(isinstance(result, NoDictionary | NotContrasted) for result in found)
    if test is sparse_features:
        assert found[0].spliced.identity <= found[0].spliced.identity_bound
        assert abs(found[0].fvu_again - found[0].fvu) <= found[0].fvu_rounding


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.CARD.name)
def test_a_test_on_features_runs_on_a_second_device(test: Any) -> None:
    plan = plan_of(**DICTIONARY)
    settings = test.Settings(**TESTS[test])
    model = planted_model("B", against=40.0)
    with second_device(model):
        context = context_with(model, settings, plan)
        context = replace(context, scorer=PackedScorer(model, pack_tokens=64, probe=PACKABLE))
        found = computed(test, context, plan, gradients=False)

    assert found
    assert not any(isinstance(result, NoDictionary | NotContrasted) for result in found)


def test_states_are_changed_on_a_second_device_as_here() -> None:
    plan = plan_of()
    (_, piece) = sparse_features.plan_chunks(
        asked(sparse_features.Settings(**TESTS[sparse_features]), plan=plan, data=DATA)
    )
    concept = piece.payload.concept
    words = [concept.stated(concept.cases[0], group) for group in concept.groups]

    def changed(model: Any) -> tuple[Any, int]:
        working = context_with(model, None, plan)
        target = target_of(working.questions([working.render(words[0]).text])[0])
        assert isinstance(target, Target)
        with torch.no_grad():
            placed = place(working, words, concept.field)
            window = open_window(read_decoder(model), placed, layer=1, depth=9, should_stop=lambda: False)
            # Which numbers come back is not compared: the pretended device loses the indices of the answers' tokens.
            margins, _ = window.margins([(0, None), (1, torch.ones_like(window.states[1]))], target)
        return window.states, len(margins)

    here = changed(planted_model("B", against=40.0))
    model = planted_model("B", against=40.0)
    with second_device(model):
        there = changed(model)
    torch.testing.assert_close(there[0], here[0], rtol=1e-4, atol=1e-4)
    assert there[1] == here[1] == 2


def test_a_dictionary_made_on_a_second_device_is_the_one_made_here() -> None:
    plan = plan_of(**DICTIONARY)
    payload, *_ = typed.payloads(sparse_features, asked(sparse_features.Settings(), plan=plan, data=DATA))
    here = dictionary_for(context_with(planted_model("B", against=40.0), None, plan), payload.dictionary)
    model = planted_model("B", against=40.0)
    with second_device(model):
        there = dictionary_for(context_with(model, None, plan), payload.dictionary)

    assert isinstance(here, Dictionary)
    assert isinstance(there, Dictionary)
    assert here.quality.fvu == pytest.approx(there.quality.fvu, rel=0.02)
