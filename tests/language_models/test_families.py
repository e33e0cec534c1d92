"""One row of a table opens a family: the view, the gain of its norms, packing; what is not known is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from auditor.exceptions import ModelError
from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.families import FAMILIES, gain
from auditor.language_models.local import load
from auditor.language_models.packed import probe_packing
from auditor.language_models.store import ModelStore
from tests.language_models.tiny import edit_json, save_tiny
from tests.language_models.zoo import ROWS, STRUCTURED, WINDOW, zoo_model


def test_the_zoo_holds_a_model_of_every_family_of_the_table() -> None:
    assert {zoo_model(family).config.model_type for family in STRUCTURED} == set(FAMILIES)


@pytest.mark.parametrize("family", ROWS)
def test_every_row_can_be_packed(family: str) -> None:
    model = zoo_model(family)
    # Ministral's window is shorter than the prompts of the others, and packs are for prompts within it.
    longest = 150 if getattr(model.config, "sliding_window", None) != WINDOW else WINDOW - 8
    probe = probe_packing(model, vocabulary=260, longest=longest, pack_tokens=64)
    assert probe.packable, probe.reason


@pytest.mark.parametrize("family", ROWS)
def test_the_config_tells_how_many_tokens_are_embedded(family: str) -> None:
    model = zoo_model(family)
    assert model.config.get_text_config().vocab_size == model.get_input_embeddings().num_embeddings


@pytest.mark.parametrize("family", STRUCTURED)
def test_a_norm_is_its_gain_times_the_scaled_state_plus_its_offset(family: str) -> None:
    model = zoo_model(family)
    decoder = read_decoder(model)
    assert isinstance(decoder, Decoder)
    norm = decoder.parts.final_norm
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in norm.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5 + (name == "weight"))
        state = 50 * torch.randn(decoder.width, generator=generator)
        found, offset, centred = gain(norm, width=decoder.width, like=state)
        moved = state - state.mean() if centred else state
        expected = moved / moved.pow(2).mean().sqrt() * found + offset
        assert torch.allclose(norm(state), expected, atol=1e-3, rtol=1e-3)


def test_a_model_that_also_reads_pictures_is_audited_through_its_language_model(tmp_path: Path) -> None:
    source = save_tiny(tmp_path / "gemma3", model=zoo_model("gemma3_with_pictures"))
    stored = ModelStore(tmp_path / "store").import_model(f"dir:{source}")
    assert stored.identity.context_length == 512
    loaded = load(stored, threads=1)
    assert isinstance(read_decoder(loaded.model), Decoder)
    assert probe_packing(loaded.model, vocabulary=260, longest=120).packable


def test_a_composite_model_without_a_causal_language_model_is_refused_at_import(tmp_path: Path) -> None:
    source = save_tiny(tmp_path / "other")
    edit_json(source / "config.json", architectures=["Mistral3ForConditionalGeneration"], model_type="mistral3")
    with pytest.raises(ModelError, match="Mistral3ForConditionalGeneration is not a causal language model"):
        ModelStore(tmp_path / "store").import_model(f"dir:{source}")
