"""Packing and the view are proven at the length of the longest real prompt, not on short ones alone."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import check_decoder, read_decoder
from auditor.language_models.local import LoadedModel
from auditor.language_models.packed import TOLERANCE, PackedScorer, PackingProbe, plain_log_probabilities, probe_packing
from auditor.language_models.positions import forget_lengths, switch_length
from auditor.language_models.residual_view import ResidualView
from auditor.scoring import _probe
from tests.language_models.tiny import GROUPED
from tests.language_models.zoo import WINDOW, zoo_model
from tests.mechanisms.computing import compute_context
from tests.records import manifest_of, run_of

SWITCH = 64
SIZES = {**GROUPED, "max_position_embeddings": SWITCH}


def widened(model: Any) -> Any:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model.eval()


def dynamic() -> Any:
    torch.manual_seed(0)
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
    return widened(LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=rope)))


def long_rope() -> Any:
    torch.manual_seed(0)
    rope = {
        "rope_type": "longrope",
        "short_factor": [1.0] * 4,
        "long_factor": [4.0, 3.0, 2.0, 1.5],
        "original_max_position_embeddings": SWITCH,
        "rope_theta": 10000.0,
    }
    sizes = {**GROUPED, "max_position_embeddings": 4 * SWITCH, "original_max_position_embeddings": SWITCH}
    return widened(Phi3ForCausalLM(Phi3Config(**sizes, rope_parameters=rope)))


LENGTH_DEPENDENT = {"dynamic": dynamic, "longrope": long_rope}


@pytest.mark.parametrize("kind", LENGTH_DEPENDENT)
def test_a_position_encoding_that_depends_on_length_rules_packing_out_past_its_switch(kind: str) -> None:
    model = LENGTH_DEPENDENT[kind]()
    assert switch_length(model) == SWITCH
    assert probe_packing(model, vocabulary=260, longest=SWITCH).packable
    probe = probe_packing(model, vocabulary=260, longest=SWITCH + 1)
    assert not probe.packable
    assert probe.reason == "prompts of up to 65 tokens are read by their length past 64 (its position encoding)"


@pytest.mark.parametrize("kind", LENGTH_DEPENDENT)
def test_the_long_tree_catches_it_even_where_the_kind_of_encoding_is_not_known(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.language_models.packed.switch_length", lambda model: None)
    model = LENGTH_DEPENDENT[kind]()
    assert probe_packing(model, vocabulary=260, longest=SWITCH).packable
    probe = probe_packing(model, vocabulary=260, longest=2 * SWITCH)
    assert not probe.packable
    assert probe.largest_difference is not None
    assert probe.largest_difference > 100 * TOLERANCE


@pytest.mark.parametrize("kind", LENGTH_DEPENDENT)
def test_the_view_is_refused_past_the_switch_and_held_before_it(kind: str) -> None:
    model = LENGTH_DEPENDENT[kind]()
    assert isinstance(read_decoder(model, longest=SWITCH), Decoder)
    check = check_decoder(model, longest=2 * SWITCH)
    assert not check.held
    assert check.reason == "its position encoding reads prompts by their length past 64 tokens"
    assert isinstance(read_decoder(model, longest=2 * SWITCH), ResidualView)


def test_one_prompt_is_answered_the_same_whatever_was_asked_before() -> None:
    model = dynamic()
    generator = np.random.default_rng(0)
    middle = [int(token) for token in generator.integers(3, 260, 90)]
    longer = [int(token) for token in generator.integers(3, 260, 200)]
    reads = [(len(middle) - 1, 7)]
    first = plain_log_probabilities(model, middle, reads)
    plain_log_probabilities(model, longer, [(199, 7)])
    assert plain_log_probabilities(model, middle, reads) == first
    with torch.inference_mode():
        model(input_ids=torch.tensor([longer]), use_cache=False)
        carried = model(input_ids=torch.tensor([middle]), use_cache=False).logits[0, -1].double().log_softmax(-1)[7]
    assert abs(float(carried) - first[0]) > 1e-3, "transformers no longer carries the scale over"
    forget_lengths(model)


@pytest.mark.parametrize("kind", ["window", *LENGTH_DEPENDENT])
def test_a_text_longer_than_packing_was_proven_at_is_the_models_own_forward_pass(kind: str) -> None:
    """A rationale within a prompt can be past a window or a switch that no prompt of the run reaches."""
    model = zoo_model("mistral") if kind == "window" else LENGTH_DEPENDENT[kind]()
    most = WINDOW if kind == "window" else SWITCH
    probe = probe_packing(model, vocabulary=260, longest=most - 4)
    assert probe.packable
    assert probe.most == most
    ids = [int(token) for token in np.random.default_rng(0).integers(3, 260, 2 * most)]
    texts, reads = [ids, ids[:-3]], [[(len(ids) - 1, 7)], [(len(ids) - 4, 7)]]
    scorer = PackedScorer(model, pack_tokens=512, probe=probe)
    wanted = [plain_log_probabilities(model, *pair) for pair in zip(texts, reads, strict=True)]
    assert np.abs(np.array(scorer.log_probabilities(texts, reads)) - np.array(wanted)).max() <= TOLERANCE


@pytest.mark.parametrize("longest", [SWITCH, 2 * SWITCH])
def test_the_longest_prompt_of_the_run_is_what_packing_and_view_are_proven_at(longest: int) -> None:
    loaded = LoadedModel(dynamic(), None, manifest_of(f"dynamic, {longest}"), "cpu")
    plan: Any = SimpleNamespace(budget=SimpleNamespace(pack_tokens=64, max_prompt_tokens=SWITCH))
    probe = _probe(loaded, run_of({}, prompts={"longest_tokens": longest}), plan)
    view = replace(compute_context(None), loaded=loaded, longest=longest).decoder()

    assert probe.packable is isinstance(view, Decoder) is (longest == SWITCH)


def test_where_no_length_changes_what_is_read_packing_has_no_end() -> None:
    assert probe_packing(zoo_model("llama"), vocabulary=260, longest=100).most is None


def test_a_model_with_ordinary_positions_has_no_switch_and_stays_as_it_is() -> None:
    model = zoo_model("llama")
    before = {name: value.clone() for name, value in model.named_buffers()}
    assert switch_length(model) is None
    forget_lengths(model)
    assert all(torch.equal(before[name], value) for name, value in model.named_buffers())


def test_asking_again_is_the_models_own_forward_pass() -> None:
    model = zoo_model("llama")
    prompts = [[5, 9, 11, 40], [5, 9, 60, 7, 8]]
    reads = [[(3, 8)], [(4, 9)]]
    scorer = PackedScorer(model, pack_tokens=16, probe=PackingProbe(True, None, ""))
    wanted = [plain_log_probabilities(model, *pair) for pair in zip(prompts, reads, strict=True)]
    # The positions that are read alone: another product of matrices, whose last digits may be others.
    assert np.abs(np.array(scorer.one_by_one(prompts, reads)) - np.array(wanted)).max() <= 1e-5
