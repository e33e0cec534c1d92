"""Tables of decision records from CSV, Parquet and Excel files: all rows, typed without guessing wrongly, or an error.

How a cell becomes a value, in all three formats:

- An empty cell and ``NA`` are missing. Nothing else is: codes such as 999 are the mapping's business.
- A text column becomes whole numbers if every cell is one, decimals if every cell is a number. A leading zero, a plus
  sign or more than 15 digits make it text, because a number would not give them back.
- Dates and times become ISO 8601 text, decimals become floats, "not a number" becomes missing.

No row is skipped, cut or filled: a file that would need it is refused.
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
MAX_ROWS = 1_000_000
MAX_COLUMNS = 1_000
MAX_CELLS = 20_000_000
MAX_FIELD_CHARACTERS = 131_072  # the csv module's own limit

KINDS = (".csv", ".parquet", ".xlsx")
MISSING = ("", "NA")
WRONG_DELIMITERS = {";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
BLOCK_ROWS = 20_000
# Up to 15 digits a float gives back what the file said; identifiers longer than that stay text.
WHOLE = r"^(0|-?[1-9][0-9]{0,14})$"
DECIMAL = r"^-?((0|[1-9][0-9]{0,14})(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
SIGNATURES = {b"PK\x03\x04": "a ZIP archive or an Excel workbook", b"PAR1": "a Parquet file", b"\x1f\x8b": "gzip data"}
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Table:
    """A table as it stands in a file, in file order, and the SHA-256 of that file."""

    frame: pl.DataFrame
    sha256: str


def read_table(path: Path) -> Table:
    """Read decision records from a ``.csv``, ``.parquet`` or ``.xlsx`` file.

    Raises
    ------
    DataError
        One line with the file, the line or column, and what was expected, for whatever cannot be read as it stands.
    """
    where = str(path)
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise DataError(where, "is of no known kind", "a .csv, .parquet or .xlsx file")
    raw = _read(path, where)
    if kind == ".csv":
        frame = parse_csv(raw, where=where)
    elif kind == ".parquet":
        frame = parse_parquet(raw, where=where)
    else:
        from auditor.workbooks import parse_workbook

        frame = parse_workbook(raw, where=where)
    return Table(frame=frame, sha256=sha256_bytes(raw))


def parse_csv(raw: bytes, *, where: str) -> pl.DataFrame:
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
        check_size(rows=height, columns=len(names), where=where)
        columns = zip(names, zip(*block, strict=True), strict=True)
        blocks.append(pl.DataFrame({name: pl.Series(values, dtype=pl.String) for name, values in columns}))
    return typed(pl.concat(blocks, rechunk=True), where=where)


def parse_parquet(raw: bytes, *, where: str) -> pl.DataFrame:
    """Read a Parquet file; errors as in :func:`read_table`."""
    if len(raw) < 12 or raw[:4] != b"PAR1" or raw[-4:] != b"PAR1":
        raise DataError(where, "does not begin and end as Parquet does", "a complete Parquet file")
    try:
        # The size stands in the footer: a small file can unpack to more than the machine holds.
        lazy = pl.scan_parquet(io.BytesIO(raw))
        names = lazy.collect_schema().names()
        height = int(lazy.select(pl.len()).collect().item())
        check_size(rows=height, columns=len(names), where=where)
        frame = pl.read_parquet(io.BytesIO(raw))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(where, f"is damaged: {reason}", "a complete Parquet file") from error
    frame.columns = check_header(names, where=f"{where}: schema")
    if not frame.height:
        raise DataError(where, "has columns and no rows", "at least one row")
    return typed(frame, where=where)


def check_header(names: Sequence[str], *, where: str) -> list[str]:
    """The column names without spaces around them.

    Raises
    ------
    DataError
        If one is empty or stands twice, with its position.
    """
    stripped = [name.strip() for name in names]
    for position, name in enumerate(stripped, start=1):
        if not name:
            raise DataError(where, f"column {position} has no name", "a name for every column")
    for name, count in Counter(stripped).items():
        if count > 1:
            positions = " and ".join(str(index) for index, other in enumerate(stripped, start=1) if other == name)
            raise DataError(where, f"columns {positions} are both called {name!r}", "one name a column")
    return stripped


def check_size(*, rows: int, columns: int, where: str) -> None:
    """Raise DataError if the table has more rows, columns or cells than this program reads."""
    found = (("rows", rows, MAX_ROWS), ("columns", columns, MAX_COLUMNS), ("cells", rows * columns, MAX_CELLS))
    for what, count, limit in found:
        if count > limit:
            raise DataError(where, f"has more {what} than can be read", f"at most {limit:,} {what}")


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
    if column.dtype == pl.Boolean:
        return column
    raise DataError(f"{where}: column {column.name!r}", f"holds values of type {kind}", "numbers, text or dates")


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
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"byte 0x{raw[error.start]:02x} at position {error.start + 1:,} is not UTF-8"
        raise DataError(f"{where}: line {_line(raw, error.start)}", found, "UTF-8; save it as CSV UTF-8") from error


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
