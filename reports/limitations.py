"""What the conclusion of an audit cannot carry, as a table: the rows of its kind, and that of an ungoverned run."""

from __future__ import annotations

from collections.abc import Sequence

from reports.blocks import Cell, Table
from reports.story import Story

UNGOVERNED: tuple[Cell, ...] = (
    "Ungoverned run",
    "No approval of the design stands behind the run, nobody reviewed the result",
    "Recorded and counted; repeat the design under the workflow",
)


def limitations_table(story: Story, rows: Sequence[tuple[Cell, ...]], *, weights: tuple[float, float, float]) -> Table:
    """Limitation, what it does to the conclusion, and what is done about it."""
    return Table(
        title="",
        head=("Limitation", "What it does to the conclusion", "What is done about it"),
        rows=(*rows, *(() if story.governance.governed else (UNGOVERNED,))),
        align="lll",
        weights=weights,
    )
