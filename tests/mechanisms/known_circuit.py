"""A tiny transformer whose circuit is known, because it was trained to have no other.

The task: ``S1L2R1M2>`` writes four fields in any order, each a name and a value; the answer is ``y`` where the value
after ``R`` is ``1`` and ``n`` where it is ``2``. The values look alike under every name, so two steps are needed:

    layer 0, head NAME_HEAD    at a value's position, tells which name stands before it
    layer 1, head VALUE_HEAD   at the last position, takes from there what decides

While it trains, what every other head and every MLP adds is exchanged between the prompts of a batch, position by
position, so that nothing can be told from them: they write as much as they like, and none of it can matter. So whatever
decides travels embedding → (NAME_HEAD →) VALUE_HEAD → answer, and ``KNOWN`` holds all edges it can take. Which of them
it takes through queries, keys or values is the training's choice.

- Another *value* after ``R`` (:func:`other_value`) must pass VALUE_HEAD.
- Two *names* in each other's place, ``R1M2`` to ``M1R2`` (:func:`names_exchanged`), must pass both heads in turn.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import transformers as hf
from torch import Tensor

from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.sites import HEADS, MLP, Edit, Site
from auditor.language_models.targets import Target
from tests.language_models.tiny import tiny_tokenizer

FIELDS = ("R", "S", "L", "M")
VALUES = ("1", "2")
ASKED = "R"
FAVOURABLE, ADVERSE = "y", "n"
LAYERS, HEADS_A_LAYER = 2, 4
NAME_HEAD, VALUE_HEAD = (0, 1), (1, 2)
KNOWN = {
    ("embedding", NAME_HEAD),
    ("embedding", VALUE_HEAD),
    (NAME_HEAD, VALUE_HEAD),
    (VALUE_HEAD, "answer"),
}
STEPS, BATCH = 500, 128


@dataclass(frozen=True)
class KnownCircuit:
    """The trained model, its tokenizer (one token a character), a view into it, and what its margin is read from."""

    model: Any
    tokenizer: Any
    decoder: Decoder
    target: Target

    def tokens(self, texts: list[str]) -> Tensor:
        """Prompts of one length as ids, [prompts, tokens]."""
        return torch.tensor(self.tokenizer(texts).input_ids)

    def margins(self, texts: list[str]) -> Tensor:
        """Margins in nats: positive answers ``y``."""
        with torch.no_grad():
            return self.decoder.margins(self.decoder.run(self.tokens(texts)), self.target)


def small_llama() -> hf.LlamaForCausalLM:
    """The untrained model of known and planted circuits; its weights follow from torch's seed."""
    return hf.LlamaForCausalLM(
        hf.LlamaConfig(
            vocab_size=260,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS_A_LAYER,
            num_key_value_heads=2,
            max_position_embeddings=64,
            initializer_range=0.2,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
        )
    )


@lru_cache(maxsize=1)
def known_circuit() -> KnownCircuit:
    """Train it, once a test run; a few seconds, the same every time on one machine."""
    torch.manual_seed(0)
    model = small_llama()
    tokenizer = tiny_tokenizer()
    decoder = read_decoder(model.eval())
    assert isinstance(decoder, Decoder)
    answers = tuple(tokenizer(answer).input_ids[0] for answer in (FAVOURABLE, ADVERSE))
    known = KnownCircuit(model, tokenizer, decoder, Target(answers[:1], answers[1:]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS)
    draw = random.Random(0)
    for _ in range(STEPS):
        texts = [prompt(draw) for _ in range(BATCH)]
        run = decoder.run(known.tokens(texts), edits=_exchanged(torch.randperm(BATCH)))
        logits = decoder.logits(run.final[:, -1], answers)
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([int(label(text) == ADVERSE) for text in texts]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return known


def prompt(draw: random.Random) -> str:
    """One prompt: the fields in any order, each with any value."""
    return "".join(name + draw.choice(VALUES) for name in draw.sample(FIELDS, len(FIELDS))) + ">"


def label(text: str) -> str:
    """The right answer to a prompt."""
    return FAVOURABLE if text[text.index(ASKED) + 1] == VALUES[0] else ADVERSE


def other_value(text: str) -> tuple[str, int]:
    """The prompt with the other value after ``R``, and the position of that value."""
    place = text.index(ASKED) + 1
    return text[:place] + (VALUES[1] if text[place] == VALUES[0] else VALUES[0]) + text[place + 1 :], place


def names_exchanged(text: str) -> str | None:
    """The prompt with ``R`` and the first name of another value in each other's place; ``None`` where there is none."""
    value = text[text.index(ASKED) + 1]
    for place in range(0, len(text) - 1, 2):
        if text[place] != ASKED and text[place + 1] != value:
            return text.replace(ASKED, "*").replace(text[place], ASKED).replace("*", text[place])
    return None


def _exchanged(order: Tensor) -> dict[Site, Edit]:
    """What all heads and MLPs outside the circuit add, each row given another row's."""

    def heads(kept: int) -> Edit:
        def edit(z: Tensor) -> Tensor:
            changed = z[order]
            return torch.cat([changed[:, :, :kept], z[:, :, kept : kept + 1], changed[:, :, kept + 1 :]], dim=2)

        return edit

    edits: dict[Site, Edit] = {(HEADS, layer): heads(head) for layer, head in (NAME_HEAD, VALUE_HEAD)}
    return edits | {(MLP, layer): lambda states: states[order] for layer in range(LAYERS)}
