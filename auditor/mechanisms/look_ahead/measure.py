"""Measurements of look-ahead planning: of each part the summaries first, then by layer and position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from auditor.mechanisms._shared.decision_checks import FARTHEST
from auditor.mechanisms._shared.ridge import Skill
from auditor.mechanisms.look_ahead.causes import exchange, rationale
from auditor.mechanisms.look_ahead.layout import LAST
from auditor.mechanisms.look_ahead.part import HALF, Part, from_here_on, whole
from auditor.mechanisms.look_ahead.reading_rows import Bag, Label, Readings, Site, Told
from auditor.mechanisms.look_ahead.result import (
    ExchangeResult,
    RationaleResult,
    ReadingResult,
    Result,
    TracingResult,
)
from auditor.mechanisms.look_ahead.written import tracing
from auditor.records import Check
from auditor.statistics.minimums import interval_may_stand
from auditor.statistics.multiplicity import holm
from auditor.statistics.multiplicity import significant as at_level
from auditor.statistics.results import Estimate, Interval, Significance, missing
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

#: Standard deviations from chance at which labels without a meaning were read too well, or too badly, to be believed.
CHANCE_SD = 4.0
ABOVE_FIELDS = "share read from the state minus share the better of two readers reads from the fields so far"
READ_FROM = "first layer from which on half of the margin's spread can be read at the last token"


def measures(context: Context, results: Sequence[Result], *, test: str) -> Iterable[UnadjustedMeasurement]:
    """All measurements of all parts that were planned."""
    readings = [result for result in results if isinstance(result, ReadingResult)]
    exchanges = [result for result in results if isinstance(result, ExchangeResult)]
    traces = [result for result in results if isinstance(result, TracingResult)]
    rationales = [result for result in results if isinstance(result, RationaleResult)]
    if readings:
        yield from _reading(Part(context, test, readings))
    if exchanges:
        yield from exchange(Part(context, test, exchanges))
    if traces:
        yield from tracing(Part(context, test, traces))
    if rationales:
        yield from rationale(Part(context, test, rationales))


def _reading(part: Part[ReadingResult]) -> Iterable[UnadjustedMeasurement]:
    n, found = len(part.first.cases), part.first.found
    if found is None:
        yield part.draft(
            missing(method="held-out ridge regression", reason=part.first.reason or "nothing was read", n=n),
            metric="look_ahead_readable",
            unit="share",
        )
        return
    checks = tuple(_reading_checks(part, found))
    middle = min(found.layers, key=lambda layer: (abs(layer - max(found.layers) / 2), layer))
    along = [site for site in found.sites if site.layer == middle]
    last = [site for site in found.sites if site.position == LAST]
    yield from _firsts(part, found, along, checks)
    yield _readable_layer(part, found, last, checks)
    yield from _without_the_model(part, found, checks)
    yield from _at_sites(part, found, checks)
    # By position at the layer fixed beforehand, and by layer at the last token: a state that carries less than all
    # fields so far is no finding, so the rest has no row of its own.
    chosen = [({"position": site.position}, site) for site in along]
    chosen += [({"layer": str(site.layer)}, site) for site in last]
    for where, site in chosen:
        yield part.draft(
            _share(part, site.gain, ABOVE_FIELDS),
            metric="look_ahead_above_fields",
            subject=where,
            unit="share",
            family="above the fields",
            checks=checks,
        )
    yield from _control(part, found, checks)


def _firsts(
    part: Part[ReadingResult], found: Readings, along: Sequence[Site], checks: Sequence[Check]
) -> Iterable[UnadjustedMeasurement]:
    """The first fields at which the margin can be read in the middle layer, and read beyond the fields."""
    fixed = {"layer_read": along[0].layer, "fields": len(found.fields)}
    for metric, skills, method, never in (
        (
            "first_readable_field",
            [site.told.margin for site in along],
            "fields read when the margin can first be read (Holm over positions)",
            "at no position can the margin be read",
        ),
        (
            "first_field_above_fields",
            [site.gain for site in along],
            "fields read when the state first tells more of the margin than those fields (Holm over positions)",
            "at no position does the state tell more of the margin than the fields read so far",
        ),
    ):
        place = _first(skills, part)
        named = "" if place is None else f": {along[place].position}"
        read = None if place is None else min(place + 1, len(along) - 1)
        yield part.draft(
            whole(read, n=len(part.first.cases), method=f"{method}, middle layer{named}", never=never),
            metric=metric,
            unit="count",
            checks=checks,
            counts=fixed,
        )


def _readable_layer(
    part: Part[ReadingResult], found: Readings, last: Sequence[Site], checks: Sequence[Check]
) -> UnadjustedMeasurement:
    """From which layer on half of the margin's spread can be read at the last token."""
    known = [(site.layer, site.told.margin) for site in last if site.told.margin]
    first = from_here_on([layer for layer, _ in known], [skill.value >= HALF for _, skill in known])
    return part.draft(
        whole(first, n=len(part.first.cases), method=READ_FROM, never="at no layer can half of it be read"),
        metric="readable_layer",
        unit="count",
        checks=checks,
        counts={"layers": max(found.layers), "favourable": found.favourable},
    )


def _without_the_model(
    part: Part[ReadingResult], found: Readings, checks: Sequence[Check]
) -> Iterable[UnadjustedMeasurement]:
    """What the fields read so far tell, and what each of their readers does."""
    for bag in found.bags:
        linear, kernel = bag.told.margin, bag.curved
        yield part.draft(
            _share(
                part,
                _better(bag),
                "share of the margin's spread read from the fields so far, without the model, by the "
                "better of a linear and a kernel ridge regression",
            ),
            metric="fields_alone",
            subject={"position": bag.position},
            unit="share",
            checks=checks,
            counts={
                **_auroc(part, bag.told, "outcome"),
                "linear": linear.value if linear else None,
                "kernel": kernel.value if kernel else None,
            },
        )


def _at_sites(part: Part[ReadingResult], found: Readings, checks: Sequence[Check]) -> Iterable[UnadjustedMeasurement]:
    """What the state tells at every layer and position, the fields alone beside it."""
    alone = {bag.position: _better(bag) for bag in found.bags}
    for site in found.sites:
        fields = alone[site.position]
        yield part.draft(
            _share(
                part, site.told.margin, "share of the margin's spread read from the state, held-out ridge regression"
            ),
            metric="look_ahead_readable",
            subject={"layer": str(site.layer), "position": site.position},
            unit="share",
            family="readable",
            checks=checks,
            counts={**_auroc(part, site.told, "outcome"), "fields_alone": fields.value if fields else None},
        )


def _better(bag: Bag) -> Skill | None:
    """What the better reader of the fields tells."""
    known = [skill for skill in (bag.told.margin, bag.curved) if skill]
    return max(known, key=lambda skill: skill.value) if known else None


def _control(part: Part[ReadingResult], found: Readings, checks: Sequence[Check]) -> Iterable[UnadjustedMeasurement]:
    """The irrelevant fact, from where it stands on."""
    method = "share of the irrelevant fact's spread read from the state"
    if found.control is None:
        reason = found.control_reason or "the control field has one value"
        nothing = missing(method=method, reason=reason, n=len(part.first.cases))
        yield part.draft(nothing, metric="look_ahead_control", unit="share")
        return
    after = {*found.fields[found.fields.index(found.control) :], LAST}
    for site in found.sites:
        if site.position in after:
            yield part.draft(
                _share(part, site.told.control, f"{method}: {found.control}"),
                metric="look_ahead_control",
                subject={"layer": str(site.layer), "position": site.position},
                unit="share",
                family="control",
                checks=checks,
                counts=_auroc(part, site.told, "control"),
            )


def _share(part: Part[ReadingResult], found: Skill | None, method: str) -> Estimate:
    n = len(part.first.cases)
    if found is None:
        return missing(method=method, reason="it is the same for all applications", n=n)
    interval = Interval(found.low, found.high, part.level, "Student, by application, jackknife of the ratio")
    test = Significance(found.p_value, "two-sided against 0")
    return Estimate(value=found.value, n=n, method=method, interval=interval, test=test)


def _auroc(part: Part[ReadingResult], told: Told, label: Label) -> dict[str, float | int | None]:
    found = told.auroc.get(label)
    stands = found is not None and interval_may_stand(len(part.first.cases))
    return {
        "auroc": found.value if found else None,
        "auroc_low": found.low if found and stands else None,
        "auroc_high": found.high if found and stands else None,
    }


def _first(skills: Sequence[Skill | None], part: Part[ReadingResult]) -> int | None:
    """The first position where the skill is above 0, counted from 0; ``None``: nowhere."""
    adjusted = holm([skill.p_value if skill else None for skill in skills])
    for number, (skill, p_value) in enumerate(zip(skills, adjusted, strict=True)):
        if skill and at_level(p_value, alpha=part.context.plan.thresholds.alpha) and skill.value > 0:
            return number
    return None


def _reading_checks(part: Part[ReadingResult], found: Readings) -> Iterable[Check]:
    cases = part.first.cases
    if found.exact:
        yield part.decided(zip(cases, found.margins, strict=True))
    yield Check("probes are solved", found.solved, None, None, "every probe of the outcome reached its optimum")
    shuffled = _aurocs(found.sites, "shuffled")
    if shuffled:
        note = "mean AUROC over all sites on margins of other applications; the bound is its distance from 0.5"
        few = found.smaller["shuffled"]
        yield from _chance("shuffled margins are at chance", shuffled, few=few, many=len(cases) - few, note=note)
    if found.control is not None:
        before = found.fields[: found.fields.index(found.control)]
        unread = _aurocs([site for site in found.sites if site.position in before], "control")
        if unread:
            note = "mean AUROC over the sites before it stands; the bound is its distance from 0.5"
            few = found.smaller["control"]
            yield from _chance("a fact not yet read cannot be read", unread, few=few, many=len(cases) - few, note=note)


def _aurocs(sites: Iterable[Site], label: Label) -> list[float]:
    return [site.told.auroc[label].value for site in sites if label in site.told.auroc]


def _chance(name: str, values: Sequence[float], *, few: int, many: int, note: str) -> Iterable[Check]:
    """The mean AUROC of labels without a meaning, of which ``few`` applications have one and ``many`` the other."""
    bound = CHANCE_SD * float(np.sqrt((few + many + 1) / (12 * few * many)))
    mean = float(np.mean(values))
    if bound < FARTHEST:
        yield Check(name, abs(mean - 0.5) <= bound, mean, bound, note)
