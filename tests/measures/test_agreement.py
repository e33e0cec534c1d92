"""Agreement of a system with a person: Cohen's kappa is that of statsmodels and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from auditor.statistics.agreement import agreement


def decided(seed=1, n=400):
    draw = np.random.default_rng(seed)
    system = draw.random(n) < 0.7
    return system, np.where(draw.random(n) < 0.15, ~system, system)


def test_kappa_and_its_interval_are_those_of_two_peers():
    system, person = decided()
    found = agreement(system=system, person=person, level=0.95)
    table = [[np.sum((system == s) & (person == h)) for h in (True, False)] for s in (True, False)]
    peer = cohens_kappa(np.array(table))
    assert found.kappa.value == pytest.approx(peer.kappa)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(system, person))
    assert (found.kappa.interval.low, found.kappa.interval.high) == pytest.approx((peer.kappa_low, peer.kappa_upp))
    assert found.kappa.test.sd_units == pytest.approx(peer.z_value)


def test_what_a_person_changed_is_counted_both_ways():
    found = agreement(system=[1, 1, 1, 0, 0], person=[1, 0, 1, 1, 0], level=0.95)
    assert (found.agreed.favourable, found.agreed.n) == (3, 5)
    assert (found.lowered.favourable, found.lowered.n) == (1, 3)
    assert (found.raised.favourable, found.raised.n) == (1, 2)


def test_one_decision_for_everybody_has_no_kappa_and_full_agreement_no_interval():
    same = agreement(system=[1] * 9, person=[1] * 9, level=0.95)
    assert same.kappa.value is None
    assert "chance agrees wholly" in same.kappa.reason
    whole = agreement(system=[1, 0] * 9, person=[1, 0] * 9, level=0.95)
    assert whole.kappa.value == 1.0
    assert whole.kappa.interval is None
    assert whole.share.interval.high == 1.0
    assert agreement(system=[], person=[], level=0.95).share.value is None


@given(seed=st.integers(0, 300))
def test_turning_both_decisions_round_or_swapping_them_leaves_kappa(seed):
    system, person = decided(seed, 120)
    plain = agreement(system=system, person=person, level=0.95)
    turned = agreement(system=~system, person=~person, level=0.95)
    swapped = agreement(system=person, person=system, level=0.95)
    assert turned.kappa.value == pytest.approx(plain.kappa.value)
    assert swapped.kappa.value == pytest.approx(plain.kappa.value)
    assert (turned.raised, turned.lowered) == (plain.lowered, plain.raised)
