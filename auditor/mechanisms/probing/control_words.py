"""Words without a meaning in the attribute's place: as long in tokens as the groups' own, and enough of them.

A probe reads any two words apart that differ enough in the model's states. What it says of an attribute can be told
from that by two-word controls alone: pairs of words that mean nothing there, each as long in tokens as the group's word
it stands for, since a longer word moves everything after it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence

#: Short words that stand for no person and for no place an applicant may live in.
# fmt: off
WORDS = (
    "Amber", "Anvil", "Apple", "Arrow", "Basin", "Beacon", "Berry", "Birch", "Bottle", "Brick", "Bridge", "Bronze",
    "Canvas", "Carbon", "Cedar", "Chalk", "Cloud", "Clover", "Coral", "Cotton", "Delta", "Ember", "Engine", "Feather",
    "Field", "Flint", "Forest", "Frost", "Garden", "Garnet", "Glass", "Gold", "Grain", "Grove", "Harbor", "Haven",
    "Iron", "Ivory", "Jade", "Lake", "Lamp", "Leaf", "Lemon", "Linen", "Maple", "Marble", "Meadow", "Mint", "Moon",
    "Oak", "Ocean", "Olive", "Onyx", "Opal", "Paper", "Pearl", "Pepper", "Pine", "Plum", "Rain", "River", "Ruby",
    "Salt", "Sand", "Silver", "Snow", "Spruce", "Steel", "Stone", "Sugar", "Timber", "Velvet", "Violet", "Water",
    "Wheat", "Willow", "Wood",
)
# fmt: on
TRIES = 4000
MOST_WORDS = 8
#: Fewer of them can be told apart from a list by hand; more cost a reading of every application each.
MOST = 64


def words_needed(draws: int, *, alike: bool) -> int:
    """How many control words give at least so many control pairs.

    Parameters
    ----------
    draws
        Pairs of words other than the attribute's own that are needed.
    alike
        Both groups' words have the same length, so any two words make a pair; otherwise one of each length does, and
        the number is for each of the two lengths.
    """
    words = 1
    while pairs_of(words, alike=alike) - 1 < draws:
        words += 1
    return words


def pairs_of(words: int, *, alike: bool) -> int:
    """Pairs among the attribute's own words and so many control words (of each length)."""
    return math.comb(words + 2, 2) if alike else (words + 1) ** 2


def length_class(word: str, tokens: Callable[[str], int]) -> str:
    """What two words must share to stand for each other: tokens after a space, and whether they begin in capitals."""
    return f"{tokens(f' {word}')} {'lower' if word[:1].islower() else 'upper'}"


def choose(
    groups: Sequence[str], *, wanted: Mapping[str, int], pool: Sequence[str], tokens: Callable[[str], int], seed: str
) -> dict[str, list[str]]:
    """Control words by length class, in a seeded order; fewer than wanted where the pool has no more.

    Parameters
    ----------
    groups
        The attribute's words; none of their parts is used.
    wanted
        How many by length class.
    pool
        Single words. Longer ones are put together from them.
    tokens
        Tokens of a text.
    seed
        Of the order.
    """
    taken = {part.casefold() for group in groups for part in group.split()}
    words = [word for word in dict.fromkeys(pool) if word.casefold() not in taken]
    return {
        name: _of_class(name, count=min(count, MOST), words=words, tokens=tokens, seed=f"{seed}/{name}")
        for name, count in wanted.items()
    }


def _of_class(name: str, *, count: int, words: Sequence[str], tokens: Callable[[str], int], seed: str) -> list[str]:
    lower = name.endswith("lower")
    cased = [word.lower() if lower else word for word in words]
    generator = random.Random(seed)
    generator.shuffle(cased)
    found = [word for word in cased if length_class(word, tokens) == name][:count]
    for turn in range(TRIES):
        if len(found) >= count:
            break
        size = 2 + turn % (MOST_WORDS - 1)
        phrase = " ".join(generator.sample(cased, min(size, len(cased))))
        if phrase not in found and length_class(phrase, tokens) == name:
            found.append(phrase)
    return found


def known_class(groups: Collection[str], tokens: Callable[[str], int]) -> dict[str, str]:
    """The length class of every group's word."""
    return {group: length_class(group, tokens) for group in groups}
