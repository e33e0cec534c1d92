"""Two versions that treat a group alike are not said to differ over the range; two that do not are (short form)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from auditor.comparison_range import range_p_value
from benchmarks.version_nulls import ALPHA, NULLS, RULES, Null, draw, false_changes

REPEATS = 60
MOST = int(stats.binom.isf(0.001, REPEATS, ALPHA))
"""More false changes than this would be seen once in a thousand runs of a test that keeps its level."""


@pytest.mark.parametrize("name", NULLS)
def test_the_same_effect_in_both_versions_is_called_a_change_no_more_often_than_the_level(name: str) -> None:
    assert false_changes(name, pairs=40, repeats=REPEATS).ours * REPEATS <= MOST


def test_a_group_that_only_the_later_version_turns_down_is_found() -> None:
    rng = np.random.default_rng(5)
    still = Null(apart=0.05, shift=0.0, noise=0.05)
    harsh = Null(apart=0.05, shift=-1.2, noise=0.05)
    pair = draw(still, rng, 200)
    moved = draw(harsh, np.random.default_rng(5), 200)
    both = type(pair)("race", "b", "a", pair.control, tuple(
        type(old)(old.earlier, new.later) for old, new in zip(pair.protected, moved.protected, strict=True)
    ))  # fmt: skip
    assert range_p_value(both, RULES) <= ALPHA
