"""Every test on internals, small, through to its measurements: from few applications no figure has an interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from auditor.mechanisms._shared.enough import measured, printable
from auditor.mechanisms._shared.paired_means import student_interval
from auditor.records import Measurement, Role
from auditor.statistics.minimums import FOR_A_SHARE, ILLUSTRATION
from auditor.statistics.results import Estimate, Interval, Significance, missing
from tests.acceptance.planted import planted_model
from tests.mechanisms.asking import PACKABLE
from tests.mechanisms.every_method import INSIDE, SETTINGS
from tests.mechanisms.every_method import measured as conclude

#: Features of a dictionary are what it is drawn over, and it has a minimum of draws of its own, which its card says.
OWN_RULE = {("superposition", "superposition_excess")}
ESTIMATE = Estimate(
    value=0.5,
    n=FOR_A_SHARE - 1,
    method="a mean",
    interval=Interval(0.1, 0.9, 0.95, "Student"),
    test=Significance(0.01, "t"),
)
ABOUT: dict[str, Any] = {
    "test": "t",
    "metric": "m",
    "role": Role.SUPPORTING,
    "subject": {"field": "race"},
    "unit": "logit",
    "cases": "role:actual",
    "level": 0.95,
}


@pytest.mark.parametrize("name", INSIDE)
def test_no_method_gives_an_interval_from_few_applications(name: str) -> None:
    applications = SETTINGS[name].get("applications", 8)
    assert applications < FOR_A_SHARE

    rows = [row for row in conclude(name, planted_model("B", against=40.0), PACKABLE) if row.estimate is not None]

    assert rows
    for row in rows:
        if (name, row.metric) in OWN_RULE:
            continue
        assert (row.low, row.high) == (None, None), row.id
        ends = {key: value for key, value in row.counts.items() if key.endswith(("_low", "_high"))}
        assert set(ends.values()) <= {None}, row.id


@pytest.mark.parametrize("n", [1, 2, 12, FOR_A_SHARE - 1])
def test_few_are_called_an_illustration_and_lose_interval_and_test(n: int) -> None:
    found = printable(ESTIMATE, n=n)

    assert (found.value, found.interval, found.test) == (0.5, None, None)
    assert ILLUSTRATION in found.method


def test_enough_keep_both_and_nothing_is_added() -> None:
    assert printable(ESTIMATE, n=FOR_A_SHARE) == ESTIMATE


def test_what_counts_is_what_it_was_measured_on_and_not_what_the_estimate_was_given() -> None:
    many = Estimate(value=0.5, n=4000, method="contexts", interval=ESTIMATE.interval)

    assert printable(many, n=6).interval is None
    assert "6 applications" in printable(many, n=6).method
    assert "an illustration, 6 features: 24" in printable(many, n=6, what="features").method
    assert "one feature" in printable(many, n=1, what="features").method


def test_a_figure_that_is_missing_stays_as_it_is() -> None:
    nothing = missing(method="a mean", reason="none", n=0)

    assert printable(nothing) is nothing


@pytest.mark.parametrize(
    ("more", "kept"), [({}, False), ({"exact": True}, True), ({"family": "inside: t"}, True), ({"family": None}, False)]
)
def test_exact_and_declared_p_values_stay(more: dict[str, Any], kept: bool) -> None:
    item: Measurement = measured(ESTIMATE, **ABOUT, **more)

    assert item.low is None
    assert (item.p_value == 0.01) is kept
    assert ILLUSTRATION in item.method


def test_students_interval_holds_the_mean_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    draws = generator.normal(0.3, 1.0, (2000, FOR_A_SHARE))
    held = [low <= 0.3 <= high for low, high in (student_interval(row, level=0.95) for row in draws)]

    assert np.mean(held) == pytest.approx(0.95, abs=0.015)
