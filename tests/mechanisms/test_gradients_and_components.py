"""Integrated gradients are complete, contributions sum to the margin, on every family."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from auditor.language_models.decoder import RESIDUAL, Decoder, Target, read_decoder
from auditor.mechanisms import components
from auditor.mechanisms.direct import attribute, lens
from auditor.mechanisms.paths import gradient_times_input, integrate
from tests.language_models.zoo import PACKABLE, zoo_model
from tests.mechanisms.bench import bench, conclude, payload
from tests.mechanisms.test_patches import TARGET, runs_of


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "opt"])
def test_integrated_gradients_sum_to_the_difference_and_change_sign(family: str) -> None:
    runs = runs_of(family)
    ends = {"base": runs.base.states[RESIDUAL, 0], "end": runs.donor.states[RESIDUAL, 0]}
    found = integrate(runs.decoder, **ends, past=runs.prefix, target=TARGET)
    assert found.complete
    assert found.gap == pytest.approx(runs.gap, abs=1e-4)
    assert (found.values[2:] == 0).all()
    back = integrate(
        runs.decoder, base=ends["end"], end=ends["base"], past=runs.prefix, target=TARGET, first=found.steps
    )
    assert back.values == pytest.approx(-found.values, abs=1e-4 + 0.02 * abs(found.gap))


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


def test_contributions_sum_exactly_in_double_precision() -> None:
    decoder = read_decoder(zoo_model("gpt2").double())
    assert isinstance(decoder, Decoder)
    sites = [(node, layer) for layer in range(2) for node in ("residual", "heads", "mlp")]
    with torch.no_grad():
        run = decoder.run(torch.tensor([[5, 8, 30, 31]]), capture=sites)
    assert attribute(decoder, run, TARGET).gap < 1e-9


def test_components_are_measured_with_their_checks() -> None:
    result = json.loads(json.dumps(components.compute(bench(components.Settings()), payload("Black", "Asian"))))
    rows = conclude(components, [result])
    assert len(rows) == 10 + 2 + 3  # components, the difference and the direction, the lens by layer
    assert all(row.estimate is not None and len(row.checks) == 2 for row in rows)
    assert rows[-1].estimate == pytest.approx(1, abs=1e-3)
