"""Whether two decisions on the same applications agree: a system's and a person's (docs/statistics.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats

from auditor.statistics.bootstrap import cluster_codes, cluster_totals
from auditor.statistics.clustered import jackknifed, together, widened_rate, without
from auditor.statistics.rates import Tally, wilson
from auditor.statistics.results import (
    BoolArray,
    Estimate,
    FloatArray,
    Interval,
    Significance,
    booleans,
    check_level,
    missing,
    same_length,
    tost_level,
)


@dataclass(frozen=True, slots=True)
class RaterAgreement:
    """Two decisions on one set of applications.

    ``raised`` are system-adverse decisions that the person made favourable, of all the system's adverse ones;
    ``lowered`` the other way, of all its favourable ones. ``agreed`` counts both alike.
    """

    share: Estimate
    kappa: Estimate
    agreed: Tally
    raised: Tally
    lowered: Tally


def agreement(
    *, system: npt.ArrayLike, person: npt.ArrayLike, clusters: npt.ArrayLike | None = None, level: float
) -> RaterAgreement:
    """Share of alike decisions (Wilson) and Cohen's kappa with its large-sample interval (Fleiss, Cohen and Everitt).

    Parameters
    ----------
    system, person
        Shape (n,), 0/1: favourable or not, for the same applications in the same order.
    clusters
        Shape (n,), which applications belong together; by default each is its own.

    Notes
    -----
    Kappa's test against 0 uses its variance under independence, its interval the one without that assumption (1969).
    Where both give one decision to everybody, chance alone would agree wholly and kappa is undefined.
    """
    s, h = booleans(system, name="system"), booleans(person, name="person")
    n = same_length(system=s, person=h)
    agreed = Tally(int((s == h).sum()), n)
    raised = Tally(int((~s & h).sum()), int((~s).sum()))
    lowered = Tally(int((s & ~h).sum()), int(s.sum()))
    if n == 0:
        none = missing(method="agreement", reason="there are no cases", n=0)
        return RaterAgreement(
            none, missing(method="Cohen's kappa", reason="there are no cases", n=0), agreed, raised, lowered
        )
    share = Estimate(
        value=agreed.rate,
        n=n,
        method="agreement",
        interval=wilson(agreed, level=level),
        tost_interval=wilson(agreed, level=tost_level(level)),
        counts={"agreed": agreed.favourable, "raised": raised.favourable, "lowered": lowered.favourable},
    )
    cells = [[lowered.n - lowered.favourable, lowered.favourable], [raised.favourable, raised.n - raised.favourable]]
    kappa = _of_clusters(_kappa(cells, n, level), s, h, clusters, level)
    return RaterAgreement(widened_rate(share, s == h, clusters), kappa, agreed, raised, lowered)


def _of_clusters(plain: Estimate, s: BoolArray, h: BoolArray, clusters: npt.ArrayLike | None, level: float) -> Estimate:
    """Kappa with the interval of clusters left out in turn, on the logarithm of 1 − κ, and without a test.

    Its law is skewed where it is high; 1 − κ is disagreement over that by chance, a ratio.
    """
    belong = together(np.zeros(len(s)), clusters)
    if belong is None or plain.value is None:
        return plain
    if belong.few:
        return without(plain, belong)
    codes, many = cluster_codes(clusters, n=len(s))
    columns = np.column_stack([s != h, s, h, np.ones(len(s))]).astype(np.float64)
    sample = jackknifed(cluster_totals(columns, codes=codes, clusters=many), _disagreement, belong, log=True)

    def interval(wanted: float) -> Interval | None:
        found = sample.interval(wanted)
        return None if found is None else Interval(1 - found.high, 1 - found.low, wanted, f"{found.method} of 1 − κ")

    counts = {**plain.counts, "clusters": many}
    return replace(plain, interval=interval(level), tost_interval=interval(tost_level(level)), test=None, counts=counts)


def _disagreement(sums: FloatArray) -> FloatArray:
    apart, of_s, of_h = (sums[:, at] / sums[:, 3] for at in range(3))
    found: FloatArray = apart / (of_s * (1 - of_h) + of_h * (1 - of_s))
    return found


def _kappa(cells: list[list[int]], n: int, level: float) -> Estimate:
    """Cohen's kappa of a 2×2 table, rows the one's favourable and adverse, columns the other's."""
    method = "Cohen's kappa"
    p = [[cell / n for cell in row] for row in cells]
    rows = [sum(row) for row in p]
    columns = [p[0][at] + p[1][at] for at in (0, 1)]
    seen, chance = p[0][0] + p[1][1], rows[0] * columns[0] + rows[1] * columns[1]
    if chance > 1 - 1e-12:
        return missing(method=method, reason="both give one decision to everybody, so chance agrees wholly", n=n)
    kappa = (seen - chance) / (1 - chance)
    alike = sum(p[at][at] * (1 - (rows[at] + columns[at]) * (1 - kappa)) ** 2 for at in (0, 1))
    apart = (1 - kappa) ** 2 * sum(p[i][j] * (columns[i] + rows[j]) ** 2 for i in (0, 1) for j in (0, 1) if i != j)
    variance = (alike + apart - (kappa - chance * (1 - kappa)) ** 2) / ((1 - chance) ** 2 * n)
    null = chance + chance**2 - sum(rows[at] * columns[at] * (rows[at] + columns[at]) for at in (0, 1))
    z = kappa * (1 - chance) * math.sqrt(n / null) if null > 1e-15 else None
    test = None if z is None else Significance(float(2 * stats.norm.sf(abs(z))), "z under independence", z, z)
    if not variance > 1e-15:
        return Estimate(value=kappa, n=n, method=method, test=test, reason="no interval: they agree without exception")

    def interval(wanted: float) -> Interval:
        reach = float(stats.norm.isf((1 - check_level(wanted)) / 2)) * math.sqrt(variance)
        return Interval(max(-1.0, kappa - reach), min(1.0, kappa + reach), wanted, "normal")

    return Estimate(
        value=kappa, n=n, method=method, interval=interval(level), tost_interval=interval(tost_level(level)), test=test
    )
