"""Columns that say of one group who belongs to it: protected, masked, and one field where they are of one attribute."""

from __future__ import annotations

import polars as pl
import pytest

from auditor.mapping_inference import propose
from auditor.recognition import recognise

ROWS = 60


def frame(**columns: list[object]) -> pl.DataFrame:
    amounts = [1000 + 7 * number for number in range(ROWS)]
    return pl.DataFrame({**columns, "amount": amounts, "decision": ["approved", "declined", "approved"] * 20})


def every(number: int, *, of: int) -> list[object]:
    return [int(row % of == number) for row in range(ROWS)]


def test_several_of_one_attribute_are_one_field() -> None:
    races = {"race_white": every(0, of=3), "race_black": every(1, of=3)}
    table = frame(**races, applicant_sex_male=every(0, of=2), sex_female=every(1, of=2))
    fields = {item.name: item for item in propose(table, "t").mapping.fields}
    assert fields["race"].role == fields["sex"].role == "protected"
    assert fields["race"].one_of == {"race_white": "White", "race_black": "Black"}
    assert fields["sex"].one_of == {"applicant_sex_male": "Male", "sex_female": "Female"}


def test_where_a_row_is_in_two_each_stays_a_field() -> None:
    table = frame(race_white=every(0, of=2), race_black=every(0, of=3))
    fields = {item.column: item for item in propose(table, "t").mapping.fields if item.column}
    assert fields["race_white"].role == fields["race_black"].role == "protected"


@pytest.mark.parametrize(
    "name", ["hisp", "is_f", "minority", "Seniors", "ge62", "Black", "latino", "ethnicity_hisp", "age_over_62"]
)
@pytest.mark.parametrize("values", [[True, False], [0, 1], ["Y", "N"], ["TRUE", "FALSE"], ["0", "1"]])
def test_one_alone_is_protected(name: str, values: list[object]) -> None:
    found = recognise(name, pl.Series(values * 30))
    assert (found.role, found.masked) == ("protected", True)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sex_verified", ["Y", "N"]),
        ("black", ["ink", "toner"]),
        ("race_black", [1.5, 2.5]),
        ("f", [3, 4]),
        ("Senior", ["senior", "junior"]),
    ],
)
def test_what_says_of_no_group_who_belongs_to_it_is_left(name: str, values: list[object]) -> None:
    assert recognise(name, pl.Series(values * 30)).role == "predictor"
