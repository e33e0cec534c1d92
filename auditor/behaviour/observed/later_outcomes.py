"""Decisions against what became of the applications later: who was refused and would have repaid."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from auditor.behaviour.metrics import (
    CALIBRATION_GAP,
    EQUAL_OPPORTUNITY_DIFFERENCE,
    EQUALIZED_ODDS_DIFFERENCE,
    EQUALIZED_ODDS_RATIO,
    LATER_GAP,
    RESIDUAL_SMD,
)
from auditor.behaviour.observed.drafts import ObservedSheet, Pairing, sheet_of, untested
from auditor.observed.measures import LaterGaps, later_gaps
from auditor.statistics.minimums import GROUP, NEGATIVES, POSITIVES, REFERENCE_GROUP, unmet
from auditor.statistics.results import missing
from auditor.statistics.scores import LabelledComparison
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name="observed_later",
    purpose="Whether decisions fit what became of the applications equally well in each group.",
    method=(
        "Equal opportunity (difference of true positive rates), equalised odds (projected interval), calibration gap "
        "over tenths of the score (permutation of groups within bins; largest of correlated t where decisions belong "
        "together), residual standardised mean difference, and the "
        "gap of good later outcomes among favourable decisions."
    ),
    worrying="Fewer of those who would have repaid are approved in one group, or approved ones of it repay more often.",
    limitations=(
        "A later outcome exists where somebody was given the chance to have one. Where only favourable decisions have "
        "one, nothing is known of those refused, and equal opportunity is not measured."
    ),
    references=("Hardt, Price and Srebro (2016)",),
    needs_decision_file=True,
    label="Different applicants: later outcomes",
    metrics=(
        Metric(LATER_GAP, "Gap of good later outcomes among approvals", "rate_difference"),
        Metric(EQUAL_OPPORTUNITY_DIFFERENCE, "Equal opportunity difference", "rate_difference", higher_is_better=True),
        Metric(EQUALIZED_ODDS_DIFFERENCE, "Equalised odds difference", "rate_difference", higher_is_better=False),
        Metric(EQUALIZED_ODDS_RATIO, "Equalised odds ratio", "ratio", higher_is_better=True),
        Metric(CALIBRATION_GAP, "Calibration gap, largest over bins", "rate_difference", higher_is_better=False),
        Metric(RESIDUAL_SMD, "Residual difference, in SD", "sd", higher_is_better=False),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Every group against its reference."""
    sheet = sheet_of(context, CARD, tests=4)
    if sheet is None or sheet.observed.later is None:
        yield (
            untested(context, CARD, "the decision file records no later outcome") if sheet else untested(context, CARD)
        )
        return
    for pairing in sheet.pairings():
        yield from _gaps(sheet, pairing, later_gaps(pairing.contrast, sheet.how, moved=sheet.rate.threshold / 4))


def _gaps(sheet: ObservedSheet, pairing: Pairing, found: LaterGaps) -> Iterable[UnadjustedMeasurement]:
    common: dict[str, Any] = {
        "subject": pairing.subject, "reference": pairing.attribute.reference, "hidden": pairing.hidden,
    }  # fmt: skip
    sizes = [int(found.kept.counts.get(name, 0)) for name in ("n_p", "n_0")]
    short = unmet({GROUP: sizes[0], REFERENCE_GROUP: sizes[1]})
    small = sheet.small(*sizes, of="approved applications with a later outcome")
    own = {**common, "hidden": pairing.hidden or small}
    yield sheet.row(found.kept, metric=LATER_GAP, judged=sheet.rate, short=short, **own)
    yield from _labelled(sheet, found.labelled, found.reason, common)
    if found.residual is None:
        return
    gap = found.calibration.gap if found.calibration else missing(
        method="calibration gap, largest over bins", reason=found.residual.reason or "no score", n=0
    )  # fmt: skip
    yield sheet.row(gap, metric=CALIBRATION_GAP, judged=sheet.rate, short=pairing.short, **common)
    yield sheet.row(found.residual, metric=RESIDUAL_SMD, judged=sheet.in_sds, short=pairing.short, **common)


def _labelled(
    sheet: ObservedSheet, found: LabelledComparison | None, reason: str, common: dict[str, Any]
) -> Iterable[UnadjustedMeasurement]:
    if found is None:
        for metric in (EQUAL_OPPORTUNITY_DIFFERENCE, EQUALIZED_ODDS_DIFFERENCE, EQUALIZED_ODDS_RATIO):
            nothing = missing(method=metric.replace("_", " "), reason=reason, n=0)
            judged = sheet.rate if metric == EQUAL_OPPORTUNITY_DIFFERENCE else None
            yield sheet.row(nothing, metric=metric, judged=judged, **common)
        return
    counts = {name: int(count) for name, count in found.equal_opportunity.counts.items()}
    positives = min(counts["positives_p"], counts["positives_0"])
    negatives = min(counts["negatives_p"], counts["negatives_0"])
    small = sheet.small(*counts.values(), of="good or bad later outcomes")
    common = {**common, "hidden": common["hidden"] or small}
    few = unmet({POSITIVES: positives, NEGATIVES: negatives})
    yield sheet.row(
        found.equal_opportunity,
        metric=EQUAL_OPPORTUNITY_DIFFERENCE,
        judged=sheet.rate,
        short=unmet({POSITIVES: positives}),
        **common,
    )
    for metric, estimate in (
        (EQUALIZED_ODDS_DIFFERENCE, found.equalised_odds_difference),
        (EQUALIZED_ODDS_RATIO, found.equalised_odds_ratio),
    ):
        yield sheet.row(estimate, metric=metric, short=few, **common)
