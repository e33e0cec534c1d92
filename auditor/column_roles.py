"""Which column is what: ids, the outcome, attributes of people, and those that say nothing; from names and values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import polars as pl

from auditor.applications import repeats_in
from auditor.column_words import ID_NAMES, OUTCOME_NAMES, outcome_names, plain
from auditor.recognition import Recognised, recognise
from auditor.short_names import spelled_out
from auditor.tables import Table
from auditor.tables.rows import counted, numbers_rows

MOST_OUTCOMES = 12
MOSTLY = 0.9  # share of different ids from which on a column names rows, some of them twice
FEW = 10  # rows, of which a share says little
ID_REASONS = {
    "id": "its name is that of an id, and its values tell the rows apart",
    "shared id": "its name is that of an id, and many of its values repeat",
}
HALF = 0.5  # below it, it names something that many rows share


def recognised_in(table: Table, frame: pl.DataFrame) -> dict[str, Recognised]:
    """What every column of ``frame``, the table as it is guessed to be, seems to be, and why."""
    return {column: _as_id(table, column) or recognise(column, frame[column]) for column in frame.columns}


def _as_id(table: Table, column: str) -> Recognised | None:
    role = _id_role(table, column)
    return Recognised(role, ID_REASONS[role]) if role else None


def _id_role(table: Table, column: str) -> str:
    """``id`` if a column is called one and names rows, ``shared id`` if it names many of them twice, else nothing."""
    name = plain(column)
    if not any(re.fullmatch(ID_NAMES, each) for each in (name, spelled_out(name))):
        return ""
    raw = table.frame[column]
    known = len(raw) - raw.null_count()
    if raw.dtype.is_float() and (raw.drop_nulls() != raw.drop_nulls().round(0)).any():
        return ""
    share = raw.drop_nulls().n_unique() / known if known else 0.0
    if share >= MOSTLY and known >= MOSTLY * len(raw):
        return "id"
    whole = raw.dtype == pl.String or raw.dtype.is_integer()
    return "shared id" if share >= HALF and whole and len(raw) > FEW else ""


def id_reasons(table: Table, column: str) -> list[str]:
    """What is to be said of an id column: what repeats, and where it is empty."""
    repeated = repeats_in(table, column)
    lines = [
        f"{value[:40]!r} stands in {' and '.join(table.place(row, column) for row in rows[:3])}: "
        'an audit stops here until repeats says what to do ("first", "last" or "separate")'
        for value, rows in list(repeated.items())[:3]
    ]
    if len(repeated) > 3:
        lines.append(f"{len(repeated):,} ids repeat in all")
    missing = table.frame[column].is_null()
    if missing.any():
        place = table.place(int(missing.arg_max() or 0), column)
        lines.append(
            f'empty in {counted(int(missing.sum()), "row")}, first in {place}: empty = "leave out" leaves them out'
        )
    return lines


def is_index(table: Table, column: str) -> bool:
    """Whether a column without a name, or with one that a program gave it, numbers the rows."""
    return bool(re.fullmatch(r"column [0-9]+'*|unnamed: [0-9]+", column.lower())) and numbers_rows(table.frame[column])


def without_use(frame: pl.DataFrame, roles: Mapping[str, str], masked: frozenset[str]) -> dict[str, str]:
    """Columns that say nothing: empty, constant, or the same as another one, of which the more telling stays."""
    excluded: dict[str, str] = {}
    seen: dict[int, list[str]] = {}
    for column in sorted(frame.columns, key=lambda item: roles[item] == "predictor"):
        series = frame[column]
        if series.null_count() == len(series):
            excluded[column] = "no value in any row"
        elif len(series) > 1 and series.n_unique() == 1:
            excluded[column] = "constant" if column in masked else f"constant: {series[0]}"
        elif len(series) > 1:
            alike = seen.setdefault(hash(tuple(series.hash(seed=0))), [])
            twin = next((other for other in alike if frame[other].equals(series)), None)
            if twin is not None:
                excluded[column] = f"the same as {twin!r} in every row"
            else:
                alike.append(column)
    return excluded


def outcome_of(frame: pl.DataFrame, columns: Sequence[str], roles: Mapping[str, str]) -> str | None:
    """The column of the outcome: by its name, else the first whose values are decisions."""
    for pattern in OUTCOME_NAMES:
        for column in columns:
            called = outcome_names(plain(column))
            if any(re.fullmatch(pattern, each) for each in called) and _has_sides(frame[column]):
                return column
    return next((column for column in columns if roles[column] == "outcome" and _has_sides(frame[column])), None)


def _has_sides(column: pl.Series) -> bool:
    return 1 < column.drop_nulls().n_unique() <= MOST_OUTCOMES
