"""What the contrasts of pairs share: the effect of yes/no outcomes, what it could have seen, what its pairs allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from auditor.counterfactuals import arm
from auditor.language_models.tolerance import TOLERANCE
from auditor.plan import Attribute
from auditor.plan_reading import LOG_ODDS
from auditor.statistics.equivalence import Equivalence, tost, tost_pairs
from auditor.statistics.minimums import PAIRS, unmet
from auditor.statistics.pairs import MIN_DISCORDANT, PairCounts, clustered_net_effect, count_pairs, net_effect
from auditor.statistics.power import net_effect_mde
from auditor.statistics.replicates import (
    equivalence_of_means,
    pair_replicates,
    replicated_effect,
    replicated_mde,
    variance_components,
)
from auditor.statistics.results import Estimate
from auditor.statistics.verdict import Evidence, Scale
from auditor.testing.context import Arm, BoolArray, Context, Pairs
from auditor.testing.factory import measurement
from auditor.testing.families import BOUNDS_ALONE, NO_MARGINS, SOME_MARGINS
from auditor.testing.unadjusted import UnadjustedMeasurement

TEST = "counterfactual"


@dataclass(frozen=True)
class Contrast:
    """One group against the reference, and everything its measurements have in common."""

    context: Context
    attribute: Attribute
    group: str
    pairs: Pairs

    @property
    def n(self) -> int:
        """Pairs, one an application."""
        return len(self.pairs.clusters)

    @property
    def profiles(self) -> int:
        """Applicants behind the pairs: fewer than pairs where some have several rows."""
        return len(set(self.pairs.profiles))

    def effective(self, counts: PairCounts) -> PairCounts:
        """The counts as so many pairs as there are applicants: rows of one may say the same thing several times."""
        if self.profiles == self.n or not counts.n:
            return counts
        b, c, a = (round(cell * self.profiles / counts.n) for cell in (counts.b, counts.c, counts.a))
        return PairCounts(a, b, c, max(0, self.profiles - a - b - c))

    def shown(self, estimate: Estimate) -> Estimate:
        """A share of pairs as it may be shown: an exact interval is of independent pairs, not of rows of one."""
        return enough_pairs(estimate) if self.profiles == self.n else without_interval(estimate)

    @property
    def options(self) -> dict[str, Any]:
        """Level, resamples and seed of every bootstrap."""
        thresholds = self.context.plan.thresholds
        return {
            "level": 1 - thresholds.alpha,
            "resamples": thresholds.bootstrap,
            "seed": self.context.plan.cases.seed,
        }

    @property
    def common(self) -> dict[str, Any]:
        """What every measurement of the contrast is called by."""
        reference, group = (arm(self.attribute.field, name) for name in (self.attribute.reference, self.group))
        return {
            "test": TEST,
            "subject": {"field": self.attribute.field, "group": self.group},
            "reference": self.attribute.reference,
            "cases": f"arm:{reference}|{group}",
            "level": 1 - self.context.plan.thresholds.alpha,
        }

    @property
    def family_size(self) -> int:
        """Tests in a confirmatory family: one a contrast."""
        return len(self.context.contrasts())

    @property
    def silent(self) -> tuple[str, ...]:
        """Why the natural cut-off says nothing of this contrast, so that others carry the audit."""
        return self.context.state.silent(**self._names)

    @property
    def lopsided(self) -> tuple[str, ...]:
        """Why the natural cut-off cannot show the absence of a difference: an arm of one outcome."""
        return self.context.state.lopsided(**self._names)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why no outcome contrast of the attribute shows the absence of a difference: a mute arm."""
        return self.context.state.doubts(field=self.attribute.field)

    @property
    def _names(self) -> dict[str, str]:
        return {"field": self.attribute.field, "group": self.group, "reference": self.attribute.reference}

    @property
    def margins_alone(self) -> bool:
        """Whether cut-offs are set on the margins of all cases, readable or not.

        An unreadable case is favourable at no cut-off. Where most answers of both arms are unreadable that rule would
        leave nothing to set a cut-off on; the margins are then read as they are, and never as an absence of a
        difference, because the arms are mute.
        """
        both = (self.pairs.control.invalid, self.pairs.protected.invalid)
        return bool(self.n) and all(float(invalid.mean()) > 0.5 for invalid in both)

    @property
    def readable(self) -> dict[str, Any]:
        """Which cases of both arms may be favourable at all."""
        if self.margins_alone:
            return {"control_readable": None, "protected_readable": None}
        return {"control_readable": ~self.pairs.control.invalid, "protected_readable": ~self.pairs.protected.invalid}

    @property
    def moved(self) -> dict[str, float | int | None]:
        """How many margins fell, rose, or moved by no more than the arithmetic does."""
        change = self.pairs.protected.margins - self.pairs.control.margins
        fell, rose = int((change < -TOLERANCE).sum()), int((change > TOLERANCE).sum())
        return {"fell": fell, "rose": rose, "same": self.n - fell - rose}

    @property
    def has_margins(self) -> bool:
        """Whether every readable decision of both arms has a margin; sampled answers have none."""
        return bool(self.n) and all(
            bool(np.isfinite(side.margins).all()) for side in (self.pairs.control, self.pairs.protected)
        )

    @property
    def why_no_margins(self) -> str:
        """Why no other cut-off can be drawn: answers of this readout have no margin, or theirs is not known.

        Only the first leaves nothing to look at; behind the others a difference may be hidden.
        """
        if any(bool(np.isfinite(side.margins).any()) for side in (self.pairs.control, self.pairs.protected)):
            return SOME_MARGINS
        system = self.context.system
        return BOUNDS_ALONE if system is not None and system.how.readout == LOG_ODDS else NO_MARGINS


@dataclass(frozen=True)
class PairedEffect:
    """A yes/no outcome in two arms: its counts, net effect, equivalence claim, and the smallest effect it could see."""

    counts: PairCounts
    effect: Estimate
    claim: Equivalence | None
    mde: float | None


def paired_effect(contrast: Contrast, outcome: Callable[[Arm], BoolArray]) -> PairedEffect:
    """The net effect of a contrast on an outcome, by the plan's thresholds."""
    thresholds = contrast.context.plan.thresholds
    if contrast.context.replicates > 1:
        return _replicated_effect(contrast, outcome)
    counts, effect, claim = _net_effect(
        contrast.pairs,
        control=outcome(contrast.pairs.control),
        protected=outcome(contrast.pairs.protected),
        margin=thresholds.equivalence_rate,
        alpha=thresholds.alpha,
        options=contrast.options,
    )
    mde = smallest_seen(
        contrast.effective(counts), alpha=thresholds.alpha, family_size=contrast.family_size, power=thresholds.power
    )
    return PairedEffect(counts, effect, claim, mde)


def _replicated_effect(contrast: Contrast, outcome: Callable[[Arm], BoolArray]) -> PairedEffect:
    """The same of applications that were asked several times: their means are what is tested and resampled."""
    thresholds, pairs = contrast.context.plan.thresholds, contrast.pairs
    control, protected = outcome(pairs.control), outcome(pairs.protected)
    counts = count_pairs(control=control, protected=protected)
    nested = pair_replicates(
        control=control,
        control_applications=pairs.profiles,
        protected=protected,
        protected_applications=pairs.profiles,
    )
    found = replicated_effect(nested, **contrast.options)
    claim = equivalence_of_means(nested, found, margin=thresholds.equivalence_rate, alpha=thresholds.alpha)
    mde = replicated_mde(
        variance_components(nested),
        n=nested.n,
        replicates=contrast.context.replicates,
        alpha=thresholds.alpha,
        family_size=contrast.family_size,
        power=thresholds.power,
        basis="observed",
    )
    # Pairs of replicates are counted, as everywhere; applications are what is behind interval and test.
    return PairedEffect(counts, replace(found, n=counts.n), claim, mde.value)


def _net_effect(
    pairs: Pairs, *, control: BoolArray, protected: BoolArray, margin: float, alpha: float, options: dict[str, Any]
) -> tuple[PairCounts, Estimate, Equivalence | None]:
    """Net effect of yes/no outcomes with exact McNemar, its interval, and the equivalence claim.

    The interval is the bootstrap's where it has flips to work on, Tango's where it has not.
    """
    counts = count_pairs(control=control, protected=protected)
    exact = net_effect(counts, level=1 - alpha)
    if counts.n == 0:
        return counts, exact.estimate, None
    clustered = clustered_net_effect(control=control, protected=protected, clusters=pairs.profiles, **options)
    if len(set(pairs.profiles)) < counts.n:
        return counts, clustered, _clustered_claim(counts, clustered, margin=margin, alpha=alpha)
    claim = tost_pairs(counts=counts, margin=margin, clustered=clustered.sample, alpha=alpha)
    few = counts.discordant < MIN_DISCORDANT
    estimate = Estimate(
        value=exact.estimate.value,
        n=counts.n,
        method="net effect of one pair an application",
        interval=exact.estimate.interval if few else clustered.interval,
        tost_interval=exact.estimate.tost_interval if few else clustered.tost_interval,
        test=exact.estimate.test,
        counts=counts.as_counts(),
    )
    return counts, estimate, claim


def _clustered_claim(counts: PairCounts, clustered: Estimate, *, margin: float, alpha: float) -> Equivalence:
    """Equivalence where applicants have several rows: from resamples of applicants; a score test would count rows."""
    if counts.discordant < MIN_DISCORDANT:
        reason = f"fewer than {MIN_DISCORDANT} decisions turned, and some applicants have several rows"
        return Equivalence(None, margin, None, reason=reason)
    return tost(interval=clustered.sample, margin=margin, alpha=alpha)


def concluded(
    contrast: Contrast,
    estimate: Estimate,
    *,
    metric: str,
    carries: bool,
    practical: float,
    mde: float | None,
    claim: Equivalence | None,
    scale: Scale = "rate difference",
    quality: tuple[str, ...] = (),
    equivalence_barriers: tuple[str, ...] = (),
    absence_barriers: tuple[str, ...] = (),
    counts: dict[str, float | int | None] | None = None,
    minimum: str = PAIRS,
    at_cut_off: bool = False,
    note: str = "",
    family_size: int | None = None,
    **named: Any,
) -> UnadjustedMeasurement:
    """A contrast's measurement with what its conclusion is drawn from, under the minimum of pairs.

    Parameters
    ----------
    carries
        Whether it is judged at the plan's alpha; otherwise at the exploratory q.
    quality
        Why nothing may be concluded from it.
    minimum
        Which minimum denominator its pairs must meet; below it no interval is given.
    note
        What more its method says.
    family_size
        Tests the plan declares in its family; by default one a contrast.
    """
    thresholds = contrast.context.plan.thresholds
    short = unmet({minimum: contrast.profiles})
    shown = without_interval(estimate) if short else estimate
    drafted = measurement(
        replace(shown, method=f"{shown.method}, {note}") if note else shown,
        metric=metric,
        counts={**(counts or {}), "mde": mde},
        **{**contrast.common, **named},
    )
    evidence = Evidence(
        estimate=estimate.value,
        p_adjusted=None,
        practical_threshold=practical,
        scale=scale,
        denominators_ok=not short,
        degenerate=bool(quality),
        quality_reason="; ".join((*short, *quality)),
        equivalence_barriers=equivalence_barriers,
        absence_barriers=(*contrast.doubts, *absence_barriers),
        equivalence_alpha=thresholds.alpha,
        mde=mde,
        alpha=thresholds.alpha if carries else thresholds.exploratory_q,
        exploratory=not carries,
        pairs=contrast.profiles,
    )
    return UnadjustedMeasurement(
        drafted,
        evidence,
        outcome=True,
        at_cut_off=at_cut_off,
        equivalence=None if short else claim,
        family_size=family_size or contrast.family_size,
    )


def readable_of(arm: Arm) -> BoolArray | None:
    """Which cases of the reference arm a cut-off is set on, as `Contrast.readable` has it: all, where most are not."""
    return None if len(arm.invalid) and float(arm.invalid.mean()) > 0.5 else ~arm.invalid


def enough_pairs(estimate: Estimate, *, minimum: str = PAIRS) -> Estimate:
    """The estimate as it may be shown: without its interval under the minimum of pairs."""
    return without_interval(estimate) if unmet({minimum: estimate.n}) else estimate


def without_interval(estimate: Estimate) -> Estimate:
    """The estimate alone: an interval on a handful of cases would claim to know how far they speak."""
    return replace(estimate, interval=None, tost_interval=None)


def smallest_seen(counts: PairCounts, *, alpha: float, family_size: int, power: float) -> float | None:
    """Smallest |Δ| seen with the plan's power, at the discordance observed and the family's worst step."""
    if counts.n == 0:
        return None
    return net_effect_mde(
        n=counts.n,
        discordance=counts.discordant / counts.n,
        alpha=alpha,
        family_size=family_size,
        power=power,
        basis="observed",
    ).value


def counts_of(counts: PairCounts) -> dict[str, float | int | None]:
    """Pairs by what happened to them, as a measurement keeps them."""
    return {
        "b": counts.b,
        "c": counts.c,
        "flips": counts.discordant,
        "favourable_reference": counts.a + counts.b,
        "favourable_group": counts.a + counts.c,
    }
