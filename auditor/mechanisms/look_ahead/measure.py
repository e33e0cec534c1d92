"""Measurements of look-ahead planning: of each part the summaries first, then by layer and position."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from auditor.mechanisms._shared.decision_checks import FARTHEST
from auditor.mechanisms.look_ahead.causes import exchange, rationale
from auditor.mechanisms.look_ahead.layout import LAST
from auditor.mechanisms.look_ahead.part import HALF, Part, Result, from_here_on, whole
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
READ_FROM = "first layer from which on half of the margin's spread can be read at the last token"


def measures(context: Context, results: Sequence[Result], *, test: str) -> Iterable[UnadjustedMeasurement]:
    """All measurements of all parts that were planned."""
    sections: Mapping[str, Callable[[Part], Iterable[UnadjustedMeasurement]]] = {
        "reading": _reading,
        "exchange": exchange,
        "tracing": tracing,
        "rationale": rationale,
    }
    for name, section in sections.items():
        mine = [result for result in results if result["part"] == name]
        if mine:
            yield from section(Part(context, test, mine))


def _reading(part: Part) -> Iterable[UnadjustedMeasurement]:
    result = part.results[0]
    n = len(result["cases"])
    if result.get("reason"):
        yield part.draft(
            missing(method="held-out ridge regression", reason=result["reason"], n=n),
            metric="look_ahead_readable",
            unit="share",
        )
        return
    checks = tuple(_reading_checks(part, result))
    middle = min(result["layers"], key=lambda layer: (abs(layer - max(result["layers"]) / 2), layer))
    along = [site for site in result["sites"] if site["layer"] == middle]
    fixed = {"layer_read": middle, "fields": len(result["fields"])}
    for metric, kind, method, never in (
        (
            "first_readable_field",
            "margin",
            "fields read when the margin can first be read (Holm over positions)",
            "at no position can the margin be read",
        ),
        (
            "first_field_above_fields",
            "gain",
            "fields read when the state first tells more of the margin than those fields (Holm over positions)",
            "at no position does the state tell more of the margin than the fields read so far",
        ),
    ):
        place = _first(along, kind, part)
        named = "" if place is None else f": {along[place]['position']}"
        read = None if place is None else min(place + 1, len(along) - 1)
        yield part.draft(
            whole(read, n=n, method=f"{method}, middle layer{named}", never=never),
            metric=metric,
            unit="count",
            checks=checks,
            counts=fixed,
        )
    last = [site for site in result["sites"] if site["position"] == LAST and site["margin"]]
    at = [site["margin"]["value"] >= HALF for site in last]
    yield part.draft(
        whole(
            from_here_on([site["layer"] for site in last], at),
            n=n,
            method=READ_FROM,
            never="at no layer can half of it be read",
        ),
        metric="readable_layer",
        unit="count",
        checks=checks,
        counts={"layers": max(result["layers"]), "favourable": result["favourable"]},
    )
    bags = {bag["position"]: bag for bag in result["bags"]}
    for bag in result["bags"]:
        better, counts = _without_the_model(bag)
        yield part.draft(
            _skill(
                part,
                better,
                "share of the margin's spread read from the fields so far, without the model, by the "
                "better of a linear and a kernel ridge regression",
            ),
            metric="fields_alone",
            subject={"position": bag["position"]},
            unit="share",
            checks=checks,
            counts={**_auroc(part, bag, "outcome"), **counts},
        )
    for site in result["sites"]:
        where = {"layer": str(site["layer"]), "position": site["position"]}
        bag, _ = _without_the_model(bags[site["position"]])
        yield part.draft(
            _skill(part, site["margin"], "share of the margin's spread read from the state, held-out ridge regression"),
            metric="look_ahead_readable",
            subject=where,
            unit="share",
            family="readable",
            checks=checks,
            counts={**_auroc(part, site, "outcome"), "fields_alone": bag["value"] if bag else None},
        )
    # By position at the layer fixed beforehand, and by layer at the last token: a state that carries less than all
    # fields so far is no finding, so the rest has no row of its own.
    chosen = [({"position": site["position"]}, site) for site in along]
    chosen += [({"layer": str(site["layer"])}, site) for site in result["sites"] if site["position"] == LAST]
    for where, site in chosen:
        yield part.draft(
            _skill(
                part,
                site["gain"],
                "share read from the state minus share the better of two readers reads from the fields so far",
            ),
            metric="look_ahead_above_fields",
            subject=where,
            unit="share",
            family="above the fields",
            checks=checks,
        )
    yield from _control(part, result, checks)


def _without_the_model(bag: Mapping[str, Any]) -> tuple[Mapping[str, float] | None, dict[str, float | None]]:
    """What the better reader of the fields tells, and what each does."""
    readers = {"linear": bag["margin"], "kernel": bag["curved"]}
    known = [found for found in readers.values() if found]
    better = max(known, key=lambda found: float(found["value"])) if known else None
    return better, {name: found["value"] if found else None for name, found in readers.items()}


def _control(part: Part, result: Result, checks: Sequence[Check]) -> Iterable[UnadjustedMeasurement]:
    """The irrelevant fact, from where it stands on."""
    n, method = len(result["cases"]), "share of the irrelevant fact's spread read from the state"
    if result["control"] is None:
        reason = result["control_reason"] or "the control field has one value"
        yield part.draft(missing(method=method, reason=reason, n=n), metric="look_ahead_control", unit="share")
        return
    start = result["fields"].index(result["control"])
    after = {*result["fields"][start:], LAST}
    for site in result["sites"]:
        if site["position"] in after:
            yield part.draft(
                _skill(part, site["control"], f"{method}: {result['control']}"),
                metric="look_ahead_control",
                subject={"layer": str(site["layer"]), "position": site["position"]},
                unit="share",
                family="control",
                checks=checks,
                counts=_auroc(part, site, "control"),
            )


def _skill(part: Part, found: Mapping[str, float] | None, method: str) -> Estimate:
    n = len(part.results[0]["cases"])
    if found is None:
        return missing(method=method, reason="it is the same for all applications", n=n)
    interval = Interval(found["low"], found["high"], part.level, "Student, by application, jackknife of the ratio")
    test = Significance(found["p_value"], "two-sided against 0")
    return Estimate(value=found["value"], n=n, method=method, interval=interval, test=test)


def _auroc(part: Part, site: Mapping[str, Any], name: str) -> dict[str, float | int | None]:
    found = dict(zip(("auroc", "auroc_low", "auroc_high"), site["auroc"].get(name) or (None,) * 3, strict=True))
    ends = {} if interval_may_stand(len(part.results[0]["cases"])) else {"auroc_low": None, "auroc_high": None}
    return {**found, **ends}


def _first(sites: Sequence[Mapping[str, Any]], kind: str, part: Part) -> int | None:
    """The first position where the skill is above 0, counted from 0; ``None``: nowhere."""
    adjusted = holm([site[kind]["p_value"] if site[kind] else None for site in sites])
    for number, (site, p_value) in enumerate(zip(sites, adjusted, strict=True)):
        if at_level(p_value, alpha=part.context.plan.thresholds.alpha) and site[kind]["value"] > 0:
            return number
    return None


def _reading_checks(part: Part, result: Result) -> Iterable[Check]:
    if result["exact"]:
        yield part.decided(zip(result["cases"], result["margins"], strict=True))
    yield Check("probes are solved", result["solved"], None, None, "every probe of the outcome reached its optimum")
    shuffled = [site["auroc"]["shuffled"][0] for site in result["sites"] if "shuffled" in site["auroc"]]
    if shuffled:
        note = "mean AUROC over all sites on margins of other applications; the bound is its distance from 0.5"
        yield from _chance("shuffled margins are at chance", shuffled, result, "shuffled", note)
    if result["control"] is not None:
        before = set(result["fields"][: result["fields"].index(result["control"])])
        unread = [
            site["auroc"]["control"][0]
            for site in result["sites"]
            if site["position"] in before and "control" in site["auroc"]
        ]
        if unread:
            note = "mean AUROC over the sites before it stands; the bound is its distance from 0.5"
            yield from _chance("a fact not yet read cannot be read", unread, result, "control", note)


def _chance(name: str, values: Sequence[float], result: Result, label: str, note: str) -> Iterable[Check]:
    few = result["smaller"][label]
    many = len(result["cases"]) - few
    bound = CHANCE_SD * float(np.sqrt((few + many + 1) / (12 * few * many)))
    mean = float(np.mean(values))
    if bound < FARTHEST:
        yield Check(name, abs(mean - 0.5) <= bound, mean, bound, note)
