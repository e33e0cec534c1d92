"""Where some answers have no margin, other cut-offs cannot be looked at: nothing is called equivalent behind them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auditor.model_manifest import SystemIdentity
from auditor.records import Conclusion, Outcome
from auditor.run_record import HowRead
from auditor.testing.asked_system import AskedSystem
from tests.engine.made_up import Answers, made_up, measured, pair_plan

N = 600


@pytest.mark.parametrize("outcome", [Outcome.FAVOURABLE, Outcome.REFUSED])
def test_one_application_without_margins_does_not_make_a_hidden_difference_equivalent(outcome: Outcome) -> None:
    rng = np.random.default_rng(1)
    reference = np.concatenate([rng.normal(-6, 0.5, 120), rng.uniform(1.2, 4, N - 120)])  # no decision turns at 0
    context = made_up(Answers.of(reference, reference - 1.0), plan=pair_plan(tests=("counterfactual",)))
    last = f"{N - 1:05d}"
    of_last = [key for key in context.decisions if key == last or key.startswith(f"{last}/")]
    without = {key: replace(context.decisions[key], margin=None, mass=None, outcome=outcome) for key in of_last}
    found = measured(replace(context, decisions={**context.decisions, **without}, _arms={}))
    net = next(item for item in found.values() if item.metric == "cf_net_effect")
    assert net.conclusion is Conclusion.NO_EVIDENCE
    assert "some answers have a margin and some have none" in net.conclusion_reason


@pytest.mark.parametrize(
    ("readout", "conclusion"),
    [("choice", Conclusion.EQUIVALENT_WITHIN_MARGIN), ("log_odds", Conclusion.NO_EVIDENCE)],
)
def test_bounds_alone_show_no_other_cut_off_and_are_not_called_equivalent(readout: str, conclusion: Conclusion) -> None:
    rng = np.random.default_rng(1)
    reference = np.concatenate([rng.normal(-6, 0.5, 120), rng.uniform(1.2, 4, N - 120)])
    context = made_up(Answers.of(reference, reference - 1.0), plan=pair_plan(tests=("counterfactual",)))
    bounded = {key: replace(item, margin=None, mass=None) for key, item in context.decisions.items()}
    system = AskedSystem(SystemIdentity(kind="endpoint"), HowRead(readout=readout, deterministic=True))
    found = measured(replace(context, decisions=bounded, system=system, _arms={}))
    net = next(item for item in found.values() if item.metric == "cf_net_effect")
    assert net.conclusion is conclusion
    if readout == "log_odds":
        assert "answers give bounds of a margin and no number" in net.conclusion_reason
