"""Reading checked files with transformers and PEFT: offline, strict, silent, and never with foreign code."""

from __future__ import annotations

import importlib
import math
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auditor.exceptions import ModelError
from auditor.language_models.safety import ADAPTER_WEIGHTS, CONFIG_FILE, TOKENIZER_FILE, check_adapter_config

DTYPES = ("float32", "bfloat16", "float16", "float64")

#: What the tokenizer must give back unchanged, and what two copies of a model must answer alike.
SAMPLE_TEXT = (
    "Applicant 0417 asks for $12,500.75 over 36 months.\n\n  Debt ratio:  38.5 %; employed since 1989 "
    "(naïve check: é, ½).\nIncome:\n\n42000\nDecision: approve or deny?"
)


#: transformers replaces methods of its own classes while it loads (``tie_weights``, initialisers) and puts them back at
#: the end. Two threads in there at once put each other's replacements back, and from then on no model ties its weights.
_alone = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """One thread at a time, with transformers' progress bars and log lines off; its settings come back afterwards."""
    logging: Any = importlib.import_module("transformers.utils.logging")
    with _alone:
        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity(logging.CRITICAL)
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()


def read_config(folder: Path) -> Any:
    """A stored model's transformers config.

    Raises
    ------
    ModelError
        If transformers has no causal language model of this architecture.
    """
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    where = str(folder / CONFIG_FILE)
    with quiet():
        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except Exception as error:  # whatever a library makes of a bad file, users get one line
            raise ModelError(where, f"transformers cannot use it: {one_line(error)}", "a known architecture") from error
    known = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    classes = [cls.__name__ for cls in (known if isinstance(known, tuple) else (known,)) if cls is not None]
    name = (config.architectures or ["no architecture"])[0]
    if name not in classes:
        expected = " or ".join(classes) or "a model type with a causal language model"
        raise ModelError(where, f"{name} is not a causal language model of type {config.model_type}", expected)
    return config


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer, exactly as tokenizer.json spells it, with its special tokens and chat template."""
    from transformers import PreTrainedTokenizerFast

    with quiet():
        try:
            # The model-specific classes rebuild parts of the tokenizer from rules of their own; this one does not.
            return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:
            where = str(folder / TOKENIZER_FILE)
            raise ModelError(
                where, f"cannot be read: {one_line(error)}", "a tokenizer of the tokenizers library"
            ) from error


def read_model(folder: Path, *, dtype: str, device: str = "cpu") -> Any:
    """Load safetensors weights strictly.

    Parameters
    ----------
    folder
        Checked files: config.json and safetensors weights.
    dtype
        One of `DTYPES`, or ``auto`` for the type the weights are stored in.
    device
        A torch device.

    Returns
    -------
    transformers.PreTrainedModel
        In evaluation mode, no gradients, SDPA attention wherever the architecture allows it.

    Raises
    ------
    ModelError
        For a missing, unexpected or misshapen tensor.
    """
    import torch
    import transformers

    config = read_config(folder)
    model_class: Any = getattr(transformers, config.architectures[0])
    # Soft-capped attention (Gemma 2) has no SDPA form; transformers computes it with its plain implementation.
    attention = "sdpa" if model_class._supports_sdpa else "eager"
    with quiet():
        try:
            model, report = model_class.from_pretrained(
                folder,
                config=config,
                dtype=dtype if dtype == "auto" else getattr(torch, dtype),
                attn_implementation=attention,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # so that the mismatch is reported below, in one line
            )
        except Exception as error:
            expected = "weights that fit config.json"
            raise ModelError(str(folder), f"transformers cannot load it: {one_line(error)}", expected) from error
    refuse_incomplete(folder, report, "weights that fit config.json exactly")
    return model.to(device).eval().requires_grad_(False)


def refuse_incomplete(where: Path, report: Any, expected: str) -> None:
    """Refuse a load that left a tensor to its initialiser, or a tensor of the file unused."""
    for kind in ("missing", "unexpected", "mismatched"):
        names = sorted(str(key[0] if isinstance(key, tuple) else key) for key in report[f"{kind}_keys"])
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ModelError(str(where), f"{kind} tensor {names[0]}{more}", expected)


def attach_adapter(model: Any, folder: Path) -> Any:
    """Put a LoRA adapter on a model, strictly.

    Parameters
    ----------
    model
        The base model. It is changed in place.
    folder
        Checked adapter files.

    Returns
    -------
    peft.PeftModel
        `merge_adapter` turns it into the base model's own class with other weights.

    Raises
    ------
    ModelError
        If the adapter's tensors are not exactly those that its config asks for on this base.
    """
    import peft
    import torch
    from safetensors.torch import load_file

    options = check_adapter_config(folder)
    where = str(folder / ADAPTER_WEIGHTS)
    tensors = load_file(folder / ADAPTER_WEIGHTS)
    embeddings = _make_room(model, tensors, where)
    with _peft_warnings():
        try:
            adapted = peft.get_peft_model(model, peft.LoraConfig(**options, inference_mode=True))
        except (ValueError, TypeError, AttributeError, KeyError, RuntimeError, RuntimeWarning) as error:
            what = f"does not fit the base model: {one_line(error)}"
            raise ModelError(where, what, "an adapter trained on this model") from error
        wanted = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    # Whole embeddings lie beside the adapter's own tensors, where PEFT saved them because tokens were added.
    state = adapted.state_dict()
    beside = [name for name in tensors if name not in wanted and name in state and _layer(name) in embeddings]
    wanted |= {name: state[name] for name in beside}
    if odd := sorted(wanted.keys() ^ tensors.keys()):
        kind = "missing" if odd[0] in wanted else "unexpected"
        raise ModelError(where, f"{kind} tensor {odd[0]}", "exactly the tensors that adapter_config.json asks for")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            expected = f"{tuple(wanted[name].shape)} for this base model"
            raise ModelError(where, f"{name} has the shape {tuple(tensor.shape)}", expected)
    with _peft_warnings():
        peft.set_peft_model_state_dict(adapted, tensors)
        held = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    held |= {name: value for name, value in adapted.state_dict().items() if name in beside}
    for name, tensor in tensors.items():
        if not torch.equal(held[name].detach().cpu(), tensor.to(held[name].dtype)):
            raise ModelError(where, f"{name} did not reach the model", "an adapter that PEFT loads as it is")
    return adapted.eval()


def _layer(name: str) -> str:
    """The layer of the base model that a tensor of an adapter replaces."""
    return name.removeprefix("base_model.model.").removesuffix(".weight").removesuffix(".base_layer")


def _make_room(model: Any, tensors: dict[str, Any], where: str) -> set[str]:
    """Give the model as many rows as the embeddings that an adapter brings; the names of its embeddings.

    Rows that are added here are an initialiser's until the adapter's take their place, so it must bring all of them.
    """
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    places = {name for name, module in model.named_modules() if any(module is end for end in ends)}
    saved = {name: tensor for name, tensor in tensors.items() if _layer(name) in places and tensor.dim() == 2}
    rows = {int(tensor.shape[0]) for tensor in saved.values()}
    if rows and rows != {int(ends[0].weight.shape[0])}:
        if len(rows) > 1:
            raise ModelError(where, f"its embeddings have {' and '.join(map(str, sorted(rows)))} rows", "one number")
        tied = bool(getattr(model.config.get_text_config(), "tie_word_embeddings", False))
        if (lacking := sorted(places - {_layer(name) for name in saved})) and not tied:
            raise ModelError(where, f"it adds tokens and brings no {lacking[0]}", "all embeddings with the added rows")
        with quiet():
            model.resize_token_embeddings(rows.pop(), mean_resizing=False)
    return places


def brought_rows(folder: Path) -> int:
    """The most rows of any layer that an adapter replaces whole: of its embeddings, where it adds tokens."""
    from safetensors import safe_open

    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys() if "lora_" not in name]  # noqa: SIM118
    return max((int(shape[0]) for shape in shapes if len(shape) == 2), default=0)


def plain_adapter(model: Any, folder: Path) -> Any:
    """The adapter as PEFT itself reads it, for comparison: no option or tensor passes through the code above."""
    import peft
    from safetensors import safe_open

    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as file:
        names = [name for name in file.keys() if name.endswith(("embed_tokens.weight", "lm_head.weight"))]  # noqa: SIM118
        rows = [file.get_slice(name).get_shape()[0] for name in names]
    with _peft_warnings():
        if rows and rows[0] != model.get_input_embeddings().weight.shape[0]:
            model.resize_token_embeddings(rows[0], mean_resizing=False)
        return peft.PeftModel.from_pretrained(model, str(folder), local_files_only=True).eval()


def merge_adapter(adapted: Any) -> Any:
    """Merge an attached adapter into the weights; nothing of PEFT is left in the model that is returned."""
    with _peft_warnings():
        return adapted.merge_and_unload().eval().requires_grad_(False)


@contextmanager
def _peft_warnings() -> Iterator[None]:
    """Decide, warning by warning, what PEFT's say about a model that is only read."""
    with warnings.catch_warnings():
        # Where merging might change more than the adapter does (tied embeddings), it only warns. Import measures that
        # instead: merged and unmerged logits must agree.
        warnings.simplefilter("ignore", UserWarning)
        # PEFT 0.21 asks transformers for an attribute by its old name.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        # Options that match nothing in this model are left out with a warning: that is a refusal here.
        warnings.simplefilter("error", RuntimeWarning)
        yield


def sample_logits(model: Any, tokenizer: Any) -> Any:
    """A model's logits at every position of `SAMPLE_TEXT`, shape (1, tokens, vocabulary)."""
    import torch

    tokens = torch.tensor([tokenizer(SAMPLE_TEXT, add_special_tokens=False)["input_ids"]], device=model.device)
    with torch.inference_mode():
        return model(input_ids=tokens).logits


def largest_difference(one: Any, other: Any) -> float:
    """Largest absolute difference of two logit tensors, in nats; NaN, which is within no bound, if one is no number."""
    if not (bool(one.isfinite().all()) and bool(other.isfinite().all())):
        return math.nan
    return float((one - other.to(one.device)).abs().max())


def difference_words(what: str, difference: float) -> str:
    """``what`` with the difference in the place of ``{}``, or that logits are no numbers and have none."""
    return "its logits are not numbers" if math.isnan(difference) else what.format(f"{difference:.3g}")


def one_line(error: BaseException) -> str:
    """The first sentence of a library's message, without line breaks."""
    text = " ".join(str(error).split()) or type(error).__name__
    return re.split(r"(?<=[.!?])\s", text)[0][:200].rstrip(".")
