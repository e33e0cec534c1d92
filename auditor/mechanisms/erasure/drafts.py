"""How the numbers of an erasure become measurements about an attribute's groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from auditor.counterfactuals import COUNTERFACTUAL
from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.concept_rows import About
from auditor.mechanisms._shared.enough import measured
from auditor.mechanisms._shared.paired_means import paired_mean
from auditor.records import Check, Role
from auditor.statistics.results import BoolArray, Estimate, FloatArray
from auditor.testing.context import Context
from auditor.testing.families import inside_family
from auditor.testing.unadjusted import UnadjustedMeasurement


@dataclass(frozen=True)
class Drafts:
    """How numbers about one attribute become measurements."""

    context: Context
    about: About
    test: str
    note: str = ""

    @property
    def reference(self) -> int:
        """The reference's column."""
        return self.about.groups.index(self.about.reference)

    @property
    def others(self) -> list[int]:
        """The other groups' columns."""
        return [column for column in range(len(self.about.groups)) if column != self.reference]

    @property
    def level(self) -> float:
        """Level of the intervals."""
        return 1 - self.context.plan.thresholds.alpha

    def family(self, *, full: bool) -> str | None:
        """The family of what is tested with as many draws as its level needs."""
        return inside_family(self.test) if full else None

    def mean(self, values: FloatArray, method: str, *, noise: NoiseFloor) -> Estimate:
        """A mean over applications."""
        return paired_mean(values, level=self.level, method=method, floor=noise.bound)

    def turned(self, clean: FloatArray, erased: FloatArray) -> BoolArray:
        """Which decisions are others than before."""
        threshold = self.context.plan.operating_point.natural_margin
        return np.asarray((clean >= threshold) != (erased >= threshold))

    def draft(
        self,
        estimate: Estimate,
        *,
        metric: str,
        column: int,
        unit: str,
        subject: dict[str, str] | None = None,
        checks: tuple[Check, ...] = (),
        **more: Any,
    ) -> UnadjustedMeasurement:
        """A measurement of a group's column."""
        group = self.about.groups[column]
        method = f"{estimate.method}; {self.note}" if self.note else estimate.method
        row = measured(
            replace(estimate, method=method),
            test=self.test,
            metric=metric,
            role=Role.SUPPORTING,
            subject=subject or {"field": self.about.field, "group": group},
            reference=self.about.reference if column != self.reference else None,
            unit=unit,
            cases=f"role:{COUNTERFACTUAL}",
            level=self.level,
            higher_is_better=None,
            checks=checks,
            **more,
        )
        return UnadjustedMeasurement(row)
