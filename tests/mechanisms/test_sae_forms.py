"""Autoencoders as people have them: every architecture, key and year of SAELens, and Gemma Scope, as what they compute.

The installed SAELens is the oracle wherever it can read the form itself; elsewhere the formula is written out.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from auditor.exceptions import ModelError
from auditor.mechanisms.sae.autoencoder import Autoencoder
from auditor.mechanisms.sae.declared import AVERAGE, read_declared
from auditor.mechanisms.sae.files import load
from auditor.mechanisms.sae.keys import IDLE, READ
from tests.mechanisms.test_sae_files import LATENTS, WIDTH, saelens, states, theirs

FACTOR = 1.7
PEERS: list[tuple[str, dict[str, Any]]] = [
    (name, {**own, "apply_b_dec_to_input": centred})
    for name, own in (
        ("TopKSAE", {"k": 4}),
        ("TopKSAE", {"k": 4, "rescale_acts_by_decoder_norm": True}),
        ("JumpReLUSAE", {}),
        ("StandardSAE", {}),
        ("GatedSAE", {}),
    )
    for centred in (True, False)
]


def the_same(model: Autoencoder, peer: Any, x: Tensor) -> None:
    with torch.no_grad():
        theirs = peer.encode(x)
        torch.testing.assert_close(model.encode(x).dense(), theirs, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(model.reconstruct(x), peer.decode(theirs), rtol=1e-4, atol=1e-4)
        assert 0 < (theirs > 0).float().mean() < 1, "a peer that is silent or wide open shows nothing"


def config_of(folder: Path, **changes: Any) -> dict[str, Any]:
    config = json.loads((folder / "cfg.json").read_text()) | changes
    (folder / "cfg.json").write_text(json.dumps(config))
    return dict(config)


def weights_of(folder: Path, **changes: Tensor) -> None:
    path = folder / "sae_weights.safetensors"
    save_file(load_file(path) | changes, path)


@pytest.mark.parametrize(("name", "more"), PEERS, ids=str)
def test_every_architecture_computes_what_saelens_computes(name: str, more: dict[str, Any], tmp_path: Path) -> None:
    peer = theirs(name, **more)
    peer.save_model(tmp_path)

    the_same(load(tmp_path, width=WIDTH), peer, states())


@pytest.mark.parametrize("where", ["activation_scaler.json", "cfg.json", "mean norm of the states"])
@pytest.mark.parametrize(("name", "more"), PEERS, ids=str)
def test_states_scaled_to_a_mean_norm_are_folded_in_as_saelens_folds_them(
    name: str, more: dict[str, Any], where: str, tmp_path: Path
) -> None:
    peer = theirs(name, **more, normalize_activations=AVERAGE)
    peer.save_model(tmp_path)
    if where == "activation_scaler.json":
        (tmp_path / where).write_text(json.dumps({"scaling_factor": FACTOR, "has_whitening": False}))
    elif where == "cfg.json":
        config_of(tmp_path, norm_scaling_factor=FACTOR)
    peer.fold_activation_norm_scaling_factor(FACTOR)
    mean_norm = WIDTH**0.5 / FACTOR if where.startswith("mean") else None

    the_same(load(tmp_path, mean_norm=mean_norm), peer, states())


def test_a_scale_that_nobody_knows_is_not_taken_for_one(tmp_path: Path) -> None:
    theirs("JumpReLUSAE", normalize_activations=AVERAGE).save_model(tmp_path)

    with pytest.raises(ModelError, match=r"does not say by what; expected .*activation_norm"):
        load(tmp_path)


@pytest.mark.parametrize("rescaled", [True, False])
@pytest.mark.parametrize("factor", [None, FACTOR])
def test_a_checkpoint_of_batch_top_k_training_has_the_threshold_it_would_be_saved_with(
    rescaled: bool, factor: float | None, tmp_path: Path
) -> None:
    normal = AVERAGE if factor else "none"
    more = {"k": 4.0, "rescale_acts_by_decoder_norm": rescaled, "normalize_activations": normal}
    training = theirs("BatchTopKTrainingSAE", **more)
    training.topk_threshold = torch.tensor(1.5, dtype=torch.float64)
    training.save_model(tmp_path / "checkpoint")
    if factor:
        (tmp_path / "checkpoint" / "activation_scaler.json").write_text(json.dumps({"scaling_factor": factor}))
        training.fold_activation_norm_scaling_factor(factor)
    training.save_inference_model(tmp_path / "inference")
    peer = saelens().SAE.load_from_disk(tmp_path / "inference", device="cpu")
    model = load(tmp_path / "checkpoint")

    assert model.kind == "batchtopk"
    the_same(model, peer, states())


def test_matryoshka_is_read_as_the_batch_top_k_it_is_outside_training(tmp_path: Path) -> None:
    training = theirs("MatryoshkaBatchTopKTrainingSAE", k=4.0, matryoshka_widths=[5, LATENTS])
    training.topk_threshold = torch.tensor(1.5, dtype=torch.float64)
    training.save_model(tmp_path / "checkpoint")
    training.save_inference_model(tmp_path / "inference")
    peer = saelens().SAE.load_from_disk(tmp_path / "inference", device="cpu")

    the_same(load(tmp_path / "checkpoint"), peer, states())


YEARS = {
    "2024-01, hook_point": {"hook_point": "blocks.{layer}.hook_resid_pre", "hook_point_layer": 3, "prepend_bos": True},
    "2024-05, hook_name": {"hook_name": "blocks.3.hook_resid_pre", "hook_layer": 3, "activation_fn_str": "relu"},
    "2024-09, normalised or not": {"hook_name": "blocks.3.hook_resid_pre", "normalize_activations": False},
    "2025, nothing normalised": {"hook_name": "blocks.3.hook_resid_pre", "normalize_activations": None},
}


@pytest.mark.parametrize("more", list(YEARS.values()), ids=list(YEARS))
def test_flat_configurations_of_past_years_are_read_as_saelens_reads_them(more: dict[str, Any], tmp_path: Path) -> None:
    theirs("StandardSAE").save_model(tmp_path)
    old = {"d_in": WIDTH, "d_sae": LATENTS, "dtype": "torch.float32", "model_name": "gpt2-small", **more}
    (tmp_path / "cfg.json").write_text(json.dumps(old))
    peer = saelens().SAE.load_from_disk(tmp_path, device="cpu")

    the_same(load(tmp_path), peer, states())
    assert (read_declared(tmp_path).model, read_declared(tmp_path).hook) == ("gpt2-small", "blocks.3.hook_resid_pre")


@pytest.mark.parametrize(("year", "noted"), [("2024-01, hook_point", True), ("2024-05, hook_name", False)])
def test_files_of_a_year_that_centred_states_without_a_word_are_noted(year: str, noted: bool, tmp_path: Path) -> None:
    theirs("StandardSAE").save_model(tmp_path)
    old = {"d_in": WIDTH, "d_sae": LATENTS, "dtype": "torch.float32", "model_name": "gpt2-small", **YEARS[year]}
    (tmp_path / "cfg.json").write_text(json.dumps(old))

    assert any("center_writing_weights" in note for note in read_declared(tmp_path).notes) is noted


def test_top_k_named_by_its_activation_function_is_top_k(tmp_path: Path) -> None:
    theirs("StandardSAE").save_model(tmp_path)
    old = {"d_in": WIDTH, "d_sae": LATENTS, "dtype": "float32", "architecture": "standard", "hook_name": "x"}
    config = {**old, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}}
    (tmp_path / "cfg.json").write_text(json.dumps(config))
    model = load(tmp_path)

    assert (model.kind, model.k) == ("topk", 3)
    the_same(model, saelens().SAE.load_from_disk(tmp_path, device="cpu"), states())


def test_a_runner_s_configuration_stands_in_for_the_autoencoder_s_own(tmp_path: Path) -> None:
    peer = theirs("JumpReLUSAE")
    peer.save_model(tmp_path)
    own = config_of(tmp_path)
    (tmp_path / "cfg.json").unlink()
    own.pop("metadata")
    runner = {"sae": own, "model_name": "gpt2", "hook_name": "blocks.2.hook_resid_post", "training_tokens": 10}
    (tmp_path / "runner_cfg.json").write_text(json.dumps(runner))

    the_same(load(tmp_path), peer, states())
    assert read_declared(tmp_path).hook == "blocks.2.hook_resid_post"


def test_a_key_that_is_not_known_is_refused_where_the_runner_s_configuration_stands_in(tmp_path: Path) -> None:
    """At its top or under ``sae``; beside the autoencoder's own configuration it was about the run alone."""
    theirs("JumpReLUSAE").save_model(tmp_path)
    own = config_of(tmp_path)
    for runner in ({"sae": {**own, "a_later_key": 0.5}}, {"sae": own, "a_later_key": 0.5}):
        (tmp_path / "runner_cfg.json").write_text(json.dumps(runner))
        (tmp_path / "cfg.json").write_text(json.dumps(own))
        assert load(tmp_path).width == WIDTH
        (tmp_path / "cfg.json").unlink()
        with pytest.raises(ModelError, match=r"runner_cfg\.json: a_later_key is 0\.5: a key that is not read"):
            load(tmp_path)


def test_every_setting_of_the_installed_runner_is_known() -> None:
    library = saelens()
    of_the_run = {each.name for each in dataclasses.fields(library.LanguageModelSAERunnerConfig)} - {"sae"}
    kinds = ("TopK", "BatchTopK", "MatryoshkaBatchTopK", "JumpReLU", "Standard", "Gated")
    trained = [dataclasses.fields(getattr(library, f"{kind}TrainingSAEConfig")) for kind in kinds]

    assert not {*of_the_run, *(each.name for found in trained for each in found)} - READ - IDLE


def test_jump_re_lu_thresholds_may_be_written_as_logarithms(tmp_path: Path) -> None:
    peer = theirs("JumpReLUSAE")
    peer.save_model(tmp_path)
    tensors = load_file(tmp_path / "sae_weights.safetensors")
    save_file(
        {**{name: value for name, value in tensors.items() if name != "threshold"}}
        | {"log_threshold": tensors["threshold"].log()},
        tmp_path / "sae_weights.safetensors",
    )

    the_same(load(tmp_path), peer, states())


def test_fine_tuned_factors_scale_what_is_decoded_and_not_what_is_read(tmp_path: Path) -> None:
    peer, x = theirs("StandardSAE"), states()
    peer.save_model(tmp_path)
    factors = torch.rand(LATENTS) + 0.5
    config_of(tmp_path, finetuning_scaling_factor=True)
    weights_of(tmp_path, scaling_factor=factors)
    model = load(tmp_path)

    with torch.no_grad():
        torch.testing.assert_close(model.encode(x).dense(), peer.encode(x), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(model.reconstruct(x), peer.decode(peer.encode(x) * factors), rtol=1e-4, atol=1e-4)


def test_factors_of_one_that_nobody_meant_are_passed_over_and_others_refused(tmp_path: Path) -> None:
    peer = theirs("StandardSAE")
    peer.save_model(tmp_path)
    weights_of(tmp_path, scaling_factor=torch.ones(LATENTS))
    the_same(load(tmp_path), peer, states())

    weights_of(tmp_path, scaling_factor=torch.full((LATENTS,), 2.0))
    with pytest.raises(ModelError, match="scaling_factor is not 1 though finetuning_scaling_factor is false"):
        load(tmp_path)


def test_a_tensor_that_nothing_would_use_is_refused(tmp_path: Path) -> None:
    theirs("StandardSAE").save_model(tmp_path)
    weights_of(tmp_path, W_skip=torch.zeros(WIDTH, WIDTH))

    with pytest.raises(ModelError, match="W_skip: a tensor that is not read"):
        load(tmp_path)


def test_half_precision_is_read_and_rounds_no_more_than_it_must(tmp_path: Path) -> None:
    peer, x = theirs("StandardSAE"), states()
    peer.save_model(tmp_path)
    path = tmp_path / "sae_weights.safetensors"
    save_file({name: value.bfloat16() for name, value in load_file(path).items()}, path)
    config_of(tmp_path, dtype="bfloat16")
    model = load(tmp_path)

    assert model.encoder.dtype == torch.float32
    with torch.no_grad():
        exact = peer.decode(peer.encode(x))
        apart = float((model.reconstruct(x) - exact).abs().max())
    assert 0 < apart < 0.05 * float(exact.abs().max())


def scope(folder: Path, **changes: Any) -> Any:
    """A JumpReLU autoencoder as Gemma Scope writes it, and the same in SAELens."""
    peer = theirs("JumpReLUSAE", apply_b_dec_to_input=False)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: value.detach().numpy() for name, value in peer.state_dict().items()}
    np.savez(folder / "params.npz", **(arrays | changes))
    return peer


def test_gemma_scope_archives_are_read_with_model_and_place_from_their_path(tmp_path: Path) -> None:
    folder = tmp_path / "gemma-scope-2b-pt-res" / "layer_20" / "width_16k" / "average_l0_71"
    peer = scope(folder)

    the_same(load(folder, width=WIDTH), peer, states())
    found = read_declared(folder)
    assert (found.model, found.hook) == ("gemma-2-2b", "blocks.20.hook_resid_post")
    assert not found.centred


def test_gemma_scope_of_another_site_says_so_and_without_a_path_says_nothing(tmp_path: Path) -> None:
    scope(tmp_path / "gemma-scope-9b-it-mlp" / "layer_3")
    scope(tmp_path / "downloaded")

    found = read_declared(tmp_path / "gemma-scope-9b-it-mlp" / "layer_3")
    assert (found.model, found.hook) == ("gemma-2-9b-it", "blocks.3.hook_mlp_out")
    assert (read_declared(tmp_path / "downloaded").model, read_declared(tmp_path / "downloaded").hook) == ("", "")


def test_gemma_scope_2_writes_lower_case_and_says_where_it_belongs(tmp_path: Path) -> None:
    peer = theirs("JumpReLUSAE", apply_b_dec_to_input=False)
    tensors = {name.replace("W_", "w_"): value.detach() for name, value in peer.state_dict().items()}
    save_file(tensors, tmp_path / "params.safetensors")
    about = {"architecture": "jump_relu", "model_name": "gemma-v3-1b-pt", "hf_hook_point_in": "model.layers.7.output"}
    (tmp_path / "config.json").write_text(json.dumps(about))

    the_same(load(tmp_path), peer, states())
    assert (read_declared(tmp_path).model, read_declared(tmp_path).hook) == ("gemma-3-1b-pt", "model.layers.7.output")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"threshold": np.zeros(3, dtype=np.float32)}, r"threshold has shape \(3,\); expected shape \(20,\)"),
        ({"b_dec": np.full(WIDTH, np.nan, dtype=np.float32)}, "b_dec holds values that are not numbers"),
        ({"W_enc": np.zeros(4, dtype=np.float32)}, "W_enc is missing or is not a matrix"),
        ({"b_dec": np.array([object()] * WIDTH)}, "cannot be read"),
    ],
)
def test_a_damaged_archive_is_one_line(damage: dict[str, Any], said: str, tmp_path: Path) -> None:
    scope(tmp_path, **damage)

    with pytest.raises(ModelError, match=said) as error:
        load(tmp_path)
    assert "\n" not in str(error.value)


def test_an_archive_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.npz").write_bytes(b"no archive")

    with pytest.raises(ModelError, match=r"params\.npz: cannot be read"):
        load(tmp_path)


def test_reading_leaves_what_was_read_as_it_was(tmp_path: Path) -> None:
    theirs("TopKSAE", k=4, rescale_acts_by_decoder_norm=True).save_model(tmp_path)
    before = copy.deepcopy(load_file(tmp_path / "sae_weights.safetensors"))
    one, other = load(tmp_path), load(tmp_path)

    assert torch.equal(one.decoder, other.decoder)
    assert all(
        torch.equal(before[name], value) for name, value in load_file(tmp_path / "sae_weights.safetensors").items()
    )
