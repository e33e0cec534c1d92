"""Measurements from probes: one a layer, position, group and setting; where the attribute can be read at all although
the prompt withholds it; and whether, stated, it is read better than words without a meaning.

Stated and withheld are printed apart. Only withheld has a p-value for being readable; only stated has control pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from auditor.counterfactuals import ACTUAL
from auditor.mechanisms._shared.decision_checks import FARTHEST
from auditor.mechanisms._shared.enough import measured
from auditor.mechanisms.probing.controls import DECLARED_SITE
from auditor.records import Check, Conclusion, Role
from auditor.statistics.minimums import draws_needed, interval_may_stand
from auditor.statistics.multiplicity import holm
from auditor.statistics.multiplicity import significant as at_level
from auditor.statistics.results import Estimate, Interval, Significance, missing
from auditor.testing.context import Context
from auditor.testing.families import inside_family
from auditor.testing.unadjusted import UnadjustedMeasurement

ACCURACY = "probe_balanced_accuracy"
CONTROL = "probe_control_accuracy"
SELECTIVITY = "probe_selectivity"
READABLE = "probe_layers_readable"
STATED, WITHHELD = "stated", "withheld"
#: Standard deviations from chance (as if both labels were as few as the rarer one) at which labels without a meaning
#: were read too well, or too badly, to be believed.
PERMUTED_SD = 4.0
SAID = {"untrained": "random weights", "numbers": "the application's numbers alone"}
BASELINES = tuple(SAID)
CEILING = "too few to say: not even perfect reading would stand out from words without a meaning"


def measures(context: Context, results: Sequence[Mapping[str, Any]], *, test: str) -> Iterable[UnadjustedMeasurement]:
    """All measurements of all attributes."""
    plain = {_key(result, probe): probe["accuracy"] for result in results for probe in _of(result, trained=False)}
    for result in results:
        found = [{**probe, "untrained": plain.get(_key(result, probe))} for probe in _of(result, trained=True)]
        for group, setting in dict.fromkeys((probe["group"], probe["setting"]) for probe in found):
            mine = [probe for probe in found if (probe["group"], probe["setting"]) == (group, setting)]
            yield from _one(context, result, mine, test=test)


def _of(result: Mapping[str, Any], *, trained: bool) -> Sequence[Mapping[str, Any]]:
    return result["probes"] if (result["part"] == "trained") is trained else ()


def _key(result: Mapping[str, Any], probe: Mapping[str, Any]) -> tuple[Any, ...]:
    return (result["field"], *(probe[name] for name in ("group", "setting", "site", "layer")))


def _one(
    context: Context, result: Mapping[str, Any], probes: Sequence[Mapping[str, Any]], *, test: str
) -> Iterable[UnadjustedMeasurement]:
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
    # Withheld, all layers and positions are one test, whose p-value stands with the places that can be read.
    family = f"probes of {result['field']}={group}, {setting}" if setting == STATED else None
    for probe in probes:
        where = {**subject, "at": probe["site"], "layer": str(probe["layer"])}
        accuracy = Estimate(
            value=probe["accuracy"],
            n=probe["clusters"],
            method="balanced accuracy of an L2-logistic probe on held-out applications",
            interval=Interval(probe["low"], probe["high"], level, "mean of two Wilson intervals, by application"),
            test=Significance(probe["p_value"], "clustered z test against 1/2") if setting == STATED else None,
        )
        names = ("auroc", "auroc_low", "auroc_high", "permuted", *BASELINES)
        counts = {key: probe[key] for key in names} | {"p_over_all_places": probe.get("p_largest")}
        if not interval_may_stand(probe["clusters"]):
            counts |= {"auroc_low": None, "auroc_high": None}
        yield UnadjustedMeasurement(
            measured(
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
    yield _readable(context, result, probes, subject=subject, checks=checks, common=common)
    at = _declared(result, probes)
    if setting == STATED:
        yield from _selective(context, result, at, probes, subject=subject, checks=checks, common=common)
    elif at is not None:
        yield UnadjustedMeasurement(
            measured(
                _above_baselines(at, level),
                metric=SELECTIVITY,
                subject={**subject, "at": at["site"], "layer": str(at["layer"])},
                unit="rate_difference",
                checks=checks,
                counts={key: at[key] for key in ("accuracy", *BASELINES)}
                | {"embedding": _embedding(probes, at["site"]), "withheld": 1},
                **common,
            )
        )


def _readable(
    context: Context,
    result: Mapping[str, Any],
    probes: Sequence[Mapping[str, Any]],
    *,
    subject: dict[str, str],
    checks: tuple[Check, ...],
    common: dict[str, Any],
) -> UnadjustedMeasurement:
    """Places where the attribute can be read; where it was withheld, with one p-value over all of them."""
    alpha = context.plan.thresholds.alpha
    withheld = subject["setting"] == WITHHELD
    adjusted = [probe["p_largest"] for probe in probes] if withheld else holm([probe["p_value"] for probe in probes])
    readable = [
        probe for probe, p in zip(probes, adjusted, strict=True) if at_level(p, alpha=alpha) and probe["accuracy"] > 0.5
    ]
    best = max(probes, key=lambda probe: float(probe["accuracy"]))
    counts: dict[str, Any] = {
        "withheld": int(withheld),
        "probes": len(probes),
        "first_layer": min((probe["layer"] for probe in readable), default=None),
        "readable_at_last_token": sum(probe["site"] == DECLARED_SITE for probe in readable),
        "best_accuracy": best["accuracy"],
        "smaller_group": best["smaller"],
    }
    how = "against the best place of every draw of labels permuted among applications" if withheld else "Holm over all"
    said = None
    if withheld:
        counts |= {"draws": best["draws"], "draws_needed": _needed(context, result), "numbers": best["numbers"]}
        test = Significance(best["p_largest"], "permutation test over all layers and positions")
    else:
        said = "Stated in the prompt: the states hold it by construction, so being readable says nothing."
    estimate = Estimate(
        value=float(len(readable)),
        n=probes[0]["clusters"],
        method=f"layers and positions where the attribute can be read ({how})",
        test=test if withheld else None,
    )
    return UnadjustedMeasurement(
        measured(
            estimate,
            metric=READABLE,
            subject=subject,
            unit="count",
            family=f"{inside_family(common['test'])}, withheld" if withheld else None,
            checks=checks,
            counts=counts,
            conclusion_reason=said,
            **common,
        )
    )


def _selective(
    context: Context,
    result: Mapping[str, Any],
    at: Mapping[str, Any] | None,
    probes: Sequence[Mapping[str, Any]],
    *,
    subject: dict[str, str],
    checks: tuple[Check, ...],
    common: dict[str, Any],
) -> Iterable[UnadjustedMeasurement]:
    """The attribute's words against pairs of words without a meaning, and those pairs themselves."""
    found = next((item for item in result["selectivity"] if item["group"] == subject["group"]), None)
    if found is None:
        return
    where = {**subject, "at": DECLARED_SITE, "layer": str(result["declared_layer"])}
    method = (
        "balanced accuracy of the groups' words minus its mean over pairs of words without a meaning, as long, in the "
        "same applications"
    )
    conclusion, said = None, None
    counts: dict[str, Any] = {"withheld": 0}
    if "reason" in found:
        estimate = missing(method=method, reason=found["reason"], n=result["applications"])
        conclusion, said = Conclusion.INCONCLUSIVE, found["reason"]
    else:
        level = 1 - context.plan.thresholds.alpha
        estimate = Estimate(
            value=found["accuracy"] - found["control"],
            n=found["applications"],
            method=method,
            interval=Interval(
                found["low"], found["high"], level, "Wilson's, put together by application; these control words"
            ),
            test=Significance(
                found["p_value"], "permutation test: which two of the words, own and control, are the attribute's"
            ),
        )
        counts |= {name: found[name] for name in ("accuracy", "control", "draws", "perfect_p")}
        counts |= {
            "control_lowest": found["lowest"],
            "control_highest": found["highest"],
            "control_words": found["words"],
            "draws_needed": found["needed"],
            "ceiling": int(found["ceiling"]),
            "untrained": at["untrained"] if at is not None else None,
            "embedding": _embedding(probes, DECLARED_SITE),
        }
        if found["draws"] < found["needed"]:
            said = f"too few draws to say: {found['draws']} control pairs, at least {found['needed']} needed"
        elif found["ceiling"]:
            said = CEILING
        if said is not None:
            conclusion = Conclusion.INCONCLUSIVE
        yield UnadjustedMeasurement(
            measured(
                Estimate(
                    value=found["control"],
                    n=found["applications"],
                    method="mean balanced accuracy of pairs of words without a meaning, as long as the groups' own",
                ),
                metric=CONTROL,
                subject=where,
                unit="rate",
                counts={name: counts[name] for name in ("control_lowest", "control_highest", "control_words")},
                **common,
            )
        )
    yield UnadjustedMeasurement(
        measured(
            estimate,
            metric=SELECTIVITY,
            subject=where,
            unit="rate_difference",
            family=inside_family(common["test"]),
            checks=checks,
            counts=counts,
            conclusion=conclusion,
            conclusion_reason=f"{said[0].upper()}{said[1:]}." if said else None,
            **common,
        )
    )


def _needed(context: Context, result: Mapping[str, Any]) -> int:
    return draws_needed(alpha=context.plan.thresholds.alpha, family_size=result["contrasts"])


def _declared(result: Mapping[str, Any], probes: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The reading at the place that was declared beforehand."""
    place = (DECLARED_SITE, result["declared_layer"])
    return next((probe for probe in probes if (probe["site"], probe["layer"]) == place), None)


def _above_baselines(probe: Mapping[str, Any], level: float) -> Estimate:
    """Withheld: above what random weights and the application's numbers give away."""
    known = [name for name in BASELINES if probe[name] is not None]
    if not known:
        return missing(method="balanced accuracy minus baselines", reason="no baseline was read", n=probe["clusters"])
    highest = max([0.5, *(probe[name] for name in known)])
    return Estimate(
        value=probe["accuracy"] - highest,
        n=probe["clusters"],
        method=f"balanced accuracy minus the highest of 1/2 and {', '.join(SAID[name] for name in known)}",
        interval=Interval(probe["low"] - highest, probe["high"] - highest, level, "of the accuracy, baseline as read"),
    )


def _embedding(probes: Sequence[Mapping[str, Any]], site: str) -> float | None:
    return next((probe["accuracy"] for probe in probes if probe["site"] == site and probe["layer"] == 0), None)


def _checks(probes: Sequence[Mapping[str, Any]]) -> Iterable[Check]:
    mean = sum(probe["permuted"] for probe in probes) / len(probes)
    bound = PERMUTED_SD * 0.5 * (0.5 / probes[0]["smaller"]) ** 0.5
    if bound < FARTHEST:
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
