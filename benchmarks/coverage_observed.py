"""Kinds of intervals of decisions already taken beside populations whose truth is known (`benchmarks.coverage`).

``clusters`` are decided applications in each group, or, of clustered kinds, branches of eight decisions. Decisions of
one branch hang together by a Gaussian copula, so that their marginal law is the logistic one to the digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from auditor.statistics.adjusted import AdjustedDifference, adjusted_amounts, adjusted_rates
from auditor.statistics.agreement import agreement
from auditor.statistics.designs import Control
from auditor.statistics.mean_gaps import mean_gap
from auditor.statistics.overlap import marginal_applicants
from auditor.statistics.probable_groups import probable_gap
from auditor.statistics.rates import Tally
from auditor.statistics.segmented import SegmentedImpact, segmented_impact
from benchmarks.coverage_kinds import LEVEL, Generator, Kind, holds

FloatArray = npt.NDArray[np.float64]
A_BRANCH = 8
EFFECT = -0.6
DECISIONS = (100, 300, 600)


def _odds(x: FloatArray, group: npt.NDArray[np.bool_]) -> FloatArray:
    found: FloatArray = 1.2 + 0.8 * x + EFFECT * group
    return found


def _logistic(clustered: bool, odds_ratio: bool) -> Callable[[Generator, int], bool | None]:
    def draw(rng: Generator, n: int) -> bool | None:
        count = n * A_BRANCH if clustered else 2 * n
        branch = np.arange(count) // A_BRANCH
        group = rng.random(count) < (0.4 if clustered else 0.5)
        x = rng.normal(size=count)
        latent = rng.normal(size=count)
        if clustered:
            latent = np.sqrt(0.7) * latent + np.sqrt(0.3) * rng.normal(size=n)[branch]
        favourable = stats.norm.cdf(latent) < special.expit(_odds(x, group))
        found = adjusted_rates(
            favourable=favourable,
            rows=np.arange(count),
            group=group,
            controls=[Control(name="x", values=x)],
            clusters=branch if clustered else None,
            level=LEVEL,
        )
        if odds_ratio:
            return holds(found.odds_ratio.interval if found.odds_ratio else None, float(np.exp(-EFFECT)))
        everybody = np.ones(count, dtype=bool)
        truth = special.expit(_odds(x, everybody)) - special.expit(_odds(x, ~everybody))
        return holds(found.difference.interval, float(truth.mean()))

    return draw


def _amounts(rng: Generator, n: int) -> bool | None:
    count = n * A_BRANCH
    branch, group, x = np.arange(count) // A_BRANCH, rng.random(count) < 0.4, rng.normal(size=count)
    amounts = 5 + x + 0.2 * group + 0.5 * rng.normal(size=n)[branch] + rng.exponential(size=count)
    found: AdjustedDifference = adjusted_amounts(
        amounts=amounts,
        rows=np.arange(count),
        group=group,
        controls=[Control(name="x", values=x)],
        clusters=branch,
        level=LEVEL,
    )
    return holds(found.difference.interval, 0.2)


def _segments(name: str) -> Callable[[Generator, int], bool | None]:
    def draw(rng: Generator, n: int) -> bool | None:
        base = (0.9, 0.8, 0.6, 0.5)
        strata = {}
        for at, rate in enumerate(base):
            n_p, n_0 = n // 4, (n // 4) * (at + 1)
            own = rate - 0.1 if name == "difference" else rate * 0.85
            if name == "mantel_haenszel_odds_ratio":
                odds = 0.7 * rate / (1 - rate)
                own = odds / (1 + odds)
            strata[str(at)] = (Tally(int(rng.binomial(n_p, own)), n_p), Tally(int(rng.binomial(n_0, rate)), n_0))
        found: SegmentedImpact = segmented_impact(strata=strata, level=LEVEL)
        truth = {"difference": -0.1, "mantel_haenszel_odds_ratio": 0.7}.get(name, 0.85)
        return holds(getattr(found, name).interval, truth)

    return draw


def _rate_by(p: FloatArray) -> FloatArray:
    found: FloatArray = 0.85 - 0.3 * p
    return found


@cache
def _weighted_truth() -> float:
    grid = np.linspace(0.0005, 0.9995, 20_000)
    density = stats.beta.pdf(grid, 1, 3)
    rates = [np.sum(w * _rate_by(grid) * density) / np.sum(w * density) for w in (grid, 1 - grid)]
    return float(rates[0] - rates[1])


def _likely(rng: Generator, n: int) -> bool | None:
    p = rng.beta(1, 3, 2 * n)
    found = probable_gap(protected=p, reference=1 - p, outcomes=rng.random(2 * n) < _rate_by(p), cut=0.8, level=LEVEL)
    return holds(found.weighted_difference.interval, _weighted_truth())


def _kappa(rng: Generator, n: int) -> bool | None:
    system = rng.random(2 * n) < 0.7
    person = np.where(rng.random(2 * n) < 0.12, ~system, system)
    # P(person favourable) = .7·.88 + .3·.12; alike .88; chance from both shares.
    share = 0.7 * 0.88 + 0.3 * 0.12
    chance = 0.7 * share + 0.3 * (1 - share)
    return holds(agreement(system=system, person=person, level=LEVEL).kappa.interval, (0.88 - chance) / (1 - chance))


def _overlap(rng: Generator, n: int) -> bool | None:
    parts = ((n // 3, True, False, 0.2), (n // 2, False, False, 0.0), (n, False, True, 1.5))
    index = np.concatenate([rng.normal(mean, 1.0, size) for size, *_, mean in parts])
    group, favourable = (np.repeat([part[at] for part in parts], [part[0] for part in parts]) for at in (1, 2))
    found = marginal_applicants(index=index, favourable=favourable, group=group, level=LEVEL).gap
    truth = stats.norm.cdf((0.2 - 1.5) / np.sqrt(2)) - stats.norm.cdf(-1.5 / np.sqrt(2))
    return holds(found.interval, float(truth))


def _welch(rng: Generator, n: int) -> bool | None:
    p, r = rng.lognormal(0.1, 0.6, n), rng.lognormal(0.0, 0.4, 2 * n)
    truth = float(np.exp(0.1 + 0.6**2 / 2) - np.exp(0.4**2 / 2))
    return holds(mean_gap(protected=p, reference=r, level=LEVEL).interval, truth)


OBSERVED: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("adjusted_difference", _logistic(clustered=False, odds_ratio=False), sizes=DECISIONS),
        Kind("adjusted_difference_clustered", _logistic(clustered=True, odds_ratio=False)),
        Kind("conditional_odds_ratio_clustered", _logistic(clustered=True, odds_ratio=True)),
        Kind("adjusted_amount_clustered", _amounts),
        Kind("segmented_difference", _segments("difference"), sizes=DECISIONS),
        Kind("segmented_ratio", _segments("summary_ratio"), sizes=DECISIONS),
        Kind("mantel_haenszel_ratio", _segments("mantel_haenszel_ratio"), sizes=DECISIONS),
        Kind("mantel_haenszel_odds_ratio", _segments("mantel_haenszel_odds_ratio"), sizes=DECISIONS),
        Kind("weighted_difference", _likely, sizes=DECISIONS),
        Kind("kappa", _kappa, sizes=DECISIONS),
        Kind("overlap", _overlap, sizes=DECISIONS),
        Kind("price_gap", _welch, sizes=DECISIONS),
    )
}
