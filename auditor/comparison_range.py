"""How an effect changed between two versions at every cut-off a lender might set.

Each version has thresholds of its own, set so that its reference arm is approved at the same rates. The change of the
net effect is drawn over those rates and at the natural cut-off, and the largest is judged by the distribution of the
largest over resamples of applications, drawn alike for both versions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from auditor.comparison_card import RANGE_CHANGE
from auditor.comparison_pairs import ComparedContrast, Rules, concluded
from auditor.statistics.equivalence import MIN_OUTCOMES, Equivalence, pairs_for_margin, tost_at_every_cut_off
from auditor.statistics.operating_points import Margins, nearest, reference_thresholds, resample, with_unreadable
from auditor.statistics.pairs import PairCounts
from auditor.statistics.power import worst_level
from auditor.statistics.results import Estimate, Interval, Significance, missing
from auditor.testing.context import FloatArray
from auditor.testing.unadjusted import UnadjustedMeasurement

METHOD = "largest change of the net effect over the cut-off range"
HALF_WIDTH = 0.10
MOST_RATES = 41


@dataclass(frozen=True)
class _Curve:
    """Changes at every cut-off, the natural one last, with their errors; ``critical`` makes a band of all of them."""

    rates: FloatArray
    changes: FloatArray
    errors: FloatArray
    critical: float
    p_value: float
    n: int
    counts: tuple[PairCounts, ...]

    @property
    def worst(self) -> int:
        """Where the change is largest against its error."""
        return int(np.argmax(np.abs(self.changes) / self.errors))

    def equivalence(self, *, margin: float, alpha: float) -> Equivalence:
        """Whether the change lies within ``margin`` at every cut-off: each at the full level, the least sure speaks."""
        return tost_at_every_cut_off(
            effects=self.changes, errors=self.errors, counts=self.counts, margin=margin, alpha=alpha
        )


def range_change(
    pair: ComparedContrast, rules: Rules, *, test: str, family: str, doubts: tuple[str, ...]
) -> UnadjustedMeasurement:
    """The largest change over the range, concluded like a change at the natural cut-off."""
    curve = _curve(pair, rules)
    if isinstance(curve, str):
        estimate, claim, mde, counts = missing(method=METHOD, reason=curve, n=len(pair.control)), None, None, {}
    else:
        at = curve.worst
        reach = curve.critical * curve.errors[at]
        value = float(curve.changes[at])
        estimate = Estimate(
            value=value,
            n=curve.n,
            method=METHOD,
            interval=Interval(
                max(-2.0, value - reach), min(2.0, value + reach), rules.level, "simultaneous band, max-t bootstrap"
            ),
            test=Significance(curve.p_value, "largest over cut-offs, bootstrap by application"),
        )
        claim = curve.equivalence(margin=rules.equivalence, alpha=rules.alpha)
        level = worst_level(alpha=rules.alpha, family_size=len(rules.contrasts))
        shift = stats.norm.isf(level / 2) - stats.norm.isf(rules.alpha / 2) + stats.norm.ppf(rules.power)
        mde = float((curve.critical + shift) * curve.errors.max())
        counts = {"rate": float(curve.rates[at])}
    draft = concluded(
        estimate,
        rules,
        test=test,
        metric=RANGE_CHANGE,
        family=family,
        subject={"field": pair.field, "group": pair.group},
        reference=pair.reference,
        higher_is_better=True,
        counts=counts,
        claim=claim,
        mde=mde,
        equivalence_barriers=() if isinstance(curve, str) else _barriers(curve, rules),
        doubts=doubts,
    )
    if isinstance(curve, str):
        return draft
    return replace(draft, deciding=lambda alpha: curve.equivalence(margin=rules.equivalence, alpha=alpha).interval)


def range_p_value(pair: ComparedContrast, rules: Rules) -> float:
    """p of the largest change alone, 1 where there is no curve: what simulations of its level count."""
    curve = _curve(pair, rules)
    return 1.0 if isinstance(curve, str) else curve.p_value


def _barriers(curve: _Curve, rules: Rules) -> tuple[str, ...]:
    """Why an unchanged effect over the range may not be called equivalent: too few of one outcome, too few pairs."""
    found = []
    both = float(np.max(np.minimum(curve.rates, 1 - curve.rates))) * curve.n
    if round(both, 6) < MIN_OUTCOMES:
        found.append(
            f"too few of one outcome to say: at most {both:.0f} at any cut-off of the range, "
            f"at least {MIN_OUTCOMES} needed"
        )
    needed = pairs_for_margin(margin=rules.equivalence, alpha=rules.alpha)
    if curve.n < needed:
        found.append(f"too few pairs to say: {curve.n}, at least {needed} needed even if no decision changed")
    return tuple(found)


def _curve(pair: ComparedContrast, rules: Rules) -> _Curve | str:
    """The curve, or why there is none."""
    n = len(pair.control)
    read = [pair.margins(place) for place in (0, 1)]
    if n == 0:
        return "no application stands in both runs"
    codes = np.arange(n, dtype=np.int64)
    versions: list[Margins] = []
    for sides in read:
        if sides is None:
            return "an answer was sampled and has no margin"
        control, protected, can_control, can_protected = sides
        x = with_unreadable(control, can_control, name="control")
        y = with_unreadable(protected, can_protected, name="protected")
        versions.append(Margins(control=x, protected=y, codes=codes, arm=x, arm_codes=codes, clusters=n))
    own = float(np.mean(versions[0].control >= rules.natural))
    low, high = rules.range or (max(0.0, own - HALF_WIDTH), min(1.0, own + HALF_WIDTH))
    least, most = math.ceil(round(low * n, 9)), math.floor(round(high * n, 9))
    counts = np.unique(np.linspace(least, most, min(MOST_RATES, most - least + 1)).round().astype(np.int64))
    fixed, rates = np.array([rules.natural]), counts / n
    effects, steps, drawn = [], [], []
    for margins in versions:
        thresholds, reached = reference_thresholds(margins.control)
        chosen = [thresholds[nearest(reached, n=n, target=float(rate))] for rate in rates]
        cuts = np.concatenate([np.array(chosen), fixed])
        effects.append(margins.effect(cuts))
        steps.append((margins.protected[:, None] >= cuts).astype(np.int8) - (margins.control[:, None] >= cuts))
        # One seed and one number of applications: both versions are resampled alike.
        found = resample(margins, targets=rates, fixed=fixed, resamples=rules.resamples, seed=rules.seed)
        drawn.append(np.concatenate([found.effects, found.fixed], axis=1))
    changes, moved = effects[1] - effects[0], (steps[1] - steps[0]).astype(np.float64)
    spread = drawn[1] - drawn[0]
    # The floor of auditor.statistics.cut_offs: where nothing moved a bootstrap gives an error of 0.
    z = float(stats.norm.isf(rules.alpha / 2))
    floor = np.sqrt((moved**2).sum(axis=0) - moved.sum(axis=0) ** 2 / n + z**2) / n
    errors = np.maximum(np.nanstd(spread, axis=0, ddof=1), floor)
    largest = np.nanmax(np.abs(spread - changes) / errors, axis=1)
    seen = float(np.max(np.abs(changes) / errors))
    return _Curve(
        rates=np.array([*rates, own]),
        changes=changes,
        errors=errors,
        critical=max(z, float(np.quantile(largest, rules.level))),
        p_value=float((1 + np.sum(largest >= seen - 1e-9)) / (1 + len(largest))),
        n=n,
        counts=tuple(_steps(column) for column in moved.T),
    )


def _steps(moved: FloatArray) -> PairCounts:
    """Steps against the group and towards it, as the pairs of a score test: two of one application count as two."""
    against, towards = int(-moved[moved < 0].sum()), int(moved[moved > 0].sum())
    return PairCounts(0, against, towards, max(0, len(moved) - against - towards))
