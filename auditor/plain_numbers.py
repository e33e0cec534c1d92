"""Columns of text in which numbers stand as programs write them, read all at once.

What is written otherwise is left to the rules that read one cell at a time (auditor/mappings.py): this file only spares
them the million cells that need no rule.
"""

from __future__ import annotations

import polars as pl

from auditor.number_forms import PLAIN

MAX_BYTES = 400  # of a number; as auditor.number_forms reads them
WHOLE = f"^(?:{PLAIN.pattern})$"


def are_plain(column: pl.Series) -> pl.Series:
    """Which cells of a column of text hold a number as ``PLAIN`` has it, blanks around it aside; an empty one does not.

    Parameters
    ----------
    column
        Text, ``(rows,)``.

    Returns
    -------
    pl.Series
        Truth values, ``(rows,)``.
    """
    bare = column.str.strip_chars()
    return (bare.str.contains(WHOLE) & (bare.str.len_bytes() <= MAX_BYTES)).fill_null(False)


def plain_numbers(column: pl.Series) -> pl.Series:
    """The numbers of a column of text, ``(rows,)``, null where a cell is not :func:`are_plain`."""
    bare = column.str.strip_chars()
    return bare.set(~are_plain(column), None).cast(pl.Float64)
