"""Whether a view into a model can be trusted: its logits against the model's own, and the view that then serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from auditor.exceptions import ScoringError
from auditor.language_models.decoder import Decoder
from auditor.language_models.families import Parts, read_parts
from auditor.language_models.positions import forget_lengths, switch_length
from auditor.language_models.residual_view import ResidualView
from auditor.language_models.rounding import rounded_otherwise

OTHERWISE = 1.5
"""The view's logits may differ from the model's own by so many times what other rounding moves these by.

On 14 families the view differs by 0 to .65 times as much, in single precision, float16 and bfloat16 alike.
"""


@dataclass(frozen=True)
class DecoderCheck:
    """Whether the view gives the model's own logits: the largest relative difference, and why it does not hold."""

    held: bool
    largest_difference: float | None
    reason: str


SHORT = 48
"""Tokens of the prompts that a view is checked with where no longer prompt is named."""


def read_decoder(model: Any, *, longest: int = SHORT) -> Decoder | ResidualView:
    """The view into a model: with structure where its family is known and its logits agree, else the stream only.

    Parameters
    ----------
    longest
        Tokens of the longest prompt that will be looked into. Position encodings that change with a prompt's length
        (dynamic NTK, LongRoPE) and sliding windows agree on short prompts and not on long ones, so the check goes
        that far.

    Raises
    ------
    ScoringError
        If not even the stream between blocks can be told.
    """
    parts = read_parts(model)
    reason = parts if isinstance(parts, str) else _compare(model, Decoder(model, parts), longest=longest).reason
    if isinstance(parts, Parts) and not reason:
        return Decoder(model, parts)
    return ResidualView(model, reason=reason)


def check_decoder(model: Any, *, longest: int = SHORT) -> DecoderCheck:
    """Run random prompts through the view, whole and from a shared prefix, against the model's own logits.

    ``longest`` as for `read_decoder`: both short prompts and prompts of that length are run.
    """
    parts = read_parts(model)
    if isinstance(parts, str):
        return DecoderCheck(False, None, parts)
    return _compare(model, Decoder(model, parts), longest=longest)


def _compare(model: Any, decoder: Decoder, *, longest: int) -> DecoderCheck:
    config = model.config.get_text_config()
    switch = switch_length(model)
    if switch is not None and longest > switch:
        # What the encoding keeps of the prompt before can make a check agree by chance.
        return DecoderCheck(False, None, f"its position encoding reads prompts by their length past {switch} tokens")
    most = int(getattr(config, "max_position_embeddings", None) or longest)
    largest = 0.0
    for length in sorted({min(SHORT, most), min(max(SHORT, longest), most)}):
        try:
            difference, rounding = _difference(model, decoder, length=length, vocabulary=config.vocab_size)
        except (TypeError, ValueError, RuntimeError, IndexError, KeyError, AttributeError, ScoringError) as error:
            # Any model may be handed in; what it raises on an unusual call is its answer to the check.
            return DecoderCheck(False, None, f"the block loop was refused: {error}"[:300])
        largest = max(largest, difference)
        if not difference <= OTHERWISE * rounding:
            reason = (
                f"the block loop's logits differ from the model's own by {difference:.2g} at {length} tokens, and "
                f"other rounding moves these by {rounding:.2g}"
            )
            return DecoderCheck(False, difference, reason)
    return DecoderCheck(True, largest, "")


def _difference(model: Any, decoder: Decoder, *, length: int, vocabulary: int) -> tuple[float, float]:
    """Of two prompts of ``length`` tokens the largest difference to the model's own logits, over their largest.

    Beside it the largest that the model's own logits make when every module rounds otherwise.
    """
    generator = np.random.default_rng(0)
    half = length // 2
    ids = torch.tensor(generator.integers(3, vocabulary, (2, length)), device=model.device)
    ids[1, :half] = ids[0, :half]
    with torch.inference_mode():
        forget_lengths(model)
        own = model(input_ids=ids, use_cache=False).logits
        with rounded_otherwise(model, seed=0):
            other = model(input_ids=ids, use_cache=False).logits
        whole = decoder.logits(decoder.run(ids).final)
        shared = decoder.run(ids[:1, :half], keep_past=True).past
        suffix = decoder.logits(decoder.run(ids[:, half:], past=shared).final)
    scale = max(1.0, float(own.abs().max()))
    differences = [float((whole - own).abs().max()), float((suffix - own[:, half:]).abs().max())]
    rounding = max(float((other - own).abs().max()), torch.finfo(own.dtype).eps * scale)
    return max(differences) / scale, rounding / scale
