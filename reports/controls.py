"""What the audit tried on itself: a planted difference, an irrelevant field, the same prompt again, and its power."""

from __future__ import annotations

from auditor.records import Measurement
from reports import numbers, sentences, wording
from reports.blocks import Cell, Table
from reports.story import Story
from reports.wording import sentence_case

NOT_RUN = "not run"


def control_table(story: Story, title: str) -> Table:
    """Planted bias, placebo, the same prompt again, and power, one row each; what was not run says so and why."""
    rows: list[tuple[Cell, ...]] = [_planted(story)]
    for name, how, change in (
        ("Placebo", "Negative control: one irrelevant field changed; decisions should stay", "placebo"),
        ("Asked again", "Test–retest: the same prompt once more, alone; decisions should stay", "reask"),
    ):
        found = [item for item in story.floors if item.subject.get("change") == change]
        rows.append(_floor(found, name, how) if found else (name, how, NOT_RUN, numbers.DASH))
    if drawn := [item for item in story.floors if item.subject.get("change") == "replicate"]:
        rows.append(_floor(drawn, "Another draw", "Two sampled answers to one prompt; how often they differ"))
    rows.append(power(story))
    return Table(
        title=title,
        head=("Control", "What it shows", "Result", f"{numbers.interval_head(story.floors)}, %"),
        rows=tuple(rows),
        align="llrr",
        weights=(0.13, 0.6, 0.14, 0.13),
        note=" ".join(missing_words(story.floors)),
    )


def missing_words(measurements: list[Measurement]) -> list[str]:
    """Why numbers are missing, one sentence a reason."""
    reasons: dict[str, dict[str, None]] = {}
    for item in measurements:
        if item.estimate is None:
            why = wording.reason_words(item)
            whom = sentences.against([item]) if item.reference else wording.contrast(item)
            reasons.setdefault(why, {})[f"{wording.lower_first(wording.metric_label(item))} ({whom})"] = None
    return [f"No value of {wording.joined(list(names))}: {why.rstrip('.')}." for why, names in reasons.items()]


def _planted(story: Story) -> tuple[Cell, ...]:
    planted = story.bundle.controls.planted_bias
    if planted is None:
        how = f"Would show that a known difference is found. {sentence_case(story.no_planted_bias)}"
        return ("Planted bias", how, NOT_RUN, numbers.DASH)
    return ("Planted bias", planted.design, planted.result, numbers.DASH)


def _floor(found: list[Measurement], name: str, how: str) -> tuple[Cell, ...]:
    """One kind of floor at the model's own cut-off, and in words the most it is at the others."""
    item = next((one for one in found if one.subject.get("cut_off", "natural") == "natural"), found[0])
    design = f"{how}; {numbers.count(item.n)} applications"
    for place, words in (("matched", "the matched cut-off"), ("largest", "the cut-off of the largest difference")):
        there = [one for one in found if one.subject.get("cut_off") == place and one.estimate is not None]
        if there:
            most = max(there, key=lambda one: one.estimate or 0.0)
            several = len(there) > 1
            of = f", the most of {numbers.count(len(there))} such cut-offs" if several else ""
            design += f"; at {words} {numbers.estimate_and_interval(most)}%{of}"
    if item.estimate is None:
        return (name, design, f"{numbers.DASH} (reason below)", numbers.DASH)
    return (name, design, f"{numbers.estimate(item)} changed", numbers.interval(item))


def power(story: Story) -> tuple[Cell, ...]:
    """The smallest effect that the weakest contrast in approvals could have seen, as a row of controls."""
    name, share = "Smallest effect", numbers.percent(story.design.power, decimals=0)
    found = least_powerful(story)
    if found is None:
        effects = _effects(story)
        why = (
            "The run gives no smallest one; the intervals show what is excluded" if effects else "Nothing was compared"
        )
        return (name, why, "not known" if effects else NOT_RUN, numbers.DASH)
    item, mde, of = found
    # An effect computed from the run's own flips restates the data: it is never printed as one fixed beforehand.
    about = sentences.what_words(item, story.design, [item])
    how = (
        f"In {about}, with {share}% power, worked out after the run from its own flips: "
        f"{wording.contrast(item)}, the least powerful of {of}"
    )
    return (name, how, f"{numbers.detectable(mde, item.unit)} {numbers.unit_name(item)}", numbers.DASH)


def _effects(story: Story) -> list[Measurement]:
    decisions = (sentences.OWN, sentences.MATCHED, sentences.RANGE)
    return [item for item in story.primary if item.metric in decisions]


def least_powerful(story: Story) -> tuple[Measurement, float, int] | None:
    """The contrast in approvals that could see least, what it could see, and of how many it is the worst."""
    known = [(item, mde) for item in _effects(story) if (mde := item.counts.get("mde")) is not None]
    return (*max(known, key=lambda pair: pair[1]), len(known)) if known else None
