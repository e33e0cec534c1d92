"""The figures of the leading contrast one by one, as the card of a page has them, each with its cases."""

from __future__ import annotations

from reports import numbers, sentences, wording
from reports.blocks import Cases, Cell
from reports.story import Story


def facts(story: Story) -> tuple[tuple[str, Cell], ...]:
    """Effect, applications, flips both ways, p and what changes by itself; nothing without a leading contrast."""
    lead = story.lead
    if lead is None:
        return ()
    shown = [
        (f"Effect, {wording.contrast(lead)}", sentences.shown(lead), lead.cases),
        ("Applications", numbers.count(lead.n), lead.cases),
    ]
    # Of different applicants nobody's decision was changed.
    flips = (
        () if sentences.of_different(lead) else (("b", "against", "Lose approval"), ("c", "towards", "Gain approval"))
    )
    for key, flipped, label in flips:
        # At the matched operating point a flip is one at another threshold: outcomes do not show it.
        query = f"{lead.cases};flipped:{flipped}" if lead.metric == sentences.OWN else lead.cases
        shown.append((label, numbers.count(lead.counts.get(key)), query))
    family = sum(item.family == lead.family for item in story.measurements) if lead.family else 1
    shown.append((f"p, adjusted in a family of {family}", numbers.p_value(lead.p_adjusted), lead.cases))
    if story.floors:
        floor = story.floors[0]
        label = f"Decisions that change: {wording.lower_first(wording.contrast(floor))}"
        shown.append((label, wording.with_reason(floor), floor.cases))
    return tuple((label, Cases((("", value, "", query),))) for label, value, query in shown)
