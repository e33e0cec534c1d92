"""Scores and labelled decisions by group: SMD, equal opportunity, equalised odds (docs/statistics.md).

Label 1 is the favourable truth (repaid), decision 1 the favourable decision. An empty denominator gives a missing value
with its reason, never 0.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from auditor.statistics.bootstrap import (
    BootstrapSample,
    bootstrap_totals,
    cluster_codes,
    cluster_totals,
    resampled_sums,
    sample_of,
)
from auditor.statistics.clustered import JackknifeSample, Together, jackknifed, mean_test, together
from auditor.statistics.minimums import NEGATIVES, POSITIVES, unmet
from auditor.statistics.rates import Tally
from auditor.statistics.results import (
    MIN_RESAMPLES,
    BoolArray,
    Estimate,
    FloatArray,
    Interval,
    Significance,
    booleans,
    floats,
    missing,
    same_length,
    tost_level,
)

Denominator = Literal["pooled", "population"]
UNDEFINED = "the statistic is undefined in more than 5% of the resamples, so no interval is given"


def smd(
    *,
    scores: npt.ArrayLike,
    protected: npt.ArrayLike,
    reference: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    denominator: Denominator = "pooled",
    level: float,
    resamples: int = MIN_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Standardised mean difference, (mean_p − mean_0) / SD, with Welch's t test and a bootstrap interval.

    Parameters
    ----------
    scores
        Shape (n,), everybody's score.
    protected, reference
        Shape (n,), who belongs to either group; the groups must not overlap. Others count in the population only.
    clusters
        Shape (n,), base profile of each score; by default each is its own.
    denominator
        ``"pooled"``: pooled SD of the two groups. ``"population"``: SD (ddof 1) of all scores. The name is in
        ``method``, because both are in use and differ. Values are plain (0.30, not 30).

    Raises
    ------
    ValueError
        For overlapping groups, lengths that differ, numbers that are not finite or an unknown denominator.
    """
    if denominator not in ("pooled", "population"):
        raise ValueError(f"denominator must be 'pooled' or 'population', got {denominator!r}")
    y = floats(scores, name="scores")
    in_p, in_0 = booleans(protected, name="protected"), booleans(reference, name="reference")
    n = same_length(scores=y, protected=in_p, reference=in_0)
    if (in_p & in_0).any():
        raise ValueError("protected and reference overlap")
    method = f"standardised mean difference, {denominator} SD"
    n_p, n_0 = int(in_p.sum()), int(in_0.sum())
    counts: dict[str, int | float | str] = {"n_p": n_p, "n_0": n_0}
    if min(n_p, n_0) < 2:
        return missing(method=method, reason="each group needs at least two scores", n=n_p + n_0, **counts)
    # Centred first, so that sums of squares do not cancel for scores far from 0.
    y = y - y.mean()
    columns = np.empty((n, 9))
    for at, column in enumerate((in_p, in_p * y, in_p * y**2, in_0, in_0 * y, in_0 * y**2, 1.0, y, y**2)):
        columns[:, at] = column
    scale = float(np.max(np.abs(y)))
    statistic = _smd_statistic(denominator, floor=1e-12 * scale)
    value = float(statistic(columns.sum(axis=0, keepdims=True))[0])
    if scale == 0 or not math.isfinite(value):
        return missing(method=method, reason="the scores do not vary, so there is no SD to divide by", n=n, **counts)
    codes, k = cluster_codes(clusters, n=n)
    totals = cluster_totals(columns, codes=codes, clusters=k)
    members = in_p | in_0
    belong = together(in_p[members], None if clusters is None else np.asarray(clusters)[members])
    sample: BootstrapSample | JackknifeSample = (
        bootstrap_totals(totals=totals, statistic=statistic, resamples=resamples, seed=seed)
        if belong is None
        else jackknifed(totals, statistic, belong)
    )
    return _with_sample(
        value=value,
        n=n_p + n_0,
        method=method,
        sample=sample,
        level=level,
        test=_mean_test(y, in_p, in_0, clusters),
        counts=counts,
    )


def residual_smd(
    *,
    labels: npt.ArrayLike,
    predictions: npt.ArrayLike,
    protected: npt.ArrayLike,
    reference: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    denominator: Denominator = "pooled",
    level: float,
    resamples: int = MIN_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """SMD of label − prediction; where higher is better, positive means the model under-rates the protected group."""
    truth, guess = floats(labels, name="labels"), floats(predictions, name="predictions")
    same_length(labels=truth, predictions=guess)
    estimate = smd(
        scores=truth - guess,
        protected=protected,
        reference=reference,
        clusters=clusters,
        denominator=denominator,
        level=level,
        resamples=resamples,
        seed=seed,
    )
    return Estimate(
        value=estimate.value,
        n=estimate.n,
        method=f"residual {estimate.method}",
        interval=estimate.interval,
        tost_interval=estimate.tost_interval,
        test=estimate.test,
        reason=estimate.reason,
        counts=estimate.counts,
    )


def pooled_sd(protected: FloatArray, reference: FloatArray) -> float | None:
    """The SD that `smd` divides by, of shapes (n_p,) and (n_0,); ``None`` where there is none or nothing varies."""
    if min(len(protected), len(reference)) < 2:
        return None
    squares = sum(float(((each - each.mean()) ** 2).sum()) for each in (protected, reference))
    spread = math.sqrt(squares / (len(protected) + len(reference) - 2))
    scale = max(float(np.abs(protected).max()), float(np.abs(reference).max()))
    return spread if spread > 1e-12 * scale else None


def _smd_statistic(denominator: Denominator, *, floor: float) -> Callable[[FloatArray], FloatArray]:
    def statistic(sums: FloatArray) -> FloatArray:
        n_p, s_p, q_p, n_0, s_0, q_0, n, s, q = sums.T
        with np.errstate(divide="ignore", invalid="ignore"):
            if denominator == "pooled":
                variance = ((q_p - s_p**2 / n_p) + (q_0 - s_0**2 / n_0)) / (n_p + n_0 - 2)
            else:
                variance = (q - s**2 / n) / (n - 1)
            spread = np.sqrt(np.maximum(variance, 0.0))
            difference = s_p / n_p - s_0 / n_0
            value: FloatArray = np.where(spread > floor, difference / spread, np.nan)
        return value

    return statistic


def _mean_test(y: FloatArray, in_p: BoolArray, in_0: BoolArray, clusters: npt.ArrayLike | None) -> Significance | None:
    both = in_p | in_0
    labels = None if clusters is None else np.asarray(clusters)[both]
    return mean_test(y[both], in_p[both], labels, alone=_welch(y[in_p], y[in_0]))


def _welch(protected: FloatArray, reference: FloatArray) -> Significance | None:
    if np.ptp(protected) == 0 and np.ptp(reference) == 0:
        return None
    with warnings.catch_warnings():
        # One group's scores may all be alike: its variance is then 0 to the last digit, which is no fault of the test.
        warnings.filterwarnings("ignore", message="Precision loss occurred", category=RuntimeWarning)
        result = stats.ttest_ind(protected, reference, equal_var=False)
    return Significance(p_value=float(result.pvalue), method="Welch t", statistic=float(result.statistic))


def _with_sample(
    *,
    value: float,
    n: int,
    method: str,
    sample: BootstrapSample | JackknifeSample,
    level: float,
    counts: dict[str, int | float | str],
    test: Significance | None = None,
) -> Estimate:
    interval = sample.interval(level)
    return Estimate(
        value=value,
        n=n,
        method=method,
        interval=interval,
        tost_interval=sample.interval(tost_level(level)),
        test=test,
        reason=None if interval else (sample.belong.few if isinstance(sample, JackknifeSample) else "") or UNDEFINED,
        counts=counts,
    )


@dataclass(frozen=True, slots=True)
class LabelledRates:
    """One group's decisions against the truth: TPR = TP/(TP+FN) and FPR = FP/(FP+TN), with both denominators."""

    true_positive: Tally
    false_positive: Tally


def labelled_rates(*, labels: npt.ArrayLike, decisions: npt.ArrayLike) -> LabelledRates:
    """Tally favourable decisions among the truly favourable and among the truly unfavourable; inputs shape (n,)."""
    truth, said = booleans(labels, name="labels"), booleans(decisions, name="decisions")
    same_length(labels=truth, decisions=said)
    return LabelledRates(Tally.of(said[truth]), Tally.of(said[~truth]))


@dataclass(frozen=True, slots=True)
class LabelledComparison:
    """Two groups' decisions against the truth.

    ``equal_opportunity`` is TPR_p − TPR_0 (signed); ``equalised_odds_difference`` max(|ΔTPR|, |ΔFPR|);
    ``equalised_odds_ratio`` the smaller of the TPR ratio and the FPR ratio, each the lower rate over the higher.
    """

    protected: LabelledRates
    reference: LabelledRates
    equal_opportunity: Estimate
    equalised_odds_difference: Estimate
    equalised_odds_ratio: Estimate


def compare_labelled(
    *,
    labels: npt.ArrayLike,
    decisions: npt.ArrayLike,
    protected: npt.ArrayLike,
    reference: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    level: float,
    resamples: int = MIN_RESAMPLES,
    seed: int = 0,
) -> LabelledComparison:
    """Equal opportunity and equalised odds, protected against reference, with clustered bootstrap intervals.

    Parameters
    ----------
    labels, decisions
        Shape (n,), 0/1: truth and decision.
    protected, reference
        Shape (n,), who belongs to either group; the groups must not overlap.
    clusters
        Shape (n,), base profile of each row; by default each is its own.

    Notes
    -----
    The equalised odds difference is a maximum of absolute values and biased upward, so percentiles of it miss the
    truth (.72 to .94 of a nominal .95). Its interval is projected from those of the two gaps: the upper bound is the
    larger of both at the level asked for, since the gap that is the maximum lies below its own; the lower bound the
    larger of both at half the error, since either may be wrong. The ratio likewise. Below the minimum of positives
    and negatives no interval is given.
    """
    truth, said = booleans(labels, name="labels"), booleans(decisions, name="decisions")
    in_p, in_0 = booleans(protected, name="protected"), booleans(reference, name="reference")
    n = same_length(labels=truth, decisions=said, protected=in_p, reference=in_0)
    if (in_p & in_0).any():
        raise ValueError("protected and reference overlap")
    rates_p = labelled_rates(labels=truth[in_p], decisions=said[in_p])
    rates_0 = labelled_rates(labels=truth[in_0], decisions=said[in_0])
    members = in_p | in_0
    columns = np.column_stack(
        [part for group in (in_p, in_0) for cell in (truth, ~truth) for part in (group & cell & said, group & cell)]
    ).astype(np.float64)[members]
    all_codes, _ = cluster_codes(clusters, n=n)
    codes, k = cluster_codes(all_codes[members], n=int(members.sum()))
    totals = cluster_totals(columns, codes=codes, clusters=k)

    @cache
    def resampled() -> FloatArray:
        return resampled_sums(totals=totals, resamples=resamples, seed=seed)

    belong = together(in_p[members] * 2 + truth[members], None if clusters is None else all_codes[members])
    favourable = members & truth  # all that equal opportunity looks at
    of_favourable = together(in_p[favourable], None if clusters is None else all_codes[favourable])

    def sampled(
        statistic: Callable[[FloatArray], FloatArray], belong: Together | None = belong
    ) -> BootstrapSample | JackknifeSample:
        if belong is None:
            return sample_of(resampled(), statistic, clusters=k)
        return jackknifed(totals, statistic, belong)

    counts: dict[str, int | float | str] = {
        "positives_p": rates_p.true_positive.n,
        "negatives_p": rates_p.false_positive.n,
        "positives_0": rates_0.true_positive.n,
        "negatives_0": rates_0.false_positive.n,
    }
    no_positives = _empty_denominator("favourable", rates_p.true_positive, rates_0.true_positive)
    no_negatives = _empty_denominator("unfavourable", rates_p.false_positive, rates_0.false_positive)

    def measure(
        method: str,
        statistic: Callable[[FloatArray], FloatArray],
        reason: str | None,
        belong: Together | None = belong,
    ) -> Estimate:
        if reason:
            return missing(method=method, reason=reason, n=len(codes), **counts)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(statistic(totals.sum(axis=0, keepdims=True))[0])
        if not math.isfinite(value):
            reason = "both groups have a true or false positive rate of 0, so the ratio is undefined"
            return missing(method=method, reason=reason, n=len(codes), **counts)
        sample = sampled(statistic, belong)
        return _with_sample(value=value, n=len(codes), method=method, sample=sample, level=level, counts=counts)

    def projected(
        method: str, statistic: Callable[[FloatArray], FloatArray], gaps: Sequence[GapOf], fold: FoldOf
    ) -> Estimate:
        plain = measure(method, statistic, no_positives or no_negatives)
        if plain.value is None:
            return plain
        positives = min(rates_p.true_positive.n, rates_0.true_positive.n)
        negatives = min(rates_p.false_positive.n, rates_0.false_positive.n)
        short = unmet({POSITIVES: positives, NEGATIVES: negatives})
        samples = [sampled(gap) for gap in gaps]

        def interval(wanted: float) -> Interval | None:
            outer = [sample.interval(wanted) for sample in samples]
            inner = [sample.interval(1 - (1 - wanted) / len(samples)) for sample in samples]
            return None if short else fold(outer, inner, wanted)

        found = interval(level)
        few = belong.few if belong else ""
        reason = "; ".join(short) or (None if found else few or UNDEFINED)
        return replace(plain, interval=found, tost_interval=interval(tost_level(level)), reason=reason)

    opportunity = measure("equal opportunity difference", _tpr_difference, no_positives, of_favourable)
    few = unmet({POSITIVES: min(rates_p.true_positive.n, rates_0.true_positive.n)})
    return LabelledComparison(
        protected=rates_p,
        reference=rates_0,
        equal_opportunity=replace(opportunity, interval=None, tost_interval=None, reason="; ".join(few))
        if few and opportunity.value is not None
        else opportunity,
        equalised_odds_difference=projected(
            "equalised odds difference", _odds_difference, (_tpr_difference, _fpr_difference), _largest_gap
        ),
        equalised_odds_ratio=projected("equalised odds ratio", _odds_ratio, (_tpr_share, _fpr_share), _smallest_ratio),
    )


def _empty_denominator(kind: str, protected: Tally, reference: Tally) -> str | None:
    for group, tally in (("protected", protected), ("reference", reference)):
        if tally.n == 0:
            return f"no case with a truly {kind} outcome in the {group} group"
    return None


def _rates(sums: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """TPR_p, FPR_p, TPR_0, FPR_0 from sums in the order of the columns above; NaN for empty denominators."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = sums[:, 0::2] / sums[:, 1::2]
    return rates[:, 0], rates[:, 1], rates[:, 2], rates[:, 3]


def _tpr_difference(sums: FloatArray) -> FloatArray:
    tpr_p, _, tpr_0, _ = _rates(sums)
    return tpr_p - tpr_0


def _fpr_difference(sums: FloatArray) -> FloatArray:
    _, fpr_p, _, fpr_0 = _rates(sums)
    return fpr_p - fpr_0


def _tpr_share(sums: FloatArray) -> FloatArray:
    """The protected rate over the sum of both: it grows with their ratio and has a value where one rate is 0."""
    tpr_p, _, tpr_0, _ = _rates(sums)
    return tpr_p / (tpr_p + tpr_0)


def _fpr_share(sums: FloatArray) -> FloatArray:
    _, fpr_p, _, fpr_0 = _rates(sums)
    return fpr_p / (fpr_p + fpr_0)


GapOf = Callable[[FloatArray], FloatArray]
FoldOf = Callable[[Sequence[Interval | None], Sequence[Interval | None], float], Interval | None]
PROJECTED = "projected from the clustered bootstrap intervals of both gaps"


def _largest_gap(outer: Sequence[Interval | None], inner: Sequence[Interval | None], level: float) -> Interval | None:
    """Bounds of the larger absolute gap from the intervals of both."""
    wide, sure = [one for one in outer if one], [one for one in inner if one]
    if len(wide) < len(outer) or len(sure) < len(inner):
        return None
    low = max(max(0.0, one.low, -one.high) for one in sure)
    high = max(max(one.high, -one.low) for one in wide)
    return Interval(min(low, high), high, level, PROJECTED)


def _smallest_ratio(
    outer: Sequence[Interval | None], inner: Sequence[Interval | None], level: float
) -> Interval | None:
    """Bounds of the smaller ratio, each the lower rate over the higher, from the shares of both."""
    centred = [
        [None if one is None else Interval(one.low - 0.5, one.high - 0.5, one.level, one.method) for one in some]
        for some in (outer, inner)
    ]
    gap = _largest_gap(centred[0], centred[1], level)
    if gap is None:
        return None
    # A share 1/2 + g, whichever way, is a ratio of (1/2 − g)/(1/2 + g).
    low, high = ((0.5 - bound) / (0.5 + bound) for bound in (gap.high, gap.low))
    return Interval(low, high, level, PROJECTED)


def _odds_difference(sums: FloatArray) -> FloatArray:
    tpr_p, fpr_p, tpr_0, fpr_0 = _rates(sums)
    return np.maximum(np.abs(tpr_p - tpr_0), np.abs(fpr_p - fpr_0))


def _odds_ratio(sums: FloatArray) -> FloatArray:
    tpr_p, fpr_p, tpr_0, fpr_0 = _rates(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        tpr = np.minimum(tpr_p, tpr_0) / np.maximum(tpr_p, tpr_0)
        fpr = np.minimum(fpr_p, fpr_0) / np.maximum(fpr_p, fpr_0)
    return np.minimum(tpr, fpr)
