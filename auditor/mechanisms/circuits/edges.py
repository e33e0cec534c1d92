"""The edges of a decoder: from everything that writes into the stream to everything that reads it later.

Senders: the embedding, every head (or a layer's whole attention, where a norm follows it) and every MLP. Receivers: the
query, key and value of every head (keys and values by group), every MLP, and the answer. An edge joins a sender to a
receiver that comes after it, at the same position. Pure: names and numbers, no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from auditor.language_models.decoder import Decoder
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.readers import Readers, read_readers

EMBEDDING, ANSWER = "embedding", "answer"


@dataclass(frozen=True)
class Edges:
    """The edges of one model, numbered receiver by receiver in the order of computation.

    Attributes
    ----------
    readers
        By layer, the queries, keys and values that read the stream before it.
    heads
        Query heads of a layer.
    writers
        Senders of a layer's attention: its heads, or 1 where they do not add up.
    parallel
        The MLP reads what attention reads, not what attention adds.
    """

    readers: tuple[Readers, ...]
    heads: int
    writers: int
    parallel: bool

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.readers)

    @property
    def senders(self) -> int:
        """The embedding, then layer by layer the writers of attention and the MLP."""
        return self.before(self.layers)

    def before(self, layer: int) -> int:
        """Senders whose output stands in the stream before a layer."""
        return 1 + layer * (self.writers + 1)

    def before_mlp(self, layer: int) -> int:
        """Senders that the MLP of a layer reads."""
        return self.before(layer) + (0 if self.parallel else self.writers)

    def mlp(self, layer: int) -> int:
        """The sender number of a layer's MLP; its attention's writers stand right before it."""
        return self.before(layer) + self.writers

    @cached_property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """(receivers, senders) of every block of edges: layer by layer attention and MLP, then the answer."""
        shapes = []
        for layer, readers in enumerate(self.readers):
            shapes += [(len(readers.names), self.before(layer)), (1, self.before_mlp(layer))]
        return (*shapes, (1, self.senders))

    @cached_property
    def count(self) -> int:
        """How many edges there are."""
        return sum(rows * columns for rows, columns in self.blocks)

    def split(self, values: npt.NDArray[np.generic]) -> list[npt.NDArray[np.generic]]:
        """Values of all edges [..., count] as blocks [..., receivers, senders]."""
        found, start = [], 0
        for rows, columns in self.blocks:
            stop = start + rows * columns
            found.append(values[..., start:stop].reshape(*values.shape[:-1], rows, columns))
            start = stop
        return found

    def name(self, edge: int) -> tuple[str, str]:
        """The two ends of an edge in words."""
        start = 0
        for number, (rows, columns) in enumerate(self.blocks):
            if edge < start + rows * columns:
                row, column = divmod(edge - start, columns)
                return self.sender_name(column), self._receiver_name(number, row)
            start += rows * columns
        raise IndexError(edge)

    def sender_name(self, sender: int) -> str:
        """A sender in words."""
        if sender == 0:
            return EMBEDDING
        layer, place = divmod(sender - 1, self.writers + 1)
        if place == self.writers:
            return f"layer {layer} MLP"
        return f"layer {layer} head {place}" if self.writers == self.heads else f"layer {layer} attention"

    def live(self, kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """The kept edges [count] that lie on a path from the embedding to the answer: the others carry nothing."""
        blocks = self.split(kept)
        reached = np.zeros(self.senders, dtype=bool)
        reached[0] = True
        for layer, readers in enumerate(self.readers):
            read = (blocks[2 * layer] & reached[: self.before(layer)]).any(axis=1)
            for writer in range(self.writers):
                reached[self.before(layer) + writer] = any(read[index] for index in self._reads(readers, writer))
            reached[self.mlp(layer)] = (blocks[2 * layer + 1] & reached[: self.before_mlp(layer)]).any()
        used = np.asarray(blocks[-1][0] & reached).copy()
        alive = [block & reached[: block.shape[1]] for block in blocks]
        for layer in reversed(range(self.layers)):
            alive[2 * layer + 1] &= used[self.mlp(layer)]
            used[: self.before_mlp(layer)] |= alive[2 * layer + 1].any(axis=0)
            wanted = np.zeros(len(self.readers[layer].names), dtype=bool)
            for writer in range(self.writers):
                if used[self.before(layer) + writer]:
                    wanted[list(self._reads(self.readers[layer], writer))] = True
            alive[2 * layer] &= wanted[:, None]
            used[: self.before(layer)] |= alive[2 * layer].any(axis=0)
        return np.concatenate([block.ravel() for block in alive])

    def _reads(self, readers: Readers, writer: int) -> Sequence[int]:
        return readers.reads_for(writer, self.heads) if self.writers == self.heads else range(len(readers.names))

    def _receiver_name(self, block: int, row: int) -> str:
        if block == len(self.blocks) - 1:
            return ANSWER
        layer, kind = divmod(block, 2)
        if kind == 1:
            return f"layer {layer} MLP"
        part, head = self.readers[layer].names[row]
        shared = len(self.readers[layer].names) != 3 * self.heads and part != "query"
        return f"layer {layer} {'group' if shared else 'head'} {head} {part}"


def read_edges(decoder: Decoder) -> Edges | NotApplicable:
    """The edges of a model, or the reason why they cannot be told apart."""
    key_heads = int(getattr(decoder.model.config.get_text_config(), "num_key_value_heads", None) or decoder.heads)
    readers = []
    for block in decoder.parts.blocks:
        found = read_readers(block, heads=decoder.heads, key_heads=key_heads)
        if isinstance(found, NotApplicable):
            return found
        readers.append(found)
    writers = decoder.heads if decoder.linear_heads else 1
    return Edges(tuple(readers), decoder.heads, writers, decoder.parts.parallel)
