"""From tables, whole or block by block, to the columns of a decision file.

A block's cells become whole numbers and floats before the next block is read, so that what is held is the columns and
never the text of the file. What a cell means is said by its field (auditor/mappings.py); distinct cells are asked once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from auditor.canonical import sha256_json
from auditor.decision_columns import Sides
from auditor.exceptions import DataError
from auditor.mapping_files import shown
from auditor.mappings import DataMapping, Field, code_of
from auditor.observed.bisg import Bisg, estimate
from auditor.observed.columns import ADVERSE, FAVOURABLE, OTHER, Levels, Numbers, Observed, Probabilities
from auditor.observed.copied_rows import copied_rows
from auditor.observed.days import Days
from auditor.observed.decided_together import DecidedTogether
from auditor.observed.numbers import numbers_of
from auditor.observed.odd_numbers import odd_numbers
from auditor.observed.unnamed_codes import unnamed_codes
from auditor.outcome_codes import outcome_sides, question, sides_of, written_values
from auditor.statistics.results import FloatArray, IntArray
from auditor.tables import Table, as_table

MAX_LEVELS = 200_000
SHOWN = 5
TOLERANCE = 0.01
"""How far the probabilities of one person's groups may exceed 1 in sum, as tables round."""


@dataclass
class _Words:
    """Levels of one field as blocks bring them: a code for each name, in the order they are first seen."""

    item: Field
    codes: dict[str, int] = field(default_factory=dict)
    blocks: list[npt.NDArray[np.int32]] = field(default_factory=list)
    cells: pl.DataFrame = field(default_factory=pl.DataFrame)

    def add(self, frame: pl.DataFrame, where: str) -> None:
        cells, at = _distinct(frame, list(self.item.columns))
        found = np.empty(cells.height, dtype=np.int32)
        for row, value in enumerate(self.item.values_in(cells)):
            found[row] = -1 if value is None else self._code(value, where)
        self.blocks.append(found[at])
        self.cells = cells

    def _code(self, value: float | str, where: str) -> int:
        name = value if isinstance(value, str) else code_of(value)
        code = self.codes.setdefault(name, len(self.codes))
        if code >= MAX_LEVELS:
            what = f"field {self.item.name!r} has more than {MAX_LEVELS:,} different values"
            raise DataError(where, what, "a field of few values for this part")
        return code

    def levels(self) -> Levels:
        """In the order of their names, so that the order of rows changes nothing."""
        names = sorted(self.codes)
        ranks = {name: at for at, name in enumerate(names)}
        order = np.array([*(ranks[name] for name in self.codes), -1], dtype=np.int32)
        whole = np.concatenate(self.blocks)
        return Levels(name=self.item.name, label=self.item.label, names=tuple(names), codes=order[whole])


@dataclass
class _Counts:
    """Numbers of one field as blocks bring them."""

    item: Field
    blocks: list[FloatArray] = field(default_factory=list)

    def add(self, table: Table, where: str) -> None:
        self.blocks.append(numbers_of(self.item, table, where=where))

    def numbers(self) -> Numbers:
        values = np.concatenate(self.blocks)
        return Numbers(name=self.item.name, label=self.item.label, unit=self.item.unit, values=values)


class Builder:
    """Takes tables of one file, one after another, and gives the columns.

    Parameters
    ----------
    mapping
        What the columns mean; its ``decisions`` say which fields play which part.
    source
        What refusals call the file.
    bisg
        How groups are made likely by surname and place. Neither is kept: a block's probabilities are worked out from
        its cells, and the cells go. It is no key of a mapping, since its tables are files of whoever runs the audit.
    """

    def __init__(self, mapping: DataMapping, *, source: str, bisg: Bisg | None = None) -> None:
        self.mapping, self.source = mapping, source
        self.fields = {item.name: item for item in mapping.fields}
        parts = mapping.decisions
        wanted = [item.name for item in mapping.fields if item.role in ("protected", "outcome")]
        wanted += [*parts.reasons, *parts.segments, *parts.controls]
        wanted += [name for name in (parts.decided_by, parts.cluster) if name]
        wanted += [sides.field for sides in (parts.later, parts.human) if sides]
        numbers = [*parts.prices, *parts.amounts, *([parts.score] if parts.score else [])]
        numbers += [name for likely in parts.probabilities for name in likely.groups.values()]
        numbers += [name for name in parts.controls if self.fields[name].type == "number"]
        self.numbers = {name: _Counts(self.fields[name]) for name in dict.fromkeys(numbers)}
        # A control that is a number is one; any other part of a number (a code of a reason) is a level.
        self.words = {
            name: _Words(self.fields[name])
            for name in dict.fromkeys(wanted)
            if name not in parts.controls or self.fields[name].type != "number"
        }
        self.bisg = bisg
        self.likely: list[npt.NDArray[np.float32]] = []
        self.likely_by: dict[str, int] = {}
        for name in (bisg.surname, bisg.place) if bisg else ():
            if name not in self.fields or self.fields[name].column is None:
                raise DataError(source, f"{name!r} is not a field of one column", "the fields of surname and place")
        if bisg and bisg.by_surname.groups != bisg.by_place.groups:
            named = " and ".join(", ".join(table.groups) for table in (bisg.by_surname, bisg.by_place))
            what = f"the tables of surname and place name the groups {named}"
            raise DataError(source, what, "the same, in one order")
        self.decided_together = DecidedTogether.of(mapping)
        self.id = next((item for item in mapping.fields if item.role == "id"), None)
        self.date = Days(self.fields[parts.decided_at]) if parts.decided_at in self.fields else None
        self.ids: list[pl.Series] = []
        self.hashes: list[npt.NDArray[np.uint64]] = []
        self.rows = 0
        self.notes: dict[str, None] = {}
        self.left_out: dict[str, int] = {}
        self.outcome_values: dict[float | str, str] = {}
        if not any(item.role == "outcome" for item in mapping.fields):
            raise DataError(source, "no field has the role 'outcome'", "the field that says what was decided")

    @property
    def columns(self) -> frozenset[str]:
        """The columns of the file that are read at all."""
        return self._needed | frozenset(self.decided_together.columns)

    @property
    def _needed(self) -> frozenset[str]:
        """Columns without which nothing can be said."""
        items = [part.item for part in self.words.values()] + [part.item for part in self.numbers.values()]
        items += [item for item in (self.id, self.date.item if self.date else None) if item is not None]
        items += [self.fields[name] for name in ((self.bisg.surname, self.bisg.place) if self.bisg else ())]
        return frozenset(column for item in items for column in item.columns)

    def add(self, table: Table | pl.DataFrame) -> None:
        """Take the next rows.

        Raises
        ------
        DataError
            For a column that is not there, or a cell that cannot be what its field says.
        """
        table = as_table(table)
        for column in sorted(self._needed):
            if column in table.unreadable:
                what, expected = table.unreadable[column]
                raise DataError(self.source, f"column {shown(column)} {what}", expected)
            if column not in table.frame.columns:
                near = ", ".join(table.columns[:8])
                raise DataError(self.source, f"column {shown(column)} is not there", f"one of: {near}, …")
        for words in self.words.values():
            words.add(table.frame, self.source)
            if words.item.role == "outcome":
                self.outcome_values = written_values(words.item, words.cells) | self.outcome_values
        for counts in self.numbers.values():
            counts.add(table, self.source)
        self.decided_together.add(table.frame)
        said = [column for column in sorted(self._needed) if self.id is None or column not in self.id.columns]
        self.hashes.append(table.frame.select(said).hash_rows().to_numpy())
        if self.id is not None:
            self.ids.append(table.frame[self.id.columns[0]].cast(pl.String).str.strip_chars())
        if self.bisg is not None:
            self._make_likely(table.frame, self.bisg)
        if self.date is not None:
            self.date.add(table)
        self.rows += table.frame.height
        self.notes |= dict.fromkeys(table.notes)
        for what, count in table.left_out.items():
            self.left_out[what] = self.left_out.get(what, 0) + count

    def done(self, *, file_sha256: str = "") -> Observed:
        """The columns of all rows taken.

        Raises
        ------
        DataError
            For no row, an outcome without a favourable or an adverse value, ids that repeat or are empty against what
            the mapping allows, or probabilities that are none.
        """
        if not self.rows:
            raise DataError(self.source, "has no row", "at least one decision")
        parts = self.mapping.decisions
        outcome_field = next(item for item in self.mapping.fields if item.role == "outcome")
        levels = {name: words.levels() for name, words in self.words.items()}
        numbers = {name: counts.numbers() for name, counts in self.numbers.items()}
        outcome, others = self._outcome(outcome_field, levels[outcome_field.name])
        whole = Observed(
            ids=pl.concat(self.ids) if self.ids else _row_numbers(self.rows),
            outcome=outcome,
            others=others,
            groups=tuple(levels[item.name] for item in self.mapping.fields if item.role == "protected"),
            score=numbers.get(parts.score),
            score_is_probability=parts.score_is == "probability",
            prices=tuple(numbers[name] for name in parts.prices),
            amounts=tuple(numbers[name] for name in parts.amounts),
            reasons=tuple(levels[name] for name in parts.reasons),
            decided_at=np.concatenate(self.date.blocks) if self.date else None,
            decided_by=levels.get(parts.decided_by),
            cluster=levels.get(parts.cluster),
            later=_two_sides(levels[parts.later.field], parts.later, self.fields) if parts.later else None,
            human=_two_sides(levels[parts.human.field], parts.human, self.fields) if parts.human else None,
            controls=tuple(numbers.get(name) or levels[name] for name in parts.controls),
            segments=tuple(levels[name] for name in parts.segments),
            probabilities=self._probabilities(numbers),
            source=self.source,
            file_sha256=file_sha256,
            fingerprint=fingerprint_of(file_sha256, self.mapping),
        )
        whole = self._of_applicants(whole, self.id) if self.id is not None else whole
        copied = copied_rows(np.concatenate(self.hashes), (*levels.values(), *numbers.values()))
        notes = (*self._notes(whole), *([copied] if copied else []))
        return replace(whole, notes=notes, left_out=dict(self.left_out))

    def _outcome(self, item: Field, levels: Levels) -> tuple[npt.NDArray[np.int8], dict[str, int]]:
        if asked := question(item, self.outcome_values):
            raise DataError(self.source, *asked)
        sides = sides_of(item, set(levels.names))
        values = ", ".join(f"{name[:60]}" for name in levels.names[:SHOWN])
        for side, said in ((True, item.favourable or "yes"), (False, item.adverse or "anything adverse")):
            if side not in sides.values():
                what = f"field {item.name!r} is {shown(said)} in no row"
                raise DataError(self.source, what, f"one of its values: {values}")
        of_level = [OTHER if name not in sides else FAVOURABLE if sides[name] else ADVERSE for name in levels.names]
        coded = np.array([*of_level, OTHER], dtype=np.int8)[levels.codes]
        counts = np.bincount(levels.codes.astype(np.int64) + 1, minlength=len(levels.names) + 1)
        others = {name: int(counts[at]) for at, name in enumerate(levels.names, start=1) if name not in sides}
        if counts[0]:
            others["not stated"] = int(counts[0])
        return coded, others

    def _probabilities(self, numbers: Mapping[str, Numbers]) -> tuple[Probabilities, ...]:
        found = []
        for likely in self.mapping.decisions.probabilities:
            columns = [numbers[name].values.astype(np.float32) for name in likely.groups.values()]
            values = np.column_stack(columns)
            values[np.isnan(values).any(axis=1)] = np.nan
            known = values[~np.isnan(values[:, 0])]
            if len(known) and (known.min() < 0 or known.max() > 1 or known.sum(axis=1).max() > 1 + TOLERANCE):
                what = f"the probabilities of {likely.attribute!r} do not lie in [0, 1] with a sum of at most 1"
                raise DataError(self.source, what, "one probability a group, of 1 in all")
            total = values.sum(axis=1, keepdims=True)
            values /= np.where(total > 1, total, 1)
            found.append(
                Probabilities(
                    attribute=likely.attribute,
                    names=tuple(likely.groups),
                    values=values,
                    source=likely.source,
                    cut=likely.cut,
                )
            )
        if self.bisg is not None:
            values = np.concatenate(self.likely)
            names, source, cut = self.bisg.by_surname.groups, self.bisg.source, self.bisg.cut
            found.append(
                Probabilities(attribute=self.bisg.attribute, names=names, values=values, source=source, cut=cut)
            )
        return tuple(found)

    def _make_likely(self, frame: pl.DataFrame, bisg: Bisg) -> None:
        columns = [frame[self.fields[name].columns[0]].cast(pl.String) for name in (bisg.surname, bisg.place)]
        found, counts = estimate(
            surnames=columns[0],
            places=columns[1],
            by_surname=bisg.by_surname,
            by_place=bisg.by_place,
            attribute=bisg.attribute,
            source=bisg.source,
            cut=bisg.cut,
        )
        self.likely.append(found.values)
        for how, count in counts.items():
            self.likely_by[how] = self.likely_by.get(how, 0) + count

    def _of_applicants(self, whole: Observed, item: Field) -> Observed:
        """Keep the mapping's rules for ids (the field ``item``) that are empty or stand in several rows."""
        ids = whole.ids.set(whole.ids == "", None)
        keep = np.ones(whole.n, dtype=bool)
        if empty := ids.null_count():
            if item.empty == "refuse":
                what = f"the id column {item.columns[0]!r} is empty in {empty:,} rows"
                raise DataError(self.source, what, 'one id a row, or empty = "leave out" in its field')
            keep &= ids.is_not_null().to_numpy()
            self.left_out["rows without an id"] = empty
        first = ids.is_first_distinct().to_numpy() | ~keep
        if not first.all():
            if item.repeats == "refuse":
                again = ids.filter(pl.Series(~first))[0]
                what = f"the id column {item.columns[0]!r} repeats {str(again)[:60]!r} ({int((~first).sum()):,} rows)"
                raise DataError(self.source, what, 'one id a row, or repeats = "first", "last" or "separate"')
            if item.repeats in ("first", "last"):
                stays = first if item.repeats == "first" else ids.is_last_distinct().to_numpy()
                self.left_out[f"rows whose id repeats: the {item.repeats} of each id stays"] = int(
                    (keep & ~stays).sum()
                )
                keep &= stays
        whole = whole if keep.all() else taken(whole, np.flatnonzero(keep))
        if item.repeats == "separate" and not first.all():
            codes = whole.ids.rank("dense").cast(pl.Int64).to_numpy() - 1
            whole = replace(whole, applicants=codes)
        return whole

    def _notes(self, whole: Observed) -> Iterable[str]:
        yield from self.notes
        if whole.decided_at is not None and not np.isnat(whole.decided_at).all():
            known = whole.decided_at[~np.isnat(whole.decided_at)]
            yield f"decided from {known.min()} to {known.max()}"
        if self.date is not None:
            yield from self.date.lines(self.rows)
        outcome = next(item for item in self.mapping.fields if item.role == "outcome")
        if (sides := outcome_sides(outcome, self.outcome_values)) is not None:
            yield f"{outcome.label}: {sides.said()}"
        yield from unnamed_codes(whole)
        yield from odd_numbers(whole)
        if whole.applicants is None:
            yield from self.decided_together.lines(whole.n)
        if self.bisg is not None:
            said = ", ".join(f"{how} {count:,}" for how, count in self.likely_by.items())
            yield f"groups of {self.bisg.attribute} made likely by {self.bisg.source}: {said}"


def fingerprint_of(file_sha256: str, mapping: DataMapping) -> str:
    """The hash of a file and its mapping together: what names decisions already taken."""
    return sha256_json({"file": file_sha256, "mapping": mapping.sha256})


def observe(table: Table | pl.DataFrame, mapping: DataMapping, *, source: str, file_sha256: str = "") -> Observed:
    """The columns of one table; errors as :class:`Builder` raises them."""
    builder = Builder(mapping, source=source)
    builder.add(table)
    return builder.done(file_sha256=file_sha256)


def taken(whole: Observed, rows: IntArray) -> Observed:
    """The same columns for some rows only."""
    changes: dict[str, Any] = {"ids": whole.ids[rows], "outcome": whole.outcome[rows]}
    for name in ("groups", "prices", "amounts", "reasons", "controls", "segments", "probabilities"):
        changes[name] = tuple(_rows(part, rows) for part in getattr(whole, name))
    for name in ("score", "decided_by", "cluster"):
        changes[name] = None if getattr(whole, name) is None else _rows(getattr(whole, name), rows)
    for name in ("decided_at", "later", "human", "applicants"):
        changes[name] = None if getattr(whole, name) is None else getattr(whole, name)[rows]
    kept = whole.outcome[rows]
    changes["others"] = whole.others if (kept == OTHER).sum() == (whole.outcome == OTHER).sum() else (
        {"decided neither way": int((kept == OTHER).sum())} if (kept == OTHER).any() else {}
    )  # fmt: skip
    return replace(whole, **changes)


def _distinct(frame: pl.DataFrame, names: list[str]) -> tuple[pl.DataFrame, IntArray]:
    """Distinct combinations of cells, and which of them each row is."""
    if len(names) == 1:
        cells = frame[names[0]].unique(maintain_order=True).to_frame()
    else:
        cells = frame.select(names).unique(maintain_order=True)
    numbered = cells.with_row_index("\0at")
    joined = frame.select(names).join(numbered, on=names, how="left", nulls_equal=True, maintain_order="left")
    return cells, joined["\0at"].to_numpy().astype(np.int64)


def _two_sides(levels: Levels, sides: Sides, fields: Mapping[str, Field]) -> npt.NDArray[np.int8]:
    item = fields[sides.field]
    favourable, adverse = item.outcomes(sides.favourable), item.outcomes(sides.adverse)
    coded = [
        FAVOURABLE if code_of(name) in favourable else ADVERSE if code_of(name) in adverse else OTHER
        for name in levels.names
    ]
    found: npt.NDArray[np.int8] = np.array([*coded, OTHER], dtype=np.int8)[levels.codes]
    return found


def _row_numbers(rows: int) -> pl.Series:
    width = max(4, len(str(rows)))
    return pl.int_range(1, rows + 1, eager=True).cast(pl.String).str.zfill(width)


def _rows(part: Any, rows: IntArray) -> Any:
    name = "codes" if isinstance(part, Levels) else "values"
    return replace(part, **{name: getattr(part, name)[rows]})
