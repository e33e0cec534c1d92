"""Every kind of interval beside a population whose true value is known: what `benchmarks.coverage` draws from.

A kind draws one data set of ``clusters`` base profiles (for two groups: profiles in each) and returns the interval with
the truth. The populations are those of an audit: reference rates near .85, effects of a few points, skewed margins,
several prompts a profile that resemble one another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import integrate, stats

from auditor.statistics.cut_offs import cut_off_curve
from auditor.statistics.groups import weighted_rate
from auditor.statistics.margins import margin_shift, net_effect_at_matched_point
from auditor.statistics.means import mean_change
from auditor.statistics.pairs import (
    MIN_DISCORDANT,
    PairCounts,
    clustered_net_effect,
    excess_flip,
    net_effect,
    newcombe_paired_interval,
    tango_interval,
)
from auditor.statistics.rates import (
    Tally,
    adverse_impact_ratio,
    clopper_pearson,
    denial_odds_ratio,
    risk_difference,
    wilson,
)
from auditor.statistics.regression import auc, conditional_odds_ratio
from auditor.statistics.results import Interval
from auditor.statistics.scores import compare_labelled, smd

Generator = np.random.Generator
FloatArray = npt.NDArray[np.float64]
LEVEL = 0.95
SHIFT, NOISE, LOCATION, SPREAD = -0.3, 0.5, 2.0, 1.5  # margins in nats


@dataclass(frozen=True)
class Kind:
    """How one interval is drawn, and why its coverage may lie outside .93 to .97 where it does.

    ``conservative`` kinds cover more by construction; a kind that does not reach its level says so in ``reaches``.
    ``draw`` returns whether the interval held the truth; ``None`` where none was given. ``sizes`` are the numbers of
    profiles it is drawn at.
    """

    name: str
    draw: Callable[[Generator, int], bool | None]
    note: str = ""
    conservative: bool = False
    reaches: bool = True
    sizes: tuple[int, ...] = (40, 100, 300, 600)


def holds(interval: Interval | None, truth: float) -> bool | None:
    """Whether an interval holds the truth; ``None`` where none is given."""
    return None if interval is None else interval.low - 1e-12 <= truth <= interval.high + 1e-12


def _rate(make: Callable[..., Interval]) -> Callable[[Generator, int], bool | None]:
    def draw(rng: Generator, n: int) -> bool | None:
        truth = rng.uniform(0.6, 0.95)
        return holds(make(Tally(int(rng.binomial(n, truth)), n), level=LEVEL), truth)

    return draw


def _groups(rng: Generator, n: int) -> tuple[Tally, Tally, float, float]:
    r_p, r_0 = rng.uniform(0.6, 0.9), rng.uniform(0.7, 0.9)
    return Tally(int(rng.binomial(n, r_p)), n), Tally(int(rng.binomial(n, r_0)), n), float(r_p), float(r_0)


def _difference(rng: Generator, n: int) -> bool | None:
    p, r, r_p, r_0 = _groups(rng, n)
    return holds(risk_difference(protected=p, reference=r, level=LEVEL).interval, r_p - r_0)


def _ratio(rng: Generator, n: int) -> bool | None:
    p, r, r_p, r_0 = _groups(rng, n)
    return holds(adverse_impact_ratio(protected=p, reference=r, level=LEVEL).interval, r_p / r_0)


def _odds(rng: Generator, n: int) -> bool | None:
    p, r, r_p, r_0 = _groups(rng, n)
    truth = (1 - r_p) / r_p / ((1 - r_0) / r_0)
    return holds(denial_odds_ratio(protected=p, reference=r, level=LEVEL).interval, truth)


def _paired(make: Callable[[PairCounts], Interval | None]) -> Callable[[Generator, int], bool | None]:
    def draw(rng: Generator, n: int) -> bool | None:
        b, c = rng.uniform(0.03, 0.15), rng.uniform(0.01, 0.08)
        cells = rng.multinomial(n, [0.7, b, c, 0.3 - b - c])
        return holds(make(PairCounts(*(int(cell) for cell in cells))), c - b)

    return draw


def _one_pair(counts: PairCounts) -> Interval | None:
    """As the counterfactual test takes it: Tango under 10 discordant pairs, else the bootstrap."""
    if counts.discordant < MIN_DISCORDANT:
        return net_effect(counts, level=LEVEL).estimate.interval
    x = np.repeat([1, 1, 0, 0], [counts.a, counts.b, counts.c, counts.d])
    y = np.repeat([1, 0, 1, 0], [counts.a, counts.b, counts.c, counts.d])
    return clustered_net_effect(control=x, protected=y, clusters=np.arange(counts.n), level=LEVEL).interval


def _profiles(rng: Generator, k: int, each: int) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """Margins of both versions, ``each`` prompts a profile that share two thirds of their variance."""
    base = rng.normal(LOCATION, SPREAD * math.sqrt(2 / 3), k)
    codes = np.repeat(np.arange(k), each)
    control = base[codes] + rng.normal(0, SPREAD * math.sqrt(1 / 3), k * each)
    shift = rng.normal(SHIFT, NOISE * math.sqrt(2 / 3), k)[codes] + rng.normal(0, NOISE * math.sqrt(1 / 3), k * each)
    return control, control + shift, codes


def effect_at(threshold: float) -> float:
    """True Δ of the population of `_profiles` at a threshold that stays."""
    moved = stats.norm.sf(threshold, LOCATION + SHIFT, math.hypot(SPREAD, NOISE))
    return float(moved - stats.norm.sf(threshold, LOCATION, SPREAD))


def effect_at_rate(rate: float) -> float:
    """True Δ at the threshold where the reference arm's rate is ``rate``."""
    return effect_at(float(stats.norm.isf(rate, LOCATION, SPREAD)))


def _clustered(rng: Generator, k: int) -> bool | None:
    x, y, codes = _profiles(rng, k, 3)
    found = clustered_net_effect(control=x >= 1, protected=y >= 1, clusters=codes, level=LEVEL)
    return holds(found.interval, effect_at(1.0))


def _excess(rng: Generator, k: int) -> bool | None:
    common = rng.random(k)
    flips, floor = common < 0.20, (common + rng.random(k)) / 2 < 0.18
    truth = 0.20 - 2 * 0.18**2  # the mean of two uniform numbers lies below q with probability 2q²
    found = excess_flip(flips=flips, clusters=np.arange(k), floor_flips=floor, floor_clusters=np.arange(k), level=LEVEL)
    return holds(found.excess.interval, truth)


def _shift(standardised: bool) -> Callable[[Generator, int], bool | None]:
    def draw(rng: Generator, k: int) -> bool | None:
        # Skewed margins: a gamma of shape 4 with SD 1.5.
        x = rng.gamma(4, SPREAD / 2, k)
        y = x + SHIFT + NOISE * (rng.exponential(1, k) - 1)
        found = margin_shift(control=x, protected=y, flips=999, level=LEVEL)
        estimate = found.standardised if standardised else found.estimate
        return holds(estimate.interval, SHIFT / SPREAD if standardised else SHIFT)

    return draw


def _mean(rng: Generator, k: int) -> bool | None:
    each = rng.integers(1, 4, k)
    codes = np.repeat(np.arange(k), each)
    values = SHIFT + rng.normal(0, 1, k)[codes] + NOISE * (rng.exponential(1, len(codes)) - 1)
    return holds(mean_change(values, clusters=codes, level=LEVEL, flips=999).interval, SHIFT)


def _matched(rng: Generator, k: int) -> bool | None:
    x, y, _ = _profiles(rng, k, 1)
    found = net_effect_at_matched_point(control=x, protected=y, target_rate=0.85, level=LEVEL)
    return holds(found.estimate.interval, effect_at_rate(0.85))


def _matched_profiles(rng: Generator, k: int) -> bool | None:
    x, y, codes = _profiles(rng, k, 3)
    found = net_effect_at_matched_point(control=x, protected=y, clusters=codes, target_rate=0.85, level=LEVEL)
    return holds(found.estimate.interval, effect_at_rate(0.85))


def _band(rng: Generator, k: int) -> bool | None:
    x, y, _ = _profiles(rng, k, 1)
    curve = cut_off_curve(control=x, protected=y, rates=(0.75, 0.95), natural=0.0, level=LEVEL, swaps=99)
    if curve.natural is None:
        return None
    inside = all(point.low <= effect_at_rate(point.rate) <= point.high for point in curve.points)
    return inside and curve.natural.low <= effect_at(0.0) <= curve.natural.high


def _largest(rng: Generator, k: int) -> bool | None:
    x, y, _ = _profiles(rng, k, 1)
    curve = cut_off_curve(control=x, protected=y, rates=(0.75, 0.95), natural=None, level=LEVEL, swaps=99)
    return None if curve.where is None else holds(curve.largest.interval, effect_at_rate(curve.where.rate))


def _smd(rng: Generator, k: int) -> bool | None:
    scores = np.concatenate([rng.normal(0.3, 1, k), rng.normal(0, 1, k)])
    first = np.arange(2 * k) < k
    return holds(smd(scores=scores, protected=first, reference=~first, level=LEVEL).interval, 0.3)


def _labelled(name: str) -> Callable[[Generator, int], bool | None]:
    def draw(rng: Generator, k: int) -> bool | None:
        first = np.arange(2 * k) < k
        truth = rng.random(2 * k) < 0.6
        says = np.where(truth, np.where(first, 0.75, 0.85), np.where(first, 0.30, 0.32))
        decisions = rng.random(2 * k) < says
        found = compare_labelled(labels=truth, decisions=decisions, protected=first, reference=~first, level=LEVEL)
        truths = {
            "equal_opportunity": -0.10,
            "equalised_odds_difference": 0.10,
            "equalised_odds_ratio": 0.75 / 0.85,
        }
        return holds(getattr(found, name).interval, truths[name])

    return draw


@cache
def _logit_truth() -> float:
    return 0.5


def _logistic(rng: Generator, k: int) -> bool | None:
    group = np.arange(2 * k) < k
    income = rng.normal(0, 1, 2 * k)
    denied = rng.random(2 * k) < 1 / (1 + np.exp(-(-1 + _logit_truth() * group + 0.7 * income)))
    found = conditional_odds_ratio(
        outcome=denied, group=group, controls=income[:, None], control_names=["income"], level=LEVEL
    )
    return holds(found.estimate.interval, math.exp(_logit_truth()))


def _auc(rng: Generator, k: int) -> bool | None:
    labels = np.arange(2 * k) < k
    scores = rng.normal(0.8, 1, 2 * k) * labels + rng.normal(0, 1, 2 * k) * ~labels
    truth = float(stats.norm.cdf(0.8 / math.sqrt(2)))
    return holds(auc(scores=scores, labels=labels, level=LEVEL).interval, truth)


def _weighted(rng: Generator, k: int) -> bool | None:
    weights = rng.beta(0.6, 0.6, k)
    outcomes = rng.random(k) < 0.9 - 0.2 * weights
    truth = 0.9 - 0.2 * _second_moment() / 0.5
    return holds(weighted_rate(probabilities=weights, outcomes=outcomes, level=LEVEL).interval, truth)


@cache
def _second_moment() -> float:
    return float(integrate.quad(lambda w: w**2 * stats.beta.pdf(w, 0.6, 0.6), 0, 1)[0])


EXACT = "exact: at least the level by construction, for every rate, so above it on average"
MAXIMUM = "projected from both gaps: at least the level, whichever of them is the larger"
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("wilson", _rate(wilson)),
        Kind("clopper_pearson", _rate(clopper_pearson), EXACT, conservative=True),
        Kind("newcombe", _difference),
        Kind("impact_ratio_log", _ratio),
        Kind("odds_ratio_log", _odds),
        Kind("tango", _paired(lambda counts: tango_interval(counts, level=LEVEL))),
        Kind("newcombe_paired", _paired(lambda counts: newcombe_paired_interval(counts, level=LEVEL))),
        Kind("net_effect_one_pair", _paired(_one_pair)),
        Kind("net_effect_clustered", _clustered),
        Kind("excess_flip", _excess),
        Kind("mean_shift", _shift(False)),
        Kind("mean_shift_sd", _shift(True)),
        Kind("mean_change_t", _mean),
        Kind("matched_point", _matched),
        Kind("matched_point_clustered", _matched_profiles),
        Kind(
            "cut_off_band",
            _band,
            "all cut-offs at once; the floor for few flips widens it below 600",
            conservative=True,
        ),
        Kind("cut_off_largest", _largest, "a simultaneous band read at one cut-off", conservative=True),
        Kind("smd", _smd),
        Kind("equal_opportunity", _labelled("equal_opportunity")),
        Kind("equalised_odds_difference", _labelled("equalised_odds_difference"), MAXIMUM, conservative=True),
        Kind("equalised_odds_ratio", _labelled("equalised_odds_ratio"), MAXIMUM, conservative=True),
        Kind("weighted_rate", _weighted),
        Kind("conditional_odds_ratio", _logistic),
        Kind("auc_delong", _auc),
    )
}
