"""The server that transformers itself ships is a system like any: the texts it generates are those of the weights."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
import pytest

import auditor
from auditor.door.results import Audited
from auditor.language_models.store import ModelStore
from auditor.plan import Plan, plan_from
from auditor.records import Outcome
from tests.language_models.bigram import yes_or_no
from tests.language_models.tiny import save_tiny
from tests.servers import free_port, until_it_answers

pytestmark = pytest.mark.model

SHOTS = "income 900, debt 800: deny\nincome 9000, debt 100: approve\nincome 800, debt 900: deny\n"
RAW = {
    "schema": 2,
    "name": "transformers-serve",
    "title": "The server of transformers",
    "use": {"business_use": "Loans", "decision_role": "advisory"},
    "cases": {"limit": 1, "seed": 3},
    "prompt": {
        "template": SHOTS + "{sex} applicant, loan to value {loan_to_value}:",
        "answers": {"favourable": ["approve"], "adverse": ["deny"], "mass_floor": 0.0},
    },
    "attributes": [{"field": "sex", "groups": ["male", "female"], "reference": "male"}],
    "tests": {"run": ["counterfactual"]},
    "budget": {"threads": 1, "pack_tokens": 256, "max_prompt_tokens": 128},  # small packs are proven sooner
}


def plan_of(**reading: object) -> Plan:
    return plan_from({**RAW, "reading": {"readout": "choice", "max_tokens": 4, **reading}}, where="serve")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, log = free_port(), tmp_path_factory.mktemp("serve") / "log"
    command = [str(Path(sys.executable).with_name("transformers")), "serve"]
    options = ["--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as said:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        process = subprocess.Popen([*command, *options], stdout=said, stderr=said, env=environment)
    try:
        until_it_answers(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def over_the_wire(folder: Path, url: str, model: Path, plan: Plan, *, dialect: str, extra: str = "") -> Audited:
    lines = [f'dialect = "{dialect}"', f'url = "{url}"', f'model = "{model}"', "concurrency = 1", extra]
    (folder / "systems.toml").write_text("\n".join(["[endpoint.x]", *lines, ""]))
    where = {"store": folder / "store", "folder": folder / "run"}
    return auditor.audit(plan, model="endpoint:x", data="demo:loanapp", **where)  # type: ignore[arg-type]


def on_weights(folder: Path, model: str, store: Path, plan: Plan) -> Audited:
    return auditor.audit(plan, folder=folder / "white", model=model, data="demo:loanapp", store=store)


def generated(found: Audited) -> Mapping[str, str]:
    table = pl.read_parquet(found.evidence / "texts.parquet")
    return dict(zip(table["case_id"].to_list(), table["text"].to_list(), strict=True))


def answered(found: Audited) -> Mapping[str, str]:
    assert found.conclusions.asking is not None
    return {answer.case_id: answer.text for answer in found.conclusions.asking.answers if not answer.moment}


def outcomes(found: Audited) -> Mapping[str, Outcome]:
    return {item.case_id: item.outcome for item in found.conclusions.decisions}


def test_completions_are_the_decisions_of_the_weights_and_ignored_log_probabilities_are_found_missing(
    tmp_path: Path, url: str, demo_store: ModelStore
) -> None:
    model = demo_store.import_model("demo:smollm2").folder
    found = over_the_wire(tmp_path, url, model, plan_of(), dialect="completions", extra='extra = {stop = "\\n"}')
    white = on_weights(tmp_path, "demo:smollm2", demo_store.root, plan_of(stop=["\n"]))
    assert len(outcomes(white)) == 2
    assert set(outcomes(white).values()) <= {Outcome.FAVOURABLE, Outcome.ADVERSE}
    assert outcomes(found) == outcomes(white)
    # The server takes the keys that ask for log-probabilities, and answers without them.
    system = found.run.model.manifest.system
    assert system is not None
    assert system.readouts == ("amount", "choice", "reasons")
    assert system.log_probabilities == "none"


def test_chat_completions_are_the_texts_that_the_weights_generate(tmp_path: Path, url: str) -> None:
    model = save_tiny(tmp_path / "chat", model=yes_or_no(0.7))
    (model / "chat_template.jinja").write_text("{% for message in messages %}{{ message['content'] }}{% endfor %}")
    answers = {"favourable": ["yes"], "adverse": ["no"], "mass_floor": 0.0}
    prompt = {"template": "{sex} {loan_to_value}:", "form": "chat", "answers": answers}
    plan = plan_from({**plan_of(max_tokens=6).design(), "prompt": prompt, "cases": {"limit": 4}}, where="serve")
    found = over_the_wire(tmp_path, url, model, plan, dialect="chat_completions")
    white = on_weights(tmp_path, f"dir:{model}", tmp_path / "store", plan)
    assert set(answered(found).values()) == {" yes"}
    assert answered(found) == generated(white)
    assert outcomes(found) == outcomes(white)
    assert found.run.model.manifest.system is not None
    assert not found.run.model.manifest.system.json_schema
