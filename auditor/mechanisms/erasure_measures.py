"""Measurements from erasure: how far the difference between groups and the decisions move, against random erasers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from auditor.behaviour.context import Context, Draft, FloatArray
from auditor.behaviour.fill import measurement
from auditor.counterfactuals import COUNTERFACTUAL
from auditor.language_models.packed import TOLERANCE
from auditor.measures.rates import Tally, selection_rate
from auditor.measures.results import Estimate, missing
from auditor.mechanisms.paired_means import paired_mean
from auditor.records import Check, Conclusion, Role

GAP_REMOVED = "erasure_gap_removed"
WHOLE_REMOVED = "erasure_whole_gap_removed"
EFFECT = "erasure_effect"
FLIPS = "erasure_flip_rate"
RELEVANT = "erasure_relevant_effect"
LEFTOVER_BOUND = 1e-6
MASS_KEPT = 0.5
SMALLEST_GAP = 1e-3
"""Nats; below this there is no gap to take a share of."""


def measures(context: Context, results: Sequence[Mapping[str, Any]], *, test: str) -> Iterable[Draft]:
    """All measurements of all attributes."""
    for result in results:
        yield from _Erased(context, result, test).drafts()


class _Erased:
    """One attribute."""

    def __init__(self, context: Context, result: Mapping[str, Any], test: str) -> None:
        self.context, self.result, self.test = context, result, test
        self.level = 1 - context.plan.thresholds.alpha
        self.groups: list[str] = result["groups"]
        self.reference = self.groups.index(result["reference"])
        self.checks: tuple[Check, ...] = ()

    def drafts(self) -> Iterable[Draft]:
        others = [group for group in self.groups if group != self.result["reference"]]
        if self.result["part"] == "relevant":
            yield from self._relevant()
            return
        if not self.result["cases"]:
            for group in others:
                nothing = missing(method="concept erasure", reason=self.result["reason"], n=0)
                yield self._draft(
                    nothing,
                    metric=GAP_REMOVED,
                    group=group,
                    unit="logit",
                    conclusion=Conclusion.NOT_TESTED,
                    conclusion_reason=self.result["reason"],
                )
            return
        clean = self._table(self.result["clean"])
        erased = self._table(self.result["margins"]["attribute"])
        whole = self._table(self.result["margins"]["whole"])
        random = [self._table(values) for kind, values in self.result["margins"].items() if kind.startswith("random")]
        self.checks = tuple(self._checks(clean))
        for group in others:
            column = self.groups.index(group)
            yield self._gap_removed(clean, erased, random, column)
            yield self._whole(clean, whole, column)
        for column, group in enumerate(self.groups):
            moved = clean[:, column] - erased[:, column]
            controls = [float((clean[:, column] - other[:, column]).mean()) for other in random]
            yield self._draft(
                self._mean(moved, "mean of margin minus margin with the attribute erased"),
                metric=EFFECT,
                group=group,
                unit="logit",
                counts={"random_mean": float(np.mean(controls)), "random_largest": max(map(abs, controls))},
            )
            yield self._draft(
                selection_rate(Tally.of(self._flipped(clean, erased)[:, column])),
                metric=FLIPS,
                group=group,
                unit="rate",
                counts={
                    "towards_favourable": int((self._flipped(clean, erased) & (erased > clean))[:, column].sum()),
                    "random_mean": float(np.mean([self._flipped(clean, other)[:, column].mean() for other in random])),
                },
            )

    def _gap_removed(self, clean: FloatArray, erased: FloatArray, random: Sequence[FloatArray], column: int) -> Draft:
        controls = [float(self._gaps(clean, column).mean() - self._gaps(other, column).mean()) for other in random]
        first, last = self.result["layers"]
        return self._draft(
            self._mean(
                self._gaps(clean, column) - self._gaps(erased, column),
                f"mean margin difference to the reference, clean minus erased after the field, "
                f"layers {first} to {last}",
            ),
            metric=GAP_REMOVED,
            group=self.groups[column],
            unit="logit",
            family=f"erasure of {self.result['field']}",
            counts={
                **self._gap_counts(clean, erased, column),
                "random_mean": float(np.mean(controls)),
                "random_largest": max(map(abs, controls)),
                "random_erasers": len(controls),
            },
        )

    def _whole(self, clean: FloatArray, erased: FloatArray, column: int) -> Draft:
        return self._draft(
            self._mean(
                self._gaps(clean, column) - self._gaps(erased, column),
                "mean margin difference to the reference, clean minus erased from the field on at every layer: as good "
                "as not stating the attribute",
            ),
            metric=WHOLE_REMOVED,
            group=self.groups[column],
            unit="logit",
            counts=self._gap_counts(clean, erased, column),
        )

    def _gaps(self, table: FloatArray, column: int) -> FloatArray:
        return np.asarray(table[:, column] - table[:, self.reference])

    def _gap_counts(self, clean: FloatArray, erased: FloatArray, column: int) -> dict[str, float | int | None]:
        before, after = float(self._gaps(clean, column).mean()), float(self._gaps(erased, column).mean())
        return {"gap": before, "gap_erased": after, "share": 1 - after / before if abs(before) > SMALLEST_GAP else None}

    def _relevant(self) -> Iterable[Draft]:
        relevant = self.result.get("relevant")
        if relevant is None:
            return
        clean, erased = np.array(relevant["clean"]), np.array(relevant["margins"])
        yield self._draft(
            self._mean(np.abs(clean - erased), "mean |margin minus margin with the field's number erased|"),
            metric=RELEVANT,
            group=self.result["reference"],
            unit="logit",
            counts={"flip_rate": float(self._flipped(clean, erased).mean()), "leftover": relevant["leftover"]},
            subject={"field": relevant["field"]},
        )

    def _mean(self, values: FloatArray, method: str) -> Estimate:
        return paired_mean(values, level=self.level, method=method)

    def _flipped(self, clean: FloatArray, erased: FloatArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
        threshold = self.context.plan.operating_point.natural_margin
        return np.asarray((clean >= threshold) != (erased >= threshold))

    def _table(self, margins: Sequence[float]) -> FloatArray:
        return np.array(margins, dtype=np.float64).reshape(-1, len(self.groups))

    def _checks(self, clean: FloatArray) -> Iterable[Check]:
        field = self.result["field"]
        apart = []
        for case, margins in zip(self.result["cases"], clean, strict=True):
            for group, margin in zip(self.groups, margins, strict=True):
                decision = self.context.decisions.get(f"{case}/{field}={group}") or self.context.decisions[case]
                apart.append(abs(margin - float(decision.margin or 0.0)))
        if self.result["exact"]:
            yield Check(
                "margin as decided",
                max(apart) <= TOLERANCE,
                max(apart),
                TOLERANCE,
                "largest difference in nats between the untouched margin here and the margin decided on",
            )
        leftover = self.result["leftover"]
        yield Check(
            "nothing linear is left",
            leftover <= LEFTOVER_BOUND,
            leftover,
            LEFTOVER_BOUND,
            "largest covariance with the attribute after erasure, as a share of before, where erasers were fitted",
        )
        kept = self.result["masses"]["attribute"] / self.result["mass"]
        yield Check(
            "answers keep their probability",
            kept >= MASS_KEPT,
            kept,
            MASS_KEPT,
            "probability on the answers after erasure, as a share of before: decisions that flip must not be damage",
        )

    def _draft(
        self,
        estimate: Estimate,
        *,
        metric: str,
        group: str,
        unit: str,
        subject: dict[str, str] | None = None,
        **more: Any,
    ) -> Draft:
        field = self.result["field"]
        reference = self.result["reference"]
        return Draft(
            measurement(
                estimate,
                test=self.test,
                metric=metric,
                role=Role.SUPPORTING,
                subject=subject or {"field": field, "group": group},
                reference=reference if group != reference else None,
                unit=unit,
                cases=f"role:{COUNTERFACTUAL}",
                level=self.level,
                **{"higher_is_better": None, "checks": self.checks, **more},
            )
        )
