"""Points of steering as the specification curve reads them: every layer, dose, half and metric against its controls.

The declared point has the p-value of the family; the others repeat it (specifications.py). Metrics cost no run, because
all of them are had from the same margins. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.controls import holds, within_rounding
from auditor.mechanisms._shared.decision_checks import keeps_mass
from auditor.mechanisms._shared.float_rows import array_of
from auditor.mechanisms._shared.randomisation import Randomised, randomised, together
from auditor.mechanisms._shared.scales import scale_of, steepness
from auditor.mechanisms._shared.specifications import (
    DECISIONS,
    MARGIN,
    PROBABILITY,
    Agreement,
    Result,
    Specification,
    agreement,
)
from auditor.mechanisms._shared.step_bounds import LEAST_IN_GROUP, SMALLEST_GAP
from auditor.mechanisms.steering.result import WAYS, Half, Point, Way
from auditor.statistics.results import FloatArray


@dataclass(frozen=True)
class Before:
    """Untouched margins in nats of the prompts that a way changes, shape (n,): the reference's, and the group's."""

    towards: FloatArray
    away: FloatArray

    @classmethod
    def of_half(cls, half: Half, *, groups: Sequence[str], group: int, reference: int) -> Before:
        """Those of one half of the applications."""
        clean = array_of(half.clean, len(groups))
        return cls(clean[:, reference], clean[:, group])

    def of(self, way: Way) -> FloatArray:
        """Those of one way."""
        return self.towards if way == "towards" else self.away

    @cached_property
    def gaps(self) -> FloatArray:
        """Difference between the groups by application."""
        return self.away - self.towards

    @cached_property
    def gap(self) -> float:
        """Mean difference between the groups."""
        return float(self.gaps.mean())

    @cached_property
    def both(self) -> FloatArray:
        """The margins of both ways."""
        return np.concatenate([self.towards, self.away])


@dataclass(frozen=True)
class Steered:
    """A point, and the untouched margins of the prompts that it changes."""

    point: Point
    before: Before

    def change(self, way: Way, scale: Callable[[FloatArray], FloatArray] = lambda values: values) -> float:
        """Mean change of the margin, or of what is read in its place."""
        return float((scale(np.array(self.point.margins.of(way))) - scale(self.before.of(way))).mean())

    def changes(self, way: Way) -> FloatArray:
        """Change of the margin by application, in nats."""
        return np.array(self.point.margins.of(way)) - self.before.of(way)

    def specification(self, metric: str, draw: int) -> Specification:
        """How the point asks."""
        point = self.point
        return Specification(
            window="last token",
            layers=(point.target, point.target),
            coefficient=point.dose,
            metric=metric,
            seed=draw,
        )


@dataclass(frozen=True)
class Read:
    """How margins of steered prompts are read.

    Attributes
    ----------
    threshold
        Margin from which on a decision is favourable, in nats.
    noise, floor
        What rounding does to a margin, and to a mean over the steered applications, in nats.
    alpha
        The plan's level.
    mass
        Mean probability on the answers, untouched.
    """

    threshold: float
    noise: NoiseFloor
    floor: float
    alpha: float
    mass: float

    def apart(self, gap: float) -> bool:
        """Whether there is a difference between the groups that directions can be held against."""
        return abs(gap) > max(SMALLEST_GAP, self.noise.bound)

    def agrees(self, at: Steered, *, metric: str = MARGIN) -> bool:
        """Towards goes as the difference between the groups does and away against it; without one, opposite ways."""
        towards, away = (at.change(way, self._scale(metric)) for way in WAYS)
        gap = at.before.gap
        return towards * away < 0 and (not self.apart(gap) or towards * gap > 0)

    def both(self, at: Steered, *, metric: str = MARGIN) -> dict[Way, Randomised]:
        """By way, one-sided: towards as the difference between the groups goes and away against it."""
        gap, scale = at.before.gap, self._scale(metric)
        signs: dict[Way, float] = {"towards": gap, "away": -gap}
        floor = self.floor * steepness(metric, at.before.both)
        return {
            way: together(
                [
                    randomised(
                        at.change(way, scale),
                        drawn,
                        floor=floor,
                        stop=None,
                        direction=signs[way] if self.apart(gap) else None,
                    )
                    for drawn in self._controls(at, way, metric)
                ]
            )
            for way in WAYS
        }

    def hidden(self, at: Steered) -> str | None:
        """Why rounding may stand behind what a direction does; ``None`` where not."""
        size = min(abs(at.change(way)) for way in WAYS)
        if not within_rounding(size, floor=self.floor):
            return None
        return (
            f"the movement, {size:.2g} logits, is within the {self.floor:.2g} that rounding alone could make "
            f"({self.noise.arithmetic})"
        )

    def agreement(
        self,
        points: Sequence[Steered],
        exchanged: Sequence[Steered],
        declared: Steered,
        found: Randomised,
        *,
        exact: bool,
    ) -> Agreement:
        """Every layer into itself at every dose, and the declared one with the halves exchanged, by every metric.

        Each against its own draws, where the answers keep their probability. Decisions are read at the declared point
        alone: they are the same margins once more, by far fewer steps. There are none where margins are not ``exact``.
        """
        results = list(self._all(points, exchanged, declared, found))
        if exact:
            results.append(self._one(declared, DECISIONS, draw=1))
        return agreement(results, declared=declared.specification(MARGIN, 1))

    def _all(
        self, points: Sequence[Steered], exchanged: Sequence[Steered], declared: Steered, found: Randomised
    ) -> Iterator[Result]:
        for draw, asked in ((1, points), (2, exchanged)):
            for at in asked:
                if draw == 1 and at.point.source != at.point.target:
                    continue
                yield self._one(at, MARGIN, draw=draw, found=found if at.point is declared.point else None)
                yield self._one(at, PROBABILITY, draw=draw)

    def _one(self, at: Steered, metric: str, *, draw: int, found: Randomised | None = None) -> Result:
        own = found or together(list(self.both(at, metric=metric).values()))
        beyond = holds(own, alpha=self.alpha)
        if beyond and not self.agrees(at, metric=metric):
            beyond = False
        hidden = self.hidden(at)
        if hidden or not keeps_mass(at.point.mass, self.mass):
            beyond = None
        reason = hidden or ("" if beyond is not None else "too few draws, or the answers lost their probability")
        many = len(at.before.towards)
        if metric == DECISIONS and not beyond and many < LEAST_IN_GROUP:
            beyond, reason = None, f"{many} applications, {LEAST_IN_GROUP} needed for a share of them to say no"
        return Result(
            specification=at.specification(metric, draw),
            estimate=at.change("towards", self._scale(metric)),
            holds=beyond,
            reason=reason,
            unit=metric,
        )

    def _controls(self, at: Steered, way: Way, metric: str) -> list[Sequence[float]]:
        """Mean changes by the directions of shuffled labels, and by random ones."""
        point, before = at.point, at.before.of(way)
        if metric == DECISIONS and point.declared is not None:
            # Only the declared point keeps every draw's margins, shuffled labels first.
            scale = self._scale(metric)
            changes = scale(array_of(point.declared.of(way), len(before))) - scale(before)
            both = changes.mean(axis=1)
            return [both[: len(both) // 2].tolist(), both[len(both) // 2 :].tolist()]
        drawn = point.drawn if metric == MARGIN else point.chances
        return [drawn.controls.of(way), drawn.random.of(way)]

    def _scale(self, metric: str) -> Callable[[FloatArray], FloatArray]:
        return scale_of(metric, threshold=self.threshold)
