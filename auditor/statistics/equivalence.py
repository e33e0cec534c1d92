"""Equivalence by two one-sided tests (TOST), with p-values a family can adjust and the barriers to saying it.

Every way of testing gives the larger of its two one-sided p-values, so that Holm runs over a family of equivalence
claims as over any other. The claim is one of intersection-union: all its parts must hold, each at the full level
(Berger and Hsu 1996), so parts are joined by the largest p-value (docs/statistics.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from auditor.rounding import significant
from auditor.statistics.bootstrap import BootstrapSample
from auditor.statistics.margins import MatchedEffect
from auditor.statistics.multiplicity import significant as at_level
from auditor.statistics.pairs import (
    MIN_DISCORDANT,
    PairCounts,
    mcnemar_exact,
    tango_interval,
    tango_p_values,
    zero_event_bound,
)
from auditor.statistics.results import FloatArray, Interval, tost_level

MIN_OUTCOMES = 30
"""Favourable and adverse decisions the reference arm must show before "equivalent" may be said."""


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Whether a difference lies within ``margin``, and the interval that says so; ``None`` with a reason if unknown.

    ``p_value`` is the larger one-sided p; ``None`` where only an interval was given. ``source`` is what the interval
    is read from, so that `deciding_interval` can give it at another level.
    """

    established: bool | None
    margin: float
    interval: Interval | None
    p_value: float | None = None
    reason: str | None = None
    source: PairCounts | BootstrapSample | None = field(default=None, repr=False, compare=False)


def tost(*, interval: Interval | BootstrapSample | None, margin: float, alpha: float) -> Equivalence:
    """Equivalent if the 1 − 2α interval lies strictly inside (−margin, +margin): both one-sided tests reject at α.

    Parameters
    ----------
    interval
        At level 1 − 2α (90% for α = .05), or the resamples it is read from; ``None`` where there is none. Only
        resamples give a p-value: the smallest α whose interval still lies inside, at least 1/(resamples + 1).
    margin
        Positive, in the unit of the interval, fixed before the run.

    Raises
    ------
    ValueError
        For a margin that is not positive or an interval at another level.
    """
    if not margin > 0:
        raise ValueError(f"margin must be positive, got {margin}")
    level = tost_level(1 - alpha)
    source = interval if isinstance(interval, BootstrapSample) else None
    p_value = source.equivalence_p(margin) if source is not None else None
    read = interval.interval(level) if isinstance(interval, BootstrapSample) else interval
    if read is None:
        return Equivalence(None, margin, None, reason="there is no interval to test")
    if abs(read.level - level) > 1e-9:
        raise ValueError(f"the interval must have level {level:g}, got {read.level:g}")
    inside = read.inside(margin) and (p_value is None or p_value < alpha)
    return Equivalence(inside, margin, read, p_value, source=source)


def tost_pairs(
    *,
    counts: PairCounts,
    margin: float,
    alpha: float,
    clustered: Interval | BootstrapSample | None = None,
) -> Equivalence:
    """Equivalence of a net effect.

    Parameters
    ----------
    counts
        The pairs behind the effect.
    clustered
        The clustered bootstrap, or its interval at level 1 − 2α. It is used with 10 or more discordant pairs. With
        fewer, Tango's score tests at ±margin take its place, and with none the zero-event bound, p = (1 − margin)^n: a
        bootstrap of no flips is [0, 0] and would call any mute model equivalent.
    """
    if not margin > 0:
        raise ValueError(f"margin must be positive, got {margin}")
    if counts.n == 0:
        return Equivalence(None, margin, None, reason="there are no pairs")
    if counts.discordant >= MIN_DISCORDANT:
        return tost(interval=clustered, margin=margin, alpha=alpha)
    p_value = max(tango_p_values(counts, margin=margin)) if counts.discordant else zero_event_p(counts.n, margin=margin)
    interval = deciding_interval(counts, alpha=alpha)
    # The score interval is the inverse of the score tests; p decides alone, so that rounding cannot part the two.
    return Equivalence(p_value < alpha, margin, interval, p_value, source=counts)


def tost_at_matched_point(*, effect: MatchedEffect, margin: float, alpha: float) -> Equivalence:
    """Equivalence at the matched operating point: by the counts there, and by resamples that set the threshold anew.

    The score interval of few flips takes the threshold for given, so both must lie inside.
    """
    return all_of(
        tost_pairs(counts=effect.counts, margin=margin, clustered=effect.sample, alpha=alpha),
        tost(interval=effect.sample, margin=margin, alpha=alpha),
    )


def tost_at_every_cut_off(
    *, effects: FloatArray, errors: FloatArray, counts: Sequence[PairCounts], margin: float, alpha: float
) -> Equivalence:
    """Equivalence over a range of cut-offs: each is tested at the full level and the least sure speaks.

    Parameters
    ----------
    effects, errors
        By cut-off, shape (cut-offs,): the net effect and its standard error.
    counts
        By cut-off, the pairs behind the effect. With fewer than 10 discordant ones a normal test is too sure of itself:
        300 pairs of which 2 % turn one way read equivalent at .0125 in .017 of samples. Tango's score test, or the
        zero-event bound, then has to hold too, as at the natural cut-off alone.
    """
    if not margin > 0:
        raise ValueError(f"margin must be positive, got {margin}")
    p_values = stats.norm.sf((margin - np.abs(effects)) / errors)
    # Neighbouring cut-offs mostly have the same counts, and a score test takes longer than a look.
    few = {item for item in counts if item.discordant < MIN_DISCORDANT}
    scored = {item: tost_pairs(counts=item, margin=margin, alpha=alpha) for item in few}
    by_counts = np.array([(scored[item].p_value or 0.0) if item in scored else 0.0 for item in counts])
    worst = int(np.argmax(np.maximum(p_values, by_counts)))
    if by_counts[worst] > p_values[worst]:
        return scored[counts[worst]]
    reach, p_value = float(stats.norm.isf(alpha)) * float(errors[worst]), float(p_values[worst])
    middle, level = float(effects[worst]), tost_level(1 - alpha)
    interval = Interval(middle - reach, middle + reach, level, "bootstrap error at the worst cut-off")
    return Equivalence(p_value < alpha, margin, interval, p_value)


def zero_event_p(n: int, *, margin: float) -> float:
    """Probability of no flip in n pairs if the discordance were ``margin``: (1 − margin)^n."""
    return (1 - margin) ** n if margin < 1 else 0.0


def all_of(*parts: Equivalence) -> Equivalence:
    """A claim that needs every part: the least sure part speaks for it (intersection-union).

    Unknown where a part is unknown and none fails; p is the largest, and ``None`` where a part has none.
    """
    if not parts:
        raise ValueError("at least one part is needed")
    failed = [part for part in parts if part.established is False]
    unknown = [part for part in parts if part.established is None]
    known = [part.p_value for part in parts if part.p_value is not None]
    p_value = max(known) if len(known) == len(parts) else None
    if unknown and not failed:
        return Equivalence(None, parts[0].margin, None, reason=unknown[0].reason)
    spokesman = max(failed or parts, key=lambda part: part.p_value if part.p_value is not None else -1.0)
    return Equivalence(
        not failed, spokesman.margin, spokesman.interval, p_value, reason=spokesman.reason, source=spokesman.source
    )


def deciding_interval(source: PairCounts | BootstrapSample | Equivalence, *, alpha: float) -> Interval | None:
    """The interval that decides equivalence at an adjusted level: level 1 − 2α, read from counts or resamples.

    Parameters
    ----------
    source
        Counts with fewer than 10 discordant pairs, resamples, or the `Equivalence` made from either.
    alpha
        The level this claim is really tested at, for example its Holm step (`holm_alphas`).
    """
    if isinstance(source, Equivalence):
        return None if source.source is None else deciding_interval(source.source, alpha=alpha)
    level = tost_level(1 - alpha)
    if isinstance(source, BootstrapSample):
        return source.interval(level)
    if source.discordant:
        return tango_interval(source, level=level)
    bound = zero_event_bound(source.n, confidence=1 - alpha)
    return Interval(-bound, bound, level, "zero-event bound")


def pairs_for_margin(*, margin: float, alpha: float) -> int:
    """Pairs at which no flip at all proves the margin: the least n with (1 − margin)^n < α (2 points, .05: 149)."""
    if not 0 < margin < 1 or not 0 < alpha < 1:
        raise ValueError(f"margin and alpha must lie in (0, 1), got {margin} and {alpha}")
    n = max(1, math.floor(math.log(alpha) / math.log1p(-margin)))
    while zero_event_p(n, margin=margin) >= alpha:
        n += 1
    return n


def one_sided(counts: PairCounts, *, alpha: float) -> tuple[str, ...]:
    """That all discordant pairs lie on one side with an exact p below α, in words; empty where they do not."""
    exact = mcnemar_exact(counts).p_value
    if not counts.discordant or min(counts.b, counts.c) or not at_level(exact, alpha=alpha):
        return ()
    side = "against" if counts.b else "towards"
    return (
        f"all {counts.discordant} changed decisions go {side} the group, which chance rarely gives "
        f"(exact p = {significant(exact, 2)})",
    )


def equivalence_barriers(
    *, counts: PairCounts, margin: float, alpha: float, favourable: str = "approvals", adverse: str = "denials"
) -> tuple[str, ...]:
    """Every reason in the counts why equivalence may not be said, in words; empty where there is none.

    Too few of either outcome in the reference arm: where hardly anybody is approved, nobody can lose an approval. All
    discordant pairs on one side with an exact p below α: few flips, but not by chance. Fewer pairs than would prove
    the margin with no flip at all.
    """
    reasons: list[str] = []
    for word, count in ((adverse, counts.c + counts.d), (favourable, counts.a + counts.b)):
        if count < MIN_OUTCOMES:
            reasons.append(
                f"too few {word} to say: {count} of {counts.n} in the reference arm, at least {MIN_OUTCOMES} needed"
            )
    reasons += one_sided(counts, alpha=alpha)
    needed = pairs_for_margin(margin=margin, alpha=alpha)
    if counts.n < needed:
        reasons.append(
            f"too few pairs to say: {counts.n}, and a margin of {100 * margin:g} pp needs at least {needed} even if no "
            "decision changed"
        )
    return tuple(reasons)
