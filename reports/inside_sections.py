"""The section about what happens inside the model: supporting evidence, test by test, each with its self-checks."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.exceptions import PlanError
from auditor.records import Measurement, Role
from reports import numbers, wording
from reports.blocks import Block, Table, Text
from reports.maps import maps_of
from reports.story import Story
from reports.tables import short_rows

ROWS_AT_MOST = 12
SUPPORTING = (
    "Supporting evidence. What a model's internals show is no outcome: that a field can be read from the states does "
    "not mean the decision uses it, and none of this replaces the results on decisions. Every figure stands beside the "
    "check that it can be trusted; a figure whose check does not hold is not printed."
)


def inside(story: Story) -> list[Block]:
    """Maps, the largest figures and the checks of every test that looks inside the model, or why there are none."""
    rows = [item for item in story.bundle.measurements if item.role is Role.SUPPORTING]
    if not rows:
        return [Text("Not part of this run: the plan names no test of the model's internals.")]
    blocks: list[Block] = [Text(SUPPORTING, tone="note")]
    for test in dict.fromkeys(item.test for item in rows):
        mine = [item for item in rows if item.test == test]
        blocks += [Text(_lead(test)), *story.figures(*(shown.name for shown in maps_of(mine)))]
        blocks += [_largest(mine, metric, story) for metric in dict.fromkeys(item.metric for item in mine)]
        blocks += _checks(mine)
    return blocks


def _lead(test: str) -> str:
    # Found when a report is set: the tests bring torch along, half a gigabyte that a site or a scheduler never needs.
    from auditor.catalogue import find_tests

    label = wording.test_label(test)
    try:
        card = find_tests([test], where="report")[0].CARD
    except PlanError:  # a test of a package that is not installed where the report is set
        return f"{label}."
    return f"{label}. {card.purpose} {card.method} Limits: {card.limitations}"


def _largest(rows: Sequence[Measurement], metric: str, story: Story) -> Table:
    """The largest figures of one metric; all of them stand in the section of all measurements."""
    mine = [item for item in rows if item.metric == metric]
    ranked = sorted(mine, key=lambda item: -abs(item.estimate) if item.estimate is not None else 1.0)
    shown = ranked[:ROWS_AT_MOST]
    left = len(mine) - len(shown)
    note = (
        f"The {ROWS_AT_MOST} largest of {numbers.count(len(mine))}; all stand under “All measurements”." if left else ""
    )
    return short_rows(shown, story.design, title=wording.metric_label(shown[0]), note=note)


def _checks(rows: Sequence[Measurement]) -> list[Block]:
    """Every kind of self-check once, with its worst figure."""
    worst: dict[str, tuple[bool, float | None, float | None, str, int]] = {}
    for item in rows:
        for check in item.checks:
            held, value, bound, note, count = worst.get(check.name, (True, None, check.bound, check.note, 0))
            further = check.value is not None and (value is None or abs(check.value) > abs(value))
            worst[check.name] = (
                held and check.held,
                check.value if further else value,
                bound,
                note,
                count + 1,
            )
    if not worst:
        return []
    return [
        Table(
            title="Self-checks",
            head=("Check", "Held", "Largest", "Bound", "Of", "Note"),
            rows=tuple(
                (
                    name,
                    "yes" if held else "no",
                    numbers.figure(value),
                    numbers.figure(bound),
                    numbers.count(count),
                    note,
                )
                for name, (held, value, bound, note, count) in worst.items()
            ),
            align="llrrrl",
            weights=(0.27, 0.07, 0.11, 0.11, 0.08, 0.36),
        )
    ]
