"""A second device without a second device: tensors that compute on the CPU but must never meet a CPU tensor.

Inside ``second_device(model)`` the parameters and buffers of ``model`` stand on ``mps:0`` as far as any code can tell:
their ``device`` says so, what is computed from them stands there too, tensors made with that device are put there, and
an operation on a tensor of each kind fails as it does on a GPU. ``.numpy()`` of such a tensor fails too, and so does
float64 on it, which Apple's devices do not have. As on a GPU a CPU tensor may be an index of a tensor there, and a
number without dimensions may meet either.

``mps`` is the name because transformers asks autocast for any other device by its own name, which warns without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("mps", 0)
MAKERS = frozenset(
    (
        *("tensor", "as_tensor", "zeros", "ones", "full", "empty", "eye", "arange", "linspace", "logspace"),
        *("rand", "randn", "randint", "randperm", "tril_indices", "triu_indices", "normal"),
        *("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "randint_like"),
        *("new_zeros", "new_ones", "new_full", "new_empty", "new_tensor"),
    )
)
INDEXED = frozenset({"aten::index", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_"})
COPIES = frozenset({"aten::copy_", "aten::_to_copy"})
#: By its number, the memory that stands there. Memory and not the tensor, because what a backward pass reads of an
#: operation's own output is another tensor with the same memory. A weak reference keeps its number from being reused.
_STANDS_THERE: dict[int, StorageWeakRef] = {}


class MixedDevices(RuntimeError):
    """Two tensors of one operation stand on different devices."""


class NoDoublePrecision(TypeError):
    """A tensor of float64 on the second device: Apple's has none."""


def on_second(tensor: Tensor) -> bool:
    """Whether a tensor stands on the second device."""
    return _memory(tensor) in _STANDS_THERE


def _storage(tensor: Tensor) -> torch.UntypedStorage:
    """The memory of a tensor; of a sparse one that of its numbers."""
    with torch._C.DisableTorchFunction():
        return (tensor if tensor.layout is torch.strided else tensor.values()).untyped_storage()


def _memory(tensor: Tensor) -> int:
    number: int = _storage(tensor)._cdata
    return number


def _put(tensor: Tensor, second: bool) -> Tensor:
    if second:
        _STANDS_THERE.setdefault(_memory(tensor), StorageWeakRef(_storage(tensor)))
    else:
        _STANDS_THERE.pop(_memory(tensor), None)
    return tensor


def _is_second(device: Any) -> bool:
    return device is not None and torch.device(device).type == DEVICE.type


class _Operations(TorchDispatchMode):
    """Every operation: its tensors stand on one device, and what comes out stands there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        tensors = [item for item in tree_flatten((args, kwargs or {}))[0] if isinstance(item, Tensor)]
        looked_at = tensors
        if name in INDEXED:
            indices = {
                id(item) for item in tree_flatten(args[1])[0] if isinstance(item, Tensor) and not on_second(item)
            }
            looked_at = [item for item in tensors if id(item) not in indices]
        sides = {on_second(item) for item in looked_at if item.dim()}
        sides |= {True for item in looked_at if not item.dim() and on_second(item)}
        if len(sides) > 1 and name not in COPIES:
            raise MixedDevices(f"{name}: expected all tensors to be on the same device, found {DEVICE} and cpu")
        out = func(*args, **(kwargs or {}))
        second = on_second(args[0]) if name in COPIES and isinstance(args[0], Tensor) else True in sides
        if second and any(isinstance(item, Tensor) and item.dtype == torch.float64 for item in tree_flatten(out)[0]):
            raise NoDoublePrecision(f"{name}: {DEVICE} has no float64")
        return tree_map(lambda item: _put(item, second) if isinstance(item, Tensor) and second else item, out)


class _Names(TorchFunctionMode):
    """What code can ask and say about devices."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        first = args[0] if args and isinstance(args[0], Tensor) else None
        if first is not None and on_second(first):
            if func == torch.Tensor.device.__get__:
                return DEVICE
            if name in ("numpy", "__array__"):
                raise TypeError(f"can't convert {DEVICE} device type tensor to numpy")
        if first is not None and name in ("to", "cpu", "cuda", "mps", "type_as"):
            return _moved(func, name, first, args, named)
        if name in MAKERS and "device" in named:
            second = _is_second(named["device"])
            named["device"] = "cpu" if second else named["device"]
            made = func(*args, **named)
            return made if on_second(made) == second else _put(made.clone(), second)
        return func(*args, **named)


def _moved(func: Callable[..., Any], name: str, tensor: Tensor, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    if name == "cpu":
        return _put(tensor.clone(), False) if on_second(tensor) else tensor
    second = on_second(tensor)
    rest: list[Any] = []
    for item in args[1:]:
        if isinstance(item, Tensor):
            second, item = on_second(item), item.dtype  # noqa: PLW2901 - a tensor stands for its device and its dtype
        elif isinstance(item, str | torch.device):
            second = _is_second(item)
            continue
        rest.append(item)
    if "device" in named:
        device = named.pop("device")
        second = second if device is None else _is_second(device)
    if name == "type_as":
        name, func = "to", torch.Tensor.to
    out = func(tensor, *rest, **named) if rest or named else tensor
    if second == on_second(out):
        return out
    return _put(out.clone() if _memory(out) == _memory(tensor) else out, second)


@contextmanager
def second_device(model: torch.nn.Module) -> Iterator[torch.device]:
    """Put a model on the second device for a while."""
    held = [*model.parameters(), *model.buffers()]
    for tensor in held:
        _put(tensor, True)
    try:
        with _Names(), _Operations():
            yield DEVICE
    finally:
        _STANDS_THERE.clear()
