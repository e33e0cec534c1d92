"""Measurements of the dictionary: how well it rebuilds the states, and what the model still does with them rebuilt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from auditor.mechanisms.sae.rows import NoDictionary
from auditor.mechanisms.sae.spliced import CLEAN, IDENTITY, REBUILT, ZERO, Spliced
from auditor.mechanisms.sparse_features.result import DictionaryFound
from auditor.records import Check, Conclusion, Role
from auditor.statistics.results import Estimate, missing
from auditor.testing.context import Context
from auditor.testing.factory import measurement
from auditor.testing.unadjusted import UnadjustedMeasurement

UNEXPLAINED = "sparse_unexplained"
ACTIVE = "sparse_active_features"
DEAD = "sparse_dead_features"
MARGIN_RECOVERED = "sparse_margin_recovered"
ENTROPY_RECOVERED = "sparse_entropy_recovered"
Counts = dict[str, float | int | None]


def quality_measures(
    context: Context, result: DictionaryFound | NoDictionary, *, test: str
) -> Iterable[UnadjustedMeasurement]:
    """All measurements of the dictionary, or why there is none."""
    level = 1 - context.plan.thresholds.alpha
    if isinstance(result, NoDictionary):
        yield _drafted(
            missing(method="sparse autoencoder", reason=result.reason, n=0),
            test=test,
            level=level,
            metric=UNEXPLAINED,
            unit="share",
            conclusion=Conclusion.NOT_TESTED,
            conclusion_reason=result.reason,
        )
        return
    yield from _Quality(result, test=test, level=level, threshold=context.plan.operating_point.natural_margin).drafts()


class _Quality:
    """One dictionary; a margin from ``threshold`` on, in nats, is a favourable decision."""

    def __init__(self, result: DictionaryFound, *, test: str, level: float, threshold: float) -> None:
        self.result, self.test, self.level, self.threshold = result, test, level, threshold

    def drafts(self) -> Iterable[UnadjustedMeasurement]:
        yield from self._rebuilt()
        yield self._entropy_recovered()
        yield self._margin_recovered()

    def _rebuilt(self) -> Iterable[UnadjustedMeasurement]:
        """How well states are rebuilt, from how many features, and how many never act."""
        result, provenance = self.result, self.result.provenance
        counts: Counts = {
            "latents": result.latents,
            "training_rows": provenance.rows,
            "training_text_rows": provenance.text_rows,
            "training_tokens": provenance.tokens,
            "left_out": provenance.left_out,
            "held_out_applications": provenance.held_out,
        }
        unexplained = self._figure(result.fvu, "Σ‖x − x̂‖² / Σ‖x − mean‖² over tokens of held-out applications")
        apart = abs(result.fvu_again - result.fvu)
        check = Check(
            "unexplained variance by another way",
            apart <= result.fvu_rounding,
            apart,
            result.fvu_rounding,
            "dense codes in double precision against sparse sums; the bound is 10 times how far the figure moves with "
            "the size of batches, or one rounding of the states",
        )
        yield self._draft(
            unexplained, metric=UNEXPLAINED, unit="share", counts=counts, checks=(check,), **self._conclusion()
        )
        active = self._figure(result.l0, "mean number of active features a token, held-out applications")
        yield self._draft(active, metric=ACTIVE, unit="count", counts=counts)
        silent = "share of features active on no token of held-out applications"
        yield self._draft(self._figure(result.dead / result.latents, silent), metric=DEAD, unit="rate", counts=counts)

    def _conclusion(self) -> dict[str, Any]:
        """Why nothing is said of the features, or what is to be known of a dictionary from elsewhere."""
        if self.result.shortfall is not None:
            return {"conclusion": Conclusion.NOT_TESTED, "conclusion_reason": self.result.shortfall}
        notes = self.result.provenance.notes
        return {"conclusion_reason": "; ".join(notes)} if notes else {}

    def _entropy_recovered(self) -> UnadjustedMeasurement:
        spliced = self.result.spliced
        entropies = spliced.entropies
        clean, identity, rebuilt, zero = (
            float(np.mean(values))
            for values in (entropies.clean, entropies.identity, entropies.rebuilt, entropies.zero)
        )
        lost = zero - clean
        recovered = self._figure(
            (zero - rebuilt) / lost if lost > 0 else None,
            "(CE of zeros − CE of the reconstruction) / (CE of zeros − CE untouched), the prompts' own tokens",
            reason="zeros in place of the states do not raise the cross-entropy",
            n=spliced.applications,
        )
        counts: Counts = {CLEAN: clean, IDENTITY: identity, REBUILT: rebuilt, ZERO: zero}
        return self._draft(
            recovered, metric=ENTROPY_RECOVERED, unit="share", counts=counts, checks=_error_put_back(spliced)
        )

    def _margin_recovered(self) -> UnadjustedMeasurement:
        spliced, margins = self.result.spliced, self.result.spliced.margins
        value, reason, counts = None, spliced.no_margins or "", Counts()
        if margins is not None:
            clean, rebuilt, zero = map(np.array, (margins.clean, margins.rebuilt, margins.zero))
            away, far = np.abs(rebuilt - clean), np.abs(zero - clean)
            counts = {
                "mean_change": float(away.mean()),
                "mean_change_zeros": float(far.mean()),
                "same_decision": float(((rebuilt >= self.threshold) == (clean >= self.threshold)).mean()),
            }
            reason = "zeros in place of the states do not move the margin"
            value = float(1 - away.sum() / far.sum()) if far.sum() > 0 else None
        method = "1 − Σ|margin of the reconstruction − margin| / Σ|margin of zeros − margin|"
        return self._draft(
            self._figure(value, method, reason=reason, n=spliced.applications),
            metric=MARGIN_RECOVERED,
            unit="share",
            counts=counts,
            checks=_error_put_back(spliced),
        )

    def _figure(self, value: float | None, method: str, *, reason: str = "", n: int | None = None) -> Estimate:
        """A figure over tokens, or over ``n`` of something else, with the dictionary it is of."""
        result, provenance = self.result, self.result.provenance
        made = f"{result.kind} autoencoder, {provenance.source}, weights {provenance.sha256[:16]}"
        method, n = f"{method}; {made}", result.tokens if n is None else n
        return (
            missing(method=method, reason=reason, n=n) if value is None else Estimate(value=value, n=n, method=method)
        )

    def _draft(self, estimate: Estimate, **about: Any) -> UnadjustedMeasurement:
        layer = {"layer": str(self.result.layer)}
        return _drafted(estimate, test=self.test, level=self.level, subject=layer, **about)


def _error_put_back(spliced: Spliced) -> tuple[Check, ...]:
    note = (
        "largest difference of any logit, in nats, with reconstruction plus error in place of the states; "
        + spliced.identity_words
    )
    held = spliced.identity <= spliced.identity_bound
    return (Check("error put back changes nothing", held, spliced.identity, spliced.identity_bound, note),)


def _drafted(
    estimate: Estimate,
    *,
    test: str,
    level: float,
    metric: str,
    unit: str,
    subject: dict[str, str] | None = None,
    **more: Any,
) -> UnadjustedMeasurement:
    return UnadjustedMeasurement(
        measurement(
            estimate,
            test=test,
            metric=metric,
            unit=unit,
            subject=subject or {},
            role=Role.SUPPORTING,
            cases="",
            higher_is_better=None,
            level=level,
            **more,
        )
    )
