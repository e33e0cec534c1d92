"""The section about what happens inside the model: supporting evidence, test by test, each with its self-checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.catalogue import card_of, on_outputs
from auditor.records import Check, Measurement, Role
from auditor.synthesis.ladder import TEST as LADDER
from auditor.testing.card import Card
from reports import numbers, wording
from reports.blocks import Block, Figure, Paper, Table, Text
from reports.feature_words import blocks_of
from reports.how_many import of_one, one_case_words
from reports.maps import Map, maps_of
from reports.specification_tables import asked_otherwise
from reports.story import Story
from reports.tables import missing

ROWS_AT_MOST = 12
UNCHECKED_NAMED = 8
SUPPORTING = (
    "Supporting evidence. What a model's internals show is not an outcome: that a field can be read from the states "
    "does not mean the decision uses it, and none of this replaces the results on decisions."
)
NOT_PART = "Not part of this run: the plan names no test of the model's internals."
PARTS = {
    "fields": "What drove the decisions",
    "encoded": "Encoded: can the attribute be read?",
    "used": "Used: does the decision go through it?",
    "usable": "Usable: could it move decisions?",
    "where": "Where in the model is the difference carried?",
    "parts": "What do the model's parts stand for?",
    "": "Further tests on internals",
}


@dataclass(frozen=True)
class InsideTest:
    """A test on internals with its measurements, and its card where the test is installed here."""

    name: str
    card: Card | None
    rows: tuple[Measurement, ...]

    @property
    def label(self) -> str:
        """Its name in words."""
        return wording.test_label(self.name)


def parts_of(measurements: Sequence[Measurement]) -> list[tuple[str, list[InsideTest]]]:
    """Tests on internals under the questions they answer; the ladder, which is read from them, stands apart."""
    rows: dict[str, list[Measurement]] = {}
    for item in measurements:
        if item.role is Role.SUPPORTING and item.test != LADDER and not on_outputs(item.test):
            rows.setdefault(item.test, []).append(item)
    tests = [InsideTest(name, card_of(name), tuple(mine)) for name, mine in rows.items()]
    asked = [(test.card.question if test.card and test.card.question in PARTS else "", test) for test in tests]
    found = [(title, [test for name, test in asked if name == question]) for question, title in PARTS.items()]
    return [(title, mine) for title, mine in found if mine]


def inside(story: Story) -> list[Block]:
    """Method, limits, maps, figures and checks of every test that looks inside the model, or why there are none."""
    parts = parts_of(story.measurements)
    if not parts:
        return [Paper(lambda: [Text(NOT_PART)])]
    # On a page the note stands over the ladder, once.
    blocks: list[Block] = [Paper(lambda: [supporting_note(parts)])]
    for title, tests in parts:
        blocks.append(Text(title, tone="heading"))
        for test in tests:
            maps = maps_of(test.rows)
            blocks += [_lead(test), *(figure for shown in maps for figure in _map(shown, story))]
            for rows in without_maps(test.rows, maps):
                blocks += [Text(one_case_words(rows))] if len(rows) > 1 and of_one(rows) else []
                blocks += _largest(rows, story)
            blocks += blocks_of(test.rows, story.measurements)
            blocks += [item for item in (asked_otherwise(test.rows), checks(test.rows)) if item is not None]
    return blocks


def supporting_note(parts: Sequence[tuple[str, Sequence[InsideTest]]]) -> Text:
    """What these figures are worth, and how many of them stand beside a self-check."""
    figures = [row for _, tests in parts for test in tests for row in test.rows]
    return Text(f"{SUPPORTING} {checked_words(figures)}", tone="note")


def _map(shown: Map, story: Story) -> list[Figure]:
    """A map with, on a page, the numbers that it draws."""
    if shown.name not in story.charts:
        return []
    chart = story.charts[shown.name]
    return [Figure(chart, shown.reading, (story.numbers(shown.name, shown.rows, title=chart.title),))]


def checked_words(rows: Sequence[Measurement]) -> str:
    """How many figures stand beside a self-check, how many were withheld by one, and which have none and why."""
    held = sum(bool(item.checks) and all(check.held for check in item.checks) for item in rows)
    failed = sum(any(not check.held for check in item.checks) for item in rows)
    bare = [item for item in rows if not item.checks]
    said = f"Of {numbers.count(len(rows))} figures, {numbers.count(held)} stand beside self-checks that held"
    said += f" and {numbers.count(failed)} are withheld because a self-check did not hold" if failed else ""
    if not bare:
        return f"{said}."
    metrics = dict.fromkeys(wording.lower_first(wording.metric_label(item)) for item in bare)
    named = list(metrics)[:UNCHECKED_NAMED]
    more = f" and {numbers.count(len(metrics) - len(named))} more kinds" if len(metrics) > len(named) else ""
    return (
        f"{said}; {numbers.count(len(bare))} have none, since they describe or count what other figures show "
        f"and nothing else gives the same number: {', '.join(named)}{more}."
    )


def without_maps(rows: Sequence[Measurement], maps: Sequence[Map]) -> list[list[Measurement]]:
    """Metrics that no map draws, one list each."""
    drawn = {item.id for shown in maps for item in shown.rows}
    left = [item for item in rows if item.id not in drawn]
    return [[item for item in left if item.metric == metric] for metric in dict.fromkeys(item.metric for item in left)]


def _lead(test: InsideTest) -> Text:
    card = test.card
    words = f"{card.purpose} {card.method} Limits: {card.limitations}" if card else ""
    return Text(words, title=test.label)


def _largest(rows: Sequence[Measurement], story: Story) -> list[Block]:
    """The figures of one metric, on paper the largest, or in a line why there is none.

    All of them stand in the section of measurements.
    """
    name, title = f"{rows[0].test}.{rows[0].metric}", wording.metric_label(rows[0])
    if all(item.estimate is None for item in rows):
        why = Text(" ".join(missing(rows)), tone="small")
        return [Paper(lambda: [why]), story.numbers(name, rows, title=title)]
    ranked = sorted(rows, key=lambda item: -abs(item.estimate) if item.estimate is not None else 1.0)
    shown = tuple(ranked[:ROWS_AT_MOST])
    left = len(rows) - len(shown)
    words = f"The {ROWS_AT_MOST} largest of {numbers.count(len(rows))}; all stand under “All measurements”."
    note = wording.illustration(shown)
    return [story.numbers(name, rows, title=title, printed=shown, note=note, left_out=words if left else "")]


def checks(rows: Sequence[Measurement]) -> Table | None:
    """Every kind of self-check once: the one that came nearest to its own bound, or went farthest beyond it."""
    known: dict[str, list[Check]] = {}
    for item in rows:
        for check in item.checks:
            known.setdefault(check.name, []).append(check)
    if not known:
        return None
    worst = {name: max(mine, key=_nearness) for name, mine in known.items()}
    return Table(
        title="Self-checks",
        head=("Check", "Held", "Worst", "Bound", "Of", "Note"),
        rows=tuple(
            (
                name,
                "yes" if check.held else "no",
                numbers.figure(check.value),
                numbers.figure(check.bound),
                numbers.count(len(known[name])),
                check.note,
            )
            for name, check in worst.items()
        ),
        align="llrrrl",
        weights=(0.27, 0.07, 0.11, 0.11, 0.08, 0.36),
        unfolded=not all(check.held for check in worst.values()),
    )


def _nearness(check: Check) -> tuple[bool, float]:
    """Whether it failed; then the figure over its own bound, or the bound over the figure where that is the least."""
    if check.value is None or check.bound is None:
        return not check.held, 0.0
    value, bound = abs(check.value), abs(check.bound)
    # A check with a least figure holds above its bound and fails below it.
    least = value > bound if check.held else value < bound
    over, under = (bound, value) if least else (value, bound)
    return not check.held, over / under if under > 0 else float("inf") if over > 0 else 0.0
