"""Tests on decision files keep the contract, say what they need, and conclude what a file holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auditor.catalogue import OBSERVED, TESTS
from auditor.conclusions import adjust_and_conclude
from auditor.observed.building import taken
from auditor.records import Conclusion, Role
from auditor.testing.checks import check_test
from reports.labels import CASE_ROLE_LABELS, SUBJECT_LABELS, metric_labels
from tests.observed.asked import run
from tests.observed.made_up import columns

FOUND = (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD)


@pytest.fixture(scope="module")
def observed():
    return columns(2000)


@pytest.fixture(scope="module")
def large():
    return columns(6000)


def concluded(test, context):
    return {item.id: item for item in adjust_and_conclude(list(test.measure(context)))}


def by_metric(measurements, metric, **subject):
    return [
        item
        for item in measurements.values()
        if item.metric == metric and all(item.subject.get(key) == value for key, value in subject.items())
    ]


@pytest.mark.parametrize("test", OBSERVED, ids=lambda test: test.CARD.name)
def test_every_one_keeps_the_contract_with_a_file_and_without(test, observed):
    assert TESTS[test.CARD.name] is test
    check_test(test, run(observed))
    check_test(test, run(None))
    (alone,) = adjust_and_conclude(list(test.measure(run(None))))
    assert alone.conclusion is Conclusion.NOT_TESTED
    assert alone.missing_reason == "no decision file is audited"


def test_a_metric_of_one_name_has_one_label_unit_and_direction_in_every_test():
    known = {}
    for test in TESTS.values():
        for metric in test.CARD.metrics:
            assert known.setdefault(metric.name, metric) == metric, (test.CARD.name, metric.name)


@pytest.mark.parametrize(
    ("name", "without", "reason"),
    [
        ("observed_scores", {"score": None}, "the decision file has no score"),
        ("observed_equal_factors", {"controls": None}, "the mapping names no legitimate factors"),
        ("observed_marginal", {"controls": None}, "the mapping names no legitimate factors"),
        ("observed_segments", {"segments": None}, "the mapping names no segments"),
        ("observed_later", {"later": None}, "the decision file records no later outcome"),
        ("observed_prices", {"prices": None, "amounts": None}, "the mapping names no price and no amount"),
        ("observed_likely_groups", {"probabilities": None}, "the decision file has no probabilities of groups"),
        ("observed_agreement", {"human": None}, "the decision file records no decision of a person beside"),
        ("observed_reasons", {"reasons": None}, "the decision file gives no reasons"),
    ],
)
def test_what_a_file_lacks_is_not_tested_and_says_why(name, without, reason):
    context = run(columns(200, **without))
    check_test(TESTS[name], context)
    (alone,) = adjust_and_conclude(list(TESTS[name].measure(context)))
    assert alone.conclusion is Conclusion.NOT_TESTED
    assert alone.conclusion_reason == reason


def test_the_planted_gap_is_found_raw_at_equal_factors_within_segments_and_near_the_line(large):
    context = run(large)
    for name, metric in (
        ("observed_rates", "risk_difference"),
        ("observed_equal_factors", "adjusted_difference"),
        ("observed_segments", "segmented_difference"),
        ("observed_marginal", "near_line_difference"),
        ("observed_likely_groups", "weighted_difference"),
    ):
        found = by_metric(concluded(TESTS[name], context), metric, group="Black")
        assert [item.conclusion for item in found] == [Conclusion.DIFFERENCE_FOUND] * len(found), name
        assert all(item.estimate < -0.02 for item in found)
    prices = by_metric(concluded(TESTS["observed_prices"], context), "price_gap_adjusted_sd", group="Black")
    assert prices[0].conclusion is Conclusion.DIFFERENCE_FOUND
    assert prices[0].estimate > 0.1
    (plain,) = by_metric(concluded(TESTS["observed_prices"], context), "price_gap", group="Black")
    assert (plain.unit, plain.subject["what"]) == ("%", "rate")


def test_where_nothing_is_planted_families_keep_their_share_of_false_signals_and_nothing_reads_equivalent():
    signals = dict.fromkeys(("observed_rates", "observed_equal_factors"), 0)
    for seed in range(60):
        context = run(columns(800, seed=seed, bias=0.0))
        for name in signals:
            said = {item.conclusion for item in concluded(TESTS[name], context).values()}
            assert Conclusion.EQUIVALENT_WITHIN_MARGIN not in said
            signals[name] += bool(said & set(FOUND))
    # Each family keeps q = .10: 60 audits give more than 13 with probability .004.
    assert max(signals.values()) <= 13


def test_a_pack_makes_its_measures_primary_with_its_threshold_and_reference(observed):
    fha = concluded(TESTS["observed_rates"], run(observed, use__policy_packs=["us-fha"]))
    (ratio,) = by_metric(fha, "impact_ratio", group="Black")
    assert ratio.role is Role.PRIMARY
    assert ratio.conclusion in (*FOUND, Conclusion.NO_EVIDENCE, Conclusion.INCONCLUSIVE)
    assert "primary by us-fha (0.8" in ratio.method
    ll144 = concluded(TESTS["observed_rates"], run(observed, use__policy_packs=["us-nyc-ll144"]))
    most = [item for item in ll144.values() if item.subject.get("compared_with") == "most selected group"]
    assert {item.subject["group"] for item in most if item.subject["field"] == "race"} < {"White", "Black", "Asian"}
    assert all("reference highest rate, by us-nyc-ll144" in item.method for item in most)


def test_everything_they_say_has_words_in_a_report(observed):
    context = run(observed, use__policy_packs=["us-fha"])
    for test in OBSERVED:
        for item in concluded(test, context).values():
            assert item.metric in metric_labels()
            assert set(item.subject) <= set(SUBJECT_LABELS)
            assert item.family is None or "_" not in item.family
            assert item.cases.removeprefix("role:") in CASE_ROLE_LABELS


def few(observed, keep):
    """The file with so many Black applicants only."""
    race = observed.attribute("race")
    black = np.flatnonzero(race.mask("Black"))
    return taken(observed, np.sort(np.r_[np.flatnonzero(~race.mask("Black")), black[:keep]]))


@pytest.mark.parametrize("test", OBSERVED, ids=lambda test: test.CARD.name)
def test_a_small_group_is_hidden_and_never_reads_clean(test, observed):
    context = run(few(observed, 8))
    for item in concluded(test, context).values():
        if item.subject.get("group") == "Black" and item.subject.get("field") == "race":
            likely = test.CARD.name == "observed_likely_groups"
            assert likely or item.estimate is None, item.id
            assert likely or item.n == 0, item.id
            assert item.conclusion in (None, Conclusion.INCONCLUSIVE) or likely, item.id


def test_one_small_segment_is_not_given_back_by_the_others(observed):
    segments = observed.segments[0]
    race = observed.attribute("race")
    small = np.flatnonzero(race.mask("Black") & segments.mask("buy"))
    kept = np.setdiff1d(np.arange(observed.n), small[6:])
    found = concluded(TESTS["observed_segments"], run(taken(observed, kept)))
    ratios = by_metric(found, "impact_ratio", group="Black")
    shown = [item.subject["segment"] for item in ratios if item.estimate is not None]
    assert len(ratios) == 3
    assert len(shown) == 1
    for item in ratios:
        if item.estimate is None:
            assert (item.n, item.counts) == (0, {})
            assert item.missing_reason == "hidden for a small segment, its own or one beside"


def test_a_small_part_of_a_group_is_hidden_where_the_group_itself_is_not(observed):
    race = observed.attribute("race")
    later = observed.later.copy()
    approved = np.flatnonzero(race.mask("Black") & observed.favourable)
    later[approved[7:]] = -1
    rate = observed.prices[0].values.copy()
    rate[approved[7:]] = np.nan
    price = replace(observed.prices[0], values=rate)
    context = run(replace(observed, later=later, prices=(price,), amounts=()))
    (kept,) = by_metric(concluded(TESTS["observed_later"], context), "later_gap", group="Black")
    assert kept.estimate is None
    assert kept.missing_reason == "a group has fewer than 11 approved applications with a later outcome"
    for item in concluded(TESTS["observed_prices"], context).values():
        if item.subject["group"] == "Black":
            assert (item.estimate, item.n) == (None, 0)
            assert set(item.counts) <= {"mde"}
            assert item.conclusion in (None, Conclusion.INCONCLUSIVE)


@pytest.mark.parametrize("test", OBSERVED, ids=lambda test: test.CARD.name)
def test_below_the_minimum_it_is_inconclusive_without_an_interval(test, observed):
    context = run(few(observed, 20))
    for item in concluded(test, context).values():
        if item.subject.get("group") == "Black" and item.subject.get("field") == "race":
            if test.CARD.name == "observed_likely_groups":
                continue
            assert item.low is item.high is None, item.id
            assert item.conclusion in (None, Conclusion.INCONCLUSIVE), item.id


def test_rows_of_one_applicant_are_no_people_where_a_test_would_count_them_so(observed):
    apart = replace(observed, applicants=np.arange(observed.n) // 2)
    context = run(apart)
    rates = concluded(TESTS["observed_rates"], context)
    for metric in ("risk_difference", "impact_ratio", "denial_odds_ratio", "shortfall"):
        for item in by_metric(rates, metric):
            assert item.counts["clusters"] < item.n
            assert "widened for clusters" in item.method or item.low is not None
    segments = concluded(TESTS["observed_segments"], context)
    for item in by_metric(segments, "segmented_ratio"):
        assert item.counts["clusters"] < item.n
        assert item.low < item.estimate < item.high
    adjusted = concluded(TESTS["observed_equal_factors"], context)
    for item in by_metric(adjusted, "adjusted_difference", group="Black"):
        assert item.conclusion is Conclusion.DIFFERENCE_FOUND
        assert item.counts["clusters"] < item.n


def test_a_cluster_that_every_decision_shares_is_none(observed):
    one = replace(observed.cluster, names=("B00",), codes=np.zeros(observed.n, dtype=np.int32))
    rates = concluded(TESTS["observed_rates"], run(replace(observed, cluster=one)))
    assert rates == concluded(TESTS["observed_rates"], run(replace(observed, cluster=None)))
    clustered = concluded(TESTS["observed_rates"], run(observed))
    (ratio,) = by_metric(clustered, "impact_ratio", group="Black")
    assert ratio.counts["clusters"] == 40
    assert "widened for clusters" in ratio.method


def test_a_field_the_file_lacks_says_so():
    context = run(columns(300), attributes=[{"field": "age", "groups": ["old", "young"], "reference": "young"}])
    for test in OBSERVED:
        check_test(test, context)
    (gap,) = by_metric(concluded(TESTS["observed_rates"], context), "risk_difference")
    assert gap.conclusion is Conclusion.INCONCLUSIVE
    assert gap.missing_reason == "the decision file has no protected field 'age'"


def test_later_outcomes_of_approved_applicants_alone_measure_no_equal_opportunity(large):
    later = large.later.copy()
    later[~large.favourable] = -1
    found = concluded(TESTS["observed_later"], run(replace(large, later=later)))
    (chance,) = by_metric(found, "equal_opportunity_difference", group="Black")
    assert chance.conclusion is Conclusion.INCONCLUSIVE
    assert "only favourable decisions of Black have a later outcome" in chance.missing_reason
    (kept,) = by_metric(found, "later_gap", group="Black")
    assert kept.estimate > 0  # under a harsher line those who pass do better


def test_the_family_is_what_the_plan_declares_whatever_the_file_holds(observed):
    for name, size in (("observed_rates", 6), ("observed_equal_factors", 3), ("observed_intersections", 5)):
        for context in (run(observed), run(few(observed, 8))):
            sizes = {draft.family_size for draft in TESTS[name].measure(context) if draft.measurement.family}
            assert sizes == {size}


def test_the_smallest_detectable_effect_is_found_as_often_as_it_says():
    effect = None
    hits = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        made = columns(1500, seed=seed, bias=0.0, cluster=None)
        context = run(made, attributes=[{"field": "sex", "groups": ["male", "female"], "reference": "male"}])
        if effect is None:
            (plain,) = by_metric(concluded(TESTS["observed_rates"], context), "risk_difference")
            effect = plain.counts["mde"]
        female = made.attribute("sex").mask("female")
        denied = female & made.favourable & (draw.random(1500) < effect / made.favourable[female].mean())
        outcome = np.where(denied, 0, made.outcome)
        changed = replace(made, outcome=outcome.astype(np.int8))
        (item,) = by_metric(
            concluded(TESTS["observed_rates"], replace(context, decision_file=changed)), "risk_difference"
        )
        hits += item.conclusion in FOUND
    # .80 within three errors of 60 audits.
    assert 0.65 <= hits / 60 <= 0.95
