"""The numbers of one run are made by one code, one set of libraries and one kind of device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from auditor import making
from auditor.conductor import conclude, prepare, run_one_chunk
from auditor.exceptions import RunError
from auditor.language_models.store import ModelStore
from auditor.making import Prepared, another_making
from auditor.run_record import RunRecord
from tests.engine.small import fill, small_data, small_plan
from tests.language_models.tiny import save_tiny


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    return ModelStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def prepared(store: ModelStore, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    model = store.import_model(f"dir:{save_tiny(tmp_path_factory.mktemp('model'))}")
    return prepare(plan=small_plan(), model=model, data=small_data(), where="small.toml")


def changed(prepared: Prepared, **changes: Any) -> RunRecord:
    return prepared.run.model_copy(update=changes)


def test_a_run_of_this_code_goes_on(prepared: Prepared) -> None:
    assert another_making(prepared.run, device="cpu") is None


def test_another_kind_of_device_is_named_and_another_one_of_the_kind_is_not(prepared: Prepared) -> None:
    assert another_making(prepared.run, device="cuda:0") == "the run was frozen for the device cpu, here is cuda"
    assert another_making(changed(prepared, device="cuda"), device="cuda:3") is None


def test_other_code_and_other_libraries_are_named(prepared: Prepared) -> None:
    code = prepared.run.code.model_copy(update={"sha256": "0" * 64, "version": "0.0.9"})
    assert "the engine 0.0.9 (000000000000), here is" in str(another_making(changed(prepared, code=code), device="cpu"))
    older = prepared.run.code.model_copy(update={"libraries": {**prepared.run.code.libraries, "torch": "2.0.0"}})
    assert "frozen with torch 2.0.0, here is" in str(another_making(changed(prepared, code=older), device="cpu"))


def test_nothing_is_scored_or_concluded_after_an_upgrade(
    prepared: Prepared, store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = fill(tmp_path, prepared)
    assert run_one_chunk(ledger, 0, store=store)
    with monkeypatch.context() as patched:
        patched.setattr(making, "code_sha256", lambda: "f" * 64)
        with pytest.raises(RunError, match="expected the same to go on with it, or a new run"):
            run_one_chunk(ledger, 1, store=store)
    assert [state.done for state in ledger.states()][:2] == [True, False]
    for chunk in prepared.chunks[1:]:
        assert run_one_chunk(ledger, chunk.index, store=store)
    monkeypatch.setattr(making, "code_sha256", lambda: "f" * 64)
    with pytest.raises(RunError, match="expected the same to conclude it, or a new run"):
        conclude(ledger)


def test_a_chunk_is_not_taken_by_a_worker_of_another_kind(
    prepared: Prepared, store: ModelStore, tmp_path: Path
) -> None:
    ledger = fill(tmp_path, prepared)
    with pytest.raises(RunError, match="frozen for the device cpu, here is cuda"):
        run_one_chunk(ledger, 0, store=store, device="cuda")
    assert run_one_chunk(ledger, 0, store=store)
