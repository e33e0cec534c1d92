"""The noise floor is what the model's own arithmetic does, in the precision and order it computes in."""

from __future__ import annotations

import pytest
import torch

from auditor.language_models.decoder import read_decoder
from auditor.language_models.noise import MARGIN, noise_floor, summing_noise
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
