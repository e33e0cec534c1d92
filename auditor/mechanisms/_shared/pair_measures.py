"""From effects on counterfactual pairs to measurements: shares of what the change does, with the checks beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from auditor.counterfactuals import arm
from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.localisation import Repeated
from auditor.mechanisms._shared.pair_rows import LookedAt, PairsResult
from auditor.records import Check, Conclusion, Role
from auditor.statistics.bootstrap import bootstrap_totals
from auditor.statistics.minimums import FOR_A_SHARE, interval_may_stand, scope
from auditor.testing.context import Context, FloatArray, case_query
from auditor.testing.factory import made
from auditor.testing.unadjusted import UnadjustedMeasurement

SHARES = ("rate", "ratio", "share")
SMALLEST_GAP = 1e-3
"""Below this root mean square gap, in nats, there is no difference to attribute."""


def nothing_to_share(gaps: FloatArray, floor: NoiseFloor) -> str | None:
    """Why the differences of some pairs cannot be shared out; ``None`` where they can."""
    size = float(np.sqrt((gaps**2).mean()))
    if size < SMALLEST_GAP:
        return f"the change moves the margin by less than {SMALLEST_GAP} nats, so there is nothing to share out"
    if not floor.tells(size):
        return (
            f"the change moves the margin by {size:.2g} nats, which rounding alone could do ({floor.arithmetic}), "
            "so there is nothing to share out"
        )
    return None


def slope(effects: FloatArray, gaps: FloatArray) -> float:
    """Σ effect·gap / Σ gap²: the share of the gap, weighted so that pairs without a gap do not count."""
    return float(effects @ gaps / (gaps @ gaps))


def share_interval(context: Context, effects: FloatArray, gaps: FloatArray) -> tuple[float, float] | None:
    """Percentile interval of :func:`slope` at the plan's level, applications resampled; none for an illustration."""
    if not interval_may_stand(len(gaps)) or not float(gaps @ gaps) > 0:
        return None
    thresholds = context.plan.thresholds
    sampled = bootstrap_totals(
        totals=np.stack([effects * gaps, gaps**2], axis=1),
        statistic=lambda sums: np.asarray(sums[:, 0] / sums[:, 1]),
        resamples=thresholds.bootstrap,
        seed=context.plan.cases.seed,
    )
    found = sampled.interval(1 - thresholds.alpha)
    return (found.low, found.high) if found is not None else None


def worst_checks(checks: Iterable[Check]) -> tuple[Check, ...]:
    """One check of every name, at its worst."""
    worst: dict[str, Check] = {}
    for check in checks:
        seen = worst.get(check.name)
        if seen is None or (check.held, -(check.value or 0)) < (seen.held, -(seen.value or 0)):
            worst[check.name] = check
    return tuple(worst.values())


def gaps_of(pairs: Iterable[LookedAt]) -> FloatArray:
    """What the change does to the margin of every pair, [pairs], in nats."""
    return np.array([pair.gap for pair in pairs], dtype=np.float64)


@dataclass(frozen=True)
class OfContrast:
    """What a test found on the pairs of one contrast, and how its numbers become supporting measurements."""

    context: Context
    test: str
    result: PairsResult[LookedAt]
    checks: tuple[Check, ...]

    @classmethod
    def of(cls, context: Context, result: PairsResult[LookedAt], *, test: str) -> OfContrast:
        """With the self-checks of all its pairs."""
        return cls(context, test, result, worst_checks(check for pair in result.pairs for check in pair.checks))

    @property
    def level(self) -> float:
        """Of every interval."""
        return 1 - self.context.plan.thresholds.alpha

    @property
    def gaps(self) -> FloatArray:
        """Of all pairs, in nats."""
        return gaps_of(self.result.pairs)

    def measured(
        self,
        *,
        metric: str,
        subject: Mapping[str, str],
        unit: str,
        value: Callable[[], float],
        method: str,
        needs_gap: bool = True,
        interval: Callable[[], tuple[float, float] | None] | None = None,
        counts: Mapping[str, float | int | None] | None = None,
        again: Repeated | None = None,
        missing: str | None = None,
    ) -> UnadjustedMeasurement:
        """One measurement.

        Its number is withheld where a self-check did not hold, and a share where it would come from one application;
        fewer applications than ``FOR_A_SHARE`` are called an illustration.

        Parameters
        ----------
        value, interval
            Asked only where there is a number.
        needs_gap
            Whether it is a share of the difference, which has to be there.
        again
            How often other specifications agree, and why nothing can be concluded from it.
        missing
            Why this number is not tested though others of the contrast are.
        """
        result, contrast = self.result, self.result.contrast
        untested = missing or result.reason
        reason = untested or self._withheld(unit, needs_gap=needs_gap)
        ends = interval() if interval is not None and reason is None else None
        unstable = again.unstable if again else None
        said = (method, result.note, again.words if again else "", scope(len(result.pairs)) if result.pairs else "")
        measured = made(
            test=self.test,
            metric=metric,
            role=Role.SUPPORTING,
            subject={"field": contrast.field, "group": contrast.group, **subject},
            unit=unit,
            reference=contrast.reference,
            estimate=value() if reason is None else None,
            low=ends[0] if ends else None,
            high=ends[1] if ends else None,
            level=self.level,
            n=len(result.pairs),
            checks=self.checks,
            cases=case_query(arm(contrast.field, contrast.reference), arm(contrast.field, contrast.group)),
            missing_reason=reason,
            conclusion=Conclusion.NOT_TESTED if untested else Conclusion.INCONCLUSIVE if unstable else None,
            conclusion_reason=untested or unstable,
            method="; ".join(part for part in said if part),
            counts={"left_out": sum(result.left_out.values()), **(again.counts if again else {}), **(counts or {})},
        )
        return UnadjustedMeasurement(measured)

    def share(
        self,
        effects: FloatArray,
        *,
        metric: str,
        subject: Mapping[str, str],
        method: str,
        again: Repeated,
        gaps: FloatArray | None = None,
    ) -> UnadjustedMeasurement:
        """A share of the difference, Σ effect·gap / Σ gap², with its interval from resampled applications.

        Parameters
        ----------
        effects
            By application, in nats.
        gaps
            The differences of the same applications; those of all pairs by default.
        """
        own = self.gaps if gaps is None else gaps
        return self.measured(
            metric=metric,
            subject=subject,
            unit="ratio",
            value=lambda: slope(effects, own),
            interval=lambda: share_interval(self.context, effects, own),
            method=method,
            again=again,
        )

    def whole_gap(self) -> UnadjustedMeasurement:
        """The difference itself, in nats: what every share of it is a share of."""
        return self.measured(
            metric="patch_gap",
            subject={},
            unit="logit",
            value=lambda: float(self.gaps.mean()),
            method="mean difference of the margin over the aligned pairs",
            needs_gap=False,
        )

    def _withheld(self, unit: str, *, needs_gap: bool) -> str | None:
        """Why there is no number, of a model that can be tested."""
        pairs = self.result.pairs
        if not pairs:
            return "no pair is left to look at: " + "; ".join(self.result.left_out)
        failed = [check.name for check in self.checks if not check.held]
        if failed:
            return f"a self-check did not hold: {'; '.join(failed)}"
        if unit in SHARES and len(pairs) < 2:
            return f"one application gives no share; {FOR_A_SHARE} and more tell how it is in general"
        return nothing_to_share(self.gaps, self.result.noise) if needs_gap else None
