"""Parts of a decoder that a patch puts in: heads and MLPs. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """A head (``head`` set) or the MLP of a layer, at every position from the first difference on."""

    layer: int
    head: int | None = None


def all_nodes(layers: int, heads: int) -> list[Node]:
    """Every head and every MLP, layer by layer."""
    return [Node(layer, head) for layer in range(layers) for head in (*range(heads), None)]
