"""The fields of applications that numbers as filed follow from, as a table of the evidence: groups, factors, segments.

Without it the answers to the applications as filed could be measured by nobody who has the evidence alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from auditor.exceptions import InputError
from auditor.records import Case
from auditor.run_record import MappedField, RunMapping

FILED = "as_filed.parquet"
SCHEMA: dict[str, Any] = {"case_id": pl.String, "field": pl.String, "number": pl.Float64, "word": pl.String}
A_NUMBER, A_WORD = "a number", "a word"


@dataclass(frozen=True, slots=True)
class FiledValue:
    """What one application as filed says in one field: a number, or else a word. What is missing has no row."""

    case_id: str
    field: str
    number: float | None = None
    word: str | None = None

    def row(self) -> dict[str, Any]:
        """As the table has it."""
        return {name: getattr(self, name) for name in SCHEMA}


def filed_fields(mapping: RunMapping) -> list[str]:
    """The fields that are read beside the answers, in the order of the mapping."""
    parts = mapping.decisions
    named = {*parts.get("controls", ()), *parts.get("segments", ()), parts.get("cluster", "")}
    return [item.name for item in mapping.fields if item.role == "protected" or item.name in named]


def filed_values(
    cases: Sequence[Case], values: Sequence[Mapping[str, Any]], mapping: RunMapping
) -> tuple[FiledValue, ...]:
    """What the cases as filed say in these fields, in order of cases and fields."""
    fields = filed_fields(mapping)
    return tuple(
        _value(case.id, name, row[name])
        for case, row in zip(cases, values, strict=True)
        for name in fields
        if row.get(name) is not None
    )


def check_filed(filed: Iterable[FiledValue], mapping: RunMapping) -> None:
    """Refuse rows that a run does not write: a row means one value, of a field that is read beside the answers.

    Raises
    ------
    InputError
        If a row is of another field, holds a word and a number or neither, or the one where its field has the other.
    """
    wanted = set(filed_fields(mapping))
    fields = {item.name: item for item in mapping.fields if item.name in wanted}
    for one in filed:
        item = fields.get(one.field)
        if item is None:
            what, expected = "is a field that is not read beside the answers", f"one of: {', '.join(fields) or 'none'}"
        elif (one.number is None) == (one.word is None):
            what = "holds neither a number nor a word" if one.word is None else "holds both a number and a word"
            expected = "exactly one of them"
        elif (expected := _kind_of(item)) and (one.number is not None) != (expected == A_NUMBER):
            what = "holds a number" if one.number is not None else "holds a word"
        elif one.number is not None and not math.isfinite(one.number):
            what, expected = "holds a number that is not finite", A_NUMBER
        else:
            continue
        raise InputError(f"{FILED}: {one.case_id!r:.80}: {one.field!r:.80}", what, expected)


def _kind_of(item: MappedField) -> str:
    """What the values of a field are; empty where columns of groups are read under the type of a number."""
    if item.type != "number":
        return A_WORD
    return "" if item.one_of else A_NUMBER


def values_of(cases: Sequence[Case], filed: Iterable[FiledValue]) -> list[dict[str, Any]]:
    """The other way: what each of the cases says, by field; of rows that :func:`check_filed` lets through."""
    by_case: dict[str, dict[str, Any]] = {case.id: {} for case in cases}
    for one in filed:
        by_case[one.case_id][one.field] = one.word if one.number is None else one.number
    return [by_case[case.id] for case in cases]


def _value(case: str, field: str, value: Any) -> FiledValue:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return FiledValue(case, field, number=float(value))
    return FiledValue(case, field, word=str(value))
