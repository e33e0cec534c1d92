"""What a first reader meets: conclusions in words, the figures of the card, intervals without signs, one population."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader
from reportlab.pdfbase.pdfmetrics import stringWidth

from auditor.records import Conclusion, Measurement, Role
from auditor.rounding import digits, in_words
from reports import numbers, wording
from reports.blocks import Table
from reports.charts import chart_table
from reports.content import build_annex
from reports.cover import front_verdict
from reports.evidence_sections import data_blocks, scope_blocks
from reports.pdf import flowables, render_pdf, styles
from reports.story import Story
from reports.wording import Design
from tests.reports.conftest import GOVERNANCE, Audit


def pages(audit: Audit) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(audit.published.report.read_bytes())).pages]


def test_a_conclusion_is_said_in_words_and_its_code_stands_beside_it_twice(working: Audit) -> None:
    text = " ".join(pages(working))
    assert "Difference found" in pages(working)[0]
    # Once on the first page and once in the table that explains it; not once a row.
    assert text.count("DIFFERENCE_FOUND") == 2
    assert text.count("EQUIVALENT_WITHIN_MARGIN") == 1
    assert "Equivalent within the margin" in text


def test_the_table_behind_a_chart_says_conclusions_in_words(working: Audit) -> None:
    _, rows = chart_table(working.bundle.measured(metric="cf_net_effect"))
    assert {row[-1] for row in rows} == {"Difference found", "Equivalent within the margin"}


def test_the_card_gives_effect_level_number_and_adjusted_p(working: Audit) -> None:
    story = Story(bundle=working.bundle, governance=GOVERNANCE, charts={})
    said = front_verdict(story).figures
    assert story.lead is not None
    assert "Black − White: −8.3 [−10.5, −6.1] pp (95% interval" in said
    assert "600 applications" in said
    assert "adjusted p < .001 (8 tested together)" in said
    assert said.replace(" ", "")[:40] in pages(working)[0].replace(" ", "").replace("\n", "")


def test_a_card_without_a_value_says_why(working: Audit) -> None:
    lead = next(item for item in working.bundle.measurements if item.metric == "cf_net_effect")
    gone = replace(lead, estimate=None, low=None, high=None, missing_reason="a check did not hold")
    story = Story(bundle=replace(working.bundle, measurements=(gone,)), governance=GOVERNANCE, charts={})
    assert front_verdict(story).figures.endswith("– (a check did not hold).")


def test_plan_and_data_that_name_two_populations_are_said_to(working: Audit) -> None:
    design = Design.of(working.bundle.plan)
    assert "The same?" not in str(scope_blocks(working.bundle))
    data = working.bundle.run.data.model_copy(update={"population": "Applicants in Munich"})
    run = working.bundle.run.model_copy(update={"data": data})
    other = replace(working.bundle, run=run)
    for blocks in (scope_blocks(other), data_blocks(other, design)):
        assert "Plan and data name different populations: results speak of the applications" in str(blocks)
        assert "Applicants in Munich" in str(blocks)


MADE = Measurement(
    id="a",
    test="counterfactual",
    metric="cf_mean_shift_sd",
    role=Role.PRIMARY,
    subject={"field": "race", "group": "Black"},
    reference="White",
    unit="sd",
    estimate=0.0131,
    low=0.0092,
    high=0.0171,
    n=600,
    level=0.95,
)


def test_a_narrow_interval_has_the_digits_to_be_seen() -> None:
    assert numbers.estimate_and_interval(MADE) == "+0.013 [+0.009, +0.017]"
    assert numbers.estimate(MADE) == "+0.013 SD"
    wide = replace(MADE, estimate=-0.36, low=-0.41, high=-0.31)
    assert numbers.estimate_and_interval(wide) == "−0.36 [−0.41, −0.31]"


def test_a_bound_beside_zero_does_not_print_as_zero() -> None:
    beside = replace(MADE, unit="rate_difference", estimate=0.021, low=0.0003, high=0.041)
    assert numbers.interval(beside) == "[+0.03, +4.10]"


@given(st.floats(-50, 50), st.floats(1e-4, 20))
def test_the_ends_of_an_interval_print_apart(low: float, width: float) -> None:
    many = digits(low, low + width, least=1, more=5)
    if width >= 1e-3:
        assert numbers.number(low, decimals=many) != numbers.number(low + width, decimals=many)
    assert 1 <= many <= 6


@pytest.mark.parametrize(
    ("bounds", "texts", "said"),
    [
        ((-179, -63), ("179", "63"), "63 to 179 fewer"),
        ((63, 179), ("63", "179"), "63 to 179 more"),
        ((-63, 20), ("63", "20"), "63 fewer to 20 more"),
        ((-5, 0.3), ("5", "0"), "5 fewer to under 1 more"),
        ((-0.3, 5), ("0", "5"), "under 1 fewer to 5 more"),
        ((0, 5), ("0", "5"), "0 to 5 more"),
        ((-0.02, 0.01), ("0.0", "0.0"), "0.0"),
    ],
)
def test_an_interval_in_words_has_no_sign(bounds: tuple[float, float], texts: tuple[str, str], said: str) -> None:
    assert in_words(bounds, texts, less="fewer", more="more") == said


def test_no_short_number_breaks_in_a_table(working: Audit) -> None:
    # Many wide numbers in one table: a page maker would cut them between two digits.
    rows = tuple(
        replace(item, estimate=-0.8351, low=-0.8792, high=-0.1032, n=1_234_567)
        if item.metric == "cf_net_effect_matched"
        else item
        for item in working.bundle.measurements
    )
    content = build_annex(replace(working.bundle, measurements=rows), GOVERNANCE)
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(render_pdf(content, result=b"{}"))).pages)
    matched = text.replace("\xa0", " ")
    assert matched.count("[−87.9, −10.3]") >= 4


def test_a_long_interval_in_a_narrow_column_has_the_room_it_needs() -> None:
    interval = "[\u22120.01279, \u22120.01253]"
    table = Table(
        title="",
        head=("Measure", "Interval"),
        rows=(("Change of the score", interval),),
        align="lr",
        weights=(0.9, 0.1),
    )
    needed = stringWidth(interval, styles.BODY, styles.CELL.fontSize)
    assert needed > 0.1 * 470, "by weight alone it would break"
    assert flowables._widths(table, 470.0)[1] > needed


def test_every_conclusion_has_its_own_words() -> None:
    said = [wording.conclusion_words(code) for code in Conclusion]
    assert len(set(said)) == len(said)
    assert not any("_" in words or words.isupper() for words in said)
