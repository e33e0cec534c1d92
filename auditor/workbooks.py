"""Excel workbooks (XLSX): one sheet with data, checked before it is opened because a small one can unpack to anything.

Cells become values as in :mod:`auditor.tables`. A workbook with data on several sheets is refused: which of them is the
population is a decision for people, and taking the first would hide it.

Before the reader sees it, the archive is written anew with the parts that were checked, since two programs may find
different ones in one made to deceive. Every part with cells or shared text is parsed as XML by expat, which refuses
what is not well-formed, and any document type (entities are defined there). Only then is it searched, by patterns that
cannot cross a ``<`` and so take time in proportion to the text, whatever stands in it. Other parts are left out.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from xml.parsers import expat

import polars as pl

from auditor.exceptions import DataError
from auditor.tables import LIMITS, Limits, check_header, typed

MAX_MEMBERS = 2_000
MAX_UNPACKED_BYTES = 512 << 20
EXPECTED = "an Excel workbook (.xlsx)"
OLD_EXCEL = b"\xd0\xcf\x11\xe0"  # also what a workbook with a password looks like
SHARED = "xl/sharedstrings.xml"
XML_NAMES = (".xml", ".rels")
# A tag never crosses "<", which XML forbids in attributes; every repetition is possessive, so nothing is tried twice.
ATTRIBUTES = rb"""((?:[^<>"']|"[^"<]*+"|'[^'<]*+')*+)>"""
PREFIX = rb"(?:[^\s<>/:\"'=]++:)?"
TAG = re.compile(rb"<" + PREFIX + rb"(c|row|v|t)(?=[\s/>])" + ATTRIBUTES + rb"([^<]*+)")
SHARED_TAG = re.compile(rb"<(/?)" + PREFIX + rb"(si|t)(?=[\s/>])" + ATTRIBUTES + rb"([^<]*+)")
ATTRIBUTE = re.compile(rb"""\s(r|t)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)')""")
REFERENCE = re.compile(rb"([A-Z]{0,3})([0-9]{1,7})")
NOT_AVAILABLE = b"#N/A"


def parse_workbook(raw: bytes, *, where: str, limits: Limits = LIMITS) -> pl.DataFrame:
    """Read the only sheet with data of a workbook; its first row is the header.

    Raises
    ------
    DataError
        If it is no workbook, unpacks to more than this program reads, holds an error value, or has no or several sheets
        with data.
    """
    checked = _checked_archive(raw, where, limits)
    try:
        sheets = {name: sheet for name, sheet in _sheets(checked).items() if sheet.height and sheet.width}
    except (Exception, pl.exceptions.PanicException) as error:  # the reader raises classes of its own, in several lines
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise DataError(where, f"cannot be opened ({reason})", EXPECTED) from error
    if not sheets:
        raise DataError(where, "is empty", "a sheet with a header and at least one row")
    if len(sheets) > 1:
        raise DataError(where, f"has {len(sheets)} sheets with data ({_named(list(sheets))})", "one sheet with data")
    name, sheet = next(iter(sheets.items()))
    place = f"{where}: sheet {name[:40]!r}"
    limits.check(where=place, rows=sheet.height, columns=sheet.width)
    return typed(_below_header(sheet, place), where=where)


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:5])
    return shown + (", …" if len(names) > 5 else "")


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


def _checked_archive(raw: bytes, where: str, limits: Limits) -> bytes:
    """The archive written anew from the parts that were checked: the reader cannot find others in it."""
    target = io.BytesIO()
    if raw.startswith(OLD_EXCEL):
        raise DataError(where, "is an .xls workbook, or one with a password", EXPECTED)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive, zipfile.ZipFile(target, "w") as anew:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise DataError(where, f"has {len(members):,} parts", f"at most {MAX_MEMBERS:,}")
            unpacked = sum(member.file_size for member in members)
            if unpacked > MAX_UNPACKED_BYTES:
                found = f"unpacks to {unpacked >> 20:,} MiB"
                raise DataError(where, found, f"at most {MAX_UNPACKED_BYTES >> 20} MiB")
            if not members or len({_plain(member) for member in members}) < len(members):
                raise DataError(where, "has no part, or several of one name", EXPECTED)
            # Shared text first: how much a sheet unpacks to depends on it.
            members.sort(key=lambda member: _plain(member) != SHARED)
            shared: list[int] = []
            for member in members:
                content = _content(archive, member, where)
                place = f"{where}: {member.filename[:80]}"
                if b"sheetData" not in content and not _plain(member).endswith(XML_NAMES):
                    continue
                _check_xml(content, place)
                if _plain(member) == SHARED:
                    shared += _shared_lengths(content)
                if b"sheetData" in content:
                    _check_sheet(content, place, shared, limits)
                anew.writestr(member.filename, content)
    except DataError:
        raise
    except (RuntimeError, NotImplementedError) as error:  # how zipfile says: encrypted, or packed in another way
        raise DataError(where, f"cannot be unpacked ({error})", EXPECTED) from error
    except Exception as error:  # what zipfile raises over a made-up directory is anything: seek, struct, value, key
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise DataError(where, f"is no workbook ({reason})", EXPECTED) from error
    return target.getvalue()


def _plain(member: zipfile.ZipInfo) -> str:
    return member.filename.lower().replace("\\", "/").lstrip("/")


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> bytes:
    # Declared sizes may lie; reading no further than declared and comparing checksums shows it.
    try:
        return archive.read(member)
    except zipfile.BadZipFile as error:
        raise DataError(where, f"its part {member.filename[:80]} is damaged", EXPECTED) from error


def _check_xml(xml: bytes, where: str) -> None:
    """Refuse what is not well-formed UTF-8 XML, or brings a document type."""
    parser = expat.ParserCreate("UTF-8")

    def refuse(name: str, *_: object) -> None:
        raise DataError(where, f"has a document type ({name[:40]!r})", "plain XML, as spreadsheet programs write it")

    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise DataError(where, f"is no XML ({error})", EXPECTED) from error


def _shared_lengths(xml: bytes) -> list[int]:
    """Bytes of every shared string, in order, as they stand in the XML: never less than what they say."""
    lengths: list[int] = []
    for found in SHARED_TAG.finditer(xml):
        if found[2] == b"si":
            if not found[1]:
                lengths.append(0)
        elif lengths and not found[1]:
            lengths[-1] += len(found[4])
    return lengths


def _check_sheet(xml: bytes, where: str, shared: Sequence[int], limits: Limits) -> None:
    """Measure the rectangle the cells span, since a reader makes room for all of it, and the text they unpack to."""
    rows = columns = counted = across = cells = characters = 0
    place, kind = b"", b""
    for name, attributes, text in _tags(xml):
        if name == b"v":
            if kind == b"s":
                characters += _shared_length(text, shared)
            elif kind == b"e" and text.strip() != NOT_AVAILABLE:
                said = text.decode(errors="replace")[:20]
                at = place.decode(errors="replace")[:20] or "?"
                raise DataError(f"{where}: cell {at}", f"holds the error {said}", "a value or an empty cell")
            else:
                characters += len(text)
            continue
        if name == b"t":
            characters += len(text)
            continue
        given = {found[1]: found[2] or found[3] or b"" for found in ATTRIBUTE.finditer(attributes)}
        if name == b"row":
            counted, across = counted + 1, 0
        else:
            cells, across = cells + 1, across + 1
            kind = given.get(b"t", b"")
        place = given.get(b"r", b"")
        row, column = _position(place, where) if place else (0, 0)
        rows, columns = max(rows, row, counted), max(columns, column, across)
        if cells > limits.cells or characters > limits.characters:
            break
    limits.check(where=where, rows=rows, columns=columns, cells=cells, characters=characters)


def _tags(xml: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    return ((found[1], found[2], found[3]) for found in TAG.finditer(xml))


def _shared_length(text: bytes, shared: Sequence[int]) -> int:
    text = text.strip()
    index = int(text) if text.isdigit() and len(text) < 10 else len(shared)
    return shared[index] if index < len(shared) else 0


def _position(reference: bytes, where: str) -> tuple[int, int]:
    """Row and column of a reference such as B7, from 1; a reference without letters is a row."""
    found = REFERENCE.fullmatch(reference)
    if found is None:
        raise DataError(where, f"names a cell {reference[:20]!r}", "references such as B7")
    column = 0
    for letter in found[1]:
        column = column * 26 + letter - 64
    return int(found[2]), column
