"""The cells of a worksheet, row by row, from its XML: counted while they are read.

The XML is fed to expat in pieces, so that a sheet never stands in memory as a whole. Expat refuses what is not
well-formed; a document type, where entities are defined, is refused here. No pattern searches the text.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from auditor.exceptions import DataError
from auditor.tables.cell_formats import PLAIN, Format, NoDateError, shown
from auditor.tables.table import Limits

PIECE_BYTES = 1 << 18
MAX_MERGED = 100_000
MAX_BROKEN = 20  # cells without a value that are remembered of a column
MAX_DIGITS = 15  # of a whole number that a spreadsheet gives back
REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
RANGE = re.compile(r"([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})")
ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
NOT_AVAILABLE = "#N/A"
VALUES = ("v", "t")


@dataclass(frozen=True)
class Merged:
    """A merged range; rows count from 1, columns from 0."""

    name: str
    first_row: int
    last_row: int
    first_column: int
    last_column: int

    @property
    def width(self) -> int:
        """How many columns it spans."""
        return self.last_column - self.first_column + 1


class SheetCells:
    """Iterates over the rows of a sheet: their numbers, and their values up to the last one that is there.

    When the last row was taken, ``merged``, ``hidden`` (rows), ``hidden_columns`` (ranges), ``not_available`` (cells),
    ``formats`` (what they show that is not read, with the first cell, by column) and ``broken`` (cells without a value,
    by column) say what else the sheet holds.
    """

    def __init__(
        self,
        xml: bytes,
        *,
        where: str,
        limits: Limits,
        shared: Sequence[str],
        styles: Sequence[Format],
        from_1904: bool,
    ) -> None:
        self._xml, self._where, self._limits = xml, where, limits
        self._shared, self._styles, self._from_1904 = shared, styles, from_1904
        self.merged: list[Merged] = []
        self.hidden = self.not_available = 0
        self.broken: dict[int, list[tuple[int, str]]] = defaultdict(list)
        self.formats: dict[int, dict[str, str]] = defaultdict(dict)
        self.hidden_columns: list[tuple[int, int]] = []
        self.filled_rows: list[int] = []
        self._numbers: set[int] = set()
        self._done: deque[tuple[int, list[Any]]] = deque()
        self._row = self._column = self._cells = self._characters = 0
        self._values: list[Any] = []
        self._place, self._kind, self._style, self._formula = "", "", PLAIN, False
        self._text: list[str] | None = None
        self._found: list[str] | None = None
        self._phonetic = False

    def has_numbers(self, column: int) -> bool:
        """Whether a cell of the column was a number and stayed one."""
        return column in self._numbers

    def __iter__(self) -> Iterator[tuple[int, list[Any]]]:
        parser = checked_parser(self._where)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters_of
        try:
            for begin in range(0, max(1, len(self._xml)), PIECE_BYTES):
                last = begin + PIECE_BYTES >= len(self._xml)
                parser.Parse(self._xml[begin : begin + PIECE_BYTES], last)
                while self._done:
                    yield self._done.popleft()
        except expat.ExpatError as error:
            raise DataError(self._where, f"is not valid XML ({error})", "an Excel workbook (.xlsx)") from error

    def _start(self, name: str, given: Mapping[str, str]) -> None:
        name = name.rpartition(":")[2]
        if name == "c":
            self._start_cell(given)
        elif name in VALUES:
            self._text = []
        elif name == "f":
            self._formula = True
        elif name == "rPh":
            self._phonetic = True
        elif name == "row":
            said = given.get("r", "")
            self._row = int(said) if said.isdecimal() and len(said) < 8 else self._row + 1
            self._column, self._values = -1, []
            self.hidden += given.get("hidden") in ("1", "true")
        elif name == "col" and len(self.hidden_columns) < MAX_BROKEN:
            ends = given.get("min", ""), given.get("max", "")
            unseen = given.get("hidden") in ("1", "true") or given.get("width") == "0"
            if unseen and all(end.isdecimal() and len(end) < 6 for end in ends):
                self.hidden_columns.append((int(ends[0]) - 1, int(ends[1]) - 1))
        elif name == "mergeCell":
            self._merge(given.get("ref", ""))

    def _start_cell(self, given: Mapping[str, str]) -> None:
        place = given.get("r", "")
        if place:
            found = REFERENCE.fullmatch(place)
            if found is None:
                raise DataError(self._where, f"names a cell {place[:20]!r}", "references such as B7")
            self._column, self._row = column_of(found[1]), int(found[2])
        else:
            self._column += 1
        self._cells += 1
        self._place = place or f"{letters_of(self._column)}{self._row}"
        self._limits.check(where=self._where, columns=self._column + 1, cells=self._cells)
        style = given.get("s", "0")
        index = int(style) if style.isdecimal() and len(style) < 8 else 0
        self._style = self._styles[index] if index < len(self._styles) else PLAIN
        self._kind, self._formula, self._found = given.get("t", "n"), False, None

    def _characters_of(self, data: str) -> None:
        if self._text is not None and not self._phonetic:
            self._text.append(data)

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        if name in VALUES:
            if self._text is not None:
                self._found = [*(self._found or ()), *self._text]
            self._text = None
        elif name == "rPh":
            self._phonetic = False
        elif name == "c":
            value = self._value()
            if value is not None:
                self._values += [None] * (self._column + 1 - len(self._values))
                self._values[self._column] = value
        elif name == "row":
            self._limits.check(where=self._where, rows=len(self.filled_rows))
            if self._values:
                self.filled_rows.append(self._row)
            self._done.append((self._row, self._values))

    def _value(self) -> Any:
        """The value of the cell that ends."""
        text = "".join(self._found or ())
        if self._kind == "s":
            text = self._shared_text(text)
        self._characters += len(text)
        self._limits.check(where=self._where, characters=self._characters)
        if not text and self._kind != "str":
            return self._break("holds a formula without a stored result") if self._formula else None
        if self._kind in ("s", "str", "inlineStr", "d"):
            return (text if self._kind == "s" else unescaped(text)) or None
        if self._kind == "e" and text.strip() == NOT_AVAILABLE:
            self.not_available += 1
            return None
        if self._kind == "e":
            return self._break(f"holds the error {text[:20]}")
        return text.strip() == "1" if self._kind == "b" else self._number(text.strip())

    def _number(self, text: str) -> Any:
        digits = text.removeprefix("-")
        if digits.isdecimal() and digits.isascii():
            if len(digits) > MAX_DIGITS:
                return text  # an account or a card: no number would give it back
            number: float = int(text)
        else:
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            if not math.isfinite(number):
                return self._break(f"holds {text[:20]!r} as a number")
            number = int(number) if number.is_integer() and abs(number) < 10**MAX_DIGITS else number
        if self._style.said and len(self.formats[self._column]) < MAX_BROKEN:
            self.formats[self._column].setdefault(self._style.said, self._place)
        try:
            value = shown(number, self._style, from_1904=self._from_1904)
        except NoDateError as error:
            return self._break(f"holds {text[:20]} as a date, which is {error}")
        if not isinstance(value, str):
            self._numbers.add(self._column)
        return value

    def _shared_text(self, text: str) -> str:
        text = text.strip()
        index = int(text) if text.isdecimal() and len(text) < 10 else len(self._shared)
        if index >= len(self._shared):
            if text:
                raise DataError(
                    f"{self._where}: cell {self._place}", f"names no shared text ({text[:20]!r})", "one there is"
                )
            return ""
        return self._shared[index]

    def _break(self, what: str) -> None:
        if len(self.broken[self._column]) < MAX_BROKEN:
            self.broken[self._column].append((self._row, f"{what} in cell {self._place}"))

    def _merge(self, name: str) -> None:
        found = RANGE.fullmatch(name)
        if found is None:
            return
        first, last = sorted((int(found[2]), int(found[4])))
        left, right = sorted((column_of(found[1]), column_of(found[3])))
        self.merged.append(Merged(name, first, last, left, right))
        if len(self.merged) > MAX_MERGED:
            raise DataError(self._where, "has more merged cells than can be read", f"at most {MAX_MERGED:,}")


def shared_strings(xml: bytes, *, where: str) -> list[str]:
    """Every shared text, in order, without the readings that Japanese texts carry."""
    texts: list[str] = []
    parts: list[str] = []
    inside = phonetic = False

    def start(name: str, _: object) -> None:
        nonlocal inside, phonetic
        name = name.rpartition(":")[2]
        inside = inside or name == "t"
        phonetic = phonetic or name == "rPh"
        if name == "si":
            parts.clear()

    def end(name: str) -> None:
        nonlocal inside, phonetic
        name = name.rpartition(":")[2]
        inside = inside and name != "t"
        phonetic = phonetic and name != "rPh"
        if name == "si":
            texts.append(unescaped("".join(parts)))

    parser = checked_parser(where)
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = lambda data: parts.append(data) if inside and not phonetic else None
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise DataError(where, f"is not valid XML ({error})", "an Excel workbook (.xlsx)") from error
    return texts


def checked_parser(where: str) -> Any:
    """A parser that refuses a document type."""
    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True

    def refuse(name: str, *_: object) -> None:
        raise DataError(where, f"has a document type ({name[:40]!r})", "plain XML, as spreadsheet programs write it")

    parser.StartDoctypeDeclHandler = refuse
    return parser


def unescaped(text: str) -> str:
    """Text whose ``_x000D_`` stands for the character of that number."""
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_" in text else text


def column_of(letters: str) -> int:
    """The position of a column from 0: A is 0, AA is 26."""
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - 64
    return column - 1


def letters_of(column: int) -> str:
    """The letters of a column, from 0."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
