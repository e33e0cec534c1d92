"""Scores that moved while no decision changed: between two groups, and between two versions of a model."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.comparison_card import FLIP_RATE, MARGIN_CHANGE
from auditor.finding_words import NO_DECISION_CHANGED, unturned
from auditor.records import Measurement
from reports import numbers
from reports.sentences import SCORE, against, shown
from reports.wording import SEEN, excludes_zero

NEARLY_ALL = 0.9
"""The share of decisions from which a version that turns them has turned nearly all."""


def unmoved(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Shifts of the score that were found where no decision changed at the model's own cut-off."""
    return [
        item
        for item in measurements
        if item.metric == SCORE and item.conclusion in SEEN and unturned(item, measurements) is not None
    ]


def unmoved_sentence(measurements: Sequence[Measurement]) -> str | None:
    """One sentence that names them, with the size of each; ``None`` where there are none."""
    found = unmoved(measurements)
    if not found:
        return None
    each = "; ".join(f"{against([item])} {shown(item)}, {numbers.count(item.n)} pairs" for item in found)
    return f"{NO_DECISION_CHANGED} at the model's own cut-off: {each}."


def versions_sentence(measurements: Sequence[Measurement]) -> str | None:
    """What a comparison of two versions says first: how many decisions as filed the later one turns.

    ``None`` where no application was decided by both.
    """
    flips = next((item for item in measurements if item.metric == FLIP_RATE), None)
    lost, gained = (None, None) if flips is None else (flips.counts.get("b"), flips.counts.get("c"))
    if flips is None or not flips.n or lost is None or gained is None:
        return None
    turned, of = int(lost + gained), numbers.count(flips.n)
    ways = f"{numbers.count(int(lost))} lose approval, {numbers.count(int(gained))} gain it"
    if turned == flips.n:
        return f"The later version turns every decision: all {of} applications as filed go the other way; {ways}."
    if turned >= NEARLY_ALL * flips.n:
        return (
            f"The later version turns nearly every decision: {numbers.count(turned)} of {of} applications as filed go "
            f"the other way; {ways}."
        )
    if turned:
        return f"The later version decides {numbers.count(turned)} of {of} applications as filed the other way: {ways}."
    margin = next((item for item in measurements if item.metric == MARGIN_CHANGE), None)
    if margin is not None and excludes_zero(margin):
        moved = f"the score moved by {numbers.estimate_and_interval(margin)} {numbers.unit_name(margin)} on average"
        return f"{NO_DECISION_CHANGED}: all {of} applications as filed are decided as before, and {moved}."
    return f"No decision changed: all {of} applications as filed are decided as before."
