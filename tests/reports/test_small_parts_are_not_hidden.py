"""What moves a part of the applications alone: the first page says what happened to whom, and what it cannot see."""

from __future__ import annotations

from dataclasses import replace

from auditor.records import Conclusion, Finding, Measurement, Role, Severity
from reports import cover, cover_lines, elsewhere, sentences, wording
from reports.record_sections import limitations
from reports.story import Story
from tests.reports.conftest import GOVERNANCE, Audit


def own_of(audit: Audit, **changes: object) -> Measurement:
    found = next(
        item
        for item in audit.bundle.measurements
        if item.metric == "cf_net_effect" and item.subject["group"] == "Black"
    )
    return replace(found, **changes)


def score_of(audit: Audit, *, fell: int, rose: int) -> Measurement:
    return own_of(
        audit,
        id="made/score",
        metric="cf_mean_shift_sd",
        role=Role.EXPLORATORY,
        unit="sd",
        estimate=-0.27,
        low=-0.46,
        high=-0.10,
        conclusion=Conclusion.DIFFERENCE_FOUND,
        family="exploratory: same applicants",
        counts={"fell": fell, "rose": rose},
    )


def medium(*names: str) -> Finding:
    return Finding(
        id="F-001", title="", severity=Severity.MEDIUM, rule="", condition="", criteria=(), cause="", effect="",
        recommendation="", measurements=names, cases="", conclusion=Conclusion.DIFFERENCE_BELOW_THRESHOLD,
    )  # fmt: skip


def test_the_score_does_not_lead_where_approvals_are_found_to_differ(working: Audit) -> None:
    """Eight of 600 lose approval: small and real. Their scores fell far, so that the mean of all moved."""
    own = own_of(working, conclusion=Conclusion.DIFFERENCE_BELOW_THRESHOLD)
    score = score_of(working, fell=8, rose=0)
    assert wording.lead_measurement([own, score], [medium(own.id, score.id)]) is own
    quiet = replace(own, conclusion=Conclusion.NO_EVIDENCE)
    assert wording.lead_measurement([quiet, score], [medium(score.id)]) is score


def test_a_mean_that_few_applications_make_says_how_many(working: Audit) -> None:
    design = wording.Design.of(working.bundle.plan)
    few = sentences.conclusion_sentence(score_of(working, fell=8, rose=0), design)
    assert "by 0.27 standard deviations of scores on average, all of it in 8 of 600 applications" in few
    assert "all of it" not in sentences.conclusion_sentence(score_of(working, fell=400, rose=90), design)


def test_changed_decisions_that_all_go_one_way_stand_beside_no_evidence(working: Audit) -> None:
    design = wording.Design.of(working.bundle.plan)
    six = own_of(working, conclusion=Conclusion.NO_EVIDENCE, estimate=-0.01, counts={"b": 6, "c": 0, "mde": 0.017})
    said = sentences.group_sentence([six], design)
    assert said.endswith("all 6 changed decisions went against the group, which chance alone rarely gives.")
    assert "all 6 changed decisions" in cover_lines._by_conclusion([six], design)
    for five in ({"b": 5, "c": 0, "mde": 0.017}, {"b": 6, "c": 1, "mde": 0.017}, {"b": 0, "c": 0, "mde": 0.017}):
        assert "changed decisions" not in sentences.group_sentence([replace(six, counts=five)], design)


def turned_of(audit: Audit, *, b: int, c: int) -> Measurement:
    return own_of(
        audit,
        id="made/turned",
        test="noise_floor",
        metric="cf_excess_flip",
        role=Role.EXPLORATORY,
        estimate=0.013,
        conclusion=Conclusion.DIFFERENCE_BELOW_THRESHOLD,
        counts={"b": b, "c": c},
    )


def test_a_few_decisions_that_cancel_stand_beside_a_quiet_first_sentence(working: Audit) -> None:
    own = own_of(working, conclusion=Conclusion.EQUIVALENT_WITHIN_MARGIN, estimate=0.0)
    said = elsewhere.exploratory_sentence([own, turned_of(working, b=20, c=20)])
    assert "in decisions that turn both ways (Black against White +1.3 pp)" in str(said)
    assert elsewhere.exploratory_sentence([own, turned_of(working, b=20, c=0)]) is None
    found = replace(own, conclusion=Conclusion.DIFFERENCE_FOUND)
    assert elsewhere.exploratory_sentence([found, turned_of(working, b=20, c=3)]) is None


def test_what_could_be_missed_in_a_part_of_the_applications_is_on_the_first_page(working: Audit) -> None:
    story = Story(bundle=working.bundle, governance=GOVERNANCE, charts={})
    unseen = next(
        block for block in cover.cover(story) if getattr(block, "title", "") == "What this audit could not see"
    )
    rows = {str(name): str(words) for name, words in unseen.rows}
    assert rows["Not covered"].startswith("Subgroups, or two attributes together, by themselves")
    smallest = rows["Smallest effect"].removeprefix("A difference smaller than ").partition(" ")[0]
    assert f"every decision of under {smallest}% of the applications can be missed" in rows["Not covered"]
    assert any("Subgroups" in str(row[0]) for row in limitations(story)[0].rows)
