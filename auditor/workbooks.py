"""Excel workbooks (XLSX): one sheet with data, checked before it is opened because a small one can unpack to anything.

Cells become values as in :mod:`auditor.tables`. A workbook with data on several sheets is refused: which of them is the
population is a decision for people, and taking the first would hide it.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib

import polars as pl

from auditor.exceptions import DataError
from auditor.tables import check_header, check_size, typed

MAX_MEMBERS = 2_000
MAX_UNPACKED_BYTES = 512 << 20
EXPECTED = "an Excel workbook (.xlsx)"
OLD_EXCEL = b"\xd0\xcf\x11\xe0"  # also what a workbook with a password looks like
SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
CELL = re.compile(rb"<(?:\w+:)?(?:c|row)\b[^>]*?\sr\s*=\s*[\"']([^\"']*)[\"']")
REFERENCE = re.compile(rb"([A-Z]{0,3})([0-9]{1,7})")
ERROR_CELL = re.compile(
    rb"<(?:\w+:)?c\b([^>]*\st=[\"']e[\"'][^>]*)>(?:(?!</(?:\w+:)?c>).)*?<(?:\w+:)?v>([^<]*)<", re.DOTALL
)
NOT_AVAILABLE = b"#N/A"


def parse_workbook(raw: bytes, *, where: str) -> pl.DataFrame:
    """Read the only sheet with data of a workbook; its first row is the header.

    Raises
    ------
    DataError
        If it is no workbook, unpacks to more than this program reads, holds an error value, or has no or several sheets
        with data.
    """
    _check_archive(raw, where)
    try:
        sheets = {name: sheet for name, sheet in _sheets(raw).items() if sheet.height and sheet.width}
    except Exception as error:  # the reader raises classes of its own, with several lines
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(where, f"cannot be opened ({reason})", EXPECTED) from error
    if not sheets:
        raise DataError(where, "is empty", "a sheet with a header and at least one row")
    if len(sheets) > 1:
        raise DataError(where, f"has {len(sheets)} sheets with data ({', '.join(sheets)})", "one sheet with data")
    name, sheet = next(iter(sheets.items()))
    return typed(_below_header(sheet, f"{where}: sheet {name!r}"), where=where)


def _sheets(raw: bytes) -> dict[str, pl.DataFrame]:
    # Read without types first: types would be taken from the header too.
    frames: dict[str, pl.DataFrame] = pl.read_excel(
        io.BytesIO(raw),
        sheet_id=0,
        engine="calamine",
        has_header=False,
        raise_if_empty=False,
        drop_empty_rows=False,
        drop_empty_cols=False,
        read_options={"header_row": None, "skip_rows": 0, "dtypes": "string"},
    )
    return frames


def _below_header(sheet: pl.DataFrame, where: str) -> pl.DataFrame:
    filled = sheet.select(pl.any_horizontal(pl.all().str.strip_chars() != "").fill_null(False)).to_series()
    rows = [index for index, holds in enumerate(filled) if holds]
    if not rows or not filled[0]:
        raise DataError(f"{where}: row 1", "is empty", "the column names")
    sheet = sheet.head(rows[-1] + 1)
    # A column that was only formatted has neither a name nor a value.
    sheet = sheet.select(column for column in sheet.get_columns() if column.null_count() < sheet.height)
    names = check_header([name or "" for name in sheet.row(0)], where=f"{where}: row 1")
    if sheet.height == 1:
        raise DataError(where, "has a header and no rows", "at least one row")
    for index, holds in enumerate(filled.head(sheet.height)):
        if not holds:
            raise DataError(f"{where}: row {index + 1}", "is empty", "no empty rows between the others")
    sheet.columns = names
    return sheet.slice(1)


def _check_archive(raw: bytes, where: str) -> None:
    if raw.startswith(OLD_EXCEL):
        raise DataError(where, "is an .xls workbook, or one with a password", EXPECTED)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise DataError(where, f"has {len(members):,} parts", f"at most {MAX_MEMBERS:,}")
            unpacked = sum(member.file_size for member in members)
            if unpacked > MAX_UNPACKED_BYTES:
                found = f"unpacks to {unpacked >> 20:,} MiB"
                raise DataError(where, found, f"at most {MAX_UNPACKED_BYTES >> 20} MiB")
            # Declared sizes may lie; reading no further than declared and comparing checksums shows it.
            if (broken := archive.testzip()) is not None:
                raise DataError(where, f"its part {broken} is damaged", EXPECTED)
            for member in members:
                if SHEET.fullmatch(member.filename):
                    _check_sheet(archive.read(member), f"{where}: {member.filename}")
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(where, f"is no workbook ({error})", EXPECTED) from error
    except (RuntimeError, NotImplementedError) as error:  # how zipfile says: encrypted, or packed in another way
        raise DataError(where, f"cannot be unpacked ({error})", EXPECTED) from error


def _check_sheet(xml: bytes, where: str) -> None:
    """Measure the rectangle the cells span: a reader makes room for all of it, however few cells there are."""
    rows, columns = 0, 0
    for found in CELL.finditer(xml):
        reference = REFERENCE.fullmatch(found[1])
        if reference is None:
            raise DataError(where, f"names a cell {found[1][:20]!r}", "references such as B7")
        rows = max(rows, int(reference[2]))
        column = 0
        for letter in reference[1]:
            column = column * 26 + letter - 64
        columns = max(columns, column)
    check_size(rows=rows, columns=columns, where=where)
    for found in ERROR_CELL.finditer(xml):
        if found[2] != NOT_AVAILABLE:
            cell = CELL.match(b"<c" + found[1])
            place = cell[1].decode() if cell else "?"
            raise DataError(
                f"{where}: cell {place}", f"holds the error {found[2].decode()}", "a value or an empty cell"
            )
