"""Measurements are built here and nowhere else: what a test found, and an id that no other measurement shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.records import Check, Conclusion, Measurement, Role
from auditor.statistics.results import Estimate
from auditor.testing.card import Card

NOT_TESTED = "not_tested"


def measurement_id(*, test: str, metric: str, subject: Mapping[str, str], reference: str | None) -> str:
    """Test, metric and subject, which no other measurement shares, and what it is compared with."""
    parts = [test, metric, *(f"{key}={value}" for key, value in subject.items())]
    return "/".join(parts if reference is None else [*parts, f"vs={reference}"])


def made(
    *, test: str, metric: str, subject: Mapping[str, str], reference: str | None = None, **values: Any
) -> Measurement:
    """A measurement with these values and the id that follows from what it is of."""
    name = measurement_id(test=test, metric=metric, subject=subject, reference=reference)
    return Measurement(id=name, test=test, metric=metric, subject=dict(subject), reference=reference, **values)


def not_tested(card: Card, reason: str, *, level: float) -> Measurement:
    """The one measurement of a test that was not done."""
    return made(
        test=card.name,
        metric=NOT_TESTED,
        role=Role.SUPPORTING,
        subject={},
        unit="count",
        level=level,
        conclusion=Conclusion.NOT_TESTED,
        conclusion_reason=reason,
        missing_reason=reason,
        method=card.method,
    )


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
    """The measurement of an ``estimate`` of auditor.statistics."""
    numbers = {key: value for key, value in estimate.counts.items() if isinstance(value, int | float)}
    method = [estimate.method]
    if estimate.test is not None:
        method.append(estimate.test.method)
    if estimate.interval is not None:
        # An interval speaks of its own comparison; only p-values are adjusted over the family.
        method.append(f"interval: {estimate.interval.method}" + (", unadjusted over the family" if family else ""))
    return made(
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


def control_of_run(
    card: Card,
    estimate: Estimate,
    *,
    metric: str,
    level: float,
    checks: tuple[Check, ...],
    counts: dict[str, float | int | None],
) -> Measurement:
    """The row of a control of the whole run: a share that should be 0, and its check, which ends all conclusions."""
    return measurement(
        estimate,
        test=card.name,
        metric=metric,
        role=Role.SUPPORTING,
        subject={},
        unit="rate",
        higher_is_better=False,
        cases="",
        level=level,
        checks=checks,
        counts=counts,
    )
