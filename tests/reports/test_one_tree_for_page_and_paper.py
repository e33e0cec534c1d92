"""One tree of blocks: what paper prints of it, and how a page sets it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from auditor.records import Conclusion, Finding, Measurement, Role, Severity
from reports import numbers, sections
from reports.blocks import (
    CONTRASTS,
    Block,
    Cases,
    Code,
    Figure,
    FindingBlock,
    Level,
    Literal,
    Numbers,
    Pairs,
    Paper,
    Table,
    Text,
    Verdict,
)
from reports.canvas import Chart
from reports.content import build_content
from reports.html import LONG, Links, blocks_html, numbers_of, verdict_html, whole_html
from reports.lint import own_words
from reports.paper import on_paper
from reports.story import Story
from tests.reports.conftest import Audit
from tests.reports.test_what_a_first_reader_asks import DESIGN

LINKS = Links(cases=lambda query: f"/cases?{query}", numbers=lambda name: f"/numbers/{name}")
CHART = Chart("c", "A <chart>", "", "", "<svg></svg>", 1, 1)


def measured(number: int, **more: Any) -> Measurement:
    row = Measurement(
        f"t/m/{number}", "counterfactual", "cf_mean_shift_sd", Role.SUPPORTING, {"field": "race", "group": str(number)},
        "sd", estimate=0.1 * number, n=600, reference="White", cases=f"arm:race={number}", level=0.95,
    )  # fmt: skip
    return replace(row, **more)


def many(count: int) -> tuple[Measurement, ...]:
    return tuple(measured(number) for number in range(count))


class Shape(HTMLParser):
    """Every tag with its depth; fails on one that is closed in the wrong place."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.links += [str(value) for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def parsed(html: str) -> Shape:
    shape = Shape()
    shape.feed(html)
    shape.close()
    assert shape.open == []
    return shape


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
CELLS = st.one_of(
    WORDS,
    WORDS.map(Literal),
    st.sampled_from(Conclusion).map(Code),
    st.sampled_from(Severity).map(Level),
    st.tuples(WORDS, WORDS, WORDS, WORDS).map(lambda part: Cases((part,))),
)


@given(words=WORDS, cell=CELLS, title=WORDS)
def test_whatever_is_said_is_shown_as_text_and_every_tag_is_closed(words: str, cell: Any, title: str) -> None:
    finding = Finding(title, title, Severity.HIGH, "rule", words, (), words, words, words, (), "")
    blocks: list[Block] = [
        Text(words, tone="lead"),
        Text(words, title=title),
        Pairs(((words, cell),), title=title),
        Table(title, (words, title), ((words, cell),), "lr", (0.5, 0.5), note=words),
        Figure(replace(CHART, title=title), words),
        FindingBlock(finding, ((words, cell),), brief=words),
    ]
    shape = parsed(blocks_html(blocks, LINKS))
    assert "".join(shape.texts).count(words) >= 6
    assert "<script" not in blocks_html([Text("<script>1</script>")], LINKS)


def test_every_estimate_leads_to_the_cases_of_its_measurement() -> None:
    table = blocks_html([Numbers("n", "Scores", many(LONG), DESIGN)], LINKS)
    assert parsed(table).links == [f"/cases?{item.cases}" for item in many(LONG)]
    assert all(f">{numbers.estimate(item)}</a></td>" in table for item in many(LONG))


def test_a_table_that_is_long_is_a_line_that_says_how_long_and_leads_to_it() -> None:
    block = Numbers("n", "Scores", many(LONG + 1), DESIGN)
    line = blocks_html([block], LINKS)
    assert parsed(line).links == ["/numbers/n"]
    assert 'hx-get="/numbers/n"' in line
    assert f"Scores: the {LONG + 1} numbers on a page of their own" in line
    assert whole_html(block, LINKS).count("<tr>") == LONG + 2


def test_a_table_with_a_title_is_folded_unless_nobody_may_miss_it() -> None:
    table = Table("Checks", ("Check", "Held"), (("a", "no"),), "ll", (0.5, 0.5))
    assert blocks_html([table], LINKS).startswith("<details><summary>Checks</summary>")
    assert blocks_html([replace(table, unfolded=True)], LINKS).startswith("<details open>")
    assert "<details" not in blocks_html([replace(table, title="")], LINKS)
    alone = blocks_html([table], LINKS, level=2, folded=False)
    assert alone.startswith("<h3>Checks</h3>")


def test_figures_stand_beside_each_other_and_lines_between_them_below() -> None:
    between = Table("Between", ("A",), (("a",),), "l", (1.0,))
    shape = blocks_html([Figure(CHART), between, Figure(CHART), Text("then"), Figure(CHART)], LINKS)
    assert [re.sub(r"<figure.*?</figure>", "F", part, flags=re.DOTALL) for part in shape.split('<div class="grid">')][
        1
    ].startswith("FF</div><details><summary>Between")
    assert shape.count('<div class="grid">') == 2


def test_headings_go_down_one_by_one() -> None:
    blocks: list[Block] = [Text("Part", tone="heading"), Text("Purpose.", title="Test"), Figure(CHART)]
    assert re.findall(r"<h(\d)", blocks_html(blocks, LINKS, level=4)) == ["4", "5", "5"]


def test_the_first_finding_is_open_whatever_stands_before_it() -> None:
    finding = Finding("F-001", "Title", Severity.LOW, "r", "c", (), "c", "e", "r", (), "")
    html = blocks_html([Text("Two."), FindingBlock(finding, ()), FindingBlock(finding, ())], LINKS)
    assert re.findall(r'<details class="finding"( open)?>', html) == [" open", ""]


def test_the_card_says_what_must_be_read_with_its_sentence_and_leads_to_cases() -> None:
    verdict = Verdict(
        Conclusion.NO_EVIDENCE, "A & b.", (), CHART, "But <this>.", "n = 6", (("Lose", Cases((("", "4", "", "q"),))),)
    )
    shape = parsed(verdict_html(verdict, LINKS))
    assert shape.links == ["/cases?q"]
    for words in ("A & b.", "But <this>.", "n = 6", "No evidence of a difference", "NO_EVIDENCE"):
        assert words in "".join(shape.texts)


def test_paper_prints_the_printed_ones_with_what_it_leaves_out_and_a_page_all() -> None:
    block = Numbers("n", "Scores", many(9), DESIGN, printed=many(3), note="Read so.", left_out="The 3 first of 9.")
    (table,) = on_paper([block])
    assert isinstance(table, Table)
    assert (len(table.rows), table.title) == (3, "Scores")
    assert table.note.startswith("The 3 first of 9. Read so.")
    page = blocks_html([block], LINKS)
    assert page.count('<th scope="row">') == 9
    assert "Read so." in page
    assert "The 3 first" not in page
    assert list(on_paper([replace(block, printed=())])) == []


def test_the_method_stands_under_its_table_in_both() -> None:
    block = Numbers("n", "Numbers: scores", many(3), DESIGN, CONTRASTS, printed=many(3), method="Method: a & b.")
    (table,) = on_paper([block])
    assert isinstance(table, Table)
    assert table.note.endswith("Method: a & b.")
    assert '<p class="small">Method: a &amp; b.</p>' in blocks_html([block], LINKS)


def test_what_stands_on_paper_alone_is_not_composed_for_a_page() -> None:
    composed = []

    def compose() -> list[Block]:
        composed.append(1)
        return [Text("On paper.")]

    blocks: list[Block] = [Paper(compose), Text("What it is for.", title="Probes")]
    assert "On paper" not in blocks_html(blocks, LINKS)
    assert composed == []
    assert list(on_paper(blocks)) == [Text("On paper."), Text("Probes. What it is for.")]


def test_no_two_tables_of_numbers_share_the_name_in_their_address(working: Audit, governance: dict[str, Any]) -> None:
    story = Story(working.bundle, governance, {})
    names = [item.name for kind in sections.SECTIONS for item in numbers_of(kind.blocks(story))]
    assert len(names) == len(set(names))


def test_the_lint_reads_what_a_page_alone_says(working: Audit, governance: dict[str, Any]) -> None:
    content = build_content(working.bundle, governance, charts={"effects": CHART, "margins": CHART})
    said = set(own_words(content))
    readings = {block.reading for section in content.sections for block in section.blocks if isinstance(block, Figure)}
    assert readings
    assert readings <= said
