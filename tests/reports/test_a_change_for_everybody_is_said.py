"""A version that denies everybody more often changes no contrast of groups; the comparison says it all the same."""

from __future__ import annotations

import pytest

from auditor.records import Measurement, Role
from reports.tables import changes
from tests.reports.test_sentences import DESIGN


def moved(estimate: float, low: float, high: float) -> Measurement:
    return Measurement(
        id="v",
        test="version_comparison",
        metric="version_net_change",
        role=Role.SECONDARY,
        subject={"role": "actual"},
        unit="rate_difference",
        reference="earlier",
        estimate=estimate,
        low=low,
        high=high,
        level=0.95,
        n=1500,
    )


@pytest.mark.parametrize(("estimate", "way"), [(-0.33, "33.0 percentage points fewer"), (0.04, "points more")])
def test_what_changed_for_all_applications_is_said(estimate: float, way: str) -> None:
    note = changes([moved(estimate, estimate - 0.02, estimate + 0.02)], DESIGN).note
    assert way in note
    assert "does not speak of it" in note


@pytest.mark.parametrize(("estimate", "half"), [(0.0, 0.01), (-0.01, 0.005), (-0.03, 0.05)])
def test_a_small_or_unsure_change_is_not(estimate: float, half: float) -> None:
    assert (
        "As filed, the later version" not in changes([moved(estimate, estimate - half, estimate + half)], DESIGN).note
    )
