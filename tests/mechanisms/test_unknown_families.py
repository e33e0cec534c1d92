"""A family without an adapter gets every test that needs no structure, and a reason for each of the others."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.language_models.packed import PackingProbe
from auditor.mechanisms._shared.work import silence
from auditor.mechanisms.attribution_patching import method as attribution_patching
from auditor.mechanisms.components import method as components
from auditor.mechanisms.erasure import method as erasure
from auditor.mechanisms.field_attribution import method as field_attribution
from auditor.mechanisms.patching import method as patching
from auditor.mechanisms.probing import method as probes
from auditor.mechanisms.steering import method as steering
from auditor.records import Conclusion, Measurement
from auditor.testing.factory import not_tested
from tests.engine.small import small_plan
from tests.language_models.zoo import zoo_model
from tests.mechanisms.asking import compute_context as toy_bench
from tests.mechanisms.test_probes_and_erasure import concluded

SETTINGS: dict[Any, dict[str, Any]] = {
    field_attribution: {"cases": 2, "shapley_cases": 1, "players": 3},
    probes: {"applications": 16, "untrained": False, "folds": 2},
    erasure: {"applications": 16},
    steering: {"applications": 16, "depths": (0.5,), "doses": (1.0,)},
}
STRUCTURED = (components, attribution_patching, patching)


def measured(test: Any, family: str, **settings: Any) -> tuple[Measurement, ...]:
    return concluded(test, zoo_model(family), probe=PackingProbe(False, None, "takes no tree mask"), **settings)[1]


@pytest.mark.parametrize("family", ["bloom", "mamba"])
@pytest.mark.parametrize("test", SETTINGS, ids=lambda test: test.CARD.name)
def test_what_needs_no_structure_gives_numbers_whose_checks_hold(test: Any, family: str) -> None:
    rows = measured(test, family, **SETTINGS[test])

    assert sum(row.estimate is not None for row in rows) >= (3 if test is steering else 6)
    assert [check for row in rows for check in row.checks if not check.held] == []


@pytest.mark.parametrize("test", STRUCTURED, ids=lambda test: test.CARD.name)
def test_what_needs_structure_is_not_tested_and_says_why(test: Any) -> None:
    rows = measured(test, "bloom")

    assert rows
    assert {row.conclusion for row in rows} == {Conclusion.NOT_TESTED}
    assert all(row.estimate is None and "bloom" in str(row.missing_reason).lower() for row in rows)


def test_a_model_that_does_not_answer_is_not_looked_into() -> None:
    floor = 0.5
    plan = small_plan(prompt__answers={"favourable": ["Y"], "adverse": ["N"], "mass_floor": floor})
    context = toy_bench(field_attribution.Settings(), plan=plan)
    reason = silence(context, ["Loan 120. Race: White. Decision:"] * 3)

    assert float(context.masses(["Loan 120. Race: White. Decision:"])[0]) < floor
    assert reason is not None
    assert "3 of 3 applications" in reason
    row = not_tested(field_attribution.CARD, reason, level=0.95)
    assert (row.estimate, row.conclusion, row.missing_reason) == (None, Conclusion.NOT_TESTED, reason)
