"""A describing endpoint is asked as a system is: listed, with its key, capped, kept as evidence, told in the report."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import auditor
from auditor.answering import scoring
from auditor.answering.costing import describing_lines
from auditor.answering.describing import describing_costs
from auditor.answering.text import text_of_endpoint
from auditor.conductor import prepare
from auditor.door.results import Audited
from auditor.exceptions import ModelError
from auditor.language_models.store import ModelStore
from auditor.ledger import FolderLedger
from auditor.plan import Limits
from auditor.systems.exceptions import CapReached, Rejected, SystemStopped
from auditor.systems.opening import ListedSystems
from reports.bundle import read_bundle
from reports.content import build_content
from reports.publish import write_manifest
from tests.acceptance.planted import planted_model
from tests.engine.small import small_data, small_plan
from tests.language_models.tiny import save_tiny
from tests.observed.test_a_plan_audits_a_decision_file import GOVERNANCE, words_of
from tests.reports.exchanging import changed, first, refusals
from tests.systems.answering import answering, wait_until
from tests.systems.describing import Describing, two_listed
from tests.systems.faults import Fault, always

DICTIONARY = {"expansion": 4, "k": 4, "steps": 120, "batch": 256, "tokens": 100_000}
DESCRIBED = {
    "applications": 16,
    "report": 3,
    "contexts": 2,
    "describer": "endpoint:one",
    "scorer": "endpoint:another",
}


def opened(folder: Path, **plan: Any) -> Any:
    ledger, systems = FolderLedger(folder / "run"), ListedSystems(folder / "systems.toml")
    return text_of_endpoint("endpoint:one", ledger=ledger, plan=small_plan(schema=2, **plan), systems=systems)


def test_it_is_asked_greedily_with_its_key_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret-of-one\n", encoding="utf-8")
    with answering(Describing()) as server:
        two_listed(tmp_path, server.url, more=f'key_file = "{tmp_path / "key"}"')
        for _ in range(2):  # the second time as after a crash
            with opened(tmp_path) as model:
                assert model.answers(["is it?", "have in common?", "is it?"], tokens=7) == [
                    "Yes",
                    "the letter B.",
                    "Yes",
                ]
    assert len(server.asked) == 2
    for asked in server.asked:
        assert asked.headers["Authorization"] == "Bearer secret-of-one"
        assert {key: value for key, value in asked.body.items() if key != "messages"} == {
            "model": "a",
            "max_tokens": 7,
            "temperature": 0.0,
            "seed": 0,
        }


def test_a_refusal_a_cap_and_a_bound_on_money_end_it_in_one_line(tmp_path: Path) -> None:
    with answering(Describing()) as server:
        two_listed(tmp_path, server.url, more="most_requests = 2")
        with opened(tmp_path) as model, pytest.raises(CapReached, match=r"^endpoint:one: the 2 requests that were"):
            model.answers(["1", "2", "3"], tokens=1)
        with pytest.raises(ModelError, match=r"limits\.money bounds nothing"), opened(tmp_path, limits={"money": 1.0}):
            pass
    with answering(Describing(), faults=always(Fault(wire="status", code=401))) as server:
        two_listed(tmp_path / "another", server.url)
        with opened(tmp_path / "another") as model, pytest.raises(Rejected, match=r"^endpoint:one: .*401"):
            model.answers(["1"], tokens=1)


def test_it_is_asked_no_longer_than_it_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "LISTING_SECONDS", 0.2)
    with answering(Describing()) as server:
        two_listed(tmp_path, server.url, more="concurrency = 1\nrequests_a_second = 20")

        def withdraw() -> None:
            wait_until(lambda: len(server.asked) > 3)
            (tmp_path / "systems.toml").write_text("")

        thread = threading.Thread(target=withdraw)
        thread.start()
        with opened(tmp_path) as model, pytest.raises(SystemStopped, match="is not listed any more"):
            model.answers([str(number) for number in range(200)], tokens=1)
        thread.join()
    assert len(server.asked) < 40


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    folder = tmp_path_factory.mktemp("described")
    weights = save_tiny(folder / "weights", model=planted_model("B", against=40.0))
    plan = small_plan(
        prompt__answers={"favourable": ["Y"], "adverse": ["N"], "mass_floor": 0.0},
        tests__run=["interpretation"],
        noise__reask=0,
        settings={"dictionary": DICTIONARY, "interpretation": DESCRIBED},
    )
    with answering(Describing()) as server:
        two_listed(folder, server.url)
        model = f"dir:{weights}"
        return auditor.audit(plan, folder=folder / "run", model=model, data=small_data(24), store=folder / "store")


def test_what_left_the_machine_is_kept_and_told(described: Audited) -> None:
    environment = json.loads((described.evidence / "environment.json").read_text())
    sent = environment["sent"]
    assert sent["requests"] == sent["answers"] > 4
    [address] = sent["addresses"]
    write_manifest(described.evidence)
    words = words_of(build_content(read_bundle(described.evidence), GOVERNANCE))
    assert "Pieces of applications went to endpoint:one and endpoint:another, to have features described" in words
    assert address in words
    assert "requests.parquet" in words


def test_the_estimate_is_not_less_than_what_was_asked(described: Audited) -> None:
    """By the prompts, the tokens and the requests that really went out to each."""
    plan = described.run.plan
    systems = ListedSystems(described.folder.parent / "systems.toml")
    longest = max(len(case.prompt) for case in described.conclusions.cases)
    costs = {
        one.source: one.cost for one in describing_costs(plan, characters=longest, listed=systems.listed, where="plan")
    }
    assert {source: cost.requests for source, cost in costs.items()} == {"endpoint:one": 3, "endpoint:another": 48}
    rows = [json.loads(row) for row in pq.read_table(described.evidence / "requests.parquet")["request"].to_pylist()]
    for source, cost in costs.items():
        asked = [row["body"] for row in rows if f"endpoint:{row['system']['endpoint']}" == source]
        assert 0 < len(asked) <= cost.requests
        characters = sum(len(body["messages"][0]["content"]) for body in asked)
        assert characters / 4 <= cost.prompt_tokens
        assert sum(body["max_tokens"] for body in asked) <= cost.answer_tokens


def test_the_command_tells_what_describing_comes_to_before_it_starts(described: Audited, tmp_path: Path) -> None:
    (tmp_path / "systems.toml").write_text(
        '[endpoint.one]\ndialect = "chat_completions"\nurl = "http://127.0.0.1:9/v1"\nmodel = "m"\n'
        'most_requests = 2\n[endpoint.one.prices]\ncurrency = "EUR"\nprompt = 2.0\nanswer = 10.0\n'
    )
    store = ModelStore(tmp_path / "store")
    model = store.import_model(f"dir:{described.folder.parent / 'weights'}")
    plan = described.run.plan.model_copy(update={"limits": Limits(requests=40)})
    prepared = prepare(plan=plan, model=model, data=small_data(24), where="plan")
    lines = describing_lines(prepared.run, prepared.chunks, listed=store.systems.listed, where="plan")
    assert lines[0].startswith("To be asked of endpoint:one, to describe features: at most 3 requests; about ")
    assert " at most about EUR 0.00" in lines[0]
    assert lines[1] == "It stops at 2 requests, with everything kept"
    assert lines[2].startswith("No features are described by endpoint:another: endpoint:another: no administrator has")
    assert len(lines) == 3
    rules = prepare(plan=plan.model_copy(update={"settings": {}}), model=model, data=small_data(24), where="plan")
    assert describing_lines(rules.run, rules.chunks, listed=store.systems.listed, where="plan") == []


def test_the_requests_of_descriptions_are_verified(described: Audited) -> None:
    files = {path.name: path.read_bytes() for path in described.evidence.iterdir() if path.is_file()}
    files.pop("manifest.json", None)
    assert refusals(files) == []
    assert "answers.parquet" not in files
    [line] = refusals(changed(files, "requests.parquet", first("answer", "{}")))
    assert "another answer" in line
    [line] = refusals({name: data for name, data in files.items() if name != "requests.parquet"})
    assert line.endswith("requests.parquet: found no such file; expected one: an endpoint described features")


def test_a_run_without_a_describing_endpoint_has_no_requests(described: Audited, tmp_path: Path) -> None:
    weights = described.folder.parent / "weights"
    plan = small_plan(tests__run=["counterfactual"])
    found = auditor.audit(
        plan, folder=tmp_path / "run", model=f"dir:{weights}", data=small_data(12), store=tmp_path / "store"
    )
    assert not (found.evidence / "requests.parquet").exists()
    files = {path.name: path.read_bytes() for path in found.evidence.iterdir()}
    theirs = (described.evidence / "requests.parquet").read_bytes()
    [line] = refusals({**files, "requests.parquet": theirs})
    assert "requests.parquet: found a file that this run does not write" in line
