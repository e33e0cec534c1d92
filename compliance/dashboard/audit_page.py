"""What the page of an audit shows: the report's blocks, every number with the address of its cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from auditor.records import Measurement, Role
from compliance.dashboard.model_page import Comparison
from compliance.dashboard.number_tables import LinkedTable, Numbers, cases_link, in_short, linked, plain
from compliance.models import Audit
from reports import numbers, wording
from reports import sentences as sentences_of
from reports.canvas import Chart
from reports.charts import by_conclusion
from reports.evidence_ladder import COLUMNS, EXPLAINED, ROWS, corners, ladder_rows, outside_words
from reports.feature_words import features_table, sentences
from reports.inside_sections import InsideTest, checks, parts_of, without_maps
from reports.maps import maps_of
from reports.specification_tables import asked_otherwise, unstable
from reports.story import Story
from reports.tables import changes, contrasts

BEHIND_SCORES = ("cf_mean_shift", "answer_mass", "margin_sd", "near_cut_off")
READING = {
    "effects": "One pair is one application, put to the model twice with only the field changed. Marker: estimate, its "
    "shape is the conclusion. Line: interval. Band: practical threshold. Plumb line: no difference.",
    "effects-range": "The same at the cut-off of the plan's range where it is largest; the interval holds for all "
    "cut-offs at once.",
    "effects-matched": "The same with one cut-off for all arms, set so that the reference arm's approval rate is the "
    "share of favourable outcomes in the data.",
    "cut-off-curve": "The effect at every cut-off of the range. Grey: simultaneous interval. Ring: the largest.",
    "readability": "How many more answers of the group cannot be read than of the reference.",
    "margin-shift": "Mean paired difference of the score, in standard deviations of the reference arm's scores.",
    "rates": "Wilson intervals. Square: reference group. The upper half compares different applicants, the lower "
    "half the same applications with one field changed.",
    "power": "The smallest difference each contrast could have seen at the plan's power; a bar beyond the grey band "
    "could have missed one of the practical threshold.",
    "margins": "Each row is the distribution of one arm's scores, the log-odds of the favourable answers. Line with "
    "the bob: the model's own cut-off. Dashed: the matched one.",
}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A chart, how to read it, and the table behind it."""

    chart: Chart
    reading: str
    behind: Numbers | None


def facts(audit: Audit, story: Story) -> list[dict[str, str]]:
    """The figures of the leading contrast, short, each with the address of its cases."""
    lead = story.lead
    if lead is None:
        return []
    link, counts = cases_link(audit, lead.cases), lead.counts
    shown = [
        (f"Effect, {wording.contrast(lead)}", sentences_of.shown(lead), link),
        ("Applications", numbers.count(lead.n), link),
    ]
    for key, flipped, label in (("b", "against", "Lose approval"), ("c", "towards", "Gain approval")):
        # At the matched operating point a flip is one at another threshold: outcomes do not show it.
        at_own = lead.metric == "cf_net_effect"
        where = cases_link(audit, lead.cases, flipped=flipped) if at_own else link
        shown.append((label, numbers.count(counts.get(key)), where))
    family = sum(item.family == lead.family for item in story.measurements) if lead.family else 1
    shown.append((f"p, adjusted in a family of {family}", numbers.p_value(lead.p_adjusted), link))
    floor = story.floors

    def link_of(item: Measurement) -> str:
        return cases_link(audit, item.cases)

    if floor:
        text = wording.with_reason(floor[0])
        shown.append(
            (f"Decisions that change: {wording.lower_first(wording.contrast(floor[0]))}", text, link_of(floor[0]))
        )
    return [{"label": label, "value": value, "link": link} for label, value, link in shown]


def finding_blocks(audit: Audit, story: Story) -> list[dict[str, Any]]:
    """The findings, worst first, with the address of their cases and of their measurements' cases."""
    named = {item.id: item for item in story.measurements}
    ranked = sorted(story.bundle.findings, key=lambda item: (-item.severity.rank, item.id))
    return [
        {
            "finding": item,
            "condition": wording.with_p_values(item.condition),
            "effect": wording.with_p_values(item.effect),
            "cause": wording.with_p_values(item.cause),
            "severity": wording.severity_word(item.severity),
            "measurements": [
                {
                    "label": f"{wording.metric_label(named[key])}, {wording.contrast(named[key])}",
                    "value": sentences_of.shown(named[key]),
                    "link": cases_link(audit, named[key].cases),
                }
                for key in item.measurements
                if key in named
            ],
            "cases": cases_link(audit, item.cases) if item.cases else "",
        }
        for item in ranked
    ]


def shown_charts(audit: Audit, story: Story) -> list[Shown]:
    """The kept charts in the report's order, the verdict's own apart."""
    all_items = story.measurements
    behind = {
        "effects": [item for item in all_items if item.metric == "cf_net_effect"],
        "effects-matched": [item for item in all_items if item.metric == "cf_net_effect_matched"],
        "effects-range": [item for item in all_items if item.metric == "cf_range_effect"],
        "cut-off-curve": [item for item in all_items if item.metric == "cf_curve_effect"],
        "readability": [item for item in all_items if item.metric == "refusal_rate_gap"],
        "margin-shift": [item for item in all_items if item.metric == "cf_mean_shift_sd"],
        "power": [
            item
            for item in all_items
            if item.metric in ("cf_net_effect", "cf_net_effect_matched", "cf_range_effect")
            and item.role is Role.PRIMARY
        ],
        "rates": [i for i in all_items if i.metric == "selection_rate" and i.test in ("group_rates", "arm_rates")],
        "margins": [
            item for item in all_items if item.metric in ("cf_mean_shift", "answer_mass", "margin_sd", "near_cut_off")
        ],
    }
    names = [name for name in READING if name in story.charts]
    return [
        Shown(
            chart=story.charts[name],
            reading=READING[name],
            behind=_behind(audit, story, name, behind[name]) if behind[name] else None,
        )
        for name in names
    ]


def inside(audit: Audit, story: Story) -> list[dict[str, Any]]:
    """What the tests on internals saw, under the questions they answer: maps, other figures, self-checks."""
    return [
        {"title": title, "tests": [_inside_test(audit, story, test) for test in tests]}
        for title, tests in parts_of(story.measurements)
    ]


def _inside_test(audit: Audit, story: Story, test: InsideTest) -> dict[str, Any]:
    maps = [item for item in maps_of(test.rows) if item.name in story.charts]
    held, said = checks(test.rows), sentences(test.rows)
    features, otherwise = features_table(test.rows, story.measurements), asked_otherwise(test.rows)
    return {
        "label": test.label,
        "card": test.card,
        "maps": [
            Shown(
                chart=story.charts[item.name],
                reading=item.reading,
                behind=in_short(audit, story, item.rows, name=item.name, label=story.charts[item.name].title),
            )
            for item in maps
        ],
        "others": [
            in_short(audit, story, rows, name=f"{test.name}.{rows[0].metric}", label=wording.metric_label(rows[0]))
            for rows in without_maps(test.rows, maps)
        ],
        "sentences": said.rows if said else (),
        "features": plain(features) if features else None,
        "otherwise": plain(otherwise) if otherwise else None,
        "unstable": unstable(test.rows),
        "checks": plain(held) if held else None,
        "failed": any(not check.held for row in test.rows for check in row.checks),
    }


def ladder(story: Story) -> dict[str, Any] | None:
    """The ladder and outputs × internals: the contrast of the verdict in full, the others as a table."""
    found = ladder_rows(story.measurements)
    if not found:
        return None
    lead = story.lead
    named = lead.subject if lead else {}
    first = next((item for item in found if item.measurement.subject.items() <= named.items()), found[0])
    cells = corners(found)
    return {
        "first": first,
        "others": [item for item in found if item is not first],
        "columns": list(COLUMNS.values()),
        "rows": [(said, [cell for cell in cells if cell.outputs is outputs]) for outputs, said in ROWS.items()],
        "outside": outside_words(found),
        "explained": EXPLAINED,
    }


def checks_inside(story: Story) -> dict[str, int]:
    """How many numbers the tests on internals gave, how many self-checks they carry, and how many held."""
    rows = [row for _, tests in parts_of(story.measurements) for test in tests for row in test.rows]
    held = [check.held for row in rows for check in row.checks]
    return {"checks": len(held), "held": sum(held), "numbers": len(rows)}


def comparison_table(comparison: Comparison) -> LinkedTable:
    """What changed from one version to the other; the cases are those of the later audit."""
    items, design = comparison.measurements, wording.Design.of(comparison.later.plan.design)
    return linked(comparison.later, changes(items, design), items)


def every_number(audit: Audit, story: Story) -> Numbers:
    """All measurements, in the order of result.json."""
    return in_short(audit, story, story.measurements, name="every", label="Every number of this audit")


def numbers_by_name(audit: Audit, story: Story) -> dict[str, Numbers]:
    """Every table of the page by the name in its address."""
    shown = [*shown_charts(audit, story)]
    tables = [every_number(audit, story)]
    for part in inside(audit, story):
        for test in part["tests"]:
            shown += test["maps"]
            tables += test["others"]
    return {item.name: item for item in [*tables, *(item.behind for item in shown if item.behind)]}


def _behind(audit: Audit, story: Story, name: str, items: Sequence[Measurement]) -> Numbers:
    label = story.charts[name].title
    if name in ("rates", "margins", "cut-off-curve"):
        return in_short(audit, story, items, name=name, label=label)
    ordered = by_conclusion(items)
    return Numbers(
        name=name,
        label=label,
        audit=audit,
        items=ordered,
        set_table=lambda: linked(audit, contrasts(ordered, story.design, title=""), ordered),
    )
