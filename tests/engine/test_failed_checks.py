"""A check that does not hold ends in no number and its reason everywhere; nothing crashes once all is scored."""

from __future__ import annotations

import json
from pathlib import Path

from auditor.conductor import conclude
from auditor.environment import Environment
from auditor.evidence import REPEATABLE, write_evidence
from auditor.records import Case, Conclusion
from tests.engine.small import biased, simulated, small_data, small_plan
from tests.records import run_of


def test_a_failed_re_ask_check_leaves_a_reason_where_the_numbers_were(tmp_path: Path) -> None:
    worth = biased(shift={"Black": -0.6}, noise=0.0)

    def margin(case: Case) -> float:
        return worth(case) + (0.5 if case.role == "reask" else 0.0)

    ledger = simulated(tmp_path, small_plan(use__model_tier=1), small_data(300), margin)
    conclusions = conclude(ledger)
    floor = conclusions.controls.noise_floor
    assert (floor.flip_rate, floor.low, floor.high) == (None, None, None)
    assert "packed equals alone" in floor.missing_reason
    assert conclusions.controls.noise_floor_matched.flip_rate is None
    assert conclusions.controls.placebo.flip_rate == 0
    concluded = [item for item in conclusions.measurements if item.conclusion is not None]
    assert concluded
    for item in concluded:
        assert item.conclusion is Conclusion.INCONCLUSIVE, item.id
        assert "packed equals alone" in (item.conclusion_reason or ""), item.id
    assert conclusions.findings, "a top-tier model's inconclusive tests are findings"
    write_evidence(tmp_path / "evidence", run_of({}), conclusions, Environment(cpus=1))
    for name in REPEATABLE:
        if name.endswith(".json"):
            json.loads((tmp_path / "evidence" / name).read_text(encoding="utf-8"))
