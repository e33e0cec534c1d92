"""Measurements from superposition: overlap with credit fields against random features, and what it means in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from auditor.behaviour.context import EXPLORATORY_FAMILY, Context, Draft, FloatArray
from auditor.behaviour.fill import measurement
from auditor.measures.results import Estimate, missing
from auditor.mechanisms.paired_means import mean_share, paired_mean
from auditor.mechanisms.responses import Overlap
from auditor.mechanisms.sae.geometry import ROUNDING
from auditor.records import Check, Role

PARTICIPATION = "superposition_dimensions_used"
PER_DIMENSION = "superposition_features_per_dimension"
COHERENCE = "superposition_coherence"
SHARED = "superposition_shared_features"
INTERFERENCE = "superposition_interference"
EXCESS = "superposition_excess"
SPACE = "superposition_shared_space"
RANDOM = "features picked at random"
SLIGHT = 0.01
"""A difference of mean cosines below this is not spoken of."""
LEAST = 3
"""Applications without which no interval is drawn."""


def measures(context: Context, results: Sequence[Mapping[str, Any]], *, test: str) -> Iterable[Draft]:
    """All measurements of the run's dictionary."""
    for result in results:
        yield from _Measured(context, result, test).drafts()


class _Measured:
    """One dictionary."""

    def __init__(self, context: Context, result: Mapping[str, Any], test: str) -> None:
        self.result, self.test = result, test
        self.level = 1 - context.plan.thresholds.alpha

    def drafts(self) -> Iterable[Draft]:
        reason = self.result["reason"]
        if reason is not None:
            nothing = missing(method="geometry of a dictionary", reason=reason, n=0)
            yield self._draft(nothing, metric=COHERENCE, subject={"states": "no dictionary"}, unit="share")
            return
        yield from self._dictionary()
        for item in self.result["attributes"]:
            yield from self._attribute(item)

    def _dictionary(self) -> Iterable[Draft]:
        found, used = self.result["geometry"], self.result["participation"]
        subject = {"states": f"before layer {self.result['layer']}"}
        n = self.result["tokens"]
        within = Check("dimensions used are between 1 and the width", 1 - 1e-9 <= used <= found["width"] + 1e-6, used)
        yield self._draft(
            Estimate(value=used, n=n, method="participation ratio of the states, (Σλ)² / Σλ²"),
            metric=PARTICIPATION,
            subject=subject,
            unit="count",
            checks=(replace(within, bound=float(found["width"])),),
            counts={"width": found["width"]},
        )
        rank = min(found["features"], found["width"])
        yield self._draft(
            Estimate(
                value=found["effective"] / found["width"],
                n=n,
                method="features in use, (Σe)² / Σe² over mean squared activations e, by dimensions of the stream",
            ),
            metric=PER_DIMENSION,
            subject=subject,
            unit="ratio",
            checks=(
                Check(
                    "dimensions of all features add up to at most the rank",
                    found["dimensions"] <= rank * (1 + ROUNDING),
                    found["dimensions"],
                    float(rank),
                ),
            ),
            counts={
                "features_that_act": found["features"],
                "latents": found["latents"],
                "effective_features": found["effective"],
                "dimensions_a_feature": found["dimensions_each"],
            },
        )
        yield self._draft(
            Estimate(value=found["coherence"], n=found["features"], method="largest |cos| between two directions"),
            metric=COHERENCE,
            subject=subject,
            unit="share",
            checks=tuple(
                Check(f"{name} is not under Welch's bound", found[key] >= found["welch"] - ROUNDING, found[key])
                for name, key in (("the largest cosine", "coherence"), ("the root mean square cosine", "rms"))
            ),
            counts={"welch": found["welch"], "rms": found["rms"], "unexplained": self.result["unexplained"]},
        )

    def _attribute(self, item: Mapping[str, Any]) -> Iterable[Draft]:
        attribute = item["attribute"]
        for field, row in item["overlaps"].items():
            found = Overlap.of(row)
            carriers, shared = len(item["features"]), item["shared"][field]
            counts: dict[str, float | int | None] = {
                "features": carriers,
                "credit_features": len(item["credit"][field]),
                "shared_features": shared,
                "pairs": found.pairs,
                "welch": self.result["geometry"]["welch"],
            }
            subject = {"attribute": attribute, **({"field": field} if field else {})}
            if not field:
                yield self._draft(
                    Estimate(
                        value=shared / carriers if carriers else None,
                        n=carriers,
                        method="share of the attribute's features that a credit field also moves",
                        reason=None if carriers else _silent(attribute),
                    ),
                    metric=SHARED,
                    subject=subject,
                    unit="rate",
                    counts=counts,
                )
            reason = self._reason(item, field, found)
            if reason is not None:
                nothing = missing(method="mean |cos| where both act", reason=reason, n=len(found.cosine))
                yield self._draft(nothing, metric=INTERFERENCE, subject=subject, unit="share", counts=counts)
                continue
            beside = {**counts, "random_mean": float(found.random.mean())}
            apart = paired_mean(found.cosine - found.random, level=self.level, method="mean |cos| minus that of random")
            yield self._draft(
                self._mean(found.cosine, "mean |cos| between features that act on the same token"),
                metric=INTERFERENCE,
                subject=subject,
                unit="share",
                counts=beside,
                conclusion_reason=self._sentence(item, field, found, apart),
            )
            if field:
                continue
            yield self._draft(
                apart, metric=EXCESS, subject=subject, unit="cosine", counts=beside, family=EXPLORATORY_FAMILY
            )
            yield self._draft(
                self._mean(found.share, "share of a direction inside the span of the credit features beside it"),
                metric=SPACE,
                subject=subject,
                unit="rate",
                counts={**counts, "random_mean": float(found.random_share.mean())},
            )

    def _mean(self, values: FloatArray, method: str) -> Estimate:
        return mean_share(values, level=self.level, method=method, by="application")

    def _reason(self, item: Mapping[str, Any], field: str, found: Overlap) -> str | None:
        if not item["features"]:
            return _silent(item["attribute"])
        if not item["credit"][field]:
            return f"no feature moves at the end of the prompt when {_words(field) or 'a credit field'} changes"
        if len(found.cosine) < LEAST:
            return f"in {len(found.cosine)} applications a feature of each kind and a third one act on one token"
        return None

    def _sentence(self, item: Mapping[str, Any], field: str, found: Overlap, apart: Estimate) -> str:
        """What it means, for somebody who does not read cosines."""
        one = f"{_words(item['attribute'])}"
        other = _words(field) if field else "credit fields"
        interval = apart.interval
        if interval is None or interval.low <= 0 <= interval.high or abs(apart.value or 0.0) < SLIGHT:
            than = "no more and no less than directions picked at random do"
        elif interval.low > 0:
            than = "more than directions picked at random do"
        else:
            than = "less than directions picked at random do"
        shared = item["shared"][field]
        same = f" {shared} of the {len(item['features'])} that carry {one} carry both." if shared else ""
        return (
            f"The directions that carry {one} and those that carry {other} overlap by {found.cosine.mean():.2f} where "
            f"both act (0 at right angles, 1 the same; random ones {found.random.mean():.2f}): {than}.{same}"
        )

    def _draft(self, estimate: Estimate, *, metric: str, subject: dict[str, str], unit: str, **more: Any) -> Draft:
        orthogonal = self.result.get("orthogonal")
        checks: tuple[Check, ...] = more.pop("checks", ())
        if metric in (INTERFERENCE, EXCESS, SPACE) and orthogonal is not None:
            name = "directions at right angles give no interference"
            checks = (*checks, Check(name, orthogonal <= 1e-9, orthogonal, 1e-9))
        return Draft(
            measurement(
                estimate,
                test=self.test,
                metric=metric,
                role=Role.SUPPORTING,
                subject=subject,
                unit=unit,
                cases="role:actual",
                higher_is_better=None,
                level=self.level,
                checks=checks,
                **more,
            )
        )


def _silent(attribute: str) -> str:
    return f"no feature moves at the end of the prompt when {_words(attribute)} changes"


def _words(field: str) -> str:
    return field.replace("_", " ")
