"""Excel workbooks (XLSX): the records of one sheet. Which one is a key where several hold data.

A workbook is a ZIP archive of XML, and a small one can unpack to anything: parts and their sizes are counted before
one is unpacked, only parts that are needed are, and auditor/tables/sheet_cells.py counts cells and characters while
it reads.

Cells become values as auditor/tables/cell_formats.py says. Cells merged down a column all have the value that is
shown for them. What holds no value (an error, a formula without a stored result, a day no calendar has) makes its
column unreadable; ``#N/A`` is missing.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder

import numpy as np
import polars as pl

from auditor.exceptions import DataError
from auditor.reading_guesses import holds, is_filled, likely_header, likely_last, record_in_header
from auditor.tables.cell_formats import Format, format_of
from auditor.tables.rows import Sheet, assemble, counted
from auditor.tables.sheet_cells import SheetCells, checked_parser, letters_of, shared_strings
from auditor.tables.table import LIMITS, NO_HEADER, FileFormat, Limits, Reading, Table, check_some_readable, spelled

MAX_MEMBERS = 2_000
MAX_UNPACKED_BYTES = 512 << 20
MAX_INDEX_BYTES = 16 << 20  # of a part that lists sheets, relations or styles
EXPECTED = "an Excel workbook (.xlsx)"
OLD_EXCEL = b"\xd0\xcf\x11\xe0"  # also what a workbook with a password looks like
SHOWN_SHEETS = 5
COMPARED_ROWS = 1_000  # of each sheet, to say which is the largest
UNREADABLE = "a value, or the column left out of the mapping"


def parse_workbook(raw: bytes, *, where: str, limits: Limits = LIMITS, reading: Reading | None = None) -> Table:
    """Read one sheet of a workbook; errors as in :func:`auditor.tables.read_table`."""
    reading = reading or Reading()
    with _opened(raw, where) as archive:
        book = _Book.of(archive, where, limits)
        name = book.chosen(reading)
        place = f"{where}: sheet {name[:40]!r}"
        cells = book.cells(name)
        sheet = Sheet(where=place, unit="row", limits=limits, series=_column, unite=_united, even=False)
        with _one_line(place):
            table, stays = assemble(cells, sheet=sheet, reading=reading)
    names = dict(zip(stays, table.frame.columns, strict=True))
    letters = {column: letters_of(at) for at, column in names.items()}
    header = _header_row(table, cells, reading)
    table = _filled(replace(table, letters=letters), cells, names, header, place)
    notes = list(table.notes)
    others = len(book.sheets) - 1
    if others:
        notes.insert(0, f"sheet {name[:40]!r} of {others + 1} read")
    if name in book.hidden:
        notes.append(f"sheet {name[:40]!r} is hidden in the workbook")
    if unseen := [each for each in book.hidden if each != name]:
        notes.append(f"{counted(len(unseen), 'hidden sheet')} not read: {_named(unseen)}")
    for at, column in names.items():
        if any(first <= at <= last for first, last in cells.hidden_columns):
            notes.append(f"column {column!r} is hidden in the sheet and read like the others")
        for said, cell in cells.formats.get(at, {}).items():
            notes.append(f"column {column!r}: {said}, first in cell {cell}: the number is read as it is stored")
    if cells.hidden:
        notes.append(f"{counted(cells.hidden, 'hidden row')} of the sheet read like the others")
    if cells.not_available:
        notes.append(f"{counted(cells.not_available, 'cell')} with #N/A read as missing")
    first, last = int(table.rows[0]), int(table.rows[-1])  # type: ignore[index]
    unreadable = {}
    for at, column in names.items():
        broken = [what for row, what in cells.broken.get(at, ()) if first <= row <= last]
        if broken:
            unreadable[column] = (broken[0], UNREADABLE)
            notes.append(f"column {column!r} {broken[0]} and cannot be used")
    frame = table.frame.drop(unreadable)
    untyped = frozenset(
        column for at, column in names.items() if column in frame.columns and cells.has_numbers(at)
        and frame[column].dtype == pl.String
    )  # fmt: skip
    table = replace(table, frame=frame, notes=tuple(notes), unreadable=unreadable, untyped=untyped)
    return check_some_readable(table, where=place)


def likely_rows(raw: bytes, *, where: str, said: Reading) -> tuple[Reading, list[str]]:
    """The keys a workbook seems to need, with reasons; a key that is said stays."""
    reasons: list[str] = []
    with _opened(raw, where) as archive:
        book = _Book.of(archive, where, LIMITS)
        name = book.chosen(said)
        with _one_line(f"{where}: sheet {name[:40]!r}"):
            rows = [(row, cells) for row, cells in book.cells(name) if is_filled(cells)]
    found = said if said.sheet or len(book.sheets) == 1 else replace(said, sheet=name)
    if not rows:
        return found, reasons
    if not said.header and (why := record_in_header(rows[:200])):
        said = found = replace(found, header=NO_HEADER)
        reasons.append(f"header: row {rows[0][0]} seems to be a record and not the column names: {why}")
    header, likely = said.header or rows[0][0], likely_header(rows[:200])
    titles = [cell for cell in rows[0][1] if holds(cell)]
    names: Sequence[Any] = next((cells for row, cells in rows if row == likely), ())
    if not said.header and likely > header and 2 * len(titles) <= len(names):
        found, header = replace(found, header=likely), likely
        reasons.append(f"header: what stands above row {likely} is narrower than the table")
    first = header if header != NO_HEADER else rows[0][0]
    width = len([cell for cell in next((cells for row, cells in rows if row == first), ()) if holds(cell)])
    last = likely_last([(row, cells) for row, cells in rows if row >= header], width)
    if not said.last and last > max(header, 0):
        found = replace(found, last=last)
        reasons.append(f"last: what stands below row {last} is narrower than the table, or a total")
    return found, reasons


@dataclass(frozen=True)
class _Book:
    """The parts of a workbook that lead to its cells."""

    archive: zipfile.ZipFile
    where: str
    limits: Limits
    parts: Mapping[str, zipfile.ZipInfo]
    sheets: Mapping[str, str]
    hidden: Sequence[str]
    shared: Sequence[str]
    styles: Sequence[Format]
    from_1904: bool

    @classmethod
    def of(cls, archive: zipfile.ZipFile, where: str, limits: Limits) -> _Book:
        """Read what the archive says of itself."""
        parts = {_plain(member.filename): member for member in archive.infolist()}
        top = _relations(archive, parts, "", where).values()
        main = next((target for kind, target in top if kind == "officeDocument"), "")
        if main not in parts:
            raise DataError(where, "has no part that lists the sheets", EXPECTED)
        related = _relations(archive, parts, main, where)
        tree = _tree(archive, parts[main], where)
        found: dict[str, str] = {}
        hidden: list[str] = []
        for item in tree.iter("sheet"):
            target = related.get(item.get("id", ""), ("", ""))
            if target[0] == "worksheet" and target[1] in parts:
                found[item.get("name", "")[:200]] = target[1]
                if item.get("state", "visible") != "visible":
                    hidden.append(item.get("name", "")[:200])
        setting = next(tree.iter("workbookPr"), Element("workbookPr"))
        # Some programs leave the relation out, and readers look where the part usually is.
        folder = posixpath.dirname(main)
        usual = {"sharedStrings": f"{folder}/sharedstrings.xml", "styles": f"{folder}/styles.xml"}
        others = {kind: target for kind, target in usual.items() if target in parts}
        others |= {kind: target for kind, target in related.values() if target in parts}
        shared: Sequence[str] = ()
        if "sharedStrings" in others:
            member = parts[others["sharedStrings"]]
            shared = shared_strings(_content(archive, member, where), where=f"{where}: {member.filename[:80]}")
        styles = _styles(_tree(archive, parts[others["styles"]], where)) if "styles" in others else []
        return cls(
            archive, where, limits, parts, found, hidden, shared, styles, setting.get("date1904") in ("1", "true")
        )

    def cells(self, name: str) -> SheetCells:
        """The rows of a sheet, read as they are asked for."""
        member = self.parts[self.sheets[name]]
        return SheetCells(
            _content(self.archive, member, self.where),
            where=f"{self.where}: {member.filename[:80]}",
            limits=self.limits,
            shared=self.shared,
            styles=self.styles,
            from_1904=self.from_1904,
        )

    def chosen(self, reading: Reading) -> str:
        """The sheet that is named, else the only one with data."""
        if reading.sheet:
            if reading.sheet not in self.sheets:
                what = f"there is no sheet {reading.sheet[:40]!r}"
                raise DataError(f"{self.where}: reading.sheet", what, f"one of: {_named(list(self.sheets))}")
            return reading.sheet
        filled: dict[str, int] = {}
        for name in self.sheets:
            with _one_line(f"{self.where}: sheet {name[:40]!r}"):
                if rows := sum(any(map(holds, cells)) for _, cells in islice(self.cells(name), COMPARED_ROWS)):
                    filled[name] = rows
        if not filled:
            raise DataError(self.where, "is empty", "a sheet with a header and at least one row")
        if len(filled) > 1:
            what = f"has {len(filled)} sheets with data ({_named(list(filled))})"
            # The largest one that is shown: sheets of notes and hidden ones are seldom meant.
            likely = max(filled, key=lambda name: (name not in self.hidden, filled[name]))
            raise DataError(self.where, what, f'one sheet with data, or sheet = "{likely[:40]}" under [reading]')
        return next(iter(filled))


def _header_row(table: Table, cells: SheetCells, reading: Reading) -> int:
    """The row of the column names: the one that is named, else the last one with a value above the records."""
    first = int(table.rows[0])  # type: ignore[index]
    return max(reading.header, 0) or max((row for row in cells.filled_rows if row < first), default=first)


def _filled(table: Table, cells: SheetCells, names: Mapping[int, str], header: int, where: str) -> Table:
    """The same table in which merged cells have the value that is shown for them.

    Raises
    ------
    DataError
        Naming the cells, if the merge spans columns or reaches into the header: what it means is for people to say.
    """
    rows = table.rows.to_numpy()  # type: ignore[union-attr]
    sources: dict[str, np.ndarray[Any, np.dtype[np.int64]]] = {}
    filled = []
    for merged in cells.merged:
        if merged.last_row < header or merged.first_row > rows[-1] or merged.first_column not in names:
            continue
        place = f"{where}: cells {merged.name}"
        if merged.first_row <= header < merged.last_row or (merged.last_row == header and merged.width > 1):
            below = f"header = {header + 1} under [reading] if the names stand in row {header + 1}"
            raise DataError(place, "are merged in the header", f"one row of names, one name a column; {below}")
        begin, end = np.searchsorted(rows, [merged.first_row, merged.last_row + 1])
        if merged.last_row == header or begin == end:
            continue
        if merged.width > 1:
            raise DataError(place, "are merged across columns", "one cell a column, or the rows left out")
        column = names[merged.first_column]
        if rows[begin] != merged.first_row or table.frame[column].slice(begin + 1, end - begin - 1).drop_nulls().len():
            what = "are merged and hold several values, or begin in an empty row"
            raise DataError(place, what, "one value, in the first of them")
        source = sources.setdefault(column, np.arange(len(rows)))
        source[begin:end] = begin
        filled.append(merged.name)
    if not filled:
        return table
    frame = table.frame.with_columns(table.frame[column].gather(source) for column, source in sources.items())
    shown = ", ".join(filled[:3]) + (", …" if len(filled) > 3 else "")
    note = f"merged cells filled with the value shown for them: {shown}"
    return replace(table, frame=frame, notes=(*table.notes, note))


def _column(values: Sequence[Any]) -> pl.Series:
    """A column of the type of its values; of several types, as text."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pl.Series([None] * len(values), dtype=pl.Null)
    if kinds == {str}:
        column = pl.Series(values, dtype=pl.String)
        return column.set(column.str.strip_chars() == "", None)
    if kinds <= {int, float}:
        return pl.Series(values, dtype=pl.Int64 if kinds == {int} else pl.Float64, strict=False)
    if kinds == {bool}:
        return pl.Series(values, dtype=pl.Boolean)
    return _column(list(map(_spelled_or_none, values)))


def _spelled_or_none(value: Any) -> str | None:
    return None if value is None else spelled(value)


def _united(blocks: Sequence[pl.Series]) -> pl.Series:
    kinds = {block.dtype for block in blocks} - {pl.Null}
    if not kinds:
        return pl.concat(blocks).cast(pl.String)
    if len(kinds) == 1:
        kind = kinds.pop()
    elif kinds == {pl.Int64, pl.Float64}:
        kind = pl.Float64()
    else:
        kind = pl.String()
        blocks = [
            block if block.dtype == pl.String else _column(list(map(_spelled_or_none, block))) for block in blocks
        ]
    return pl.concat([block.cast(kind) for block in blocks])


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:SHOWN_SHEETS])
    return shown + (", …" if len(names) > SHOWN_SHEETS else "")


def _opened(raw: bytes, where: str) -> zipfile.ZipFile:
    """The archive, if its directory asks for no more than is read."""
    if raw.startswith(OLD_EXCEL):
        raise DataError(where, "is an .xls workbook, or one with a password", EXPECTED)
    with _one_line(where, "is not a workbook"):
        archive = zipfile.ZipFile(io.BytesIO(raw))
        members = archive.infolist()
        names = {_plain(member.filename) for member in members}
    if len(members) > MAX_MEMBERS:
        raise DataError(where, f"has {len(members):,} parts", f"at most {MAX_MEMBERS:,}")
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_UNPACKED_BYTES:
        raise DataError(where, f"unpacks to {unpacked >> 20:,} MiB", f"at most {MAX_UNPACKED_BYTES >> 20} MiB")
    if len(names) < len(members) or not names:
        raise DataError(where, "has no parts, or several with the same name", EXPECTED)
    return archive


@contextmanager
def _one_line(where: str, what: str = "cannot be read") -> Iterator[None]:
    """Whatever is raised over a made-up file becomes one line that names it: seek, struct, value, key errors."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise DataError(where, f"{what} ({reason})", EXPECTED) from error


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> bytes:
    # Declared sizes may lie; reading no further than declared and comparing checksums shows it.
    with _one_line(where, f"its part {member.filename[:80]} is damaged"):
        return archive.read(member)


def _tree(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> Element:
    """A small part as a tree whose names have no namespaces."""
    place = f"{where}: {member.filename[:80]}"
    if member.file_size > MAX_INDEX_BYTES:
        raise DataError(place, f"has {member.file_size >> 20} MiB", f"at most {MAX_INDEX_BYTES >> 20} MiB")
    with _one_line(place, "is not valid XML"):
        builder = TreeBuilder()
        parser = checked_parser(place)
        parser.StartElementHandler = lambda name, given: builder.start(
            _local(name), {_local(key): value for key, value in given.items()}
        )
        parser.EndElementHandler = lambda name: builder.end(_local(name))
        parser.Parse(_content(archive, member, where), True)
        return builder.close()


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _plain(name: str) -> str:
    return name.lower().replace("\\", "/").lstrip("/")


def _relations(
    archive: zipfile.ZipFile, parts: Mapping[str, zipfile.ZipInfo], part: str, where: str
) -> dict[str, tuple[str, str]]:
    """What a part refers to: kind and target by id."""
    folder, name = posixpath.split(part)
    listed = parts.get(posixpath.join(folder, "_rels", f"{name}.rels"))
    if listed is None:
        return {}
    found = {}
    for item in _tree(archive, listed, where).iter("Relationship"):
        target = item.get("Target", "").replace("\\", "/")
        whole = target if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
        found[item.get("Id", "")] = (item.get("Type", "").rpartition("/")[2], _plain(whole))
    return found


def _styles(tree: Element) -> list[Format]:
    """The number format of every cell style, in order."""
    codes = {}
    for item in tree.iter("numFmt"):
        if item.get("numFmtId", "").isdecimal():
            codes[int(item.get("numFmtId", "")[:9])] = item.get("formatCode", "")
    styles = []
    for listed in tree.iter("cellXfs"):
        for item in listed.iter("xf"):
            number = item.get("numFmtId", "0")
            styles.append(format_of(int(number[:9]) if number.isdecimal() else 0, codes))
    return styles


FORMATS = {
    ".xlsx": FileFormat(
        name="workbooks", keys=frozenset({"sheet", "header", "last"}), parse=parse_workbook, propose=likely_rows
    ),
}
