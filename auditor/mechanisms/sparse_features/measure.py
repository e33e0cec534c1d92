"""Measurements from sparse features: how good the dictionary is, which features differ, and what moves decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from auditor.counterfactuals import COUNTERFACTUAL
from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.controls import within_rounding
from auditor.mechanisms._shared.decision_checks import NO_DECISIONS, answers_keep_mass, margin_as_decided
from auditor.mechanisms._shared.enough import measured
from auditor.mechanisms._shared.paired_means import paired_mean
from auditor.mechanisms.sae.choices import (
    COMPONENTS,
    COORDINATES,
    FEATURES,
    MEANS,
    RANDOM,
    STEER,
)
from auditor.mechanisms.sae.slope_checks import as_a_small_step
from auditor.mechanisms.sae.splices import CLEAN, REBUILT, ZERO
from auditor.mechanisms.sparse_features.draws import ENOUGH, Rank, gap_moved, moved_to_group, rank
from auditor.records import Check, Conclusion, Role
from auditor.statistics.minimums import draws_needed
from auditor.statistics.rates import Tally, selection_rate
from auditor.statistics.results import Estimate, Significance, missing
from auditor.testing.context import Context, FloatArray
from auditor.testing.factory import measurement
from auditor.testing.families import EXPLORATORY_FAMILY, inside_family
from auditor.testing.unadjusted import UnadjustedMeasurement

UNEXPLAINED = "sparse_unexplained"
ACTIVE = "sparse_active_features"
DEAD = "sparse_dead_features"
MARGIN_RECOVERED = "sparse_margin_recovered"
ENTROPY_RECOVERED = "sparse_entropy_recovered"
DIFFERING = "sparse_features_differing"
DIFFERENCE = "sparse_feature_difference"
EFFECT = "sparse_feature_effect"
GAP_REMOVED = "sparse_gap_removed"
FLIPS = "sparse_flip_rate"
STEERING = "sparse_steering_shift"
LIKE = 0.7
"""Random features have to move the states by at least this share of what the chosen ones do."""


def measures(context: Context, results: Sequence[Mapping[str, Any]], *, test: str) -> Iterable[UnadjustedMeasurement]:
    """All measurements of the dictionary and of all attributes."""
    # The declared contrasts of the run, whether or not they can be tested.
    contrasts = sum(len(result["groups"]) - 1 for result in results if result["part"] == "contrasts")
    for result in results:
        if result["part"] == "quality":
            yield from _quality(context, result, test)
        else:
            yield from _Features(context, result, test, contrasts=contrasts).drafts()


def _quality(context: Context, result: Mapping[str, Any], test: str) -> Iterable[UnadjustedMeasurement]:
    common: dict[str, Any] = {
        "test": test,
        "role": Role.SUPPORTING,
        "cases": "",
        "higher_is_better": None,
        "level": 1 - context.plan.thresholds.alpha,
    }
    if result["reason"] is not None:
        nothing = missing(method="sparse autoencoder", reason=result["reason"], n=0)
        yield UnadjustedMeasurement(
            measurement(
                nothing,
                metric=UNEXPLAINED,
                unit="share",
                subject={},
                conclusion=Conclusion.NOT_TESTED,
                conclusion_reason=result["reason"],
                **common,
            )
        )
        return
    provenance = result["provenance"]
    made = f"{result['kind']} autoencoder, {provenance['source']}, weights {provenance['sha256'][:16]}"
    common["subject"] = {"layer": str(result["layer"])}
    counts = {
        "latents": result["latents"],
        "training_rows": provenance["rows"],
        "training_text_rows": provenance["text_rows"],
        "training_tokens": provenance["tokens"],
        "left_out": provenance["left_out"],
        "held_out_applications": provenance["held_out"],
    }
    apart = abs(result["fvu_again"] - result["fvu"])
    checks = (
        Check(
            "unexplained variance by another way",
            apart <= result["fvu_rounding"],
            apart,
            result["fvu_rounding"],
            "dense codes in double precision against sparse sums; the bound is 10 times how far the figure moves with "
            "the size of batches, or one rounding of the states",
        ),
    )

    def figure(value: float | None, method: str, *, reason: str = "", n: int = result["tokens"]) -> Estimate:
        method = f"{method}; {made}"
        return (
            missing(method=method, reason=reason, n=n) if value is None else Estimate(value=value, n=n, method=method)
        )

    unexplained = figure(result["fvu"], "Σ‖x − x̂‖² / Σ‖x − mean‖² over tokens of held-out applications")
    said = _said(result)
    yield UnadjustedMeasurement(
        measurement(unexplained, metric=UNEXPLAINED, unit="share", counts=counts, checks=checks, **said, **common)
    )
    active = figure(result["l0"], "mean number of active features a token, held-out applications")
    yield UnadjustedMeasurement(measurement(active, metric=ACTIVE, unit="count", counts=counts, **common))
    dead = figure(result["dead"] / result["latents"], "share of features active on no token of held-out applications")
    yield UnadjustedMeasurement(measurement(dead, metric=DEAD, unit="rate", counts=counts, **common))
    identity = (
        Check(
            "error put back changes nothing",
            result["identity"] <= result["identity_bound"],
            result["identity"],
            result["identity_bound"],
            "largest difference of any logit, in nats, with reconstruction plus error in place of the states; "
            + result["identity_words"],
        ),
    )
    entropies = {name: float(np.mean(values)) for name, values in result["entropies"].items()}
    lost = entropies[ZERO] - entropies[CLEAN]
    recovered = figure(
        (entropies[ZERO] - entropies[REBUILT]) / lost if lost > 0 else None,
        "(CE of zeros − CE of the reconstruction) / (CE of zeros − CE untouched), the prompts' own tokens",
        reason="zeros in place of the states do not raise the cross-entropy",
        n=result["spliced"],
    )
    yield UnadjustedMeasurement(
        measurement(recovered, metric=ENTROPY_RECOVERED, unit="share", counts={**entropies}, checks=identity, **common)
    )
    yield UnadjustedMeasurement(_margin_recovered(context, result, figure, common, identity))


def _said(result: Mapping[str, Any]) -> dict[str, Any]:
    """Why nothing is said of the features, or what is to be known of a dictionary from elsewhere."""
    if result["shortfall"] is not None:
        return {"conclusion": Conclusion.NOT_TESTED, "conclusion_reason": result["shortfall"]}
    notes = result["provenance"]["notes"]
    return {"conclusion_reason": "; ".join(notes)} if notes else {}


def _margin_recovered(
    context: Context, result: Mapping[str, Any], figure: Any, common: Mapping[str, Any], checks: tuple[Check, ...]
) -> Any:
    method = "1 − Σ|margin of the reconstruction − margin| / Σ|margin of zeros − margin|"
    value, reason = None, result["spliced_reason"]
    counts: dict[str, float | int | None] = {}
    if reason is None:
        clean, rebuilt, zero = (np.array(result["margins"][name]) for name in (CLEAN, REBUILT, ZERO))
        away, far = np.abs(rebuilt - clean), np.abs(zero - clean)
        threshold = context.plan.operating_point.natural_margin
        counts = {
            "mean_change": float(away.mean()),
            "mean_change_zeros": float(far.mean()),
            "same_decision": float(((rebuilt >= threshold) == (clean >= threshold)).mean()),
        }
        reason = "zeros in place of the states do not move the margin"
        value = float(1 - away.sum() / far.sum()) if far.sum() > 0 else None
    estimate = figure(value, method, reason=reason, n=result["spliced"])
    return measurement(estimate, metric=MARGIN_RECOVERED, unit="share", counts=counts, checks=checks, **common)


class _Features:
    """One attribute."""

    def __init__(self, context: Context, result: Mapping[str, Any], test: str, *, contrasts: int) -> None:
        self.context, self.result, self.test = context, result, test
        self.contrasts = contrasts
        self.needed = draws_needed(alpha=context.plan.thresholds.alpha, family_size=max(1, contrasts))
        self.level = 1 - context.plan.thresholds.alpha
        self.groups: list[str] = result["groups"]
        self.reference = self.groups.index(result["reference"])
        self.clean = np.zeros((0, len(self.groups)))
        self.decided: tuple[Check, ...] = ()

    def drafts(self) -> Iterable[UnadjustedMeasurement]:
        if self.result["reason"] is not None or not self.result["cases"]:
            reason = self.result["reason"] or "no applications are left to measure on"
            for group in self.groups:
                if group != self.result["reference"]:
                    nothing = missing(method="sparse features", reason=reason, n=0)
                    yield self._draft(
                        nothing,
                        metric=GAP_REMOVED,
                        group=group,
                        unit="logit",
                        family=inside_family(self.test),
                        conclusion=Conclusion.NOT_TESTED,
                        conclusion_reason=reason,
                    )
            return
        self.clean = np.array(self.result["clean"], dtype=np.float64)
        if self.result["exact"]:
            decided = margin_as_decided(
                self.context,
                field=self.result["field"],
                cases=self.result["cases"],
                groups=self.groups,
                margins=self.clean,
                noise=NoiseFloor(**self.result["noise"]) if "noise" in self.result else None,
            )
            self.decided = (decided,)
        for found in self.result["contrasts"]:
            yield from self._contrast(found)

    def _contrast(self, found: Mapping[str, Any]) -> Iterable[UnadjustedMeasurement]:
        group = self.groups[found["group"]]
        chosen = as_a_small_step(self.result.get("slopes", {}).get(str(found["group"])))
        n = len(self.clean)
        differing = Estimate(
            value=float(found["differing"]),
            n=n,
            method="features whose activity, summed over positions, differs between the groups; paired t tests of all "
            f"that act, Benjamini and Hochberg at {self.context.plan.thresholds.exploratory_q:g}",
        )
        yield self._draft(
            differing,
            metric=DIFFERING,
            group=group,
            unit="count",
            counts={"tested": found["tested"], "chosen_on": self.result["chosen_on"]},
        )
        before = self.clean[:, [self.reference, found["group"]]]
        after = {name: np.array(rows, dtype=np.float64) for name, rows in found["margins"].items()}
        for feature in found["features"]:
            yield from self._feature(found, str(feature), before, after[f"feature {feature}"], chosen)
        if not found["features"]:
            nothing = missing(method="sparse features", reason="no feature carries any of the difference", n=n)
            yield self._draft(nothing, metric=GAP_REMOVED, group=group, unit="logit", more={"by": FEATURES})
            return
        yield from self._removed(found, before, after, chosen)
        yield from self._steered(found, before, after, chosen)

    def _feature(
        self,
        found: Mapping[str, Any],
        feature: str,
        before: FloatArray,
        after: FloatArray,
        chosen: tuple[Check, ...],
    ) -> Iterable[UnadjustedMeasurement]:
        group = self.groups[found["group"]]
        where = {"feature": feature, "layer": str(self.result["layer"])}
        name = f"feature {feature}"
        acting = found["acting"][feature]
        yield self._draft(
            self._mean(np.array(found["change"][feature]), "activation, summed over positions, group minus reference"),
            metric=DIFFERENCE,
            group=group,
            unit="activation",
            more=where,
            family=f"{EXPLORATORY_FAMILY}: sparse features that differ by {self.result['field']}",
            counts={"acting": acting[0], "acting_reference": acting[1]},
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
                "flip_rate": float(self._flipped(before, after).mean()) if self.result["exact"] else None,
            },
            checks=(*self.decided, *chosen, self._mass(found, name)),
        )

    def _removed(
        self, found: Mapping[str, Any], before: FloatArray, after: Mapping[str, FloatArray], chosen: tuple[Check, ...]
    ) -> Iterable[UnadjustedMeasurement]:
        group = self.groups[found["group"]]
        method = "mean margin difference to the reference, clean minus ablated"
        for name in (COORDINATES, COMPONENTS, MEANS):
            yield self._draft(
                self._untested(self._mean(_gaps(before) - _gaps(after[name]), method)),
                metric=GAP_REMOVED,
                group=group,
                unit="logit",
                more={"by": name},
                counts={
                    "gap": float(_gaps(before).mean()),
                    "gap_left": float(_gaps(after[name]).mean()),
                    "taken_out": 1 if name == MEANS else len(found["features"]),
                    "movement": found["movements"][name],
                },
                checks=(*self.decided, *(() if name == MEANS else chosen), self._mass(found, name)),
            )
        random = {name: rows for name, rows in after.items() if name.startswith(f"{RANDOM} ")}
        side = float(np.sign(_gaps(before).mean()))
        effect = gap_moved(before, after[FEATURES])
        drawn = [gap_moved(before, rows) for rows in random.values()]
        estimate = self._mean(_gaps(before) - _gaps(after[FEATURES]), method)
        yield self._ranked(
            found,
            estimate,
            before,
            rank(effect, drawn),
            metric=GAP_REMOVED,
            family=inside_family(self.test),
            name=FEATURES,
            chosen=chosen,
            counts={
                "gap": float(_gaps(before).mean()),
                "gap_left": float(_gaps(after[FEATURES]).mean()),
                "taken_out": len(found["features"]),
                "random_mean": side * float(np.mean(drawn)) if drawn else None,
                "random_largest": max(map(abs, drawn)) if drawn else None,
                "sign_agrees": int(effect > 0),
                **self._movements(found, FEATURES, f"{RANDOM} "),
            },
        )
        if not self.result["exact"]:
            nothing = missing(method="selection rate", reason=NO_DECISIONS, n=len(before))
            yield self._draft(nothing, metric=FLIPS, group=group, unit="rate")
            return
        flipped = self._flipped(before, after[FEATURES])
        flips = [float(self._flipped(before, rows)[:, 1].mean()) for rows in random.values()]
        own = float(flipped[:, 1].mean())
        yield self._draft(
            selection_rate(Tally.of(flipped[:, 1]), level=self.level),
            metric=FLIPS,
            group=group,
            unit="rate",
            counts={
                "towards_favourable": int((flipped & (after[FEATURES] > before))[:, 1].sum()),
                "random_mean": float(np.mean(flips)) if flips else None,
                "draws": len(flips),
                "draws_with_as_many": sum(other >= own for other in flips),
            },
            checks=(*self.decided, *chosen, self._mass(found, FEATURES)),
            conclusion_reason="no decision turned" if own == 0 else None,
        )

    def _steered(
        self, found: Mapping[str, Any], before: FloatArray, after: Mapping[str, FloatArray], chosen: tuple[Check, ...]
    ) -> Iterable[UnadjustedMeasurement]:
        group = self.groups[found["group"]]
        method = "mean change of the reference's margin with the group's values put in"
        moved = after[STEER + MEANS] - before
        yield self._draft(
            self._untested(self._mean(moved[:, 0], method)),
            metric=STEERING,
            group=group,
            unit="logit",
            more={"by": MEANS},
            counts={
                "gap": float(_gaps(before).mean()),
                "away": float(moved[:, 1].mean()),
                "movement": found["movements"][STEER + MEANS],
            },
            checks=(*self.decided, self._mass(found, STEER + MEANS)),
        )
        prefix = f"{STEER}{RANDOM} "
        drawn = [moved_to_group(before, rows) for name, rows in after.items() if name.startswith(prefix)]
        side = float(np.sign(_gaps(before).mean()))
        effect = moved_to_group(before, after[STEER + FEATURES])
        moved = after[STEER + FEATURES] - before
        yield self._ranked(
            found,
            self._mean(moved[:, 0], method),
            before,
            rank(effect, drawn),
            metric=STEERING,
            family=inside_family(f"{self.test}, steering"),
            name=STEER + FEATURES,
            chosen=chosen,
            counts={
                "gap": float(_gaps(before).mean()),
                "away": float(moved[:, 1].mean()),
                "random_mean": side * float(np.mean(drawn)) if drawn else None,
                "random_largest": max(map(abs, drawn)) if drawn else None,
                "sign_agrees": int(effect > 0),
                **self._movements(found, STEER + FEATURES, prefix),
            },
        )

    def _ranked(
        self,
        found: Mapping[str, Any],
        estimate: Estimate,
        before: FloatArray,
        place: Rank,
        *,
        metric: str,
        family: str,
        name: str,
        counts: dict[str, float | int | None],
        chosen: tuple[Check, ...],
    ) -> UnadjustedMeasurement:
        """An effect with its rank among random features as its test, or why it has none."""
        reason = place.too_few(self.needed) or self._unlike(found, counts, place) or self._no_gap(before)
        words = "random features of matched frequency and norm that move the states as far"
        test = Significance(place.p_value, f"rank among {place.draws} draws of {words}, one-sided")
        more: dict[str, Any] = {"family": family}
        if reason is not None:
            more |= {"conclusion": Conclusion.INCONCLUSIVE, "conclusion_reason": reason}
        draft = self._draft(
            replace(estimate, test=None if reason is not None or estimate.value is None else test),
            metric=metric,
            group=self.groups[found["group"]],
            unit="logit",
            more={"by": FEATURES},
            counts={**counts, "draws": place.draws, "draws_needed": self.needed, "draws_as_large": place.as_large},
            checks=(*self.decided, *chosen, self._mass(found, name)),
            **more,
        )
        return replace(draft, family_size=self.contrasts)

    def _unlike(self, found: Mapping[str, Any], counts: Mapping[str, float | int | None], place: Rank) -> str | None:
        """Why the draws are no measure of chance: hardly different from each other, or moving the states much less."""
        if place.as_large >= ENOUGH:
            return None
        different = found["different"]
        if different < self.needed:
            return (
                f"too few draws to say: {different} different sets of random features act here, where {self.needed} "
                "are needed"
            )
        moved, control = counts["movement"], counts["movement_control"]
        if moved is None or control is None or control >= LIKE * moved:
            return None
        return f"random features that act here move the states by {control:.3g} where the chosen ones move {moved:.3g}"

    def _no_gap(self, before: FloatArray) -> str | None:
        """Why there is no difference of margins whose direction an effect could have."""
        gaps = self._mean(_gaps(before), "difference of margins")
        noise = NoiseFloor(**self.result["noise"]) if "noise" in self.result else None
        if noise is not None and gaps.value is not None and within_rounding(gaps.value, floor=noise.bound):
            return (
                f"the difference of margins between the groups, {abs(gaps.value):.2g} logits, is within the "
                f"{noise.bound:.2g} that rounding alone could make ({noise.arithmetic})"
            )
        if gaps.interval is not None and not gaps.interval.low <= 0 <= gaps.interval.high:
            return None
        return f"no difference of margins between the groups is shown here ({len(before)} applications)"

    @staticmethod
    def _movements(found: Mapping[str, Any], name: str, prefix: str) -> dict[str, float | int | None]:
        """How far the states are moved, by the features and by the drawn ones."""
        drawn = [value for each, value in found["movements"].items() if each.startswith(prefix)]
        return {
            "movement": found["movements"][name],
            "movement_control": float(np.mean(drawn)) if drawn else None,
        }

    @staticmethod
    def _untested(estimate: Estimate) -> Estimate:
        """Without a test: moving anything moves margins, and nothing random stands beside this figure."""
        return replace(estimate, test=None)

    def _mean(self, values: FloatArray, method: str) -> Estimate:
        if len(values) < 2:
            return missing(method=method, reason="fewer than two applications to measure on", n=len(values))
        return paired_mean(values, level=self.level, method="; ".join(filter(None, (method, self.result["note"]))))

    def _flipped(self, before: FloatArray, after: FloatArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
        threshold = self.context.plan.operating_point.natural_margin
        return np.asarray((before >= threshold) != (after >= threshold))

    def _mass(self, found: Mapping[str, Any], name: str) -> Check:
        return answers_keep_mass(found["masses"][name], self.result["mass"], after="after the change")

    def _draft(
        self,
        estimate: Estimate,
        *,
        metric: str,
        group: str,
        unit: str,
        more: Mapping[str, str] | None = None,
        **rest: Any,
    ) -> UnadjustedMeasurement:
        return UnadjustedMeasurement(
            measured(
                estimate,
                test=self.test,
                metric=metric,
                role=Role.SUPPORTING,
                subject={**(more or {}), "field": self.result["field"], "group": group},
                reference=self.result["reference"],
                unit=unit,
                cases=f"role:{COUNTERFACTUAL}",
                level=self.level,
                higher_is_better=None,
                **rest,
            )
        )


def _gaps(margins: FloatArray) -> FloatArray:
    """The group's margin minus the reference's, by application."""
    return np.asarray(margins[:, 1] - margins[:, 0])
