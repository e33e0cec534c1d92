"""The control of a system says what it could see; where it could see nothing, nothing of the run is equivalent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from auditor.answering.rows import SystemAnswer
from auditor.behaviour import same_system
from auditor.model_manifest import SystemIdentity
from auditor.records import Conclusion, Measurement, Outcome
from auditor.run_record import HowRead
from auditor.testing.asked_system import AskedSystem
from auditor.testing.context import Context
from tests.engine.made_up import Answers, made_up, measured, pair_plan

MOMENTS = ("drift end", "drift middle", "drift start")
GREEDY: dict[str, Any] = {"readout": "choice", "deterministic": True}
SAMPLED: dict[str, Any] = {"readout": "choice", "deterministic": False, "temperature": 1.0, "replicates": 1}


def asked(*, changed: int = 0, model: str = "underwriter", fingerprint: str = "", **how: Any) -> AskedSystem:
    """Ten applications asked three times, of which so many got another outcome at the end."""
    answers = [
        SystemAnswer(
            case_id=f"{number:02d}",
            moment=moment,
            request="",
            outcome=Outcome.ADVERSE if number < changed and moment == "drift end" else Outcome.FAVOURABLE,
            model=model,
            fingerprint=fingerprint,
        )
        for number in range(10)
        for moment in MOMENTS
    ]
    return AskedSystem(SystemIdentity(kind="endpoint", model=model, fingerprint=fingerprint), HowRead(**how), answers)


def context_of(system: AskedSystem) -> Context:
    rng = np.random.default_rng(2)
    reference = np.where(rng.random(600) < 0.5, 3.0, -3.0)
    plan = pair_plan(tests=("counterfactual", "same_system"))
    return replace(made_up(Answers.of(reference, reference.copy()), plan=plan), system=system)


def control(system: AskedSystem) -> Measurement:
    [draft] = same_system.measure(context_of(system))
    return draft.measurement


def test_one_changed_answer_of_ten_ends_the_run() -> None:
    [check] = control(asked(changed=1, **GREEDY)).checks
    assert not check.held
    assert check.note == "1 of 10 answers changed when they were asked again"
    assert check.bound == 0.0


def read(system: AskedSystem, **at_the_end: Any) -> AskedSystem:
    """The same with an amount and reasons in every answer, of which the first application gets others at the end."""
    usual: dict[str, Any] = {"amount": 1200.0, "reasons": ("R01", "R02")}
    answers = [
        answer.model_copy(
            update=usual | (at_the_end if answer.case_id == "00" and answer.moment == "drift end" else {})
        )
        for answer in system.answers
        if isinstance(answer, SystemAnswer)
    ]
    return replace(system, answers=answers)


@pytest.mark.parametrize(
    "other", [{"amount": 1200.01}, {"amount": None}, {"reasons": ("R01",)}, {"reasons": None}, {"reasons": ()}]
)
def test_another_amount_and_other_reasons_are_another_answer(other: dict[str, Any]) -> None:
    [check] = control(read(asked(**GREEDY), **other)).checks
    assert not check.held
    assert check.note == "1 of 10 answers changed when they were asked again"


@pytest.mark.parametrize("same", [{}, {"amount": 1200.0000000001}, {"reasons": ("R02", "R01")}])
def test_reasons_in_another_order_and_other_last_digits_are_the_same_answer(same: dict[str, Any]) -> None:
    [check] = control(read(asked(**GREEDY), **same)).checks
    assert check.held


def test_it_says_which_change_it_would_have_seen() -> None:
    found = control(asked(**GREEDY))
    [check] = found.checks
    assert check.held
    assert found.counts["least_change_seen"] == pytest.approx(1 - 0.05 ** (1 / 10))
    assert "a change of 26% of answers or more in 95 of 100 runs" in check.note


@pytest.mark.parametrize(
    ("system", "why"),
    [
        (asked(**SAMPLED), "its answers are sampled"),
        (asked(model="", **SAMPLED), "its answers are sampled"),
        (asked(changed=4, readout="choice", deterministic=False), "it answers identical questions differently"),
        (asked(readout="choice"), "whether it answers identical questions alike is not known"),
        (replace(asked(**GREEDY), answers=()), "no application was asked again"),
    ],
)
def test_what_cannot_be_judged_is_not_held(system: AskedSystem, why: str) -> None:
    found = control(system)
    assert not found.checks
    assert found.estimate is None
    assert found.missing_reason is not None
    assert found.missing_reason.startswith("whether one system answered throughout was not judged")
    assert found.missing_reason.endswith(why)


@pytest.mark.parametrize(("model", "fingerprint"), [("gpt-4o-2024-08-06", ""), ("m-20250514", ""), ("m", "fp_1")])
def test_a_version_that_answers_name_is_judged_of_a_sampled_system_too(model: str, fingerprint: str) -> None:
    [check] = control(asked(model=model, fingerprint=fingerprint, **SAMPLED)).checks
    assert check.held
    assert "asking again tells nothing, since its answers are sampled" in check.note


@pytest.mark.parametrize(
    ("system", "conclusion"),
    [
        (asked(**GREEDY), Conclusion.EQUIVALENT_WITHIN_MARGIN),
        (asked(**SAMPLED), Conclusion.NO_EVIDENCE),
        (asked(changed=1, **GREEDY), Conclusion.INCONCLUSIVE),
    ],
)
def test_what_the_control_could_not_judge_is_called_equivalent_nowhere(
    system: AskedSystem, conclusion: Conclusion
) -> None:
    net = next(item for item in measured(context_of(system)).values() if item.metric == "cf_net_effect")
    assert net.conclusion is conclusion
    if conclusion is Conclusion.NO_EVIDENCE:
        assert net.conclusion_reason is not None
        assert "Equivalence is not said: whether one system answered throughout was not judged" in net.conclusion_reason
