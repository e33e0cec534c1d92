"""Dates in several forms, days written as numbers, points that part thousands: said, or read as they are meant."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from auditor.column_guesses import ColumnGuess, guess_columns
from auditor.date_guesses import about_days
from auditor.number_forms import NumberForm
from auditor.proposals import proposed

GERMAN = NumberForm(decimal=",", thousands=".")


def guesses(folder: Path, delimiter: str, head: str, *lines: str, name: str = "t.csv") -> dict[str, ColumnGuess]:
    path = folder / name
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return dict(guess_columns(proposed(path, "t").table))


def test_points_before_three_digits_part_thousands_where_commas_part_decimals(tmp_path: Path) -> None:
    found = guesses(tmp_path, ";", "betrag;zins", "1.234;3,5", "5.678;4,25", "9.012;5,75")
    assert found["betrag"].form == GERMAN
    assert found["betrag"].values.to_list() == [1234, 5678, 9012]
    assert "as the rest of the file is written" in found["betrag"].reasons[0]


def test_so_they_do_where_another_column_has_two_of_them(tmp_path: Path) -> None:
    found = guesses(tmp_path, "\t", "amount\tturnover", "1.234\t20.000.000", "5.678\t1.500.000", name="t.tsv")
    assert found["amount"].values.to_list() == [1234, 5678]


@pytest.mark.parametrize("other", [("0.037", "0.125"), ("1.5", "2.25")])
def test_they_part_decimals_where_another_column_leaves_no_doubt(tmp_path: Path, other: tuple[str, str]) -> None:
    found = guesses(tmp_path, ";", "rate;factor", f"1.234;{other[0]}", f"5.678;{other[1]}")
    assert found["rate"].values.to_list() == [1.234, 5.678]
    assert "is taken for the decimal mark" in found["rate"].reasons[0]


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-05-01", "05/06/2024"],
        ["2024-05-01 00:00:00", "14/05/2024"],
        ["01.02.2024", "3-Mar-24"],
        ["20240501", "05/06/2024"],
        ["45413", "2024-05-01"],
        ["May 3, 2024", "2024-05-01"],
    ],
)
def test_dates_in_several_forms_are_said(tmp_path: Path, texts: list[str]) -> None:
    lines = [f"{text}|{at}" for at, text in enumerate(texts * 3)]
    (said,) = guesses(tmp_path, "|", "opened|id", *lines)["opened"].reasons
    assert said.startswith("dates in 2 forms, such as ")


@pytest.mark.parametrize("texts", [["13-23-33", "10-20-30"], ["2024-05-01", "open"], ["1999", "2024-05-01"]])
def test_what_is_no_date_is_called_none(tmp_path: Path, texts: list[str]) -> None:
    lines = [f"{text}|{at}" for at, text in enumerate(texts * 3)]
    assert not [line for line in guesses(tmp_path, "|", "code|id", *lines)["code"].reasons if "date" in line]


@pytest.mark.parametrize(
    ("name", "numbers", "said"),
    [
        ("open_dt", [20240101, 20240228, 20250315], "days written as one number"),
        ("q7", [20240101, 20240228, 20250315], "days written as one number"),
        ("yyyymm", [202401, 202402, 202512], "months written as one number"),
        ("Eröffnet", [45292, 45293, 45294], "days as spreadsheets count them"),
        ("amount", [20240101, 20241301, 20250315], ""),
        ("amount", [202401, 202402, 202512], ""),
        ("balance", [45292, 45293, 45294], ""),
    ],
)
def test_days_written_as_numbers_are_said(name: str, numbers: list[int], said: str) -> None:
    found = about_days(name, pl.Series(name, numbers))
    assert said in found
    assert bool(said) == bool(found)


def test_digits_that_a_spreadsheet_lost_are_said(tmp_path: Path) -> None:
    found = guesses(
        tmp_path, ";", "konto;reise;betrag", *[f"1,2345{at}E+15;4.5678E+1{at};- {at}" for at in range(1, 7)]
    )
    assert "its last digits are lost: export the column as text" in found["konto"].reasons[0]
    assert "its last digits are lost" in found["reise"].reasons[0]
    assert "numbers with blanks in them" in found["betrag"].reasons[0]


def test_signs_that_stand_for_a_lost_value_are_proposed_as_missing(tmp_path: Path) -> None:
    lines = [f"{('########', '2024-01-01')[at % 2]};{('#REF!', '12', '15')[at % 3]};{at}" for at in range(12)]
    found = guesses(tmp_path, ";", "opened;amount;id", *lines)
    assert found["opened"].missing == ("########",)
    assert found["amount"].missing == ("#REF!",)
    assert "'########' in 6 rows" in found["opened"].reasons[0]
    assert found["amount"].values.drop_nulls().to_list() == [12, 15] * 4
