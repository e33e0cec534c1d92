"""A table as CSV, XLSX or JSON, row by row: a long one is never held in memory.

What a spreadsheet would take for a formula is a text in CSV and XLSX: it is preceded by an apostrophe, as a spreadsheet
itself writes a text. JSON has no formulas and holds every text as it is.
"""

from __future__ import annotations

import csv
import io
import json
import math
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import IO, Any

import xlsxwriter

from compliance.tables.described import Plain, Table

#: The characters a formula begins with; full-width ones come down to them.
FORMULA = frozenset("=+-@")
#: Spreadsheets take what follows one of these for the beginning of a cell.
BREAKS = frozenset("\t\r\n\0")
BATCH = 500
PART = 1 << 16
SHEET_ROWS = 1_048_576
CELL_CHARACTERS = 32_767
EXACT = 2**53
"""Whole numbers beyond are not exact in a spreadsheet, nor in JSON as most programs read it."""
CUT = "… (cut)"


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    if text[:1] in BREAKS and text:
        return f"'{text}"
    begins = next((character for character in text if not _is_passed_over(character)), "")
    return f"'{text}" if unicodedata.normalize("NFKC", begins)[:1] in FORMULA and begins else text


def csv_lines(table: Table) -> Iterator[bytes]:
    """UTF-8 with a byte order mark, by which spreadsheets know it, commas, and lines that end as RFC 4180 says."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([guarded(column.name) for column in table.columns])
    yield b"\xef\xbb\xbf"
    for number, line in enumerate(table.lines(), start=1):
        writer.writerow([_csv(value) for value in line])
        if number % BATCH == 0:
            yield _emptied(buffer)
    yield _emptied(buffer)


def json_lines(table: Table) -> Iterator[bytes]:
    """One object: what the table is, what was asked for, its columns, and its rows, one a line."""
    head = {
        "table": table.name,
        "title": table.title,
        "of": table.about,
        "filters": dict(table.asked),
        "columns": [{"name": column.name, "head": column.head or column.name} for column in table.columns],
    }
    yield f'{_dumped(head)[:-1]}, "rows": ['.encode()
    names = [column.name for column in table.columns]
    lines: list[str] = []
    for number, line in enumerate(table.lines()):
        row = dict(zip(names, (_json(value) for value in line), strict=True))
        lines.append(("," if number else "") + "\n" + _dumped(row))
        if len(lines) == BATCH:
            yield "".join(lines).encode()
            lines = []
    yield ("".join(lines) + "\n]}\n").encode()


def xlsx_parts(table: Table) -> Iterator[bytes]:
    """A workbook, written to disk first; more rows than a sheet holds go on in the next one."""
    with tempfile.TemporaryFile() as file:
        _write_book(table, file)
        file.seek(0)
        while part := file.read(PART):
            yield part


def _write_book(table: Table, file: IO[bytes]) -> None:
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_numbers": False,
        "strings_to_urls": False,
        "remove_timezone": True,
    }
    with xlsxwriter.Workbook(file, options) as book:
        head, moment = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        names = [guarded(column.name) for column in table.columns]
        sheet, at = None, SHEET_ROWS
        for line in _with_one(table.lines()):
            if at == SHEET_ROWS:
                sheet = book.add_worksheet()
                sheet.freeze_panes(1, 0)
                sheet.write_row(0, 0, names, head)
                at = 1
            if line is not None and sheet is not None:
                for place, value in enumerate(line):
                    _write(sheet, at, place, value, moment)
                at += 1


def _with_one(lines: Iterable[list[Plain]]) -> Iterator[list[Plain] | None]:
    """The lines, and first of all nothing: a table without rows has a head all the same."""
    yield None
    yield from lines


def _write(sheet: Any, row: int, column: int, value: Plain, moment: Any) -> None:
    value = _finite(value)
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, datetime):
        sheet.write_datetime(row, column, value.astimezone(UTC), moment)
    elif isinstance(value, (int, float)) and abs(value) <= EXACT:
        sheet.write_number(row, column, value)
    else:
        text = guarded(str(value))
        kept = text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - len(CUT)] + CUT
        sheet.write_string(row, column, kept)


def _csv(value: Plain) -> str:
    value = _finite(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return _moment(value)
    return repr(value) if isinstance(value, (int, float)) else guarded(value)


def _json(value: Plain) -> str | int | float | bool | None:
    value = _finite(value)
    return _moment(value) if isinstance(value, datetime) else value


def _finite(value: Plain) -> Plain:
    """A number that is none is missing, as it is in every file of an audit."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _emptied(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def _is_passed_over(character: str) -> bool:
    """Whether a spreadsheet may look past it for the beginning of a formula: spaces, and what nobody sees."""
    return character.isspace() or character == "'" or unicodedata.category(character) in ("Cc", "Cf", "Zs")
