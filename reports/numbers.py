"""How numbers, dates and hashes are printed: one way on pages, in charts and in the PDF."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from auditor.behaviour.metrics import (
    AMOUNT_GAP_ADJUSTED_SD,
    AMOUNT_GAP_SD,
    CF_AMOUNT_GAP_SD,
    PRICE_GAP_ADJUSTED_SD,
    PRICE_GAP_SD,
)
from auditor.records import Measurement
from auditor.rounding import digits, half_away, in_words, printed
from reports.labels import UNIT_LABELS, metrics

MINUS = "\u2212"
DASH = "–"
MISSING = DASH
IN_SDS_OF_AMOUNTS = (PRICE_GAP_SD, PRICE_GAP_ADJUSTED_SD, AMOUNT_GAP_SD, AMOUNT_GAP_ADJUSTED_SD, CF_AMOUNT_GAP_SD)


def number(value: float | None, *, decimals: int, signed: bool = False, percent: bool = False) -> str:
    """A number with a true minus and thousands commas, halves away from zero; ``None`` is a dash.

    A rounded zero has no sign.

    Parameters
    ----------
    value
        The number.
    decimals
        Digits after the point.
    signed
        Whether a positive number shows its sign.
    percent
        Whether to print a hundred times the value.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    text = printed(abs(value), decimals, percent=percent)
    if not any(digit in text for digit in "123456789"):
        return text
    if value < 0:
        return MINUS + text
    return "+" + text if signed else text


def count(value: float | None) -> str:
    """A whole number: ``2,380``."""
    return number(value, decimals=0)


def people(value: float | None, *, small_cell: int) -> str:
    """A count of people; a cell below the small-cell rule prints as ``< 11``."""
    if value is not None and 0 < value < small_cell:
        return f"< {small_cell}"
    return count(value)


def rate(value: float | None) -> str:
    """A share as a percentage: ``82.6%``."""
    return MISSING if value is None else number(value, decimals=1, percent=True) + "%"


def points(value: float | None, *, unit: bool = True) -> str:
    """A difference of rates in percentage points, always signed: ``−2.9 pp``."""
    if value is None:
        return MISSING
    return number(value, decimals=1, percent=True, signed=True) + (" pp" if unit else "")


def ratio(value: float | None) -> str:
    """A ratio: ``0.83``, ``1.20``; it may exceed 1, so that its nought stands."""
    return number(value, decimals=2)


def share(value: float | None) -> str:
    """What cannot exceed 1, as the level of a test or a share of something: ``.05``."""
    return _pointed(value, decimals=2)


def exact(value: float) -> str:
    """A share as a plan names it, with every digit it has: ``.5``, ``.001``; two decimals would print that as none."""
    digits = f"{Decimal(repr(value)):f}"
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits).removeprefix("0") or "0"


def logit(value: float | None) -> str:
    """Log-odds (nats), signed, two decimals."""
    return number(value, decimals=2, signed=True)


def p_value(value: float | None) -> str:
    """A p-value: ``.62``, ``.007``, ``< .001``."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value < 0.001:
        return "< .001"
    return _pointed(value, decimals=3 if half_away(value, 3) < Decimal("0.1") else 2)


def p_words(value: float, *, symbol: str = "p") -> str:
    """A p-value (or q) in a sentence: ``p = .007``, ``p < .001``."""
    text = p_value(value)
    return f"{symbol} {text}" if text.startswith("<") else f"{symbol} = {text}"


def estimate(measurement: Measurement) -> str:
    """The estimate in the print of its unit, unit sign included."""
    return _of(measurement, measurement.estimate, with_unit=True)


def interval(measurement: Measurement) -> str:
    """``[−4.1, −1.7]`` in the unit of the estimate, without the unit sign; a dash where there is none."""
    low, high = (
        None if bound is None else _of(measurement, bound, with_unit=False)
        for bound in (measurement.low, measurement.high)
    )
    if low is None and high is None:
        return MISSING
    if low is None:
        return f"≤ {high}"
    return f"≥ {low}" if high is None else f"[{low}, {high}]"


def estimate_and_interval(measurement: Measurement) -> str:
    """``−2.9 [−4.1, −1.7]``, without the unit sign."""
    if measurement.estimate is None:
        return MISSING
    text, bounds = _of(measurement, measurement.estimate, with_unit=False), interval(measurement)
    return text if bounds == MISSING else f"{text} {bounds}"


def in_unit_of(measurement: Measurement, value: float | None) -> str:
    """Another figure in the print of a measurement's unit, without the unit sign."""
    return _of(measurement, value, with_unit=False)


def digits_of(measurement: Measurement) -> int:
    """Digits after the point of an estimate and its bounds: as many as its interval, or it alone, needs to be seen."""
    in_points = measurement.unit in ("rate", "rate_difference")
    scale, least = (100, 1) if in_points else (1, 2)
    ends = (measurement.low, measurement.high)
    if None in ends:
        ends = (measurement.estimate, measurement.estimate)  # what is not 0 does not print as 0
    bounds = (None if bound is None else scale * bound for bound in ends)
    return digits(*bounds, least=least)


def size_of(measurement: Measurement, value: float) -> str:
    """A figure of a measurement without its sign and unit, a rate in points: ``2.9``."""
    in_points = measurement.unit in ("rate", "rate_difference")
    return number(abs(value), decimals=digits_of(measurement), percent=in_points)


def between(measurement: Measurement, *, less: str, more: str) -> str:
    """An interval in words: ``1.7 to 4.1 fewer``, ``1.1 fewer to 0.3 more``; empty without both bounds."""
    if measurement.low is None or measurement.high is None:
        return ""
    low, high = measurement.low, measurement.high
    texts = [size_of(measurement, low), size_of(measurement, high)]
    return in_words((low, high), texts, less=less, more=more)


def unit_name(measurement: Measurement) -> str:
    """The unit as a table's column says it."""
    if measurement.metric in IN_SDS_OF_AMOUNTS:
        return "SD"
    return UNIT_LABELS.get(measurement.unit, measurement.unit.replace("_", " "))


def date(iso: str | None) -> str:
    """``21 Nov 2026, 11:12 UTC`` from an ISO time; a dash for none."""
    if not iso:
        return MISSING
    moment = datetime.fromisoformat(iso)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def short_hash(digest: str | None) -> str:
    """First eight … last six characters."""
    if not digest:
        return MISSING
    return digest if len(digest) <= 16 else f"{digest[:8]}…{digest[-6:]}"


def size(octets: int) -> str:
    """A file size in bytes, kB or MB."""
    if octets < 1000:
        return f"{octets} B"
    if octets < 1_000_000:
        return f"{printed(octets / 1000, 1)} kB"
    return f"{printed(octets / 1_000_000, 1)} MB"


def detectable(value: float | None, unit: str) -> str:
    """A smallest detectable difference in the unit of its effect, without sign and unit."""
    if value is None:
        return MISSING
    if unit in ("rate", "rate_difference"):
        return number(value, decimals=1, percent=True)
    # A ratio is no size: it prints as the effect beside it does.
    return ratio(value) if unit == "ratio" else _size(value)


def _of(measurement: Measurement, value: float | None, *, with_unit: bool) -> str:
    if value is not None and not _signed(measurement.metric):
        return _size(value) + (f" {unit_name(measurement)}" if with_unit else "")
    return _in_unit(value, measurement.unit, with_unit=with_unit, decimals=digits_of(measurement))


def _signed(metric: str) -> bool:
    on_card = metrics().get(metric)
    return on_card is None or on_card.signed


def _size(value: float) -> str:
    return "< 0.01" if 0 < value < 0.005 else number(value, decimals=2)


def _in_unit(value: float | None, unit: str, *, with_unit: bool, decimals: int) -> str:
    if value is None:
        return MISSING
    if unit in ("rate", "rate_difference"):
        shown = number(value, decimals=decimals, percent=True, signed=unit == "rate_difference")
        return shown + {"rate": "%", "rate_difference": " pp"}[unit] * with_unit
    if unit in ("ratio", "share"):
        return (number if unit == "ratio" else _pointed)(value, decimals=decimals)
    if unit == "count":
        return number(value, decimals=0 if float(value).is_integer() else 1)
    if unit == "people":
        return number(value, decimals=1, signed=True)
    # Beside a label that says of what: a cell has no room for the whole name.
    name = "SD" if unit == "sd" else UNIT_LABELS.get(unit, unit.replace("_", " "))
    return number(value, decimals=decimals, signed=True) + (f" {name}" if with_unit and name else "")


def _pointed(value: float | None, *, decimals: int) -> str:
    text = number(value, decimals=decimals)
    return text.replace("0.", ".", 1) if text.removeprefix(MINUS).startswith("0.") else text


def figure(value: float | None) -> str:
    """A figure of a self-check: small ones in powers of ten."""
    if value is None:
        return DASH
    return f"{value:.1e}".replace("-", MINUS) if 0 < abs(value) < 0.001 else number(value, decimals=3)


def percent(value: float | None, *, decimals: int = 1) -> str:
    """A hundred times a share, without its sign: ``82.6``."""
    return number(value, decimals=decimals, percent=True)


def level(value: float) -> str:
    """The level of an interval: ``95%``, ``99.5%``."""
    text = printed(value, 2, percent=True)
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def interval_head(measurements: Iterable[Measurement]) -> str:
    """What a column of intervals is called: ``95% interval``; ``Interval`` where they are at several levels."""
    levels = sorted({item.level for item in measurements if item.low is not None and item.high is not None})
    return f"{level(levels[0])} interval" if len(levels) == 1 else "Interval"


def several_levels(measurements: Iterable[Measurement]) -> str:
    """A sentence that names the levels where a column's intervals have several; else nothing."""
    levels = sorted({item.level for item in measurements if item.low is not None and item.high is not None})
    return f"Intervals are at {', '.join(level(item) for item in levels)}." if len(levels) > 1 else ""
