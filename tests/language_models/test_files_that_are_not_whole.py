"""A pointer instead of weights, a file cut short, tokens without an embedding: one line that names the cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.conductor import prepare
from auditor.exceptions import ModelError
from auditor.language_models.answers import Question, refuse_unembedded
from auditor.language_models.local import embedded_tokens, load, read_stored_tokenizer
from auditor.language_models.store import ModelStore
from auditor.language_models.stored import StoredModel
from tests.engine.small import small_data, small_plan
from tests.language_models.gguf_writing import gguf_model, write
from tests.language_models.tiny import save_tiny, tiny_tokenizer


def test_a_pointer_of_git_lfs_is_called_one(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1234\n"
    (folder / "model.safetensors").write_text(pointer)
    with pytest.raises(ModelError, match=r"model\.safetensors: is a Git LFS pointer"):
        ModelStore(tmp_path / "store").import_model(f"dir:{folder}")


@pytest.mark.parametrize("left", [-1, -5000, 300])
def test_a_gguf_that_is_cut_short_is_called_so(tmp_path: Path, left: int) -> None:
    path = write(tmp_path / "model.gguf", "llama", gguf_model("llama"))
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ModelError, match=r"model\.gguf: is damaged, or ends before its last tensor does"):
        ModelStore(tmp_path / "store").import_model(f"gguf:{path}")


@pytest.fixture
def uneven(tmp_path: Path) -> StoredModel:
    """A model whose tokenizer has two words more than its weights."""
    folder = save_tiny(tmp_path / "model")
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["hello", "Form"])
    tokenizer.save_pretrained(folder)
    return ModelStore(tmp_path / "store").import_model(f"dir:{folder}")


@pytest.mark.parametrize(
    "within",
    [Question((1, 260), ((5,),), ((6,),)), Question((1,), ((5, 260),), ((6,),)), Question((1,), ((5,),), ((6, 260),))],
)
def test_a_token_that_only_the_tokenizer_has_is_refused_by_name(uneven: StoredModel, within: Question) -> None:
    tokenizer = read_stored_tokenizer(uneven)
    without = Question((1, 259), ((5,),), ((6,),))
    refuse_unembedded([without], rows=260, tokenizer=tokenizer, where="dir:model")
    with pytest.raises(
        ModelError, match=r"dir:model: its tokenizer makes token 260 \('hello'\) of a prompt or an answer"
    ):
        refuse_unembedded([without, within], rows=260, tokenizer=tokenizer, where="dir:model")


def test_a_run_whose_prompts_hold_such_a_token_is_refused_before_anything_is_scored(uneven: StoredModel) -> None:
    with pytest.raises(ModelError, match=r"token 261 \('Form'\) of a prompt or an answer, and the model embeds 260;"):
        prepare(plan=small_plan(), model=uneven, data=small_data(), where="small.toml")


def test_such_a_token_in_no_prompt_stops_nothing(uneven: StoredModel) -> None:
    plan = small_plan(prompt__template="Income {income}\nNumber {form}\nSex {sex}\nRace {race}\nDecision:")
    assert prepare(plan=plan, model=uneven, data=small_data(), where="small.toml").prompts > 0
    assert embedded_tokens(uneven) == load(uneven, threads=1).model.get_input_embeddings().num_embeddings == 260
