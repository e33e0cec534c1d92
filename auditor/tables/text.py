"""Text files of records (CSV, TSV): every field as the text that stands there, nothing turned into numbers.

What a file declares is taken and said: a byte order mark, a first line ``sep=;``. What it does not declare, the
delimiter and the encoding, is comma (tab in ``.tsv``) and UTF-8 unless the mapping's ``[reading]`` says otherwise; a
file that seems to be written another way is refused with the key that reads it.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from typing import Any

import polars as pl

from auditor.exceptions import DataError
from auditor.reading_guesses import (
    NUMBER_LIKE,
    holds,
    is_filled,
    likely_header,
    likely_last,
    numbers_as_names,
    record_in_header,
)
from auditor.tables.encodings import as_utf8, likely_encoding, without_bad_columns
from auditor.tables.rows import Sheet, assemble
from auditor.tables.table import LIMITS, NO_HEADER, FileFormat, Limits, Reading, Table

MAX_FIELD_CHARACTERS = 131_072  # the csv module's own limit
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
SAMPLE_BYTES = 64 << 10
HEAD_RECORDS, TAIL_RECORDS = 10_000, 1_000  # that are kept whole to find where a table begins and ends
CONSISTENT = 0.6  # of the sampled lines, for a delimiter to count as one
MAX_SHOWN = 40
MAX_NAME = 400  # of which a pattern is sought
ALIGNED_LINES = 50
GUARDED = r'^="([^"]*)"$'
BLANKS = re.compile(r"\S {2,}\S")
#: A mark or several blanks that stand at least twice in the only name of a file.
SEPARATED = re.compile(r"\w( {2,}|[,;|^#~:/\t\x01\x1f])\w.*\1\w")
SURE_ROWS, MAX_NUMBER = 200, 40  # rows of a column that are looked at, characters of a number
SURE = re.compile(r"[^0-9.,]{0,4}[0-9]+([.,])([0-9]{1,2}|[0-9]{4,})[^0-9.,]{0,8}")

AMONG = re.compile(r"-?[0-9]{1,3}(\.[0-9]{3})*|-?[0-9]{1,3}(,[0-9]{3})*")


def parse_text(
    raw: bytes, *, where: str, limits: Limits = LIMITS, reading: Reading | None = None, tabs: bool = False
) -> Table:
    """Read delimited text with one header line; errors as in :func:`auditor.tables.read_table`."""
    reading = reading or Reading()
    limits.check(where=where, characters=len(raw))
    decoded = as_utf8(raw, where, reading)
    notes = list(decoded.notes)
    text, first, declared = without_sep_line(decoded.text)
    delimiter = reading.delimiter or declared or ("\t" if tabs else ",")
    if delimiter not in DELIMITERS:
        known = "one of , ; | and the tab, \\t"
        raise DataError(f"{where}: reading.delimiter", f"is {delimiter[:MAX_SHOWN]!r}", known)
    if declared:
        notes.append(f"line 1, 'sep={declared}', names the delimiter and is not a record")
    if not (reading.delimiter or declared):
        check_delimiter(text, delimiter, where, first)
    sheet = Sheet(where=where, unit="line", limits=limits, series=text_column, unite=pl.concat, even=True)
    table, _ = assemble(_records(text, where, delimiter, first), sheet=sheet, reading=reading)
    if len(table.frame.columns) == 1 and (said := _aligned(table)):
        notes.append(said)
    elif len(table.frame.columns) == 1 and (mark := SEPARATED.search((name := table.frame.columns[0])[:MAX_NAME])):
        notes.append(
            f"one column, {name[:MAX_SHOWN]!r}: if {mark[1]!r} is meant to separate fields, write the file with one "
            "of the delimiters that are read: , ; | and the tab"
        )
    elif said := about_signs(table.frame.columns, delimiter):
        notes.append(said)
    if reading.delimiter:
        notes.append(f"fields are separated by {DELIMITERS[delimiter]}")
    table = without_guards(table)
    table = replace(table, untyped=frozenset(table.frame.columns), notes=(*notes, *table.notes))
    return without_bad_columns(table, decoded.stand_in, where=where, reading=reading) if decoded.stand_in else table


def likely_reading(raw: bytes, *, where: str, said: Reading, tabs: bool = False) -> tuple[Reading, list[str]]:
    """The keys a text file seems to need, with reasons; a key that is said stays."""
    found, reasons = said, []
    if not said.encoding:
        encoding, why = likely_encoding(raw)
        found = replace(found, encoding=encoding)
        reasons += [why] if why else []
    text = as_utf8(raw, where, found).text
    text, first, declared = without_sep_line(text)
    delimiter = said.delimiter or declared
    if not delimiter:
        usual = "\t" if tabs else ","
        delimiter = _likely_delimiter(sample_of(text)) or usual
        if delimiter != usual:
            found = replace(found, delimiter=delimiter)
            reasons.append(f"delimiter: the fields are separated by {DELIMITERS[delimiter]}")
    records = _ends(_records(text, where, delimiter, first, strict=False))
    filled = [(line, cells) for line, cells in records if is_filled(cells)]
    if not filled:
        return found, reasons
    if not said.header and (why := record_in_header(filled[:200]) or _no_names(filled)):
        said = found = replace(found, header=NO_HEADER)
        reasons.append(f"header: line {filled[0][0]} seems to be a record and not the column names: {why}")
    header = said.header or filled[0][0]
    likely = likely_header(filled[:200])
    widths = Counter(len(cells) for _, cells in filled)
    width = max(widths, key=lambda each: (widths[each], each))
    top = [cell for cell in filled[0][1] if holds(cell)]
    if not said.header and likely > header and (len(filled[0][1]) < width or 2 * len(top) <= width):
        found, header = replace(found, header=likely), likely
        reasons.append(f"header: what stands above line {likely} is narrower than the table")
    last = likely_last([(line, cells) for line, cells in filled if line >= header], width)
    if not said.last and last > max(header, 0):
        found = replace(found, last=last)
        reasons.append(f"last: what stands below line {last} is narrower than the table, or a total")
    return found, reasons


def decimal_mark(table: Table) -> str:
    """The decimal mark that the file suggests: the one of its columns that leave no doubt, if they have one.

    Else a comma where semicolons stand between its fields: that is how they are written where commas part decimals.
    """
    # A column that could not be read is untyped as well, and is not in the frame.
    columns = [table.frame[name] for name in table.untyped if name in table.frame.columns]
    marks = {mark for column in columns if (mark := _sure_mark(column))}
    if len(marks) == 1:
        return marks.pop()
    return "," if any("separated by a semicolon" in note or "'sep=;'" in note for note in table.notes) else "."


def _sure_mark(column: pl.Series) -> str:
    """The mark of a column whose every value has one, before other than three digits; empty if there is a doubt."""
    if column.dtype != pl.String:
        return ""
    texts = column.drop_nulls().head(SURE_ROWS).str.strip_chars().to_list()
    found = [SURE.fullmatch(text) if len(text) <= MAX_NUMBER else None for text in texts]
    marks = {match[1] for match in found if match is not None}
    if len(marks) == 1 and None not in found:
        return marks.pop()
    # "0.037" has no thousands, and "20.000.000" no decimals.
    short = [text for text in texts if len(text) <= MAX_NUMBER]
    if len(short) == len(texts) and texts and all(AMONG.fullmatch(text) for text in texts):
        below = {text.lstrip("-")[1] for text in texts if text.lstrip("-").startswith(("0.", "0,"))}
        grouped = {"," if text.count(".") > 1 else "." for text in texts if text.count(".") > 1 or text.count(",") > 1}
        sure = below | grouped
        return sure.pop() if len(sure) == 1 else ""
    return ""


def about_signs(names: Sequence[str], delimiter: str) -> str:
    """What is to be said of signs that stand around every name, as ``'id'`` or ``id~|~sex``; empty if none do.

    >>> about_signs(["id~", "~sex~", "~age"], "|")
    "the fields seem to be separated by '~|~': the signs beside '|' are kept as part of names and values"
    """
    if len(names) > 1 and all(len(name) > 1 and name[0] == name[-1] == "'" for name in names):
        return (
            'every name stands between \' signs, which are kept, as those of the values are: expected "…" around fields'
        )
    ends = {name[-1:] for name in names[:-1]}
    begins = {name[:1] for name in names[1:]}
    both = ends | begins
    if len(names) < 2 or len(both) != 1 or not (sign := both.pop()) or sign.isalnum() or sign in "\"'()[]_ ":
        return ""
    whole = f"{sign}{delimiter}{sign}"
    kept = f"the signs beside {delimiter!r} are kept as part of names and values"
    return f"the fields seem to be separated by {whole!r}: {kept}"


def without_guards(table: Table) -> Table:
    """The same table; a column whose every cell is written ``="…"``, for spreadsheets to leave it as text, without."""
    guarded = [
        name
        for name in table.frame.columns
        if (column := table.frame[name].drop_nulls()).len() and column.str.contains(GUARDED).all()
    ]
    if not guarded:
        return table
    frame = table.frame.with_columns(pl.col(name).str.replace(GUARDED, "$1") for name in guarded)
    said = [f'column {name!r}: every cell is written ="…" and read as the text within' for name in guarded]
    return replace(table, frame=frame, notes=(*table.notes, *said))


def _no_names(filled: Sequence[tuple[int, list[str]]]) -> str:
    """Why the first filled line seems to hold no names, where no later one does."""
    return "" if likely_header(filled[:200]) > filled[0][0] else numbers_as_names(filled[0][1])


def _aligned(table: Table) -> str:
    """What is to be said of a file of one column whose lines have several blanks between words; empty if few have."""
    column = table.frame.to_series(0)
    lines = [table.frame.columns[0], *column.head(ALIGNED_LINES).drop_nulls().to_list()]
    parted = [line for line in lines if BLANKS.search(line[:MAX_NAME])]
    if len(lines) < 3 or 2 * len(parted) <= len(lines):
        return ""
    return (
        f"one column, {table.frame.columns[0][:MAX_SHOWN]!r}, whose lines have several blanks between words: if they "
        "align fields, write the file with one of the delimiters that are read: , ; | and the tab"
    )


def _ends(records: Iterator[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """All records; of those in the middle only how many cells there are and whether one is filled.

    The cells of a million records would take a gigabyte, and what begins or ends a table stands at its ends.
    """
    kept = list(islice(records, HEAD_RECORDS))
    tail: deque[tuple[int, list[str]]] = deque()
    for record in records:
        tail.append(record)
        if len(tail) > TAIL_RECORDS:
            line, cells = tail.popleft()
            kept.append((line, _stand_in(len(cells), any(map(holds, cells)))))
    return [*kept, *tail]


@cache
def _stand_in(width: int, filled: bool) -> list[str]:
    return ["x" if filled else ""] * width


def text_column(values: Sequence[Any]) -> pl.Series:
    """A column of text; a cell of blanks is none."""
    column = pl.Series(values, dtype=pl.String)
    return column.set(column.str.strip_chars() == "", None)


def without_sep_line(text: bytes) -> tuple[bytes, int, str]:
    """The text below a line ``sep=;``, the number of its first line, and the delimiter that line names."""
    end = text.find(b"\n", 0, 16)
    first = text[:end].strip(b'\r "') if end >= 0 else b""
    if first[:4].lower() == b"sep=" and len(first) == 5 and first[4:].decode("ascii", "replace") in DELIMITERS:
        return text[end + 1 :], 2, first[4:].decode()
    return text, 1, ""


def _records(
    text: bytes, where: str, delimiter: str, first: int, *, strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Records with the line each begins in; empty lines are records of no field, but for those at the very end."""
    stream = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
    yield from records_of(stream, where, delimiter, first, strict=strict)


def records_of(
    stream: Iterable[str], where: str, delimiter: str, first: int, *, strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """The records of lines of text, as they come."""
    reader = csv.reader(stream, delimiter=delimiter, strict=strict)
    begins = first
    empty: list[int] = []
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            if not strict:
                return
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
            for line in empty:
                yield line, []
            empty = []
            yield begins, fields
        else:
            empty.append(begins)
        begins = reader.line_num + first


def sample_of(text: bytes) -> bytes:
    """Whole lines from the beginning."""
    if len(text) <= SAMPLE_BYTES:
        return text
    return text[: text.rfind(b"\n", 0, SAMPLE_BYTES) + 1] or text[:SAMPLE_BYTES]


def _likely_delimiter(sample: bytes) -> str:
    """What separates the fields of a sample into the most even and widest table; empty where nothing does.

    Two delimiters that both do, equally wide, are joined: which of them it is cannot be told.
    """
    found: dict[str, tuple[bool, int, float]] = {}
    for delimiter in DELIMITERS:
        records = [cells for _, cells in _records(sample, "", delimiter, 1, strict=False) if is_filled(cells)]
        widths = Counter(map(len, records))
        if not widths:
            continue
        width = max(widths, key=lambda each: (widths[each], each))
        share = widths[width] / len(records)
        if width > 1 and share >= CONSISTENT:
            # Names of columns are seldom numbers: "1,5;2,5" has semicolons.
            named = not any(NUMBER_LIKE.fullmatch(cell.strip()) for cell in records[0])
            found[delimiter] = (share == 1 and named, width, share)
    if not found:
        return ""
    best = max(found.values())
    return "".join(delimiter for delimiter, score in found.items() if score == best)


def check_delimiter(text: bytes, delimiter: str, where: str, first: int) -> None:
    """Refuse a file whose fields seem to be separated by something else."""
    likely = _likely_delimiter(sample_of(text))
    if likely in ("", delimiter):
        return
    key = 'delimiter = "{}" under [reading]'.format(likely[-1].replace("\t", "\\t"))
    if len(likely) > 1:
        names = " or ".join(DELIMITERS[each] for each in likely)
        what = f"its fields may be separated by {names}"
        raise DataError(f"{where}: line {first}", what, "the key delimiter under [reading]")
    expected = f"{DELIMITERS[delimiter].removeprefix('a ')}s between the fields, or {key}"
    raise DataError(f"{where}: line {first}", f"its fields are separated by {DELIMITERS[likely]}", expected)


def _format(*, tabs: bool = False) -> FileFormat:
    keys = frozenset({"header", "last", "delimiter", "encoding", "columns"})
    return FileFormat(
        name="text files", keys=keys, parse=partial(parse_text, tabs=tabs), propose=partial(likely_reading, tabs=tabs)
    )


FORMATS = {".csv": _format(), ".tsv": _format(tabs=True), ".txt": _format()}
