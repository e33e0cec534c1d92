"""Where a folder says one thing twice, the import says which of the two counts: the one transformers reads."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
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
