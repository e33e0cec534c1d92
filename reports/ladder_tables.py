"""The ladder and outputs × internals as two tables."""

from __future__ import annotations

from collections.abc import Sequence

from reports import wording
from reports.blocks import Table
from reports.evidence_ladder import COLUMNS, EXPLAINED, ROWS, Corner, LadderRow, corners, outside_words


def ladder_tables(found: Sequence[LadderRow]) -> list[Table]:
    """How far up each attribute stands, step by step with its reason, and outputs crossed with internals."""
    if not found:
        return []
    cells = {(cell.outputs, cell.inside): _cell(cell) for cell in corners(found)}
    crossed = Table(
        title="Outputs crossed with internals",
        head=("", *COLUMNS.values()),
        rows=tuple((said, *(cells[outputs, inside] for inside in COLUMNS)) for outputs, said in ROWS.items()),
        align="lll",
        weights=(0.2, 0.4, 0.4),
        note=" ".join(outside_words(found)),
    )
    return [steps_table(found, title="How far up each attribute stands", note=EXPLAINED), crossed]


def steps_table(found: Sequence[LadderRow], *, title: str, note: str = "") -> Table:
    """One row a step of each contrast, with what it says and why."""
    return Table(
        title=title,
        head=("Contrast", "Step", "Holds", "Why"),
        rows=tuple(row for item in found for row in _steps_of(item)),
        align="llll",
        weights=(0.17, 0.1, 0.1, 0.63),
        note=note,
    )


def _steps_of(item: LadderRow) -> list[tuple[str, str, str, str]]:
    """A row a step and one for the kind of evidence; the contrast is named in the first of them."""
    rows = [(wording.sentence_case(step.name), step.says.capitalize(), _sentence(step.reason)) for step in item.steps]
    rows.append(("Evidence", "", f"{item.grade.capitalize()}."))
    return [(item.contrast if number == 0 else "", *row) for number, row in enumerate(rows)]


def _cell(cell: Corner) -> str:
    members = [f"{item.contrast} ({item.by})" if item.by else item.contrast for item in cell.members]
    return f"{cell.name}. {cell.advice} Here: {'; '.join(members) or 'none'}."


def _sentence(text: str) -> str:
    return f"{wording.sentence_case(text.rstrip('.'))}." if text else ""
