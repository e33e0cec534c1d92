"""Measurements of one attribute: which features differ, and what taking them out or putting them in does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from auditor.counterfactuals import COUNTERFACTUAL
from auditor.mechanisms._shared.controls import within_rounding
from auditor.mechanisms._shared.decision_checks import NO_DECISIONS, answers_keep_mass, margin_as_decided
from auditor.mechanisms._shared.enough import measured
from auditor.mechanisms._shared.paired_means import paired_mean
from auditor.mechanisms.sae.choices import (
    COMPONENTS,
    COORDINATES,
    FEATURES,
    MEANS,
)
from auditor.mechanisms.sae.slopes import as_a_small_step
from auditor.mechanisms.sparse_features.draws import ENOUGH, Rank, gap_moved, moved_to_group, rank
from auditor.mechanisms.sparse_features.result import Changed, ContrastFound, Contrasts, FeatureFound, NotContrasted
from auditor.records import Check, Conclusion, Role
from auditor.statistics.minimums import draws_needed
from auditor.statistics.rates import Tally, selection_rate
from auditor.statistics.results import Estimate, Significance, missing
from auditor.testing.context import BoolArray, Context, FloatArray
from auditor.testing.families import EXPLORATORY_FAMILY, inside_family
from auditor.testing.unadjusted import UnadjustedMeasurement

DIFFERING = "sparse_features_differing"
DIFFERENCE = "sparse_feature_difference"
EFFECT = "sparse_feature_effect"
GAP_REMOVED = "sparse_gap_removed"
FLIPS = "sparse_flip_rate"
STEERING = "sparse_steering_shift"
LIKE = 0.7
"""Random features have to move the states by at least this share of what the chosen ones do."""
Counts = dict[str, float | int | None]


def contrast_measures(
    context: Context, result: Contrasts | NotContrasted, *, test: str, contrasts: int
) -> Iterable[UnadjustedMeasurement]:
    """All measurements of one attribute, or why there are none; ``contrasts`` are declared in the run."""
    if isinstance(result, Contrasts):
        yield from _Features(context, result, test, contrasts=contrasts).drafts()
        return
    for group in result.groups:
        if group != result.reference:
            yield _drafted(
                result,
                missing(method="sparse features", reason=result.reason, n=0),
                test=test,
                level=1 - context.plan.thresholds.alpha,
                metric=GAP_REMOVED,
                group=group,
                unit="logit",
                family=inside_family(test),
                conclusion=Conclusion.NOT_TESTED,
                conclusion_reason=result.reason,
            )


class _Features:
    """One attribute."""

    def __init__(self, context: Context, result: Contrasts, test: str, *, contrasts: int) -> None:
        self.context, self.result, self.test = context, result, test
        self.contrasts = contrasts
        self.needed = draws_needed(alpha=context.plan.thresholds.alpha, family_size=max(1, contrasts))
        self.level = 1 - context.plan.thresholds.alpha
        self.clean = np.array(result.clean, dtype=np.float64)
        self.decided: tuple[Check, ...] = ()
        if result.exact:
            decided = margin_as_decided(
                context,
                field=result.field,
                cases=result.cases,
                groups=result.groups,
                margins=self.clean,
                noise=result.noise,
            )
            self.decided = (decided,)

    def drafts(self) -> Iterable[UnadjustedMeasurement]:
        for found in self.result.contrasts:
            yield from self._contrast(found)

    def _contrast(self, found: ContrastFound) -> Iterable[UnadjustedMeasurement]:
        group = found.group
        chosen = as_a_small_step(found.slope)
        n = len(self.clean)
        differing = Estimate(
            value=float(found.differing),
            n=n,
            method="features whose activity, summed over positions, differs between the groups; paired t tests of all "
            f"that act, Benjamini and Hochberg at {self.context.plan.thresholds.exploratory_q:g}",
        )
        yield self._draft(
            differing,
            metric=DIFFERING,
            group=group,
            unit="count",
            counts={"tested": found.tested, "chosen_on": self.result.chosen_on},
        )
        groups = self.result.groups
        before = self.clean[:, [groups.index(self.result.reference), groups.index(group)]]
        for feature in found.features:
            yield from self._feature(group, feature, before, chosen)
        if not found.features:
            nothing = missing(method="sparse features", reason="no feature carries any of the difference", n=n)
            yield self._draft(nothing, metric=GAP_REMOVED, group=group, unit="logit", more={"by": FEATURES})
            return
        yield from self._removed(found, before, chosen)
        yield from self._steered(found, before, chosen)

    def _feature(
        self, group: str, found: FeatureFound, before: FloatArray, chosen: tuple[Check, ...]
    ) -> Iterable[UnadjustedMeasurement]:
        where = {"feature": str(found.feature), "layer": str(self.result.layer)}
        after = _margins(found.ablated)
        yield self._draft(
            self._mean(np.array(found.change), "activation, summed over positions, group minus reference"),
            metric=DIFFERENCE,
            group=group,
            unit="activation",
            more=where,
            family=f"{EXPLORATORY_FAMILY}: sparse features that differ by {self.result.field}",
            counts={"acting": found.acting, "acting_reference": found.acting_reference},
        )
        yield self._draft(
            self._untested(
                self._mean(_gaps(before) - _gaps(after), "mean margin difference to the reference, clean minus ablated")
            ),
            metric=EFFECT,
            group=group,
            unit="logit",
            more=where,
            counts={
                "gap": float(_gaps(before).mean()),
                "flip_rate": float(self._flipped(before, after).mean()) if self.result.exact else None,
            },
            checks=(*self.decided, *chosen, self._mass(found.ablated)),
        )

    def _removed(
        self, found: ContrastFound, before: FloatArray, chosen: tuple[Check, ...]
    ) -> Iterable[UnadjustedMeasurement]:
        """The difference taken out, by every kind of direction and by the chosen features."""
        group, ablated = found.group, found.ablated
        method = "mean margin difference to the reference, clean minus ablated"
        beside = {COORDINATES: ablated.coordinates, COMPONENTS: ablated.components, MEANS: ablated.means}
        for name, each in beside.items():
            yield self._draft(
                self._untested(self._mean(_gaps(before) - _gaps(_margins(each)), method)),
                metric=GAP_REMOVED,
                group=group,
                unit="logit",
                more={"by": name},
                counts={
                    "gap": float(_gaps(before).mean()),
                    "gap_left": float(_gaps(_margins(each)).mean()),
                    "taken_out": 1 if name == MEANS else len(found.features),
                    "movement": each.movement,
                },
                checks=(*self.decided, *(() if name == MEANS else chosen), self._mass(each)),
            )
        after = _margins(ablated.features)
        effect = gap_moved(before, after)
        drawn = [gap_moved(before, _margins(each)) for each in ablated.random]
        yield self._ranked(
            found,
            self._mean(_gaps(before) - _gaps(after), method),
            before,
            rank(effect, drawn),
            metric=GAP_REMOVED,
            family=inside_family(self.test),
            by=ablated.features,
            random=ablated.random,
            chosen=chosen,
            counts={
                "gap": float(_gaps(before).mean()),
                "gap_left": float(_gaps(after).mean()),
                "taken_out": len(found.features),
                **_of_draws(before, effect, drawn),
            },
        )
        yield self._flips(found, before, chosen)

    def _flips(self, found: ContrastFound, before: FloatArray, chosen: tuple[Check, ...]) -> UnadjustedMeasurement:
        """Decisions of the group that turn with the chosen features taken out."""
        group, ablated = found.group, found.ablated
        if not self.result.exact:
            nothing = missing(method="selection rate", reason=NO_DECISIONS, n=len(before))
            return self._draft(nothing, metric=FLIPS, group=group, unit="rate")
        after = _margins(ablated.features)
        flipped = self._flipped(before, after)
        flips = [float(self._flipped(before, _margins(each))[:, 1].mean()) for each in ablated.random]
        own = float(flipped[:, 1].mean())
        return self._draft(
            selection_rate(Tally.of(flipped[:, 1]), level=self.level),
            metric=FLIPS,
            group=group,
            unit="rate",
            counts={
                "towards_favourable": int((flipped & (after > before))[:, 1].sum()),
                "random_mean": float(np.mean(flips)) if flips else None,
                "draws": len(flips),
                "draws_with_as_many": sum(other >= own for other in flips),
            },
            checks=(*self.decided, *chosen, self._mass(ablated.features)),
            conclusion_reason="no decision turned" if own == 0 else None,
        )

    def _steered(
        self, found: ContrastFound, before: FloatArray, chosen: tuple[Check, ...]
    ) -> Iterable[UnadjustedMeasurement]:
        """The reference's margin with the group's values patched in, along the mean difference and of the features."""
        group, steered = found.group, found.steered
        method = "mean change of the reference's margin with the group's values patched in"
        moved = _margins(steered.means) - before
        yield self._draft(
            self._untested(self._mean(moved[:, 0], method)),
            metric=STEERING,
            group=group,
            unit="logit",
            more={"by": MEANS},
            counts={
                "gap": float(_gaps(before).mean()),
                "away": float(moved[:, 1].mean()),
                "movement": steered.means.movement,
            },
            checks=(*self.decided, self._mass(steered.means)),
        )
        after = _margins(steered.features)
        effect = moved_to_group(before, after)
        drawn = [moved_to_group(before, _margins(each)) for each in steered.random]
        moved = after - before
        yield self._ranked(
            found,
            self._mean(moved[:, 0], method),
            before,
            rank(effect, drawn),
            metric=STEERING,
            family=inside_family(f"{self.test}, steering"),
            by=steered.features,
            random=steered.random,
            chosen=chosen,
            counts={
                "gap": float(_gaps(before).mean()),
                "away": float(moved[:, 1].mean()),
                **_of_draws(before, effect, drawn),
            },
        )

    def _ranked(
        self,
        found: ContrastFound,
        estimate: Estimate,
        before: FloatArray,
        place: Rank,
        *,
        metric: str,
        family: str,
        by: Changed,
        random: Sequence[Changed],
        counts: Counts,
        chosen: tuple[Check, ...],
    ) -> UnadjustedMeasurement:
        """An effect with its rank among random features as its test, or why it has none."""
        control = float(np.mean([each.movement for each in random])) if random else None
        reason = (
            place.too_few(self.needed)
            or self._unlike(found.different, by.movement, control, place)
            or self._no_gap(before)
        )
        words = "random features of matched frequency and norm that move the states as far"
        test = Significance(place.p_value, f"rank among {place.draws} draws of {words}, one-sided")
        more: dict[str, Any] = {"family": family}
        if reason is not None:
            more |= {"conclusion": Conclusion.INCONCLUSIVE, "conclusion_reason": reason}
        draft = self._draft(
            replace(estimate, test=None if reason is not None or estimate.value is None else test),
            metric=metric,
            group=found.group,
            unit="logit",
            more={"by": FEATURES},
            counts={
                **counts,
                "movement": by.movement,
                "movement_control": control,
                "draws": place.draws,
                "draws_needed": self.needed,
                "draws_as_large": place.as_large,
            },
            checks=(*self.decided, *chosen, self._mass(by)),
            **more,
        )
        return replace(draft, family_size=self.contrasts)

    def _unlike(self, different: int, moved: float, control: float | None, place: Rank) -> str | None:
        """Why the draws are no measure of chance: hardly different from each other, or moving the states much less."""
        if place.as_large >= ENOUGH:
            return None
        if different < self.needed:
            return (
                f"too few draws to say: {different} different sets of random features act here, where {self.needed} "
                "are needed"
            )
        if control is None or control >= LIKE * moved:
            return None
        return f"random features that act here move the states by {control:.3g} where the chosen ones move {moved:.3g}"

    def _no_gap(self, before: FloatArray) -> str | None:
        """Why there is no difference of margins whose direction an effect could have."""
        gaps = self._mean(_gaps(before), "difference of margins")
        noise = self.result.noise
        if gaps.value is not None and within_rounding(gaps.value, floor=noise.bound):
            return (
                f"the difference of margins between the groups, {abs(gaps.value):.2g} logits, is within the "
                f"{noise.bound:.2g} that rounding alone could make ({noise.arithmetic})"
            )
        if gaps.interval is not None and not gaps.interval.low <= 0 <= gaps.interval.high:
            return None
        return f"no difference of margins between the groups is shown here ({len(before)} applications)"

    @staticmethod
    def _untested(estimate: Estimate) -> Estimate:
        """Without a test: moving anything moves margins, and nothing random stands beside this figure."""
        return replace(estimate, test=None)

    def _mean(self, values: FloatArray, method: str) -> Estimate:
        if len(values) < 2:
            return missing(method=method, reason="fewer than two applications to measure on", n=len(values))
        return paired_mean(values, level=self.level, method="; ".join(filter(None, (method, self.result.note))))

    def _flipped(self, before: FloatArray, after: FloatArray) -> BoolArray:
        threshold = self.context.plan.operating_point.natural_margin
        return np.asarray((before >= threshold) != (after >= threshold))

    def _mass(self, found: Changed) -> Check:
        return answers_keep_mass(found.mass, self.result.mass, after="after the change")

    def _draft(self, estimate: Estimate, **about: Any) -> UnadjustedMeasurement:
        return _drafted(self.result, estimate, test=self.test, level=self.level, **about)


def _drafted(
    about: Contrasts | NotContrasted,
    estimate: Estimate,
    *,
    test: str,
    level: float,
    metric: str,
    group: str,
    unit: str,
    more: Mapping[str, str] | None = None,
    **rest: Any,
) -> UnadjustedMeasurement:
    return UnadjustedMeasurement(
        measured(
            estimate,
            test=test,
            metric=metric,
            role=Role.SUPPORTING,
            subject={**(more or {}), "field": about.field, "group": group},
            reference=about.reference,
            unit=unit,
            cases=f"role:{COUNTERFACTUAL}",
            level=level,
            higher_is_better=None,
            **rest,
        )
    )


def _margins(found: Changed) -> FloatArray:
    """By application, reference first."""
    return np.array(found.margins, dtype=np.float64)


def _of_draws(before: FloatArray, effect: float, drawn: Sequence[float]) -> Counts:
    """What random features do, in the direction of the difference, and whether the effect has that direction."""
    side = float(np.sign(_gaps(before).mean()))
    return {
        "random_mean": side * float(np.mean(drawn)) if drawn else None,
        "random_largest": max(map(abs, drawn)) if drawn else None,
        "sign_agrees": int(effect > 0),
    }


def _gaps(margins: FloatArray) -> FloatArray:
    """The group's margin minus the reference's, by application."""
    return np.asarray(margins[:, 1] - margins[:, 0])
