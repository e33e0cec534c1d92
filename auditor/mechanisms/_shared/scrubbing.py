"""Concept scrubbing: LEACE before layer after layer, on states from which the concept was erased at the layers before.

Erasers are fitted on some applications; what they do and what they leave is measured on others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from auditor.language_models.targets import Target
from auditor.mechanisms._shared.leace import erasers_of
from auditor.mechanisms._shared.residual_streams import Rows
from auditor.testing.context import FloatArray

BoolArray = npt.NDArray[np.bool_]
#: Fewest prompts an eraser is fitted on.
LEAST_ROWS = 4


@dataclass(frozen=True)
class Window:
    """Where erasers stand: the stream before these layers, at positions after the field (or from its first token)."""

    layers: range
    after: bool

    @property
    def ends(self) -> tuple[int, int]:
        """First and last layer."""
        return self.layers.start, self.layers.stop - 1


def carried(layers: int, share: tuple[float, float]) -> Window:
    """After the field, at the layers between two shares of the depth."""
    first = max(1, int(np.ceil(share[0] * layers)))
    return Window(range(first, max(first + 1, int(np.ceil(share[1] * layers)))), after=True)


def everywhere(layers: int) -> Window:
    """From the field on, at every layer and after the last."""
    return Window(range(layers + 1), after=False)


@dataclass(frozen=True)
class Scrubbed:
    """What a scrubbing gives, a row a draw.

    Attributes
    ----------
    margins
        Of the measured applications' prompts, in nats, [draws, rows].
    masses
        Mean probability on the answers, [draws].
    movement
        How far the measured states were moved: the share of their spread, root mean square over prompts, averaged over
        layers and positions, [draws].
    left
        Share of the measured states' covariance with the attribute that is left, by layer of the window: the norm
        over all its positions, against the untouched states of the same layer, [draws, layers].
    leftover
        The largest covariance left where erasers were fitted, as a share of what was there.
    readable
        Share of the labels' variance that a linear reader explains where erasers were fitted, in the untouched states
        before the first layer of the window, averaged over positions, [draws].
    moves
        What the first draw took.
    """

    margins: FloatArray
    masses: FloatArray
    movement: FloatArray
    left: FloatArray
    leftover: float
    readable: FloatArray
    moves: Moves


@dataclass(frozen=True)
class Moves:
    """What the first draw's erasers took from the states: by layer and position, coefficients [rows, k] of directions.

    ``coordinates`` [directions, m] are those of all directions in one orthonormal basis of what they span, in the order
    of ``sites``; a rotation of the basis keeps every length and every angle between layers.
    """

    sites: tuple[tuple[int, int], ...]
    coefficients: tuple[Tensor, ...]
    coordinates: Tensor

    def turned(self, *, draws: int, width: int, seed: Sequence[int]) -> dict[tuple[int, int], Tensor]:
        """The moves in directions drawn at random, by site [draws, rows, width]: each as long as it was."""
        generator = np.random.default_rng(tuple(seed))
        m = self.coordinates.shape[1]
        drawn = torch.as_tensor(generator.standard_normal((draws, width, m))).to(self.coordinates.device)
        basis = torch.linalg.qr(drawn).Q.mT
        found, first = {}, 0
        for site, coefficients in zip(self.sites, self.coefficients, strict=True):
            stop = first + coefficients.shape[1]
            found[site] = coefficients @ (self.coordinates[first:stop] @ basis)
            first = stop
        return found


@dataclass(frozen=True)
class Design:
    """Who is fitted on and who is measured.

    Attributes
    ----------
    truth
        The groups' labels, [rows, k].
    fitted
        Rows that erasers are fitted on.
    measured
        Applications that effects are measured on.
    held
        The rows of ``measured``.
    """

    truth: FloatArray
    fitted: BoolArray
    measured: tuple[int, ...]
    held: BoolArray

    def for_numbers(self, values: FloatArray) -> Design:
        """The same halves where every application has one prompt and a number in place of groups."""
        half = np.ones(len(values), dtype=bool)
        half[list(self.measured)] = False
        return Design(values[:, None], half, self.measured, ~half)


def design_of(
    *, applications: int, groups: int, swap: bool = False, labels: npt.NDArray[np.intp] | None = None
) -> Design:
    """Fit on every other application and measure on the rest; with ``swap`` the other way round.

    ``labels`` says whose label every prompt bears, [applications, groups]; its own group's by default.
    """
    half = np.arange(applications) % 2 == int(swap)
    order = np.tile(np.arange(groups), (applications, 1)) if labels is None else labels
    truth = np.eye(groups)[:, 1:][order.ravel()]
    rows = np.repeat(half, groups)
    return Design(truth, rows, tuple(np.flatnonzero(~half).tolist()), ~rows)


def marks_of(design: Design, relabelled: npt.NDArray[np.intp] | None) -> FloatArray:
    """Labels of all rows by draw, [draws, rows, k]: true, or as relabelled for the fitted applications.

    Parameters
    ----------
    design
        Who is fitted on.
    relabelled
        [draws, fitted applications, groups], the group whose label the prompt of every group is given.
    """
    if relabelled is None:
        return design.truth[None]
    draws, _, groups = relabelled.shape
    mine = design.truth[design.fitted].reshape(-1, groups, design.truth.shape[1])
    marks = np.repeat(design.truth[None], draws, axis=0)
    marks[:, design.fitted] = np.take_along_axis(mine[None], relabelled[..., None], axis=2).reshape(
        draws, -1, mine.shape[2]
    )
    return marks


def covariances(streams: Rows, window: Window, design: Design, layer: int) -> FloatArray:
    """Norm of the covariance with the attribute over the measured states of a layer, all positions together."""
    total: Tensor | None = None
    for back in range(streams.reach(after=window.after)):
        rows, states = streams.gather(back, after=window.after)
        found = _covariance(states, rows, design)
        if found is not None:
            total = found if total is None else total + found
    return np.zeros(streams.draws) if total is None else np.asarray(total.sqrt().cpu().numpy())


def scrub(
    streams: Rows,
    target: Target,
    *,
    design: Design,
    marks: FloatArray,
    window: Window,
    clean: Mapping[int, FloatArray],
) -> Scrubbed:
    """Erase a concept before every layer of a window.

    Parameters
    ----------
    streams
        The prompts.
    target
        Where margins are read.
    design
        Who is fitted on, who is measured.
    marks
        What is erased, [draws, rows, k]: only the fitted rows count.
    window
        Where.
    clean
        By layer, what `covariances` gives without an erasure, [1].
    """
    ratios: list[Tensor] = []
    leftovers: list[Tensor] = []
    readable: list[Tensor] = []
    taken: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
    left: dict[int, FloatArray] = {}

    def visit(layer: int) -> None:
        for back in range(streams.reach(after=window.after)):
            rows, states = streams.gather(back, after=window.after)
            mine = design.fitted[rows]
            if mine.sum() < LEAST_ROWS:
                continue
            fitted = torch.as_tensor(np.flatnonzero(mine)).to(states.device)
            held = torch.as_tensor(np.flatnonzero(design.held[rows])).to(states.device)
            concept = torch.as_tensor(marks[:, rows][:, mine], dtype=torch.float64).to(states.device)
            before = states[:, fitted]
            eraser = erasers_of(before, concept)
            coefficients = (states - eraser.mean[:, None]) @ eraser.reading
            erased = states - coefficients @ eraser.writing
            taken[layer, back] = coefficients[0], eraser.writing[0]
            streams.scatter(back, erased, after=window.after)
            if layer == window.layers.start:
                readable.append(eraser.readable)
            if len(held):
                ratios.append(_moved(states[:, held], erased[:, held]))
            # States that vary by rounding alone hold nothing to erase, and all of that rounding is left.
            share = _share(erased[:, fitted], before, concept)
            leftovers.append(torch.where(eraser.kept.any(-1), share, 0.0))
        found = covariances(streams, window, design, layer)
        whole = clean[layer]
        left[layer] = np.divide(found, whole, out=np.zeros_like(found), where=whole > 0)

    margins, masses = streams.through(
        target, layers=window.layers, visit=visit, draws=len(marks), read=list(design.measured)
    )
    none = torch.zeros(len(marks))
    return Scrubbed(
        margins=np.asarray(margins.numpy()),
        masses=np.asarray(masses.mean(1).numpy()),
        movement=np.asarray(torch.stack(ratios or [none]).mean(0).cpu().numpy()),
        left=np.stack([left[layer] for layer in window.layers], axis=1),
        leftover=float(torch.stack(leftovers or [none]).max()),
        readable=np.asarray(torch.stack(readable or [none]).mean(0).cpu().numpy()),
        moves=_moves(taken),
    )


def shift(
    streams: Rows, target: Target, *, design: Design, moves: Moves, window: Window, draws: int, seed: Sequence[int]
) -> FloatArray:
    """Margins [draws, rows] of the measured applications with every move of an erasure made in random directions.

    A direction that the model does not read moves decisions too, by what it adds to the size of a state. States move
    here as far as they did there, prompt by prompt, and groups apart as they did there.
    """
    turned = moves.turned(draws=draws, width=streams.decoder.width, seed=seed)

    def visit(layer: int) -> None:
        for back in range(streams.reach(after=window.after)):
            if (layer, back) in turned:
                _, states = streams.gather(back, after=window.after)
                streams.scatter(back, states - turned[layer, back], after=window.after)

    margins, _ = streams.through(target, layers=window.layers, visit=visit, draws=draws, read=list(design.measured))
    return np.asarray(margins.numpy())


def _moves(taken: Mapping[tuple[int, int], tuple[Tensor, Tensor]]) -> Moves:
    if not taken:
        return Moves((), (), torch.zeros((0, 0), dtype=torch.float64))
    directions = torch.cat([writing for _, writing in taken.values()])
    left, sizes, _ = torch.linalg.svd(directions, full_matrices=False)
    return Moves(tuple(taken), tuple(each for each, _ in taken.values()), left * sizes)


def _covariance(states: Tensor, rows: Sequence[int], design: Design) -> Tensor | None:
    """Squared norm of the covariance of the measured states with the attribute, [draws]."""
    keep = np.flatnonzero(design.held[rows])
    if len(keep) < 2:
        return None
    marks: Any = design.truth[rows][keep]
    concept = torch.as_tensor(marks - marks.mean(axis=0), dtype=torch.float64).to(states.device)
    held = states[:, torch.as_tensor(keep).to(states.device)]
    return ((concept.mT @ (held - held.mean(1, keepdim=True))) ** 2).sum((-2, -1))


def _moved(before: Tensor, after: Tensor) -> Tensor:
    spread = ((before - before.mean(1, keepdim=True)) ** 2).sum((-2, -1))
    moved = ((after - before) ** 2).sum((-2, -1))
    return torch.where(spread > 0, moved / torch.where(spread > 0, spread, 1.0), 0.0).sqrt()


def _share(after: Tensor, before: Tensor, concept: Tensor) -> Tensor:
    """Covariance with the concept after, as a share of before, [draws]."""
    centred = (concept - concept.mean(-2, keepdim=True)).mT
    sizes = [torch.linalg.matrix_norm(centred @ (x - x.mean(-2, keepdim=True))) for x in (after, before)]
    return torch.where(sizes[1] > 0, sizes[0] / torch.where(sizes[1] > 0, sizes[1], 1.0), 0.0)
