"""Reasons of adverse decisions: whether one group is told another reason than the other."""

from __future__ import annotations

from collections.abc import Iterable

from auditor.behaviour.metrics import REASON_GAP
from auditor.behaviour.observed.drafts import sheet_of, untested
from auditor.observed.measures import reason_gaps
from auditor.statistics.minimums import GROUP, REFERENCE_GROUP, unmet
from auditor.statistics.rates import TWO_RATE_RULE
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name="observed_reasons",
    purpose="Whether adverse decisions give each reason equally often in each group.",
    method=(
        "By reason, the share of adverse decisions that give it, and its difference (Newcombe). "
        f"{TWO_RATE_RULE}. Adjusted by Benjamini and Hochberg over reasons and groups."
    ),
    worrying="A reason without a number behind it, such as unverifiable information, given to one group more often.",
    limitations="Reasons differ where factors do. Whether a reason was the true one is not seen in a file.",
    references=("12 CFR 1002.9(b)(2)",),
    needs_decision_file=True,
    label="Different applicants: reasons",
    metrics=(Metric(REASON_GAP, "Gap of a reason's share of denials", "rate_difference"),),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Every reason, every group against its reference."""
    sheet = sheet_of(context, CARD, tests=1)
    if sheet is None or not any(part.names for part in sheet.observed.reasons):
        yield untested(context, CARD, "the decision file gives no reasons") if sheet else untested(context, CARD)
        return
    for pairing in sheet.pairings():
        found = reason_gaps(pairing.contrast, level=sheet.level)
        for reason, gap in found.items():
            sizes = {GROUP: int(gap.counts.get("n_p", 0)), REFERENCE_GROUP: int(gap.counts.get("n_0", 0))}
            small = sheet.small(*sizes.values(), of="adverse decisions")
            yield sheet.row(
                gap,
                metric=REASON_GAP,
                subject={**pairing.subject, "reason": reason},
                reference=pairing.attribute.reference,
                hidden=pairing.hidden or small,
                short=unmet(sizes),
                judged=sheet.rate,
                size=sheet.size * len(found),
            )
