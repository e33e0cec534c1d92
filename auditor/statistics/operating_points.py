"""Thresholds that are set to give the reference arm a rate, in the data and anew in every resample.

A threshold lies midway between two neighbouring reference margins. One that is itself a margin lies at the very edge of
a case, and a shift however small turns that case: Δ would be off by half an application (docs/statistics.md). Cases
without a readable answer have the margin −∞ here: no threshold favours them, and they stay in every count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auditor.statistics.bootstrap import resample_weights
from auditor.statistics.results import BoolArray, FloatArray, IntArray, booleans, floats, same_length

BLOCK_CELLS = 2_000_000
SHARE_DIGITS = 12  # shares closer than this are equal; without it float noise would choose between two thresholds
UNREADABLE = -np.inf


def with_unreadable(margins: npt.ArrayLike, readable: npt.ArrayLike | None, *, name: str) -> FloatArray:
    """Margins with −∞ where no answer could be read. Margins of unreadable cases may be anything, NaN included."""
    values = np.asarray(margins, dtype=np.float64)
    if readable is None:
        return floats(values, name=name)
    seen = booleans(readable, name=f"{name}_readable")
    same_length(margins=values, readable=seen)
    return np.where(seen, floats(np.where(seen, values, 0.0), name=name), UNREADABLE)


def midway(upper: FloatArray, lower: FloatArray) -> FloatArray:
    """Threshold that favours ``upper`` and not ``lower``, shapes alike.

    Without a finite neighbour above (rate 0) it is the next number above ``lower``; without one below it is ``upper``.
    Margins too near for a number between them give ``upper``, which still tells them apart.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        middle = lower + (upper - lower) / 2
    middle = np.where(middle > lower, middle, upper)
    middle = np.where(np.isfinite(lower), middle, upper)
    return np.where(np.isposinf(upper), np.nextafter(lower, np.inf), middle)


def reference_thresholds(reference: FloatArray) -> tuple[FloatArray, IntArray]:
    """Every threshold that tells the reference arm's margins apart, strictest first, and how many it favours.

    Parameters
    ----------
    reference
        Shape (n,), −∞ for unreadable cases. Equal margins are always decided alike.

    Returns
    -------
    tuple
        Thresholds and counts, shape (distinct readable margins + 1,) each; the first favours nobody.
    """
    values, sizes = np.unique(reference, return_counts=True)
    values, sizes = values[::-1], sizes[::-1]
    readable = np.isfinite(values)
    bounds = np.concatenate([[np.inf], values[readable], [-np.inf]])
    counts = np.concatenate([[0], np.cumsum(sizes[readable])]).astype(np.int64)
    return midway(bounds[:-1], bounds[1:]), counts


def nearest(counts: IntArray, *, n: int, target: float) -> int:
    """Which of the increasing ``counts`` of n is the share nearest ``target``; of two equally near the stricter."""
    return int(np.argmin(np.round(np.abs(counts / n - target), SHARE_DIGITS)))


@dataclass(frozen=True, slots=True)
class Resampled:
    """What the resamples give: NaN where a resample holds no case of the reference arm or no pair.

    ``effects`` and ``thresholds`` have shape (resamples, targets), ``fixed`` has shape (resamples, fixed thresholds).

    ``smoothed`` are the effects without the roughness of the one sample they are drawn from. As a threshold moves from
    resample to resample, Δ moves along the sample's own curve D(t), a step function that fluctuates as much as a
    resample does; the sampling distribution has that fluctuation once, resamples have it twice, and their SD is too
    large by a share of order n^(−1/2) (here 18% at 100 pairs, 6% at 600). The curve is therefore replaced by its
    straight line over the ranks the thresholds take: smoothed = Δ* − (D(t*) − line(t*)).
    """

    effects: FloatArray
    thresholds: FloatArray
    fixed: FloatArray
    smoothed: FloatArray


@dataclass(frozen=True, slots=True)
class Margins:
    """Pairs and the reference arm that sets thresholds; −∞ for unreadable cases.

    ``control`` and ``protected`` have shape (pairs,), ``arm`` shape (m,); ``codes`` and ``arm_codes`` number their base
    profiles from 0 to ``clusters`` − 1.
    """

    control: FloatArray
    protected: FloatArray
    codes: IntArray
    arm: FloatArray
    arm_codes: IntArray
    clusters: int

    def effect(self, thresholds: FloatArray) -> FloatArray:
        """Δ at each threshold: protected minus control share at or above it."""
        x, y = np.sort(self.control), np.sort(self.protected)
        below = np.searchsorted(x, thresholds, side="left") - np.searchsorted(y, thresholds, side="left")
        return below / len(x)


def resample(margins: Margins, *, targets: FloatArray, fixed: FloatArray, resamples: int, seed: int) -> Resampled:
    """Δ at thresholds set anew in every resample of profiles, and at fixed ones.

    Parameters
    ----------
    targets
        Shape (targets,), rates of the reference arm; each resample takes the threshold whose rate is nearest, of two
        equally near the stricter, midway between that resample's own neighbouring margins.
    fixed
        Shape (fixed,), thresholds that stay.

    Notes
    -----
    Drawn margins are laid out in falling order, so that the margin at any count is read by its place; counts above a
    threshold are cumulative sums over sorted margins. Time is linear in resamples × (cases + targets), and blocks
    bound the memory.
    """
    arm = _Sorted.of(margins.arm, margins.arm_codes)
    control, protected = (_Sorted.of(values, margins.codes) for values in (margins.control, margins.protected))
    effects: list[FloatArray] = []
    thresholds: list[FloatArray] = []
    held: list[FloatArray] = []
    curve: list[FloatArray] = []
    ranks: list[FloatArray] = []
    width = max(margins.clusters, len(margins.arm), len(margins.control), len(targets))
    for weights in _blocks(margins.clusters, width, resamples, seed):
        chosen, empty = arm.thresholds(weights, targets)
        up_control, up_protected = control.above(weights), protected.above(weights)
        at_control, at_protected = control.places(chosen), protected.places(chosen)
        fixed_control, fixed_protected = control.places(fixed), protected.places(fixed)
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = up_control[:, -1:].astype(np.float64)
            delta = (
                np.take_along_axis(up_protected, at_protected, axis=1)
                - np.take_along_axis(up_control, at_control, axis=1)
            ) / drawn
            still = (up_protected[:, fixed_protected] - up_control[:, fixed_control]) / drawn
        curve.append((at_protected - at_control) / len(margins.control))
        ranks.append((at_control if margins.arm is margins.control else arm.places(chosen)).astype(np.float64))
        delta[empty], chosen[empty] = np.nan, np.nan
        effects.append(delta)
        thresholds.append(chosen)
        held.append(still)
    whole = np.concatenate(effects)
    rough = _off_line(np.concatenate(curve), np.concatenate(ranks))
    return Resampled(whole, np.concatenate(thresholds), np.concatenate(held), whole - rough)


def _off_line(curve: FloatArray, ranks: FloatArray) -> FloatArray:
    """Residuals of each column of ``curve`` from its least-squares line over ``ranks``, shape (resamples, targets)."""
    centred = ranks - ranks.mean(axis=0)
    squares = np.sum(centred**2, axis=0)
    slope = np.divide(np.sum(centred * curve, axis=0), squares, out=np.zeros_like(squares), where=squares > 0)
    residual: FloatArray = curve - curve.mean(axis=0) - slope * centred
    return residual


def _blocks(clusters: int, width: int, resamples: int, seed: int) -> Iterator[IntArray]:
    rows = max(1, BLOCK_CELLS // max(1, width))
    for block in resample_weights(clusters=clusters, resamples=resamples, seed=seed):
        whole = block.astype(np.int64)
        for start in range(0, len(whole), rows):
            yield whole[start : start + rows]


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Cases in falling order of their margins, with the profile of each."""

    values: FloatArray
    codes: IntArray

    @classmethod
    def of(cls, values: FloatArray, codes: IntArray) -> _Sorted:
        order = np.argsort(-values, kind="stable")
        return cls(values[order], codes[order])

    def above(self, weights: IntArray) -> IntArray:
        """Drawn cases among the first 0, 1, … n: shape (rows, n + 1)."""
        total = np.zeros((len(weights), len(self.values) + 1), dtype=np.int64)
        np.cumsum(weights[:, self.codes], axis=1, out=total[:, 1:])
        return total

    def places(self, thresholds: FloatArray) -> IntArray:
        """Cases at or above each threshold where every case counts once, in the shape of ``thresholds``."""
        found: IntArray = np.searchsorted(-self.values, -thresholds, side="right")
        return found

    def thresholds(self, weights: IntArray, targets: FloatArray) -> tuple[FloatArray, BoolArray]:
        """The threshold of every row and target, shape (rows, targets), and the rows that hold no case."""
        values, sizes = np.unique(-self.values, return_counts=True)
        values = -values
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        drawn = weights[:, self.codes]
        blocks = np.add.reduceat(drawn, starts, axis=1) if len(values) < len(self.values) else drawn
        # Distinct margins with the number drawn of each; unreadable cases count in the total and are never above.
        readable = int(np.isfinite(values).sum())
        total = blocks.sum(axis=1)
        ends = np.cumsum(blocks[:, :readable], axis=1)
        if not readable:
            return np.full((len(weights), len(targets)), np.inf), total == 0
        places = np.repeat(np.tile(np.arange(readable), len(weights)), blocks[:, :readable].ravel())
        many = ends[:, -1:]
        first = np.concatenate([[0], np.cumsum(many[:, 0])[:-1]])[:, None]
        # The target count falls in one block of equal margins: the threshold stands before it or after it.
        wanted = targets[None, :] * total[:, None]
        here = np.clip(np.ceil(np.round(wanted, 9)).astype(np.int64), 1, np.maximum(many, 1))
        last = max(len(places) - 1, 0)
        padded = places if len(places) else np.zeros(1, dtype=np.int64)
        place = padded[np.clip(first + here - 1, 0, last)]
        end = np.take_along_axis(ends, place, axis=1)
        start = end - np.take_along_axis(blocks, place, axis=1)
        chosen = np.where(np.round(wanted - start - (end - wanted), 9) <= 0, start, end)
        upper = np.where(chosen > 0, values[padded[np.clip(first + chosen - 1, 0, last)]], np.inf)
        lower = np.where(chosen < many, values[padded[np.clip(first + chosen, 0, last)]], -np.inf)
        none = many[:, 0] == 0
        cut = midway(upper, lower)
        cut[none] = np.inf
        return cut, total == 0
