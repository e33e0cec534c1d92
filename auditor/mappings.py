"""Mappings: what a table's columns mean, in what words and units a prompt says them, how the file is read.

Nothing is guessed at run time: what a mapping (TOML) leaves out is excluded by name, with the reason. Codes it names
match what stands in the table by value, whatever the type there: ``"4"``, 4 and 4.0 are one code, ``04`` is another.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from dataclasses import fields as dataclass_fields
from functools import cached_property
from typing import Any

import polars as pl

from auditor.canonical import sha256_json
from auditor.decision_columns import NONE as NO_DECISIONS
from auditor.decision_columns import DecisionColumns
from auditor.missing_words import is_null_word
from auditor.number_forms import PLAIN, NumberForm, number_in
from auditor.plain_numbers import plain_numbers
from auditor.tables import Reading

ROLES = ("predictor", "protected", "protected_proxy", "proxy", "recorded", "outcome", "id")
TYPES = ("number", "category", "flag", "text")
REPEATS = ("refuse", "first", "last", "separate")
EMPTY = ("refuse", "leave out")
NOT_STATED = "not stated"
FLAG_WORDS = {"1": "yes", "0": "no"}
#: Keys that came later: a mapping that does not use them keeps its hash.
LATER = ("form", "adverse", "repeats", "empty")

Value = float | str | None


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of an application: where it comes from, what it means, how a prompt says it.

    Exactly one of ``column`` (as it stands), ``ratio`` (numerator and denominator columns, times ``scale``) and
    ``one_of`` (indicator column to group) names its origin. ``form`` says how the column writes numbers. ``missing``
    lists codes and ``missing_from`` the smallest number that mean "not stated". ``words`` turns a code into the words
    of the prompt; for a category the words are also the value everything else works with. An outcome names its
    ``favourable`` and its ``adverse`` values: others are no outcome. An id says what becomes of rows whose id
    ``repeats`` or is ``empty``.
    """

    name: str
    label: str
    role: str
    type: str
    unit: str = ""
    column: str | None = None
    ratio: tuple[str, str] | None = None
    scale: float = 1.0
    one_of: Mapping[str, str] = field(default_factory=dict)
    form: NumberForm | None = None
    missing: tuple[float | str, ...] = ()
    missing_from: float | None = None
    missing_words: str = NOT_STATED
    words: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    suffix: str = ""
    decimals: int = 0
    favourable: str | tuple[str, ...] | None = None
    adverse: str | tuple[str, ...] | None = None
    repeats: str = "refuse"
    empty: str = "refuse"

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The table columns the field is made from, in NFC as readers name them."""
        if self.ratio is not None:
            return tuple(map(nfc, self.ratio))
        if self.one_of:
            return tuple(map(nfc, self.one_of))
        return (nfc(self.column),) if self.column else ()

    @cached_property
    def missing_codes(self) -> frozenset[str]:
        """The codes of ``missing``, as :func:`code_of` writes them."""
        return frozenset(map(code_of, self.missing))

    @cached_property
    def words_of_codes(self) -> Mapping[str, str]:
        """The words of every code that has some."""
        words = self.words or (FLAG_WORDS if self.type == "flag" else {})
        return {code_of(code): nfc(said) for code, said in words.items()}

    def value(self, row: Mapping[str, Any]) -> Value:
        """The typed value in one table row: a number, the words of a category, or ``None`` where it is missing."""
        if self.one_of:
            named = zip(self.columns, self.one_of.values(), strict=True)
            groups = [nfc(group) for column, group in named if code_of(row[column]) == "1"]
            return groups[0] if len(groups) == 1 else None
        if self.ratio is not None:
            top, bottom = (
                None if self.is_missing(row[column]) else self.number(row[column]) for column in self.columns
            )
            return None if top is None or not bottom else top / bottom * self.scale
        raw = row[self.columns[0]]
        if self.is_missing(raw):
            return None
        if self.type == "number":
            number = self.number(raw)
            return None if number is None else number * self.scale
        return self._words_for(raw)

    def number(self, raw: Any) -> float | None:
        """The number a cell holds; ``None`` if it holds none."""
        if raw is None:
            return None
        if isinstance(raw, str):
            return number_in(raw, self.form)
        number = float(raw)
        return number if math.isfinite(number) else None

    def is_missing(self, raw: Any) -> bool:
        """Whether a cell says nothing: it is empty, or the mapping says that its code means so."""
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            return True
        if any(code in self.missing_codes for code in codes_of(raw)):
            return True
        if self.type == "number" and isinstance(raw, str) and is_null_word(raw):
            return True
        if self.missing_from is None and self.form is None:
            return False
        number = self.number(raw)
        if number is None:
            return False
        beyond = self.missing_from is not None and number >= self.missing_from
        return beyond or (self.form is not None and code_of(number) in self.missing_codes)

    def _words_for(self, raw: Any) -> str:
        words = self.words_of_codes
        return next((words[code] for code in codes_of(raw) if code in words), written(raw))

    def values_in(self, table: pl.DataFrame) -> list[Value]:
        """The value of every row of a table, in order: what ``value`` says of each, sooner where rows repeat."""
        columns = [table[column] for column in self.columns]
        if self.column is not None and self.type == "number" and columns[0].dtype in (pl.Int64, pl.Float64):
            return self._numbers_in(columns[0])
        if self.column is not None and self.type == "number" and self.form is None and columns[0].dtype == pl.String:
            return self._written_numbers_in(columns[0])
        rows = zip(*columns, strict=True)
        if any(column.dtype.is_float() for column in columns):  # as keys, 0.0 and -0.0 would be one
            return [self.value(dict(zip(self.columns, row, strict=True))) for row in rows]
        known: dict[tuple[Any, ...], Value] = {}
        values = []
        for row in rows:
            if row not in known:
                known[row] = self.value(dict(zip(self.columns, row, strict=True)))
            values.append(known[row])
        return values

    def _numbers_in(self, column: pl.Series) -> list[Value]:
        codes = {float(code) for code in self.missing_codes if PLAIN.fullmatch(code)}
        bound = math.inf if self.missing_from is None else self.missing_from
        # Neither "not a number" nor infinity is below the bound or within it.
        return [
            None if raw is None or raw in codes or not -math.inf < raw < bound else float(raw) * self.scale
            for raw in column
        ]

    def _written_numbers_in(self, column: pl.Series) -> list[Value]:
        """Numbers as programs write them all at once; what a rule may have a say in one by one."""
        numbers = plain_numbers(column)
        codes = [float(code) for code in self.missing_codes if PLAIN.fullmatch(code)]
        ruled = numbers.is_null() & column.is_not_null()
        if codes:
            ruled |= numbers.is_in(codes).fill_null(False) | (numbers == 0).fill_null(False)
        if self.missing_from is not None:
            ruled |= (numbers >= self.missing_from).fill_null(False)
        values: list[Value] = (numbers * self.scale).to_list()
        name, known = self.columns[0], dict[Any, Value]()
        for row in ruled.arg_true():
            raw = column[row]
            if raw not in known:
                known[raw] = self.value({name: raw})
            values[row] = known[raw]
        return values

    def numbers_in(self, column: pl.Series) -> list[float | None]:
        """What :meth:`number` says of every cell of a column, in order."""
        if column.dtype != pl.String or self.form is not None:
            return [self.number(raw) for raw in column]
        numbers = plain_numbers(column)
        found: list[float | None] = numbers.to_list()
        for row in (numbers.is_null() & column.is_not_null()).arg_true():
            found[row] = self.number(column[row])
        return found

    def outcomes(self, said: str | tuple[str, ...] | None) -> frozenset[str]:
        """The values that ``favourable`` or ``adverse`` name, as codes; a code that has words stands for them."""
        names = (said,) if isinstance(said, str) else said or ()
        return frozenset(code_of(self.words_of_codes.get(code_of(name), name)) for name in names)

    def say(self, value: Value) -> str:
        """The words a prompt uses for ``value``: rounded to ``decimals``, with prefix and suffix."""
        if value is None:
            return self.missing_words
        if isinstance(value, str):
            return value
        if code_of(value) in self.words_of_codes:
            return self.words_of_codes[code_of(value)]
        sign = "-" if round(value, self.decimals) < 0 else ""
        return f"{sign}{self.prefix}{abs(value):.{self.decimals}f}{self.suffix}"


@dataclass(frozen=True)
class DataMapping:
    """What a table's columns mean, which are left out and why, how its file is read, and what a decision file holds."""

    name: str
    title: str
    citation: str
    population: str
    fields: tuple[Field, ...]
    excluded: Mapping[str, str]
    reading: Reading = field(default_factory=Reading)
    decisions: DecisionColumns = NO_DECISIONS

    def design(self) -> dict[str, Any]:
        """Plain data, for hashing and for the report. Keys that came later are there only if they say something."""
        plain = asdict(self)
        for item, own in zip(plain["fields"], self.fields, strict=True):
            for key in LATER:
                if item[key] == DEFAULTS[key]:
                    del item[key]
            if own.form is not None:
                item["form"] = said_of(own.form)
        plain["reading"] = self.reading.said()
        if not plain["reading"]:
            del plain["reading"]
        plain["decisions"] = self.decisions.said()
        if not plain["decisions"]:
            del plain["decisions"]
        return plain

    @property
    def sha256(self) -> str:
        """Hash of the mapping's canonical JSON."""
        return sha256_json(self.design())


DEFAULTS = {key: Field.__dataclass_fields__[key].default for key in LATER}


def said_of(form: NumberForm) -> dict[str, str | float]:
    """The parts of a form that differ from how programs write numbers."""
    return {
        part.name: getattr(form, part.name)
        for part in dataclass_fields(NumberForm)
        if getattr(form, part.name) != part.default
    }


def nfc(text: str) -> str:
    """Text as it is compared: composed, so that a letter and its accent are one."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def written(raw: Any) -> str:
    """A cell as text: as it stands there, a whole number without a point, a truth value as 1 or 0."""
    if isinstance(raw, str):
        return nfc(raw.strip())
    return code_of(raw)


def code_of(raw: Any) -> str:
    """What a code is compared by: its value, if it is written as a number is, else its text.

    ``4``, ``4.0`` and ``"4"`` are one; ``"04"``, ``"4E0"`` and ``"+4"`` are texts of their own.
    """
    if isinstance(raw, bool):
        return "1" if raw else "0"
    if isinstance(raw, float) and raw.is_integer() and abs(raw) < 2**53:
        return str(int(raw))
    text = nfc(str(raw).strip())
    if "." in text and PLAIN.fullmatch(text):
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def codes_of(raw: Any) -> Sequence[str]:
    """What a cell may be called: a truth value also by its words."""
    if isinstance(raw, bool):
        return ("1", "TRUE", "True", "true") if raw else ("0", "FALSE", "False", "false")
    return (code_of(raw),)
