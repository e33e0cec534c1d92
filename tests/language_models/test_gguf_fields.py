"""Every field and tensor of a GGUF file is read, known to change nothing, or refused by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from auditor.exceptions import ModelError
from auditor.language_models import conversion
from auditor.language_models.gguf_files import read_gguf
from auditor.language_models.local import load
from auditor.language_models.positions import switch_length
from auditor.language_models.store import ModelStore
from tests.language_models.gguf_writing import Array, gguf_model, packed, tokenizer_fields, write

TOKENS = torch.arange(3, 203)[None]
YARN = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 64}


@pytest.fixture(scope="module")
def model() -> Any:
    return gguf_model("llama", num_hidden_layers=1)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "store")


def refused(store: ModelStore, path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        store.import_model(f"gguf:{path}")
    assert not list(store.models.glob("*"))
    assert "\n" not in str(caught.value)
    assert ".incoming" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def with_rope(model: Any, rope: Mapping[str, Any]) -> Any:
    """The same weights under another encoding of positions, by plain transformers."""
    config = LlamaConfig(**{**model.config.to_dict(), "rope_parameters": {"rope_theta": 10000.0, **rope}})
    other = LlamaForCausalLM(config).eval()
    other.load_state_dict(model.state_dict())
    return other


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(TOKENS).logits


LLAMA_3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN_ROPE = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}


@pytest.mark.parametrize(
    ("fields", "rope"),
    [
        ({"rope.scaling.type": "linear", "rope.scaling.factor": 2.0}, {"rope_type": "linear", "factor": 2.0}),
        ({"rope.scaling.factor": 2.0}, {"rope_type": "linear", "factor": 2.0}),
        ({"rope.scale_linear": 2.0}, {"rope_type": "linear", "factor": 2.0}),
        (YARN, YARN_ROPE),
        ({**YARN, "rope.scaling.yarn_beta_fast": 16.0}, {**YARN_ROPE, "beta_fast": 16.0}),
        ({"rope.freq_base": 500.0}, {"rope_type": "default", "rope_theta": 500.0}),
        ({"rope.scaling.type": "none", "rope.scaling.finetuned": True}, {"rope_type": "default"}),
    ],
)
def test_scaling_of_positions_is_the_files(
    store: ModelStore, tmp_path: Path, model: Any, fields: dict[str, Any], rope: dict[str, Any]
) -> None:
    stored = store.import_model(f"gguf:{write(tmp_path / 'm.gguf', 'llama', model, fields=fields)}")
    expected = logits(with_rope(model, rope))
    assert (logits(load(stored, threads=1).model) - expected).abs().max() < 1e-4
    if rope != {"rope_type": "default"}:
        assert (logits(model) - expected).abs().max() > 1e-2


def test_a_tensor_of_rope_factors_is_part_of_the_position_encoding(
    store: ModelStore, tmp_path: Path, model: Any
) -> None:
    """Llama 3.1 keeps its scaling as a tensor of factors, by which the frequencies are divided."""
    other = with_rope(model, LLAMA_3)
    plain = model.model.rotary_emb.inv_freq
    factors = (plain / other.model.rotary_emb.inv_freq).numpy().astype(np.float32)

    def add(tensors: dict[str, Array]) -> None:
        tensors["rope_freqs.weight"] = factors

    stored = store.import_model(f"gguf:{write(tmp_path / 'm.gguf', 'llama', model, tensors=add)}")
    loaded = load(stored, threads=1).model
    assert (logits(loaded) - logits(other)).abs().max() < 1e-4
    assert (logits(loaded) - logits(model)).abs().max() > 1e-2
    assert switch_length(loaded) is None, "one list of factors does not change with a prompt's length"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"attention.sliding_window": 32}, "llama.attention.sliding_window is 32"),
        ({"expert_count": 8}, "llama.expert_count is 8"),
        ({"logit_scale": 0.5}, "llama.logit_scale is 0.5"),
        ({"attention.scale": 0.25}, "llama.attention.scale is 0.25"),
        ({"attention.clamp_kqv": 8.0}, "llama.attention.clamp_kqv is 8.0"),
        ({"attn_logit_softcapping": 50.0}, "llama.attn_logit_softcapping is 50.0"),
        ({"residual_scale": 0.2}, "llama.residual_scale is "),
        ({"a_later_field": 1}, "llama.a_later_field is 1"),
        ({"rope.scaling.type": "longrope", "rope.scaling.factor": 2.0}, "llama.rope.scaling.type is 'longrope'"),
        ({**YARN, "rope.scaling.original_context_length": None}, "llama.rope.scaling.original_context_length is None"),
        ({**YARN, "rope.scaling.attn_factor": 0.5}, "llama.rope.scaling.attn_factor is 0.5"),
        ({"rope.dimension_count": 32}, "llama.rope.dimension_count is 32"),
        ({"attention.layer_norm_rms_epsilon": None}, "llama.attention.layer_norm_rms_epsilon is None"),
        ({"context_length": None}, "llama.context_length is None"),
        ({"attention.head_count_kv": [2, 4]}, "llama.attention.head_count_kv is [2, 4]"),
        ({"vocab_size": 999}, "token_embd.weight has 264 rows for a vocabulary of 999"),
    ],
)
def test_a_field_that_would_change_the_function_unread_is_refused_by_name(
    store: ModelStore, tmp_path: Path, model: Any, fields: dict[str, Any], message: str
) -> None:
    assert message in refused(store, write(tmp_path / "m.gguf", "llama", model, fields=fields))


def test_a_field_of_another_architecture_is_refused(store: ModelStore, tmp_path: Path, model: Any) -> None:
    more = {**tokenizer_fields(), "clip.projector_type": "mlp"}
    path = write(tmp_path / "m.gguf", "llama", model, tokenizer=more)
    assert "clip.projector_type is a field that is not read" in refused(store, path)


@pytest.mark.parametrize("name", ["blk.0.ffn_down.weight", "output_norm.weight", "token_embd.weight"])
def test_a_missing_tensor_is_refused_and_never_drawn_at_random(
    store: ModelStore, tmp_path: Path, model: Any, name: str
) -> None:
    path = write(tmp_path / "m.gguf", "llama", model, tensors=lambda tensors: void(tensors.pop(name)))
    assert "missing" in refused(store, path)


def void(_: Any) -> None:
    """Drop what a call gives back."""


def test_a_tensor_that_has_no_place_in_the_model_is_refused(store: ModelStore, tmp_path: Path, model: Any) -> None:
    def add(tensors: dict[str, Array]) -> None:
        tensors["blk.0.attn_q.bias"] = np.ones(256, dtype=np.float32)

    path = write(tmp_path / "m.gguf", "llama", model, tensors=add)
    assert "the tensor blk.0.attn_q.bias has no place in the model" in refused(store, path)


def test_weights_that_are_no_numbers_are_refused_by_name(store: ModelStore, tmp_path: Path, model: Any) -> None:
    def spoil(tensors: dict[str, Array]) -> None:
        tensors["blk.0.ffn_up.weight"][3, 5] = np.nan

    path = write(tmp_path / "m.gguf", "llama", model, tensors=spoil)
    assert "mlp.up_proj.weight holds values that are not numbers" in refused(store, path)


def test_a_conversion_that_changes_a_tensor_is_refused(
    store: ModelStore, tmp_path: Path, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stored copy is compared with the file itself, so a fault in the conversion cannot hide in its own copy."""
    save = conversion.save_converted

    def save_changed(converted: Any, tokenizer: Any, folder: Path) -> None:
        with torch.no_grad():
            converted.model.layers[0].self_attn.q_proj.weight[0, 0] += 1e-3
        save(converted, tokenizer, folder)

    monkeypatch.setattr(conversion, "save_converted", save_changed)
    path = write(tmp_path / "m.gguf", "llama", model)
    assert "blk.0.attn_q.weight is not what model.layers.0.self_attn.q_proj.weight" in refused(store, path)


def in_parts(folder: Path, model: Any) -> list[Path]:
    write(folder / "m.gguf", "llama", model, parts=5)
    return sorted(folder.glob("m-*.gguf"))


def test_all_parts_of_a_split_file_are_read_together(store: ModelStore, tmp_path: Path, model: Any) -> None:
    (tmp_path / "parts").mkdir()
    parts = in_parts(tmp_path / "parts", model)
    assert len(parts) == 3
    stored = store.import_model(f"gguf:{parts[0]}")
    assert torch.equal(logits(load(stored, threads=1).model), logits(model))
    assert sum(stored.identity.quantisation.tensor_types.values()) == 12


@pytest.mark.parametrize("lost", [1, 2])
def test_a_missing_part_is_named(store: ModelStore, tmp_path: Path, model: Any, lost: int) -> None:
    parts = in_parts(tmp_path, model)
    parts[lost].unlink()
    with pytest.raises(ModelError, match=f"{parts[lost].name}: there is no such file; expected all 3 parts"):
        store.import_model(f"gguf:{parts[0]}")


def test_a_later_part_says_which_file_to_give(store: ModelStore, tmp_path: Path, model: Any) -> None:
    parts = in_parts(tmp_path, model)
    with pytest.raises(ModelError, match=r"this is part 2 of 3; expected the first part, m-00001-of-00003\.gguf"):
        store.import_model(f"gguf:{parts[1]}")


def test_a_renamed_part_is_still_a_part(tmp_path: Path, model: Any) -> None:
    parts = in_parts(tmp_path, model)
    with pytest.raises(ModelError, match=r"split\.count is 3: this is part 1 of a file in 3 parts"):
        read_gguf(parts[0].rename(tmp_path / "whole.gguf"))


def test_parts_of_two_files_are_not_put_together(tmp_path: Path, model: Any) -> None:
    parts = in_parts(tmp_path, model)
    (tmp_path / "other").mkdir()
    other = in_parts(tmp_path / "other", model)
    other[1].replace(parts[2])
    with pytest.raises(ModelError, match=r"split\.no is 1 and split\.count 3"):
        read_gguf(parts[0])


def test_a_store_of_an_older_reading_is_read_anew(
    store: ModelStore, tmp_path: Path, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was imported before all of this was checked is not loaded again as if it had been."""
    path = write(tmp_path / "m.gguf", "llama", model)
    monkeypatch.setattr("auditor.language_models.store.READING", 1)
    old = store.import_model(f"gguf:{path}")
    monkeypatch.undo()
    with pytest.raises(ModelError, match="was imported by an older version, which read and refused less of its files"):
        store.get(old.sha256).verify()
    again = store.import_model(f"gguf:{path}")
    assert again.sha256 == old.sha256
    again.verify()


def test_the_blocks_that_tests_make_up_are_read_back_as_other_values() -> None:
    """A check of the tests' own writer: a K-quant of made-up bytes is neither zero nor the values it stands for."""
    import gguf

    values = np.ones((2, 256), dtype=np.float32)
    for kind in ("Q2_K", "Q4_K", "Q6_K"):
        wanted = gguf.GGMLQuantizationType[kind]
        found = gguf.dequantize(packed(values, wanted), wanted)
        assert found.shape == values.shape
        assert found.std() > 0
