"""The specification curve of a localisation: the share of a node by what is put in, by what is read, and of whom.

*Corruption.* The group's state put into the reference's prompt (noising, declared), the reference's put into the
group's (denoising), and the mean of both put into both prompts: how much of their difference goes when the node cannot
tell them apart. What is enough to move the margin need not be needed for it, and a node that a second one copies is
neither needed nor alone. All three take states that a pair's two runs hold already.

*Metric.* A share of the margin that weighs pairs by the square of their difference (declared), as a ratio of sums, and
the ratio of sums of the probability: a margin that moves where the answer is sure moves no probability.

*Draw.* Both halves of the applications, where each is large enough for an interval.

One of them is declared and the others repeat it (specifications.py). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auditor.mechanisms._shared.pair_rows import EffectsT, LookedAt, Patched
from auditor.mechanisms._shared.scales import probability
from auditor.mechanisms._shared.specifications import (
    CHANCES,
    DENOISING,
    HALFWAY,
    NOISING,
    SUMMED,
    WEIGHTED,
    Agreement,
    Result,
    Specification,
    agreement,
    agreement_words,
)
from auditor.statistics.bootstrap import bootstrap_totals
from auditor.statistics.minimums import FOR_A_SHARE
from auditor.statistics.results import FloatArray
from auditor.testing.context import Context


@dataclass(frozen=True)
class Moved:
    """What one corruption does to both margins of every pair, in nats, [pairs]; 0 where a prompt was left alone."""

    reference: FloatArray
    group: FloatArray

    @property
    def effect(self) -> FloatArray:
        """How much of the difference goes with the node: positive carries it."""
        return self.reference - self.group


@dataclass(frozen=True)
class Repeated:
    """What the other specifications say of a share, as a measurement takes it.

    Attributes
    ----------
    counts
        For the measurement's own.
    words
        How many agree, and between what.
    unstable
        Why nothing can be concluded from it; ``None`` where something can.
    """

    counts: Mapping[str, float | int | None]
    words: str
    unstable: str | None


def put_in(effects: FloatArray) -> Moved:
    """The group's state put into the reference's prompt moves its margin by ``effects``."""
    return Moved(effects, np.zeros_like(effects))


def put_back(effects: FloatArray) -> Moved:
    """The reference's state put into the group's prompt moves its margin by ``effects``."""
    return Moved(np.zeros_like(effects), effects)


def rows_of(pairs: Sequence[Patched[EffectsT]], read: Callable[[EffectsT], float]) -> dict[str, Moved]:
    """What all corruptions of one node did, out of the pairs' results.

    Parameters
    ----------
    pairs
        Patched by the declared corruption and, where all are, by those of :func:`.patches.again`.
    read
        The effect of the node, in nats, out of those of all nodes.
    """
    found = {NOISING: put_in(_column(read(pair.effects) for pair in pairs))}
    again = [pair.again for pair in pairs if pair.again is not None]
    if len(again) == len(pairs):
        found[DENOISING] = put_back(_column(read(each.turned) for each in again))
        found[HALFWAY] = Moved(*(_column(read(each.halfway[place]) for each in again) for place in (0, 1)))
    return found


def agree(
    context: Context,
    moved: Mapping[str, Moved],
    gaps: FloatArray,
    *,
    base: FloatArray | None = None,
    metric: str = WEIGHTED,
) -> Agreement:
    """Whether a node's share is the same by every corruption, metric and half of the applications.

    Parameters
    ----------
    moved
        By corruption.
    gaps
        The differences, group minus reference, [pairs], nats.
    base
        Margins of the reference's prompts, [pairs]; without them there is no probability to read.
    metric
        The declared one, which the figure itself is read by.
    """
    results = []
    for corruption, change in moved.items():
        for read, rows in _sums(change, gaps, base).items():
            results.append(_result(context, Specification(corruption=corruption, metric=read), rows))
    declared = Specification(corruption=NOISING, metric=metric)
    if len(gaps) >= 2 * FOR_A_SHARE:
        rows = _sums(moved[NOISING], gaps, base)[metric]
        results += [_result(context, replace(declared, seed=draw), rows[draw - 1 :: 2]) for draw in (1, 2)]
    return agreement(results, declared=declared)


def repeated(
    context: Context,
    moved: Mapping[str, Moved],
    gaps: FloatArray,
    *,
    base: FloatArray | None = None,
    metric: str = WEIGHTED,
) -> Repeated:
    """The agreement as a measurement takes it; parameters as :func:`agree`."""
    found = agree(context, moved, gaps, base=base, metric=metric)
    counts = found.counts()
    # Without its extremes, which stand beside it, one reason holds of many nodes.
    unstable = agreement_words(counts, extremes=False) if found.conclusion else None
    return Repeated(counts=counts, words=agreement_words(counts), unstable=unstable)


def bases(pairs: Iterable[LookedAt]) -> FloatArray | None:
    """Margins of the reference's prompts; ``None`` where not all were kept."""
    found = [pair.base for pair in pairs]
    return None if None in found else np.array(found, dtype=np.float64)


def _column(values: Iterable[float]) -> FloatArray:
    return np.array(list(values), dtype=np.float64)


def _sums(moved: Moved, gaps: FloatArray, base: FloatArray | None) -> dict[str, FloatArray]:
    """By metric, a row a pair of what is summed up above and below the line, [pairs, 2]."""
    effects, sign = moved.effect, np.sign(gaps)
    found = {
        WEIGHTED: np.stack([effects * gaps, gaps**2], axis=1),
        SUMMED: np.stack([effects * sign, np.abs(gaps)], axis=1),
    }
    if base is not None:
        donor = base + gaps
        whole = probability(donor) - probability(base)
        left = probability(donor + moved.group) - probability(base + moved.reference)
        found[CHANCES] = np.stack([(whole - left) * sign, np.abs(whole)], axis=1)
    return found


def _result(context: Context, specification: Specification, rows: FloatArray) -> Result:
    total = rows.sum(axis=0)
    if not total[1] > 0:
        return Result(specification=specification, estimate=None, holds=None, reason="there is no difference")
    estimate = float(total[0] / total[1])
    if len(rows) < FOR_A_SHARE:
        reason = f"{len(rows)} applications, {FOR_A_SHARE} needed"
        return Result(specification=specification, estimate=estimate, holds=None, reason=reason)

    def ratio(sums: FloatArray) -> FloatArray:
        return np.asarray(sums[:, 0] / sums[:, 1])

    thresholds = context.plan.thresholds
    sampled = bootstrap_totals(
        totals=rows, statistic=ratio, resamples=thresholds.bootstrap, seed=context.plan.cases.seed
    ).interval(1 - thresholds.alpha)
    holds = sampled is not None and not sampled.low <= 0 <= sampled.high
    return Result(specification=specification, estimate=estimate, holds=holds)
