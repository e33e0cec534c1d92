"""The ladder and outputs × internals: every contrast in its cell, with the figures its steps were read from."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from typing import Any

import pytest

from auditor.records import Conclusion, Measurement, Role
from auditor.synthesis.ladder import ladder
from reports.evidence_ladder import corners, ladder_rows, outside
from reports.governance import Governance
from reports.html import Links, blocks_html
from reports.inside_in_short import inside_in_short
from reports.inside_sections import parts_of
from reports.paper import on_paper
from reports.story import Story
from reports.wording import with_p_values
from tests.engine.small import small_plan
from tests.reports.conftest import Audit

PLAN = small_plan()
SUBJECT = {"field": "race", "group": "Black"}


def measured(test: str, metric: str, estimate: float | None, **more: Any) -> Measurement:
    row = Measurement(
        id=f"{test}/{metric}",
        test=test,
        metric=metric,
        role=Role.SUPPORTING,
        subject=SUBJECT,
        unit="logit",
        reference="White",
        estimate=estimate,
        level=0.95,
    )
    return replace(row, **more)


WITHHELD = {**SUBJECT, "setting": "withheld"}
DRAWS = {"draws": 39, "draws_needed": 39}
REPEATED = {**DRAWS, "sign_agrees": 1, "specifications": 4, "specifications_agree": 4, "decisions_turned": 0.0}
READ = measured(
    "probes",
    "probe_layers_readable",
    12.0,
    unit="count",
    subject=WITHHELD,
    p_adjusted=0.025,
    counts={**DRAWS, "probes": 22, "best_accuracy": 0.8},
)
USED = measured(
    "erasure",
    "erasure_gap_removed",
    -0.4,
    low=-0.5,
    high=-0.3,
    p_adjusted=0.025,
    counts={
        **REPEATED,
        "held_out_left": 0.01,
        "gap": -0.5,
        "share": 0.8,
        "specifications_agree": 3,
        "specifications_by_decisions": 1,
        "specifications_by_decisions_agree": 0,
        "specifications_lowest": -0.52,
        "specifications_highest": -0.08,
    },
)
#: What a "no" takes: states moved, and the groups' scores do not differ.
SMALL = {"movement": 0.5, "movement_control": 0.6, "practical": 0.1, "gap": 0.0, "gap_low": -0.02, "gap_high": 0.02}
UNUSED = replace(USED, estimate=-0.01, n=24, low=-0.03, high=0.01, p_adjusted=0.4, counts={**USED.counts, **SMALL})
STILL = measured(
    "steering",
    "steering_potency",
    0.0,
    n=24,
    low=-0.01,
    high=0.01,
    p_adjusted=0.9,
    counts={**REPEATED, **SMALL, "held_out_short": 0.02, "away_low": -0.01, "away_high": 0.01},
)


def output(conclusion: Conclusion) -> Measurement:
    return measured("counterfactual", "cf_net_effect", -0.1, conclusion=conclusion, role=Role.PRIMARY)


@pytest.mark.parametrize(
    ("conclusion", "erased", "cell"),
    [
        (Conclusion.DIFFERENCE_FOUND, USED, "Difference, and moved inside"),
        (Conclusion.DIFFERENCE_FOUND, UNUSED, "Difference, use not found"),
        (Conclusion.NO_EVIDENCE, USED, "Moved inside, not seen in outputs"),
        (Conclusion.EQUIVALENT_WITHIN_MARGIN, UNUSED, "No evidence in either"),
    ],
)
def test_a_contrast_stands_in_the_cell_of_what_outputs_and_interventions_say(
    conclusion: Conclusion, erased: Measurement, cell: str
) -> None:
    rows = [READ, erased, STILL, output(conclusion)]
    found = ladder_rows([*rows, *ladder(rows, plan=PLAN)])

    assert [corner.name for corner in corners(found) if corner.members] == [cell]
    assert outside(found) == []


@pytest.mark.parametrize(
    "rows", [[READ, USED, STILL, output(Conclusion.INCONCLUSIVE)], [READ, output(Conclusion.NO_EVIDENCE)]]
)
def test_where_one_side_cannot_say_the_contrast_stands_in_no_cell(rows: list[Measurement]) -> None:
    found = ladder_rows([*rows, *ladder(rows, plan=PLAN)])

    assert [corner.members for corner in corners(found)] == [()] * 4
    assert len(outside(found)) == 1


def test_a_step_says_what_it_was_read_from_or_why_there_is_nothing() -> None:
    lost = replace(STILL, estimate=None, missing_reason="the answers lost their probability")
    rows = [READ, USED, lost]
    (found,) = ladder_rows([*rows, *ladder(rows, plan=PLAN)])
    reasons = {step.name: (step.says, step.reason) for step in found.steps}

    assert reasons == {
        "encoded": (
            "yes",
            "where the prompt withholds it, a linear probe finds it at 12 of 22 places (best balanced accuracy "
            "80.0%), adjusted p = .025",
        ),
        "selective": ("not known", "not part of this run"),
        "used": (
            "yes",
            "erasing it takes 0.40 logits off the difference between the groups (80.0% of it), against shuffled "
            "labels and random moves as large, adjusted p = .025 (39 draws); moves the score; no decision turned; "
            "3 of 4 specifications agree (by decisions 0 of 1), from \u22120.52 to \u22120.080 logits",
        ),
        "usable": ("not known", "the answers lost their probability"),
    }
    assert (found.grade, found.by) == ("moves the score", "used")


def test_every_place_of_a_report_says_the_same_of_a_step(working: Audit, governance: Governance) -> None:
    rows = [READ, USED, STILL, output(Conclusion.NO_EVIDENCE)]
    told = [*rows, *ladder(rows, plan=PLAN)]
    (found,) = ladder_rows(told)
    story = Story(replace(working.bundle, measurements=tuple(told)), governance, {})
    printed = on_paper(inside_in_short(story))
    (table,) = [block for block in printed if getattr(block, "title", "") == "How far up each attribute stands"]
    shown = table.rows[:5]  # type: ignore[union-attr]

    assert [str(row[0]) for row in shown] == [found.contrast, "", "", "", ""]
    assert tuple(shown[4][1:]) == ("Evidence", "", f"{found.grade.capitalize()}.")
    for step, (_, name, says, why) in zip(found.steps, shown[:4], strict=True):
        assert (name, says) == (step.name.capitalize(), step.says.capitalize())
        assert step.reason[1:] in str(why)
        # The record keeps every digit; people read p as everywhere else.
        recorded = with_p_values(told[-1].conclusion_reason or "")
        assert f"{step.name.capitalize()}: {step.says}; {step.reason}." in recorded


def test_a_page_shows_the_contrast_of_the_verdict_step_by_step_in_its_cell_and_the_others_when_opened(
    working: Audit, governance: dict[str, Any]
) -> None:
    other = {"field": "sex", "group": "female"}
    rows = [READ, USED, STILL, output(Conclusion.DIFFERENCE_FOUND)]
    rows += [
        replace(item, id=f"{item.id}/other", subject={**item.subject, **other}, reference="male")
        for item in (READ, UNUSED, STILL, output(Conclusion.NO_EVIDENCE))
    ]
    told = [*rows, *ladder(rows, plan=PLAN)]
    story = Story(replace(working.bundle, measurements=tuple(told), findings=()), governance, {})
    page = blocks_html(inside_in_short(story), Links(cases=str, numbers=str))
    first, second = ladder_rows(told)

    assert page.count("data-here") == 1
    (here,) = re.findall(r"<td data-here>.*?</td>", page)
    assert "Difference, and moved inside" in here
    assert f"<li>{first.contrast} (used)</li>" in here
    assert re.findall(r'<li( class="\w+")?><strong>\d (\w+)', page) == [
        (f' class="{ {"yes": "yes", "no": "no"}[step.says] }"' if step.held is not None else "", step.name.capitalize())
        for step in first.steps
    ]
    opened = page.partition("<summary>Ladder of the other contrasts</summary>")[2]
    assert f'<th scope="row">{second.contrast}</th>' in opened
    assert first.contrast not in opened
    for step in second.steps:
        assert escape(step.reason[1:].rstrip(".")) in opened


def test_an_audit_of_an_older_release_still_shows_its_ladder() -> None:
    old = replace(
        measured("ladder", "attribute_ladder", 3.0, unit="count"),
        conclusion_reason="outputs: no difference was found; internals: not tested. Evidence: causal.",
        counts={"encoded": 1, "selective": None, "used": 1, "usable": None},
    )
    (found,) = ladder_rows([old])

    assert [(step.says, step.reason) for step in found.steps] == [
        ("yes", ""),
        ("not known", ""),
        ("yes", ""),
        ("not known", ""),
    ]
    assert (found.grade, found.said) == ("causal", old.conclusion_reason)


def test_tests_stand_under_the_question_their_card_answers_and_unknown_ones_last(
    working: Audit, governance: Governance
) -> None:
    rows = [measured("of_somebody", "thing", 1.0), STILL, USED, READ]

    assert [(title.partition(":")[0], [test.name for test in tests]) for title, tests in parts_of(rows)] == [
        ("Encoded", ["probes"]),
        ("Used", ["erasure"]),
        ("Usable", ["steering"]),
        ("Further tests on internals", ["of_somebody"]),
    ]
    told = [*rows, *ladder(rows, plan=PLAN)]
    blocks = inside_in_short(Story(replace(working.bundle, measurements=tuple(told)), governance, {}))
    tables = [getattr(block, "title", "") for block in on_paper(blocks)]
    assert tables.index("How far up each attribute stands") < tables.index("Outputs crossed with internals")
    assert blocks[0].words.startswith("Supporting evidence")  # type: ignore[union-attr]
