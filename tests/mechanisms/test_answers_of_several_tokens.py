"""Where answers have several tokens, tests that change states read the first: they say so, and count no decision."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.mechanisms.erasure import method as erasure
from auditor.mechanisms.steering import method as steering
from auditor.records import Measurement
from auditor.synthesis.ladder import climb
from tests.acceptance.planted import planted_model
from tests.mechanisms import test_probes_and_erasure, test_sae_sparse_features
from tests.mechanisms.test_probes_and_erasure import concluded, of

SAID = "the margin of their first tokens is read"
SETTINGS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "erasure": (erasure, {"applications": 24}, "erasure_gap_removed"),
    "steering": (steering, {"applications": 24, "depths": (0.5,)}, "steering_potency"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_erasure_and_steering_count_no_decision_and_say_what_is_read(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(test_probes_and_erasure.ANSWERS, "favourable", ["Yes"])
    monkeypatch.setitem(test_probes_and_erasure.ANSWERS, "adverse", ["No"])
    module, settings, metric = SETTINGS[name]
    _, measurements, plan = concluded(module, planted_model("B", against=40.0), **settings)
    item = of(measurements, metric, group="Black")

    assert all(SAID in each.method for each in measurements)
    assert item.counts["decisions_turned"] is item.counts["decisions_p"] is item.counts["decisions"] is None
    assert "turned" not in str(item.conclusion_reason)
    assert "no decision is made by it" in str(item.conclusion_reason)
    _no_decision_elsewhere(measurements)
    (rung,) = [rung for rung in climb(measurements, plan=plan) if rung.field == "race"]
    (step,) = [step for step in rung.found if step.name == {"erasure": "used", "steering": "usable"}[name]]
    assert "read from the answers' first tokens" in step.reason
    assert "turned" not in step.reason
    assert rung.grade != "causal"


def test_sparse_features_count_no_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(test_sae_sparse_features.ANSWERS, "favourable", ["Yes"])
    monkeypatch.setitem(test_sae_sparse_features.ANSWERS, "adverse", ["No"])
    model, plan = planted_model("B", against=40.0), test_sae_sparse_features.plan_of()
    results = test_sae_sparse_features.computed(model, plan, random_draws=3)
    measurements = test_sae_sparse_features.measured(model, plan, results)
    item = of(measurements, "sparse_flip_rate", group="Black")

    assert item.estimate is None
    assert "first tokens" in str(item.missing_reason)
    _no_decision_elsewhere(measurements)


def _no_decision_elsewhere(measurements: tuple[Measurement, ...]) -> None:
    for each in measurements:
        assert each.counts.get("flip_rate") is each.counts.get("flip_rate_away") is None
        assert not each.metric.endswith("flip_rate") or each.estimate is None
