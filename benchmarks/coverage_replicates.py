"""Intervals of a sampled system, beside populations of applications whose approval rates are known.

Every case is asked three times. The truths are means over all applications there might be, from a million of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from auditor.statistics.replicates import beyond_replicates, disagreement, replicated_effect
from benchmarks.coverage_kinds import LEVEL, FloatArray, Generator, Kind, holds
from benchmarks.replicates import ask, rates

ASKED = 3
SMALL, LARGE = 0.15, 0.6


def _lowered(rng: Generator, p: FloatArray, most: float) -> FloatArray:
    """Approval rates of the other arm: each lower by something up to ``most``."""
    lower: FloatArray = np.clip(p - rng.uniform(0, most, len(p)), 0, 1)
    return lower


@cache
def _population() -> FloatArray:
    return rates(np.random.default_rng(0), 1_000_000)


@cache
def _true_effect() -> float:
    return float(np.mean(_lowered(np.random.default_rng(1), _population(), SMALL) - _population()))


@cache
def _true_floor() -> float:
    return float(np.mean(2 * _population() * (1 - _population())))


@cache
def _true_excess() -> float:
    return float(np.mean((_lowered(np.random.default_rng(1), _population(), LARGE) - _population()) ** 2))


def _effect(rng: Generator, k: int) -> bool | None:
    p = rates(rng, k)
    pairs = ask(rng, p, _lowered(rng, p, SMALL), ASKED)
    return holds(replicated_effect(pairs, level=LEVEL).interval, _true_effect())


def _floor(rng: Generator, k: int) -> bool | None:
    """Two cases an application, of one approval rate."""
    p = np.repeat(rates(rng, k), 2 * ASKED)
    cases = np.repeat(np.arange(2 * k), ASKED).astype(str).tolist()
    owners = np.repeat(np.arange(k), 2 * ASKED).astype(str).tolist()
    outcomes = (rng.random(len(p)) < p).tolist()
    return holds(disagreement(outcomes, cases=cases, applications=owners, level=LEVEL).interval, _true_floor())


def _excess(rng: Generator, k: int) -> bool | None:
    p = rates(rng, k)
    pairs = ask(rng, p, _lowered(rng, p, LARGE), ASKED)
    return holds(beyond_replicates(pairs, level=LEVEL).interval, _true_excess())


def _few(rng: Generator, k: int) -> bool | None:
    """Nearly all applications are sure: fewer than ten differ, and exact bounds take the bootstrap's place."""
    sure = rng.random(k) >= 3 / k
    pairs = ask(rng, np.where(sure, 1.0, 0.8), np.where(sure, 1.0, 0.5), ASKED)
    return holds(replicated_effect(pairs, level=LEVEL).interval, -0.3 * 3 / k)


REPLICATED: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("replicated_effect", _effect),
        Kind(
            "replicated_effect_of_few",
            _few,
            "exact bounds of how many differ either way, which a difference below 1 does not use up",
            conservative=True,
        ),
        Kind("disagreement_of_replicates", _floor),
        Kind("beyond_replicates", _excess),
    )
}
