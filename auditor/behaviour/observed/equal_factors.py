"""Decisions at equal legitimate factors: what is left of a gap when applicants alike in them are compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from auditor.behaviour.metrics import ADJUSTED_DIFFERENCE, CONDITIONAL_DENIAL_ODDS_RATIO
from auditor.behaviour.observed.drafts import sheet_of, untested
from auditor.observed.measures import at_equal_factors
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name="observed_equal_factors",
    purpose="How much of a gap in decisions is left at equal legitimate factors.",
    method=(
        "Logistic regression of the favourable decision on the group and the mapping's legitimate factors: average "
        "marginal effect (delta method) and conditional denial odds ratio, errors clustered by applicant or by the "
        "mapping's cluster, likelihood ratio beside. What is not stated is a level of its own; no application is lost."
    ),
    worrying="A difference that stays where applicants are alike in what may count.",
    limitations=(
        "It holds equal what the file records and nothing else: a factor that is missing from it may make or hide a "
        "gap. A factor that stands for the attribute hides one."
    ),
    references=("Interagency Fair Lending Examination Procedures (2009)",),
    needs_decision_file=True,
    label="Different applicants: at equal factors",
    metrics=(
        Metric(ADJUSTED_DIFFERENCE, "Difference at equal factors", "rate_difference", higher_is_better=True),
        Metric(CONDITIONAL_DENIAL_ODDS_RATIO, "Denial odds ratio at equal factors", "ratio", higher_is_better=False),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Every group against its reference."""
    sheet = sheet_of(context, CARD, tests=1)
    if sheet is None or not sheet.observed.controls:
        yield untested(context, CARD, "the mapping names no legitimate factors") if sheet else untested(context, CARD)
        return
    for pairing in sheet.pairings():
        found = at_equal_factors(pairing.contrast, level=sheet.level)
        held = f"{len(found.controls)} columns held equal, {len(found.dropped)} left out"
        likelihood = found.likelihood_ratio
        counts = {
            "columns_held_equal": len(found.controls),
            "columns_left_out": len(found.dropped),
            "likelihood_ratio": likelihood.statistic if likelihood else None,
            "likelihood_ratio_p": likelihood.p_value if likelihood else None,
        }
        yield sheet.row(
            replace(found.difference, method=f"{found.difference.method}; {held}"),
            metric=ADJUSTED_DIFFERENCE,
            subject=pairing.subject,
            reference=pairing.attribute.reference,
            hidden=pairing.hidden,
            short=pairing.short,
            judged=sheet.rate,
            counts=counts,
            doubts=pairing.doubts,
        )
        if found.odds_ratio is not None:
            yield sheet.row(
                found.odds_ratio,
                metric=CONDITIONAL_DENIAL_ODDS_RATIO,
                subject=pairing.subject,
                reference=pairing.attribute.reference,
                hidden=pairing.hidden,
                short=pairing.short,
            )
