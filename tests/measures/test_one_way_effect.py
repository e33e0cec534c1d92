"""The smallest effect that pairs can show when all flips go one way, against exact McNemar and the binomial itself."""

from __future__ import annotations

import pytest
from scipy import stats

from auditor.statistics.pairs import PairCounts, mcnemar_exact
from auditor.statistics.power import detectable_net_effect, detectable_one_way_effect


@pytest.mark.parametrize("n", [60, 600, 2000])
@pytest.mark.parametrize("alpha", [0.05, 0.0125, 0.00125])
def test_at_that_effect_the_exact_test_rejects_with_the_power_asked_for(n: int, alpha: float) -> None:
    effect = detectable_one_way_effect(n=n, alpha=alpha, power=0.8).value
    assert effect is not None
    rejecting = [c for c in range(40) if mcnemar_exact(PairCounts(a=n - c, b=0, c=c, d=0)).p_value <= alpha]
    power = float(stats.binom.sf(rejecting[0] - 1, n, effect))
    assert power == pytest.approx(0.8, abs=1e-9)


def test_it_is_larger_than_the_asymptotic_figure_at_the_same_discordance() -> None:
    exact = detectable_one_way_effect(n=600, alpha=0.05, power=0.8).value
    assert exact is not None
    asymptotic = detectable_net_effect(n=600, discordance=exact, alpha=0.05, power=0.8)
    assert asymptotic.value is None or asymptotic.value <= exact


def test_too_few_pairs_can_show_nothing() -> None:
    found = detectable_one_way_effect(n=5, alpha=0.05, power=0.8)
    assert found.value is None
    assert found.reason == "exact McNemar cannot reject with 5 pairs at alpha = 0.05"


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="n of at least 1"):
        detectable_one_way_effect(n=0, alpha=0.05, power=0.8)
