"""Small groups of people, and shares of a handful of decisions: hidden, and with them what would give them back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditor.records import Conclusion, Measurement, Role
from reports.bundle import Bundle
from reports.charts import rate_chart
from reports.printable import printable
from reports.small_cells import BESIDE, FEW, WITHHELD, people, printed_counts
from reports.wording import Design
from tests.reports.conftest import Audit


def filed(metric: str, group: str, n: int, *, reference: str | None = None, estimate: float = 0.5) -> Measurement:
    return Measurement(
        id=f"{metric}/{group}",
        test="group_rates",
        metric=metric,
        role=Role.EXPLORATORY,
        subject={"field": "race", "group": group},
        unit="rate",
        reference=reference,
        estimate=estimate,
        low=0.4,
        high=0.6,
        n=n,
        p_value=0.01,
        p_adjusted=0.02,
        conclusion=Conclusion.DIFFERENCE_FOUND if reference else None,
        level=0.95,
    )


def table(**sizes: int) -> tuple[Measurement, ...]:
    rates = [filed("selection_rate", group, n) for group, n in sizes.items()]
    gaps = [
        filed(metric, group, n + sizes["White"], reference="White")
        for group, n in sizes.items()
        if group != "White"
        for metric in ("risk_difference", "impact_ratio", "denial_odds_ratio", "shortfall", "smd")
    ]
    return (*rates, *gaps)


def shown(rows: tuple[Measurement, ...]) -> set[str]:
    return {item.id for item in printable(rows, small_cell=11) if item.estimate is not None}


def test_large_groups_are_printed_as_they_are() -> None:
    rows = table(White=500, Black=80, Hispanic=20)
    assert printable(rows, small_cell=11) == rows


def test_of_two_groups_both_are_hidden_where_one_is_small() -> None:
    assert shown(table(White=593, Black=7)) == set()


def test_of_three_groups_the_next_smallest_goes_with_a_small_one_and_every_comparison_with_them() -> None:
    rows = table(White=513, Black=80, Hispanic=7)
    assert shown(rows) == {"selection_rate/White"}
    reasons = {item.id: item.missing_reason for item in printable(rows, small_cell=11)}
    assert reasons["selection_rate/Hispanic"] == FEW
    assert reasons["selection_rate/Black"] == BESIDE


def test_two_small_groups_that_are_many_together_hide_no_third() -> None:
    assert shown(table(White=500, Black=9, Hispanic=8, Asian=90)) == {
        "selection_rate/White",
        "selection_rate/Asian",
        *(f"{metric}/Asian" for metric in ("risk_difference", "impact_ratio", "denial_odds_ratio", "shortfall", "smd")),
    }


def test_what_a_hidden_group_leaves_of_the_number_asked_about_is_no_small_group() -> None:
    rows = table(White=500, Black=90, Hispanic=30, Asian=5)
    # Of 627, the 5 hidden and 2 of no group would be 627 less what is printed: a third group goes with them.
    beside = {item.id for item in printable(rows, small_cell=11, total=627) if item.estimate is not None}
    assert "selection_rate/Hispanic" not in beside
    assert "impact_ratio/Hispanic" not in beside
    assert {"selection_rate/White", "selection_rate/Black", "impact_ratio/Black"} <= beside
    many = {item.id for item in printable(rows, small_cell=11, total=700) if item.estimate is not None}
    assert {"selection_rate/Hispanic", "impact_ratio/Hispanic"} <= many


def test_a_few_without_a_group_hide_no_comparison() -> None:
    rows = table(White=500, Black=90, Hispanic=30)
    whole = {item.id for item in rows}
    for asked in (620, 626, 700):
        assert {item.id for item in printable(rows, small_cell=11, total=asked) if item.estimate is not None} == whole


def test_a_bundle_is_printed_against_the_number_that_it_asked_about(working: Audit) -> None:
    rows = tuple(item for item in working.bundle.measurements if item.test != "group_rates")
    data = working.bundle.run.data.model_copy(update={"selected": tuple(str(n) for n in range(627))})
    run = working.bundle.run.model_copy(update={"data": data})
    bundle = replace(working.bundle, run=run, measurements=(*rows, *table(White=500, Black=90, Hispanic=30, Asian=5)))
    hidden = {item.id for item in bundle.printable if item.test == "group_rates" and item.estimate is None}
    assert "selection_rate/Hispanic" in hidden


def test_a_hidden_number_keeps_no_figure_from_which_it_could_be_had() -> None:
    for item in printable(table(White=593, Black=7), small_cell=11):
        assert (item.estimate, item.low, item.high, item.p_value, item.p_adjusted, item.sd_units) == (None,) * 6
        assert item.conclusion in (None, Conclusion.INCONCLUSIVE)
        assert item.n in (0, 7)
        assert people(item, small_cell=11) in ("< 11", WITHHELD)


def test_a_list_of_reasons_does_not_give_its_one_small_count_away() -> None:
    assert printed_counts({"a": 900, "b": 481, "c": 8, "d": 0}, small_cell=11) == {
        "a": "900",
        "b": WITHHELD,
        "c": "< 11",
        "d": "0",
    }
    assert printed_counts({"a": 900, "b": 481}, small_cell=11) == {"a": "900", "b": "481"}


def test_charts_and_pages_show_no_hidden_rate(working: Audit) -> None:
    rows = {item.id: item for item in working.bundle.measurements if item.test != "group_rates"}
    rows |= {item.id: replace(item, estimate=0.123456) for item in table(White=593, Black=7)}
    bundle: Bundle = replace(working.bundle, measurements=tuple(rows.values()))
    chart = rate_chart(bundle.measured(metric="selection_rate"), {"race": "White"}, Design.of(bundle.plan))
    assert chart is not None
    assert "12.3" not in chart.svg
    assert "593" not in chart.svg


@pytest.mark.parametrize(("n", "printed"), [(2, False), (29, False), (30, True)])
def test_a_main_reason_of_a_handful_of_decisions_is_a_dash_with_their_number(n: int, printed: bool) -> None:
    item = Measurement(
        "x",
        "field_attribution",
        "reason_share",
        Role.SUPPORTING,
        {"field": "race"},
        "rate",
        estimate=1.0,
        n=n,
        level=0.95,
    )
    (found,) = printable([item], small_cell=11)
    assert (found.estimate is not None) is printed
    assert printed or f"{n} decisions are too few: this share needs 30" in str(found.missing_reason)
    assert found.n == n
