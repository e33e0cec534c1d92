"""The states of one application's prompts from the changed field on, seen and changed at one layer.

Positions are counted back from the last token, so that the prompts of all groups, whose values differ in length, stand
side by side: index 0 is the token the decision is read at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auditor.language_models.decoder import Decoder, Past, Target
from auditor.mechanisms.concepts import Placed
from auditor.mechanisms.streams import Streams

POSITIONS_AT_ONCE = 16_384
"""Positions of all prompts run together, those before the window counted: every row copies their keys and values."""
POINTS = 8
"""Points of the line between two prompts' states at which the gradient is taken."""


@dataclass(frozen=True)
class Window:
    """One application's prompts, a group each, at one layer.

    Attributes
    ----------
    stream
        The stream before the layer, from the first token that is not shared by all; padded on the right.
    index, there
        By group and position counted back: where it stands in ``stream``, and whether the prompt has it.
    states
        The same from the field on, counted back from the last token, fp32; 0 where a prompt has no such position.
    lasts, start
        Position of every prompt's last token, and of the stream's first, in the whole prompt.
    """

    decoder: Decoder
    layer: int
    past: Past | None
    stream: Float[Tensor, "groups n width"]
    index: Tensor
    states: Float[Tensor, "groups depth width"]
    there: Bool[Tensor, "groups depth"]
    lasts: tuple[int, ...]
    start: int

    def margins(
        self, changes: Sequence[tuple[int, Float[Tensor, "depth width"] | None]], target: Target
    ) -> tuple[Tensor, Tensor]:
        """Margins in nats, and the probability on the answers' first tokens, after each change.

        Parameters
        ----------
        changes
            A group and what is added to its states, counted back; ``None`` for nothing.
        target
            Where the margin is read.
        """
        margins, masses = [], []
        together = max(1, POSITIONS_AT_ONCE // (self.start + self.stream.shape[1]))
        for first in range(0, len(changes), together):
            part = changes[first : first + together]
            rows = torch.stack([self._changed(group, change) for group, change in part])
            final = self.decoder.run_from(self.layer, rows, past=self.past).final
            ends = torch.tensor([self.lasts[group] - self.start for group, _ in part])
            read = final[torch.arange(len(part)), ends]
            logits = self.decoder.logits(read)
            tokens = list(target.favourable + target.adverse)
            masses.append(torch.exp(logits[:, tokens].logsumexp(-1) - logits.logsumexp(-1)))
            margins.append(self.decoder.margin_of(read, target))
        return torch.cat(margins).cpu().double(), torch.cat(masses).cpu().double()

    def slopes(self, reference: int, target: Target) -> Float[Tensor, "groups depth width"]:
        """Mean gradient of the margin on the straight line from the reference's states to each group's; 0 for itself.

        At the ends alone a decided margin is flat; along the whole line, change · slope sums to the difference.
        """
        found = torch.zeros_like(self.states)
        points = (torch.arange(POINTS) + 0.5) / POINTS
        for group in range(len(self.states)):
            if group == reference:
                continue
            both = (self.there[group] & self.there[reference])[:, None]
            back = (self.states[reference] - self.states[group]) * both
            rows = torch.stack([self._changed(group, float(1 - point) * back) for point in points])
            with torch.enable_grad():
                rows.requires_grad_()
                final = self.decoder.run_from(self.layer, rows, past=self.past).final
                margins = self.decoder.margin_of(final[:, self.lasts[group] - self.start], target)
                (gradient,) = torch.autograd.grad(margins.mean(), rows)
            found[group] = _counted_back(gradient.sum(0)[None], self.index[[group]], self.there[[group]])[0]
        return found

    def _changed(self, group: int, change: Tensor | None) -> Tensor:
        stream = self.stream[group].clone()
        if change is not None:
            there = self.there[group]
            stream[self.index[group][there]] += change[there].to(stream.device, stream.dtype)
        return stream


def open_window(
    decoder: Decoder, placed: Sequence[Placed], *, layer: int, depth: int, should_stop: Callable[[], bool]
) -> Window:
    """Run one application's prompts up to ``layer``.

    Parameters
    ----------
    decoder
        The model, with structure.
    placed
        One prompt a group, with the tokens of its field.
    layer
        Where features are read.
    depth
        Positions counted back; at least as many as any prompt has from its field on.
    should_stop
        Asked before and between.
    """
    streams = Streams(decoder, [placed], should_stop=should_stop)
    streams.begin()
    for number in range(layer):
        streams.advance(number)
    group, stream = streams.groups[0], streams.streams[0]
    back = torch.arange(depth)
    lasts, firsts = torch.tensor(group.lasts)[:, None], torch.tensor(group.firsts)[:, None]
    there = lasts - back >= firsts
    index = (lasts - back - group.start).clamp(min=0)
    states = _counted_back(stream, index, there)
    return Window(decoder, layer, group.past, stream, index, states, there, group.lasts, group.start)


def _counted_back(
    stream: Float[Tensor, "groups n width"], index: Tensor, there: Bool[Tensor, "groups depth"]
) -> Float[Tensor, "groups depth width"]:
    found = stream[torch.arange(len(stream))[:, None], index].float().cpu()
    return found * there[..., None]
