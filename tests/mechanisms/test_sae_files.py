"""Autoencoders on disk: SAELens reads ours and computes the same, and the other way round."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from auditor.exceptions import ModelError
from auditor.mechanisms.sae.autoencoder import Autoencoder
from auditor.mechanisms.sae.files import load, save
from tests.mechanisms.test_sae_training import random_autoencoder

WIDTH, LATENTS = 8, 20


def saelens() -> Any:
    with warnings.catch_warnings():
        # What its own dependencies warn about while they are imported is not ours to hold.
        warnings.simplefilter("ignore")
        import sae_lens
    return sae_lens


def states() -> Tensor:
    return torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(5))


def ours(kind: Any) -> Autoencoder:
    exact = random_autoencoder(kind, latents=LATENTS, width=WIDTH)
    threshold = None if exact.threshold is None else exact.threshold.float()
    parts = (exact.encoder, exact.encoder_bias, exact.decoder, exact.decoder_bias)
    encoder, bias, decoder, centre = (part.float() for part in parts)
    return Autoencoder(kind, encoder, bias, decoder, centre, k=4, threshold=threshold)


def theirs(name: str, **more: Any) -> Any:
    """A SAELens autoencoder with random weights."""
    library = saelens()
    torch.manual_seed(7)
    config = getattr(library, f"{name}Config")(d_in=WIDTH, d_sae=LATENTS, device="cpu", dtype="float32", **more)
    made = getattr(library, name)(config)
    with torch.no_grad():
        for parameter_name, parameter in made.named_parameters():
            parameter.copy_(torch.randn_like(parameter))
            if parameter_name == "threshold":
                parameter.abs_()
    return made


@pytest.mark.parametrize("kind", ["topk", "batchtopk", "jumprelu"])
def test_what_is_saved_is_read_back_to_the_bit(kind: str, tmp_path: Path) -> None:
    model = ours(kind)
    save(model, tmp_path, about={"layer": 3})
    again = load(tmp_path, width=WIDTH)

    assert again.kind == kind
    assert again.k == model.k
    for name in ("encoder", "encoder_bias", "decoder", "decoder_bias"):
        assert torch.equal(getattr(again, name), getattr(model, name))
    assert json.loads((tmp_path / "cfg.json").read_text())["metadata"] == {"layer": 3}


@pytest.mark.parametrize("kind", ["topk", "batchtopk", "jumprelu"])
def test_saelens_reads_ours_and_computes_the_same(kind: str, tmp_path: Path) -> None:
    model, x = ours(kind), states()
    save(model, tmp_path)
    peer = saelens().SAE.load_from_disk(tmp_path, device="cpu")

    with torch.no_grad():
        torch.testing.assert_close(peer.encode(x), model.encode(x).dense(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(peer.decode(peer.encode(x)), model.reconstruct(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("TopKSAE", {"k": 4}),
        ("TopKSAE", {"k": 4, "rescale_acts_by_decoder_norm": True}),
        ("JumpReLUSAE", {}),
        ("JumpReLUSAE", {"apply_b_dec_to_input": False}),
        ("StandardSAE", {}),
    ],
    ids=str,
)
def test_ours_reads_saelens_and_computes_the_same(name: str, more: dict[str, Any], tmp_path: Path) -> None:
    peer, x = theirs(name, **more), states()
    peer.save_model(tmp_path)
    model = load(tmp_path, width=WIDTH)

    with torch.no_grad():
        torch.testing.assert_close(model.encode(x).dense(), peer.encode(x), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(model.reconstruct(x), peer.decode(peer.encode(x)), rtol=1e-4, atol=1e-4)


def broken(folder: Path, **changes: Any) -> Path:
    save(ours("topk"), folder)
    config = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps({**config, **changes}))
    return folder


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "gated"}, "b_gate is missing"),
        ({"architecture": "transcoder"}, "architecture 'transcoder'"),
        ({"architecture": "abstopk"}, "architecture 'abstopk'"),
        ({"normalize_activations": "layer_norm"}, "normalize_activations is 'layer_norm'"),
        ({"normalize_activations": "constant_norm_rescale"}, "normalize_activations is 'constant_norm_rescale'"),
        ({"normalize_activations": "covariance_whitening"}, "normalize_activations is 'covariance_whitening'"),
        ({"normalize_activations": "expected_average_only_in", "norm_scaling_factor": 0}, "scaling factor is 0"),
        ({"norm_scaling_factor": 2.0}, "beside a scaling factor of 2"),
        ({"reshape_activations": "hook_z"}, "reshape_activations is 'hook_z'"),
        ({"hook_head_index": 3}, "hook_head_index is 3"),
        ({"metadata": {"hook_head_index": 3}}, "hook_head_index is 3"),
        ({"seqpos_slice": [5, None]}, r"seqpos_slice is \[5, None\]"),
        ({"seqpos_slice": [10]}, r"seqpos_slice is \[10\]"),
        ({"seqpos_slice": [None, -1, None]}, r"seqpos_slice is \[None, -1, None\]"),
        ({"seqpos_slice": [0, None, 2]}, r"seqpos_slice is \[0, None, 2\]"),
        ({"seqpos_slice": [0, None, 0]}, r"seqpos_slice is \[0, None, 0\]"),
        ({"seqpos_slice": ["a"]}, r"seqpos_slice is \['a'\]"),
        ({"seqpos_slice": "5:"}, "seqpos_slice is '5:'"),
        ({"metadata": {"seqpos_slice": [5, None]}}, r"seqpos_slice is \[5, None\]"),
        ({"apply_b_dec_to_input": "yes"}, "apply_b_dec_to_input is 'yes'"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"activation_fn": "tanh-relu"}, "activation_fn is 'tanh-relu'"),
        ({"architecture": "gated", "activation_fn": "topk"}, "activation_fn is 'topk' with architecture 'gated'"),
        ({"architecture": "jumprelu", "activation_fn": "topk"}, "activation_fn is 'topk' with architecture 'jumprelu'"),
        ({"architecture": "batchtopk", "activation_fn": "topk"}, "'topk' with architecture 'batchtopk'"),
        ({"architecture": "standard", "activation_fn": "jumprelu"}, "'jumprelu' with architecture 'standard'"),
        ({"model_from_pretrained_kwargs": {"center_writing_weights": True}}, "center_writing_weights is true"),
        ({"architecture": "jumprelu", "rescale_acts_by_decoder_norm": True}, "rescale_acts_by_decoder_norm with"),
        ({"finetuning_scaling_factor": True}, "finetuning_scaling_factor is missing"),
        ({"hook_name": "blocks.3.hook_resid_pre", "hook_layer": 4}, "hook_layer is 4"),
        ({"d_sae": 21}, "W_enc has shape"),
        ({"d_in": "8"}, "d_in is '8'"),
        ({"k": 0}, "k is 0"),
        ({"k": LATENTS + 1}, "k is 21; expected at most its 20 latents"),
    ],
)
def test_what_is_another_function_or_does_not_fit_is_refused(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=said):
        load(broken(tmp_path, **changes))


@pytest.mark.parametrize("whole", [None, [], [None], [None, None], [0, None], [0, None, 1], [None, None, None]])
def test_a_slice_of_all_positions_changes_nothing(whole: list[int | None] | None, tmp_path: Path) -> None:
    for number, changes in enumerate(({"seqpos_slice": whole}, {"metadata": {"seqpos_slice": whole}})):
        assert load(broken(tmp_path / str(number), **changes)).k == 4


def test_an_autoencoder_of_another_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="it reads states of width 8; expected width 9"):
        load(broken(tmp_path), width=9)


def test_a_missing_or_truncated_file_is_named(tmp_path: Path) -> None:
    folder = broken(tmp_path / "a")
    weights = folder / "sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"sae_weights\.safetensors: cannot be read"):
        load(folder)
    shutil.rmtree(folder)
    with pytest.raises(ModelError, match=r"cfg\.json: cannot be read"):
        load(folder)


def test_a_key_of_a_version_that_is_not_known_is_refused_by_its_name(tmp_path: Path) -> None:
    """Passed over, it could be part of the function; unset, or about the training alone, it cannot."""
    from auditor.mechanisms.sae.declared import read_declared

    config = {"architecture": "standard", "d_in": 4, "d_sae": 8, "l1_coefficient": 5.0, "wandb_project": "x"}
    (tmp_path / "cfg.json").write_text(json.dumps({**config, "a_later_key": None}))
    assert read_declared(tmp_path).latents == 8
    (tmp_path / "cfg.json").write_text(json.dumps({**config, "a_later_key": 0.5}))
    with pytest.raises(ModelError, match=r"cfg\.json: a_later_key is 0\.5: a key that is not read"):
        read_declared(tmp_path)
