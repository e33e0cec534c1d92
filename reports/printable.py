"""Which numbers may be printed as they were measured: one door for report, charts, pages and closing lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auditor.records import Measurement
from reports import numbers, small_cells
from reports.labels import metrics


def printable(
    measurements: Sequence[Measurement], *, small_cell: int, total: int | None = None
) -> tuple[Measurement, ...]:
    """The measurements without small cells and without shares of too few decisions; each says why.

    ``total`` is how many applications were asked about: what is printed must not be subtracted from it to find a few.
    """
    kept = small_cells.printable(measurements, small_cell=small_cell, total=total)
    return tuple(_enough(item) for item in kept)


def _enough(item: Measurement) -> Measurement:
    metric = metrics().get(item.metric)
    if metric is None or item.estimate is None or item.n >= metric.least_n:
        return item
    why = f"{numbers.count(item.n)} decisions are too few: this share needs {metric.least_n}"
    return replace(item, estimate=None, low=None, high=None, missing_reason=why)
