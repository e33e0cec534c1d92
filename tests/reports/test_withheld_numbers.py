"""A number that a failed check took away ends in a dash with its reason, wherever it would have stood."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from pypdf import PdfReader

from auditor.catalogue import on_outputs
from auditor.records import Check, Conclusion, Measurement
from reports.blocks import ReportContent
from reports.bundle import Bundle
from reports.charts import (
    effect_chart,
    margin_shift_chart,
    power_chart,
    rate_chart,
    readability_chart,
    references,
    render_charts,
)
from reports.closing import checked_line, found_line, judged_line
from reports.content import build_annex, build_content
from reports.cut_off_charts import curve_chart
from reports.governance import Governance
from reports.maps import draw_maps
from reports.pdf import render_pdf
from reports.wording import Design
from tests.reports.conftest import Audit
from tests.reports.everything import contrasts, everything

REASON = "the self-check 'packed equals alone' did not hold: 0.2 against 0.001"


def withheld(item: Measurement) -> Measurement:
    return replace(
        item,
        estimate=None,
        low=None,
        high=None,
        sd_units=None,
        p_value=None,
        p_adjusted=None,
        counts={},
        checks=(Check("packed equals alone", held=False, value=0.2, bound=0.001, covers_run=True),),
        conclusion=Conclusion.INCONCLUSIVE if item.conclusion else None,
        conclusion_reason=None,
        missing_reason=REASON,
    )


def without(bundle: Bundle, *ids: str) -> Bundle:
    rows = tuple(withheld(item) if item.id in ids else item for item in bundle.measurements)
    bare = {
        name: floor.model_copy(update={"flip_rate": None, "low": None, "high": None})
        for name, floor in (("noise_floor", bundle.controls.noise_floor), ("placebo", bundle.controls.placebo))
        if floor is not None
    }
    return replace(bundle, measurements=rows, controls=bundle.controls.model_copy(update=bare))


@pytest.fixture(scope="module")
def whole(working: Audit) -> Bundle:
    """A bundle with a measurement of every kind that reports speak of."""
    rows = {item.id: item for item in (*working.bundle.measurements, *everything())}
    return replace(working.bundle, measurements=tuple(rows.values()))


def kinds(bundle: Bundle, *, inside: bool) -> list[str]:
    """One id of every test and metric, of outputs or of internals."""
    first: dict[tuple[str, str], str] = {}
    for item in bundle.measurements:
        if on_outputs(item.test) is not inside:
            first.setdefault((item.test, item.metric), item.id)
    return [*first.values()]


def test_a_report_is_made_when_any_one_number_of_the_outputs_is_withheld(
    working: Audit, governance: Governance
) -> None:
    rows = {item.id: item for item in (*working.bundle.measurements, *contrasts())}
    bundle, design = replace(working.bundle, measurements=tuple(rows.values())), Design.of(working.bundle.plan)
    drawn = render_charts(bundle)
    for name in kinds(bundle, inside=False):
        bare = without(bundle, name)
        content = build_content(bare, governance, charts=drawn)
        assert content.verdict.sentence
        assert "None" not in str([content.verdict.others, content.cover])
        assert found_line(bare.printable, bare.findings, design)
        assert "None" not in checked_line(bare.printable)


def test_a_chart_is_drawn_when_one_of_its_numbers_is_withheld(working: Audit) -> None:
    rows = {item.id: item for item in (*working.bundle.measurements, *contrasts())}
    bundle, design = replace(working.bundle, measurements=tuple(rows.values())), Design.of(working.bundle.plan)

    def of(metric: str) -> list[Measurement]:
        mine = [item for item in bundle.measurements if item.metric == metric]
        return [withheld(mine[0]), *mine[1:]]

    charts = [
        effect_chart(of("cf_net_effect"), design),
        effect_chart(of("cf_range_effect"), design, where="range"),
        readability_chart([*of("refusal_rate_gap"), *of("cf_net_effect")], design),
        margin_shift_chart(of("cf_mean_shift_sd"), design),
        rate_chart(of("selection_rate"), references(bundle.plan), design),
        power_chart(of("cf_net_effect"), design),
        curve_chart(of("cf_curve_effect"), of("cf_range_effect"), design),
    ]
    assert [chart.name for chart in charts if chart is not None and "None" in chart.svg] == []
    assert charts.count(None) == 0


def test_a_report_is_made_when_any_one_number_of_the_internals_is_withheld(
    whole: Bundle, governance: Governance
) -> None:
    drawn = build_content(whole, governance).verdict.chart
    for name in kinds(whole, inside=True):
        bare = without(whole, name)
        mine = [item for item in bare.measurements if item.id == name]
        draw_maps([*mine, *(item for item in bare.measurements if item.metric == mine[0].metric)])
        sections = build_annex(bare, governance, charts={"verdict": drawn}).sections
        assert REASON in str(next(section.blocks for section in sections if section.id == "tests_on_internals"))


def test_a_report_is_made_when_every_number_is_withheld_and_says_why(whole: Bundle, governance: Governance) -> None:
    bare = without(whole, *(item.id for item in whole.measurements))
    both = [render_pdf(build(bare, governance), result=b"{}") for build in (build_content, build_annex)]
    text = " ".join(" ".join(page.extract_text() for pdf in both for page in PdfReader(io.BytesIO(pdf)).pages).split())
    assert "did not hold: 0.2 against 0.001" in text
    assert "None" not in text.replace("None of", "")
    design = Design.of(whole.plan)
    said = found_line(bare.printable, bare.findings, design)
    assert "did not hold" in said
    assert "did not hold" in checked_line(bare.printable)
    assert judged_line(())


@pytest.mark.parametrize("change", ["reask", "placebo"])
def test_a_failed_floor_is_a_dash_with_its_reason_on_the_first_page(
    working: Audit, governance: Governance, change: str
) -> None:
    name = next(item.id for item in working.bundle.measurements if item.subject.get("change") == change)
    content = build_content(without(working.bundle, name), governance)
    unseen = dict(_unseen(content))
    assert "No value of" in str(unseen["Withheld"])
    assert REASON in str(unseen["Withheld"])
    controls = next(section for section in content.sections if section.id == "controls")
    table = next(block for block in controls.blocks if getattr(block, "head", ("",))[0] == "Control")
    row = next(row for row in table.rows if row[0] == {"reask": "Asked again", "placebo": "Placebo"}[change])
    assert str(row[2]).startswith("–")
    assert REASON in table.note


def _unseen(content: ReportContent) -> tuple[tuple[str, object], ...]:
    return next(block.rows for block in content.cover if getattr(block, "title", "") == "What this audit could not see")


def test_a_control_that_was_not_run_says_so(working: Audit, governance: Governance) -> None:
    rows = tuple(item for item in working.bundle.measurements if item.metric != "cf_noise_floor")
    content = build_content(replace(working.bundle, measurements=rows), governance)
    said = str(dict(_unseen(content))["Not tried"])
    assert all(words in said for words in ("planted difference", "irrelevant field", "asked again"))
