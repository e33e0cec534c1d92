"""How a number of a decision file becomes a measurement: hidden, unsure or judged by the same rules in every test."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from auditor.observed.columns import Levels, Observed, tallies_by
from auditor.observed.contrasts import ObservedContrast, contrast_of
from auditor.observed.left_out import left_out
from auditor.observed.measures import Sampling
from auditor.plan import Attribute
from auditor.policies.packs import MetricRule, metric_rule
from auditor.records import AS_FILED_CASES, Role
from auditor.statistics.minimums import GROUP, REFERENCE_GROUP, unmet
from auditor.statistics.power import worst_level
from auditor.statistics.rates import Tally
from auditor.statistics.results import Estimate, missing
from auditor.statistics.small_cells import suppress
from auditor.statistics.verdict import Evidence, Scale
from auditor.testing.card import Card
from auditor.testing.context import Context
from auditor.testing.factory import measurement, not_tested
from auditor.testing.families import EXPLORATORY_FAMILY
from auditor.testing.unadjusted import AbsenceBar, UnadjustedMeasurement

NO_FILE = "no decision file is audited"
OF_ANSWERS = "of the answers to the applications as filed"
RECORDS = "record"
"""The role under which the query of a measurement finds applications of a decision file."""


@dataclass(frozen=True)
class Pairing:
    """A contrast of the plan in the file, and why its numbers may not be printed.

    ``doubts`` say why no rate of decisions shows the absence of a difference.
    """

    attribute: Attribute
    group: str
    contrast: ObservedContrast
    hidden: str | None
    doubts: tuple[str, ...] = ()

    @property
    def subject(self) -> dict[str, str]:
        """Of a measurement of it."""
        return {"field": self.attribute.field, "group": self.group}

    @property
    def short(self) -> tuple[str, ...]:
        """Which minimum denominators of decided applications are not met."""
        protected, reference = self.contrast.decisions
        return unmet({GROUP: protected.n, REFERENCE_GROUP: reference.n})


@dataclass(frozen=True)
class Yardstick:
    """Against what a number is concluded: its scale and the least size that matters."""

    scale: Scale
    threshold: float


@dataclass(frozen=True)
class ObservedSheet:
    """One test over one decision file.

    ``size`` is how many tests the plan declares in the test's exploratory family, whatever the data.
    """

    context: Context
    card: Card
    observed: Observed
    size: int

    @property
    def level(self) -> float:
        """Of every interval."""
        return 1 - self.context.plan.thresholds.alpha

    @property
    def how(self) -> Sampling:
        """How resamples are drawn."""
        plan = self.context.plan
        return Sampling(self.level, resamples=plan.thresholds.bootstrap, seed=plan.cases.seed)

    @property
    def rate(self) -> Yardstick:
        """A difference of rates, against the plan's practical threshold."""
        return Yardstick("rate difference", self.context.plan.thresholds.practical_rate)

    @property
    def in_sds(self) -> Yardstick:
        """A difference in SDs, against the plan's."""
        return Yardstick("standardised", self.context.plan.thresholds.practical_margin_sd)

    def family(self, metric: str = "") -> str:
        """The family of what this test concludes, in words, or of one metric that a pack concludes by itself."""
        name = self.card.label[0].lower() + self.card.label[1:]
        return f"{name}: {metric[0].lower()}{metric[1:]}" if metric else name

    def levels(self, field: str) -> Levels:
        """The protected field of an attribute; one in which nothing is stated where the file has none."""
        found = self.observed.attribute(field)
        if found is not None:
            return found
        return Levels(name=field, label=field, names=(), codes=np.full(self.observed.n, -1, dtype=np.int32))

    def hidden(self, attribute: Attribute) -> tuple[Mapping[str, str | None], Mapping[str, str]]:
        """Why a group's rate may not be printed, by group, and why its comparison with the reference may not."""
        everybody = np.ones(self.observed.n, dtype=np.bool_)
        tallies = tallies_by(self.levels(attribute.field), everybody)
        groups = {name: tallies.get(name, Tally(0, 0)) for name in attribute.groups}
        found = suppress(
            tallies=groups,
            reference=attribute.reference,
            unprinted=self.observed.n - sum(tally.n for tally in groups.values()),
            small_cell=self.context.plan.thresholds.small_cell,
        )
        return {name: found.reason(name) for name in attribute.groups}, found.comparisons

    def small(self, *sizes: int, of: str) -> str | None:
        """Why a comparison within a part of two groups is hidden: a part of one of them that is a small cell."""
        least = self.context.plan.thresholds.small_cell
        return f"a group has fewer than {least} {of}" if any(0 < size < least for size in sizes) else None

    def pairings(self) -> Iterator[Pairing]:
        """Every protected group of the plan beside its reference."""
        for attribute in self.context.plan.attributes:
            _, comparisons = self.hidden(attribute)
            levels = self.levels(attribute.field)
            for group in attribute.groups:
                if group == attribute.reference:
                    continue
                hidden = comparisons.get(group)
                if not levels.names:
                    hidden = f"the decision file has no protected field {attribute.field!r}"
                contrast = contrast_of(self.observed, levels, group=group, reference=attribute.reference)
                yield Pairing(attribute, group, contrast, hidden, self.doubts(contrast, levels))

    def doubts(self, contrast: ObservedContrast, levels: Levels, *, threshold: float | None = None) -> tuple[str, ...]:
        """Whom rates of decisions leave out, where that may hide a difference of ``threshold``, else the plan's."""
        thresholds = self.context.plan.thresholds
        least = thresholds.practical_rate if threshold is None else threshold
        return left_out(contrast, levels, threshold=least, alpha=thresholds.alpha)

    def row(
        self,
        estimate: Estimate,
        *,
        metric: str,
        subject: Mapping[str, str],
        reference: str | None = None,
        hidden: str | None = None,
        short: tuple[str, ...] = (),
        judged: Yardstick | None = None,
        counts: Mapping[str, float | int | None] | None = None,
        of_pack: bool = True,
        size: int | None = None,
        unit: str = "",
        family: str | None = None,
        bars: AbsenceBar | None = None,
        doubts: tuple[str, ...] = (),
    ) -> UnadjustedMeasurement:
        """One number as it may be shown, and what it is concluded from.

        Parameters
        ----------
        hidden
            Why it is not printed; then nothing of it is.
        short
            Which minimum denominators are not met: then it has no interval, and is inconclusive.
        judged
            Against what it is concluded; a number without is described.
        of_pack
            Whether a pack's rule for the metric bears on this very number.
        size
            Tests in its exploratory family, where that is not the sheet's.
        unit
            What it is counted in, where the file says it and not the card.
        family
            In which a number that is described is adjusted, if in any.
        bars
            What it says against the absence of a difference elsewhere.
        doubts
            Why it shows no absence of a difference itself.
        """
        # What is hidden is hidden with everything that was counted for it.
        known = {} if hidden is not None else dict(counts or {})
        kind = next(item for item in self.card.metrics if item.name == metric)
        rule = metric_rule(self.context.packs, metric, field=subject.get("field", "")) if of_pack else MetricRule()
        shown = self._shown(estimate, hidden, short)
        if self.context.cases:
            shown = replace(shown, method=f"{shown.method}, {OF_ANSWERS}")
        confirmed = judged is not None and rule.role is Role.PRIMARY and (
            rule.threshold is not None or judged.scale != "ratio"
        )  # fmt: skip
        common: dict[str, Any] = {
            "test": self.card.name,
            "metric": metric,
            "subject": dict(subject),
            "reference": reference,
            "unit": kind.unit or unit,
            "higher_is_better": kind.higher_is_better,
            "level": self.level,
            "cases": AS_FILED_CASES if self.context.cases else f"role:{RECORDS}",
        }
        if judged is None or (judged.scale == "ratio" and not confirmed):
            role = Role.SECONDARY if rule.role in (Role.PRIMARY, Role.SECONDARY) else Role.EXPLORATORY
            drafted = measurement(shown, role=role, counts=known, family=family, **common)
            return UnadjustedMeasurement(drafted, bars=bars, family_size=size if family else None)
        thresholds = self.context.plan.thresholds
        family_size = self._confirmed_size(metric) if confirmed else size or self.size
        threshold = rule.threshold if confirmed and rule.threshold is not None else judged.threshold
        alpha = thresholds.alpha if confirmed else thresholds.exploratory_q
        mde = _detectable(
            shown, judged.scale, level=worst_level(alpha=alpha, family_size=family_size), power=thresholds.power
        )
        evidence = Evidence(
            estimate=shown.value,
            p_adjusted=None,
            practical_threshold=threshold,
            scale=judged.scale,
            denominators_ok=not short and hidden is None,
            quality_reason="; ".join([*((hidden,) if hidden else ()), *short]) or (shown.reason or ""),
            mde=mde,
            absence_barriers=doubts,
            alpha=alpha,
            equivalence_alpha=thresholds.alpha,
            exploratory=not confirmed,
        )
        method = f"{shown.method}, primary by {rule.words}" if confirmed else shown.method
        drafted = measurement(
            replace(shown, method=method),
            role=Role.PRIMARY if confirmed else Role.EXPLORATORY,
            family=self.family(kind.label) if confirmed else f"{EXPLORATORY_FAMILY}: {self.family()}",
            # No difference of a ratio is 1, so that a reader needs the threshold it was judged by.
            counts={**known, "mde": mde, **({"threshold": threshold} if judged.scale == "ratio" else {})},
            **common,
        )
        return UnadjustedMeasurement(drafted, evidence, outcome=True, family_size=family_size)

    def _shown(self, estimate: Estimate, hidden: str | None, short: tuple[str, ...]) -> Estimate:
        if hidden is not None:
            return missing(method=estimate.method, reason=hidden, n=0)
        if short and estimate.value is not None:
            return replace(estimate, interval=None, tost_interval=None, reason="; ".join(short))
        return estimate

    def _confirmed_size(self, metric: str) -> int:
        """How many contrasts of the plan a pack concludes this metric for by itself."""
        rules = [metric_rule(self.context.packs, metric, field=item.field) for item, _ in self.context.contrasts()]
        return max(1, sum(rule.role is Role.PRIMARY for rule in rules))


def sheet_of(context: Context, card: Card, *, tests: int) -> ObservedSheet | None:
    """The sheet of a test that concludes ``tests`` numbers a contrast; ``None`` where no decision file is audited."""
    if context.decision_file is None:
        return None
    return ObservedSheet(context, card, context.decision_file, max(1, tests * len(context.contrasts())))


def untested(context: Context, card: Card, reason: str = NO_FILE) -> UnadjustedMeasurement:
    """The one row of a test that could not be done, and why."""
    return UnadjustedMeasurement(not_tested(card, reason, level=1 - context.plan.thresholds.alpha))


def _detectable(estimate: Estimate, scale: Scale, *, level: float, power: float) -> float | None:
    """Smallest effect seen with this power at this level, from the error behind the interval (as observed)."""
    interval = estimate.interval
    if interval is None:
        return None
    width = interval.high - interval.low
    if scale == "ratio":
        if interval.low <= 0:
            return None
        width = math.log(interval.high / interval.low)
    error = width / (2 * float(stats.norm.isf((1 - interval.level) / 2)))
    least = (float(stats.norm.isf(level / 2)) + float(stats.norm.ppf(power))) * error
    if not least > 0:
        return None
    return math.exp(-least) if scale == "ratio" else least
