"""The tree of a section as paper has it: every block reduced to those that are set on a page one under the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from reports import tables
from reports.blocks import Block, Figure, Ladder, Numbers, Paper, Printed, Text
from reports.ladder_tables import ladder_tables


def on_paper(blocks: Iterable[Block]) -> Iterator[Printed]:
    """The blocks that are printed, in their order: numbers that a page opens are left out or shortened."""
    for block in blocks:
        if isinstance(block, Numbers):
            yield from tables.printed(block)
        elif isinstance(block, Figure):
            yield block
            yield from on_paper(block.below)
        elif isinstance(block, Ladder):
            yield from ladder_tables(block.contrasts)
        elif isinstance(block, Paper):
            yield from on_paper(block.compose())
        elif isinstance(block, Text) and block.title:
            yield replace(block, words=f"{block.title}. {block.words}".strip(), title="")
        else:
            yield block
