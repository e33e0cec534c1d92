"""The fields of applications that numbers as filed follow from, as a table of the evidence: groups, factors, segments.

Without it the answers to the applications as filed could be measured by nobody who has the evidence alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from auditor.records import Case
from auditor.run_record import RunMapping

FILED = "as_filed.parquet"
SCHEMA: dict[str, Any] = {"case_id": pl.String, "field": pl.String, "number": pl.Float64, "word": pl.String}


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


def values_of(cases: Sequence[Case], filed: Iterable[FiledValue]) -> list[dict[str, Any]]:
    """The other way: what each of the cases says, by field."""
    by_case: dict[str, dict[str, Any]] = {case.id: {} for case in cases}
    for one in filed:
        by_case[one.case_id][one.field] = one.word if one.number is None else one.number
    return [by_case[case.id] for case in cases]


def _value(case: str, field: str, value: Any) -> FiledValue:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return FiledValue(case, field, number=float(value))
    return FiledValue(case, field, word=str(value))
