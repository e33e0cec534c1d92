"""Records that are hashed are types, and write again byte for byte what an earlier version wrote."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.canonical import canonical_json, sha256_bytes, sha256_json
from auditor.conductor import prepare
from auditor.controls import Controls
from auditor.exceptions import InputError
from auditor.hashed import Hashed
from auditor.language_models.store import ModelStore
from auditor.mappings import Field
from auditor.model_manifest import ModelManifest
from auditor.run_record import MappedField, RunRecord
from tests.engine.small import small_data, small_plan
from tests.language_models.tiny import save_tiny
from tests.records import run_of

STORED = Path(__file__).parent / "stored"
KINDS: dict[str, type[Hashed]] = {"run": RunRecord, "controls": Controls, "manifest": ModelManifest}
FILES = sorted(path.name for path in STORED.glob("*.json"))


def kind_of(name: str) -> type[Hashed]:
    return KINDS[name.partition("-")[0]]


@pytest.mark.parametrize("name", FILES)
def test_what_an_earlier_version_wrote_is_written_again_byte_for_byte(name: str) -> None:
    raw = (STORED / name).read_bytes()
    record = kind_of(name).read(raw, where=name)
    assert record.to_bytes() == raw
    assert record.digest() == sha256_bytes(raw)
    assert record.plain() == json.loads(raw)


def test_there_are_stored_records_of_every_kind() -> None:
    assert {name.partition("-")[0] for name in FILES} == set(KINDS)


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("run-")])
def test_the_hash_of_an_earlier_design_is_that_of_its_bytes_and_not_of_its_defaults(name: str) -> None:
    run = RunRecord.read((STORED / name).read_bytes(), where=name)
    assert sha256_json(run.design) == run.design_sha256
    assert run.plan.name == run.design["name"]


def test_what_was_not_kept_then_has_its_stated_default() -> None:
    oldest = RunRecord.read((STORED / "run-before-devices.json").read_bytes(), where="oldest")
    assert oldest.device == "cpu"
    assert (oldest.prompts.longest_tokens, oldest.prompts.alike, oldest.data.counts) == (None, None, None)
    assert oldest.longest_prompt == oldest.plan.budget.max_prompt_tokens
    manifest = ModelManifest.read((STORED / "manifest-before-readings-base.json").read_bytes(), where="base")
    assert manifest.imported.reading == 1


def test_a_copy_with_another_design_has_the_plan_of_that_design() -> None:
    run = RunRecord.read((STORED / "run-before-devices.json").read_bytes(), where="oldest")
    assert run.plan.title == run.design["title"] != "Another"
    assert run.model_copy(update={"design": {**run.design, "title": "Another"}}).plan.title == "Another"


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("manifest-")])
def test_a_stored_identity_still_names_its_model(name: str) -> None:
    manifest = ModelManifest.read((STORED / name).read_bytes(), where=name)
    assert manifest.identity.digest() == sha256_json(json.loads((STORED / name).read_bytes())["identity"])


def test_a_key_of_a_later_version_is_kept_and_hashed() -> None:
    later = {**run_of({}).plain(), "later": {"anything": [1, 0.5, None, "ä"]}}
    assert RunRecord.read(later, where="later").to_bytes() == canonical_json(later)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"code": {"sha256": "0", "libraries": {}}}, "run.json: code.version: field required"),
        ({"data": 3}, "run.json: data: 3: input should be an object"),
        ({"device": ["cpu"]}, "run.json: device: input should be a valid string"),
        (
            {"packs": [{"id": "a", "version": 2, "sha256": "b"}]},
            "run.json: packs.0.version: 2: input should",
        ),
    ],
)
def test_a_record_of_another_shape_is_refused_in_one_line_with_its_key(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        RunRecord.read({**run_of({}).plain(), **change}, where="run.json")
    assert str(refused.value).startswith(said)
    assert str(refused.value).endswith("; expected a record as a run writes it")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("raw", [b"", b"[1", b"[]", b"\xff", b'{"a": 1e999}', b'"\\ud800"', b"[" * 100_000])
def test_what_is_no_record_is_refused_and_not_read(raw: bytes) -> None:
    with pytest.raises(InputError, match=r"^run\.json"):
        RunRecord.read(raw, where="run.json")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 2**53, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(design=st.dictionaries(st.text(), JSON, max_size=4), more=JSON, rate=st.floats(0, 1), counts=st.integers(0, 9))
def test_reading_and_writing_changes_no_byte(design: dict[str, Any], more: Any, rate: float, counts: int) -> None:
    whole = run_of({}).plain()
    whole |= {"design": design, "not known": more, "data": {**whole["data"], "observed_rate": rate, "rows": counts}}
    assert RunRecord.read(whole, where="run").to_bytes() == canonical_json(whole)


def test_a_new_run_writes_every_key_of_the_types(tmp_path: Path) -> None:
    """What is not given is not hashed: a key that preparation forgets would be missing from the evidence."""
    store = ModelStore(tmp_path / "store")
    model = store.import_model(f"dir:{save_tiny(tmp_path / 'model')}")
    run = prepare(plan=small_plan(), model=model, data=small_data(), where="small.toml").run
    for record in (run, run.model, run.data, run.prompts, run.code):
        # How answers are read is a key of runs that ask a system or generate texts, and of no others.
        kept = set(type(record).model_fields) - {"reading", "generated"}
        assert record.model_fields_set == kept, type(record).__name__
    kept = set(type(run.model.manifest).model_fields) - {"name", "system"}
    assert run.model.manifest.model_fields_set == kept
    assert RunRecord.read(run.to_bytes(), where="run") == run


def test_mapped_fields_have_the_keys_and_defaults_of_the_mapping() -> None:
    known = {item.name: item for item in fields(Field)}
    assert set(MappedField.model_fields) == set(known)
    for name, info in MappedField.model_fields.items():
        default = known[name].default_factory() if callable(known[name].default_factory) else known[name].default
        if not info.is_required():
            assert info.get_default(call_default_factory=True) == default, name
