"""Measurements from erasure: how far the difference between groups and the decisions move, against shuffled labels.

What is compared is the part of the difference that an erasure takes away times how well a linear reader tells the
labels apart that were erased. Shuffled labels coincide with the true ones in part by chance, and LEACE takes out all
that goes with its labels however little that is: where the attribute is nearly all that varies, an erasure of labels
that say next to nothing takes the whole attribute out. Both factors are functions of the labels and the states alone,
so the p-value stays exact (randomisation.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from auditor.mechanisms._shared.controls import (
    count_words,
    draw_counts,
    p_words,
    turned_beyond,
    with_randomisation,
)
from auditor.mechanisms._shared.decision_checks import NO_DECISIONS, answers_keep_mass, margin_as_decided
from auditor.mechanisms._shared.float_rows import array_of
from auditor.mechanisms._shared.gap_sizes import gap_counts
from auditor.mechanisms._shared.randomisation import Randomised
from auditor.mechanisms._shared.specifications import agreement_words
from auditor.mechanisms.erasure.card import GAP_REMOVED
from auditor.mechanisms.erasure.drafts import Drafts
from auditor.mechanisms.erasure.gaps import Gap
from auditor.mechanisms.erasure.repeats import Randomisations, Read
from auditor.mechanisms.erasure.result import AttributeResult, NotOpened, Ran, RelevantResult, Result
from auditor.records import Check, Conclusion
from auditor.statistics.rates import Tally, selection_rate
from auditor.statistics.results import BoolArray, Estimate, missing
from auditor.testing.context import Context, FloatArray
from auditor.testing.unadjusted import UnadjustedMeasurement

WIDENED = "erasure_gap_widened"
WHOLE_REMOVED = "erasure_whole_gap_removed"
EFFECT = "erasure_effect"
FLIPS = "erasure_flip_rate"
RELEVANT = "erasure_relevant_effect"
LEFTOVER_BOUND = 1e-6
"""Of the algebra in float64, whatever the model's precision is."""


def measures(context: Context, results: Sequence[Result], *, test: str) -> Iterable[UnadjustedMeasurement]:
    """All measurements of all attributes."""
    for result in results:
        if isinstance(result, AttributeResult):
            yield from _Erased(context, result, test).drafts()
        elif isinstance(result, RelevantResult):
            yield from _relevant(Drafts(context, result, test), result)
        elif result.part == "attribute":
            yield from _not_opened(Drafts(context, result, test), result)


def _not_opened(drafts: Drafts, result: NotOpened) -> Iterable[UnadjustedMeasurement]:
    for column in drafts.others:
        yield drafts.draft(
            missing(method="concept erasure", reason=result.reason, n=0),
            metric=GAP_REMOVED,
            column=column,
            unit="logit",
            family=drafts.family(full=result.full),
            conclusion=Conclusion.NOT_TESTED,
            conclusion_reason=result.reason,
        )


def _relevant(drafts: Drafts, result: RelevantResult) -> Iterable[UnadjustedMeasurement]:
    relevant = result.relevant
    if relevant is None:
        return
    drafts = replace(drafts, note=relevant.note)
    clean, erased = np.array(relevant.clean), np.array(relevant.margins)
    size = np.abs(clean - erased)
    yield drafts.draft(
        drafts.mean(size, "mean |margin minus margin with the field's number erased|", noise=result.noise),
        metric=RELEVANT,
        column=drafts.reference,
        unit="logit",
        counts={
            "flip_rate": float(drafts.turned(clean, erased).mean()) if relevant.exact else None,
            "leftover": relevant.leftover,
            "held_out_left": relevant.left,
        },
        subject={"field": relevant.field},
    )


class _Erased:
    """One attribute."""

    def __init__(self, context: Context, result: AttributeResult, test: str) -> None:
        self.context, self.result = context, result
        self.drafted = Drafts(context, result, test, note=result.note)
        self.reference = self.drafted.reference
        self.read = Read(
            groups=result.groups,
            reference=self.reference,
            threshold=context.plan.operating_point.natural_margin,
            noise=result.noise,
            floor=result.noise.of_mean(len(result.cases)),
            alpha=context.plan.thresholds.alpha,
        )
        self.checks = tuple(self._checks())

    def drafts(self) -> Iterable[UnadjustedMeasurement]:
        declared = self.result.declared.ran
        clean, erased = self._table(declared.clean), self._table(declared.margins)
        whole = self._table(self.result.whole.margins)
        for column in self.drafted.others:
            yield from self._gap_removed(Gap.of(clean, erased, column, self.reference), clean, erased)
            yield self._whole(Gap.of(clean, whole, column, self.reference))
        for column in range(len(self.result.groups)):
            yield from self._group(clean, erased, column)

    def _gap_removed(self, gap: Gap, clean: FloatArray, erased: FloatArray) -> Iterable[UnadjustedMeasurement]:
        result, ran, column = self.result, self.result.declared.ran, gap.column
        both = self.read.randomised(ran, column)
        found = both.together
        short = result.strength.short(found.draws, ended=found.ended)
        hidden = self.read.hidden(ran, column)
        if (gap.nothing or hidden) and found.p_value is not None:
            found = replace(found, p_value=1.0)
        pair = [column, self.reference]
        turned = self.drafted.turned(clean, erased)[:, pair]
        repeats = (
            self.read.agreement(result.declared, result.repeats, column, found, exact=result.exact)
            if result.strength.full
            else None
        )
        thresholds = self.context.plan.thresholds
        counts = {
            "gap": gap.before,
            "gap_erased": gap.after,
            "share": None if gap.nothing or hidden else gap.share,
            "within_rounding": int(hidden is not None),
            "first_tokens": int(not result.exact),
            **gap_counts(gap.clean, whole=self._reference(), thresholds=thresholds),
            **draw_counts(found, needed=result.strength.needed),
            "sign_agrees": int(gap.shrank),
            **_reach(ran),
            **self._decisions(turned, clean, pair),
            "p_labels": both.labels.p_value,
            "p_directions": both.directions.p_value,
            "directions_largest": both.directions.largest,
            **(repeats.counts() if repeats else {}),
        }
        said = self._sentence(both, gap, turned=int(turned.sum()), short=hidden or short)
        more: dict[str, Any] = {"conclusion": Conclusion.INCONCLUSIVE} if hidden else {}
        if repeats is not None and hidden is None and short is None:
            words = agreement_words(repeats.counts(), named="logits")
            if repeats.stable is False:
                said, more = f"{said} Unstable: {words}.", {"conclusion": Conclusion.INCONCLUSIVE}
            elif words:
                said = f"{said} {words[0].upper()}{words[1:]}."
        yield self._draft(
            with_randomisation(self._mean(gap.clean - gap.erased, self._method()), found),
            metric=GAP_REMOVED,
            column=column,
            unit="logit",
            family=self.drafted.family(full=result.strength.full),
            counts=counts,
            exact=True,
            conclusion_reason=said,
            **more,
        )
        if gap.widened and not hidden:
            yield self._widened(gap, found)

    def _method(self) -> str:
        first, last = self.result.declared.specification.layers or (0, 0)
        return (
            f"mean margin difference to the reference, clean minus erased after the field, layers {first} to {last}, "
            f"erasers fitted on {self.result.fitted} other applications"
        )

    def _widened(self, gap: Gap, found: Randomised) -> UnadjustedMeasurement:
        sign = np.sign(gap.before)
        return self._draft(
            self._mean(
                sign * (np.sign(gap.before * gap.after) * gap.erased - gap.clean),
                "mean margin difference to the reference, erased minus clean, in the direction in which it grew",
            ),
            metric=WIDENED,
            column=gap.column,
            unit="logit",
            counts={"gap": gap.before, "gap_erased": gap.after, "p_randomisation": found.p_value},
            conclusion_reason="The erasure widens the difference: no sign that decisions use what it took.",
        )

    def _decisions(self, turned: BoolArray, clean: FloatArray, pair: Sequence[int]) -> dict[str, float | int | None]:
        """Decisions of the group and the reference that turned, against those of both kinds of draws."""
        if not self.result.exact:
            return dict.fromkeys(("decisions", "decisions_turned", "decisions_p"))
        ran, share = self.result.declared.ran, float(turned.mean())
        found = [
            turned_beyond(
                share * weight,
                np.array([self.drafted.turned(clean, self._table(draw))[:, pair].mean() for draw in draws]) * own,
            )
            for draws, own, weight in (
                (ran.controls, np.array(ran.readable_control), ran.readable),
                (ran.turned, np.array(1.0), 1.0),
            )
            if draws
        ]
        return {
            "decisions": int(turned.size),
            "decisions_turned": share,
            "decisions_p": max((p for p in found if p is not None), default=None),
        }

    def _sentence(self, both: Randomisations, gap: Gap, *, turned: int, short: str | None) -> str:
        field = self.result.field.replace("_", " ")
        if gap.nothing:
            return f"There is no difference in scores between the groups for an erasure of {field} to take away."
        before, after, share = gap.before, gap.after, gap.share
        did = f"takes {_percent(share)} off" if 0 <= share <= 2 else f"widens by {_percent(abs(after / before) - 1)}"
        decided = f"{count_words(turned, 'decision', 'decisions')} turned" if self.result.exact else NO_DECISIONS
        said = f"Erasing {field} after its field {did} the difference in scores; {decided}"
        if short is not None:
            return f"{said}; {short}."
        labels, directions = both.labels, both.directions
        largest = _percent((labels.largest or 0.0) / (abs(before) * (self.result.declared.ran.readable or 1.0)))
        said = (
            f"{said}; {labels.draws} erasures with shuffled labels, counted by how well those are read, moved it by "
            f"{largest} at most"
        )
        if directions.p_value is not None:
            largest = _percent((directions.largest or 0.0) / abs(before))
            said += f", {directions.draws} moves as large in random directions by {largest}"
        return f"{said}, {p_words(both.together.p_value)}."

    def _whole(self, gap: Gap) -> UnadjustedMeasurement:
        return self._draft(
            self._mean(
                gap.clean - gap.erased,
                "mean margin difference to the reference, clean minus erased from the field on at every layer: as good "
                "as not stating the attribute",
            ),
            metric=WHOLE_REMOVED,
            column=gap.column,
            unit="logit",
            counts={
                "gap": gap.before,
                "gap_erased": gap.after,
                "share": None if gap.nothing else gap.share,
            },
        )

    def _group(self, clean: FloatArray, erased: FloatArray, column: int) -> Iterable[UnadjustedMeasurement]:
        controls = [self._table(other) for other in self.result.declared.ran.controls]
        moves = [float((clean[:, column] - other[:, column]).mean()) for other in controls]
        yield self._draft(
            self._mean(clean[:, column] - erased[:, column], "mean of margin minus margin with the attribute erased"),
            metric=EFFECT,
            column=column,
            unit="logit",
            counts={"control_largest": max(map(abs, moves), default=None), "control_draws": len(moves)},
        )
        if not self.result.exact:
            nothing = missing(method="selection rate", reason=NO_DECISIONS, n=len(clean))
            yield self._draft(nothing, metric=FLIPS, column=column, unit="rate")
            return
        turned = self.drafted.turned(clean, erased)[:, column]
        shares = [float(self.drafted.turned(clean, other)[:, column].mean()) for other in controls]
        yield self._draft(
            selection_rate(Tally.of(turned), level=self.drafted.level),
            metric=FLIPS,
            column=column,
            unit="rate",
            counts={
                "towards_favourable": int((turned & (erased > clean)[:, column]).sum()),
                "control_largest": max(shares, default=None),
                "control_draws": len(shares),
            },
        )

    def _reference(self) -> FloatArray:
        """Untouched margins of the reference, of all applications."""
        return self._table(self.result.untouched.margins)[:, self.reference]

    def _mean(self, values: FloatArray, method: str) -> Estimate:
        return self.drafted.mean(values, method, noise=self.result.noise)

    def _table(self, margins: Sequence[float]) -> FloatArray:
        return array_of(margins, len(self.result.groups))

    def _draft(self, estimate: Estimate, **about: Any) -> UnadjustedMeasurement:
        return self.drafted.draft(estimate, checks=self.checks, **about)

    def _checks(self) -> Iterable[Check]:
        result = self.result
        if result.exact:
            yield margin_as_decided(
                self.context,
                field=result.field,
                cases=result.untouched.cases,
                groups=result.groups,
                margins=self._table(result.untouched.margins),
                noise=result.noise,
            )
        leftover = max(result.declared.ran.leftover, result.whole.leftover)
        yield Check(
            "nothing linear is left",
            leftover <= LEFTOVER_BOUND,
            leftover,
            LEFTOVER_BOUND,
            "largest covariance with the attribute after erasure, as a share of before, where erasers were fitted; "
            "what is left on other applications stands with the figures",
        )
        yield answers_keep_mass(result.declared.ran.mass, result.mass, after="after erasure")


def _reach(ran: Ran) -> dict[str, float | None]:
    """How far an erasure and its controls reached."""
    return {
        "readable": ran.readable,
        "readable_control": float(np.median(ran.readable_control)) if ran.readable_control else None,
        "movement": ran.movement,
        "movement_control": float(np.median(ran.movement_control)) if ran.movement_control else None,
        "held_out_left": ran.left,
    }


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
