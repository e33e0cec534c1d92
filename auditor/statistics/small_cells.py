"""Small cells with complementary suppression: what is hidden cannot be worked out from what is printed.

A group whose count, favourable count or adverse count is small has its rate hidden. Everything from which the rate
could be had goes with it: comparisons with it on either side, and another group where the total less the printed groups
would give it back (docs/statistics.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.statistics.rates import Tally
from auditor.statistics.results import SMALL_CELL


@dataclass(frozen=True, slots=True)
class Suppression:
    """Which groups and comparisons may be printed.

    ``primary`` are groups hidden for their own counts, ``complementary`` those hidden to protect them; both map to the
    reason in words, which names no count. ``comparisons`` are the groups whose difference, ratio, odds and shortfall
    against ``reference`` are hidden.
    """

    reference: str | None
    primary: dict[str, str]
    complementary: dict[str, str]
    comparisons: dict[str, str]

    @property
    def hidden(self) -> frozenset[str]:
        """Groups whose counts and rates are not printed."""
        return frozenset(self.primary) | frozenset(self.complementary)

    def reason(self, group: str) -> str | None:
        """Why a group's rate is hidden; ``None`` where it is printed."""
        return self.primary.get(group) or self.complementary.get(group)


def suppress(
    *,
    tallies: Mapping[str, Tally],
    reference: str | None = None,
    total_printed: bool = True,
    unprinted: int = 0,
    small_cell: int = SMALL_CELL,
) -> Suppression:
    """Decide which rates and comparisons of one table of groups may be printed.

    Parameters
    ----------
    tallies
        Cases and favourable cases by group. A group is small where a cell of its row, favourable or adverse, holds from
        1 to ``small_cell`` − 1 cases, or all of them together do. An empty cell is nobody and is printed, unless the
        group itself is small.
    reference
        The group compared with.
    total_printed
        Whether the total over all groups is printed, here or elsewhere. Then a single hidden group is the total less
        the others, so a second one is hidden: the smallest of the others, which costs least. Where only two groups
        exist that is the other one.
    unprinted
        Cases of the total that are in none of these groups. Where a group is hidden they are hidden beside it: many of
        them keep it from being worked out. By themselves they are people of whom nothing is printed, and hide nothing:
        else five applications with a blank would switch off every comparison of the attribute.
    small_cell
        Counts below it are small; 0 or 1 hides nothing.

    Raises
    ------
    ValueError
        For a reference that is no group.
    """
    if reference is not None and reference not in tallies:
        raise ValueError(f"reference group {reference!r} is not among the groups: {', '.join(sorted(tallies))}")
    primary = {
        name: f"a count of {name} is below {small_cell}" for name, tally in tallies.items() if _small(tally, small_cell)
    }
    complementary: dict[str, str] = {}
    hidden = [tallies[name] for name in primary] + ([Tally(unprinted, unprinted)] if unprinted else [])
    others = sorted((name for name in tallies if name not in primary), key=lambda name: (tallies[name].n, name))
    # The hidden groups together are the total less the printed ones: one alone, or a small sum, is given away.
    while total_printed and primary and others and _given_away(hidden, small_cell):
        name = others.pop(0)
        hidden.append(tallies[name])
        complementary[name] = "hidden with a small group, which the total less this one would give back"
    comparisons: dict[str, str] = {}
    if reference is not None:
        for name in tallies:
            if name == reference:
                continue
            if name in primary or name in complementary:
                comparisons[name] = f"the rate of {name} is hidden and a comparison would give it back"
            elif reference in primary or reference in complementary:
                comparisons[name] = f"the rate of the reference group {reference} is hidden and would be given back"
    return Suppression(reference, primary, complementary, comparisons)


def _small(tally: Tally, small_cell: int) -> bool:
    cells = (tally.n, tally.favourable, tally.n - tally.favourable)
    return any(0 < cell < small_cell for cell in cells)


def _given_away(hidden: list[Tally], small_cell: int) -> bool:
    if len(hidden) < 2:
        return True
    return _small(Tally(sum(tally.favourable for tally in hidden), sum(tally.n for tally in hidden)), small_cell)
