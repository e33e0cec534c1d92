"""Matched pairs: the same base profile in its control and its protected version (docs/statistics.md).

Outcomes are 1 for favourable. ``b`` counts pairs where only the control version is favoured, ``c`` where only the
protected version is; differences are protected minus control, so a negative net effect is adverse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from auditor.statistics.bootstrap import bootstrap_totals, cluster_codes, cluster_totals
from auditor.statistics.permutation import sign_flip_test
from auditor.statistics.rates import Tally, clopper_pearson, newcombe_interval, selection_rate, wilson
from auditor.statistics.results import (
    MIN_RESAMPLES,
    BoolArray,
    Estimate,
    FloatArray,
    IntArray,
    Interval,
    Significance,
    booleans,
    check_level,
    missing,
    same_length,
    tost_level,
)

NO_PAIRS = "there are no pairs"
TANGO = "Tango score"
MIN_DISCORDANT = 10
"""From here on a bootstrap has flips to work on; below it the score interval takes its place."""


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Pairs by outcome: ``a`` both favourable, ``b`` control only, ``c`` protected only, ``d`` neither."""

    a: int
    b: int
    c: int
    d: int

    def __post_init__(self) -> None:
        cells = (self.a, self.b, self.c, self.d)
        if any(isinstance(cell, float) for cell in cells) or min(cells) < 0:
            raise ValueError(f"pair counts must be whole numbers of at least 0, got {cells}")

    @property
    def n(self) -> int:
        """All pairs."""
        return self.a + self.b + self.c + self.d

    @property
    def discordant(self) -> int:
        """Pairs whose two versions differ in outcome."""
        return self.b + self.c

    def as_counts(self) -> dict[str, int | float | str]:
        """Plain data for ``Estimate.counts``."""
        return {"a": self.a, "b": self.b, "c": self.c, "d": self.d}


def count_pairs(*, control: npt.ArrayLike, protected: npt.ArrayLike) -> PairCounts:
    """Count pairs from 0/1 outcomes of both versions, shape (n,) each, in the same order."""
    x, y = booleans(control, name="control"), booleans(protected, name="protected")
    same_length(control=x, protected=y)
    return PairCounts(int((x & y).sum()), int((x & ~y).sum()), int((~x & y).sum()), int((~x & ~y).sum()))


@dataclass(frozen=True, slots=True)
class FlipRates:
    """Share of pairs that flip: in all, against the protected version (b/n) and towards it (c/n)."""

    total: Estimate
    against: Estimate
    towards: Estimate


def flip_rates(counts: PairCounts, *, level: float) -> FlipRates:
    """Flip rate (b+c)/n and both directions, each with the exact Clopper–Pearson interval."""

    def rate(method: str, flips: int) -> Estimate:
        if counts.n == 0:
            return missing(method=method, reason=NO_PAIRS, n=0)
        tally = Tally(flips, counts.n)
        return Estimate(
            value=tally.rate,
            n=counts.n,
            method=method,
            interval=clopper_pearson(tally, level=level),
            counts=counts.as_counts(),
        )

    return FlipRates(
        total=rate("flip rate", counts.discordant),
        against=rate("flip rate against the protected version", counts.b),
        towards=rate("flip rate towards the protected version", counts.c),
    )


def mcnemar_exact(counts: PairCounts) -> Significance:
    """Exact two-sided McNemar test: p = min(1, 2·P[X ≤ min(b, c)]), X ~ Bin(b + c, ½).

    Always exact, at any size. ``sd_units`` is (c − b)/√(b + c), missing without discordant pairs (then p = 1). It needs
    one pair per base profile; with replicates use `clustered_net_effect`.
    """
    b, c = counts.b, counts.c
    if b + c == 0:
        return Significance(p_value=1.0, method="exact McNemar", statistic=0.0)
    p = min(1.0, 2 * float(stats.binom.cdf(min(b, c), b + c, 0.5)))
    return Significance(p_value=p, method="exact McNemar", statistic=float(c), sd_units=(c - b) / math.sqrt(b + c))


def zero_event_bound(n: int, *, confidence: float) -> float:
    """Upper bound on discordance, and so on |Δ|, when none of n pairs flipped: 1 − (1 − confidence)^(1/n) ≈ 3/n."""
    if n < 1:
        raise ValueError("at least one pair is needed")
    return -math.expm1(math.log1p(-check_level(confidence)) / n)


def tango_interval(counts: PairCounts, *, level: float) -> Interval:
    """Tango's score interval for the net effect (c − b)/n (Statistics in Medicine, 1998). ValueError without pairs."""
    n, b, c = counts.n, counts.b, counts.c
    if n == 0:
        raise ValueError(NO_PAIRS)
    z2 = float(stats.norm.isf((1 - check_level(level)) / 2)) ** 2
    if b + c == 0:
        bound = z2 / (n + z2)
        return Interval(-bound, bound, level, TANGO)

    def excess(delta: float) -> float:
        """Squared distance of the data from ``delta`` less what the level allows: its roots are the bounds."""
        return (c - b - n * delta) ** 2 - z2 * _score_variance(n=n, b=b, c=c, delta=delta)

    # At ±n of n the variance vanishes at the estimate itself, where the root is the edge of the scale or closed.
    if n in (b, c):
        edge = (n - z2) / (n + z2)
        return Interval(edge, 1.0, level, TANGO) if c == n else Interval(-1.0, -edge, level, TANGO)
    centre = (c - b) / n
    low = optimize.brentq(excess, -1.0, centre, xtol=1e-14)
    high = optimize.brentq(excess, centre, 1.0, xtol=1e-14)
    return Interval(float(low), float(high), level, TANGO)


def tango_p_values(counts: PairCounts, *, margin: float) -> tuple[float, float]:
    """One-sided score tests of Δ ≤ −margin and of Δ ≥ +margin: the tests that Tango's interval inverts.

    Returns
    -------
    tuple
        p against each; both small means the net effect lies within ±margin. ValueError without pairs.
    """
    n, b, c = counts.n, counts.b, counts.c
    if n == 0:
        raise ValueError(NO_PAIRS)
    if not 0 < margin < 1:
        raise ValueError(f"margin must lie strictly between 0 and 1, got {margin}")
    scores = [
        (c - b - n * bound) / math.sqrt(_score_variance(n=n, b=b, c=c, delta=bound)) for bound in (-margin, margin)
    ]
    return float(stats.norm.sf(scores[0])), float(stats.norm.cdf(scores[1]))


def _score_variance(*, n: int, b: int, c: int, delta: float) -> float:
    """Variance of c − b at the likeliest cell probabilities whose difference is ``delta``.

    With q = P(control only) and P(protected only) = q + δ, the likelihood is largest where
    2n·q² − [(b + c) − δ(2n + b − c)]·q − b·δ(1 − δ) = 0. A negative δ swaps the two versions.
    """
    if delta < 0:
        b, c, delta = c, b, -delta
    linear = (b + c) - delta * (2 * n + b - c)
    constant = b * delta * (1 - delta)
    root = math.sqrt(linear * linear + 8 * n * constant)
    # The second form avoids subtracting two near-equal numbers.
    q = (linear + root) / (4 * n) if linear >= 0 else 2 * constant / (root - linear)
    return n * (2 * q + delta * (1 - delta))


def newcombe_paired_interval(counts: PairCounts, *, level: float) -> Interval:
    """Newcombe's square-and-add interval for paired proportions (1998, method 10). ValueError without pairs.

    The correlation of the two versions is corrected for continuity as in the paper: a positive ad − bc is lowered by
    n/2, at most to 0.
    """
    n, a, b, c, d = counts.n, counts.a, counts.b, counts.c, counts.d
    if n == 0:
        raise ValueError(NO_PAIRS)
    protected, control = Tally(a + c, n), Tally(a + b, n)
    p, r = wilson(protected, level=level), wilson(control, level=level)
    product = (a + b) * (c + d) * (a + c) * (b + d)
    association = float(a * d - b * c)
    if association > 0:
        association = max(0.0, association - n / 2)
    phi = association / math.sqrt(product) if product else 0.0
    delta = (c - b) / n

    def reach(first: float, second: float) -> float:
        return math.sqrt(max(0.0, first**2 - 2 * phi * first * second + second**2))

    low = delta - reach(protected.rate - p.low, r.high - control.rate)
    high = delta + reach(p.high - protected.rate, control.rate - r.low)
    return Interval(max(-1.0, low), min(1.0, high), level, "Newcombe paired")


@dataclass(frozen=True, slots=True)
class NetEffect:
    """Net effect Δ with Tango's interval and exact McNemar in ``estimate``, Newcombe's interval beside it.

    ``zero_event_bound`` bounds |Δ| and discordance, one-sided at the level asked for, where no pair flipped; ``None``
    otherwise.
    """

    counts: PairCounts
    estimate: Estimate
    newcombe: Interval | None
    zero_event_bound: float | None


def net_effect(counts: PairCounts, *, level: float) -> NetEffect:
    """Net effect Δ = (c − b)/n of one pair per base profile: negative = fewer favourable outcomes when protected.

    The same counts serve a refusal or steering gap, where a positive difference is adverse.
    """
    method = "net effect"
    if counts.n == 0:
        return NetEffect(counts, missing(method=method, reason=NO_PAIRS, n=0), None, None)
    estimate = Estimate(
        value=(counts.c - counts.b) / counts.n,
        n=counts.n,
        method=method,
        interval=tango_interval(counts, level=level),
        tost_interval=tango_interval(counts, level=tost_level(level)),
        test=mcnemar_exact(counts),
        counts=counts.as_counts(),
    )
    bound = None if counts.discordant else zero_event_bound(counts.n, confidence=level)
    return NetEffect(counts, estimate, newcombe_paired_interval(counts, level=level), bound)


def clustered_net_effect(
    *,
    control: npt.ArrayLike,
    protected: npt.ArrayLike,
    clusters: npt.ArrayLike,
    level: float,
    resamples: int = MIN_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Net effect over all pairs when base profiles have several (replicates, names), which McNemar may not count apart.

    Parameters
    ----------
    control, protected
        Shape (pairs,), 0/1 outcomes.
    clusters
        Shape (pairs,), base profile of each pair.

    Returns
    -------
    Estimate
        Clustered bootstrap interval; profile-level sign-flip permutation test; ``n`` counts pairs.
    """
    counts = count_pairs(control=control, protected=protected)
    method = "net effect, pairs clustered by base profile"
    if counts.n == 0:
        return missing(method=method, reason=NO_PAIRS, n=0)
    difference = np.asarray(protected, dtype=np.float64) - np.asarray(control, dtype=np.float64)
    codes, k = cluster_codes(clusters, n=counts.n)
    totals = cluster_totals(np.column_stack([difference, np.ones(counts.n)]), codes=codes, clusters=k)
    sample = bootstrap_totals(totals=totals, statistic=mean_of_sums, resamples=resamples, seed=seed)

    def interval(wanted: float) -> Interval | None:
        resampled = sample.interval(wanted)
        if resampled is None or counts.discordant >= MIN_DISCORDANT:
            return resampled
        score = tango_interval(counts, level=wanted)
        if k == counts.n:
            return score
        return Interval(
            min(score.low, resampled.low),
            max(score.high, resampled.high),
            wanted,
            "Tango score and clustered bootstrap",
        )

    return Estimate(
        value=(counts.c - counts.b) / counts.n,
        n=counts.n,
        method=method,
        interval=interval(level),
        tost_interval=interval(tost_level(level)),
        test=sign_flip_test(totals[:, 0], seed=seed),
        counts={**counts.as_counts(), "profiles": k},
        sample=sample,
    )


def mean_of_sums(sums: FloatArray) -> FloatArray:
    """First column over second: a mean from a sum and a count."""
    result: FloatArray = sums[:, 0] / sums[:, 1]
    return result


@dataclass(frozen=True, slots=True)
class ExcessFlip:
    """Flip rate beside its noise floor. A high floor with a net effect near 0 is instability, not bias."""

    flip_rate: Estimate
    floor: Estimate
    excess: Estimate


def excess_flip(
    *,
    flips: npt.ArrayLike,
    clusters: npt.ArrayLike,
    floor_flips: npt.ArrayLike,
    floor_clusters: npt.ArrayLike,
    level: float,
    resamples: int = MIN_RESAMPLES,
    seed: int = 0,
) -> ExcessFlip:
    """Flip rate − noise floor, both bootstrapped together over base profiles, and whether it is above 0.

    The test is one-sided, since that an attribute turns fewer decisions than a placebo says nothing of the attribute,
    and looks at profiles that stand in both: exact McNemar of flip against floor flip, or with several pairs a profile
    a sign-flip permutation of the profiles' differences.

    Parameters
    ----------
    flips, clusters
        Shape (pairs,): whether the pair flipped, and its base profile.
    floor_flips, floor_clusters
        Shape (floor pairs,): the same for one floor: identical re-runs, paraphrases or placebo names. The profiles may
        be a subset of the others; profiles in both are resampled as one.
    """
    x, y = booleans(flips, name="flips"), booleans(floor_flips, name="floor_flips")
    rate = selection_rate(Tally.of(x), level=level, exact=True)
    floor = selection_rate(Tally.of(y), level=level, exact=True)
    method = "excess flip rate"
    n = len(x)
    if not n or not len(y):
        why = NO_PAIRS if not n else "there are no re-asked or placebo pairs to set a noise floor"
        return ExcessFlip(rate, floor, missing(method=method, reason=why, n=n))
    joint = np.concatenate([np.asarray(clusters), np.asarray(floor_clusters)])
    codes, k = cluster_codes(joint, n=n + len(y))
    columns = np.zeros((n + len(y), 4))
    columns[:n, 0], columns[:n, 1] = x, 1
    columns[n:, 2], columns[n:, 3] = y, 1
    sample = bootstrap_totals(
        totals=cluster_totals(columns, codes=codes, clusters=k),
        statistic=lambda sums: sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3],
        resamples=resamples,
        seed=seed,
    )
    codes_x, codes_y = codes[:n], codes[n:]
    few = _few_events(x, y, codes_x, codes_y)
    interval = sample.interval(level) if few is None else few(level)
    reason = None if interval else "too many resamples hold no floor pair, so no interval is given"
    excess = Estimate(
        value=float(x.mean() - y.mean()),
        n=n,
        method=method,
        interval=interval,
        tost_interval=sample.interval(tost_level(level)) if few is None else few(tost_level(level)),
        test=_more_than_floor(x, y, codes_x, codes_y, profiles=k, seed=seed),
        reason=reason,
        counts={"flips": int(x.sum()), "floor_flips": int(y.sum()), "floor_n": len(y)},
        sample=sample,
    )
    return ExcessFlip(rate, floor, excess)


def _more_than_floor(
    x: BoolArray, y: BoolArray, codes_x: IntArray, codes_y: IntArray, *, profiles: int, seed: int
) -> Significance | None:
    """One-sided test that profiles flip more often than their floor does; ``None`` where none stands in both."""
    n, m = np.bincount(codes_x, minlength=profiles), np.bincount(codes_y, minlength=profiles)
    both = (n > 0) & (m > 0)
    if not both.any():
        return None
    flips, floor = (
        np.bincount(codes, weights=hits, minlength=profiles)[both]
        for codes, hits in zip((codes_x, codes_y), (x, y), strict=True)
    )
    if n[both].max() == 1 and m[both].max() == 1:
        more, fewer = int((flips > floor).sum()), int((flips < floor).sum())
        p = float(stats.binom.sf(more - 1, more + fewer, 0.5)) if more + fewer else 1.0
        return Significance(p, "exact McNemar against the floor, one-sided", float(more))
    test = sign_flip_test(flips / n[both] - floor / m[both], seed=seed)
    upwards = (test.statistic or 0) > 0
    p = test.p_value / 2 if upwards else 1 - test.p_value / 2
    return Significance(p, f"{test.method}, against the floor, one-sided", test.statistic, test.sd_units)


def _few_events(x: BoolArray, y: BoolArray, codes_x: IntArray, codes_y: IntArray) -> Callable[[float], Interval] | None:
    """The interval of an excess that too few events make for a bootstrap; ``None`` where there are enough.

    No flip in either: each rate is below its zero-event bound, so the excess lies between minus the floor's and the
    flip rate's; a true excess can leave that range on one side only, and each side has the full level. The same
    profiles in both, one pair each: a matched pair of flip and floor, with Tango's interval. Otherwise Newcombe's for
    two groups, which leaves out what the profiles have in common and is wider for it.
    """
    n, m = len(x), len(y)
    if not x.any() and not y.any():

        def bounds(level: float) -> Interval:
            low, high = zero_event_bound(m, confidence=level), zero_event_bound(n, confidence=level)
            return Interval(-low, high, level, "zero-event bounds, one-sided")

        return bounds
    matched = n == m and len(np.unique(codes_x)) == n and np.array_equal(np.sort(codes_x), np.sort(codes_y))
    if matched:
        counts = count_pairs(control=y[np.argsort(codes_y)], protected=x[np.argsort(codes_x)])
        if counts.discordant >= MIN_DISCORDANT:
            return None
        return lambda level: tango_interval(counts, level=level)
    if min(x.sum(), y.sum()) >= MIN_DISCORDANT:
        return None
    tallies = {"protected": Tally.of(x), "reference": Tally.of(y)}
    return lambda level: newcombe_interval(**tallies, level=level)
