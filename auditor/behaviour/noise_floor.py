"""Noise floor: how often the decision flips when nothing that matters was changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from auditor.behaviour.context import Card, Context, Draft, case_query
from auditor.behaviour.fill import measurement
from auditor.counterfactuals import PLACEBO, REASK, arm
from auditor.language_models.packed import TOLERANCE
from auditor.measures.pairs import count_pairs, excess_flip, flip_rates
from auditor.measures.results import Estimate
from auditor.records import Check, Role

CARD = Card(
    name="noise_floor",
    purpose="How much of a flip rate is noise: of the arithmetic (asked again) and of the wording (a placebo changed).",
    method=(
        "A sample of the applications is asked once more, sharing nothing with other prompts "
        "and packed differently; and "
        "in every application an irrelevant field is changed. Each contrast's flip rate is "
        "printed above the placebo's, "
        "both bootstrapped together over applications."
    ),
    worrying=(
        "A placebo that flips decisions as often as a protected attribute: then the model is "
        "unstable, and pairs say little."
    ),
    limitations="One placebo field stands for all irrelevant wording; other rewordings may move the model more.",
)


def run(context: Context) -> Iterable[Draft]:
    """Floor of both kinds, and the excess of every contrast over the placebo."""
    if context.arm(arm(REASK, "first")).clusters:
        yield from _floor(context, REASK, "first", "second", "asked again, unshared and packed differently")
    if context.plan.placebo is None:
        return
    yield from _floor(context, PLACEBO, "filed", "changed", f"{context.plan.placebo.label} changed")
    floor = context.pairs(arm(PLACEBO, "filed"), arm(PLACEBO, "changed"))
    for attribute, group in context.contrasts():
        pairs = context.pairs(arm(attribute.field, attribute.reference), arm(attribute.field, group))
        if not pairs.clusters:
            continue
        excess = excess_flip(
            flips=pairs.control.favourable != pairs.protected.favourable,
            clusters=pairs.clusters,
            floor_flips=floor.control.favourable != floor.protected.favourable,
            floor_clusters=floor.clusters,
            resamples=context.plan.thresholds.bootstrap,
            seed=context.plan.cases.seed,
        )
        yield Draft(
            measurement(
                excess.excess,
                test=CARD.name,
                metric="cf_excess_flip",
                role=Role.SECONDARY,
                subject={"field": attribute.field, "group": group},
                reference=attribute.reference,
                unit="rate_difference",
                higher_is_better=False,
                cases=case_query(arm(attribute.field, attribute.reference), arm(attribute.field, group)),
            )
        )


def _floor(context: Context, kind: str, first: str, second: str, words: str) -> Iterable[Draft]:
    arms = (arm(kind, first), arm(kind, second))
    pairs = context.pairs(*arms)
    counts = count_pairs(control=pairs.control.favourable, protected=pairs.protected.favourable)
    differences = np.abs(pairs.protected.margins - pairs.control.margins)
    largest = float(differences.max()) if len(differences) else None
    checks: tuple[Check, ...] = ()
    if kind == REASK and largest is not None:
        checks = (
            Check(
                name="packed equals unshared",
                held=largest <= TOLERANCE,
                value=largest,
                bound=TOLERANCE,
                covers_run=True,
                note="largest margin difference in nats between a shared and an unshared reading of the same prompt",
            ),
        )
    common: dict[str, Any] = {
        "test": CARD.name,
        "role": Role.SECONDARY,
        "subject": {"change": kind},
        "cases": case_query(*arms),
    }
    yield Draft(
        measurement(
            flip_rates(counts).total,
            metric="cf_noise_floor",
            unit="rate",
            higher_is_better=False,
            checks=checks,
            counts={"flips": counts.discordant, "largest_margin_difference": largest},
            **common,
        )
    )
    shift = Estimate(
        value=float(differences.mean()) if len(differences) else None,
        n=len(differences),
        method=f"mean absolute change of the margin, {words}",
        reason=None if len(differences) else "no application stands in both arms",
    )
    yield Draft(measurement(shift, metric="noise_margin", unit="logit", higher_is_better=False, **common))
