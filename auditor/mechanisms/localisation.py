"""The specification curve of a localisation: the share of a node by direction of patching and by how it is summed.

Putting the group's state into the reference's prompt (noising) and the reference's into the group's (denoising) need
not agree: what is enough to move the margin need not be needed for it. Nor need a share that weighs pairs by the square
of their difference agree with the ratio of sums. One of the four is declared; the others repeat it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.measures.bootstrap import bootstrap_totals
from auditor.measures.minimums import FOR_A_SHARE
from auditor.measures.results import FloatArray
from auditor.mechanisms.specifications import Agreement, Result, Specification, agreement
from auditor.testing.context import Context

NOISING, DENOISING = "group's state put in", "reference's state put in"
WEIGHTED, SUMMED = "share weighted by the difference", "ratio of sums"
DECLARED = Specification(corruption=NOISING, metric=WEIGHTED)


def agree(context: Context, effects: Mapping[str, FloatArray], gaps: FloatArray) -> Agreement:
    """Whether a node's share is the same in every direction and by every sum.

    Parameters
    ----------
    effects
        By direction, what patching moves the margin by towards the other prompt's, over its whole difference's sign:
        positive carries the difference. [pairs], nats.
    gaps
        The differences, [pairs], nats.
    """
    results = []
    for direction, moved in effects.items():
        for metric, rows in _sums(moved, gaps).items():
            results.append(_result(context, Specification(corruption=direction, metric=metric), rows))
    return agreement(results, declared=DECLARED)


def repeated(context: Context, effects: Mapping[str, FloatArray], gaps: FloatArray) -> dict[str, Any]:
    """The agreement as :func:`.pair_measures.supporting` takes it: counts, words, and why nothing can be concluded."""
    found = agree(context, effects, gaps)
    said = found.reason
    if found.lowest is not None and found.highest is not None:
        low, high = found.lowest.estimate or 0.0, found.highest.estimate or 0.0
        said = f"{said}; {low:.2f} to {high:.2f} by direction and sum"
    return {"counts": found.counts(), "again": said, "unstable": found.reason if found.conclusion else None}


def _sums(effects: FloatArray, gaps: FloatArray) -> dict[str, FloatArray]:
    sign = np.sign(gaps)
    return {
        WEIGHTED: np.stack([effects * gaps, gaps**2], axis=1),
        SUMMED: np.stack([effects * sign, np.abs(gaps)], axis=1),
    }


def _result(context: Context, specification: Specification, rows: FloatArray) -> Result:
    total = rows.sum(axis=0)
    if not total[1] > 0:
        return Result(specification=specification, estimate=None, holds=None, reason="there is no difference")
    estimate = float(total[0] / total[1])
    if len(rows) < FOR_A_SHARE:
        reason = f"{len(rows)} applications, {FOR_A_SHARE} needed"
        return Result(specification=specification, estimate=estimate, holds=None, reason=reason)

    def ratio(sums: FloatArray) -> FloatArray:
        return np.asarray(sums[:, 0] / sums[:, 1])

    thresholds: Any = context.plan.thresholds
    sampled = bootstrap_totals(
        totals=rows, statistic=ratio, resamples=thresholds.bootstrap, seed=context.plan.cases.seed
    ).interval(1 - thresholds.alpha)
    holds = sampled is not None and not sampled.low <= 0 <= sampled.high
    return Result(specification=specification, estimate=estimate, holds=holds)
