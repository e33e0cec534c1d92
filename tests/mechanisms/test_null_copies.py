"""Labels without a meaning, and an attribute that is carried but not read, are not found used or usable."""

from __future__ import annotations

import pytest

from benchmarks.inside_nulls import ALPHA, FAMILIES, Said, cut, elsewhere, mediator, rows, shuffled, upper_bound

COPIES = 12
#: The most yeses among so many copies that come up with at least one chance in a thousand at the level.
MOST = 4


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_by_chance_are_found_used_and_usable_no_more_often_than_the_level(family: str) -> None:
    said = [shuffled(family, seed, applications=16) for seed in range(COPIES)]

    assert sum(item.used for item in said) <= MOST
    assert sum(item.usable for item in said) <= MOST


def test_an_attribute_whose_effect_was_cut_is_neither_used_nor_usable() -> None:
    said = [cut("gpt_neox", seed, applications=16) for seed in range(4)]

    assert [item for item in said if item.used or item.usable] == []


def test_an_attribute_that_is_carried_but_read_elsewhere_is_not_used_there() -> None:
    said = [elsewhere(seed, applications=16) for seed in range(4)]

    assert [item for item in said if item.used or item.usable] == []


def test_a_planted_mediator_is_used_and_usable() -> None:
    assert all(item.used and item.usable for item in (mediator(seed, against=40.0) for seed in range(3)))


def test_a_rate_comes_with_its_count_and_upper_bound() -> None:
    said = [Said(0.01, True, 1.0, False), Said(1.0, False, 1.0, False)]
    used, usable = rows("a kind", "llama", said)

    assert (used.ours, used.peer, used.n) == (0.5, ALPHA, 2)
    assert used.extra["said_yes"] == 1
    assert usable.extra["upper_bound"] == pytest.approx(upper_bound(0, 2))
    assert upper_bound(0, 59) == pytest.approx(0.05, abs=1e-3)
