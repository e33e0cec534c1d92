import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from auditor.statistics.pairs import PairCounts, mcnemar_exact
from auditor.statistics.power import (
    cases_needed,
    detectable_by_mcnemar,
    detectable_mean_shift,
    detectable_net_effect,
    detectable_rate_difference,
    mcnemar_power,
    net_effect_mde,
    pairs_needed,
    worst_level,
)

# discordance, effect, then pairs at α = .05, .05/12, .05/40 (power 80%) and .05 (power 90%)
TABLE = [
    (0.05, 0.01, 3923, 6868, 8275, 5250),
    (0.05, 0.02, 979, 1715, 2067, 1310),
    (0.10, 0.02, 1960, 3433, 4136, 2623),
    (0.10, 0.03, 870, 1524, 1837, 1164),
    (0.10, 0.05, 312, 547, 659, 417),
    (0.20, 0.03, 1742, 3051, 3676, 2331),
    (0.20, 0.05, 626, 1097, 1322, 837),
]


@pytest.mark.parametrize("row", TABLE)
def test_the_table_of_pairs_is_met_in_every_cell(row):
    psi, delta, *pairs = row
    designs = ((0.05, 0.8), (0.05 / 12, 0.8), (0.05 / 40, 0.8), (0.05, 0.9))
    assert [pairs_needed(effect=delta, discordance=psi, alpha=a, power=p) for a, p in designs] == pairs


@pytest.mark.parametrize(("ratio", "n"), [(0.95, 2776), (0.90, 713), (0.80, 186)])
def test_the_group_sizes_for_three_impact_ratios_are_met(ratio, n):
    assert cases_needed(protected_rate=0.7 * ratio, reference_rate=0.7, alpha=0.05, power=0.8) == n


@given(psi=st.floats(0.02, 1), share=st.floats(0.05, 0.9), power=st.floats(0.5, 0.95))
def test_the_detectable_effect_inverts_the_number_of_pairs(psi, share, power):
    delta = psi * share
    z_a, z_b = stats.norm.isf(0.025), stats.norm.ppf(power)
    n = (z_a * math.sqrt(psi) + z_b * math.sqrt(psi - delta**2)) ** 2 / delta**2  # before rounding up
    assert detectable_net_effect(n=n, discordance=psi, power=power, alpha=0.05).value == pytest.approx(delta, rel=1e-9)


def test_both_directions_need_the_same_pairs():
    assert pairs_needed(effect=-0.02, discordance=0.1, alpha=0.05, power=0.8) == pairs_needed(
        effect=0.02, discordance=0.1, alpha=0.05, power=0.8
    )


def test_exact_mcnemar_reaches_about_the_promised_power():
    # An oracle of its own kind: the test is run on simulated pairs. Connor is asymptotic, so a little below 80%.
    rng = np.random.default_rng(3)
    n = pairs_needed(effect=0.05, discordance=0.2, alpha=0.05, power=0.8)
    cells = rng.multinomial(n, [0.075, 0.125, 0.8], size=4000)
    low, total = cells[:, :2].min(axis=1), cells[:, :2].sum(axis=1)
    power = np.mean(2 * stats.binom.cdf(low, total, 0.5) < 0.05)
    assert 0.74 < power < 0.82


def test_an_effect_above_the_discordance_is_never_called_detectable():
    few = detectable_net_effect(n=20, discordance=0.05, alpha=0.05, power=0.8)
    assert few.value is None
    assert few.reason == "no net effect within a discordance of 0.05 is detectable"
    assert (
        detectable_net_effect(n=1000, discordance=0, alpha=0.05, power=0.8).reason
        == "no pair was discordant; see the zero-event bound"
    )
    assert detectable_net_effect(n=0.5, discordance=0.9, alpha=0.05, power=0.8).reason == "too few pairs"


@given(
    n=st.integers(50, 5000),
    rate=st.floats(0.2, 0.95),
)
def test_the_detectable_rate_difference_inverts_the_group_size(n, rate):
    mde = detectable_rate_difference(n_protected=n, n_reference=n, reference_rate=rate, alpha=0.05, power=0.8).value
    assume(mde is not None and mde < rate)
    assert abs(cases_needed(protected_rate=rate - mde, reference_rate=rate, alpha=0.05, power=0.8) - n) <= 1


def test_hopeless_group_designs_have_no_detectable_difference():
    assert (
        detectable_rate_difference(n_protected=3, n_reference=3, reference_rate=0.2, alpha=0.05, power=0.8).value
        is None
    )
    assert (
        detectable_rate_difference(n_protected=300, n_reference=300, reference_rate=0.0, alpha=0.05, power=0.8).value
        is None
    )
    assert (
        0
        < detectable_rate_difference(n_protected=300, n_reference=300, reference_rate=1.0, alpha=0.05, power=0.8).value
        < 0.1
    )


def test_a_mean_shift_of_one_sd_needs_eight_effective_pairs():
    assert detectable_mean_shift(n=7.8489, sd=1, alpha=0.05, power=0.8).value == pytest.approx(1.0, abs=1e-4)
    assert detectable_mean_shift(n=9, sd=0, alpha=0.05, power=0.8).value is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: pairs_needed(effect=0.2, discordance=0.1, alpha=0.05, power=0.8),
        lambda: pairs_needed(effect=0, discordance=0.1, alpha=0.05, power=0.8),
        lambda: pairs_needed(effect=0.01, discordance=0.1, power=0.3, alpha=0.05),
        lambda: pairs_needed(effect=0.01, discordance=0.1, alpha=0, power=0.8),
        lambda: cases_needed(protected_rate=0.5, reference_rate=0.5, alpha=0.05, power=0.8),
        lambda: cases_needed(protected_rate=1.5, reference_rate=0.5, alpha=0.05, power=0.8),
        lambda: detectable_net_effect(n=0, discordance=0.1, alpha=0.05, power=0.8),
        lambda: detectable_rate_difference(n_protected=0, n_reference=3, reference_rate=0.5, alpha=0.05, power=0.8),
        lambda: detectable_mean_shift(n=3, sd=-1, alpha=0.05, power=0.8),
    ],
)
def test_impossible_designs_are_refused(call):
    with pytest.raises(ValueError, match=r"needed|must"):
        call()


def test_the_power_of_exact_mcnemar_is_the_sum_over_every_table():
    n, effect, psi, alpha = 14, 0.45, 0.7, 0.05
    b, c = (psi + effect) / 2, (psi - effect) / 2
    power = sum(
        stats.multinomial.pmf([i, j, n - i - j], n, [b, c, 1 - psi])
        for i in range(n + 1)
        for j in range(n + 1 - i)
        if mcnemar_exact(PairCounts(0, i, j, n - i - j)).p_value < alpha
    )
    assert mcnemar_power(n=n, effect=effect, discordance=psi, alpha=alpha) == pytest.approx(power, abs=1e-10)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 12, 0.05 / 40])
@pytest.mark.parametrize(("n", "psi"), [(300, 0.10), (600, 0.05), (600, 0.02), (2000, 0.20)])
def test_at_the_stated_effect_the_test_has_the_stated_power(n, psi, alpha):
    found = detectable_by_mcnemar(n=n, discordance=psi, alpha=alpha, power=0.8).value
    assert mcnemar_power(n=n, effect=found, discordance=max(psi, found), alpha=alpha) == pytest.approx(0.8, abs=1e-5)
    connor = detectable_net_effect(n=n, discordance=psi, alpha=alpha, power=0.8).value
    # Connor's is the asymptotic form: near the exact figure, on either side of it.
    assert connor is None or connor == pytest.approx(found, rel=0.06)


def test_simulated_audits_find_the_stated_effect_as_often_as_stated():
    mde = net_effect_mde(n=600, discordance=0.06, alpha=0.05, family_size=4, power=0.8, basis="assumed")
    rng = np.random.default_rng(0)
    b, c = (0.06 + mde.value) / 2, (0.06 - mde.value) / 2
    tables = rng.multinomial(600, [b, c, 1 - b - c], size=2000)
    found = [mcnemar_exact(PairCounts(0, *(int(cell) for cell in row))).p_value < 0.05 / 4 for row in tables]
    assert 0.77 < np.mean(found) < 0.83


def test_an_effect_is_stated_at_the_worst_step_of_its_family_and_says_when_it_was_had():
    alone = net_effect_mde(n=600, discordance=0.05, alpha=0.05, family_size=1, power=0.8, basis="pilot")
    many = net_effect_mde(n=600, discordance=0.05, alpha=0.05, family_size=12, power=0.8, basis="observed")
    assert many.alpha == worst_level(alpha=0.05, family_size=12) == 0.05 / 12
    assert many.value > alone.value
    assert (alone.basis, many.basis) == ("pilot", "observed")
    nothing = net_effect_mde(n=5, discordance=0.0, alpha=0.05, family_size=1, power=0.8, basis="assumed")
    assert nothing.value is None
    assert nothing.reason is not None
    assert "exact McNemar cannot reject with 5 pairs" in nothing.reason
    assert net_effect_mde(n=0, discordance=0.0, alpha=0.05, family_size=1, power=0.8, basis="assumed").value is None
