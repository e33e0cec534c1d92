"""Measurements from steering: the dose curve in both directions, and the potency of one dose in the model's middle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from auditor.counterfactuals import COUNTERFACTUAL
from auditor.mechanisms._shared.controls import (
    count_words,
    draw_counts,
    p_words,
    turned_beyond,
    with_randomisation,
)
from auditor.mechanisms._shared.decision_checks import NO_DECISIONS, answers_keep_mass, margin_as_decided
from auditor.mechanisms._shared.enough import measured
from auditor.mechanisms._shared.float_rows import array_of
from auditor.mechanisms._shared.gap_sizes import ends, gap_counts
from auditor.mechanisms._shared.paired_means import paired_mean
from auditor.mechanisms._shared.randomisation import Randomised, together
from auditor.mechanisms._shared.specifications import agreement_words
from auditor.mechanisms.steering.card import POTENCY
from auditor.mechanisms.steering.repeats import Before, Read, Steered
from auditor.mechanisms.steering.result import WAYS, Half, NotOpened, Result, SteeredResult, Way
from auditor.records import Check, Conclusion, Role
from auditor.statistics.results import BoolArray, Estimate, FloatArray, missing
from auditor.testing.context import Context
from auditor.testing.families import inside_family
from auditor.testing.unadjusted import UnadjustedMeasurement

SHIFT = "steering_shift"


def measures(context: Context, results: Sequence[Result], *, test: str) -> Iterable[UnadjustedMeasurement]:
    """All measurements of all attributes."""
    for result in results:
        for group in result.groups:
            if group == result.reference:
                continue
            if isinstance(result, NotOpened):
                yield _not_opened(context, result, group, test)
            else:
                yield from _Steered(context, result, group, test).drafts()


def _common(context: Context, result: SteeredResult | NotOpened, test: str) -> dict[str, Any]:
    return {
        "test": test,
        "role": Role.SUPPORTING,
        "reference": result.reference,
        "unit": "logit",
        "cases": f"role:{COUNTERFACTUAL}",
        "higher_is_better": None,
        "level": 1 - context.plan.thresholds.alpha,
    }


def _not_opened(context: Context, result: NotOpened, group: str, test: str) -> UnadjustedMeasurement:
    row = measured(
        missing(method="steering", reason=result.reason, n=0),
        metric=POTENCY,
        subject={"field": result.field, "group": group},
        family=inside_family(test) if result.full else None,
        conclusion=Conclusion.NOT_TESTED,
        conclusion_reason=result.reason,
        **_common(context, result, test),
    )
    return UnadjustedMeasurement(row)


class _Steered:
    """One contrast."""

    def __init__(self, context: Context, result: SteeredResult, group: str, test: str) -> None:
        self.context, self.result, self.group, self.test = context, result, group, test
        self.alpha = context.plan.thresholds.alpha
        self.threshold = context.plan.operating_point.natural_margin
        self.common = _common(context, result, test)
        self.subject = {"field": result.field, "group": group}
        self.read = Read(
            threshold=self.threshold,
            noise=result.noise,
            floor=result.noise.of_mean(len(result.cases)),
            alpha=self.alpha,
            mass=result.mass,
        )
        self.points, self.exchanged = self._points(result.steered), self._points(result.exchanged)
        untouched = array_of(result.untouched.margins, len(result.groups))
        self.reference = untouched[:, result.groups.index(result.reference)]
        self.decided = tuple(self._decided())

    def _points(self, half: Half) -> list[Steered]:
        groups = self.result.groups
        column, reference = groups.index(self.group), groups.index(self.result.reference)
        before = Before.of_half(half, groups=groups, group=column, reference=reference)
        return [Steered(point, before) for point in half.curve if point.group == column]

    def drafts(self) -> Iterable[UnadjustedMeasurement]:
        for at in self.points:
            for way in WAYS:
                yield self._shift(at, way)
        yield self._potency()

    def _shift(self, at: Steered, way: Way) -> UnadjustedMeasurement:
        point = at.point
        dose = point.dose if way == "towards" else -point.dose
        controls = point.drawn.controls.of(way)
        counts = {
            "flip_rate": float(self._turned(at, way).mean()) if self.result.exact else None,
            "mass": point.mass,
            "mass_clean": self.result.mass,
            "control_largest": max(map(abs, controls), default=None),
            "control_draws": len(controls),
        }
        row = measured(
            self._mean(at, way),
            metric=SHIFT,
            subject={**self.subject, "path": f"layer {point.source} into layer {point.target}", "dose": f"{dose:g}"},
            counts=counts,
            checks=self._checks(at),
            **self.common,
        )
        return UnadjustedMeasurement(row)

    def _declared(self) -> Steered:
        middle, least = self.result.middle, min(at.point.dose for at in self.points)
        (found,) = (
            at for at in self.points if (at.point.source, at.point.target, at.point.dose) == (middle, middle, least)
        )
        return found

    def _potency(self) -> UnadjustedMeasurement:
        at, result = self._declared(), self.result
        ways = self.read.both(at)
        # Both ways have to hold: the larger p-value is that of the two together.
        found = together(list(ways.values()))
        hidden = self.read.hidden(at)
        short = hidden or result.strength.short(found.draws, ended=found.ended)
        full = result.strength.full
        repeats = self.read.agreement(self.points, self.exchanged, at, found, exact=result.exact) if full else None
        towards, away = at.change("towards"), at.change("away")
        agree = self.read.agrees(at)
        counts = {
            "gap": at.before.gap,
            **gap_counts(at.before.gaps, whole=self.reference, thresholds=self.context.plan.thresholds),
            "share": towards / at.before.gap if self.read.apart(at.before.gap) else None,
            "held_out_short": at.point.short,
            "movement": at.point.movement,
            "away": away,
            **dict(zip(("away_low", "away_high"), ends(at.changes("away"), level=1 - self.alpha), strict=True)),
            "p_towards": ways["towards"].p_value,
            "p_away": ways["away"].p_value,
            **self._flips(at),
            "mass": at.point.mass,
            "mass_clean": result.mass,
            **draw_counts(found, needed=result.strength.needed),
            "sign_agrees": int(agree),
            "within_rounding": int(hidden is not None),
            "first_tokens": int(not result.exact),
            **self._decisions(at),
            **(repeats.counts() if repeats else {}),
        }
        turned = int(sum(self._turned(at, way).sum() for way in WAYS))
        said = self._sentence(found, towards=towards, away=away, turned=turned, short=short, agree=agree)
        more: dict[str, Any] = {"conclusion": Conclusion.INCONCLUSIVE} if hidden else {}
        if repeats is not None and short is None:
            words = agreement_words(repeats.counts(), named="logits")
            if repeats.stable is False:
                said, more = f"{said} Unstable: {words}.", {"conclusion": Conclusion.INCONCLUSIVE}
            elif words:
                said = f"{said} {words[0].upper()}{words[1:]}."
        row = measured(
            with_randomisation(self._mean(at, "towards"), found),
            metric=POTENCY,
            subject=self.subject,
            counts=counts,
            checks=self._checks(at),
            family=inside_family(self.test) if full else None,
            exact=True,
            conclusion_reason=said,
            **self.common,
            **more,
        )
        return UnadjustedMeasurement(row)

    def _flips(self, at: Steered) -> dict[str, float | None]:
        """Share of decisions that turned, by way."""
        if not self.result.exact:
            return dict.fromkeys(("flip_rate", "flip_rate_away"))
        return {
            "flip_rate": float(self._turned(at, "towards").mean()),
            "flip_rate_away": float(self._turned(at, "away").mean()),
        }

    def _decisions(self, at: Steered) -> dict[str, float | int | None]:
        """Decisions of both ways that turned, against those of the draws."""
        if not self.result.exact:
            return dict.fromkeys(("decisions", "decisions_turned", "decisions_p"))
        turned = np.concatenate([self._turned(at, way) for way in WAYS])
        share = float(turned.mean())
        return {
            "decisions": int(turned.size),
            "decisions_turned": share,
            "decisions_p": turned_beyond(share, self._turned_by_draws(at)),
        }

    def _turned_by_draws(self, at: Steered) -> FloatArray:
        """Share of decisions of both ways that every draw turned, shape [draws]."""
        if at.point.declared is None:
            return np.zeros(0)
        shares = []
        for way in WAYS:
            before = at.before.of(way)
            after = array_of(at.point.declared.of(way), len(before))
            shares.append(((after >= self.threshold) != (before >= self.threshold)).mean(axis=1))
        return np.asarray(np.mean(shares, axis=0))

    def _sentence(
        self, found: Randomised, *, towards: float, away: float, turned: int, short: str | None, agree: bool
    ) -> str:
        field = self.result.field.replace("_", " ")
        decided = f"{count_words(turned, 'decision', 'decisions')} turned" if self.result.exact else NO_DECISIONS
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

    def _turned(self, at: Steered, way: Way) -> BoolArray:
        after = np.array(at.point.margins.of(way))
        return np.asarray((after >= self.threshold) != (at.before.of(way) >= self.threshold))

    def _mean(self, at: Steered, way: Way) -> Estimate:
        method = "; ".join(filter(None, ("mean change of the margin", self.result.note)))
        return paired_mean(at.changes(way), level=1 - self.alpha, method=method, floor=self.result.noise.bound)

    def _decided(self) -> Iterable[Check]:
        result = self.result
        if result.exact:
            yield margin_as_decided(
                self.context,
                field=result.field,
                cases=result.untouched.cases,
                groups=result.groups,
                margins=array_of(result.untouched.margins, len(result.groups)),
                noise=result.noise,
            )

    def _checks(self, at: Steered) -> tuple[Check, ...]:
        return (*self.decided, answers_keep_mass(at.point.mass, self.result.mass, after="when steered"))


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\u2212")
