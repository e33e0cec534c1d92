"""Prices and amounts of favourable decisions: what the same yes cost, and how much it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from auditor.behaviour.metrics import (
    AMOUNT_GAP,
    AMOUNT_GAP_ADJUSTED,
    AMOUNT_GAP_ADJUSTED_SD,
    AMOUNT_GAP_SD,
    PRICE_GAP,
    PRICE_GAP_ADJUSTED,
    PRICE_GAP_ADJUSTED_SD,
    PRICE_GAP_SD,
)
from auditor.behaviour.observed.drafts import ObservedSheet, Pairing, sheet_of, untested
from auditor.observed.columns import Numbers
from auditor.observed.measures import amount_gaps
from auditor.statistics.minimums import GROUP, REFERENCE_GROUP, unmet
from auditor.statistics.results import Estimate, Interval, missing
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name="observed_prices",
    purpose="Whether applicants who were approved paid more, or got less, by group.",
    method=(
        "Among favourable decisions that state it: difference of means in its own unit (Welch), in SDs (resampled "
        "interval), and at equal legitimate factors (least squares, clustered errors). A price that only repeats "
        "another, shifted or scaled, is compared once."
    ),
    worrying="A dearer price or a smaller amount that stays at equal factors.",
    limitations=(
        "Only those who were approved have a price. Factors of pricing that the file lacks may make or hide a gap."
    ),
    references=("Interagency Fair Lending Examination Procedures (2009)",),
    needs_decision_file=True,
    label="Different applicants: prices and amounts",
    metrics=(
        Metric(PRICE_GAP, "Price gap", "", higher_is_better=False),
        Metric(PRICE_GAP_SD, "Price gap, in SD", "sd", higher_is_better=False),
        Metric(PRICE_GAP_ADJUSTED, "Price gap at equal factors", "", higher_is_better=False),
        Metric(PRICE_GAP_ADJUSTED_SD, "Price gap at equal factors, in SD", "sd", higher_is_better=False),
        Metric(AMOUNT_GAP, "Amount gap", "", higher_is_better=True),
        Metric(AMOUNT_GAP_SD, "Amount gap, in SD", "sd", higher_is_better=True),
        Metric(AMOUNT_GAP_ADJUSTED, "Amount gap at equal factors", "", higher_is_better=True),
        Metric(AMOUNT_GAP_ADJUSTED_SD, "Amount gap at equal factors, in SD", "sd", higher_is_better=True),
    ),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """The metrics of a price or of an amount: in its unit, in SDs, and both at equal factors."""

    plain: str
    in_sds: str
    adjusted: str
    adjusted_in_sds: str


PRICE = Kind(PRICE_GAP, PRICE_GAP_SD, PRICE_GAP_ADJUSTED, PRICE_GAP_ADJUSTED_SD)
AMOUNT = Kind(AMOUNT_GAP, AMOUNT_GAP_SD, AMOUNT_GAP_ADJUSTED, AMOUNT_GAP_ADJUSTED_SD)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Every price and amount, every group against its reference."""
    sheet = sheet_of(context, CARD, tests=2)
    if sheet is None or not (sheet.observed.prices or sheet.observed.amounts):
        yield untested(context, CARD, "the mapping names no price and no amount") if sheet else untested(context, CARD)
        return
    once = {part.name for part, _ in sheet.observed.repeated}
    parts = [(PRICE, part) for part in sheet.observed.prices if part.name not in once]
    parts += [(AMOUNT, part) for part in sheet.observed.amounts if part.name not in once]
    for pairing in sheet.pairings():
        for kind, part in parts:
            yield from _gaps(sheet, pairing, kind, part, size=sheet.size * len(parts))


def _gaps(
    sheet: ObservedSheet, pairing: Pairing, kind: Kind, part: Numbers, *, size: int
) -> Iterable[UnadjustedMeasurement]:
    found = amount_gaps(pairing.contrast, part, sheet.how)
    sizes = [int(found.plain.counts.get(name, 0)) for name in ("n_p", "n_0")]
    common: dict[str, Any] = {
        "subject": {**pairing.subject, "what": part.label},
        "reference": pairing.attribute.reference,
        "hidden": pairing.hidden or sheet.small(*sizes, of="approved applications that state it"),
        "short": unmet({GROUP: sizes[0], REFERENCE_GROUP: sizes[1]}),
    }
    unit = part.unit or "as stated"
    yield sheet.row(found.plain, metric=kind.plain, unit=unit, **common)
    yield sheet.row(found.in_sds, metric=kind.in_sds, judged=sheet.in_sds, size=size, of_pack=False, **common)
    adjusted = found.adjusted.difference
    yield sheet.row(adjusted, metric=kind.adjusted, unit=unit, **common)
    yield sheet.row(
        # The same SD as the plain gap's, so that both stand on one scale.
        _in_sds(adjusted, found.spread),
        metric=kind.adjusted_in_sds,
        judged=sheet.in_sds,
        size=size,
        of_pack=False,
        **common,
    )


def _in_sds(adjusted: Estimate, spread: float | None) -> Estimate:
    """A gap in its unit as one in SDs; missing where it is, or where there is no SD."""
    method = f"{adjusted.method}, over the pooled SD"
    if adjusted.value is None or not spread:
        return missing(method=method, reason=adjusted.reason or "there is no SD to divide by", n=adjusted.n)

    def over(interval: Interval | None) -> Interval | None:
        if interval is None:
            return None
        return Interval(interval.low / spread, interval.high / spread, interval.level, interval.method)

    return replace(
        adjusted,
        value=adjusted.value / spread,
        method=method,
        interval=over(adjusted.interval),
        tost_interval=over(adjusted.tost_interval),
    )
