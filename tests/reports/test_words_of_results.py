"""What a report says of intervals, clauses, unreadable arms and scores, where it used to mislead."""

from __future__ import annotations

from dataclasses import replace

from auditor.records import Conclusion, Measurement, Role
from reports.content import build_annex, build_content
from reports.cover_lines import cover_lines
from reports.elsewhere import readability_sentence, score_sentence
from reports.governance import Governance
from reports.pack_sections import clause_state
from reports.story import Story
from reports.tables import contrasts as contrast_table
from reports.wording import interval_and_p_apart, interval_head
from tests.reports.conftest import PACKS, Audit
from tests.reports.everything import contrasts
from tests.reports.test_sentences import DESIGN, net

CLAUSE = {"ref": "12 CFR 1002.4(a)", "evidence_refs": ["metric:cf_net_effect", "metric:overt_reference_rate"]}


def unreadable(group: str, share: float) -> Measurement:
    subject = {"field": "race", "group": group}
    return Measurement(
        f"i/{group}", "arm_rates", "invalid_rate", Role.SECONDARY, subject, "rate", estimate=share, n=600, level=0.95
    )


def test_an_unadjusted_interval_says_so_and_a_simultaneous_one_too() -> None:
    assert interval_head([net(p_adjusted=0.2)]) == "95% interval, unadjusted"
    assert interval_head([net(p_adjusted=0.2, level=0.99)]) == "99% interval, unadjusted"
    assert interval_head([net(metric="cf_range_effect", p_adjusted=0.2)]) == "95% interval, simultaneous"
    assert interval_head([net()]) == "95% interval"


def test_intervals_at_several_levels_are_not_called_by_one() -> None:
    table = contrast_table([net(id="a"), net(id="b", level=0.9)], DESIGN, title="")
    assert "Interval" in table.head
    assert "Intervals are at 90%, 95%." in table.note


def test_an_interval_without_zero_beside_a_large_adjusted_p_is_explained() -> None:
    (said,) = interval_and_p_apart([net(p_adjusted=1.0, family="primary")], DESIGN)
    assert "Black − White (p = 1.00)" in said
    assert "p is adjusted" in said
    assert interval_and_p_apart([net(p_adjusted=0.01, family="primary")], DESIGN) == []
    assert interval_and_p_apart([net(low=-0.05, high=0.02, p_adjusted=1.0)], DESIGN) == []


def test_of_several_measures_the_one_whose_interval_and_p_part_ways_is_named() -> None:
    apart = net(metric="neither_gap", p_adjusted=0.25, family="primary")
    (said,) = interval_and_p_apart([apart, net(p_adjusted=0.01, family="primary")], DESIGN)
    assert "gap of those decided neither way, Black − White (p = .25)" in said


def test_a_band_that_holds_zero_beside_a_small_p_is_explained() -> None:
    (said,) = interval_and_p_apart([net(metric="cf_range_effect", low=-0.06, high=0.01, p_adjusted=0.002)], DESIGN)
    assert "The band holds zero and p is small: Black − White" in said


def test_two_meanings_of_sd_have_two_names() -> None:
    table = contrast_table([net(metric="cf_mean_shift_sd", unit="sd", estimate=-0.7, sd_units=-12.0)], DESIGN, title="")
    assert "z" in table.head
    assert "Effect, SD of scores" in table.head
    assert not any("SD from 0" in head for head in table.head)


def test_a_clause_is_tested_only_where_a_measurement_concluded_and_says_for_whom() -> None:
    concluded = clause_state(CLAUSE, [net()], pack=PACKS[0])
    assert concluded.startswith("Tested: change in approvals, own cut-off, for race (Black)")
    cannot = net(conclusion=Conclusion.INCONCLUSIVE, conclusion_reason="Too few pairs to say.")
    assert clause_state(CLAUSE, [cannot], pack=PACKS[0]).startswith("Run, without a conclusion")
    assert clause_state(CLAUSE, [], pack=PACKS[0]).startswith("Not tested: needs")
    unprotected = net(subject={"field": "shoe_size", "group": "44"})
    assert "Tested" not in clause_state(CLAUSE, [unprotected], pack=PACKS[0]).replace("Not tested", "")


def test_a_group_that_may_stand_for_another_basis_is_said_to(working: Audit) -> None:
    assert "Hispanic, tested as race, may also be read as national origin" in working.text


def test_unreadable_answers_are_said_by_arm() -> None:
    said = readability_sentence([unreadable("Black", 0.22), unreadable("White", 0.0)], DESIGN)
    assert said == (
        "Answers that cannot be read: 22.0% of the Black arm, 0.0% of the White arm; they count as not favourable."
    )
    assert readability_sentence([unreadable("Black", 0.0)], DESIGN) == "Every answer could be read, in every arm (1)."


def test_a_score_that_fell_for_everybody_is_said() -> None:
    rows = contrasts()
    assert "fell in 600 of 600 applications" in str(score_sentence(rows))
    fell = next(item for item in rows if item.metric == "cf_margin_fell_share")
    other = replace(fell, id="h", subject={"field": "race", "group": "Hispanic"})
    assert "fell in every application (600 of 600) for Black and Hispanic against White" in str(
        score_sentence([fell, other])
    )


def test_the_first_page_has_a_line_for_every_place(working: Audit, governance: Governance) -> None:
    rows = {item.id: item for item in (*working.bundle.measurements, *contrasts())}
    bundle = replace(working.bundle, measurements=tuple(rows.values()))
    story = Story(bundle=bundle, governance=governance, charts={})
    lines = cover_lines(story, story.lead)
    places = [line.partition(":")[0] for line in lines]
    assert {"Own cut-off", "Other cut-offs", "Matched cut-off"} <= {place.partition(" (")[0] for place in places}
    assert any(line.startswith("The score behind the decision") for line in lines)
    assert any("cannot be read" in line or "could be read" in line for line in lines)


def test_the_prompt_the_cut_offs_and_the_applications_near_them_are_in_the_report_or_its_annex(
    working: Audit, governance: Governance
) -> None:
    rows = {item.id: item for item in (*working.bundle.measurements, *contrasts())}
    bundle = replace(working.bundle, measurements=tuple(rows.values()))
    both = (*build_content(bundle, governance).sections, *build_annex(bundle, governance).sections)
    sections = {section.id: str(section.blocks) for section in both}
    assert "You are a mortgage underwriter." in sections["data_and_test_cases"]
    assert "Race: {race}" in sections["data_and_test_cases"]
    assert "Application 0" in sections["data_and_test_cases"]
    assert "Applications near a cut-off" in sections["results_primary"]
    assert "cut-off-curve" in sections["results_primary"]
    assert "+2.18" in sections["test_design_and_power"]
    assert "the model's own cut-off" in sections["results_primary"]


def test_an_effect_that_no_test_concludes_is_called_descriptive_and_never_left_blank() -> None:
    """Its interval leaves out no difference, and beside it stands no p and no conclusion: a dash would read clean."""
    alone = net(id="a", conclusion=None, p_adjusted=None, low=-0.06, high=-0.01)
    table = contrast_table([alone], DESIGN, title="")
    assert table.rows[0][-1] == "descriptive"
    assert "Descriptive, no conclusion is drawn from it even where the interval leaves out no difference" in table.note
    within = contrast_table([net(id="b", conclusion=None, p_adjusted=None, low=-0.06, high=0.01)], DESIGN, title="")
    assert within.rows[0][-1] == "descriptive"
    assert "Descriptive," not in within.note
    missing = net(id="c", conclusion=None, p_adjusted=None, estimate=None, low=None, high=None, missing_reason="few")
    assert contrast_table([missing, alone], DESIGN, title="").rows[0][-1] == "–"
    concluded = contrast_table([net(id="d", p_adjusted=0.01)], DESIGN, title="")
    assert "descriptive" not in str(concluded.rows)


def test_a_ratio_of_groups_is_descriptive_where_it_leaves_out_1_and_not_0() -> None:
    ratio = net(id="r", metric="impact_ratio", unit="ratio", estimate=0.9, low=0.8, high=1.1)
    ratio = replace(ratio, conclusion=None, p_adjusted=None)
    assert "Descriptive," not in contrast_table([ratio], DESIGN, title="").note
    assert "Descriptive," in contrast_table([replace(ratio, high=0.98)], DESIGN, title="").note
