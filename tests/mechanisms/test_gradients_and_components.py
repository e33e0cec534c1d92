"""Integrated gradients are complete, contributions sum to the margin, on every family."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from auditor.language_models.decoder import Decoder, Run
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.noise import noise_floor
from auditor.language_models.noise_floor import MARGIN
from auditor.language_models.sites import RESIDUAL
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.direct_logits import attribute, lens
from auditor.mechanisms._shared.pairs import own_margins
from auditor.mechanisms.components import method as components
from auditor.mechanisms.integrated_gradients.paths import (
    Integrated,
    gradient_times_input,
    integrate,
    points,
    weights,
)
from tests.language_models.zoo import PACKABLE, STRUCTURED, zoo_model
from tests.mechanisms.computing import compute_context, conclude, payload
from tests.mechanisms.test_patches import TARGET, runs_of


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "opt"])
def test_integrated_gradients_sum_to_the_difference_and_change_sign(family: str) -> None:
    runs = runs_of(family)
    ends = {"base": runs.base.states[RESIDUAL, 0], "end": runs.donor.states[RESIDUAL, 0]}
    found = integrate(runs.decoder, **ends, past=runs.prefix, target=TARGET)
    assert found.complete
    assert found.gap == pytest.approx(runs.gap, abs=1e-4)
    assert (found.values[2:] == 0).all()
    at_the_end = gradient_times_input(runs.decoder, ends["end"], past=runs.prefix, target=TARGET, baseline=ends["base"])
    assert found.first_order == pytest.approx(at_the_end, abs=1e-5)
    back = integrate(
        runs.decoder, base=ends["end"], end=ends["base"], past=runs.prefix, target=TARGET, first=found.steps
    )
    assert back.values == pytest.approx(-found.values, abs=1e-4 + 0.02 * abs(found.gap))


def test_doubling_the_steps_repeats_no_point_and_gives_what_twice_the_steps_give() -> None:
    runs = runs_of("llama")
    ends = {"base": runs.base.states[RESIDUAL, 0], "end": runs.donor.states[RESIDUAL, 0]}
    seen: list[int] = []

    class Counting(Decoder):
        def run_from(self, layer: int, stream: torch.Tensor, **options: Any) -> Run:
            seen.append(len(stream))
            return super().run_from(layer, stream, **options)

    decoder = Counting(runs.decoder.model, runs.decoder.parts)
    asked = {"past": runs.prefix, "target": TARGET}
    with patch.object(Integrated, "complete", property(lambda found: found.steps == 8)):
        doubled = integrate(decoder, **ends, **asked, first=2, most=8)
    assert sum(seen) == 9  # 3 points, then 2, then 4 between them
    straight = integrate(runs.decoder, **ends, **asked, first=8, most=8)
    assert doubled.steps == straight.steps == 8
    assert doubled.values == pytest.approx(straight.values, abs=1e-6)
    assert doubled.gap == pytest.approx(runs.gap, abs=1e-5)
    assert doubled.margin == pytest.approx(runs.donor_margin, abs=1e-5)


@given(degree=st.integers(0, 16), half=st.integers(1, 8))
def test_steps_integrate_every_polynomial_up_to_their_number(degree: int, half: int) -> None:
    """The closed form is 1 / (degree + 1)."""
    steps = 2 * max(half, (degree + 1) // 2)
    places = points(steps)
    assert places[0] == 0
    assert places[-1] == 1
    assert weights(steps) @ places**degree == pytest.approx(1 / (degree + 1), abs=1e-13)


def test_gradient_times_input_is_integrated_gradients_where_the_model_is_linear() -> None:
    """At two points a hair apart the path is linear: the slope there is the gradient."""
    decoder = read_decoder(zoo_model("gpt2").double())
    assert isinstance(decoder, Decoder)
    base = decoder.embed(torch.tensor([[5, 8, 30, 31]])).detach()
    found = integrate(decoder, base=base, end=base * (1 + 1e-5), past=None, target=TARGET)
    slope = gradient_times_input(decoder, base, past=None, target=TARGET) * 1e-5
    assert found.values == pytest.approx(slope, abs=1e-3 * np.abs(slope).max())


@pytest.mark.parametrize("family", PACKABLE)
@pytest.mark.parametrize("target", [TARGET, Target((5, 6), (9, 10, 11))])
def test_contributions_sum_to_the_margin(family: str, target: Target) -> None:
    runs = runs_of(family)
    found = attribute(runs.decoder, runs.base, target)
    assert found.gap < 1e-3
    total = found.embedding + found.attention.sum() + found.mlps.sum() + found.constant
    assert total == pytest.approx(found.margin, abs=1e-3)
    assert found.attention.shape == (2, 4 if runs.decoder.linear_heads else 1)
    assert lens(runs.decoder, runs.base, target)[-1] == pytest.approx(found.margin, abs=1e-5)


@pytest.mark.parametrize("family", STRUCTURED)
@pytest.mark.parametrize("size", [1.0, 0.02])
def test_contributions_sum_to_the_models_own_margin_in_every_family(family: str, size: float) -> None:
    """With short states too, where a norm's epsilon counts; OLMo keeps it in its code alone."""
    model = zoo_model(family)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "lm_head" not in name:
                parameter.mul_(size if "embed" in name or "wte" in name else size**0.5)
    decoder = read_decoder(model)
    assert isinstance(decoder, Decoder)
    ids = [5, 8, 30, 31, 17]
    [own] = own_margins(decoder, TARGET, [ids])
    found = attribute(decoder, captured(decoder, ids), TARGET, own=own)
    assert found.gap <= noise_floor(decoder.model).bound + MARGIN * found.rounding


def capped(share: float) -> Decoder:
    """A tiny Gemma 2 whose cap on logits is a share of its largest logit, and whose attention is capped too."""
    model = zoo_model("gemma2")
    with torch.no_grad():
        model.config.final_logit_softcapping = None
        largest = float(model(torch.tensor([[5, 8, 30, 31]])).logits.abs().max())
    model.config.final_logit_softcapping = share * largest
    model.config.attn_logit_softcapping = 1.0
    decoder = read_decoder(model)
    assert isinstance(decoder, Decoder)
    return decoder


def captured(decoder: Decoder, ids: list[int]) -> Run:
    sites = [(node, layer) for layer in range(decoder.layers) for node in ("residual", "heads", "mlp")]
    with torch.no_grad():
        return decoder.run(torch.tensor([ids]), capture=[*sites, (RESIDUAL, decoder.layers)])


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("target", [TARGET, Target((5, 6), (9, 10, 11))])
def test_under_a_cap_that_bites_contributions_sum_to_the_margin_that_is_decided_on(
    share: float, target: Target
) -> None:
    """Against the model's own forward pass; before, they summed to what stood before the cap."""
    decoder = capped(share)
    ids = [[5, 8, 30, 31, 17], [5, 8, 90, 31, 17]]
    own = own_margins(decoder, target, ids)
    sides = [
        attribute(decoder, captured(decoder, each), target, own=margin) for each, margin in zip(ids, own, strict=True)
    ]
    for side, margin in zip(sides, own, strict=True):
        assert side.total == pytest.approx(margin, abs=1e-5)
        assert side.gap < 1e-5
    change = own[1] - own[0]
    parts = [
        sides[1].embedding - sides[0].embedding,
        *(sides[1].attention - sides[0].attention).ravel(),
        *(sides[1].mlps - sides[0].mlps),
        sides[1].constant - sides[0].constant,
    ]
    assert abs(change) > 1e-4
    assert sum(parts) / change == pytest.approx(1, abs=0.01)
    if target.single:
        assert sides[0].constant == pytest.approx(0, abs=1e-9)


def test_the_check_of_the_sum_fails_where_a_component_is_not_what_was_written() -> None:
    decoder = capped(0.3)
    ids = [5, 8, 30, 31, 17]
    run = captured(decoder, ids)
    run.states["mlp", 1].mul_(1.01)
    [own] = own_margins(decoder, TARGET, [ids])
    found = attribute(decoder, run, TARGET, own=own)
    assert found.gap > noise_floor(decoder.model).bound + MARGIN * found.rounding


def test_in_half_precision_the_sum_holds_within_the_bound_of_that_precision() -> None:
    """A constant of single precision would refuse every model in half precision."""
    decoder = read_decoder(zoo_model("llama").to(torch.bfloat16))
    assert isinstance(decoder, Decoder)
    ids = [5, 8, 30, 31, 17]
    [own] = own_margins(decoder, TARGET, [ids])
    found = attribute(decoder, captured(decoder, ids), TARGET, own=own)
    assert 1e-4 < found.gap <= noise_floor(decoder.model).bound + MARGIN * found.rounding


def test_contributions_sum_exactly_in_double_precision() -> None:
    decoder = read_decoder(zoo_model("gpt2").double())
    assert isinstance(decoder, Decoder)
    sites = [(node, layer) for layer in range(2) for node in ("residual", "heads", "mlp")]
    with torch.no_grad():
        run = decoder.run(torch.tensor([[5, 8, 30, 31]]), capture=sites)
    assert attribute(decoder, run, TARGET).gap < 1e-9


def test_components_are_measured_with_their_checks() -> None:
    result = components.compute(compute_context(components.Settings()), payload("Black", "Asian"))
    rows = conclude(components, [result])
    assert len(rows) == 10 + 2 + 3  # components, the difference and the direction, the lens by layer
    assert all(row.estimate is not None and len(row.checks) == 2 for row in rows)
    assert rows[-1].estimate == pytest.approx(1, abs=1e-3)
