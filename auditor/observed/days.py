"""The days of decisions, a block of a file at a time, and how many cells hold something that is no day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from auditor.mappings import Field
from auditor.tables import Table


@dataclass
class Days:
    """The field that says when was decided, as blocks bring it; what cannot be read is no day, and is told."""

    item: Field
    blocks: list[npt.NDArray[np.datetime64]] = field(default_factory=list)
    unread: int = 0
    first: str = ""

    def add(self, table: Table) -> None:
        """Take the next rows: dates, or text that begins with one as 2026-11-30."""
        column = table.frame[self.item.columns[0]]
        text = column.dtype == pl.String
        days = column.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False) if text else column
        days = days.cast(pl.Date, strict=False)
        self.blocks.append(days.to_numpy().astype("datetime64[D]"))
        odd = (days.is_null() & column.is_not_null()).to_numpy()
        if not odd.any():
            return
        cells = column.filter(pl.Series(odd)).cast(pl.String).str.strip_chars()
        none = [each for each in cells.unique() if not each or self.item.is_missing(each)]
        odd[np.flatnonzero(odd)[cells.is_in(none).to_numpy()]] = False
        rows = np.flatnonzero(odd)
        if len(rows) and not self.first:
            self.first = f"{str(column[int(rows[0])])[:30]!r} in {table.place(int(rows[0]), column.name)}"
        self.unread += len(rows)

    def lines(self, rows: int) -> Iterator[str]:
        """A line where some of so many rows have no day that can be read."""
        if self.unread:
            yield (
                f"{self.unread:,} of {rows:,} rows have no day that can be read in {self.item.columns[0]!r}, first "
                f"{self.first}; expected a date, or text that begins with one as 2026-11-30"
            )
