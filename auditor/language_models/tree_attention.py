"""Attention over a pack, block by block: a run of tokens looks at the path it follows and at itself.

A tree mask alone is exact, but the kernel still multiplies the masked part, and in a tree most of it is masked. Here
the pack is cut into blocks of consecutive tokens; all that a block's tokens follow before it lies on one path (see
:mod:`auditor.language_models.trie`), so each block is attended to with that path's keys and its own. The arithmetic
left out is exactly what the mask would have zeroed. It replaces torch's scaled dot product attention for the length of
one forward pass, in models that use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from auditor.language_models.trie import Pack

NAME = "plumbline_tree"
REPLACES = "sdpa"
BLOCK_TOKENS = 96
"""A block costs a call, a long block multiplies what is masked: measured on packs of 512 tokens."""


@dataclass(frozen=True, slots=True)
class MaskedSpan:
    """Tokens ``start`` to ``stop`` of a pack, which of the gathered keys they look at, and their mask over those."""

    start: int
    stop: int
    keys: slice
    mask: Float[Tensor, "1 1 block keys"]


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a pack is cut; ``places`` (in its context, then its tokens) are the keys of all blocks, one by one.

    Without ``places`` the keys are taken as they stand.
    """

    places: Int[Tensor, " keys"] | None
    blocks: tuple[MaskedSpan, ...]


_current: ContextVar[Blocks | None] = ContextVar("blocks", default=None)


def cut(pack: Pack, mask: Float[Tensor, "1 1 tokens context_and_tokens"]) -> Blocks:
    """Cut a pack into blocks of about equal length.

    Parameters
    ----------
    pack
        The pack.
    mask
        Its additive tree mask.
    """
    size = len(pack.tokens)
    width = -(-size // -(-size // BLOCK_TOKENS))
    blocks: list[MaskedSpan] = []
    places: list[int] = []
    for start in range(0, size, width):
        stop = min(start + width, size)
        mine = [*_path(pack, start), *range(pack.context + start, pack.context + stop)]
        rows = mask[:, :, start:stop].index_select(3, torch.tensor(mine, device=mask.device))
        blocks.append(MaskedSpan(start, stop, slice(len(places), len(places) + len(mine)), rows))
        places += mine
    return Blocks(torch.tensor(places, device=mask.device), tuple(blocks))


def _path(pack: Pack, index: int) -> list[int]:
    """Places, in context and tokens, of all that stand above a token of the pack, from the first on."""
    above = []
    while pack.parents[index] >= 0:
        index = pack.parents[index]
        above.append(pack.context + index)
    return [*range(pack.positions[index]), *reversed(above)]


@contextmanager
def attending(model: Any, blocks: Blocks) -> Iterator[None]:
    """Use block attention on ``model`` for one forward pass, if it uses the attention this replaces."""
    configs = [config for config in _configs(model) if getattr(config, "_attn_implementation", None) == REPLACES]
    token = _current.set(blocks)
    try:
        for config in configs:
            config._attn_implementation = NAME
        yield
    finally:
        for config in configs:
            config._attn_implementation = REPLACES
        _current.reset(token)


def tree_attention(
    module: torch.nn.Module,
    query: Float[Tensor, "1 heads tokens dim"],
    key: Float[Tensor, "1 kv_heads context_and_tokens dim"],
    value: Float[Tensor, "1 kv_heads context_and_tokens dim"],
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    **__: Any,
) -> tuple[Float[Tensor, "1 tokens heads dim"], None]:
    """The attention function that transformers calls in every layer."""
    blocks = _current.get()
    assert blocks is not None  # noqa: S101 - only set together with the implementation's name
    _, heads, tokens, dim = query.shape
    # Query heads that share a key head stand beside each other: with key heads as the batch, keys need no copies.
    queries = query.reshape(key.shape[1], -1, tokens, dim)
    keys, values = (
        (held[0] if blocks.places is None else held[0].index_select(1, blocks.places))[:, None].expand(
            -1, queries.shape[1], -1, -1
        )
        for held in (key, value)
    )
    outputs = [
        scaled_dot_product_attention(
            queries[:, :, block.start : block.stop],
            keys[:, :, block.keys],
            values[:, :, block.keys],
            attn_mask=block.mask,
            scale=scaling,
        )
        for block in blocks.blocks
    ]
    return torch.cat(outputs, dim=2).permute(2, 0, 1, 3).reshape(1, tokens, heads, value.shape[3]), None


def _configs(model: Any) -> list[Any]:
    """The model's configuration and those of its parts, each once: families keep the name in different ones."""
    found = {id(model.config): model.config}
    for module in model.modules():
        config = getattr(module, "config", None)
        if config is not None:
            found.setdefault(id(config), config)
    return list(found.values())


AttentionInterface.register(NAME, tree_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
