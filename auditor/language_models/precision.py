"""Double precision wherever a model stands: Apple's devices have no float64, so that the CPU computes in it."""

from __future__ import annotations

import torch
from torch import Tensor

#: Kinds of device that have no float64.
WITHOUT_DOUBLE = frozenset({"mps"})


def in_double(values: Tensor) -> Tensor:
    """The values in float64: on their own device, or on the CPU where that device has no float64."""
    return values.cpu().double() if values.device.type in WITHOUT_DOUBLE else values.double()


def device_of_doubles(device: torch.device) -> torch.device:
    """Where `in_double` puts what stands on a device."""
    return torch.device("cpu") if device.type in WITHOUT_DOUBLE else device
