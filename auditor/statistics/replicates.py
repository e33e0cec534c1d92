"""Replicates nested in applications: a sampled system is asked several times, and the application stays the unit.

An application's outcome in an arm is the mean over its replicates, a number between 0 and 1, and its difference
between two arms is one number. So many replicates make it less noisy, and never make more applications of it:

    difference of application i     d_i = mean of its protected replicates − mean of its control replicates
    effect                          mean of d_i over applications
    variance of d_i                 σ²_applications + σ²_control/R_control + σ²_protected/R_protected

with σ²_applications the variance of the true differences, and the other two those of replicates within one case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from auditor.statistics.bootstrap import BootstrapSample, bootstrap_totals
from auditor.statistics.equivalence import Equivalence, tost
from auditor.statistics.pairs import MIN_DISCORDANT, mean_of_sums
from auditor.statistics.permutation import sign_flip_test
from auditor.statistics.power import Basis, DetectableEffect, Mde, worst_level
from auditor.statistics.rates import Tally, clopper_pearson
from auditor.statistics.results import (
    MIN_RESAMPLES,
    Estimate,
    FloatArray,
    IntArray,
    Interval,
    booleans,
    missing,
    tost_level,
)

NO_APPLICATIONS = "no application has a replicate in both arms"
ONE_WAY_BOUNDS = "Clopper–Pearson bounds of applications that differ either way"


@dataclass(frozen=True, slots=True)
class ReplicatedPairs:
    """A yes/no outcome of the same applications in two arms, each asked once or several times.

    Shapes (applications,): favourable replicates ``control_yes`` of ``control_n``, and the same of the protected arm.
    """

    applications: tuple[str, ...]
    control_yes: IntArray
    control_n: IntArray
    protected_yes: IntArray
    protected_n: IntArray

    @property
    def differences(self) -> FloatArray:
        """Protected less control, application by application."""
        result: FloatArray = self.protected_yes / self.protected_n - self.control_yes / self.control_n
        return result

    @property
    def n(self) -> int:
        """Applications."""
        return len(self.applications)


def pair_replicates(
    *,
    control: npt.ArrayLike,
    control_applications: Sequence[str],
    protected: npt.ArrayLike,
    protected_applications: Sequence[str],
) -> ReplicatedPairs:
    """Count replicates by application; an application that is missing in an arm is left out.

    Parameters
    ----------
    control, protected
        Shape (replicates,) each, 0/1 outcomes. An answer that is refused or unreadable is a replicate like others.
    control_applications, protected_applications
        Whose each is, in the same order.
    """
    left, right = (
        _tallies(outcomes, names, name=arm)
        for outcomes, names, arm in (
            (control, control_applications, "control"),
            (protected, protected_applications, "protected"),
        )
    )
    both = sorted(left.keys() & right.keys())
    columns = np.array([(*left[name], *right[name]) for name in both], dtype=np.int64).reshape(-1, 4)
    return ReplicatedPairs(tuple(both), *(columns[:, index] for index in range(4)))


def _tallies(outcomes: npt.ArrayLike, names: Sequence[str], *, name: str) -> dict[str, tuple[int, int]]:
    yes = booleans(outcomes, name=name)
    if len(yes) != len(names):
        raise ValueError(f"{name} has {len(yes)} outcomes of {len(names)} applications")
    found: dict[str, tuple[int, int]] = {}
    for favourable, application in zip(yes.tolist(), names, strict=True):
        k, n = found.get(application, (0, 0))
        found[application] = (k + int(favourable), n + 1)
    return found


def replicated_effect(
    pairs: ReplicatedPairs, *, level: float, resamples: int = MIN_RESAMPLES, seed: int = 0
) -> Estimate:
    """Mean difference over applications: sign-flip test and bootstrap, both of applications.

    Returns
    -------
    Estimate
        ``n`` counts applications; ``counts`` how many fell, rose and stayed, and how often each arm was asked.

    Notes
    -----
    Where fewer than ten applications differ a bootstrap has nothing to draw from. No difference exceeds 1, so that
    −P(an application falls) ≤ effect ≤ P(an application rises), and exact bounds of both shares bound the effect,
    whatever the replicates are like. With no difference at all that is the zero-event bound. It is wide: it does not
    use that some fell where others rose.
    """
    method = "mean difference of application means over replicates"
    if not pairs.n:
        return missing(method=method, reason=NO_APPLICATIONS, n=0)
    differences = pairs.differences
    fell, rose = int((differences < 0).sum()), int((differences > 0).sum())
    sample = bootstrap_totals(
        totals=np.column_stack([differences, np.ones(pairs.n)]),
        statistic=mean_of_sums,
        resamples=resamples,
        seed=seed,
    )
    few = fell + rose < MIN_DISCORDANT
    interval = (lambda wanted: _one_way_bounds(fell, rose, pairs.n, level=wanted)) if few else sample.interval
    return Estimate(
        value=float(differences.mean()),
        n=pairs.n,
        method=method,
        interval=interval(level),
        tost_interval=interval(tost_level(level)),
        test=sign_flip_test(differences, seed=seed),
        counts={
            "fell": fell,
            "rose": rose,
            "same": pairs.n - fell - rose,
            "control_replicates": int(pairs.control_n.sum()),
            "protected_replicates": int(pairs.protected_n.sum()),
        },
        sample=None if few else sample,
    )


def _one_way_bounds(fell: int, rose: int, n: int, *, level: float) -> Interval:
    low, high = (clopper_pearson(Tally(count, n), level=level).high for count in (fell, rose))
    return Interval(-low, high, level, ONE_WAY_BOUNDS)


def equivalence_of_means(pairs: ReplicatedPairs, effect: Estimate, *, margin: float, alpha: float) -> Equivalence:
    """Whether the effect lies within ±margin, by two one-sided tests at α.

    Parameters
    ----------
    pairs
        What the effect is of.
    effect
        From `replicated_effect`.
    margin, alpha
        As in `equivalence.tost`.

    Notes
    -----
    Where few applications differ the tests are those that the exact bounds invert: an effect of −margin or less has at
    least so large a share of applications that fall, and P(Bin(n, margin) ≤ those that fell) is the p against it.
    """
    if not margin > 0:
        raise ValueError(f"margin must be positive, got {margin}")
    if not pairs.n:
        return Equivalence(None, margin, None, reason=NO_APPLICATIONS)
    if effect.sample is not None:
        return tost(interval=effect.sample, margin=margin, alpha=alpha)
    fell, rose = (int(moved.sum()) for moved in (pairs.differences < 0, pairs.differences > 0))
    p_value = max(float(stats.binom.cdf(count, pairs.n, margin)) for count in (fell, rose))
    interval = _one_way_bounds(fell, rose, pairs.n, level=tost_level(1 - alpha))
    return Equivalence(p_value < alpha, margin, interval, p_value)


@dataclass(frozen=True, slots=True)
class Components:
    """What the differences of applications vary by.

    Attributes
    ----------
    applications
        Variance of the true differences, 0 or more.
    control, protected
        Variance of one replicate within a case, the mean over cases; ``None`` where no case was asked twice.
    control_n, protected_n
        Replicates of a case: the harmonic mean over applications.
    n
        Applications.
    """

    applications: float | None
    control: float | None
    protected: float | None
    control_n: float
    protected_n: float
    n: int
    reason: str | None = None

    def variance(self, *, control_n: float, protected_n: float) -> float | None:
        """Variance of an application's difference, were each case asked so often; ``None`` where it is not known."""
        if self.applications is None or self.control is None or self.protected is None:
            return None
        return self.applications + self.control / control_n + self.protected / protected_n


def variance_components(pairs: ReplicatedPairs) -> Components:
    """Variance between applications and within cases, by moments (one-way ANOVA of each).

    A case with k of R favourable has the unbiased variance R/(R − 1)·(k/R)(1 − k/R). What the variance of the
    differences holds beyond those is the applications'; below 0 it counts as 0.
    """
    control, control_n = _within(pairs.control_yes, pairs.control_n)
    protected, protected_n = _within(pairs.protected_yes, pairs.protected_n)
    if pairs.n < 2:
        why = "fewer than two applications have replicates in both arms"
        return Components(None, control, protected, control_n, protected_n, pairs.n, why)
    if control is None or protected is None:
        why = "no case was asked twice, so that replicates cannot be told from applications"
        return Components(None, control, protected, control_n, protected_n, pairs.n, why)
    total = float(np.var(pairs.differences, ddof=1))
    between = max(0.0, total - control / control_n - protected / protected_n)
    return Components(between, control, protected, control_n, protected_n, pairs.n)


def _within(yes: IntArray, asked: IntArray) -> tuple[float | None, float]:
    """Mean variance within a case, weighted by its degrees of freedom, and the harmonic mean of replicates."""
    if not len(asked):
        return None, float("nan")
    harmonic = len(asked) / float(np.sum(1 / asked))
    freedom = int(np.sum(asked - 1))
    if not freedom:
        return None, harmonic
    squares = float(np.sum(yes * (asked - yes) / asked))
    return squares / freedom, harmonic


def replicated_mde(
    components: Components,
    *,
    n: int,
    replicates: int,
    alpha: float,
    family_size: int,
    power: float,
    basis: Basis,
) -> Mde:
    """Smallest |effect| seen in n applications asked so many times each, at the level of the family's worst step.

    The δ with δ − 1/(Rn) = z_a·√((V + δ²)/n) + z_b·√(V/n), V = σ²_applications + (σ²_control + σ²_protected)/R. More
    replicates shrink the second part of V only. As in Connor's formula δ² is part of what a sign-flip varies by; 1/(Rn)
    is half a step of the sums that flips give, which a test that counts ties as reached loses.

    Returns
    -------
    Mde
        ``discordance`` is the variance of an application's difference, which for one replicate is the share of
        discordant pairs less the squared effect.
    """
    level = worst_level(alpha=alpha, family_size=family_size)
    variance = components.variance(control_n=replicates, protected_n=replicates)
    if n < 1 or variance is None:
        reason = components.reason or NO_APPLICATIONS
        return Mde(None, level, power, family_size, 0.0, n, basis, reason)
    found = _smallest(variance, n=n, replicates=replicates, alpha=level, power=power)
    return Mde(found.value, level, power, family_size, variance, n, basis, found.reason)


def _smallest(variance: float, *, n: int, replicates: int, alpha: float, power: float) -> DetectableEffect:
    """The larger root of the quadratic that the formula of `replicated_mde` is."""
    if variance == 0:
        return DetectableEffect(None, "the differences do not vary")
    z_a, z_b = float(stats.norm.isf(alpha / 2)), float(stats.norm.ppf(power))
    share, apart = z_a**2 / n, z_b * math.sqrt(variance / n) + 1 / (replicates * n)
    if share >= 1:
        return DetectableEffect(None, "too few applications")
    value = (apart + math.sqrt(share * (apart**2 + variance * (1 - share)))) / (1 - share)
    if value > 1:
        return DetectableEffect(None, "no effect up to 1 is detectable")
    return DetectableEffect(value)


def correlation_of_replicates(pairs: ReplicatedPairs) -> tuple[float | None, float | None]:
    """Intra-class correlation of one case's replicates, in the control and in the protected arm; ``None``: unknown.

    1: replicates of a case always agree, so that asking again tells nothing new; 0: cases do not differ at all.
    """
    return (
        _correlation(pairs.control_yes, pairs.control_n),
        _correlation(pairs.protected_yes, pairs.protected_n),
    )


def _correlation(yes: IntArray, asked: IntArray) -> float | None:
    """One-way ANOVA estimator of yes/no outcomes in cases, from counts."""
    k, n = len(asked), int(asked.sum())
    if k < 2 or n == k:
        return None
    mean = yes.sum() / n
    between = float(np.sum(asked * (yes / asked - mean) ** 2)) / (k - 1)
    within = float(np.sum(yes * (asked - yes) / asked)) / (n - k)
    typical = (n - float(np.sum(asked**2)) / n) / (k - 1)
    spread = between + (typical - 1) * within
    return (between - within) / spread if spread > 0 else None


def disagreement(
    outcomes: Sequence[Any],
    *,
    cases: Sequence[str],
    applications: Sequence[str],
    level: float,
    resamples: int = MIN_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """The noise floor of a sampled system: the share of pairs of replicates of one case that differ.

    Parameters
    ----------
    outcomes
        Of every replicate: favourable, adverse, refused, unreadable, or whatever else can be told apart.
    cases, applications
        Which case each is of, and whose case it is.

    Returns
    -------
    Estimate
        The mean over cases asked twice or more; ``n`` counts those. The interval is of applications, which are
        resampled with all their cases.

    Notes
    -----
    1 − Σ k(k − 1)/(R(R − 1)) over the outcomes of a case, k of R each, estimates without bias how often two answers to
    it differ. Where fewer than ten applications have replicates that differ, the floor lies below the exact upper bound
    of the share of such applications; its lower bound is then 0.
    """
    method = "share of pairs of replicates of one case that differ"
    by_case: dict[str, list[Any]] = {}
    owner: dict[str, str] = {}
    for outcome, case, application in zip(outcomes, cases, applications, strict=True):
        by_case.setdefault(case, []).append(outcome)
        if owner.setdefault(case, application) != application:
            raise ValueError(f"case {case!r} is of two applications")
    rates: dict[str, list[float]] = {}
    for case, answers in by_case.items():
        if len(answers) > 1:
            rates.setdefault(owner[case], []).append(_unlike(answers))
    if not rates:
        return missing(method=method, reason="no case was asked twice", n=0)
    totals = np.array([(sum(each), len(each)) for _, each in sorted(rates.items())], dtype=np.float64)
    sample = bootstrap_totals(totals=totals, statistic=mean_of_sums, resamples=resamples, seed=seed)
    unsure = int((totals[:, 0] > 0).sum())
    few = unsure < MIN_DISCORDANT
    pairs_that_differ = float(totals[:, 0].sum() / totals[:, 1].sum())
    interval = _floor_bound(unsure, len(totals), totals) if few else sample.interval
    return Estimate(
        value=pairs_that_differ,
        n=int(totals[:, 1].sum()),
        method=method,
        interval=interval(level),
        tost_interval=interval(tost_level(level)),
        counts={"applications": len(totals), "applications_unsure": unsure},
        sample=None if few else sample,
    )


def _unlike(answers: Sequence[Any]) -> float:
    size = len(answers)
    counts: dict[Any, int] = {}
    for answer in answers:
        counts[answer] = counts.get(answer, 0) + 1
    return 1 - sum(count * (count - 1) for count in counts.values()) / (size * (size - 1))


def _floor_bound(unsure: int, applications: int, totals: FloatArray) -> Callable[[float], Interval | None]:
    """Bounds of a floor that few applications make."""
    if np.ptp(totals[:, 1]) > 0:
        # With unequal numbers of cases an application weighs more than another, and its share is no bound.
        return lambda _: None

    def bounds(level: float) -> Interval:
        high = clopper_pearson(Tally(unsure, applications), level=level).high
        return Interval(0.0, high, level, "Clopper–Pearson bound of applications with replicates that differ")

    return bounds


def beyond_replicates(
    pairs: ReplicatedPairs, *, level: float, resamples: int = MIN_RESAMPLES, seed: int = 0
) -> Estimate:
    """How much more often two answers differ across arms than within one: the flip rate above its floor.

    With favourable shares p and q of an application's two cases, P(control ≠ protected) less the mean of
    P(two control answers differ) and P(two protected answers differ) is (p − q)². So it is 0 where the attribute moves
    nothing, whatever the system's noise, and an effect that cancels over applications still shows.

    Returns
    -------
    Estimate
        Unbiased, so below 0 about as often as above where there is no effect. Applications asked once in an arm are
        left out. The bootstrap of applications gives interval and one-sided test.
    """
    method = "flip rate across arms less that of replicates"
    twice = (pairs.control_n > 1) & (pairs.protected_n > 1)
    if not twice.any():
        return missing(method=method, reason="no application was asked twice in both arms", n=0)
    x, n, y, m = (
        column[twice].astype(np.float64)
        for column in (pairs.control_yes, pairs.control_n, pairs.protected_yes, pairs.protected_n)
    )
    across = (x * (m - y) + (n - x) * y) / (n * m)
    within = x * (n - x) / (n * (n - 1)) + y * (m - y) / (m * (m - 1))
    values = across - within
    sample: BootstrapSample = bootstrap_totals(
        totals=np.column_stack([values, np.ones(len(values))]),
        statistic=mean_of_sums,
        resamples=resamples,
        seed=seed,
    )
    enough = int((values != 0).sum()) >= MIN_DISCORDANT
    return Estimate(
        value=float(values.mean()),
        n=len(values),
        method=method,
        interval=sample.interval(level) if enough else None,
        tost_interval=sample.interval(tost_level(level)) if enough else None,
        reason=None if enough else f"fewer than {MIN_DISCORDANT} applications have answers that differ",
        counts={"across": float(across.mean()), "within": float(within.mean())},
        sample=sample if enough else None,
    )
