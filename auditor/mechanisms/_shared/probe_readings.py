"""What held-out logits of a probe say: balanced accuracy and AUROC, their intervals, and a test against chance.

Rows of one application are not independent, so all spread is taken between applications.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from auditor.statistics.bootstrap import cluster_codes
from auditor.statistics.results import FloatArray

#: A probe that was given nothing to read answers 0 but for rounding.
SILENT = 1e-9


@dataclass(frozen=True, slots=True)
class ProbeReading:
    """One probe, held out.

    ``accuracy`` is balanced accuracy, the mean of the shares of both labels that were read rightly; 0.5 is chance for
    any mix of labels. ``p_value`` is two-sided against 0.5. ``n`` counts rows, ``clusters`` applications.
    """

    accuracy: float
    low: float
    high: float
    auroc: float
    auroc_low: float
    auroc_high: float
    p_value: float
    n: int
    clusters: int


def balanced_accuracy(*, logits: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean share of rightly read rows over both labels; a logit of 0 (to 1e-9) says nothing and counts half."""
    t, y = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=bool)
    right = _right(t, y)
    return float((right[y].mean() + right[~y].mean()) / 2)


def read(*, logits: npt.ArrayLike, labels: npt.ArrayLike, clusters: npt.ArrayLike, level: float) -> ProbeReading:
    """Measure a probe.

    Parameters
    ----------
    logits, labels, clusters
        Held-out logits, 0/1 labels and application of every row, shape (n,).
    level
        Level of the intervals.

    Notes
    -----
    The interval of the accuracy is the mean of two Wilson intervals, one a label, its applications as n: it is
    right where both labels of an application are always read rightly or wrongly together, and wide otherwise, and it
    does not shrink to nothing where every row was read rightly. The test takes each application's mean surplus over 1/2
    as one number. AUROC has the variance of Obuchowski (1997), on applications, and its interval on the logit scale, as
    the AUC of scores has: on its own scale 48 applications read at .95 held the truth in 85 % of data sets. Where all
    pairs are in order it is the accuracy's.

    Raises
    ------
    ValueError
        If a label is missing.
    """
    t, y = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=bool)
    if y.all() or not y.any():
        raise ValueError("both labels are needed")
    codes, count = cluster_codes(clusters, n=len(y))
    z = float(norm.ppf((1 + level) / 2))
    right = _right(t, y)
    shares, bounds = [], []
    for label in (False, True):
        rows = y == label
        share = float(right[rows].mean())
        shares.append(share)
        bounds.append(wilson(share, len(np.unique(codes[rows])), z))
    accuracy = sum(shares) / 2
    low, high = (sum(bound[side] for bound in bounds) / 2 for side in (0, 1))
    surplus = np.where(y, (right - 0.5) / (2 * y.sum()), (right - 0.5) / (2 * (~y).sum()))
    spread = float(np.sqrt((_sums(surplus, codes, count) ** 2).sum()))
    p_value = float(2 * norm.sf(abs(accuracy - 0.5) / spread)) if spread > 0 else 1.0
    auroc, error = _auroc(t, y, codes, count)
    if error > 0 and 0 < auroc < 1:
        middle, reach = logit(auroc), z * error / (auroc * (1 - auroc))
        auroc_low, auroc_high = float(expit(middle - reach)), float(expit(middle + reach))
    else:
        auroc_low, auroc_high = min(low, auroc), max(high, auroc)
    return ProbeReading(accuracy, low, high, auroc, auroc_low, auroc_high, p_value, len(y), count)


def _right(logits: FloatArray, labels: npt.NDArray[np.bool_]) -> FloatArray:
    return np.where(np.abs(logits) < SILENT, 0.5, (logits > 0) == labels).astype(np.float64)


def wilson(share: float, n: int, z: float) -> tuple[float, float]:
    """Wilson's interval of a share of ``n``, z standard errors wide."""
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def _auroc(
    logits: FloatArray, labels: npt.NDArray[np.bool_], codes: npt.NDArray[np.int64], count: int
) -> tuple[float, float]:
    """AUROC and its standard error between clusters, from the placement of every row among the other label's."""
    positive, negative = int(labels.sum()), int((~labels).sum())
    everywhere = rankdata(logits)
    placed = np.empty(len(logits))
    placed[labels] = (everywhere[labels] - rankdata(logits[labels])) / negative
    placed[~labels] = 1 - (everywhere[~labels] - rankdata(logits[~labels])) / positive
    auroc = float(placed[labels].mean())
    surplus = np.where(labels, (placed - auroc) / positive, (placed - auroc) / negative)
    return auroc, float(np.sqrt((_sums(surplus, codes, count) ** 2).sum()))


def _sums(values: FloatArray, codes: npt.NDArray[np.int64], count: int) -> FloatArray:
    return np.asarray(np.bincount(codes, weights=values, minlength=count), dtype=np.float64)
