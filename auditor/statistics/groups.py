"""Impact ratios over several groups, LL144's scoring rates, and rates under probabilistic groups (BISG)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.statistics.bootstrap import bootstrap_totals
from auditor.statistics.rates import Tally, adverse_impact_ratio, selection_rate
from auditor.statistics.results import (
    MIN_RESAMPLES,
    Estimate,
    FloatArray,
    booleans,
    floats,
    missing,
    same_length,
    tost_level,
)

HIGHEST_RATE = "highest rate"


@dataclass(frozen=True, slots=True)
class ImpactRatios:
    """Selection rate and impact ratio of every group: none is dropped.

    ``reference`` names the group compared with (``None`` if no group could serve), ``basis`` how it was chosen,
    ``excluded`` the groups left out of the ratios and why; their rates stay.
    """

    reference: str | None
    basis: str
    rates: dict[str, Estimate]
    ratios: dict[str, Estimate]
    excluded: dict[str, str]


def impact_ratios(
    *, tallies: Mapping[str, Tally], reference: str, min_share: float = 0.0, level: float
) -> ImpactRatios:
    """Impact ratio of every group against a stated reference.

    Parameters
    ----------
    tallies
        Cases and favourable cases by group.
    reference
        Name of the reference group, or ``HIGHEST_RATE`` for the most selected group (LL144, UGESP).
        There is no default. Groups that tie for the highest rate: the larger, then the first by name.
    min_share
        Groups below this share of all cases get no ratio and cannot be the reference (LL144 allows 0.02).

    Raises
    ------
    ValueError
        For an unknown reference, no group, or a share outside [0, 1).
    """
    if not tallies:
        raise ValueError("at least one group is needed")
    if not 0 <= min_share < 1:
        raise ValueError(f"min_share must lie in [0, 1), got {min_share}")
    if reference != HIGHEST_RATE and reference not in tallies:
        raise ValueError(f"reference group {reference!r} is not among the groups: {', '.join(sorted(tallies))}")
    total = sum(tally.n for tally in tallies.values())
    excluded: dict[str, str] = {}
    for name, tally in tallies.items():
        if tally.n == 0:
            excluded[name] = "the group has no cases"
        elif tally.n < min_share * total:
            excluded[name] = f"{tally.n} of {total} cases are below the minimum share of {min_share:g}"
    usable = {name: tally for name, tally in tallies.items() if name not in excluded}
    basis = "stated"
    chosen: str | None = reference
    if reference == HIGHEST_RATE:
        basis = HIGHEST_RATE
        chosen = min(usable, key=lambda name: (-usable[name].rate, -usable[name].n, name)) if usable else None
    ratios: dict[str, Estimate] = {}
    for name, tally in tallies.items():
        if name in excluded:
            ratios[name] = missing(method="adverse impact ratio", reason=excluded[name], n=tally.n)
        elif chosen is None or chosen in excluded:
            reason = f"no reference group: {excluded[chosen] if chosen else 'none is large enough'}"
            ratios[name] = missing(method="adverse impact ratio", reason=reason, n=tally.n)
        elif name != chosen:
            ratios[name] = adverse_impact_ratio(protected=tally, reference=tallies[chosen], level=level)
    rates = {name: selection_rate(tally, level=level) for name, tally in tallies.items()}
    return ImpactRatios(chosen, basis, rates, ratios, excluded)


def scoring_rate_ratios(
    *,
    scores: npt.ArrayLike,
    groups: npt.ArrayLike,
    reference: str = HIGHEST_RATE,
    min_share: float = 0.0,
    level: float,
) -> ImpactRatios:
    """LL144 scoring rates: a group's share of scores strictly above the median of the full sample, and their ratios.

    Parameters
    ----------
    scores
        Shape (n,); the median is taken over all of them, excluded groups too.
    groups
        Shape (n,), the group's name of each score.
    """
    values = floats(scores, name="scores")
    names: npt.NDArray[Any] = np.asarray(groups).astype(str)
    if same_length(scores=values, groups=names) == 0:
        raise ValueError("scores must not be empty")
    above = values > np.median(values)
    tallies = {str(name): Tally.of(above[names == name]) for name in np.unique(names)}
    return impact_ratios(tallies=tallies, reference=reference, min_share=min_share, level=level)


def _probabilities(probabilities: npt.ArrayLike) -> FloatArray:
    weights = floats(probabilities, name="probabilities")
    if weights.size and (weights.min() < 0 or weights.max() > 1):
        raise ValueError("probabilities must lie in [0, 1]")
    return weights


def weighted_rate(
    *,
    probabilities: npt.ArrayLike,
    outcomes: npt.ArrayLike,
    level: float,
    resamples: int = MIN_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Selection rate of a group known only by probability, Σp·y / Σp (BISG and its kin).

    Weighting generally understates a disparity and thresholding overstates it (arXiv 1811.11154), so report this beside
    `thresholded_tally` and name the source of the probabilities. Never use either for synthetic pairs.

    Parameters
    ----------
    probabilities
        Shape (n,), each person's probability of belonging to the group.
    outcomes
        Shape (n,), 0/1.

    Returns
    -------
    Estimate
        Interval from resampling persons; ``counts["effective_n"]`` is (Σp)²/Σp².
    """
    weights, y = _probabilities(probabilities), booleans(outcomes, name="outcomes")
    n = same_length(probabilities=weights, outcomes=y)
    method = "probability-weighted rate"
    mass = float(weights.sum())
    if mass == 0:
        return missing(method=method, reason="nobody has any probability of belonging to the group", n=n)
    sample = bootstrap_totals(
        totals=np.column_stack([weights * y, weights]),
        statistic=lambda sums: sums[:, 0] / sums[:, 1],
        resamples=resamples,
        seed=seed,
    )
    interval = sample.interval(level)
    return Estimate(
        value=float(weights @ y) / mass,
        n=n,
        method=method,
        interval=interval,
        tost_interval=sample.interval(tost_level(level)),
        reason=None if interval else "too many resamples hold nobody of the group",
        counts={"effective_n": mass**2 / float(weights @ weights), "expected_n": mass},
    )


def thresholded_tally(*, probabilities: npt.ArrayLike, outcomes: npt.ArrayLike, cut: float) -> Tally:
    """Cases and favourable cases among persons whose probability is at least ``cut``."""
    weights, y = _probabilities(probabilities), booleans(outcomes, name="outcomes")
    same_length(probabilities=weights, outcomes=y)
    return Tally.of(y[weights >= cut])
