"""A LoRA adapter is stored beside its base and merged into the weights when it is loaded."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from auditor.exceptions import ModelError
from auditor.language_models import store as store_module
from auditor.language_models.local import LoadedModel, embedded_tokens, load
from auditor.language_models.store import ModelStore
from tests.language_models.tiny import edit_json, save_tiny, tiny_model, tiny_tokenizer
from tests.language_models.zoo import zoo_model

TOKENS = torch.arange(4, 120)[None]
TARGETS = {"gpt2": ["c_attn"], "gpt_neox": ["query_key_value"]}


def adapted_model(family: str = "llama", *, seed: int = 0, **options: Any) -> Any:
    """A tiny model with a random adapter that changes its answers."""
    torch.manual_seed(seed)
    options = {
        "target_modules": TARGETS.get(family, ["q_proj", "v_proj", "down_proj"]),
        "fan_in_fan_out": family == "gpt2",
        **options,
    }
    config = peft.LoraConfig(r=4, lora_alpha=16, task_type="CAUSAL_LM", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers for an attribute by its old name
        warnings.simplefilter("ignore", UserWarning)  # tied embeddings are what one of the tests is about
        model = peft.get_peft_model(tiny_model(family), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.1)
    return model.eval()


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "store")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "base")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    adapted_model().save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma", "gpt_neox", "gpt2"])
@pytest.mark.parametrize("options", [{}, {"use_rslora": True}, {"use_dora": True}, {"rank_pattern": {r".*\.0\..*": 2}}])
def test_merged_logits_are_those_of_the_adapter_beside_its_base(
    store: ModelStore, tmp_path: Path, family: str, options: dict[str, Any]
) -> None:
    adapted = adapted_model(family, **options)
    adapted.save_pretrained(tmp_path / "adapter")
    base = save_tiny(tmp_path / "base", family)
    stored = store.import_model(f"dir:{base}+adapter:{tmp_path}/adapter")
    merged = load(stored, threads=1).model
    with torch.inference_mode():
        expected, plain = adapted(TOKENS).logits, tiny_model(family)(TOKENS).logits
        assert (merged(TOKENS).logits - expected).abs().max() < 1e-5
        assert (plain - expected).abs().max() > 1e-2
    assert type(merged) is type(tiny_model(family))
    assert stored.manifest.imported.checks["merging_largest_logit_difference"] < 1e-5


def test_the_identity_names_the_base_and_the_adapter(store: ModelStore, base: Path, adapter: Path) -> None:
    plain = store.import_model(f"dir:{base}")
    stored = store.import_model(f"dir:{base}+adapter:{adapter}")
    assert stored.sha256 != plain.sha256
    assert stored.base == plain
    assert stored.identity.base_sha256 == plain.sha256
    assert stored.identity.adapter_sha256
    assert stored.identity.weights_sha256 == plain.identity.weights_sha256
    assert [entry.path for entry in stored.identity.files] == ["adapter_config.json", "adapter_model.safetensors"]
    assert sorted(path.name for path in stored.folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "manifest.json",
    ]


def test_a_second_import_builds_nothing(
    store: ModelStore, base: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.import_model(f"dir:{base}+adapter:{adapter}")
    monkeypatch.setattr(store_module, "describe_adapter", None)
    assert store.import_model(f"dir:{base}+adapter:{adapter}") == first


def test_two_adapters_are_merged_in_order(store: ModelStore, base: Path, adapter: Path, tmp_path: Path) -> None:
    adapted_model(seed=1).save_pretrained(tmp_path / "second")
    one = store.import_model(f"dir:{base}+adapter:{adapter}")
    both = store.import_model(f"dir:{base}+adapter:{adapter}+adapter:{tmp_path}/second")
    assert both.base == one
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        first = peft.PeftModel.from_pretrained(tiny_model(), adapter).merge_and_unload()
        second = peft.PeftModel.from_pretrained(first, tmp_path / "second").merge_and_unload().eval()
    with torch.inference_mode():
        assert torch.allclose(load(both, threads=1).model(TOKENS).logits, second(TOKENS).logits, atol=1e-5)


def test_a_tampered_base_or_adapter_is_not_loaded(store: ModelStore, base: Path, adapter: Path) -> None:
    stored = store.import_model(f"dir:{base}+adapter:{adapter}")
    assert stored.base
    for folder, name in ((stored.base.folder, "model.safetensors"), (stored.folder, "adapter_model.safetensors")):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(ModelError, match=f"{name}: has SHA-256"):
            stored.verify()
        (folder / name).write_bytes(content)
    stored.verify()


def refused(store: ModelStore, base: Path, adapter: Path) -> str:
    with pytest.raises(ModelError) as caught:
        store.import_model(f"dir:{base}+adapter:{adapter}")
    assert sum(1 for path in store.models.glob("*")) <= 1
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "peft_type: is 'IA3'"),
        ({"peft_type": None}, "peft_type: is None"),
        ({"task_type": "SEQ_CLS"}, "task_type: is 'SEQ_CLS'"),
        ({"megatron_config": {"a": 1}}, "megatron_config: this option"),
        ({"layer_replication": [[0, 2]]}, "layer_replication: this option"),
        ({"modules_to_save": ["lm_head"]}, "missing tensor base_model.model.lm_head.weight"),
        ({"a_later_option": True}, "a_later_option: this option"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights: is 'pissa'"),
        ({"auto_map": {"A": "b.C"}}, "auto_map: asks for code"),
        ({"target_modules": None}, "r or target_modules is missing"),
        ({"r": 0}, "r or target_modules is missing"),
        ({"r": 8}, "has the shape (4, 48); expected (8, 48) for this base model"),
        ({"target_modules": ["q_proj"]}, "unexpected tensor base_model.model.model.layers.0.mlp.down_proj"),
        ({"target_modules": ["q_proj", "v_proj", "down_proj", "up_proj"]}, "missing tensor base_model.model.model."),
        ({"target_modules": ["nothing_like_it"]}, "does not fit the base model"),
        ({"alpha_pattern": "wrong"}, "does not fit the base model"),
    ],
)
def test_an_adapter_config_that_cannot_be_honoured_is_refused(
    store: ModelStore, base: Path, adapter: Path, changes: dict[str, Any], message: str
) -> None:
    edit_json(adapter / "adapter_config.json", **changes)
    assert message in refused(store, base, adapter)


def test_an_adapter_of_another_model_is_refused(store: ModelStore, adapter: Path, tmp_path: Path) -> None:
    other = save_tiny(tmp_path / "other", "gpt2")
    assert "adapter_model.safetensors: does not fit the base model" in refused(store, other, adapter)


def test_pickled_adapter_weights_are_refused(store: ModelStore, base: Path, adapter: Path) -> None:
    torch.save(load_file(adapter / "adapter_model.safetensors"), adapter / "adapter_model.bin")
    (adapter / "adapter_model.safetensors").unlink()
    said = refused(store, base, adapter)
    assert "there are no adapter weights but adapter_model.bin, which can run code and is never opened" in said


def test_a_missing_folder_config_or_weights_file_is_named(store: ModelStore, base: Path, adapter: Path) -> None:
    assert "there is no such folder" in refused(store, base, adapter.parent / "nowhere")
    (adapter / "adapter_model.safetensors").unlink()
    assert "there are no adapter weights; expected adapter_model.safetensors" in refused(store, base, adapter)
    (adapter / "adapter_config.json").unlink()
    assert "there is no adapter_config.json" in refused(store, base, adapter)


def test_an_adapter_given_as_a_model_says_what_to_write(store: ModelStore, adapter: Path) -> None:
    with pytest.raises(ModelError, match=r"this is an adapter, not a model; expected .* with \+adapter:PATH"):
        store.import_model(f"dir:{adapter}")


def test_an_adapter_that_merging_would_change_is_refused(store: ModelStore, tmp_path: Path) -> None:
    """On tied embeddings a merge into the output head changes the input embedding, which the adapter does not."""
    base = save_tiny(tmp_path / "base", "qwen2")
    adapter = tmp_path / "adapter"
    adapted_model("qwen2", target_modules=["lm_head"]).save_pretrained(adapter, save_embedding_layers=False)
    assert "when it is merged" in refused(store, base, adapter)


def test_half_an_adapter_is_refused(store: ModelStore, base: Path, adapter: Path) -> None:
    tensors = load_file(adapter / "adapter_model.safetensors")
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, adapter / "adapter_model.safetensors")
    assert "missing tensor base_model.model.model.layers.0.mlp.down_proj.lora_A.weight" in refused(store, base, adapter)


def test_the_shipped_adapter_must_be_there(store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "UNDERWRITER", tmp_path / "none")
    with pytest.raises(ModelError, match="demo:underwriter: its adapter is not part of this installation"):
        store.import_model("demo:underwriter")
    assert not store.models.exists()


def trained(folder: Path, *, extra: int = 0, **options: Any) -> Any:
    """A tiny model as a trainer leaves it: tokens added, other modules trained whole, everything saved by PEFT."""
    torch.manual_seed(7)
    model = tiny_model()
    tokenizer = tiny_tokenizer()
    if extra:
        tokenizer.add_tokens([f"<field{number}>" for number in range(extra)])
        tokenizer.chat_template = "{% for message in messages %}<field0>{{ message.content }}{% endfor %}"
        model.resize_token_embeddings(len(tokenizer))
    config = peft.LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"], **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted = peft.get_peft_model(model, config).eval()
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "lora_" in name or "modules_to_save" in name:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
        adapted.save_pretrained(folder)
    if extra:
        tokenizer.save_pretrained(folder)
    return adapted


def same(store: ModelStore, base: Path, adapter: Path, adapted: Any) -> LoadedModel:
    """Imported, it answers as what PEFT trained, before and after PEFT merges it."""
    stored = store.import_model(f"dir:{base}+adapter:{adapter}")
    loaded = load(stored, threads=1)
    assert embedded_tokens(stored) == loaded.model.get_input_embeddings().num_embeddings
    with torch.inference_mode():
        found = loaded.model(TOKENS).logits
        assert (found - adapted(TOKENS).logits).abs().max() < 1e-5
        assert (found - adapted.merge_and_unload().eval()(TOKENS).logits).abs().max() < 1e-5
    return loaded


@pytest.mark.parametrize(
    "options",
    [
        {"modules_to_save": ["lm_head"]},
        {"modules_to_save": ["embed_tokens", "lm_head"]},
        {"bias": "all"},
        {"layers_to_transform": [1]},
        {"alpha_pattern": {"q_proj": 64}},
        {"use_rslora": True, "use_dora": True},
        {"trainable_token_indices": [5, 9]},
    ],
)
def test_whatever_peft_trains_and_saves_is_what_is_audited(
    store: ModelStore, base: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    same(store, base, tmp_path / "own", trained(tmp_path / "own", **options))


def test_an_adapter_brings_its_own_tokens_template_and_rows(store: ModelStore, base: Path, tmp_path: Path) -> None:
    adapted = trained(tmp_path / "own", extra=3, modules_to_save=["embed_tokens", "lm_head"])
    loaded = same(store, base, tmp_path / "own", adapted)
    assert loaded.tokenizer("<field2>")["input_ids"] == [len(tiny_tokenizer()) + 2]
    assert loaded.tokenizer.chat_template.startswith("{% for message")
    rows = len(tiny_tokenizer()) + 3
    assert loaded.model.get_input_embeddings().weight.shape[0] == rows


def test_embeddings_that_peft_saves_by_itself_are_read(store: ModelStore, base: Path, tmp_path: Path) -> None:
    """Where tokens were added PEFT keeps both embeddings, though no option names them."""
    adapted = trained(tmp_path / "own", extra=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted.save_pretrained(tmp_path / "own", save_embedding_layers=True)
    assert "base_model.model.lm_head.weight" in load_file(tmp_path / "own" / "adapter_model.safetensors")
    same(store, base, tmp_path / "own", adapted)


def test_added_tokens_without_rows_are_refused(store: ModelStore, base: Path, adapter: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<field>"])
    tokenizer.save_pretrained(adapter)
    assert "has 261 tokens, the model has rows for 260" in refused(store, base, adapter)


def test_added_rows_of_one_embedding_alone_are_refused(store: ModelStore, base: Path, tmp_path: Path) -> None:
    """The other one's new rows would come from an initialiser."""
    adapted = trained(tmp_path / "own", extra=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted.save_pretrained(tmp_path / "own", save_embedding_layers=True)
    path = tmp_path / "own" / "adapter_model.safetensors"
    tensors = load_file(path)
    del tensors["base_model.model.lm_head.weight"]
    save_file(tensors, path)
    assert "it adds tokens and brings no lm_head" in refused(store, base, tmp_path / "own")


def test_half_a_tokenizer_beside_an_adapter_is_refused(store: ModelStore, base: Path, adapter: Path) -> None:
    (adapter / "chat_template.jinja").write_text("{{ messages }}")
    assert "chat_template.jinja is there without tokenizer.json" in refused(store, base, adapter)


def test_an_adapter_without_a_task_and_with_names_of_classes_is_accepted(
    store: ModelStore, base: Path, tmp_path: Path
) -> None:
    """PEFT itself writes ``auto_mapping`` where no task is given: two names, which nothing is loaded by."""
    adapted = trained(tmp_path / "own")
    written = json.loads((tmp_path / "own" / "adapter_config.json").read_text())
    assert written["task_type"] is None
    assert written["auto_mapping"]["base_model_class"] == "LlamaForCausalLM"
    same(store, base, tmp_path / "own", adapted)


def test_adapter_weights_that_are_no_numbers_are_refused(store: ModelStore, base: Path, adapter: Path) -> None:
    tensors = load_file(adapter / "adapter_model.safetensors")
    name = sorted(tensors)[0]
    tensors[name][0, 0] = float("inf")
    save_file(tensors, adapter / "adapter_model.safetensors")
    assert f"{name} holds values that are not numbers" in refused(store, base, adapter)


def test_what_a_trainer_leaves_beside_an_adapter_is_said(store: ModelStore, base: Path, adapter: Path) -> None:
    (adapter / "optimizer.pt").write_bytes(b"\x80\x04")
    stored = store.import_model(f"dir:{base}+adapter:{adapter}")
    assert stored.notes == (f"{adapter}: left behind unopened: README.md, optimizer.pt",)


def expert_adapter(folder: Path, family: str, **options: Any) -> Any:
    """A mixture with an adapter on its experts, as PEFT saves it."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = peft.LoraConfig(r=4, lora_alpha=16, task_type="CAUSAL_LM", **options)
        adapted = peft.get_peft_model(zoo_model(family), config).eval()
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "lora_" in name:
                    parameter.normal_(std=0.1)
        adapted.save_pretrained(folder)
    return adapted


@pytest.mark.filterwarnings("ignore")  # PEFT and transformers warn of parameters that are no modules
@pytest.mark.parametrize("family", ["olmoe", "mixtral"])
def test_experts_that_an_adapter_names_as_parameters_are_read(store: ModelStore, tmp_path: Path, family: str) -> None:
    base = save_tiny(tmp_path / "base", model=zoo_model(family))
    named = ["experts.gate_up_proj", "experts.down_proj"]
    adapted = expert_adapter(tmp_path / "own", family, target_parameters=named, target_modules=["q_proj"])
    with torch.inference_mode():
        assert (adapted(TOKENS).logits - zoo_model(family)(TOKENS).logits).abs().max() > 0.1
    same(store, base, tmp_path / "own", adapted)


@pytest.mark.filterwarnings("ignore")
def test_experts_that_an_adapter_names_by_patterns_are_refused(store: ModelStore, tmp_path: Path) -> None:
    """PEFT trains the experts of an older layout and writes patterns by which it does not find them again."""
    base = save_tiny(tmp_path / "base", model=zoo_model("mixtral"))
    expert_adapter(tmp_path / "own", "mixtral", target_modules=["q_proj", "w1", "w2", "w3"])
    with pytest.raises(ModelError, match=r"own/adapter_model\.safetensors: does not fit the base model: .*pattern"):
        store.import_model(f"dir:{base}+adapter:{tmp_path / 'own'}")
