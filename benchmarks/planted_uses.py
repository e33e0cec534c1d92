"""What the ladder says of attributes that a model is known to use, wherever it does: never that they are not.

A row is a kind of use and a step. ``ours`` is 1 where the step says yes, 0 where it says no and a half where it is not
known; ``extra`` holds the reason. Every test runs as in an audit, from planning to the ladder, on models of four layers
(`tests/acceptance/planted.py`) that add up digits and, by the kind, count the letter of one group:

early            the first layer carries the letter to all positions behind it
late             the last layer reads it straight from the field
late, small      the same at a twentieth of the spread of margins
values           the second layer's value of one head carries it
spread           all heads of all layers, a part each
mlp              carried unread by the first layer; an MLP of the third makes it count
interaction      the letter times the digits: its mean effect is about none, its effects are not
ignored          not at all: a no is right here
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from auditor.mechanisms.erasure import method as erasure
from auditor.mechanisms.steering import method as steering
from auditor.synthesis.ladder import climb
from auditor.synthesis.ladder_steps import Step
from benchmarks.rows import Row
from tests.acceptance.planted import (
    CENTRE,
    CONSTANT,
    DIGITS,
    ELSEWHERE,
    PER_LETTER,
    SCALE,
    SUM_OF_DIGITS,
    SUM_OF_LETTER,
    _part,
)
from tests.engine.small import small_data
from tests.language_models.tiny import GROUPED, tiny_tokenizer
from tests.mechanisms.test_probes_and_erasure import concluded

LAYERS, HEADS, HEAD_WIDTH = 4, 4, 8
UNREAD = 5
STRONG, SMALL = 20.0, 0.2
DATA = small_data(96)
TESTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "used": (erasure, {"applications": 48, "relevant": False}),
    "usable": (steering, {"applications": 48, "depths": (0.25, 0.5), "doses": (1.0,)}),
}
SAYS = {True: 1.0, False: 0.0, None: 0.5}


def run() -> Iterator[Row]:
    """A row a kind and step."""
    for kind in KINDS:
        for name, step in said(kind).items():
            yield Row(
                name=f"{name}: {kind}",
                ours=SAYS[step.held],
                peer=None,
                ratio=None,
                agreement=None,
                unit="step",
                n=48,
                extra={"says": step.says, "reason": step.reason},
            )


def said(kind: str) -> dict[str, Step]:
    """What the ladder says of Black against White, by step."""
    found = {}
    for name, (test, settings) in TESTS.items():
        _, measurements, plan = concluded(test, model_of(kind), data=DATA, **settings)
        (rung,) = [rung for rung in climb(measurements, plan=plan) if (rung.field, rung.group) == ("race", "Black")]
        (found[name],) = [step for step in rung.found if step.name == name]
    return found


def model_of(kind: str) -> Any:
    """Four layers that add up digits, and count the letter B as the kind says."""
    import transformers as hf

    model = hf.LlamaForCausalLM(hf.LlamaConfig(**{**GROUPED, "num_hidden_layers": LAYERS})).eval()
    token = tiny_tokenizer().convert_tokens_to_ids
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.zero_()
        words = model.model.embed_tokens.weight
        words[:, CONSTANT] = 1.0
        for digit in range(10):
            _part(words[token(str(digit))], DIGITS, (digit - CENTRE) / SCALE)
        strength = {"ignored": 0.0, "late, small": SMALL}.get(kind, STRONG)
        _part(words[token("B")], PER_LETTER, strength / SCALE)
        _carry(model, layer=0, part=DIGITS, total=SUM_OF_DIGITS, place=1)
        model.lm_head.weight[:, CONSTANT] = ELSEWHERE
        for answer in ("Y", "N"):
            model.lm_head.weight[token(answer), CONSTANT] = 0.0
        model.lm_head.weight[token("Y"), SUM_OF_DIGITS] = 1.0
        model.lm_head.weight[token("Y"), SUM_OF_LETTER] = -1.0
        KINDS[kind](model)
    return model


def _carry(model: Any, *, layer: int, part: int, total: int, place: int = 0, share: float = 1.0) -> None:
    """The mean of a part over all tokens so far, by one value of the first head."""
    attention = model.model.layers[layer].self_attn
    attention.v_proj.weight[place, part] = 1.0
    attention.o_proj.weight[total, place] = share * SCALE


def _spread(model: Any) -> None:
    for layer in model.model.layers:
        attention = layer.self_attn
        for pair in range(HEADS // 2):  # two heads share their values
            attention.v_proj.weight[pair * HEAD_WIDTH, PER_LETTER] = 1.0
        for head in range(HEADS):
            attention.o_proj.weight[SUM_OF_LETTER, head * HEAD_WIDTH] = SCALE / (HEADS * LAYERS)


def _through_mlp(model: Any) -> None:
    _carry(model, layer=0, part=PER_LETTER, total=UNREAD)
    mlp = model.model.layers[2].mlp
    mlp.gate_proj.weight[0, CONSTANT] = 2.0
    mlp.up_proj.weight[0, UNREAD] = 1.0
    mlp.down_proj.weight[SUM_OF_LETTER, 0] = 1.0


def _interaction(model: Any) -> None:
    _carry(model, layer=0, part=PER_LETTER, total=UNREAD)
    mlp = model.model.layers[2].mlp
    # silu(a) − silu(−a) is a: together the two make a product.
    for place, sign in enumerate((1.0, -1.0)):
        mlp.gate_proj.weight[place, SUM_OF_DIGITS] = sign
        mlp.up_proj.weight[place, UNREAD] = 1.0
        mlp.down_proj.weight[SUM_OF_LETTER, place] = sign


KINDS: dict[str, Callable[[Any], None]] = {
    "early": lambda model: _carry(model, layer=0, part=PER_LETTER, total=SUM_OF_LETTER),
    "late": lambda model: _carry(model, layer=LAYERS - 1, part=PER_LETTER, total=SUM_OF_LETTER),
    "late, small": lambda model: _carry(model, layer=LAYERS - 1, part=PER_LETTER, total=SUM_OF_LETTER),
    "values": lambda model: _carry(model, layer=1, part=PER_LETTER, total=SUM_OF_LETTER),
    "spread": _spread,
    "mlp": _through_mlp,
    "interaction": _interaction,
    "ignored": lambda model: _carry(model, layer=0, part=PER_LETTER, total=SUM_OF_LETTER),
}
