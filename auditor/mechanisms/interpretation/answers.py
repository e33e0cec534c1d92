"""What a description got right on applications it was not made from, as a ledger keeps it. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import ConfigDict

from auditor.statistics.rates import Tally, wilson
from auditor.testing.rows import Row


@dataclass(frozen=True, slots=True)
class Answered:
    """Right answers, all answers, and the applications they come from."""

    # Made by the thousand: a dataclass that is read as rows are costs less than a row.
    __pydantic_config__: ClassVar[ConfigDict] = Row.model_config

    right: float
    all: float
    applications: int

    @property
    def share(self) -> float | None:
        """The share of right answers; ``None`` where nothing was asked."""
        return self.right / self.all if self.all else None

    def interval(self, level: float) -> tuple[float, float]:
        """Wilson's, with the applications as n."""
        right = int(np.floor((self.share or 0.0) * self.applications + 0.5))
        bounds = wilson(Tally(right, self.applications), level=level)
        return bounds.low, bounds.high


@dataclass(frozen=True, slots=True)
class Answers:
    """What a description got right, by kind of question: right answers, all answers, and their applications.

    ``found``: active contexts it speaks of. ``near``, ``far``: inactive ones it does not, in the same pieces and
    elsewhere. ``right``: in active contexts, the active tokens it speaks of. ``wrong``: there and in the contexts
    beside, the inactive ones it does not.
    """

    __pydantic_config__: ClassVar[ConfigDict] = Row.model_config

    found: Answered
    near: Answered
    far: Answered
    right: Answered
    wrong: Answered

    @property
    def detection(self) -> float:
        """Balanced share of right answers on contexts."""
        return mean_or_half([self.found.share, mean_or_half([self.near.share, self.far.share])])

    @property
    def fuzzing(self) -> float:
        """Balanced share of right answers on tokens."""
        return mean_or_half([self.right.share, self.wrong.share])

    def detection_interval(self, *, level: float) -> tuple[float, float]:
        """The mean of Wilson's intervals over what is balanced, applications as n; not empty where all is right."""
        return self._interval([[self.found], [self.near, self.far]], self.detection, level)

    def fuzzing_interval(self, *, level: float) -> tuple[float, float]:
        """As for detection."""
        return self._interval([[self.right], [self.wrong]], self.fuzzing, level)

    @staticmethod
    def _interval(balanced: Sequence[Sequence[Answered]], value: float, level: float) -> tuple[float, float]:
        ends: list[tuple[float, float]] = []
        for side in balanced:
            bounds = [part.interval(level) for part in side if part.all]
            if bounds:
                ends.append((mean_or_half([low for low, _ in bounds]), mean_or_half([high for _, high in bounds])))
        low, high = (mean_or_half([end[side] for end in ends]) for side in (0, 1))
        return min(low, value), max(high, value)


def mean_or_half(values: Sequence[float | None]) -> float:
    """The mean of what was asked; 1/2, which tells nothing apart, where nothing was."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else 0.5
