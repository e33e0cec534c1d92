"""``import auditor`` is a door: light, typed, one call from a plan to results that goes on where it stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import torch

import auditor
from auditor.canonical import canonical_json, sha256_bytes
from auditor.conductor import conclude, prepare, run_one_chunk
from auditor.environment import Environment
from auditor.evidence import REPEATABLE, write_evidence
from auditor.language_models.local import forget_models
from auditor.toml_text import parse_toml
from tests.engine.small import MAPPING, fill, raw_plan, small_data, small_plan
from tests.language_models.tiny import save_tiny

HEAVY = ("torch", "transformers", "pandas", "scipy", "numpy", "polars", "pydantic")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[auditor.System]:
    threads = torch.get_num_threads()
    source = f"dir:{save_tiny(tmp_path_factory.mktemp('model'))}"
    yield auditor.open_system(source, store=tmp_path_factory.mktemp("store"))
    forget_models()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def audited(system: auditor.System, tmp_path_factory: pytest.TempPathFactory) -> auditor.Audited:
    return auditor.audit(small_plan(), system=system, data=small_data(), folder=tmp_path_factory.mktemp("audited"))


def evidence(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in REPEATABLE}


def test_importing_it_brings_nothing_heavy() -> None:
    code = f"import sys, auditor; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_of_the_door_is_there_whatever_was_imported_before() -> None:
    # A submodule of the same name would take a function's place in the package once somebody imports it.
    code = (
        "import auditor, auditor.conductor, auditor.evidence, auditor.door.audits\n"
        "print(len([getattr(auditor, name) for name in auditor.__all__]), callable(auditor.audit))\n"
        "print(set(auditor.__all__) <= set(dir(auditor)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(auditor.__all__)), "True", "True"]


def test_a_name_it_does_not_have_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'auditor' has no attribute 'Plam'"):
        auditor.Plam  # type: ignore[attr-defined]  # noqa: B018


def test_one_call_gives_the_bytes_of_the_steps_taken_one_by_one(
    audited: auditor.Audited, system: auditor.System, tmp_path: Path
) -> None:
    plan = small_plan(run__model=system.source)
    prepared = prepare(plan=plan, model=system.model, data=small_data())
    ledger = fill(tmp_path, prepared)
    for chunk in prepared.chunks:
        assert run_one_chunk(ledger, chunk.index, store=system.store)
    write_evidence(tmp_path / "evidence", ledger.run(), conclude(ledger), Environment())
    assert evidence(audited.evidence) == evidence(tmp_path / "evidence")
    assert audited.run == ledger.run()
    assert audited.run_sha256 == sha256_bytes((audited.evidence / "run.json").read_bytes())
    assert audited.design_sha256 == plan.design_sha256


class Enough(Exception):
    """What a notebook's Stop button would raise."""


def test_it_goes_on_where_it_stopped_and_ends_with_the_same_bytes(
    audited: auditor.Audited, system: auditor.System, tmp_path: Path
) -> None:
    seen: list[auditor.Progress] = []

    def until_two(progress: auditor.Progress) -> None:
        seen.append(progress)
        if progress.chunks_done == 2:
            raise Enough

    with pytest.raises(Enough):
        auditor.audit(small_plan(), system=system, data=small_data(), folder=tmp_path, progress=until_two)
    again: list[auditor.Progress] = []
    done = auditor.audit(small_plan(), system=system, data=small_data(), folder=tmp_path, progress=again.append)
    assert [item.chunks_done for item in seen] == [0, 1, 2]
    assert [item.chunks_done for item in again] == list(range(2, again[0].chunks + 1))
    assert again[0].done == seen[-1].done > 0
    assert again[-1].done == again[-1].prompts == len(done.cases)
    assert evidence(done.evidence) == evidence(audited.evidence)


def test_a_file_called_stop_ends_it_and_the_next_call_goes_on(system: auditor.System, tmp_path: Path) -> None:
    def ask(_: auditor.Progress) -> None:
        (tmp_path / "ledger" / "stop").touch()

    with pytest.raises(auditor.Interrupted, match="asked to stop; call audit again to go on"):
        auditor.audit(small_plan(), system=system, data=small_data(), folder=tmp_path, progress=ask)
    with pytest.raises(auditor.RunError, match="chunks left to score"):
        auditor.open_audit(tmp_path)
    assert auditor.audit(small_plan(), system=system, data=small_data(), folder=tmp_path).measurements


def test_a_finished_audit_is_read_again_without_its_model(audited: auditor.Audited, tmp_path: Path) -> None:
    before = evidence(audited.evidence)
    again = auditor.open_audit(audited.folder)
    assert again.measurements == audited.measurements
    assert again.findings == audited.findings
    assert evidence(again.evidence) == before
    with pytest.raises(auditor.InputError, match="holds no audit; expected the folder that audit"):
        auditor.open_audit(tmp_path)


def test_a_folder_of_another_run_and_one_that_another_process_scores_are_refused(
    audited: auditor.Audited, system: auditor.System, tmp_path: Path
) -> None:
    with pytest.raises(auditor.RunError, match="holds another run; expected an empty folder or the same run"):
        auditor.audit(small_plan(cases__seed=6), system=system, data=small_data(), folder=audited.folder)

    def hold(_: auditor.Progress) -> None:
        (tmp_path / "ledger" / "chunks" / "00000.claim").write_text(str(os.getppid()))

    with pytest.raises(auditor.RunError, match="another process works on this run; expected one at a time"):
        auditor.audit(small_plan(), system=system, data=small_data(), folder=tmp_path, progress=hold)


def test_what_cannot_be_opened_gets_one_line(system: auditor.System, tmp_path: Path) -> None:
    where = {"folder": tmp_path / "audit", "store": tmp_path / "store"}
    for source in ("decisions:last-year.csv", "smollm2", "", "demo:gpt"):
        with pytest.raises(auditor.ModelError, match=r"expected demo:smollm2, .*endpoint:NAME or service:NAME$"):
            auditor.open_system(source, store=tmp_path / "store")
    with pytest.raises(auditor.ModelError, match=r"^endpoint:house: no administrator has listed it; expected "):
        auditor.open_system("endpoint:house", store=tmp_path / "store")
    with pytest.raises(
        auditor.InputError, match=r"^small: run\.model: is not given; expected it in the plan, or model="
    ):
        auditor.audit(small_plan(), data=small_data(), **where)
    with pytest.raises(auditor.InputError, match=r"^small: run\.data: is not given; expected it in the plan, or data="):
        auditor.audit(small_plan(), system=system, **where)
    with pytest.raises(auditor.InputError, match=r"^audit: model and system are both given; expected one of them$"):
        auditor.audit(small_plan(), system=system, model="demo:smollm2", data=small_data(), **where)
    with pytest.raises(auditor.PlanError, match=r"no-plan\.toml: cannot be read: no such file or directory"):
        auditor.audit(tmp_path / "no-plan.toml", system=system, **where)
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(auditor.DataError, match="no mapping says what its columns mean"):
        auditor.audit(small_plan(), system=system, data=tmp_path / "rows.csv", **where)
    assert not (tmp_path / "audit").exists()


def test_plan_model_data_and_mapping_may_all_be_files(system: auditor.System, tmp_path: Path) -> None:
    rows = [
        {"income": record.values["income"], "race": record.values["race"], "sex": record.values["sex"]}
        | {"approved": int(bool(record.favourable))}
        for record in small_data(12).records
    ]
    pl.DataFrame(rows).write_csv(tmp_path / "rows.csv")
    (tmp_path / "mapping.toml").write_text(as_toml(MAPPING))
    (tmp_path / "plan.toml").write_text(as_toml(raw_plan(tests__run=["counterfactual"])))
    found = auditor.audit(
        tmp_path / "plan.toml",
        model=system.source,
        store=system.store.root,
        data=tmp_path / "rows.csv",
        mapping=tmp_path / "mapping.toml",
        folder=tmp_path / "audit",
    )
    assert found.run.data.source == str(tmp_path / "rows.csv")
    assert {item.test for item in found.measurements} == {"counterfactual"}


def test_numbers_are_found_by_id_by_subject_and_as_a_table(audited: auditor.Audited) -> None:
    name = "counterfactual/cf_net_effect/field=race/group=Black/vs=White"
    item = audited.measurement(name)
    assert audited.select(test="counterfactual", metric="cf_net_effect", field="race", group="Black") == (item,)
    assert audited.select() == audited.measurements
    with pytest.raises(auditor.InputError, match=r"is not in this audit; expected counterfactual/cf_net_effect/field="):
        audited.measurement("counterfactual/cf_net_efect/field=race/group=Black/vs=White")
    with pytest.raises(auditor.InputError, match=r"^finding 'F-999': is not in this audit"):
        audited.finding("F-999")
    table = audited.to_frame()
    assert table["id"].to_list() == [row.id for row in audited.measurements]
    row = table.row(by_predicate=pl.col("id") == name, named=True)
    plain = item.row()
    subject = plain.pop("subject")
    assert {key: row[f"subject_{key}"] for key in subject} == subject
    counts = {entry["name"]: entry["value"] for entry in row.pop("counts")}
    assert counts == plain.pop("counts")
    assert {key: row[key] for key in plain} == json.loads(canonical_json(plain))


def test_the_cases_behind_a_number_are_those_of_its_arms(audited: auditor.Audited) -> None:
    item = audited.measurement("counterfactual/cf_net_effect/field=race/group=Black/vs=White")
    behind = audited.behind(item)
    assert {arm for case, _ in behind for arm in case.arms} >= {"race=White", "race=Black"}
    assert all({"race=White", "race=Black"} & set(case.arms) for case, _ in behind)
    assert all(case.id == decision.case_id for case, decision in behind)
    assert len(behind) >= 2 * item.n > 0
    stored = pl.read_parquet(audited.evidence / "decisions.parquet")
    assert stored["case_id"].to_list() == [case.id for case in audited.cases]


def test_a_plan_parses_from_text_and_from_plain_data_as_from_its_file() -> None:
    path = Path(__file__).parents[2] / "plans" / "quick.toml"
    read = auditor.Plan.read(path)
    assert auditor.Plan.parse(path.read_text()) == read == auditor.Plan.parse(parse_toml(path.read_text()))
    assert auditor.Plan.read(str(path), {"cases.limit": "12"}).cases.limit == 12
    with pytest.raises(auditor.PlanError, match=r"^mine: .*TOML"):
        auditor.Plan.parse("title = ", where="mine")


def as_toml(raw: dict[str, object]) -> str:
    import tomlkit

    return tomlkit.dumps(raw)
