"""Which values of an outcome count as favourable and which as adverse, and who says so.

Codes such as 0 and 1, or 1 and 2, say it by themselves of no outcome: read the wrong way round, every gap changes its
sign. Where no key of the mapping says which is which, that is told wherever the file is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from auditor.column_words import ADVERSE_NAMES, FAVOURABLE_NAMES, outcome_names, plain
from auditor.mappings import Field, Value, code_of, written
from auditor.number_forms import PLAIN

SHOWN = 5
NAMES = (("yes", FAVOURABLE_NAMES), ("no", ADVERSE_NAMES))
COUNTS_AS = " as favourable, "
BY_NOBODY = "neither the name of the column nor its values say so"


@dataclass(frozen=True)
class OutcomeSides:
    """The sides of an outcome as the file writes them.

    ``why`` says by what they were taken, where the mapping does not name the very values; ``doubtful`` where nothing in
    the file says so either.
    """

    favourable: tuple[str, ...]
    adverse: tuple[str, ...]
    why: str
    doubtful: bool

    def said(self) -> str:
        """In words, as the end of a line about the field."""
        counts = "counts" if len(self.favourable) == 1 else "count"
        line = f"{_some(self.favourable)} {counts}{COUNTS_AS}{_some(self.adverse)} as adverse"
        line += f": {self.why}" if self.why else ""
        return f"{line}; the key favourable says it if it is the other way round" if self.doubtful else line


def sides_of(item: Field, values: set[Value]) -> dict[Value, bool]:
    """Which of the values of an outcome are favourable and which adverse; the others are no outcome.

    Without ``adverse``, a flag's other side is adverse, and so is a value beside which only favourable ones occur:
    where there are more, nothing says which of them is an outcome at all.
    """
    favourable = item.outcomes(item.favourable or "yes")
    adverse = item.outcomes(item.adverse)
    sides = {value: True for value in values if code_of(value) in favourable}
    rest = [value for value in values if value not in sides]
    if item.adverse is not None:
        return sides | {value: False for value in rest if code_of(value) in adverse}
    if item.type == "flag":
        return sides | {value: False for value in rest if value in ("yes", "no")}
    return sides | {value: False for value in rest if len(rest) == 1}


def outcome_sides(item: Field, values: Mapping[float | str, str]) -> OutcomeSides | None:
    """The sides that the values of an outcome fall on; ``None`` where one of them is empty, which stops an audit.

    Parameters
    ----------
    item
        The outcome's field.
    values
        As `written_values` gives them.
    """
    sides = sides_of(item, set(values))
    if len(set(sides.values())) < 2:
        return None
    found = {side: tuple(sorted(values[one] for one in values if sides.get(one) is side)) for side in (True, False)}
    coded = not item.words and all(PLAIN.fullmatch(each) for side in found.values() for each in side)
    name = item.column or item.name
    readings = outcome_names(plain(name))
    meant = next((side for side, names in NAMES if any(re.fullmatch(names, each) for each in readings)), None)
    why, doubtful = "", False
    if item.favourable is None:
        why, doubtful = "no key of the mapping says so, and 'yes' is the favourable side then", True
    elif item.type == "flag" and coded:
        why, doubtful = BY_NOBODY, True
        if meant is not None:
            called = f"the column is called {name[:60]!r}"
            doubtful = not item.outcomes(item.favourable) & {meant}
            why = f"{called}, which says the opposite" if doubtful else called
    elif item.adverse is None and item.type != "flag":
        why = f"{_some(found[False])} is the only other value"
    return OutcomeSides(found[True], found[False], why, doubtful)


def question(item: Field, values: Mapping[float | str, str]) -> tuple[str, str] | None:
    """What is to be asked of an outcome of which nothing says which side is which: what it is, and what was expected.

    ``None`` where the mapping names a side, or a value speaks for itself.
    """
    if item.favourable is not None or True in sides_of(item, set(values)).values() or len(values) < 2:
        return None
    shown = sorted(values.values())
    what = f"field {item.name!r} holds {_some(shown)}, and nothing says which of them is favourable"
    return what, f'the keys favourable and adverse of the field, such as favourable = "{shown[0][:60]}"'


def written_values(item: Field, cells: pl.DataFrame) -> dict[float | str, str]:
    """Every value, and how the file writes it first."""
    found: dict[float | str, str] = {}
    for row, value in zip(cells.iter_rows(), item.values_in(cells), strict=True):
        if value is not None:
            found.setdefault(value, written(row[0]) if len(row) == 1 and not item.words else str(value))
    return found


def sides_in(notes: Iterable[str]) -> str:
    """The note that says which values count as what, among those of a file; empty where there is none."""
    return next((note for note in notes if COUNTS_AS in note), "")


def _some(values: Iterable[str]) -> str:
    shown = [each[:60] for each in values]
    return ", ".join(shown[:SHOWN]) + (f" and {len(shown) - SHOWN:,} more" if len(shown) > SHOWN else "")
