"""What the files of an autoencoder say of it: which function it is, of which model, and at which place in it.

SAELens has written its settings in several forms over the years, DeepMind's Gemma Scope in others. All of them come
down to one record here. A setting that changes the function is honoured or refused by its name, never passed over.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.exceptions import ModelError
from auditor.mechanisms.sae.agreement import flat, joined
from auditor.mechanisms.sae.keys import check_keys

CONFIG = "cfg.json"
RUNNER = "runner_cfg.json"
SCALER = "activation_scaler.json"
WEIGHTS = "sae_weights.safetensors"
SCOPE = "params.npz"
SCOPE_2 = "params.safetensors"
SCOPE_2_CONFIG = "config.json"

TOP_K, BATCH_TOP_K, JUMP, PLAIN, GATED = "topk", "batchtopk", "jumprelu", "standard", "gated"
ARCHITECTURES = (TOP_K, BATCH_TOP_K, JUMP, PLAIN, GATED)
#: Architectures that compute the same as another one outside training.
ALIASES = {"matryoshka_batchtopk": BATCH_TOP_K, "jump_relu": JUMP}
AVERAGE = "expected_average_only_in"
#: Names by which SAELens and TransformerLens call models that their makers call otherwise.
MODEL_ALIASES = {"gpt2-small": "gpt2"}
DTYPES = ("float16", "bfloat16", "float32", "float64")

_STREAM = re.compile(r"blocks\.(\d+)\.hook_resid_(pre|post)")
_MODULE = re.compile(r"(?:[a-z_]+\.)*(?:layers|h|blocks)\.(\d+)(?:\.(input|output))?")
_SCOPE_FOLDER = re.compile(r"gemma-scope-(\d+b)-(pt|it)-(res|mlp|att)")


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What the files say.

    Attributes
    ----------
    architecture
        One of :data:`ARCHITECTURES`.
    trained_as
        What it was before it was written as ``architecture``.
    width, latents
        ``None`` where only the weights tell.
    k
        Active latents a token, where it is known.
    centred
        Whether b_d is taken from the input.
    rescaled
        Whether activations are multiplied by the norms of the decoder's rows before latents are selected.
    finetuned
        Whether every latent's activation is multiplied by a factor of its own before it is decoded.
    average
        Whether states have to be scaled so that their mean norm is √width.
    factor
        By what, where the files say; else it follows from the mean norm of the states.
    model, hook
        Of which model, and where, in the files' own words; empty where they do not say.
    notes
        What a reader should know of the states it was trained on.
    """

    architecture: str
    trained_as: str
    width: int | None = None
    latents: int | None = None
    k: int | None = None
    centred: bool = True
    rescaled: bool = False
    finetuned: bool = False
    average: bool = False
    factor: float | None = None
    model: str = ""
    hook: str = ""
    notes: tuple[str, ...] = ()


def files_of(folder: Path) -> tuple[str, ...]:
    """The files in a folder that an autoencoder is read from, whether or not all of them are there."""
    if (folder / SCOPE).is_file():
        return (SCOPE,)
    if (folder / SCOPE_2).is_file():
        return (SCOPE_2_CONFIG, SCOPE_2) if (folder / SCOPE_2_CONFIG).is_file() else (SCOPE_2,)
    # A runner's settings stand in for the autoencoder's own, or add where it was trained.
    beside = [name for name in (RUNNER, SCALER) if (folder / name).is_file()]
    return (*beside, WEIGHTS) if RUNNER in beside and not (folder / CONFIG).is_file() else (CONFIG, *beside, WEIGHTS)


def read_declared(folder: Path) -> Declared:
    """Read what the files say, without the weights.

    Raises
    ------
    ModelError
        Naming the setting, if it makes another function of the autoencoder than the ones that are read here.
    """
    names = files_of(folder)
    if SCOPE in names or SCOPE_2 in names:
        return _scope(folder, names)
    where = str(folder / next(name for name in names if name != WEIGHTS))
    own = _table(folder / CONFIG) if CONFIG in names else {}
    check_keys(own, where)
    runner = _table(folder / RUNNER) if RUNNER in names else {}
    inner = runner.get("sae")
    of_the_run = {**runner, **(inner if isinstance(inner, dict) else {})}
    if CONFIG not in names:
        # The run's settings are then all that is said of the function.
        check_keys({name: value for name, value in of_the_run.items() if name != "sae"}, where)
    config = joined(flat(of_the_run, where, alike=_alike), flat(own, where, alike=_alike), where, alike=_alike)
    scaler = _table(folder / SCALER) if SCALER in names else {}
    return _declared(config, scaler, where)


def stream_layer(hook: str) -> int | None:
    """Before which block the stream is that a hook point names; ``None`` where it names something else.

    >>> [stream_layer(f"blocks.5.hook_resid_{end}") for end in ("pre", "post")], stream_layer("model.layers.5")
    ([5, 6], 6)
    >>> stream_layer("blocks.5.hook_mlp_out") is None
    True
    """
    if found := _STREAM.fullmatch(hook):
        return int(found[1]) + (found[2] == "post")
    if found := _MODULE.fullmatch(hook):
        return int(found[1]) + (found[2] != "input")
    return None


def model_called(name: str) -> str:
    """A model's name without its owner, in one spelling."""
    plain = name.rstrip("/").rsplit("/", 1)[-1].lower().replace("_", "-")
    return MODEL_ALIASES.get(plain, plain)


def _declared(config: Mapping[str, Any], scaler: Mapping[str, Any], where: str) -> Declared:
    said = str(config.get("architecture") or PLAIN)
    architecture = ALIASES.get(said, said)
    k = config.get("k")
    activation = str(config.get("activation_fn") or config.get("activation_fn_str") or "relu")
    if activation not in ("relu", TOP_K, JUMP):
        raise ModelError(where, f"activation_fn is {activation!r}", "'relu' or 'topk'")
    if architecture not in ARCHITECTURES:
        raise ModelError(where, f"architecture {said!r}", "one of " + ", ".join(ARCHITECTURES))
    if activation == TOP_K and architecture in (PLAIN, TOP_K):
        architecture, k = TOP_K, _k_of_activation(config, where)
    elif activation not in ("relu", architecture):
        # A selection before or after the thresholds is another function than the thresholds alone.
        expected = f"'relu', or 'topk' with architecture {PLAIN!r} or {TOP_K!r}"
        raise ModelError(where, f"activation_fn is {activation!r} with architecture {said!r}", expected)
    _refuse(config, where)
    rescaled = _flag(config, "rescale_acts_by_decoder_norm", where)
    if rescaled and architecture not in (TOP_K, BATCH_TOP_K):
        raise ModelError(where, f"rescale_acts_by_decoder_norm with architecture {said!r}", "it with topk or batchtopk")
    width = _number(config, "d_in", where)
    average, factor = _scaling(config, scaler, where)
    norms = config.get("dataset_average_activation_norm")
    norm = norms.get("in") if isinstance(norms, dict) else None
    if average and factor is None and isinstance(norm, int | float):
        factor = math.sqrt(width) / float(norm)
    if factor is not None and not (math.isfinite(factor) and factor > 0):
        raise ModelError(where, f"its scaling factor is {factor!r}", "a number above 0")
    return Declared(
        architecture=architecture,
        trained_as=ALIASES.get(
            str(config.get("trained_as", architecture)), str(config.get("trained_as", architecture))
        ),
        width=width,
        latents=_number(config, "d_sae", where),
        k=_active(k, where) if architecture == TOP_K or k is not None else None,
        centred=_flag(config, "apply_b_dec_to_input", where, default=True),
        rescaled=rescaled,
        finetuned=_flag(config, "finetuning_scaling_factor", where),
        average=average,
        factor=factor,
        model=str(config.get("model_name") or ""),
        hook=_hook(config, where),
        notes=_notes(config),
    )


def _k_of_activation(config: Mapping[str, Any], where: str) -> Any:
    """k, which may stand at the top or among the arguments of the activation function."""
    k, more = config.get("k"), config.get("activation_fn_kwargs")
    inner = more.get("k") if isinstance(more, dict) else None
    if k is not None and inner is not None and k != inner:
        raise ModelError(where, f"k is {k!r} and activation_fn_kwargs.k is {inner!r}", "one value")
    return inner if k is None else k


def _refuse(config: Mapping[str, Any], where: str) -> None:
    """Refuse what makes another function of it."""
    shape = config.get("reshape_activations")
    if shape not in (None, "none"):
        raise ModelError(where, f"reshape_activations is {shape!r}", "'none': states are read as they are")
    head = config.get("hook_head_index", config.get("hook_point_head_index"))
    if head is not None:
        raise ModelError(where, f"hook_head_index is {head!r}", "none: the whole stream is read")
    positions = config.get("seqpos_slice")
    if not _whole(positions):
        raise ModelError(where, f"seqpos_slice is {positions!r}", "none: features are read at every position")
    dtype = str(config.get("dtype", "float32")).removeprefix("torch.")
    if dtype not in DTYPES:
        raise ModelError(where, f"dtype is {dtype!r}", "one of " + ", ".join(DTYPES))
    model = config.get("model_from_pretrained_kwargs")
    if isinstance(model, dict) and model.get("center_writing_weights"):
        what = "model_from_pretrained_kwargs.center_writing_weights is true: it reads states with their mean taken away"
        raise ModelError(where, what, "the states as the model has them")


def _whole(positions: Any) -> bool:
    """Whether a slice, as SAELens writes it ([stop], [start, stop] or [start, stop, step]), takes every position."""
    if positions is None or positions == []:
        return True
    try:
        return isinstance(positions, list) and slice(*positions).indices(sys.maxsize) == (0, sys.maxsize, 1)
    except (TypeError, ValueError):
        return False


def _scaling(config: Mapping[str, Any], scaler: Mapping[str, Any], where: str) -> tuple[bool, float | None]:
    """Whether states are scaled to a mean norm, and by what where the files say."""
    said = config.get("normalize_activations")
    known = AVERAGE if said is True else "none" if said in (None, False) else str(said)
    if known not in ("none", AVERAGE):
        raise ModelError(
            where,
            f"normalize_activations is {said!r}, which changes every state by a rule of its own",
            f"'none' or {AVERAGE!r}",
        )
    if scaler.get("has_whitening"):
        raise ModelError(where, f"{SCALER} says that states are whitened", "states as they are")
    factor = scaler.get("scaling_factor")
    factor = config.get("norm_scaling_factor") if factor is None else factor
    if factor is not None and (isinstance(factor, bool) or not isinstance(factor, int | float)):
        raise ModelError(where, f"its scaling factor is {factor!r}", "a number above 0")
    if known == "none" and factor not in (None, 1, 1.0):
        raise ModelError(
            where, f"normalize_activations is {said!r} beside a scaling factor of {factor:g}", f"{AVERAGE!r}, or none"
        )
    return known == AVERAGE, None if factor is None else float(factor)


def _hook(config: Mapping[str, Any], where: str) -> str:
    hook = str(config.get("hook_name") or config.get("hook_point") or config.get("hf_hook_name") or "")
    layer = config.get("hook_layer", config.get("hook_point_layer"))
    if isinstance(layer, int) and "{layer}" in hook:
        hook = hook.replace("{layer}", str(layer))
    named = re.search(r"\.(\d+)(?:\.|$)", hook)
    if isinstance(layer, int) and not isinstance(layer, bool) and layer >= 0 and named and int(named[1]) != layer:
        raise ModelError(where, f"hook_name is {hook!r} and hook_layer is {layer}", "one layer")
    return hook


def _notes(config: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    first, size = config.get("prepend_bos"), config.get("context_size")
    if first is not None:
        found.append(f"trained {'with' if first else 'without'} a first token of its own")
    if isinstance(size, int):
        found.append(f"trained on contexts of {size} tokens")
    if "hook_point" in config and "model_from_pretrained_kwargs" not in config:
        # Runs of early 2024 read GPT-2 with the mean of every state taken away, and their files do not say so.
        found.append("its files do not say whether states had their mean taken away (center_writing_weights); here not")
    return tuple(found)


def _scope(folder: Path, names: tuple[str, ...]) -> Declared:
    """Gemma Scope: JumpReLU on raw states; model and place are told by the folder's path or by config.json."""
    model = hook = ""
    if SCOPE_2_CONFIG in names:
        where = str(folder / SCOPE_2_CONFIG)
        config = _table(folder / SCOPE_2_CONFIG)
        said = str(config.get("architecture") or JUMP)
        if ALIASES.get(said, said) != JUMP or config.get("hf_hook_point_out") or config.get("affine_connection"):
            what = f"architecture {said!r}" if ALIASES.get(said, said) != JUMP else "it writes to another place"
            raise ModelError(where, what, "a JumpReLU autoencoder of one place")
        model = str(config.get("model_name") or "").replace("-v3", "-3")
        hook = str(config.get("hf_hook_point_in") or "")
    else:
        path = str(folder.absolute())
        layer = re.search(r"layer_(\d+)(?:/|$)", path)
        if found := _SCOPE_FOLDER.search(path):
            model = f"gemma-2-{found[1]}" + ("-it" if found[2] == "it" else "")
            place = {"res": "hook_resid_post", "mlp": "hook_mlp_out", "att": "attn.hook_z"}[found[3]]
            hook = f"blocks.{layer[1]}.{place}" if layer else ""
            if "/embedding/" in f"{path}/":
                raise ModelError(str(folder / SCOPE), "it reads the embeddings", "the stream between two blocks")
    notes = ("trained with a first token of its own", "trained on contexts of 1024 tokens")
    return Declared(architecture=JUMP, trained_as=JUMP, centred=False, model=model, hook=hook, notes=notes)


def _table(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(str(path), f"cannot be read ({error})", "the configuration of an autoencoder") from error
    if not isinstance(config, dict):
        raise ModelError(str(path), "is not an object of settings", "a JSON object")
    return config


def _alike(name: str, value: Any) -> Any:
    """A setting in one spelling: two names of a model or of a place are one."""
    if isinstance(value, str) and name == "model_name":
        return model_called(value)
    if isinstance(value, str) and name in ("hook_name", "hook_point", "hf_hook_name"):
        layer = stream_layer(value)
        return value if layer is None else layer
    if isinstance(value, str) and name == "architecture":
        return ALIASES.get(value, value)
    if name == "seqpos_slice" and _whole(value):
        return None
    return value


def _flag(config: Mapping[str, Any], name: str, where: str, *, default: bool = False) -> bool:
    value = config.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ModelError(where, f"{name} is {value!r}", "true or false")
    return value


def _active(value: Any, where: str) -> int:
    """k, which BatchTopK may give as a mean."""
    if isinstance(value, float) and value >= 1:
        return round(value)
    return _number({"k": value}, "k", where)


def _number(config: Mapping[str, Any], name: str, where: str) -> int:
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError(where, f"{name} is {value!r}", "a whole number above 0")
    return value
