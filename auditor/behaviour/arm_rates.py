"""Arm rates: how often each version of the same applications is decided favourably, how readable the answers are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from auditor.behaviour.metrics import ANSWER_MASS, INVALID_RATE, REFUSED_RATE, SELECTION_RATE
from auditor.behaviour.shown_rates import of_people, shown_rate
from auditor.counterfactuals import arm
from auditor.records import Role
from auditor.statistics.rates import Tally
from auditor.statistics.results import Estimate
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context, case_query
from auditor.testing.factory import measurement
from auditor.testing.families import NO_PROBABILITY
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name="arm_rates",
    purpose="What share of the same applications is decided favourably in each arm, and how many answers are unusable.",
    method=(
        "Shares with Wilson intervals over the applications of the arm, from 30 of them on. An unusable answer counts "
        "as not favourable."
    ),
    worrying="Arms of one attribute that lie apart, or unusable answers in one arm more than in another.",
    limitations="The arms hold the same applications, so their intervals must not be compared as if independent.",
    label="Arms: every application under each group",
    metrics=(
        Metric(SELECTION_RATE, "Approval rate", "rate", higher_is_better=True),
        Metric(INVALID_RATE, "Unreadable answers", "rate", higher_is_better=False),
        Metric(REFUSED_RATE, "Refused answers", "rate", higher_is_better=False),
        Metric(ANSWER_MASS, "Probability on the planned answers", "rate", higher_is_better=True),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Favourable rate, unusable share and mean answer mass of every arm."""
    level, small_cell = 1 - context.plan.thresholds.alpha, context.plan.thresholds.small_cell
    for attribute in context.plan.attributes:
        for group in attribute.groups:
            name = arm(attribute.field, group)
            chosen = context.arm(name)
            count = len(chosen.clusters)
            people = context.people(chosen.clusters)
            # The arms of an attribute hold the same applications: no total over them gives a small one back.
            hidden = f"the arm holds fewer than {small_cell} applications" if 0 < people < small_cell else None
            common: dict[str, Any] = {
                "test": CARD.name,
                "subject": {"field": attribute.field, "group": group},
                "role": Role.SECONDARY,
                "cases": case_query(name),
                "level": level,
            }
            yield UnadjustedMeasurement(
                measurement(
                    of_people(
                        shown_rate(Tally.of(chosen.favourable), level=level, hidden=hidden),
                        chosen.clusters,
                        context=context,
                    ),
                    metric=SELECTION_RATE,
                    unit="rate",
                    **common,
                )
            )
            # A refusal is among the unreadable answers, and where answers are texts it is told apart.
            unusable = [(INVALID_RATE, chosen.invalid)]
            unusable += [(REFUSED_RATE, chosen.refused)] if context.answers_in_words else []
            for metric, outcome in unusable:
                yield UnadjustedMeasurement(
                    measurement(
                        of_people(
                            shown_rate(Tally.of(outcome), level=level, hidden=hidden),
                            chosen.clusters,
                            context=context,
                        ),
                        metric=metric,
                        unit="rate",
                        higher_is_better=False,
                        **common,
                    )
                )
            known = bool(count) and not hidden and bool(np.isfinite(chosen.mass).all())
            mass = Estimate(
                value=float(chosen.mass.mean()) if known else None,
                n=0 if hidden else count,
                method="mean probability on all answers",
                reason=hidden or (None if known else NO_PROBABILITY if count else "the arm holds no application"),
            )
            yield UnadjustedMeasurement(measurement(mass, metric=ANSWER_MASS, unit="rate", **common))
