"""Random tables as other programs write them come back equal, by value and by spelling.

Long form, 2,000 tables: ``PLUMBLINE_TEST_ROUND_TRIPS=2000 python -m pytest tests/data/test_round_trips.py``, or
``make soak-tables``.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.number_forms import number_in
from auditor.tables import Reading, Table, read_table

COUNT = int(os.environ.get("PLUMBLINE_TEST_ROUND_TRIPS", "60"))
CODES = st.sampled_from(
    [
        "02134",
        "2E1",
        "1e5",
        "1.10",
        "007",
        "+5",
        "1_000",
        "NA",
        "null",
        "NaN",
        "-",
        "n/a",
        "True",
        "18.5%",
        "$1,200",
        "(5)",
        "4111111111111111",
        "1,5",
        "a;b",
        'say "x"',
        "O’Hara",
        "Ma\u0304ori",
        "M\u0101ori",
        "李",
        " 36 months",
        "2020-01-02",
    ]
)
LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"))
WORDS = st.text(LETTERS, max_size=8) | CODES
# A name that is a number, above numbers, is asked about: it may be a record.
NAMES = st.text(st.characters(categories=("Lu", "Ll", "Nd"), max_codepoint=0x17F), min_size=1, max_size=8).filter(
    lambda name: not name.isdigit()
)
# Text that programs turn into formulas, links or error values before it reaches the file is theirs, not the reader's.
SHEET_WORDS = WORDS.filter(lambda text: text[:1] not in ("=", "#", "{") and "://" not in text and ":" not in text)
KINDS: Mapping[str, st.SearchStrategy[Any]] = {
    "text": WORDS,
    "whole": st.integers(-(10**15) + 1, 10**15 - 1),
    "decimal": st.floats(-1e15, 1e15).filter(lambda value: value == 0 or abs(value) > 1e-300),
    "truth": st.booleans(),
    "day": st.dates(date(1900, 3, 1), date(2200, 1, 1)),
    "moment": st.datetimes(datetime(1900, 3, 1), datetime(2200, 1, 1)).map(lambda each: each.replace(microsecond=0)),
}
SHEET_KINDS = {
    "text": SHEET_WORDS,
    # Programs write sixteen digits into sheets, of which fifteen are sure.
    "decimal": KINDS["decimal"].map(lambda value: float(f"{value:.15g}")),
}
TYPES = {
    "text": pl.String,
    "whole": pl.Int64,
    "decimal": pl.Float64,
    "truth": pl.Boolean,
    "day": pl.Date,
    "moment": pl.Datetime("us"),
}


@st.composite
def tables(draw: st.DrawFn, *, sheet: bool) -> tuple[dict[str, str], pl.DataFrame]:
    """The kinds of the columns, and the table; the first column has a value in every row."""
    height = draw(st.integers(1, 6))
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=str.casefold))
    kinds = {name: draw(st.sampled_from(list(KINDS))) for name in names}
    columns = [pl.Series("row id", [f"r{n}" for n in range(height)])]
    for name, kind in kinds.items():
        cells = SHEET_KINDS.get(kind, KINDS[kind]) if sheet else KINDS[kind]
        values = draw(st.lists(st.none() | cells, min_size=height, max_size=height))
        columns.append(pl.Series(name, values, dtype=TYPES[kind]))
    return kinds, pl.DataFrame(columns)


def pandas_frame(frame: pl.DataFrame) -> pd.DataFrame:
    """The same table in pandas, whole numbers and truth values with gaps as such."""
    kinds = {pl.Int64: "Int64", pl.Boolean: "boolean"}
    return pd.DataFrame(
        {
            column.name: pd.Series(
                column.to_list(), dtype=kinds.get(column.dtype, "float64" if column.dtype == pl.Float64 else object)
            )
            for column in frame.get_columns()
        }
    )


def written_by_openpyxl(frame: pl.DataFrame) -> bytes:
    book, target = openpyxl.Workbook(), io.BytesIO()
    book.active.append(frame.columns)
    for row in frame.iter_rows():
        book.active.append(row)
    book.save(target)
    return target.getvalue()


def saved(write: Callable[[io.BytesIO], object]) -> bytes:
    target = io.BytesIO()
    write(target)
    return target.getvalue()


TEXTS: Mapping[str, Callable[[pl.DataFrame, str], bytes]] = {
    "polars": lambda frame, mark: frame.write_csv(separator=mark).encode(),
    "polars, all quoted": lambda frame, mark: frame.write_csv(separator=mark, quote_style="always").encode("utf-8-sig"),
    "pandas": lambda frame, mark: pandas_frame(frame).to_csv(sep=mark, index=False).encode(),
    "pandas, UTF-16": lambda frame, mark: pandas_frame(frame).to_csv(sep=mark, index=False).encode("utf-16"),
}
PARQUETS: Mapping[str, Callable[[pl.DataFrame], bytes]] = {
    "polars": lambda frame: saved(frame.write_parquet),
    "pandas": lambda frame: saved(lambda target: pandas_frame(frame).to_parquet(target, index=False)),
}
BOOKS: Mapping[str, Callable[[pl.DataFrame], bytes]] = {
    "openpyxl": written_by_openpyxl,
    "pandas": lambda frame: saved(lambda target: pandas_frame(frame).to_excel(target, index=False, engine="openpyxl")),
    "polars": lambda frame: saved(frame.write_excel),
}
ASKED = settings(max_examples=-(-COUNT // 3), deadline=None, suppress_health_check=list(HealthCheck))


def read(folder: Path, name: str, raw: bytes, reading: Reading | None = None) -> Table:
    path = folder / name
    path.write_bytes(raw)
    return read_table(path, reading=reading)


def filled(value: Any) -> Any:
    """A cell of spaces alone holds nothing."""
    return None if isinstance(value, str) and not pl.Series([value]).str.strip_chars()[0] else value


@ASKED
@given(tables(sheet=False), st.sampled_from(list(TEXTS)), st.sampled_from(",;\t|"))
def test_a_text_file_comes_back(
    tmp_path_factory: Any, table: tuple[dict[str, str], pl.DataFrame], by: str, mark: str
) -> None:
    kinds, frame = table
    found = read(tmp_path_factory.mktemp("t"), "a.csv", TEXTS[by](frame, mark), Reading(delimiter=mark)).frame
    assert found.height == frame.height
    for name, kind in kinds.items():
        wanted = [filled(value) for value in frame[name]]
        cells = found[name].to_list()
        if kind == "text":
            assert cells == wanted
        elif kind in ("whole", "decimal"):
            assert [None if cell is None else number_in(cell, None) for cell in cells] == wanted
        else:
            assert [cell if cell is None else _same(cell) for cell in cells] == [
                value if value is None else _same(str(value)) for value in wanted
            ]


def _same(text: str) -> str:
    """Truth values and moments, which programs spell in several ways."""
    return text.lower().replace("t", " ").removesuffix(".000000").removesuffix(" 00:00:00")


@ASKED
@given(tables(sheet=False), st.sampled_from(list(PARQUETS)))
def test_a_parquet_file_comes_back(tmp_path_factory: Any, table: tuple[dict[str, str], pl.DataFrame], by: str) -> None:
    kinds, frame = table
    found = read(tmp_path_factory.mktemp("t"), "a.parquet", PARQUETS[by](frame)).frame
    for name, kind in kinds.items():
        wanted = [filled(value) for value in frame[name]]
        if kind in ("day", "moment"):
            assert [cell if cell is None else _same(cell) for cell in found[name]] == [
                value if value is None else _same(str(value)) for value in wanted
            ]
        else:
            assert found[name].to_list() == wanted


@ASKED
@given(tables(sheet=True), st.sampled_from(list(BOOKS)))
def test_a_workbook_comes_back(tmp_path_factory: Any, table: tuple[dict[str, str], pl.DataFrame], by: str) -> None:
    kinds, frame = table
    found = read(tmp_path_factory.mktemp("t"), "a.xlsx", BOOKS[by](frame)).frame
    assert found.height == frame.height
    for name, kind in kinds.items():
        wanted = [filled(value) for value in frame[name]]
        cells = found[name].to_list()
        if kind in ("day", "moment"):
            assert [cell if cell is None else _same(cell) for cell in cells] == [
                value if value is None else _same(str(value)) for value in wanted
            ]
        else:
            assert cells == wanted
