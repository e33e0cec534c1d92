"""The second device of the tests fails where a GPU would, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.language_models.zoo import PACKABLE, zoo_model
from tests.second_device import DEVICE, MixedDevices, NoDoublePrecision, on_second, second_device


@pytest.fixture
def linear() -> torch.nn.Linear:
    return torch.nn.Linear(3, 2)


def test_a_models_device_is_the_second_one(linear: torch.nn.Linear) -> None:
    with second_device(linear):
        assert linear.weight.device == DEVICE
    assert linear.weight.device == torch.device("cpu")


def test_a_cpu_tensor_may_not_meet_a_model(linear: torch.nn.Linear) -> None:
    with second_device(linear), pytest.raises(MixedDevices, match="same device"):
        linear(torch.zeros(1, 3))


def test_a_tensor_made_on_the_models_device_may(linear: torch.nn.Linear) -> None:
    with second_device(linear):
        out = linear(torch.zeros(1, 3, device=linear.weight.device))
        assert on_second(out)
        assert out.device == DEVICE
        assert out.detach().cpu().numpy().shape == (1, 2)


def test_what_stands_there_is_no_array(linear: torch.nn.Linear) -> None:
    with second_device(linear), pytest.raises(TypeError, match="numpy"):
        linear.weight.detach().numpy()


def test_a_cpu_mask_multiplies_nothing_there(linear: torch.nn.Linear) -> None:
    with second_device(linear), pytest.raises(MixedDevices):
        linear.weight * torch.from_numpy(np.ones((2, 3), dtype=np.float32))


def test_a_cpu_index_is_allowed_as_on_a_gpu(linear: torch.nn.Linear) -> None:
    with second_device(linear):
        assert on_second(linear.weight[torch.tensor([0])])


def test_a_tensor_there_indexes_nothing_on_the_cpu(linear: torch.nn.Linear) -> None:
    with second_device(linear), pytest.raises(MixedDevices):
        torch.zeros(3)[torch.tensor([0], device=DEVICE)]


def test_moves_go_both_ways(linear: torch.nn.Linear) -> None:
    with second_device(linear):
        there = torch.ones(2).to(linear.weight)
        assert on_second(there)
        assert not on_second(there.to("cpu"))
        assert not on_second(there.to("cpu").double())


def test_nothing_is_doubled_there_as_on_a_device_without_float64(linear: torch.nn.Linear) -> None:
    with second_device(linear):
        there = torch.ones(2).to(linear.weight)
        with pytest.raises(NoDoublePrecision):
            there.double()
        with pytest.raises(NoDoublePrecision):
            there.to(torch.float64)


@pytest.mark.parametrize("family", PACKABLE)
def test_transformers_runs_there(family: str) -> None:
    model = zoo_model(family)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        expected = model(input_ids=ids, use_cache=False).logits
        with second_device(model):
            found = model(input_ids=ids.to(model.device), use_cache=False).logits.cpu()
    assert torch.equal(found, expected)


def test_a_cpu_mask_is_found_in_a_backward_pass_as_well(linear: torch.nn.Linear) -> None:
    """What a backward pass reads of an operation's own output is another tensor with the same memory."""

    class Masked(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
            return value.clone()

        @staticmethod
        def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
            return slope * torch.ones(slope.shape, device="cpu")

    with second_device(linear):
        value = torch.zeros(1, 3, device=DEVICE, requires_grad=True)
        (slope,) = torch.autograd.grad(linear(value).tanh().softmax(-1)[0, 0], value)
        assert on_second(slope)
        with pytest.raises(MixedDevices):
            torch.autograd.grad(Masked.apply(linear(value)).sum(), value)


def test_a_copy_on_the_cpu_leaves_what_it_was_copied_from_there(linear: torch.nn.Linear) -> None:
    with second_device(linear):
        assert not on_second(torch.as_tensor(linear.weight, device="cpu"))
        assert not on_second(linear.weight.to("cpu"))
        assert on_second(linear.weight)
