"""What a run will ask for is told before anybody is asked, and counts the very requests that then go out."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.answering.costing import cost_lines, run_cost
from auditor.conductor import prepare
from auditor.exceptions import ModelError
from auditor.language_models.store import ModelStore
from tests.answering.asked import audited, listed, plan_of
from tests.engine.small import small_data
from tests.systems.answering import answering

PRICES = 'most_money = 9.0\n[endpoint.x.prices]\ncurrency = "EUR"\nprompt = 2.0\nanswer = 10.0\nrequest = 0.001\n'


@pytest.mark.parametrize("dialect", ["completions", "chat_completions"])
def test_the_estimate_counts_the_requests_that_go_out(tmp_path: Path, dialect: str) -> None:
    with answering() as server:
        store = ModelStore(listed(tmp_path, server.url, dialect=dialect, more=PRICES))
        model = store.import_model("endpoint:x")
        plan = plan_of(tests__run=["counterfactual"], limits__requests=500)
        plan = plan.model_copy(update={"run": plan.run.model_copy(update={"model": "endpoint:x"})})
        prepared = prepare(plan=plan, model=model, data=small_data(), where="small")
        about = store.systems.listed("endpoint:x")
        cost = run_cost(prepared.run, prepared.chunks, model=model, listed=about)
        lines = cost_lines(prepared.run, prepared.chunks, model=model, listed=about)
        before = len(server.asked)
        found = audited(tmp_path, server.url, dialect=dialect, more=PRICES, tests__run=["counterfactual"])
        probe = before
        assert len(server.asked) - before - probe == cost.requests == prepared.prompts
    assert found.conclusions.asking is not None
    sent = found.conclusions.asking.sent
    assert cost.money is not None
    assert cost.most_money is not None
    # Tokens by the probe's own ratio of characters: not exact, and not far.
    assert sent.money / 3 < cost.money <= cost.most_money
    assert sent.money <= cost.most_money * 3
    assert lines[0].startswith(f"To be asked of endpoint:x: {cost.requests} requests; about ")
    assert "; EUR 0." in lines[0]
    assert lines[1] == "It stops at 500 requests and at EUR 9.00, with everything kept"


def test_a_limit_of_money_needs_prices(tmp_path: Path) -> None:
    with answering() as server, pytest.raises(ModelError, match=r"has no prices, so that limits\.money bounds"):
        audited(tmp_path, server.url, tests__run=["counterfactual"], limits__money=1.0)
