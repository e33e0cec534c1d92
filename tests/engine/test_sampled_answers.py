"""Answers that were sampled have neither margin nor probability: what needs them says so, and the rest is concluded."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.conductor import conclude
from auditor.records import Case, Conclusion, Decision, Outcome
from tests.engine import small
from tests.engine.small import biased, simulated, small_data, small_plan


def _sampled(case: Case, margin: float, mass: float, plan: object) -> Decision:
    return Decision(case.id, None, None, None, None, Outcome.FAVOURABLE if margin >= 0 else Outcome.ADVERSE)


def test_a_run_of_sampled_answers_is_concluded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "_decide", _sampled)
    done = conclude(simulated(tmp_path, small_plan(), small_data(400, seed=1), biased(shift={"Black": -0.5}, seed=2)))
    black = {item.metric: item for item in done.measurements if item.subject == {"field": "race", "group": "Black"}}
    assert black["cf_net_effect"].conclusion is Conclusion.DIFFERENCE_FOUND
    assert black["cf_range_effect"].conclusion is Conclusion.INCONCLUSIVE
    assert black["cf_range_effect"].missing_reason == "not every answer has a margin"
    reasons = {item.metric: item.missing_reason for item in done.measurements if item.estimate is None}
    assert reasons["answer_mass"] == "not every answer has a probability"
    assert reasons["margin_sd"] == reasons["auc"] == "not every answer has a margin"
