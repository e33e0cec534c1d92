"""Groups known only by probability, as where lenders may not ask: both readings of a gap, always together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from auditor.behaviour.metrics import THRESHOLDED_DIFFERENCE, THRESHOLDED_RATIO, WEIGHTED_DIFFERENCE, WEIGHTED_RATIO
from auditor.behaviour.observed.drafts import ObservedSheet, sheet_of, untested
from auditor.observed.columns import Probabilities
from auditor.observed.measures import likely_gap
from auditor.plan import Attribute
from auditor.statistics.minimums import GROUP, REFERENCE_GROUP, unmet
from auditor.statistics.multiplicity import significant
from auditor.statistics.probable_groups import ProbableGap
from auditor.statistics.verdict import size
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name="observed_likely_groups",
    purpose="How applicants of groups that are known only by probability were decided.",
    method=(
        "Weighted: each application counts for a group by its probability (interval and test from resampled people). "
        "Thresholded: those whose probability reaches the mapping's cut count wholly (Newcombe, log interval). The "
        "source of the probabilities is named."
    ),
    worrying="Both readings show a gap.",
    limitations=(
        "Weighting generally understates a gap and thresholding overstates it: the truth may lie outside both. "
        "Probabilities of groups say nothing of one person."
    ),
    references=("Elliott and others (2009)", "arXiv 1811.11154"),
    needs_decision_file=True,
    label="Different applicants: groups by probability",
    metrics=(
        Metric(WEIGHTED_DIFFERENCE, "Difference of rates, weighted", "rate_difference", higher_is_better=True),
        Metric(WEIGHTED_RATIO, "Impact ratio, weighted", "ratio", higher_is_better=True),
        Metric(THRESHOLDED_DIFFERENCE, "Difference of rates, thresholded", "rate_difference", higher_is_better=True),
        Metric(THRESHOLDED_RATIO, "Impact ratio, thresholded", "ratio", higher_is_better=True),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Every group of every attribute that has probabilities."""
    sheet = sheet_of(context, CARD, tests=2)
    if sheet is None or not sheet.observed.probabilities:
        reason = "the decision file has no probabilities of groups"
        yield untested(context, CARD, reason) if sheet else untested(context, CARD)
        return
    known = {likely.attribute: likely for likely in sheet.observed.probabilities}
    found = False
    for attribute, group in context.contrasts():
        likely = known.get(attribute.field)
        if likely is not None and {group, attribute.reference} <= set(likely.names):
            found = True
            yield from _gap(sheet, attribute, group, likely)
    if not found:
        yield untested(context, CARD, "the probabilities are of none of the plan's groups")


def _gap(
    sheet: ObservedSheet, attribute: Attribute, group: str, likely: Probabilities
) -> Iterable[UnadjustedMeasurement]:
    gap = likely_gap(sheet.observed, likely, group=group, reference=attribute.reference, how=sheet.how)
    subject = {"field": attribute.field, "group": group}
    counts = {"cut": likely.cut, "passed_for_neither": gap.left_out}
    few = unmet({GROUP: gap.protected.n, REFERENCE_GROUP: gap.reference.n})
    hidden = sheet.small(gap.protected.n, gap.reference.n, of="applications that reach the threshold")
    apart = _apart(gap, level=sheet.level, threshold=sheet.rate.threshold, shown=hidden is None and not few)
    for metric, estimate in (
        (WEIGHTED_DIFFERENCE, gap.weighted_difference),
        (WEIGHTED_RATIO, gap.weighted_ratio),
        (THRESHOLDED_DIFFERENCE, gap.thresholded_difference),
        (THRESHOLDED_RATIO, gap.thresholded_ratio),
    ):
        thresholded = metric.startswith("thresholded")
        yield sheet.row(
            replace(estimate, method=f"{estimate.method}; groups by {likely.source}{f'; {apart}' if apart else ''}"),
            metric=metric,
            subject=subject,
            reference=attribute.reference,
            hidden=hidden if thresholded else None,
            short=few if thresholded else (),
            judged=sheet.rate if metric.endswith("difference") else None,
            counts=counts,
            doubts=(apart,) if apart else (),
        )


def _apart(gap: ProbableGap, *, level: float, threshold: float, shown: bool) -> str:
    """That the two readings disagree: apart by the least difference that matters, with one or both clear of 0."""
    weighted, thresholded = gap.weighted_difference, gap.thresholded_difference
    if not shown or weighted.value is None or thresholded.value is None:
        return ""
    clear = [
        each.test is not None and significant(each.test.p_value, alpha=1 - level) for each in (weighted, thresholded)
    ]
    alike = clear[0] == clear[1] and weighted.value * thresholded.value >= 0
    if not any(clear) or alike or abs(weighted.value - thresholded.value) < threshold:
        return ""
    sizes = [size(each, "rate difference", signed=True) for each in (weighted.value, thresholded.value)]
    return f"the two readings disagree: {sizes[0]} weighted, {sizes[1]} thresholded"
