"""Where the parts of a decoder stand, family by family: one table, and the parts of one model read through it.

A family that is not in the table still gets every test that needs no structure (see :mod:`.residual_view`). The table
says only names and order; that the order is right is measured at load against the model's own logits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from auditor.language_models.precision import in_double

#: Size of the vectors that a norm's gain is read with.
LONG = 1e3


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Attribute names of a family's parts. Empty: the family has no such part."""

    body: str = "model"
    embedding: str = "embed_tokens"
    learned_positions: str = ""
    rotary: str = "rotary_emb"
    rotary_by_type: bool = False
    blocks: str = "layers"
    final_norm: str = "norm"
    attention: str = "self_attn"
    output: str = "o_proj"
    past_name: str = "past_key_values"
    attention_norm: str = "input_layernorm"
    attention_post_norm: str = ""
    mlp_norm: str = "post_attention_layernorm"
    mlp_post_norm: str = ""
    mlp: str = "mlp"
    parallel: bool = False


LLAMA = Layout()
POST_NORMS = Layout(
    attention_post_norm="post_attention_layernorm",
    mlp_norm="pre_feedforward_layernorm",
    mlp_post_norm="post_feedforward_layernorm",
)
NORMS_AFTER = Layout(
    attention_norm="",
    attention_post_norm="post_attention_layernorm",
    mlp_norm="",
    mlp_post_norm="post_feedforward_layernorm",
)
FAMILIES = {
    "llama": LLAMA,
    "mistral": LLAMA,
    "mixtral": LLAMA,
    "qwen2": LLAMA,
    "qwen2_moe": LLAMA,
    "qwen3": LLAMA,
    "qwen3_moe": LLAMA,
    "gemma": LLAMA,
    "gemma2": POST_NORMS,
    "gemma3_text": replace(POST_NORMS, rotary_by_type=True),
    "gemma3": replace(POST_NORMS, rotary_by_type=True, body="model.language_model"),
    "arcee": LLAMA,
    "apertus": Layout(attention_norm="attention_layernorm", mlp_norm="feedforward_layernorm"),
    "cwm": LLAMA,
    "deepseek_v3": LLAMA,
    "ernie4_5": LLAMA,
    "ernie4_5_moe": LLAMA,
    "exaone4": NORMS_AFTER,
    "exaone_moe": LLAMA,
    "flex_olmo": NORMS_AFTER,
    "glm": LLAMA,
    "glm4": Layout(attention_post_norm="post_self_attn_layernorm", mlp_post_norm="post_mlp_layernorm"),
    "glm4_moe": LLAMA,
    "helium": LLAMA,
    "hunyuan_v1_dense": LLAMA,
    "hunyuan_v1_moe": LLAMA,
    "jais2": LLAMA,
    "minimax_m2": LLAMA,
    "ministral": LLAMA,
    "nemotron": LLAMA,
    "olmo": LLAMA,
    "olmo2": NORMS_AFTER,
    "olmo3": replace(NORMS_AFTER, rotary_by_type=True),
    "olmoe": LLAMA,
    "phi3": LLAMA,
    "phimoe": LLAMA,
    "seed_oss": LLAMA,
    "solar_open": LLAMA,
    "smollm3": LLAMA,
    "stablelm": LLAMA,
    "starcoder2": LLAMA,
    "gpt2": Layout(
        body="transformer",
        embedding="wte",
        learned_positions="wpe",
        rotary="",
        blocks="h",
        final_norm="ln_f",
        attention="attn",
        output="c_proj",
        attention_norm="ln_1",
        mlp_norm="ln_2",
    ),
    "gpt_neox": Layout(
        body="gpt_neox",
        embedding="embed_in",
        final_norm="final_layer_norm",
        attention="attention",
        output="dense",
        past_name="layer_past",
        parallel=True,
    ),
    "opt": Layout(
        body="model.decoder",
        learned_positions="embed_positions",
        rotary="",
        final_norm="final_layer_norm",
        output="out_proj",
        attention_norm="self_attn_layer_norm",
        mlp_norm="final_layer_norm",
        mlp="fc1",
    ),
    "phi": Layout(final_norm="final_layernorm", output="dense", mlp_norm="input_layernorm", parallel=True),
}


@dataclass(frozen=True)
class Block:
    """The parts of one block. ``attention`` is called as transformers calls it; ``output`` is its last product, W_O."""

    attention_norm: Any
    attention: Any
    output: Any
    attention_post_norm: Callable[[Tensor], Tensor]
    mlp_norm: Any
    mlp: Callable[[Tensor], Tensor]
    mlp_post_norm: Callable[[Tensor], Tensor]
    window: int | None


@dataclass(frozen=True)
class Parts:
    """The parts of one model."""

    layout: Layout
    body: Any
    blocks: tuple[Block, ...]
    final_norm: Any
    after_norm: Callable[[Tensor], Tensor]
    head: Any
    parallel: bool
    linear_heads: bool
    soft_cap: float | None
    layer_types: tuple[str, ...]

    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """The stream before the first block: [batch, n] ids at positions [n] to [batch, n, width]."""
        states: Tensor = getattr(self.body, self.layout.embedding)(tokens)
        if getattr(self.body, "project_in", None) is not None:
            states = self.body.project_in(states)
        if self.layout.learned_positions:
            table = getattr(self.body, self.layout.learned_positions)
            states = states + nn.functional.embedding(positions + getattr(table, "offset", 0), table.weight)
        return states

    def rotary(self, states: Tensor, positions: Tensor) -> dict[str, Any]:
        """Rotary angles by type of layer; empty for models with learned positions."""
        if not self.layout.rotary:
            return {}
        module = getattr(self.body, self.layout.rotary)
        kinds = sorted(set(self.layer_types))
        if self.layout.rotary_by_type:
            return {kind: module(states, positions[None], kind) for kind in kinds}
        return dict.fromkeys(kinds, module(states, positions[None]))


def read_parts(model: Any) -> Parts | str:
    """The parts of ``model``, or the reason why they cannot be told."""
    config = model.config.get_text_config()
    layout = FAMILIES.get(model.config.model_type)
    if layout is None:
        return f"the family {model.config.model_type!r} has no adapter; known: {', '.join(sorted(FAMILIES))}"
    if getattr(config, "do_layer_norm_before", True) is False:
        return "its norms come after each sum, so the stream between blocks is not a sum of what the blocks write"
    if getattr(config, "add_cross_attention", False):
        return "it attends to a second input"
    if int(config.hidden_size) % 2:
        return f"its stream is {config.hidden_size} wide, and the gain of its norms is read with pairs of coordinates"
    try:
        body = attrgetter(layout.body)(model)
        kinds = _layer_types(config)
        blocks = tuple(
            _block(layout, block, config.sliding_window if kind == "sliding_attention" else None)
            for block, kind in zip(getattr(body, layout.blocks), kinds, strict=True)
        )
        project = getattr(body, "project_out", None)
        return Parts(
            layout=layout,
            body=body,
            blocks=blocks,
            final_norm=getattr(body, layout.final_norm),
            after_norm=project if project is not None else _same,
            head=model.get_output_embeddings(),
            parallel=layout.parallel and bool(getattr(config, "use_parallel_residual", True)),
            linear_heads=not layout.attention_post_norm,
            soft_cap=getattr(config, "final_logit_softcapping", None),
            layer_types=kinds,
        )
    except (AttributeError, ValueError) as error:
        return f"its parts are not named as those of its family: {error}"


def output_rows(block: Block, *, heads: int) -> Tensor:
    """W_O by head: [heads, head width, width]. A linear layer keeps it transposed, GPT-2's convolution does not."""
    weight: Tensor = block.output.weight
    flat = weight.T if isinstance(block.output, nn.Linear) else weight
    return flat.reshape(heads, -1, flat.shape[-1])


def output_bias(block: Block) -> Tensor | None:
    """b_O, or ``None``."""
    bias: Tensor | None = getattr(block.output, "bias", None)
    return bias


def gain(norm: Any, *, width: int, like: Tensor) -> tuple[Tensor, Tensor, bool]:
    """A norm as a linear map once its scale is frozen: gain [width], offset [width], and whether it takes the mean off.

    All three are read from what the norm does, whichever way the family keeps its weight (some keep it less one, some
    keep none): of 0 it gives the offset, of a constant vector the offset again if it takes the mean off, and of a
    vector of one size whose mean is 0 the gain. The vectors are long enough for the norm's epsilon not to matter.

    Whether the mean is taken off is read from sizes, not from a tolerance: of a constant vector rounding leaves some
    hundredths in half precision, where what takes no mean off leaves the whole gain.
    """
    with torch.no_grad():
        offset = norm(torch.zeros(width, dtype=like.dtype, device=like.device))
        ones = torch.ones(width, dtype=like.dtype, device=like.device)
        signs = ones.clone()
        signs[1::2] = -1.0
        found = (norm(LONG * signs) - offset) * signs
        level = in_double(norm(LONG * ones) - offset).norm()
        centred = bool(level < 0.5 * in_double(found).norm())
    return found, offset, centred


def frozen_scale(norm: Any, state: Float[Tensor, " width"]) -> float:
    """What a norm multiplies a state with beside its gain: 1 / sqrt(mean square + epsilon), frozen at this state.

    Read from what the norm does, because not every family keeps its epsilon where it can be read (OLMo's stands in its
    code alone): the number by which the gain times the state comes nearest to the norm's own output.
    """
    scale, offset, centred = gain(norm, width=len(state), like=state)
    exact = in_double(state)
    unscaled = in_double(scale) * (exact - exact.mean() if centred else exact)
    with torch.no_grad():
        normed = in_double(norm(state)) - in_double(offset)
    size = float(unscaled @ unscaled)
    return float(unscaled @ normed) / size if size > 0 else 0.0


def _block(layout: Layout, block: Any, window: int | None) -> Block:
    attention = getattr(block, layout.attention)
    mlp = getattr(block, layout.mlp)
    if layout.mlp == "fc1":

        def mlp(states: Tensor) -> Tensor:
            out: Tensor = block.fc2(block.activation_fn(block.fc1(states)))
            return out

    return Block(
        attention_norm=_part(block, layout.attention_norm),
        attention=attention,
        output=getattr(attention, layout.output),
        attention_post_norm=_part(block, layout.attention_post_norm),
        mlp_norm=_part(block, layout.mlp_norm),
        mlp=mlp,
        mlp_post_norm=_part(block, layout.mlp_post_norm),
        window=window,
    )


def _layer_types(config: Any) -> tuple[str, ...]:
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return tuple(kinds)
    kind = "sliding_attention" if getattr(config, "sliding_window", None) else "full_attention"
    return (kind,) * int(config.num_hidden_layers)


def _part(block: Any, name: str) -> Callable[[Tensor], Tensor]:
    part: Callable[[Tensor], Tensor] = getattr(block, name) if name else _same
    return part


def _same(states: Tensor) -> Tensor:
    return states
