"""What every head of a layer reads, apart: the query, key and value projections head by head, whatever their layout.

With grouped queries a layer has fewer keys and values than queries, so its readers are ``heads`` queries, then
``key heads`` keys, then as many values. A projection is a module that serves some of them: three modules in most
families, one in GPT-2 (queries, keys, values in turn) and GPT-NeoX (head by head).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from auditor.exceptions import ScoringError
from auditor.language_models.families import Block
from auditor.language_models.not_applicable import NotApplicable

QUERY, KEY, VALUE = "query", "key", "value"
SEPARATE = (("q_proj", QUERY), ("k_proj", KEY), ("v_proj", VALUE))
IN_TURN, BY_HEAD = "c_attn", "query_key_value"


@dataclass(frozen=True)
class Projection:
    """A module and the readers it serves in the order of its output: weight [readers, head width, width]."""

    module: Any
    readers: tuple[int, ...]
    weight: Float[Tensor, "readers head_width width"]
    bias: Float[Tensor, "readers head_width"] | None

    def apart(self, states: Float[Tensor, "batch readers n width"]) -> Float[Tensor, "batch n out"]:
        """The module's output where each of its readers reads states of its own."""
        out = torch.einsum("brnw,rkw->bnrk", states, self.weight)
        return (out if self.bias is None else out + self.bias).flatten(-2)


@dataclass(frozen=True)
class Readers:
    """The readers of one layer: what each is, ``(part, head)``, and the projections that serve them."""

    names: tuple[tuple[str, int], ...]
    projections: tuple[Projection, ...]

    def reads_for(self, head: int, heads: int) -> tuple[int, int, int]:
        """The readers a query head depends on: its query, and the key and value of its group."""
        keys = (len(self.names) - heads) // 2
        group = head * keys // heads
        return head, heads + group, heads + keys + group


def read_readers(block: Block, *, heads: int, key_heads: int) -> Readers | NotApplicable:
    """The readers of a block, or the reason why its projections cannot be told apart."""
    attention = block.attention
    names = (
        *((QUERY, head) for head in range(heads)),
        *((KEY, head) for head in range(key_heads)),
        *((VALUE, head) for head in range(key_heads)),
    )
    place = {name: index for index, name in enumerate(names)}
    if all(hasattr(attention, name) for name, _ in SEPARATE):
        served = [
            (getattr(attention, name), [place[part, head] for head in range(heads if part == QUERY else key_heads)])
            for name, part in SEPARATE
        ]
    elif hasattr(attention, IN_TURN):
        served = [(getattr(attention, IN_TURN), list(range(len(names))))]
    elif hasattr(attention, BY_HEAD) and heads == key_heads:
        order = [place[part, head] for head in range(heads) for part in (QUERY, KEY, VALUE)]
        served = [(getattr(attention, BY_HEAD), order)]
    else:
        return NotApplicable(f"the query, key and value projections of {type(attention).__name__} cannot be told apart")
    return Readers(names, tuple(_projection(module, readers) for module, readers in served))


@contextmanager
def hooked(readers: Readers, *, inputs: Float[Tensor, "batch readers n width"] | None = None) -> Iterator[list[Tensor]]:
    """Watch the projections of a layer while its attention runs, or with ``inputs`` hand every reader its own states.

    Yields
    ------
    list of tensors
        The output of every projection [batch, n, out], in the order of ``readers.projections``.
    """
    outputs: dict[int, Tensor] = {}
    handles = []
    for number, projection in enumerate(readers.projections):

        def after(_: Any, __: Any, output: Tensor, number: int = number, own: Projection = projection) -> Tensor:
            outputs[number] = output if inputs is None else own.apart(inputs[:, list(own.readers)])
            return outputs[number]

        if inputs is not None:
            # What the module itself would compute is not used, so it gets no rows.
            handles.append(projection.module.register_forward_pre_hook(lambda _, given: (given[0][:, :0],)))
        handles.append(projection.module.register_forward_hook(after))
    found: list[Tensor] = []
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
    if len(outputs) != len(readers.projections):
        raise ScoringError(f"{len(outputs)} of {len(readers.projections)} projections ran: they are another model's")
    found += [outputs[number] for number in range(len(readers.projections))]


def by_reader(readers: Readers, outputs: Mapping[int, Tensor] | list[Tensor]) -> Float[Tensor, "batch n readers head"]:
    """Outputs of the projections (or gradients of them) put in the order of the readers."""
    parts: list[Tensor] = [torch.empty(0)] * len(readers.names)
    for number, projection in enumerate(readers.projections):
        split = outputs[number].reshape(*outputs[number].shape[:-1], len(projection.readers), -1)
        for index, reader in enumerate(projection.readers):
            parts[reader] = split[:, :, index]
    return torch.stack(parts, dim=2)


def weights_by_reader(readers: Readers) -> Float[Tensor, "readers head_width width"]:
    """The rows of all projections in the order of the readers."""
    parts: list[Tensor] = [torch.empty(0)] * len(readers.names)
    for projection in readers.projections:
        for index, reader in enumerate(projection.readers):
            parts[reader] = projection.weight[index]
    return torch.stack(parts)


def _projection(module: Any, readers: list[int]) -> Projection:
    weight: Tensor = module.weight
    rows = weight if isinstance(module, torch.nn.Linear) else weight.T  # GPT-2's convolution keeps it transposed
    bias: Tensor | None = getattr(module, "bias", None)
    count = len(readers)
    return Projection(
        module,
        tuple(readers),
        rows.reshape(count, -1, rows.shape[-1]),
        None if bias is None else bias.reshape(count, -1),
    )
