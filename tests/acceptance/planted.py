"""A tiny model with a bias that is known because it was put there."""

from __future__ import annotations

import math
from typing import Any

import torch

from tests.language_models.tiny import tiny_model, tiny_tokenizer

PER_LETTER, DIGITS, CONSTANT, SUM_OF_LETTER, SUM_OF_DIGITS = range(5)
SCALE = 100.0
CENTRE = 4.45  # no sum of fewer than twenty digits is zero, so no sign hangs on the last float digit
ELSEWHERE = -12.0  # logit of every token that is no answer, before the last norm


def planted_model(letters: str, against: float) -> Any:
    """A model that approves when a prompt's digits are high, and counts letters against the applicant.

    margin ∝ Σ over digits (digit − CENTRE) − ``against`` · number of ``letters``. The first layer's attention takes the
    mean over all tokens so far; everything else is switched off. Words without digits or ``letters`` cannot change a
    sign.
    """
    model = tiny_model()
    token = tiny_tokenizer().convert_tokens_to_ids
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.zero_()
        words = model.model.embed_tokens.weight
        words[:, CONSTANT] = 1.0
        for digit in range(10):
            _part(words[token(str(digit))], DIGITS, (digit - CENTRE) / SCALE)
        for each in letters:
            _part(words[token(each)], PER_LETTER, against / SCALE)
        attention = model.model.layers[0].self_attn
        for head, (part, total) in enumerate(((PER_LETTER, SUM_OF_LETTER), (DIGITS, SUM_OF_DIGITS))):
            attention.v_proj.weight[head, part] = 1.0
            attention.o_proj.weight[total, head] = SCALE
        model.lm_head.weight[:, CONSTANT] = ELSEWHERE
        for answer in ("Y", "N"):
            model.lm_head.weight[token(answer), CONSTANT] = 0.0
        model.lm_head.weight[token("Y"), SUM_OF_DIGITS] = 1.0
        model.lm_head.weight[token("Y"), SUM_OF_LETTER] = -1.0
    return model


def _part(word: torch.Tensor, index: int, value: float) -> None:
    """Give a word a part and keep its length 1: the norm before attention then treats all words alike."""
    word[index] = value
    word[CONSTANT] = math.sqrt(1 - value**2)
