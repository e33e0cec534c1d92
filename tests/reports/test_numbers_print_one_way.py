from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.rounding import half_away
from reports import numbers

HALVES = st.decimals(min_value="-9999", max_value="9999", places=5, allow_nan=False, allow_infinity=False)
FINITE = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (numbers.rate(0.8264), "82.6%"),
        (numbers.points(-0.0291), "−2.9 pp"),
        (numbers.points(0.021), "+2.1 pp"),
        (numbers.points(-0.0001), "0.0 pp"),
        (numbers.ratio(0.8312), "0.83"),
        (numbers.share(0.8312), ".83"),
        (numbers.ratio(1.2), "1.20"),
        (numbers.logit(-0.904), "−0.90"),
        (numbers.p_value(0.0072), ".007"),
        (numbers.p_value(0.0004), "< .001"),
        (numbers.p_value(0.62), ".62"),
        (numbers.p_value(1.0), "1.00"),
        (numbers.count(2380), "2,380"),
        (numbers.people(7, small_cell=11), "< 11"),
        (numbers.people(0, small_cell=11), "0"),
        (numbers.people(11, small_cell=11), "11"),
        (numbers.date("2026-11-21T12:12:00+01:00"), "21 Nov 2026, 11:12 UTC"),
        (numbers.short_hash("c41b7f09" + "0" * 50 + "9d04b7"), "c41b7f09…9d04b7"),
        (numbers.rate(None), "–"),
        (numbers.p_value(0.0625), ".063"),
        (numbers.p_value(0.125), ".13"),
        (numbers.p_value(0.0995), ".10"),
        (numbers.points(-0.0725), "−7.3 pp"),
        (numbers.percent(0.285, decimals=0), "29"),
        (numbers.logit(-0.125), "−0.13"),
        (numbers.level(0.95), "95%"),
        (numbers.level(0.9875), "98.75%"),
    ],
)
def test_a_number_prints_as_the_look_says(printed: str, expected: str) -> None:
    assert printed == expected


@given(FINITE, st.integers(0, 4))
def test_a_printed_number_reads_back_within_half_a_digit(value: float, decimals: int) -> None:
    text = numbers.number(value, decimals=decimals, signed=True)
    back = float(text.replace(numbers.MINUS, "-").replace(",", ""))
    assert abs(back - value) <= 0.5 * 10**-decimals + 1e-6


@given(FINITE, st.integers(0, 4))
def test_no_number_has_an_ascii_minus_or_a_signed_zero(value: float, decimals: int) -> None:
    text = numbers.number(value, decimals=decimals, signed=True)
    assert "-" not in text
    assert any(digit in text for digit in "123456789") or text[0] not in "+−"


@given(st.floats(min_value=1e-9, max_value=1e6))
def test_both_directions_print_the_same_digits(value: float) -> None:
    against, towards = numbers.points(-value), numbers.points(value)
    assert against.lstrip("−") == towards.lstrip("+")


@given(st.floats(min_value=0, max_value=1))
def test_a_p_value_never_prints_as_zero(value: float) -> None:
    text = numbers.p_value(value)
    assert text == "< .001" or float(text) > 0


@given(st.integers(0, 10_000), st.integers(2, 50))
def test_a_count_below_the_small_cell_rule_is_never_printed(value: int, small_cell: int) -> None:
    text = numbers.people(value, small_cell=small_cell)
    assert (text == f"< {small_cell}") == (0 < value < small_cell)


@given(HALVES, st.integers(0, 4), st.booleans())
def test_a_number_is_rounded_as_its_decimal_is_by_hand(value: Decimal, decimals: int, percent: bool) -> None:
    by_hand = (value * 100 if percent else value).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    assert half_away(float(value), decimals, percent=percent) == by_hand
    text = numbers.number(float(value), decimals=decimals, percent=percent)
    assert Decimal(text.replace(numbers.MINUS, "-").replace(",", "")) == by_hand


@given(FINITE.filter(lambda value: abs(value) > 1e-4), st.integers(0, 4))
def test_both_signs_print_the_same_digits(value: float, decimals: int) -> None:
    digits = [numbers.number(side, decimals=decimals).lstrip(numbers.MINUS) for side in (value, -value)]
    assert digits[0] == digits[1]
