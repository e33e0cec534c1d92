"""Runs of the model with its states changed: what the half that chooses shows, and what the other half measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from auditor.exceptions import Interrupted
from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.stream_view import StreamView
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.concepts import Placed
from auditor.mechanisms.sae.choices import (
    COMPONENTS,
    COORDINATES,
    FEATURES,
    MEANS,
    RANDOM,
    STEER,
    Chosen,
    Differences,
    Seen,
    differences,
)
from auditor.mechanisms.sae.dictionary import Dictionary
from auditor.mechanisms.sae.slope_checks import slope_check
from auditor.mechanisms.sae.slopes import Slope
from auditor.mechanisms.sae.windows import FeatureWindow, open_window
from auditor.mechanisms.sparse_features.draws import FIRST, gap_moved, moved_to_group, settled
from auditor.mechanisms.sparse_features.result import (
    Ablated,
    Changed,
    Steered,
    Table,
)
from auditor.statistics.results import FloatArray


@dataclass(frozen=True)
class Found:
    """What the applications that measure gave: margins and answers' probability unchanged, and by contrast."""

    clean: Table
    mass: float
    taken: Sequence[Taken]
    differences: Sequence[Differences]


class Halves:
    """What both halves of a chunk work with."""

    def __init__(
        self, context: ComputeContext, dictionary: Dictionary, view: StreamView, target: Target, depth: int
    ) -> None:
        self.context, self.dictionary, self.view, self.target = context, dictionary, view, target
        self.depth = depth

    def look(
        self, sets: Sequence[Sequence[Placed]], reference: int, noise: NoiseFloor
    ) -> tuple[Seen, dict[int, Slope]]:
        """States, activations and slopes of the applications that choose; by group, a check of one slope.

        The first application whose margin is neither flat nor crooked between the two prompts is checked.
        """
        seen = Seen(reference)
        checked: dict[int, Slope] = {}
        for placed in sets:
            window = self._open(placed)
            activations = self._activations(window)
            seen.add(window, activations, window.slopes(reference, self.target), self.dictionary.autoencoder.decoder)
            for group in range(len(placed)):
                if group == reference or group in checked:
                    continue
                found = slope_check(window, group=group, reference=reference, target=self.target, noise=noise)
                if found is not None:
                    checked[group] = found
        return seen, checked

    def measure(self, sets: Sequence[Sequence[Placed]], chosen: Sequence[Chosen]) -> Found:
        """Every change of every contrast on the applications that measure, then draws where they left a question."""
        taken = [Taken() for _ in chosen]
        clean: list[list[float]] = []
        masses: list[list[float]] = []
        totals: list[Tensor] = []
        for placed in sets:
            window = self._open(placed)
            activations = self._activations(window)
            totals.append(activations.sum(1))
            plain, mass = window.margins([(group, None) for group in range(len(placed))], self.target)
            clean.append(plain.tolist())
            masses.append(mass.tolist())
            for each, found in zip(chosen, taken, strict=True):
                first = each.controls(activations, self.dictionary, range(min(FIRST, len(each.random))))
                changes = [*each.changes(window.states, activations, self.dictionary), *first]
                found.take(window, changes, self.target)
        margins = np.array(clean)
        left = [
            number
            for number, (each, found) in enumerate(zip(chosen, taken, strict=True))
            if len(each.random) > FIRST and found.undecided(margins[:, [each.pair[1], each.pair[0]]])
        ]
        for placed in sets if left else ():
            window = self._open(placed)
            activations = self._activations(window)
            for number in left:
                each = chosen[number]
                more = each.controls(activations, self.dictionary, range(FIRST, len(each.random)))
                taken[number].take(window, list(more), self.target)
        activity = torch.stack(totals).cpu().double().numpy()
        q = self.context.plan.thresholds.exploratory_q
        return Found(
            clean=tuple(map(tuple, clean)),
            mass=float(np.mean(masses)),
            taken=taken,
            differences=[differences(activity, each, q=q) for each in chosen],
        )

    def _open(self, placed: Sequence[Placed]) -> FeatureWindow:
        if self.context.should_stop():
            raise Interrupted("stopped between two applications; nothing of this chunk is kept")
        return open_window(
            self.view,
            placed,
            layer=self.dictionary.layer,
            depth=self.depth,
            should_stop=self.context.should_stop,
        )

    def _activations(self, window: FeatureWindow) -> Tensor:
        return self.dictionary.activations(window.states) * window.there[..., None]


class Taken:
    """Margins, answers' probabilities and movements of one contrast, by the name of the change."""

    def __init__(self) -> None:
        self.margins: dict[str, list[list[float]]] = {}
        self.masses: dict[str, list[float]] = {}
        self.movements: dict[str, list[float]] = {}

    def take(self, window: FeatureWindow, changes: Sequence[tuple[str, int, Tensor]], target: Target) -> None:
        """Make the changes of one application."""
        found, left = window.margins([(group, change) for _, group, change in changes], target)
        rows: dict[str, list[float]] = {}
        for (name, _, change), margin, mass in zip(changes, found.tolist(), left.tolist(), strict=True):
            rows.setdefault(name, []).append(margin)
            self.masses.setdefault(name, []).append(mass)
            self.movements.setdefault(name, []).append(float(change.norm()))
        for name, row in rows.items():
            self.margins.setdefault(name, []).append(row)

    def undecided(self, before: FloatArray) -> bool:
        """Whether more draws could still show an effect, of taking out or of putting in."""
        if FEATURES not in self.margins:
            return False
        effects = ((gap_moved, "", FEATURES), (moved_to_group, STEER, STEER + FEATURES))
        return any(
            not settled(
                moved(before, np.array(self.margins[name])),
                [moved(before, np.array(self.margins[each])) for each in self.drawn(prefix)],
            )
            for moved, prefix, name in effects
        )

    def drawn(self, prefix: str) -> list[str]:
        """The names of the draws: taken out with no ``prefix``, put in with ``STEER``.

        They are ranked in the order of their names (1, 10, 11, …, 2): any order that is fixed beforehand keeps a
        p-value exact, and this is the one that values of earlier versions rest on, whose ledgers sorted names.
        """
        return sorted(name for name in self.margins if name.startswith(f"{prefix}{RANDOM} "))

    def changed(self, name: str) -> Changed:
        """One change, over all applications."""
        return Changed(
            margins=tuple(map(tuple, self.margins[name])),
            mass=float(np.mean(self.masses[name])),
            movement=float(np.mean(self.movements[name])),
        )

    def ablated(self) -> Ablated:
        """All that was taken out."""
        return Ablated(
            features=self.changed(FEATURES),
            coordinates=self.changed(COORDINATES),
            components=self.changed(COMPONENTS),
            means=self.changed(MEANS),
            random=tuple(map(self.changed, self.drawn(""))),
        )

    def steered(self) -> Steered:
        """All that was put in."""
        return Steered(
            features=self.changed(STEER + FEATURES),
            means=self.changed(STEER + MEANS),
            random=tuple(map(self.changed, self.drawn(STEER))),
        )
