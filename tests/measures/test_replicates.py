"""Replicates of a sampled system: the application is the unit, and more replicates make no more of them."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.genmod.cov_struct import Independence
from statsmodels.genmod.generalized_estimating_equations import GEE
from statsmodels.regression.mixed_linear_model import MixedLM

from auditor.statistics.bootstrap import effective_size
from auditor.statistics.pairs import count_pairs, mcnemar_exact, zero_event_bound
from auditor.statistics.rates import Tally, clopper_pearson
from auditor.statistics.replicates import (
    ONE_WAY_BOUNDS,
    Components,
    ReplicatedPairs,
    beyond_replicates,
    correlation_of_replicates,
    disagreement,
    equivalence_of_means,
    pair_replicates,
    replicated_effect,
    replicated_mde,
    variance_components,
)
from benchmarks.replicates import false_findings, power_at_mde

counts = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(
        lambda n: st.tuples(st.integers(0, n[0]), st.just(n[0]), st.integers(0, n[1]), st.just(n[1]))
    ),
    min_size=1,
    max_size=12,
)


def pairs_of(rows) -> ReplicatedPairs:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4)
    names = tuple(f"A{number:03}" for number in range(len(columns)))
    return ReplicatedPairs(names, *(columns[:, index] for index in range(4)))


def drawn(seed: int, *, n: int, control: int, protected: int, effect: float = 0.0) -> ReplicatedPairs:
    rng = np.random.default_rng(seed)
    p = rng.beta(2, 1, n)
    q = np.clip(p + effect, 0, 1)
    return pairs_of(
        np.column_stack(
            [rng.binomial(control, p), np.full(n, control), rng.binomial(protected, q), np.full(n, protected)]
        )
    )


def replicates(yes: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every replicate's outcome, and whose it is."""
    outcomes = np.concatenate([[1] * k + [0] * (n - k) for k, n in zip(yes, asked, strict=True)])
    return outcomes, np.repeat(np.arange(len(asked)), asked)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=14))
def test_asked_once_it_is_the_net_effect_and_exact_mcnemar(outcomes):
    control, protected = (np.array(side) for side in zip(*outcomes, strict=True))
    names = [str(number) for number in range(len(outcomes))]
    pairs = pair_replicates(
        control=control, control_applications=names, protected=protected, protected_applications=names
    )
    found, table = replicated_effect(pairs, level=0.95), count_pairs(control=control, protected=protected)
    assert found.value == pytest.approx((table.c - table.b) / table.n)
    assert found.test.p_value == pytest.approx(mcnemar_exact(table).p_value)
    assert (found.counts["fell"], found.counts["rose"]) == (table.b, table.c)


@settings(max_examples=30)
@given(counts)
def test_swapping_the_arms_turns_the_effect_and_asking_the_same_twice_changes_nothing(rows):
    pairs = pairs_of(rows)
    once = replicated_effect(pairs, level=0.95)
    swapped = replicated_effect(pairs_of([(c, d, a, b) for a, b, c, d in rows]), level=0.95)
    doubled = replicated_effect(pairs_of([tuple(2 * cell for cell in row) for row in rows]), level=0.95)
    assert swapped.value == pytest.approx(-once.value)
    assert (swapped.interval.low, swapped.interval.high) == pytest.approx((-once.interval.high, -once.interval.low))
    assert swapped.test.p_value == once.test.p_value == doubled.test.p_value
    assert doubled.value == pytest.approx(once.value)
    assert once.interval.low - 1e-12 <= once.value <= once.interval.high + 1e-12


def test_replicates_are_counted_by_application_in_any_order():
    found = pair_replicates(
        control=[1, 0, 1, 1],
        control_applications=["b", "a", "b", "c"],
        protected=[0, 1, 0],
        protected_applications=["a", "b", "b"],
    )
    assert found.applications == ("a", "b")
    assert found.differences.tolist() == [0.0, -0.5]
    with pytest.raises(ValueError, match="control has 1 outcomes of 2 applications"):
        pair_replicates(control=[1], control_applications=["a", "b"], protected=[1], protected_applications=["a"])


def test_the_spread_of_resamples_is_the_robust_error_of_gee():
    pairs = drawn(1, n=150, control=3, protected=3, effect=-0.1)
    rows = []
    for arm, yes, asked in ((0, pairs.control_yes, pairs.control_n), (1, pairs.protected_yes, pairs.protected_n)):
        outcomes, owners = replicates(yes, asked)
        rows.append(pd.DataFrame({"y": outcomes, "arm": arm, "application": owners}))
    data = pd.concat(rows).sort_values("application", kind="stable")
    fit = GEE.from_formula("y ~ arm", groups="application", data=data, cov_struct=Independence()).fit()
    found = replicated_effect(pairs, level=0.95, resamples=20_000)
    assert found.value == pytest.approx(fit.params["arm"])
    assert float(found.sample.values.std()) == pytest.approx(fit.bse["arm"], rel=0.03)


def test_where_few_applications_differ_exact_bounds_stand_in_for_the_bootstrap():
    still = replicated_effect(pairs_of([(3, 3, 3, 3)] * 300), level=0.95)
    assert (still.value, still.interval.method, still.sample) == (0.0, ONE_WAY_BOUNDS, None)
    # Two bounds of 97.5 % each, where the bound of statistics.md is one of 95 %.
    assert still.interval.high == pytest.approx(zero_event_bound(300, confidence=0.975))
    one = replicated_effect(pairs_of([(3, 3, 2, 3)] * 4 + [(3, 3, 3, 3)] * 296), level=0.95)
    assert one.value == pytest.approx(-4 / 900)
    assert one.interval.low == pytest.approx(-clopper_pearson(Tally(4, 300), level=0.95).high)
    assert one.interval.high == pytest.approx(zero_event_bound(300, confidence=0.975))


def test_equivalence_is_claimed_from_resamples_or_where_few_differ_from_exact_tests():
    def claim(rows, margin=0.02, alpha=0.05):
        pairs = pairs_of(rows)
        found = replicated_effect(pairs, level=1 - alpha)
        return equivalence_of_means(pairs, found, margin=margin, alpha=alpha)

    still = claim([(3, 3, 3, 3)] * 300)
    assert still.established
    assert still.p_value == pytest.approx((1 - 0.02) ** 300)
    assert still.interval.high == pytest.approx(zero_event_bound(300, confidence=0.95))
    assert not claim([(3, 3, 3, 3)] * 100).established
    # What one loses another may win: many that rise a little do not hide few that fall by all.
    mixed = claim([(3, 3, 0, 3)] * 8 + [(2, 3, 3, 3)] * 1 + [(3, 3, 3, 3)] * 291)
    assert not mixed.established
    moving = [(2, 3, 1, 3), (1, 3, 2, 3)] * 100
    wide = claim(moving, margin=0.2)
    assert wide.established
    assert wide.source is not None
    assert not claim(moving, margin=0.01).established
    nothing = pairs_of([])
    found = replicated_effect(nothing, level=0.95)
    assert equivalence_of_means(nothing, found, margin=0.02, alpha=0.05).established is None
    with pytest.raises(ValueError, match="margin must be positive"):
        claim(moving, margin=0.0)


@pytest.mark.parametrize("truth", [-0.02, 0.02])
def test_an_effect_at_the_margin_is_called_equivalent_no_more_often_than_the_level_says(truth):
    rng = np.random.default_rng([7, int(truth > 0)])
    claimed = 0
    for _ in range(400):
        # One in twenty-five applications loses (or wins) half of its answers: few differ, exact tests decide.
        moved = rng.random(200) < 2 * abs(truth)
        half = np.where(moved, 0.5, 1.0)
        sides = (np.ones(200), half) if truth < 0 else (half, np.ones(200))
        rows = np.column_stack([rng.binomial(3, sides[0]), np.full(200, 3), rng.binomial(3, sides[1]), np.full(200, 3)])
        pairs = pairs_of(rows)
        found = replicated_effect(pairs, level=0.95)
        claimed += bool(equivalence_of_means(pairs, found, margin=0.02, alpha=0.05).established)
    assert claimed / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_without_an_application_in_both_arms_there_is_a_reason():
    nothing = pair_replicates(control=[1], control_applications=["a"], protected=[1], protected_applications=["b"])
    assert replicated_effect(nothing, level=0.95).reason == "no application has a replicate in both arms"
    assert variance_components(nothing).reason == "fewer than two applications have replicates in both arms"
    assert beyond_replicates(nothing, level=0.95).reason == "no application was asked twice in both arms"
    assert disagreement([], cases=[], applications=[], level=0.95).reason == "no case was asked twice"


def test_components_are_those_of_a_mixed_model():
    # With a control arm that never varies, what is left is a one-way layout, where REML and moments are the same.
    rng = np.random.default_rng(3)
    n, asked = 120, 4
    yes = rng.binomial(asked, rng.beta(2, 2, n))
    pairs = pairs_of(np.column_stack([np.full(n, asked), np.full(n, asked), yes, np.full(n, asked)]))
    outcomes, owners = replicates(yes, np.full(n, asked))
    fit = MixedLM(outcomes.astype(float), np.ones(len(outcomes)), groups=owners).fit(reml=True)
    found = variance_components(pairs)
    assert found.control == 0
    assert found.protected == pytest.approx(fit.scale, rel=1e-4)
    assert found.applications == pytest.approx(float(np.asarray(fit.cov_re).item()), rel=1e-3)


@settings(max_examples=30)
@given(counts)
def test_components_give_back_the_variance_of_the_differences(rows):
    pairs = pairs_of(rows)
    found = variance_components(pairs)
    if found.applications is None:
        assert found.reason
        assert found.variance(control_n=1, protected_n=1) is None
        return
    total = float(np.var(pairs.differences, ddof=1))
    again = found.variance(control_n=found.control_n, protected_n=found.protected_n)
    assert again >= total - 1e-12
    assert found.applications == 0 or again == pytest.approx(total)
    assert found.variance(control_n=2, protected_n=2) >= found.variance(control_n=3, protected_n=3)


def test_components_are_right_on_average():
    rng = np.random.default_rng(4)
    n, asked = 60_000, 3
    p, q = rng.beta(2, 2, n), rng.beta(4, 2, n)
    pairs = pairs_of(
        np.column_stack([rng.binomial(asked, p), np.full(n, asked), rng.binomial(asked, q), np.full(n, asked)])
    )
    found = variance_components(pairs)
    assert found.control == pytest.approx(float(np.mean(p * (1 - p))), rel=0.02)
    assert found.protected == pytest.approx(float(np.mean(q * (1 - q))), rel=0.02)
    assert found.applications == pytest.approx(float(np.var(q - p)), rel=0.05)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), min_size=2, max_size=10))
def test_the_correlation_of_replicates_is_that_of_clustered_rows(rows):
    asked = np.array([n for n, _ in rows])
    yes = np.array([min(k, n) for n, k in rows])
    outcomes, owners = replicates(yes, asked)
    pairs = ReplicatedPairs(tuple(map(str, range(len(rows)))), yes, asked, yes, asked)
    wanted = effective_size(values=outcomes, clusters=owners).correlation
    for found in correlation_of_replicates(pairs):
        assert (found is None) == (wanted is None)
        assert found is None or found == pytest.approx(wanted)


@given(
    st.lists(st.lists(st.sampled_from("yn?-"), min_size=1, max_size=5), min_size=1, max_size=8),
    st.integers(1, 3),
)
def test_the_floor_is_the_share_of_all_pairs_of_replicates_that_differ(answers, size):
    cases = [(f"c{index}", f"a{index // size}", each) for index, each in enumerate(answers)]
    rows = [(outcome, case, owner) for case, owner, each in cases for outcome in each]
    outcomes, names, owners = (list(column) for column in zip(*rows, strict=True))
    found = disagreement(outcomes, cases=names, applications=owners, level=0.95)
    shares = [
        np.mean([one != other for one, other in itertools.combinations(each, 2)]) for each in answers if len(each) > 1
    ]
    if not shares:
        assert found.value is None
        return
    assert found.value == pytest.approx(float(np.mean(shares)))
    assert found.n == len(shares)
    assert found.interval is None or found.interval.low <= found.value + 1e-12


def test_a_floor_of_no_event_has_its_bound_and_one_case_of_two_owners_is_refused():
    cases = [f"c{index // 3}" for index in range(900)]
    found = disagreement(["yes"] * 900, cases=cases, applications=cases, level=0.95)
    assert (found.value, found.n, found.interval.low) == (0.0, 300, 0.0)
    assert found.interval.high == pytest.approx(zero_event_bound(300, confidence=0.975))
    with pytest.raises(ValueError, match="case 'c' is of two applications"):
        disagreement([1, 1], cases=["c", "c"], applications=["a", "b"], level=0.95)


@settings(max_examples=30)
@given(counts)
def test_the_rate_beyond_replicates_is_that_of_all_pairs_of_answers(rows):
    pairs = pairs_of(rows)
    wanted = []
    for a, n, b, m in rows:
        if n < 2 or m < 2:
            continue
        x, y = [1] * a + [0] * (n - a), [1] * b + [0] * (m - b)
        across = np.mean([one != other for one in x for other in y])
        within = [np.mean([one != other for one, other in itertools.combinations(side, 2)]) for side in (x, y)]
        wanted.append(across - np.mean(within))
    found = beyond_replicates(pairs, level=0.95)
    if not wanted:
        assert found.value is None
    else:
        assert found.value == pytest.approx(float(np.mean(wanted)))


def test_noise_alone_is_not_beyond_replicates_and_effects_that_cancel_are():
    rng = np.random.default_rng(5)
    n, asked = 3000, 4
    p = rng.uniform(0.3, 0.7, n)
    q = p + rng.choice([-0.3, 0.3], n)

    def found(right):
        left, other = rng.binomial(asked, p), rng.binomial(asked, right)
        return pairs_of(np.column_stack([left, np.full(n, asked), other, np.full(n, asked)]))

    noise, cancelling = found(p), found(q)
    assert beyond_replicates(noise, level=0.99).interval.low < 0 < beyond_replicates(noise, level=0.99).interval.high
    beyond = beyond_replicates(cancelling, level=0.99)
    assert beyond.interval.low < 0.09 < beyond.interval.high
    assert beyond.interval.low > 0
    assert abs(replicated_effect(cancelling, level=0.95).value) < 0.02


def test_the_smallest_effect_shrinks_with_replicates_to_what_applications_leave():
    parts = Components(0.01, 0.2, 0.2, 1.0, 1.0, 300)

    def smallest(replicates, **changed):
        options = {"n": 300, "alpha": 0.05, "family_size": 2, "power": 0.8, "basis": "assumed", **changed}
        return replicated_mde(parts, replicates=replicates, **options).value

    values = [smallest(count) for count in (1, 3, 10, 10_000)]
    assert values == sorted(values, reverse=True)
    z_a, z_b = 2.2414027276049473, 0.8416212335729143  # of .05/2 two-sided, of .80
    for count, value in zip((1, 3, 10, 10_000), values, strict=True):
        variance = 0.01 + 0.4 / count
        wanted = z_a * math.sqrt((variance + value**2) / 300) + z_b * math.sqrt(variance / 300) + 1 / (count * 300)
        assert value == pytest.approx(wanted)
    assert values[-1] == pytest.approx((z_a + z_b) * math.sqrt(0.01 / 300), rel=0.02)
    assert smallest(3, n=3) is None
    assert smallest(1, n=7) is None
    unknown = replicated_mde(
        Components(None, None, None, 1, 1, 300, "why"),
        n=300,
        replicates=3,
        alpha=0.05,
        family_size=1,
        power=0.8,
        basis="pilot",
    )
    assert (unknown.value, unknown.reason) == (None, "why")


def test_a_system_without_an_effect_is_found_to_have_one_about_as_often_as_the_level_says():
    row = false_findings(applications=80, replicates=3, repeats=300)
    error = 3 * math.sqrt(0.05 * 0.95 / 300)
    assert row.ours < 0.05 + error
    assert row.extra["cancelling"] < 0.05 + error
    # Replicates of an application share what it gains or loses, so that they are no applications of their own.
    assert row.extra["cancelling_as_if_apart"] > 0.05 + error


def test_the_smallest_effect_is_found_with_the_power_it_is_given_at():
    row = power_at_mde(applications=150, replicates=3, repeats=300)
    error = 3 * math.sqrt(0.8 * 0.2 / 300)
    assert 0.78 - error < row.ours < 0.9 + error
