"""A real model that answers yes or no by chance: the next token follows from the last one alone.

A GPT-2 whose blocks write nothing; its stream is the last token, and its output matrix a table of what follows what.
After a space it says ``yes`` with the probability asked for, else ``no``.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import transformers as hf

from tests.language_models.tiny import VOCABULARY, tiny_tokenizer

SURE = 30.0
FOLLOWS = {":": " ", "y": "e", "e": "s", "s": "</s>", "n": "o", "o": "</s>"}


def yes_or_no(share: float) -> Any:
    """The model; ``share`` is the probability of yes at temperature 1."""
    return _table(FOLLOWS, {"y": share, "n": 1 - share})


def saying(text: str) -> Any:
    """A model that says this text after a colon and a space; no character may stand in it twice."""
    after = dict(zip(text, [*text[1:], "</s>"], strict=True))
    return _table({":": " ", **after}, {text[0]: 1.0})


def _table(follows: dict[str, str], begins: dict[str, float]) -> Any:
    tokenizer = tiny_tokenizer()
    config = hf.GPT2Config(
        n_layer=1,
        n_head=2,
        n_embd=VOCABULARY,
        n_positions=512,
        vocab_size=VOCABULARY,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=False,
    )
    model = hf.GPT2LMHeadModel(config).eval()

    def token(text: str) -> int:
        return int(tokenizer.convert_tokens_to_ids("\u0120" if text == " " else text))

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.transformer.ln_f.weight.fill_(1.0)
        model.transformer.wte.weight.copy_(torch.eye(VOCABULARY))
        # A normed one-hot vector of so many numbers is about this large at its place, and near 0 elsewhere.
        size = math.sqrt(VOCABULARY - 1)
        for before, after in follows.items():
            model.lm_head.weight[token(after), token(before)] = SURE / size
        for answer, probability in begins.items():
            model.lm_head.weight[token(answer), token(" ")] = (SURE + math.log(probability)) / size
    return model
