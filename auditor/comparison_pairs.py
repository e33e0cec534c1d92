"""What the measurements of a comparison of versions share: the pairs, the design's rules, interval and conclusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from auditor.counterfactuals import arm
from auditor.plan import Attribute, Plan
from auditor.records import NO_DECISION, Outcome, Role
from auditor.statistics.bootstrap import BootstrapSample, bootstrap_totals
from auditor.statistics.equivalence import Equivalence
from auditor.statistics.minimums import PAIRS, unmet
from auditor.statistics.pairs import MIN_DISCORDANT, PairCounts, mean_of_sums, tango_interval
from auditor.statistics.results import Estimate, Interval
from auditor.statistics.verdict import Evidence
from auditor.testing.context import BoolArray, FloatArray, case_query
from auditor.testing.factory import measurement
from auditor.testing.unadjusted import UnadjustedMeasurement

BEFORE = "earlier version"
"""The reference of whatever compares the versions with each other."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one version said of one case; ``margin`` in nats, ``None`` where it was sampled."""

    case_id: str
    cluster: str
    role: str
    arms: tuple[str, ...]
    outcome: Outcome
    margin: float | None


@dataclass(frozen=True)
class Both:
    """One case as both versions answered it; pairs of booleans are (earlier, later)."""

    earlier: Answer
    later: Answer

    @property
    def favourable(self) -> tuple[bool, bool]:
        """Whether each version is favourable."""
        return self.earlier.outcome is Outcome.FAVOURABLE, self.later.outcome is Outcome.FAVOURABLE

    @property
    def unreadable(self) -> tuple[bool, bool]:
        """Whether each version's answer could not be read."""
        return self.earlier.outcome in NO_DECISION, self.later.outcome in NO_DECISION

    @property
    def moved(self) -> int:
        """1 if only the later version is favourable, −1 if only the earlier one is, else 0."""
        return int(self.favourable[1]) - int(self.favourable[0])


@dataclass(frozen=True)
class ArmPair:
    """A yes or no of the same applications, twice."""

    first: Sequence[bool]
    second: Sequence[bool]

    @property
    def changes(self) -> FloatArray:
        """Second minus first."""
        return np.array(self.second, dtype=np.float64) - np.array(self.first, dtype=np.float64)


@dataclass(frozen=True)
class ComparedContrast:
    """One group against its reference: the applications that stand in both arms, in the order of the control arm."""

    field: str
    group: str
    reference: str
    control: tuple[Both, ...]
    protected: tuple[Both, ...]

    @classmethod
    def of(cls, arms: Mapping[str, Mapping[str, Both]], attribute: Attribute, group: str) -> ComparedContrast:
        """The pairs of one contrast."""
        field, reference = attribute.field, attribute.reference
        left, right = arms[arm(field, reference)], arms[arm(field, group)]
        shared = [cluster for cluster in left if cluster in right]
        return cls(field, group, reference, tuple(left[key] for key in shared), tuple(right[key] for key in shared))

    @property
    def changes(self) -> FloatArray:
        """By application, how its part of the net effect changed: −2 to 2."""
        pairs = zip(self.control, self.protected, strict=True)
        return np.array([mine.moved - theirs.moved for theirs, mine in pairs], dtype=np.float64)

    def margins(self, place: int) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray] | None:
        """Margins and readability of control and group in one version; ``None`` where a margin is missing."""
        sides = []
        for items in (self.control, self.protected):
            answers = [item.later if place else item.earlier for item in items]
            if any(answer.margin is None for answer in answers):
                return None
            sides.append(answers)
        values = [np.array([answer.margin for answer in side], dtype=np.float64) for side in sides]
        readable = [np.array([answer.outcome not in NO_DECISION for answer in side], dtype=bool) for side in sides]
        return values[0], values[1], readable[0], readable[1]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The design's rules, and how many cases stood in one run only."""

    attributes: Sequence[Attribute]
    alpha: float
    power: float
    practical: float
    equivalence: float
    resamples: int
    seed: int
    natural: float
    degenerate_share: float
    mute_share: float
    range: tuple[float, float] | None
    left_out: Mapping[str, int]
    dependent: str = ""
    """Why applications are not applicants, where they are not: then nothing is concluded."""

    @classmethod
    def of(cls, plan: Plan, left_out: Mapping[str, int], *, dependent: str = "") -> Rules:
        """From a design; one written before a key was there has its default."""
        thresholds, point = plan.thresholds, plan.operating_point
        return cls(
            attributes=plan.attributes,
            alpha=thresholds.alpha,
            power=thresholds.power,
            practical=thresholds.practical_rate,
            equivalence=thresholds.equivalence_rate,
            resamples=thresholds.bootstrap,
            seed=plan.cases.seed,
            natural=point.natural_margin,
            degenerate_share=point.degenerate_share,
            mute_share=point.mute_share,
            range=None if isinstance(point.range, str) else point.range,
            left_out=left_out,
            dependent=dependent,
        )

    @property
    def level(self) -> float:
        """Of every interval."""
        return 1 - self.alpha

    @property
    def contrasts(self) -> list[tuple[Attribute, str]]:
        """Every group against its reference."""
        return [
            (attribute, group)
            for attribute in self.attributes
            for group in attribute.groups
            if group != attribute.reference
        ]


def changed_mean(
    values: FloatArray, rules: Rules, *, rate: bool = False
) -> tuple[Interval | None, BootstrapSample | None, str | None]:
    """Interval of a mean of paired changes, the resamples it is read from, and why there is none.

    From ten applications that moved on it is bootstrapped by application. Under ten there is nothing to resample: a
    change of yes-or-no outcomes (``rate``) then has Tango's score interval where none moved by more than one step; a
    change of margins is no rate and has Student's interval for a mean.
    """
    n, moved = len(values), int((values != 0).sum())
    if moved >= MIN_DISCORDANT:
        sample = bootstrap_totals(
            totals=np.column_stack([values, np.ones(n)]),
            statistic=mean_of_sums,
            resamples=rules.resamples,
            seed=rules.seed,
        )
        interval = sample.interval(rules.level)
        return interval, sample, None if interval else "too many resamples have no value for an interval"
    if rate and n and np.abs(values).max() <= 1:
        b, c = int((values < 0).sum()), int((values > 0).sum())
        return tango_interval(PairCounts(0, b, c, n - b - c), level=rules.level), None, None
    if not rate and moved and n > 1:
        reach = float(stats.t.ppf(1 - rules.alpha / 2, n - 1) * values.std(ddof=1) / np.sqrt(n))
        middle = float(values.mean())
        return Interval(middle - reach, middle + reach, rules.level, "Student's t, mean"), None, None
    return None, None, "too few applications moved for an interval"


def concluded(
    estimate: Estimate,
    rules: Rules,
    *,
    test: str,
    metric: str,
    family: str,
    subject: dict[str, str],
    reference: str,
    higher_is_better: bool,
    counts: Mapping[str, float | int | None],
    claim: Equivalence | None,
    mde: float | None,
    equivalence_barriers: tuple[str, ...],
    doubts: tuple[str, ...] = (),
    silent: str = "",
) -> UnadjustedMeasurement:
    """A change of rates with all that its conclusion rests on."""
    field = subject["field"]
    names = [subject["group"]] if reference == BEFORE else [reference, subject["group"]]
    short = unmet({PAIRS: estimate.n}) if estimate.n else ("no application stands in both runs",)
    return UnadjustedMeasurement(
        measurement(
            estimate,
            test=test,
            metric=metric,
            role=Role.PRIMARY,
            unit="rate_difference",
            family=family,
            subject=subject,
            reference=reference,
            higher_is_better=higher_is_better,
            cases=case_query(*(arm(field, name) for name in names)),
            level=rules.level,
            counts={**counts, **rules.left_out, "mde": mde},
        ),
        Evidence(
            estimate=estimate.value,
            p_adjusted=None,
            practical_threshold=rules.practical,
            denominators_ok=not short,
            degenerate=bool(silent),
            quality_reason="; ".join((*short, *filter(None, [silent]))),
            equivalent=None if claim is None else claim.established,
            equivalence_alpha=rules.alpha,
            equivalence_barriers=equivalence_barriers,
            absence_barriers=doubts,
            mde=mde,
            alpha=rules.alpha,
            pairs=estimate.n,
            dependent=rules.dependent,
        ),
        equivalence=claim,
    )
