from __future__ import annotations

from dataclasses import replace

import pytest

from auditor.plan import read_plan
from auditor.records import Check, Conclusion, Measurement, Role
from reports.elsewhere import exploratory_sentence, mute_sentence
from reports.lint import forbidden_phrases
from reports.sentences import conclusion_sentence, effect_sentence, group_sentence, grouped
from reports.tables import contrasts
from reports.wording import Design, lead_measurement, with_p_values
from tests.reports.simulate import PLAN

DESIGN = Design.of(read_plan(PLAN))


def net(**values) -> Measurement:
    base = Measurement(
        "m",
        "counterfactual",
        "cf_net_effect",
        Role.PRIMARY,
        {"field": "race", "group": "Black"},
        "rate_difference",
        reference="White",
        estimate=-0.029,
        low=-0.041,
        high=-0.017,
        n=2380,
        conclusion=Conclusion.DIFFERENCE_FOUND,
        counts={"b": 142, "c": 73, "mde": 0.017},
        level=0.95,
    )
    return replace(base, **values)


def test_a_difference_says_what_was_changed_what_was_seen_and_how_sure() -> None:
    assert conclusion_sentence(net(), DESIGN) == (
        "When only race changed from White to Black, the model "
        "approved 2.9 percentage points fewer of the same applications at its own cut-off "
        "(95% interval 1.7 to 4.1 fewer). The threshold set before the run was 2.0 pp."
    )


def test_both_directions_get_the_same_words() -> None:
    against = effect_sentence(net(), DESIGN)
    towards = effect_sentence(net(estimate=0.029, low=0.017, high=0.041), DESIGN)
    assert towards == against.replace("fewer", "more")


def test_an_interval_over_zero_says_both_sides() -> None:
    sentence = effect_sentence(net(estimate=-0.004, low=-0.011, high=0.003), DESIGN)
    assert "0.4 percentage points fewer" in sentence
    assert "(95% interval 1.1 fewer to 0.3 more; found by the test; the interval is made in another way" in sentence


def test_a_null_result_says_what_could_have_been_seen() -> None:
    sentence = conclusion_sentence(
        net(estimate=-0.004, low=-0.011, high=0.003, conclusion=Conclusion.NO_EVIDENCE), DESIGN
    )
    assert "no evidence of a difference in approvals at the model's own cut-off ≥ 2.0 pp was found" in sentence
    assert "80% power for 1.7 pp (2,380 pairs; −0.4 [−1.1, +0.3] pp)" in sentence


def test_equivalence_names_the_margin() -> None:
    sentence = conclusion_sentence(
        net(estimate=0.0, low=-0.01, high=0.01, conclusion=Conclusion.EQUIVALENT_WITHIN_MARGIN), DESIGN
    )
    assert sentence == (
        "For Black against White, the difference in approvals at the model's own cut-off lay within ±2.0 pp "
        "(0.0 [−1.0, +1.0] pp)."
    )


def test_too_few_pairs_say_so_with_the_power_they_had() -> None:
    sentence = conclusion_sentence(net(n=248, counts={"mde": 0.048}, conclusion=Conclusion.INCONCLUSIVE), DESIGN)
    assert "too few pairs to say" in sentence
    assert "248 pairs could have seen 4.8 pp" in sentence


def test_an_inconclusive_result_names_the_check_that_did_not_hold() -> None:
    checks = (
        Check("degenerate", False, note="the model gave one answer to 99.5% of the reference arm"),
        Check("other", True),
    )
    sentence = conclusion_sentence(net(checks=checks, conclusion=Conclusion.INCONCLUSIVE), DESIGN)
    assert (
        "this run cannot say whether there is a difference in approvals at the model's own cut-off: the model gave one "
        "answer to 99.5%"
    ) in sentence


def test_not_tested_gives_the_reason() -> None:
    sentence = conclusion_sentence(
        net(estimate=None, missing_reason="no name list", conclusion=Conclusion.NOT_TESTED), DESIGN
    )
    assert sentence == "For Black against White, approvals at the model's own cut-off: not tested (no name list)."


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_one_answer_for_almost_everybody_is_said_in_both_directions(share: float) -> None:
    rate = Measurement(
        "r",
        "arm_rates",
        "selection_rate",
        Role.SECONDARY,
        {"field": "race", "group": "White"},
        "rate",
        estimate=share,
        n=600,
        level=0.95,
    )
    assert "one answer for almost everybody" in str(mute_sentence([net(), rate], DESIGN))
    assert mute_sentence([net(), replace(rate, estimate=0.9)], DESIGN) is None


def test_the_gravest_primary_result_leads_even_when_another_is_larger() -> None:
    found, wide = net(id="a"), net(id="b", estimate=-0.4, conclusion=Conclusion.INCONCLUSIVE)
    assert lead_measurement([wide, found, net(id="c", role=Role.SECONDARY, estimate=-0.9)]) is found


@pytest.mark.parametrize("code", list(Conclusion))
def test_no_sentence_uses_a_forbidden_word(code: Conclusion, packs: list[dict]) -> None:
    assert forbidden_phrases(conclusion_sentence(net(conclusion=code), DESIGN), packs) == []


def test_equal_conclusions_are_said_once_with_the_largest() -> None:
    black = net(estimate=0.0, low=-0.006, high=0.006, conclusion=Conclusion.EQUIVALENT_WITHIN_MARGIN)
    hispanic = replace(black, id="h", subject={"field": "race", "group": "Hispanic"})
    female = replace(black, id="f", subject={"field": "sex", "group": "female"}, reference="male", estimate=0.004)
    assert [group_sentence(group, DESIGN) for group in grouped([black, hispanic, female], DESIGN)] == [
        "For Black and Hispanic against White and female against male, "
        "the difference in approvals at the model's own cut-off lay within ±2.0 pp; largest +0.4 [−0.6, +0.6] pp."
    ]


def test_inconclusive_contrasts_with_different_reasons_are_not_said_together() -> None:
    few = net(conclusion=Conclusion.INCONCLUSIVE, conclusion_reason="Too few pairs to say: 20 pairs.")
    mute = net(conclusion=Conclusion.INCONCLUSIVE, conclusion_reason="Inconclusive, the model hardly answers.")
    said = [group_sentence(group, DESIGN) for group in grouped([few, mute, few], DESIGN)]
    assert len(said) == 2
    assert "cut-off: too few pairs to say: 20 pairs (" in said[0]
    assert "cut-off: the model hardly answers (" in said[1]


def test_differences_outside_the_primary_family_are_named_and_primary_ones_are_not() -> None:
    matched = net(metric="cf_net_effect_matched", role=Role.EXPLORATORY)
    sentence = str(exploratory_sentence([net(), matched]))
    assert "This is not the whole picture" in sentence
    assert "at the matched cut-off (Black against White −2.9 pp)" in sentence
    assert exploratory_sentence([net(), replace(matched, conclusion=Conclusion.NO_EVIDENCE)]) is None


def test_p_values_in_recorded_text_print_as_p_values() -> None:
    assert with_p_values("adjusted p = 0.000136; it") == "adjusted p < .001; it"
    assert with_p_values("(q = 1.2e-12), p = 0.0312.") == "(q < .001), p = .031."


def test_each_figure_of_several_differences_stands_beside_its_own_contrast() -> None:
    group = [net(subject={"field": "race", "group": "Hispanic"}), net(estimate=-0.055, low=-0.065, high=-0.045)]
    sentence = group_sentence(group, DESIGN)
    assert "Hispanic against White −2.9 [−4.1, −1.7] pp; Black against White −5.5 [−6.5, −4.5] pp" in sentence


def test_the_interval_that_decides_equivalence_is_printed_at_its_level() -> None:
    deciding = {"equivalence_low": -0.0121, "equivalence_high": 0.0118, "equivalence_level": 0.975}
    item = net(estimate=0.0, low=-0.01, high=0.01, conclusion=Conclusion.EQUIVALENT_WITHIN_MARGIN, counts=deciding)
    assert (
        "adjusted within the family: Black − White 97.5% [−1.2, +1.2] pp." in contrasts([item], DESIGN, title="").note
    )


def test_why_equivalence_is_not_said_is_printed() -> None:
    reason = "No evidence of it. Equivalence is not said: too few denials to say (12 of 600)."
    item = net(conclusion=Conclusion.NO_EVIDENCE, conclusion_reason=reason)
    note = contrasts([item], DESIGN, title="").note
    assert "Equivalence is not said of Black − White: too few denials to say (12 of 600)." in note
