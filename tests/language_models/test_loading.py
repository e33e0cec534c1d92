"""A stored model loads offline, unchanged and silent, or not at all."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from auditor.exceptions import ModelError
from auditor.language_models import local
from auditor.language_models.local import forget_models, load
from auditor.language_models.store import ModelStore
from auditor.language_models.stored import StoredModel
from auditor.language_models.weights import SAMPLE_TEXT, read_model
from tests.language_models.tiny import edit_json, save_tiny, tiny_model

FAMILIES = ["llama", "qwen2", "gemma", "gemma2", "gpt_neox", "gpt2"]


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    threads = torch.get_num_threads()
    forget_models()
    yield
    forget_models()
    torch.set_num_threads(threads)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "store")


@pytest.fixture
def stored(store: ModelStore, tmp_path: Path) -> StoredModel:
    return store.import_model(f"dir:{save_tiny(tmp_path / 'model')}")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loaded_model_gives_the_original_logits(store: ModelStore, tmp_path: Path, family: str) -> None:
    model = tiny_model(family, seed=3)
    loaded = load(store.import_model(f"dir:{save_tiny(tmp_path / family, model=model)}"), threads=1)
    with torch.inference_mode():
        tokens = torch.arange(4, 200)[None]
        assert torch.allclose(loaded.model(tokens).logits, model(tokens).logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_is_sdpa_unless_the_family_caps_its_scores(store: ModelStore, tmp_path: Path, family: str) -> None:
    loaded = load(store.import_model(f"dir:{save_tiny(tmp_path / family, family)}"), threads=1)
    assert loaded.model.config._attn_implementation == ("eager" if family == "gemma2" else "sdpa")


def test_the_model_is_in_evaluation_mode_without_gradients(stored: StoredModel) -> None:
    loaded = load(stored, threads=1)
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert loaded.device == "cpu"
    assert loaded.manifest == stored.manifest


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_the_weights_come_in_the_type_asked_for(stored: StoredModel, dtype: str) -> None:
    assert {parameter.dtype for parameter in load(stored, threads=1, dtype=dtype).model.parameters()} == {
        getattr(torch, dtype)
    }


def test_the_tokenizer_gives_text_and_offsets_back(stored: StoredModel) -> None:
    tokenizer = load(stored, threads=1).tokenizer
    encoded = tokenizer(SAMPLE_TEXT, return_offsets_mapping=True, add_special_tokens=False)
    assert tokenizer.decode(encoded["input_ids"]) == SAMPLE_TEXT
    assert encoded["offset_mapping"][0] == (0, 1)


def test_a_model_in_memory_is_not_read_again_but_another_type_is(stored: StoredModel) -> None:
    first = load(stored, threads=1)
    assert load(stored, threads=1) is first
    assert load(stored, threads=1, dtype="float64") is not first


def test_the_number_of_threads_is_set_and_part_of_the_key(stored: StoredModel) -> None:
    one = load(stored, threads=1)
    assert torch.get_num_threads() == 1
    two = load(stored, threads=2)
    assert torch.get_num_threads() == 2
    assert one is not two
    assert load(stored, threads=1) is one
    assert torch.get_num_threads() == 1


def test_the_model_used_longest_ago_is_let_go(store: ModelStore, tmp_path: Path) -> None:
    stored = [store.import_model(f"dir:{save_tiny(tmp_path / str(seed), seed=seed)}") for seed in range(3)]
    first, second = load(stored[0], threads=1), load(stored[1], threads=1)
    assert load(stored[0], threads=1) is first
    load(stored[2], threads=1)
    assert len(local._kept) == local.KEPT_MODELS
    assert load(stored[0], threads=1) is first
    assert load(stored[1], threads=1) is not second


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_tampered_file_is_named_and_not_loaded(stored: StoredModel, name: str) -> None:
    path = stored.folder / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"{name}: has SHA-256 [0-9a-f]{{12}}… instead of [0-9a-f]{{12}}…"):
        load(stored, threads=1)


def test_a_shortened_a_missing_and_an_added_file_are_named(stored: StoredModel) -> None:
    added = stored.folder / "adapter_config.json"
    added.write_text("{}")
    with pytest.raises(ModelError, match=r"adapter_config\.json: this file is not in the manifest"):
        load(stored, threads=1)
    added.unlink()
    weights = stored.folder / "model.safetensors"
    size = weights.stat().st_size
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError, match=f"has 100 bytes instead of {size}"):
        load(stored, threads=1)
    weights.unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors: this file is missing"):
        load(stored, threads=1)


def test_a_file_replaced_by_a_link_is_refused(stored: StoredModel, tmp_path: Path) -> None:
    weights = stored.folder / "model.safetensors"
    shutil.move(weights, tmp_path / "moved")
    weights.symlink_to(tmp_path / "moved")
    with pytest.raises(ModelError, match="this file is missing"):
        load(stored, threads=1)


def test_a_changed_manifest_is_refused(store: ModelStore, stored: StoredModel) -> None:
    edit_json(stored.folder / "manifest.json", identity={**stored.identity.plain(), "architecture": "Other"})
    with pytest.raises(ModelError, match="does not match the name of its folder"):
        store.get(stored.sha256)


def test_weights_that_are_not_numbers_are_refused(store: ModelStore, tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.lm_head.weight[7].fill_(float("nan"))
    folder = save_tiny(tmp_path / "nan", model=model)
    with pytest.raises(ModelError, match=rf"{folder}: lm_head.weight holds values that are not numbers"):
        store.import_model(f"dir:{folder}")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"threads": 0}, "model threads: is 0"), ({"threads": 1, "dtype": "int8"}, "model dtype: is 'int8'")],
)
def test_bad_options_are_refused(stored: StoredModel, options: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(stored, **options)  # type: ignore[arg-type]


def test_importing_and_loading_open_no_connection_and_print_nothing(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = save_tiny(tmp_path / "model", "qwen2")
    capfd.readouterr()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    load(store.import_model(f"dir:{folder}"), threads=1)
    assert capfd.readouterr() == ("", "")


def test_threads_that_load_at_once_leave_transformers_as_it_was(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model", family="qwen2")  # of the small ones, one that ties its weights
    ties = PreTrainedModel.tie_weights
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(lambda _: read_model(folder, dtype="float32"), range(12)))
    assert PreTrainedModel.tie_weights is ties
    assert all(model.lm_head.weight is model.model.embed_tokens.weight for model in models)
