"""One way to round a number for print: half away from zero, on the decimal value that the number shows.

Binary rounding prints 0.0625 as 0.062 and 0.125 as 0.12, since the half goes to the even digit. A reader who checks a
figure by hand rounds the decimal and away from zero, so that is what is printed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

_WIDE = Context(prec=400)  # any finite float; the default context refuses what has more than 28 digits


def half_away(value: float, decimals: int, *, percent: bool = False) -> Decimal:
    """``value`` rounded to ``decimals`` digits after the point, half away from zero.

    Parameters
    ----------
    value
        A finite number. Its shortest decimal form is what is rounded.
    decimals
        Digits after the point.
    percent
        Multiply by 100 first, in decimals: ``100 * 0.0725`` is 7.249999… in binary.
    """
    exact = Decimal(repr(float(value)))
    scaled = exact.scaleb(2) if percent else exact
    return scaled.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP, context=_WIDE)


def digits(low: float | None, high: float | None, *, least: int, more: int = 3) -> int:
    """Digits after the point with which an interval can be seen: ``[+0.01, +0.02]`` hides whether it is wide or narrow.

    The fewest, from ``least`` on and at most ``more`` further, with which the interval is five of its last digits wide
    and a bound that is not 0 does not print as 0.

    Parameters
    ----------
    low, high
        The bounds as they are printed, percentages already times 100; without both of them ``least`` is enough.
    """
    if low is None or high is None or not math.isfinite(high - low):
        return least
    able = range(least, least + more + 1)
    # A width that is five digits but for its last binary one is as wide.
    wide = next((many for many in able if high == low or (high - low) * (1 + 1e-9) >= 5 * 10.0**-many), able[-1])
    seen = (many for many in able if many >= wide and all(not end or half_away(end, many) for end in (low, high)))
    return next(seen, wide)


def in_words(bounds: tuple[float, float], texts: Sequence[str], *, less: str, more: str) -> str:
    """An interval of a difference in words, without signs: ``63 to 179 fewer``, ``63 fewer to 20 more``.

    Parameters
    ----------
    bounds
        Lower and upper bound, signed: they say which side each lies on.
    texts
        The same two without their signs, as they are printed.
    less, more
        What a negative and a positive difference are called.
    """
    (low, high), (first, last) = bounds, texts
    none = [not any(digit in text for digit in "123456789") for text in texts]
    if all(none):
        return first
    if low < 0 < high:
        # A side that rounds to nothing is still a side: "5 fewer to 0" would read as if none were more.
        ends = [f"under {_last_digit(text)}" if zero else text for text, zero in zip(texts, none, strict=True)]
        return f"{ends[0]} {less} to {ends[1]} {more}"
    return f"{first} to {last} {more}" if low >= 0 else f"{last} to {first} {less}"


def _last_digit(text: str) -> str:
    """One of the last digit of a number that is printed as 0: ``1`` of ``0``, ``0.1`` of ``0.0``."""
    return f"{text[:-1]}1"


def significant(value: float, digits: int) -> str:
    """A number with so many significant digits, half away from zero: 0.0625 with two is ``0.063``, not ``0.062``."""
    exact = Decimal(repr(float(value)))
    if not exact:
        return "0"
    rounded = exact.quantize(Decimal(1).scaleb(exact.adjusted() - digits + 1), rounding=ROUND_HALF_UP, context=_WIDE)
    return f"{float(rounded):.{digits}g}"


def printed(value: float, decimals: int, *, percent: bool = False) -> str:
    """The rounded number as text with thousands commas and an ASCII minus; a rounded zero has no sign."""
    rounded = half_away(value, decimals, percent=percent)
    return f"{rounded.copy_abs() if rounded == 0 else rounded:,f}"
