"""Tables come back as they stand in the file: every row, every value, typed without guessing wrongly."""

from __future__ import annotations

import csv
import hashlib
import io
import unicodedata
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.tables import Reading, read_table
from auditor.tables.parquet import parse_parquet
from auditor.tables.text import parse_text
from auditor.tables.workbooks import parse_workbook
from tests.data.books import workbook

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NAMES = st.lists(
    TEXT.map(str.strip).filter(bool), min_size=2, max_size=5, unique_by=lambda name: unicodedata.normalize("NFC", name)
)


def read(text: str, **reading: object) -> dict[str, list[object]]:
    return parse_text(text.encode(), where="x.csv", reading=Reading(**reading)).frame.to_dict(as_series=False)


def filled(cell: str) -> str | None:
    """A cell of spaces alone holds nothing."""
    return cell if pl.Series([cell]).str.strip_chars()[0] else None


@st.composite
def text_tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    names = draw(NAMES)
    row = st.lists(TEXT, min_size=len(names), max_size=len(names))
    return names, draw(st.lists(row, min_size=1, max_size=8))


@settings(max_examples=60, deadline=None)
@given(text_tables(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_written_text_comes_back(table: tuple[list[str], list[list[str]]], end: str, mark: bool) -> None:
    names, rows = table
    # Blank lines are left out, and have their own tests: a letter in front of the first cell fills every line.
    rows = [[f"x{row[0]}", *row[1:]] for row in rows]
    stream = io.StringIO()
    csv.writer(stream, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    raw = stream.getvalue().encode("utf-8-sig" if mark else "utf-8")
    frame = parse_text(raw, where="x.csv", reading=Reading(delimiter=",")).frame
    assert frame.columns == [unicodedata.normalize("NFC", name) for name in names]
    assert [list(row) for row in frame.iter_rows()] == [list(map(filled, row)) for row in rows]


def test_text_is_kept_down_to_its_last_zero() -> None:
    cells = ["02134", "+49", "4111111111111111", "1e999", "2E1", "1.10", "007", "1_000", "NA", "null", "-", "n/a"]
    assert read("a,b\n" + "".join(f"{cell},x\n" for cell in cells))["a"] == cells


def test_empty_cells_are_missing_and_nothing_else_is() -> None:
    assert read("a,b\n,NA\n1, NA \n2,  \n") == {"a": [None, "1", "2"], "b": ["NA", " NA ", None]}


def test_lines_without_a_value_are_left_out_counted_and_keep_the_numbers_of_the_others() -> None:
    table = parse_text(b"\n a , b\n1,2\n,\n\n3,\n , \n\n\n", where="x.csv")
    assert table.frame.to_dict(as_series=False) == {"a": ["1", "3"], "b": ["2", None]}
    assert table.left_out == {"lines without a value": 3}
    assert table.notes == ("3 lines without a value left out: 4, 5, 7",)
    assert [table.place(row) for row in range(2)] == ["line 3", "line 6"]


def test_columns_without_a_name_are_named_and_those_without_a_value_too_are_left_out() -> None:
    table = parse_text(b",a,b,,\n0,x,1,,\n1,y,2,,\n", where="x.csv")
    assert table.frame.columns == ["column 1", "a", "b"]
    assert table.notes == (
        "2 columns with neither a name nor a value left out: 4, 5",
        "column 1 has no name and numbers the rows: it is called 'column 1'",
    )


def test_a_line_that_names_the_delimiter_is_no_record() -> None:
    table = parse_text(b'sep=;\r\n"a";b\r\n1,5;2\r\n', where="x.csv")
    assert table.frame.to_dict(as_series=False) == {"a": ["1,5"], "b": ["2"]}
    assert table.place(0) == "line 3"
    assert table.notes == ("line 1, 'sep=;', names the delimiter and is not a record",)


def test_keys_say_what_the_file_does_not() -> None:
    text = "Loans of May\n\na;b\n1;2\n3;4\nTotal;6\n"
    assert read(text, delimiter=";", header=3, last=5) == {"a": ["1", "3"], "b": ["2", "4"]}
    cyrillic = "a,b\nда,нет\n".encode("cp1251")
    found = parse_text(cyrillic, where="x.csv", reading=Reading(encoding="cp1251"))
    assert found.frame.row(0) == ("да", "нет")
    assert found.notes == ("read as cp1251",)


def test_utf_16_with_its_mark_is_read_and_said() -> None:
    found = parse_text("a\tb\nä\t€\n".encode("utf-16"), where="x.tsv", tabs=True)
    assert found.frame.row(0) == ("ä", "€")
    assert found.notes == ("read as utf-16-le",)


def test_more_rows_than_a_block_keep_their_order() -> None:
    height = 45_000
    table = parse_text(("a,b\n" + "".join(f"{i},r{i}\n" for i in range(height))).encode(), where="x.csv")
    assert table.frame["a"].to_list() == list(map(str, range(height)))
    assert table.place(height - 1) == f"line {height + 1:,}"


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "Data.CSV"
    path.write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")
    table = read_table(path)
    assert table.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert table.frame.to_dict(as_series=False) == {"a": ["1"], "b": ["2"]}


def test_parquet_types_become_the_four_of_every_table() -> None:
    target = io.BytesIO()
    pl.DataFrame(
        {
            "small": pl.Series([1, None], dtype=pl.UInt8),
            "huge": [2**60, 1],
            "nan": [float("nan"), 0.5],
            "code": pl.Series(["02134", None], dtype=pl.Categorical),
            "flag": [True, None],
            "money": pl.Series(["1.25", "3.50"]).cast(pl.Decimal(10, 2)),
            "number as text": ["5", "6"],
            "bytes": [b"ab", "ä".encode()],
        }
    ).write_parquet(target)
    found = parse_parquet(target.getvalue(), where="x.parquet")
    assert found.frame.to_dict(as_series=False) == {
        "small": [1, None],
        "huge": [str(2**60), "1"],
        "nan": [None, 0.5],
        "code": ["02134", None],
        "flag": [True, None],
        "money": [1.25, 3.5],
        "number as text": ["5", "6"],
        "bytes": ["ab", "ä"],
    }
    assert found.notes == ("column 'bytes' is bytes without the mark of text: read as UTF-8",)


def test_only_columns_that_are_used_must_be_readable() -> None:
    target = io.BytesIO()
    columns = {"list": [[1], [2]], "far": [1.0, float("-inf")], "bytes": [b"\xff", b"a"], "x": ["1", "2"]}
    pl.DataFrame(columns).write_parquet(target)
    found = parse_parquet(target.getvalue(), where="x.parquet")
    assert found.frame.to_dict(as_series=False) == {"x": ["1", "2"]}
    assert {name: what for name, (what, _) in found.unreadable.items()} == {
        "list": "holds values of type List(Int64)",
        "far": "is infinite in row 2",
        "bytes": "holds bytes that are not UTF-8 text in row 1",
    }


def test_a_workbook_keeps_the_types_of_its_cells() -> None:
    rows = [
        ["id", "income", "ratio", "note", "old"],
        ["007", 1200, 0.125, "a, b", True],
        ["008", 0, 1 / 3, None, False],
        ["009", None, 2, "#N/A", None],
    ]
    table = parse_workbook(workbook({"Loans": rows, "Empty": []}), where="x.xlsx")
    assert table.frame.rows() == [
        ("007", 1200, 0.125, "a, b", True),
        ("008", 0, 1 / 3, None, False),
        ("009", None, 2.0, None, None),
    ]
    assert table.place(1, "ratio") == "cell C3"
    assert table.notes == ("sheet 'Loans' of 2 read", "1 cell with #N/A read as missing")


def test_a_column_of_numbers_and_text_is_text_in_which_a_number_may_hide() -> None:
    table = parse_workbook(workbook({"s": [["a", "b"], [1, 2], ["Exempt", "x"], [2.5, "y"], [3.0, "z"]]}), where="x")
    assert table.frame["a"].to_list() == ["1", "Exempt", "2.5", "3"]
    assert table.untyped == {"a", "b"}


def test_an_error_or_a_formula_without_a_result_makes_its_column_unreadable() -> None:
    found = parse_workbook(workbook({"a": [["a", "b"], [1, "#DIV/0!"], [2, 3]]}), where="x")
    assert found.frame.to_dict(as_series=False) == {"a": [1, 2]}
    assert found.unreadable["b"][0] == "holds the error #DIV/0! in cell B2"


def test_trailing_rows_and_columns_that_are_only_formatted_do_not_count() -> None:
    rows = [["a", "b", None], [1, "x", None], [None, None, ""], []]
    table = parse_workbook(workbook({"s": rows}), where="x.xlsx")
    assert table.frame.rows() == [(1, "x")]
    assert table.notes == ()


def test_keys_choose_the_sheet_and_its_rows() -> None:
    book = workbook({"Notes": [["read me"]], "Loans": [["May"], ["a", "b"], [1, 2], [3, 4], ["Total", 6]]})
    table = parse_workbook(book, where="x", reading=Reading(sheet="Loans", header=2, last=4))
    assert table.frame.to_dict(as_series=False) == {"a": [1, 3], "b": [2, 4]}
    assert table.left_out == {"rows below reading.last": 1}
