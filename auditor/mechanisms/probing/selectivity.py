"""Whether an attribute's two words are read better than two words without a meaning, and what that can say.

The null: the attribute's words are words like any others of their length. Then the pair of them is a draw from all
pairs that can be made of them and the control words, those with one of its own words among them: relabelling which two
words are the attribute's is a permutation of words, and the share of pairs read at least as well is an exact p-value,
whatever one odd word does. (Pairs among the control words alone would let one odd word of the attribute win by itself,
with a probability of two in the number of words.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from auditor.mechanisms._shared.probe_fits import basis_of, cross_validate
from auditor.mechanisms._shared.probe_readings import wilson
from auditor.statistics.minimums import draws_needed
from auditor.statistics.multiplicity import significant as at_level
from auditor.statistics.results import FloatArray

#: Accuracies this close are the same: shares of a few rows, added in another order.
SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Selectivity:
    """A pair of words against control pairs.

    Attributes
    ----------
    accuracy, control
        Balanced accuracy of the attribute's words, and its mean over the control pairs that hold none of them.
    low, high
        Interval of their difference, by application, the control words as they are.
    p_value
        Share of all pairs, the attribute's own counted, that are read at least as well as it.
    perfect_p
        What that share would be had every row been read rightly.
    draws, needed
        Control pairs, and how many the level needs.
    lowest, highest
        Extremes of the control pairs that hold none of the attribute's words.
    applications
        Applications behind every pair.
    """

    accuracy: float
    control: float
    low: float
    high: float
    p_value: float
    perfect_p: float
    draws: int
    needed: int
    lowest: float
    highest: float
    applications: int

    @property
    def difference(self) -> float:
        """Accuracy above the mean of the control pairs."""
        return self.accuracy - self.control


def pairs_between(own: tuple[str, str], controls: tuple[Sequence[str], Sequence[str]]) -> list[tuple[str, str]]:
    """The attribute's pair first, then every control pair.

    Parameters
    ----------
    own
        The group's word and the reference's.
    controls
        Control words as long as each of them; the same list where both are equally long.
    """
    if list(controls[0]) == list(controls[1]):
        return list(combinations([*own, *controls[0]], 2))
    return list(product([own[0], *controls[0]], [own[1], *controls[1]]))


def read_pair(
    first: npt.ArrayLike, second: npt.ArrayLike, *, folds: npt.NDArray[np.int64], penalty: float
) -> FloatArray:
    """How rightly each application's two rows are read, 0 to 1, by a probe that saw neither.

    Parameters
    ----------
    first, second
        States with one word and with the other, shape (applications, width).
    folds
        Fold of every application.
    penalty
        λ of the probes.
    """
    states = np.concatenate([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)])
    count = len(folds)
    labels = np.arange(len(states)) < count
    logits, _ = cross_validate(
        basis=basis_of(states), labels=labels[:, None], partitions=[np.concatenate([folds, folds])], penalty=penalty
    )
    right = np.where(np.abs(logits[:, 0]) < SAME, 0.5, (logits[:, 0] > 0) == labels)
    return np.asarray((right[:count] + right[count:]) / 2, dtype=np.float64)


def compare(rights: Sequence[FloatArray], *, apart: Sequence[bool], alpha: float, family_size: int) -> Selectivity:
    """Compare the attribute's pair with the control pairs.

    Parameters
    ----------
    rights
        From `read_pair`, one a pair, the attribute's first; all of the same applications.
    apart
        Of every pair after the first, whether it holds neither of the attribute's words.
    alpha
        The plan's level.
    family_size
        Contrasts that are tested so.

    Raises
    ------
    ValueError
        Unless there is a control pair that holds neither word.
    """
    if len(apart) != len(rights) - 1 or not any(apart):
        raise ValueError("at least one control pair without the attribute's words is needed")
    table = np.stack(rights)
    shares = table.mean(axis=1)
    own, others = float(shares[0]), shares[1:]
    clear = others[np.asarray(apart)]
    control = float(clear.mean())
    beside = table[1:][np.asarray(apart)].mean(axis=0)
    low, high = difference_interval(table[0], beside, level=1 - alpha)
    return Selectivity(
        accuracy=own,
        control=control,
        low=low,
        high=high,
        p_value=float((1 + (others >= own - SAME).sum()) / len(table)),
        perfect_p=float((1 + (others >= 1 - SAME).sum()) / len(table)),
        draws=len(others),
        needed=draws_needed(alpha=alpha, family_size=family_size),
        lowest=float(clear.min()),
        highest=float(clear.max()),
        applications=table.shape[1],
    )


def difference_interval(first: FloatArray, second: FloatArray, *, level: float) -> tuple[float, float]:
    """Interval of the difference of two mean shares over the same applications.

    Wilson's interval of each, put together with their correlation (the square-and-add method of Newcombe 1998, no. 10):
    it does not shrink to nothing where everything was read rightly. Each share is taken as a rate of its applications.
    """
    n, z = len(first), float(norm.ppf((1 + level) / 2))
    one, two = float(first.mean()), float(second.mean())
    (one_low, one_high), (two_low, two_high) = wilson(one, n, z), wilson(two, n, z)
    spread = float(first.std() * second.std())
    link = float(((first - one) * (second - two)).mean()) / spread if spread > 0 else 0.0
    link = min(max(link, 0.0), 1.0)
    down, up = (one - one_low, two_high - two), (one_high - one, two - two_low)
    low = one - two - math.sqrt(max(0.0, down[0] ** 2 - 2 * link * down[0] * down[1] + down[1] ** 2))
    high = one - two + math.sqrt(max(0.0, up[0] ** 2 - 2 * link * up[0] * up[1] + up[1] ** 2))
    return max(-1.0, low), min(1.0, high)


def ceiling(found: Selectivity, *, alpha: float, family_size: int) -> bool:
    """Whether not even perfect reading could be significant at the family's worst step."""
    return not at_level(found.perfect_p * family_size, alpha=alpha)
