"""Noise floor: how often the decision flips when nothing that matters was changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from auditor.behaviour.cut_offs import range_of
from auditor.behaviour.metrics import BEYOND_REPLICATES, CF_EXCESS_FLIP, CF_NOISE_FLOOR, NOISE_MARGIN
from auditor.behaviour.pair_measures import Contrast, concluded, enough_pairs, readable_of, smallest_seen
from auditor.behaviour.shown_rates import of_people
from auditor.counterfactuals import PLACEBO, REASK, arm
from auditor.language_models.tolerance import TOLERANCE
from auditor.records import Check, Role
from auditor.replicates import application_of
from auditor.statistics.cut_offs import largest_at
from auditor.statistics.margins import matched_operating_point
from auditor.statistics.pairs import count_pairs, excess_flip, flip_rates
from auditor.statistics.replicates import beyond_replicates, disagreement, pair_replicates
from auditor.statistics.results import Estimate
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context, Pairs, case_query
from auditor.testing.factory import measurement
from auditor.testing.families import TURNED_FAMILY
from auditor.testing.unadjusted import UnadjustedMeasurement

REPLICATE = "replicate"
MATCHED, LARGEST = "matched", "largest"
"""Cut-offs beside the model's own: the matched one of an attribute, and where the effect on a group is largest."""

CARD = Card(
    name="noise_floor",
    purpose="How much of a flip rate is noise: of the arithmetic (asked again) and of the wording (a placebo changed).",
    method=(
        "Test–retest: a sample of the applications is asked once more, each prompt alone by the model's own forward "
        "pass, or of a system that answers by another request. Negative control (placebo): in every application an "
        "irrelevant field is changed. Each contrast's flip rate is printed above the placebo's, both bootstrapped "
        "together over applications, with a one-sided exact McNemar test of one against the other (exploratory)."
    ),
    worrying=(
        "A placebo that flips decisions as often as a protected attribute: then the model is "
        "unstable, and pairs say little."
    ),
    limitations="One placebo field stands for all irrelevant wording; other rewordings may move the model more.",
    label="What changes by itself, and with a placebo",
    metrics=(
        Metric(CF_NOISE_FLOOR, "Decisions that change by themselves", "rate", higher_is_better=False),
        Metric(CF_EXCESS_FLIP, "Decisions that change beyond the placebo's", "rate_difference", higher_is_better=False),
        Metric(
            BEYOND_REPLICATES,
            "Decisions that differ beyond another draw's",
            "rate_difference",
            higher_is_better=False,
        ),
        Metric(NOISE_MARGIN, "Mean change of the score, either way", "logit", higher_is_better=False, signed=False),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Floor of both kinds, at every cut-off contrasts are read at, and each contrast's excess over the placebo."""
    if context.arm(arm(REASK, "first")).clusters:
        yield from _floor(context, REASK, "first", "second", f"asked again, {_asking_again(context)}")
    if context.replicates > 1:
        yield _of_replicates(context)
        yield from _beyond_replicates(context)
    if context.plan.placebo is None:
        return
    yield from _floor(context, PLACEBO, "filed", "changed", f"{context.plan.placebo.label} changed")
    floor = context.pairs(arm(PLACEBO, "filed"), arm(PLACEBO, "changed"))
    for attribute, group in context.contrasts():
        pairs = context.pairs(arm(attribute.field, attribute.reference), arm(attribute.field, group))
        if not pairs.clusters:
            continue
        yield _beyond(Contrast(context, attribute, group, pairs), floor)


def _asking_again(context: Context) -> str:
    if context.system is not None:
        return "by another request"
    alone = "each prompt alone by the model's own forward pass"
    drawn = context.generated is not None and context.generated.temperature > 0
    return f"{alone}, with another draw" if drawn else alone


def _of_replicates(context: Context) -> UnadjustedMeasurement:
    """How often two answers to one prompt differ: the floor of a sampled model."""
    plan = context.plan
    asked = [case for case in context.cases if case.role != REASK]
    found = disagreement(
        [str(context.decisions[case.id].outcome) for case in asked],
        cases=[application_of(case.cluster) + case.id.removeprefix(case.cluster) for case in asked],
        applications=[context.applicant(case.cluster) for case in asked],
        level=1 - plan.thresholds.alpha,
        resamples=plan.thresholds.bootstrap,
        seed=plan.cases.seed,
    )
    return UnadjustedMeasurement(
        measurement(
            # What counts is applications, however many cases each has.
            replace(found, n=int(found.counts.get("applications", 0))),
            test=CARD.name,
            metric=CF_NOISE_FLOOR,
            role=Role.SECONDARY,
            subject={"change": REPLICATE},
            unit="rate",
            higher_is_better=False,
            cases="",
            level=1 - plan.thresholds.alpha,
            counts={name: value for name, value in found.counts.items() if isinstance(value, int)},
        )
    )


def _beyond_replicates(context: Context) -> Iterable[UnadjustedMeasurement]:
    """How much more often decisions differ across the arms of a contrast than two answers to one prompt do."""
    for attribute, group in context.contrasts():
        pairs = context.pairs(arm(attribute.field, attribute.reference), arm(attribute.field, group))
        contrast = Contrast(context, attribute, group, pairs)
        nested = pair_replicates(
            control=pairs.control.favourable,
            control_applications=pairs.profiles,
            protected=pairs.protected.favourable,
            protected_applications=pairs.profiles,
        )
        found = beyond_replicates(nested, **contrast.options)
        yield UnadjustedMeasurement(
            measurement(
                enough_pairs(found),
                **{
                    **contrast.common,
                    "test": CARD.name,
                    "metric": BEYOND_REPLICATES,
                    "role": Role.SECONDARY,
                    "unit": "rate_difference",
                    "higher_is_better": False,
                },
            )
        )


def _beyond(contrast: Contrast, floor: Pairs) -> UnadjustedMeasurement:
    """Whether more decisions turn than with the placebo changed, whichever way: an effect that cancels shows here."""
    pairs, thresholds = contrast.pairs, contrast.context.plan.thresholds
    flips = pairs.control.favourable != pairs.protected.favourable
    changed = floor.control.favourable != floor.protected.favourable
    excess = excess_flip(
        flips=flips,
        clusters=pairs.profiles,
        floor_flips=changed,
        floor_clusters=floor.profiles,
        **contrast.options,
    ).excess
    where = {cluster: row for row, cluster in enumerate(floor.clusters)}
    both = [(row, where[cluster]) for row, cluster in enumerate(pairs.clusters) if cluster in where]
    counts = count_pairs(control=changed[[there for _, there in both]], protected=flips[[here for here, _ in both]])
    return concluded(
        contrast,
        excess,
        test=CARD.name,
        metric=CF_EXCESS_FLIP,
        role=Role.EXPLORATORY,
        unit="rate_difference",
        higher_is_better=False,
        family=TURNED_FAMILY,
        carries=False,
        practical=thresholds.practical_rate,
        mde=smallest_seen(
            contrast.effective(counts),
            alpha=thresholds.exploratory_q,
            family_size=contrast.family_size,
            power=thresholds.power,
        ),
        claim=None,
        quality=contrast.silent,
        counts=_turned(pairs),
    )


def _turned(pairs: Pairs) -> dict[str, float | int | None]:
    counts = count_pairs(control=pairs.control.favourable, protected=pairs.protected.favourable)
    return {"b": counts.b, "c": counts.c}


def _floor(context: Context, kind: str, first: str, second: str, words: str) -> Iterable[UnadjustedMeasurement]:
    arms = (arm(kind, first), arm(kind, second))
    pairs = context.pairs(*arms)
    level = 1 - context.plan.thresholds.alpha
    counts = count_pairs(control=pairs.control.favourable, protected=pairs.protected.favourable)
    differences = np.abs(pairs.protected.margins - pairs.control.margins)
    known = bool(len(differences)) and bool(np.isfinite(differences).all())
    largest = float(differences.max()) if known else None
    checks: tuple[Check, ...] = ()
    # What a system batches together, and whether that moves its margins, is its own: there is nothing packed here.
    if kind == REASK and largest is not None and context.system is None:
        checks = (
            Check(
                name="packed equals alone",
                held=largest <= TOLERANCE,
                value=largest,
                bound=TOLERANCE,
                covers_run=True,
                note="largest difference in nats between the packed reading of a prompt and the same prompt alone",
            ),
        )
    common: dict[str, Any] = {
        "test": CARD.name,
        "role": Role.SECONDARY,
        "cases": case_query(*arms),
        "level": level,
    }
    # The same readings: a check that failed takes all of them away; one that held is listed once.
    others = () if all(check.held for check in checks) else checks
    yield UnadjustedMeasurement(
        measurement(
            of_people(enough_pairs(flip_rates(counts, level=level).total), pairs.clusters, context=context),
            metric=CF_NOISE_FLOOR,
            subject={"change": kind},
            unit="rate",
            higher_is_better=False,
            checks=checks,
            counts={"flips": counts.discordant, "largest_margin_difference": largest},
            **common,
        )
    )
    for place, threshold in _cut_offs(context) if known else ():
        yes = [(side.margins >= threshold) & ~side.invalid for side in (pairs.control, pairs.protected)]
        there = count_pairs(control=yes[0], protected=yes[1])
        yield UnadjustedMeasurement(
            measurement(
                of_people(enough_pairs(flip_rates(there, level=level).total), pairs.clusters, context=context),
                metric=CF_NOISE_FLOOR,
                subject={"change": kind, **place},
                unit="rate",
                higher_is_better=False,
                checks=others,
                counts={"flips": there.discordant, "threshold": threshold},
                **common,
            )
        )
    shift = Estimate(
        value=float(differences.mean()) if known else None,
        n=len(differences),
        method=f"mean absolute change of the margin, {words}",
        reason=None if known else "no application stands in both arms with a margin",
    )
    yield UnadjustedMeasurement(
        measurement(
            shift,
            metric=NOISE_MARGIN,
            subject={"change": kind},
            unit="logit",
            higher_is_better=False,
            checks=others,
            **common,
        )
    )


def _cut_offs(context: Context) -> Iterable[tuple[dict[str, str], float]]:
    """Every other cut-off at which the plan's contrasts are read: matched, and where a contrast is largest."""
    for attribute in context.plan.attributes:
        reference = context.arm(arm(attribute.field, attribute.reference))
        if context.target_rate is not None and len(reference.margins) and np.isfinite(reference.margins).all():
            point = matched_operating_point(
                reference=reference.margins, target_rate=context.target_rate, readable=readable_of(reference)
            )
            yield {"cut_off": MATCHED, "attribute": attribute.field}, point.threshold
    for attribute, group in context.contrasts():
        pairs = context.pairs(arm(attribute.field, attribute.reference), arm(attribute.field, group))
        contrast = Contrast(context, attribute, group, pairs)
        if not contrast.has_margins:
            continue
        threshold = largest_at(
            control=pairs.control.margins,
            protected=pairs.protected.margins,
            rates=range_of(contrast)[0],
            natural=context.plan.operating_point.natural_margin,
            **contrast.readable,
        )
        if threshold is not None:
            yield {"cut_off": LARGEST, "attribute": attribute.field, "to": group}, threshold
