"""One way to round a number for print: half away from zero, on the decimal value that the number shows.

Binary rounding prints 0.0625 as 0.062 and 0.125 as 0.12, since the half goes to the even digit. A reader who checks a
figure by hand rounds the decimal and away from zero, so that is what is printed.
"""

from __future__ import annotations

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
