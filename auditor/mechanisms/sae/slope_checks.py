"""Whether the gradient by which features are chosen is what the margin does, a small step to either side."""

from __future__ import annotations

import torch
from torch import Tensor

from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.targets import Target
from auditor.mechanisms.sae.slopes import Slope
from auditor.mechanisms.sae.windows import FeatureWindow

STEPS = (200.0, 40.0)
"""A step is to move the margin by so many times what rounding may; of two steps the one that tells more counts."""
FARTHEST = 0.02
"""A step is no longer than this share of the states."""
TELLING = 0.25
"""A bound beyond this share of what was foretold would let a wrong gradient pass: nothing is said then."""


def slope_check(
    window: FeatureWindow, *, group: int, reference: int, target: Target, noise: NoiseFloor
) -> Slope | None:
    """Half way between two prompts' states, go a step along the gradient and a step back, and read both margins.

    The margins come from runs that build no gradient. What is foretold is the gradient times the step as the states'
    own precision took it. The bound is what rounding does to the margins, and what half the step says about how far the
    margin is from straight there.

    Parameters
    ----------
    window
        One application.
    group, reference
        The two prompts.
    target, noise
        The margin, and what rounding does to it.

    Returns
    -------
    Slope or None
        ``None`` where the margin is flat, or so crooked that no gradient could be told from another.
    """
    middle = 0.5 * window.towards(group, reference)
    gradient = window.gradient(group, [middle], target)
    steepness = float(gradient.norm())
    if steepness == 0:
        return None
    farthest = FARTHEST * float(window.states[group].norm())
    lengths = sorted({min(share * noise.bound / steepness, farthest) for share in STEPS})
    found = [_stepped(window, (group, middle), gradient * (length / steepness), gradient, target) for length in lengths]
    rows = [Slope(foretold=foretold, moved=moved, bound=2 * noise.bound + 2 * bend) for foretold, moved, bend in found]
    best = min(rows, key=lambda row: row.bound / max(abs(row.foretold), noise.bound))
    return best if best.bound <= TELLING * abs(best.foretold) else None


def _stepped(
    window: FeatureWindow, at: tuple[int, Tensor], step: Tensor, gradient: Tensor, target: Target
) -> tuple[float, float, float]:
    """What the gradient foretells of a step to both sides, what the margin does, and how much half the step differs."""
    group, middle = at
    sides = [(group, middle + share * step) for share in (1.0, -1.0, 0.5, -0.5)]
    with torch.no_grad():
        far, back, near, near_back = window.margins(sides, target)[0].tolist()
        apart = window.changed(group, sides[0][1]).float() - window.changed(group, sides[1][1]).float()
    there = window.there[group]
    foretold = float((apart[window.index[group][there]].cpu() * gradient[there]).sum())
    return foretold, far - back, abs(far - back - 2 * (near - near_back))
