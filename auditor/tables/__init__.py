"""Tables of decision records from CSV, Parquet and Excel files, as they stand there: all rows, or an error.

The readers (:mod:`.text`, :mod:`.parquet`, :mod:`.workbooks`) keep what a file says: text stays
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
from dataclasses import replace
from importlib import import_module
from pathlib import Path, PurePath

from auditor.canonical import sha256_bytes
from auditor.exceptions import DataError, reason_of
from auditor.tables.packed import PACKED, ending_of, inner_name, is_packed, opened, packed_twice
from auditor.tables.table import LIMITS, NO_HEADER, FileFormat, Limits, Reading, Table, TooLargeError, as_table

__all__ = [
    "ENDINGS",
    "KINDS",
    "KNOWN_KINDS",
    "LIMITS",
    "NO_HEADER",
    "Limits",
    "Reading",
    "Table",
    "TooLargeError",
    "as_table",
    "ending_of",
    "is_packed",
    "kind_of",
    "propose_reading",
    "read_table",
]

MAX_BYTES = 256 << 20

_READERS = {".csv": "text", ".tsv": "text", ".txt": "text", ".parquet": "parquet", ".xlsx": "workbooks"}
KINDS = tuple(_READERS)
KNOWN_KINDS = "a .csv, .tsv, .txt, .parquet or .xlsx file"
ENDINGS = (*KINDS, ".zip", *(f"{kind}.gz" for kind in KINDS))
"""Of every file that can be read, packed ones too."""


def read_table(path: Path, *, where: str = "", limits: Limits = LIMITS, reading: Reading | None = None) -> Table:
    """Read decision records from a ``.csv``, ``.tsv``, ``.txt``, ``.parquet`` or ``.xlsx`` file.

    One such file in a ``.zip`` or ``.gz`` is read too; its hash is that of the packed file.

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
    digest = sha256_bytes(raw) if not is_packed(path) else sha256_bytes(path.read_bytes())
    form = _format(kind)
    for key in reading.said():
        if key not in form.keys:
            fits = " and ".join(other.name for other in map(_format, (".csv", ".xlsx")) if key in other.keys)
            raise DataError(f"{where}: reading.{key}", f"is for {fits}", f"no such key for {form.name}")
    return replace(form.parse(raw, where=where, limits=limits, reading=reading), sha256=digest)


def propose_reading(path: Path, *, where: str = "", said: Reading | None = None) -> tuple[Reading, list[str]]:
    """The keys a file seems to need beside those that are said, and a reason for each; DataError if it cannot be read.

    A proposal is for people to read: an audit reads by the keys of its mapping only.
    """
    where = where or str(path)
    said = said or Reading()
    kind, raw = _checked_file(path, where)
    return _format(kind).propose(raw, where=where, said=said)


def _format(kind: str) -> FileFormat:
    """How files with this ending are read; the reader, and the library behind it, are loaded with the first of them."""
    form: FileFormat = import_module(f"auditor.tables.{_READERS[kind]}").FORMATS[kind]
    return form


def kind_of(path: Path, *, where: str) -> str:
    """The ending of a table file, of a packed one that of the file in it; DataError for one that is no known kind."""
    inner = inner_name(path, where=where)
    kind = PurePath(inner).suffix.lower()
    if is_packed(path) and (kind in PACKED or packed_twice(path, where=where)):
        raise DataError(where, f"holds {inner[:60]!r}, which is packed itself", "one table in it, packed once")
    if kind not in KINDS:
        raise DataError(where, "is not a kind of file that can be read", KNOWN_KINDS)
    return kind


def _checked_file(path: Path, where: str) -> tuple[str, bytes]:
    if not is_packed(path) and path.suffix.lower() not in KINDS:
        raise DataError(where, "is not a kind of file that can be read", KNOWN_KINDS)
    expected = "a file that can be read"
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise DataError(where, "is a folder", expected)
        if not stat.S_ISREG(mode):
            raise DataError(where, "is not a regular file", expected)
        kind = kind_of(path, where=where)
        with opened(path, where=where) as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise DataError(where, "there is no such file", expected) from error
    except PermissionError as error:
        raise DataError(where, "no permission to read it", "a file this account may read") from error
    except (OSError, ValueError) as error:
        raise DataError(where, f"cannot be read: {reason_of(error)}", expected) from error
    if len(raw) > MAX_BYTES:
        raise DataError(where, f"is larger than {MAX_BYTES >> 20} MiB", "a smaller file, or the same rows as Parquet")
    if not raw:
        raise DataError(where, "is empty", "a header and at least one row")
    return kind, raw
