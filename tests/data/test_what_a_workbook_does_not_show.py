"""Formats with conditions or words, and what is hidden: read as it is stored, and said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from auditor.tables import Reading, Table, read_table


def table_of(folder: Path, change: Callable[[Any], object], *, code: str = "", sheet: str = "") -> Table:
    book = openpyxl.Workbook()
    own = book.active
    for row in (["rate", "sex"], [0.185, "F"], [7, "M"]):
        own.append(row)
    if code:
        own["A2"].number_format = own["A3"].number_format = code
    change(book)
    path = folder / "loans.xlsx"
    book.save(path)
    return read_table(path, reading=Reading(sheet=sheet))


@pytest.mark.parametrize("code", ["[<1]0.0%;0", "[>=1000]0.0,;0", '[=0]"none";0.00'])
def test_a_format_that_depends_on_the_number_is_said_and_the_number_kept(tmp_path: Path, code: str) -> None:
    table = table_of(tmp_path, lambda book: None, code=code)
    assert table.frame["rate"].to_list() == [0.185, 7]
    assert table.notes == (
        f"column 'rate': the format {code!r} shows numbers differently by their size, first in cell A2: the number is "
        "read as it is stored",
    )


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ('0" days"', "days"),
        ('0;-0;"n/a"', "n/a"),
        ('"Score "0', "Score"),
        ('General" months"', "months"),
        (r"0\x", "x"),
    ],
)
def test_words_in_a_format_are_said(tmp_path: Path, code: str, word: str) -> None:
    table = table_of(tmp_path, lambda book: None, code=code)
    assert table.frame["rate"].to_list() == [0.185, 7]
    assert f"shows {word!r} beside numbers, first in cell A2" in table.notes[0]


@pytest.mark.parametrize("code", ["0.00", "#,##0", "0%", '"$"#,##0', '_($* #,##0.00_);_($* "-"_)', "[Red]0"])
def test_formats_that_lose_nothing_need_no_line(tmp_path: Path, code: str) -> None:
    assert table_of(tmp_path, lambda book: None, code=code).notes == ()


def test_hidden_columns_and_sheets_are_said(tmp_path: Path) -> None:
    def hide(book: Any) -> None:
        book.active.column_dimensions["B"].hidden = True
        for state in ("hidden", "veryHidden"):
            book.create_sheet(state)["A1"] = None
            book[state].sheet_state = state

    assert table_of(tmp_path, hide).notes == (
        "sheet 'Sheet' of 3 read",
        "2 hidden sheets not read: hidden, veryHidden",
        "column 'sex' is hidden in the sheet and read like the others",
    )


def test_a_hidden_sheet_that_is_read_is_said(tmp_path: Path) -> None:
    def hide(book: Any) -> None:
        book.create_sheet("Front")
        book["Sheet"].sheet_state = "hidden"
        book.active = 1

    table = table_of(tmp_path, hide)
    assert table.frame.height == 2
    assert "sheet 'Sheet' is hidden in the workbook" in table.notes
