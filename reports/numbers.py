"""How numbers, dates and hashes are printed: one way on pages, in charts and in the PDF."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from auditor.records import Measurement

MINUS = "\u2212"
DASH = "–"
MISSING = DASH
UNSIGNED = {
    "margin_sd",
    "noise_margin",
    "exchange_gap",
    "knockout_size",
    "knockout_window_size",
}  # spreads and sizes: they have no direction


def number(value: float | None, *, decimals: int, signed: bool = False) -> str:
    """A number with a true minus and thousands commas; a rounded zero has no sign; ``None`` is a dash.

    Parameters
    ----------
    value
        The number.
    decimals
        Digits after the point.
    signed
        Whether a positive number shows its sign.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{abs(value):,.{decimals}f}"
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
    return MISSING if value is None else number(100 * value, decimals=1) + "%"


def points(value: float | None, *, unit: bool = True) -> str:
    """A difference of rates in percentage points, always signed: ``−2.9 pp``."""
    if value is None:
        return MISSING
    return number(100 * value, decimals=1, signed=True) + (" pp" if unit else "")


def ratio(value: float | None) -> str:
    """A ratio: ``.83``, ``1.20``."""
    return _pointed(value, decimals=2)


def logit(value: float | None) -> str:
    """Log-odds (nats), signed, two decimals."""
    return number(value, decimals=2, signed=True)


def p_value(value: float | None) -> str:
    """A p-value: ``.62``, ``.007``, ``< .001``."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value < 0.001:
        return "< .001"
    return _pointed(value, decimals=3 if value < 0.0995 else 2)


def p_words(value: float, *, symbol: str = "p") -> str:
    """A p-value (or q) in a sentence: ``p = .007``, ``p < .001``."""
    text = p_value(value)
    return f"{symbol} {text}" if text.startswith("<") else f"{symbol} = {text}"


def estimate(measurement: Measurement) -> str:
    """The estimate in the print of its unit, unit sign included."""
    return _of(measurement, measurement.estimate, with_unit=True)


def interval(measurement: Measurement) -> str:
    """``[−4.1, −1.7]`` in the unit of the estimate, without the unit sign; a dash where there is none."""
    if measurement.low is None or measurement.high is None:
        return MISSING
    low, high = (_of(measurement, bound, with_unit=False) for bound in (measurement.low, measurement.high))
    return f"[{low}, {high}]"


def estimate_and_interval(measurement: Measurement) -> str:
    """``−2.9 [−4.1, −1.7]``, without the unit sign."""
    if measurement.estimate is None:
        return MISSING
    text = _of(measurement, measurement.estimate, with_unit=False)
    return text if measurement.low is None else f"{text} {interval(measurement)}"


def unit_name(measurement: Measurement) -> str:
    """The unit as a table's column says it."""
    names = {"rate": "%", "rate_difference": "pp", "sd": "SD", "ratio": "ratio", "logit": "logits", "share": ""}
    return names.get(measurement.unit, measurement.unit)


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
        return f"{octets / 1000:.1f} kB"
    return f"{octets / 1_000_000:.1f} MB"


def detectable(value: float | None, unit: str) -> str:
    """A smallest detectable difference in the unit of its effect, without sign and unit."""
    if value is None:
        return MISSING
    return number(100 * value, decimals=1) if unit in ("rate", "rate_difference") else _size(value)


def _of(measurement: Measurement, value: float | None, *, with_unit: bool) -> str:
    if value is not None and measurement.metric in UNSIGNED:
        return _size(value) + (f" {unit_name(measurement)}" if with_unit else "")
    return _in_unit(value, measurement.unit, with_unit=with_unit)


def _size(value: float) -> str:
    return "< 0.01" if 0 < value < 0.005 else number(value, decimals=2)


def _in_unit(value: float | None, unit: str, *, with_unit: bool) -> str:
    if value is None:
        return MISSING
    if unit in ("rate", "rate_difference"):
        shown = number(100 * value, decimals=1, signed=unit == "rate_difference")
        return shown + {"rate": "%", "rate_difference": " pp"}[unit] * with_unit
    if unit in ("ratio", "share"):
        return ratio(value)
    if unit == "count":
        return number(value, decimals=0 if float(value).is_integer() else 1)
    if unit == "people":
        return number(value, decimals=1, signed=True)
    names = {"logit": "logits", "sd": "SD"}
    return number(value, decimals=2, signed=True) + (f" {names.get(unit, unit)}" if with_unit and unit else "")


def _pointed(value: float | None, *, decimals: int) -> str:
    text = number(value, decimals=decimals)
    return text.replace("0.", ".", 1) if text.removeprefix(MINUS).startswith("0.") else text


def figure(value: float | None) -> str:
    """A figure of a self-check: small ones in powers of ten."""
    if value is None:
        return DASH
    return f"{value:.1e}".replace("-", MINUS) if 0 < abs(value) < 0.001 else number(value, decimals=3)
