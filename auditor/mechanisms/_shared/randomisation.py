"""Randomisation tests on internals: what labels without a meaning would have done, with an exact p-value.

Labels are permuted within applications: every application keeps its prompts, and which prompt bears which group's label
is drawn anew. What was fitted on the true labels is fitted on the permuted ones, on the same states and with the same
number of directions, and its effect is measured in the same way on other applications.

Why the p-value is exact. Erasers and directions are fitted on one part of the applications and their effects measured
on another, by the labels there. Given the states of both and the labels of the second, an effect is a function of the
labels of the first alone. Where those say nothing, every relabelling is as likely as the one at hand, so that the
effect at hand is as likely to be the largest of all R + 1 as any other: P(p ≤ a) ≤ a, whatever the model and the
states (Phipson and Smyth 2010 for drawing without replacement). Fitting both ways round and adding up would break this:
a half's labels would then decide both what is erased and how the effect is counted.

Relabellings that only rename the groups throughout erase the same directions; they count as one. Drawing among balanced
ones alone, in which true and permuted labels have nothing in common, would have more power and no exact level: the
labels at hand are not one of them (Southworth, Kim and Owen 2009).

Draws end early where they already say enough (Besag and Clifford 1991): after ``STOP`` effects as large as the one at
hand at draw l the p-value is STOP/l, and it is exact too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Effects as large as the one at hand after which no more are drawn.
STOP = 5
#: So many relabellings and more are told as so many: three groups in 24 applications have 10^17, which no ledger's
#: number holds, and no run draws as many.
MANY = 10**9
#: Most groups whose orders are written down one by one; twelve groups have 479 million.
LISTED = 7

Relabelled = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Randomised:
    """What the draws say.

    Attributes
    ----------
    p_value
        Exact; ``None`` where nothing was drawn.
    draws
        Draws it rests on.
    as_large
        Draws whose effect was at least as large as the one at hand.
    ended
        Whether the draws ended early, because ``STOP`` were as large.
    largest
        The largest effect of a draw, by size, or in the direction of the test.
    """

    p_value: float | None
    draws: int
    as_large: int
    ended: bool
    largest: float | None


def relabellings(*, applications: int, groups: int) -> int:
    """How many relabellings within applications erase different directions, the true one left out; ``MANY`` at most."""
    if not applications:
        return 0
    if (applications - 1) * math.lgamma(groups + 1) > math.log(MANY):
        return MANY
    return min(MANY, int(math.factorial(groups) ** (applications - 1)) - 1)


def relabel(*, applications: int, groups: int, count: int, seed: int | Sequence[int]) -> Relabelled:
    """Draw relabellings without replacement.

    Parameters
    ----------
    applications, groups
        Their numbers.
    count
        Relabellings wanted; fewer are returned where there are fewer.
    seed
        Of the draws.

    Returns
    -------
    array
        [count, applications, groups]: the group whose label the prompt of every group is given. The first application
        keeps its own, because renaming all groups alike changes nothing; none is the true labelling.
    """
    possible = relabellings(applications=applications, groups=groups)
    generator = np.random.default_rng(seed)
    if groups > LISTED and possible > 4 * count:
        return _drawn(generator, applications=applications, groups=groups, count=count)
    orders = np.array(list(itertools.permutations(range(groups))), dtype=np.intp)
    if possible <= 4 * count:
        every = np.array(list(itertools.product(range(len(orders)), repeat=applications - 1)), dtype=np.intp)[1:]
        picked = every.reshape(-1, applications - 1)[generator.permutation(len(every))[:count]]
    else:
        seen: dict[bytes, npt.NDArray[np.intp]] = {}
        while len(seen) < count:
            drawn = generator.integers(0, len(orders), applications - 1).astype(np.intp)
            if drawn.any():
                seen.setdefault(drawn.tobytes(), drawn)
        picked = np.array(list(seen.values()), dtype=np.intp).reshape(-1, applications - 1)
    first = np.zeros((len(picked), 1), dtype=np.intp)
    return np.asarray(orders[np.concatenate([first, picked], axis=1)])


def _drawn(generator: np.random.Generator, *, applications: int, groups: int, count: int) -> Relabelled:
    """As `relabel`, every order drawn by itself."""
    own = np.arange(groups, dtype=np.intp)
    seen: dict[bytes, Relabelled] = {}
    while len(seen) < count:
        drawn = generator.permuted(np.tile(own, (applications - 1, 1)), axis=1)
        if (drawn != own).any():
            seen.setdefault(drawn.tobytes(), drawn)
    picked = np.array(list(seen.values()), dtype=np.intp).reshape(-1, applications - 1, groups)
    return np.concatenate([np.broadcast_to(own, (len(picked), 1, groups)), picked], axis=1)


def randomised(
    effect: float, controls: Sequence[float], *, floor: float, stop: int | None = STOP, direction: float | None = None
) -> Randomised:
    """The p-value of an effect among those of permuted labels.

    Parameters
    ----------
    effect
        With the true labels.
    controls
        With permuted labels, in the order in which they were drawn.
    floor
        Two effects that differ by no more are equal: what rounding makes of the same quantity. An effect no larger than
        it is as large as any, and its p-value 1.
    stop
        Effects as large after which the draws end; ``None`` counts all.
    direction
        One-sided, in the direction of this number, which must not depend on the labels that were permuted; two-sided
        by default.
    """
    own = _size(effect, direction)
    sizes = [_size(control, direction) for control in controls]
    as_large = 0
    for number, size in enumerate(sizes, 1):
        as_large += int(size >= own - floor or own <= floor)
        if stop is not None and as_large >= stop:
            return Randomised(as_large / number, number, as_large, True, max(sizes[:number]))
    if not sizes:
        return Randomised(None, 0, 0, False, None)
    return Randomised((1 + as_large) / (1 + len(sizes)), len(sizes), as_large, False, max(sizes))


def together(found: Sequence[Randomised]) -> Randomised:
    """The controls that an effect stands out from least: all of them have to say yes, so the largest p-value is theirs.

    A control that was not drawn because another one had ended early already says nothing.
    """
    drawn = [item for item in found if item.p_value is not None]
    return max(drawn, key=lambda item: item.p_value or 0.0, default=found[0])


def ended(effect: float, controls: Sequence[float], *, floor: float, stop: int = STOP) -> bool:
    """Whether no more draws are needed, of a two-sided test."""
    return randomised(effect, controls, floor=floor, stop=stop).ended


def _size(value: float, direction: float | None) -> float:
    return abs(value) if direction is None else float(np.sign(direction)) * value
