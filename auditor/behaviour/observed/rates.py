"""Rates of decisions already taken: how applicants of each group fared, and who was decided neither way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from auditor.behaviour.metrics import (
    DENIAL_ODDS_RATIO,
    IMPACT_RATIO,
    NEITHER_GAP,
    NEITHER_RATE,
    RISK_DIFFERENCE,
    SELECTION_RATE,
    SHORTFALL,
)
from auditor.behaviour.observed.drafts import ObservedSheet, Pairing, Yardstick, sheet_of, untested
from auditor.observed.columns import OTHER, tallies_by
from auditor.observed.measures import group_ratios, rate_gaps, rate_of
from auditor.plan import Attribute
from auditor.policies.packs import metric_rule
from auditor.statistics.groups import HIGHEST_RATE
from auditor.statistics.minimums import GROUP, REFERENCE_GROUP, unmet
from auditor.statistics.rates import TWO_RATE_RULE
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name="observed_rates",
    purpose="How applicants of each group were decided, in a file of decisions already taken.",
    method=(
        "Rates of favourable decisions among decided applications with Wilson intervals; difference (Newcombe), impact "
        "ratio and denial odds ratio (log intervals), shortfall in people; the share decided neither way, of all who "
        f"applied. One test a table: {TWO_RATE_RULE}. Where decisions belong together (applicants, the mapping's "
        "cluster), intervals and test are widened for it. A pack's reference rule and thresholds govern."
    ),
    worrying="A gap that stays at equal legitimate factors.",
    limitations=(
        "Different applicants differ in income, debt and history. A gap here is not evidence of different treatment. "
        "Four fifths is a rule of thumb of employment law, not of lending."
    ),
    references=("29 CFR 1607.4(D)", "Newcombe (1998)"),
    needs_decision_file=True,
    label="Different applicants: rates",
    metrics=(
        Metric(SELECTION_RATE, "Approval rate", "rate", higher_is_better=True),
        Metric(NEITHER_RATE, "Share decided neither way", "rate", higher_is_better=False),
        Metric(RISK_DIFFERENCE, "Difference of approval rates", "rate_difference", higher_is_better=True),
        Metric(IMPACT_RATIO, "Impact ratio", "ratio", higher_is_better=True),
        Metric(DENIAL_ODDS_RATIO, "Denial odds ratio", "ratio", higher_is_better=False),
        Metric(SHORTFALL, "Shortfall, people", "people", higher_is_better=False),
        Metric(NEITHER_GAP, "Gap of those decided neither way", "rate_difference", higher_is_better=False),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Every group of every attribute, and every group against its reference."""
    sheet = sheet_of(context, CARD, tests=2)
    if sheet is None:
        yield untested(context, CARD)
        return
    for attribute in context.plan.attributes:
        yield from _rates(sheet, attribute)
    for pairing in sheet.pairings():
        gaps = rate_gaps(pairing.contrast, level=sheet.level)
        common: dict[str, Any] = {
            "subject": pairing.subject,
            "reference": pairing.attribute.reference,
            "hidden": pairing.hidden,
        }
        yield sheet.row(
            gaps.difference,
            metric=RISK_DIFFERENCE,
            judged=sheet.rate,
            short=pairing.short,
            doubts=pairing.doubts,
            **common,
        )
        # A ratio is concluded only where a pack gives a threshold for it.
        yield sheet.row(
            gaps.ratio,
            metric=IMPACT_RATIO,
            judged=Yardstick("ratio", 0.8),
            short=pairing.short,
            doubts=_doubts_of_ratio(sheet, pairing),
            **common,
        )
        yield sheet.row(gaps.odds_ratio, metric=DENIAL_ODDS_RATIO, short=pairing.short, **common)
        yield sheet.row(gaps.shortfall, metric=SHORTFALL, short=pairing.short, **common)
        yield sheet.row(gaps.neither, metric=NEITHER_GAP, judged=sheet.rate, short=pairing.short, **common)


def _doubts_of_ratio(sheet: ObservedSheet, pairing: Pairing) -> tuple[str, ...]:
    """Whom rates leave out, where that may hide a ratio outside the band that a pack gives."""
    rule = metric_rule(sheet.context.packs, IMPACT_RATIO, field=pairing.attribute.field)
    reference = pairing.contrast.decisions[1]
    if rule.threshold is None or not reference.favourable:
        return ()
    levels = sheet.levels(pairing.attribute.field)
    return sheet.doubts(pairing.contrast, levels, threshold=(1 - rule.threshold) * reference.rate)


def _rates(sheet: ObservedSheet, attribute: Attribute) -> Iterable[UnadjustedMeasurement]:
    levels, observed = sheet.levels(attribute.field), sheet.observed
    hidden, _ = sheet.hidden(attribute)
    decided = tallies_by(levels, observed.favourable, among=observed.decided)
    everybody = np.ones(observed.n, dtype=np.bool_)
    for metric, said, among in (
        (SELECTION_RATE, observed.favourable, observed.decided),
        (NEITHER_RATE, observed.outcome == OTHER, everybody),
    ):
        for group in attribute.groups:
            rate = rate_of(observed, said, levels.mask(group) & among, level=sheet.level)
            yield sheet.row(
                rate,
                metric=metric,
                subject={"field": attribute.field, "group": group},
                hidden=hidden[group],
                short=unmet({GROUP: rate.n}),
            )
    rule = metric_rule(sheet.context.packs, IMPACT_RATIO, field=attribute.field)
    if not rule.most_selected or any(hidden.values()) or not levels.names:
        return
    found = group_ratios(
        observed,
        levels,
        observed.favourable,
        observed.decided,
        reference=HIGHEST_RATE,
        groups=attribute.groups,
        min_share=rule.min_share,
        level=sheet.level,
    )
    base = decided[found.reference].n if found.reference in decided else 0
    for group, ratio in found.ratios.items():
        yield sheet.row(
            replace(ratio, method=f"{ratio.method}, reference {found.basis}, by {rule.words}"),
            metric=IMPACT_RATIO,
            subject={"field": attribute.field, "group": group, "compared_with": "most selected group"},
            reference=found.reference,
            short=unmet({GROUP: decided[group].n if group in decided else 0, REFERENCE_GROUP: base}),
        )
