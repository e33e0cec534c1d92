"""What still looks wrong between a table and its mapping, as lines for the person who wrote the mapping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl

from auditor.applications import FLAG_WORDS, DataMapping, Field, Value
from auditor.mapping_inference import sentinel_bound, sentinel_codes

MISSING_SHARE = 0.05  # from here on missing values are worth a line
SHOWN = 5
SHOWN_CHARACTERS = 60
COUNTED = "\0rows"  # no file has a column of that name


def check_mapping(frame: pl.DataFrame, mapping: DataMapping) -> list[str]:
    """Compare a mapping with a table.

    Returns
    -------
    list of str
        One problem a line, columns first, then field by field; empty if nothing looks wrong.
    """
    lines = list(_columns(frame, mapping))
    for item in mapping.fields:
        if all(column in frame.columns for column in item.columns):
            lines += _field_lines(frame, item)
    if not any(item.role == "outcome" for item in mapping.fields):
        lines.append("no field has the role 'outcome': the model cannot be compared with recorded decisions")
    if not any(item.role == "protected" for item in mapping.fields):
        lines.append("no field has the role 'protected': there is no group to compare")
    return lines


def _columns(frame: pl.DataFrame, mapping: DataMapping) -> Iterator[str]:
    used = {column: item.name for item in mapping.fields for column in item.columns}
    for column, name in used.items():
        if column not in frame.columns:
            yield f"column {column!r} (field {name!r}) is not in the table"
        if column in mapping.excluded:
            yield f"column {column!r} is excluded and used by field {name!r}"
    for column in mapping.excluded:
        if column not in frame.columns:
            yield f"column {column!r} is excluded and not in the table"
    for column in frame.columns:
        if column not in used and column not in mapping.excluded:
            yield f"column {column!r} is neither a field nor excluded"


def _field_lines(frame: pl.DataFrame, item: Field) -> Iterator[str]:
    where = f"field {item.name!r}"
    if item.role == "id":
        yield from _id_lines(frame[item.column or ""], where)
        return
    distinct, counts = _distinct(frame, item)
    missing = 0
    groups: Counter[Value] = Counter()
    for value, count in counts:
        if value is None:
            missing += count
        else:
            groups[value] += count
    if not groups:
        yield f"{where} has no value in any row"
        return
    if missing >= MISSING_SHARE * frame.height:
        yield f"{where} is missing in {missing:,} of {frame.height:,} rows ({missing / frame.height:.1%})"
    if len(groups) == 1:
        what = "has one group" if item.role == "protected" else "is constant"
        yield f"{where} {what}: {str(next(iter(groups)))[:SHOWN_CHARACTERS]}"
    if item.role == "outcome" and (item.favourable or "yes") not in groups:
        found = ", ".join(str(group)[:SHOWN_CHARACTERS] for group in list(groups)[:SHOWN])
        yield f"{where} is {item.favourable or 'yes'!r} (favourable) in no row; its values are {found}"
    if item.one_of:
        rows = zip(distinct.iter_rows(), counts, strict=True)
        several = sum(count for raws, (value, count) in rows if value is None and sum(raw == 1 for raw in raws) > 1)
        if several:
            yield f"{where} is in several groups at once in {several:,} rows, which count as missing"
    if item.column:
        yield from _code_lines(frame[item.column], item, where)


def _id_lines(column: pl.Series, where: str) -> Iterator[str]:
    if column.null_count():
        yield f"{where} is missing in {column.null_count():,} rows"
    repeated = len(column) - column.null_count() - column.drop_nulls().n_unique()
    if repeated:
        yield f"{where} repeats an id in {repeated:,} rows"


def _code_lines(column: pl.Series, item: Field, where: str) -> Iterator[str]:
    """Values of a column that the field's type and words do not cover."""
    name = item.column or ""
    distinct = column.drop_nulls().unique(maintain_order=True)
    raws = distinct.to_list()
    values = item.values_in(pl.DataFrame({name: distinct}))
    known = [raw for raw, value in zip(raws, values, strict=True) if value is not None]
    texts = [raw for raw in raws if isinstance(raw, str) and raw.strip()] if item.type == "number" else []
    unread = [raw for raw in texts if raw not in item.missing and _no_number(raw)]
    if unread:
        yield f"{where} is a number and holds {_some(unread)}"
    if column.dtype.is_numeric():
        left = [float(raw) for raw in known]
        suspects: list[Any] = list(sentinel_codes(left)) or [bound for bound in [sentinel_bound(left)] if bound]
        if suspects:
            yield f"{where} holds {_some(suspects)}, far from its other values; if that means missing, say so"
    if item.type not in ("category", "flag"):
        return
    words = set((item.words or (FLAG_WORDS if item.type == "flag" else {})).values())
    unsaid = [raw for raw, value in zip(raws, values, strict=True) if value is not None and value not in words]
    if words and unsaid:
        rows = column.is_in(unsaid).sum()
        yield f"{where} holds {_some(unsaid)} in {rows:,} rows, for which it has no words"
    elif not words and column.dtype.is_numeric():
        yield f"{where} has codes and no words: {_some(sorted(known))}"


def _distinct(frame: pl.DataFrame, item: Field) -> tuple[pl.DataFrame, list[tuple[Value, int]]]:
    """Every distinct combination of the field's columns, and of each its value and the number of rows."""
    names = list(item.columns)
    grouped = frame.select(names).group_by(names, maintain_order=True).agg(pl.len().alias(COUNTED))
    distinct = grouped.select(names)
    return distinct, list(zip(item.values_in(distinct), grouped[COUNTED].to_list(), strict=True))


def _no_number(raw: str) -> bool:
    try:
        float(raw)
    except ValueError:
        return True
    return "_" in raw


def _some(values: list[Any]) -> str:
    shown = ", ".join(
        repr(value[:SHOWN_CHARACTERS]) if isinstance(value, str) else str(value) for value in values[:SHOWN]
    )
    return shown + (f" and {len(values) - SHOWN:,} more" if len(values) > SHOWN else "")
