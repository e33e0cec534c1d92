"""Every measure of decisions already taken, each a function of a contrast's columns (docs/statistics.md).

Protected minus reference throughout. Where a file lacks what a measure needs, the estimate says so and has no value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auditor.observed.columns import ADVERSE, FAVOURABLE, OTHER, Levels, Numbers, Observed, Probabilities, tallies_by
from auditor.observed.contrasts import ObservedContrast
from auditor.observed.later_known import MOST_MOVED, unlike_known
from auditor.statistics.adjusted import AdjustedDifference, adjusted_amounts, adjusted_rates
from auditor.statistics.agreement import RaterAgreement, agreement
from auditor.statistics.calibration import CalibrationGap, calibration_gap, quantile_edges
from auditor.statistics.clustered import (
    ClusteredRows,
    Kind,
    mean_error,
    sure_enough,
    together,
    widened_gap,
    widened_rate,
)
from auditor.statistics.clustered_strata import widened_impact
from auditor.statistics.groups import ImpactRatios, impact_ratios
from auditor.statistics.mean_gaps import mean_gap
from auditor.statistics.overlap import MarginalApplicants, marginal_applicants, qualification_index
from auditor.statistics.probable_groups import ProbableGap, probable_gap
from auditor.statistics.rates import (
    Tally,
    adverse_impact_ratio,
    denial_odds_ratio,
    risk_difference,
    selection_rate,
    shortfall,
)
from auditor.statistics.results import MIN_RESAMPLES, BoolArray, Estimate, FloatArray, IntArray, missing
from auditor.statistics.scores import LabelledComparison, compare_labelled, pooled_sd, residual_smd, smd
from auditor.statistics.segmented import SegmentedImpact, segmented_impact

BINS = 10


@dataclass(frozen=True, slots=True)
class Sampling:
    """How resamples are drawn: the level of intervals, how many, and the seed."""

    level: float
    resamples: int = MIN_RESAMPLES
    seed: int = 0


@dataclass(frozen=True, slots=True)
class RateGaps:
    """One 2×2 table of decisions, and the table of those decided neither way."""

    difference: Estimate
    ratio: Estimate
    odds_ratio: Estimate
    shortfall: Estimate
    neither: Estimate


def rate_gaps(contrast: ObservedContrast, *, level: float) -> RateGaps:
    """Difference, ratio, denial odds and shortfall of decisions, and the gap of applications decided neither way."""
    protected, reference = contrast.decisions
    decided = ClusteredRows(contrast.favourable, contrast.protected, contrast.clusters(contrast.rows))
    other = contrast.observed.outcome[contrast.everybody] == OTHER
    everybody = ClusteredRows(other, contrast.everybody_protected, contrast.clusters(contrast.everybody))
    neither = risk_difference(protected=contrast.neither[0], reference=contrast.neither[1], level=level)
    found: dict[str, Estimate] = {}
    kinds: tuple[tuple[Kind, Callable[..., Estimate]], ...] = (
        ("difference", risk_difference), ("ratio", adverse_impact_ratio), ("odds", denial_odds_ratio),
        ("shortfall", shortfall),
    )  # fmt: skip
    for kind, make in kinds:
        found[kind] = widened_gap(make(protected=protected, reference=reference, level=level), decided, kind=kind)
    return RateGaps(
        difference=found["difference"],
        ratio=found["ratio"],
        odds_ratio=found["odds"],
        shortfall=found["shortfall"],
        neither=widened_gap(neither, everybody, kind="difference"),
    )


def rate_of(observed: Observed, said: BoolArray, members: BoolArray, *, level: float) -> Estimate:
    """The share of ``said`` among ``members``, both of shape (n,); rows that belong together count so."""
    rows = np.flatnonzero(members).astype(np.int64)
    return widened_rate(selection_rate(Tally.of(said[rows]), level=level), said[rows], observed.clusters(rows))


def _difference(contrast: ObservedContrast, said: BoolArray, among: BoolArray, *, level: float) -> Estimate:
    """The gap of what is said of decided applications, shape of ``rows``, ``among`` some of them."""
    protected, reference = contrast.tallies(said, among=among)
    plain = risk_difference(protected=protected, reference=reference, level=level)
    rows = ClusteredRows(said[among], contrast.protected[among], contrast.clusters(contrast.rows[among]))
    return widened_gap(plain, rows, kind="difference")


def score_gap(contrast: ObservedContrast, score: Numbers, how: Sampling) -> Estimate:
    """Standardised mean difference of the system's score over decided applications that have one."""
    rows, protected, values = contrast.numbers(score)
    return _in_sds(contrast, rows, protected, values, how)


def _in_sds(
    contrast: ObservedContrast, rows: IntArray, protected: BoolArray, values: FloatArray, how: Sampling
) -> Estimate:
    clusters = contrast.clusters(rows)
    found = smd(
        scores=values,
        protected=protected,
        reference=~protected,
        clusters=clusters,
        level=how.level,
        resamples=how.resamples,
        seed=how.seed,
    )
    return sure_enough(found, together(protected, clusters))


def group_ratios(
    observed: Observed,
    levels: Levels,
    said: BoolArray,
    among: BoolArray,
    *,
    reference: str,
    groups: Sequence[str] = (),
    min_share: float,
    level: float,
) -> ImpactRatios:
    """Every group's share of ``said`` among ``among``, both of shape (n,), over that of one of them.

    Of the groups named, or of all that occur. Rows that belong together count so.
    """
    found = tallies_by(levels, said, among=among)
    wanted = groups or [name for name, tally in found.items() if tally.n]
    plain = impact_ratios(
        tallies={name: found.get(name, Tally(0, 0)) for name in wanted},
        reference=reference,
        min_share=min_share,
        level=level,
    )
    members = {name: levels.mask(name) & among for name in wanted}
    rates = {name: rate_of(observed, said, members[name], level=level) for name in plain.rates}
    base = members[plain.reference] if plain.reference else np.zeros_like(among)
    ratios = {
        name: widened_gap(ratio, _two(observed, said, members[name], base), kind="ratio")
        for name, ratio in plain.ratios.items()
    }
    return replace(plain, rates=rates, ratios=ratios)


def _two(observed: Observed, said: BoolArray, protected: BoolArray, reference: BoolArray) -> ClusteredRows:
    rows = np.flatnonzero(protected | reference).astype(np.int64)
    return ClusteredRows(said[rows], protected[rows], observed.clusters(rows))


def scoring_rates(
    observed: Observed, levels: Levels, score: Numbers, *, reference: str, min_share: float, level: float
) -> ImpactRatios:
    """LL144 scoring rates: each group's share of scores above the median of the full sample, and their ratios."""
    known = score.stated
    middle = float(np.median(score.values[known])) if known.any() else 0.0
    with np.errstate(invalid="ignore"):
        above = score.values > middle
    return group_ratios(observed, levels, above, known, reference=reference, min_share=min_share, level=level)


def at_equal_factors(contrast: ObservedContrast, *, level: float) -> AdjustedDifference:
    """Average marginal effect and conditional denial odds ratio at equal legitimate factors, with clustered errors."""
    return adjusted_rates(
        favourable=contrast.favourable,
        rows=contrast.rows,
        group=contrast.protected,
        controls=contrast.observed.held_equal(),
        clusters=contrast.clusters(contrast.rows),
        level=level,
    )


def by_segment(contrast: ObservedContrast, segments: Levels, *, level: float) -> SegmentedImpact | None:
    """Impact within segments; ``None`` where none holds a case of either group."""
    codes = segments.codes[contrast.rows].astype(np.int64) + 1
    names = ("not stated", *segments.names)
    index = (codes * 2 + contrast.protected) * 2 + contrast.favourable
    counts = np.bincount(index, minlength=4 * len(names)).reshape(len(names), 2, 2)
    strata = {
        name: (Tally(int(both[1, 1]), int(both[1].sum())), Tally(int(both[0, 1]), int(both[0].sum())))
        for name, both in zip(names, counts, strict=True)
        if both.sum()
    }
    if not strata:
        return None
    rows = ClusteredRows(contrast.favourable, contrast.protected, contrast.clusters(contrast.rows), codes)
    return widened_impact(segmented_impact(strata=strata, level=level), rows, names=names)


@dataclass(frozen=True, slots=True)
class LaterGaps:
    """What became of the applications of two groups.

    ``kept`` is the gap of good later outcomes among favourable decisions: positive where those of the group that were
    favoured did better, as they do under a stricter line. ``labelled`` compares decisions with the later outcome of
    everybody who has one, ``None`` with ``reason`` where only favourable decisions have one, or which have one follows
    from the decision. ``calibration`` and
    ``residual`` need a score.
    """

    kept: Estimate
    labelled: LabelledComparison | None
    reason: str
    calibration: CalibrationGap | None
    residual: Estimate | None


def later_gaps(contrast: ObservedContrast, how: Sampling, *, moved: float = MOST_MOVED) -> LaterGaps:
    """Equal opportunity, equalised odds, calibration and residuals against what became of the applications.

    ``moved`` is the most that a gap may move where later outcomes are known unlike of favourable and adverse decisions.
    """
    observed = contrast.observed
    if observed.later is None:
        raise ValueError("the file records no later outcome")
    later = observed.later[contrast.rows]
    known = later != OTHER
    good = later == FAVOURABLE
    favoured = known & contrast.favourable
    kept = _difference(contrast, good, favoured, level=how.level)
    reason = _only_favourable(contrast, known) or unlike_known(contrast, known, good, alpha=1 - how.level, moved=moved)
    labelled = None
    if not reason:
        labelled = _against_later(contrast, known, good, how)
    calibration, residual = None, None
    if observed.score is not None:
        calibration, residual = _of_score(contrast, observed.score, known, good, how)
    return LaterGaps(kept, labelled, reason, calibration, residual)


def _against_later(contrast: ObservedContrast, known: BoolArray, good: BoolArray, how: Sampling) -> LabelledComparison:
    """Decisions against later outcomes; equal opportunity has the test of two rates, for it is the gap of two."""
    protected, clusters = contrast.protected[known], contrast.clusters(contrast.rows[known])
    found = compare_labelled(
        labels=good[known],
        decisions=contrast.favourable[known],
        protected=protected,
        reference=~protected,
        clusters=clusters,
        level=how.level,
        resamples=how.resamples,
        seed=how.seed,
    )
    opportunity = found.equal_opportunity
    if opportunity.value is not None:
        test = _difference(contrast, contrast.favourable, known & good, level=how.level).test
        opportunity = replace(opportunity, test=test)
    of_good = together(protected[good[known]], None if clusters is None else clusters[good[known]])
    # Both rates of both groups: the fewest clusters are those of the rarest of four.
    belong = together(protected * 2 + good[known], clusters)
    return replace(
        found,
        equal_opportunity=sure_enough(opportunity, of_good),
        equalised_odds_difference=sure_enough(found.equalised_odds_difference, belong),
        equalised_odds_ratio=sure_enough(found.equalised_odds_ratio, belong),
    )


def _only_favourable(contrast: ObservedContrast, known: BoolArray) -> str:
    if not known.any():
        return "no decided application of either group has a later outcome"
    for name, members in ((contrast.group, contrast.protected), (contrast.reference, ~contrast.protected)):
        here = known & members
        if here.any() and contrast.favourable[here].all():
            return (
                f"only favourable decisions of {name} have a later outcome, so the share of favourable decisions among "
                "good and bad ones is 1 whatever was decided"
            )
    return ""


def _of_score(
    contrast: ObservedContrast, score: Numbers, known: BoolArray, good: BoolArray, how: Sampling
) -> tuple[CalibrationGap | None, Estimate]:
    scored = known & score.stated[contrast.rows]
    rows = contrast.rows[scored]
    values, labels, protected = score.values[rows], good[scored], contrast.protected[scored]
    if not len(rows):
        reason = "no application with a later outcome has a score"
        return None, missing(method="residual standardised mean difference", reason=reason, n=0)
    # Bins are quantiles of every score in the file, so that they are the same for every contrast.
    edges = quantile_edges(score.values[score.stated], bins=BINS)
    clusters = contrast.clusters(rows)
    calibration = calibration_gap(
        scores=values,
        labels=labels,
        protected=protected,
        edges=edges,
        clusters=clusters,
        level=how.level,
        resamples=how.resamples,
        seed=how.seed,
    )
    predicted = values if contrast.observed.score_is_probability else _on_a_line(values, labels)
    residual = residual_smd(
        labels=labels.astype(np.float64),
        predictions=predicted,
        protected=protected,
        reference=~protected,
        clusters=clusters,
        level=how.level,
        resamples=how.resamples,
        seed=how.seed,
    )
    return calibration, sure_enough(residual, together(protected, clusters))


def _on_a_line(values: FloatArray, labels: BoolArray) -> FloatArray:
    """The share of good outcomes that a straight line in the score says, for a score that is no probability."""
    centred = values - values.mean()
    spread = float(centred @ centred)
    slope = float(centred @ labels) / spread if spread else 0.0
    found: FloatArray = labels.mean() + slope * centred
    return found


@dataclass(frozen=True, slots=True)
class AmountGaps:
    """A price or an amount of two groups: in its unit, in SDs, and in its unit at equal legitimate factors.

    ``spread`` is the pooled SD behind the second; ``None`` where there is none.
    """

    plain: Estimate
    in_sds: Estimate
    adjusted: AdjustedDifference
    spread: float | None


def amount_gaps(contrast: ObservedContrast, part: Numbers, how: Sampling) -> AmountGaps:
    """Gaps of a price or an amount among favourable decisions that state it."""
    rows, protected, values = contrast.numbers(part, among=contrast.favourable)
    return AmountGaps(
        plain=mean_gap(
            protected=values[protected],
            reference=values[~protected],
            level=how.level,
            error=mean_error(values, protected, contrast.clusters(rows)),
        ),
        in_sds=_in_sds(contrast, rows, protected, values, how),
        adjusted=adjusted_amounts(
            amounts=values,
            rows=rows,
            group=protected,
            controls=contrast.observed.held_equal(but=(part.name,)),
            clusters=contrast.clusters(rows),
            level=how.level,
        ),
        spread=pooled_sd(values[protected], values[~protected]),
    )


def likely_gap(observed: Observed, likely: Probabilities, *, group: str, reference: str, how: Sampling) -> ProbableGap:
    """Gap of favourable decisions where groups are known by probability, weighted and thresholded."""
    known = observed.decided & ~np.isnan(likely.values[:, 0])
    columns = {name: likely.values[known, at].astype(np.float64) for at, name in enumerate(likely.names)}
    return probable_gap(
        protected=columns[group],
        reference=columns[reference],
        outcomes=observed.favourable[known],
        # As exact as the probabilities are kept: 0.9 of the file is 0.9 of the mapping.
        cut=float(np.float32(likely.cut)),
        clusters=observed.clusters(np.flatnonzero(known).astype(np.int64)),
        level=how.level,
        resamples=how.resamples,
        seed=how.seed,
    )


def marginal(contrast: ObservedContrast, how: Sampling) -> MarginalApplicants | str:
    """Marginal applicants of both groups by an index of their legitimate factors, or why there is no such index."""
    index = qualification_index(
        favourable=contrast.favourable,
        rows=contrast.rows,
        group=contrast.protected,
        controls=contrast.observed.held_equal(),
        clusters=contrast.clusters(contrast.rows),
        seed=how.seed,
    )
    if isinstance(index, str):
        return index
    return marginal_applicants(
        index=index,
        favourable=contrast.favourable,
        group=contrast.protected,
        clusters=contrast.clusters(contrast.rows),
        level=how.level,
    )


@dataclass(frozen=True, slots=True)
class AgreementGaps:
    """Agreement with a person by group, and the gaps of it and of what the person changed."""

    protected: RaterAgreement
    reference: RaterAgreement
    agreed: Estimate
    raised: Estimate
    lowered: Estimate


def agreement_gaps(contrast: ObservedContrast, *, level: float) -> AgreementGaps:
    """How the decisions of two groups agree with what a person decided on the same applications."""
    if contrast.observed.human is None:
        raise ValueError("the file records no decision of a person")
    person = contrast.observed.human[contrast.rows]
    known = person != OTHER
    parts = []
    for members in (contrast.protected, ~contrast.protected):
        here = known & members
        parts.append(
            agreement(
                system=contrast.favourable[here],
                person=person[here] == FAVOURABLE,
                clusters=contrast.clusters(contrast.rows[here]),
                level=level,
            )
        )
    protected, reference = parts
    good = person == FAVOURABLE
    same = good == contrast.favourable
    return AgreementGaps(
        protected,
        reference,
        agreed=_difference(contrast, same, known, level=level),
        raised=_difference(contrast, good, known & ~contrast.favourable, level=level),
        lowered=_difference(contrast, ~good, known & contrast.favourable, level=level),
    )


def reason_gaps(contrast: ObservedContrast, *, level: float) -> dict[str, Estimate]:
    """By reason, the gap of the share of adverse decisions that give it; a decision may give several."""
    observed = contrast.observed
    adverse = observed.outcome[contrast.rows] == ADVERSE
    rows = contrast.rows[adverse]
    names = sorted({name for part in observed.reasons for name in part.names})
    found = {}
    for name in names:
        given = np.zeros(len(rows), dtype=np.bool_)
        for part in observed.reasons:
            if name in part.names:
                given |= part.codes[rows] == part.names.index(name)
        said = np.zeros(len(adverse), dtype=np.bool_)
        said[adverse] = given
        found[name] = _difference(contrast, said, adverse, level=level)
    return found
