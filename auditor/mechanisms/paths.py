"""Gradients of the margin along a path between two prompts, on the suffix only, with parameters left alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from auditor.language_models.decoder import Decoder, Past, Target

FIRST_STEPS, MOST_STEPS = 8, 256
COMPLETE = 0.01
"""Largest gap between the sum of the attributions and the difference of margins, as a share of that difference."""


@dataclass(frozen=True)
class Integrated:
    """Attributions by position [n] in nats, what they should sum to, by how much they miss it, and the steps taken."""

    values: npt.NDArray[np.float64]
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
    batch: int = 8,
    first: int = FIRST_STEPS,
    most: int = MOST_STEPS,
    gap: float | None = None,
) -> Integrated:
    """Integrated gradients from ``base`` to ``end`` by Gauss-Legendre; steps double until the sum is complete.

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
        Steps in one pass forward and backward.
    first, most
        Steps to begin with, and the most.
    gap
        The difference of the two margins, where it is known.
    """
    if gap is None:
        with torch.no_grad():
            margins = decoder.margins(decoder.run_from(0, torch.cat([base, end]), past=past), target)
        gap = float(margins[1] - margins[0])
    steps = first
    while True:
        values = _sum(decoder, base, end, past, target, steps=steps, batch=batch)
        result = Integrated(values, gap, float(values.sum()) - gap, steps)
        if result.complete or steps * 2 > most:
            return result
        steps *= 2


def gradient_times_input(
    decoder: Decoder,
    stream: Float[Tensor, "1 n width"],
    *,
    past: Past | None,
    target: Target,
    baseline: Float[Tensor, "1 n width"] | None = None,
) -> npt.NDArray[np.float64]:
    """(x − baseline) · ∂m/∂x by position [n], in nats, the baseline 0 by default: first order at the prompt itself.

    It need not sum to anything.
    """
    leaf = stream.detach().clone().requires_grad_()
    margin = decoder.margins(decoder.run_from(0, leaf, past=past), target).sum()
    (gradient,) = torch.autograd.grad(margin, leaf)
    away = stream if baseline is None else stream - baseline
    values: npt.NDArray[np.float64] = (gradient * away)[0].sum(-1).detach().double().cpu().numpy()
    return values


def _sum(
    decoder: Decoder, base: Tensor, end: Tensor, past: Past | None, target: Target, *, steps: int, batch: int
) -> npt.NDArray[np.float64]:
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros(base.shape[1:], dtype=torch.float64, device=base.device)
    for start in range(0, steps, batch):
        at = torch.tensor((nodes[start : start + batch] + 1) / 2).to(base)[:, None, None]
        weight = torch.tensor(weights[start : start + batch] / 2).to(base.device)
        points = (base + at * (end - base)).detach().requires_grad_()
        margin = decoder.margins(decoder.run_from(0, points, past=past), target).sum()
        (gradient,) = torch.autograd.grad(margin, points)
        total += torch.einsum("s,snw->nw", weight, gradient.double())
    values: npt.NDArray[np.float64] = (total * (end - base)[0].double()).sum(-1).detach().cpu().numpy()
    return values
