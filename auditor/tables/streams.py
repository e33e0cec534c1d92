"""Delimited text of any length, block by block: only the columns that are asked for, and never the whole file.

What is refused is refused as :mod:`.text` does; what that reader would have to see whole to propose (a footer, a better
delimiter) is said by keys of the mapping.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path

import polars as pl

from auditor.exceptions import DataError
from auditor.reading_guesses import RULES, holds, is_filled, is_rule, numbers_as_names
from auditor.tables.encodings import SIGNATURES, likely_encoding, named_encoding
from auditor.tables.packed import Digest, opened
from auditor.tables.rows import BLOCK_ROWS, bare, counted, given_names, name_for
from auditor.tables.table import NO_HEADER, UNSEEN, Limits, Reading, Table, check_header
from auditor.tables.text import (
    DELIMITERS,
    SAMPLE_BYTES,
    check_delimiter,
    records_of,
    text_column,
    without_guards,
    without_sep_line,
)

ENCODING_WANTED = "the encoding it is written in, as encoding under [reading]"
GUESSED_BYTES = 4 << 20
STREAMED = Limits(rows=20_000_000, columns=1_000, cells=4_000_000_000, characters=4 << 30)


def text_blocks(
    path: Path,
    *,
    where: str,
    reading: Reading,
    columns: Collection[str],
    tabs: bool = False,
    limits: Limits = STREAMED,
    digest: Digest | None = None,
) -> Iterator[Table]:
    """Tables of up to 20,000 records each, with the columns named ``columns`` alone.

    ``digest`` takes the bytes of the file as they are read; it has all of them when the last table is out.

    Raises
    ------
    DataError
        For a missing column, a record of another length than the header, or text that is none, with its line.
    """
    encoding = named_encoding(reading, where)
    with opened(path, where=where, most=limits.characters, digest=digest) as raw:
        head = raw.peek(SAMPLE_BYTES)[:SAMPLE_BYTES]
        for signature, name in SIGNATURES.items():
            if head.startswith(signature):
                raise DataError(where, f"is {name}, not CSV", "text, its fields separated by commas")
        # A mark of order says more than a key does, as in a table that is read whole.
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = "utf-16"
        elif encoding == "utf-8" or head.startswith(codecs.BOM_UTF8):
            encoding = "utf-8-sig"
        sample = _as_utf8(head, encoding, where)
        rest, first, declared = without_sep_line(sample)
        delimiter = reading.delimiter or declared or ("\t" if tabs else ",")
        if delimiter not in DELIMITERS:
            raise DataError(f"{where}: reading.delimiter", f"is {delimiter[:40]!r}", "one of , ; | and the tab, \\t")
        if not (reading.delimiter or declared):
            check_delimiter(rest, delimiter, where, first)
        with io.TextIOWrapper(raw, encoding=encoding, newline="") as lines:
            if declared:
                next(lines)
            records = records_of(lines, where, delimiter, first)
            try:
                yield from _tables(records, where=where, reading=reading, columns=columns, limits=limits)
            except UnicodeDecodeError as error:
                what = f"holds bytes that are not {reading.encoding or 'UTF-8'}"
                name, reason = ("", "") if reading.encoding else likely_encoding(_beginning(path, where))
                expected = f'encoding = "{name}" under [reading]' if name else ENCODING_WANTED
                seen = f" ({reason.removeprefix('encoding: ').replace(' is not UTF-8', '')})" if name else ""
                raise DataError(where, f"{what}{seen}", expected) from error


def _beginning(path: Path, where: str) -> bytes:
    """Whole lines from the beginning of a file, to guess from what it is written in."""
    with opened(path, where=where) as raw:
        text = raw.read(GUESSED_BYTES)
    return text[: text.rfind(b"\n") + 1] or text


def _as_utf8(head: bytes, encoding: str, where: str) -> bytes:
    """Whole lines of the beginning in UTF-8, to see how it is written."""
    if b"\0" in head and "16" not in encoding:
        raise DataError(where, "holds bytes of zero", "text, or its encoding under [reading]")
    text = head.decode(encoding, "ignore")
    return (text[: text.rfind("\n") + 1] or text).encode()


def _tables(
    records: Iterator[tuple[int, list[str]]],
    *,
    where: str,
    reading: Reading,
    columns: Collection[str],
    limits: Limits,
) -> Iterator[Table]:
    start, cells = _header(records, where, reading)
    names = check_header(cells, where=f"{where}: line {start}")
    if reading.header == NO_HEADER:
        names = given_names(reading, len(cells), where=where, unit="line", at=start)
        records = chain([(start, cells)], records)
    elif not reading.header and (why := numbers_as_names(cells)):
        expected = f"header = false under [reading] if the file has no names, or header = {start} if these are they"
        what = f"seems to be a record and not the column names: {why}"
        raise DataError(f"{where}: line {start}", what, expected)
    called = list(names)
    for at, name in enumerate(names):
        called[at] = name or name_for(at, called)
    wanted = [at for at, name in enumerate(called) if name in columns]
    if missing := sorted(set(columns) - set(called)):
        raise DataError(where, f"column {missing[0]!r} is not there", f"one of: {', '.join(called[:8])}, …")
    rows = 0
    # One call a record takes what is asked for of it; of one column it would take the bare cell.
    pick = itemgetter(*wanted) if len(wanted) > 1 else lambda cells: (cells[wanted[0]],)
    kept = _kept(records, names, where, start, reading.last)
    while block := [(line, pick(cells)) for line, cells in islice(kept, BLOCK_ROWS)]:
        rows += len(block)
        limits.check(where=where, rows=rows, columns=len(names))
        lines, cells_of = zip(*block, strict=True)
        places = pl.Series(lines, dtype=pl.UInt32)
        columns_of = zip(wanted, zip(*cells_of, strict=True), strict=True)
        frame = pl.DataFrame([text_column(column).alias(called[at]) for at, column in columns_of])
        table = Table(frame=frame, rows=places, unit="line", untyped=frozenset(frame.columns))
        yield replace(without_guards(table), notes=())
    if not rows:
        raise DataError(where, "has a header and no rows", "at least one row")


def _header(records: Iterator[tuple[int, list[str]]], where: str, reading: Reading) -> tuple[int, list[str]]:
    for line, cells in records:
        if reading.header > 0 and line < reading.header:
            continue
        if reading.header > 0 and line > reading.header:
            raise DataError(f"{where}: reading.header", f"line {reading.header} is not there", "where the names stand")
        if is_filled(cells):
            return line, cells
    raise DataError(where, "is empty", "a header and at least one row")


def _kept(
    records: Iterator[tuple[int, list[str]]], names: list[str], where: str, start: int, last: int
) -> Iterator[tuple[int, list[str]]]:
    """Records of the header's length; blank lines and the names once more are none."""
    width, first = len(names), names[0]
    unlike = RULES.union(UNSEEN)
    for line, cells in records:
        if last and line > last:
            return
        # Nearly all of a million records are told from blank lines and from the names by their first cell.
        head = cells[0] if cells else ""
        if len(cells) == width and head and head[0] not in unlike and not head.isspace() and head.strip() != first:
            yield line, cells
            continue
        if not any(map(holds, cells)) or is_rule(cells) or [bare(each) for each in cells] == names:
            continue
        if len(cells) != width:
            expected = f"{width}, as in the header, line {start}"
            raise DataError(f"{where}: line {line}", f"has {counted(len(cells), 'field')}", expected)
        yield line, cells
