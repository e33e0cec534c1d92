"""Marginal applicants: those near the line, and denials that look better than approvals of the reference group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from auditor.behaviour.metrics import NEAR_LINE_DIFFERENCE, OUTRANKING_RATE, OVERLAP_GAP
from auditor.behaviour.observed.drafts import sheet_of, untested
from auditor.observed.measures import marginal
from auditor.statistics.minimums import GROUP, REFERENCE_GROUP, unmet
from auditor.statistics.overlap import MIN_APPROVED
from auditor.statistics.results import missing
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name="observed_marginal",
    purpose="Whether applicants near the line were decided alike, as examiners compare marginal applicants.",
    method=(
        "An index of the mapping's legitimate factors, fitted to the decisions on the reference group and applied out "
        "of its sample. Near the line (a tenth of the reference group on either side of its denial rate): the "
        "Mantel–Haenszel difference over five slices of equal look. Overlap: how much likelier a denied applicant of "
        f"the group looks better than an approved one of the reference than a denied one of the reference does; and "
        f"the denials that look better than {MIN_APPROVED} approvals. Where decisions belong together, intervals and "
        "tests are widened for it."
    ),
    worrying="Fewer approvals near the line at an equal look, and denials that look better than approvals.",
    limitations=(
        "The index knows what the file records. The overlap describes: it moves too where one group looks better as a "
        "whole. Which files to read is for people; comparators are counted here, not listed."
    ),
    references=("Interagency Fair Lending Examination Procedures (2009)",),
    needs_decision_file=True,
    label="Different applicants: marginal applicants",
    metrics=(
        Metric(NEAR_LINE_DIFFERENCE, "Difference near the line", "rate_difference", higher_is_better=True),
        Metric(OVERLAP_GAP, "Overlap of denials with approvals", "share", higher_is_better=False),
        Metric(OUTRANKING_RATE, "Denials that look better than approvals", "rate", higher_is_better=False),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Every group against its reference."""
    sheet = sheet_of(context, CARD, tests=1)
    if sheet is None or not sheet.observed.controls:
        yield untested(context, CARD, "the mapping names no legitimate factors") if sheet else untested(context, CARD)
        return
    for pairing in sheet.pairings():
        found = marginal(pairing.contrast, sheet.how)
        common: dict[str, Any] = {
            "subject": pairing.subject,
            "reference": pairing.attribute.reference,
            "hidden": pairing.hidden,
        }
        if isinstance(found, str):
            nothing = missing(method="difference near the line", reason=found, n=len(pairing.contrast.rows))
            yield sheet.row(nothing, metric=NEAR_LINE_DIFFERENCE, judged=sheet.rate, **common)
            continue
        near = [sum(tally.n for tally in side) for side in zip(*found.near.values(), strict=True)]
        protected, reference = near if near else (0, 0)
        small = protected < context.plan.thresholds.small_cell
        yield sheet.row(
            replace(found.near_gap, method=f"{found.near_gap.method} near the line"),
            metric=NEAR_LINE_DIFFERENCE,
            judged=sheet.rate,
            short=unmet({GROUP: protected, REFERENCE_GROUP: reference}),
            doubts=pairing.doubts,
            counts={"near_p": None if small else protected, "near_0": reference},
            **common,
        )
        yield sheet.row(
            found.gap,
            metric=OVERLAP_GAP,
            short=pairing.short,
            counts={"comparators": len(found.comparators)},
            **common,
        )
        yield sheet.row(
            found.outranking_rate,
            metric=OUTRANKING_RATE,
            short=unmet({GROUP: found.outranking.n}),
            **common,
        )
