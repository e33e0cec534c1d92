"""A real model that says a given text: a GPT-2 whose blocks write nothing and whose next token follows from the place.

The stream holds one coordinate a position and nothing else, and the output matrix sends each to a token. So it is
tokenised, batched, cached and read like any other model, and what it says is known.
"""

from __future__ import annotations

import torch
import transformers as hf

from auditor.language_models.local import LoadedModel
from auditor.language_models.packed import PackedScorer, probe_packing
from tests.language_models.tiny import VOCABULARY, tiny_tokenizer

PLACES = 160
END = "</s>"


def saying(prompt: str, text: str, *, ended: bool = True) -> tuple[LoadedModel, PackedScorer]:
    """A model that answers ``prompt``, and any other of its length, with ``text`` and its end mark."""
    tokenizer = tiny_tokenizer()
    start = len(tokenizer(prompt)["input_ids"]) - 1
    said = tokenizer(text, add_special_tokens=False)["input_ids"] + ([tokenizer.eos_token_id] if ended else [])
    config = hf.GPT2Config(
        n_layer=1,
        n_head=2,
        n_embd=PLACES,
        n_positions=PLACES,
        vocab_size=VOCABULARY,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=False,
    )
    model = hf.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.transformer.ln_f.weight.fill_(1.0)
        model.transformer.wpe.weight.copy_(torch.eye(PLACES))
        model.lm_head.weight[tokenizer.convert_tokens_to_ids("z")] = 1e-3
        for place, token in enumerate(said):
            model.lm_head.weight[token, start + place] = 1.0
    loaded = LoadedModel(model, tokenizer, None, "cpu")
    probe = probe_packing(model, vocabulary=VOCABULARY, longest=PLACES)
    return loaded, PackedScorer(model, pack_tokens=64, probe=probe)
