"""An amount is read in the form its locale writes, whole, or not at all."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.readouts.amount import AmountGrammar, read_amount
from auditor.readouts.reading import ReadAs
from auditor.systems.asking import Finish, Response

DOLLARS = AmountGrammar(unit="USD", marks=("$", "USD"))
EUROS = AmountGrammar(unit="EUR", marks=("€", "EUR"), decimal=",", thousands=".")
FRANCS = AmountGrammar(unit="CHF", marks=("CHF",), thousands="'")
SPACED = AmountGrammar(unit="EUR", marks=("€",), decimal=",", thousands=" ")
PERCENT = AmountGrammar(unit="%", marks=("%",), marked=True, most=Decimal(100))
IN_JSON = AmountGrammar(unit="USD", marks=("$",), key="amount")


def value(text: str, grammar: AmountGrammar) -> Decimal | None:
    reading = read_amount(Response(text=text), grammar)
    assert reading.text == text
    assert (reading.value is None) == (reading.read is not ReadAs.VALUE)
    return reading.value


@pytest.mark.parametrize(
    ("text", "grammar", "expected"),
    [
        ("250000", DOLLARS, "250000"),
        ("$250,000.50", DOLLARS, "250000.50"),
        (" 250,000 USD ", DOLLARS, "250000"),
        ("1.234", DOLLARS, "1.234"),
        ("1.234", EUROS, "1234"),
        ("1.234,5 €", EUROS, "1234.5"),
        ("12'500", FRANCS, "12500"),
        ("12\u202f500,25 €", SPACED, "12500.25"),
        ("4.5 %", PERCENT, "4.5"),
        ('{"amount": 12.5}', IN_JSON, "12.5"),
        ('{"amount": "$1,200"}', IN_JSON, "1200"),
        ("0", DOLLARS, "0"),
    ],
)
def test_a_number_of_the_locale_is_read(text: str, grammar: AmountGrammar, expected: str) -> None:
    assert value(text, grammar) == Decimal(expected)


@pytest.mark.parametrize(
    ("text", "grammar"),
    [
        ("1,23", DOLLARS),
        ("1,00,000", DOLLARS),
        ("1.234.567", DOLLARS),
        ("1,234", EUROS.__class__(unit="EUR", decimal=",", thousands=".", most=Decimal(1))),
        ("12.34", EUROS),
        ("250k", DOLLARS),
        ("2.5 million", DOLLARS),
        ("between 100 and 200", DOLLARS),
        ("100 200", DOLLARS),
        ("100-200", DOLLARS),
        ("about 100", DOLLARS),
        ("€100", DOLLARS),
        ("$100 USD", DOLLARS),
        ("-5", DOLLARS),
        ("0123", DOLLARS),
        ("1e5", DOLLARS),
        ("٣٤", DOLLARS),
        ("4.5", PERCENT),
        ("101 %", PERCENT),
        ('{"amount": true}', IN_JSON),
        ('{"amount": 1e400}', IN_JSON),
        ('{"amount": NaN}', IN_JSON),
        ('{"amount": null}', IN_JSON),
        ('{"limit": 5}', IN_JSON),
        ("", DOLLARS),
    ],
)
def test_anything_else_is_unreadable(text: str, grammar: AmountGrammar) -> None:
    reading = read_amount(Response(text=text), grammar)
    assert (reading.read, reading.value) == (ReadAs.UNREADABLE, None)
    assert reading.reason


def test_a_number_in_a_refusal_is_no_refusal_and_no_amount() -> None:
    assert read_amount(Response(text="I cannot offer more than 5000"), DOLLARS).read is ReadAs.UNREADABLE
    assert read_amount(Response(text="I cannot say."), DOLLARS).read is ReadAs.REFUSED


@given(cents=st.integers(0, 10**14))
def test_what_a_locale_writes_is_read_back_to_the_cent(cents: int) -> None:
    number = Decimal(cents) / 100
    american = f"{number:,.2f}"
    assert value(f"${american}", DOLLARS) == number
    german = american.translate(str.maketrans({",": ".", ".": ","}))
    assert value(f"{german} €", EUROS) == number
    assert value(american.replace(",", "'"), FRANCS) == number


@given(text=st.text(alphabet="0123456789.,' $-", max_size=12))
def test_a_number_is_never_read_from_marks_in_wrong_places(text: str) -> None:
    read = value(text, DOLLARS)
    if read is not None:
        bare = text.strip().removeprefix("$").removesuffix("$").strip()
        whole, _, part = bare.partition(".")
        groups = whole.split(",")
        assert all(len(group) == 3 for group in groups[1:])
        assert Decimal("".join(groups) + (f".{part}" if part else "")) == read


def test_a_cut_off_number_is_unreadable() -> None:
    assert read_amount(Response(text="250", finish=Finish.LENGTH), DOLLARS).reason == "the answer was cut off"


@pytest.mark.parametrize("marks", [{"decimal": ",", "thousands": ","}, {"decimal": "·"}, {"marked": True}])
def test_a_locale_that_reads_two_ways_is_refused(marks: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        AmountGrammar(unit="USD", **marks)  # type: ignore[arg-type]
