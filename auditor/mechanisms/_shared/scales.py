"""The same margins read by another metric: as they are, as probabilities, as decisions.

A causal step may hold of margins and of nothing that anybody decides by. Both other metrics are had from the runs that
the margin is read from, and cost no run of their own. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit

from auditor.mechanisms._shared.specifications import DECISIONS, MARGIN, PROBABILITY
from auditor.statistics.results import FloatArray

SUMS = 1e-9


def probability(margins: FloatArray) -> FloatArray:
    """Probability of the favourable answers, of that on all answers: the margin is their log-odds."""
    return np.asarray(expit(margins), dtype=np.float64)


def scale_of(metric: str, *, threshold: float) -> Callable[[FloatArray], FloatArray]:
    """From margins in nats, of any shape, to a metric of the same shape.

    Parameters
    ----------
    metric
        ``margin``, ``probability`` (0 to 1), or ``decisions`` (1 where favourable).
    threshold
        Margin from which on a decision is favourable, in nats.
    """

    def decided(margins: FloatArray) -> FloatArray:
        return np.asarray(margins >= threshold, dtype=np.float64)

    def same(margins: FloatArray) -> FloatArray:
        return np.asarray(margins, dtype=np.float64)

    return {MARGIN: same, PROBABILITY: probability, DECISIONS: decided}[metric]


def steepness(metric: str, margins: FloatArray) -> float:
    """What the mean of a metric moves by when every margin moves by one nat: what rounding of margins makes of it.

    A probability is steep at even odds and flat where it is all but sure. A decision turns at once where rounding
    reaches the cut-off: its floor is that of the sums alone.
    """
    chances = probability(margins)
    return {MARGIN: 1.0, PROBABILITY: float((chances * (1 - chances)).mean()), DECISIONS: SUMS}[metric]
