"""Amounts in answers: how much more or less the same application is granted when one protected field is changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from auditor.behaviour.metrics import CF_AMOUNT_GAP, CF_AMOUNT_GAP_SD
from auditor.behaviour.pair_measures import Contrast, concluded, enough_pairs
from auditor.counterfactuals import arm
from auditor.records import Role
from auditor.replicates import application_of
from auditor.statistics.margins import MarginShift, margin_shift
from auditor.statistics.minimums import MARGINS
from auditor.statistics.power import detectable_mean_shift, worst_level
from auditor.statistics.results import Estimate
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context, FloatArray, Pairs, pairs_where
from auditor.testing.factory import measurement, not_tested
from auditor.testing.families import AMOUNTS_FAMILY
from auditor.testing.unadjusted import UnadjustedMeasurement

NO_AMOUNTS = "no answer of this run holds an amount"
AS_STATED = "as stated"

CARD = Card(
    name="amount_gaps",
    purpose="Whether the same application is granted another amount when only a protected field is changed.",
    method=(
        "Over the applications whose answer holds an amount in both versions: the mean over replicates in the group's "
        "arm less that in the reference arm, in its own unit and in SDs of the reference arm; clustered bootstrap, "
        "sign-flip permutation test. Adjusted by Benjamini and Hochberg over the contrasts."
    ),
    worrying="A smaller amount, or a dearer price, for the group on the same application.",
    limitations=(
        "It speaks of applications with an amount in both versions. Where answers of one arm refuse or cannot be read "
        "more often, what is left is not the whole: the difference of unreadable answers tells."
    ),
    label="Amounts: same application, one field changed",
    metrics=(
        Metric(CF_AMOUNT_GAP, "Change of the amount", ""),
        Metric(CF_AMOUNT_GAP_SD, "Change of the amount, in SD of amounts", "sd"),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Every group against its reference."""
    if not context.amounts:
        yield UnadjustedMeasurement(not_tested(CARD, NO_AMOUNTS, level=1 - context.plan.thresholds.alpha))
        return
    for attribute, group in context.contrasts():
        pairs = context.pairs(arm(attribute.field, attribute.reference), arm(attribute.field, group))
        there = [np.isfinite(side.amounts) for side in (pairs.control, pairs.protected)]
        read = pairs_where(pairs, there[0] & there[1])
        lost: dict[str, float | int | None] = {
            "without_amount_reference": int((~there[0]).sum()),
            "without_amount_group": int((~there[1]).sum()),
        }
        yield from _gaps(Contrast(context, attribute, group, read), lost=lost)


def _gaps(contrast: Contrast, *, lost: dict[str, float | int | None]) -> Iterable[UnadjustedMeasurement]:
    plan = contrast.context.plan
    thresholds, wanted = plan.thresholds, plan.reading.amount
    better = True if wanted is None else wanted.higher_is_better
    control, protected, applicants = application_means(contrast.context, contrast.pairs)
    shift = _of_amounts(
        margin_shift(control=control, protected=protected, clusters=applicants or None, **contrast.options)
    )
    named = {**contrast.common, "test": CARD.name, "higher_is_better": better}
    yield UnadjustedMeasurement(
        measurement(
            enough_pairs(shift.estimate, minimum=MARGINS),
            metric=CF_AMOUNT_GAP,
            role=Role.SECONDARY,
            unit=unit_of(contrast.context),
            counts={**lost, "reference_sd": shift.reference_sd},
            **named,
        )
    )
    mde = None
    if shift.reference_sd and len(control) > 1:
        spread = float((protected - control).std(ddof=1)) / shift.reference_sd
        level = worst_level(alpha=thresholds.exploratory_q, family_size=contrast.family_size)
        mde = detectable_mean_shift(n=contrast.profiles, sd=spread, alpha=level, power=thresholds.power).value
    fell, rose = int((protected < control).sum()), int((protected > control).sum())
    yield concluded(
        contrast,
        shift.standardised,
        metric=CF_AMOUNT_GAP_SD,
        role=Role.EXPLORATORY,
        unit="sd",
        family=AMOUNTS_FAMILY,
        carries=False,
        practical=thresholds.practical_margin_sd,
        scale="standardised",
        mde=mde,
        # Gaps that cancel between applications leave a mean of 0: that amounts are the same is not claimed.
        claim=None,
        counts={**lost, "fell": fell, "rose": rose, "same": len(control) - fell - rose},
        minimum=MARGINS,
        test=CARD.name,
        higher_is_better=better,
    )


def application_means(context: Context, pairs: Pairs) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Mean amounts of every application in both arms over its replicates, and whose application each is."""
    names = [application_of(cluster) if context.replicates > 1 else cluster for cluster in pairs.clusters]
    rows = {name: index for index, name in enumerate(dict.fromkeys(names))}
    codes = np.array([rows[name] for name in names], dtype=np.intp)
    times = np.maximum(np.bincount(codes, minlength=len(rows)), 1)
    control, protected = (
        np.bincount(codes, weights=side.amounts, minlength=len(rows)) / times
        for side in (pairs.control, pairs.protected)
    )
    applicants = dict(zip(names, pairs.profiles, strict=True))
    return control, protected, tuple(applicants[name] for name in rows)


def unit_of(context: Context) -> str:
    """The unit that amounts are in: the plan's, or what is listed for a service."""
    wanted = context.plan.reading.amount
    if wanted is not None:
        return wanted.unit
    asked = {} if context.system is None else context.system.identity.asked
    return str(asked.get("read", {}).get("unit") or AS_STATED)


def _of_amounts(shift: MarginShift) -> MarginShift:
    """The same in words of amounts."""

    def said(estimate: Estimate) -> Estimate:
        reason = None if estimate.reason is None else estimate.reason.replace("margins", "amounts")
        method = estimate.method.replace("mean margin shift", "mean change of the amount")
        return replace(estimate, method=method, reason=reason)

    return replace(shift, estimate=said(shift.estimate), standardised=said(shift.standardised))
