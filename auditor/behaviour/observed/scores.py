"""The system's own scores in a file of decisions already taken: means apart, and who scores above the median."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from auditor.behaviour.metrics import IMPACT_RATIO, SCORING_RATE, SCORING_RATE_IMPACT_RATIO, SMD
from auditor.behaviour.observed.drafts import sheet_of, untested
from auditor.observed.measures import score_gap, scoring_rates
from auditor.policies.packs import metric_rule
from auditor.statistics.groups import HIGHEST_RATE
from auditor.statistics.minimums import GROUP, REFERENCE_GROUP, unmet
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name="observed_scores",
    purpose="How the system scored applicants of each group, whatever was decided.",
    method=(
        "Standardised mean difference of scores (pooled SD, resampled interval, Welch's t). Scoring rate: the share of "
        "a group above the median score of everybody, over that of the group with the highest share (Local Law 144). "
        "Where decisions belong together, intervals and tests are widened for it."
    ),
    worrying="Scores that differ by more than the factors they are made of.",
    limitations="Different applicants differ; a mean says nothing of who lies near the cut-off.",
    references=("NYC Admin. Code § 20-870",),
    needs_decision_file=True,
    label="Different applicants: scores",
    metrics=(
        Metric(SMD, "Difference of mean scores, in SD of scores", "sd", higher_is_better=True),
        Metric(SCORING_RATE, "Share above the median score", "rate", higher_is_better=True),
        Metric(SCORING_RATE_IMPACT_RATIO, "Impact ratio of scoring rates", "ratio", higher_is_better=True),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Every group of every attribute."""
    sheet = sheet_of(context, CARD, tests=1)
    if sheet is None or sheet.observed.score is None:
        yield untested(context, CARD, "the decision file has no score") if sheet else untested(context, CARD)
        return
    score = sheet.observed.score
    for pairing in sheet.pairings():
        yield sheet.row(
            score_gap(pairing.contrast, score, sheet.how),
            metric=SMD,
            subject=pairing.subject,
            reference=pairing.attribute.reference,
            hidden=pairing.hidden,
            short=pairing.short,
            judged=sheet.in_sds,
        )
    for attribute in context.plan.attributes:
        hidden, _ = sheet.hidden(attribute)
        levels = sheet.levels(attribute.field)
        if not levels.names or not score.stated[levels.codes >= 0].any():
            continue
        rule = metric_rule(context.packs, SCORING_RATE_IMPACT_RATIO, field=attribute.field)
        share = metric_rule(context.packs, IMPACT_RATIO, field=attribute.field).min_share
        found = scoring_rates(sheet.observed, levels, score, reference=HIGHEST_RATE, min_share=share, level=sheet.level)
        all_shown = not any(hidden.values())
        base = found.rates[found.reference].n if found.reference else 0
        for group in attribute.groups:
            if group in found.rates:
                yield sheet.row(
                    found.rates[group],
                    metric=SCORING_RATE,
                    subject={"field": attribute.field, "group": group},
                    hidden=hidden[group],
                    short=unmet({GROUP: found.rates[group].n}),
                )
            if group in found.ratios and all_shown:
                ratio = found.ratios[group]
                yield sheet.row(
                    replace(
                        ratio, method=f"{ratio.method}, scoring rates, reference {found.basis} {rule.words}".strip()
                    ),
                    metric=SCORING_RATE_IMPACT_RATIO,
                    subject={"field": attribute.field, "group": group},
                    reference=found.reference,
                    short=unmet({GROUP: found.rates[group].n, REFERENCE_GROUP: base}),
                )
