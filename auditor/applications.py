"""Applications: real decision records with named, typed, documented fields, read through a mapping.

What would change decisions silently stops an audit: :func:`misfits` says what, and a check of the mapping
(auditor/mapping_checks.py) says the same lines. What a rule of the mapping takes out is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from auditor.canonical import sha256_json
from auditor.exceptions import DataError
from auditor.mapping_files import shown
from auditor.mappings import DataMapping, Field, Value, written
from auditor.missing_words import is_missing_word
from auditor.number_forms import PLAIN_FORM, guess_form
from auditor.outcome_codes import question, sides_of, written_values
from auditor.plain_numbers import are_plain
from auditor.tables import Table, as_table

SHOWN = 5
BLANKS = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"  # of ASCII, as ``str.strip`` has them
SHOWN_CHARACTERS = 60
COUNTED = "\0rows"  # no file has a column of that name
FIRST = "\0first"
SAMPLE = 1_000  # distinct texts of which a form is guessed for a line


@dataclass(frozen=True, slots=True)
class Application:
    """One record: typed values by field name, its row id, and the recorded outcome if there is one."""

    id: str
    values: Mapping[str, Value]
    favourable: bool | None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What became of the rows of a file.

    ``left_out`` are rows that are no record, by the rule that took them out; ``no_outcome`` records whose outcome is
    neither favourable nor adverse, by value. ``notes`` say how the file was read.
    """

    records: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    outcome: str = ""
    favourable: int = 0
    adverse: int = 0
    no_outcome: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def outcomes(self) -> dict[str, int]:
        """How many records are favourable, adverse and neither; empty without an outcome field."""
        if not self.outcome:
            return {}
        neither = sum(self.no_outcome.values())
        return {"favourable": self.favourable, "adverse": self.adverse, "no outcome": neither}

    def lines(self) -> list[str]:
        """What there is to say, a line each."""
        lines = list(self.notes)
        lines += [f"{count:,} left out: {reason}" for reason, count in self.left_out.items()]
        if self.outcome:
            said = f"outcome {self.outcome!r}: {self.favourable:,} favourable, {self.adverse:,} adverse"
            if self.no_outcome:
                values = ", ".join(f"{value} {count:,}" for value, count in list(self.no_outcome.items())[:SHOWN])
                more = ", …" if len(self.no_outcome) > SHOWN else ""
                said += f", {sum(self.no_outcome.values()):,} no outcome ({values}{more})"
            lines.append(said)
        return lines


@dataclass(frozen=True)
class Survey:
    """What is known of applications without keeping them: they fit their mapping, and how many there are."""

    mapping: DataMapping
    source: str
    file_sha256: str
    count: int
    counts: Counts = Counts()

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
    counts: Counts = Counts()

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


def apply_mapping(table: Table | pl.DataFrame, mapping: DataMapping, *, source: str, file_sha256: str) -> Applications:
    """Turn a table into applications, in file order; row ids are ``0001``-style positions unless an id field is mapped.

    Raises
    ------
    DataError
        The first of :func:`misfits`.
    """
    table = as_table(table)
    _stop_at_misfits(table, mapping, source)
    table, ids, left_out = _with_ids(table, mapping)
    fields = [item for item in mapping.fields if item.role != "id"]
    columns = [item.values_in(table.frame) for item in fields]
    names = [item.name for item in fields]
    favourable: list[bool | None] = [None] * table.frame.height
    for item, values in zip(fields, columns, strict=True):
        if item.role == "outcome":
            sides = sides_of(item, {value for value in values if value is not None})
            favourable = [sides.get(value) for value in values]
    rows = zip(*columns, strict=True) if columns else iter([()] * table.frame.height)
    records = tuple(
        Application(id=record, values=dict(zip(names, row, strict=True)), favourable=outcome)
        for record, row, outcome in zip(ids, rows, favourable, strict=True)
    )
    counts = _counts(table, mapping, left_out)
    return Applications(mapping=mapping, records=records, source=source, file_sha256=file_sha256, counts=counts)


def survey(table: Table | pl.DataFrame, mapping: DataMapping, *, source: str, file_sha256: str) -> Survey:
    """Check what :func:`apply_mapping` checks, one column in memory at a time; errors as there."""
    table = as_table(table)
    _stop_at_misfits(table, mapping, source)
    table, _, left_out = _with_ids(table, mapping)
    counts = _counts(table, mapping, left_out)
    return Survey(mapping=mapping, source=source, file_sha256=file_sha256, count=table.frame.height, counts=counts)


def counts_of(table: Table | pl.DataFrame, mapping: DataMapping) -> Counts:
    """What becomes of the rows of a table that fits its mapping."""
    table, _, left_out = _with_ids(as_table(table), mapping)
    return _counts(table, mapping, left_out)


def misfits(table: Table | pl.DataFrame, mapping: DataMapping) -> Iterator[tuple[str, str]]:
    """What stops an audit of this table with this mapping: what it is, and what was expected.

    A mapped column that is not there or holds no single values; an id that repeats or is missing, unless the mapping
    says what to do; text in a number field; a field without a value; an outcome without a favourable or an
    adverse value.
    """
    table = as_table(table)
    there = True
    for item in mapping.fields:
        for column in item.columns:
            if column in table.unreadable:
                what, expected = table.unreadable[column]
                yield f"column {shown(column)} (field {shown(item.name)}) {what}", expected
                there = False
            elif column not in table.frame.columns:
                near = ", ".join(table.columns[:8])
                yield f"column {shown(column)} (field {shown(item.name)}) is missing", f"one of: {near}, …"
                there = False
    if not there:
        return
    identity = next((item for item in mapping.fields if item.role == "id"), None)
    if identity is not None:
        yield from _id_misfits(table, identity)
    for item in mapping.fields:
        if item.role != "id":
            yield from _field_misfits(table, item)


def distinct(frame: pl.DataFrame, item: Field) -> tuple[pl.DataFrame, list[Value], list[int], list[int]]:
    """Every distinct combination of the field's columns: its cells, its value, how many rows, and the first of them."""
    names = list(item.columns)
    indexed = frame.select(names).with_row_index(FIRST)
    grouped = indexed.group_by(names, maintain_order=True).agg(pl.len().alias(COUNTED), pl.col(FIRST).first())
    cells = grouped.select(names)
    return cells, item.values_in(cells), grouped[COUNTED].to_list(), grouped[FIRST].to_list()


def _stop_at_misfits(table: Table, mapping: DataMapping, source: str) -> None:
    for what, expected in misfits(table, mapping):
        raise DataError(source, what, expected)


def _id_misfits(table: Table, item: Field) -> Iterator[tuple[str, str]]:
    name = item.columns[0]
    column = table.frame[name]
    if column.null_count() and item.empty == "refuse":
        place = table.place(int(column.is_null().arg_max() or 0), name)
        more = f" and {column.null_count() - 1:,} more" if column.null_count() > 1 else ""
        yield f"the id column {name!r} is empty in {place}{more}", 'one id a row, or empty = "leave out" in its field'
    repeated = repeats_in(table, name)
    if repeated and item.repeats == "refuse":
        value, rows = next(iter(repeated.items()))
        places = " and ".join(table.place(row, name) for row in rows[:SHOWN]) + (", …" if len(rows) > SHOWN else "")
        more = f" ({len(repeated):,} ids repeat)" if len(repeated) > 1 else ""
        what = f"the id column {name!r} repeats {value[:SHOWN_CHARACTERS]!r} in {places}{more}"
        yield what, 'one id a row, or repeats = "first", "last" or "separate" in its field'


def repeats_in(table: Table, name: str) -> dict[str, list[int]]:
    """The ids of a column that stand in several rows (counted from 0)."""
    column = table.frame[name]
    known = column.drop_nulls()
    if known.n_unique() == len(known):
        if known.dtype != pl.String:
            return {}
        # Compared composed and without the blanks around them: ASCII is composed.
        bare = known.str.strip_chars(BLANKS)
        if (known.str.len_bytes() == known.str.len_chars()).all() and bare.n_unique() == len(bare):
            return {}
    rows: dict[str, list[int]] = {}
    for row, raw in enumerate(column):
        if raw is not None:
            rows.setdefault(written(raw), []).append(row)
    return {value: found for value, found in rows.items() if len(found) > 1}


def _with_ids(table: Table, mapping: DataMapping) -> tuple[Table, list[str], dict[str, int]]:
    """The rows that stay, their ids, and how many rows each rule took out."""
    left_out = dict(table.left_out)
    item = next((each for each in mapping.fields if each.role == "id"), None)
    if item is None:
        height = table.frame.height
        width = max(4, len(str(height)))
        return table, [f"{index:0{width}d}" for index in range(1, height + 1)], left_out
    name = item.columns[0]
    raws = [None if raw is None else written(raw) for raw in table.frame[name]]
    repeated = repeats_in(table, name)
    gone = {row for row, raw in enumerate(raws) if raw is None}
    if gone:
        left_out["rows without an id"] = len(gone)
    if repeated and item.repeats in ("first", "last"):
        others = {row for rows in repeated.values() for row in (rows[1:] if item.repeats == "first" else rows[:-1])}
        left_out[f"rows whose id repeats: the {item.repeats} of each id stays"] = len(others)
        gone |= others
    elif repeated and item.repeats == "separate":
        taken = set(raws)
        for value, rows in repeated.items():
            number = 2
            for row in rows[1:]:
                while (own := f"{value}#{number}") in taken:
                    number += 1
                taken.add(own)
                raws[row] = own
    if gone:
        stays = [row for row in range(len(raws)) if row not in gone]
        kept = table.rows.gather(stays) if table.rows is not None else pl.Series([row + 1 for row in stays])
        table = replace(table, frame=table.frame[stays], rows=kept)
        raws = [raws[row] for row in stays]
    return table, [raw or "" for raw in raws], left_out


def _field_misfits(table: Table, item: Field) -> Iterator[tuple[str, str]]:
    cells, values, counts, first = distinct(table.frame, item)
    if item.type == "number" and not item.one_of:
        yield from _number_misfits(table, item, cells, first)
    found = Counter[Value]()
    for value, count in zip(values, counts, strict=True):
        if value is not None:
            found[value] += count
    if not found:
        yield f"field {item.name!r} has no value in any row", "a mapping that fits the file"
    elif item.role == "outcome":
        yield from _outcome_misfits(item, found, cells)


def _number_misfits(table: Table, item: Field, cells: pl.DataFrame, first: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Text in a number field: left alone it would become "not stated" without a word."""
    for column in item.columns:
        if cells[column].dtype != pl.String:
            continue
        odd = ~are_plain(cells[column]) if item.form is None else cells[column].is_not_null()
        for at in odd.arg_true():
            raw, row = cells[column][at], first[at]
            if item.is_missing(raw) or item.number(raw) is not None:
                continue
            what = f"{table.place(row, column)} of column {column!r} (field {item.name!r}) holds {raw[:30]!r}"
            expected = "a number, or a code in the field's missing"
            if is_missing_word(raw, number=True):
                expected = f"a number, or missing = [{raw.strip()!r}] if it means that nothing is stated".replace(
                    "'", '"'
                )
            else:
                texts = [text for text in cells[column].head(SAMPLE) if text is not None and not item.is_missing(text)]
                guess = guess_form([text for text in dict.fromkeys(texts) if not is_missing_word(text, number=True)])
                if guess.form is not None and guess.form not in (item.form, PLAIN_FORM):
                    expected = f"a number, or the key form of the field: the column has {guess.why}"
            yield what, expected
            break


def _outcome_misfits(item: Field, found: Counter[Value], cells: pl.DataFrame) -> Iterator[tuple[str, str]]:
    if asked := question(item, written_values(item, cells)):
        yield asked
        return
    sides = sides_of(item, set(found))
    values = ", ".join(f"{str(value)[:SHOWN_CHARACTERS]} ({count:,} rows)" for value, count in found.most_common(SHOWN))
    named = item.favourable or "yes"
    if True not in sides.values():
        yield f"field {item.name!r} is {shown(named)} in no row", f"as favourable one of its values: {values}"
    elif item.adverse is not None and False not in sides.values():
        yield f"field {item.name!r} is {shown(item.adverse)} in no row", f"as adverse one of its values: {values}"
    elif item.adverse is None and item.type != "flag" and len(found) > len(sides):
        others = ", ".join(
            f"{str(value)[:SHOWN_CHARACTERS]} ({found[value]:,} rows)" for value in found if value not in sides
        )
        what = f"field {item.name!r} does not say which values are adverse"
        yield what, f"the key adverse; what it does not name is not an outcome: {others}"


def _counts(table: Table, mapping: DataMapping, left_out: Mapping[str, int]) -> Counts:
    counts = Counts(records=table.frame.height, left_out=left_out, notes=table.notes)
    item = next((each for each in mapping.fields if each.role == "outcome"), None)
    if item is None:
        return counts
    found = Counter[Value]()
    for value, count in zip(*distinct(table.frame, item)[1:3], strict=True):
        found[value] += count
    sides = sides_of(item, {value for value in found if value is not None})
    others = {("missing" if value is None else str(value)): found[value] for value in found if value not in sides}
    return replace(
        counts,
        outcome=item.name,
        favourable=sum(found[value] for value, side in sides.items() if side),
        adverse=sum(found[value] for value, side in sides.items() if not side),
        no_outcome=others,
    )
