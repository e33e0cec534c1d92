"""The KV cache of a view: keys and values of a shared prefix, given back to transformers' own attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from auditor.exceptions import ScoringError


@dataclass(frozen=True)
class Past:
    """Keys and values of the positions before a run, by layer: [1 or batch, key heads, length, head width]."""

    keys: Mapping[int, Tensor]
    values: Mapping[int, Tensor]
    length: int

    def upto(self, length: int) -> Past:
        """The first ``length`` positions: a view, not a copy."""
        if length > self.length:
            raise ScoringError(f"the prefix holds {self.length} positions where {length} were asked for")
        keys = {layer: held[:, :, :length] for layer, held in self.keys.items()}
        return Past(keys, {layer: held[:, :, :length] for layer, held in self.values.items()}, length)


@dataclass(frozen=True)
class KeysAndValues:
    """Stands where transformers expects a cache: gives what came before, read only, and keeps the whole if asked."""

    past: Past | None
    keep: dict[int, tuple[Tensor, Tensor]] | None = field(default=None)

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Keys and values of what came before and of this run together, as a layer's attention asks for them."""
        if self.past is not None:
            before = (self.past.keys[layer], self.past.values[layer])
            rows = keys.shape[0]
            keys = torch.cat([before[0].expand(rows, -1, -1, -1), keys], dim=2)
            values = torch.cat([before[1].expand(rows, -1, -1, -1), values], dim=2)
        if self.keep is not None:
            self.keep[layer] = (keys, values)
        return keys, values
