from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.records import Conclusion
from auditor.statistics.verdict import (
    Evidence,
    below_minimum,
    conclude,
    flag_ratio,
    outside_band,
    printed_count,
)

FOUND = Evidence(
    estimate=-0.05,
    p_adjusted=0.001,
    practical_threshold=0.02,
    mde=0.015,
    equivalent=False,
    pairs=1000,
    alpha=0.05,
    equivalence_alpha=0.05,
)
SMALL = replace(FOUND, estimate=-0.012)
NULL = replace(FOUND, estimate=-0.004, p_adjusted=0.4)


@pytest.mark.parametrize(
    ("evidence", "conclusion"),
    [
        (FOUND, Conclusion.DIFFERENCE_FOUND),
        (SMALL, Conclusion.DIFFERENCE_BELOW_THRESHOLD),
        (replace(NULL, equivalent=True), Conclusion.EQUIVALENT_WITHIN_MARGIN),
        (NULL, Conclusion.NO_EVIDENCE),
        (replace(NULL, mde=0.03), Conclusion.INCONCLUSIVE),
        (replace(NULL, mde=None), Conclusion.INCONCLUSIVE),
        (replace(FOUND, tested=False), Conclusion.NOT_TESTED),
    ],
)
def test_each_step_of_the_order_has_its_conclusion(evidence, conclusion):
    assert conclude(evidence).conclusion is conclusion


@pytest.mark.parametrize("broken", [{"denominators_ok": False}, {"degenerate": True}, {"checks_held": False}])
@pytest.mark.parametrize("evidence", [FOUND, SMALL, NULL, replace(NULL, equivalent=True)])
def test_bad_data_come_before_every_finding_and_every_null(evidence, broken):
    assert conclude(replace(evidence, **broken)).conclusion is Conclusion.INCONCLUSIVE


def test_not_tested_comes_before_bad_data_and_gives_its_reason():
    verdict = conclude(replace(FOUND, tested=False, degenerate=True, not_tested_reason="needs the model's internals"))
    assert verdict.conclusion is Conclusion.NOT_TESTED
    assert verdict.reason == "Not tested: needs the model's internals."


def test_a_significant_small_difference_is_reported_even_if_equivalent():
    assert conclude(replace(SMALL, equivalent=True)).conclusion is Conclusion.DIFFERENCE_BELOW_THRESHOLD


def test_equivalence_comes_before_no_evidence():
    assert conclude(replace(NULL, equivalent=True, mde=0.5)).conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN


@given(
    estimate=st.floats(-0.5, 0.5),
    p=st.floats(0, 1),
    equivalent=st.sampled_from([True, False, None]),
    mde=st.none() | st.floats(0.001, 0.5),
    pairs=st.none() | st.integers(1, 3000),
)
def test_both_directions_are_concluded_alike(estimate, p, equivalent, mde, pairs):
    evidence = Evidence(
        estimate=estimate,
        p_adjusted=p,
        practical_threshold=0.02,
        equivalent=equivalent,
        mde=mde,
        pairs=pairs,
        alpha=0.05,
        equivalence_alpha=0.05,
    )
    assert conclude(evidence).conclusion is conclude(replace(evidence, estimate=-estimate)).conclusion


@given(ratio=st.floats(0.05, 20), p=st.floats(0, 1), mde=st.none() | st.floats(0.3, 0.99))
def test_a_ratio_and_its_inverse_are_concluded_alike(ratio, p, mde):
    evidence = Evidence(
        estimate=ratio,
        p_adjusted=p,
        practical_threshold=0.8,
        scale="ratio",
        mde=mde,
        alpha=0.05,
        equivalence_alpha=0.05,
    )
    assert conclude(evidence).conclusion is conclude(replace(evidence, estimate=1 / ratio)).conclusion


def test_the_threshold_itself_and_alpha_itself_count_as_met():
    """A randomisation test with the fewest draws that its level needs gives p = α and no less (docs/statistics.md)."""
    at = replace(FOUND, estimate=0.92 - 0.90)  # 0.020000000000000018
    assert conclude(at).conclusion is Conclusion.DIFFERENCE_FOUND
    below = replace(FOUND, estimate=0.90 - 0.88 - 1e-15)
    assert conclude(below).conclusion is Conclusion.DIFFERENCE_FOUND
    assert conclude(replace(FOUND, p_adjusted=0.05)).conclusion is Conclusion.DIFFERENCE_FOUND
    assert conclude(replace(FOUND, p_adjusted=0.0501)).conclusion is Conclusion.NO_EVIDENCE
    assert conclude(replace(NULL, mde=0.02)).conclusion is Conclusion.NO_EVIDENCE


def test_the_ends_of_the_ratio_band_lie_inside_and_both_sides_outside_are_flagged():
    assert not outside_band(0.8, 0.8)
    assert not outside_band(1.25, 0.8)
    assert outside_band(0.7999, 0.8)
    assert outside_band(1.2501, 0.8)
    with pytest.raises(ValueError, match=r"tau must lie in \(0, 1\)"):
        outside_band(0.8, 1.25)


@pytest.mark.parametrize("null", [NULL, replace(NULL, equivalent=True), SMALL])
def test_under_three_hundred_pairs_nothing_is_said_about_two_points(null):
    verdict = conclude(replace(null, pairs=299))
    assert verdict.conclusion is Conclusion.INCONCLUSIVE
    assert verdict.reason == "Too few pairs to say: 299 pairs, and a statement about 2.0 pp needs at least 300."
    assert conclude(replace(null, pairs=300)).conclusion is not Conclusion.INCONCLUSIVE
    assert conclude(replace(null, pairs=299, practical_threshold=0.05)).conclusion is not Conclusion.INCONCLUSIVE


def test_few_pairs_do_not_hide_a_large_significant_difference():
    assert conclude(replace(FOUND, pairs=120, estimate=-0.2)).conclusion is Conclusion.DIFFERENCE_FOUND


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"estimate": None}, "the estimate could not be had"),
        ({"p_adjusted": None}, "the significance test has no p-value"),
        ({"checks_held": False, "quality_reason": "completeness off by 3%"}, "completeness off by 3%"),
    ],
)
def test_a_missing_number_is_inconclusive_with_its_reason_and_never_a_null(change, words):
    verdict = conclude(replace(NULL, equivalent=True, **change))
    assert verdict.conclusion is Conclusion.INCONCLUSIVE
    assert words in verdict.reason


def test_a_barrier_to_equivalence_leaves_no_evidence_and_is_said():
    barred = replace(NULL, equivalent=True, equivalence_barriers=("too few denials to say: 15 of 600",))
    verdict = conclude(barred)
    assert verdict.conclusion is Conclusion.NO_EVIDENCE
    assert "Equivalence is not said: too few denials to say: 15 of 600." in verdict.reason
    assert conclude(replace(barred, equivalence_barriers=())).conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN


def test_a_barrier_to_any_absence_leaves_a_difference_alone():
    reason = "22% of the Black arm, 0% of the White arm gave no readable answer"
    for claim in (True, False, None):
        verdict = conclude(replace(NULL, equivalent=claim, absence_barriers=(reason,)))
        assert verdict.conclusion is Conclusion.INCONCLUSIVE
        assert reason in verdict.reason
    assert conclude(replace(FOUND, absence_barriers=(reason,))).conclusion is Conclusion.DIFFERENCE_FOUND


def test_a_small_difference_is_small_and_real_and_an_exploratory_one_is_a_signal():
    small = replace(FOUND, estimate=-0.005)
    assert conclude(small).reason.startswith("A small and real difference was found: −0.5 pp, adjusted p = 0.001")
    assert conclude(replace(small, exploratory=True)).reason.startswith(
        "A small exploratory signal was found: −0.5 pp, q"
    )


def test_reasons_are_plain_sentences_with_units():
    assert conclude(FOUND).reason == (
        "A difference was found: −5.0 pp, adjusted p = 0.001; it meets the practical threshold of 2.0 pp."
    )
    assert conclude(NULL).reason == (
        "No evidence of a difference of 2.0 pp or more was found (−0.4 pp); the test could have detected 1.5 pp after "
        "adjustment, smaller differences cannot be excluded."
    )
    standardised = Evidence(
        estimate=0.4, p_adjusted=0.01, practical_threshold=0.1, scale="standardised", alpha=0.05, equivalence_alpha=0.05
    )
    assert "+0.40 SD" in conclude(standardised).reason


@given(
    estimate=st.none() | st.floats(-0.5, 0.5),
    p=st.none() | st.floats(0, 1),
    tested=st.booleans(),
    degenerate=st.booleans(),
    equivalent=st.sampled_from([True, False, None]),
)
def test_no_reason_claims_that_anything_passed(estimate, p, tested, degenerate, equivalent):
    verdict = conclude(
        Evidence(
            estimate=estimate,
            p_adjusted=p,
            practical_threshold=0.02,
            tested=tested,
            degenerate=degenerate,
            equivalent=equivalent,
            alpha=0.05,
            equivalence_alpha=0.05,
        )
    )
    assert verdict.reason.endswith(".")
    assert not any(word in verdict.reason.lower() for word in ("pass", "fair", "complian", "safe", "certif"))


@pytest.mark.parametrize(
    "change",
    [
        {"practical_threshold": 0},
        {"scale": "ratio", "practical_threshold": 1.0},
        {"alpha": 0},
        {"p_adjusted": 1.2},
        {"scale": "ratio", "practical_threshold": 0.8, "estimate": -1.0},
    ],
)
def test_impossible_evidence_is_refused(change):
    with pytest.raises(ValueError, match=r"threshold|alpha|p_adjusted|negative"):
        replace(FOUND, **change)


def test_a_flag_needs_all_three_parts_and_both_directions_can_raise_it():
    rule = {"tau": 0.8, "min_difference": 0.02}
    assert flag_ratio(p_value=0.01, ratio=0.7, difference=-0.2, **rule, alpha=0.05).raised is True
    assert flag_ratio(p_value=0.01, ratio=1.4, difference=0.2, **rule, alpha=0.05).raised is True
    assert flag_ratio(p_value=0.2, ratio=0.7, difference=-0.2, **rule, alpha=0.05).raised is False
    assert flag_ratio(p_value=0.01, ratio=0.9, difference=-0.2, **rule, alpha=0.05).raised is False
    assert flag_ratio(p_value=0.01, ratio=0.7, difference=-0.01, **rule, alpha=0.05).raised is False


def test_a_test_that_never_ran_leaves_the_flag_undecided_instead_of_masking_it():
    flag = flag_ratio(p_value=None, ratio=0.5, tau=0.8, difference=-0.3, min_difference=0.02, alpha=0.05)
    assert flag.raised is None
    assert flag.reason == "not computed: significance"


def test_denominators_below_their_minimum_are_listed():
    required = {"pairs": 300, "discordant pairs": 10}
    assert below_minimum(found={"pairs": 300, "discordant pairs": 10}, required=required) == ()
    assert below_minimum(found={"pairs": 299}, required=required) == (
        "pairs: 299, at least 300 needed",
        "discordant pairs: 0, at least 10 needed",
    )


def test_small_cells_are_not_printed():
    assert [printed_count(n) for n in (0, 10, 11, 200)] == ["< 11", "< 11", "11", "200"]
