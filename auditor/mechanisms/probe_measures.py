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
CONTROL = "probe_control_accuracy"
SELECTIVITY = "probe_selectivity"
READABLE = "probe_layers_readable"
#: Standard deviations from chance (as if both labels were as few as the rarer one) at which labels without a meaning
#: were read too well, or too badly, to be believed.
PERMUTED_SD = 4.0
SAID = {
    "control": "control labels by type",
    "untrained": "random weights",
    "numbers": "the application's numbers alone",
}
BASELINES = tuple(SAID)


def measures(context: Context, results: Sequence[Mapping[str, Any]], *, test: str) -> Iterable[Draft]:
    """All measurements of all attributes."""
    plain = {_key(result, probe): probe["accuracy"] for result in results for probe in _of(result, trained=False)}
    for result in results:
        found = [{**probe, "untrained": plain.get(_key(result, probe))} for probe in _of(result, trained=True)]
        yield from _controls(context, result, found, test=test)
        for group, setting in dict.fromkeys((probe["group"], probe["setting"]) for probe in found):
            mine = [probe for probe in found if (probe["group"], probe["setting"]) == (group, setting)]
            yield from _one(context, result, mine, test=test)


def _of(result: Mapping[str, Any], *, trained: bool) -> Sequence[Mapping[str, Any]]:
    return result["probes"] if (result["part"] == "trained") is trained else ()


def _key(result: Mapping[str, Any], probe: Mapping[str, Any]) -> tuple[Any, ...]:
    return (result["field"], *(probe[name] for name in ("group", "setting", "site", "layer")))


def _controls(
    context: Context, result: Mapping[str, Any], probes: Sequence[Mapping[str, Any]], *, test: str
) -> Iterable[Draft]:
    """How well words without a meaning are read in the attribute's place: what such a probe can learn at all."""
    seen: dict[tuple[str, int], float] = {
        (probe["site"], probe["layer"]): probe["control"] for probe in probes if probe["control"] is not None
    }
    for (site, layer), accuracy in seen.items():
        yield Draft(
            measurement(
                Estimate(
                    value=accuracy,
                    n=result["applications"],
                    method="balanced accuracy on random groupings of words without a meaning, mean over groupings",
                ),
                test=test,
                metric=CONTROL,
                role=Role.SUPPORTING,
                subject={"field": result["field"], "at": site, "layer": str(layer)},
                unit="rate",
                cases=f"role:{ACTUAL}",
                higher_is_better=None,
            )
        )


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
        where = {**subject, "at": probe["site"], "layer": str(probe["layer"])}
        accuracy = Estimate(
            value=probe["accuracy"],
            n=probe["clusters"],
            method="balanced accuracy of an L2-logistic probe on held-out applications",
            interval=Interval(probe["low"], probe["high"], level, "mean of two Wilson intervals, by application"),
            test=Significance(probe["p_value"], "clustered z test against 1/2"),
        )
        counts = {key: probe[key] for key in ("auroc", "auroc_low", "auroc_high", "permuted", *BASELINES)}
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
            subject={**subject, "at": best["site"], "layer": str(best["layer"])},
            unit="rate_difference",
            checks=checks,
            counts={key: best[key] for key in ("accuracy", *BASELINES)}
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
    # The control words stand in the attribute's place, which is the same word everywhere where it is withheld.
    names = ("untrained", "numbers") if setting == "withheld" else ("control", "untrained")
    known = [name for name in names if probe[name] is not None]
    baselines = [0.5, *(probe[name] for name in known)]
    if not known:
        return missing(method="balanced accuracy minus baselines", reason="no baseline was read", n=probe["clusters"])
    method = f"balanced accuracy minus the highest of 1/2 and {', '.join(SAID[name] for name in known)}"
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
        value=abs(mean - 0.5),
        bound=bound,
        note="distance from 0.5 of the mean balanced accuracy over all layers on labels without a meaning",
    )
    yield Check(
        name="probes are solved",
        held=all(probe["solved"] for probe in probes),
        value=float(sum(not probe["solved"] for probe in probes)),
        bound=0.0,
        note="probes that did not reach their optimum",
    )
