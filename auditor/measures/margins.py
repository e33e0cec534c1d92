"""Margins (log-odds) of matched pairs: mean shift, and the net effect at the matched operating point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from auditor.measures.bootstrap import (
    MIN_RESAMPLES,
    BootstrapSample,
    bootstrap_totals,
    cluster_codes,
    cluster_totals,
    resample_weights,
)
from auditor.measures.pairs import NO_PAIRS, PairCounts, count_pairs, mcnemar_exact
from auditor.measures.permutation import FLIPS, sign_flip_test
from auditor.measures.results import Estimate, FloatArray, Significance, floats, missing, same_length, tost_level

BLOCK_CELLS = 2_000_000
SHARE_DIGITS = 12  # shares closer than this are equal; without it float noise would choose between two thresholds


@dataclass(frozen=True, slots=True)
class MarginShift:
    """Mean shift of the margin, protected − control, in its own unit and in SDs of the reference arm's margins.

    ``estimate`` and ``standardised`` carry the sign-flip permutation test; ``wilcoxon`` is the signed-rank test on one
    mean difference a profile. ``reference_sd`` has ddof 1 and is ``None`` where the reference arm does not vary.
    """

    estimate: Estimate
    standardised: Estimate
    wilcoxon: Significance | None
    reference_sd: float | None


def margin_shift(
    *,
    control: npt.ArrayLike,
    protected: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = MIN_RESAMPLES,
    flips: int = FLIPS,
    seed: int = 0,
) -> MarginShift:
    """Mean of y_protected − y_control over pairs.

    Parameters
    ----------
    control, protected
        Shape (pairs,), margins in logits (or any score), the control version being the reference arm.
    clusters
        Shape (pairs,), base profile of each pair; by default one pair a profile.

    Notes
    -----
    The bootstrap resamples profiles and takes the reference SD anew each time. Wilcoxon drops zero differences (its
    classic form); where all are zero it has p = 1.
    """
    x, y = floats(control, name="control"), floats(protected, name="protected")
    n = same_length(control=x, protected=y)
    if n == 0:
        none = missing(method="mean margin shift", reason=NO_PAIRS, n=0)
        return MarginShift(none, none, None, None)
    codes, k = cluster_codes(clusters, n=n)
    # Margins are centred so that the sums of squares do not cancel.
    centred = x - x.mean()
    columns = np.column_stack([y - x, np.ones(n), centred, centred**2])
    totals = cluster_totals(columns, codes=codes, clusters=k)
    test = sign_flip_test(totals[:, 0], flips=flips, seed=seed)
    shift = float(np.mean(y - x))
    estimate = _bootstrapped(
        method="mean margin shift",
        value=shift,
        sample=_sample(totals, standardise=False, resamples=resamples, seed=seed),
        n=n,
        level=level,
        test=test,
    )
    sd = float(np.std(x, ddof=1)) if n > 1 else 0.0
    method = "mean margin shift in SDs of the reference arm"
    floor = 1e-12 * max(1.0, float(np.abs(x).max()))
    if sd <= floor:
        reason = "the reference arm's margins do not vary, so there is no SD to divide by"
        standardised = missing(method=method, reason=reason, n=n)
    else:
        standardised = _bootstrapped(
            method=method,
            value=shift / sd,
            sample=_sample(totals, standardise=True, resamples=resamples, seed=seed),
            n=n,
            level=level,
            test=test,
        )
    means = totals[:, 0] / totals[:, 1]
    return MarginShift(estimate, standardised, _wilcoxon(means), sd if sd > floor else None)


def _sample(totals: FloatArray, *, standardise: bool, resamples: int, seed: int) -> BootstrapSample:
    def statistic(sums: FloatArray) -> FloatArray:
        difference, n, s, q = sums.T
        mean: FloatArray = difference / n
        return mean / np.sqrt((q - s**2 / n) / (n - 1)) if standardise else mean

    return bootstrap_totals(totals=totals, statistic=statistic, resamples=resamples, seed=seed)


def _bootstrapped(
    *, method: str, value: float, sample: BootstrapSample, n: int, level: float, test: Significance
) -> Estimate:
    interval = sample.interval(level)
    return Estimate(
        value=value,
        n=n,
        method=method,
        interval=interval,
        tost_interval=sample.interval(tost_level(level)),
        test=test,
        reason=None if interval else "too many resamples have no SD, so no interval is given",
    )


def _wilcoxon(differences: FloatArray) -> Significance:
    moved = differences[differences != 0]
    if len(moved) == 0:
        return Significance(p_value=1.0, method="Wilcoxon signed rank", statistic=0.0)
    tied = len(np.unique(np.abs(moved))) < len(moved)
    exact = len(moved) <= 50 and not tied
    result = stats.wilcoxon(moved, method="exact" if exact else "asymptotic", correction=False)
    name = "Wilcoxon signed rank, " + ("exact" if exact else "normal approximation")
    return Significance(p_value=float(result.pvalue), method=name, statistic=float(result.statistic))


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold for all arms, favourable where margin ≥ ``threshold``, and the reference arm's rate there."""

    threshold: float
    target_rate: float
    achieved_rate: float
    n: int


def matched_operating_point(*, reference: npt.ArrayLike, target_rate: float) -> OperatingPoint:
    """The threshold at which the reference arm's favourable rate is nearest ``target_rate``.

    Parameters
    ----------
    reference
        Shape (n,), margins of the reference arm.
    target_rate
        Rate to match, in [0, 1], for example the lenders' approval rate.

    Notes
    -----
    Candidates are the observed margins and one value just above the largest (rate 0), so equal margins are always
    decided alike and the target may be missed by half a block of ties. Two candidates equally near: the stricter.
    """
    margins = floats(reference, name="reference")
    if not 0 <= target_rate <= 1:
        raise ValueError(f"target_rate must lie in [0, 1], got {target_rate}")
    if not len(margins):
        raise ValueError("the reference arm has no margins")
    values, ends = _blocks(margins)
    shares = np.concatenate([[0.0], ends / len(margins)])
    best = int(np.argmin(np.round(np.abs(shares - target_rate), SHARE_DIGITS)))
    return OperatingPoint(float(_thresholds(values)[best]), target_rate, float(shares[best]), len(margins))


def _blocks(margins: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Distinct margins, highest first, and how many margins are at or above each."""
    values, sizes = np.unique(margins, return_counts=True)
    return values[::-1], np.cumsum(sizes[::-1])


def _thresholds(values: FloatArray) -> FloatArray:
    return np.concatenate([[np.nextafter(values[0], np.inf)], values])


@dataclass(frozen=True, slots=True)
class MatchedEffect:
    """Net effect at the matched operating point: the point, the pairs there, Δ with its interval and exact McNemar."""

    point: OperatingPoint | None
    counts: PairCounts
    estimate: Estimate


def net_effect_at_matched_point(
    *,
    control: npt.ArrayLike,
    protected: npt.ArrayLike,
    target_rate: float,
    clusters: npt.ArrayLike | None = None,
    reference: npt.ArrayLike | None = None,
    reference_clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = MIN_RESAMPLES,
    seed: int = 0,
) -> MatchedEffect:
    """Net effect with one threshold for all arms, set where the reference arm's rate is nearest ``target_rate``.

    Parameters
    ----------
    control, protected
        Shape (pairs,), margins of both versions.
    clusters
        Shape (pairs,), base profile (application) of each pair; by default one pair a profile.
    reference, reference_clusters
        Shape (m,), margins that set the threshold and their profiles, where the reference arm is not ``control``
        itself. Give both or neither, and ``clusters`` with them.

    Returns
    -------
    MatchedEffect
        The interval resamples profiles and sets the threshold anew in every resample, by the rule of
        `matched_operating_point`. McNemar needs one pair a profile; with more, the profile-level sign-flip permutation
        takes its place.
    """
    x, y = floats(control, name="control"), floats(protected, name="protected")
    n = same_length(control=x, protected=y)
    if (reference is None) != (reference_clusters is None) or (reference is not None and clusters is None):
        raise ValueError("reference needs reference_clusters and clusters")
    method = "net effect at the matched operating point"
    if n == 0:
        return MatchedEffect(None, PairCounts(0, 0, 0, 0), missing(method=method, reason=NO_PAIRS, n=0))
    arm = x if reference is None else floats(reference, name="reference")
    point = matched_operating_point(reference=arm, target_rate=target_rate)
    if reference is None:
        codes, k = cluster_codes(clusters, n=n)
        arm_codes = codes
    else:
        joint = np.concatenate([np.asarray(clusters), np.asarray(reference_clusters)])
        all_codes, k = cluster_codes(joint, n=n + len(arm))
        codes, arm_codes = all_codes[:n], all_codes[n:]
    control_yes, protected_yes = x >= point.threshold, y >= point.threshold
    counts = count_pairs(control=control_yes, protected=protected_yes)
    per_profile = np.bincount(codes, weights=protected_yes.astype(float) - control_yes, minlength=k)
    one_pair = len(np.unique(codes)) == n
    sample = _rethresholded(
        x=x,
        y=y,
        codes=codes,
        arm=arm,
        arm_codes=arm_codes,
        clusters=k,
        target=target_rate,
        resamples=resamples,
        seed=seed,
    )
    interval = sample.interval(level)
    estimate = Estimate(
        value=(counts.c - counts.b) / n,
        n=n,
        method=method,
        interval=interval,
        tost_interval=sample.interval(tost_level(level)),
        test=mcnemar_exact(counts) if one_pair else sign_flip_test(per_profile, seed=seed),
        reason=None if interval else "too many resamples hold no pair, so no interval is given",
        counts={**counts.as_counts(), "threshold": point.threshold, "achieved_rate": point.achieved_rate},
    )
    return MatchedEffect(point, counts, estimate)


def _rethresholded(
    *,
    x: FloatArray,
    y: FloatArray,
    codes: npt.NDArray[np.int64],
    arm: FloatArray,
    arm_codes: npt.NDArray[np.int64],
    clusters: int,
    target: float,
    resamples: int,
    seed: int,
) -> BootstrapSample:
    """Δ in every resample, its threshold set from that resample's own reference arm."""
    values, ends = _blocks(arm)
    order = np.argsort(-arm, kind="stable")
    thresholds = _thresholds(values)
    # A margin's rank is the first candidate that favours it, so "favourable" is rank ≤ chosen candidate.
    ranks_x = np.searchsorted(-thresholds, -x, side="left")
    ranks_y = np.searchsorted(-thresholds, -y, side="left")
    sums: list[FloatArray] = []
    rows = max(1, BLOCK_CELLS // max(len(arm), len(x), clusters))
    for block in resample_weights(clusters=clusters, resamples=resamples, seed=seed):
        for start in range(0, len(block), rows):
            weights = block[start : start + rows]
            cumulative = np.cumsum(weights[:, arm_codes[order]], axis=1)[:, ends - 1]
            whole = cumulative[:, -1:]
            with np.errstate(divide="ignore", invalid="ignore"):
                shares = np.concatenate([np.zeros_like(whole), cumulative / whole], axis=1)
            # The first nearest candidate is the stricter one; its block always holds a drawn case or it is rate 0.
            chosen = np.argmin(np.round(np.abs(shares - target), SHARE_DIGITS), axis=1)[:, None]
            difference = (ranks_y <= chosen).astype(np.float64) - (ranks_x <= chosen)
            drawn = weights[:, codes]
            with np.errstate(divide="ignore", invalid="ignore"):
                delta = np.sum(drawn * difference, axis=1) / np.sum(drawn, axis=1)
            sums.append(np.where(whole[:, 0] > 0, delta, np.nan))
    return BootstrapSample(np.concatenate(sums))
