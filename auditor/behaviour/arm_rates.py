"""Arm rates: how often each version of the same applications is decided favourably, how readable the answers are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from auditor.behaviour.context import Card, Context, Draft, case_query
from auditor.behaviour.fill import measurement
from auditor.counterfactuals import arm
from auditor.measures.rates import Tally, selection_rate
from auditor.measures.results import Estimate
from auditor.records import Role

CARD = Card(
    name="arm_rates",
    purpose="What share of the same applications is decided favourably in each arm, and how many answers are unusable.",
    method=(
        "Shares with Wilson intervals over the applications of the arm. An unusable answer counts as not favourable."
    ),
    worrying="Arms of one attribute that lie apart, or unusable answers in one arm more than in another.",
    limitations="The arms hold the same applications, so their intervals must not be compared as if independent.",
)


def run(context: Context) -> Iterable[Draft]:
    """Favourable rate, unusable share and mean answer mass of every arm."""
    for attribute in context.plan.attributes:
        for group in attribute.groups:
            name = arm(attribute.field, group)
            chosen = context.arm(name)
            common: dict[str, Any] = {
                "test": CARD.name,
                "subject": {"field": attribute.field, "group": group},
                "role": Role.SECONDARY,
                "cases": case_query(name),
            }
            yield Draft(
                measurement(
                    selection_rate(Tally.of(chosen.favourable)),
                    metric="selection_rate",
                    unit="rate",
                    **common,
                )
            )
            yield Draft(
                measurement(
                    selection_rate(Tally.of(chosen.invalid)),
                    metric="invalid_rate",
                    unit="rate",
                    higher_is_better=False,
                    **common,
                )
            )
            count = len(chosen.clusters)
            mass = Estimate(
                value=float(chosen.mass.mean()) if count else None,
                n=count,
                method="mean probability on all answers",
                reason=None if count else "the arm holds no application",
            )
            yield Draft(measurement(mass, metric="answer_mass", unit="rate", **common))
