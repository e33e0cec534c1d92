"""Tables of decision records from CSV, Parquet and Excel files: all rows, typed without guessing wrongly, or an error.

How a cell becomes a value, in all three formats:

- An empty cell and ``NA`` are missing. Nothing else is: codes such as 999 are the mapping's business.
- A text column becomes whole numbers if every cell is one, decimals if every cell is a number. A leading zero, a plus
  sign or more than 15 digits make it text, because a number would not give them back.
- Dates and times become ISO 8601 text, decimals become floats, "not a number" becomes missing.

No row is skipped, cut or filled: a file that would need it is refused. So is one that a small file unpacks to: rows,
columns, cells and characters are counted before room is made for them. Memory and time are the caller's to bound, for
no count in a file made to deceive can be trusted (compliance/registry/reading.py does it for uploads).
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from auditor.canonical import sha256_bytes
from auditor.exceptions import DataError

MAX_BYTES = 256 << 20
MAX_FIELD_CHARACTERS = 131_072  # the csv module's own limit
MAX_NAME_CHARACTERS = 200

KINDS = (".csv", ".parquet", ".xlsx")
MISSING = ("", "NA")
WRONG_DELIMITERS = {";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
BLOCK_ROWS = 20_000
BLOCK_BYTES = 1 << 20
# Up to 15 digits a float gives back what the file said; identifiers longer than that stay text.
WHOLE = r"^(0|-?[1-9][0-9]{0,14})$"
DECIMAL = r"^-?((0|[1-9][0-9]{0,14})(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
SIGNATURES = {b"PK\x03\x04": "a ZIP archive or an Excel workbook", b"PAR1": "a Parquet file", b"\x1f\x8b": "gzip data"}
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: Days from 1970-01-01 to the first and past the last day that ISO 8601 writes with four digits of the year.
DAYS = (-719_162, 2_932_897)
UNITS_A_DAY = {"ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": 86_400 * 10**9}


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


@dataclass(frozen=True)
class Table:
    """A table as it stands in a file, in file order, and the SHA-256 of that file."""

    frame: pl.DataFrame
    sha256: str


def read_table(path: Path, *, where: str = "", limits: Limits = LIMITS) -> Table:
    """Read decision records from a ``.csv``, ``.parquet`` or ``.xlsx`` file.

    Parameters
    ----------
    where
        What refusals call it; its path if nothing else is said.
    limits
        How large it may be.

    Raises
    ------
    DataError
        One line with the file, the line or column, and what was expected, for whatever cannot be read as it stands.
    """
    where = where or str(path)
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise DataError(where, "is of no known kind", "a .csv, .parquet or .xlsx file")
    raw = _read(path, where)
    if kind == ".csv":
        frame = parse_csv(raw, where=where, limits=limits)
    elif kind == ".parquet":
        frame = parse_parquet(raw, where=where, limits=limits)
    else:
        from auditor.workbooks import parse_workbook

        frame = parse_workbook(raw, where=where, limits=limits)
    return Table(frame=frame, sha256=sha256_bytes(raw))


def parse_csv(raw: bytes, *, where: str, limits: Limits = LIMITS) -> pl.DataFrame:
    """Read comma-separated UTF-8 text with one header line; errors as in :func:`read_table`."""
    _check_text(raw, where)
    records = _records(raw, where)
    header_line, header = next(records, (0, []))
    if not header:
        what = f"line {header_line} is empty" if header_line else "is empty"
        raise DataError(where, what, "a header line and at least one row")
    line, first = next(records, (0, []))
    if len(header) == 1:
        _check_delimiter(header[0], first, where)
    limits.check(where=where, columns=len(header), characters=len(raw))
    names = check_header(header, where=f"{where}: line {header_line}")
    if not line:
        raise DataError(where, "has a header and no rows", "at least one row")

    def rows() -> Iterable[Sequence[str]]:
        yield checked(line, first)
        for number, fields in records:
            yield checked(number, fields)

    def checked(number: int, fields: Sequence[str]) -> Sequence[str]:
        if len(fields) != len(names):
            found = f"{len(fields)} field{'s' * (len(fields) != 1)}" if fields else "no field"
            raise DataError(f"{where}: line {number}", f"has {found}", f"{len(names)}, as in the header")
        return fields

    blocks = []
    height = 0
    source = iter(rows())
    while block := list(islice(source, BLOCK_ROWS)):
        height += len(block)
        limits.check(where=where, rows=height, columns=len(names))
        columns = zip(names, zip(*block, strict=True), strict=True)
        blocks.append(pl.DataFrame({name: pl.Series(values, dtype=pl.String) for name, values in columns}))
    return typed(pl.concat(blocks, rechunk=True), where=where)


def parse_parquet(raw: bytes, *, where: str, limits: Limits = LIMITS) -> pl.DataFrame:
    """Read a Parquet file; errors as in :func:`read_table`."""
    if len(raw) < 12 or raw[:4] != b"PAR1" or raw[-4:] != b"PAR1":
        raise DataError(where, "does not begin and end as Parquet does", "a complete Parquet file")
    expected = "a complete Parquet file"
    try:
        # The size stands in the footer: a small file can unpack to more than the machine holds.
        lazy = pl.scan_parquet(io.BytesIO(raw))
        schema = lazy.collect_schema()
        for name, kind in schema.items():
            _check_kind(name, kind, where)
        height = int(lazy.select(pl.len()).collect().item())
        limits.check(where=where, rows=height, columns=len(schema))
        names = check_header(schema.names(), where=f"{where}: schema")
        columns = []
        characters = 0
        for name, called in zip(schema.names(), names, strict=True):
            # One column at a time: until it is typed, text of a dictionary takes no more room than the dictionary.
            column = pl.read_parquet(io.BytesIO(raw), columns=[name])[name].alias(called)
            characters += _characters(column)
            limits.check(where=where, characters=characters)
            columns.append(_typed(column, where))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, OverflowError) as error:
        raise DataError(where, f"is damaged: {_reason(error)}", expected) from error
    if not height or not columns:
        raise DataError(where, "has columns and no rows", "at least one row")
    if len({len(column) for column in columns}) > 1 or len(columns[0]) != height:
        raise DataError(where, "is damaged: its columns differ in length", expected)
    return pl.DataFrame(columns)


def check_header(names: Sequence[str], *, where: str) -> list[str]:
    """The column names without spaces around them.

    Raises
    ------
    DataError
        If one is empty, longer than a name is, or stands twice, with its position.
    """
    stripped = [name.strip() for name in names]
    for position, name in enumerate(stripped, start=1):
        if not name:
            raise DataError(where, f"column {position} has no name", "a name for every column")
        if len(name) > MAX_NAME_CHARACTERS:
            found = f"the name of column {position} has {len(name):,} characters"
            raise DataError(where, found, f"at most {MAX_NAME_CHARACTERS}")
    for name, count in Counter(stripped).items():
        if count > 1:
            positions = " and ".join(str(index) for index, other in enumerate(stripped, start=1) if other == name)
            raise DataError(where, f"columns {positions} are both called {name!r}", "one name a column")
    return stripped


def typed(frame: pl.DataFrame, *, where: str) -> pl.DataFrame:
    """The same rows with columns of whole numbers, decimals, booleans or text; missing cells are null.

    Raises
    ------
    DataError
        For a column of lists, structures, bytes or other things that are no single value, or of infinite numbers.
    """
    return pl.DataFrame([_typed(column, where) for column in frame.get_columns()])


def _typed(column: pl.Series, where: str) -> pl.Series:
    kind = column.dtype
    _check_kind(column.name, kind, where)
    _check_dates(column, where)
    if isinstance(kind, (pl.Categorical, pl.Enum)):
        column = column.cast(pl.String)
    elif isinstance(kind, (pl.Date, pl.Datetime, pl.Time)):
        column = column.dt.to_string("iso")
    elif isinstance(kind, pl.Null):
        column = column.cast(pl.String)
    elif isinstance(kind, pl.Decimal):
        column = column.cast(pl.Float64)
    if column.dtype == pl.String:
        return _from_text(column)
    if column.dtype.is_float():
        if column.is_infinite().any():
            row = int(column.is_infinite().arg_max() or 0) + 1
            raise DataError(f"{where}: column {column.name!r}", f"is infinite in row {row}", "finite numbers")
        return column.cast(pl.Float64).fill_nan(None)
    if column.dtype.is_integer():
        exact = column.is_null().all() or (abs(int(column.max())) < 2**53 and abs(int(column.min())) < 2**53)  # type: ignore[arg-type]
        return column.cast(pl.Int64 if exact else pl.String)
    return column


def _check_kind(name: str, kind: pl.DataType, where: str) -> None:
    """Refuse what is no single value, before it is read."""
    if isinstance(kind, (pl.Categorical, pl.Enum, pl.Date, pl.Datetime, pl.Time, pl.Null, pl.Decimal)):
        return
    if kind in (pl.String, pl.Boolean) or kind.is_float() or kind.is_integer():
        return
    raise DataError(f"{where}: column {name!r}", f"holds values of type {kind}", "numbers, text or dates")


def _check_dates(column: pl.Series, where: str) -> None:
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
    wrong = ((numbers < first) | (numbers >= past)).fill_null(False)
    if wrong.any():
        what = "holds no time of a day" if isinstance(kind, pl.Time) else "holds a date beyond the years 1 to 9999"
        row = int(wrong.arg_max() or 0) + 1
        raise DataError(f"{where}: column {column.name!r}", f"{what} in row {row:,}", "dates and times that exist")


def _characters(column: pl.Series) -> int:
    """UTF-8 bytes of a column's text, each value counted as often as it stands there."""
    if isinstance(column.dtype, (pl.Categorical, pl.Enum)):
        counted = column.value_counts(name="rows")
        lengths = counted.to_series(0).cast(pl.String).str.len_bytes().cast(pl.UInt64)
        return int((lengths * counted["rows"].cast(pl.UInt64)).sum() or 0)
    return int(column.str.len_bytes().cast(pl.UInt64).sum() or 0) if column.dtype == pl.String else 0


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _from_text(column: pl.Series) -> pl.Series:
    bare = column.str.strip_chars()
    column = column.set(bare.is_in(MISSING), None)
    bare = bare.set(column.is_null(), None)
    if not bare.null_count() < len(bare):
        return column
    if bare.str.contains(WHOLE).all():
        return bare.cast(pl.Int64)
    if bare.str.contains(DECIMAL).all():
        numbers = bare.cast(pl.Float64)
        if math.isfinite(float(numbers.abs().max())):  # type: ignore[arg-type]
            return numbers
    return column


def _read(path: Path, where: str) -> bytes:
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
    return raw


def _check_text(raw: bytes, where: str) -> None:
    """Refuse what is no UTF-8 text, before anything is split into fields."""
    for signature, name in SIGNATURES.items():
        if raw.startswith(signature):
            raise DataError(where, f"is {name}, not CSV", "comma-separated UTF-8 text")
    if raw.startswith(UTF_16):
        raise DataError(where, "is encoded in UTF-16", "UTF-8; save it as CSV UTF-8")
    nul = raw.find(b"\0")
    if nul >= 0:
        raise DataError(f"{where}: line {_line(raw, nul)}", "holds a NUL byte", "UTF-8 text")
    decoder = codecs.getincrementaldecoder("utf-8")()
    for begin in range(0, len(raw), BLOCK_BYTES):
        # In blocks: the whole text would take up to four times the room of the file.
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(raw[begin : begin + BLOCK_BYTES], final=begin + BLOCK_BYTES >= len(raw))
        except UnicodeDecodeError as error:
            place = begin - held + error.start
            found = f"byte 0x{raw[place]:02x} at position {place + 1:,} is not UTF-8"
            raise DataError(f"{where}: line {_line(raw, place)}", found, "UTF-8; save it as CSV UTF-8") from error


def _line(raw: bytes, position: int) -> int:
    return raw.count(b"\n", 0, position) + 1


def _records(raw: bytes, where: str) -> Iterator[tuple[int, list[str]]]:
    """Records with the line each begins in; empty lines are records of no field, but for those at the very end."""
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8-sig", newline=""), strict=True)
    begins, first_empty = 1, 0
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            if "field limit" in str(error):
                what = f"a field is longer than {MAX_FIELD_CHARACTERS:,} characters, or its quote is not closed"
            elif "unexpected end" in str(error):
                what = "a quote is opened and not closed"
            else:
                what = "a quoted field goes on after its closing quote"
            raise DataError(f"{where}: line {begins}", what, 'fields as "…", quotes inside them doubled') from error
        if fields is None:
            return
        if fields:
            if first_empty:
                yield first_empty, []
                first_empty = 0
            yield begins, fields
        else:
            first_empty = first_empty or begins
        begins = reader.line_num + 1


def _check_delimiter(header: str, first: Sequence[str], where: str) -> None:
    for delimiter, name in WRONG_DELIMITERS.items():
        if header.count(delimiter) and (not first or any(delimiter in field for field in first)):
            raise DataError(f"{where}: line 1", f"its fields are separated by {name}", "commas between the fields")
