"""Measurements from erasure: how far the difference between groups and the decisions move, against shuffled labels.

What is compared is the part of the difference that an erasure takes away times how well a linear reader tells the
labels apart that were erased. Shuffled labels coincide with the true ones in part by chance, and LEACE takes out all
that goes with its labels however little that is: where the attribute is nearly all that varies, an erasure of labels
that say next to nothing takes the whole attribute out. Both factors are functions of the labels and the states alone,
so the p-value stays exact (randomisation.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from auditor.counterfactuals import COUNTERFACTUAL
from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.controls import (
    Strength,
    count_words,
    draw_counts,
    p_words,
    turned_beyond,
    with_randomisation,
)
from auditor.mechanisms._shared.decision_checks import NO_DECISIONS, answers_keep_mass, margin_as_decided
from auditor.mechanisms._shared.enough import measured
from auditor.mechanisms._shared.gap_sizes import gap_counts
from auditor.mechanisms._shared.paired_means import paired_mean
from auditor.mechanisms._shared.randomisation import Randomised, together
from auditor.mechanisms._shared.specifications import agreement_words
from auditor.mechanisms._shared.step_bounds import SMALLEST_GAP
from auditor.mechanisms.erasure.repeats import Read
from auditor.records import Check, Conclusion, Role
from auditor.statistics.rates import Tally, selection_rate
from auditor.statistics.results import Estimate, missing
from auditor.testing.context import Context, FloatArray
from auditor.testing.families import inside_family
from auditor.testing.unadjusted import UnadjustedMeasurement

GAP_REMOVED = "erasure_gap_removed"
WIDENED = "erasure_gap_widened"
WHOLE_REMOVED = "erasure_whole_gap_removed"
EFFECT = "erasure_effect"
FLIPS = "erasure_flip_rate"
RELEVANT = "erasure_relevant_effect"
LEFTOVER_BOUND = 1e-6
"""Of the algebra in float64, whatever the model's precision is."""


def measures(context: Context, results: Sequence[Mapping[str, Any]], *, test: str) -> Iterable[UnadjustedMeasurement]:
    """All measurements of all attributes."""
    for result in results:
        yield from _Erased(context, result, test).drafts()


class _Erased:
    """One attribute."""

    def __init__(self, context: Context, result: Mapping[str, Any], test: str) -> None:
        self.context, self.result, self.test = context, result, test
        self.alpha = context.plan.thresholds.alpha
        self.level = 1 - self.alpha
        self.groups: list[str] = result["groups"]
        self.reference = self.groups.index(result["reference"])
        self.others = [column for column in range(len(self.groups)) if column != self.reference]
        self.checks: tuple[Check, ...] = ()

    def drafts(self) -> Iterable[UnadjustedMeasurement]:
        result = self.result
        if result["part"] == "relevant":
            yield from self._relevant()
            return
        if not result["cases"]:
            for column in self.others:
                nothing = missing(method="concept erasure", reason=result["reason"], n=0)
                yield self._draft(
                    nothing,
                    metric=GAP_REMOVED,
                    column=column,
                    unit="logit",
                    family=inside_family(self.test) if result.get("full") else None,
                    conclusion=Conclusion.NOT_TESTED,
                    conclusion_reason=result["reason"],
                )
            return
        self.noise = NoiseFloor(**result["noise"])
        self.floor = self.noise.of_mean(len(result["cases"]))
        self.checks = tuple(self._checks())
        clean, erased = self._table(result["declared"]["clean"]), self._table(result["declared"]["margins"])
        whole = self._table(result["whole"]["margins"])
        for column in self.others:
            yield from self._gap_removed(clean, erased, column)
            yield self._whole(clean, whole, column)
        for column in range(len(self.groups)):
            yield from self._group(clean, erased, column)

    def _gap_removed(self, clean: FloatArray, erased: FloatArray, column: int) -> Iterable[UnadjustedMeasurement]:
        ran = self.result["declared"]
        read = self._read()
        both = read.randomised(ran, column)
        found = together(list(both.values()))
        strength = Strength.of(self.result)
        short = strength.short(found.draws, ended=found.ended)
        gap, after = float(self._gaps(clean, column).mean()), float(self._gaps(erased, column).mean())
        hidden = read.hidden(ran, column)
        nothing = abs(gap) <= SMALLEST_GAP
        if (nothing or hidden) and found.p_value is not None:
            found = replace(found, p_value=1.0)
        agree = int((gap - after) * gap > 0 and abs(after) <= abs(gap))
        pair = [column, self.reference]
        turned = self._turned(clean, erased)[:, pair]
        decided = [
            turned_beyond(
                float(turned.mean()) * weight, np.array([self._share(clean, other, pair) for other in others]) * own
            )
            for others, own, weight in (
                (ran["controls"], np.array(ran["readable_control"]), ran["readable"]),
                (ran["turned"], 1.0, 1.0),
            )
            if others
        ]
        repeats = read.agreement(self.result, column, found) if self.result["full"] else None
        first, last = ran["specification"]["layers"]
        estimate = self._mean(
            self._gaps(clean, column) - self._gaps(erased, column),
            f"mean margin difference to the reference, clean minus erased after the field, layers {first} to {last}, "
            f"erasers fitted on {self.result['fitted']} other applications",
        )
        counts = {
            "gap": gap,
            "gap_erased": after,
            "share": None if nothing or hidden else 1 - after / gap,
            "within_rounding": int(hidden is not None),
            "first_tokens": int(not self.result["exact"]),
            **gap_counts(self._gaps(clean, column), whole=self._reference(), thresholds=self.context.plan.thresholds),
            **draw_counts(found, needed=strength.needed),
            "sign_agrees": agree,
            "readable": ran["readable"],
            "readable_control": float(np.median(ran["readable_control"])) if ran["readable_control"] else None,
            "movement": ran["movement"],
            "movement_control": float(np.median(ran["movement_control"])) if ran["movement_control"] else None,
            "held_out_left": ran["left"],
            "decisions": int(turned.size) if self.result["exact"] else None,
            "decisions_turned": float(turned.mean()) if self.result["exact"] else None,
            "decisions_p": max((p for p in decided if p is not None), default=None) if self.result["exact"] else None,
            "p_labels": both["labels"].p_value,
            "p_directions": both["directions"].p_value,
            "directions_largest": both["directions"].largest,
            **(repeats.counts() if repeats else {}),
        }
        said = self._sentence(
            both, gap=gap, after=after, turned=int(turned.sum()), short=hidden or short, nothing=nothing
        )
        more: dict[str, Any] = {"conclusion": Conclusion.INCONCLUSIVE} if hidden else {}
        if repeats is not None and hidden is None and short is None:
            words = agreement_words(repeats.counts(), named="logits")
            if repeats.stable is False:
                said, more = f"{said} Unstable: {words}.", {"conclusion": Conclusion.INCONCLUSIVE}
            elif words:
                said = f"{said} {words[0].upper()}{words[1:]}."
        yield self._draft(
            with_randomisation(estimate, found),
            metric=GAP_REMOVED,
            column=column,
            unit="logit",
            family=inside_family(self.test) if self.result["full"] else None,
            counts=counts,
            exact=True,
            conclusion_reason=said,
            **more,
        )
        if abs(after) > abs(gap) and not nothing and not hidden:
            yield self._draft(
                self._mean(
                    np.sign(gap) * (np.sign(gap * after) * self._gaps(erased, column) - self._gaps(clean, column)),
                    "mean margin difference to the reference, erased minus clean, in the direction in which it grew",
                ),
                metric=WIDENED,
                column=column,
                unit="logit",
                counts={"gap": gap, "gap_erased": after, "p_randomisation": found.p_value},
                conclusion_reason="The erasure widens the difference: no sign that decisions use what it took.",
            )

    def _sentence(
        self, both: Mapping[str, Randomised], *, gap: float, after: float, turned: int, short: str | None, nothing: bool
    ) -> str:
        field = self.result["field"].replace("_", " ")
        if nothing:
            return f"There is no difference in scores between the groups for an erasure of {field} to take away."
        share = 1 - after / gap
        did = f"takes {_percent(share)} off" if 0 <= share <= 2 else f"widens by {_percent(abs(after / gap) - 1)}"
        decided = f"{count_words(turned, 'decision', 'decisions')} turned" if self.result["exact"] else NO_DECISIONS
        said = f"Erasing {field} after its field {did} the difference in scores; {decided}"
        if short is not None:
            return f"{said}; {short}."
        labels, directions = both["labels"], both["directions"]
        largest = _percent((labels.largest or 0.0) / (abs(gap) * (self.result["declared"]["readable"] or 1.0)))
        said = (
            f"{said}; {labels.draws} erasures with shuffled labels, counted by how well those are read, moved it by "
            f"{largest} at most"
        )
        if directions.p_value is not None:
            largest = _percent((directions.largest or 0.0) / abs(gap))
            said += f", {directions.draws} moves as large in random directions by {largest}"
        return f"{said}, {p_words(together([labels, directions]).p_value)}."

    def _read(self) -> Read:
        return Read(
            groups=tuple(self.groups),
            reference=self.reference,
            threshold=self.context.plan.operating_point.natural_margin,
            noise=self.noise,
            floor=self.floor,
            alpha=self.alpha,
        )

    def _whole(self, clean: FloatArray, erased: FloatArray, column: int) -> UnadjustedMeasurement:
        before, after = float(self._gaps(clean, column).mean()), float(self._gaps(erased, column).mean())
        return self._draft(
            self._mean(
                self._gaps(clean, column) - self._gaps(erased, column),
                "mean margin difference to the reference, clean minus erased from the field on at every layer: as good "
                "as not stating the attribute",
            ),
            metric=WHOLE_REMOVED,
            column=column,
            unit="logit",
            counts={
                "gap": before,
                "gap_erased": after,
                "share": 1 - after / before if abs(before) > SMALLEST_GAP else None,
            },
        )

    def _group(self, clean: FloatArray, erased: FloatArray, column: int) -> Iterable[UnadjustedMeasurement]:
        controls = [self._table(other) for other in self.result["declared"]["controls"]]
        moves = [float((clean[:, column] - other[:, column]).mean()) for other in controls]
        yield self._draft(
            self._mean(clean[:, column] - erased[:, column], "mean of margin minus margin with the attribute erased"),
            metric=EFFECT,
            column=column,
            unit="logit",
            counts={"control_largest": max(map(abs, moves), default=None), "control_draws": len(moves)},
        )
        if not self.result["exact"]:
            nothing = missing(method="selection rate", reason=NO_DECISIONS, n=len(clean))
            yield self._draft(nothing, metric=FLIPS, column=column, unit="rate")
            return
        turned = self._turned(clean, erased)[:, column]
        shares = [float(self._turned(clean, other)[:, column].mean()) for other in controls]
        yield self._draft(
            selection_rate(Tally.of(turned), level=self.level),
            metric=FLIPS,
            column=column,
            unit="rate",
            counts={
                "towards_favourable": int((turned & (erased > clean)[:, column]).sum()),
                "control_largest": max(shares, default=None),
                "control_draws": len(shares),
            },
        )

    def _relevant(self) -> Iterable[UnadjustedMeasurement]:
        relevant = self.result.get("relevant")
        if relevant is None:
            return
        clean, erased = np.array(relevant["clean"]), np.array(relevant["margins"])
        yield self._draft(
            self._mean(np.abs(clean - erased), "mean |margin minus margin with the field's number erased|"),
            metric=RELEVANT,
            column=self.reference,
            unit="logit",
            counts={
                "flip_rate": float(self._turned(clean, erased).mean()) if relevant.get("exact", True) else None,
                "leftover": relevant["leftover"],
                "held_out_left": relevant["left"],
            },
            subject={"field": relevant["field"]},
        )

    def _reference(self) -> FloatArray:
        """Untouched margins of the reference, of all applications."""
        return self._table(self.result["untouched"]["margins"])[:, self.reference]

    def _gaps(self, table: FloatArray, column: int) -> FloatArray:
        return np.asarray(table[:, column] - table[:, self.reference])

    def _mean(self, values: FloatArray, method: str) -> Estimate:
        return paired_mean(values, level=self.level, method=method, floor=NoiseFloor(**self.result["noise"]).bound)

    def _share(self, clean: FloatArray, margins: Sequence[float], pair: Sequence[int]) -> float:
        return float(self._turned(clean, self._table(margins))[:, pair].mean())

    def _turned(self, clean: FloatArray, erased: FloatArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
        threshold = self.context.plan.operating_point.natural_margin
        return np.asarray((clean >= threshold) != (erased >= threshold))

    def _table(self, margins: Sequence[float]) -> FloatArray:
        return np.array(margins, dtype=np.float64).reshape(-1, len(self.groups))

    def _checks(self) -> Iterable[Check]:
        untouched = self.result["untouched"]
        if self.result["exact"]:
            yield margin_as_decided(
                self.context,
                field=self.result["field"],
                cases=untouched["cases"],
                groups=self.groups,
                margins=self._table(untouched["margins"]),
                noise=self.noise,
            )
        leftover = max(ran["leftover"] for ran in (self.result["declared"], self.result["whole"]))
        yield Check(
            "nothing linear is left",
            leftover <= LEFTOVER_BOUND,
            leftover,
            LEFTOVER_BOUND,
            "largest covariance with the attribute after erasure, as a share of before, where erasers were fitted; "
            "what is left on other applications stands with the figures",
        )
        yield answers_keep_mass(self.result["declared"]["mass"], self.result["mass"], after="after erasure")

    def _draft(
        self,
        estimate: Estimate,
        *,
        metric: str,
        column: int,
        unit: str,
        subject: dict[str, str] | None = None,
        **more: Any,
    ) -> UnadjustedMeasurement:
        reference = self.result["reference"]
        group = self.groups[column]
        note = self.result.get("note") or (self.result.get("relevant") or {}).get("note")
        return UnadjustedMeasurement(
            measured(
                replace(estimate, method=f"{estimate.method}; {note}") if note else estimate,
                test=self.test,
                metric=metric,
                role=Role.SUPPORTING,
                subject=subject or {"field": self.result["field"], "group": group},
                reference=reference if group != reference else None,
                unit=unit,
                cases=f"role:{COUNTERFACTUAL}",
                level=self.level,
                **{"higher_is_better": None, "checks": self.checks, **more},
            )
        )


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
