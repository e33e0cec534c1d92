"""Customers who borrow twice are people still: their names are recognised however often each comes back."""

from __future__ import annotations

import polars as pl
import pytest

from auditor.recognition import recognise

FIRST = ("Anna", "Omar", "Li", "José", "Mary", "Tom", "Zoë", "Karl")
LAST = ("Schmidt", "Haddad", "Wei", "Novak")
PEOPLE = [f"{first} {last}" for first in FIRST for last in LAST]


@pytest.mark.parametrize("name", ["Kunde ", "CUSTOMER", "Antragsteller", "Cliente"])
def test_a_column_of_customers_is_recognised_where_each_has_several_rows(name: str) -> None:
    found = recognise(name, pl.Series(PEOPLE * 4))
    assert (found.role, found.why) == ("protected_proxy", "its values read as names of people")
    assert found.masked


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Customer", ["Private Person", "Small Business", "Public Body"] * 40),
        ("Customer Segment", PEOPLE * 4),
        ("Client", [f"{each} GmbH" for each in PEOPLE] * 4),
    ],
)
def test_what_only_looks_like_names_stays_as_it_is(name: str, values: list[str]) -> None:
    assert recognise(name, pl.Series(values)).role == "predictor"
