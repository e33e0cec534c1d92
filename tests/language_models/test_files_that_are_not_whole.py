"""A pointer instead of weights, a file cut short, tokens without an embedding: one line that names the cause."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from auditor.exceptions import ModelError
from auditor.language_models.local import load
from auditor.language_models.store import ModelStore
from auditor.scoring import _refuse_unembedded
from tests.language_models.gguf_writing import gguf_model, write
from tests.language_models.tiny import save_tiny, tiny_tokenizer


def test_a_pointer_of_git_lfs_is_called_one(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1234\n"
    (folder / "model.safetensors").write_text(pointer)
    with pytest.raises(ModelError, match=r"model\.safetensors: is the pointer of Git LFS"):
        ModelStore(tmp_path / "store").import_model(f"dir:{folder}")


@pytest.mark.parametrize("left", [-1, -5000, 300])
def test_a_gguf_that_is_cut_short_is_called_so(tmp_path: Path, left: int) -> None:
    path = write(tmp_path / "model.gguf", "llama", gguf_model("llama"))
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ModelError, match=r"model\.gguf: is damaged, or ends before its last tensor does"):
        ModelStore(tmp_path / "store").import_model(f"gguf:{path}")


def test_a_token_that_only_the_tokenizer_has_is_refused_by_name_when_a_prompt_holds_it(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["hello"])
    tokenizer.save_pretrained(folder)
    loaded = load(ModelStore(tmp_path / "store").import_model(f"dir:{folder}"), threads=1)
    without, within = (tuple(loaded.tokenizer(text)["input_ids"]) for text in ("good day", "say hello"))
    _refuse_unembedded(loaded, [SimpleNamespace(sequences=[without])], where="dir:model")  # type: ignore[list-item]
    with pytest.raises(ModelError, match=r"dir:model: its tokenizer makes token 260 \('hello'\) of a prompt"):
        _refuse_unembedded(loaded, [SimpleNamespace(sequences=[within])], where="dir:model")  # type: ignore[list-item]
