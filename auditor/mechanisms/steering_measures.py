"""Measurements from steering: the dose curve in both directions, and the potency of one dose in the model's middle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from auditor.behaviour.context import Context, Draft, FloatArray
from auditor.behaviour.fill import measurement
from auditor.counterfactuals import COUNTERFACTUAL
from auditor.language_models.packed import TOLERANCE
from auditor.measures.results import missing
from auditor.mechanisms.paired_means import paired_mean
from auditor.records import Check, Conclusion, Role

POTENCY = "steering_potency"
SHIFT = "steering_shift"
RANDOM = "random"
MASS_KEPT = 0.5
#: ``towards``: the group's direction added to prompts that state the reference; ``away``: taken from the group's own.
WAYS = ("towards", "away")


def measures(context: Context, results: Sequence[Mapping[str, Any]], *, test: str) -> Iterable[Draft]:
    """All measurements of all attributes."""
    for result in results:
        for group in result["groups"]:
            if group != result["reference"]:
                yield from _group(context, result, group, test)


def _group(context: Context, result: Mapping[str, Any], group: str, test: str) -> Iterable[Draft]:
    level = 1 - context.plan.thresholds.alpha
    subject = {"field": result["field"], "group": group}
    common: dict[str, Any] = {
        "test": test,
        "role": Role.SUPPORTING,
        "reference": result["reference"],
        "unit": "logit",
        "cases": f"role:{COUNTERFACTUAL}",
        "higher_is_better": None,
        "level": level,
    }
    if not result["cases"]:
        nothing = missing(method="steering", reason=result["reason"], n=0)
        yield Draft(
            measurement(
                nothing,
                metric=POTENCY,
                subject=subject,
                conclusion=Conclusion.NOT_TESTED,
                conclusion_reason=result["reason"],
                **common,
            )
        )
        return
    groups = result["groups"]
    clean = np.array(result["clean"], dtype=np.float64).reshape(-1, len(groups))
    before = {"towards": clean[:, groups.index(result["reference"])], "away": clean[:, groups.index(group)]}
    decided = tuple(_checks(context, result, clean))
    threshold = context.plan.operating_point.natural_margin
    points = [point for point in result["curve"] if point["group"] == groups.index(group)]
    shown = [point for point in points if not point["source"].startswith(RANDOM)]
    for point in [*shown, *_largest_random(points, before)]:
        for way in WAYS:
            after = np.array(point[way], dtype=np.float64)
            estimate = paired_mean(after - before[way], level=level, method="mean change of the margin")
            counts = {
                "flip_rate": float(((after >= threshold) != (before[way] >= threshold)).mean()),
                "mass": point["mass"],
                "mass_clean": result["mass"],
                **_random(points, point, before),
            }
            dose = point["dose"] if way == "towards" else -point["dose"]
            where = {"path": _path(point), "dose": f"{dose:g}"}
            checks = (*decided, _mass_check(point["mass"], result["mass"]))
            yield Draft(
                measurement(
                    estimate, metric=SHIFT, subject={**subject, **where}, counts=counts, checks=checks, **common
                )
            )
            same = point["source"] == str(point["target"]) == str(result["middle"])
            if same and way == "towards" and point["dose"] == _least(points):
                family = f"steering of {result['field']}"
                back = np.array(point["away"], dtype=np.float64)
                counts |= {
                    "away": float((back - before["away"]).mean()),
                    "flip_rate_away": float(((back >= threshold) != (before["away"] >= threshold)).mean()),
                }
                yield Draft(
                    measurement(
                        estimate, metric=POTENCY, subject=subject, counts=counts, checks=checks, family=family, **common
                    )
                )


def _path(point: Mapping[str, Any]) -> str:
    """Where the direction was taken from and where it was put in."""
    source = RANDOM if point["source"].startswith(RANDOM) else f"layer {point['source']}"
    return f"{source} into layer {point['target']}"


def _least(points: Sequence[Mapping[str, Any]]) -> float:
    return float(min(point["dose"] for point in points))


def _random(
    points: Sequence[Mapping[str, Any]], point: Mapping[str, Any], before: Mapping[str, FloatArray]
) -> dict[str, float]:
    """Mean changes by random directions of the same length, dose and layer, both ways."""
    moves = [
        float((np.array(other[way]) - before[way]).mean())
        for other in points
        if other["source"].startswith(RANDOM) and (other["target"], other["dose"]) == (point["target"], point["dose"])
        for way in WAYS
    ]
    return {"random_mean": float(np.mean(moves)), "random_largest": max(map(abs, moves))}


def _largest_random(
    points: Sequence[Mapping[str, Any]], before: Mapping[str, FloatArray]
) -> Iterable[Mapping[str, Any]]:
    """Of the random directions at every layer, the one that moves margins most over all doses."""
    for target in dict.fromkeys(point["target"] for point in points):
        mine = [point for point in points if point["source"].startswith(RANDOM) and point["target"] == target]

        def moved(name: str, mine: Sequence[Mapping[str, Any]] = mine) -> float:
            return sum(
                abs(float((np.array(point[way]) - before[way]).mean()))
                for point in mine
                if point["source"] == name
                for way in WAYS
            )

        names = dict.fromkeys(point["source"] for point in mine)
        largest = max(names, key=moved)
        yield from (point for point in mine if point["source"] == largest)


def _checks(context: Context, result: Mapping[str, Any], clean: FloatArray) -> Iterable[Check]:
    if not result["exact"]:
        return
    apart = 0.0
    for case, margins in zip(result["cases"], clean, strict=True):
        for group, margin in zip(result["groups"], margins, strict=True):
            name = f"{case}/{result['field']}={group}"
            decision = context.decisions.get(name) or context.decisions[case]
            apart = max(apart, abs(float(margin) - float(decision.margin or 0.0)))
    yield Check(
        "margin as decided",
        apart <= TOLERANCE,
        apart,
        TOLERANCE,
        "largest difference in nats between the untouched margin here and the margin decided on",
    )


def _mass_check(mass: float, clean: float) -> Check:
    kept = mass / clean
    note = "probability on the answers when steered, as a share of before: decisions that flip must not be damage"
    return Check("answers keep their probability", kept >= MASS_KEPT, kept, MASS_KEPT, note)
