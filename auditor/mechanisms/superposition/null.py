"""Could the overlap of two sets of features be chance? Other features of the same dictionary in their place answer it.

Applications are no replicates here: they share the directions, so a chance meeting of two directions repeats in all of
them, and an interval over applications takes it for certain (with random dictionaries, in most of them). The replicates
are the features. Every feature of the first set has a stratum of features that act about as often, about as strongly,
and respond about as much to any change; drawing one from every stratum, again and again, shows what overlap features
have that do not carry the field.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from auditor.statistics.results import FloatArray, IntArray
from auditor.testing.rows import Row

DRAWS = 4999
SLACK = 1e-9
"""Overlaps closer than this to each other are one number: the same features in another order."""
LEAST_ALIKE, DIFFERENT = 10, 500
"""Features of a stratum beside its own: at least so many, more where few features would else give fewer different draws
than ``DIFFERENT``. Wider strata are less alike."""


class Chance(Row):
    """An overlap and what matched features have in its place.

    Attributes
    ----------
    value
        Mean over the first set's features of the mean |cos| to the second set's, weighted by tokens both act on.
    mean, low, high
        Of the draws of one feature from every stratum: mean, and the quantiles of the level asked for.
    above, below
        Draws with at least, and at most, the observed value.
    draws
        How many.
    features
        Features of the first set that act beside one of the second.
    smallest, combinations
        Size of the smallest stratum, and how many different draws there are.
    """

    value: float
    mean: float
    low: float
    high: float
    above: int
    below: int
    draws: int
    features: int
    smallest: int
    combinations: float

    def p_value(self) -> float:
        """Two-sided: twice the smaller tail, the observed set counted among the draws."""
        return min(1.0, 2 * (1 + min(self.above, self.below)) / (1 + self.draws))

    def too_few(self, needed: int) -> str | None:
        """Why no test can speak that needs so many different draws; ``None`` where one can."""
        # The observed set is one of the combinations, so it is no draw beside itself.
        different = min(float(self.draws), self.combinations - 1)
        if different >= needed:
            return None
        return (
            f"too few features to say: {self.features} that act beside one of the other kind, and {different:.0f} "
            f"different draws of features like them, where {needed} are needed"
        )


def chance(
    *,
    together: FloatArray,
    cosines: FloatArray,
    first: Sequence[int],
    second: Sequence[int],
    taken: Sequence[int],
    alike: FloatArray,
    level: float,
    draws: int = DRAWS,
    seed: int,
) -> Chance | None:
    """Compare two sets of features with matched features in the first one's place.

    Parameters
    ----------
    together
        On how many tokens every two latents act together, shape (latents, latents).
    cosines
        Between all latents' directions, shape (latents, latents).
    first, second
        The two sets; what is in both is left out of both.
    taken
        Latents that are not drawn, beside the two sets.
    alike
        What features are matched on, shape (latents, properties), each on a scale on which a difference means as much.
    level
        Of the quantiles.
    draws, seed
        Of the randomisation.

    Returns
    -------
    Chance or None
        ``None`` where no feature of the first set acts beside one of the second.
    """
    theirs = np.array(sorted(set(second) - set(first)), dtype=np.int64)
    if not len(theirs):
        return None
    weights = together[:, theirs].astype(np.float64)
    total = weights.sum(axis=1)
    beside = total > 0
    mean = np.divide((weights * np.abs(cosines[:, theirs])).sum(axis=1), total, out=np.zeros(len(total)), where=beside)
    ours = np.array([one for one in sorted(set(first) - set(second)) if beside[one]], dtype=np.int64)
    if not len(ours):
        return None
    free = beside.copy()
    free[[*first, *second, *taken]] = False
    strata = _strata(ours, np.flatnonzero(free), alike)
    generator = np.random.default_rng(seed)
    drawn = np.zeros(draws)
    for stratum in strata:
        drawn += mean[stratum[generator.integers(len(stratum), size=draws)]] / len(strata)
    value = float(mean[ours].mean())
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Chance(
        value=value,
        mean=float(drawn.mean()),
        low=float(low),
        high=float(high),
        above=int((drawn >= value - SLACK).sum()),
        below=int((drawn <= value + SLACK).sum()),
        draws=draws,
        features=len(ours),
        smallest=min(map(len, strata)),
        combinations=float(np.prod([float(len(stratum)) for stratum in strata])),
    )


def _strata(ours: IntArray, free: IntArray, alike: FloatArray) -> list[IntArray]:
    """For every feature its nearest free ones in turns, none in two strata, itself first."""
    strata: list[list[int]] = [[int(one)] for one in ours]
    left = set(free.tolist())
    order = [
        [int(free[place]) for place in np.argsort(np.square(alike[free] - alike[one]).sum(axis=1), kind="stable")]
        for one in ours
    ]
    for _ in range(max(LEAST_ALIKE, math.ceil(DIFFERENT ** (1 / len(ours))))):
        for stratum, ranked in zip(strata, order, strict=True):
            nearest = next((each for each in ranked if each in left), None)
            if nearest is not None:
                stratum.append(nearest)
                left.discard(nearest)
    return [np.array(stratum, dtype=np.int64) for stratum in strata]
