"""What still looks wrong between a table and its mapping, as lines for the person who wrote the mapping.

What stops an audit comes from the very function that stops it (:func:`auditor.applications.misfits`), so that a check
and an audit cannot disagree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl

from auditor.applications import counts_of, distinct, misfits, repeats_in
from auditor.column_meanings import sentinel_bound, sentinel_codes
from auditor.look_alikes import look_alikes
from auditor.mappings import DataMapping, Field, Value, code_of, codes_of, nfc
from auditor.missing_words import is_missing_word, is_null_word
from auditor.number_forms import PLAIN
from auditor.outcome_codes import outcome_sides, written_values
from auditor.plain_numbers import are_plain
from auditor.tables import Table, as_table

MISSING_SHARE = 0.05  # from here on missing values are worth a line
SHOWN = 5
SHOWN_CHARACTERS = 60
MOST_WORDS = 20  # codes of a place beyond which nobody writes words: they are postcodes
STOPS = "stops an audit: "


def check_mapping(table: Table | pl.DataFrame, mapping: DataMapping) -> list[str]:
    """Compare a mapping with a table.

    Returns
    -------
    list of str
        One thing a line: what stops an audit, then columns, then field by field, then what became of the rows; empty if
        nothing looks wrong and every row is a record.
    """
    table = as_table(table)
    stops = list(misfits(table, mapping))
    lines = [f"{STOPS}{what}; expected {expected}" for what, expected in stops]
    lines += _columns(table, mapping)
    for item in mapping.fields:
        if all(column in table.frame.columns for column in item.columns):
            lines += _field_lines(table, item)
    if not any(item.role == "outcome" for item in mapping.fields):
        lines.append("no field has the role 'outcome': the model cannot be compared with recorded decisions")
    if not any(item.role == "protected" for item in mapping.fields) and not mapping.decisions.probabilities:
        lines.append("no field has the role 'protected': there is no group to compare")
    lines += table.notes if stops else _count_lines(table, mapping)
    return lines


def _count_lines(table: Table, mapping: DataMapping) -> list[str]:
    """What became of the rows, if there is anything to say."""
    counts = counts_of(table, mapping)
    lines = counts.lines()
    # An outcome whose two sides are named and that every row has is as it should be.
    named = any(item.adverse is not None or item.type == "flag" for item in mapping.fields if item.role == "outcome")
    return lines[:-1] if counts.outcome and named and not counts.no_outcome else lines


def _columns(table: Table, mapping: DataMapping) -> Iterator[str]:
    used = {column: item.name for item in mapping.fields for column in item.columns}
    excluded = {nfc(column) for column in mapping.excluded}
    for column, name in used.items():
        if column in excluded:
            yield f"column {column!r} is excluded and used by field {name!r}"
    for column in mapping.excluded:
        if nfc(column) not in table.columns:
            yield f"column {column!r} is excluded and not in the table"
    for column in table.columns:
        if column not in used and column not in excluded:
            yield f"column {column!r} is neither a field nor excluded"


def _field_lines(table: Table, item: Field) -> Iterator[str]:
    where = f"field {item.name!r}"
    if item.role == "id":
        yield from _id_lines(table, item, where)
        return
    cells, values, counts, _ = distinct(table.frame, item)
    height = table.frame.height
    missing = 0
    groups: Counter[Value] = Counter()
    for value, count in zip(values, counts, strict=True):
        if value is None:
            missing += count
        else:
            groups[value] += count
    yield from _unmatched(cells, item, where, groups)
    if not groups:
        return
    if item.type in ("category", "flag"):
        yield from look_alikes(groups, where)
    if missing >= MISSING_SHARE * height:
        yield f"{where} is missing in {missing:,} of {height:,} rows ({missing / height:.1%})"
    if len(groups) == 1:
        what = "has one group" if item.role == "protected" else "is constant"
        yield f"{where} {what}: {str(next(iter(groups)))[:SHOWN_CHARACTERS]}"
    if item.one_of:
        yield from _indicator_lines(cells, counts, values, where)
    if item.role == "outcome":
        sides = outcome_sides(item, written_values(item, cells))
        if sides is not None and sides.doubtful:
            yield f"{where}: {sides.said()}"
    if item.column:
        yield from _code_lines(table.frame[item.columns[0]], item, where)


def _id_lines(table: Table, item: Field, where: str) -> Iterator[str]:
    repeated = repeats_in(table, item.columns[0])
    if not repeated and item.repeats != "refuse":
        yield f"{where} says repeats = {item.repeats!r} and no id repeats"
    if item.empty != "refuse" and not table.frame[item.columns[0]].null_count():
        yield f"{where} says empty = {item.empty!r} and every row has an id"


def _indicator_lines(cells: pl.DataFrame, counts: list[int], values: list[Value], where: str) -> Iterator[str]:
    several = 0
    odd: Counter[str] = Counter()
    for row, count, value in zip(cells.iter_rows(), counts, values, strict=True):
        codes = [code_of(raw) for raw in row if raw is not None]
        several += count if value is None and codes.count("1") > 1 else 0
        for code in codes:
            if code not in ("0", "1"):
                odd[code] += count
    if several:
        yield f"{where} is in several groups at once in {several:,} rows, which count as missing"
    if odd:
        yield f"{where} has indicators other than 0 and 1, which count as 0: {_some(list(odd))}"


def _unmatched(cells: pl.DataFrame, item: Field, where: str, groups: Counter[Value]) -> Iterator[str]:
    """Codes the mapping names and no cell holds: a key without effect is a key that was meant for something else."""
    columns = [cells[column].drop_nulls().unique(maintain_order=True) for column in item.columns]
    there: set[str] = set()
    if item.missing or item.words:
        there |= {code for column in columns for raw in column for code in codes_of(raw)}
        if item.form is not None:
            there |= {code_of(each) for column in columns for each in item.numbers_in(column) if each is not None}
    numbers = {code_of(value) for value in groups if isinstance(value, float)} if item.words else set()
    for key, codes in (("missing", item.missing), ("words", tuple(item.words))):
        gone = [
            code for code in codes if code_of(code) not in there and not (key == "words" and code_of(code) in numbers)
        ]
        if gone:
            yield f"{where} names {_some(list(gone))} in {key}, which no row holds"
    if item.missing_from is not None and not any(
        each is not None and each >= item.missing_from for column in columns for each in item.numbers_in(column)
    ):
        yield f"{where} says missing_from = {item.missing_from}, and no row holds as much"
    if item.role == "outcome":
        values = {code_of(value) for value in groups}
        for key, said in (("favourable", item.favourable), ("adverse", item.adverse)):
            names = (said,) if isinstance(said, str) else said or ()
            gone = [name for name in names if not item.outcomes(name) & values]
            # Where no name matches, an audit stops, and says so.
            if gone and len(gone) < len(names):
                yield f"{where} names {_some(list(gone))} in {key}, which no row holds"


def _code_lines(column: pl.Series, item: Field, where: str) -> Iterator[str]:
    """Values of a column that the field's type and words do not cover."""
    name = item.columns[0]
    unique = column.drop_nulls().unique(maintain_order=True)
    raws = unique.to_list()
    values = item.values_in(pl.DataFrame({name: unique}))
    stated = unique.filter(pl.Series([value is not None for value in values], dtype=pl.Boolean))
    known = stated.to_list()
    numbers = [number for number in item.numbers_in(stated) if number is not None]
    if column.dtype == pl.String:
        plain = bool(are_plain(stated).all())
    else:
        plain = column.dtype.is_numeric() or all(PLAIN.fullmatch(str(raw).strip()) for raw in known)
    if item.type == "number" or (plain and column.dtype != pl.Boolean):
        suspects: list[Any] = list(sentinel_codes(numbers)) or [bound for bound in [sentinel_bound(numbers)] if bound]
        if suspects:
            yield f"{where} holds {_some(suspects)}, far from its other values; if that means missing, say so"
    if item.type == "number":
        texts = unique.filter(~are_plain(unique)) if unique.dtype == pl.String else ()
        nulls = [raw for raw in texts if is_null_word(raw) and code_of(raw) not in item.missing_codes]
        if nulls:
            rows = column.is_in(nulls).sum()
            yield f"{where} holds {_some(nulls)} in {rows:,} rows, read as missing: the key missing would say so"
    if item.type not in ("category", "flag"):
        return
    words = set(item.words_of_codes.values())
    unsaid = [raw for raw, value in zip(raws, values, strict=True) if value is not None and value not in words]
    if words and unsaid:
        rows = column.is_in(unsaid).sum()
        yield f"{where} holds {_some(unsaid)} in {rows:,} rows, for which it has no words"
    elif not words and plain and column.dtype != pl.Boolean and known and not _names_places(item, known):
        yield f"{where} has codes and no words: {_some(sorted(known, key=_order))}"
    told = [
        raw
        for raw in known
        if isinstance(raw, str) and is_missing_word(raw) and code_of(raw) not in item.words_of_codes
    ]
    if told:
        rows = column.is_in(told).sum()
        yield f"{where} holds {_some(told)} in {rows:,} rows, a value here: list it in missing if it means not stated"


def _names_places(item: Field, known: list[Any]) -> bool:
    return item.role == "proxy" and len(known) > MOST_WORDS


def _order(raw: Any) -> tuple[float, str]:
    return (float(raw), str(raw))


def _some(values: list[Any]) -> str:
    shown = ", ".join(
        repr(value[:SHOWN_CHARACTERS]) if isinstance(value, str) else str(value) for value in values[:SHOWN]
    )
    return shown + (f" and {len(values) - SHOWN:,} more" if len(values) > SHOWN else "")
