"""A plan put to an endpoint goes from its cases to measurements as one put to weights does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from auditor.evidence import REPEATABLE
from auditor.exceptions import PlanError
from auditor.records import Conclusion, Outcome
from tests.answering.asked import audited
from tests.systems.answering import answering
from tests.systems.faults import Asked, Fault

QUICK: dict[str, Any] = {"tests__run": ["counterfactual"]}


@pytest.mark.parametrize(
    ("dialect", "readout", "observations"),
    [
        ("completions", "log_odds", {"scored"}),
        ("chat_completions", "log_odds", {"scored", "bounded"}),
        ("anthropic_messages", "choice", {"read"}),
    ],
)
def test_a_plan_of_schema_1_is_read_by_what_the_system_gives(
    tmp_path: Path, dialect: str, readout: str, observations: set[str]
) -> None:
    with answering() as server:
        found = audited(tmp_path, server.url, dialect=dialect, schema=1, **QUICK)
    how, decisions = found.run.reading, found.conclusions.decisions
    assert how is not None
    assert how.readout == readout
    assert how.deterministic is True
    assert {item.observation for item in decisions} == observations
    assert all((item.margin is not None) == (item.observation == "scored") for item in decisions)
    assert {item.case_id for item in decisions} == {item.id for item in found.conclusions.cases}
    assert "reading" not in found.run.design
    effect = found.measurement("counterfactual/cf_net_effect/field=race/group=Black/vs=White")
    assert effect.estimate is not None


def test_a_test_that_looks_inside_is_not_tested_and_says_why(tmp_path: Path) -> None:
    with answering() as server:
        found = audited(tmp_path, server.url, tests__run=["arm_rates", "probes"])
    [inside] = [item for item in found.conclusions.measurements if item.test == "probes"]
    assert inside.conclusion is Conclusion.NOT_TESTED
    assert inside.conclusion_reason == "the run asks a system that answers: its inside cannot be seen"


@pytest.mark.parametrize(
    ("dialect", "changes", "line"),
    [
        (
            "anthropic_messages",
            {"reading__readout": "log_odds"},
            "reading.readout: 'log_odds' cannot be read: the probe found no log-probabilities; "
            "expected 'auto' or 'choice'",
        ),
        (
            "completions",
            {"prompt__form": "chat"},
            "prompt.form: 'chat': completions continues a text as it stands; "
            "expected 'record', or an endpoint that takes messages",
        ),
        (
            "completions",
            {"reading__form": "tool"},
            "reading.form: 'tool' was not honoured when it was probed; expected 'text'",
        ),
        ("anthropic_messages", {"reading__seed": 1}, "reading.seed: the dialect has no words for it; expected no seed"),
        (
            "completions",
            {"reading__temperature": 1.0},
            "reading.temperature: whole answers are scored, nothing is sampled; expected 0.0",
        ),
        (
            "anthropic_messages",
            {"prompt__answers": {"favourable": [" yes"], "adverse": ["Yes"]}},
            "prompt.answers: cannot be told apart in a text; expected labels that differ",
        ),
    ],
)
def test_what_a_system_cannot_do_is_refused_before_anybody_is_asked(
    tmp_path: Path, dialect: str, changes: dict[str, Any], line: str
) -> None:
    with answering() as server:
        with pytest.raises(PlanError) as refusal:
            audited(tmp_path, server.url, dialect=dialect, **changes)
        assert line in str(refusal.value)
        assert not any("Income" in str(asked.body) for asked in server.asked)


def test_what_is_refused_or_cannot_be_read_is_an_outcome_of_its_own(tmp_path: Path) -> None:
    def faults(asked: Asked) -> Fault | None:
        text = str(asked.body)
        if "Race Black" not in text or "Sex" not in text:
            return None
        return Fault(meaning="refusal") if "Sex female" in text else Fault(meaning="cut off")

    with answering(faults=faults) as server:
        found = audited(tmp_path, server.url, reading__readout="choice", **QUICK)
    outcomes = {item.case_id: item.outcome for item in found.conclusions.decisions}
    black = {case.id: case.prompt for case in found.conclusions.cases if "Race Black" in case.prompt}
    for case, prompt in black.items():
        assert outcomes[case] is (Outcome.REFUSED if "Sex female" in prompt else Outcome.UNREADABLE)
    gap = found.measurement("counterfactual/refusal_rate_gap/field=race/group=Black/vs=White")
    assert gap.estimate is not None
    assert gap.estimate > 0.5
    refusals = found.measurement("counterfactual/refused_gap/field=race/group=Black/vs=White")
    assert refusals.estimate is not None
    assert 0 < refusals.estimate < gap.estimate
    assert found.conclusions.asking is not None
    read = {answer.case_id: answer for answer in found.conclusions.asking.answers if not answer.moment}
    refused = next(case for case, prompt in black.items() if "Sex female" in prompt)
    assert read[refused].text == "I'm sorry, but I can't help with that."
    assert read[refused].reason == "the answer declines"


def test_the_same_answers_give_the_same_bytes(tmp_path: Path) -> None:
    with answering() as server:
        first, second = (audited(tmp_path / name, server.url, **QUICK) for name in ("one", "two"))
    assert first.run.digest() == second.run.digest()
    for name in (*REPEATABLE, "answers.parquet", "requests.parquet"):
        assert (first.evidence / name).read_bytes() == (second.evidence / name).read_bytes(), name
