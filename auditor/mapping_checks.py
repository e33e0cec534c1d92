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
    counts = _values(frame, item)
    missing = sum(count for value, _, count in counts if value is None)
    groups: Counter[Value] = Counter()
    for value, _, count in counts:
        if value is not None:
            groups[value] += count
    if not groups:
        yield f"{where} has no value in any row"
        return
    if missing >= MISSING_SHARE * frame.height:
        yield f"{where} is missing in {missing:,} of {frame.height:,} rows ({missing / frame.height:.1%})"
    if len(groups) == 1:
        what = "has one group" if item.role == "protected" else "is constant"
        yield f"{where} {what}: {next(iter(groups))}"
    if item.role == "outcome" and (item.favourable or "yes") not in groups:
        found = ", ".join(str(group) for group in list(groups)[:SHOWN])
        yield f"{where} is {item.favourable or 'yes'!r} (favourable) in no row; its values are {found}"
    if item.one_of:
        several = sum(count for value, raws, count in counts if value is None and sum(raw == 1 for raw in raws) > 1)
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
    raws = column.drop_nulls().unique(maintain_order=True).to_list()
    known = [raw for raw in raws if item.value({name: raw}) is not None]
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
    unsaid = [raw for raw in known if item.value({name: raw}) not in words]
    if words and unsaid:
        rows = column.is_in(unsaid).sum()
        yield f"{where} holds {_some(unsaid)} in {rows:,} rows, for which it has no words"
    elif not words and column.dtype.is_numeric():
        yield f"{where} has codes and no words: {_some(sorted(known))}"


def _values(frame: pl.DataFrame, item: Field) -> list[tuple[Value, tuple[Any, ...], int]]:
    """Every distinct combination of the field's columns: its value, the raw cells, the number of rows."""
    distinct = frame.group_by(list(item.columns), maintain_order=True).len("rows counted")
    return [
        (item.value(dict(zip(item.columns, row, strict=False))), row[:-1], int(row[-1])) for row in distinct.iter_rows()
    ]


def _no_number(raw: str) -> bool:
    try:
        float(raw)
    except ValueError:
        return True
    return "_" in raw


def _some(values: list[Any]) -> str:
    shown = ", ".join(repr(value) if isinstance(value, str) else str(value) for value in values[:SHOWN])
    return shown + (f" and {len(values) - SHOWN:,} more" if len(values) > SHOWN else "")
