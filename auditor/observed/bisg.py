"""Probabilities of groups from surname and place (BISG), with tables that the user brings.

Bayesian improved surname geocoding (Elliott and others 2009): P(group | surname, place) ∝ P(group | surname) ·
P(place | group), which is exact where surname and place are independent within a group. Nothing is shipped: the tables
are the user's, and their source is named beside every number made with them.

A surname table has a row a name and a column a group, each cell P(group | surname); a place table has a row a place and
a column a group, each cell how many people of the group live there.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from auditor.exceptions import DataError
from auditor.observed.columns import Probabilities
from auditor.statistics.results import FloatArray

SUM = 0.02
"""How far a row of a surname table may differ from 1 in sum: published tables round, and hide cells of few people."""


@dataclass(frozen=True, eq=False)
class GroupTable:
    """Numbers of groups by key: ``keys`` as they are compared, ``values`` of shape (keys, groups)."""

    keys: tuple[str, ...]
    groups: tuple[str, ...]
    values: FloatArray

    def of(self, keys: pl.Series) -> FloatArray:
        """The row of each key, shape (n, groups); NaN for a key that is not in the table."""
        numbers = pl.Series(np.arange(len(self.keys)))
        at = keys.replace_strict(pl.Series(self.keys), numbers, default=None, return_dtype=pl.Int64)
        rows = at.fill_null(len(self.keys)).to_numpy()
        padded = np.vstack([self.values, np.full(len(self.groups), np.nan)])
        found: FloatArray = padded[rows]
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Bisg:
    """How the groups of one attribute are made likely while a file is read: fields of surname and place, and tables."""

    attribute: str
    surname: str
    place: str
    by_surname: GroupTable
    by_place: GroupTable
    source: str
    cut: float


def surname_table(frame: pl.DataFrame, *, key: str, groups: Mapping[str, str], where: str) -> GroupTable:
    """A table of P(group | surname); rows are scaled to 1 in sum.

    Parameters
    ----------
    key
        The column of surnames.
    groups
        Group to its column.

    Raises
    ------
    DataError
        For a missing column, a name that stands twice, or cells that are no probabilities.
    """
    table = _table(frame, key=key, groups=groups, where=where, plain=plain_surname)
    sums = table.values.sum(axis=1)
    if (off := np.abs(sums - 1) > SUM).any():
        name = table.keys[int(off.argmax())]
        what = f"the probabilities of {name!r} sum to {sums[off.argmax()]:.4g}"
        raise DataError(where, what, "1, as shares and not percent, with every group")
    return GroupTable(table.keys, table.groups, table.values / sums[:, None])


def place_table(frame: pl.DataFrame, *, key: str, groups: Mapping[str, str], where: str) -> GroupTable:
    """A table of P(place | group), from how many people of each group live in each place; errors as `surname_table`."""
    table = _table(frame, key=key, groups=groups, where=where, plain=str.strip)
    totals = table.values.sum(axis=0)
    for group, total in zip(table.groups, totals, strict=True):
        if total <= 0:
            raise DataError(where, f"nobody of the group {group!r} lives anywhere", "counts of people")
    return GroupTable(table.keys, table.groups, table.values / totals)


def estimate(
    *,
    surnames: pl.Series,
    places: pl.Series,
    by_surname: GroupTable,
    by_place: GroupTable,
    attribute: str,
    source: str,
    cut: float,
) -> tuple[Probabilities, dict[str, int]]:
    """Each person's probabilities of the groups, and how they were found.

    Returns
    -------
    tuple
        The probabilities, NaN for whom neither table knows, and how many people by ``surname and place``,
        ``surname alone`` and ``neither``. A place alone says how common groups are where somebody lives and nothing
        of the person: it is used with a surname only.

    Raises
    ------
    ValueError
        If the tables name different groups.
    """
    if by_surname.groups != by_place.groups:
        raise ValueError(f"tables of different groups: {by_surname.groups} and {by_place.groups}")
    names = surnames.unique().drop_nulls()
    plain = surnames.replace_strict(names, pl.Series([plain_surname(name) for name in names]), default=None)
    prior, likelihood = by_surname.of(plain), by_place.of(places.str.strip_chars())
    joint = prior * likelihood
    total = joint.sum(axis=1)
    both = total > 0  # false where either is NaN, or where the place has nobody of the name's groups
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(both[:, None], joint / total[:, None], prior)
    alone = ~both & ~np.isnan(prior[:, 0])
    found: npt.NDArray[np.float32] = values.astype(np.float32)
    counts = {
        "surname and place": int(both.sum()),
        "surname alone": int(alone.sum()),
        "neither": int((~both & ~alone).sum()),
    }
    return Probabilities(attribute=attribute, names=by_surname.groups, values=found, source=source, cut=cut), counts


def plain_surname(name: str) -> str:
    """A surname as tables of surnames have it: capitals A to Z alone, without accents, blanks, hyphens and suffixes."""
    letters = unicodedata.normalize("NFKD", name).upper()
    words = "".join(
        each if each.isalpha() or each.isspace() else " " if each == "." else "" for each in letters
    ).split()
    while len(words) > 1 and words[-1] in ("JR", "SR", "II", "III", "IV"):
        words.pop()
    return "".join(each for each in "".join(words) if "A" <= each <= "Z")


def _table(
    frame: pl.DataFrame, *, key: str, groups: Mapping[str, str], where: str, plain: Callable[[str], str]
) -> GroupTable:
    for column in (key, *groups.values()):
        if column not in frame.columns:
            raise DataError(where, f"column {column!r} is not there", f"one of: {', '.join(frame.columns[:12])}")
    if len(groups) < 2:
        raise DataError(where, "has fewer than two groups", "a column for every group")
    keys = [plain(str(name)) for name in frame[key].fill_null("")]
    if len(set(keys)) < len(keys):
        twice = Counter(keys).most_common(1)[0][0]
        raise DataError(where, f"{twice!r} stands in several rows", "one row each")
    columns = [frame[column].cast(pl.Float64, strict=False).to_numpy() for column in groups.values()]
    values = np.column_stack(columns).astype(np.float64)
    if not np.isfinite(values).all() or (values < 0).any():
        row = int((~np.isfinite(values) | (values < 0)).any(axis=1).argmax())
        raise DataError(
            where,
            f"the row of {keys[row]!r} holds something other than a number of at least 0",
            "numbers in every cell",
        )
    return GroupTable(tuple(keys), tuple(groups), values)
