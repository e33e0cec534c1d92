"""llama.cpp's server is a system like any: its log-probabilities and texts are those of the weights it was given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import auditor
from auditor.door.results import Audited
from auditor.language_models.store import ModelStore, demo_file
from auditor.plan import Plan, plan_from
from auditor.readouts.log_odds import spellings
from auditor.records import Outcome
from tests.answering.asked import listed
from tests.answering.test_an_endpoint_agrees_with_the_white_box import PLAIN
from tests.systems.llama_server import serving, single_precision

pytestmark = pytest.mark.model

RAW = {
    "schema": 2,
    "name": "llama-server",
    "title": "The server of llama.cpp",
    "use": {"business_use": "Loans", "decision_role": "advisory"},
    "cases": {"limit": 4, "seed": 3},
    "prompt": PLAIN,
    "attributes": [{"field": "sex", "groups": ["male", "female"], "reference": "male"}],
    "tests": {"run": ["counterfactual"]},
}
#: Every way to spell them that counts, as what a list does not show might be any of them.
CHAT = {
    "form": "chat",
    "template": "Applicant: {sex}, loan to value {loan_to_value}, obligations {obligations_ratio}.\n"
    "Should the bank approve the loan? Answer with one word, yes or no.",
    "answers": {
        "favourable": spellings(["Yes"], loose=True),
        "adverse": spellings(["No"], loose=True),
        "mass_floor": 0.0,
    },
}
SCHEMA = {"readout": "choice", "form": "json_schema"}


def plan_of(**reading: object) -> Plan:
    return plan_from({**RAW, "reading": reading}, where="llama")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("llama")
    with serving(single_precision(demo_file(), folder / "model.gguf"), folder) as address:
        yield address


@pytest.fixture(scope="module")
def white_box(demo_store: ModelStore, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    folder = tmp_path_factory.mktemp("white")
    return auditor.audit(plan_of(), folder=folder, model="demo:smollm2", data="demo:loanapp", store=demo_store.root)


def over_the_wire(folder: Path, url: str, plan: Plan, *, dialect: str = "chat_completions", more: str = "") -> Audited:
    store = listed(folder, url, dialect=dialect, more=f"concurrency = 1\n{more}")
    return auditor.audit(plan, folder=folder / "run", model="endpoint:x", data="demo:loanapp", store=store)


def outcomes(found: Audited) -> Mapping[str, Outcome]:
    return {item.case_id: item.outcome for item in found.conclusions.decisions}


def test_margins_of_its_log_probabilities_are_those_of_the_weights(
    tmp_path: Path, url: str, white_box: Audited
) -> None:
    found = over_the_wire(tmp_path, url, plan_of(max_tokens=1), dialect="completions")
    assert found.run.model.manifest.system is not None
    assert found.run.model.manifest.system.log_probabilities == "likeliest tokens"
    truth = {item.case_id: item.margin for item in white_box.conclusions.decisions}
    seen = {item.case_id: item.margin for item in found.conclusions.decisions}
    assert len(truth.keys() & seen.keys()) == 8
    assert seen == {case: pytest.approx(truth[case], abs=1e-3) for case in seen}


def test_bounds_of_its_chat_hold_what_the_weights_say(tmp_path: Path, url: str, demo_store: ModelStore) -> None:
    raw = {**RAW, "prompt": CHAT, "reading": {"max_tokens": 1}}
    plan, folder = plan_from(raw, where="llama"), tmp_path / "white"
    white = auditor.audit(plan, folder=folder, model="demo:smollm2", data="demo:loanapp", store=demo_store.root)
    found = over_the_wire(tmp_path, url, plan)
    truth = {item.case_id: item.margin for item in white.conclusions.decisions}
    assert found.conclusions.asking is not None
    for answer in found.conclusions.asking.answers:
        margin = truth.get(answer.case_id)
        assert margin is None or (answer.at_least is not None and answer.at_least <= margin + 1e-3)
        assert margin is None or (answer.at_most is not None and margin <= answer.at_most + 1e-3)


def test_its_greedy_texts_are_those_that_the_weights_generate(tmp_path: Path, url: str, demo_store: ModelStore) -> None:
    choice = {"readout": "choice", "max_tokens": 4}
    stops = 'extra = {stop = "\\n"}'
    found = over_the_wire(tmp_path, url, plan_of(**choice), dialect="completions", more=stops)
    where = {"folder": tmp_path / "white", "data": "demo:loanapp", "store": demo_store.root}
    white = auditor.audit(plan_of(**choice, stop=["\n"]), model="demo:smollm2", **where)  # type: ignore[arg-type]
    assert outcomes(found) == outcomes(white)
    assert set(outcomes(found).values()) <= {Outcome.FAVOURABLE, Outcome.ADVERSE}


def test_a_schema_binds_its_answers(tmp_path: Path, url: str) -> None:
    found = over_the_wire(tmp_path, url, plan_from({**RAW, "prompt": CHAT, "reading": SCHEMA}, where="llama"))
    assert found.run.model.manifest.system is not None
    assert found.run.model.manifest.system.json_schema
    assert {item.observation for item in found.conclusions.decisions} == {"read"}
