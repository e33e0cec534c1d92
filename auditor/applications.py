"""Applications: real decision records with named, typed, documented fields, read through a mapping.

A mapping (TOML) says for every field where its value stands in the table, in what words and units the prompt says it,
what counts as missing, and which role it plays. Nothing is guessed at run time: what the mapping leaves out is excluded
by name, with the reason.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import polars as pl

from auditor.canonical import sha256_json
from auditor.exceptions import DataError
from auditor.toml_text import parse_toml

ROLES = ("predictor", "protected", "protected_proxy", "proxy", "outcome", "id")
TYPES = ("number", "category", "flag", "text")
NOT_STATED = "not stated"
FLAG_WORDS = {"1": "yes", "0": "no"}
MAX_FIELDS = 1_000
MAX_WORDS = 400  # of the name and title of data, and of where it comes from
MAX_INTEGER = 2**53  # beyond it neither floats nor canonical JSON give a whole number back
SHOWN_CHARACTERS = 60

Value = float | str | None


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of an application: where it comes from, what it means, how a prompt says it.

    Exactly one of ``column`` (as it stands), ``ratio`` (numerator and denominator columns, times ``scale``) and
    ``one_of`` (indicator column to group) names its origin. ``missing`` lists codes and ``missing_from`` the smallest
    number that mean "not stated". ``words`` turns a code into the words of the prompt; for a category the words are
    also the value everything else works with.
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
    missing: tuple[float | str, ...] = ()
    missing_from: float | None = None
    missing_words: str = NOT_STATED
    words: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    suffix: str = ""
    decimals: int = 0
    favourable: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The table columns the field is made from."""
        if self.ratio is not None:
            return self.ratio
        if self.one_of:
            return tuple(self.one_of)
        return (self.column,) if self.column else ()

    def value(self, row: Mapping[str, Any]) -> Value:
        """The typed value in one table row: a number, the words of a category, or ``None`` where it is missing."""
        if self.one_of:
            groups = [group for column, group in self.one_of.items() if _number(row[column]) == 1]
            return groups[0] if len(groups) == 1 else None
        if self.ratio is not None:
            top, bottom = (_number(row[column]) for column in self.ratio)
            return None if top is None or not bottom else top / bottom * self.scale
        raw = row[self.column or ""]
        if self._is_missing(raw):
            return None
        number = _number(raw)
        if self.type == "number":
            return None if number is None else number * self.scale
        return self._words_for(raw)

    def _words_for(self, raw: Any) -> str:
        words = self.words or (FLAG_WORDS if self.type == "flag" else {})
        as_written = raw.strip() if isinstance(raw, str) else _code(raw)
        # As written first: a postcode 02134 is not the code 2134.
        return words.get(as_written, words.get(_code(raw), as_written))

    def _is_missing(self, raw: Any) -> bool:
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            return True
        number = _number(raw)
        beyond = number is not None and self.missing_from is not None and number >= self.missing_from
        return beyond or any(code in (raw, number) for code in self.missing)

    def values_in(self, table: pl.DataFrame) -> list[Value]:
        """The value of every row of a table, in order: what ``value`` says of each, sooner where rows repeat."""
        if self.column is not None and self.type == "number" and table[self.column].dtype in (pl.Int64, pl.Float64):
            return self._numbers_in(table[self.column])
        columns = [table[column] for column in self.columns]
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
        codes = {code for code in self.missing if not isinstance(code, str)}
        bound = math.inf if self.missing_from is None else self.missing_from
        # Neither "not a number" nor infinity is below the bound or within it.
        return [
            None if raw is None or raw in codes or not -math.inf < raw < bound else float(raw) * self.scale
            for raw in column
        ]

    def say(self, value: Value) -> str:
        """The words a prompt uses for ``value``: rounded to ``decimals``, with prefix and suffix."""
        if value is None:
            return self.missing_words
        if isinstance(value, str):
            return value
        if _code(value) in self.words:
            return self.words[_code(value)]
        sign = "-" if round(value, self.decimals) < 0 else ""
        return f"{sign}{self.prefix}{abs(value):.{self.decimals}f}{self.suffix}"


@dataclass(frozen=True)
class DataMapping:
    """What a table's columns mean, and which are left out and why."""

    name: str
    title: str
    citation: str
    population: str
    fields: tuple[Field, ...]
    excluded: Mapping[str, str]

    def design(self) -> dict[str, Any]:
        """Plain data, for hashing and for the report."""
        return asdict(self)

    @property
    def sha256(self) -> str:
        """Hash of the mapping's canonical JSON."""
        return sha256_json(self.design())


@dataclass(frozen=True, slots=True)
class Application:
    """One record: typed values by field name, its row id, and the recorded outcome if there is one."""

    id: str
    values: Mapping[str, Value]
    favourable: bool | None


@dataclass(frozen=True)
class Survey:
    """What is known of applications without keeping them: they fit their mapping, and how many there are."""

    mapping: DataMapping
    source: str
    file_sha256: str
    count: int

    @property
    def fingerprint(self) -> str:
        """Hash of the file's hash and the mapping's hash."""
        return sha256_json({"file": self.file_sha256, "mapping": self.mapping.sha256})


@dataclass(frozen=True)
class Applications:
    """All records of one data version, in file order, with the mapping that gave them meaning.

    ``fingerprint`` is the SHA-256 of the table file and the mapping; two versions are the same only if both are.
    ``reserved`` holds the ids of a documented split that is kept for training and never counts as unseen.
    """

    mapping: DataMapping
    records: tuple[Application, ...]
    source: str
    file_sha256: str
    reserved: frozenset[str] = frozenset()

    @property
    def fingerprint(self) -> str:
        """Hash of the file's hash and the mapping's hash."""
        return sha256_json({"file": self.file_sha256, "mapping": self.mapping.sha256})

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self.records)

    @property
    def observed_rate(self) -> float | None:
        """Share of favourable outcomes among all records that have one; ``None`` where none has."""
        known = [record.favourable for record in self.records if record.favourable is not None]
        return sum(known) / len(known) if known else None

    def field(self, name: str) -> Field:
        """The field called ``name``; KeyError if there is none."""
        for candidate in self.mapping.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    def subset(self, ids: Sequence[str]) -> tuple[Application, ...]:
        """The records with these ids, in the order of ``ids``; KeyError for an unknown one."""
        by_id = {record.id: record for record in self.records}
        return tuple(by_id[record_id] for record_id in ids)


def read_mapping(path: Path) -> DataMapping:
    """Read a mapping from TOML.

    Raises
    ------
    DataError
        With the file and key, if it cannot be read, names an unknown role or type, or a field has no single origin.
    """
    try:
        raw = parse_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(str(path), error.strerror or "cannot be read", "a readable mapping file (TOML)") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(str(path), f"is no TOML: {error}", "a mapping file as docs/data.md describes") from error
    return mapping_from(raw, where=str(path))


def mapping_from(raw: Mapping[str, Any], *, where: str) -> DataMapping:
    """Build a mapping from plain data; errors as in :func:`read_mapping`."""
    items = raw.get("fields", ())
    if not items or not isinstance(items, (list, tuple)) or not all(isinstance(item, Mapping) for item in items):
        raise DataError(where, "has no [[fields]]", "at least one field")
    if len(items) > MAX_FIELDS:
        raise DataError(where, f"has {len(items):,} fields", f"at most {MAX_FIELDS:,}")
    fields = tuple(_field(item, f"{where}: fields[{index}]") for index, item in enumerate(items))
    if not isinstance(raw.get("excluded", {}), Mapping):
        raise DataError(f"{where}: excluded", "is no table", 'column = "reason"')
    for role in ("id", "outcome"):
        if sum(item.role == role for item in fields) > 1:
            raise DataError(where, f"has several fields with the role {role!r}", "one at most")
    for name, count in Counter(item.name for item in fields).items():
        if count > 1:
            raise DataError(where, f"field {_shown(name)} is defined twice", "one definition a field")
    for key in ("name", "title", "citation", "population"):
        if (size := len(str(raw.get(key, "")))) > MAX_WORDS:
            raise DataError(f"{where}: {key}", f"has {size:,} characters", f"at most {MAX_WORDS:,}")
    return DataMapping(
        name=str(raw.get("name", Path(where).stem)),
        title=str(raw.get("title", raw.get("name", Path(where).stem))),
        citation=str(raw.get("citation", "")),
        population=str(raw.get("population", "")),
        fields=fields,
        excluded={str(key): str(value) for key, value in dict(raw.get("excluded", {})).items()},
    )


def apply_mapping(table: pl.DataFrame, mapping: DataMapping, *, source: str, file_sha256: str) -> Applications:
    """Turn a table into applications, in file order; row ids are ``0001``-style positions unless an id field is mapped.

    Raises
    ------
    DataError
        If a mapped column is not in the table, an indicator group is not exactly one of its columns anywhere, an id
        repeats or is missing, a number field holds text, a field has no value in any row, or the favourable outcome
        occurs in none.
    """
    ids = _checked_ids(table, mapping, source)
    fields = [item for item in mapping.fields if item.role != "id"]
    columns = [_checked_values(table, item, source) for item in fields]
    names = [item.name for item in fields]
    favourable: list[bool | None] = [None] * table.height
    for item, values in zip(fields, columns, strict=True):
        if item.role == "outcome":
            favourable = _favourable(item, values, source)
    rows = zip(*columns, strict=True) if columns else iter([()] * table.height)
    records = tuple(
        Application(id=record, values=dict(zip(names, row, strict=True)), favourable=outcome)
        for record, row, outcome in zip(ids, rows, favourable, strict=True)
    )
    return Applications(mapping=mapping, records=records, source=source, file_sha256=file_sha256)


def survey(table: pl.DataFrame, mapping: DataMapping, *, source: str, file_sha256: str) -> Survey:
    """Check what :func:`apply_mapping` checks, one column in memory at a time; errors as there."""
    _checked_ids(table, mapping, source)
    outcome: tuple[Field, list[Value]] | None = None
    for item in mapping.fields:
        if item.role != "id":
            values = _checked_values(table, item, source)
            outcome = (item, values) if item.role == "outcome" else outcome
    if outcome is not None:
        _favourable(*outcome, source)
    return Survey(mapping=mapping, source=source, file_sha256=file_sha256, count=table.height)


def _checked_ids(table: pl.DataFrame, mapping: DataMapping, source: str) -> list[str]:
    for item in mapping.fields:
        for column in item.columns:
            if column not in table.columns:
                near = ", ".join(table.columns[:8])
                what = f"column {_shown(column)} (field {_shown(item.name)}) is not there"
                raise DataError(source, what, f"one of: {near}, …")
    _check_numbers(table, mapping, source)
    name = next((item.column for item in mapping.fields if item.role == "id"), None)
    if name is None:
        width = max(4, len(str(table.height)))
        return [f"{index:0{width}d}" for index in range(1, table.height + 1)]
    empty = table[name].is_null()
    if empty.any():
        row = int(empty.arg_max() or 0) + 1
        raise DataError(source, f"the id column {name!r} is empty in row {row}", "one id a row")
    ids = [str(raw) for raw in table[name]]
    if len(set(ids)) != len(ids):
        raise DataError(source, f"the id column {name!r} repeats", "one id a row")
    return ids


def _checked_values(table: pl.DataFrame, item: Field, source: str) -> list[Value]:
    values = item.values_in(table)
    if all(value is None for value in values):
        raise DataError(source, f"field {item.name!r} has no value in any row", "a mapping that fits the file")
    return values


def _favourable(item: Field, values: Sequence[Value], source: str) -> list[bool | None]:
    wanted = item.favourable or "yes"
    found = [None if value is None else value == wanted for value in values]
    if not any(found):
        shown = ", ".join(sorted({str(value)[:SHOWN_CHARACTERS] for value in values if value is not None})[:5])
        what = f"field {item.name!r} is {_shown(wanted)} in no row"
        raise DataError(source, what, f"as favourable one of its values: {shown}")
    return found


def write_mapping(mapping: DataMapping) -> str:
    """The mapping as TOML that :func:`read_mapping` reads back to the same mapping; defaults are left out."""
    lines = [f"{key} = {_toml(getattr(mapping, key))}" for key in ("name", "title", "citation", "population")]
    for item in mapping.fields:
        lines += ["", "[[fields]]"]
        for part in dataclass_fields(Field):
            value = getattr(item, part.name)
            default = part.default_factory() if part.default_factory is not MISSING else part.default
            if value != default:
                lines.append(f"{part.name} = {_toml(value)}")
    lines += ["", "[excluded]", *(f"{_toml(key)} = {_toml(reason)}" for key, reason in mapping.excluded.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        # TOML's basic strings are JSON's, but for the delete character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def _check_numbers(table: pl.DataFrame, mapping: DataMapping, source: str) -> None:
    """Refuse text in a number field: left alone it would become "not stated" without a word."""
    for item in mapping.fields:
        if item.type != "number" or item.one_of:
            continue
        for column in item.columns:
            if table[column].dtype != pl.String:
                continue
            for row, raw in enumerate(table[column], start=1):
                if raw is not None and raw.strip() and _number(raw) is None and raw not in item.missing:
                    what = f"row {row} of column {column!r} (field {item.name!r}) holds {raw[:30]!r}"
                    raise DataError(source, what, "a number, or a code in the field's missing")


def _shown(value: Any) -> str:
    """A value as a refusal names it: however long it is, the line stays one."""
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return f"a whole number of {value.bit_length():,} bits"
    text = repr(value[:SHOWN_CHARACTERS] if isinstance(value, (str, list, tuple)) else value)
    return text if len(text) <= 2 * SHOWN_CHARACTERS else text[: 2 * SHOWN_CHARACTERS] + "…"


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= MAX_INTEGER if isinstance(value, int) else math.isfinite(value)


def _is_words(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(word, str) for word in value.values())


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_codes(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(code, str) or _is_number(code) for code in value)


def _is_ratio(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(column, str) for column in value)


def _is_decimals(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10


TEXT = (_is_text, "text")
NUMBER = (_is_number, "a number")
WORDS = (_is_words, '{ code = "words" }')
SHAPES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("name", "label", "role", "type", "unit", "column", "missing_words", "prefix", "suffix"), TEXT),
    "favourable": TEXT,
    "ratio": (_is_ratio, "[numerator column, denominator column]"),
    "scale": NUMBER,
    "missing_from": NUMBER,
    "missing": (_is_codes, "a list of codes"),
    "one_of": WORDS,
    "words": WORDS,
    "decimals": (_is_decimals, "a whole number from 0 to 10"),
}


def _field(raw: Mapping[str, Any], where: str) -> Field:
    known = set(Field.__dataclass_fields__)
    unknown = sorted(set(raw) - known)
    if unknown:
        raise DataError(where, f"unknown key {_shown(unknown[0])}", f"one of: {', '.join(sorted(known))}")
    for key in ("name", "role", "type"):
        if not isinstance(raw.get(key), str):
            raise DataError(where, f"{key!r} is missing", "name, role and type of the field")
    if raw["role"] not in ROLES:
        raise DataError(where, f"role {_shown(raw['role'])} is unknown", f"one of: {', '.join(ROLES)}")
    if raw["type"] not in TYPES:
        raise DataError(where, f"type {_shown(raw['type'])} is unknown", f"one of: {', '.join(TYPES)}")
    if sum(key in raw for key in ("column", "ratio", "one_of")) != 1:
        raise DataError(where, f"field {_shown(raw['name'])} has no single origin", "one of column, ratio, one_of")
    for key, value in raw.items():
        fits, expected = SHAPES[key]
        if not fits(value):
            raise DataError(f"{where}: {key}", f"is {_shown(value)}", expected)
    if raw["role"] == "id" and "column" not in raw:
        raise DataError(where, f"field {_shown(raw['name'])} is the id and made from several columns", "column")
    values = dict(raw)
    values.setdefault("label", raw["name"])
    if "ratio" in values:
        values["ratio"] = tuple(values["ratio"])
    if "missing" in values:
        values["missing"] = tuple(values["missing"])
    return Field(**values)


def _number(raw: Any) -> float | None:
    if isinstance(raw, str) and "_" in raw:  # Python reads 1_000 as a number, nobody else does
        return None
    try:
        number = float(raw)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _code(raw: Any) -> str:
    number = _number(raw)
    if number is not None and number == int(number):
        return str(int(number))
    return str(raw).strip()
