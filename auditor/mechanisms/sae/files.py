"""Autoencoders on disk, in the layout SAELens uses: ``cfg.json`` and ``sae_weights.safetensors``.

Only what the files say is read; nothing is downloaded and nothing is executed. Variants that are the same function
written otherwise (bias not taken from the input, activations rescaled by the decoder's norms, plain ReLU) are turned
into our form. What is another function (normalisation of single tokens, gates) is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from auditor.exceptions import ModelError
from auditor.mechanisms.sae.autoencoder import Autoencoder

CONFIG = "cfg.json"
WEIGHTS = "sae_weights.safetensors"
ARCHITECTURES = ("topk", "batchtopk", "jumprelu", "standard")


def save(autoencoder: Autoencoder, folder: Path, *, about: dict[str, Any] | None = None) -> None:
    """Write an autoencoder.

    Parameters
    ----------
    autoencoder
        What to write.
    folder
        Made if it is not there.
    about
        Kept as ``metadata``: model, layer, and what else a reader should know.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        "W_enc": autoencoder.encoder.t(),
        "b_enc": autoencoder.encoder_bias,
        "W_dec": autoencoder.decoder,
        "b_dec": autoencoder.decoder_bias,
    }
    if autoencoder.threshold is not None:
        tensors["threshold"] = autoencoder.threshold
    config = {
        # SAELens reads a BatchTopK autoencoder as the JumpReLU it is outside training.
        "architecture": "topk" if autoencoder.kind == "topk" else "jumprelu",
        "trained_as": autoencoder.kind,
        "d_in": autoencoder.width,
        "d_sae": autoencoder.latents,
        "dtype": str(autoencoder.encoder.dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": about or {},
    }
    if autoencoder.k is not None:
        config["k"] = autoencoder.k
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def load(folder: Path, *, width: int | None = None) -> Autoencoder:
    """Read an autoencoder.

    Parameters
    ----------
    folder
        Holds ``cfg.json`` and ``sae_weights.safetensors``.
    width
        The width of the states it is meant for, if known.

    Raises
    ------
    ModelError
        If a file is missing or unreadable, a tensor is missing or has another shape, or the architecture is one that
        is not read.
    """
    config = _config(folder / CONFIG)
    tensors = _tensors(folder / WEIGHTS)
    where = str(folder / CONFIG)
    architecture = str(config.get("architecture", "standard"))
    if architecture not in ARCHITECTURES:
        raise ModelError(where, f"architecture {architecture!r}", "one of " + ", ".join(ARCHITECTURES))
    for key, only in (("normalize_activations", "none"), ("reshape_activations", "none")):
        if config.get(key) not in (None, only):
            raise ModelError(where, f"{key} is {config[key]!r}", f"{only!r}: states are read as they are")
    d_in, d_sae = _number(config, "d_in", where), _number(config, "d_sae", where)
    if width is not None and d_in != width:
        raise ModelError(where, f"it reads states of width {d_in}", f"width {width}, as this model has")
    shapes = {"W_enc": (d_in, d_sae), "b_enc": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    encoder, bias, decoder, centre = (_tensor(tensors, name, shape, folder) for name, shape in shapes.items())
    threshold = None
    if architecture == "standard":
        threshold = torch.zeros(d_sae, dtype=encoder.dtype)
    elif architecture == "batchtopk" and tensors.get("threshold", encoder).ndim == 0:
        threshold = tensors["threshold"].to(encoder.dtype).repeat(d_sae)
    elif architecture != "topk":
        threshold = _tensor(tensors, "threshold", (d_sae,), folder)
    encoder = encoder.t()
    if not config.get("apply_b_dec_to_input", True):
        bias = bias + encoder @ centre
    if config.get("rescale_acts_by_decoder_norm", False):
        norms = decoder.norm(dim=1)
        encoder, bias, decoder = encoder * norms[:, None], bias * norms, decoder / norms[:, None]
    trained_as = str(config.get("trained_as", architecture))
    return Autoencoder(
        kind="topk" if architecture == "topk" else "batchtopk" if trained_as == "batchtopk" else "jumprelu",
        encoder=encoder.contiguous(),
        encoder_bias=bias,
        decoder=decoder,
        decoder_bias=centre,
        k=_number(config, "k", where) if architecture == "topk" or "k" in config else None,
        threshold=threshold,
    )


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(str(path), f"cannot be read ({error})", "the configuration of an autoencoder") from error
    if not isinstance(config, dict):
        raise ModelError(str(path), "is no table of settings", "a JSON object")
    return config


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(str(path), f"cannot be read ({error})", "safetensors weights") from error


def _tensor(tensors: dict[str, Tensor], name: str, shape: tuple[int, ...], folder: Path) -> Tensor:
    found = tensors.get(name)
    if found is None or tuple(found.shape) != shape:
        what = f"{name} is missing" if found is None else f"{name} has shape {tuple(found.shape)}"
        raise ModelError(str(folder / WEIGHTS), what, f"shape {shape}")
    if not bool(torch.isfinite(found).all()):
        raise ModelError(str(folder / WEIGHTS), f"{name} holds values that are no numbers", "finite weights")
    return found.float() if found.dtype in (torch.float16, torch.bfloat16) else found


def _number(config: dict[str, Any], name: str, where: str) -> int:
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError(where, f"{name} is {value!r}", "a whole number above 0")
    return value
