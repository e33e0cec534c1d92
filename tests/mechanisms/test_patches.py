"""Patching: whole gives the other prompt, itself and what comes before the difference give nothing, on all families."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.sites import RESIDUAL, replace
from auditor.language_models.targets import Target
from auditor.mechanisms._shared import patches
from auditor.mechanisms._shared.nodes import Node, all_nodes
from auditor.mechanisms._shared.pairs import Pair, PairRuns, run_pair
from auditor.mechanisms._shared.patches import (
    attribution_effects,
    node_effects,
    patch_checks,
    residual_effects,
)
from tests.language_models.zoo import PACKABLE, zoo_model

TARGET = Target((5,), (9,))


def pair_of(first: int = 12, length: int = 24) -> Pair:
    ids = torch.randint(3, 260, (length,), generator=torch.Generator().manual_seed(4)).tolist()
    other = list(ids)
    other[first : first + 2] = [11, 12]
    return Pair(tuple(ids), tuple(other), first, (first, first + 1))


def runs_of(family: str, *, first: int = 12) -> PairRuns:
    decoder = read_decoder(zoo_model(family))
    assert isinstance(decoder, Decoder)
    return run_pair(decoder, TARGET, pair_of(first))


@pytest.mark.parametrize("family", PACKABLE)
def test_the_proofs_hold_on_every_family(family: str) -> None:
    checks = patch_checks(runs_of(family))
    assert [check for check in checks if not check.held] == []
    assert len(checks) == 3


@pytest.mark.parametrize("family", PACKABLE)
def test_the_embedding_of_the_changed_field_carries_the_whole_difference(family: str) -> None:
    runs = runs_of(family)
    effects = residual_effects(runs, [[12, 13], [3]])
    assert effects[0, 0] == pytest.approx(runs.gap, abs=1e-3)
    assert (effects[1] == 0).all()
    assert residual_effects(runs, [[23]])[0, -1] == pytest.approx(runs.gap, abs=1e-3)


@pytest.mark.parametrize("first", [0, 12])
def test_patching_from_the_middle_is_patching_a_whole_run(first: int) -> None:
    runs = runs_of("llama", first=first)
    tokens = torch.tensor([runs.pair.base])
    effects = residual_effects(runs, [[first], [20]])
    with torch.no_grad():
        for row, position in enumerate((first, 20)):
            for layer in range(3):
                value = runs.donor.states[RESIDUAL, layer][:, position - first]
                patched = runs.decoder.run(tokens, edits={(RESIDUAL, layer): replace(value[:, None], [position])})
                slow = float(runs.decoder.margins(patched, TARGET)) - runs.base_margin
                assert effects[row, layer] == pytest.approx(slow, abs=1e-4)


def test_all_nodes_of_a_layer_and_its_stream_together_give_the_whole_difference() -> None:
    """With the last layer's stream left as it is, its heads and MLP carry only what they themselves add."""
    runs = runs_of("gpt2")
    effects = node_effects(runs, all_nodes(2, 4))
    assert effects.shape == (10,)
    assert np.abs(effects).max() > 0
    single = [node_effects(runs, [node])[0] for node in all_nodes(2, 4)]
    assert effects == pytest.approx(np.array(single), abs=1e-4)


def test_nodes_in_many_batches_have_the_effects_they_have_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = runs_of("llama")
    nodes = all_nodes(2, 4)[::-1]
    together = node_effects(runs, nodes)
    monkeypatch.setattr(patches, "BATCH_TOKENS", 30)  # two rows of twelve positions
    assert node_effects(runs, nodes) == pytest.approx(together, abs=1e-5)


@pytest.mark.parametrize("family", PACKABLE)
def test_a_small_difference_has_its_first_order_effect(family: str) -> None:
    """With states of the donor a hair from the base's, the estimate and the patch agree."""
    runs = runs_of(family)
    near = {site: state + 1e-3 * (runs.donor.states[site] - state) for site, state in runs.base.states.items()}
    donor = runs.donor.__class__(near[RESIDUAL, 2], near, runs.donor.start, None)
    close = PairRuns(
        runs.decoder, TARGET, runs.pair, runs.prefix, runs.base, donor, runs.base_margin, runs.donor_margin
    )
    heads, mlps = attribution_effects(close)
    exact = node_effects(close, all_nodes(2, 4))
    estimate = np.concatenate([[*heads[layer], mlps[layer]] for layer in range(2)])
    assert estimate == pytest.approx(exact, abs=3e-5 + 0.05 * np.abs(exact).max())


def test_a_node_before_which_nothing_differs_has_no_effect() -> None:
    runs = runs_of("llama")
    same = PairRuns(
        runs.decoder, TARGET, runs.pair, runs.prefix, runs.base, runs.base, runs.base_margin, runs.base_margin
    )
    heads, mlps = attribution_effects(same)
    assert (heads == 0).all()
    assert (mlps == 0).all()
    assert abs(node_effects(same, [Node(1, 2)])[0]) < 1e-5
