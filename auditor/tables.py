"""Tables of decision records from CSV, Parquet and Excel files, as they stand there: all rows, or an error.

The readers (auditor/text_tables.py, auditor/parquet_tables.py, auditor/workbooks.py) keep what a file says: text stays
text, down to its last zero, and becomes a number only where a mapping says so (auditor/mappings.py). An empty cell is
missing and nothing else is. What a reader leaves out because it is no record (lines without a value, columns with
neither name nor value) it counts and says; what it would have to guess is a key of :class:`Reading`, and without the
key the file is refused with the likely cause.

A file is also refused that unpacks to too much: rows, columns, cells and characters are counted before room is made for
them. Memory and time are the caller's to bound, for no count in a file made to deceive can be trusted
(compliance/registry/reading.py does it for uploads).
"""

from __future__ import annotations

import stat
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from auditor.canonical import sha256_bytes
from auditor.exceptions import DataError

MAX_BYTES = 256 << 20
MAX_NAME_CHARACTERS = 200

TEXT_KINDS = (".csv", ".tsv", ".txt")
KINDS = (*TEXT_KINDS, ".parquet", ".xlsx")
KNOWN_KINDS = "a .csv, .tsv, .txt, .parquet or .xlsx file"


#: Characters without a shape and a meaning, as stand before or behind what was copied from pages: marks of order.
UNSEEN = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad"
#: ``header`` of a file that has no line of column names; ``false`` in a mapping.
NO_HEADER = -1


class TooLargeError(DataError):
    """The table is larger than was asked for; nothing else is known to be wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How large a table may be; ``characters`` counts the UTF-8 bytes of all its text once unpacked."""

    rows: int = 1_000_000
    columns: int = 1_000
    cells: int = 20_000_000
    characters: int = 256 << 20

    def check(self, *, where: str, rows: int = 0, columns: int = 0, cells: int = 0, characters: int = 0) -> None:
        """Raise TooLargeError naming the first count beyond its limit; ``cells`` beside rows times columns."""
        cells = max(cells, rows * columns)
        found = {"rows": rows, "columns": columns, "cells": cells, "characters": characters}
        for what, count in found.items():
            most = getattr(self, what)
            if count > most:
                raise TooLargeError(where, f"has more {what} than can be read", f"at most {most:,} {what}")


#: What the engine reads at most. A caller may ask for less.
LIMITS = Limits()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a file does not say of itself: the keys of ``[reading]`` in a mapping. What is 0 or empty is not said.

    ``sheet`` is the sheet of a workbook; ``header`` the line (of a sheet: the row) of the column names, `NO_HEADER` if
    there is none, and ``last`` that of the last record; ``delimiter`` what stands between fields, ``encoding`` what the
    bytes of a text file mean.
    """

    sheet: str = ""
    header: int = 0
    last: int = 0
    delimiter: str = ""
    encoding: str = ""

    def said(self) -> dict[str, str | int]:
        """The keys that say something, as a mapping writes them."""
        return {key: False if value == NO_HEADER else value for key, value in vars(self).items() if value}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as it stands in a file, in file order.

    ``rows`` is the line or row of the file in which each record stands (without it they count from 1), ``letters`` the
    letter of each column of a sheet. ``untyped`` are the columns in whose text a number may hide, since their format
    does not tell the two apart. ``notes`` is what a person should know of how the file was read, ``left_out`` how many
    lines were no records, by reason, ``unreadable`` the columns without single values: what, and what was expected.
    """

    frame: pl.DataFrame
    sha256: str = ""
    rows: pl.Series | None = None
    unit: str = "row"
    letters: Mapping[str, str] = field(default_factory=dict)
    untyped: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    unreadable: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def place(self, index: int, column: str = "") -> str:
        """Where record ``index`` (from 0) stands: a line, a row, or the cell of a sheet if a column is named."""
        number = index + 1 if self.rows is None else int(self.rows[index])
        letter = self.letters.get(column)
        return f"cell {letter}{number}" if letter else f"{self.unit} {number:,}"

    @property
    def columns(self) -> list[str]:
        """The names of all columns, those that cannot be read last."""
        return [*self.frame.columns, *self.unreadable]


def as_table(table: Table | pl.DataFrame) -> Table:
    """A table, also of a bare frame, whose rows then count from 1."""
    return table if isinstance(table, Table) else Table(frame=table)


def read_table(path: Path, *, where: str = "", limits: Limits = LIMITS, reading: Reading | None = None) -> Table:
    """Read decision records from a ``.csv``, ``.tsv``, ``.txt``, ``.parquet`` or ``.xlsx`` file.

    Parameters
    ----------
    where
        What refusals call it; its path if nothing else is said.
    limits
        How large it may be.
    reading
        What the file does not say of itself.

    Raises
    ------
    DataError
        One line with the file, the line, cell or column, and what was expected, for whatever cannot be read.
    """
    where = where or str(path)
    reading = reading or Reading()
    kind, raw = _checked_file(path, where)
    for key in ("sheet",) if kind in TEXT_KINDS else ("delimiter", "encoding") if kind == ".xlsx" else ():
        if key in reading.said():
            fits, given = ("workbooks", "a text file") if key == "sheet" else ("text files", "a workbook")
            raise DataError(f"{where}: reading.{key}", f"is for {fits}", f"no such key for {given}")
    if kind in TEXT_KINDS:
        from auditor.text_tables import parse_text

        table = parse_text(raw, where=where, limits=limits, reading=reading, tabs=kind == ".tsv")
    elif kind == ".parquet":
        from auditor.parquet_tables import parse_parquet

        if reading.said():
            key = next(iter(reading.said()))
            raise DataError(f"{where}: reading.{key}", "is for text files and workbooks", "no such key for Parquet")
        table = parse_parquet(raw, where=where, limits=limits)
    else:
        from auditor.workbooks import parse_workbook

        table = parse_workbook(raw, where=where, limits=limits, reading=reading)
    return replace(table, sha256=sha256_bytes(raw))


def propose_reading(path: Path, *, where: str = "", said: Reading | None = None) -> tuple[Reading, list[str]]:
    """The keys a file seems to need beside those that are said, and a reason for each; DataError if it cannot be read.

    A proposal is for people to read: an audit reads by the keys of its mapping only.
    """
    where = where or str(path)
    said = said or Reading()
    kind, raw = _checked_file(path, where)
    if kind in TEXT_KINDS:
        from auditor.text_tables import likely_reading

        return likely_reading(raw, where=where, said=said, tabs=kind == ".tsv")
    if kind == ".xlsx":
        from auditor.workbooks import likely_rows

        return likely_rows(raw, where=where, said=said)
    return said, []


def check_header(names: Sequence[str], *, where: str) -> list[str]:
    """The column names in NFC, without spaces around them and characters that nobody sees.

    Raises
    ------
    DataError
        If one is longer than a name is, or stands twice, with its position.
    """
    stripped = [unicodedata.normalize("NFC", name.strip().strip(UNSEEN).strip()) for name in names]
    for position, name in enumerate(stripped, start=1):
        if len(name) > MAX_NAME_CHARACTERS:
            found = f"the name of column {position} has {len(name):,} characters"
            raise DataError(where, found, f"at most {MAX_NAME_CHARACTERS}")
    for name, count in Counter(stripped).items():
        if count > 1 and name:
            positions = " and ".join(str(index) for index, other in enumerate(stripped, start=1) if other == name)
            raise DataError(where, f"columns {positions} are both called {name!r}", "one name a column")
    return stripped


def check_some_readable(table: Table, *, where: str) -> Table:
    """The same table; DataError naming a column if none can be read."""
    if table.unreadable and not table.frame.width:
        column, (what, expected) = next(iter(table.unreadable.items()))
        raise DataError(f"{where}: column {column!r}", what, expected)
    return table


def spelled(value: Any) -> str:
    """A value as text that gives it back: a whole number without a point, a truth value as spreadsheets show it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _checked_file(path: Path, where: str) -> tuple[str, bytes]:
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise DataError(where, "is of no known kind", KNOWN_KINDS)
    expected = "a file that can be read"
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise DataError(where, "is a folder", expected)
        if not stat.S_ISREG(mode):
            raise DataError(where, "is no ordinary file", expected)
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise DataError(where, "there is no such file", expected) from error
    except PermissionError as error:
        raise DataError(where, "no permission to read it", "a file this account may read") from error
    except (OSError, ValueError) as error:
        raise DataError(where, f"cannot be read ({getattr(error, 'strerror', None) or error})", expected) from error
    if len(raw) > MAX_BYTES:
        raise DataError(where, f"is larger than {MAX_BYTES >> 20} MiB", "a smaller file, or the same rows as Parquet")
    if not raw:
        raise DataError(where, "is empty", "a header and at least one row")
    return kind, raw
