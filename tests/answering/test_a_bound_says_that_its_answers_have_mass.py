"""What is known as a bound decides only where both answers together surely have the probability that the plan asks."""

from __future__ import annotations

import math

import pytest

from auditor.answering.deciding import decide
from auditor.answering.rows import SystemAnswer
from auditor.records import Outcome
from auditor.run_record import HowRead
from auditor.systems.asking import Response, TokenStep
from tests.answering.asked import plan_of

HOW = HowRead(readout="log_odds", max_tokens=2, top=5)


def answer(shown: dict[str, float], *, floor: float = 0.5, cut: float = 0.0) -> SystemAnswer:
    """What is read of an answer whose first token was the likeliest of these."""
    pairs = tuple((token, math.log(share)) for token, share in shown.items())
    step = TokenStep(*max(pairs, key=lambda pair: pair[1]), likeliest=pairs)
    plan = plan_of(
        prompt__answers={"favourable": [" approve"], "adverse": [" deny"], "mass_floor": floor},
        operating_point__natural_margin=cut,
    )
    said = Response(text=step.text, model="m", fingerprint="", steps=(step,))
    return decide(said, case_id="1", moment="", request="r", plan=plan, how=HOW)


@pytest.mark.parametrize(
    ("shown", "outcome"),
    [
        ({"approve": 0.9, "so": 0.05}, Outcome.FAVOURABLE),
        ({"deny": 0.9, "so": 0.05}, Outcome.ADVERSE),
        # The favourable answer is four times as likely as anything unseen, and both together hardly likely at all.
        ({"so": 0.6, "it": 0.2, "is": 0.1, "approve": 0.06, "a": 0.015}, Outcome.INVALID),
        ({"so": 0.6, "it": 0.2, "is": 0.1, "deny": 0.06, "a": 0.015}, Outcome.INVALID),
        # 0.45 is seen, and what is not shown may lift it over the floor.
        ({"approve": 0.45, "so": 0.4, "it": 0.06}, Outcome.UNREADABLE),
    ],
)
def test_a_bound_is_held_to_the_mass_floor(shown: dict[str, float], outcome: Outcome) -> None:
    found = answer(shown)
    assert found.margin is None
    assert found.outcome is outcome
    assert found.mass_at_least is not None
    assert found.mass_at_most is not None
    assert found.mass_at_least <= found.mass_at_most <= 1
    assert found.decision.observation == "bounded"
    if outcome in (Outcome.INVALID, Outcome.UNREADABLE):
        assert "both answers together" in found.reason
    # Without a floor the bound alone decides.
    assert answer(shown, floor=0.0).outcome in (Outcome.FAVOURABLE, Outcome.ADVERSE)
