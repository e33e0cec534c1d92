"""Files that cannot be read as they stand: one line each, with the place and what was expected."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from auditor import tables
from auditor.exceptions import DataError
from auditor.tables import Limits, read_table, workbooks
from tests.data.books import workbook

QUOTES = 'expected fields as "…", quotes inside them doubled'
CSV = {
    "empty": (b"", ": is empty; expected a header and at least one row"),
    "blank": (b"\n\r\n\n", ": is empty; expected a header and at least one row"),
    "header only": (b"a,b\n", ": has a header and no rows; expected at least one row"),
    "semicolons": (b"a;b\n1,5;2\n", ": line 1: its fields are separated by a semicolon; expected commas between the"),
    "tabs": (b"a\tb\n1\t2\n", ": line 1: its fields are separated by a tab; expected commas between the fields"),
    "bars": (
        b"a|b\n1|2\n",
        ": line 1: its fields are separated by a vertical bar; expected commas between the fields, or",
    ),
    "bars, no rows": (b"a|b\n", ": line 1: its fields are separated by a vertical bar"),
    "latin-1": (
        b"a,b\n1,2\n3,Jos\xe9\n",
        ': line 3: byte 0xe9 at position 14 is not UTF-8; expected UTF-8, or encoding = "cp1252" under',
    ),
    "nul": (b"a,b\n1,\x00\n", ": line 2: holds a NUL byte; expected UTF-8 text"),
    "same name": (b"a,b, a\n1,2,3\n", ": line 1: columns 1 and 3 are both called 'a'; expected one name a column"),
    "no names": (b"a,,\n1,2,3\n", ": line 1: 2 of 3 columns have no name; expected names"),
    "too long": (
        b"a,b\n1,2\n1,2,3\n",
        ": line 3: has 3 fields; expected 2, as in the header, line 1; if it stands below the table, last = 2",
    ),
    "too short": (
        b'a,b\n"1\n1",2\n7\n',
        ": line 4: has 1 field; expected 2, as in the header, line 1; if it stands below the table, last = 2",
    ),
    "title": (
        b"Loans of May\na,b,c\n1,2,3\n4,5,6\n",
        ": line 2: has 3 fields: line 1 seems to be text above the table; expected header = 2 under [reading]",
    ),
    "open quote": (b'a,b\n1,2\n1,"2\n3,4\n', f": line 3: a quote is opened and not closed; {QUOTES}"),
    "text after": (b'a,b\n1,"x"y\n', f": line 2: a quoted field goes on after its closing quote; {QUOTES}"),
    "long field": (
        b'a,b\n1,"' + b"x,\n" * 50_000,
        f": line 2: a field is longer than 131,072 characters, or its quote is not closed; {QUOTES}",
    ),
    "a workbook": (workbook({"a": [["a"], [1]]}), ": is a ZIP archive or an Excel workbook, not CSV; expected text"),
    "gzip": (b"\x1f\x8b\x08", ": is gzip data, not CSV; expected text, its fields separated by commas"),
}


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_table(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(path))
    return text.removeprefix(str(path))


def write(folder: Path, name: str, raw: bytes) -> Path:
    path = folder / name
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(("raw", "line"), CSV.values(), ids=CSV.keys())
def test_csv_that_cannot_be_read_gets_one_line(tmp_path: Path, raw: bytes, line: str) -> None:
    assert refusal(write(tmp_path, "data.csv", raw)).startswith(line)


def test_a_file_that_is_not_there_or_no_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.csv") == ": there is no such file; expected a file that can be read"
    (tmp_path / "folder.csv").mkdir()
    assert refusal(tmp_path / "folder.csv") == ": is a folder; expected a file that can be read"
    os.mkfifo(tmp_path / "pipe.csv")  # opening it would wait for ever
    assert refusal(tmp_path / "pipe.csv") == ": is not a regular file; expected a file that can be read"
    assert (
        refusal(tmp_path / f"{'x' * 300}.csv")
        == ": cannot be read: file name too long; expected a file that can be read"
    )
    assert (
        refusal(write(tmp_path, "a.ods", b"x"))
        == f": is not a kind of file that can be read; expected {tables.KNOWN_KINDS}"
    )


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may read everything: the tests of permissions are for everybody else."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, "secret.csv", b"a,b\n1,2\n")
    path.chmod(0)
    with ordinary_user():
        assert refusal(path) == ": no permission to read it; expected a file this account may read"


def test_a_table_that_grows_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "large.csv", b"a,b,c\n" + b"1,2,3\n" * 10)
    parquet = tmp_path / "large.parquet"
    pl.DataFrame({"a": [1] * 10, "b": [1] * 10, "c": [1] * 10}).write_parquet(parquet)
    book = write(tmp_path, "large.xlsx", workbook({"s": [["a", "b", "c"]] + [[1, 2, 3]] * 10}))
    for limits, value, what in (
        (Limits(rows=9), 9, "rows"),
        (Limits(columns=2), 2, "columns"),
        (Limits(cells=29), 29, "cells"),
    ):
        for file in (path, parquet, book):
            with pytest.raises(DataError, match=f"has more {what} than can be read; expected at most {value} {what}"):
                read_table(file, limits=limits)
    monkeypatch.setattr(tables, "MAX_BYTES", 16)
    assert refusal(path).startswith(": is larger than 0 MiB; expected a smaller file")


def test_damaged_parquet_is_named(tmp_path: Path) -> None:
    target = io.BytesIO()
    pl.DataFrame({"a": list(range(1000))}).write_parquet(target)
    raw = target.getvalue()
    expected = "expected a complete Parquet file"
    assert refusal(write(tmp_path, "cut.parquet", raw[:-9])) == f": does not begin and end as Parquet does; {expected}"
    assert refusal(write(tmp_path, "text.parquet", b"a,b\n1,2\n")).endswith(expected)
    footer = raw[:-8] + struct.pack("<I", 1 << 30) + raw[-4:]
    assert refusal(write(tmp_path, "footer.parquet", footer)).startswith(": is damaged: ")
    body = bytearray(raw)
    body[4:400] = bytes(396)
    assert refusal(write(tmp_path, "body.parquet", bytes(body))).startswith(": is damaged: ")


def test_parquet_without_rows_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"a": []}, schema={"a": pl.Int64}).write_parquet(path)
    assert refusal(path) == ": has columns and no rows; expected at least one row"


BOOKS = {
    "text": (b"a,b\n1,2\n", ": is not a workbook (File is not a zip file); expected an Excel workbook (.xlsx)"),
    "old": (b"\xd0\xcf\x11\xe0 and more", ": is an .xls workbook, or one with a password; expected an Excel workbook"),
    "cut": (workbook({"a": [["a"], [1]]})[:-30], ": is not a workbook (File is not a zip file)"),
    "nothing": (workbook({"a": [], "b": []}), ": is empty; expected a sheet with a header and at least one row"),
    "header": (workbook({"a": [["a", "b"]]}), ": sheet 'a': has a header and no rows; expected at least one row"),
    "two": (
        workbook({"Loans": [["a"], [1]], "Notes": [["read me"]]}),
        ': has 2 sheets with data (Loans, Notes); expected one sheet with data, or sheet = "Loans" under [reading]',
    ),
    "title": (
        workbook({"a": [["Loans of May"], [], ["a", "b", "c"], [1, 2, 3]]}),
        ": sheet 'a': row 1: 2 of 3 columns have no name: row 1 seems to be text above the table; expected header = 3",
    ),
    "twice": (workbook({"a": [["a", "a"], [1, 2]]}), ": sheet 'a': row 1: columns 1 and 2 are both called 'a'"),
    "other zip": (workbook({}), ": "),
}


@pytest.mark.parametrize(("raw", "line"), BOOKS.values(), ids=BOOKS.keys())
def test_a_workbook_that_cannot_be_read_gets_one_line(tmp_path: Path, raw: bytes, line: str) -> None:
    assert refusal(write(tmp_path, "data.xlsx", raw)).startswith(line)


def test_a_zip_bomb_is_refused_before_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "MAX_UNPACKED_BYTES", 1 << 20)
    bomb = workbook({"a": [["a"], [1]]}, extra={"xl/media/x.bin": bytes(4 << 20)})
    assert len(bomb) < 1 << 16
    assert refusal(write(tmp_path, "bomb.xlsx", bomb)) == ": unpacks to 4 MiB; expected at most 1 MiB"
    monkeypatch.setattr(workbooks, "MAX_MEMBERS", 3)
    assert refusal(write(tmp_path, "bomb.xlsx", bomb)) == ": has 6 parts; expected at most 3"


def test_a_zip_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    size = 3 << 20
    sheet = b"<worksheet>" + b" " * (size - 23) + b"</worksheet>"
    bomb = workbook({"a": [["a"], [1]]}, replace={"xl/worksheets/sheet1.xml": sheet})
    lie = bomb.replace(struct.pack("<I", size), struct.pack("<I", 10))
    assert lie != bomb
    assert "damaged" in refusal(write(tmp_path, "lie.xlsx", lie))


def test_two_cells_far_apart_are_refused_before_room_is_made_for_all_between(tmp_path: Path) -> None:
    raw = workbook({"a": [["a"], [1]]})
    source, target = zipfile.ZipFile(io.BytesIO(raw)), io.BytesIO()
    with source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name).replace(b'r="A2"', b'r="XFD1048576"'))
    text = refusal(write(tmp_path, "far.xlsx", target.getvalue()))
    assert text == ": xl/worksheets/sheet1.xml: has more columns than can be read; expected at most 1,000 columns"


def test_dates_in_parquet_become_text(tmp_path: Path) -> None:
    path = tmp_path / "dates.parquet"
    pl.DataFrame({"day": [date(1990, 5, 1), None], "x": [1, 2]}).write_parquet(path)
    assert read_table(path).frame["day"].to_list() == ["1990-05-01", None]


def test_rows_of_parquet_without_a_value_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"a": [1, None, 3], "b": ["x", None, None]}).write_parquet(path)
    table = read_table(path)
    assert table.frame.rows() == [(1, "x"), (3, None)]
    assert table.left_out == {"rows without a value": 1}
    assert table.place(1) == "row 3"
