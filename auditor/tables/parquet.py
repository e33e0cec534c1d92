"""Parquet files: columns with the types they have there. What is no single value makes its column unreadable, no more.

A text column is text, whatever it looks like. Bytes without the mark of text are text if they are UTF-8.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from zoneinfo import available_timezones

import polars as pl

from auditor.exceptions import DataError
from auditor.tables.table import LIMITS, FileFormat, Limits, Reading, Table, check_header, check_some_readable

#: Days from 1970-01-01 to the first and past the last day that ISO 8601 writes with four digits of the year.
DAYS = (-719_162, 2_932_897)
UNITS_A_DAY = {"ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": 86_400 * 10**9}
#: The least and the greatest whole number of 64 bits: as nanoseconds, moments of the years 1677 and 2262.
WHOLE = (-(2**63), 2**63 - 1)
EXPECTED = "numbers, text, truth values or dates"
#: The library panics over the whole file where one column has a zone it does not know, such as the offset ``+05:30`` of
#: other writers, unless this is set. The column is refused by its zone below.
os.environ.setdefault("POLARS_IGNORE_TIMEZONE_PARSE_ERROR", "1")
ZONED = "times in UTC or in a named zone, such as Europe/Berlin"
#: Digits of a decimal number that the library reads.
DECIMAL_DIGITS = 38
#: What pandas calls the rows of a table without an index of its own.
INDEX = "__index_level_0__"
FLOAT_DIGITS = 15  # what a decimal number may have and still be given back by a float


class UnreadableError(Exception):
    """A column holds no single values: what it holds, and what was expected."""

    def __init__(self, what: str, expected: str = EXPECTED) -> None:
        super().__init__(what)
        self.expected = expected


def parse_parquet(raw: bytes, *, where: str, limits: Limits = LIMITS, reading: Reading | None = None) -> Table:
    """Read a Parquet file, which says all of itself; errors as in :func:`auditor.tables.read_table`."""
    if len(raw) < 12 or raw[:4] != b"PAR1" or raw[-4:] != b"PAR1":
        raise DataError(where, "does not begin and end as Parquet does", "a complete Parquet file")
    expected = "a complete Parquet file"
    unreadable: dict[str, tuple[str, str]] = {}
    notes: list[str] = []
    columns: list[pl.Series] = []
    try:
        # The size stands in the footer: a small file can unpack to more than the machine holds.
        lazy = pl.scan_parquet(io.BytesIO(raw))
        schema = lazy.collect_schema()
        height = int(lazy.select(pl.len()).collect().item())
        limits.check(where=where, rows=height, columns=len(schema))
        names = check_header(schema.names(), where=f"{where}: schema")
        names = [name or f"column {at}" for at, name in enumerate(names, start=1)]
        characters = 0
        for name, called in zip(schema.names(), names, strict=True):
            try:
                _check_kind(schema[name])
                # One column at a time: until it is typed, text of a dictionary takes no more room than the dictionary.
                column = pl.read_parquet(io.BytesIO(raw), columns=[name])[name].alias(called)
                characters += _characters(column)
                limits.check(where=where, characters=characters)
                if column.dtype == pl.Binary:
                    notes.append(f"column {called!r} is bytes without the mark of text: read as UTF-8")
                columns.append(_plain(column))
            except UnreadableError as error:
                unreadable[called] = (str(error), error.expected)
    except (pl.exceptions.PanicException, pl.exceptions.PolarsError, OSError, ValueError, OverflowError) as error:
        raise DataError(where, f"is damaged: {_reason(error)}", expected) from error
    if not height or not names:
        raise DataError(where, "has columns and no rows", "at least one row")
    if any(len(column) != height for column in columns):
        raise DataError(where, "is damaged: its columns differ in length", expected)
    if INDEX in names:
        notes.append(f"column {INDEX!r} is the index of a pandas table, not a field of it")
    notes += [f"column {name!r} {what} and cannot be used" for name, (what, _) in unreadable.items()]
    frame = pl.DataFrame(columns)
    blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series() if columns else pl.Series([False])
    left_out: Mapping[str, int] = {}
    rows = None
    if blank.any() and not unreadable:
        rows = pl.int_range(1, height + 1, dtype=pl.UInt32, eager=True).filter(~blank)
        frame = frame.filter(~blank)
        left_out = {"rows without a value": int(blank.sum())}
        notes.append(f"{left_out['rows without a value']:,} rows without a value left out")
        if not frame.height:
            raise DataError(where, "has no value in any row", "at least one row")
    table = Table(frame=frame, rows=rows, notes=tuple(notes), left_out=left_out, unreadable=unreadable)
    return check_some_readable(table, where=where)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() | {"UTC"})


def _check_kind(kind: pl.DataType) -> None:
    """Refuse what is no single value, before it is read."""
    if isinstance(kind, pl.Datetime) and kind.time_zone and kind.time_zone not in _zones():
        raise UnreadableError(f"holds times in the zone {kind.time_zone[:40]!r}, which no list of zones names", ZONED)
    if isinstance(kind, pl.Decimal) and kind.precision > DECIMAL_DIGITS:
        raise UnreadableError(f"holds decimal numbers of {kind.precision} digits", f"at most {DECIMAL_DIGITS} digits")
    if isinstance(kind, (pl.Categorical, pl.Enum, pl.Date, pl.Datetime, pl.Time, pl.Null, pl.Decimal)):
        return
    if kind in (pl.String, pl.Boolean, pl.Binary) or kind.is_float() or kind.is_integer():
        return
    raise UnreadableError(f"holds values of type {kind}")


def _plain(column: pl.Series) -> pl.Series:
    """The column as whole numbers, decimals, truth values or text."""
    kind = column.dtype
    _check_dates(column)
    if isinstance(kind, (pl.Categorical, pl.Enum, pl.Null)):
        column = column.cast(pl.String)
    elif isinstance(kind, (pl.Date, pl.Datetime, pl.Time)):
        column = column.dt.to_string("iso")
    elif kind == pl.Binary:
        column = _decoded(column)
    elif isinstance(kind, pl.Decimal):
        column = _decimals(column, kind)
    if column.dtype == pl.String:
        return column.set(column.str.strip_chars() == "", None)
    if column.dtype.is_float():
        if column.is_infinite().any():
            raise UnreadableError(f"is infinite in row {int(column.is_infinite().arg_max() or 0) + 1:,}")
        return column.cast(pl.Float64).fill_nan(None)
    if column.dtype.is_integer():
        exact = column.is_null().all() or (abs(int(column.max())) < 2**53 and abs(int(column.min())) < 2**53)  # type: ignore[arg-type]
        return column.cast(pl.Int64 if exact else pl.String)
    return column


def _decimals(column: pl.Series, kind: pl.Decimal) -> pl.Series:
    """Decimal numbers as floats that give them back, else as text: types are often wider than what stands there."""
    if kind.precision <= FLOAT_DIGITS:
        return column.cast(pl.Float64)
    largest = column.abs().max()
    if largest is None or largest >= 10**FLOAT_DIGITS:
        return column.cast(pl.String)
    numbers = column.cast(pl.Float64)
    same = all(number is None or Decimal(repr(number)) == value for number, value in zip(numbers, column, strict=True))
    return numbers if same else column.cast(pl.String)


def _decoded(column: pl.Series) -> pl.Series:
    values: list[str | None] = []
    for row, raw in enumerate(column, start=1):
        try:
            values.append(None if raw is None else raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise UnreadableError(f"holds bytes that are not UTF-8 text in row {row:,}") from error
    return pl.Series(column.name, values, dtype=pl.String)


def _check_dates(column: pl.Series) -> None:
    """Refuse dates and times that cannot be written: the library panics over them."""
    kind = column.dtype
    if isinstance(kind, pl.Date):
        first, past = DAYS
    elif isinstance(kind, pl.Datetime):
        first, past = (day * UNITS_A_DAY[kind.time_unit] for day in DAYS)
    elif isinstance(kind, pl.Time):
        first, past = 0, UNITS_A_DAY["ns"]
    else:
        return
    numbers = column.to_physical()
    # Beyond what the column can hold, the library cannot compare.
    low, high = max(first, WHOLE[0]), min(past - 1, WHOLE[1])
    wrong = ((numbers < low) | (numbers > high)).fill_null(False)
    if wrong.any():
        what = "holds no time of a day" if isinstance(kind, pl.Time) else "holds a date beyond the years 1 to 9999"
        raise UnreadableError(f"{what} in row {int(wrong.arg_max() or 0) + 1:,}")


def _characters(column: pl.Series) -> int:
    """Bytes of a column's text, each value counted as often as it stands there."""
    if isinstance(column.dtype, (pl.Categorical, pl.Enum)):
        counted = column.value_counts(name="rows")
        lengths = counted.to_series(0).cast(pl.String).str.len_bytes().cast(pl.UInt64)
        return int((lengths * counted["rows"].cast(pl.UInt64)).sum() or 0)
    if column.dtype == pl.Binary:
        return int(column.bin.size().cast(pl.UInt64).sum() or 0)
    return int(column.str.len_bytes().cast(pl.UInt64).sum() or 0) if column.dtype == pl.String else 0


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _nothing_to_propose(raw: bytes, *, where: str, said: Reading) -> tuple[Reading, list[str]]:
    return said, []


FORMATS = {
    ".parquet": FileFormat(name="Parquet", keys=frozenset(), parse=parse_parquet, propose=_nothing_to_propose),
}
