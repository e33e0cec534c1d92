"""A GGUF file becomes safetensors once, with the answers and the tokens of the model it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from auditor.exceptions import ModelError
from auditor.language_models import conversion
from auditor.language_models.local import load
from auditor.language_models.store import ModelStore
from tests.language_models.tiny import save_tiny, tiny_model

# Two digits and two spaces that merge: enough to tell the splitting rules apart.
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = [("Ġ", "Ġ"), ("Ċ", "Ċ"), ("1", "2"), ("Ġ", "1"), ("a", "b")]
VOCABULARY = ["<s>", "</s>", "<pad>", *ALPHABET, *("".join(pair) for pair in MERGES)]
HEADS = {"q_proj": 4, "k_proj": 2}
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "store")


def model_with_vocabulary() -> Any:
    model = tiny_model(seed=5)
    torch.manual_seed(6)
    model.resize_token_embeddings(len(VOCABULARY))
    return model.eval()


def write_gguf(path: Path, model: Any, *, split: str = "smollm", architecture: str = "llama") -> Path:
    """Write a Llama model the way llama.cpp's converter does: rotary halves interleaved in queries and keys."""
    config = model.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(len(VOCABULARY))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list(VOCABULARY)
    writer.add_token_types([3, 3, 3] + [1] * (len(VOCABULARY) - 3))
    writer.add_token_merges([" ".join(pair) for pair in MERGES])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    for name, tensor in model.state_dict().items():
        stem = name.removesuffix(".weight")
        array = tensor.numpy().astype(np.float32)
        if stem in OUTSIDE:
            writer.add_tensor(f"{OUTSIDE[stem]}.weight", array)
            continue
        _, _, layer, inner = stem.split(".", 3)
        if heads := HEADS.get(inner.rpartition(".")[2]):
            array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        writer.add_tensor(f"blk.{layer}.{NAMES[inner]}.weight", np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_converted_model_gives_the_logits_it_had_before_gguf(store: ModelStore, tmp_path: Path) -> None:
    model = model_with_vocabulary()
    stored = store.import_model(f"gguf:{write_gguf(tmp_path / 'tiny.gguf', model)}")
    tokens = torch.arange(3, 200)[None]
    with torch.inference_mode():
        assert torch.allclose(load(stored, threads=1).model(tokens).logits, model(tokens).logits, atol=1e-5, rtol=0)
    assert stored.manifest.imported.checks == {"conversion_largest_logit_difference": 0}


def test_the_manifest_names_the_quantisation_it_came_from(store: ModelStore, tmp_path: Path) -> None:
    stored = store.import_model(f"gguf:{write_gguf(tmp_path / 'tiny.gguf', model_with_vocabulary())}")
    origin = stored.identity.quantisation
    assert (origin.container, origin.stored_as) == ("GGUF", "float32")
    assert origin.tensor_types == {"F32": 2 * 9 + 3}
    assert "transformers_version" not in (stored.folder / "config.json").read_text()
    assert "quantization_config" not in (stored.folder / "config.json").read_text()


def test_two_conversions_of_one_file_are_the_same_model(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", model_with_vocabulary())
    first = ModelStore(tmp_path / "one").import_model(f"gguf:{path}")
    second = ModelStore(tmp_path / "two").import_model(f"gguf:{path.rename(tmp_path / 'renamed.gguf')}")
    assert first.sha256 == second.sha256


def reference(*, digits_apart: bool) -> Tokenizer:
    """The tokenizer as its makers would write it, straight from its vocabulary."""
    ids = {token: number for number, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(BPE(vocab=ids, merges=MERGES))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level]) if digits_apart else byte_level
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in VOCABULARY[:3]])
    return tokenizer


@pytest.mark.parametrize(("split", "digits_apart"), [("smollm", True), ("gpt-2", False)])
def test_text_is_split_by_the_rule_that_the_file_names(
    store: ModelStore, tmp_path: Path, split: str, digits_apart: bool
) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", model_with_vocabulary(), split=split)
    tokenizer = load(store.import_model(f"gguf:{path}"), threads=1).tokenizer
    for text in ("12", "ab  12", "ab\n\n1", " 1", "<s>ab</s>", "é½ ☂"):
        assert tokenizer(text)["input_ids"] == reference(digits_apart=digits_apart).encode(text).ids
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == ("<s>", "</s>", "<pad>")


def refused(store: ModelStore, path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        store.import_model(f"gguf:{path}")
    assert list(store.models.iterdir()) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_splitting_rule_that_cannot_be_rebuilt_is_refused(store: ModelStore, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", model_with_vocabulary(), split="novel")
    assert "splits text by the rule 'novel', which cannot be rebuilt exactly" in refused(store, path)


def test_an_architecture_that_cannot_be_converted_is_refused(store: ModelStore, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", model_with_vocabulary(), architecture="novel")
    assert "tiny.gguf: the architecture 'novel' is not read from GGUF" in refused(store, path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.95])
def test_a_truncated_file_is_refused(store: ModelStore, tmp_path: Path, share: float) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", model_with_vocabulary())
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "tiny.gguf: " in refused(store, path)


def test_a_copy_that_answers_differently_is_refused(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = conversion.save_converted

    def save_something_else(model: Any, tokenizer: Any, folder: Path) -> None:
        other = model_with_vocabulary()
        with torch.no_grad():
            other.lm_head.weight.add_(1e-3)
        save(other, tokenizer, folder)

    monkeypatch.setattr(conversion, "save_converted", save_something_else)
    path = write_gguf(tmp_path / "tiny.gguf", model_with_vocabulary())
    assert "the stored copy's logits differ by" in refused(store, path)


def test_files_beside_the_gguf_file_are_not_read(store: ModelStore, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", model_with_vocabulary())
    expected = ModelStore(tmp_path / "alone").import_model(f"gguf:{path}")
    save_tiny(tmp_path, "gpt2")
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "org/other"}')
    (tmp_path / "chat_template.jinja").write_text("{{ 'other' }}")
    assert store.import_model(f"gguf:{path}").sha256 == expected.sha256
