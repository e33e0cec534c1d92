"""What every reader of tables gives and keeps to: a table, what its file does not say, and how large it may be."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from auditor.exceptions import DataError

MAX_NAME_CHARACTERS = 200
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
    bytes of a text file mean; ``columns`` the names of the columns of a file that has none, in their order.
    """

    sheet: str = ""
    header: int = 0
    last: int = 0
    delimiter: str = ""
    encoding: str = ""
    columns: tuple[str, ...] = ()

    def said(self) -> dict[str, str | int | tuple[str, ...]]:
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


class Parse(Protocol):
    """Reads the bytes of a file; DataError as `auditor.tables.read_table` raises it."""

    def __call__(self, raw: bytes, *, where: str, limits: Limits, reading: Reading) -> Table:
        """The table."""


class Propose(Protocol):
    """Says which keys a file seems to need beside those that are ``said``, and a reason for each."""

    def __call__(self, raw: bytes, *, where: str, said: Reading) -> tuple[Reading, list[str]]:
        """The keys and the reasons."""


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """How files of one format are read.

    ``name`` is what they are, for people; ``keys`` the keys of `Reading` that mean something of them. ``parse``
    reads bytes, ``propose`` says which keys a file seems to need.
    """

    name: str
    keys: frozenset[str]
    parse: Parse
    propose: Propose


def as_table(table: Table | pl.DataFrame) -> Table:
    """A table, also of a bare frame, whose rows then count from 1."""
    return table if isinstance(table, Table) else Table(frame=table)


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
