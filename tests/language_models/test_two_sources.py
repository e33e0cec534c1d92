"""Where a folder says one thing twice, the import says which of the two counts: the one transformers reads."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from auditor.language_models.local import load
from auditor.language_models.store import ModelStore
from tests.language_models.tiny import edit_json, save_tiny

OURS, OTHER = "{{ messages[0]['content'] }} ours", "{{ messages[0]['content'] }} other"


def test_weights_in_one_file_count_beside_an_index_and_it_is_said(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    shards = save_tiny(tmp_path / "shards", seed=5, max_shard_size="20KB")
    for path in shards.glob("model*"):
        shutil.copy(path, folder)
    stored = ModelStore(tmp_path / "store").import_model(f"dir:{folder}")
    assert stored.notes[0] == (
        f"{folder}: two sets of weights: those of model.safetensors are the model's, as transformers reads them, not "
        "the shards of model.safetensors.index.json"
    )
    assert "left behind unopened: model-00001" in stored.notes[1]
    theirs = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    ours = load(stored, threads=1).model.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.mark.parametrize("several", [False, True])
def test_the_template_in_a_file_of_its_own_counts_and_it_is_said(tmp_path: Path, several: bool) -> None:
    folder = save_tiny(tmp_path / "model")
    (folder / "chat_template.jinja").write_text(OURS)
    edit_json(
        folder / "tokenizer_config.json",
        chat_template=[{"name": "default", "template": OTHER}] if several else OTHER,
    )
    stored = ModelStore(tmp_path / "store").import_model(f"dir:{folder}")
    assert stored.notes == (
        f"{folder}: two chat templates that differ: that of chat_template.jinja is the model's, as transformers reads "
        "them, not that of tokenizer_config.json",
    )
    assert (
        load(stored, threads=1).tokenizer.chat_template == OURS == AutoTokenizer.from_pretrained(folder).chat_template
    )


def test_the_same_template_twice_is_nothing_to_say(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    (folder / "chat_template.jinja").write_text(OURS)
    edit_json(folder / "tokenizer_config.json", chat_template=OURS)
    assert ModelStore(tmp_path / "store").import_model(f"dir:{folder}").notes == ()


@pytest.mark.parametrize("sharded", [False, True])
def test_a_head_that_the_config_calls_the_embedding_counts_where_the_weights_hold_another(
    tmp_path: Path, sharded: bool
) -> None:
    folder = save_tiny(tmp_path / "model", **({"max_shard_size": "20KB"} if sharded else {}))
    edit_json(folder / "config.json", tie_word_embeddings=True)
    stored = ModelStore(tmp_path / "store").import_model(f"dir:{folder}")
    (said,) = stored.notes
    assert "two heads: config.json says that the head is the embedding" in said
    assert "another, lm_head.weight: that one is the model's" in said
    ours, theirs = load(stored, threads=1).model, AutoModelForCausalLM.from_pretrained(folder)
    assert torch.equal(ours.lm_head.weight, theirs.lm_head.weight)
    assert not torch.equal(ours.lm_head.weight, ours.model.embed_tokens.weight)


def test_a_head_that_is_the_embedding_twice_is_nothing_to_say(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    edit_json(folder / "config.json", tie_word_embeddings=True)
    assert ModelStore(tmp_path / "store").import_model(f"dir:{folder}").notes == ()


def test_a_base_of_positions_that_is_said_twice_is_said(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    edit_json(folder / "config.json", rope_theta=500000.0)
    stored = ModelStore(tmp_path / "store").import_model(f"dir:{folder}")
    assert "rope_theta = 10000.0 in rope_parameters is the model's" in stored.notes[0]
    assert load(stored, threads=1).model.config.rope_parameters["rope_theta"] == 10000.0
