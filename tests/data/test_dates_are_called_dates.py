"""Dates with points are not called numbers whose marks disagree."""

from __future__ import annotations

import polars as pl

from auditor.column_guesses import guess_columns
from auditor.tables import as_table


def test_dates_with_points_are_kept_as_text_and_nothing_is_said_against_them() -> None:
    days = ["01.02.1950", "13.03.1961", "28.11.1972", "05.06.1983"]
    guess = guess_columns(as_table(pl.DataFrame({"Geburtsdatum": days})))["Geburtsdatum"]
    assert guess.values.to_list() == days
    assert not [line for line in guess.reasons if "marks" in line]
