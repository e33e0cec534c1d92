"""What a design can see: pairs and cases needed, and the smallest detectable effect (docs/statistics.md).

``n`` counts effective pairs: multiply a planned number by the design effect of clustering.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import optimize, special, stats

from auditor.statistics.results import FloatArray, IntArray

Basis = Literal["assumed", "pilot", "observed"]


@dataclass(frozen=True, slots=True)
class DetectableEffect:
    """Minimum detectable effect, as a positive number; ``None`` with a reason where no effect is detectable."""

    value: float | None
    reason: str | None = None


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    if not 0 < alpha < 1 or not 0.5 <= power < 1:
        raise ValueError(f"alpha must lie in (0, 1) and power in [0.5, 1), got {alpha} and {power}")
    return float(stats.norm.isf(alpha / 2)), float(stats.norm.ppf(power))


def pairs_needed(*, effect: float, discordance: float, alpha: float, power: float) -> int:
    """Matched pairs needed to detect a net effect, two-sided (Connor 1987).

    Parameters
    ----------
    effect
        |Δ| as a share, not 0, below ``discordance``.
    discordance
        ψ = (b + c)/n expected, in (0, 1].
    """
    delta = abs(effect)
    if not 0 < delta < discordance <= 1:
        raise ValueError(f"0 < |effect| < discordance ≤ 1 is needed, got {effect} and {discordance}")
    z_a, z_b = _quantiles(alpha, power)
    root = z_a * math.sqrt(discordance) + z_b * math.sqrt(discordance - delta**2)
    return math.ceil(root**2 / delta**2)


def detectable_net_effect(*, n: float, discordance: float, alpha: float, power: float) -> DetectableEffect:
    """Smallest |Δ| that n effective pairs detect: the inverse of Connor's formula.

    No |Δ| exceeds the discordance: where the formula asks for more, nothing at that discordance is detectable. Without
    discordance there is nothing to invert; use the zero-event bound.
    """
    z_a, z_b = _quantiles(alpha, power)
    if not n > 0 or not 0 <= discordance <= 1:
        raise ValueError(f"n must be positive and discordance in [0, 1], got {n} and {discordance}")
    if discordance == 0:
        return DetectableEffect(None, "no pair was discordant; see the zero-event bound")
    if n + z_b**2 < z_a**2:
        return DetectableEffect(None, "too few pairs")
    value = math.sqrt(discordance) * (z_a * math.sqrt(n) + z_b * math.sqrt(n + z_b**2 - z_a**2)) / (n + z_b**2)
    if value > discordance:
        return DetectableEffect(None, f"no net effect within a discordance of {discordance:.3g} is detectable")
    return DetectableEffect(value)


def detectable_one_way_effect(*, n: int, alpha: float, power: float) -> DetectableEffect:
    """Smallest |Δ| that n pairs detect when every flip goes one way, by exact McNemar.

    The answer where few or no pairs flipped and Connor's formula has nothing to invert: with all flips in one direction
    the test rejects from k = ⌈log₂(2/α)⌉ flips on, and the effect sought is the δ with P(Bin(n, δ) ≥ k) = power.

    Parameters
    ----------
    n
        Pairs.
    """
    if n < 1 or not 0 < alpha < 1 or not 0 < power < 1:
        raise ValueError(f"n of at least 1, alpha and power in (0, 1) are needed, got {n}, {alpha} and {power}")
    flips = math.ceil(math.log2(2 / alpha))
    if flips > n:
        return DetectableEffect(None, f"exact McNemar cannot reject with {n} pairs at alpha = {alpha:g}")
    return DetectableEffect(float(stats.beta.ppf(power, flips, n - flips + 1)))


def cases_needed(*, protected_rate: float, reference_rate: float, alpha: float, power: float) -> int:
    """Cases needed in each of two equal groups to tell their rates apart, two-sided."""
    if not (0 <= protected_rate <= 1 and 0 <= reference_rate <= 1) or protected_rate == reference_rate:
        raise ValueError(f"two different rates in [0, 1] are needed, got {protected_rate} and {reference_rate}")
    z_a, z_b = _quantiles(alpha, power)
    mean = (protected_rate + reference_rate) / 2
    separate = protected_rate * (1 - protected_rate) + reference_rate * (1 - reference_rate)
    root = z_a * math.sqrt(2 * mean * (1 - mean)) + z_b * math.sqrt(separate)
    return math.ceil(root**2 / (protected_rate - reference_rate) ** 2)


def detectable_rate_difference(
    *, n_protected: int, n_reference: int, reference_rate: float, alpha: float, power: float
) -> DetectableEffect:
    """Smallest drop below the reference rate that two groups of these sizes detect.

    The formula of `cases_needed` with each variance over its own group's size; equal sizes give its inverse.
    """
    z_a, z_b = _quantiles(alpha, power)
    if n_protected < 1 or n_reference < 1 or not 0 <= reference_rate <= 1:
        raise ValueError("both groups need cases and reference_rate must lie in [0, 1]")

    def surplus(drop: float) -> float:
        rate = max(0.0, reference_rate - drop)
        pooled = (n_protected * rate + n_reference * reference_rate) / (n_protected + n_reference)
        under_null = math.sqrt(pooled * (1 - pooled) * (1 / n_protected + 1 / n_reference))
        apart = math.sqrt(rate * (1 - rate) / n_protected + reference_rate * (1 - reference_rate) / n_reference)
        return drop - z_a * under_null - z_b * apart

    if surplus(reference_rate) <= 0:
        return DetectableEffect(None, "not even a rate of 0 in the protected group would be detected")
    low = min(1e-9, reference_rate / 2)  # at a reference rate of 1 the surplus is 0 for no drop at all
    return DetectableEffect(float(optimize.brentq(surplus, low, reference_rate, xtol=1e-12)))


def detectable_mean_shift(*, n: float, sd: float, alpha: float, power: float) -> DetectableEffect:
    """Smallest mean of n effective paired differences with standard deviation ``sd`` detected, (z_a + z_b)·sd/√n."""
    if not n > 0 or not sd >= 0:
        raise ValueError(f"n must be positive and sd at least 0, got {n} and {sd}")
    z_a, z_b = _quantiles(alpha, power)
    if sd == 0:
        return DetectableEffect(None, "the differences do not vary")
    return DetectableEffect((z_a + z_b) * sd / math.sqrt(n))


def worst_level(*, alpha: float, family_size: int) -> float:
    """The level a test faces at its family's worst step.

    Holm: the smallest p is tested at α/m. Benjamini–Hochberg: a test that alone lies below its cut is tested at q/m.
    Both are α/m, so a minimum detectable effect is given at α/m in either family.
    """
    if not 0 < alpha < 1 or family_size < 1:
        raise ValueError(f"alpha in (0, 1) and a family of at least 1 are needed, got {alpha} and {family_size}")
    return alpha / family_size


def mcnemar_power(*, n: int, effect: float, discordance: float, alpha: float) -> float:
    """Power of exact McNemar: probability of p < α in n pairs with net effect Δ and discordance ψ.

    Exact: over every number of discordant pairs d, P(d) = Bin(n, ψ), times the probability that Bin(d, (ψ + Δ)/2ψ) lies
    in the tails the test rejects. Numbers of discordant pairs that hold less than 1e-12 in all are left out.
    """
    if not 0 <= abs(effect) <= discordance <= 1 or n < 1 or not 0 < alpha < 1:
        raise ValueError(f"n ≥ 1, |effect| ≤ discordance ≤ 1 and alpha in (0, 1) are needed, got {n}, {effect}")
    if discordance == 0:
        return 0.0
    d, weights = _discordant(n, discordance)
    last = _mcnemar_tails(n, alpha)[d]
    share = min(1.0, (discordance + abs(effect)) / (2 * discordance))
    rejects = last >= 0
    low = np.where(rejects, last, 0.0)
    tails = special.bdtr(low, d, share) + special.bdtrc(d - low - 1, d, share)
    return float(np.sum(weights * np.where(rejects, tails, 0.0)))


@lru_cache(maxsize=64)
def _discordant(n: int, discordance: float) -> tuple[IntArray, FloatArray]:
    """Numbers of discordant pairs from 1 on that hold all but 1e-12, and the probability of each."""
    least = int(stats.binom.ppf(5e-13, n, discordance))
    most = int(stats.binom.isf(5e-13, n, discordance))
    d = np.arange(max(least, 1), most + 1)
    return d, stats.binom.pmf(d, n, discordance)


@lru_cache(maxsize=64)
def _mcnemar_tails(n: int, alpha: float) -> FloatArray:
    """For 0 … n discordant pairs the largest min(b, c) with p < α; −1 where none is."""
    d = np.arange(n + 1)
    first = stats.binom.ppf(alpha / 2, d, 0.5)  # the least k whose lower tail reaches α/2
    first = np.where(stats.binom.cdf(first, d, 0.5) < alpha / 2, first + 1, first)
    result: FloatArray = first - 1
    return result


@lru_cache(maxsize=256)
def detectable_by_mcnemar(*, n: int, discordance: float, alpha: float, power: float) -> DetectableEffect:
    """Smallest |Δ| that exact McNemar detects in n pairs with the power asked for, found from the exact power.

    Where the discordance is too small to hold a detectable effect, or 0, the effect sought brings its own: all flips
    then go one way and the discordance is |Δ| itself. Connor's formula is the asymptotic form of the same:
    at α = .05 it is a little too small, since the exact test does not use its whole level.
    """
    if n < 1 or not 0 <= discordance <= 1 or not 0 < alpha < 1 or not 0 < power < 1:
        raise ValueError(
            f"n of at least 1, discordance in [0, 1], alpha and power in (0, 1) are needed, got {n}, {discordance}"
        )

    def surplus(effect: float) -> float:
        return mcnemar_power(n=n, effect=effect, discordance=max(effect, discordance), alpha=alpha) - power

    if surplus(1.0) < 0:
        return DetectableEffect(None, f"exact McNemar cannot reject with {n} pairs at alpha = {alpha:g}")
    if surplus(1e-9) >= 0:
        return DetectableEffect(1e-9)
    return DetectableEffect(float(optimize.brentq(surplus, 1e-9, 1.0, xtol=1e-7)))


@dataclass(frozen=True, slots=True)
class Mde:
    """A minimum detectable effect with all it rests on: the level really faced and where the discordance is from.

    ``basis`` is "assumed" or "pilot" before the run and "observed" after it. An observed one restates the data and is
    printed as such: it cannot be used to explain why nothing was found.
    """

    value: float | None
    alpha: float
    power: float
    family_size: int
    discordance: float
    n: int
    basis: Basis
    reason: str | None = None


def net_effect_mde(*, n: int, discordance: float, alpha: float, family_size: int, power: float, basis: Basis) -> Mde:
    """MDE of a net effect at the level its family's worst step leaves it."""
    level = worst_level(alpha=alpha, family_size=family_size)
    if n < 1:
        return Mde(None, level, power, family_size, discordance, n, basis, "there are no pairs")
    found = detectable_by_mcnemar(n=n, discordance=discordance, alpha=level, power=power)
    return Mde(found.value, level, power, family_size, discordance, n, basis, found.reason)
