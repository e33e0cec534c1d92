"""The same run gives the same bytes, whoever scores which chunk in which order, and however often it is stopped."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from auditor.conductor import Prepared, code_sha256, conclude, prepare, run_one_chunk, run_sha256
from auditor.environment import Environment
from auditor.evidence import REPEATABLE, write_evidence
from auditor.exceptions import Interrupted, PlanError, ScoringError
from auditor.language_models.local import forget_models, load
from auditor.language_models.store import ModelStore
from auditor.language_models.stored import StoredModel
from auditor.ledger import FolderLedger
from tests.engine.small import fill, small_data, small_plan
from tests.language_models.tiny import save_tiny, tiny_model


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelStore]:
    threads = torch.get_num_threads()
    yield ModelStore(tmp_path_factory.mktemp("store"))
    forget_models()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model(store: ModelStore, tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    return store.import_model(f"dir:{save_tiny(tmp_path_factory.mktemp('model'))}")


@pytest.fixture(scope="module")
def prepared(model: StoredModel) -> Prepared:
    return prepare(plan=small_plan(), model=model, data=small_data(), where="small.toml")


@pytest.fixture(scope="module")
def straight(prepared: Prepared, store: ModelStore, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    ledger = fill(tmp_path_factory.mktemp("straight"), prepared)
    for chunk in prepared.chunks:
        assert run_one_chunk(ledger, chunk.index, store=store)
    return evidence(ledger)


def evidence(ledger: FolderLedger) -> dict[str, bytes]:
    folder = ledger.path / "evidence"
    write_evidence(folder, ledger.run(), conclude(ledger), Environment(cpus=1))
    return {name: (folder / name).read_bytes() for name in REPEATABLE}


def test_a_second_run_in_another_order_gives_the_same_bytes(
    prepared: Prepared, store: ModelStore, straight: dict[str, bytes], tmp_path: Path
) -> None:
    assert len(prepared.chunks) > 4
    ledger = fill(tmp_path, prepared)
    order = [chunk.index for chunk in prepared.chunks]
    random.Random(3).shuffle(order)
    forget_models()
    for index in order:
        assert run_one_chunk(ledger, index, store=store)
        assert not run_one_chunk(ledger, index, store=store)
    assert evidence(ledger) == straight


class StopsAtRandom(FolderLedger):
    """Asks for a stop at a random pass, again and again, as a worker that is killed and started anew."""

    chance = random.Random(1)
    stops = 0

    def should_stop(self) -> bool:
        if self.chance.random() < 0.15:
            self.stops += 1
            return True
        return False


def test_a_run_stopped_at_random_and_taken_up_again_gives_the_same_bytes(
    prepared: Prepared, store: ModelStore, straight: dict[str, bytes], tmp_path: Path
) -> None:
    ledger = StopsAtRandom(tmp_path)
    ledger.freeze(prepared.run, prepared.chunks)
    while left := [state.index for state in ledger.states() if not state.done]:
        try:
            run_one_chunk(ledger, left[0], store=store)
        except Interrupted:
            assert (tmp_path / "chunks" / f"{left[0]:05d}.reason").read_text().startswith("Interrupted: ")
        ledger = type(ledger)(tmp_path)
        ledger.freeze(prepared.run, prepared.chunks)
    assert list((tmp_path / "chunks").glob("*.reason"))
    assert evidence(FolderLedger(tmp_path)) == straight


def test_chunks_hold_whole_applications_within_the_token_budget_and_each_case_once(prepared: Prepared) -> None:
    payloads = [json.loads(chunk.payload) for chunk in prepared.chunks]
    names = [case["id"] for payload in payloads for case in payload["cases"]]
    assert len(set(names)) == len(names) == prepared.prompts
    for kind in ("shared", "unshared"):
        clusters = [[case["cluster"] for case in payload["cases"]] for payload in payloads if payload["kind"] == kind]
        seen = [cluster for chunk in clusters for cluster in dict.fromkeys(chunk)]
        assert len(set(seen)) == len(seen), "an application is cut in two"
    for chunk, payload in zip(prepared.chunks, payloads, strict=True):
        single = len({case["cluster"] for case in payload["cases"]}) == 1
        assert chunk.tokens <= 400 or single
        assert chunk.prompts == len(payload["cases"])


def test_preparing_twice_gives_the_same_chunks_and_hash(prepared: Prepared, model: StoredModel) -> None:
    again = prepare(plan=small_plan(), model=model, data=small_data(), where="elsewhere.toml")
    assert again.chunks == prepared.chunks
    assert run_sha256(again.run) == run_sha256(prepared.run)


def test_the_run_hash_follows_plan_data_model_and_packs(
    prepared: Prepared, store: ModelStore, model: StoredModel, tmp_path: Path
) -> None:
    other = store.import_model(f"dir:{save_tiny(tmp_path / 'other', seed=9)}")
    changed: dict[str, dict[str, Any]] = {
        "plan": {"plan": small_plan(thresholds={"alpha": 0.01})},
        "packs": {"plan": small_plan(use__policy_packs=["us-fha"])},
        "data": {"data": small_data(seed=1)},
        "model": {"model": other},
    }
    hashes = {run_sha256(prepared.run)}
    for change in changed.values():
        base: dict[str, Any] = {"plan": small_plan(), "model": model, "data": small_data()}
        hashes.add(run_sha256(prepare(**{**base, **change}).run))
    assert len(hashes) == 1 + len(changed)
    assert len(code_sha256()) == 64


def test_applications_in_no_planned_group_are_counted(prepared: Prepared) -> None:
    left_out = prepared.run.data.left_out
    assert left_out["race in none of the plan's groups, left out of its contrasts"] == 8
    assert left_out["sex in none of the plan's groups, left out of its contrasts"] == 0


@pytest.mark.parametrize("placebo", [True, False])
def test_applications_that_say_what_another_one_says_are_counted(model: StoredModel, placebo: bool) -> None:
    data = small_data(12)
    # The same twelve people once more under other ids, and one of them a third time.
    again = [replace(record, id=f"B{record.id}") for record in data.records]
    data = replace(data, records=(*data.records, *again, replace(data.records[0], id="C1")))
    plan = small_plan() if placebo else small_plan(placebo=None, prompt__template="{income} {sex} {race}")
    distinct = {(item.values["income"], item.values["sex"], item.values["race"]) for item in data.records}
    assert len(distinct) == 12
    assert prepare(plan=plan, model=model, data=data, where="small.toml").run.prompts.alike == 25


def test_a_data_set_without_twins_counts_none(model: StoredModel) -> None:
    assert prepare(plan=small_plan(), model=model, data=small_data(12), where="small.toml").run.prompts.alike == 0


def test_a_prompt_longer_than_the_model_reads_is_refused(model: StoredModel) -> None:
    long = small_plan(prompt__template="{race} {sex} {form}" + "x" * 600, budget__max_prompt_tokens=2000)
    with pytest.raises(PlanError) as refusal:
        prepare(plan=long, model=model, data=small_data(), where="p.toml")
    assert str(refusal.value).startswith(
        "p.toml: budget.max_prompt_tokens: the prompt of application 0001 with its answer"
    )
    assert str(refusal.value).endswith("expected at most 512 (the plan allows 2000, the model reads 512)")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"tests__run": ["counterfactual", "guess"]},
            "p: tests.run: unknown test 'guess'; expected one of: amount_gaps, ",
        ),
        (
            {"tests__run": ["arm_rates", "arm_rates"]},
            "p: tests.run: test 'arm_rates' is listed twice; expected each test",
        ),
        (
            {"use__policy_packs": ["us-none"]},
            "p: use.policy_packs: unknown pack 'us-none'; expected one of: eu-ai-act-hr5",
        ),
    ],
)
def test_a_plan_of_unknown_parts_gets_one_line(model: StoredModel, change: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as refusal:
        prepare(plan=small_plan(**change), model=model, data=small_data(), where="p")
    assert str(refusal.value).startswith(message)


def test_a_model_that_returns_no_numbers_gives_its_chunk_back(store: ModelStore, tmp_path: Path) -> None:
    # Importing refuses weights that are no numbers: what goes wrong later is in memory, where this puts it.
    stored = store.import_model(f"dir:{save_tiny(tmp_path / 'broken', model=tiny_model(seed=5))}")
    prepared = prepare(plan=small_plan(), model=stored, data=small_data(), where="p")
    ledger = fill(tmp_path / "run", prepared)
    model = load(store.get(stored.sha256), threads=small_plan().budget.threads).model
    with torch.no_grad():
        model.lm_head.weight[40].fill_(float("nan"))
    try:
        with pytest.raises(ScoringError, match="not a finite number"):
            run_one_chunk(ledger, 0, store=store)
    finally:
        forget_models()
    assert (tmp_path / "run" / "chunks" / "00000.reason").read_text().startswith("ScoringError: ")
    assert ledger.claim(0)


def test_the_packing_check_and_the_noise_floor_stand_in_the_controls(
    prepared: Prepared, store: ModelStore, tmp_path: Path
) -> None:
    ledger = fill(tmp_path, prepared)
    for chunk in prepared.chunks:
        run_one_chunk(ledger, chunk.index, store=store)
    controls = conclude(ledger).controls
    assert controls.packing.packable is True
    assert controls.noise_floor.n == 4
    assert controls.noise_floor.flip_rate == 0
    [check] = [check for check in controls.self_checks if check.name == "packed equals alone"]
    assert check.held
    assert check.value == controls.noise_floor.largest_margin_difference
