"""Descriptions of features by rules: the predicate that covers the tokens a feature is strong on, and little else.

All features are searched at once. Within a family of predicates cells do not overlap, so the F1 score of any few of
them follows from counts: tokens in the cell, and strong tokens in the cell, which one sparse product gives for every
feature. A condition on what a field says is tried on the best place only; its counts come from a second product over
(prompt, fields known) groups. No model takes part, and the same tokens give the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_matrix, csr_matrix

from auditor.mechanisms._shared.corpus import BoolArray, Corpus, IntArray, Read
from auditor.mechanisms.interpretation.predicates import (
    FAMILIES,
    Cells,
    Condition,
    Predicate,
    conditions_of,
    met_by,
)
from auditor.statistics.results import FloatArray

TOO_FEW, NO_PATTERN = "too few activations", "no description"
Counts = npt.NDArray[np.float32]
AT_ONCE = 256
"""Features searched at once: bounds the memory."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """How descriptions are looked for.

    Attributes
    ----------
    strong
        A token counts as active from this share of the feature's largest activation on.
    least
        Active tokens below which no description is tried, and applications they must come from.
    floor
        F1 below which a feature gets no description.
    cells
        Most places one description names.
    gain
        F1 that another place, a finer family or a condition must add to be worth its words.
    """

    strong: float = 0.25
    least: int = 6
    floor: float = 0.4
    cells: int = 3
    gain: float = 0.03


@dataclass(frozen=True)
class Described:
    """One feature: its predicate, or why there is none; its F1 where it was found, and from when on it is active."""

    latent: int
    predicate: Predicate | None
    reason: str | None
    f1: float
    threshold: float
    active: int


def thresholds(activations: csr_matrix, *, strong: float) -> FloatArray:
    """From which activation on every latent counts as active; infinite for one that never acts."""
    largest = np.asarray(activations.max(axis=0).todense()).ravel().astype(np.float64)
    return np.where(largest > 0, strong * largest, np.inf)


def active_entries(activations: csr_matrix, threshold: FloatArray) -> csr_matrix:
    """Which tokens every latent is active on, as ones: [tokens, latents]."""
    kept = activations.data >= threshold[activations.indices]
    found = csr_matrix((kept.astype(np.float32), activations.indices, activations.indptr), shape=activations.shape)
    found.eliminate_zeros()
    return found


def halves(read: Read) -> tuple[Read, Read]:
    """The tokens of every other application, and those of the rest."""
    names = list(dict.fromkeys(prompt.application for prompt in read.corpus.prompts))
    return read.take(read.corpus.rows_of(names[::2])), read.take(read.corpus.rows_of(names[1::2]))


def columns_of(read: Read, limits: FloatArray) -> csc_matrix:
    """Which tokens every latent is active on, latent by latent."""
    return active_entries(read.activations, limits).tocsc()


def dense(columns: csc_matrix, latent: int) -> FloatArray:
    """The activation of one latent on every token."""
    found = np.zeros(columns.shape[0])
    entries = slice(columns.indptr[latent], columns.indptr[latent + 1])
    found[columns.indices[entries]] = columns.data[entries]
    return found


def describe(read: Read, *, search: Search, latents: Sequence[int] | None = None) -> list[Described]:
    """Describe features.

    Parameters
    ----------
    read
        What they are described on.
    search
        How.
    latents
        Which; by default all that act.
    """
    threshold = thresholds(read.activations, strong=search.strong)
    active = active_entries(read.activations, threshold).tocsc()
    counts = np.diff(active.indptr)
    wanted = np.flatnonzero(counts) if latents is None else np.array(latents, dtype=np.int64)
    cells = Cells(read.corpus)
    trial = _Trial(read.corpus, cells, search)
    applications = np.unique(read.corpus.application, return_inverse=True)[1]
    tried: list[int] = []
    found: dict[int, Described] = {}
    for latent in wanted:
        rows = active.indices[active.indptr[latent] : active.indptr[latent + 1]]
        enough = len(rows) >= search.least and len(np.unique(applications[rows])) >= min(search.least, 3)
        limit = float(threshold[latent])
        found[int(latent)] = Described(int(latent), None, TOO_FEW, 0.0, limit, len(rows))
        if enough:
            tried.append(int(latent))
    for start in range(0, len(tried), AT_ONCE):
        batch = tried[start : start + AT_ONCE]
        for latent, (predicate, f1) in zip(batch, trial.search(csr_matrix(active[:, batch].T)), strict=True):
            if f1 >= search.floor:
                found[latent] = replace(found[latent], predicate=predicate, reason=None, f1=f1)
            else:
                found[latent] = replace(found[latent], reason=NO_PATTERN, f1=f1)
    return [found[int(latent)] for latent in wanted]


class _Trial:
    """The counts that do not depend on features: tokens by cell, and groups of (prompt, fields known)."""

    def __init__(self, corpus: Corpus, cells: Cells, search: Search) -> None:
        self.corpus, self.cells, self.search_by = corpus, cells, search
        self.families: list[tuple[str, IntArray, csr_matrix, Counts]] = []
        for family in FAMILIES:
            own = cells[family]
            rows = np.flatnonzero(own >= 0)
            names, columns = np.unique(own[rows], return_inverse=True)
            table = csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=(len(corpus), len(names)))
            self.families.append((family, names, table, np.bincount(columns, minlength=len(names)).astype(np.float32)))
        key = corpus.prompt * (len(corpus.fields) + 1) + corpus.known
        groups, self.group = np.unique(key, return_inverse=True)
        prompts, known = np.divmod(groups, len(corpus.fields) + 1)
        self.conditions: list[Condition] = conditions_of(
            corpus, prompts=sorted(set(corpus.prompt.tolist())), least=min(search.least, 3)
        )
        met = [met_by(condition, corpus)[prompts] & (known > condition.field) for condition in self.conditions]
        self.met = np.array(met, dtype=np.float32).reshape(len(met), len(groups)).T

    def search(self, active: csr_matrix) -> list[tuple[Predicate, float]]:
        """The best predicate of every feature; ``active`` is [features, tokens]."""
        total = np.asarray(active.sum(axis=1), dtype=np.float32).ravel()
        best: list[tuple[Predicate, float, float]] = [(Predicate("last", ()), 0.0, 0.0)] * len(total)
        for family, names, table, sizes in self.families:
            if not len(names):
                continue
            covered = np.asarray((active @ table).todense())
            for feature, (chosen, f1) in enumerate(self._cells(covered, sizes, total)):
                # A finer family, or one more place, has to be worth its words.
                worth = f1 - self.search_by.gain * (len(chosen) - 1)
                if worth > best[feature][2] + (self.search_by.gain if best[feature][2] else 0.0):
                    best[feature] = (Predicate(family, tuple(int(names[cell]) for cell in chosen)), f1, worth)
        return self._conditioned(active, total, [(predicate, f1) for predicate, f1, _ in best])

    def _cells(self, covered: Counts, sizes: Counts, total: Counts) -> list[tuple[list[int], float]]:
        """The few cells of a family that together have the best F1, one added at a time."""
        hits, size = np.zeros(len(total), dtype=np.float32), np.zeros(len(total), dtype=np.float32)
        reached = np.zeros(len(total), dtype=np.float32)
        chosen: list[list[int]] = [[] for _ in total]
        rows = np.arange(len(total))
        for _ in range(min(self.search_by.cells, len(sizes))):
            f1 = 2 * (hits[:, None] + covered) / (total[:, None] + size[:, None] + sizes[None])
            for feature, cells in enumerate(chosen):
                f1[feature, cells] = -1
            cell = f1.argmax(axis=1)
            value = f1[rows, cell]
            better = value > reached + self.search_by.gain
            for feature in np.flatnonzero(better).tolist():
                chosen[feature].append(int(cell[feature]))
            hits = np.where(better, hits + covered[rows, cell], hits)
            size = np.where(better, size + sizes[cell], size)
            reached = np.where(better, value, reached)
        return [(cells, float(value)) for cells, value in zip(chosen, reached, strict=True)]

    def _conditioned(
        self, active: csr_matrix, total: Counts, best: list[tuple[Predicate, float]]
    ) -> list[tuple[Predicate, float]]:
        """Add to every predicate the condition that raises its F1 most, if one is worth it."""
        if not self.conditions:
            return best
        groups = self.met.shape[0]
        size = np.zeros((len(best), groups), dtype=np.float32)
        hits = np.zeros_like(size)
        by_predicate: dict[Predicate, BoolArray] = {}
        for feature, (predicate, _) in enumerate(best):
            if predicate not in by_predicate:
                by_predicate[predicate] = self.cells.matches(predicate)
            inside = by_predicate[predicate]
            rows = active.indices[active.indptr[feature] : active.indptr[feature + 1]]
            size[feature] = np.bincount(self.group[inside], minlength=groups)
            hits[feature] = np.bincount(self.group[rows[inside[rows]]], minlength=groups)
        f1 = 2 * (hits @ self.met) / (total[:, None] + size @ self.met)
        pick = f1.argmax(axis=1)
        return [
            (replace(predicate, condition=self.conditions[pick[feature]]), float(f1[feature, pick[feature]]))
            if f1[feature, pick[feature]] > value + self.search_by.gain
            else (predicate, value)
            for feature, (predicate, value) in enumerate(best)
        ]
