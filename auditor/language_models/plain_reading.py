"""A stored model held against what plain transformers makes of the same files.

Whoever deploys the model loads it with ``AutoModelForCausalLM`` and ``AutoTokenizer``. Import chooses class, attention
and tokenizer by itself; where that gives another answer, what would be audited is not what is in use.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from auditor.exceptions import ModelError
from auditor.language_models.safety import CONFIG_FILE, TOKENIZER_FILE
from auditor.language_models.weights import (
    SAMPLE_TEXT,
    difference_words,
    largest_difference,
    one_line,
    quiet,
    refuse_incomplete,
    sample_logits,
)

#: How far the two readings' logits may lie apart, as a share of the largest: other kernels round otherwise.
PLAIN_TOLERANCE = 1e-4
TEXTS = (
    "Applicant 0417 asks for $12,500.75 over 36 months.\n\n  Debt ratio:  38.5 %; employed since 1989 (naïve: é, ½).",
    "  Leading blanks, trailing blanks   ",
    "don't WE'LL  x  12\t345\r\n\n  #42 [a]{b} Łódź 你好 🏦",
)


def check_against_plain(folder: Path, *, model: Any, tokenizer: Any) -> float:
    """Compare tokens, special tokens, template, every weight and logits with plain transformers' reading of ``folder``.

    Parameters
    ----------
    folder
        The model's files and nothing else.
    model, tokenizer
        As import reads them.

    Returns
    -------
    float
        The largest difference of a logit, in nats.

    Raises
    ------
    ModelError
        If anything differs, or a weight or logit is no number.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with quiet():
        try:
            other: Any = AutoTokenizer.from_pretrained(folder, **options)
        except Exception as error:  # whatever a library makes of a bad file, users get one line
            what = f"transformers cannot read it: {one_line(error)}"
            raise ModelError(str(folder / TOKENIZER_FILE), what, "a tokenizer that AutoTokenizer reads") from error
    _same_tokens(folder, tokenizer, other)
    _causal(folder, model, tokenizer)
    with quiet():
        try:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=model.dtype, use_safetensors=True, output_loading_info=True, **options
            )
        except Exception as error:
            what = f"transformers cannot use it: {one_line(error)}"
            raise ModelError(str(folder / CONFIG_FILE), what, "a causal language model") from error
    plain, report = loaded
    refuse_incomplete(folder, report, "weights that fit config.json exactly")
    _same_weights(folder, model, plain)
    plain.eval()

    def both(precise: bool) -> tuple[Any, Any]:
        ours, theirs = (in_float32(each) if precise else each for each in (model, plain))
        return sample_logits(ours, tokenizer), sample_logits(theirs, tokenizer)

    difference, bound = _agreement(model, both)
    if not difference <= bound:
        what = difference_words("its logits differ from plain transformers' by {}", difference)
        raise ModelError(str(folder), what, f"at most {bound:.3g}")
    return difference


def _causal(folder: Path, model: Any, tokenizer: Any) -> None:
    """Refuse a model whose answer at a token changes with the tokens after it: an encoder under a decoder's name.

    The second half of a text is put backwards, so that both runs have one shape and are computed alike.
    """
    import torch

    ids = tokenizer(SAMPLE_TEXT, add_special_tokens=False)["input_ids"]
    half = len(ids) // 2
    tokens = torch.tensor([ids, ids[:half] + ids[half:][::-1]], device=model.device)

    def halves(precise: bool) -> tuple[Any, Any]:
        run = in_float32(model) if precise else model
        with torch.inference_mode():
            one, other = (run(input_ids=row[None]).logits[:, :half] for row in tokens)
        return one, other

    difference, bound = _agreement(model, halves)
    if difference > bound:
        what = f"{type(model).__name__} reads tokens that come later: its answer at a token changes with them"
        raise ModelError(str(folder / CONFIG_FILE), what, "a decoder-only causal language model")


def _agreement(model: Any, run: Callable[[bool], tuple[Any, Any]]) -> tuple[float, float]:
    """The largest difference of two runs' logits, in nats, and how much rounding alone may make it.

    In 16 bits two kernels of one function lie up to 2.6 steps of the type apart, and a hundred where a mixture picks
    other experts: no bound tells that from another function. So whatever is not equal to the bit is run again in
    float32, where it does.
    """
    one, other = run(False)
    difference = largest_difference(one, other)
    if difference != 0.0 and model.dtype.itemsize < 4:
        one, other = run(True)
        difference = largest_difference(one, other)
    return difference, PLAIN_TOLERANCE * max(1.0, float(one.nan_to_num(0.0).abs().max()))


def in_float32(model: Any) -> Any:
    """The same weights, computed with in float32."""
    return copy.deepcopy(model).float()


def _same_weights(folder: Path, model: Any, plain: Any) -> None:
    """Refuse a weight or buffer that differs, is in one reading only, or holds what equals nothing: NaN, infinity."""
    ours, theirs = model.state_dict(), plain.state_dict()
    if odd := sorted(ours.keys() ^ theirs.keys()):
        where = "import's reading" if odd[0] in ours else "plain transformers' reading"
        raise ModelError(str(folder), f"{odd[0]} is in {where} alone", "one set of weights, whoever reads it")
    for name, tensor in ours.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ModelError(str(folder), f"{name} holds values that are not numbers", "finite weights")
        if not tensor.equal(theirs[name].to(tensor.device)):
            raise ModelError(
                str(folder), f"{name} is read differently by plain transformers", "one reading of each weight"
            )


def _same_tokens(folder: Path, tokenizer: Any, other: Any) -> None:
    where, expected = str(folder / TOKENIZER_FILE), "one tokenizer, whoever reads it"
    for text in TEXTS:
        for special in (False, True):
            ours = tokenizer(text, add_special_tokens=special)["input_ids"]
            theirs = other(text, add_special_tokens=special)["input_ids"]
            if ours != theirs:
                name = type(other).__name__
                what = f"gives other tokens for {text[:16]!r} than {name}, which tokenizer_config.json names"
                raise ModelError(where, what, expected)
    for name in ("bos_token_id", "eos_token_id", "chat_template"):
        if (getattr(tokenizer, name, None) or None) != (getattr(other, name, None) or None):
            raise ModelError(where, f"{name} is read differently by {type(other).__name__}", expected)
