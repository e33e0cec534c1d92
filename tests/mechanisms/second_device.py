"""A second device without a second device: tensors that say they are on another device and are computed on the CPU.

Mixing them with tensors of the CPU raises what a GPU raises, except where PyTorch allows it: numbers without a
dimension, and the index of a lookup. So a test that runs on it fails wherever a tensor was made without the device of
its partner.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

SECOND = torch.device("xla", 0)
MAY_MIX = ("aten.index.Tensor", "aten._to_copy.default", "aten.copy_.default", "aten.index_put_.default")


class OnSecond(torch.Tensor):
    """A tensor on the second device; ``held`` are its numbers."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnSecond:
        made: OnSecond = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.size(), strides=held.stride(), dtype=held.dtype, device="meta", storage_offset=0
        )
        made.held = held
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The second device; PyTorch itself is told of one that needs no driver."""
        return SECOND

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


class _Factories(TorchDispatchMode):
    """Tensors that are made on the second device are wrapped."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


def computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """See `_computed`; a wrapper cannot be an inference tensor, so it is made outside of that mode, no gradients."""
    with torch.inference_mode(False), torch.no_grad():
        return _computed(func, args, kwargs)


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation on the CPU, its result on the device where PyTorch would leave it."""
    found: list[torch.Tensor] = []
    tree_map(lambda value: found.append(value) if isinstance(value, torch.Tensor) else None, (args, kwargs))
    second = [value for value in found if isinstance(value, OnSecond)]
    first = [value for value in found if not isinstance(value, OnSecond) and value.dim() > 0]
    if second and first and str(func) not in MAY_MIX:
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, found {SECOND} and cpu")
    named: list[torch.device] = []
    tree_map(lambda value: named.append(value) if isinstance(value, torch.device) else None, (args, kwargs))
    stays = named[0].type == SECOND.type if named else bool(second)
    if str(func) == "aten.copy_.default":
        stays = isinstance(args[0], OnSecond)
    plain_args, plain_kwargs = tree_map(_plain, (args, kwargs))
    result = func(*plain_args, **plain_kwargs)
    if not stays:
        return result
    if args and isinstance(args[0], OnSecond) and result is args[0].held:
        return args[0]
    return tree_map(lambda value: OnSecond(value) if isinstance(value, torch.Tensor) else value, result)


def _plain(value: Any) -> Any:
    if isinstance(value, OnSecond):
        return value.held
    return torch.device("cpu") if isinstance(value, torch.device) else value


@contextmanager
def on_second_device(model: nn.Module) -> Iterator[Any]:
    """The model with its parameters and buffers moved over; within the block, tensors may be made there."""
    for module in model.modules():
        for name, value in list(module._parameters.items()):
            if value is not None:
                module._parameters[name] = nn.Parameter(OnSecond(value.detach()), requires_grad=False)
        for name, value in list(module._buffers.items()):
            if value is not None:
                module._buffers[name] = OnSecond(value)
    with _Factories():
        yield model
