"""What a design can see: pairs and cases needed, and the smallest detectable effect (docs/statistics.md).

``n`` counts effective pairs: multiply a planned number by the design effect of clustering.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import optimize, stats


@dataclass(frozen=True, slots=True)
class DetectableEffect:
    """Minimum detectable effect, as a positive number; ``None`` with a reason where no effect is detectable."""

    value: float | None
    reason: str | None = None


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    if not 0 < alpha < 1 or not 0.5 <= power < 1:
        raise ValueError(f"alpha must lie in (0, 1) and power in [0.5, 1), got {alpha} and {power}")
    return float(stats.norm.isf(alpha / 2)), float(stats.norm.ppf(power))


def pairs_needed(*, effect: float, discordance: float, alpha: float = 0.05, power: float = 0.8) -> int:
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


def detectable_net_effect(*, n: float, discordance: float, alpha: float = 0.05, power: float = 0.8) -> DetectableEffect:
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


def detectable_one_way_effect(*, n: int, alpha: float = 0.05, power: float = 0.8) -> DetectableEffect:
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


def cases_needed(*, protected_rate: float, reference_rate: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Cases needed in each of two equal groups to tell their rates apart, two-sided."""
    if not (0 <= protected_rate <= 1 and 0 <= reference_rate <= 1) or protected_rate == reference_rate:
        raise ValueError(f"two different rates in [0, 1] are needed, got {protected_rate} and {reference_rate}")
    z_a, z_b = _quantiles(alpha, power)
    mean = (protected_rate + reference_rate) / 2
    separate = protected_rate * (1 - protected_rate) + reference_rate * (1 - reference_rate)
    root = z_a * math.sqrt(2 * mean * (1 - mean)) + z_b * math.sqrt(separate)
    return math.ceil(root**2 / (protected_rate - reference_rate) ** 2)


def detectable_rate_difference(
    *, n_protected: int, n_reference: int, reference_rate: float, alpha: float = 0.05, power: float = 0.8
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


def detectable_mean_shift(*, n: float, sd: float, alpha: float = 0.05, power: float = 0.8) -> DetectableEffect:
    """Smallest mean of n effective paired differences with standard deviation ``sd`` detected, (z_a + z_b)·sd/√n."""
    if not n > 0 or not sd >= 0:
        raise ValueError(f"n must be positive and sd at least 0, got {n} and {sd}")
    z_a, z_b = _quantiles(alpha, power)
    if sd == 0:
        return DetectableEffect(None, "the differences do not vary")
    return DetectableEffect((z_a + z_b) * sd / math.sqrt(n))
