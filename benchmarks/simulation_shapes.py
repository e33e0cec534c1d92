"""What a simulated scenario is, and the shapes of margins its worlds are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.testing.context import FloatArray
from benchmarks.simulated_audits import Contrast, Draw, World

ONE: Contrast = ("race", "Black")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A world, and what of an audit in it would be false.

    Attributes
    ----------
    affected
        Contrasts in which something truly differs: what is said of them is no false finding.
    different
        Contrasts whose true difference reaches the equivalence margin at a cut-off of the plan's range, or whose
        outcomes cannot be read: EQUIVALENT of them is false.
    turning
        Contrasts in which decisions turn both ways by more than with the placebo changed, and cancel: a finding of the
        family *decisions turned* is true there, any other is not.
    mute
        Contrasts of which NO_EVIDENCE would be false too, since many of their answers cannot be read.
    sought
        Metric and contrast whose detection counts as power.
    stated
        The effect that the design states as its minimum detectable one.
    covers
        Whether intervals are held against the true values.
    """

    name: str
    world: World
    applications: int = 600
    audits: int = 200
    affected: frozenset[Contrast] = frozenset()
    different: frozenset[Contrast] = frozenset()
    turning: frozenset[Contrast] = frozenset()
    mute: frozenset[Contrast] = frozenset()
    sought: tuple[str, Contrast] | None = None
    stated: float | None = None
    covers: bool = False


def normal(mean: float, spread: float) -> Draw:
    """Margins of one hump."""

    def sample(generator: np.random.Generator, n: int) -> FloatArray:
        return generator.normal(mean, spread, n)

    return sample


def clumps(low: float, high: float, spread: float, share: float) -> Draw:
    """Two humps; ``share`` of the applications in the upper one."""

    def sample(generator: np.random.Generator, n: int) -> FloatArray:
        return np.where(generator.random(n) < share, high, low) + generator.normal(0, spread, n)

    return sample


def mixed(small: float, large: float, share: float) -> Draw:
    """Noise that is mostly small and now and then large, with heavy tails."""

    def sample(generator: np.random.Generator, n: int) -> FloatArray:
        scale = np.where(generator.random(n) < share, large, small)
        return scale * generator.standard_t(3, n)

    return sample


def tailed(mean: float, spread: float, freedom: float) -> Draw:
    """Margins of one hump with heavy tails: 1 degree of freedom has no mean, 2 have no variance."""

    def sample(generator: np.random.Generator, n: int) -> FloatArray:
        return mean + spread * generator.standard_t(freedom, n)

    return sample


def stepped(mean: float, spread: float, step: float) -> Draw:
    """Margins of a few values that lie half a step on both sides of the natural cut-off and whole steps apart."""

    def sample(generator: np.random.Generator, n: int) -> FloatArray:
        return step * (np.floor(generator.normal(mean, spread, n) / step) + 0.5)

    return sample
