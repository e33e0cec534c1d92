"""Shapley values of a game on few players: exact by enumeration, or sampled in antithetic pairs of permutations.

A coalition is a whole number whose bit i says that player i is in. The worth v(S) of a coalition is any number; here it
is the margin of the application with the players of S as filed and the others at the reference. φ_i is player i's mean
contribution v(S ∪ i) − v(S) over all orders in which the players may join (Shapley, 1953).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Worth = Callable[[Sequence[int]], FloatArray]
"""Worths of coalitions, each asked once: in the order given, shape (coalitions,)."""

MOST_EXACT = 12
FIRST_PAIRS = 8
"""Fewer are too few to tell a small error from a lucky draw: three players who matter only together have three kinds of
pair, and four draws are of one kind once in 27."""


@dataclass(frozen=True, slots=True)
class Shapley:
    """Values of all players.

    Attributes
    ----------
    values
        φ, shape (players,), in the unit of the worth.
    standard_errors
        Of the sampling, shape (players,); ``None`` for an enumeration.
    empty, full
        Worth of nobody and of everybody: the values sum to their difference.
    spread
        Largest minus smallest worth of all coalitions that were evaluated: the range of the game.
    coalitions
        How many were evaluated.
    pairs
        Antithetic pairs drawn; 0 for an enumeration.
    """

    values: FloatArray
    standard_errors: FloatArray | None
    empty: float
    full: float
    spread: float
    coalitions: int
    pairs: int = 0

    @property
    def relative_error(self) -> float:
        """Largest standard error as a share of the range; 0 for an enumeration and for a game that never moves."""
        if self.standard_errors is None or not len(self.standard_errors) or self.spread == 0:
            return 0.0
        return float(self.standard_errors.max() / self.spread)


def exact(worths: npt.ArrayLike) -> FloatArray:
    """Shapley values by full enumeration.

    Parameters
    ----------
    worths
        v of every coalition, shape (2^players,): entry S is the worth of coalition S.

    Returns
    -------
    ndarray
        Shape (players,). A player who changes nothing gets exactly 0.

    Raises
    ------
    ValueError
        If the number of worths is no power of two.
    """
    v = np.asarray(worths, dtype=np.float64)
    players = max(0, len(v).bit_length() - 1)
    if v.ndim != 1 or len(v) != 1 << players:
        raise ValueError(f"worths must have shape (2^players,), got {v.shape}")
    coalitions = np.arange(len(v))
    sizes = np.bitwise_count(coalitions).astype(np.int64)
    # |S|!(n − |S| − 1)!/n! = 1 / (n · C(n − 1, |S|)): the share of orders in which exactly S comes before the player.
    weights = np.array([1 / (players * math.comb(players - 1, size)) for size in range(players)])
    values = np.empty(players)
    for player in range(players):
        without = coalitions[(coalitions >> player) & 1 == 0]
        values[player] = weights[sizes[without]] @ (v[without | (1 << player)] - v[without])
    return values


def enumerate_all(worth: Worth, *, players: int) -> Shapley:
    """Exact values: every coalition is evaluated, all in one call of ``worth``.

    Raises
    ------
    ValueError
        Above 12 players (4,096 coalitions): sample instead.
    """
    if not 0 <= players <= MOST_EXACT:
        raise ValueError(f"at most {MOST_EXACT} players are enumerated, got {players}")
    v = np.asarray(worth(range(1 << players)), dtype=np.float64)
    return Shapley(
        values=exact(v),
        standard_errors=None,
        empty=float(v[0]),
        full=float(v[-1]),
        spread=float(np.ptp(v)),
        coalitions=len(v),
    )


def sample(worth: Worth, *, players: int, seed: Sequence[int], error: float, most_pairs: int) -> Shapley:
    """Values from antithetic pairs: a random order of joining and the same order backwards (Castro et al., 2009;
    Mitchell et al., 2022).

    A player who joins early in one order joins late in the other, so what two players do together largely cancels
    between the two. One pair's mean is one observation; the standard error is that of the mean of the observations. The
    number of pairs doubles, from 8 on, until the largest standard error is at most ``error`` times the range of
    the worths seen, or ``most_pairs`` are drawn.

    Parameters
    ----------
    worth
        Asked once a round, for coalitions it was not asked about before.
    players
        At least 1; with under six there are few distinct orders, and a small error may be luck. Enumerate them.
    seed
        Numbers that fix the orders.
    error
        Standard error aimed at, as a share of the range.
    most_pairs
        At least 8.

    Returns
    -------
    Shapley
        With ``relative_error`` above ``error`` where ``most_pairs`` were not enough.
    """
    if players < 1 or most_pairs < FIRST_PAIRS:
        raise ValueError(
            f"at least 1 player and {FIRST_PAIRS} pairs are needed, got {players} players and {most_pairs} pairs"
        )
    generator = np.random.default_rng(list(seed))
    known: dict[int, float] = {}
    observed: list[FloatArray] = []
    while True:
        goal = min(most_pairs, max(FIRST_PAIRS, 2 * len(observed)))
        orders = [generator.permutation(players) for _ in range(goal - len(observed))]
        _learn(worth, known, (step for order in orders for step in (*path(order), *path(order[::-1]))))
        observed += [(contributions(order, known) + contributions(order[::-1], known)) / 2 for order in orders]
        result = _sampled(np.array(observed), known, players)
        if result.relative_error <= error or len(observed) == most_pairs:
            return result


def path(order: Iterable[int]) -> list[int]:
    """The coalitions that come about when players join in this order, from nobody to everybody."""
    steps = [0]
    for player in order:
        steps.append(steps[-1] | 1 << int(player))
    return steps


def contributions(order: Sequence[int] | npt.NDArray[np.int64], worths: dict[int, float]) -> FloatArray:
    """What every player adds when joining in this order, by player; shape (players,)."""
    steps = path(order)
    values = np.empty(len(order))
    for player, before, after in zip(order, steps, steps[1:], strict=False):
        values[player] = worths[after] - worths[before]
    return values


def _learn(worth: Worth, known: dict[int, float], wanted: Iterable[int]) -> None:
    new = sorted(set(wanted) - known.keys())
    if new:
        known.update(zip(new, (float(value) for value in worth(new)), strict=True))


def _sampled(observed: FloatArray, known: dict[int, float], players: int) -> Shapley:
    pairs = len(observed)
    worths = list(known.values())
    return Shapley(
        values=observed.mean(axis=0),
        standard_errors=observed.std(axis=0, ddof=1) / math.sqrt(pairs),
        empty=known[0],
        full=known[(1 << players) - 1],
        spread=max(worths) - min(worths),
        coalitions=len(worths),
        pairs=pairs,
    )
