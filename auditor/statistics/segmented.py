"""Impact over strata: summary ratio, Mantel–Haenszel ratio, CMH test and Breslow–Day homogeneity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy import stats

from auditor.statistics.multiplicity import benjamini_hochberg
from auditor.statistics.rates import Tally, adverse_impact_ratio, log_interval
from auditor.statistics.results import Estimate, Interval, Significance, missing, tost_level


@dataclass(frozen=True, slots=True)
class SegmentedImpact:
    """Impact over strata.

    ``difference`` is the Mantel–Haenszel difference of rates, protected minus reference.
    ``summary_ratio`` is observed over expected favourable cases at each stratum's reference rate;
    ``mantel_haenszel_ratio`` weights strata by their size. They are two numbers: name the one printed.
    ``lead_with_strata`` says that the strata differ (Breslow–Day p below ``alpha``, 1 − level): no single ratio speaks
    for them.
    ``not_compared`` is why there is no such test, empty where there is one.
    ``strata`` holds each stratum's own ratio and ``strata_p_adjusted`` its Benjamini–Hochberg adjusted p.
    ``excluded`` names strata that hold only one group and so say nothing.
    """

    difference: Estimate
    summary_ratio: Estimate
    mantel_haenszel_ratio: Estimate
    mantel_haenszel_odds_ratio: Estimate
    cmh: Significance | None
    homogeneity: Significance | None
    not_compared: str
    lead_with_strata: bool
    strata: dict[str, Estimate]
    strata_p_adjusted: dict[str, float | None]
    excluded: dict[str, str]
    alpha: float


def segmented_impact(*, strata: Mapping[str, tuple[Tally, Tally]], level: float) -> SegmentedImpact:
    """Compare two groups within strata.

    Parameters
    ----------
    strata
        (protected, reference) tallies by stratum.
    level
        Level of the strata's own intervals; homogeneity is judged at 1 − level.

    Returns
    -------
    SegmentedImpact
        The ratios carry the CMH test; ``cmh`` is ``None`` where no stratum has any variance.

    Raises
    ------
    ValueError
        For no stratum.
    """
    if not strata:
        raise ValueError("at least one stratum is needed")
    excluded = {
        name: f"the {'protected' if not protected.n else 'reference'} group has no cases"
        for name, (protected, reference) in strata.items()
        if not protected.n or not reference.n
    }
    kept = {name: pair for name, pair in strata.items() if name not in excluded}
    pairs = list(kept.values())
    n = sum(protected.n + reference.n for protected, reference in pairs)
    cmh = _cmh(pairs)

    expected = math.fsum(protected.n * reference.rate for protected, reference in pairs)
    observed = sum(protected.favourable for protected, _ in pairs)
    top = math.fsum(p.favourable * r.n / (p.n + r.n) for p, r in pairs)
    bottom = math.fsum(r.favourable * p.n / (p.n + r.n) for p, r in pairs)
    odds_top = math.fsum(p.favourable * (r.n - r.favourable) / (p.n + r.n) for p, r in pairs)
    odds_bottom = math.fsum(r.favourable * (p.n - p.favourable) / (p.n + r.n) for p, r in pairs)
    odds = _ratio("Mantel–Haenszel odds ratio", odds_top, odds_bottom, n, cmh, _odds_spread(pairs), level)
    homogeneity = _breslow_day(pairs, odds.value)
    ratios = {
        name: adverse_impact_ratio(protected=protected, reference=reference, level=level)
        for name, (protected, reference) in strata.items()
    }
    adjusted = benjamini_hochberg([ratio.test.p_value if ratio.test else None for ratio in ratios.values()])
    return SegmentedImpact(
        difference=_difference(pairs, n, cmh, level),
        summary_ratio=_ratio(
            "summary ratio (observed over expected)", observed, expected, n, cmh, _summary_spread(pairs), level
        ),
        mantel_haenszel_ratio=_ratio("Mantel–Haenszel ratio", top, bottom, n, cmh, _ratio_spread(pairs), level),
        mantel_haenszel_odds_ratio=odds,
        cmh=cmh,
        homogeneity=homogeneity,
        not_compared="" if homogeneity else "fewer than two segments hold both outcomes",
        lead_with_strata=homogeneity is not None and homogeneity.p_value < 1 - level,
        strata=ratios,
        strata_p_adjusted=dict(zip(ratios, adjusted, strict=True)),
        excluded=excluded,
        alpha=1 - level,
    )


def _ratio(  # noqa: PLR0917 - a name and the numbers behind it, in the order of the formula
    method: str, top: float, bottom: float, n: int, test: Significance | None, spread: float | None, level: float
) -> Estimate:
    if bottom == 0:
        return missing(method=method, reason="the denominator is 0 in every stratum that has both groups", n=n)
    value = top / bottom
    if not spread or value == 0:  # an error of 0, where all are favourable, is none that was estimated
        reason = "no interval on the log scale: a count behind it is 0"
        return Estimate(value=value, n=n, method=method, test=test, reason=reason)
    return Estimate(
        value=value,
        n=n,
        method=method,
        interval=log_interval(value, spread, level),
        tost_interval=log_interval(value, spread, tost_level(level)),
        test=test,
    )


def _difference(pairs: list[tuple[Tally, Tally]], n: int, test: Significance | None, level: float) -> Estimate:
    """Differences of rates weighted by n_p·n_0/N, with Sato's error (1989), right for few large and many small strata.

    The variance is (Δ·P + Q)/(Σ n_p·n_0/N)² with P = Σ [n_p²·k_0 − n_0²·k_p + n_p·n_0·(n_0 − n_p)/2]/N² and
    Q = Σ [k_p·(n_0 − k_0) + k_0·(n_p − k_p)]/(2N).
    """
    method = "Mantel–Haenszel difference of rates"
    weight = math.fsum(p.n * r.n / (p.n + r.n) for p, r in pairs)
    if not weight:
        return missing(method=method, reason="no stratum holds cases of both groups", n=n)
    value = math.fsum((p.favourable * r.n - r.favourable * p.n) / (p.n + r.n) for p, r in pairs) / weight
    first = math.fsum(
        (p.n**2 * r.favourable - r.n**2 * p.favourable + p.n * r.n * (r.n - p.n) / 2) / (p.n + r.n) ** 2
        for p, r in pairs
    )
    second = math.fsum(
        (p.favourable * (r.n - r.favourable) + r.favourable * (p.n - p.favourable)) / (2 * (p.n + r.n))
        for p, r in pairs
    )
    variance = (value * first + second) / weight**2
    if not variance > 0:
        return Estimate(value=value, n=n, method=method, test=test, reason="no interval: nothing varies in any stratum")

    def interval(wanted: float) -> Interval:
        reach = float(stats.norm.isf((1 - wanted) / 2)) * math.sqrt(variance)
        return Interval(max(-1.0, value - reach), min(1.0, value + reach), wanted, "Sato")

    return Estimate(
        value=value,
        n=n,
        method=method,
        interval=interval(level),
        tost_interval=interval(tost_level(level)),
        test=test,
    )


def _summary_spread(pairs: list[tuple[Tally, Tally]]) -> float | None:
    """Error of the logarithm of observed over expected, by the delta method: both are sums of binomial counts."""
    observed = math.fsum(p.favourable for p, _ in pairs)
    expected = math.fsum(p.n * r.rate for p, r in pairs)
    if not observed or not expected:
        return None
    seen = math.fsum(p.n * p.rate * (1 - p.rate) for p, _ in pairs)
    wanted = math.fsum(p.n**2 * r.rate * (1 - r.rate) / r.n for p, r in pairs)
    return math.sqrt(seen / observed**2 + wanted / expected**2)


def _ratio_spread(pairs: list[tuple[Tally, Tally]]) -> float | None:
    """Error of the logarithm of the Mantel–Haenszel ratio (Greenland and Robins 1985)."""
    top = math.fsum(p.favourable * r.n / (p.n + r.n) for p, r in pairs)
    bottom = math.fsum(r.favourable * p.n / (p.n + r.n) for p, r in pairs)
    if not top or not bottom:
        return None
    joint = math.fsum(
        (p.n * r.n * (p.favourable + r.favourable) - p.favourable * r.favourable * (p.n + r.n)) / (p.n + r.n) ** 2
        for p, r in pairs
    )
    return math.sqrt(max(joint, 0.0) / (top * bottom))


def _odds_spread(pairs: list[tuple[Tally, Tally]]) -> float | None:
    """Error of the logarithm of the Mantel–Haenszel odds ratio (Robins, Breslow and Greenland 1986)."""
    terms = []
    for p, r in pairs:
        n = p.n + r.n
        alike = (p.favourable + r.n - r.favourable) / n
        top, bottom = p.favourable * (r.n - r.favourable) / n, r.favourable * (p.n - p.favourable) / n
        terms.append((alike, top, bottom))
    tops, bottoms = math.fsum(top for _, top, _ in terms), math.fsum(bottom for _, _, bottom in terms)
    if not tops or not bottoms:
        return None
    first = math.fsum(alike * top for alike, top, _ in terms) / (2 * tops**2)
    mixed = math.fsum(alike * bottom + (1 - alike) * top for alike, top, bottom in terms) / (2 * tops * bottoms)
    last = math.fsum((1 - alike) * bottom for alike, _, bottom in terms) / (2 * bottoms**2)
    return math.sqrt(first + mixed + last)


def _cmh(pairs: list[tuple[Tally, Tally]]) -> Significance | None:
    """Cochran–Mantel–Haenszel χ², one degree of freedom, without continuity correction."""
    excess: list[float] = []
    variance: list[float] = []
    for protected, reference in pairs:
        n_p, n_0 = protected.n, reference.n
        n, k = n_p + n_0, protected.favourable + reference.favourable
        excess.append(protected.favourable - n_p * k / n)
        variance.append(n_p * n_0 * k * (n - k) / (n**2 * (n - 1)))
    total = math.fsum(variance)
    if total == 0:
        return None
    z = math.fsum(excess) / math.sqrt(total)
    return Significance(
        p_value=float(2 * stats.norm.sf(abs(z))),
        method="Cochran–Mantel–Haenszel, no continuity correction",
        statistic=z * z,
        sd_units=z,
    )


def _breslow_day(pairs: list[tuple[Tally, Tally]], odds: float | None) -> Significance | None:
    """Breslow–Day homogeneity of odds ratios with Tarone's correction.

    Strata in which all or none are favourable hold no information on the odds ratio and no degree of freedom.
    """
    informative = [(p, r) for p, r in pairs if 0 < p.favourable + r.favourable < p.n + r.n]
    if odds is None or odds <= 0 or len(informative) < 2:
        return None
    squares: list[float] = []
    excess: list[float] = []
    variances: list[float] = []
    for protected, reference in informative:
        k = protected.favourable + reference.favourable
        fitted = fitted_favourable(protected, reference, k, odds)
        cells = (fitted, protected.n - fitted, k - fitted, reference.n - k + fitted)
        variance = 1 / math.fsum(1 / cell for cell in cells)
        excess.append(protected.favourable - fitted)
        variances.append(variance)
        squares.append(excess[-1] ** 2 / variance)
    statistic = math.fsum(squares) - math.fsum(excess) ** 2 / math.fsum(variances)
    p = float(stats.chi2.sf(statistic, len(informative) - 1))
    return Significance(p_value=p, method="Breslow–Day with Tarone's correction", statistic=statistic)


def fitted_favourable(protected: Tally, reference: Tally, k: int, odds: float) -> float:
    """Protected favourable count Â at which the stratum's odds ratio is ``odds``, its margins held.

    Of the groups only their sizes count; ``k`` are the favourable cases of both.

    Root of (1−ψ)Â² + [(n_0−K) + ψ(n_p+K)]Â − ψ·n_p·K = 0, in the form that does not cancel and stands at ψ = 1.
    """
    n_p, n_0 = protected.n, reference.n
    a = 1 - odds
    b = (n_0 - k) + odds * (n_p + k)
    c = -odds * n_p * k
    root = math.sqrt(b * b - 4 * a * c)
    return -2 * c / (b + root) if b >= 0 else (root - b) / (2 * a)
