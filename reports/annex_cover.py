"""The first page of the technical annex: what it is, and whose."""

from __future__ import annotations

from reports import numbers
from reports.blocks import Block, Literal, Pairs, Text
from reports.story import Story


def annex_cover(story: Story) -> list[Block]:
    """What the annex holds, and the hashes that tie it to its report."""
    record = story.governance
    return [
        Text(
            "This annex belongs to the audit report of the same number, which has the conclusion, the findings "
            "and what the audit could not see; read alone it has none. It holds the design, the data and the "
            "prompts, secondary results, every test on internals with its method and self-checks, and all "
            "measurements. The report states the SHA-256 of this file, and both are checked together with the "
            "evidence."
        ),
        Pairs(
            rows=(
                ("Run", f"{numbers.date(record.started_at)} to {numbers.date(record.finished_at)}"),
                ("Measurements", numbers.count(len(story.measurements))),
                ("Design SHA-256", Literal(story.hashes["design"])),
                ("Run SHA-256", Literal(story.hashes["run"])),
                ("Bundle SHA-256", Literal(story.hashes["bundle"])),
                ("result.json SHA-256", Literal(story.hashes["result"])),
            )
        ),
    ]
