"""One attribute's erasures as the specification curve reads them: every window, half and metric against its controls.

The declared window has the p-value of the family. Windows, the exchange of halves and metrics repeat it
(specifications.py); metrics cost no run, because all of them are had from the same margins. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.controls import holds, within_rounding
from auditor.mechanisms._shared.float_rows import array_of
from auditor.mechanisms._shared.randomisation import Randomised, randomised, together
from auditor.mechanisms._shared.scales import scale_of, steepness
from auditor.mechanisms._shared.specifications import (
    DECISIONS,
    MARGIN,
    PROBABILITY,
    Agreement,
    Result,
    agreement,
)
from auditor.mechanisms._shared.step_bounds import LEAST_IN_GROUP, MOST_LEFT, SMALLEST_GAP
from auditor.mechanisms.erasure.result import Erasure, Ran
from auditor.mechanisms.erasure.runs import gaps_removed
from auditor.statistics.results import FloatArray


@dataclass(frozen=True, slots=True)
class Randomisations:
    """What an erasure does against shuffled labels, and against random directions."""

    labels: Randomised
    directions: Randomised

    @property
    def together(self) -> Randomised:
        """The control that it stands out from least."""
        return together([self.labels, self.directions])


@dataclass(frozen=True)
class Read:
    """How margins of erasures are read.

    Attributes
    ----------
    groups, reference
        The columns of every table of margins, and the reference's.
    threshold
        Margin from which on a decision is favourable, in nats.
    noise, floor
        What rounding does to a margin, and to a mean over the measured applications, in nats.
    alpha
        The plan's level.
    """

    groups: tuple[str, ...]
    reference: int
    threshold: float
    noise: NoiseFloor
    floor: float
    alpha: float

    def randomised(self, ran: Ran, column: int, *, stop: int | None = None, metric: str = MARGIN) -> Randomisations:
        """What an erasure takes off a group's difference, against shuffled labels and against random directions.

        Draws end where ``stop`` of them were as large.
        """
        clean = self._table(ran.clean)
        place = [other for other in range(len(self.groups)) if other != self.reference].index(column)
        scale = self._scale(metric)

        def removed(margins: FloatArray) -> FloatArray:
            return gaps_removed(scale(clean), scale(margins), self.reference)[:, place]

        effect = float(removed(np.array([ran.margins]))[0])
        against = removed(array_of(ran.controls, clean.size)) * np.array(ran.readable_control)
        turned = removed(array_of(ran.turned, clean.size))
        more = {} if stop is None else {"stop": stop}
        floor = self.floor * steepness(metric, clean)
        return Randomisations(
            labels=randomised(effect * ran.readable, against.tolist(), floor=floor, **more),
            directions=randomised(effect, turned.tolist(), floor=floor, **more),
        )

    def _scale(self, metric: str) -> Callable[[FloatArray], FloatArray]:
        return scale_of(metric, threshold=self.threshold)

    def hidden(self, ran: Ran, column: int) -> str | None:
        """Why rounding may stand behind the difference, or behind what an erasure took of it; ``None`` where not."""
        clean, erased = self._table(ran.clean), self._table(ran.margins)
        gap = float(self._gaps(clean, column).mean())
        removed = gap - float(self._gaps(erased, column).mean())
        for what, size, floor in (
            ("the difference in scores", gap, self.noise.bound),
            ("what the erasure takes off it", removed, self.floor),
        ):
            if within_rounding(size, floor=floor):
                return (
                    f"{what}, {abs(size):.2g} logits, is within the {floor:.2g} that rounding alone could make "
                    f"({self.noise.arithmetic})"
                )
        return None

    def agreement(
        self, declared: Erasure, repeats: Sequence[Erasure], column: int, found: Randomised, *, exact: bool
    ) -> Agreement:
        """The declared window and its repeats, each against controls of its own, read by every metric.

        Decisions are read in the declared window alone: they are the same margins once more, by far fewer steps. There
        are none where margins are not ``exact``.
        """
        results = [self._one(declared, column, MARGIN, found), self._one(declared, column, PROBABILITY)]
        # A repeat ends at one draw as large; the declared window has more.
        results += [self._one(each, column, metric, stop=1) for each in repeats for metric in (MARGIN, PROBABILITY)]
        if exact:
            results.append(self._one(declared, column, DECISIONS))
        return agreement(results, declared=results[0].specification)

    def _one(
        self, erasure: Erasure, column: int, metric: str, found: Randomised | None = None, *, stop: int | None = None
    ) -> Result:
        ran = erasure.ran
        clean, erased = self._table(ran.clean), self._table(ran.margins)
        scale = self._scale(metric)
        gap = float(self._gaps(scale(clean), column).mean())
        removed = gap - float(self._gaps(scale(erased), column).mean())
        own = found or self.randomised(ran, column, stop=stop, metric=metric).together
        beyond = holds(own, alpha=self.alpha)
        if abs(gap) <= SMALLEST_GAP * steepness(metric, clean):
            beyond = False if beyond is not None else None
        hidden = self.hidden(ran, column)
        if ran.left > MOST_LEFT or hidden:
            beyond = None
        reason = hidden or ("too few draws, or too much was left" if beyond is None else "")
        if metric == DECISIONS and not beyond and len(clean) < LEAST_IN_GROUP:
            beyond, reason = None, f"{len(clean)} applications, {LEAST_IN_GROUP} needed for a share of them to say no"
        return Result(
            specification=replace(erasure.specification, metric=metric),
            estimate=removed,
            holds=beyond,
            reason=reason,
            unit=metric,
        )

    def _table(self, margins: Sequence[float]) -> FloatArray:
        return array_of(margins, len(self.groups))

    def _gaps(self, table: FloatArray, column: int) -> FloatArray:
        return np.asarray(table[:, column] - table[:, self.reference])
