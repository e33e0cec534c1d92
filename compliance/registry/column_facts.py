"""What a page says of every column of a table: counts, samples and codes; personal data masked before it is kept.

Needs no Django. No row is told from another here: a value is shown with how many rows hold it, never beside another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from auditor.column_guesses import guess_columns
from auditor.column_meanings import is_flag
from auditor.column_roles import recognised_in
from auditor.column_words import names_people, plain
from auditor.mappings import codes_of
from auditor.people_in_columns import LONGEST, PERSON
from auditor.recognition import DATE, MASK, Recognised, form_of
from auditor.tables import Table
from compliance.registry.columns import SHOWN_CHARACTERS

SAMPLES = 3
MOST_CODES = 20
SMALL = 11  # rows; of fewer that share a value of a masked column the number is not told
SHARED = 2  # rows that hold a value on average, from which on it is nobody's own


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """What is known of one column.

    ``kind`` is the type its values seem to have, ``why`` says why it is taken for what it is; ``samples`` show some of
    its values, or that they are masked. ``codes`` are the values that rows share, with how many rows hold each
    (``None``: fewer than eleven), ``more`` how many further ones there are. ``distinct`` and ``missing`` count values
    and rows.
    """

    name: str
    kind: str = "category"
    why: str = ""
    masked: bool = False
    rows: int = 0
    distinct: int = 0
    missing: int = 0
    samples: tuple[str, ...] = ()
    codes: tuple[tuple[str, int | None], ...] = ()
    more: int = 0
    unreadable: str = ""

    @classmethod
    def kept(cls, raw: Mapping[str, Any]) -> ColumnFacts:
        """From what :func:`to_keep` gave."""
        codes = tuple((str(code), count) for code, count in raw.get("codes", ()))
        return cls(**{**raw, "samples": tuple(raw.get("samples", ())), "codes": codes})

    def to_keep(self) -> dict[str, Any]:
        """Plain data, without what says nothing."""
        return {key: value for key, value in asdict(self).items() if value or key == "name"}


def facts_of(table: Table, roles: Mapping[str, Recognised] | None = None) -> list[ColumnFacts]:
    """What is known of every column, in the order of the file.

    Parameters
    ----------
    table
        As read; at least one row.
    roles
        What the columns seem to be, where that was found out before.
    """
    guesses = guess_columns(table)
    frame = pl.DataFrame([guess.values for guess in guesses.values()])
    roles = roles or recognised_in(table, frame)
    found = [_facts(table.frame[name], frame[name], roles[name]) for name in table.frame.columns]
    unread = [
        ColumnFacts(name=name, unreadable=f"{what}; expected {expected}")
        for name, (what, expected) in table.unreadable.items()
    ]
    return [*found, *unread]


def _facts(raw: pl.Series, guessed: pl.Series, role: Recognised) -> ColumnFacts:
    if guessed.dtype.is_float():
        guessed = guessed.fill_nan(None)
    known = guessed.drop_nulls()
    distinct = known.n_unique()
    shared = SHARED * distinct <= len(known)
    counted = raw.drop_nulls().value_counts(sort=True, name="\0rows") if shared else None
    codes: list[tuple[str, int | None]] = []
    more = 0
    few = distinct <= MOST_CODES or (shared and not guessed.dtype.is_numeric())
    if counted is not None and few and not (_says_who(role) or names_people(plain(raw.name))):
        rows = sorted(counted.iter_rows(), key=lambda row: (-row[1], str(row[0])))
        listed = [row for row in rows[:MOST_CODES] if not _somebodys(row, role)]
        for value, count in listed:
            told = None if role.masked and count < SMALL else count
            codes.append((codes_of(value)[0][:SHOWN_CHARACTERS], told))
        more = len(rows) - len(listed)
    return ColumnFacts(
        name=raw.name,
        kind=_kind(guessed, shared=shared),
        why=role.why,
        masked=role.masked,
        rows=len(raw),
        distinct=distinct,
        missing=guessed.null_count(),
        samples=_samples(raw, guessed, role, shared=shared),
        codes=tuple(codes),
        more=more,
    )


def _kind(guessed: pl.Series, *, shared: bool) -> str:
    if is_flag(guessed):
        return "flag"
    return "number" if guessed.dtype.is_numeric() else "category" if shared else "text"


def _says_who(role: Recognised) -> bool:
    return role.hidden or role.role in ("identifier", "id", "shared id")


def _somebodys(row: tuple[Any, int], role: Recognised) -> bool:
    """Whether a value of a masked column may be somebody's own: a name that few share, a full name, a birth date."""
    value, count = row
    if role.role == "protected":
        return DATE.fullmatch(str(value)) is not None
    named = isinstance(value, str) and len(value) <= LONGEST and PERSON.fullmatch(value.strip()) is not None
    return role.role == "protected_proxy" and (count < SMALL or named)


def _samples(raw: pl.Series, guessed: pl.Series, role: Recognised, *, shared: bool) -> tuple[str, ...]:
    values = raw.filter(guessed.is_not_null()).unique(maintain_order=True).head(SAMPLES).to_list()
    if role.masked and not role.hidden:
        return (MASK,) if values else ()
    # A text that hardly any two rows share may be somebody's own: its form tells what kind of text it is.
    open_to_all = (shared or guessed.dtype.is_numeric()) and not role.hidden
    said = (str(value)[:SHOWN_CHARACTERS] if open_to_all else form_of(value) for value in values)
    return tuple(dict.fromkeys(said))
