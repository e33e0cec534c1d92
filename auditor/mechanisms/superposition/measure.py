"""Measurements from superposition: overlap with credit fields against random features, and what it means in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from auditor.mechanisms._shared.feature_responses import Overlap
from auditor.mechanisms.superposition.null import Chance
from auditor.records import Check, Conclusion, Role
from auditor.statistics.minimums import draws_needed
from auditor.statistics.multiplicity import holm
from auditor.statistics.multiplicity import significant as at_level
from auditor.statistics.results import Estimate, Interval, Significance, missing
from auditor.testing.context import Context
from auditor.testing.factory import measurement
from auditor.testing.families import inside_family
from auditor.testing.unadjusted import UnadjustedMeasurement

PARTICIPATION = "superposition_dimensions_used"
PER_DIMENSION = "superposition_features_per_dimension"
COHERENCE = "superposition_coherence"
SHARED = "superposition_shared_features"
INTERFERENCE = "superposition_interference"
EXCESS = "superposition_excess"
SPACE = "superposition_shared_space"
SAME = 1e-6
"""Two ways to one number in double precision, relative."""
SLIGHT = 0.01
"""A difference of mean cosines below this is not spoken of."""
LEAST = 3
"""Applications with such a token, without which nothing is said."""
NO_REPLICATES = "no interval: applications share the directions and are not replicates"


def measures(context: Context, results: Sequence[Mapping[str, Any]], *, test: str) -> Iterable[UnadjustedMeasurement]:
    """All measurements of the run's dictionary."""
    for result in results:
        yield from _Measured(context, result, test).drafts()


class _Measured:
    """One dictionary."""

    def __init__(self, context: Context, result: Mapping[str, Any], test: str) -> None:
        self.result, self.test = result, test
        self.alpha = context.plan.thresholds.alpha
        self.level = 1 - self.alpha
        # The declared contrasts: every attribute of the plan, whether or not its features can be tested.
        self.contrasts = max(1, len(result.get("attributes", ())))
        self.adjusted = self._adjusted()

    def drafts(self) -> Iterable[UnadjustedMeasurement]:
        reason = self.result["reason"]
        if reason is not None:
            nothing = missing(method="geometry of a dictionary", reason=reason, n=0)
            yield self._draft(nothing, metric=COHERENCE, subject={"states": "no dictionary"}, unit="share")
            return
        yield from self._dictionary()
        for item in self.result["attributes"]:
            yield from self._attribute(item)

    def _dictionary(self) -> Iterable[UnadjustedMeasurement]:
        found, used = self.result["geometry"], self.result["participation"]
        subject = {"states": f"before layer {self.result['layer']}"}
        n = self.result["tokens"]
        again = self.result["participation_again"]
        yield self._draft(
            Estimate(value=used, n=n, method="participation ratio of the states, (Σλ)² / Σλ²"),
            metric=PARTICIPATION,
            subject=subject,
            unit="count",
            checks=(
                Check(
                    "dimensions used, from the covariance's eigenvalues",
                    abs(again - used) <= SAME * used,
                    abs(again - used),
                    SAME * used,
                    "the participation ratio by another way than the traces it is made of",
                ),
            ),
            counts={"width": found["width"]},
        )
        yield self._draft(
            Estimate(
                value=found["effective"] / found["width"],
                n=n,
                method="features in use, (Σe)² / Σe² over mean squared activations e, by width of the residual stream",
            ),
            metric=PER_DIMENSION,
            subject=subject,
            unit="ratio",
            counts={
                "features_that_act": found["features"],
                "latents": found["latents"],
                "effective_features": found["effective"],
                "dimensions_a_feature": found["dimensions_each"],
                "dimensions": found["dimensions"],
                "rank_at_most": min(found["features"], found["width"]),
            },
        )
        yield self._draft(
            Estimate(
                value=found["coherence"] if found["features"] > 1 else None,
                n=found["features"],
                method="largest |cos| between two directions",
                reason=None if found["features"] > 1 else f"{found['features']} features act, two have an angle",
            ),
            metric=COHERENCE,
            subject=subject,
            unit="share",
            checks=(
                Check(
                    "the closest pair, from its two directions alone",
                    abs(found["coherence_again"] - found["coherence"]) <= found["rounding"],
                    abs(found["coherence_again"] - found["coherence"]),
                    found["rounding"],
                    "computed again in double precision; the bound is what this width and precision can round",
                ),
            ),
            counts={"welch": found["welch"], "rms": found["rms"], "unexplained": self.result["unexplained"]},
        )

    def _attribute(self, item: Mapping[str, Any]) -> Iterable[UnadjustedMeasurement]:
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
            chance = _chance(item, field)
            reason = self._reason(item, field, found)
            if reason is not None or chance is None:
                said = reason or f"no feature carries {_words(attribute)} alone and acts beside one of the other kind"
                nothing = missing(method="mean |cos| where both act", reason=said, n=len(found.cosine))
                yield self._draft(nothing, metric=INTERFERENCE, subject=subject, unit="share", counts=counts)
                continue
            beside = {
                **counts,
                "applications": len(found.cosine),
                "random_mean": chance.mean,
                "random_low": chance.low,
                "random_high": chance.high,
                "draws": chance.draws,
                "draws_needed": self.needed,
                "smallest_stratum": chance.smallest,
            }
            overlap = "mean |cos| between features that act on the same token, by feature of the attribute"
            yield self._draft(
                Estimate(value=chance.value, n=chance.features, method=f"{overlap}; {NO_REPLICATES}"),
                metric=INTERFERENCE,
                subject=subject,
                unit="share",
                counts=beside,
                conclusion_reason=self._sentence(item, field, chance),
            )
            if field:
                continue
            yield self._excess(chance, subject, beside)
            share = "share of a direction inside the span of the credit features beside it"
            yield self._draft(
                Estimate(value=float(found.share.mean()), n=len(found.share), method=f"{share}; {NO_REPLICATES}"),
                metric=SPACE,
                subject=subject,
                unit="rate",
                counts={**counts, "random_mean": float(found.random_share.mean())},
            )

    @property
    def needed(self) -> int:
        """Different draws a test needs at the worst step of the family."""
        return draws_needed(alpha=self.alpha, family_size=max(1, self.contrasts), tails=2)

    def _excess(
        self, chance: Chance, subject: dict[str, str], counts: dict[str, float | int | None]
    ) -> UnadjustedMeasurement:
        method = "mean |cos| minus that of matched features in the attribute's place"
        value = chance.value - chance.mean
        reason = chance.too_few(self.needed)
        if reason is not None:
            return self._draft(
                Estimate(value=value, n=chance.features, method=method),
                metric=EXCESS,
                subject=subject,
                unit="cosine",
                counts=counts,
                family=inside_family(self.test),
                conclusion=Conclusion.INCONCLUSIVE,
                conclusion_reason=reason,
            )
        interval = Interval(
            min(value, chance.value - chance.high),
            max(value, chance.value - chance.low),
            self.level,
            "randomisation over matched features, unadjusted",
        )
        test = Significance(chance.p_value(), "randomisation over features of matched activity, strength and response")
        return self._draft(
            Estimate(value=value, n=chance.features, method=method, interval=interval, test=test),
            metric=EXCESS,
            subject=subject,
            unit="cosine",
            counts=counts,
            family=inside_family(self.test),
        )

    def _adjusted(self) -> dict[str, float | None]:
        """By attribute, the p-value of its overlap with all credit fields, adjusted as the family will be."""
        found: dict[str, float] = {}
        for item in self.result.get("attributes", ()):
            chance = _chance(item, "")
            if chance is not None and chance.too_few(self.needed) is None:
                testable = self._reason(item, "", Overlap.of(item["overlaps"][""])) is None
                if testable:
                    found[item["attribute"]] = chance.p_value()
        size = max(len(found), self.contrasts)
        return dict(zip(found, holm(list(found.values()), family_size=size), strict=True))

    def _reason(self, item: Mapping[str, Any], field: str, found: Overlap) -> str | None:
        if not item["features"]:
            return _silent(item["attribute"])
        if not item["credit"][field]:
            return f"no feature moves at the end of the prompt when {_words(field) or 'a credit field'} changes"
        if len(found.cosine) < LEAST:
            return f"in {len(found.cosine)} applications a feature of each kind and a third one act on one token"
        return None

    def _sentence(self, item: Mapping[str, Any], field: str, chance: Chance) -> str:
        """What it means, for somebody who does not read cosines."""
        one = f"{_words(item['attribute'])}"
        other = _words(field) if field else "credit fields"
        shared = item["shared"][field]
        same = f" {shared} of the {len(item['features'])} that carry {one} carry both." if shared else ""
        return (
            f"The directions that carry {one} and those that carry {other} overlap by {chance.value:.2f} where both "
            f"act (0 at right angles, 1 the same; features like them {chance.mean:.2f})"
            f"{self._than(item, chance) if not field else ''}.{same}"
        )

    def _than(self, item: Mapping[str, Any], chance: Chance) -> str:
        """The outcome of the test; single fields are described and not tested."""
        adjusted = self.adjusted.get(item["attribute"])
        if adjusted is None:
            return ": too few features to say whether that is chance"
        if not at_level(adjusted, alpha=self.alpha) or abs(chance.value - chance.mean) < SLIGHT:
            return ": no difference is shown"
        return f": {'more' if chance.value > chance.mean else 'less'} than features like them do"

    def _draft(
        self, estimate: Estimate, *, metric: str, subject: dict[str, str], unit: str, **more: Any
    ) -> UnadjustedMeasurement:
        orthogonal = self.result.get("orthogonal")
        checks: tuple[Check, ...] = more.pop("checks", ())
        if metric in (INTERFERENCE, EXCESS, SPACE) and orthogonal is not None:
            name = "directions at right angles give no interference"
            checks = (*checks, Check(name, orthogonal <= 1e-9, orthogonal, 1e-9))
        return UnadjustedMeasurement(
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
            ),
            family_size=self.contrasts,
        )


def _chance(item: Mapping[str, Any], field: str) -> Chance | None:
    row = item["chances"][field]
    return Chance(**row) if row is not None else None


def _silent(attribute: str) -> str:
    return f"no feature moves at the end of the prompt when {_words(attribute)} changes"


def _words(field: str) -> str:
    return field.replace("_", " ")
