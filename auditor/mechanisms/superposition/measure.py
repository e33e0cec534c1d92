"""Measurements from superposition: overlap with credit fields against random features, and what it means in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from auditor.mechanisms.sae.rows import NoDictionary
from auditor.mechanisms.superposition.null import Chance
from auditor.mechanisms.superposition.result import Beside, Carried, Shared
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
Counts = dict[str, float | int | None]
NO_REPLICATES = "no interval: applications share the directions and are not replicates"


def measures(
    context: Context, results: Sequence[Shared | NoDictionary], *, test: str
) -> Iterable[UnadjustedMeasurement]:
    """All measurements of the run's dictionary."""
    alpha = context.plan.thresholds.alpha
    for result in results:
        if isinstance(result, NoDictionary):
            yield _nothing(result, test=test, level=1 - alpha)
        else:
            yield from _Measured(result, test=test, alpha=alpha).drafts()


def _nothing(result: NoDictionary, *, test: str, level: float) -> UnadjustedMeasurement:
    """Why there is no dictionary to measure."""
    estimate = missing(method="geometry of a dictionary", reason=result.reason, n=0)
    subject = {"states": "no dictionary"}
    return _drafted(
        estimate, test=test, level=level, metric=COHERENCE, subject=subject, unit="share", checks=(), family_size=1
    )


class _Measured:
    """One dictionary."""

    def __init__(self, result: Shared, *, test: str, alpha: float) -> None:
        self.result, self.test = result, test
        self.alpha = alpha
        self.level = 1 - self.alpha
        # The declared contrasts: every attribute of the plan, whether or not its features can be tested.
        self.contrasts = max(1, len(result.attributes))
        self.adjusted = self._adjusted()

    def drafts(self) -> Iterable[UnadjustedMeasurement]:
        yield from self._dictionary()
        for carried in self.result.attributes:
            yield from self._together(carried)
            for one in sorted(carried.fields, key=lambda one: one.field):
                yield self._interference(carried, one)

    def _dictionary(self) -> Iterable[UnadjustedMeasurement]:
        found, used = self.result.angles, self.result.participation
        subject = {"states": f"before layer {self.result.layer}"}
        n = self.result.tokens
        again = self.result.participation_again
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
            counts={"width": found.width},
        )
        yield self._draft(
            Estimate(
                value=found.effective / found.width,
                n=n,
                method="features in use, (Σe)² / Σe² over mean squared activations e, by width of the residual stream",
            ),
            metric=PER_DIMENSION,
            subject=subject,
            unit="ratio",
            counts={
                "features_that_act": found.features,
                "latents": found.latents,
                "effective_features": found.effective,
                "dimensions_a_feature": found.dimensions_each,
                "dimensions": found.dimensions,
                "rank_at_most": min(found.features, found.width),
            },
        )
        yield self._draft(
            Estimate(
                value=found.coherence if found.features > 1 else None,
                n=found.features,
                method="largest |cos| between two directions",
                reason=None if found.features > 1 else f"{found.features} features act, two have an angle",
            ),
            metric=COHERENCE,
            subject=subject,
            unit="share",
            checks=(
                Check(
                    "the closest pair, from its two directions alone",
                    abs(found.coherence_again - found.coherence) <= found.rounding,
                    abs(found.coherence_again - found.coherence),
                    found.rounding,
                    "computed again in double precision; the bound is what this width and precision can round",
                ),
            ),
            counts={"welch": found.welch, "rms": found.rms, "unexplained": self.result.unexplained},
        )

    def _together(self, carried: Carried) -> Iterable[UnadjustedMeasurement]:
        """An attribute beside all credit fields together, whose overlap is tested."""
        one, carriers = carried.together, len(carried.features)
        subject, counts = _subject(carried, one), self._counts(carried, one)
        yield self._draft(
            Estimate(
                value=one.shared / carriers if carriers else None,
                n=carriers,
                method="share of the attribute's features that a credit field also moves",
                reason=None if carriers else _silent(carried.attribute),
            ),
            metric=SHARED,
            subject=subject,
            unit="rate",
            counts=counts,
        )
        yield self._interference(carried, one)
        if one.chance is None or _reason(carried, one) is not None:
            return
        yield self._excess(one.chance, subject, self._beside(carried, one, one.chance))
        method = f"share of a direction inside the span of the credit features beside it; {NO_REPLICATES}"
        yield self._draft(
            Estimate(value=float(np.mean(one.overlap.share)), n=one.overlap.applications, method=method),
            metric=SPACE,
            subject=subject,
            unit="rate",
            counts={**counts, "random_mean": float(np.mean(one.overlap.random_share))},
        )

    def _interference(self, carried: Carried, one: Beside) -> UnadjustedMeasurement:
        """How far an attribute's directions and some credit fields' overlap, or why that is not known."""
        subject, chance = _subject(carried, one), one.chance
        reason = _reason(carried, one)
        if reason is not None or chance is None:
            alone = f"no feature carries {_words(carried.attribute)} alone and acts beside one of the other kind"
            nothing = missing(method="mean |cos| where both act", reason=reason or alone, n=one.overlap.applications)
            return self._draft(
                nothing, metric=INTERFERENCE, subject=subject, unit="share", counts=self._counts(carried, one)
            )
        overlap = "mean |cos| between features that act on the same token, by feature of the attribute"
        return self._draft(
            Estimate(value=chance.value, n=chance.features, method=f"{overlap}; {NO_REPLICATES}"),
            metric=INTERFERENCE,
            subject=subject,
            unit="share",
            counts=self._beside(carried, one, chance),
            conclusion_reason=self._sentence(carried, one, chance),
        )

    def _counts(self, carried: Carried, one: Beside) -> Counts:
        return {
            "features": len(carried.features),
            "credit_features": len(one.features),
            "shared_features": one.shared,
            "pairs": one.overlap.pairs,
            "welch": self.result.angles.welch,
        }

    def _beside(self, carried: Carried, one: Beside, chance: Chance) -> Counts:
        """The counts with those of matched features."""
        return {
            **self._counts(carried, one),
            "applications": one.overlap.applications,
            "random_mean": chance.mean,
            "random_low": chance.low,
            "random_high": chance.high,
            "draws": chance.draws,
            "draws_needed": self.needed,
            "smallest_stratum": chance.smallest,
        }

    @property
    def needed(self) -> int:
        """Different draws a test needs at the worst step of the family."""
        return draws_needed(alpha=self.alpha, family_size=max(1, self.contrasts), tails=2)

    def _excess(self, chance: Chance, subject: dict[str, str], counts: Counts) -> UnadjustedMeasurement:
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
        for carried in self.result.attributes:
            chance = carried.together.chance
            if chance is None or chance.too_few(self.needed) is not None:
                continue
            if _reason(carried, carried.together) is None:
                found[carried.attribute] = chance.p_value()
        size = max(len(found), self.contrasts)
        return dict(zip(found, holm(list(found.values()), family_size=size), strict=True))

    def _sentence(self, carried: Carried, one: Beside, chance: Chance) -> str:
        """What it means, for somebody who does not read cosines."""
        name = _words(carried.attribute)
        other = _words(one.field) if one.field else "credit fields"
        same = f" {one.shared} of the {len(carried.features)} that carry {name} carry both." if one.shared else ""
        return (
            f"The directions that carry {name} and those that carry {other} overlap by {chance.value:.2f} where both "
            f"act (0 at right angles, 1 the same; features like them {chance.mean:.2f})"
            f"{self._than(carried, chance) if not one.field else ''}.{same}"
        )

    def _than(self, carried: Carried, chance: Chance) -> str:
        """The outcome of the test; single fields are described and not tested."""
        adjusted = self.adjusted.get(carried.attribute)
        if adjusted is None:
            return ": too few features to say whether that is chance"
        if not at_level(adjusted, alpha=self.alpha) or abs(chance.value - chance.mean) < SLIGHT:
            return ": no difference is shown"
        return f": {'more' if chance.value > chance.mean else 'less'} than features like them do"

    def _draft(
        self,
        estimate: Estimate,
        *,
        metric: str,
        subject: dict[str, str],
        unit: str,
        checks: tuple[Check, ...] = (),
        **more: Any,
    ) -> UnadjustedMeasurement:
        orthogonal = self.result.orthogonal
        if metric in (INTERFERENCE, EXCESS, SPACE) and orthogonal is not None:
            name = "directions at right angles give no interference"
            checks = (*checks, Check(name, orthogonal <= 1e-9, orthogonal, 1e-9))
        return _drafted(
            estimate,
            test=self.test,
            level=self.level,
            metric=metric,
            subject=subject,
            unit=unit,
            checks=checks,
            family_size=self.contrasts,
            **more,
        )


def _drafted(
    estimate: Estimate,
    *,
    test: str,
    level: float,
    metric: str,
    subject: dict[str, str],
    unit: str,
    checks: tuple[Check, ...],
    family_size: int,
    **more: Any,
) -> UnadjustedMeasurement:
    return UnadjustedMeasurement(
        measurement(
            estimate,
            test=test,
            metric=metric,
            role=Role.SUPPORTING,
            subject=subject,
            unit=unit,
            cases="role:actual",
            higher_is_better=None,
            level=level,
            checks=checks,
            **more,
        ),
        family_size=family_size,
    )


def _subject(carried: Carried, one: Beside) -> dict[str, str]:
    return {"attribute": carried.attribute, **({"field": one.field} if one.field else {})}


def _reason(carried: Carried, one: Beside) -> str | None:
    """Why nothing is said of the overlap; ``None`` where something is."""
    if not carried.features:
        return _silent(carried.attribute)
    if not one.features:
        return f"no feature moves at the end of the prompt when {_words(one.field) or 'a credit field'} changes"
    if one.overlap.applications < LEAST:
        return f"in {one.overlap.applications} applications a feature of each kind and a third one act on one token"
    return None


def _silent(attribute: str) -> str:
    return f"no feature moves at the end of the prompt when {_words(attribute)} changes"


def _words(field: str) -> str:
    return field.replace("_", " ")
