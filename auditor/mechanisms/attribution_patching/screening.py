"""What a random sample of nodes that were not screened in allows to say about those that were not looked at.

The largest effect in a sample bounds nothing: the next node may be larger. What the sample supports is a bound on how
many are: if more than ``q`` of the nodes exceeded the largest one drawn, a sample of this size would almost surely have
held one of them. Pure, exact (the hypergeometric distribution), at the plan's level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import hypergeom

from auditor.statistics.results import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """What a sample of the unscreened nodes says.

    Attributes
    ----------
    largest
        Largest size in the sample; ``None`` where nothing was drawn.
    exceed_largest
        At most so many of the unscreened nodes are larger than that.
    exceed_reported
        At most so many of them are larger than the smallest one reported.
    seen
        Nodes of the sample that are larger than the smallest one reported.
    drawn, unscreened
        Size of the sample, and of what it was drawn from.
    """

    largest: float | None
    exceed_largest: int
    exceed_reported: int
    seen: int
    drawn: int
    unscreened: int


def screened(*, reported: FloatArray, sample: FloatArray, unscreened: int, alpha: float) -> Screened:
    """Judge a sample drawn at random, without replacement, from the unscreened nodes.

    Parameters
    ----------
    reported
        Sizes of the nodes that are reported, each 0 or more.
    sample
        Sizes of the nodes drawn, in the same unit.
    unscreened
        Nodes they were drawn from.
    alpha
        The statements hold with probability 1 − α each.
    """
    least = float(np.min(reported)) if len(reported) else float("inf")
    seen = int((sample > least).sum())
    return Screened(
        largest=float(sample.max()) if len(sample) else None,
        exceed_largest=most_exceeding(population=unscreened, drawn=len(sample), seen=0, alpha=alpha),
        exceed_reported=most_exceeding(population=unscreened, drawn=len(sample), seen=seen, alpha=alpha),
        seen=seen,
        drawn=len(sample),
        unscreened=unscreened,
    )


def most_exceeding(*, population: int, drawn: int, seen: int, alpha: float) -> int:
    """The largest number of a population that may have a property of which ``seen`` of ``drawn`` have it.

    Returns
    -------
    int
        The most ``q`` for which a sample with ``seen`` or fewer has a probability above α. For the property "larger
        than the largest one drawn", ``seen`` is 0: with more than q such nodes, none of the q + 1 largest is drawn with
        a probability of at most α.

    Raises
    ------
    ValueError
        Unless ``0 <= seen <= drawn <= population``.
    """
    if not 0 <= seen <= drawn <= population:
        raise ValueError(f"{seen} of {drawn} drawn from {population} cannot be")
    if drawn == population:
        return seen  # nothing is left unseen, and of nothing there is no distribution
    having = np.arange(seen, population - drawn + seen + 1)
    likely = hypergeom.cdf(seen, population, having, drawn) > alpha
    return int(having[likely].max())
