"""Measurements from probes: one a layer, position, group and setting, and where the attribute can be read at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from auditor.behaviour.context import Context, Draft
from auditor.behaviour.fill import measurement
from auditor.counterfactuals import ACTUAL
from auditor.measures.multiplicity import holm
from auditor.measures.results import Estimate, Interval, Significance, missing
from auditor.records import Check, Role

ACCURACY = "probe_balanced_accuracy"
SELECTIVITY = "probe_selectivity"
READABLE = "probe_layers_readable"
#: Standard deviations from chance (as if both labels were as few as the rarer one) at which labels without a meaning
#: were read too well, or too badly, to be believed.
PERMUTED_SD = 4.0


def measures(context: Context, results: Sequence[Mapping[str, Any]], *, test: str) -> Iterable[Draft]:
    """All measurements of all attributes."""
    for result in results:
        found = result["probes"]
        for group, setting in dict.fromkeys((probe["group"], probe["setting"]) for probe in found):
            mine = [probe for probe in found if (probe["group"], probe["setting"]) == (group, setting)]
            yield from _one(context, result, mine, test=test)


def _one(
    context: Context, result: Mapping[str, Any], probes: Sequence[Mapping[str, Any]], *, test: str
) -> Iterable[Draft]:
    group, setting = probes[0]["group"], probes[0]["setting"]
    level = 1 - context.plan.thresholds.alpha
    common: dict[str, Any] = {
        "test": test,
        "role": Role.SUPPORTING,
        "reference": result["reference"],
        "cases": f"role:{ACTUAL}",
        "higher_is_better": None,
        "level": level,
    }
    subject = {"field": result["field"], "group": group, "setting": setting}
    checks = tuple(_checks(probes))
    family = f"probes of {result['field']}={group}, {setting}"
    for probe in probes:
        where = {**subject, "position": probe["site"], "layer": str(probe["layer"])}
        accuracy = Estimate(
            value=probe["accuracy"],
            n=probe["clusters"],
            method="balanced accuracy of an ℓ2-logistic probe on held-out applications",
            interval=Interval(probe["low"], probe["high"], level, "mean of two Wilson intervals, by application"),
            test=Significance(probe["p_value"], "clustered z test against 1/2"),
        )
        counts = {key: probe[key] for key in ("auroc", "auroc_low", "auroc_high", "permuted", "control", "untrained")}
        yield Draft(
            measurement(
                accuracy,
                metric=ACCURACY,
                subject=where,
                unit="rate",
                family=family,
                checks=checks,
                counts={**counts, "rows": probe["n"]},
                **common,
            )
        )
    best = _best(probes)
    adjusted = holm([probe["p_value"] for probe in probes])
    readable = [
        probe
        for probe, p in zip(probes, adjusted, strict=True)
        if p is not None and p < context.plan.thresholds.alpha and probe["accuracy"] > 0.5
    ]
    yield Draft(
        measurement(
            Estimate(
                value=float(len(readable)),
                n=best["clusters"],
                method="layers and positions where the attribute can be read (Holm over all of them)",
            ),
            metric=READABLE,
            subject=subject,
            unit="count",
            checks=checks,
            counts={
                "probes": len(probes),
                "first_layer": min((probe["layer"] for probe in readable), default=None),
                "readable_at_last_token": sum(probe["site"] == "last token" for probe in readable),
            },
            **common,
        )
    )
    yield Draft(
        measurement(
            _selectivity(best, setting),
            metric=SELECTIVITY,
            subject={**subject, "position": best["site"], "layer": str(best["layer"])},
            unit="rate_difference",
            checks=checks,
            counts={key: best[key] for key in ("accuracy", "control", "untrained")}
            | {"embedding": _embedding(probes, best["site"])},
            **common,
        )
    )


def _best(probes: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The last token's probe in the middle of the model: fixed before any is looked at, so nothing is picked."""
    last = [probe for probe in probes if probe["site"] == "last token"] or list(probes)
    middle = max(probe["layer"] for probe in last) // 2
    return next(probe for probe in last if probe["layer"] >= middle)


def _selectivity(probe: Mapping[str, Any], setting: str) -> Estimate:
    method = "balanced accuracy minus the highest of control labels by type, random weights and 1/2"
    baselines = [0.5, *(probe[key] for key in ("control", "untrained") if probe[key] is not None)]
    if setting == "withheld":
        # The control words stand in the attribute's place, which is the same word everywhere here.
        baselines = [0.5, *(probe[key] for key in ("untrained",) if probe[key] is not None)]
        method = "balanced accuracy minus the higher of random weights and 1/2"
    if len(baselines) == 1:
        return missing(method=method, reason="no baseline was read", n=probe["clusters"])
    highest = max(baselines)
    return Estimate(
        value=probe["accuracy"] - highest,
        n=probe["clusters"],
        method=method,
        interval=Interval(probe["low"] - highest, probe["high"] - highest, 0.95, "of the accuracy, baseline as read"),
    )


def _embedding(probes: Sequence[Mapping[str, Any]], site: str) -> float | None:
    return next((probe["accuracy"] for probe in probes if probe["site"] == site and probe["layer"] == 0), None)


def _checks(probes: Sequence[Mapping[str, Any]]) -> Iterable[Check]:
    mean = sum(probe["permuted"] for probe in probes) / len(probes)
    bound = PERMUTED_SD * 0.5 * (0.5 / probes[0]["smaller"]) ** 0.5
    yield Check(
        name="permuted labels are at chance",
        held=abs(mean - 0.5) <= bound,
        value=mean,
        bound=bound,
        note="mean balanced accuracy over all layers on labels without a meaning; the bound is its distance from 0.5",
    )
    yield Check(
        name="probes are solved",
        held=all(probe["solved"] for probe in probes),
        value=float(sum(not probe["solved"] for probe in probes)),
        bound=0.0,
        note="probes that did not reach their optimum",
    )
