"""Median shift: by how much the score of the middle application changes when only the group is changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom

from auditor import Measurement, Role

if TYPE_CHECKING:
    from auditor.plan import Attribute

# The contract of a test.
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context, case_query
from auditor.testing.factory import made
from auditor.testing.unadjusted import UnadjustedMeasurement

METRIC = "median_score_change"
FEWEST = 24

CARD = Card(
    name="median_shift",
    purpose="By how much the score of the middle application changes when only the group is changed.",
    method=(
        "Median over applications of the margin in the group's arm minus the margin in the reference's arm, with the "
        "interval between order statistics, which holds for any distribution (binomial)."
    ),
    worrying="A median away from 0: more than half of the applications moved the same way, however little.",
    limitations="Says nothing of the size of rare large changes, and by itself nothing of decisions.",
    label="Median shift",
    metrics=(Metric(METRIC, "Median score change", "logit", higher_is_better=True),),
    references=("Conover, Practical Nonparametric Statistics, 3rd ed., 1999, section 3.2",),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """One measurement a contrast. Descriptive: it has no p-value, joins no family and concludes nothing."""
    level = 1 - context.plan.thresholds.alpha
    for attribute, group in context.contrasts():
        yield UnadjustedMeasurement(_median(context, attribute, group, level))


def _median(context: Context, attribute: Attribute, group: str, level: float) -> Measurement:
    field, reference = attribute.field, attribute.reference
    arms = f"{field}={reference}", f"{field}={group}"
    pairs = context.pairs(*arms)
    changes = np.sort(pairs.protected.margins - pairs.control.margins)
    n = len(changes)
    reason = None
    if not np.isfinite(changes).all():
        reason = "not every answer has a margin"
    elif n < FEWEST:
        reason = f"{n} applications stand in both arms; a median needs {FEWEST}"
    low, high = (None, None) if reason else _bounds(changes, level)
    return made(
        test=CARD.name,
        metric=METRIC,
        role=Role.SUPPORTING,
        subject={"field": field, "group": group},
        unit="logit",
        reference=reference,
        estimate=None if reason else float(np.median(changes)),
        low=low,
        high=high,
        level=level,
        higher_is_better=True,
        n=n,
        cases=case_query(*arms),
        missing_reason=reason,
        method="median of paired differences, nats",
    )


def _bounds(changes: np.ndarray, level: float) -> tuple[float | None, float | None]:
    """The r-th smallest and the r-th largest change, r the largest for which the interval still has its level.

    It leaves the median out when fewer than r changes lie on one side of it: twice P(X < r) of X ~ Binomial(n, 1/2).
    ``ppf`` gives the first k with P(X ≤ k) of at least half of what may be left out, so that P(X < k) is below it.
    """
    r = int(binom.ppf((1 - level) / 2, len(changes), 0.5))
    return (float(changes[r - 1]), float(changes[-r])) if r else (None, None)
