"""What the bytes of a text file mean: its text in UTF-8, and which bytes are none."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from dataclasses import dataclass, replace

import polars as pl

from auditor.exceptions import DataError
from auditor.tables.table import Reading, Table, check_some_readable

BLOCK_BYTES = 1 << 20
HEAD_BYTES = 1 << 10  # of a file, to know what it is
SAMPLE_BYTES = 256 << 10  # by which an encoding is guessed
SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook", b"PAR1": "a Parquet file", b"\x1f\x8b": "gzip data",
    b"\xd0\xcf\x11\xe0": "an .xls workbook", b"%PDF": "a PDF", b"BZh": "bzip2 data", b"\xfd7zXZ": "xz data",
    b"\xff\xfe\x00\x00": "text in UTF-32", b"\x00\x00\xfe\xff": "text in UTF-32", b"SQLite format 3": "a database",
}  # fmt: skip
#: How a file is to be called that can be read by another name.
NAMED = {
    "gzip data": ".csv.gz", "a Parquet file": ".parquet", "a ZIP archive or an Excel workbook": ".zip or .xlsx",
}  # fmt: skip
#: How text begins that is not a table of delimited fields.
MARKUP = (
    (re.compile(rb"\s*<(!doctype|html|table|head|\?xml|style|div|meta)\b", re.I), "HTML or XML"),
    (re.compile(rb'\s*(\[\s*)?\{\s*("[^"\n]{0,200}"\s*:|\})'), "JSON"),
)
MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
WINDOWS = "cp1252"  # what programs in western Europe and the Americas write that do not write UTF-8
#: Encodings that may be named: each takes time in proportion to the text.
ENCODINGS = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "mac-roman", "cp437", "cp850", "koi8-r", "shift_jis",
    "cp932", "euc-jp", "gb18030", "big5", "euc-kr", "cp949",
    *(f"cp125{n}" for n in range(9)), *(f"iso-8859-{n}" for n in range(1, 17) if n != 12),
)  # fmt: skip
ENCODING_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{1,30}")
_BY_CODEC = {codecs.lookup(name).name: name for name in reversed(ENCODINGS)}
#: Scripts whose words have nothing but bytes beyond ASCII, and what their letters are in the encoding.
MANY_HIGH, MOSTLY = 3, 0.9
SCRIPTS = {
    "cp1251": re.compile("[а-яё№]"),  # in another Cyrillic encoding, small letters would be capitals
    "koi8-r": re.compile("[а-яё]"),
    "cp932": re.compile("[\u3040-\u30ff\u4e00-\u9fff\uff01-\uff5e\uffe0-\uffe6\u3000-\u303f]"),
}
#: Encodings of languages in Latin letters, the usual ones first. Within words, their letters are small ones.
WESTERN = (WINDOWS, "cp1250", "cp850", "mac-roman")
SOME = 0.3
_LEADS = re.compile(b"[\x81-\x9f]")
_WITHIN = re.compile(b"(?<=[a-z])[\x80-\xff]|[\x80-\xff](?=[a-z])")
_HIGH = re.compile(b"[\x80-\xff]+")
MAX_SHOWN = 40
MAX_LINE = 4_000  # bytes
PLACES_SHOWN = 3
#: Code points that no text has: one of them stands for bytes that are none.
NO_CHARACTERS = tuple(map(chr, range(0xFDD0, 0xFDF0)))
_BAD = re.compile("[\udc80-\udcff]+")
_BEYOND_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")
TWO_FILES = 10  # places in another encoding for one in UTF-8, up to which there are two in a file
MIXED = (
    "; {count:,} other characters are UTF-8 and become two or three letters each: "
    "write the parts of the file in one encoding"
)
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
            other = f", or a name that ends in {NAMED[name]}" if name in NAMED else ""
            raise DataError(where, f"is {name}, not CSV", f"text, its fields separated by commas{other}")
    for begins, name in MARKUP:
        if begins.match(raw.removeprefix(codecs.BOM_UTF8)[:HEAD_BYTES]):
            raise DataError(where, f"is {name}, not CSV", "text, its fields separated by commas")
    marked = next((mark for mark in MARKS if raw.startswith(mark)), b"")
    encoding = MARKS[marked] if marked else named_encoding(reading, where)
    notes = () if encoding == "utf-8" else (f"read as {encoding}",)
    if not (marked or reading.encoding) and (wide := _wide(raw)):
        expected = f'UTF-8, or encoding = "{wide}" under [reading]'
        raise DataError(where, "seems to be UTF-16 without a byte order mark", expected)
    raw = raw[len(marked) :]
    stand_in = ""
    if encoding != "utf-8":
        try:
            raw = raw.decode(encoding).encode()
        except UnicodeError as error:
            found = f"cannot be read as {encoding} ({str(error)[:200]})"
            raise DataError(where, found, "the encoding it is written in, as encoding under [reading]") from error
    elif (bad := bad_bytes(raw)) is not None:
        if not (bad.few or reading.encoding or marked):
            found = f"byte 0x{raw[bad.first]:02x} at position {bad.first + 1:,} is not UTF-8"
            name, reads = _told_encoding(raw, bad.first)
            hint = (
                f'UTF-8, or encoding = "{name}" under [reading] if it says {reads!r}'
                if name
                else f"UTF-8, or the encoding it is written in, as encoding under [reading]: {', '.join(ENCODINGS)}"
            )
            raise DataError(f"{where}: line {line_of(raw, bad.first)}", found, hint)
        raw, stand_in = _stood_in(raw)
    while raw.startswith(codecs.BOM_UTF8):
        raw, notes = raw[len(codecs.BOM_UTF8) :], (*notes, "a second mark of order at the beginning left out")
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


def named_encoding(reading: Reading, where: str) -> str:
    """The encoding that ``[reading]`` names, under whatever name it is known by: ``windows-1252`` is ``cp1252``.

    Raises
    ------
    DataError
        For one that is none, or takes more than time in proportion to the text.
    """
    said = reading.encoding or "utf-8"
    if said in ENCODINGS:
        return said
    found = None
    if ENCODING_NAME.fullmatch(said):
        with suppress(LookupError):
            found = _BY_CODEC.get(codecs.lookup(said).name)
    if found is None:
        raise DataError(f"{where}: reading.encoding", f"is {said[:MAX_SHOWN]!r}", f"one of: {', '.join(ENCODINGS)}")
    return found


def likely_encoding(raw: bytes) -> tuple[str, str]:
    """The encoding a text file seems to need, and the reason; empty where it is UTF-8 or nothing can be said."""
    if raw.startswith(tuple(MARKS)):
        return "", ""
    if wide := _wide(raw):
        return wide, f"encoding: every other byte is 0, as in {wide} without a mark of order"
    if (bad := bad_bytes(raw)) is None:
        return "", ""
    line, shown = line_of(raw, bad.first), shown_around(raw, bad.first)
    reads = "" if shown is None else f"; {WINDOWS} reads {shown!r} there"
    if bad.few:
        count = f"{bad.runs:,} place{'s' * (bad.runs != 1)}"
        return "utf-8", (
            f"encoding: bytes in {count}, first in line {line}, are not UTF-8, {bad.others:,} other characters beyond "
            f"ASCII are: the columns that hold such bytes cannot be used until they are mended{reads}"
        )
    name, shown = _told_encoding(raw, bad.first)
    if not name:
        return "", ""
    said = f"encoding: byte 0x{raw[bad.first]:02x} in line {line} is not UTF-8; {name} reads {shown!r} there"
    # Text in one encoding is UTF-8 beyond ASCII hardly ever: many such places are another file's.
    mixed = name not in SCRIPTS and TWO_FILES * bad.others >= bad.runs and bad.others > 1
    return name, said + (MIXED.format(count=bad.others) if mixed else "")


def _told_encoding(raw: bytes, place: int) -> tuple[str, str]:
    """The encoding a text that is not UTF-8 seems to be in, and what it reads around a byte; empty if none does.

    Languages of the west write single letters beyond ASCII among others. Where words have nothing but such bytes, the
    text is in another script: the one whose letters they all are, if there is one.
    """
    sample = raw[max(0, place - SAMPLE_BYTES // 2) :][:SAMPLE_BYTES]
    cut = len(sample) == SAMPLE_BYTES  # then in whole lines, lest a character be cut
    whole = sample[sample.find(b"\n") + 1 : sample.rfind(b"\n") + 1] if cut else sample
    runs = [len(run) for run in _HIGH.findall(sample)]
    other_script = 2 * sum(run for run in runs if run >= MANY_HIGH) >= sum(runs)
    leads = len(_LEADS.findall(sample)) >= SOME * sum(runs)
    for name, letters in SCRIPTS.items() if other_script or leads else ():
        try:
            text = whole.decode(name)
        except UnicodeError:
            continue
        beyond = [each for each in text if each > "\x7f"]
        fits = sum(letters.match(each) is not None for each in beyond)
        if beyond and fits >= MOSTLY * len(beyond) and (shown := shown_around(raw, place, name)) is not None:
            return name, shown
    within = _WITHIN.findall(sample)
    small = {name: sum(each.decode(name, "replace").islower() for each in within) for name in WESTERN}
    name = next((name for name in WESTERN if small[name] >= MOSTLY * len(within)), "")
    if other_script and not (within and name):
        return "", ""
    name = name or WINDOWS
    shown = shown_around(raw, place, name)
    return ("", "") if shown is None else (name, shown)


def _wide(raw: bytes) -> str:
    """The kind of UTF-16 that a text without a mark seems to be in; empty if it is none."""
    head = raw[: HEAD_BYTES & ~1]
    if len(head) < 4 or len(raw) % 2:
        return ""
    for name, zeros, others in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if 2 * zeros.count(0) > len(zeros) and not others.count(0):
            return name
    return ""


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


def shown_around(raw: bytes, place: int, encoding: str = WINDOWS) -> str | None:
    """What the field around a byte says, as Windows text if no encoding is named; ``None`` if that has no such byte."""
    begin = max(raw.rfind(mark, 0, place) for mark in (b"\n", b",", b";", b"\t", b"|")) + 1
    if encoding in SCRIPTS:
        # A second byte of a character may be a mark between fields: the line is read whole.
        begin, end = raw.rfind(b"\n", 0, place) + 1, raw.find(b"\n", place)
        line = raw[begin : end if end >= 0 else len(raw)][:MAX_LINE].decode(encoding, "ignore")
        return next((cell.strip(' "')[:MAX_SHOWN] for cell in re.split(r"[,;\t|\r]", line) if not cell.isascii()), None)
    field = raw[max(begin, place - MAX_SHOWN) : place + MAX_SHOWN]
    for mark in (b"\n", b"\r", b",", b";", b"\t", b"|"):
        field = field.split(mark, maxsplit=1)[0]
    try:
        return field.decode(encoding).strip(' "')
    except UnicodeDecodeError:
        return None


def line_of(raw: bytes, position: int) -> int:
    """The number of the line in which a byte stands."""
    return raw.count(b"\n", 0, position) + 1
