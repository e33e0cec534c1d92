"""Group rates as filed: how different applicants fare. A description, not a comparison of like with like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from auditor.behaviour.context import FILED_FAMILY, Card, Context, Draft, case_query
from auditor.behaviour.fill import measurement
from auditor.counterfactuals import ACTUAL
from auditor.measures.power import detectable_rate_difference
from auditor.measures.rates import (
    Tally,
    adverse_impact_ratio,
    denial_odds_ratio,
    risk_difference,
    selection_rate,
    shortfall,
)
from auditor.measures.results import missing
from auditor.measures.scores import smd
from auditor.measures.verdict import Evidence
from auditor.records import Role

CARD = Card(
    name="group_rates",
    purpose="How the model decides the applications of each group as they were filed.",
    method=(
        "Rates with Wilson intervals, impact ratio with log interval, risk difference with Newcombe's interval, denial "
        "odds ratio, standardised mean difference of the margin (pooled SD), shortfall in people. Fisher's exact test "
        "where a group is under 30 or an expected cell under 5, else the pooled z test. Exploratory, BH-adjusted."
    ),
    worrying="A gap that the counterfactual pairs show too.",
    limitations=(
        "Different applicants differ in income, debt and history. A gap here is no evidence of "
        "different treatment, and "
        "four fifths is a rule of thumb of employment law, not of lending."
    ),
    references=("29 CFR 1607.4(D)", "Newcombe (1998)"),
)


def run(context: Context) -> Iterable[Draft]:
    """Every group of every attribute, and every group against its reference."""
    thresholds = context.plan.thresholds
    for attribute in context.plan.attributes:
        by_group = {
            group: context.collect(case for case in context.actual if case.groups.get(attribute.field) == group)
            for group in attribute.groups
        }
        for group, chosen in by_group.items():
            yield Draft(
                measurement(
                    selection_rate(Tally.of(chosen.favourable)),
                    test=CARD.name,
                    metric="selection_rate",
                    role=Role.EXPLORATORY,
                    subject={"field": attribute.field, "group": group},
                    unit="rate",
                    cases=f"{case_query(f'{attribute.field}={group}')};role:{ACTUAL}",
                )
            )
        reference = by_group[attribute.reference]
        base = Tally.of(reference.favourable)
        for group, chosen in by_group.items():
            if group == attribute.reference:
                continue
            tally = Tally.of(chosen.favourable)
            arms = (f"{attribute.field}={group}", f"{attribute.field}={attribute.reference}")
            common: dict[str, Any] = {
                "test": CARD.name,
                "role": Role.EXPLORATORY,
                "subject": {"field": attribute.field, "group": group},
                "reference": attribute.reference,
                "cases": f"{case_query(*arms)};role:{ACTUAL}",
                "family": FILED_FAMILY,
            }
            # The counts themselves stay out of the reason: a small cell is not printed.
            small = tuple(
                f"{name} holds fewer than {thresholds.small_cell} applications"
                for name, count in (("the group", tally.n), ("the reference group", base.n))
                if count < thresholds.small_cell
            )
            difference = risk_difference(protected=tally, reference=base)
            mde = None
            if tally.n and base.n and 0 < base.rate < 1:
                mde = detectable_rate_difference(
                    n_protected=tally.n,
                    n_reference=base.n,
                    reference_rate=base.rate,
                    alpha=thresholds.alpha,
                    power=thresholds.power,
                ).value
            yield Draft(
                measurement(
                    difference,
                    metric="risk_difference",
                    unit="rate_difference",
                    counts={"mde": mde},
                    **common,
                ),
                Evidence(
                    estimate=difference.value,
                    p_adjusted=None,
                    practical_threshold=thresholds.practical_rate,
                    denominators_ok=not small,
                    degenerate=context.state.degenerate,
                    quality_reason="; ".join((*small, *context.state.reasons)),
                    mde=mde,
                    alpha=thresholds.exploratory_q,
                ),
            )
            ratio = adverse_impact_ratio(protected=tally, reference=base)
            odds = denial_odds_ratio(protected=tally, reference=base)
            people = shortfall(protected=tally, reference=base)
            yield Draft(measurement(ratio, metric="impact_ratio", unit="ratio", **{**common, "family": None}))
            yield Draft(
                measurement(
                    odds,
                    metric="denial_odds_ratio",
                    unit="ratio",
                    higher_is_better=False,
                    **{**common, "family": None},
                )
            )
            yield Draft(
                measurement(
                    people,
                    metric="shortfall",
                    unit="people",
                    higher_is_better=False,
                    **{**common, "family": None},
                )
            )
            gap = (
                missing(method="standardised mean difference, pooled SD", reason=small[0], n=tally.n + base.n)
                if small
                else smd(
                    scores=np.concatenate([chosen.margins, reference.margins]),
                    protected=np.arange(tally.n + base.n) < tally.n,
                    reference=np.arange(tally.n + base.n) >= tally.n,
                    resamples=thresholds.bootstrap,
                    seed=context.plan.cases.seed,
                )
            )
            yield Draft(measurement(gap, metric="smd", unit="sd", **common))
