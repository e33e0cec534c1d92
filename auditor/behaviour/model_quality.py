"""Model quality: does the model decide at all, and does it rank applications as the recorded decisions do?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from auditor.behaviour.metrics import (
    ANSWER_MASS,
    AUC,
    COMMONEST_OUTCOME_SHARE,
    INVALID_RATE,
    LOW_MASS_SHARE,
    MARGIN_SD,
    OBSERVED_RATE,
    SELECTION_RATE,
)
from auditor.behaviour.shown_rates import of_people, shown_rate
from auditor.counterfactuals import ACTUAL
from auditor.records import Role
from auditor.statistics.minimums import NEGATIVES, POSITIVES, unmet
from auditor.statistics.rates import Tally
from auditor.statistics.regression import auc
from auditor.statistics.results import Estimate, missing
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context, case_query
from auditor.testing.factory import measurement
from auditor.testing.families import NO_MARGINS, NO_PROBABILITY
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name="model_quality",
    purpose="Whether the model answers at all, whether it tells applications apart, and how it ranks them.",
    method=(
        "Mean probability on the answers, share of unusable answers, share of the commonest "
        "outcome in the reference arms, "
        "SD of the margins, and the area under the ROC curve of the margin against the recorded decision."
    ),
    worrying="A model that hardly answers, or gives nearly everyone one answer: outcome contrasts then say nothing.",
    limitations="Recorded decisions are not the truth: agreeing with them can mean carrying on what was wrong in them.",
    label="Quality of the answers",
    metrics=(
        Metric(SELECTION_RATE, "Approval rate", "rate", higher_is_better=True),
        Metric(OBSERVED_RATE, "Recorded approval rate", "rate", higher_is_better=True),
        Metric(INVALID_RATE, "Unreadable answers", "rate", higher_is_better=False),
        Metric(ANSWER_MASS, "Probability on the planned answers", "rate", higher_is_better=True),
        Metric(LOW_MASS_SHARE, "Cases with too little probability on the answers", "rate", higher_is_better=False),
        Metric(COMMONEST_OUTCOME_SHARE, "Share of the commonest outcome", "rate"),
        Metric(MARGIN_SD, "Standard deviation of the scores", "logit", signed=False),
        Metric(AUC, "AUC against recorded outcomes", "share", higher_is_better=True),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Figures over the applications as filed."""
    filed = context.collect(context.actual)
    state = context.state
    n = len(filed.clusters)
    level = 1 - context.plan.thresholds.alpha
    cases = f"role:{ACTUAL}"
    common: dict[str, Any] = {
        "test": CARD.name,
        "role": Role.SECONDARY,
        "subject": {"group": "all as filed"},
        "cases": cases,
        "level": level,
    }

    def people(estimate: Estimate) -> Estimate:
        return of_people(estimate, filed.clusters, context=context)

    def plain(value: float, method: str, count: int = n) -> Estimate:
        return Estimate(value=value, n=count, method=method)

    yield UnadjustedMeasurement(
        measurement(
            people(shown_rate(Tally.of(filed.favourable), level=level)), metric=SELECTION_RATE, unit="rate", **common
        )
    )
    yield UnadjustedMeasurement(
        measurement(
            people(shown_rate(Tally.of(filed.invalid), level=level)),
            metric=INVALID_RATE,
            unit="rate",
            higher_is_better=False,
            **common,
        )
    )
    mass = (
        plain(float(filed.mass.mean()), "mean probability on all answers")
        if np.isfinite(filed.mass).all()
        else missing(method="mean probability on all answers", reason=NO_PROBABILITY, n=n)
    )
    margins = bool(np.isfinite(filed.margins).all())
    yield UnadjustedMeasurement(measurement(mass, metric=ANSWER_MASS, unit="rate", **common))
    spread = (
        plain(float(filed.margins.std(ddof=1)), "SD of the margins")
        if n > 1 and margins
        else missing(method="SD of the margins", reason="one application has no spread" if margins else NO_MARGINS, n=n)
    )
    yield UnadjustedMeasurement(measurement(spread, metric=MARGIN_SD, unit="logit", higher_is_better=None, **common))
    # Of all reference arms together, an application once an attribute: neither rate nor n is that of those filed.
    references = {attribute.field: attribute.reference for attribute in context.plan.attributes}
    share = plain(
        state.same_answer_share,
        f"share of the commonest outcome in the reference arms ({state.same_answer})",
        sum(arm.n for arm in state.arms if references.get(arm.field) == arm.group),
    )
    whose = {
        **common,
        "subject": {"group": "all reference arms"},
        "cases": case_query(*(f"{field}={group}" for field, group in references.items())),
    }
    yield UnadjustedMeasurement(
        measurement(share, metric=COMMONEST_OUTCOME_SHARE, unit="rate", higher_is_better=None, **whose)
    )
    low = plain(
        state.low_mass_share, "share of all cases whose answers hold too little probability", len(context.cases)
    )
    yield UnadjustedMeasurement(measurement(low, metric=LOW_MASS_SHARE, unit="rate", higher_is_better=False, **common))
    known = [index for index, cluster in enumerate(filed.clusters) if context.observed.get(cluster) is not None]
    labels = np.array([bool(context.observed[filed.clusters[index]]) for index in known], dtype=bool)
    if known:
        observed = people(shown_rate(Tally.of(labels), level=level))
        yield UnadjustedMeasurement(measurement(observed, metric=OBSERVED_RATE, unit="rate", **common))
        ranking = (
            auc(scores=filed.margins[known], labels=labels, level=level)
            if margins
            else missing(method="area under the ROC curve", reason=NO_MARGINS, n=len(known))
        )
        positives = int(labels.sum())
        if margins and (short := unmet({POSITIVES: positives, NEGATIVES: len(labels) - positives})):
            # DeLong's test is one of large samples as his interval is: neither stands on a handful of cases.
            reason = f"no interval: {'; '.join(short)}"
            ranking = replace(ranking, interval=None, tost_interval=None, test=None, reason=reason)
        ranking = people(ranking)
    else:
        ranking = missing(method="area under the ROC curve", reason="the data records no outcome", n=0)
    yield UnadjustedMeasurement(measurement(ranking, metric=AUC, unit="share", **common))
