"""All prompts of some applications, moved through the model together, one layer at a time.

What erases a concept at one layer is fitted on states from which it was erased at the layers before; so every prompt
has to stand at the same layer. The part an application's prompts share is computed once and stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from auditor.behaviour.context import FloatArray
from auditor.exceptions import Interrupted
from auditor.language_models.activations import pad, shared_length
from auditor.language_models.decoder import Decoder, Past, Target
from auditor.mechanisms.concepts import Placed


@dataclass(frozen=True)
class Group:
    """The prompts of one application from ``start`` on, and the keys and values before."""

    tokens: Tensor
    past: Past | None
    start: int
    lasts: tuple[int, ...]
    firsts: tuple[int, ...]
    ends: tuple[int, ...]


class Streams:
    """The stream of every prompt, at one layer.

    Parameters
    ----------
    decoder
        The model, with structure.
    groups
        The prompts of every application, placed; their common part before the first token of the field is shared.
    should_stop
        Asked between applications.

    Attributes
    ----------
    rows
        Prompts, in order.
    """

    def __init__(
        self, decoder: Decoder, groups: Sequence[Sequence[Placed]], *, should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        self.decoder = decoder
        self.should_stop = should_stop
        self.groups = [self._group(placed) for placed in groups]
        self.rows = sum(len(group.lasts) for group in self.groups)
        self.streams: list[Tensor] = []
        self._kept: tuple[int, list[Tensor]] | None = None

    def reach(self, *, after: bool = False) -> int:
        """Positions counted back from the last that any prompt has at (or ``after``) its field."""
        return max(
            last - start + 1 for group in self.groups for last, start in zip(*self._ends_of(group, after), strict=True)
        )

    def begin(self, layer: int = 0) -> int:
        """Go to the embedding, or to ``layer`` where the streams were kept there; say where they stand."""
        if self._kept is not None and self._kept[0] == layer:
            self.streams = [stream.clone() for stream in self._kept[1]]
            return layer
        self.streams = [self.decoder.embed(group.tokens, start=group.start) for group in self.groups]
        return 0

    def keep(self, layer: int) -> None:
        """Keep the streams as they stand before ``layer``, for `begin`."""
        self._kept = layer, [stream.clone() for stream in self.streams]

    def advance(self, layer: int, *, stop: int | None = None) -> None:
        """Go through one block, or through all before ``stop``."""
        moved = []
        for group, stream in zip(self.groups, self.streams, strict=True):
            if self.should_stop():
                raise Interrupted("stopped between two applications; nothing of this chunk is kept")
            moved.append(self.decoder.run_from(layer, stream, past=group.past, stop=stop or layer + 1).final)
        self.streams = moved

    def gather(self, back: int, *, after: bool = False) -> tuple[list[int], FloatArray]:
        """Rows that have a position ``back`` before their last at (or ``after``) the field, and their states there."""
        rows, states = [], []
        for row, group, index, position in self._places(back, after):
            rows.append(row)
            states.append(self.streams[group][index, position])
        return rows, torch.stack(states).double().cpu().numpy()

    def scatter(self, back: int, states: FloatArray, *, after: bool = False) -> None:
        """Put states back where `gather` took them."""
        for values, (_, group, index, position) in zip(states, self._places(back, after), strict=True):
            stream = self.streams[group]
            stream[index, position] = torch.as_tensor(values, dtype=stream.dtype, device=stream.device)

    def margins(self, target: Target) -> tuple[FloatArray, FloatArray]:
        """Margin of every row in nats, and the probability on the answers' first tokens; after the last block."""
        final = torch.stack(
            [
                stream[index, last - group.start]
                for group, stream in zip(self.groups, self.streams, strict=True)
                for index, last in enumerate(group.lasts)
            ]
        )
        margins = self.decoder.margin_of(final, target).double().cpu().numpy()
        tokens = list(target.favourable + target.adverse)
        masses = []
        for start in range(0, len(final), 128):
            logits = self.decoder.logits(final[start : start + 128])
            masses.append(torch.exp(logits[:, tokens].logsumexp(-1) - logits.logsumexp(-1)).double().cpu().numpy())
        return margins, np.concatenate(masses)

    def _group(self, placed: Sequence[Placed]) -> Group:
        if self.should_stop():
            raise Interrupted("stopped between two applications; nothing of this chunk is kept")
        sequences = [each.tokens for each in placed]
        start = min(shared_length(sequences) if len(placed) > 1 else len(sequences[0]), *(e.first for e in placed))
        tokens = pad(sequences).to(self.decoder.model.device)
        past = self.decoder.run(tokens[:1, :start], keep_past=True).past if start else None
        lasts, firsts = tuple(each.last for each in placed), tuple(each.first for each in placed)
        return Group(tokens[:, start:], past, start, lasts, firsts, tuple(each.end for each in placed))

    @staticmethod
    def _ends_of(group: Group, after: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The last position of every prompt, and the first that is looked at: a field at the end has none after it."""
        if not after:
            return group.lasts, group.firsts
        return group.lasts, tuple(min(end + 1, last) for end, last in zip(group.ends, group.lasts, strict=True))

    def _places(self, back: int, after: bool) -> list[tuple[int, int, int, int]]:
        """(row, group, index in the group, position in its stream) of every prompt that reaches that far back."""
        places = []
        row = 0
        for number, group in enumerate(self.groups):
            for index, (last, first) in enumerate(zip(*self._ends_of(group, after), strict=True)):
                if last - back >= first:
                    places.append((row, number, index, last - back - group.start))
                row += 1
        return places
