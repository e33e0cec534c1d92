"""Kinds of intervals of tests on internals and of comparisons of versions, beside populations whose truth is known.

Drawn from as those in `benchmarks.coverage_kinds`. Tests on internals have intervals from 24 applications on, so these
kinds are seen at 24, 48 and 96; a data set is what a test keeps of its applications: effects of a patch and differences
of pairs, held-out logits of a probe, squared errors of a reader.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import stats

from auditor.comparison_pairs import ComparedContrast, changed_mean
from auditor.comparison_range import range_change
from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.pair_measures import share_interval
from auditor.mechanisms._shared.paired_means import mean_share, paired_mean
from auditor.mechanisms._shared.probe_readings import read
from auditor.mechanisms._shared.ridge import gain, skill
from auditor.mechanisms.circuits.measure import Ends, _ends, _sampled
from auditor.mechanisms.interpretation.answers import Answered, Answers
from auditor.mechanisms.look_ahead.part import Part
from auditor.mechanisms.look_ahead.result import PartResult
from auditor.mechanisms.look_ahead.written import _covered, _spread_left
from auditor.mechanisms.probing.selectivity import difference_interval
from benchmarks.coverage_kinds import LEVEL, LOCATION, NOISE, SHIFT, SPREAD, FloatArray, Generator, Kind, holds
from benchmarks.version_nulls import RULES, _both

FEW = (24, 48, 96)
"""Applications or pairs of a test on internals."""
ROUNDING = NoiseFloor(logit=2e-5, state=1e-7, precision=1e-7, arithmetic="float32")
CONTEXT: Any = SimpleNamespace(
    plan=SimpleNamespace(thresholds=SimpleNamespace(alpha=1 - LEVEL, bootstrap=2000), cases=SimpleNamespace(seed=1))
)


def _within(ends: tuple[float, float] | None, truth: float) -> bool | None:
    return None if ends is None else ends[0] - 1e-12 <= truth <= ends[1] + 1e-12


def _skewed(rng: Generator, n: int) -> FloatArray:
    """Mean 0, SD 1, as margins are: a gamma of shape 4."""
    return (rng.gamma(4, 1, n) - 4) / 2


def _pairs(rng: Generator, n: int, share: float) -> tuple[FloatArray, FloatArray]:
    """Effects and differences: most pairs differ one way, and an effect departs from its share by chance."""
    gaps = 0.5 + _skewed(rng, n)
    return share * gaps + 0.5 * rng.standard_t(5, n), gaps


def _share(rng: Generator, n: int) -> bool | None:
    effects, gaps = _pairs(rng, n, 0.3)
    return _within(share_interval(CONTEXT, effects, gaps), 0.3)


def _null_share(rng: Generator, n: int) -> bool | None:
    effects, gaps = _pairs(rng, n, 0.0)
    return _within(share_interval(CONTEXT, effects, gaps), 0.0)


def _paired(rng: Generator, n: int) -> bool | None:
    values = SHIFT + NOISE * _skewed(rng, n)
    return holds(paired_mean(values, level=LEVEL, method="").interval, SHIFT)


def _shares(rng: Generator, n: int) -> bool | None:
    return holds(mean_share(rng.beta(6, 2, n), level=LEVEL, method="", by="feature").interval, 0.75)


def _probe(what: str) -> Callable[[Generator, int], bool | None]:
    """Held-out logits of both labels of an application, which share half of their variance."""
    apart = 0.6

    def draw(rng: Generator, n: int) -> bool | None:
        own = rng.normal(0, math.sqrt(0.5), n)
        logits = np.concatenate([side * apart + own + rng.normal(0, math.sqrt(0.5), n) for side in (-1, 1)])
        reading = read(logits=logits, labels=np.arange(2 * n) >= n, clusters=np.tile(np.arange(n), 2), level=LEVEL)
        if what == "accuracy":
            return _within((reading.low, reading.high), float(stats.norm.cdf(apart)))
        # Of n² pairs n are of one application, whose logits share what is the application's own.
        apart_from, together = (float(stats.norm.cdf(2 * apart / math.sqrt(spread))) for spread in (2.0, 1.0))
        return _within((reading.auroc_low, reading.auroc_high), (1 - 1 / n) * apart_from + together / n)

    return draw


def _withheld(apart: float, what: str) -> Callable[[Generator, int], bool | None]:
    """One label an application."""

    def draw(rng: Generator, n: int) -> bool | None:
        labels = np.arange(n) % 2 == 0
        logits = np.where(labels, apart, -apart) + rng.normal(0, 1, n)
        reading = read(logits=logits, labels=labels, clusters=np.arange(n), level=LEVEL)
        if what == "accuracy":
            return _within((reading.low, reading.high), float(stats.norm.cdf(apart)))
        return _within((reading.auroc_low, reading.auroc_high), float(stats.norm.cdf(apart * math.sqrt(2))))

    return draw


def _selectivity(rng: Generator, n: int) -> bool | None:
    """The attribute's two words and twenty pairs of others, each as hard to tell apart as it is."""
    own, pairs = 1.2, rng.normal(0.6, 0.3, 20)
    easy = rng.normal(0, 0.5, n)

    def right(hard: float | FloatArray) -> FloatArray:
        chance = stats.norm.cdf(np.atleast_1d(hard)[:, None] + easy)
        return np.asarray((rng.random((2, *chance.shape)) < chance).mean(axis=(0, 1)))

    width = math.sqrt(1 + 0.25)
    truth = float(stats.norm.cdf(own / width) - stats.norm.cdf(pairs / width).mean())
    return _within(difference_interval(right(own), right(pairs), level=LEVEL), truth)


def _errors(rng: Generator, n: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Squared: what a state leaves of a margin, what the fields leave of it, and the margin itself."""
    margins = _skewed(rng, n)
    return (0.4 * margins - 0.5 * _skewed(rng, n)) ** 2, (0.7 * margins - 0.3 * _skewed(rng, n)) ** 2, margins**2


def _skill(rng: Generator, n: int) -> bool | None:
    errors, _, spread = _errors(rng, n)
    found = skill(errors=errors, spread=spread, level=LEVEL)
    return _within((found.low, found.high), 1 - (0.4**2 + 0.5**2))


def _gain(rng: Generator, n: int) -> bool | None:
    errors, others, spread = _errors(rng, n)
    found = gain(errors=errors, others=others, spread=spread, level=LEVEL)
    return _within((found.low, found.high), (0.7**2 + 0.3**2) - (0.4**2 + 0.5**2))


def _part() -> Part[PartResult]:
    return Part(CONTEXT, "look_ahead", [PartResult(left_out=0, noise=ROUNDING)])


def _written(rng: Generator, n: int) -> bool | None:
    margins = 1.0 + _skewed(rng, n)
    return holds(_covered(_part(), 0.4 * margins + 0.5 * _skewed(rng, n), margins, "").interval, 0.4)


def _knocked(rng: Generator, n: int) -> bool | None:
    own = _skewed(rng, n)
    left = 0.6 * own + 0.3 * rng.standard_normal(n)
    rows = np.stack([left, left**2, own, own**2, np.ones(n)], axis=1)
    return holds(_part().resampled(rows, _spread_left, method="").interval, math.sqrt(0.6**2 + 0.3**2))


def _faithful(rng: Generator, n: int) -> bool | None:
    """A circuit that keeps seven tenths of the difference."""
    kept, gaps = _pairs(rng, n, 0.7)
    ends = Ends(full=gaps, empty=np.zeros(n))
    return _within(_ends(_sampled(CONTEXT, ends, kept[:, None]), 0, LEVEL, pairs=n), 0.7)


def _detection(rng: Generator, n: int) -> bool | None:
    """Every application is asked once of an active context and once each of two kinds of inactive ones."""
    shares = 0.8, 0.9, 0.95
    counts = [rng.binomial(n, share) for share in shares]
    answered = [Answered(float(count), float(n), n) for count in counts]
    said = Answers(*answered, answered[0], answered[1])
    return _within(said.detection_interval(level=LEVEL), (shares[0] + (shares[1] + shares[2]) / 2) / 2)


LATER = -0.6
"""What the later version does to a group's margin, in nats; the earlier one does SHIFT."""


def _versions(rng: Generator, n: int) -> ComparedContrast:
    worth = rng.normal(LOCATION, SPREAD, n)
    own = [worth + rng.normal(0, 0.3, n) for _ in range(2)]
    groups = [margins + shift + rng.normal(0, NOISE, n) for margins, shift in zip(own, (SHIFT, LATER), strict=True)]
    return ComparedContrast("race", "b", "a", _both(own, "a"), _both(groups, "b"))


def _change(threshold: float) -> float:
    """True change of Δ at a threshold that both versions share."""
    whole = math.sqrt(SPREAD**2 + 0.3**2 + NOISE**2)
    moved = [float(stats.norm.sf(threshold, LOCATION + shift, whole)) for shift in (SHIFT, LATER)]
    return moved[1] - moved[0]


def _version_effect(rng: Generator, n: int) -> bool | None:
    wide, _, _ = changed_mean(_versions(rng, n).changes, RULES, rate=True)
    return holds(wide, _change(0.0))


def _version_margin(rng: Generator, n: int) -> bool | None:
    wide, _, _ = changed_mean(SHIFT + NOISE * _skewed(rng, n), RULES)
    return holds(wide, SHIFT)


def _version_range(rng: Generator, n: int) -> bool | None:
    item = range_change(_versions(rng, n), RULES, test="", family="", doubts=()).measurement
    if item.low is None or item.high is None:
        return None
    rate = float(item.counts["rate"] or 0.0)
    at = float(stats.norm.isf(rate, LOCATION, math.hypot(SPREAD, 0.3)))
    return _within((item.low, item.high), _change(at))


RATES = "Wilson's intervals of both labels, as if their errors came together: at least the level"
INSIDE: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("share_of_difference", _share, sizes=FEW),
        Kind("share_of_difference_null", _null_share, sizes=FEW),
        Kind("circuit_faithfulness", _faithful, sizes=FEW),
        Kind("paired_mean", _paired, sizes=FEW),
        Kind("mean_of_shares", _shares, sizes=FEW),
        Kind("probe_accuracy_stated", _probe("accuracy"), RATES, conservative=True, sizes=FEW),
        Kind("probe_accuracy_withheld", _withheld(0.4, "accuracy"), RATES, conservative=True, sizes=FEW),
        Kind("probe_auroc_stated", _probe("auroc"), sizes=FEW),
        Kind("probe_auroc_withheld", _withheld(1.2, "auroc"), sizes=FEW),
        Kind("probe_selectivity", _selectivity, RATES, conservative=True, sizes=FEW),
        Kind("reader_share", _skill, sizes=FEW),
        Kind("reader_above_fields", _gain, sizes=FEW),
        Kind("written_share", _written, sizes=FEW),
        Kind("knockout_spread", _knocked, sizes=FEW),
        Kind("description_detection", _detection, RATES, conservative=True, sizes=FEW),
        Kind("version_effect_change", _version_effect),
        Kind("version_margin_change", _version_margin),
        Kind("version_range_change", _version_range, "a band for all cut-offs at once, read at one", conservative=True),
    )
}
