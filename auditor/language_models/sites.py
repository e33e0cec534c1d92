"""Sites of a decoder, where states are captured or changed, and the edits that change them.

A site is ``(node, layer)``: RESIDUAL (before the block; layer ``layers`` is the stream after the last block), HEADS
(z, before W_O: [batch, n, heads, head width]), ATTENTION and MLP (what the block adds: [batch, n, width]).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

RESIDUAL, HEADS, ATTENTION, MLP = "residual", "heads", "attention", "mlp"
Site = tuple[str, int]
Edit = Callable[[Tensor], Tensor]


def replace(value: Tensor, positions: Any = slice(None)) -> Edit:
    """An edit that puts ``value`` at positions (an index into the run's own positions) and leaves the rest."""

    def edit(states: Tensor) -> Tensor:
        changed = states.clone()
        changed[:, positions] = value.to(changed.dtype)
        return changed

    return edit


def add(value: Tensor, positions: Any = slice(None)) -> Edit:
    """An edit that adds ``value`` at positions."""

    def edit(states: Tensor) -> Tensor:
        changed = states.clone()
        changed[:, positions] = changed[:, positions] + value.to(changed.dtype)
        return changed

    return edit
