"""Measurements from steering: the dose curve in both directions, and the potency of one dose in the model's middle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from auditor.counterfactuals import COUNTERFACTUAL
from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.controls import (
    Strength,
    count_words,
    draw_counts,
    holds,
    p_words,
    turned_beyond,
    with_randomisation,
    within_rounding,
)
from auditor.mechanisms._shared.decision_checks import MASS_KEPT, NO_DECISIONS, answers_keep_mass, margin_as_decided
from auditor.mechanisms._shared.enough import measured
from auditor.mechanisms._shared.gap_sizes import ends, gap_counts
from auditor.mechanisms._shared.paired_means import paired_mean
from auditor.mechanisms._shared.randomisation import Randomised, randomised, together
from auditor.mechanisms._shared.scales import scale_of, steepness
from auditor.mechanisms._shared.specifications import (
    DECISIONS,
    MARGIN,
    PROBABILITY,
    Agreement,
    Result,
    Specification,
    agreement,
    agreement_words,
)
from auditor.mechanisms._shared.step_bounds import LEAST_IN_GROUP
from auditor.mechanisms.steering.runs import WAYS
from auditor.records import Check, Conclusion, Role
from auditor.statistics.results import missing
from auditor.testing.context import Context, FloatArray
from auditor.testing.families import inside_family
from auditor.testing.unadjusted import UnadjustedMeasurement

POTENCY = "steering_potency"
SHIFT = "steering_shift"
SMALLEST_GAP = 1e-3
"""Nats; below this there is no difference whose direction the two ways could be held against."""


def measures(context: Context, results: Sequence[Mapping[str, Any]], *, test: str) -> Iterable[UnadjustedMeasurement]:
    """All measurements of all attributes."""
    for result in results:
        for group in result["groups"]:
            if group != result["reference"]:
                yield from _Steered(context, result, group, test).drafts()


class _Steered:
    """One contrast."""

    def __init__(self, context: Context, result: Mapping[str, Any], group: str, test: str) -> None:
        self.context, self.result, self.group, self.test = context, result, group, test
        self.alpha = context.plan.thresholds.alpha
        self.threshold = context.plan.operating_point.natural_margin
        self.common: dict[str, Any] = {
            "test": test,
            "role": Role.SUPPORTING,
            "reference": result["reference"],
            "unit": "logit",
            "cases": f"role:{COUNTERFACTUAL}",
            "higher_is_better": None,
            "level": 1 - self.alpha,
        }
        self.subject = {"field": result["field"], "group": group}

    def drafts(self) -> Iterable[UnadjustedMeasurement]:
        result = self.result
        if not result["cases"]:
            nothing = missing(method="steering", reason=result["reason"], n=0)
            row = measured(
                nothing,
                metric=POTENCY,
                subject=self.subject,
                family=inside_family(self.test) if result.get("full") else None,
                conclusion=Conclusion.NOT_TESTED,
                conclusion_reason=result["reason"],
                **self.common,
            )
            yield UnadjustedMeasurement(row)
            return
        self.noise = NoiseFloor(**result["noise"])
        self.floor = self.noise.of_mean(len(result["cases"]))
        groups = result["groups"]
        clean = np.array(result["clean"], dtype=np.float64).reshape(-1, len(groups))
        column, reference = groups.index(self.group), groups.index(result["reference"])
        self.before = {"towards": clean[:, reference], "away": clean[:, column]}
        self.gaps = clean[:, column] - clean[:, reference]
        self.gap = float(self.gaps.mean())
        self.reference = np.array(result["untouched"]["margins"]).reshape(-1, len(groups))[:, reference]
        self.decided = tuple(self._decided())
        points = [point for point in result["curve"] if point["group"] == column]
        for point in points:
            for way in WAYS:
                yield self._shift(point, way)
        yield self._potency(points)

    def _shift(self, point: Mapping[str, Any], way: str) -> UnadjustedMeasurement:
        dose = point["dose"] if way == "towards" else -point["dose"]
        controls = point[f"{way}_controls"]
        counts = {
            "flip_rate": float(self._turned(point, way).mean()) if self.result["exact"] else None,
            "mass": point["mass"],
            "mass_clean": self.result["mass"],
            "control_largest": max(map(abs, controls), default=None),
            "control_draws": len(controls),
        }
        row = measured(
            self._mean(point, way),
            metric=SHIFT,
            subject={
                **self.subject,
                "path": f"layer {point['source']} into layer {point['target']}",
                "dose": f"{dose:g}",
            },
            counts=counts,
            checks=self._checks(point),
            **self.common,
        )
        return UnadjustedMeasurement(row)

    def _potency(self, points: Sequence[Mapping[str, Any]]) -> UnadjustedMeasurement:
        middle, least = self.result["middle"], min(point["dose"] for point in points)
        (point,) = (
            point for point in points if (point["source"], point["target"], point["dose"]) == (middle, middle, least)
        )
        ways = self._both(point)
        # Both ways have to hold: the larger p-value is that of the two together.
        found = together(list(ways.values()))
        strength = Strength.of(self.result)
        hidden = self._hidden(point)
        short = hidden or strength.short(found.draws, ended=found.ended)
        repeats = self._agreement(points, point, found) if self.result["full"] else None
        turned = np.concatenate([self._turned(point, way) for way in WAYS])
        controls = [
            float(np.mean([(np.array(point["margins_controls"][way][draw]) >= self.threshold)
                           != (self.before[way] >= self.threshold) for way in WAYS]))
            for draw in range(len(point["margins_controls"]["towards"]))
        ]  # fmt: skip
        towards, away = self._change(point, "towards"), self._change(point, "away")
        agree = self._agrees(point)
        exact = self.result["exact"]
        counts = {
            "gap": self.gap,
            **gap_counts(self.gaps, whole=self.reference, thresholds=self.context.plan.thresholds),
            "share": towards / self.gap if self._differ else None,
            "held_out_short": point["short"],
            "movement": point["movement"],
            "away": away,
            **dict(zip(("away_low", "away_high"), self._ends(point, "away"), strict=True)),
            "p_towards": ways["towards"].p_value,
            "p_away": ways["away"].p_value,
            "flip_rate": float(self._turned(point, "towards").mean()) if exact else None,
            "flip_rate_away": float(self._turned(point, "away").mean()) if exact else None,
            "mass": point["mass"],
            "mass_clean": self.result["mass"],
            **draw_counts(found, needed=strength.needed),
            "sign_agrees": int(agree),
            "within_rounding": int(hidden is not None),
            "first_tokens": int(not exact),
            "decisions": int(turned.size) if exact else None,
            "decisions_turned": float(turned.mean()) if exact else None,
            "decisions_p": turned_beyond(float(turned.mean()), np.array(controls)) if exact else None,
            **(repeats.counts() if repeats else {}),
        }
        said = self._sentence(found, towards=towards, away=away, turned=int(turned.sum()), short=short, agree=agree)
        more: dict[str, Any] = {"conclusion": Conclusion.INCONCLUSIVE} if hidden else {}
        if repeats is not None and short is None:
            words = agreement_words(repeats.counts(), named="logits")
            if repeats.stable is False:
                said, more = f"{said} Unstable: {words}.", {"conclusion": Conclusion.INCONCLUSIVE}
            elif words:
                said = f"{said} {words[0].upper()}{words[1:]}."
        row = measured(
            with_randomisation(self._mean(point, "towards"), found),
            metric=POTENCY,
            subject=self.subject,
            counts=counts,
            checks=self._checks(point),
            family=inside_family(self.test) if self.result["full"] else None,
            exact=True,
            conclusion_reason=said,
            **self.common,
            **more,
        )
        return UnadjustedMeasurement(row)

    def _sentence(
        self, found: Randomised, *, towards: float, away: float, turned: int, short: str | None, agree: bool
    ) -> str:
        field = self.result["field"].replace("_", " ")
        decided = f"{count_words(turned, 'decision', 'decisions')} turned" if self.result["exact"] else NO_DECISIONS
        said = (
            f"Adding the direction of {self.group} ({field}) moves scores by {_signed(towards)} logits, taking it away "
            f"by {_signed(away)}; {decided}"
        )
        if short is not None:
            return f"{said}; {short}."
        against = "" if agree else "; the two ways do not go as the difference between the groups does"
        return (
            f"{said}; {found.draws} directions of shuffled labels and as many random ones as long moved scores by "
            f"{found.largest or 0.0:.3f} at most, "
            f"{p_words(found.p_value)}{against}."
        )

    def _both(
        self, point: Mapping[str, Any], *, metric: str = MARGIN, before: Mapping[str, FloatArray] | None = None
    ) -> dict[str, Randomised]:
        """By way, one-sided: towards as the difference between the groups goes and away against it."""
        own = before or self.before
        gap = _gap(own)
        signs = {"towards": gap, "away": -gap}
        floor = self.floor * steepness(metric, np.concatenate(list(own.values())))
        return {
            way: together(
                [
                    randomised(
                        self._change(point, way, metric=metric, before=own),
                        drawn,
                        floor=floor,
                        stop=None,
                        direction=signs[way] if self._apart(gap) else None,
                    )
                    for drawn in self._controls(point, way, metric, own)
                ]
            )
            for way in WAYS
        }

    def _controls(
        self, point: Mapping[str, Any], way: str, metric: str, before: Mapping[str, FloatArray]
    ) -> list[list[float]]:
        """Mean changes by the directions of shuffled labels, and by random ones."""
        kinds = [f"{way}_{kind}" for kind in ("controls", "random")]
        if metric == DECISIONS:
            # Only where the declared point keeps every draw's margins, shuffled labels first.
            scale = self._scale(metric)
            changes = scale(np.array(point["margins_controls"][way])) - scale(before[way])
            both = changes.reshape(-1, len(before[way])).mean(axis=1)
            return [both[: len(both) // 2].tolist(), both[len(both) // 2 :].tolist()]
        drawn = point if metric == MARGIN else point["chances"]
        return [drawn[kind] for kind in kinds]

    def _scale(self, metric: str) -> Callable[[FloatArray], FloatArray]:
        return scale_of(metric, threshold=self.threshold)

    def _agreement(
        self, points: Sequence[Mapping[str, Any]], declared: Mapping[str, Any], found: Randomised
    ) -> Agreement:
        """Every layer into itself at every dose, and the declared one with the halves exchanged, by every metric.

        Each against its own draws, where the answers keep their probability. Decisions are read at the declared point
        alone: they are the same margins once more, by far fewer steps.
        """
        groups, column = self.result["groups"], declared["group"]
        # Runs that were computed before these were kept have neither.
        other = self.result.get("exchanged", {"clean": [], "curve": []})
        metrics = (MARGIN, PROBABILITY) if "chances" in declared else (MARGIN,)
        clean = np.array(other["clean"], dtype=np.float64).reshape(-1, len(groups))
        exchanged = {"towards": clean[:, groups.index(self.result["reference"])], "away": clean[:, column]}
        asked = [(point, self.before, 1) for point in points if point["source"] == point["target"]]
        asked += [(point, exchanged, 2) for point in other["curve"] if point["group"] == column]
        results = [
            self._one(point, metric, before, draw=draw, found=found if point is declared else None)
            for point, before, draw in asked
            for metric in metrics
        ]
        if self.result["exact"]:
            results.append(self._one(declared, DECISIONS, self.before, draw=1))
        return agreement(results, declared=self._specification(declared, MARGIN, 1))

    def _one(
        self,
        point: Mapping[str, Any],
        metric: str,
        before: Mapping[str, FloatArray],
        *,
        draw: int,
        found: Randomised | None = None,
    ) -> Result:
        own = found if metric == MARGIN else None
        own = own or together(list(self._both(point, metric=metric, before=before).values()))
        beyond = holds(own, alpha=self.alpha)
        if beyond and not self._agrees(point, metric=metric, before=before):
            beyond = False
        hidden = self._hidden(point, before)
        if hidden or point["mass"] < MASS_KEPT * self.result["mass"]:
            beyond = None
        reason = hidden or ("" if beyond is not None else "too few draws, or the answers lost their probability")
        many = len(before["towards"])
        if metric == DECISIONS and not beyond and many < LEAST_IN_GROUP:
            beyond, reason = None, f"{many} applications, {LEAST_IN_GROUP} needed for a share of them to say no"
        return Result(
            specification=self._specification(point, metric, draw),
            estimate=self._change(point, "towards", metric=metric, before=before),
            holds=beyond,
            reason=reason,
            unit=metric,
        )

    def _hidden(self, point: Mapping[str, Any], before: Mapping[str, FloatArray] | None = None) -> str | None:
        """Why rounding may stand behind what a direction does; ``None`` where not."""
        size = min(abs(self._change(point, way, before=before)) for way in WAYS)
        if not within_rounding(size, floor=self.floor):
            return None
        return (
            f"the movement, {size:.2g} logits, is within the {self.floor:.2g} that rounding alone could make "
            f"({self.noise.arithmetic})"
        )

    def _specification(self, point: Mapping[str, Any], metric: str, draw: int) -> Specification:
        return Specification(
            window="last token",
            layers=(point["target"], point["target"]),
            coefficient=float(point["dose"]),
            metric=metric,
            seed=draw,
        )

    def _agrees(
        self, point: Mapping[str, Any], *, metric: str = MARGIN, before: Mapping[str, FloatArray] | None = None
    ) -> bool:
        """Towards goes as the difference between the groups does and away against it; without one, opposite ways."""
        towards, away = (self._change(point, way, metric=metric, before=before) for way in WAYS)
        gap = _gap(before or self.before)
        return towards * away < 0 and (not self._apart(gap) or towards * gap > 0)

    def _apart(self, gap: float) -> bool:
        """Whether there is a difference between the groups that directions can be held against."""
        return abs(gap) > max(SMALLEST_GAP, self.noise.bound)

    @property
    def _differ(self) -> bool:
        return self._apart(self.gap)

    def _change(
        self,
        point: Mapping[str, Any],
        way: str,
        *,
        metric: str = MARGIN,
        before: Mapping[str, FloatArray] | None = None,
    ) -> float:
        scale = self._scale(metric)
        return float((scale(np.array(point[way], dtype=np.float64)) - scale((before or self.before)[way])).mean())

    def _ends(self, point: Mapping[str, Any], way: str) -> tuple[float | None, float | None]:
        return ends(np.array(point[way], dtype=np.float64) - self.before[way], level=1 - self.alpha)

    def _turned(self, point: Mapping[str, Any], way: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
        after = np.array(point[way], dtype=np.float64)
        return np.asarray((after >= self.threshold) != (self.before[way] >= self.threshold))

    def _mean(self, point: Mapping[str, Any], way: str) -> Any:
        change: FloatArray = np.array(point[way], dtype=np.float64) - self.before[way]
        method = "; ".join(filter(None, ("mean change of the margin", self.result.get("note"))))
        return paired_mean(change, level=1 - self.alpha, method=method, floor=self.noise.bound)

    def _decided(self) -> Iterable[Check]:
        if self.result["exact"]:
            untouched = self.result["untouched"]
            yield margin_as_decided(
                self.context,
                field=self.result["field"],
                cases=untouched["cases"],
                groups=self.result["groups"],
                margins=np.array(untouched["margins"]).reshape(-1, len(self.result["groups"])),
                noise=self.noise,
            )

    def _checks(self, point: Mapping[str, Any]) -> tuple[Check, ...]:
        return (*self.decided, answers_keep_mass(point["mass"], self.result["mass"], after="when steered"))


def _gap(before: Mapping[str, FloatArray]) -> float:
    """Mean untouched difference between the groups, in nats."""
    return float((before["away"] - before["towards"]).mean())


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\u2212")
