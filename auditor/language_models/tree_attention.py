"""Attention over a pack, block by block: a subtree looks at what all share and at itself, never at its neighbours.

A tree mask alone is exact, but the kernel still multiplies the masked part. Here the pack is cut where its subtrees
begin, and each block is attended to with the shared keys and its own. The arithmetic left out is exactly what the mask
would have zeroed. It replaces torch's scaled dot product attention for the length of one forward pass, in models that
use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from auditor.language_models.trie import Pack

NAME = "plumbline_tree"
REPLACES = "sdpa"
BLOCK_TOKENS = 96
"""Subtrees are taken together up to this size: a call a block costs more than a few masked tokens."""


@dataclass(frozen=True, slots=True)
class Block:
    """Tokens ``start`` to ``stop`` of a pack, and their mask over the shared tokens followed by their own."""

    start: int
    stop: int
    mask: Float[Tensor, "1 1 block shared_and_block"]


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a pack is cut: ``shared`` keys come first for every block, ``context`` of them from before the pack."""

    context: int
    shared: int
    blocks: tuple[Block, ...]


_current: ContextVar[Blocks | None] = ContextVar("blocks", default=None)


def cut(pack: Pack, mask: Float[Tensor, "1 1 tokens context_and_tokens"]) -> Blocks:
    """Cut a pack where its subtrees begin.

    Parameters
    ----------
    pack
        The pack.
    mask
        Its additive tree mask.
    """
    shared = pack.context + pack.keep
    starts = [index for index, parent in enumerate(pack.parents) if index >= pack.keep and parent == pack.keep - 1]
    edges = [0] if pack.keep else []
    for start, stop in pairwise([*starts, len(pack.tokens)]):
        if not edges or edges[-1] < pack.keep or stop - edges[-1] > BLOCK_TOKENS:
            edges.append(start)
    blocks = []
    for start, stop in pairwise([*edges, len(pack.tokens)]):
        if start < pack.keep:
            blocks.append(Block(start, stop, mask[:, :, start:stop, :shared].contiguous()))
            continue
        columns = [mask[:, :, start:stop, :shared], mask[:, :, start:stop, pack.context + start : pack.context + stop]]
        blocks.append(Block(start, stop, torch.cat(columns, dim=-1)))
    return Blocks(context=pack.context, shared=shared, blocks=tuple(blocks))


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
    **options: Any,
) -> tuple[Float[Tensor, "1 tokens heads dim"], None]:
    """The attention function that transformers calls in every layer."""
    blocks = _current.get()
    assert blocks is not None  # noqa: S101 - only set together with the implementation's name
    outputs = []
    for block in blocks.blocks:
        keys, values = key[:, :, : blocks.shared], value[:, :, : blocks.shared]
        if block.start >= blocks.shared - blocks.context:
            own = slice(blocks.context + block.start, blocks.context + block.stop)
            keys = torch.cat([keys, key[:, :, own]], dim=2)
            values = torch.cat([values, value[:, :, own]], dim=2)
        mine = query[:, :, block.start : block.stop]
        outputs.append(sdpa_attention_forward(module, mine, keys, values, block.mask, **options)[0])
    return torch.cat(outputs, dim=1), None


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
