"""The table of docs/data.md, line by line: a file for each, and what comes out of it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from auditor.exceptions import DataError
from auditor.tables import NO_HEADER, Reading, Table, read_table
from tests.data.books import MAIN, workbook

DOCUMENT = Path(__file__).parents[2] / "docs" / "data.md"


def documented() -> dict[tuple[str, str], str]:
    """What becomes of what, by format."""
    text = DOCUMENT.read_text(encoding="utf-8")
    table = text[text.index("| format | what | becomes |") :].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
    return {(form, what): becomes for form, what, becomes in rows}


def parquet(**columns: Any) -> bytes:
    target = io.BytesIO()
    pl.DataFrame(columns).write_parquet(target)
    return target.getvalue()


def book(
    *rows: list[Any],
    formats: Mapping[str, str] | None = None,
    merge: str = "",
    change: Callable[[Any], object] | None = None,
) -> bytes:
    made, target = openpyxl.Workbook(), io.BytesIO()
    sheet = made.active
    for row in rows:
        sheet.append(row)
    for cell, code in (formats or {}).items():
        sheet[cell].number_format = code
    if merge:
        sheet.merge_cells(merge)
    if change:
        change(made)
    made.save(target)
    return target.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
FORMULA = (
    f'<worksheet xmlns="{MAIN}"><sheetData><row><c t="inlineStr"><is><t>a</t></is></c></row>'
    "<row><c><f>6*7</f><v>42</v></c></row></sheetData></worksheet>"
).encode()
CODES = ["02134", "2E1", "1.10", "+5", "1_000", "4111111111111111"]
HEAD = ["a", "b"]
NANOSECONDS = ["2024-01-02 00:00:00.000000000"]
#: Lines about what a key of [reading] does.
SAID: Mapping[tuple[str, str], Reading] = {
    ("text", 'the same with `encoding = "utf-8"`'): Reading(encoding="utf-8"),
    ("text, workbook", "no names, `header = false`"): Reading(header=NO_HEADER),
}
SOME_BAD = "a,b\nJosé,x\nZoë,y\n".encode() + b"Ren\xe9,z\n"
#: For every line: the file, and the values of its first column, a part of a note, or of a refusal (with a "!").
LINES: Mapping[tuple[str, str], list[tuple[str, bytes, Any]]] = {
    ("text", "any field"): [("x.csv", ("a,b\n" + "".join(f"{code},x\n" for code in CODES)).encode(), CODES)],
    ("text", "empty field, or spaces alone"): [("x.csv", b"a,b\n,x\n  ,y\n", [None, None])],
    ("text", "line without a value"): [("x.csv", b"a,b\n1,x\n,\n\n2,y\n", "2 lines without a value left out: 3, 4")],
    ("text, workbook", "the column names once more; a line of dashes"): [
        ("x.csv", b"a,b\n1,x\na,b\n2,y\n", ["1", "2"]),
        ("x.csv", b"a,b\n1,x\na,b\n2,y\n", "1 line with the column names again left out: 3"),
        ("x.csv", b"a,b\n--,---\n1,x\n", "1 line of dashes left out: 2"),
        ("x.xlsx", book(HEAD, [1, "x"], HEAD, [2, "y"]), [1, 2]),
    ],
    ("text, workbook", "a second line of names, or one of units"): [
        ("x.csv", b"a,b\nEUR,\n1,x\n2,y\n", ["EUR", "1", "2"]),
        ("x.xlsx", book(HEAD, ["EUR", None], [1, "x"], [2, "y"]), "row 2 seems to hold names or units"),
    ],
    ("text", "UTF-16 without its mark"): [
        ("x.csv", "a,b\nä,x\n".encode("utf-16-le"), '!encoding = "utf-16-le" under [reading]'),
    ],
    ("text", "HTML, XML, JSON, UTF-32, archives, databases"): [
        ("x.csv", b"<table><tr><td>a</td></tr></table>", "!is HTML or XML"),
        ("x.csv", b'{"a": 1}\n', "!is JSON"),
        ("x.csv", "a,b\n1,x\n".encode("utf-32"), "!is text in UTF-32"),
        ("x.csv", b"PK\x03\x04 and more", "!is a ZIP archive"),
        ("x.csv", b"SQLite format 3\0", "!is a database"),
    ],
    ("text", 'column whose every cell is `="…"`'): [
        ("x.csv", b'a,b\n="007",x\n', ["007"]),
        ("x.csv", b'a,b\n="007",x\n', "read as the text within"),
    ],
    ("Parquet", "decimals"): [
        ("x.parquet", parquet(a=pl.Series([Decimal("1000.50")], dtype=pl.Decimal(18, 2))), [1000.5]),
        ("x.parquet", parquet(a=pl.Series([Decimal(10**18 + 1)], dtype=pl.Decimal(38, 0))), [str(10**18 + 1)]),
    ],
    ("Parquet", "dates and times of any unit"): [
        ("x.parquet", parquet(a=pl.Series([datetime(2024, 1, 2)], dtype=pl.Datetime("ns"))), NANOSECONDS),
        (
            "x.parquet",
            parquet(a=pl.Series([datetime(2024, 1, 2)], dtype=pl.Datetime("ms"))),
            ["2024-01-02 00:00:00.000"],
        ),
    ],
    ("text", "UTF-8, with or without its mark; UTF-16 with its mark"): [
        ("x.csv", "a,b\nä,x\n".encode("utf-8-sig"), ["ä"]),
        ("x.csv", "a,b\nä,x\n".encode("utf-16"), "read as utf-16"),
    ],
    ("text", "other bytes"): [
        ("x.csv", b"a,b\nJos\xe9,x\n", "!encoding = \"cp1252\" under [reading] if it says 'José'")
    ],
    ("text", "UTF-8 but for some bytes"): [
        ("x.csv", SOME_BAD, "!1 cell holds bytes that are not UTF-8, as the rest is: line 4 in column 'a'")
    ],
    ("text", 'the same with `encoding = "utf-8"`'): [
        ("x.csv", SOME_BAD, "column 'a' holds bytes that are not UTF-8 in line 4 and cannot be used")
    ],
    ("text", "comma; tab in `.tsv`; a first line `sep=;`"): [
        ("x.csv", b"a,b\n1;5,x\n", ["1;5"]),
        ("x.tsv", b"a\tb\n1,5\tx\n", ["1,5"]),
        ("x.txt", b"sep=;\na;b\n1,5;x\n", "'sep=;', names the delimiter"),
    ],
    ("text", "semicolons, tabs, bars"): [
        ("x.csv", f"a{mark}b\n1{mark}x\n".encode(), "!under [reading]") for mark in ";\t|"
    ],
    ("text", "text above the names"): [("x.csv", b"May\na,b,c\n1,x,2\n2,y,3\n", "!header = 2 under [reading]")],
    ("text, workbook", "a first line that looks like a record"): [
        ("x.csv", b"620,F,yes\n580,M,no\n", "!line 1: seems to be a record and not the column names: '620' stands"),
        ("x.xlsx", book(["F", "yes"], ["M", "no"], ["F", "no"]), "!'F' stands again in column 1; expected header = fa"),
    ],
    ("text, workbook", "no names, `header = false`"): [
        ("x.csv", b"620,F,yes\n580,M,no\n", ["620", "580"]),
        ("x.csv", b"620,F,yes\n580,M,no\n", "the columns are called 'column 1' to 'column 3'"),
        ("x.xlsx", book(["F", 1], ["M", 2]), ["F", "M"]),
    ],
    ("text", "records with another delimiter than the rest, or cut short"): [
        ("x.csv", b"a,b,c\n1,x,2\n2;y;3\n3;y;4\n", "!2 records (line 3, 4) would fit with ';' between fields"),
        ("x.csv", b"a,b,c\n1,x,2\n2\n3,y,4\n", "!line 3: has 1 field; expected 3"),
    ],
    ("text", "lines of another width below the records"): [
        ("x.csv", b"a,b,c\n1,x,2\n2,y,3\nSum: 5\n", "!last = 3 under [reading]")
    ],
    ("text, workbook", 'last record that says "Total", also with every cell filled'): [
        ("x.csv", b"a,b,c\n1,x,2\n2,y,3\nTotal,2,5\n", "line 4 seems to be a total ('Total')"),
        ("x.csv", b"a,b,c\n1,x,2\n2,y,3\nTotal,,5\n", "line 4 seems to be a total ('Total')"),
        ("x.xlsx", book(["a", "b", "c"], [1, "x", 2], ["Total", None, 5]), "row 3 seems to be a total ('Total')"),
    ],
    ("text, workbook", "column with neither name nor value"): [
        ("x.csv", b"a,b,,\n1,x,,\n", "2 columns with neither a name nor a value left out: 3, 4"),
        ("x.xlsx", workbook({"s": [["a", None, "b"], [1, None, 2]]}), "1 column with neither a name nor a value"),
    ],
    ("text, workbook", "column with values and no name"): [
        ("x.csv", b",b,c\n7,x,y\n", "column 1 has no name: it is called 'column 1'"),
        ("x.xlsx", book([None, "b", "c"], [7, "x", "y"]), "column 1 has no name: it is called 'column 1'"),
    ],
    ("text, workbook, Parquet", "two columns of one name"): [
        ("x.csv", b"a, a\n1,x\n", "!columns 1 and 2 are both called 'a'"),
        ("x.xlsx", book(["a", "a "], [1, 2]), "!columns 1 and 2 are both called 'a'"),
        ("x.parquet", parquet(**{"a": [1], "a ": [2]}), "!columns 1 and 2 are both called 'a'"),
    ],
    ("Parquet", "text column, also of digits"): [("x.parquet", parquet(a=["1", "02"]), ["1", "02"])],
    ("Parquet", "bytes that are UTF-8"): [
        ("x.parquet", parquet(a=["ä".encode()]), ["ä"]),
        ("x.parquet", parquet(a=[b"x"]), "column 'a' is bytes without the mark of text: read as UTF-8"),
    ],
    ("Parquet", "whole numbers beyond 2^53"): [("x.parquet", parquet(a=[2**60, 1]), [str(2**60), "1"])],
    ("Parquet", '"not a number"'): [("x.parquet", parquet(a=[float("nan"), 1.5], b=[1, 2]), [None, 1.5])],
    ("Parquet", "the index of a pandas table (`__index_level_0__`)"): [
        ("x.parquet", parquet(__index_level_0__=[5, 9]), [5, 9]),
        ("x.parquet", parquet(__index_level_0__=[5, 9]), "is the index of a pandas table, not a field of it"),
    ],
    ("Parquet", "list, structure, duration, infinity, other bytes, date no calendar has"): [
        ("x.parquet", parquet(z=[1], **{"a": [value]}), "and cannot be used")
        for value in ([1], {"x": 1}, timedelta(days=1), float("inf"), b"\xff")
    ],
    ("workbook", "number, truth value, text"): [
        ("x.xlsx", book(HEAD, [1, "x"], [2.5, "y"]), [1.0, 2.5]),
        ("x.xlsx", book(HEAD, [True, "x"], [None, "y"]), [True, None]),
        ("x.xlsx", book(HEAD, ["007", "x"], [5, "y"]), ["007", "5"]),
    ],
    ("workbook", "whole number of more than 15 digits"): [
        ("x.xlsx", book(HEAD, [4111111111111111, "x"]), ["4111111111111111"])
    ],
    ("workbook", "format of fixed digits such as `00000`"): [
        ("x.xlsx", book(HEAD, [2134, "x"], formats={"A2": "00000"}), ["02134"])
    ],
    ("workbook", "percent or currency format"): [
        ("x.xlsx", book(HEAD, [0.185, "x"], formats={"A2": "0%"}), ["18.5%"]),
        ("x.xlsx", book(HEAD, [-39375.5, "x"], formats={"A2": '"$"#,##0'}), ["-$39375.5"]),
    ],
    ("workbook", "date, time, duration; 1900 and 1904"): [
        ("x.xlsx", book(HEAD, [44929, "x"], formats={"A2": "d.m.yy"}), ["2023-01-03"]),
        ("x.xlsx", book(HEAD, [0.375, "x"], formats={"A2": "h:mm"}), ["09:00:00"]),
        ("x.xlsx", book(HEAD, [1.5, "x"], formats={"A2": "[h]:mm"}), ["36:00:00"]),
    ],
    ("workbook", "formula"): [
        ("x.xlsx", workbook({"s": [HEAD, [1, 2]]}, replace={SHEET: FORMULA}), [42]),
    ],
    ("workbook", "formula without a stored result; error value; day no calendar has"): [
        ("x.xlsx", book(["b", "a"], [1, "=B1+1"]), "column 'a' holds a formula without a stored result in cell B2"),
        ("x.xlsx", book(["b", "a"], [1, "#DIV/0!"]), "column 'a' holds the error #DIV/0! in cell B2"),
        (
            "x.xlsx",
            book(["b", "a"], [1, 60], formats={"B2": "d.m.yy"}),
            "holds 60 as a date, which is no day",
        ),
    ],
    ("workbook", "`#N/A`"): [("x.xlsx", book(HEAD, ["#N/A", 1], [5, 2]), "1 cell with #N/A read as missing")],
    ("workbook", "cells merged down a column"): [
        ("x.xlsx", book(HEAD, ["W", 1], [None, 2], merge="A2:A3"), ["W", "W"]),
        ("x.xlsx", book(HEAD, ["W", 1], [None, 2], merge="A2:A3"), "filled with the value shown for them: A2:A3"),
    ],
    ("workbook", "cells merged across columns or into the names"): [
        ("x.xlsx", book(HEAD, ["W", None], [1, 2], merge="A2:B2"), "!cells A2:B2: are merged across columns"),
        ("x.xlsx", book(HEAD, [None, 1], [1, 2], merge="A1:A2"), "!cells A1:A2: are merged in the header"),
    ],
    ("workbook", "format with a condition (`[<1]0%;0`), or with words beside the number"): [
        ("x.xlsx", book(HEAD, [0.5, "x"], formats={"A2": "[<1]0%;0"}), [0.5]),
        ("x.xlsx", book(HEAD, [0.5, "x"], formats={"A2": "[<1]0%;0"}), "shows numbers differently by their size"),
        ("x.xlsx", book(HEAD, [5, "x"], formats={"A2": '0" days"'}), "shows 'days' beside numbers, first in cell A2"),
    ],
    ("workbook", "hidden rows, columns, sheets"): [
        (
            "x.xlsx",
            book(HEAD, [1, 2], change=lambda made: setattr(made.active.row_dimensions[2], "hidden", True)),
            "1 hidden row of the sheet read like the others",
        ),
        (
            "x.xlsx",
            book(HEAD, [1, 2], change=lambda made: setattr(made.active.column_dimensions["B"], "hidden", True)),
            "column 'b' is hidden in the sheet and read like the others",
        ),
        (
            "x.xlsx",
            book(HEAD, [1, 2], change=lambda made: setattr(made.create_sheet("More"), "sheet_state", "hidden")),
            "1 hidden sheet not read: More",
        ),
    ],
    ("workbook", "several sheets with data"): [
        ("x.xlsx", workbook({"Loans": [HEAD, [1, 2]], "More": [HEAD, [3, 4]]}), '!sheet = "Loans" under [reading]')
    ],
}


def test_every_line_of_the_table_has_its_file() -> None:
    assert set(documented()) == set(LINES)


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_a_line_of_the_table_is_true(line: tuple[str, str], tmp_path: Path) -> None:
    becomes = documented()[line]
    for name, raw, expected in LINES[line]:
        path = tmp_path / name
        path.write_bytes(raw)
        if isinstance(expected, str) and expected.startswith("!"):
            assert re.match("asked|refused", becomes)
            with pytest.raises(DataError) as caught:
                read_table(path, reading=SAID.get(line))
            assert expected[1:] in str(caught.value)
            assert str(caught.value).startswith(str(path))
            continue
        assert not re.match("asked|refused", becomes)
        table: Table = read_table(path, reading=SAID.get(line))
        if isinstance(expected, str):
            assert re.search("said|named|cannot be used", becomes)
            assert any(expected in note for note in table.notes), table.notes
        else:
            assert table.frame.get_columns()[0].to_list() == expected
