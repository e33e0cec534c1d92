"""From an estimate of auditor.measures to a measurement: one place that knows both shapes."""

from __future__ import annotations

from typing import Any

from auditor.measures.results import Estimate
from auditor.records import Measurement, Role


def measurement(
    estimate: Estimate,
    *,
    test: str,
    metric: str,
    role: Role,
    subject: dict[str, str],
    unit: str,
    cases: str,
    reference: str | None = None,
    higher_is_better: bool | None = True,
    family: str | None = None,
    level: float,
    counts: dict[str, float | int | None] | None = None,
    **more: Any,
) -> Measurement:
    """Build the measurement of ``estimate``; its id is test, metric and subject, which no other measurement shares."""
    parts = [test, metric, *(f"{key}={value}" for key, value in subject.items())]
    if reference is not None:
        parts.append(f"vs={reference}")
    numbers = {key: value for key, value in estimate.counts.items() if isinstance(value, int | float)}
    method = [estimate.method]
    if estimate.test is not None:
        method.append(estimate.test.method)
    if estimate.interval is not None:
        # An interval speaks of its own comparison; only p-values are adjusted over the family.
        method.append(f"interval: {estimate.interval.method}" + (", unadjusted over the family" if family else ""))
    return Measurement(
        id="/".join(parts),
        test=test,
        metric=metric,
        role=role,
        subject=subject,
        unit=unit,
        reference=reference,
        estimate=estimate.value,
        low=estimate.interval.low if estimate.interval else None,
        high=estimate.interval.high if estimate.interval else None,
        level=estimate.interval.level if estimate.interval else level,
        higher_is_better=higher_is_better,
        n=estimate.n,
        sd_units=estimate.test.sd_units if estimate.test else None,
        p_value=estimate.test.p_value if estimate.test else None,
        # A declared test that gave no p-value still belongs to its family, which was fixed before the run.
        family=family,
        cases=cases,
        missing_reason=estimate.reason if estimate.value is None else None,
        method="; ".join(method),
        counts={**numbers, **(counts or {})},
        **more,
    )
