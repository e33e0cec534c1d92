"""Cases and decisions of a bundle as tables: bounded before room is made for them, and of the columns that are known.

A Parquet file of a few hundred bytes can hold a thousand million rows. Rows and columns stand in its footer and are
looked at first, text is counted once it is read, and what a footer can lie about is bounded by the process that reads
(``manage.py verify`` reads in a child with little memory).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from auditor.answering.evidence import ANSWERS, ANSWERS_SCHEMA, REQUESTS, REQUESTS_SCHEMA
from auditor.evidence import ATTRIBUTIONS_SCHEMA, CASES_SCHEMA, DECISIONS_SCHEMA, TEXTS, TEXTS_SCHEMA
from auditor.exceptions import InputError
from auditor.observed.filed_values import FILED
from auditor.observed.filed_values import SCHEMA as FILED_SCHEMA
from auditor.tables import Limits, TooLargeError

CASES, DECISIONS = "cases.parquet", "decisions.parquet"
MOST = Limits(rows=2_000_000, columns=32, cells=30_000_000, characters=512 << 20)
"""Of one table; ``characters`` counts the bytes of all its text that is read."""

TEXT: tuple[Any, ...] = (pl.String,)
NUMBER: tuple[Any, ...] = (pl.Float64,)
KNOWN: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    CASES: {"id": TEXT, "cluster": TEXT, "role": TEXT, "changed": (pl.String, pl.Null), "arms": (pl.List(pl.String),)},
    DECISIONS: {
        "case_id": TEXT,
        "margin": (pl.Float64, pl.Null),
        "mass": (pl.Float64, pl.Null),
        "log_favourable": (pl.Float64, pl.Null),
        "log_adverse": (pl.Float64, pl.Null),
        "outcome": TEXT,
    },
    ANSWERS: {
        "case_id": TEXT,
        "moment": TEXT,
        "request": TEXT,
        "outcome": TEXT,
        "margin": (pl.Float64, pl.Null),
        "mass": (pl.Float64, pl.Null),
        "at_least": (pl.Float64, pl.Null),
        "at_most": (pl.Float64, pl.Null),
        "mass_at_least": (pl.Float64, pl.Null),
        "mass_at_most": (pl.Float64, pl.Null),
        "amount": (pl.Float64, pl.Null),
        "reasons": (pl.List(pl.String), pl.Null),
        "model": TEXT,
        "fingerprint": TEXT,
    },
    REQUESTS: {"key": TEXT, "request": TEXT, "answer": TEXT, "answer_sha256": TEXT},
    TEXTS: {
        "case_id": TEXT,
        "outcome": TEXT,
        "finish": TEXT,
        "tokens": (pl.Int64,),
        "ties": (pl.Int64,),
        "largest_difference": (pl.Float64, pl.Null),
        "trouble": TEXT,
        "amount": (pl.Float64, pl.Null),
        "reasons": (pl.List(pl.String), pl.Null),
    },
    FILED: {"case_id": TEXT, "field": TEXT, "number": (pl.Float64, pl.Null), "word": (pl.String, pl.Null)},
}
WRITTEN: Mapping[str, Mapping[str, Any]] = {
    CASES: CASES_SCHEMA,
    DECISIONS: DECISIONS_SCHEMA,
    "attributions.parquet": ATTRIBUTIONS_SCHEMA,
    ANSWERS: ANSWERS_SCHEMA,
    REQUESTS: REQUESTS_SCHEMA,
    TEXTS: TEXTS_SCHEMA,
    FILED: FILED_SCHEMA,
}
"""The columns that the installed engine writes, by table."""
MARGIN = "margin"
SLICE = 50_000
"""Rows of a table that are at hand at once where it is read in slices."""
DAMAGED = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, OverflowError)


@dataclass(frozen=True)
class Asked:
    """What was asked and what was answered.

    ``cases`` has ``id``, ``cluster``, ``role``, ``changed``, ``arms``; ``decisions`` has ``case_id``, ``margin``,
    ``mass``, ``log_favourable``, ``log_adverse`` (nats, probability) and ``outcome``.
    """

    cases: pl.DataFrame
    decisions: pl.DataFrame


def asked(contents: Mapping[str, bytes]) -> Asked | None:
    """Both tables; ``None`` where the bundle does not hold both.

    Raises
    ------
    InputError
        If a table is larger than is read, damaged, or lacks a column.
    """
    if CASES not in contents or DECISIONS not in contents:
        return None
    return Asked(*(read_columns(contents[name], tuple(KNOWN[name]), where=name) for name in (CASES, DECISIONS)))


def read_columns(raw: bytes, names: tuple[str, ...], *, where: str, rows: int | None = None) -> pl.DataFrame:
    """Some columns of a table, at most ``rows`` of it.

    Raises
    ------
    InputError
        As :func:`asked`.
    """
    try:
        lazy, height = _opened(raw, names, where)
        columns, characters = [], 0
        for name in names:
            column = lazy.select(name).head(height if rows is None else rows).collect()[name]
            characters += _characters(column)
            MOST.check(where=where, characters=characters)
            _finite(column, where)
            columns.append(column)
    except TooLargeError as error:
        raise InputError(where, error.what, error.expected) from error
    except DAMAGED as error:
        words = " ".join(str(error).split())[:160]
        raise InputError(where, f"cannot be read ({words})", "a table as it was written") from error
    if any(len(column) != (height if rows is None else min(rows, height)) for column in columns):
        raise InputError(where, "has columns whose lengths differ from its footer", "a table as it was written")
    return pl.DataFrame(columns)


def other_columns(contents: Mapping[str, bytes]) -> Iterator[InputError]:
    """Tables whose columns are not those that the installed engine writes, an error each: for bundles of its own."""
    for name in sorted(WRITTEN.keys() & contents.keys()):
        try:
            columns = pl.scan_parquet(io.BytesIO(contents[name])).collect_schema().names()
        except DAMAGED as error:
            words = " ".join(str(error).split())[:160]
            yield InputError(name, f"cannot be read ({words})", "a table as it was written")
            continue
        for column in columns:
            if column not in WRITTEN[name]:
                yield InputError(f"{name}: {column[:80]!r}", "is a column that no run writes", ", ".join(WRITTEN[name]))
        for column in sorted(WRITTEN[name].keys() - set(columns)):
            yield InputError(name, f"has no column {column!r}", ", ".join(WRITTEN[name]))


def slices(raw: bytes, names: tuple[str, ...], *, where: str) -> Iterator[pl.DataFrame]:
    """Some columns of a table, a slice of its rows at a time: text of any length altogether, bounded in each slice.

    Raises
    ------
    InputError
        As :func:`asked`.
    """
    try:
        lazy, height = _opened(raw, names, where)
        for start in range(0, height, SLICE):
            rows = lazy.select(names).slice(start, SLICE).collect()
            MOST.check(where=where, characters=sum(_characters(column) for column in rows))
            for column in rows:
                _finite(column, where)
            if rows.height != min(SLICE, height - start):
                raise InputError(where, "has fewer rows than its footer says", "a table as it was written")
            yield rows
    except TooLargeError as error:
        raise InputError(where, error.what, error.expected) from error
    except DAMAGED as error:
        words = " ".join(str(error).split())[:160]
        raise InputError(where, f"cannot be read ({words})", "a table as it was written") from error


def _opened(raw: bytes, names: tuple[str, ...], where: str) -> tuple[pl.LazyFrame, int]:
    """A table of bounded size that has these columns, unread, and its number of rows."""
    lazy = pl.scan_parquet(io.BytesIO(raw))
    schema = lazy.collect_schema()
    height = int(lazy.select(pl.len()).collect().item())
    MOST.check(where=where, rows=height, columns=len(schema))
    _of_kinds(schema, names, where)
    return lazy, height


def _of_kinds(schema: pl.Schema, names: tuple[str, ...], where: str) -> None:
    known = KNOWN.get(where, {})
    for name in names:
        if name not in schema:
            raise InputError(where, f"has no column {name!r}", ", ".join(names))
        if name in known and schema[name] not in known[name]:
            raise InputError(
                f"{where}: {name}", f"holds values of type {schema[name]}", " or ".join(map(str, known[name]))
            )


def _finite(column: pl.Series, where: str) -> None:
    """No run writes "not a number": what has no value is null. Nor an infinite score, which no chart could show."""
    if not column.dtype.is_float():
        return
    odd = column.is_nan() | (column.is_infinite() if column.name == MARGIN else False)
    if (rows := odd.fill_null(False).arg_true()).len():
        raise InputError(f"{where}: {column.name}: row {rows[0] + 1:,}", f"is {column[rows[0]]}", "a number, or null")


def _characters(column: pl.Series) -> int:
    """Bytes of text, and eight a value of anything else."""
    if isinstance(column.dtype, pl.List):
        inner = int(column.list.len().sum() or 0)
        MOST.check(where=column.name, cells=inner)
        return 8 * inner + _characters(column.explode())
    if column.dtype == pl.String:
        return int(column.str.len_bytes().sum() or 0)
    return 8 * len(column)
