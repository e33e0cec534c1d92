"""The columns of a regression over very many cases, made block by block so that no whole matrix stands in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.statistics.results import BoolArray, FloatArray, IntArray

BLOCK = 1 << 15
KEPT = 1 << 24
"""Cells up to which the blocks of a design are kept: 128 MiB, for as long as it is fitted."""
RARE = 30
"""Cases of a level below which it is put together with the other rare ones: the least group of a rate."""
MAX_LEVELS = 100
DEPENDENT = 1e-9
"""Share of a column's spread that earlier columns must leave; less is collinear."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Control:
    """One legitimate factor, held equal.

    Attributes
    ----------
    name
        As it is printed.
    values
        Shape (n,): numbers, NaN where nothing is stated; or codes of levels, −1 where nothing is stated.
    levels
        Names of the levels; empty for a number.
    """

    name: str
    values: npt.NDArray[Any]
    levels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class AdjustedDesign:
    """Columns of some rows: intercept, controls, and the group last.

    ``names`` are the columns after the intercept and before the group; ``dropped`` says what was left out of them and
    why. A number is centred and in its SDs, and has a column beside it that says where it is not stated; a level is a
    column of zeros and ones beside the commonest level.
    """

    rows: IntArray
    group: BoolArray
    names: tuple[str, ...]
    dropped: dict[str, str]
    _parts: tuple[_Part, ...]

    @property
    def width(self) -> int:
        """How many columns there are, intercept and group among them."""
        return len(self.names) + 2

    def every(self, step: int) -> AdjustedDesign:
        """The same columns for every ``step``-th row."""
        return replace(self, rows=self.rows[::step], group=self.group[::step])

    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """Rows in blocks with their matrix, shape (block, width), which must not be written to."""
        if len(self.rows) * self.width <= KEPT:
            yield from self._kept
            return
        yield from self.made()

    @cached_property
    def _kept(self) -> list[tuple[slice, FloatArray]]:
        """The blocks of a design that is small enough to stay: every step of every fit asks for all of them."""
        kept = list(self.made())
        for _, matrix in kept:
            matrix.setflags(write=False)
        return kept

    def made(self) -> Iterator[tuple[slice, FloatArray]]:
        """The same, each made when it is asked for."""
        for start in range(0, len(self.rows), BLOCK):
            here = slice(start, min(start + BLOCK, len(self.rows)))
            yield here, self._matrix(here)

    def _matrix(self, here: slice) -> FloatArray:
        rows = self.rows[here]
        matrix = np.empty((len(rows), self.width))
        matrix[:, 0] = 1.0
        for at, part in enumerate(self._parts, start=1):
            matrix[:, at] = part.column(rows)
        matrix[:, -1] = self.group[here]
        return matrix


@dataclass(frozen=True, eq=False)
class _Part:
    """One column: a number in its SDs, where a number is missing, or some levels."""

    name: str
    control: Control
    kind: str
    centre: float = 0.0
    spread: float = 1.0
    codes: tuple[int, ...] = ()

    def column(self, rows: IntArray) -> npt.NDArray[Any]:
        values = self.control.values[rows]
        found: npt.NDArray[Any]
        if self.kind == "number":
            found = np.nan_to_num((values - self.centre) / self.spread, nan=0.0)
        elif self.kind == "not stated":
            found = np.isnan(values)
        else:
            found = values == self.codes[0] if len(self.codes) == 1 else np.isin(values, self.codes)
        return found


def make_design(
    *, rows: IntArray, group: BoolArray, controls: Sequence[Control], outcome: FloatArray
) -> AdjustedDesign | str:
    """The design of these rows, or in words why there is none.

    Parameters
    ----------
    rows
        Which rows of the controls, shape (n,).
    group
        Shape (n,), who is protected; the others are the reference.
    controls
        Each with values for all rows of the file.
    outcome
        Shape (n,): levels in which it does not vary say nothing of the group and would be separated, so they go with
        the rare ones.

    Notes
    -----
    A column that depends on those before it is left out and named. The group is never left out: where the controls
    tell it, its effect cannot be told from theirs, and that is the answer.
    """
    if group.all() or not group.any():
        return "only one of the two groups has cases"
    dropped: dict[str, str] = {}
    parts: list[_Part] = []
    for control in controls:
        if not control.levels:
            parts += _number(control, rows, dropped)
            continue
        if len(control.levels) > MAX_LEVELS:
            dropped[control.name] = f"{len(control.levels)} levels, at most {MAX_LEVELS} are held equal"
            continue
        parts += _levels(control, rows, outcome, dropped)
    whole = AdjustedDesign(rows, group, tuple(part.name for part in parts), dropped, tuple(parts))
    gram = np.zeros((whole.width, whole.width))
    for _, matrix in whole.made():
        gram += matrix.T @ matrix
    kept = _independent(gram)
    if whole.width - 1 not in kept:
        return "the controls tell the group, so their effects cannot be told apart"
    stays = [part for at, part in enumerate(parts, start=1) if at in kept]
    for at, part in enumerate(parts, start=1):
        if at not in kept:
            dropped[part.name] = "it follows from the other controls"
    return AdjustedDesign(rows, group, tuple(part.name for part in stays), dropped, tuple(stays))


def _number(control: Control, rows: IntArray, dropped: dict[str, str]) -> list[_Part]:
    values = control.values[rows]
    known = ~np.isnan(values)
    if not known.any():
        dropped[control.name] = "stated in no case"
        return []
    centre, spread = float(values[known].mean()), float(values[known].std())
    parts = []
    if spread > 1e-12 * max(1.0, abs(centre)):
        parts.append(_Part(control.name, control, "number", centre, spread))
    else:
        dropped[control.name] = "the same in every case"
    if not known.all():
        parts.append(_Part(f"{control.name}: not stated", control, "not stated"))
    return parts


def _levels(control: Control, rows: IntArray, outcome: FloatArray, dropped: dict[str, str]) -> list[_Part]:
    codes = control.values[rows].astype(np.int64) + 1  # 0 is "not stated"
    names = ("not stated", *control.levels)
    counts = np.bincount(codes, minlength=len(names))
    means = np.bincount(codes, weights=outcome, minlength=len(names)) / np.maximum(counts, 1)
    squares = np.bincount(codes, weights=outcome * outcome, minlength=len(names)) / np.maximum(counts, 1)
    varies = squares - means * means > 1e-12
    usual = [at for at in np.flatnonzero(counts) if counts[at] >= RARE and varies[at]]
    rare = [at for at in np.flatnonzero(counts) if at not in usual]
    if not usual or len(usual) + bool(rare) < 2:
        dropped[control.name] = "the same in nearly every case"
        return []
    base = max(usual, key=lambda at: counts[at])
    parts = [
        _Part(f"{control.name}: {names[at]}", control, "levels", codes=(int(at) - 1,)) for at in usual if at != base
    ]
    if rare:
        parts.append(_Part(f"{control.name}: rare levels", control, "levels", codes=tuple(int(at) - 1 for at in rare)))
        dropped[f"{control.name}: rare levels"] = f"{len(rare)} levels put together"
    return parts


def _independent(gram: FloatArray) -> set[int]:
    """Columns that are no combination of earlier ones, by Cholesky steps on the matrix of their products."""
    left = gram.copy()
    kept = set()
    for at in range(len(gram)):
        if left[at, at] <= DEPENDENT * max(gram[at, at], 1e-300):
            continue
        kept.add(at)
        left -= np.outer(left[:, at], left[at]) / left[at, at]
    return kept
