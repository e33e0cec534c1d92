"""Autoencoders on disk: SAELens' layout (``cfg.json`` and ``sae_weights.safetensors``) and Gemma Scope's.

Only what the files say is read; nothing is downloaded and nothing is executed. Variants that are the same function
written otherwise are turned into our form (docs/methods.md has the list); what is another function is refused, and so
is a tensor that nothing here would use.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from auditor.exceptions import ModelError
from auditor.mechanisms.sae.autoencoder import Autoencoder
from auditor.mechanisms.sae.declared import (
    BATCH_TOP_K,
    CONFIG,
    GATED,
    PLAIN,
    SCOPE,
    SCOPE_2,
    TOP_K,
    WEIGHTS,
    Declared,
    files_of,
    read_declared,
)

#: Gemma Scope 2 writes names in lower case.
LOWER = {"w_enc": "W_enc", "w_dec": "W_dec"}


def save(autoencoder: Autoencoder, folder: Path, *, about: dict[str, Any] | None = None) -> None:
    """Write an autoencoder.

    Parameters
    ----------
    autoencoder
        What to write.
    folder
        Made if it is not there.
    about
        Kept as ``metadata``: ``model_name`` and ``hook_name``, by which it is known where it belongs, and what else a
        reader should know.
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


@dataclass(frozen=True)
class Stored:
    """What a folder holds: what its files say, with the sizes, and the tensors as they are written."""

    declared: Declared
    path: Path
    tensors: Mapping[str, Tensor]

    def autoencoder(self, *, mean_norm: float | None = None) -> Autoencoder:
        """In our form; parameters and errors as for :func:`load`."""
        return _assembled(self.declared, _Weights(self.path, self.tensors), mean_norm=mean_norm)


def read_stored(folder: Path, *, width: int | None = None) -> Stored:
    """Read settings and tensors; parameters and errors as for :func:`load`."""
    declared = read_declared(folder)
    names = files_of(folder)
    path = folder / names[-1]
    tensors = _npz(path) if SCOPE in names else _tensors(path)
    if SCOPE_2 in names:
        tensors = {LOWER.get(name, name): tensor for name, tensor in tensors.items()}
    declared = _sized(declared, tensors, path)
    if width is not None and declared.width != width:
        where = str(folder / names[0])
        raise ModelError(where, f"it reads states of width {declared.width}", f"width {width}, as this model has")
    return Stored(declared, path, tensors)


def load(folder: Path, *, width: int | None = None, mean_norm: float | None = None) -> Autoencoder:
    """Read an autoencoder.

    Parameters
    ----------
    folder
        Holds ``cfg.json`` and ``sae_weights.safetensors``, or Gemma Scope's ``params.npz``.
    width
        The width of the states it is meant for, if known.
    mean_norm
        Mean norm of the states, for an autoencoder that was trained on states scaled to a mean norm of √width and does
        not say by what (SAELens' ``expected_average_only_in``).

    Raises
    ------
    ModelError
        If a file is missing or unreadable, a tensor is missing, left over or has another shape, a setting is one that
        is not read, or its scale is not known.
    """
    return read_stored(folder, width=width).autoencoder(mean_norm=mean_norm)


class _Weights:
    """Tensors by name, each taken once; what is never taken is refused."""

    def __init__(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        self.path, self.left = path, dict(tensors)

    def take(self, name: str, shape: tuple[int, ...]) -> Tensor:
        found = self.left.pop(name, None)
        if found is None or tuple(found.shape) != shape:
            what = f"{name} is missing" if found is None else f"{name} has shape {tuple(found.shape)}"
            raise ModelError(str(self.path), what, f"shape {shape}")
        if not found.is_floating_point() or not bool(torch.isfinite(found.float()).all()):
            raise ModelError(str(self.path), f"{name} holds values that are not numbers", "finite weights")
        return found.double() if found.dtype == torch.float64 else found.float()

    def done(self) -> None:
        if self.left:
            names = ", ".join(sorted(self.left))
            raise ModelError(str(self.path), f"{names}: a tensor that is not read", "the weights of an autoencoder")


def _sized(declared: Declared, tensors: Mapping[str, Tensor], path: Path) -> Declared:
    """With the sizes of the encoder where the settings leave them to the weights."""
    if declared.width is not None:
        return declared
    encoder = tensors.get("W_enc")
    if encoder is None or encoder.ndim != 2:
        raise ModelError(str(path), "W_enc is missing or is not a matrix", "the weights of an autoencoder")
    return replace(declared, width=int(encoder.shape[0]), latents=int(encoder.shape[1]))


def _assembled(declared: Declared, weights: _Weights, *, mean_norm: float | None) -> Autoencoder:
    d_in, d_sae = declared.width or 0, declared.latents or 0
    if declared.architecture == TOP_K and (declared.k or 0) > d_sae:
        raise ModelError(str(weights.path), f"k is {declared.k}", f"at most its {d_sae} latents")
    encoder = weights.take("W_enc", (d_in, d_sae)).t()
    decoder, centre = weights.take("W_dec", (d_sae, d_in)), weights.take("b_dec", (d_in,))
    threshold: Tensor | None = None
    if declared.architecture == GATED:
        # The gate w·x + b_gate > 0 is the magnitude e^r w·x + b_mag lying above b_mag − e^r b_gate.
        gate, bias = weights.take("b_gate", (d_sae,)), weights.take("b_mag", (d_sae,))
        magnitude = weights.take("r_mag", (d_sae,)).exp()
        encoder, threshold = encoder * magnitude[:, None], bias - magnitude * gate
    else:
        bias = weights.take("b_enc", (d_sae,))
        threshold = _threshold(declared, weights, d_sae)
    if declared.finetuned:
        name = "scaling_factor" if "scaling_factor" in weights.left else "finetuning_scaling_factor"
        decoder = decoder * weights.take(name, (d_sae,))[:, None]
    else:
        _neutral(weights)
    weights.done()
    if declared.average:
        factor = _factor(declared, mean_norm, weights.path)
        encoder, decoder, centre = encoder * factor, decoder / factor, centre / factor
        if declared.rescaled and threshold is not None:
            threshold = threshold / factor
    if not declared.centred:
        bias = bias + encoder @ centre
    if declared.rescaled:
        norms = decoder.norm(dim=1)
        encoder, bias = encoder * norms[:, None], bias * norms
        decoder = decoder / norms.clamp(min=torch.finfo(norms.dtype).tiny)[:, None]
    kind = declared.architecture
    return Autoencoder(
        kind="topk" if kind == TOP_K else "batchtopk" if declared.trained_as == BATCH_TOP_K else "jumprelu",
        encoder=encoder.contiguous(),
        encoder_bias=bias,
        decoder=decoder,
        decoder_bias=centre,
        k=declared.k,
        threshold=threshold,
    )


def _threshold(declared: Declared, weights: _Weights, latents: int) -> Tensor | None:
    if declared.architecture == TOP_K:
        return None
    if declared.architecture == PLAIN:
        return torch.zeros(latents)
    if declared.architecture == BATCH_TOP_K:
        name = "topk_threshold" if "topk_threshold" in weights.left else "threshold"
        if name in weights.left and weights.left[name].ndim == 0:
            return weights.take(name, ()).float().repeat(latents)
    if "log_threshold" in weights.left:
        return weights.take("log_threshold", (latents,)).exp()
    return weights.take("threshold", (latents,))


def _neutral(weights: _Weights) -> None:
    """SAELens once wrote factors of 1 for everybody; others are only meant where the settings say so."""
    for name in ("scaling_factor", "finetuning_scaling_factor"):
        found = weights.left.get(name)
        if found is not None and bool((found == 1).all()):
            del weights.left[name]
        elif found is not None:
            what = f"{name} is not 1 though finetuning_scaling_factor is false"
            raise ModelError(str(weights.path), what, "settings that say whether it is meant")


def _factor(declared: Declared, mean_norm: float | None, path: Path) -> float:
    if declared.factor is not None:
        return declared.factor
    if mean_norm is None:
        what = "it was trained on states scaled to a mean norm of √width, and does not say by what"
        raise ModelError(str(path), what, "the mean norm of the states (settings.dictionary.activation_norm)")
    return math.sqrt(declared.width or 0) / mean_norm


def _npz(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: torch.from_numpy(np.array(archive[name])) for name in archive.files}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(str(path), f"cannot be read ({error})", "an archive of arrays") from error


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(str(path), f"cannot be read ({error})", "safetensors weights") from error
