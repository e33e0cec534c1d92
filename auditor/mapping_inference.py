"""A first proposal of what a table's columns mean, from their names and values.

A proposal is where a person starts, never what an audit runs on unread: every role, word and code in it is a guess by
the rules below, and ``check_mapping`` (auditor/mapping_checks.py) says what still looks wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from auditor.applications import repeats_in
from auditor.column_guesses import ColumnGuess, guess_columns
from auditor.column_meanings import field_of, label_of, outcome_field
from auditor.column_roles import id_reasons, is_index, outcome_of, recognised_in, without_use
from auditor.column_words import attribute_of
from auditor.indicator_columns import group_of, indicators_in
from auditor.mapping_files import write_mapping
from auditor.mappings import DataMapping, Field
from auditor.number_forms import unit_of
from auditor.recognition import Recognised, with_forms, without_examples
from auditor.tables import Reading, Table, as_table
from auditor.tables.parquet import INDEX


@dataclass(frozen=True)
class Proposal:
    """A proposed mapping, and why: reasons by field, those of the file under ``""``; ``roles`` by column."""

    mapping: DataMapping
    reasons: Mapping[str, Sequence[str]]
    roles: Mapping[str, Recognised]

    def text(self) -> str:
        """As TOML, the reasons as comments."""
        return write_mapping(self.mapping, self.reasons)

    def lines(self) -> list[str]:
        """The reasons, a line each."""
        return [f"field {name!r}: {line}" if name else line for name, lines in self.reasons.items() for line in lines]


def infer_mapping(table: Table | pl.DataFrame, name: str) -> DataMapping:
    """The mapping of :func:`propose`."""
    return propose(table, name).mapping


def propose(
    table: Table | pl.DataFrame, name: str, *, reading: Reading | None = None, reasons: Sequence[str] = ()
) -> Proposal:
    """Propose a mapping of a table as :func:`auditor.tables.read_table` gives it.

    Parameters
    ----------
    table
        At least one row; columns of whole numbers, decimals, truth values or text.
    name
        What the data set is to be called.
    reading, reasons
        How its file was read, and why.

    Returns
    -------
    Proposal
        Every column is either a field or excluded with the reason. Outcome, id and race indicators occur at most once.
    """
    table = as_table(table)
    guesses = guess_columns(table)
    frame = pl.DataFrame([guess.values for guess in guesses.values()])
    recognised = recognised_in(table, frame)
    roles = {column: found.role for column, found in recognised.items()}
    masked = frozenset(column for column, found in recognised.items() if found.masked)
    excluded = without_use(frame, roles, masked)
    excluded |= {column: "numbers the rows" for column in frame.columns if is_index(table, column)}
    excluded |= {column: "the index of a pandas table" for column in frame.columns if column == INDEX}
    left = [column for column in frame.columns if column not in excluded]
    outcome = outcome_of(frame, left, roles)
    excluded |= _without_part(frame, left, roles, outcome)
    ids = sorted((column for column in left if roles[column] == "id"), key=lambda each: bool(repeats_in(table, each)))
    for column in ids[1:]:
        excluded[column] = f"identifies rows, as {ids[0]!r} does"
    indicators = indicators_in(frame, [column for column in left if column not in excluded])
    first = {columns[0]: attribute for attribute, columns in indicators.items()}
    later = {column for columns in indicators.values() for column in columns[1:]}
    fields: list[Field] = []
    why: list[list[str]] = []
    for column in left:
        if column in excluded or column in later:
            continue
        told = _told(guesses[column], recognised[column])
        if column in first:
            attribute = first[column]
            groups = {item: group_of(item) for item in indicators[attribute]}
            label = label_of(attribute)
            fields.append(Field(name=attribute, label=label, role="protected", type="category", one_of=groups))
        elif column == outcome:
            item, said = outcome_field(frame[column])
            told += said
            fields.append(_with_guess(item, guesses[column]))
        elif roles[column] == "id":
            fields.append(field_of(frame[column], "id"))
            told = id_reasons(table, column)
        else:
            role = roles[column] if roles[column] not in ("outcome", "id") else "predictor"
            item = field_of(frame[column], role)
            # Text about people is text: whoever checks a proposal sees none of it before saying what it is.
            if recognised[column].hidden:
                item = replace(item, type="text", words={})
            fields.append(_with_guess(item, guesses[column]))
        why.append(told)
    named = _distinct(_as_packs_call_them(fields))
    excluded |= {column: f"{what}: cannot be used" for column, (what, _) in table.unreadable.items()}
    mapping = DataMapping(
        name=name,
        title=name,
        citation="",
        population="",
        fields=named,
        excluded=dict(sorted(excluded.items())),
        reading=reading or Reading(),
    )
    # A note of reading may say again what a reason for a key says, such as which delimiter there is.
    notes = [note for note in table.notes if not any(note in reason for reason in reasons)]
    told_of = {"": [*reasons, *notes], **{item.name: lines for item, lines in zip(named, why, strict=True)}}
    return Proposal(mapping, {key: lines for key, lines in told_of.items() if lines}, recognised)


def _without_part(
    frame: pl.DataFrame, columns: Sequence[str], roles: Mapping[str, str], outcome: str | None
) -> dict[str, str]:
    """Columns of the kinds of which a mapping has no field: further outcomes, what identifies a person, shared ids."""
    found: dict[str, str] = {}
    for column in columns:
        if column != outcome and roles[column] == "outcome":
            few = "one value, and empty cells, of which nothing says what they mean"
            many = "has too many values for an outcome"
            one = frame[column].drop_nulls().n_unique() < 2
            found[column] = f"may repeat the outcome {outcome!r}" if outcome else few if one else many
        elif roles[column] == "identifier":
            found[column] = "identifies a person"
        elif roles[column] == "shared id":
            found[column] = 'looks like an id and repeats often: role = "id" with the key repeats would make it one'
    return found


def _told(guess: ColumnGuess, role: Recognised) -> list[str]:
    """The reasons of a column; of one that is masked without the values they quote, but for words for "no value".

    A text that hardly any two rows share may be a number of somebody's own: then its form is quoted.
    """
    if not role.masked:
        values = guess.values.drop_nulls()
        own = values.dtype == pl.String and values.n_unique() * 2 > len(values)
        return [with_forms(line) for line in guess.reasons] if own else list(guess.reasons)
    return [line if line in guess.about_missing else without_examples(line) for line in guess.reasons]


def _with_guess(item: Field, guess: ColumnGuess) -> Field:
    """The field with the form and the missing words of its column."""
    missing = (*guess.missing, *(code for code in item.missing if code not in guess.missing))
    if guess.form is None or item.type != "number":
        return replace(item, missing=missing, form=guess.form if item.type == "number" else None)
    unit, prefix, suffix = unit_of(guess.form)
    return replace(item, missing=missing, form=guess.form, unit=unit, prefix=prefix, suffix=suffix)


def _as_packs_call_them(fields: Sequence[Field]) -> list[Field]:
    """The fields, a protected one called as policy packs call it where it is the only one of its attribute.

    By that name findings cite their clauses; what prompts and reports say is its label, which stays the column's.
    """
    called = [attribute_of(item.name) if item.role == "protected" else "" for item in fields]
    taken = {item.name for item in fields}
    return [
        replace(item, name=name) if name and called.count(name) == 1 and name not in taken else item
        for item, name in zip(fields, called, strict=True)
    ]


def _distinct(fields: Sequence[Field]) -> tuple[Field, ...]:
    """The same fields with a number after a name that another column gave too."""
    taken: set[str] = set()
    result = []
    for item in fields:
        name, number = item.name, 2
        while name in taken:
            name, number = f"{item.name}_{number}", number + 1
        taken.add(name)
        result.append(replace(item, name=name))
    return tuple(result)
