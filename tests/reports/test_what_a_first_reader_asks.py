"""What a first reader misread: clauses, power, ranges, withheld rows, reasons said twice, tables without a value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from auditor.records import Conclusion, Finding, Measurement, Severity
from reports import cover, numbers
from reports.blocks import Table, Text
from reports.charts import power_chart
from reports.controls import missing_words
from reports.elsewhere import near_sentence, score_sentence
from reports.evidence_ladder import outside_words
from reports.inside_sections import _largest
from reports.maps import maps_of
from reports.pack_sections import clause_state
from reports.paper import on_paper
from reports.record_sections import BY_HAND, reproduction
from reports.result_sections import _methods
from reports.story import Story
from reports.tables import contrasts, every_number, short_rows
from reports.wording import in_print
from tests.reports.conftest import GOVERNANCE, PACKS, Audit
from tests.reports.test_a_ratio_is_no_points import ratio
from tests.reports.test_evidence_ladder import measured
from tests.reports.test_sentences import DESIGN, net

CLAUSE = {"ref": "12 CFR 1002.4(a)", "evidence_refs": ["metric:cf_net_effect"]}
CANNOT = {"conclusion": Conclusion.INCONCLUSIVE, "conclusion_reason": "Too few pairs to say."}


def test_a_clause_answered_at_one_cut_off_and_open_at_another_says_which_is_which() -> None:
    wide = net(id="r", metric="cf_range_effect")
    said = clause_state(CLAUSE, [net(**CANNOT), wide], pack=PACKS[0])
    assert said == (
        "Tested: largest change in approvals, range of cut-offs, for race (Black). "
        "Cannot say: change in approvals, own cut-off, for race (Black)"
    )


def test_a_clause_names_the_groups_it_cannot_speak_of() -> None:
    hispanic = net(id="h", subject={"field": "race", "group": "Hispanic"}, **CANNOT)
    said = clause_state(CLAUSE, [net(), hispanic], pack=PACKS[0])
    assert said.startswith("Tested: change in approvals, own cut-off, for race (Black).")
    assert said.endswith("Cannot say: change in approvals, own cut-off, for race (Hispanic)")


def test_the_chart_of_power_says_at_which_cut_off_and_shows_the_least_sure_test() -> None:
    own, wide = net(counts={"mde": 0.017}), net(id="r", metric="cf_range_effect", counts={"mde": 0.076})
    chart = power_chart([own, wide], DESIGN)
    assert chart is not None
    assert "own cut-off" in chart.svg
    assert "range of cut-offs" in chart.svg
    assert "7.6" in chart.svg


def near(field: str, count: float, n: int) -> Measurement:
    return replace(
        net(id=f"near/{field}", metric="near_cut_off", unit="count", estimate=count, n=n),
        subject={"field": field, "cut_off": "matched"},
        counts={"within": 1.0},
    )


def test_applications_near_a_cut_off_are_counted_of_all_that_were_looked_at() -> None:
    said = near_sentence([near("race", 548, 600), near("sex", 543, 595)])
    assert said == "543 to 548 of 595 to 600 applications lie within 1.00 logits of the matched cut-off."


def test_a_score_that_fell_by_a_size_has_no_sign_and_the_digits_of_its_table() -> None:
    rows = []
    for group, size in (("Black", -0.0181), ("Hispanic", -0.0249)):
        subject = {"field": "race", "group": group}
        fell = net(id=f"f/{group}", metric="cf_margin_fell_share", unit="rate", subject=subject, counts={"fell": 600})
        shift = net(
            id=f"s/{group}",
            metric="cf_mean_shift_sd",
            unit="sd",
            subject=subject,
            estimate=size,
            low=size - 0.003,
            high=size + 0.003,
        )
        rows += [replace(fell, n=600), shift]
    said = str(score_sentence(rows))
    sizes = [numbers.size_of(item, item.estimate or 0.0) for item in rows if item.unit == "sd"]
    assert said.endswith(f"on average by {sizes[0]} to {sizes[1]} SD.")
    assert numbers.MINUS not in said


def test_what_a_ratio_could_have_seen_prints_as_the_ratio_does() -> None:
    table = contrasts([ratio(0.93, Conclusion.NO_EVIDENCE, mde=0.83)], DESIGN, title="")
    row = dict(zip(table.head, table.rows[0], strict=True))
    assert (row["Effect, ratio"], row["MDE"]) == ("0.93", "0.83")


def test_a_withheld_comparison_is_no_comparison_of_nobody() -> None:
    hidden = replace(
        ratio(0.9, Conclusion.INCONCLUSIVE, n=0),
        estimate=None,
        low=None,
        high=None,
        p_value=None,
        p_adjusted=None,
        counts={"withheld": 1},
        missing_reason="the rate of Black is hidden and a comparison would give it back",
        conclusion_reason="the rate of Black is hidden and a comparison would give it back",
    )
    table = contrasts([ratio(0.93, Conclusion.NO_EVIDENCE, group="Hispanic"), hidden], DESIGN, title="")
    assert [row[1] for row in table.rows] == ["2,533", "withheld"]
    why = "the rate of the Black applications is withheld and could be worked out from it"
    assert f"No value of impact ratio: {why}." in table.note
    assert table.note.count(why) == 1  # not once for the number and again for its conclusion
    assert missing_words([hidden]) == [f"No value of impact ratio (Black against White): {why}."]


def test_a_reason_is_printed_as_it_is_recorded_where_nothing_is_withheld() -> None:
    assert in_print("Too few pairs to say, p = 0.0004") == "Too few pairs to say, p < .001"


def test_a_p_value_that_was_rounded_is_not_rounded_twice() -> None:
    # 5 / 13 = 0.3846… is .38 in a table, and recorded as 0.385 in a sentence.
    assert in_print("adjusted p = 0.385 (13 draws)") == "adjusted p = .385 (13 draws)"
    assert in_print("p = 0.0125") == "p = .0125"
    assert in_print("p = 0.384 or q = 0.025 or p = 1.000") == "p = .38 or q = .025 or p = 1.00"


def test_notes_call_a_conclusion_as_the_table_does_and_name_a_contrast_once() -> None:
    rows = [net(**CANNOT), net(id="m", metric="risk_difference", **CANNOT)]
    note = short_rows(rows, DESIGN, title="").note
    assert "Inconclusive" not in note
    assert note.count("Black − White") == 1
    assert "Cannot say, Black − White: too few pairs to say." in note


def test_a_number_without_an_interval_that_is_not_0_is_not_printed_as_0() -> None:
    small = measured("field_attribution", "attribution_signed", -0.0043)
    assert numbers.estimate(small) == "−0.004 logits"
    assert numbers.estimate(replace(small, estimate=0.0)) == "0.00 logits"
    assert numbers.estimate(replace(small, estimate=-0.25)) == "−0.25 logits"


def test_a_column_that_no_number_of_a_test_fills_is_left_out_of_the_list_of_all() -> None:
    _, table = on_paper([every_number([measured("patching", "patch_gap", -0.03)], DESIGN)])
    assert isinstance(table, Table)
    assert not {"p", "p adj.", "Interval"} & set(table.head)


def test_each_row_has_its_method_and_one_without_a_value_has_none() -> None:
    fisher = replace(net(id="f", subject={"field": "race", "group": "Hispanic"}), method="Fisher exact")
    gone = replace(net(id="g", subject={"field": "sex", "group": "female"}), estimate=None, method="of nothing")
    pooled = replace(net(), method="pooled z")
    assert _methods([pooled, gone]) == ["pooled z."]
    assert _methods([pooled, fisher, gone]) == ["Black − White: pooled z.", "Hispanic − White: Fisher exact."]


def advised(number: str, field: str, advice: str) -> tuple[Finding, Measurement]:
    row = net(id=f"m/{field}", subject={"field": field, "group": "x"})
    finding = Finding(
        id=number,
        title="t",
        severity=Severity.HIGH,
        rule="r",
        condition="c",
        criteria=(),
        cause="",
        effect="",
        recommendation=advice.format(field.replace("_", " ")),
        measurements=(row.id,),
        cases="",
        conclusion=Conclusion.DIFFERENCE_FOUND,
    )
    return finding, row


def test_one_recommendation_for_several_attributes_is_said_once_with_all_of_them(working: Audit) -> None:
    advice = "Ask whether the prompt has to state {} at all, and change it."
    found = [
        advised(f"F-00{at}", field, advice)
        for at, field in enumerate(("race", "marital_status", "sex", "age"), start=1)
    ]
    bundle = replace(
        working.bundle,
        findings=tuple(finding for finding, _ in found),
        measurements=(*working.bundle.measurements, *(row for _, row in found)),
    )
    story = Story(bundle=bundle, governance=GOVERNANCE, charts={})
    assert cover._advice(story, bundle.findings) == [
        (
            "Ask whether the prompt has to state race, marital status, sex or age at all, and change it.",
            ["F-001", "F-002", "F-003", "F-004"],
        )
    ]


def test_one_place_makes_no_line() -> None:
    rows = [
        measured(
            "probes",
            "probe_selectivity",
            0.1,
            n=120,
            id=group,
            subject={"field": "race", "group": group, "layer": "15"},
        )
        for group in ("Black", "Hispanic")
    ]
    assert maps_of(rows) == []
    elsewhere = [replace(item, id=f"{item.id}/3", subject={**item.subject, "layer": "3"}) for item in rows]
    assert [item.kind for item in maps_of([*rows, *elsewhere])] == ["lines"]


def test_figures_that_are_all_missing_are_a_line_and_no_table_of_dashes(working: Audit) -> None:
    story = Story(bundle=working.bundle, governance=GOVERNANCE, charts={})
    gone = measured("field_attribution", "reason_share", None, missing_reason="6 were explained, at least 30 needed")
    (said,) = on_paper(_largest([gone, replace(gone, id="b")], story))
    assert isinstance(said, Text)
    assert said.words == "No value of adverse decisions it was a main reason of: 6 were explained, at least 30 needed."
    (table,) = on_paper(_largest([gone, measured("field_attribution", "reason_share", 0.2)], story))
    assert isinstance(table, Table)


def test_contrasts_in_no_cell_share_their_reason() -> None:
    class Stands:
        def __init__(self, contrast: str) -> None:
            self.contrast, self.outputs, self.inside = contrast, True, None
            self.said = "Outputs: a difference was found; internals: not known. Evidence: none."

    both: Any = [Stands("Race: Black − White"), Stands("Sex: Female − Male")]
    assert outside_words(both) == [
        "In no cell: Race: Black − White; Sex: Female − Male (outputs: a difference was found; internals: not known)."
    ]


def test_a_report_says_how_to_check_its_hashes_without_this_software(working: Audit) -> None:
    blocks = str(reproduction(Story(bundle=working.bundle, governance=GOVERNANCE, charts={})))
    assert BY_HAND in blocks
    assert "any other says what it cannot compare" in blocks
    assert working.bundle.run.code.version in blocks
