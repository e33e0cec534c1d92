"""A field that decisions may have in common, such as a lender or a branch, where a mapping names no cluster.

Nothing is concluded from it: whether lenders are those audited, or stand for others like them, is for whoever writes
the mapping to say. That it was not said is told in a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from auditor.mappings import DataMapping, Field

WORDS = frozenset({
    "agency", "agent", "bank", "branch", "broker", "dealer", "dealership", "lei", "lender", "office", "officer",
    "store", "team", "underwriter",
})  # fmt: skip
"""Of a field's name, label or column: who, or where, decides for many applicants."""
ROWS_EACH = 10
"""Decisions that a value has on average where it may be what they have in common."""
MOST = 100_000
"""Values from which on a field is none of few."""


@dataclass
class DecidedTogether:
    """The values of such fields, as blocks bring them; those with too many are no longer followed."""

    fields: tuple[Field, ...] = ()
    values: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, mapping: DataMapping) -> DecidedTogether:
        """Of a mapping that names no cluster: its fields that sound like one; else none."""
        parts = mapping.decisions
        if parts.cluster:
            return cls()
        # What became of an application, and what a person decided on it, are no places.
        other = {sides.field for sides in (parts.later, parts.human) if sides}
        found = tuple(
            item
            for item in mapping.fields
            if item.column is not None
            and item.type != "number"
            and item.role in ("recorded", "predictor")
            and item.name not in other
            and (item.name == parts.decided_by or _sounds_like_one(item))
        )
        return cls(found, {item.name: set() for item in found})

    @property
    def columns(self) -> tuple[str, ...]:
        """That are read for it."""
        return tuple(column for item in self.fields for column in item.columns)

    def add(self, frame: pl.DataFrame) -> None:
        """Take the values of a block; a column that is not there has none."""
        for item in self.fields:
            column = item.columns[0]
            if item.name in self.values and column in frame.columns:
                known = self.values[item.name]
                known |= {text for text in frame[column].cast(pl.String).unique() if text and not item.is_missing(text)}
                if len(known) > MOST:
                    del self.values[item.name]

    def lines(self, decisions: int) -> Iterator[str]:
        """A line for each that decisions have in common."""
        for item in self.fields:
            count = len(self.values.get(item.name, ()))
            if 2 <= count <= decisions / ROWS_EACH:
                yield (
                    f"{item.label} has {count:,} values in {decisions:,} decisions and the mapping names no cluster: "
                    "intervals and tests speak of these alone, not of others like them"
                )


def _sounds_like_one(item: Field) -> bool:
    said = f"{item.name} {item.label} {' '.join(item.columns)}".lower()
    return not WORDS.isdisjoint(re.findall(r"[a-z]+", said))
