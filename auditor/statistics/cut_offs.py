"""The effect against the cut-off: Δ at every threshold a lender might set, with a band for all of them at once.

A decision is a margin and a cut-off. Where no application lies near the model's own cut-off no decision turns, however
far every margin moves; at another cut-off the same model treats people differently. The curve therefore gives the net
effect at every threshold at which the reference arm's approval rate lies in a stated range, and at the natural
cut-off, and judges the largest by the distribution of the largest (docs/statistics.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from auditor.statistics.bootstrap import MAX_UNDEFINED, cluster_codes
from auditor.statistics.equivalence import Equivalence, tost_at_every_cut_off
from auditor.statistics.operating_points import (
    BLOCK_CELLS,
    Margins,
    Resampled,
    midway,
    reference_thresholds,
    resample,
    with_unreadable,
)
from auditor.statistics.pairs import NO_PAIRS, PairCounts
from auditor.statistics.results import (
    MIN_RESAMPLES,
    BoolArray,
    Estimate,
    FloatArray,
    IntArray,
    Interval,
    Significance,
    check_level,
    missing,
    same_length,
)

METHOD = "largest net effect over the cut-off range"
BAND = "simultaneous band, max-t bootstrap"
SWAPS = 1999


@dataclass(frozen=True, slots=True)
class CutOff:
    """One cut-off: its threshold, the reference arm's rate there, Δ with the simultaneous band, and the pairs."""

    threshold: float
    rate: float
    effect: float
    low: float
    high: float
    against: int
    towards: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOffCurve:
    """Δ against the cut-off.

    Attributes
    ----------
    points
        Cut-offs whose rate lies in the range, strictest first.
    natural
        The natural cut-off, wherever its rate lies; ``natural_inside`` says whether it lies in the range.
    largest
        The largest |Δ| over all of them, with the band's interval there and the p-value of the largest.
    where
        The cut-off of the largest; ``None`` without a value.
    level
        Of the simultaneous band.
    errors
        Standard errors behind the band, in the order of ``points`` and then ``natural``.
    """

    points: tuple[CutOff, ...]
    natural: CutOff | None
    natural_inside: bool
    rates: tuple[float, float]
    largest: Estimate
    where: CutOff | None
    level: float
    n: int
    errors: tuple[float, ...] = ()

    def thinned(self, at_most: int = 21) -> tuple[CutOff, ...]:
        """At most so many points, evenly along the curve, its ends and its largest effect among them."""
        if at_most < 3:
            raise ValueError(f"at least 3 points are needed, got {at_most}")
        if len(self.points) <= at_most:
            return self.points
        chosen = {round(place) for place in np.linspace(0, len(self.points) - 1, at_most - 1)}
        if self.where in self.points:
            chosen.add(self.points.index(self.where))
        return tuple(self.points[place] for place in sorted(chosen))

    def equivalence(self, *, margin: float, alpha: float) -> Equivalence:
        """Whether Δ lies within ``margin`` at every cut-off of the range and at the natural one.

        The claim needs every cut-off, so each is tested at the full level and the largest p-value speaks
        (intersection-union). ``interval`` is the 1 − 2α interval at that cut-off.
        """
        everywhere = [*self.points, *([self.natural] if self.natural else [])]
        if not everywhere or not self.errors:
            return Equivalence(None, margin, None, reason=self.largest.reason or NO_PAIRS)
        still = [self.n - point.against - point.towards for point in everywhere]
        return tost_at_every_cut_off(
            effects=np.array([point.effect for point in everywhere]),
            errors=np.array(self.errors),
            counts=[PairCounts(0, point.against, point.towards, d) for point, d in zip(everywhere, still, strict=True)],
            margin=margin,
            alpha=alpha,
        )


def cut_off_curve(
    *,
    control: npt.ArrayLike,
    protected: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    rates: tuple[float, float],
    natural: float | None = 0.0,
    control_readable: npt.ArrayLike | None = None,
    protected_readable: npt.ArrayLike | None = None,
    level: float,
    resamples: int = MIN_RESAMPLES,
    swaps: int = SWAPS,
    seed: int = 0,
) -> CutOffCurve:
    """Δ at every threshold that gives the control arm a rate in ``rates``, and at the natural cut-off.

    Parameters
    ----------
    control, protected
        Shape (pairs,), margins of both versions; the control version is the reference arm.
    clusters
        Shape (pairs,), base profile of each pair; by default one pair a profile.
    rates
        Lowest and highest rate of the reference arm, shares of all its cases.
    natural
        The model's own threshold, or ``None`` for none.
    control_readable, protected_readable
        Shape (pairs,), whether an answer could be read; an unreadable case is favourable at no threshold.
    level
        Of the simultaneous band: with this probability it holds at all cut-offs at once.

    Notes
    -----
    *Band.* In every resample of profiles each rate's threshold is set anew. The band is Δ ± q·se with q the ``level``
    quantile of the largest |Δ* − Δ|/se over cut-offs, and at least the normal quantile. se is the larger of the SD over
    resamples and √(d − (c − b)²/n + z²)/n, the error of d discordant pairs at a threshold that stays, with z² added to
    d: where no pair turns a bootstrap gives 0, and the band is then z²/n or more, as the score interval's z²/(n + z²).

    *p-value.* Under the null the two versions of an application are exchangeable. Versions are swapped within profiles
    at random, thresholds are set anew for the swapped reference arm, and p = (1 + #{largest |Δ| ≥ observed})/(1 +
    ``swaps``), which is valid at any size for a null of exchangeable versions, whatever the choice of the largest.
    """
    low, high = rates
    if not 0 <= low <= high <= 1:
        raise ValueError(f"rates must be two shares in increasing order, got {low} and {high}")
    check_level(level)
    x = with_unreadable(control, control_readable, name="control")
    y = with_unreadable(protected, protected_readable, name="protected")
    n = same_length(control=x, protected=y)
    if n == 0:
        return _empty(rates, level, 0, NO_PAIRS)
    codes, k = cluster_codes(clusters, n=n)
    margins = Margins(control=x, protected=y, codes=codes, arm=x, arm_codes=codes, clusters=k)
    least, most = _counts_in(rates, n)
    thresholds, counts = _inside(x, rates)
    fixed = np.array([] if natural is None else [natural])
    natural_rate = float(np.mean(x >= natural)) if natural is not None else None
    natural_inside = natural_rate is not None and least <= round(natural_rate * n) <= most
    cuts = np.concatenate([thresholds, fixed])
    if not len(thresholds):
        reason = f"no threshold gives the reference arm a rate between {low:g} and {high:g}"
        return _empty(rates, level, n, reason)
    effects = margins.effect(cuts)
    against, towards = _turned(x, y, cuts)
    drawn = resample(margins, targets=counts / n, fixed=fixed, resamples=resamples, seed=seed)
    errors = _errors(drawn, against=against, towards=towards, n=n, level=level)
    reach = _critical(drawn, effects, errors, level) * errors
    share = [*(counts / n), *([natural_rate] if natural_rate is not None else [])]
    points = tuple(
        CutOff(
            threshold=float(cuts[i]),
            rate=float(share[i]),
            effect=float(effects[i]),
            low=float(max(-1.0, effects[i] - reach[i])),
            high=float(min(1.0, effects[i] + reach[i])),
            against=int(against[i]),
            towards=int(towards[i]),
        )
        for i in range(len(cuts))
    )
    best = _largest_of(effects, share, rates)
    where = points[best]
    p_value = swap_p_value(
        margins,
        least=least,
        most=most,
        fixed=fixed,
        observed=float(np.round(abs(effects[best]), 12)),
        swaps=swaps,
        seed=seed,
    )
    largest = Estimate(
        value=where.effect,
        n=n,
        method=METHOD,
        interval=Interval(where.low, where.high, level, BAND),
        test=Significance(p_value, f"largest over cut-offs, {swaps:,} swaps within applications"),
        counts={
            "threshold": where.threshold,
            "rate": where.rate,
            "natural_inside": int(natural_inside),
            "range_low": low,
            "range_high": high,
            "b": where.against,
            "c": where.towards,
        },
    )
    split = len(thresholds)
    return CutOffCurve(
        points=points[:split],
        natural=points[split] if natural is not None else None,
        natural_inside=natural_inside,
        rates=rates,
        largest=largest,
        where=where,
        level=level,
        n=n,
        errors=tuple(float(error) for error in errors),
    )


def largest_at(
    *,
    control: npt.ArrayLike,
    protected: npt.ArrayLike,
    rates: tuple[float, float],
    natural: float,
    control_readable: npt.ArrayLike | None = None,
    protected_readable: npt.ArrayLike | None = None,
) -> float | None:
    """The threshold of the largest |Δ|, as `cut_off_curve` finds it; ``None`` where no threshold is in the range."""
    x = with_unreadable(control, control_readable, name="control")
    y = with_unreadable(protected, protected_readable, name="protected")
    n = same_length(control=x, protected=y)
    thresholds, counts = _inside(x, rates)
    if not n or not len(thresholds):
        return None
    codes = np.arange(n)
    cuts = np.append(thresholds, natural)
    effects = Margins(control=x, protected=y, codes=codes, arm=x, arm_codes=codes, clusters=n).effect(cuts)
    return float(cuts[_largest_of(effects, [*(counts / n), float(np.mean(x >= natural))], rates)])


def _inside(reference: FloatArray, rates: tuple[float, float]) -> tuple[FloatArray, IntArray]:
    """Thresholds whose rate lies in the range, strictest first, and how many of the reference arm each favours."""
    least, most = _counts_in(rates, len(reference))
    thresholds, counts = reference_thresholds(reference)
    inside = (counts >= least) & (counts <= most)
    return thresholds[inside], counts[inside]


def _largest_of(effects: FloatArray, share: Sequence[float], rates: tuple[float, float]) -> int:
    """Place of the largest |Δ|; of several alike the one nearest the middle of the range speaks."""
    size = np.round(np.abs(effects), 12)
    middle = (rates[0] + rates[1]) / 2
    return max(range(len(effects)), key=lambda i: (size[i], -abs(share[i] - middle)))


def _empty(rates: tuple[float, float], level: float, n: int, reason: str) -> CutOffCurve:
    return CutOffCurve(
        points=(),
        natural=None,
        natural_inside=False,
        rates=rates,
        largest=missing(method=METHOD, reason=reason, n=n),
        where=None,
        level=level,
        n=n,
    )


def _counts_in(rates: tuple[float, float], n: int) -> tuple[int, int]:
    """Whole counts of n whose share lies in the range, rounding noise aside."""
    return math.ceil(round(rates[0] * n, 9)), math.floor(round(rates[1] * n, 9))


def _turned(x: FloatArray, y: FloatArray, cuts: FloatArray) -> tuple[IntArray, IntArray]:
    """Pairs turned against and towards the protected version at each cut-off.

    A pair turns against it at cut-offs in (y, x], so both are counted with sorted ends and no table of pairs × cuts.
    """

    def between(lows: FloatArray, highs: FloatArray) -> IntArray:
        turned = lows < highs
        found: IntArray = np.searchsorted(np.sort(lows[turned]), cuts, side="left") - np.searchsorted(
            np.sort(highs[turned]), cuts, side="left"
        )
        return found

    return between(y, x), between(x, y)


def _errors(drawn: Resampled, *, against: IntArray, towards: IntArray, n: int, level: float) -> FloatArray:
    """Standard errors with the floor that few discordant pairs need (see `cut_off_curve`)."""
    everything = np.concatenate([drawn.smoothed, drawn.fixed], axis=1)
    spread = np.nanstd(everything, axis=0, ddof=1)
    z2 = float(stats.norm.isf((1 - level) / 2)) ** 2
    net = (towards - against).astype(np.float64)
    floor: FloatArray = np.sqrt(against + towards - net**2 / n + z2) / n
    errors: FloatArray = np.maximum(spread, floor)
    return errors


def _critical(drawn: Resampled, effects: FloatArray, errors: FloatArray, level: float) -> float:
    everything = np.concatenate([drawn.smoothed, drawn.fixed], axis=1)
    largest = np.max(np.abs(everything - effects) / errors, axis=1)
    held = largest[~np.isnan(largest)]
    least = float(stats.norm.isf((1 - level) / 2))
    if len(held) < (1 - MAX_UNDEFINED) * len(largest):
        return math.inf
    return max(least, float(np.quantile(held, level)))


def swap_p_value(
    margins: Margins, *, least: int, most: int, fixed: FloatArray, observed: float, swaps: int, seed: int
) -> float:
    """p of the largest |Δ| when the versions of each profile are swapped at random and thresholds set anew.

    Parameters
    ----------
    margins
        Pairs whose control arm sets the thresholds.
    least, most
        Counts of the control arm that the range holds.
    fixed
        Thresholds that stay.
    observed
        The largest |Δ| in the data.
    """
    if swaps < 99:
        raise ValueError(f"swaps must be at least 99, got {swaps}")
    n = len(margins.control)
    pooled = np.concatenate([margins.control, margins.protected])
    order = np.argsort(-pooled, kind="stable")
    values = pooled[order]
    profile = np.concatenate([margins.codes, margins.codes])[order]
    first = (order < n).astype(np.int8)  # of the version that is the control where nothing is swapped
    generator = np.random.default_rng((seed, 1))
    rows = max(1, BLOCK_CELLS // max(1, 2 * n))
    reached = 0
    for start in range(0, swaps, rows):
        size = min(rows, swaps - start)
        swapped = generator.integers(0, 2, size=(size, margins.clusters), dtype=np.int8)
        in_control = (first ^ swapped[:, profile]).astype(bool)
        largest = _largest(values, in_control, n=n, least=least, most=most, fixed=fixed)
        reached += int(np.sum(largest >= observed - 1e-9))
    return (1 + reached) / (1 + swaps)


def _largest(
    values: FloatArray, in_control: BoolArray, *, n: int, least: int, most: int, fixed: FloatArray
) -> FloatArray:
    """Largest |Δ| of each row over the thresholds of its own control arm, shape (rows,).

    ``values``, shape (2n,), fall; ``in_control``, shape (rows, 2n), holds n True a row.
    """
    rows = len(in_control)
    above = np.zeros((rows, 2 * n + 1), dtype=np.int32)
    np.cumsum(in_control, axis=1, out=above[:, 1:])
    control = values[np.nonzero(in_control)[1].reshape(rows, n)]
    control = np.concatenate([np.full((rows, 1), np.inf), control, np.full((rows, 1), -np.inf)], axis=1)
    upper, lower = control[:, least : most + 1], control[:, least + 1 : most + 2]
    # Equal neighbours are no threshold: the count between them cannot be had.
    real = (upper > lower) & ~np.isneginf(upper)
    cuts = np.where(real, midway(upper, np.where(real, lower, -np.inf)), np.inf)
    places = np.searchsorted(-values, -cuts, side="right")
    delta = np.abs(places - 2 * np.take_along_axis(above, places, axis=1))
    largest = np.max(np.where(real, delta, 0), axis=1, initial=0)
    for cut in fixed:
        place = int(np.searchsorted(-values, -cut, side="right"))
        largest = np.maximum(largest, np.abs(place - 2 * above[:, place]))
    result: FloatArray = largest / n
    return result
