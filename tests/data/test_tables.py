"""Tables come back as they stand in the file: every row, every value, typed without guessing wrongly."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.tables import parse_csv, parse_parquet, read_table
from auditor.workbooks import parse_workbook
from tests.data.books import workbook

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NAMES = st.lists(TEXT.map(str.strip).filter(bool), min_size=2, max_size=5, unique=True)


def read(text: str) -> dict[str, list[object]]:
    return parse_csv(text.encode(), where="x.csv").to_dict(as_series=False)


@st.composite
def text_tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    names = draw(NAMES)
    row = st.lists(TEXT, min_size=len(names), max_size=len(names))
    return names, draw(st.lists(row, min_size=1, max_size=8))


@settings(max_examples=60, deadline=None)
@given(text_tables(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_written_text_comes_back(table: tuple[list[str], list[list[str]]], end: str, mark: bool) -> None:
    names, rows = table
    # Text that reads as a number or as missing has its own tests; a letter in front keeps this one to text.
    rows = [[f"x{cell}" for cell in row] for row in rows]
    stream = io.StringIO()
    csv.writer(stream, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    frame = parse_csv(stream.getvalue().encode("utf-8-sig" if mark else "utf-8"), where="x.csv")
    assert frame.columns == names
    assert [list(row) for row in frame.iter_rows()] == rows


WHOLE = st.none() | st.integers(-(10**15) + 1, 10**15 - 1)
# From sixteen digits before the point on a number is kept as text, as it may be an account or a card.
FLOATS = st.none() | st.floats(-1e15, 1e15, allow_nan=False, exclude_min=True, exclude_max=True).filter(
    lambda value: value == 0 or abs(value) > 1e-300
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(WHOLE, FLOATS), min_size=1, max_size=20))
def test_written_numbers_come_back(rows: list[tuple[int | None, float | None]]) -> None:
    text = "whole,float\n" + "".join(f"{'' if a is None else a},{'NA' if b is None else repr(b)}\n" for a, b in rows)
    assert parse_csv(text.encode(), where="x.csv").rows() == rows


def test_what_a_number_would_not_give_back_stays_text() -> None:
    found = read("zip,phone,card,code\n02134,+49123,4111111111111111,1e999\n10001,+49124,4111111111111112,5\n")
    assert found == {
        "zip": ["02134", "10001"],
        "phone": ["+49123", "+49124"],
        "card": ["4111111111111111", "4111111111111112"],
        "code": ["1e999", "5"],
    }


def test_one_cell_of_text_makes_the_column_text_and_keeps_the_numbers_as_written() -> None:
    assert read("a,b\n1.50,x\n2,y\nunknown,z\n")["a"] == ["1.50", "2", "unknown"]


def test_empty_cells_and_na_are_missing_and_nothing_else_is() -> None:
    found = read("a,b,c\n,NA,n/a\n1, NA ,999\n2,null,-\n")
    assert found == {"a": [None, 1, 2], "b": [None, None, "null"], "c": ["n/a", "999", "-"]}


def test_empty_lines_at_the_end_do_not_count_and_spaces_around_names_neither() -> None:
    assert read(" a , b\n1,2\n\n\n") == {"a": [1], "b": [2]}


def test_more_rows_than_a_block_keep_their_order() -> None:
    height = 45_000
    frame = parse_csv(("a,b\n" + "".join(f"{i},r{i}\n" for i in range(height))).encode(), where="x.csv")
    assert frame["a"].to_list() == list(range(height))
    assert frame["b"][-1] == f"r{height - 1}"


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "Data.CSV"
    path.write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")
    table = read_table(path)
    assert table.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert table.frame.to_dict(as_series=False) == {"a": [1], "b": [2]}


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
        }
    ).write_parquet(target)
    assert parse_parquet(target.getvalue(), where="x.parquet").to_dict(as_series=False) == {
        "small": [1, None],
        "huge": [str(2**60), "1"],
        "nan": [None, 0.5],
        "code": ["02134", None],
        "flag": [True, None],
        "money": [1.25, 3.5],
        "number as text": [5, 6],
    }


def test_a_workbook_reads_as_the_same_csv_does() -> None:
    rows = [
        ["id", "income", "ratio", "note"],
        ["007", 1200, 0.125, "a, b"],
        ["008", 0, 1 / 3, None],
        ["009", None, 2, "#N/A"],
    ]
    frame = parse_workbook(workbook({"Loans": rows, "Empty": []}), where="x.xlsx")
    assert frame.columns == rows[0]
    assert frame.drop("ratio").rows() == [("007", 1200, "a, b"), ("008", 0, None), ("009", None, None)]
    ratios = frame["ratio"].to_list()
    assert ratios[::2] == [0.125, 2.0]
    assert abs(ratios[1] - 1 / 3) < 1e-9  # the reader rounds as a spreadsheet shows


def test_trailing_rows_and_columns_that_are_only_formatted_do_not_count() -> None:
    rows = [["a", "b", None], [1, "x", None], [None, None, ""], []]
    assert parse_workbook(workbook({"s": rows}), where="x.xlsx").rows() == [(1, "x")]
