"""A model whose arithmetic rounds otherwise: every number that a module hands on is moved to a neighbouring one.

Two ways to one number differ because each of their steps rounds to one side or the other. On one machine they may agree
by chance, because a library computes the rows of a batch one by one; on another they do not. Monte Carlo arithmetic
(Parker 1997; Stott Parker, Pierce and Eggert 2000) shows what rounding can do without waiting for such a way: numbers
are moved at random by as much as the precision may, and what comes out is compared.

>>> with rounded_otherwise(model, seed=0):                                                        # doctest: +SKIP
...     logits = model(input_ids=ids).logits
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def rounded_otherwise(model: torch.nn.Module, *, seed: int) -> Iterator[None]:
    """Within it, what every innermost module gives is multiplied by 1 + u·ε, u uniform in [−1, 1] by element.

    Parameters
    ----------
    model
        Any module; ε is the spacing of numbers at 1 in the precision of what a module gives.
    seed
        Of u, drawn on the CPU: the same on every device.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)

    def moved(_: Any, __: Any, out: Any) -> Any:
        if not isinstance(out, Tensor) or not out.is_floating_point():
            return None
        wide = out.float() if out.dtype.itemsize < 4 else out
        by = 2 * torch.rand(out.shape, generator=generator, dtype=wide.dtype, device="cpu") - 1
        return (wide * (1 + torch.finfo(out.dtype).eps * by.to(out.device))).to(out.dtype)

    handles = [module.register_forward_hook(moved) for module in model.modules() if not list(module.children())]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
