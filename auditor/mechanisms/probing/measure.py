"""Measurements from probes: one a layer, position, group and setting; where the attribute can be read at all although
the prompt withholds it; and whether, stated, it is read better than words without a meaning.

Stated and withheld are printed apart. Only withheld has a p-value for being readable; only stated has control pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.counterfactuals import ACTUAL
from auditor.mechanisms._shared.decision_checks import FARTHEST
from auditor.mechanisms._shared.enough import measured
from auditor.mechanisms._shared.probe_readings import Reading
from auditor.mechanisms.probing.controls import DECLARED_SITE
from auditor.mechanisms.probing.result import (
    STATED,
    WITHHELD,
    At,
    Compared,
    NotCompared,
    Probe,
    Result,
    TrainedResult,
    UntrainedResult,
)
from auditor.mechanisms.probing.selectivity import Selectivity
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
#: Standard deviations from chance (as if both labels were as few as the rarer one) at which labels without a meaning
#: were read too well, or too badly, to be believed.
PERMUTED_SD = 4.0
SAID = {"untrained": "random weights", "numbers": "the application's numbers alone"}
ABOVE_CONTROLS = (
    "balanced accuracy of the groups' words minus its mean over pairs of words without a meaning, as long, in the "
    "same applications"
)
CEILING = "too few to say: not even perfect reading would stand out from words without a meaning"


def measures(context: Context, results: Sequence[Result], *, test: str) -> Iterable[UnadjustedMeasurement]:
    """All measurements of all attributes."""
    plain = {
        (result.field, probe.at): probe.accuracy
        for result in results
        if isinstance(result, UntrainedResult)
        for probe in result.probes
    }
    for result in results:
        if isinstance(result, UntrainedResult):
            continue
        found = [_Found(probe, plain.get((result.field, probe.at))) for probe in result.probes]
        for group, setting in dict.fromkeys((each.at.group, each.at.setting) for each in found):
            mine = [each for each in found if (each.at.group, each.at.setting) == (group, setting)]
            yield from _one(context, result, mine, test=test)


@dataclass(frozen=True, slots=True)
class _Found:
    """A probe, and what the same probe of random weights reads."""

    probe: Probe
    untrained: float | None

    @property
    def at(self) -> At:
        return self.probe.at

    @property
    def reading(self) -> Reading:
        return self.probe.reading

    @property
    def baselines(self) -> dict[str, float | None]:
        return {"untrained": self.untrained, "numbers": self.probe.numbers}

    @property
    def place(self) -> dict[str, str]:
        """Where, as a subject says it."""
        return {"at": self.at.site, "layer": str(self.at.layer)}


def _one(
    context: Context, result: TrainedResult, probes: Sequence[_Found], *, test: str
) -> Iterable[UnadjustedMeasurement]:
    group, setting = probes[0].at.group, probes[0].at.setting
    level = 1 - context.plan.thresholds.alpha
    common: dict[str, Any] = {
        "test": test,
        "role": Role.SUPPORTING,
        "reference": result.reference,
        "cases": f"role:{ACTUAL}",
        "higher_is_better": None,
        "level": level,
    }
    subject = {"field": result.field, "group": group, "setting": setting}
    checks = tuple(_checks([each.probe for each in probes]))
    # Withheld, all layers and positions are one test, whose p-value stands with the places that can be read.
    family = f"probes of {result.field}={group}, {setting}" if setting == STATED else None
    for each in probes:
        yield _accuracy(each, subject=subject, family=family, checks=checks, common=common)
    yield _readable(context, result, probes, subject=subject, checks=checks, common=common)
    at = _declared(result, probes)
    if setting == STATED:
        yield from _selective(context, result, at, probes, subject=subject, checks=checks, common=common)
    elif at is not None:
        counts = {"accuracy": at.reading.accuracy, **at.baselines, "embedding": _embedding(probes, at.at.site)}
        row = measured(
            _above_baselines(at, level),
            metric=SELECTIVITY,
            subject={**subject, **at.place},
            unit="rate_difference",
            checks=checks,
            counts={**counts, "withheld": 1},
            **common,
        )
        yield UnadjustedMeasurement(row)


def _accuracy(
    each: _Found, *, subject: dict[str, str], family: str | None, checks: tuple[Check, ...], common: dict[str, Any]
) -> UnadjustedMeasurement:
    """What one probe reads."""
    reading, stated = each.reading, each.at.setting == STATED
    interval = Interval(reading.low, reading.high, common["level"], "mean of two Wilson intervals, by application")
    accuracy = Estimate(
        value=reading.accuracy,
        n=reading.clusters,
        method="balanced accuracy of an L2-logistic probe on held-out applications",
        interval=interval,
        test=Significance(reading.p_value, "clustered z test against 1/2") if stated else None,
    )
    stands = interval_may_stand(reading.clusters)
    counts: dict[str, float | int | None] = {
        "auroc": reading.auroc,
        "auroc_low": reading.auroc_low if stands else None,
        "auroc_high": reading.auroc_high if stands else None,
        "permuted": each.probe.permuted,
        **each.baselines,
        "p_over_all_places": each.probe.largest.p_value if each.probe.largest else None,
        "rows": reading.n,
    }
    row = measured(
        accuracy,
        metric=ACCURACY,
        subject={**subject, **each.place},
        unit="rate",
        family=family,
        checks=checks,
        counts=counts,
        **common,
    )
    return UnadjustedMeasurement(row)


def _readable(
    context: Context,
    result: TrainedResult,
    probes: Sequence[_Found],
    *,
    subject: dict[str, str],
    checks: tuple[Check, ...],
    common: dict[str, Any],
) -> UnadjustedMeasurement:
    """Places where the attribute can be read; where it was withheld, with one p-value over all of them."""
    alpha = context.plan.thresholds.alpha
    largest = [each.probe.largest for each in probes]
    withheld = subject["setting"] == WITHHELD
    adjusted = (
        [one.p_value if one else None for one in largest]
        if withheld
        else holm([each.reading.p_value for each in probes])
    )
    readable = [
        each
        for each, p in zip(probes, adjusted, strict=True)
        if at_level(p, alpha=alpha) and each.reading.accuracy > 0.5
    ]
    best = max(probes, key=lambda each: each.reading.accuracy)
    counts: dict[str, Any] = {
        "withheld": int(withheld),
        "probes": len(probes),
        "first_layer": min((each.at.layer for each in readable), default=None),
        "readable_at_last_token": sum(each.at.site == DECLARED_SITE for each in readable),
        "best_accuracy": best.reading.accuracy,
        "smaller_group": best.probe.smaller,
    }
    how = "against the best place of every draw of labels permuted among applications" if withheld else "Holm over all"
    said, test = None, None
    if best.probe.largest is not None:
        needed = draws_needed(alpha=alpha, family_size=result.contrasts)
        counts |= {"draws": best.probe.largest.draws, "draws_needed": needed, "numbers": best.probe.numbers}
        test = Significance(best.probe.largest.p_value, "permutation test over all layers and positions")
    else:
        said = "Stated in the prompt: the states hold it by construction, so being readable says nothing."
    estimate = Estimate(
        value=float(len(readable)),
        n=probes[0].reading.clusters,
        method=f"layers and positions where the attribute can be read ({how})",
        test=test,
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
    result: TrainedResult,
    at: _Found | None,
    probes: Sequence[_Found],
    *,
    subject: dict[str, str],
    checks: tuple[Check, ...],
    common: dict[str, Any],
) -> Iterable[UnadjustedMeasurement]:
    """The attribute's words against pairs of words without a meaning, and those pairs themselves."""
    mine = next((item for item in result.selectivity if item.group == subject["group"]), None)
    if mine is None:
        return
    where = {**subject, "at": DECLARED_SITE, "layer": str(result.declared_layer)}
    counts: dict[str, float | int | None] = {"withheld": 0}
    said: str | None
    if isinstance(mine, NotCompared):
        estimate, said = missing(method=ABOVE_CONTROLS, reason=mine.reason, n=result.applications), mine.reason
    else:
        found = mine.found
        level = 1 - context.plan.thresholds.alpha
        estimate = _above_controls(found, level)
        said = _silent(mine)
        control = {
            "control_lowest": found.lowest,
            "control_highest": found.highest,
            "control_words": mine.words,
        }
        counts |= {
            "accuracy": found.accuracy,
            "control": found.control,
            "draws": found.draws,
            "perfect_p": found.perfect_p,
            **control,
            "draws_needed": found.needed,
            "ceiling": int(mine.ceiling),
            "untrained": at.untrained if at is not None else None,
            "embedding": _embedding(probes, DECLARED_SITE),
        }
        yield UnadjustedMeasurement(
            measured(
                Estimate(
                    value=found.control,
                    n=found.applications,
                    method="mean balanced accuracy of pairs of words without a meaning, as long as the groups' own",
                ),
                metric=CONTROL,
                subject=where,
                unit="rate",
                counts=control,
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
            conclusion=Conclusion.INCONCLUSIVE if said is not None else None,
            conclusion_reason=f"{said[0].upper()}{said[1:]}." if said else None,
            **common,
        )
    )


def _above_controls(found: Selectivity, level: float) -> Estimate:
    """Stated: how much better the attribute's words are read than words without a meaning."""
    interval = Interval(found.low, found.high, level, "Wilson's, put together by application; these control words")
    return Estimate(
        value=found.difference,
        n=found.applications,
        method=ABOVE_CONTROLS,
        interval=interval,
        test=Significance(
            found.p_value, "permutation test: which two of the words, own and control, are the attribute's"
        ),
    )


def _silent(mine: Compared) -> str | None:
    """Why the control pairs say nothing; ``None`` where they do."""
    found = mine.found
    if found.draws < found.needed:
        return f"too few draws to say: {found.draws} control pairs, at least {found.needed} needed"
    return CEILING if mine.ceiling else None


def _declared(result: TrainedResult, probes: Sequence[_Found]) -> _Found | None:
    """The reading at the place that was declared beforehand."""
    place = (DECLARED_SITE, result.declared_layer)
    return next((each for each in probes if (each.at.site, each.at.layer) == place), None)


def _above_baselines(found: _Found, level: float) -> Estimate:
    """Withheld: above what random weights and the application's numbers give away."""
    reading = found.reading
    known = {name: value for name, value in found.baselines.items() if value is not None}
    if not known:
        return missing(method="balanced accuracy minus baselines", reason="no baseline was read", n=reading.clusters)
    highest = max([0.5, *known.values()])
    return Estimate(
        value=reading.accuracy - highest,
        n=reading.clusters,
        method=f"balanced accuracy minus the highest of 1/2 and {', '.join(SAID[name] for name in known)}",
        interval=Interval(reading.low - highest, reading.high - highest, level, "of the accuracy, baseline as read"),
    )


def _embedding(probes: Sequence[_Found], site: str) -> float | None:
    return next((each.reading.accuracy for each in probes if each.at.site == site and each.at.layer == 0), None)


def _checks(probes: Sequence[Probe]) -> Iterable[Check]:
    mean = sum(probe.permuted for probe in probes) / len(probes)
    bound = PERMUTED_SD * 0.5 * (0.5 / probes[0].smaller) ** 0.5
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
        held=all(probe.solved for probe in probes),
        value=float(sum(not probe.solved for probe in probes)),
        bound=0.0,
        note="probes that did not reach their optimum",
    )
