"""Measurements from probes: one a layer, position, group and setting; where the attribute can be read at all although
the prompt withholds it; and whether, stated, it is read better than words without a meaning.

Stated and withheld are printed apart. Only withheld has a p-value for being readable; only stated has control pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from auditor.counterfactuals import ACTUAL
from auditor.mechanisms._shared.decision_checks import FARTHEST
from auditor.mechanisms._shared.enough import measured
from auditor.mechanisms._shared.probe_readings import ProbeReading
from auditor.mechanisms.probing.card import LAYERS_READABLE, SELECTIVITY
from auditor.mechanisms.probing.controls import DECLARED_SITE
from auditor.mechanisms.probing.result import (
    STATED,
    WITHHELD,
    At,
    Compared,
    NotCompared,
    Probe,
    Result,
    Setting,
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
            yield from _one(_Group(context, test, result, tuple(mine)))


@dataclass(frozen=True, slots=True)
class _Found:
    """A probe, and what the same probe of random weights reads."""

    probe: Probe
    untrained: float | None

    @property
    def at(self) -> At:
        return self.probe.at

    @property
    def reading(self) -> ProbeReading:
        return self.probe.reading

    @property
    def baselines(self) -> dict[str, float | None]:
        return {"untrained": self.untrained, "numbers": self.probe.numbers}

    @property
    def place(self) -> dict[str, str]:
        """Where, as a subject says it."""
        return {"at": self.at.site, "layer": str(self.at.layer)}


@dataclass(frozen=True)
class _Group:
    """All probes of one group in one setting, and how their numbers become measurements."""

    context: Context
    test: str
    result: TrainedResult
    probes: tuple[_Found, ...]

    @property
    def name(self) -> str:
        """The group."""
        return self.probes[0].at.group

    @property
    def setting(self) -> Setting:
        """Whether the attribute is stated or withheld."""
        return self.probes[0].at.setting

    @property
    def level(self) -> float:
        """Of the intervals."""
        return 1 - self.context.plan.thresholds.alpha

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Of all of them."""
        return tuple(_checks([each.probe for each in self.probes]))

    @property
    def declared(self) -> _Found | None:
        """The reading at the place that was declared beforehand."""
        place = (DECLARED_SITE, self.result.declared_layer)
        return next((each for each in self.probes if (each.at.site, each.at.layer) == place), None)

    def embedding(self, site: str) -> float | None:
        """What is read from the embedding there."""
        found = (each for each in self.probes if each.at.site == site and each.at.layer == 0)
        return next((each.reading.accuracy for each in found), None)

    def draft(
        self, estimate: Estimate, *, metric: str, unit: str, where: Mapping[str, str] | None = None, **more: Any
    ) -> UnadjustedMeasurement:
        """A measurement of the group, at a place if ``where`` says so."""
        row = measured(
            estimate,
            test=self.test,
            metric=metric,
            role=Role.SUPPORTING,
            subject={"field": self.result.field, "group": self.name, "setting": self.setting, **(where or {})},
            reference=self.result.reference,
            unit=unit,
            cases=f"role:{ACTUAL}",
            higher_is_better=None,
            level=self.level,
            **more,
        )
        return UnadjustedMeasurement(row)


def _one(group: _Group) -> Iterable[UnadjustedMeasurement]:
    for each in group.probes:
        yield _accuracy(group, each)
    yield _readable(group)
    if group.setting == STATED:
        yield from _selective(group)
    elif group.declared is not None:
        yield _withheld(group, group.declared)


def _accuracy(group: _Group, each: _Found) -> UnadjustedMeasurement:
    """What one probe reads."""
    reading, stated = each.reading, each.at.setting == STATED
    interval = Interval(reading.low, reading.high, group.level, "mean of two Wilson intervals, by application")
    stands = interval_may_stand(reading.clusters)
    return group.draft(
        Estimate(
            value=reading.accuracy,
            n=reading.clusters,
            method="balanced accuracy of an L2-logistic probe on held-out applications",
            interval=interval,
            test=Significance(reading.p_value, "clustered z test against 1/2") if stated else None,
        ),
        metric=ACCURACY,
        unit="rate",
        where=each.place,
        # Withheld, all layers and positions are one test, whose p-value stands with the places that can be read.
        family=f"probes of {group.result.field}={group.name}, {STATED}" if stated else None,
        checks=group.checks,
        counts={
            "auroc": reading.auroc,
            "auroc_low": reading.auroc_low if stands else None,
            "auroc_high": reading.auroc_high if stands else None,
            "permuted": each.probe.permuted,
            **each.baselines,
            "p_over_all_places": each.probe.largest.p_value if each.probe.largest else None,
            "rows": reading.n,
        },
    )


def _readable(group: _Group) -> UnadjustedMeasurement:
    """Places where the attribute can be read; where it was withheld, with one p-value over all of them."""
    alpha, probes = group.context.plan.thresholds.alpha, group.probes
    largest = [each.probe.largest for each in probes]
    withheld = group.setting == WITHHELD
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
    counts: dict[str, float | int | None] = {
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
        needed = draws_needed(alpha=alpha, family_size=group.result.contrasts)
        counts |= {"draws": best.probe.largest.draws, "draws_needed": needed, "numbers": best.probe.numbers}
        test = Significance(best.probe.largest.p_value, "permutation test over all layers and positions")
    else:
        said = "Stated in the prompt: the states hold it by construction, so being readable says nothing."
    return group.draft(
        Estimate(
            value=float(len(readable)),
            n=probes[0].reading.clusters,
            method=f"layers and positions where the attribute can be read ({how})",
            test=test,
        ),
        metric=LAYERS_READABLE,
        unit="count",
        family=f"{inside_family(group.test)}, withheld" if withheld else None,
        checks=group.checks,
        counts=counts,
        conclusion_reason=said,
    )


def _withheld(group: _Group, at: _Found) -> UnadjustedMeasurement:
    """How much better the withheld attribute is read than the baselines are."""
    return group.draft(
        _above_baselines(at, group.level),
        metric=SELECTIVITY,
        unit="rate_difference",
        where=at.place,
        checks=group.checks,
        counts={
            "accuracy": at.reading.accuracy,
            **at.baselines,
            "embedding": group.embedding(at.at.site),
            "withheld": 1,
        },
    )


def _selective(group: _Group) -> Iterable[UnadjustedMeasurement]:
    """The attribute's words against pairs of words without a meaning, and those pairs themselves."""
    mine = next((item for item in group.result.selectivity if item.group == group.name), None)
    if mine is None:
        return
    where = {"at": DECLARED_SITE, "layer": str(group.result.declared_layer)}
    if isinstance(mine, NotCompared):
        estimate = missing(method=ABOVE_CONTROLS, reason=mine.reason, n=group.result.applications)
        said: str | None = mine.reason
        counts: dict[str, float | int | None] = {"withheld": 0}
    else:
        estimate, said = _above_controls(mine.found, group.level), _silent(mine)
        counts = {"withheld": 0, **_compared(mine, group)}
        yield _controls(mine, group, where)
    yield group.draft(
        estimate,
        metric=SELECTIVITY,
        unit="rate_difference",
        where=where,
        family=inside_family(group.test),
        checks=group.checks,
        counts=counts,
        conclusion=Conclusion.INCONCLUSIVE if said is not None else None,
        conclusion_reason=f"{said[0].upper()}{said[1:]}." if said else None,
    )


def _compared(mine: Compared, group: _Group) -> dict[str, float | int | None]:
    found, at = mine.found, group.declared
    return {
        "accuracy": found.accuracy,
        "control": found.control,
        "draws": found.draws,
        "perfect_p": found.perfect_p,
        **_extremes(mine),
        "draws_needed": found.needed,
        "ceiling": int(mine.ceiling),
        "untrained": at.untrained if at is not None else None,
        "embedding": group.embedding(DECLARED_SITE),
    }


def _controls(mine: Compared, group: _Group, where: Mapping[str, str]) -> UnadjustedMeasurement:
    """How well pairs of words without a meaning are read."""
    control = Estimate(
        value=mine.found.control,
        n=mine.found.applications,
        method="mean balanced accuracy of pairs of words without a meaning, as long as the groups' own",
    )
    return group.draft(control, metric=CONTROL, unit="rate", where=where, counts=_extremes(mine))


def _extremes(mine: Compared) -> dict[str, float | int | None]:
    return {
        "control_lowest": mine.found.lowest,
        "control_highest": mine.found.highest,
        "control_words": mine.words,
    }


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
