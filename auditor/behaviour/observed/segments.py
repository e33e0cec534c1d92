"""Decisions within segments: impact where like products are compared, and whether segments differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from auditor.behaviour.metrics import (
    ADJUSTED_DIFFERENCE,
    IMPACT_RATIO,
    MANTEL_HAENSZEL_ODDS_RATIO,
    MANTEL_HAENSZEL_RATIO,
    RISK_DIFFERENCE,
    SEGMENTED_DIFFERENCE,
    SEGMENTED_RATIO,
    SEGMENTS_DIFFER,
)
from auditor.behaviour.observed.drafts import ObservedSheet, Pairing, sheet_of, untested
from auditor.observed.columns import Levels
from auditor.observed.measures import by_segment
from auditor.rounding import printed, significant
from auditor.statistics.minimums import GROUP, REFERENCE_GROUP, unmet
from auditor.statistics.multiplicity import significant as at_level
from auditor.statistics.rates import Tally
from auditor.statistics.results import Estimate, missing
from auditor.statistics.segmented import SegmentedImpact
from auditor.statistics.small_cells import suppress
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.families import EXPLORATORY_FAMILY
from auditor.testing.unadjusted import AbsenceBar, UnadjustedMeasurement

CARD = Card(
    name="observed_segments",
    purpose="Whether a gap in decisions is one within segments such as products, and whether it is alike in them.",
    method=(
        "Within the mapping's segments: Mantel–Haenszel difference (Sato), summary ratio of observed over expected, "
        "Mantel–Haenszel ratio and odds ratio, Cochran–Mantel–Haenszel test without continuity correction; Breslow–Day "
        "with Tarone's correction for whether segments differ. Each segment's own ratio stands beside. Where decisions "
        "belong together, every interval and test is widened for it (Breslow–Day after Rao and Scott)."
    ),
    worrying="A gap in every segment; or one segment with a gap that the others hide.",
    limitations=(
        "Who applies for what may itself follow from the attribute. Where segments differ, or one has a gap of its "
        "own, no summary over them shows the absence of a difference, and the segments are told first."
    ),
    references=("Mantel and Haenszel (1959)", "Tarone (1985)"),
    needs_decision_file=True,
    label="Different applicants: within segments",
    metrics=(
        Metric(SEGMENTED_DIFFERENCE, "Difference within segments", "rate_difference", higher_is_better=True),
        Metric(SEGMENTED_RATIO, "Summary ratio, observed over expected", "ratio", higher_is_better=True),
        Metric(MANTEL_HAENSZEL_RATIO, "Mantel–Haenszel ratio", "ratio", higher_is_better=True),
        Metric(MANTEL_HAENSZEL_ODDS_RATIO, "Mantel–Haenszel odds ratio", "ratio", higher_is_better=True),
        Metric(SEGMENTS_DIFFER, "Whether segments differ, Breslow–Day statistic", "chi_squared"),
        Metric(IMPACT_RATIO, "Impact ratio", "ratio", higher_is_better=True),
    ),
)
MOST = 40
"""Segments whose own ratios are given."""
SUMMARIES = frozenset({RISK_DIFFERENCE, IMPACT_RATIO, ADJUSTED_DIFFERENCE, SEGMENTED_DIFFERENCE})
"""Numbers over all segments, in which gaps that go opposite ways cancel."""


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Every group against its reference, within each kind of segments."""
    sheet = sheet_of(context, CARD, tests=1)
    if sheet is None or not sheet.observed.segments:
        yield untested(context, CARD, "the mapping names no segments") if sheet else untested(context, CARD)
        return
    for pairing in sheet.pairings():
        for segments in sheet.observed.segments:
            yield from _within(sheet, pairing, segments)


def _within(sheet: ObservedSheet, pairing: Pairing, segments: Levels) -> Iterable[UnadjustedMeasurement]:
    found = by_segment(pairing.contrast, segments, level=sheet.level)
    size = sheet.size * len(sheet.observed.segments)
    common: dict[str, Any] = {"reference": pairing.attribute.reference, "hidden": pairing.hidden}
    subject = {**pairing.subject, "within": segments.name}
    if found is None:
        nothing = missing(method="difference within segments", reason="no segment holds an application", n=0)
        yield sheet.row(
            nothing, metric=SEGMENTED_DIFFERENCE, subject=subject, judged=sheet.rate, size=size, short=pairing.short,
            **common,
        )  # fmt: skip
        return
    hidden = _small_segments(sheet, found)
    why = "" if pairing.hidden else _apart(sheet, segments, found, hidden)
    note = {"segments": len(found.strata), "segments_of_one_group": len(found.excluded),
            "lead_with_strata": int(bool(why))}  # fmt: skip
    yield sheet.row(
        found.difference, metric=SEGMENTED_DIFFERENCE, subject=subject, judged=sheet.rate, size=size,
        short=pairing.short, counts=note, doubts=pairing.doubts, **common,
    )  # fmt: skip
    for metric, estimate in (
        (SEGMENTED_RATIO, found.summary_ratio),
        (MANTEL_HAENSZEL_RATIO, found.mantel_haenszel_ratio),
        (MANTEL_HAENSZEL_ODDS_RATIO, found.mantel_haenszel_odds_ratio),
    ):
        yield sheet.row(estimate, metric=metric, subject=subject, short=pairing.short, **common)
    test = found.homogeneity
    n = found.difference.n
    if test is None or test.statistic is None:
        differ = missing(method="Breslow–Day", reason=found.not_compared, n=n)
    else:
        differ = Estimate(value=test.statistic, n=n, method=test.method, test=test)
    yield sheet.row(
        differ,
        metric=SEGMENTS_DIFFER,
        subject=subject,
        short=pairing.short,
        family=f"{EXPLORATORY_FAMILY}: {sheet.family('whether segments differ')}",
        size=size,
        bars=AbsenceBar(SUMMARIES, why) if why else None,
        **common,
    )
    for name, ratio in list(found.strata.items())[:MOST]:
        yield sheet.row(
            ratio,
            metric=IMPACT_RATIO,
            subject={**subject, "segment": name},
            reference=pairing.attribute.reference,
            hidden=pairing.hidden or ("hidden for a small segment, its own or one beside" if name in hidden else None),
            short=unmet(_sizes(ratio)),
            counts={"p_adjusted_over_segments": found.strata_p_adjusted[name]},
            of_pack=False,
        )


def _apart(sheet: ObservedSheet, segments: Levels, found: SegmentedImpact, hidden: frozenset[str]) -> str:
    """Why no summary over these segments shows an absence; empty where they agree, as far as they can tell.

    Either they differ among each other, or one of them has a gap of its own, which a test of all may not see.
    """
    ratios = {
        name: ratio.value
        for name, ratio in found.strata.items()
        if ratio.value is not None and name not in hidden and not unmet(_sizes(ratio))
    }
    if found.lead_with_strata and found.homogeneity is not None:
        said, whose = (
            f"segments of {segments.label} differ (p = {significant(found.homogeneity.p_value, 2)})",
            [*ratios],
        )
    else:
        said = f"a segment of {segments.label} has a gap of its own"
        whose = [name for name in ratios if at_level(found.strata_p_adjusted[name], alpha=1 - sheet.level)]
        if not whose:
            return ""
    ends = sorted(whose, key=lambda name: (ratios[name], name))
    told = [f"impact ratio {printed(ratios[name], 2)} in {name}" for name in dict.fromkeys(ends[:1] + ends[-1:])]
    return f"{said}: {' and '.join(told)}" if told else said


def _sizes(ratio: Estimate) -> dict[str, int]:
    return {GROUP: int(ratio.counts.get("n_p", 0)), REFERENCE_GROUP: int(ratio.counts.get("n_0", 0))}


def _small_segments(sheet: ObservedSheet, found: SegmentedImpact) -> frozenset[str]:
    """Segments whose ratios are hidden: small ones, and others that the group's total would give them back from."""
    hidden: frozenset[str] = frozenset()
    for side in ("n_p", "n_0"):
        sizes = {name: int(ratio.counts.get(side, 0)) for name, ratio in found.strata.items()}
        tallies = {name: Tally(size, size) for name, size in sizes.items()}
        hidden |= suppress(tallies=tallies, small_cell=sheet.context.plan.thresholds.small_cell).hidden
    return hidden
