"""What the bytes of a text file mean: its text in UTF-8, and which bytes are none."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, replace

import polars as pl

from auditor.exceptions import DataError
from auditor.tables import Reading, Table, check_some_readable

BLOCK_BYTES = 1 << 20
SIGNATURES = {b"PK\x03\x04": "a ZIP archive or an Excel workbook", b"PAR1": "a Parquet file", b"\x1f\x8b": "gzip data"}
MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
WINDOWS = "cp1252"  # what programs in western Europe and the Americas write that do not write UTF-8
#: Encodings that may be named: each takes time in proportion to the text.
ENCODINGS = (
    "utf-8", "utf-16", "latin-1", "mac-roman", "cp437", "cp850", "koi8-r", "shift_jis", "gb18030", "big5", "euc-kr",
    *(f"cp125{n}" for n in range(9)), *(f"iso-8859-{n}" for n in range(1, 17) if n != 12),
)  # fmt: skip
MAX_SHOWN = 40
PLACES_SHOWN = 3
#: Code points that no text has: one of them stands for bytes that are none.
NO_CHARACTERS = tuple(map(chr, range(0xFDD0, 0xFDF0)))
_BAD = re.compile("[\udc80-\udcff]+")
_BEYOND_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")
READABLE = "UTF-8 in every cell, or the column left out of the mapping"


@dataclass(frozen=True)
class Decoded:
    """A file's text in UTF-8, without a mark of order; ``stand_in`` stands in it for each run of bytes that is none."""

    text: bytes
    notes: tuple[str, ...] = ()
    stand_in: str = ""


@dataclass(frozen=True)
class BadBytes:
    """Bytes of a file that are not UTF-8: where the first stands, how many runs, and how many characters are."""

    first: int
    runs: int
    others: int

    @property
    def few(self) -> bool:
        """Whether the file is UTF-8 but for some bytes: text in another encoding is UTF-8 nowhere beyond ASCII."""
        return self.others > self.runs


def bad_bytes(raw: bytes) -> BadBytes | None:
    """The bytes that UTF-8 does not have there; ``None`` if all are UTF-8."""
    first = _not_utf8(raw)
    if first is None:
        return None
    text = raw.decode("utf-8", "surrogateescape")
    return BadBytes(first, sum(1 for _ in _BAD.finditer(text)), sum(1 for _ in _BEYOND_ASCII.finditer(text)))


def as_utf8(raw: bytes, where: str, reading: Reading) -> Decoded:
    """The same text in UTF-8 without a mark, and what is to be said of its encoding.

    Raises
    ------
    DataError
        If it is no text, is said to be in an encoding that it is not in, or is not UTF-8 and nothing is said.
    """
    for signature, name in SIGNATURES.items():
        if raw.startswith(signature):
            raise DataError(where, f"is {name}, not CSV", "text, its fields separated by commas")
    marked = next((mark for mark in MARKS if raw.startswith(mark)), b"")
    encoding = MARKS[marked] if marked else reading.encoding or "utf-8"
    notes = () if encoding == "utf-8" else (f"read as {encoding}",)
    raw = raw[len(marked) :]
    stand_in = ""
    if encoding.lower() not in ("utf-8", "utf8"):
        if not marked and encoding not in ENCODINGS:
            found = f"is {encoding[:MAX_SHOWN]!r}"
            raise DataError(f"{where}: reading.encoding", found, f"one of: {', '.join(ENCODINGS)}")
        try:
            raw = raw.decode(encoding).encode()
        except UnicodeError as error:
            found = f"cannot be read as {encoding} ({str(error)[:200]})"
            raise DataError(where, found, "the encoding it is written in, as encoding under [reading]") from error
    elif (bad := bad_bytes(raw)) is not None:
        if not (bad.few or reading.encoding or marked):
            shown = shown_around(raw, bad.first)
            found = f"byte 0x{raw[bad.first]:02x} at position {bad.first + 1:,} is not UTF-8"
            hint = (
                "UTF-8" if shown is None else f'UTF-8, or encoding = "{WINDOWS}" under [reading] if it says {shown!r}'
            )
            raise DataError(f"{where}: line {line_of(raw, bad.first)}", found, hint)
        raw, stand_in = _stood_in(raw)
    nul = raw.find(b"\0")
    if nul >= 0:
        raise DataError(f"{where}: line {line_of(raw, nul)}", "holds a NUL byte", "UTF-8 text")
    return Decoded(raw, notes, stand_in)


def _stood_in(raw: bytes) -> tuple[bytes, str]:
    """The text with a code point that it does not hold in the place of bytes that are none."""
    text = raw.decode("utf-8", "surrogateescape")
    stand_in = next((each for each in NO_CHARACTERS if each not in text), NO_CHARACTERS[0])
    return _BAD.sub(stand_in, text).encode(), stand_in


def without_bad_columns(table: Table, stand_in: str, *, where: str, reading: Reading) -> Table:
    """The same table, the columns with bytes that are not UTF-8 unreadable.

    Raises
    ------
    DataError
        With line and column, if nothing says that the file is UTF-8 nevertheless, or a name of a column holds them.
    """
    named = [name for name in table.frame.columns if stand_in in name]
    if named:
        at = table.frame.columns.index(named[0]) + 1
        raise DataError(f"{where}: the name of column {at}", "holds bytes that are not UTF-8", "names in UTF-8")
    texts = [name for name in table.frame.columns if table.frame[name].dtype == pl.String]
    found = {
        name: rows
        for name in texts
        if len(rows := table.frame[name].str.contains(stand_in, literal=True).fill_null(False).arg_true())
    }
    places = [f"{table.place(int(row))} in column {name!r}" for name, rows in found.items() for row in rows]
    more = ", …" if len(places) > PLACES_SHOWN else ""
    what = f"are not UTF-8, as the rest is: {', '.join(places[:PLACES_SHOWN])}{more}"
    if not reading.encoding:
        cells = "cell holds bytes that" if len(places) == 1 else "cells hold bytes that"
        expected = 'these cells mended, or encoding = "utf-8" under [reading], by which such columns cannot be used'
        raise DataError(where, f"{len(places):,} {cells} {what}", expected)
    unreadable = {
        name: (f"holds bytes that are not UTF-8 in {table.place(int(rows[0]))}", READABLE)
        for name, rows in found.items()
    }
    notes = tuple(f"column {name!r} {said} and cannot be used" for name, (said, _) in unreadable.items())
    table = replace(table, frame=table.frame.drop(unreadable), unreadable=unreadable, notes=(*table.notes, *notes))
    return check_some_readable(table, where=where)


def likely_encoding(raw: bytes) -> tuple[str, str]:
    """The encoding a text file seems to need, and the reason; empty where it is UTF-8 or nothing can be said."""
    if raw.startswith(tuple(MARKS)) or (bad := bad_bytes(raw)) is None:
        return "", ""
    line, shown = line_of(raw, bad.first), shown_around(raw, bad.first)
    reads = "" if shown is None else f"; {WINDOWS} reads {shown!r} there"
    if bad.few:
        count = f"{bad.runs:,} place{'s' * (bad.runs != 1)}"
        return "utf-8", (
            f"encoding: bytes in {count}, first in line {line}, are not UTF-8, {bad.others:,} other characters beyond "
            f"ASCII are: the columns that hold such bytes cannot be used until they are mended{reads}"
        )
    if shown is None:
        return "", ""
    return WINDOWS, f"encoding: byte 0x{raw[bad.first]:02x} in line {line} is not UTF-8{reads}"


def _not_utf8(raw: bytes) -> int | None:
    """Where the first byte stands that UTF-8 does not have there."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for begin in range(0, len(raw), BLOCK_BYTES):
        # In blocks: the whole text would take up to four times the room of the file.
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(raw[begin : begin + BLOCK_BYTES], final=begin + BLOCK_BYTES >= len(raw))
        except UnicodeDecodeError as error:
            return begin - held + error.start
    return None


def shown_around(raw: bytes, place: int) -> str | None:
    """What the field around a byte says as Windows text; ``None`` if that has no such byte."""
    begin = max(raw.rfind(mark, 0, place) for mark in (b"\n", b",", b";", b"\t", b"|")) + 1
    field = raw[max(begin, place - MAX_SHOWN) : place + MAX_SHOWN]
    for mark in (b"\n", b"\r", b",", b";", b"\t", b"|"):
        field = field.split(mark, maxsplit=1)[0]
    try:
        return field.decode(WINDOWS).strip(' "')
    except UnicodeDecodeError:
        return None


def line_of(raw: bytes, position: int) -> int:
    """The number of the line in which a byte stands."""
    return raw.count(b"\n", 0, position) + 1
