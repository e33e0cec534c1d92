"""What happens inside the model, for a person: the ladder, then a page a question; the annex has every test in full.

The site's page has the ladder from here, and every test as the annex has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from auditor.records import Measurement
from reports import numbers, wording
from reports.blocks import Block, Ladder, Paper, Text
from reports.evidence_ladder import ladder_rows
from reports.inside_sections import NOT_PART, InsideTest, parts_of, supporting_note
from reports.maps import Map, maps_of
from reports.story import Story
from reports.tables import missing, short_rows

FIGURES = 2
"""Maps a question, so that it keeps to a page; the others stand in the annex."""


def inside_in_short(story: Story) -> list[Block]:
    """The ladder and, question by question, what each test asked, the first maps, and the largest figure of each."""
    parts = parts_of(story.measurements)
    if not parts:
        return [Text(NOT_PART)]
    return [supporting_note(parts), *ladder(story), Paper(partial(_questions, story, parts))]


def ladder(story: Story) -> list[Block]:
    """How far up each contrast stands, that of the verdict first; nothing where no test asked."""
    found = ladder_rows(story.measurements)
    if not found:
        return []
    named = story.lead.subject if story.lead else {}
    first = next((item for item in found if item.measurement.subject.items() <= named.items()), found[0])
    return [Ladder(tuple(found), first)]


def _questions(story: Story, parts: Sequence[tuple[str, Sequence[InsideTest]]]) -> list[Block]:
    return [block for title, tests in parts for block in (Text(title, tone="heading"), *_question(story, tests))]


def _question(story: Story, tests: Sequence[InsideTest]) -> list[Block]:
    drawn = [first.name for test in tests if (first := _first_map(test)) is not None][:FIGURES]
    shown, empty = [], []
    for test in tests:
        found = _largest(test)
        if found is None:
            empty.append(f"{test.label}: {' '.join(missing(test.rows[:1])) or 'no figure.'}")
        else:
            shown.append(found)
    count = numbers.count(sum(len(test.rows) for test in tests))
    note = f"All {count} figures, the method, the limits and the self-checks of each test stand in the annex."
    note = " ".join(part for part in (note, wording.illustration(shown)) if part)
    return [
        *(Text(test.card.purpose if test.card else "", title=test.label) for test in tests),
        *(figure for name in drawn for figure in story.figure(name)),
        *([short_rows(shown, story.design, title="The largest figure of each test", note=note)] if shown else []),
        *(Text(words, tone="small") for words in empty),
    ]


def _first_map(test: InsideTest) -> Map | None:
    """The first map; what can be read where the prompt states the attribute is so by construction, and comes last."""
    maps = maps_of(test.rows)
    return min(
        maps, key=lambda shown: all(item.subject.get("setting") == "stated" for item in shown.rows), default=None
    )


def _largest(test: InsideTest) -> Measurement | None:
    """The largest figure of the metric that the test's first map draws, or of its first metric that has one."""
    shown = _first_map(test)
    rows = [item for item in (shown.rows if shown else test.rows) if item.estimate is not None]
    first = [item for item in rows if item.metric == rows[0].metric]
    return max(first, key=lambda item: abs(item.estimate or 0.0), default=None)
