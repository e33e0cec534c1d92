"""Resampled sums of very many cases, without drawing every case of every resample.

A bootstrap of a million people draws two thousand million of them. Every statistic here is a function of sums over
cases, and the sums of a resample can be drawn directly: exactly where the rows have few distinct patterns (counts of
cells are multinomial), and elsewhere from the normal law they have in the limit, with the mean and covariance of a
resample. Rows that share the columns in which they are 0 are one stratum: a small group among many people is drawn
person by person, since the sum of thirty is not normal yet.
"""

from __future__ import annotations

import numpy as np

from auditor.statistics.results import FloatArray, IntArray

MANY = 20_000
"""Clusters from which on the sums of resamples are drawn directly."""
PATTERNS = 1_000
"""Distinct rows up to which resampled sums are drawn as multinomial counts of them, which is exact."""
DRAWN = 2_000
"""Rows of a stratum up to which it is drawn row by row."""
STRATA = 64
BLOCK = 1 << 15


def drawn_counts(counts: IntArray, *, resamples: int, seed: int) -> FloatArray:
    """Resampled counts of cells, shape (resamples, cells): each resample has as many cases as there are.

    Parameters
    ----------
    counts
        Cases in each cell, shape (cells,). Drawing all of them with replacement gives multinomial counts: no
        approximation.
    """
    n = int(counts.sum())
    if n < 1:
        raise ValueError("at least one case is needed to resample")
    generator = np.random.default_rng(seed)
    return generator.multinomial(n, counts / n, size=resamples).astype(np.float64)


def drawn_sums(totals: FloatArray, *, resamples: int, seed: int) -> FloatArray:
    """The sums of resampled rows, shape (resamples, m), of ``totals``, shape (clusters, m)."""
    generator = np.random.default_rng(seed)
    # Equal rows have equal projections; unequal ones share one with probability 0.
    keys = totals @ np.random.default_rng(0).normal(size=totals.shape[1])
    # Numbers differ from row to row: a few thousand rows tell it without sorting all of them.
    if len(np.unique(keys[: 4 * PATTERNS])) <= PATTERNS:
        values, first, counts = np.unique(keys, return_index=True, return_counts=True)
    else:
        values, first, counts = keys, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    if len(values) <= PATTERNS:
        drawn = generator.multinomial(len(totals), counts / len(totals), size=resamples)
        return np.asarray(drawn @ totals[first], dtype=np.float64)
    strata = _strata(totals)
    sizes = np.bincount(strata)
    shares = generator.multinomial(len(totals), sizes / len(totals), size=resamples)
    sums = np.zeros((resamples, totals.shape[1]))
    for stratum, size in enumerate(sizes):
        rows = totals[strata == stratum] if size < len(totals) else totals
        draw = _row_by_row if size <= DRAWN else _normal
        sums += draw(rows, shares[:, stratum], generator)
    return sums


def _strata(totals: FloatArray) -> IntArray:
    """Rows by the columns in which they are 0, numbered from 0; all in one where there are too many kinds."""
    weights = np.random.default_rng(1).normal(size=totals.shape[1])
    _, codes = np.unique((totals != 0) @ weights, return_inverse=True)
    return codes.astype(np.int64) if codes.max() < STRATA else np.zeros(len(totals), dtype=np.int64)


def _row_by_row(rows: FloatArray, drawn: IntArray, generator: np.random.Generator) -> FloatArray:
    resample = np.repeat(np.arange(len(drawn)), drawn)
    picked = generator.integers(0, len(rows), size=len(resample))
    columns = [np.bincount(resample, weights=column[picked], minlength=len(drawn)) for column in rows.T]
    return np.column_stack(columns)


def _normal(rows: FloatArray, drawn: IntArray, generator: np.random.Generator) -> FloatArray:
    mean = rows.mean(axis=0)
    spread = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), BLOCK):  # so that no second copy of all rows stands in memory
        centred = rows[start : start + BLOCK] - mean
        spread += centred.T @ centred
    spread /= len(rows)
    scale = np.sqrt(np.diag(spread))
    scale[scale == 0] = 1.0
    # Columns such as y and y² differ by orders of magnitude: the root is taken of their correlations.
    values, vectors = np.linalg.eigh(spread / np.outer(scale, scale))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    noise = generator.normal(size=(len(drawn), rows.shape[1])) @ root.T * scale
    result: FloatArray = drawn[:, None] * mean + np.sqrt(drawn)[:, None] * noise
    return result
