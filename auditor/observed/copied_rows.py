"""Rows that say the same as an earlier row, id aside: a block that was copied counts its decisions twice.

Rows of few coarse columns repeat by themselves. So they are told only where far more do than columns with such values
give by chance. Nothing is left out for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from auditor.observed.columns import Levels, Numbers

FEWEST, SHARE = 5, 0.001
"""Rows that have to repeat, and of which share, before they are told."""
BEYOND = 10.0
"""How many times more pairs of rows are alike than chance makes so."""


def copied_rows(hashes: npt.NDArray[np.uint64], columns: Iterable[Levels | Numbers]) -> str:
    """The line, or nothing.

    Parameters
    ----------
    hashes
        Shape (n,), of what every row says, id aside.
    columns
        What was read of the rows.
    """
    rows = len(hashes)
    _, counts = np.unique(hashes, return_counts=True)
    again = rows - len(counts)
    if again < max(FEWEST, SHARE * rows):
        return ""
    pairs = float((counts * (counts - 1.0) / 2).sum())
    if pairs <= BEYOND * (1 + _by_chance(rows, columns)):
        return ""
    return (
        f"{again:,} of {rows:,} rows say the same as an earlier row in every column that is read, the id aside: if "
        "they are copies, decisions count again, and tests are surer than they are"
    )


def _by_chance(rows: int, columns: Iterable[Levels | Numbers]) -> float:
    """Pairs of rows that are alike by chance.

    Were columns independent, the product of the chances that two rows agree in each. Columns go together, and one may
    say the same as another: its square root is what is left where every column is there twice.
    """
    log = 0.0
    for part in columns:
        values = part.codes if isinstance(part, Levels) else part.values
        _, counts = np.unique(values, return_counts=True)
        log += math.log(float(((counts / len(values)) ** 2).sum()))
    return rows * (rows - 1) / 2 * math.exp(log / 2)
