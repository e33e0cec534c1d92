"""A system's decisions beside a person's on the same applications: whom a person overrules, and which way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from auditor.behaviour.metrics import AGREEMENT_GAP, HUMAN_AGREEMENT, KAPPA, LOWERED_GAP, RAISED_GAP
from auditor.behaviour.observed.drafts import ObservedSheet, sheet_of, untested
from auditor.observed.columns import FAVOURABLE, OTHER, Codes
from auditor.observed.measures import agreement_gaps
from auditor.statistics.agreement import agreement
from auditor.statistics.minimums import GROUP, REFERENCE_GROUP, unmet
from auditor.statistics.rates import Tally
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name="observed_agreement",
    purpose="Whether the recorded decision and a person's decision on the same application agree, by group.",
    method=(
        "Share of alike decisions (Wilson) and Cohen's kappa over all, and by group the gaps of agreement, of adverse "
        "decisions that the person would have made favourable, and of favourable ones made adverse (Newcombe). "
        "Where decisions belong together, intervals and tests are widened for it."
    ),
    worrying="A person raises decisions of one group more often than of another, or lowers them.",
    limitations="A person may carry on the same wrong as the system: agreement says nothing of who is right.",
    references=("Cohen (1960)", "Fleiss, Cohen and Everitt (1969)"),
    needs_decision_file=True,
    label="Different applicants: agreement with a person",
    metrics=(
        Metric(HUMAN_AGREEMENT, "Share of decisions alike", "rate", higher_is_better=True),
        Metric(KAPPA, "Cohen's kappa", "share", higher_is_better=True),
        Metric(AGREEMENT_GAP, "Gap of agreement", "rate_difference", higher_is_better=True),
        Metric(RAISED_GAP, "Gap of adverse decisions raised", "rate_difference"),
        Metric(LOWERED_GAP, "Gap of favourable decisions lowered", "rate_difference", higher_is_better=False),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """All decided applications, and every group against its reference."""
    sheet = sheet_of(context, CARD, tests=3)
    if sheet is None or sheet.observed.human is None:
        reason = "the decision file records no decision of a person beside"
        yield untested(context, CARD, reason) if sheet else untested(context, CARD)
        return
    yield from _of_all(sheet, sheet.observed.human)
    for pairing in sheet.pairings():
        found = agreement_gaps(pairing.contrast, level=sheet.level)
        sides = found.protected, found.reference
        common: dict[str, Any] = {"subject": pairing.subject, "reference": pairing.attribute.reference}
        for metric, estimate, tallies in (
            (AGREEMENT_GAP, found.agreed, [side.agreed for side in sides]),
            (RAISED_GAP, found.raised, [side.raised for side in sides]),
            (LOWERED_GAP, found.lowered, [side.lowered for side in sides]),
        ):
            small = sheet.small(*(tally.n for tally in tallies), of="decisions of this kind")
            yield sheet.row(
                estimate,
                metric=metric,
                judged=sheet.rate,
                short=_few(tallies),
                hidden=pairing.hidden or small,
                **common,
            )


def _of_all(sheet: ObservedSheet, person: Codes) -> Iterable[UnadjustedMeasurement]:
    observed = sheet.observed
    known = observed.decided & (person != OTHER)
    found = agreement(
        system=observed.favourable[known],
        person=person[known] == FAVOURABLE,
        clusters=observed.clusters(np.flatnonzero(known).astype(np.int64)),
        level=sheet.level,
    )
    for metric, estimate in ((HUMAN_AGREEMENT, found.share), (KAPPA, found.kappa)):
        yield sheet.row(estimate, metric=metric, subject={"group": "all decided"}, short=unmet({GROUP: found.agreed.n}))


def _few(tallies: list[Tally]) -> tuple[str, ...]:
    return unmet({GROUP: tallies[0].n, REFERENCE_GROUP: tallies[1].n})
