"""What features chosen at random do in the place of the chosen ones, and how often it is as much.

Taking anything out of the states moves margins. So an effect of chosen features counts by its rank among those of
features matched in how often and how strongly they act, with the movement of the states made equal. Draws go one by one
and stop where enough of them were as large (Besag and Clifford 1991): the p-value stays exact and nulls end early.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.statistics.results import FloatArray

ENOUGH = 5
"""As-large draws after which no more are needed: the p-value is at least 5 by the draws made."""
FIRST = 15
"""Draws of the first round; a second round only follows where it left a question."""


@dataclass(frozen=True)
class Rank:
    """Where an effect stands among draws.

    Attributes
    ----------
    p_value
        Of an effect at least as large in the expected direction.
    draws
        How many were looked at.
    as_large
        How many of them were as large.
    """

    p_value: float
    draws: int
    as_large: int

    def too_few(self, needed: int) -> str | None:
        """Why the draws are too few for a test that needs so many; ``None`` where they are enough or ended it."""
        if self.as_large >= ENOUGH or self.draws >= needed:
            return None
        return f"too few draws to say: {self.draws} of random features, where {needed} are needed"


def rank(value: float, drawn: Sequence[float] | FloatArray) -> Rank:
    """Rank a value among draws, in their order, until ``ENOUGH`` of them are as large."""
    as_large = 0
    for number, other in enumerate(drawn, start=1):
        as_large += other >= value
        if as_large == ENOUGH:
            return Rank(as_large / number, number, as_large)
    return Rank((1 + as_large) / (1 + len(drawn)), len(drawn), as_large)


def settled(value: float, drawn: Sequence[float] | FloatArray) -> bool:
    """Whether draws were enough to end a test early."""
    return rank(value, drawn).as_large >= ENOUGH


def gap_moved(before: FloatArray, after: FloatArray) -> float:
    """How far a change moves the groups' difference of margins towards 0, in nats; below 0 if it widens it.

    Parameters
    ----------
    before, after
        Margins by application, reference first, shape (applications, 2).
    """
    gap = before[:, 1] - before[:, 0]
    left = after[:, 1] - after[:, 0]
    return float(np.sign(gap.mean()) * (gap - left).mean())


def moved_to_group(before: FloatArray, after: FloatArray) -> float:
    """How far the reference's margin moves in the direction of the group's, in nats; shapes (applications, 1 or 2)."""
    gap = before[:, 1] - before[:, 0]
    return float(np.sign(gap.mean()) * (after[:, 0] - before[:, 0]).mean())
