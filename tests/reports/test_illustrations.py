"""A share of four applications is called an illustration wherever a report shows it, and not only in result.json."""

from __future__ import annotations

import pytest

from auditor.records import Measurement, Role
from auditor.statistics.minimums import FOR_A_SHARE, scope
from reports import wording
from reports.maps import maps_of


def share(n: int, layer: int) -> Measurement:
    return Measurement(
        id=f"patching/patch_mlp/{layer}",
        test="patching",
        metric="patch_mlp",
        role=Role.SUPPORTING,
        subject={"field": "race", "group": "Black", "layer": str(layer)},
        unit="share",
        reference="White",
        estimate=0.5,
        n=n,
        method="; ".join(part for part in ("share of the difference", scope(n)) if part),
        level=0.95,
    )


@pytest.mark.parametrize(("n", "said"), [(2, "2 applications"), (4, "4 applications")])
def test_the_words_below_a_chart_say_that_it_illustrates(n: int, said: str) -> None:
    (shown,) = maps_of([share(n, layer) for layer in range(4)])
    assert shown.reading.endswith(f"An illustration, {said}: 24 and more would tell how it is in general.")


def test_from_enough_applications_on_it_is_a_figure() -> None:
    (shown,) = maps_of([share(FOR_A_SHARE, layer) for layer in range(4)])
    assert "illustration" not in shown.reading


def test_a_withheld_figure_illustrates_nothing() -> None:
    from dataclasses import replace

    assert wording.illustration([replace(share(4, 0), estimate=None, missing_reason="a check failed")]) == ""
