"""Every registered test keeps to the contract that `auditor.testing.checks` holds strangers' tests to."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from auditor.catalogue import TESTS, looks_inside, on_outputs
from auditor.language_models.packed import PackingProbe
from auditor.records import Role
from auditor.testing.card import Card, Metric
from auditor.testing.checks import check_card, check_measurements, check_test
from auditor.testing.context import Context
from auditor.testing.factory import made
from auditor.testing.unadjusted import UnadjustedMeasurement
from tests.engine.small import small_cases, small_data, small_plan
from tests.language_models.tiny import tiny_model
from tests.mechanisms.every_method import computed
from tests.mechanisms.test_sae_sparse_features import decided

GOOD = Card(
    name="mine",
    purpose="What.",
    method="How.",
    worrying="When.",
    limitations="Where not.",
    label="Mine",
    metrics=(Metric("thing", "Thing", "count"),),
)
ROW = made(
    test="mine", metric="thing", subject={"field": "race"}, role=Role.SUPPORTING, unit="count", level=0.95, estimate=1.0
)


def on_answers(name: str) -> Context:
    plan, data = small_plan(tests__run=[name]), small_data(60)
    cases = small_cases(plan, data)
    margins = np.random.default_rng(3).normal(size=len(cases))
    return Context(
        plan=plan,
        cases=cases,
        decisions={case.id: decided(case, float(margin)) for case, margin in zip(cases, margins, strict=True)},
        observed={record.id: record.favourable for record in data.records},
        values={record.id: record.values for record in data.records},
        observed_rate=0.6,
    )


@pytest.mark.parametrize("name", sorted(filter(on_outputs, TESTS)))
def test_a_test_on_outputs_keeps_its_contract(name: str) -> None:
    check_test(TESTS[name], on_answers(name))


@pytest.mark.parametrize("name", sorted(name for name, test in TESTS.items() if looks_inside(test)))
def test_a_test_on_internals_keeps_its_contract(name: str) -> None:
    probe = PackingProbe(packable=True, largest_difference=0.0, reason="")
    check_test(TESTS[name], computed(name, tiny_model(), probe))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"name": "My test"}, "expected small letters"),
        ({"purpose": ""}, "its card has no purpose"),
        ({"method": "no sentence"}, "the method on its card is not a sentence"),
        ({"question": "whither"}, "its question is 'whither'"),
        ({"metrics": ()}, "its card names no metric"),
        ({"metrics": (Metric("a", "A"), Metric("a", "A"))}, "names the metric 'a' twice"),
        ({"metrics": (Metric("a", ""),)}, "has no label"),
        ({"needs_internals": True}, "has no Settings"),
    ],
)
def test_a_card_that_says_too_little_is_named(changes: dict[str, Any], line: str) -> None:
    assert check_card(SimpleNamespace(CARD=GOOD)) == []
    assert any(line in found for found in check_card(SimpleNamespace(CARD=replace(GOOD, **changes))))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"id": "mine/thing"}, "expected the id mine/thing/field=race"),
        ({"metric": "other", "id": "mine/other/field=race"}, "its metric is not on the card"),
        ({"unit": "rate"}, "its card says 'count'"),
        ({"higher_is_better": True}, "higher is better: True, and its card says None"),
        ({"estimate": float("nan")}, "estimate is nan"),
        ({"estimate": None}, "has no number and no reason"),
        ({"low": 2.0, "high": 1.0}, "upside down"),
    ],
)
def test_a_measurement_that_breaks_its_form_is_named(changes: dict[str, Any], line: str) -> None:
    assert check_measurements(GOOD, [ROW]) == []
    assert any(line in found for found in check_measurements(GOOD, [replace(ROW, **changes)]))


def test_a_test_that_changes_its_mind_is_named() -> None:
    values = iter(range(9))

    def measure(context: Context) -> list[UnadjustedMeasurement]:
        return [UnadjustedMeasurement(replace(ROW, estimate=float(next(values))))]

    with pytest.raises(AssertionError, match="does not measure the same"):
        check_test(SimpleNamespace(CARD=GOOD, measure=measure), on_answers("arm_rates"))
