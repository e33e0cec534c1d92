"""The states of one application's prompts from the changed field on, seen and changed at one layer.

Positions are counted back from the last token, so that the prompts of all groups, whose values differ in length, stand
side by side: index 0 is the token the decision is read at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from auditor.exceptions import Interrupted, ScoringError
from auditor.language_models.activations import pad, shared_length
from auditor.language_models.kv_cache import Past
from auditor.language_models.stream_view import StreamView
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.concepts import Placed

POSITIONS_AT_ONCE = 16_384
"""Positions of all prompts run together, those before the window counted: every row copies their keys and values."""
POINTS = 8
"""Points of the line between two prompts' states at which the gradient is taken."""


@dataclass(frozen=True)
class FeatureWindow:
    """One application's prompts, a group each, at one layer.

    Attributes
    ----------
    view, layer
        The model, and the block before which features are read.
    tokens, past
        The prompts from the first token that is not shared by all, and what is shared; padded on the right.
    stream
        The stream before the layer at these tokens.
    index, there
        By group and position counted back: where it stands in ``stream``, and whether the prompt has it.
    states
        The same from the field on, counted back from the last token, fp32; 0 where a prompt has no such position.
    lasts, start
        Position of every prompt's last token, and of the stream's first, in the whole prompt.
    """

    view: StreamView
    layer: int
    tokens: Int[Tensor, "groups n"]
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
            rows = torch.stack([self.changed(group, change) for group, change in part])
            read = self._carry_on(rows, [group for group, _ in part])
            logits = self.view.logits(read)
            tokens = list(target.favourable + target.adverse)
            masses.append(torch.exp(logits[:, tokens].logsumexp(-1) - logits.logsumexp(-1)))
            margins.append(self.view.margin_of(read, target))
        return torch.cat(margins).cpu().double(), torch.cat(masses).cpu().double()

    def slopes(self, reference: int, target: Target) -> Float[Tensor, "groups depth width"]:
        """Mean gradient of the margin on the straight line from the reference's states to each group's; 0 for itself.

        At the ends alone a decided margin is flat; along the whole line, change · slope sums to the difference.

        Raises
        ------
        ScoringError
            If the model has no gradient there, or one that is no number.
        """
        found = torch.zeros_like(self.states)
        points = (torch.arange(POINTS) + 0.5) / POINTS
        for group in range(len(self.states)):
            if group != reference:
                back = self.towards(group, reference)
                found[group] = self.gradient(group, [float(1 - point) * back for point in points], target)
        return found

    def towards(self, group: int, reference: int) -> Float[Tensor, "depth width"]:
        """What leads from a group's states to the reference's, where both have a position."""
        both = (self.there[group] & self.there[reference])[:, None]
        return (self.states[reference] - self.states[group]) * both

    def gradient(
        self, group: int, changes: Sequence[Float[Tensor, "depth width"]], target: Target
    ) -> Float[Tensor, "depth width"]:
        """Mean gradient of one group's margin with respect to its states, over some changes of them.

        Raises
        ------
        ScoringError
            If the model has no gradient there, or one that is no number.
        """
        rows = torch.stack([self.changed(group, change) for change in changes])
        with torch.enable_grad():
            rows.requires_grad_()
            margins = self.view.margin_of(self._carry_on(rows, [group] * len(rows)), target)
            try:
                (gradient,) = torch.autograd.grad(margins.mean(), rows)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                # Blocks of any family may stand behind the layer: what refuses to be differentiated says so.
                raise ScoringError(f"{self._of()} has no gradient: {error}"[:300]) from error
        if not bool(torch.isfinite(gradient).all()):
            raise ScoringError(f"{self._of()} has a gradient that is not a number")
        return _counted_back(gradient.sum(0)[None], self.index[[group]], self.there[[group]])[0]

    def changed(self, group: int, change: Float[Tensor, "depth width"] | None) -> Float[Tensor, "n width"]:
        """A group's stream with a change, counted back, added in the model's own precision."""
        stream = self.stream[group].clone()
        if change is not None:
            there = self.there[group]
            stream[self.index[group][there]] += change[there].to(stream.device, stream.dtype)
        return stream

    def _carry_on(self, rows: Float[Tensor, "batch n width"], groups: Sequence[int]) -> Tensor:
        ends = [self.lasts[group] - self.start for group in groups]
        return self.view.carry_on(self.layer, rows, tokens=self.tokens[list(groups)], past=self.past, last=ends)

    def _of(self) -> str:
        return f"the margin of {type(self.view.model).__name__} behind the stream before block {self.layer}"


def open_window(
    view: StreamView, placed: Sequence[Placed], *, layer: int, depth: int, should_stop: Callable[[], bool]
) -> FeatureWindow:
    """Run one application's prompts up to ``layer``.

    Parameters
    ----------
    view
        The model.
    placed
        One prompt a group, with the tokens of its field.
    layer
        Where features are read.
    depth
        Positions counted back; at least as many as any prompt has from its field on.
    should_stop
        Asked before.
    """
    if should_stop():
        raise Interrupted("stopped between two applications; nothing of this chunk is kept")
    sequences = [each.tokens for each in placed]
    shared = min(shared_length(sequences) if len(placed) > 1 else len(sequences[0]), *(each.first for each in placed))
    tokens = pad(sequences).to(view.model.device)
    past = view.prefix(tokens[:1, :shared])
    start = past.length if past is not None else 0
    stream = view.stream(tokens[:, start:], layer=layer, past=past)
    back = torch.arange(depth)
    lasts, firsts = torch.tensor([[each.last, each.first] for each in placed]).T[..., None]
    there = lasts - back >= firsts
    index = (lasts - back - start).clamp(min=0)
    states = _counted_back(stream, index, there)
    ends = tuple(each.last for each in placed)
    return FeatureWindow(view, layer, tokens[:, start:], past, stream, index, states, there, ends, start)


def _counted_back(
    stream: Float[Tensor, "groups n width"], index: Tensor, there: Bool[Tensor, "groups depth"]
) -> Float[Tensor, "groups depth width"]:
    found = stream[torch.arange(len(stream))[:, None], index].float().cpu()
    return found * there[..., None]
