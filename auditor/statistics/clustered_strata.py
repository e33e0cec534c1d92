"""Impact over strata where decisions belong together: every ratio, its test, and whether strata differ.

What a row adds to each summary follows from the stratum's counts (the derivative of the summary's logarithm by the
row's outcome); `clustered` makes of it what clusters leave of the interval. Whether strata differ is asked of the same
Breslow–Day statistic, against the law that it has where rows of one cluster are decided alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse, stats

from auditor.statistics.clustered import ClusteredRows, Together, together, widened, widened_gap, without
from auditor.statistics.multiplicity import benjamini_hochberg
from auditor.statistics.rates import Tally
from auditor.statistics.results import Estimate, FloatArray, IntArray, Significance
from auditor.statistics.segmented import SegmentedImpact, fitted_favourable

RAO_SCOTT = "second-order Rao–Scott for clusters"


def widened_impact(found: SegmentedImpact, rows: ClusteredRows, *, names: Sequence[str]) -> SegmentedImpact:
    """Impact over strata with the intervals and tests that clusters leave it.

    Parameters
    ----------
    found
        As `segmented.segmented_impact` gives it of the same rows.
    rows
        Every row of either group; ``strata`` are places in ``names``.
    names
        Of the strata.

    Notes
    -----
    One test for every summary: the score test of the difference. Ratios of single strata are widened within them.
    """
    if together(rows.protected, rows.clusters) is None or rows.strata is None:
        return found
    cells = _Cells.of(rows, len(names))
    both = rows.those(cells.both[rows.strata])
    difference = widened_gap(found.difference, both, kind="difference")
    strata = {
        name: widened_gap(ratio, rows.those(rows.strata == names.index(name)), kind="ratio")
        for name, ratio in found.strata.items()
    }
    adjusted = benjamini_hochberg([ratio.test.p_value if ratio.test else None for ratio in strata.values()])
    belong = together(both.protected, both.clusters)
    wider = replace(
        found,
        difference=difference,
        strata=strata,
        strata_p_adjusted=dict(zip(strata, adjusted, strict=True)),
    )
    if belong is None or both.strata is None:
        return wider
    side = both.protected.astype(np.int64)
    own = both.said - np.nan_to_num(cells.rates)[both.strata, side]

    def summary(estimate: Estimate, by: FloatArray) -> Estimate:
        if belong.few:
            return without(estimate, belong) if estimate.value is not None else estimate
        made = widened(replace(estimate, test=None), belong, by[both.strata, side] * own, log=True)
        return replace(made, test=difference.test, counts={**made.counts, "clusters": belong.clusters})

    homogeneity = _homogeneity(found, both, belong, cells)
    return replace(
        wider,
        summary_ratio=summary(found.summary_ratio, cells.of_summary()),
        mantel_haenszel_ratio=summary(found.mantel_haenszel_ratio, cells.of_ratio()),
        mantel_haenszel_odds_ratio=summary(found.mantel_haenszel_odds_ratio, cells.of_odds()),
        cmh=difference.test,
        homogeneity=homogeneity,
        not_compared="" if homogeneity else (found.not_compared or belong.few or "nothing varies between clusters"),
        lead_with_strata=homogeneity is not None and homogeneity.p_value < found.alpha,
    )


@dataclass(frozen=True, eq=False)
class _Cells:
    """Rows and favourable ones by stratum and side, shape (strata, 2): reference first."""

    n: FloatArray
    k: FloatArray

    @classmethod
    def of(cls, rows: ClusteredRows, strata: int) -> _Cells:
        assert rows.strata is not None  # noqa: S101 - asked by the caller
        cell = rows.strata * 2 + rows.protected
        sizes: FloatArray = np.bincount(cell, minlength=2 * strata).reshape(-1, 2).astype(np.float64)
        return cls(sizes, np.bincount(cell, weights=rows.said, minlength=2 * strata).reshape(-1, 2).astype(np.float64))

    @property
    def both(self) -> npt.NDArray[np.bool_]:
        """Strata that hold cases of both groups."""
        found: npt.NDArray[np.bool_] = np.all(self.n > 0, axis=1)
        return found

    @property
    def rates(self) -> FloatArray:
        with np.errstate(invalid="ignore"):
            found: FloatArray = self.k / self.n
        return found

    def _parts(self, numbers: FloatArray) -> FloatArray:
        """Numbers of strata with both groups, 0 elsewhere."""
        found: FloatArray = np.where(self.both, np.nan_to_num(numbers, posinf=0.0, neginf=0.0), 0.0)
        return found

    def of_summary(self) -> FloatArray:
        """What a favourable outcome adds to the logarithm of observed over expected."""
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = self.n[:, 1] / self.n[:, 0]
        observed, expected = self._parts(self.k[:, 1]).sum(), self._parts(weight * self.k[:, 0]).sum()
        return _by_side(-self._parts(weight) / (expected or 1.0), self._parts(np.ones(len(self.n))) / (observed or 1.0))

    def of_ratio(self) -> FloatArray:
        """The same for the Mantel–Haenszel ratio."""
        whole = self.n.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight_p, weight_0 = self._parts(self.n[:, 0] / whole), self._parts(self.n[:, 1] / whole)
        top, bottom = (weight_p * self.k[:, 1]).sum(), (weight_0 * self.k[:, 0]).sum()
        return _by_side(-weight_0 / (bottom or 1.0), weight_p / (top or 1.0))

    def of_odds(self) -> FloatArray:
        """The same for the Mantel–Haenszel odds ratio."""
        with np.errstate(divide="ignore", invalid="ignore"):
            k, missed = self.k / self.n.sum(axis=1)[:, None], (self.n - self.k) / self.n.sum(axis=1)[:, None]
        top = self._parts(self.k[:, 1] * missed[:, 0]).sum() or 1.0
        bottom = self._parts(self.k[:, 0] * missed[:, 1]).sum() or 1.0
        return _by_side(
            -self._parts(k[:, 1] / top + missed[:, 1] / bottom), self._parts(missed[:, 0] / top + k[:, 0] / bottom)
        )


def _by_side(reference: FloatArray, protected: FloatArray) -> FloatArray:
    return np.column_stack([reference, protected])


def _homogeneity(found: SegmentedImpact, rows: ClusteredRows, belong: Together, cells: _Cells) -> Significance | None:
    """Breslow–Day, its law corrected for clusters.

    With d the excess of each stratum over the count fitted under one odds ratio, V their variances and M = V⁻¹ −
    11'/ΣV, the statistic is d'Md. Where C is the covariance of d by clusters, its mean is tr(MC) and it goes as
    F with tr(MC)²/tr((MC)²) degrees of freedom above (Rao and Scott 1984; Thomas and Rao 1987). Rows that stand alone
    have C = V, and χ² of one degree fewer than strata.
    """
    plain, odds = found.homogeneity, found.mantel_haenszel_odds_ratio.value
    if plain is None or plain.statistic is None or not odds or belong.few:
        return None
    assert rows.strata is not None  # noqa: S101 - asked by the caller
    informative = np.flatnonzero(cells.both & (cells.k.sum(axis=1) > 0) & (cells.k.sum(axis=1) < cells.n.sum(axis=1)))
    n_0, n_p = cells.n[informative].T
    good = cells.k[informative].sum(axis=1)
    fitted = np.array(
        [
            fitted_favourable(Tally(0, int(p)), Tally(0, int(r)), int(k), odds)
            for p, r, k in zip(n_p, n_0, good, strict=True)
        ]
    )
    pi = np.column_stack([(good - fitted) / n_0, fitted / n_p])
    spread = pi * (1 - pi) * cells.n[informative]
    share = spread[:, 1] / spread.sum(axis=1)
    variances = spread.prod(axis=1) / spread.sum(axis=1)
    place: IntArray = np.full(len(cells.n), -1, dtype=np.int64)
    place[informative] = np.arange(len(informative))
    at = place[rows.strata]
    here = at >= 0
    side = rows.protected[here].astype(np.int64)
    weights = np.column_stack([-share, 1 - share])[at[here], side]
    parts = weights * (rows.said[here] - pi[at[here], side]) * belong.grown[here]
    by_cluster = sparse.coo_array((parts, (belong.codes[here], at[here])), shape=(belong.clusters, len(informative)))
    by_cluster = by_cluster.tocsr()
    covariance = (by_cluster.T @ by_cluster).toarray() * (belong.clusters - 1) / belong.clusters
    product = (np.diag(1 / variances) - 1 / variances.sum()) @ covariance
    first, second = float(np.trace(product)), float(np.trace(product @ product))
    if not first > 0:
        return None
    above = first**2 / second
    p = float(stats.f.sf(plain.statistic / first, above, above * (belong.fewest - 1)))
    return Significance(p_value=p, method=f"{plain.method}, {RAO_SCOTT}", statistic=plain.statistic)
