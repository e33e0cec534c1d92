"""Gradients of the margin along a path between two prompts, on the suffix only, with parameters left alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from auditor.language_models.decoder import Decoder
from auditor.language_models.kv_cache import Past
from auditor.language_models.precision import in_double
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.pairs import Pair
from auditor.mechanisms.integrated_gradients.card import FIRST_STEPS

FloatArray = npt.NDArray[np.float64]
MOST_STEPS = 256
COMPLETE = 0.01
"""Largest gap between the sum of the attributions and the difference of margins, as a share of that difference."""


@dataclass(frozen=True)
class Integrated:
    """What one path gives.

    Attributes
    ----------
    values
        Attributions by position [n], in nats.
    first_order
        Gradient at the far end alone times the difference, by position [n]. It need not sum to anything.
    margin, gap
        The margin at the far end, and how far it is from that at the near end: what ``values`` should sum to.
    delta
        By how much they miss it.
    steps
        Points on the path, less one.
    """

    values: FloatArray
    first_order: FloatArray
    margin: float
    gap: float
    delta: float
    steps: int

    @property
    def complete(self) -> bool:
        """Whether the sum is within one per cent of the difference."""
        return abs(self.delta) <= max(COMPLETE * abs(self.gap), 1e-5)


def integrate(
    decoder: Decoder,
    *,
    base: Float[Tensor, "1 n width"],
    end: Float[Tensor, "1 n width"],
    past: Past | None,
    target: Target,
    batch: int = FIRST_STEPS + 1,
    first: int = FIRST_STEPS,
    most: int = MOST_STEPS,
) -> Integrated:
    """Integrated gradients from ``base`` to ``end``; steps double until the sum is complete.

    By Clenshaw and Curtis (1960): twice the steps keep every point there was, so doubling repeats nothing; and the
    first and last points are the two prompts themselves, so that the difference of their margins and the gradient at
    the far end come with the sum and need no runs of their own.

    Parameters
    ----------
    decoder
        The view.
    base, end
        Embedded suffixes of the two prompts (``decoder.embed``); the prefix they share is constant.
    past
        Keys and values of that prefix.
    target
        What is read.
    batch
        The most points in one pass forward and backward.
    first, most
        Steps to begin with, 2 or more and even, and the most.
    """
    path = _Path(decoder, base, end, past, target, batch)
    steps = first
    known = path.at(points(steps))
    while True:
        result = _sum(*known, steps=steps)
        if result.complete or steps * 2 > most:
            return result
        steps *= 2
        between = path.at(points(steps)[1::2])
        known = _interleave(known[0], between[0]), _interleave(known[1], between[1])


def integrate_pair(
    decoder: Decoder, target: Target, pair: Pair, *, past: Past | None, most: int = MOST_STEPS
) -> Integrated:
    """From a pair's base to its donor, over the embeddings from its first difference on; ``past``: what they share."""
    device = decoder.model.device
    with torch.no_grad():
        base, end = (
            decoder.embed(torch.tensor([ids[pair.first :]], device=device), start=pair.first)
            for ids in (pair.base, pair.donor)
        )
    return integrate(decoder, base=base, end=end, past=past, target=target, most=most)


def gradient_times_input(
    decoder: Decoder,
    stream: Float[Tensor, "1 n width"],
    *,
    past: Past | None,
    target: Target,
    baseline: Float[Tensor, "1 n width"] | None = None,
) -> FloatArray:
    """(x − baseline) · ∂m/∂x by position [n], in nats, the baseline 0 by default: first order at the prompt itself.

    It need not sum to anything.
    """
    leaf = stream.detach().clone().requires_grad_()
    margin = decoder.margins(decoder.run_from(0, leaf, past=past), target).sum()
    (gradient,) = torch.autograd.grad(margin, leaf)
    away = stream if baseline is None else stream - baseline
    values: FloatArray = (gradient * away)[0].sum(-1).detach().double().cpu().numpy()
    return values


@dataclass(frozen=True)
class _Path:
    """The straight line between two embedded suffixes."""

    decoder: Decoder
    base: Tensor
    end: Tensor
    past: Past | None
    target: Target
    batch: int

    def at(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Margins at places from 0 to 1, [places], and their gradients times the whole difference, [places, n]."""
        away = self.end - self.base
        margins, slopes = [], []
        for part in np.array_split(places, -(-len(places) // self.batch)):
            at = torch.as_tensor(part, dtype=self.base.dtype, device=self.base.device)[:, None, None]
            streams = (self.base + at * away).detach().requires_grad_()
            run = self.decoder.run_from(0, streams, past=self.past, last_only=True)
            found = self.decoder.margins(run, self.target)
            (gradient,) = torch.autograd.grad(found.sum(), streams)
            margins.append(found.detach().cpu().double().numpy())
            slopes.append((in_double(gradient) * in_double(away[0])).sum(-1).cpu().numpy())
        return np.concatenate(margins), np.concatenate(slopes)


def _sum(margins: FloatArray, slopes: FloatArray, *, steps: int) -> Integrated:
    values = weights(steps) @ slopes
    gap = float(margins[-1] - margins[0])
    return Integrated(values, slopes[-1], float(margins[-1]), gap, float(values.sum()) - gap, steps)


def points(steps: int) -> FloatArray:
    """The extremes of a Chebyshev polynomial, from 0 to 1: [steps + 1]."""
    places: FloatArray = (1 - np.cos(np.pi * np.arange(steps + 1) / steps)) / 2
    return places


def weights(steps: int) -> FloatArray:
    """Their weights, which integrate every polynomial up to degree ``steps`` exactly: [steps + 1]."""
    even = np.arange(0, steps + 1, 2)
    # Each even Chebyshev polynomial integrates to 1 / (1 − degree²) over [0, 1]; the first and last count half.
    integrals = 1 / (1 - even.astype(np.float64) ** 2)
    integrals[[0, -1]] /= 2
    shares: FloatArray = 2 / steps * np.cos(np.pi * np.outer(np.arange(steps + 1), even) / steps) @ integrals
    shares[[0, -1]] /= 2
    return shares


def _interleave(known: FloatArray, between: FloatArray) -> FloatArray:
    both = np.empty((len(known) + len(between), *known.shape[1:]))
    both[::2], both[1::2] = known, between
    return both
