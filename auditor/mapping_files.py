"""Mappings as TOML: read with one line for whatever is wrong, and written back."""

from __future__ import annotations

import datetime
import json
import math
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

from auditor.decision_columns import decision_columns_from
from auditor.exceptions import DataError, reason_of
from auditor.mappings import EMPTY, REPEATS, ROLES, TYPES, DataMapping, Field, code_of, nfc, said_of
from auditor.number_forms import NumberForm
from auditor.tables import NO_HEADER, Reading
from auditor.toml_text import parse_toml

MAX_FIELDS = 1_000
MAX_WORDS = 400  # of the name and title of data, and of where it comes from
MAX_INTEGER = 2**53  # beyond it neither floats nor canonical JSON give a whole number back
SHOWN_CHARACTERS = 60


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
        raise DataError(str(path), f"cannot be read: {reason_of(error)}", "a readable mapping file (TOML)") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(str(path), f"is not valid TOML: {error}", "a mapping file as docs/data.md describes") from error
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
        raise DataError(f"{where}: excluded", "is not a table", 'column = "reason"')
    for role in ("id", "outcome"):
        if sum(item.role == role for item in fields) > 1:
            raise DataError(where, f"has several fields with the role {role!r}", "one at most")
    for name, count in Counter(item.name for item in fields).items():
        if count > 1:
            raise DataError(where, f"field {shown(name)} is defined twice", "one definition a field")
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
        reading=reading_from(raw.get("reading", {}), where=f"{where}: reading"),
        decisions=decision_columns_from(
            raw.get("decisions", {}), types={item.name: item.type for item in fields}, where=f"{where}: decisions"
        ),
    )


def stored_mapping(design: Mapping[str, Any]) -> DataMapping:
    """The mapping whose ``design()`` was kept as JSON: what is at its default there was not written down here."""
    defaults = {
        item.name: item.default_factory() if item.default_factory is not MISSING else item.default
        for item in dataclass_fields(Field)
    }

    def written(item: Mapping[str, Any]) -> dict[str, Any]:
        plain = {name: tuple(value) if isinstance(value, list) else value for name, value in item.items()}
        return {name: value for name, value in plain.items() if value != defaults[name]}

    return mapping_from({**design, "fields": [written(item) for item in design["fields"]]}, where=str(design["name"]))


def reading_from(raw: Any, *, where: str) -> Reading:
    """How a file is read, from plain data; errors as in :func:`read_mapping`."""
    if not isinstance(raw, Mapping):
        raise DataError(where, "is not a table", f"any of: {', '.join(Reading.__dataclass_fields__)}")
    for key, value in raw.items():
        if key not in Reading.__dataclass_fields__:
            raise DataError(where, f"unknown key {shown(key)}", f"any of: {', '.join(Reading.__dataclass_fields__)}")
        fits, expected = READING_SHAPES[key]
        if not fits(value):
            raise DataError(f"{where}.{key}", f"is {shown(value)}", expected)
    header = NO_HEADER if raw.get("header") is False else raw.get("header", 0)
    columns = tuple(map(nfc, raw.get("columns", ())))
    if columns and header != NO_HEADER:
        raise DataError(f"{where}.columns", "names the columns of a file that has names", "header = false beside it")
    return Reading(**{**raw, "header": header, "columns": columns})


def write_mapping(mapping: DataMapping, reasons: Mapping[str, Sequence[str]] | None = None) -> str:
    """The mapping as TOML that :func:`read_mapping` reads back to the same mapping; defaults are left out.

    ``reasons`` become comments: those of a field above it, those under ``""`` above all.
    """
    reasons = reasons or {}
    lines = [f"{key} = {as_toml(getattr(mapping, key))}" for key in ("name", "title", "citation", "population")]
    lines += ["", *_comments(reasons.get("", ()))] if reasons.get("") else []
    if mapping.reading.said():
        lines += ["", "[reading]", *(f"{key} = {as_toml(value)}" for key, value in mapping.reading.said().items())]
    for item in mapping.fields:
        lines += ["", *_comments(reasons.get(item.name, ())), "[[fields]]"]
        for part in dataclass_fields(Field):
            value = getattr(item, part.name)
            default = part.default_factory() if part.default_factory is not MISSING else part.default
            if value != default:
                lines.append(f"{part.name} = {as_toml(said_of(value) if isinstance(value, NumberForm) else value)}")
    if mapping.decisions.said():
        lines += ["", "[decisions]", *(f"{key} = {as_toml(value)}" for key, value in mapping.decisions.said().items())]
    lines += ["", "[excluded]", *(f"{as_toml(key)} = {as_toml(reason)}" for key, reason in mapping.excluded.items())]
    return "\n".join(lines) + "\n"


def _comments(lines: Sequence[str]) -> list[str]:
    # A control character has no place in a comment, and an end of line would end it.
    return ["# " + "".join(each if each.isprintable() else " " for each in line) for line in lines]


def as_toml(value: Any) -> str:
    """A value of a mapping as TOML writes it, on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{as_toml(key)} = {as_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, str):
        # TOML's basic strings are JSON's, but for the delete character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, datetime.date | datetime.time):
        return str(value)  # no key takes one, and what somebody typed is still what stands there
    return str(value).lower() if isinstance(value, bool) else repr(value)


def shown(value: Any) -> str:
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


def _is_place(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_INTEGER


def _is_values(value: Any) -> bool:
    every = value if isinstance(value, (list, tuple)) else (value,)
    return bool(every) and all(isinstance(each, str) or _is_number(each) for each in every)


def _is_names(value: Any) -> bool:
    if not isinstance(value, (list, tuple)) or not 0 < len(value) <= MAX_FIELDS:
        return False
    return all(isinstance(name, str) and name.strip() for name in value) and len(set(value)) == len(value)


def _is_form(value: Any) -> bool:
    if not isinstance(value, Mapping) or not set(value) <= set(NumberForm.__dataclass_fields__):
        return False
    texts = all(isinstance(each, str) and len(each) <= 10 for key, each in value.items() if key != "times")
    times = value.get("times", 1)
    marks = value.get("decimal", "."), value.get("thousands", "")
    return (
        texts
        and _is_number(times)
        and times > 0
        and marks[0] in (".", ",")
        and marks[1] in ("", ",", ".", "'", " ")
        and marks[0] != marks[1]
        and value.get("minus", "") in ("", "brackets", "behind")
    )


TEXT = (_is_text, "text")
NUMBER = (_is_number, "a number")
WORDS = (_is_words, '{ code = "words" }')
SHAPES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("name", "label", "role", "type", "unit", "column", "missing_words", "prefix", "suffix"), TEXT),
    **dict.fromkeys(("favourable", "adverse"), (_is_values, "a value, or a list of values")),
    "repeats": (lambda value: value in REPEATS, f"one of: {', '.join(REPEATS)}"),
    "empty": (lambda value: value in EMPTY, f"one of: {', '.join(EMPTY)}"),
    "form": (
        _is_form,
        'how numbers are written: any of decimal ("." or ","), thousands ("," "." "\'" or " "), before, after, '
        'times (a number above 0), minus ("brackets" or "behind")',
    ),
    "ratio": (_is_ratio, "[numerator column, denominator column]"),
    "scale": (lambda value: _is_number(value) and value != 0, "a number other than 0"),
    "missing_from": NUMBER,
    "missing": (_is_codes, "a list of codes"),
    "one_of": WORDS,
    "words": WORDS,
    "decimals": (_is_decimals, "a whole number from 0 to 10"),
}
READING_SHAPES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("sheet", "delimiter", "encoding"), TEXT),
    "header": (
        lambda value: value is False or _is_place(value),
        "the number of a line, or of a row of the sheet; false if there are no column names",
    ),
    "last": (_is_place, "the number of a line, or of a row of the sheet"),
    "columns": (_is_names, "a list of names, one a column, each once"),
}


def _field(raw: Mapping[str, Any], where: str) -> Field:
    known = set(Field.__dataclass_fields__)
    unknown = sorted(set(raw) - known)
    if unknown:
        raise DataError(where, f"unknown key {shown(unknown[0])}", f"one of: {', '.join(sorted(known))}")
    _check_kind(raw, where)
    if sum(key in raw for key in ("column", "ratio", "one_of")) != 1:
        raise DataError(where, f"field {shown(raw['name'])} has no single origin", "one of column, ratio, one_of")
    for key, value in raw.items():
        fits, expected = SHAPES[key]
        if not fits(value):
            raise DataError(f"{where}: {key}", f"is {shown(value)}", expected)
    if raw["role"] == "id" and "column" not in raw:
        raise DataError(where, f"field {shown(raw['name'])} is the id and made from several columns", "column")
    values = dict(raw)
    values.setdefault("label", raw["name"])
    if "ratio" in values:
        values["ratio"] = tuple(values["ratio"])
    for key in ("missing", "favourable", "adverse"):
        if isinstance(values.get(key), list):
            values[key] = tuple(values[key])
    for key in ("favourable", "adverse"):
        if key in values:  # the number 4 names the code 4, as it does in missing
            several = values[key] if isinstance(values[key], tuple) else None
            codes = tuple(each if isinstance(each, str) else code_of(each) for each in several or (values[key],))
            values[key] = codes[0] if several is None else codes
    if "form" in values:
        values["form"] = NumberForm(**values["form"])
    found = Field(**values)
    _check_sense(found, raw, where)
    return found


def _check_kind(raw: Mapping[str, Any], where: str) -> None:
    """Refuse a field without a name, or of an unknown role or type."""
    for key in ("name", "role", "type"):
        if not isinstance(raw.get(key), str):
            raise DataError(where, f"{key!r} is missing", "name, role and type of the field")
    if raw["role"] not in ROLES:
        raise DataError(where, f"role {shown(raw['role'])} is unknown", f"one of: {', '.join(ROLES)}")
    if raw["type"] not in TYPES:
        raise DataError(where, f"type {shown(raw['type'])} is unknown", f"one of: {', '.join(TYPES)}")


def _check_sense(item: Field, raw: Mapping[str, Any], where: str) -> None:
    """Refuse keys that contradict each other, or have nothing to act on."""
    both = sorted(item.missing_codes & {code_of(code) for code in item.words})
    if both:
        what = f"code {shown(both[0])} has words and is listed in missing"
        raise DataError(where, what, "a code that is a value, or one that means missing")
    if empty := [code for code, said in (*item.words.items(), *item.one_of.items()) if not said.strip()]:
        key = "one_of" if item.one_of else "words"
        raise DataError(f"{where}: {key}", f"code {shown(empty[0])} has empty words", "words, or the code in missing")
    if both := sorted(item.outcomes(item.favourable) & item.outcomes(item.adverse)):
        raise DataError(where, f"{shown(both[0])} is favourable and adverse", "one side for every value")
    for key, role in (("adverse", "outcome"), ("repeats", "id"), ("empty", "id")):
        if key in raw and item.role != role:
            raise DataError(
                f"{where}: {key}", f"is for the role {role!r}, and this is {item.role!r}", "no such key here"
            )
    if item.form is not None and (item.type != "number" or item.one_of):
        raise DataError(f"{where}: form", "says how numbers are written, and this field is none", 'type = "number"')
