"""One attribute's erasures: the untouched run once, then windows and draws of permuted labels over the same states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.float_rows import numbers_of, table_of
from auditor.mechanisms._shared.randomisation import STOP, ended, relabel, relabellings
from auditor.mechanisms._shared.residual_streams import HookedStreams, Streams
from auditor.mechanisms._shared.scrubbing import (
    Design,
    Scrubbed,
    Window,
    covariances,
    design_of,
    marks_of,
    scrub,
    shift,
)
from auditor.mechanisms.erasure.result import Ran
from auditor.testing.context import FloatArray

#: Draws of the first batch; most sequences that end early end in it.
FIRST = 10


class Eraser:
    """Erases one attribute of the prompts of some applications.

    Parameters
    ----------
    streams
        The prompts, one for every group of every application, in order.
    target
        Where margins are read.
    groups, reference
        Number of groups, and which of them is the reference.
    noise
        What rounding does to this model.
    seed
        Of the draws.
    labels
        Whose label every prompt bears, [applications, groups]; its own group's by default. A study of null copies
        gives labels without a meaning.
    """

    def __init__(
        self,
        *,
        streams: Streams | HookedStreams,
        target: Target,
        groups: int,
        reference: int,
        noise: NoiseFloor,
        seed: int,
        labels: np.ndarray[Any, np.dtype[np.intp]] | None = None,
    ) -> None:
        self.streams, self.target, self.seed = streams, target, seed
        self.groups, self.reference = groups, reference
        self.applications = streams.rows // groups
        self.order = np.tile(np.arange(groups), (self.applications, 1)) if labels is None else labels
        self.noise = noise
        margins, masses = streams.through(target, layers=(), visit=lambda _: None, draws=1)
        self.clean: FloatArray = self._sorted(margins.numpy()[0][None], range(self.applications))[0]
        self.mass = float(masses.mean())
        self._covariances: dict[tuple[Window, bool], dict[int, FloatArray]] = {}

    def measured(self, *, swap: bool = False) -> tuple[int, ...]:
        """Applications that effects are measured on."""
        return self._design(swap).measured

    def possible(self) -> int:
        """Relabellings there are."""
        return relabellings(applications=self.applications - len(self.measured()), groups=self.groups)

    def floor(self, *, swap: bool = False) -> float:
        """How far rounding may set two means over the measured applications apart, in nats."""
        return self.noise.of_mean(len(self.measured(swap=swap)))

    def run(self, window: Window, *, draws: int, swap: bool = False, stop: bool = False, most: int = STOP) -> Ran:
        """Erase in a window.

        Parameters
        ----------
        window
            Where.
        draws
            Most draws of permuted labels.
        swap
            Whether the halves are exchanged.
        stop
            Whether draws end where ``most`` of them moved the difference as far, for every group.
        most
            How many.
        """
        design = self._design(swap)
        clean = self._clean(window, design, swap)
        found = self._scrub(window, design, None, clean)
        whole = self.clean.reshape(self.applications, self.groups)[list(design.measured)]
        effects = gaps_removed(whole, found.margins, self.reference)[0] * found.readable[0]
        controls, movement, readable = np.zeros((0, found.margins.shape[1])), np.zeros(0), np.zeros(0)
        fitted = self.applications - len(design.measured)
        count = min(draws, relabellings(applications=fitted, groups=self.groups))
        relabelled = relabel(applications=fitted, groups=self.groups, count=count, seed=(self.seed, int(swap)))
        while len(controls) < count:
            rest = relabelled[len(controls) :]
            size = min(FIRST if stop and not len(controls) else len(rest), self.streams.at_once())
            other = self._scrub(window, design, rest[:size], clean)
            controls, movement = np.concatenate([controls, other.margins]), np.concatenate([movement, other.movement])
            readable = np.concatenate([readable, other.readable])
            against = gaps_removed(whole, controls, self.reference) * readable[:, None]
            if stop and self._ended(effects, against, swap=swap, stop=most):
                # What does not stand out from permuted labels is held against no second control.
                count = 0
        turned = self._turned(window, design, found, count=min(count, draws), stop=most if stop else None, swap=swap)
        return Ran(
            clean=numbers_of(whole.ravel()),
            margins=numbers_of(found.margins[0]),
            controls=table_of(controls),
            turned=table_of(turned),
            mass=float(found.masses[0]),
            movement=float(found.movement[0]),
            movement_control=numbers_of(movement),
            left=float(found.left[0].max()),
            leftover=found.leftover,
            readable=float(found.readable[0]),
            readable_control=numbers_of(readable),
        )

    def _turned(
        self, window: Window, design: Design, found: Scrubbed, *, count: int, stop: int | None, swap: bool
    ) -> FloatArray:
        """Margins [draws, rows] with the moves of an erasure made in random directions."""
        whole = self.clean.reshape(self.applications, self.groups)[list(design.measured)]
        removed = gaps_removed(whole, found.margins, self.reference)[0]
        margins = np.zeros((0, found.margins.shape[1]))
        while len(margins) < count:
            rest = count - len(margins)
            size = min(FIRST if stop and not len(margins) else rest, self.streams.at_once(), rest)
            drawn = shift(
                self.streams,
                self.target,
                design=design,
                moves=found.moves,
                window=window,
                draws=size,
                seed=(self.seed, int(swap), len(margins)),
            )
            margins = np.concatenate([margins, self._sorted(drawn, design.measured)])
            against = gaps_removed(whole, margins, self.reference)
            if stop and self._ended(removed, against, swap=swap, stop=stop):
                break
        return margins

    def _ended(self, effects: FloatArray, against: FloatArray, *, swap: bool, stop: int) -> bool:
        """Whether enough draws are as large for every group."""
        floor = self.floor(swap=swap)
        pairs = zip(effects, against.T, strict=True)
        return all(ended(float(effect), mine.tolist(), floor=floor, stop=stop) for effect, mine in pairs)

    def _design(self, swap: bool) -> Design:
        return design_of(applications=self.applications, groups=self.groups, swap=swap, labels=self.order)

    def _clean(self, window: Window, design: Design, swap: bool) -> dict[int, FloatArray]:
        if (window, swap) not in self._covariances:
            found: dict[int, FloatArray] = {}

            def look(layer: int) -> None:
                found[layer] = covariances(self.streams, window, design, layer)
                if isinstance(self.streams, Streams) and layer == window.layers.start:
                    self.streams.keep(layer)

            self.streams.through(self.target, layers=window.layers, visit=look, draws=1, read=list(design.measured))
            self._covariances[window, swap] = found
        return self._covariances[window, swap]

    def _scrub(
        self,
        window: Window,
        design: Design,
        relabelled: np.ndarray[Any, np.dtype[np.intp]] | None,
        clean: dict[int, FloatArray],
    ) -> Scrubbed:
        marks = marks_of(design, relabelled)
        found = scrub(self.streams, self.target, design=design, marks=marks, window=window, clean=clean)
        margins = self._sorted(found.margins, design.measured)
        return replace(found, margins=margins)

    def _sorted(self, margins: FloatArray, applications: Any) -> FloatArray:
        """Margins [draws, rows] of some applications with every application's prompts in the order of their labels."""
        order = np.argsort(self.order[list(applications)], axis=1)
        table = margins.reshape(len(margins), -1, self.groups)
        return np.asarray(np.take_along_axis(table, order[None], axis=2).reshape(len(margins), -1))


def gaps_removed(clean: FloatArray, margins: FloatArray, reference: int) -> FloatArray:
    """Mean difference to the reference, clean minus erased, [draws, other groups].

    Parameters
    ----------
    clean
        Margins [applications, groups].
    margins
        Margins after erasures, [draws, applications · groups].
    reference
        The reference's column.
    """
    table = margins.reshape(len(margins), *clean.shape)
    others = [column for column in range(clean.shape[1]) if column != reference]
    before = (clean[:, others] - clean[:, [reference]]).mean(axis=0)
    after = (table[:, :, others] - table[:, :, [reference]]).mean(axis=1)
    return np.asarray(before - after)
