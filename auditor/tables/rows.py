"""From the lines of a text file or the rows of a sheet to a table: header, records, and what is neither."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import polars as pl

from auditor.exceptions import DataError
from auditor.missing_words import is_missing_word
from auditor.reading_guesses import (
    MOST_BELOW,
    MOSTLY,
    NUMBER_LIKE,
    TOTAL,
    Record,
    holds,
    is_filled,
    is_rule,
    likely_header,
    numbers_as_names,
    other_mark,
    record_in_header,
)
from auditor.tables.table import NO_HEADER, UNSEEN, Limits, Reading, Table, check_header

BLOCK_ROWS = 20_000
SAMPLE = 200  # records that are looked at to find the header
SHOWN = 3
#: What lines are that are no records.
BLANK, DRAWN, NAMES = "without a value", "of dashes", "with the column names again"


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A source of records: what it is called in errors, what one of its rows is called, and how cells become columns.

    ``series`` makes a column of a block of cells, ``unite`` one of the columns of several blocks. ``even`` says that
    every record has as many fields as the header.
    """

    where: str
    unit: str
    limits: Limits
    series: Callable[[Sequence[Any]], pl.Series]
    unite: Callable[[Sequence[pl.Series]], pl.Series]
    even: bool


def assemble(records: Iterable[Record], *, sheet: Sheet, reading: Reading) -> tuple[Table, list[int]]:
    """The table of these records, and the positions in its source (from 0) of the columns that stayed.

    Raises
    ------
    DataError
        If there is no header or no record, two columns share a name, or a line does not fit the header: with the likely
        cause, and the key that helps.
    """
    source = iter(records)
    notes: list[str] = []
    above, head = _find_header(source, sheet, reading)
    sample = list(islice(source, SAMPLE))
    likely = likely_header([head, *sample])
    start, names = head[0], [str(cell or "") for cell in head[1]]
    if reading.header == NO_HEADER:
        sample, names = (
            [head, *sample],
            given_names(reading, len(head[1]), where=sheet.where, unit=sheet.unit, at=start),
        )
        called = "as the mapping names them" if reading.columns else _span_of_names(len(names))
        notes.append(f"no {sheet.unit} of column names: the columns are called {called}")
    elif not reading.header:
        _check_names(head, sample, sheet)
    if above:
        notes.append(f"{counted(above, sheet.unit)} above the header, {sheet.unit} {start}, not read")
    try:
        names = check_header(names, where=f"{sheet.where}: {sheet.unit} {start}")
    except DataError as error:
        raise _or_below(error, sheet, start, likely) from error
    below: list[int] = []
    rest = _until(chain(sample, source), reading.last, below)
    blocks, places, no_records = _blocks(rest, sheet, names, start, likely)
    for what, lines in no_records.items():
        shown = ", ".join(str(line) for line in lines[:SHOWN]) + (", …" if len(lines) > SHOWN else "")
        notes.append(f"{counted(len(lines), sheet.unit)} {what} left out: {shown}")
    if not places:
        raise DataError(sheet.where, "has a header and no rows", "at least one row")
    if reading.last:
        notes.append(f"read up to {sheet.unit} {reading.last}; {counted(len(below), sheet.unit)} below it left out")
    width = max(len(names), *(len(block) for block in blocks))
    names += [""] * (width - len(names))
    empty = pl.Series([None], dtype=pl.Null)
    columns = [
        sheet.unite([block[at] if at < len(block) else empty.new_from_index(0, len(block[0])) for block in blocks])
        for at in range(width)
    ]
    stays, said = _name_columns(names, columns, sheet, start, likely)
    notes += said
    frame = pl.DataFrame([columns[at].alias(names[at]) for at in stays])
    notes += _second_names(frame, places[0], sheet.unit)
    notes += _totals_within(frame, places, sheet.unit)
    total = _total(frame)
    if total:
        line = places[-1]
        notes.append(
            f"{sheet.unit} {line} seems to be a total ({total!r}), not a record: "
            f"last = {places[-2] if len(places) > 1 else line} under [reading] leaves it out"
        )
    left_out = {f"{sheet.unit}s {what}": len(lines) for what, lines in no_records.items()}
    if below:
        left_out[f"{sheet.unit}s below reading.last"] = len(below)
    rows = pl.Series(places, dtype=pl.UInt32)
    return Table(frame=frame, rows=rows, unit=sheet.unit, notes=tuple(notes), left_out=left_out), stays


def counted(count: int, what: str) -> str:
    """``1 line``, ``2 lines``."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def numbers_rows(column: pl.Series) -> bool:
    """Whether a column counts 0, 1, 2 or 1, 2, 3 from row to row."""
    first = spelled_first(column)
    if first not in ("0", "1"):
        return False
    start = int(first)
    if column.dtype == pl.String:
        wanted = pl.int_range(start, start + len(column), eager=True).cast(pl.String)
        return bool((column.str.strip_chars() == wanted).fill_null(False).all())
    if not column.dtype.is_numeric():
        return False
    return bool((column == pl.int_range(start, start + len(column), eager=True)).fill_null(False).all())


def spelled_first(column: pl.Series) -> str:
    """The first value as text, whole numbers without a point."""
    value = column[0]
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _check_names(head: Record, sample: Sequence[Record], sheet: Sheet) -> None:
    """Refuse a first line that seems to be a record: as names, it would be no record, and the names would be values."""
    why = record_in_header([head, *filter(_is_filled, sample)]) or numbers_as_names(head[1])
    if why:
        what = f"seems to be a record and not the column names: {why}"
        expected = f"header = false under [reading] if the file has no names, or header = {head[0]} if these are they"
        raise DataError(f"{sheet.where}: {sheet.unit} {head[0]}", what, expected)


def _is_filled(record: Record) -> bool:
    return is_filled(record[1])


def given_names(reading: Reading, width: int, *, where: str, unit: str, at: int) -> list[str]:
    """The names of the columns of a file without names: those the mapping gives, or their numbers.

    Raises
    ------
    DataError
        If the mapping names more or fewer than there are.
    """
    if not reading.columns:
        return [f"column {number}" for number in range(1, width + 1)]
    if len(reading.columns) != width:
        what = f"has {counted(width, 'field')} in {unit} {at}"
        raise DataError(where, what, f"{len(reading.columns)}, as reading.columns names them")
    return list(reading.columns)


def _span_of_names(count: int) -> str:
    return "'column 1'" if count == 1 else f"'column 1' to 'column {count}'"


def _find_header(source: Iterator[Record], sheet: Sheet, reading: Reading) -> tuple[int, Record]:
    """How many filled records stand above the header, and the header."""
    above = 0
    for line, cells in source:
        if reading.header > 0 and line < reading.header:
            above += any(map(holds, cells))
        elif reading.header > 0 and line > reading.header:
            break
        elif is_filled(cells):
            return above, (line, cells)
    if reading.header > 0:
        where = f"{sheet.where}: reading.header"
        raise DataError(where, f"{sheet.unit} {reading.header} is empty or not there", "where the column names stand")
    raise DataError(sheet.where, "is empty", "a header and at least one row")


def _until(records: Iterator[Record], last: int, below: list[int]) -> Iterator[Record]:
    """Records up to the line ``last``; the lines of those that follow go to ``below``."""
    for line, cells in records:
        if not last or line <= last:
            yield line, cells
        elif any(map(holds, cells)):
            below.append(line)


def _blocks(
    records: Iterator[Record], sheet: Sheet, names: Sequence[str], start: int, likely: int
) -> tuple[list[list[pl.Series]], list[int], dict[str, list[int]]]:
    """Columns of every block of records, where each record stands, and by what they are the lines that are none."""
    blocks: list[list[pl.Series]] = []
    places: list[int] = []
    no_records: dict[str, list[int]] = {}
    again = _names_again(names, sheet)

    def filled() -> Iterator[Sequence[Any]]:
        for line, cells in records:
            if what := _no_record(cells, again):
                no_records.setdefault(what, []).append(line)
                continue
            if sheet.even and len(cells) != len(names):
                raise _misfit(line, cells, records, sheet=sheet, names=names, places=places, start=start, likely=likely)
            places.append(line)
            yield cells

    source = filled()
    while block := list(islice(source, BLOCK_ROWS)):
        width = max(map(len, block))
        sheet.limits.check(where=sheet.where, rows=len(places), columns=max(width, len(names)))
        padded = block if sheet.even else [[*cells, *[None] * (width - len(cells))] for cells in block]
        blocks.append([sheet.series(column) for column in zip(*padded, strict=True)])
    # Empty lines at the very end are how many programs end a file.
    blank = no_records.get(BLANK, [])
    while blank and places and blank[-1] > places[-1] and sheet.unit == "row":
        blank.pop()
    return blocks, places, {what: lines for what, lines in no_records.items() if lines}


def _names_again(names: Sequence[str], sheet: Sheet) -> Sequence[str]:
    """The names as a record would repeat them; none where a record of one value could be meant."""
    return [name.strip() for name in names] if sum(map(bool, names)) > 1 else []


def _no_record(cells: Sequence[Any], again: Sequence[str]) -> str:
    """What a line is that is no record, in any table: blank, drawn, or the names once more; empty if it is one."""
    if not any(map(holds, cells)):
        return BLANK
    first = cells[0]
    # The cells of a million records are looked at once: most differ from the names in the first of them.
    if again and isinstance(first or "", str) and bare(first) == again[0]:
        said = [bare(cell) for cell in cells]
        if said[: len(again)] == again and not any(said[len(again) :]):
            return NAMES
    return DRAWN if is_rule(cells) else ""


def bare(cell: Any) -> str:
    """The text of a cell without what nobody sees around it."""
    return "" if cell is None else unicodedata.normalize("NFC", str(cell).strip().strip(UNSEEN).strip())


def _misfit(
    line: int,
    cells: Sequence[Any],
    rest: Iterator[Record],
    *,
    sheet: Sheet,
    names: Sequence[str],
    places: Sequence[int],
    start: int,
    likely: int,
) -> DataError:
    """The line of a record that is longer or shorter than the header, with its likely cause."""
    found = DataError(
        f"{sheet.where}: {sheet.unit} {line}",
        f"has {counted(len(cells), 'field')}",
        f"{len(names)}, as in the header, {sheet.unit} {start}",
    )
    if mark := other_mark(cells, len(names)):
        return _otherwise_separated(found, mark, chain([(line, cells)], rest), sheet=sheet, width=len(names))
    if likely > start and len(places) < 2:
        return _or_below(found, sheet, start, likely)
    below = [cells for _, cells in islice(rest, MOST_BELOW + 1) if any(map(holds, cells))]
    if not places and len(below) > 1 and all(len(each) == len(cells) for each in below):
        return _all_misfit(found, [cells, *below], names)
    if places and len(below) < MOST_BELOW and all(len(cells) != len(names) for cells in below):
        why = f"{found.expected}; if it stands below the table, last = {places[-1]} under [reading]"
        return DataError(found.where, found.what, why)
    return found


def _all_misfit(error: DataError, records: Sequence[Sequence[Any]], names: Sequence[str]) -> DataError:
    """The same error of records that are all longer or all shorter than the header, with what may have made them so."""
    width, wanted = len(records[0]), len(names)
    cause = (
        "a name for every field (some programs leave out that of the row numbers), or quotes around numbers with commas"
    )
    if width < wanted:
        empty = not any(names[width:])
        without = f"a header without the {counted(wanted - width, 'empty name')} at its end"
        cause = without if empty else "quotes around names with commas"
    elif not any(holds(cell) for cells in records for cell in cells[wanted:]):
        cause = f"a header that ends with {counted(width - wanted, 'delimiter')} more, as the records do"
    return DataError(error.where, f"{error.what}, as the records after it have", f"{error.expected}: {cause}")


def _otherwise_separated(
    error: DataError, mark: str, records: Iterator[Record], *, sheet: Sheet, width: int
) -> DataError:
    """The same error, with the other mark between the fields and the lines that have it."""
    lines = [line for line, cells in islice(records, SAMPLE) if other_mark(cells, width) == mark]
    shown = ", ".join(str(line) for line in lines[:SHOWN]) + (", …" if len(lines) > SHOWN else "")
    what = (
        f"{error.what}: {counted(len(lines), 'record')} ({sheet.unit} {shown}) would fit with {mark!r} between fields"
    )
    return DataError(error.where, what, f"{error.expected}, one delimiter throughout")


def _or_below(error: DataError, sheet: Sheet, start: int, likely: int) -> DataError:
    """The same error, with where the header seems to stand if that is elsewhere."""
    if likely <= start:
        return error
    what = f"{error.what}: {sheet.unit} {start} seems to be text above the table"
    expected = f"header = {likely} under [reading], if the column names stand in {sheet.unit} {likely}"
    return DataError(error.where, what, expected)


def _name_columns(
    names: list[str], columns: Sequence[pl.Series], sheet: Sheet, start: int, likely: int
) -> tuple[list[int], list[str]]:
    """The positions of the columns that stay, and what is to be said of them; those without a name get one."""
    notes: list[str] = []
    width = len(columns)
    stays = [at for at in range(width) if names[at] or columns[at].null_count() < len(columns[at])]
    gone = [at + 1 for at in range(width) if at not in set(stays)]
    if gone:
        notes.append(f"{counted(len(gone), 'column')} with neither a name nor a value left out: {_span(gone)}")
    unnamed = [at for at in stays if not names[at]]
    half = 2 * len(unnamed) - len(stays)
    if len(unnamed) > 1 and (half > 0 or (half == 0 and likely > start)):
        what = f"{len(unnamed)} of {len(stays)} columns have no name"
        raise _or_below(DataError(f"{sheet.where}: {sheet.unit} {start}", what, "names"), sheet, start, likely)
    for at in unnamed:
        names[at] = name_for(at, names)
        counts = " and numbers the rows" if numbers_rows(columns[at]) else ""
        notes.append(f"column {at + 1} has no name{counts}: it is called {names[at]!r}")
    return stays, notes


def name_for(at: int, names: Sequence[str]) -> str:
    """What a column without a name is called, by its place and the names of the others."""
    name = f"column {at + 1}"
    while name in names:
        name += "'"
    return name


def _span(positions: Sequence[int]) -> str:
    """``7 to 9`` for positions in a row, else the first few."""
    if len(positions) > 2 and positions[-1] - positions[0] == len(positions) - 1:
        return f"{positions[0]} to {positions[-1]}"
    return ", ".join(map(str, positions[:SHOWN])) + (", …" if len(positions) > SHOWN else "")


def _second_names(frame: pl.DataFrame, place: int, unit: str) -> list[str]:
    """What seems to be a second line of names, or one of units: text above numbers, and no number; none or one line."""
    if frame.height < 3:
        return []
    first = {name: "" if cell is None else str(cell).strip() for name, cell in frame.row(0, named=True).items()}
    if any(NUMBER_LIKE.fullmatch(cell) for cell in first.values()):
        return []
    for name, cell in first.items():
        below = frame[name].slice(1, SAMPLE).drop_nulls()
        numeric = below.dtype == pl.String and all(NUMBER_LIKE.fullmatch(each.strip()) for each in below)
        if cell and numeric and len(below) > 1 and not is_missing_word(cell, number=True):
            what = f"{unit} {place} seems to hold names or units, and counts as a record"
            return [f"{what}: {cell[:40]!r} stands above numbers in column {name!r}"]
    return []


def _numbered(column: pl.Series) -> bool:
    """Whether the cells of a column have digits, as ids do: a word for a total among them is one."""
    if column.dtype != pl.String:
        return False
    known = column.drop_nulls()
    return int(known.str.contains("[0-9]").sum()) >= MOSTLY * (len(known) - 1) > 0


def _totals_within(frame: pl.DataFrame, places: Sequence[int], unit: str) -> list[str]:
    """Records but the last whose first filled cell is a word for a total, others being empty: none or one line.

    They may be filled where the first column is one of ids.
    """
    texts = [name for name in frame.columns if frame[name].dtype == pl.String]
    if frame.width < 2 or not texts:
        return []
    mark = f"^(?i:{TOTAL.pattern})$"
    says = pl.any_horizontal(pl.col(texts).str.strip_chars().str.contains(mark).fill_null(False))
    rows = frame.with_row_index("\0at").filter(says)
    ids = _numbered(frame.to_series(0))
    cells = [
        (row[0], [cell for cell in row[1:] if holds(cell)])
        for row in rows.iter_rows()
        if (ids and holds(row[1])) or not all(map(holds, row[1:]))
    ]
    firsts = [(at, str(said[0]).strip().rstrip(":").strip()) for at, said in cells]
    within = [(at, first) for at, first in firsts if at < frame.height - 1 and TOTAL.fullmatch(first)]
    shown = ", ".join(f"{unit} {places[at]:,} ({first!r})" for at, first in within[:SHOWN])
    more = ", …" if len(within) > SHOWN else ""
    return [f"among the records, what seems to be a total, and counts as a record: {shown}{more}"] if within else []


def _total(frame: pl.DataFrame) -> str:
    """What the first filled cell of the last row says if that is a word for a total, and others are empty."""
    if frame.height < 2:
        return ""
    row = frame.row(-1)
    said = [cell for cell in row if holds(cell)]
    first = str(said[0]).strip().rstrip(":").strip() if said else ""
    if not TOTAL.fullmatch(first):
        return ""
    return first if len(said) < frame.width or (holds(row[0]) and _numbered(frame.to_series(0))) else ""
