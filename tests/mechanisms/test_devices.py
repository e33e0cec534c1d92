"""What harvests and probes states works on any device and in any precision: no tensor is left behind on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auditor.language_models.activations import harvest
from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.residual_view import ResidualView
from tests.language_models.zoo import zoo_model
from tests.second_device import DEVICE, second_device

PROMPTS = [(5, 6, 7, 8, 9, 10), (5, 6, 7, 8, 11, 12, 13), (5, 6, 9)]
POSITIONS = [[1, 5], [4, 6], [0, 2]]


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "opt"])
def test_states_are_harvested_on_another_device(family: str) -> None:
    here = harvest(read_decoder(zoo_model(family)), PROMPTS, POSITIONS)
    model = zoo_model(family)
    with second_device(model):
        assert model.device == DEVICE
        decoder = read_decoder(model)
        there = harvest(decoder, PROMPTS, POSITIONS)

    assert isinstance(decoder, Decoder)
    np.testing.assert_array_equal(there, here)


def test_states_are_harvested_on_another_device_through_hooks() -> None:
    here = harvest(ResidualView(zoo_model("bloom"), reason="no table"), PROMPTS, POSITIONS)
    model = zoo_model("bloom")
    with second_device(model):
        there = harvest(ResidualView(model, reason="no table"), PROMPTS, POSITIONS)

    np.testing.assert_array_equal(there, here)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_states_are_harvested_in_other_precisions(dtype: torch.dtype) -> None:
    single = harvest(read_decoder(zoo_model("llama")), PROMPTS, POSITIONS)
    other = harvest(read_decoder(zoo_model("llama").to(dtype)), PROMPTS, POSITIONS)
    spread = np.abs(single).max()

    assert np.abs(other - single).max() <= spread * (0.05 if dtype is torch.bfloat16 else 1e-5)


def test_layers_after_the_last_one_kept_are_not_run() -> None:
    model = zoo_model("llama")
    whole = harvest(read_decoder(model), PROMPTS, POSITIONS)
    decoder = read_decoder(model)
    ran: list[int] = []
    for number, block in enumerate(model.model.layers):
        block.mlp.register_forward_hook(lambda *_, number=number: ran.append(number))
    first = harvest(decoder, PROMPTS, POSITIONS, layers=[1])

    np.testing.assert_array_equal(first[:, :, 0], whole[:, :, 1])
    assert set(ran) == {0}
