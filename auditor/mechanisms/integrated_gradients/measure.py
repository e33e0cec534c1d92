"""Measurements of integrated gradients: sizes by field over applications, and by contrast the whole difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared import attribution_measures
from auditor.mechanisms._shared.attribution_measures import GRADIENT, PATH, sizes
from auditor.mechanisms._shared.decision_checks import as_decided
from auditor.mechanisms._shared.pair_measures import OfContrast, slope
from auditor.mechanisms.integrated_gradients.card import CARD
from auditor.mechanisms.integrated_gradients.paths import COMPLETE
from auditor.mechanisms.integrated_gradients.result import Contrasted, Explained, NotExplained, Result
from auditor.records import Check
from auditor.statistics.results import missing
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

SUM = "attributions sum to the difference of the margins"


def measures(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """All measurements: of the applications together, then of every contrast."""
    applications = [result for result in results if not isinstance(result, Contrasted)]
    if applications:
        yield from _fields(context, applications)
    for result in results:
        if isinstance(result, Contrasted):
            yield from _contrast(OfContrast.of(context, result, test=CARD.name), result)


def sum_check(total: float, gap: float, floor: NoiseFloor) -> Check:
    """Against the difference by the model's own forward pass: the path stops where it meets its own ends."""
    bound = max(COMPLETE * abs(gap), floor.bound)
    note = f"nats, within {COMPLETE:.0%} of the difference by the model's own forward pass"
    return Check(SUM, abs(total - gap) <= bound, abs(total - gap), bound, note)


def _contrast(found: OfContrast, result: Contrasted) -> Iterable[UnadjustedMeasurement]:
    pairs = result.pairs
    yield found.measured(
        metric="path_sum",
        subject={},
        unit="logit",
        value=lambda: float(np.mean([pair.sum for pair in pairs])),
        method="mean sum of the attributions over the pairs whose margins differ and whose sum is complete: what the "
        "change of group does to the margin there",
        needs_gap=False,
    )
    yield found.measured(
        metric="first_order_share",
        subject={},
        unit="ratio",
        value=lambda: slope(np.array([pair.first_order for pair in pairs]), found.gaps),
        method="share of the difference that the gradient at the changed prompt alone accounts for",
    )


def _fields(context: Context, results: Sequence[Explained | NotExplained]) -> Iterable[UnadjustedMeasurement]:
    """The same measures as field attribution, over the applications whose reference aligns."""
    cases = tuple(result for result in results if isinstance(result, Explained))
    refused = sorted({result.reason for result in results if isinstance(result, NotExplained)})
    if not cases:
        nothing = missing(method=SUM, reason="; ".join(refused), n=0)
        empty = _explained(context, results, cases, method=PATH, checks=())
        yield empty.measured(nothing, metric="protected_share", unit="rate", higher_is_better=False)
        return
    floor = cases[0].noise
    checks = [sum_check(case.sum, case.own_gap, floor) for case in cases]
    worst = max(checks, key=lambda check: (check.value or 0.0) / (check.bound or 1.0))
    # Where the margin of first tokens is read, it is not what is decided on.
    decided = () if cases[0].note else (_as_decided(context, cases, floor),)
    yield from sizes(_explained(context, results, cases, method=PATH, checks=(*decided, worst)))
    yield from sizes(_explained(context, results, cases, method=GRADIENT, checks=decided))


def _as_decided(context: Context, cases: Sequence[Explained], floor: NoiseFloor) -> Check:
    return as_decided(context, ((case.id, case.margin) for case in cases), noise=floor, which="margin explained")


def _explained(
    context: Context,
    results: Sequence[Explained | NotExplained],
    cases: tuple[Explained, ...],
    *,
    method: str,
    checks: tuple[Check, ...],
) -> attribution_measures.Explained:
    return attribution_measures.Explained(
        context=context,
        test=CARD.name,
        method=method,
        players=results[0].players,
        reference=f"{results[0].reference.name}, as many tokens",
        reference_words={},
        cases=cases,
        checks=checks,
        left_out=len(results) - len(cases),
        note=cases[0].note if cases else "",
    )
