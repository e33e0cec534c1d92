"""The real demo model: imported once on this machine, then loaded within seconds."""

from __future__ import annotations

import time

import pytest
import torch

from auditor.language_models.local import LoadedModel, forget_models, load
from auditor.language_models.store import ModelStore, demo_file
from auditor.language_models.stored import StoredModel
from auditor.language_models.weights import SAMPLE_TEXT

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def stored(demo_store: ModelStore) -> StoredModel:
    return demo_store.import_model("demo:smollm2")


@pytest.fixture(scope="module")
def loaded(stored: StoredModel) -> LoadedModel:
    return load(stored, threads=torch.get_num_threads())


def test_the_manifest_describes_the_demo_model(stored: StoredModel) -> None:
    identity = stored.identity
    assert identity.architecture == "LlamaForCausalLM"
    assert identity.parameters == 134_515_008
    assert identity.context_length == 8192
    assert identity.weights_dtype == "float32"
    assert identity.quantisation.tensor_types == {"F32": 61, "Q4_1": 210, "Q8_0": 1}
    assert stored.manifest.imported.checks["conversion_largest_logit_difference"] <= 1e-5


def test_the_stored_weights_are_the_dequantised_ones_bit_for_bit(loaded: LoadedModel) -> None:
    import gguf

    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(demo_file()).tensors}
    weights = loaded.model.state_dict()
    pairs = {"blk.7.ffn_down": "layers.7.mlp.down_proj", "blk.29.attn_v": "layers.29.self_attn.v_proj"}
    for theirs, ours in {**pairs, "token_embd": "embed_tokens", "output_norm": "norm"}.items():
        tensor = tensors[f"{theirs}.weight"]
        expected = torch.tensor(gguf.dequantize(tensor.data, tensor.tensor_type))
        assert torch.equal(weights[f"model.{ours}.weight"], expected)


def test_special_tokens_are_the_makers(loaded: LoadedModel) -> None:
    tokenizer = loaded.tokenizer
    assert (tokenizer.bos_token, tokenizer.bos_token_id) == ("<|im_start|>", 1)
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == ("<|im_end|>", 2)
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == ("<|im_end|>", 2)
    assert (tokenizer.unk_token, tokenizer.unk_token_id) == ("<|endoftext|>", 0)
    assert tokenizer("Income")["input_ids"] == tokenizer("Income", add_special_tokens=False)["input_ids"]
    assert len(tokenizer("<|im_start|><repo_name><empty_output><|im_end|>")["input_ids"]) == 4


def test_digits_stand_alone_and_blanks_before_them_stay_together(loaded: LoadedModel) -> None:
    tokenizer = loaded.tokenizer
    assert tokenizer.tokenize("42,000") == ["4", "2", ",", "0", "0", "0"]
    assert tokenizer.tokenize("x  12") == ["x", "ĠĠ", "1", "2"]
    assert tokenizer.tokenize("a:\n\n42") == ["a", ":", "ĊĊ", "4", "2"]


def test_text_comes_back_from_its_tokens_with_exact_offsets(loaded: LoadedModel) -> None:
    encoded = loaded.tokenizer(SAMPLE_TEXT, return_offsets_mapping=True)
    assert loaded.tokenizer.decode(encoded["input_ids"]) == SAMPLE_TEXT
    number = SAMPLE_TEXT.index("42000")
    assert [(number + i, number + i + 1) for i in range(5)] == [
        span for span in encoded["offset_mapping"] if number <= span[0] < number + 5
    ]


def test_the_chat_template_frames_a_conversation(loaded: LoadedModel) -> None:
    text = loaded.tokenizer.apply_chat_template(
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        tokenize=False,
        add_generation_prompt=True,
    )
    assert text == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_the_model_knows_something(loaded: LoadedModel) -> None:
    tokens = torch.tensor([loaded.tokenizer("The capital of France is")["input_ids"]])
    with torch.inference_mode():
        best = int(loaded.model(tokens).logits[0, -1].argmax())
    assert loaded.tokenizer.decode([best]) == " Paris"


def test_a_second_import_and_load_take_seconds(demo_store: ModelStore, loaded: LoadedModel) -> None:
    forget_models()
    start = time.process_time()
    load(demo_store.import_model("demo:smollm2"), threads=torch.get_num_threads())
    assert time.process_time() - start < 15
