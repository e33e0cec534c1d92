"""Columns of probabilities for a table that has surnames and places: what the command `likely_groups` writes (BISG)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from auditor.exceptions import DataError
from auditor.observed.bisg import GroupTable, estimate

DIGITS = 6


@dataclass(frozen=True, eq=False)
class LikelyColumns:
    """A table with a column of probabilities a group, without its surnames.

    ``columns`` names the column of each group, ``counts`` says for how many rows each way served.
    """

    frame: pl.DataFrame
    columns: Mapping[str, str]
    counts: Mapping[str, int]

    def mapping_text(self, *, attribute: str, source: str, cut: float) -> str:
        """What a mapping needs to read them, as TOML to be added to it."""
        fields = "".join(
            f'[[fields]]\nname = {_quoted(name)}\ncolumn = {_quoted(name)}\nrole = "recorded"\ntype = "number"\n\n'
            for name in self.columns.values()
        )
        groups = ", ".join(f"{_quoted(group)} = {_quoted(name)}" for group, name in self.columns.items())
        return (
            f"{fields}[[decisions.probabilities]]\nattribute = {_quoted(attribute)}\nsource = {_quoted(source)}\n"
            f"cut = {cut}\ngroups = {{ {groups} }}\n"
        )


def likely_columns(
    frame: pl.DataFrame,
    *,
    surname: str,
    place: str,
    by_surname: GroupTable,
    by_place: GroupTable,
    attribute: str,
    source: str,
    where: str,
) -> LikelyColumns:
    """Add a column of probabilities for each group and leave the surnames out.

    Parameters
    ----------
    frame
        A row an application, with the columns ``surname`` and ``place``.
    where
        What refusals call it.

    Raises
    ------
    DataError
        For a missing column, or a file that has a column of that name already.
    """
    for name in (surname, place):
        if name not in frame.columns:
            raise DataError(where, f"column {name!r} is not there", f"one of: {', '.join(frame.columns[:12])}")
    found, counts = estimate(
        surnames=frame[surname].cast(pl.String),
        places=frame[place].cast(pl.String),
        by_surname=by_surname,
        by_place=by_place,
        attribute=attribute,
        source=source,
        cut=1.0,
    )
    columns = {group: f"p_{_plain(attribute)}_{_plain(group)}" for group in found.names}
    twice = [name for name in columns.values() if name in frame.columns or list(columns.values()).count(name) > 1]
    if twice:
        raise DataError(where, f"a column {twice[0]!r} would stand twice", "names of groups and columns that differ")
    values = np.round(found.values.astype(np.float64), DIGITS)
    added = [
        pl.Series(name, values[:, at]).fill_nan(None) for at, name in enumerate(columns.values())
    ]  # fmt: skip
    return LikelyColumns(frame.drop(surname).with_columns(added), columns, counts)


def _plain(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or "group"


def _quoted(words: str) -> str:
    # A basic string of TOML is written as one of JSON.
    return json.dumps(words, ensure_ascii=False)
