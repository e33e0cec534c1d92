"""How the numbers of one part of the look-ahead test become measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from auditor.counterfactuals import ACTUAL
from auditor.mechanisms._shared.decision_checks import as_decided
from auditor.mechanisms._shared.enough import measured
from auditor.mechanisms._shared.localisation import Repeated
from auditor.mechanisms._shared.pair_measures import SHARES, SMALLEST_GAP
from auditor.mechanisms._shared.paired_means import paired_mean
from auditor.mechanisms.look_ahead.result import PartResult
from auditor.records import Check, Conclusion, Role
from auditor.statistics.bootstrap import bootstrap_totals
from auditor.statistics.minimums import FOR_A_SHARE
from auditor.statistics.results import Estimate, missing
from auditor.testing.context import Context, FloatArray
from auditor.testing.unadjusted import UnadjustedMeasurement

#: A state or a reader has the decision from the layer on where it holds half of it.
HALF = 0.5
#: Fewest applications or pairs that give a share.
LEAST = 2
ResultT_co = TypeVar("ResultT_co", bound=PartResult, covariant=True)


@dataclass(frozen=True)
class Part(Generic[ResultT_co]):
    """The results of one part's chunks, and how their numbers become measurements."""

    context: Context
    test: str
    results: Sequence[ResultT_co]

    @property
    def first(self) -> ResultT_co:
        """What the first chunk gave: what all chunks have in common is read from it."""
        return self.results[0]

    @property
    def level(self) -> float:
        """Level of the intervals."""
        return 1 - self.context.plan.thresholds.alpha

    @property
    def reason(self) -> str | None:
        """Why no chunk of this part has a number."""
        return next((result.reason for result in self.results if result.reason), None)

    def draft(
        self,
        estimate: Estimate,
        *,
        metric: str,
        unit: str,
        subject: Mapping[str, str] | None = None,
        checks: Sequence[Check] = (),
        counts: Mapping[str, float | int | None] | None = None,
        family: str | None = None,
        higher_is_better: bool | None = None,
        **concluded: Any,
    ) -> UnadjustedMeasurement:
        """A measurement; applications left out for cost are counted in it, and how answers were read is said.

        Fewer applications than a share takes are called an illustration and have no interval, and one gives no share.
        """
        note = next((result.note for result in self.results if result.note), "")
        if unit in SHARES and estimate.value is not None and estimate.n < LEAST:
            reason = f"one application gives no share; {FOR_A_SHARE} and more tell how it is in general"
            estimate = missing(method=estimate.method, reason=reason, n=estimate.n)
        estimate = replace(estimate, method="; ".join(filter(None, (estimate.method, note))))
        return UnadjustedMeasurement(
            measured(
                estimate,
                test=self.test,
                metric=metric,
                role=Role.SUPPORTING,
                subject=dict(subject or {}),
                unit=unit,
                cases=f"role:{ACTUAL}",
                higher_is_better=higher_is_better,
                level=self.level,
                family=f"look-ahead, {family}" if family else None,
                checks=tuple(checks),
                counts={**(counts or {}), "left_out": self.first.left_out},
                **concluded,
            )
        )

    def localised(self, estimate: Estimate, again: Repeated, **about: Any) -> UnadjustedMeasurement:
        """A share of a place, with what :func:`.localisation.repeated` says of it asked in other ways."""
        unstable = again.unstable if estimate.value is not None else None
        concluded: dict[str, Any] = (
            {"conclusion": Conclusion.INCONCLUSIVE, "conclusion_reason": unstable} if unstable else {}
        )
        estimate = replace(estimate, method="; ".join(filter(None, (estimate.method, again.words))))
        return self.draft(estimate, counts=again.counts, **about, **concluded)

    def resampled(self, rows: FloatArray, statistic: Callable[[FloatArray], FloatArray], *, method: str) -> Estimate:
        """A function of sums over applications, rows of shape (n, m), with a percentile interval."""
        n = len(rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(statistic(rows.sum(axis=0, keepdims=True))[0]) if n else np.nan
            if not np.isfinite(value):
                return missing(method=method, reason="there is no difference to share out", n=n)
            if n < 2:
                return Estimate(value=value, n=n, method=method)
            sampled = bootstrap_totals(
                totals=rows,
                statistic=statistic,
                resamples=self.context.plan.thresholds.bootstrap,
                seed=self.context.plan.cases.seed,
            )
        return Estimate(value=value, n=n, method=method, interval=sampled.interval(self.level))

    def mean(self, values: Sequence[float] | FloatArray, *, method: str) -> Estimate:
        """A mean over applications with Student's interval."""
        array = np.asarray(values, dtype=np.float64)
        if not len(array):
            return missing(method=method, reason="no application gives it a value", n=0)
        if len(array) < 2:
            return Estimate(value=float(array[0]), n=1, method=method)
        return paired_mean(array, level=self.level, method=method, floor=self.first.noise.bound)

    def decided(self, pairs: Iterable[tuple[str, float]]) -> Check:
        """The margins this part started from against those the run decided on."""
        return as_decided(self.context, pairs, noise=self.first.noise, which="margin looked at")


def share(sums: FloatArray) -> FloatArray:
    """The first sum over the second, for every resample."""
    return np.asarray(sums[:, 0] / sums[:, 1])


def slope(part: Part[Any], values: FloatArray, gaps: FloatArray, *, method: str) -> Estimate:
    """Σ effect·gap / Σ gap², so that pairs without a difference do not count."""
    if float(np.sqrt((gaps**2).mean())) < SMALLEST_GAP:
        return missing(method=method, reason=f"no pair's margins differ by {SMALLEST_GAP} nats or more", n=len(gaps))
    return part.resampled(np.stack([values * gaps, gaps**2], axis=1), share, method=method)


def whole(value: float | None, *, n: int, method: str, never: str) -> Estimate:
    """A whole number, or the reason why there is none."""
    if value is None:
        return missing(method=method, reason=never, n=n)
    return Estimate(value=float(value), n=n, method=method)


def from_here_on(layers: Sequence[int], holds: Sequence[bool]) -> float | None:
    """The first layer from which on it holds at all later ones."""
    first = None
    for layer, held in sorted(zip(layers, holds, strict=True), reverse=True):
        if not held:
            break
        first = float(layer)
    return first
