"""The noise floor is what the model's own arithmetic does, in the precision and order it computes in."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import _compare, read_decoder
from auditor.language_models.families import Parts, read_parts
from auditor.language_models.noise import likelihood, noise_floor, summing_noise
from auditor.language_models.noise_floor import MARGIN
from auditor.language_models.rounding import rounded_otherwise
from auditor.language_models.targets import Target
from tests.language_models.zoo import BUILDERS, PACKABLE, zoo_model


@pytest.mark.parametrize("family", sorted({*PACKABLE, *BUILDERS}))
def test_every_family_has_a_floor_that_is_rounding_and_no_more(family: str) -> None:
    floor = noise_floor(zoo_model(family))
    assert 0 < floor.logit < 1e-3
    assert 0 < floor.state < 1e-4
    assert floor.bound == MARGIN * floor.logit
    assert "float32 on cpu" in floor.words


def test_the_floor_falls_with_the_precision_and_is_measured_anew() -> None:
    model = zoo_model("llama")
    floors = [noise_floor(model.to(dtype)) for dtype in (torch.bfloat16, torch.float32, torch.float64)]
    assert floors[0].logit > 1e3 * floors[1].logit > 1e6 * floors[2].logit > 0
    assert floors[0].words != floors[1].words
    assert noise_floor(model) is floors[2]


def test_half_precision_stays_within_its_bound_and_a_missing_prefix_does_not() -> None:
    """What a constant of single precision refuses, and what no floor may let pass."""
    decoder = read_decoder(zoo_model("llama"))
    ids = torch.randint(3, 260, (1, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        single = decoder.logits(decoder.run(ids).final[:, -1])
        decoder.model.to(torch.bfloat16)
        half = decoder.logits(decoder.run(ids).final[:, -1])
        blind = decoder.logits(decoder.run(ids[:, 20:]).final[:, -1])
    floor = noise_floor(decoder.model)
    assert 1e-4 < float((half - single).abs().max()) <= floor.bound
    assert float((half - blind).abs().max()) > floor.bound


ANSWERS = Target((121,), (110, 111))
COARSE = (torch.bfloat16, torch.float16)


@pytest.mark.parametrize("dtype", COARSE)
@pytest.mark.parametrize("family", ["llama", "gpt_neox", "gemma2"])
def test_the_bound_of_a_margin_holds_twice_its_error_against_single_precision_and_is_not_idle(
    family: str, dtype: torch.dtype
) -> None:
    """Two ways may err to opposite sides; and a bound of many errors would check nothing."""
    exact = zoo_model(family)
    model = copy.deepcopy(exact).to(dtype)
    ids = torch.randint(3, 260, (8, 64), generator=torch.Generator().manual_seed(3))
    margins = []
    with torch.inference_mode():
        for each in (exact, model):
            logits = each(input_ids=ids, use_cache=False).logits.double()
            margins.append(logits[..., 121] - logits[..., [110, 111]].logsumexp(-1))
    error = (margins[1] - margins[0]).abs()
    floor = noise_floor(model, ANSWERS)
    assert 2 * float(error.max()) <= floor.bound
    assert floor.bound < 20 * float(error.square().mean().sqrt())


def test_a_bound_rests_on_the_logits_that_enter_and_no_others() -> None:
    model = copy.deepcopy(zoo_model("llama")).to(torch.bfloat16)
    before = noise_floor(model, ANSWERS), noise_floor(model, likelihood((110,)))
    with torch.no_grad():
        model.get_output_embeddings().weight[200] *= 50
    long = copy.deepcopy(model)
    assert noise_floor(long).logit > 20 * before[0].logit
    assert noise_floor(long, ANSWERS).logit == before[0].logit
    # Where the long token takes the probability it is in every likelihood.
    assert noise_floor(long, likelihood((110,))).logit > 5 * before[1].logit


def test_an_unlikely_token_does_not_enter_the_sum_over_the_vocabulary() -> None:
    model = copy.deepcopy(zoo_model("gpt_neox")).to(torch.bfloat16)
    before = noise_floor(model, likelihood((110,)))
    head = model.get_output_embeddings()
    head.bias = torch.nn.Parameter(torch.zeros(head.out_features, dtype=torch.bfloat16))
    with torch.no_grad():
        head.bias[200] = -1000.0
    unlikely = copy.deepcopy(model)
    assert noise_floor(unlikely).logit > 100 * before.logit
    assert noise_floor(unlikely, likelihood((110,))).logit < 2 * before.logit


def test_a_sum_of_likelihoods_has_so_many_times_the_floor_of_one() -> None:
    model = zoo_model("llama")
    one, six = (noise_floor(model, likelihood((110, 111), times=times)) for times in (1.0, 6.0))
    assert six.logit == pytest.approx(6 * one.logit)
    assert noise_floor(model, likelihood()).logit > 0


def test_rounding_otherwise_moves_a_model_and_leaves_it_as_it_was() -> None:
    model = zoo_model("llama")
    ids = torch.randint(3, 260, (1, 20), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        own = model(input_ids=ids).logits
        moved = []
        for seed in (0, 0, 1):
            with rounded_otherwise(model, seed=seed):
                moved.append(model(input_ids=ids).logits)
        assert torch.equal(moved[0], moved[1])
        assert not torch.equal(moved[0], moved[2])
        assert 0 < float((moved[0] - own).abs().max()) < 1e-5
        assert torch.equal(model(input_ids=ids).logits, own)


@pytest.mark.parametrize("dtype", COARSE)
def test_in_half_precision_the_view_is_held_to_what_rounding_does_and_not_to_a_twentieth(dtype: torch.dtype) -> None:
    """Blocks whose MLPs add 6 % too much differ by less than a twentieth of the largest logit."""
    model = copy.deepcopy(zoo_model("llama")).to(dtype)
    parts = read_parts(model)
    assert isinstance(parts, Parts)
    assert _compare(model, Decoder(model, parts), longest=48).held
    slipped = tuple(
        replace(block, mlp_post_norm=lambda states, own=block.mlp_post_norm: 1.06 * own(states))
        for block in parts.blocks
    )
    found = _compare(model, Decoder(model, replace(parts, blocks=slipped)), longest=48)
    assert not found.held
    assert "other rounding moves these" in found.reason
    assert found.largest_difference is not None
    assert found.largest_difference < 0.05


def test_a_difference_tells_only_above_what_rounding_does() -> None:
    floor = noise_floor(zoo_model("llama"))
    assert floor.tells(-0.1)
    assert not floor.tells(floor.bound)


def test_a_sum_of_states_moves_with_its_order_by_what_the_precision_allows() -> None:
    generator = torch.Generator().manual_seed(0)
    terms = [torch.randn(64, generator=generator) for _ in range(20)]
    direction = torch.randn(64, generator=generator)
    single, half = (
        summing_noise([term.to(dtype) for term in terms], direction) for dtype in (torch.float32, torch.bfloat16)
    )
    assert 0 < single < 1e-4
    assert half > 1e3 * single
    assert summing_noise(terms, direction) == single
