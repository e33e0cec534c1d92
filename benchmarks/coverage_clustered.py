"""Every interval and test of decisions that belong together, beside populations whose truth is known.

    python -m benchmarks coverage_clustered --json                      the long form: some two hours of one core
    python -m benchmarks.coverage_clustered --repeats 100 --only .3     fewer data sets; only rows whose name holds this

Clusters are applicants (each in one group) or branches (which decide on both), few or many, of one size or of 1 to 20
decisions, of which several hang together not at all, a little or much (correlation of the normal law behind decisions,
scores and prices, whose marginal law stays as it is). A row is a measure: ``ours`` is the share of 95% intervals that
held the truth, ``size`` the share of tests that found a difference at .05 where there is none, ``withheld`` the share
of data sets in which the method said that it cannot judge.
"""

from __future__ import annotations

import argparse
import math
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import optimize, special, stats

from auditor.observed import measures
from auditor.observed.columns import ADVERSE, FAVOURABLE, OTHER, Levels, Numbers, Observed, Probabilities
from auditor.observed.contrasts import ObservedContrast, contrast_of
from auditor.statistics.agreement import agreement
from auditor.statistics.results import Estimate
from benchmarks.rows import Row

LEVEL = 0.95
CLUSTERS, CORRELATIONS, SHAPES = (8, 15, 25, 50, 100), (0.0, 0.05, 0.3), ("alike", "1 to 20")
REPEATS = 400
BASE, SLOPE, PROTECTED = np.array([1.6, 1.0, 0.4]), 0.8, 0.4
PRICE, SCORE = 0.2, -0.3
GAP = -0.6
NEITHER, AGREED, CUT = 0.08, 0.88, 0.8
LIKELY = ((1.2, 8.0), (8.0, 1.2))
"""Of the probability of being in the protected group: of those who are not, and of those who are."""
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Made:
    """How decisions hang together: ``of`` what clusters are, how many, of which sizes, how much, and the gap."""

    of: str
    clusters: int
    sizes: str
    correlation: float
    effect: float

    @property
    def name(self) -> str:
        """Of its rows."""
        kind = "gap" if self.effect else "no gap"
        return f"{self.clusters} {self.of} of {self.sizes}, correlation {self.correlation:g}, {kind}"


def every() -> Iterator[Made]:
    """All of them."""
    for parts in product(("applicants", "branches"), CLUSTERS, SHAPES, CORRELATIONS, (0.0, GAP)):
        yield Made(*parts)


def rates(effect: float) -> FloatArray:
    """Shares of favourable decisions by segment and group, shape (3, 2)."""
    points, weights = np.polynomial.hermite_e.hermegauss(40)
    odds = BASE[:, None, None] + SLOPE * points + effect * np.array([0.0, 1.0])[None, :, None]
    found: FloatArray = special.expit(odds) @ weights / weights.sum()
    return found


def draw(made: Made, rng: np.random.Generator) -> tuple[ObservedContrast, dict[str, float]]:
    """One file, and the truth of its measures."""
    each = np.full(made.clusters, 8) if made.sizes == "alike" else rng.integers(1, 21, made.clusters)
    if made.of == "branches":
        each = each * 2
    cluster = np.repeat(np.arange(made.clusters), each)
    n = len(cluster)
    member = rng.random(n) < PROTECTED if made.of == "branches" else (np.arange(made.clusters) % 5 < 2)[cluster]
    segment, x = rng.integers(0, 3, n), rng.normal(size=n)

    def latent() -> FloatArray:
        shared = math.sqrt(made.correlation) * rng.normal(size=made.clusters)[cluster]
        return shared + math.sqrt(1 - made.correlation) * rng.normal(size=n)

    def happens(share: FloatArray | float) -> npt.NDArray[np.bool_]:
        return np.asarray(stats.norm.cdf(latent()) < share)

    score = latent() + (SCORE if made.effect else 0.0) * member
    odds = BASE[segment] + SLOPE * x + made.effect * member
    favourable = happens(special.expit(odds))
    outcome = np.where(happens(NEITHER), OTHER, np.where(favourable, FAVOURABLE, ADVERSE)).astype(np.int8)
    alike = happens(AGREED)
    likely = np.where(member, rng.beta(*LIKELY[1], n), rng.beta(*LIKELY[0], n))
    observed = Observed(
        ids=pl.Series([str(at) for at in range(n)]),
        outcome=outcome,
        groups=(_levels("race", ("protected", "reference"), np.where(member, 0, 1)),),
        score=_numbers("score", score),
        prices=(_numbers("price", PRICE * member * bool(made.effect) + latent()),),
        reasons=(_levels("reason", ("other", "ratio"), happens(0.5).astype(np.int32)),),
        later=happens(special.expit(0.5 + score)).astype(np.int8),
        human=(favourable == alike).astype(np.int8),
        controls=(_numbers("x", x), _levels("segment", ("a", "b", "c"), segment)),
        segments=(_levels("segment", ("a", "b", "c"), segment),),
        cluster=_levels("cluster", tuple(f"{at:03d}" for at in range(made.clusters)), cluster),
        probabilities=(
            Probabilities(
                attribute="race", names=("protected", "reference"), source="made", cut=CUT,
                values=np.column_stack([likely, 1 - likely]).astype(np.float32),
            ),
        ),
    )  # fmt: skip
    contrast = contrast_of(observed, observed.groups[0], group="protected", reference="reference")
    return contrast, _truths(made, contrast, segment, x, member)


def _levels(name: str, names: tuple[str, ...], codes: npt.NDArray[np.int64]) -> Levels:
    return Levels(name=name, label=name, names=names, codes=codes.astype(np.int32))


def _numbers(name: str, values: FloatArray) -> Numbers:
    return Numbers(name=name, label=name, unit="", values=values)


def _truths(
    made: Made,
    contrast: ObservedContrast,
    segment: npt.NDArray[np.int64],
    x: FloatArray,
    member: npt.NDArray[np.bool_],
) -> dict[str, float]:
    by = rates(made.effect)
    r_0, r_p = by.mean(axis=0)
    rows, decided = contrast.rows, segment[contrast.rows]
    sizes = np.bincount(decided * 2 + contrast.protected, minlength=6).reshape(3, 2).astype(float)
    weight = sizes.prod(axis=1) / sizes.sum(axis=1)
    share = float(member.mean())
    middle = optimize.brentq(
        lambda m: (1 - share) * stats.norm.cdf(m) + share * stats.norm.cdf(m - SCORE * bool(made.effect)) - 0.5, -2, 2
    )
    above = stats.norm.sf(middle - np.array([0.0, SCORE * bool(made.effect)]))
    rate = (1 - share) * r_0 + share * r_p
    person = AGREED * rate + (1 - AGREED) * (1 - rate)
    chance = rate * person + (1 - rate) * (1 - person)
    mass = np.array([1 - share, share])
    means = np.array([a / (a + b) for a, b in LIKELY])
    sure = np.array([stats.beta.sf(CUT, a, b) for a, b in LIKELY])
    not_sure = np.array([stats.beta.cdf(1 - CUT, a, b) for a, b in LIKELY])
    both = np.array([r_0, r_p])
    of = {key: float((mass * part) @ both / (mass @ part)) for key, part in
          {"wp": means, "w0": 1 - means, "tp": sure, "t0": not_sure}.items()}  # fmt: skip
    odds = BASE[segment[rows]] + SLOPE * x[rows]
    adjusted = special.expit(odds + made.effect) - special.expit(odds)
    found = {
        "rate": r_p,
        "difference": r_p - r_0,
        "ratio": r_p / r_0,
        "denial odds ratio": (1 - r_p) * r_0 / (r_p * (1 - r_0)),
        "share decided neither way": 0.0,
        "difference within segments": float(weight @ (by[:, 1] - by[:, 0]) / weight.sum()),
        "summary ratio": float(sizes[:, 1] @ by[:, 1] / (sizes[:, 1] @ by[:, 0])),
        "Mantel–Haenszel ratio": float(weight @ by[:, 1] / (weight @ by[:, 0])),
        "Mantel–Haenszel odds ratio": float(
            weight @ (by[:, 1] * (1 - by[:, 0])) / (weight @ (by[:, 0] * (1 - by[:, 1])))
        ),
        "ratio of a segment": float(by[0, 1] / by[0, 0]),
        "scores in SD": SCORE if made.effect else 0.0,
        "scoring rate": float(above[1]),
        "scoring rate ratio": float(above[1] / above[0]),
        "price": PRICE if made.effect else 0.0,
        "price in SD": PRICE if made.effect else 0.0,
        "price at equal factors": PRICE if made.effect else 0.0,
        "difference at equal factors": float(adjusted.mean()),
        "conditional denial odds ratio": math.exp(-made.effect),
        "equal opportunity": r_p - r_0,
        "equalised odds difference": abs(r_p - r_0),
        "equalised odds ratio": r_p / r_0,
        "later outcomes of approvals": _later_gap(made.effect),
        "weighted difference": of["wp"] - of["w0"],
        "weighted ratio": of["wp"] / of["w0"],
        "thresholded difference": of["tp"] - of["t0"],
        "thresholded ratio": of["tp"] / of["t0"],
        "agreement": AGREED,
        "kappa": (AGREED - chance) / (1 - chance),
        "agreement gap": 0.0,
        "reason": 0.0,
    }
    if not made.effect:
        found |= {"near the line": 0.0, "overlap": 0.0, "residual in SD": 0.0, "calibration": 0.0}
    return found


@cache
def _later_gap(effect: float) -> float:
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    shift = SCORE if effect else 0.0
    shares = [special.expit(0.5 + points + each) @ weights / weights.sum() for each in (0.0, shift)]
    return float(shares[1] - shares[0])


def estimates(contrast: ObservedContrast) -> dict[str, Estimate]:
    """Every measure of decisions already taken."""
    observed, how = contrast.observed, measures.Sampling(LEVEL)
    levels, score, price = observed.groups[0], observed.score, observed.prices[0]
    assert score is not None
    gaps, later = measures.rate_gaps(contrast, level=LEVEL), measures.later_gaps(contrast, how)
    segments = measures.by_segment(contrast, observed.segments[0], level=LEVEL)
    scoring = measures.scoring_rates(observed, levels, score, reference="reference", min_share=0.0, level=LEVEL)
    amounts, equal = measures.amount_gaps(contrast, price, how), measures.at_equal_factors(contrast, level=LEVEL)
    agreed, marginal = measures.agreement_gaps(contrast, level=LEVEL), measures.marginal(contrast, how)
    likely = measures.likely_gap(
        observed, observed.probabilities[0], group="protected", reference="reference", how=how
    )  # fmt: skip
    assert segments is not None
    assert observed.human is not None
    decided = observed.decided
    everybody = agreement(
        system=observed.favourable[decided],
        person=observed.human[decided] == FAVOURABLE,
        clusters=observed.clusters(np.flatnonzero(decided)),
        level=LEVEL,
    )
    members = levels.mask("protected") & observed.decided
    found = {
        "rate": measures.rate_of(observed, observed.favourable, members, level=LEVEL),
        "difference": gaps.difference,
        "ratio": gaps.ratio,
        "denial odds ratio": gaps.odds_ratio,
        "share decided neither way": gaps.neither,
        "difference within segments": segments.difference,
        "summary ratio": segments.summary_ratio,
        "Mantel–Haenszel ratio": segments.mantel_haenszel_ratio,
        "Mantel–Haenszel odds ratio": segments.mantel_haenszel_odds_ratio,
        "ratio of a segment": segments.strata["a"],
        "scores in SD": measures.score_gap(contrast, score, how),
        "scoring rate": scoring.rates["protected"],
        "scoring rate ratio": scoring.ratios["protected"],
        "price": amounts.plain,
        "price in SD": amounts.in_sds,
        "price at equal factors": amounts.adjusted.difference,
        "difference at equal factors": equal.difference,
        "later outcomes of approvals": later.kept,
        "weighted difference": likely.weighted_difference,
        "weighted ratio": likely.weighted_ratio,
        "thresholded difference": likely.thresholded_difference,
        "thresholded ratio": likely.thresholded_ratio,
        "agreement": everybody.share,
        "kappa": everybody.kappa,
        "agreement gap": agreed.agreed,
        "reason": measures.reason_gaps(contrast, level=LEVEL)["ratio"],
    }
    if equal.odds_ratio is not None:
        found["conditional denial odds ratio"] = equal.odds_ratio
    if later.labelled is not None:
        found["equal opportunity"] = later.labelled.equal_opportunity
        found["equalised odds difference"] = later.labelled.equalised_odds_difference
        found["equalised odds ratio"] = later.labelled.equalised_odds_ratio
    if later.calibration is not None and later.residual is not None:
        found |= {"calibration": later.calibration.gap, "residual in SD": later.residual}
    if segments.homogeneity is not None and segments.homogeneity.statistic is not None:
        found["segments differ"] = Estimate(
            value=segments.homogeneity.statistic, n=segments.difference.n, method="", test=segments.homogeneity
        )
    if not isinstance(marginal, str):
        found |= {"near the line": marginal.near_gap, "overlap": marginal.gap}
    return found


TRUE_OF_ALL = ("calibration", "segments differ", "agreement gap", "reason", "share decided neither way")
"""What differs in neither world, so that a test of it is one of nothing in both."""
DESCRIBED = ("kappa", "agreement")
"""Whose test is not one of no difference between groups."""


@dataclass
class Count:
    """What became of one measure over data sets."""

    held: int = 0
    given: int = 0
    found: int = 0
    tested: int = 0
    drawn: int = 0


def counts(made: Made, *, repeats: int) -> Mapping[str, Count]:
    """What became of every measure over so many data sets; seeded by the name and the number of each."""
    told: dict[str, Count] = defaultdict(Count)
    for repeat in range(repeats):
        contrast, truth = draw(made, np.random.default_rng((zlib.crc32(made.name.encode()), repeat)))
        for name, estimate in estimates(contrast).items():
            count = told[name]
            count.drawn += 1
            if estimate.interval is not None and name in truth:
                count.given += 1
                count.held += bool(estimate.interval.low <= truth[name] <= estimate.interval.high)
            if estimate.test is not None and name not in DESCRIBED and (not made.effect or name in TRUE_OF_ALL):
                count.tested += 1
                count.found += bool(estimate.test.p_value <= 1 - LEVEL)
    return told


def run(*, repeats: int = REPEATS, only: str = "") -> Iterator[Row]:
    """One row a measure and a way of hanging together."""
    for made in every():
        if only in made.name:
            for name, count in counts(made, repeats=repeats).items():
                yield _row(made, name, count)


def _row(made: Made, name: str, count: Count) -> Row:
    share = count.held / count.given if count.given else math.nan
    size = count.found / count.tested if count.tested else None
    judged = max(count.given, count.tested)
    return Row(
        name=f"{name}: {made.name}",
        ours=round(share, 4) if count.given else 0.0,
        peer=LEVEL if count.given else None,
        ratio=share / LEVEL if count.given else None,
        agreement=None,
        unit="coverage",
        n=count.given,
        extra={
            "error": round(math.sqrt(share * (1 - share) / count.given), 4) if count.given else None,
            "size": None if size is None else round(size, 4),
            "tests": count.tested,
            "withheld": round(1 - judged / count.drawn, 4),
        },
    )


def main() -> int:
    """The table with fewer data sets or fewer rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage_clustered", description=__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="data sets of every row")
    parser.add_argument("--only", default="", help="only rows whose name holds this")
    arguments = parser.parse_args()
    for row in run(repeats=arguments.repeats, only=arguments.only):
        print(row.line(as_json=True), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
