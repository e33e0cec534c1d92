"""The effect against the cut-off, how many applications lie near it, and how many margins moved down.

A model of which no application lies near its own cut-off turns no decision, however far every margin moves; at another
cut-off the same model decides differently (docs/statistics.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from auditor.behaviour.metrics import CF_CURVE_EFFECT, CF_MARGIN_FELL_SHARE, CF_RANGE_EFFECT, NEAR_CUT_OFF
from auditor.behaviour.pair_measures import TEST, Contrast, concluded, readable_of, smallest_seen
from auditor.behaviour.turned import at_cut_off, turned_both_ways
from auditor.counterfactuals import arm
from auditor.language_models.tolerance import TOLERANCE
from auditor.plan import Attribute
from auditor.records import Role
from auditor.statistics.cut_offs import METHOD, SWAPS, CutOff, CutOffCurve, cut_off_curve
from auditor.statistics.equivalence import MIN_OUTCOMES, Equivalence, one_sided, pairs_for_margin
from auditor.statistics.margins import matched_operating_point, near_threshold
from auditor.statistics.minimums import PAIRS, draws_needed, unmet
from auditor.statistics.pairs import NO_PAIRS, PairCounts
from auditor.statistics.power import worst_level
from auditor.statistics.rates import Tally, selection_rate
from auditor.statistics.results import Estimate, Interval, missing
from auditor.testing.context import Context
from auditor.testing.factory import measurement
from auditor.testing.families import RANGE_FAMILY
from auditor.testing.unadjusted import UnadjustedMeasurement

MOST_POINTS = 21
WITHIN = 1.0
"""Nats: a case this near the cut-off is turned by a factor of e in the odds."""
HALF_WIDTH = 0.10
"""The default range reaches so far on both sides of the observed rate."""


def cut_off_measures(contrast: Contrast) -> Iterable[UnadjustedMeasurement]:
    """The largest effect over the range, the curve, and the share of pairs whose margin moved down."""
    if not contrast.has_margins:
        reason = contrast.why_no_margins if contrast.n else NO_PAIRS
        yield _largest(contrast, None, missing(method=METHOD, reason=reason, n=contrast.n))
        return
    thresholds = contrast.context.plan.thresholds
    rates, around = range_of(contrast)
    curve = cut_off_curve(
        control=contrast.pairs.control.margins,
        protected=contrast.pairs.protected.margins,
        clusters=contrast.pairs.profiles,
        rates=rates,
        natural=contrast.context.plan.operating_point.natural_margin,
        swaps=max(SWAPS, draws_needed(alpha=thresholds.alpha, family_size=contrast.family_size)),
        **contrast.readable,
        **contrast.options,
    )
    yield _largest(contrast, curve, curve.largest, around=around)
    yield from _curve(contrast, curve)
    yield _fell(contrast)


def range_of(contrast: Contrast) -> tuple[tuple[float, float], str]:
    """Lowest and highest approval rate of the reference arm that the contrast is drawn over, and where they are from.

    The plan's; else ten points around the data's recorded rate; else, where no outcome is recorded, around the model's
    own rate in the reference arm.
    """
    wanted, observed = contrast.context.plan.operating_point.range, contrast.context.observed_rate
    if isinstance(wanted, tuple):
        return wanted, "the plan's range of approval rates"
    own = float(contrast.pairs.control.favourable.mean())
    middle, around = (observed, "the recorded approval rate") if observed is not None else (own, OWN_RATE)
    return (max(0.0, middle - HALF_WIDTH), min(1.0, middle + HALF_WIDTH)), f"{around} ± 10 points"


OWN_RATE = "the model's own approval rate (the data record no outcome)"


def _largest(
    contrast: Contrast, curve: CutOffCurve | None, largest: Estimate, *, around: str = ""
) -> UnadjustedMeasurement:
    thresholds = contrast.context.plan.thresholds
    claim: Equivalence | None = None
    barriers: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    mde: float | None = None
    if curve is not None and curve.where is not None:
        claim = curve.equivalence(margin=thresholds.equivalence_rate, alpha=thresholds.alpha)
        barriers = _barriers(curve, pairs=contrast.profiles, margin=thresholds.equivalence_rate, alpha=thresholds.alpha)
        mde = _detectable(contrast, curve)
        cuts = [point.threshold for point in (*curve.points, *([curve.natural] if curve.natural else []))]
        absent = turned_both_ways(
            contrast, [at_cut_off(contrast, cut) for cut in cuts], place=" at a cut-off of the range"
        )
    draft = concluded(
        contrast,
        largest,
        metric=CF_RANGE_EFFECT,
        role=Role.PRIMARY,
        unit="rate_difference",
        family=RANGE_FAMILY,
        carries=True,
        practical=thresholds.practical_rate,
        mde=mde,
        claim=claim,
        equivalence_barriers=barriers,
        absence_barriers=absent,
        quality=_one_outcome(contrast, curve),
        note=f"over {around}" if around else "",
    )
    return draft if curve is None else _decided_by(draft, curve, thresholds.equivalence_rate)


def _decided_by(draft: UnadjustedMeasurement, curve: CutOffCurve, margin: float) -> UnadjustedMeasurement:
    """The draft with the interval that decides about equivalence at any level."""

    def deciding(alpha: float) -> Interval | None:
        found: Equivalence = curve.equivalence(margin=margin, alpha=alpha)
        return found.interval

    return replace(draft, deciding=deciding)


def _one_outcome(contrast: Contrast, curve: CutOffCurve | None) -> tuple[str, ...]:
    """Margins that do not vary have no cut-off inside the range; then nothing can be drawn."""
    if curve is None or curve.where is None:
        return ()
    margins = contrast.pairs.control.margins
    if float(np.ptp(margins)) <= TOLERANCE:
        return ("the reference arm's margins do not vary, so no cut-off tells its applications apart",)
    return ()


def _barriers(curve: CutOffCurve, *, pairs: int, margin: float, alpha: float) -> tuple[str, ...]:
    found = []
    both = max((min(point.rate, 1 - point.rate) * curve.n for point in curve.points), default=0.0)
    if round(both, 6) < MIN_OUTCOMES:
        found.append(
            f"too few of one outcome to say: at most {both:.0f} at any cut-off of the range, "
            f"at least {MIN_OUTCOMES} needed"
        )
    if curve.where is not None:
        b, c = curve.where.against, curve.where.towards
        found += one_sided(PairCounts(0, b, c, curve.n - b - c), alpha=alpha)
    needed = pairs_for_margin(margin=margin, alpha=alpha)
    if pairs < needed:
        found.append(f"too few pairs to say: {pairs}, at least {needed} needed even if no decision changed")
    return tuple(found)


def _detectable(contrast: Contrast, curve: CutOffCurve) -> float | None:
    """Smallest |Δ| seen with the plan's power at the cut-off where the error is largest.

    The band's own critical value, moved from the plan's alpha to the family's worst step as a normal quantile is.
    """
    thresholds = contrast.context.plan.thresholds
    worst = worst_level(alpha=thresholds.alpha, family_size=contrast.family_size)
    everywhere = [*curve.points, *([curve.natural] if curve.natural else [])]
    spans = [
        max(point.high - point.effect, point.effect - point.low) / error
        for point, error in zip(everywhere, curve.errors, strict=True)
        if error > 0
    ]
    if not spans:
        return None
    quantiles = [float(stats.norm.isf(level / 2)) for level in (worst, thresholds.alpha)]
    critical = max(spans) + quantiles[0] - quantiles[1]
    reach = (critical + float(stats.norm.ppf(thresholds.power))) * max(curve.errors)
    one_way = smallest_seen(
        PairCounts(0, 0, 0, contrast.profiles),
        alpha=thresholds.alpha,
        family_size=contrast.family_size,
        power=thresholds.power,
    )
    return None if one_way is None else max(reach, one_way)


def _curve(contrast: Contrast, curve: CutOffCurve) -> Iterable[UnadjustedMeasurement]:
    points = curve.thinned(MOST_POINTS)
    for point, name in zip(points, _names(points), strict=True):
        estimate = Estimate(
            value=point.effect,
            n=curve.n,
            method="net effect at one cut-off",
            interval=None
            if unmet({PAIRS: contrast.profiles})
            else Interval(point.low, point.high, curve.level, "simultaneous over the range, max-t bootstrap"),
        )
        common = contrast.common
        yield UnadjustedMeasurement(
            measurement(
                estimate,
                metric=CF_CURVE_EFFECT,
                role=Role.SUPPORTING,
                unit="rate_difference",
                counts={"rate": point.rate, "threshold": point.threshold, "b": point.against, "c": point.towards},
                **{**common, "subject": {**common["subject"], "cut_off": name}},
            )
        )


def _names(points: Sequence[CutOff]) -> list[str]:
    """The cut-offs in words, with as many decimals as tell them apart."""
    for decimals in (0, 1, 2, 4):
        names = [f"reference approves {100 * point.rate:.{decimals}f}%" for point in points]
        if len(set(names)) == len(names):
            return names
    return [f"reference approves {100 * point.rate}%" for point in points]


def _fell(contrast: Contrast) -> UnadjustedMeasurement:
    """How many margins moved down, up, or by no more than the arithmetic does."""
    moved = contrast.moved
    level = 1 - contrast.context.plan.thresholds.alpha
    return UnadjustedMeasurement(
        measurement(
            contrast.shown(selection_rate(Tally(int(moved["fell"] or 0), contrast.n), level=level, exact=True)),
            metric=CF_MARGIN_FELL_SHARE,
            role=Role.SECONDARY,
            unit="rate",
            higher_is_better=False,
            counts=moved,
            **contrast.common,
        )
    )


def near_cut_offs(context: Context, attribute: Attribute) -> Iterable[UnadjustedMeasurement]:
    """How many applications of the reference arm lie near the natural cut-off and near the matched one."""
    reference = context.arm(arm(attribute.field, attribute.reference))
    margins = reference.margins
    if not len(margins) or not np.isfinite(margins).all():
        return
    cuts = {"natural": context.plan.operating_point.natural_margin}
    if context.target_rate is not None:
        cuts["matched"] = matched_operating_point(
            reference=margins, target_rate=context.target_rate, readable=readable_of(reference)
        ).threshold
    for name, threshold in cuts.items():
        near = Estimate(
            value=float(near_threshold(margins, threshold=threshold, within=WITHIN)),
            n=len(margins),
            method=f"applications of the reference arm within {WITHIN:g} nat of the {name} cut-off",
        )
        yield UnadjustedMeasurement(
            measurement(
                near,
                test=TEST,
                metric=NEAR_CUT_OFF,
                role=Role.SUPPORTING,
                subject={"field": attribute.field, "cut_off": name},
                unit="count",
                higher_is_better=None,
                level=1 - context.plan.thresholds.alpha,
                cases=f"arm:{arm(attribute.field, attribute.reference)}",
                counts={"threshold": threshold, "within": WITHIN},
            )
        )
