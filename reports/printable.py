"""Which numbers may be printed as they were measured: one door for report, charts, pages and closing lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auditor.records import Measurement
from reports import numbers, small_cells

#: Shares of few explained decisions, which read like facts about the model: at least this many are needed.
SHARES_OF_DECISIONS = ("reason_share", "protected_reason_share", "reasons_turn_decision")
LEAST_FOR_A_SHARE = 30


def printable(
    measurements: Sequence[Measurement], *, small_cell: int, total: int | None = None
) -> tuple[Measurement, ...]:
    """The measurements without small cells and without shares of too few decisions; each says why.

    ``total`` is how many applications were asked about: what is printed must not be subtracted from it to find a few.
    """
    kept = small_cells.printable(measurements, small_cell=small_cell, total=total)
    return tuple(_enough(item) for item in kept)


def _enough(item: Measurement) -> Measurement:
    if item.metric not in SHARES_OF_DECISIONS or item.estimate is None or item.n >= LEAST_FOR_A_SHARE:
        return item
    why = f"{numbers.count(item.n)} adverse decisions were explained, and a share needs {LEAST_FOR_A_SHARE}"
    return replace(item, estimate=None, low=None, high=None, missing_reason=why)
