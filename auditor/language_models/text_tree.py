"""The KV cache of texts that grow: prompts as one tree, each text a branch of it, one token a text and pass.

A prompt's tokens that others share are held once, replicates of one prompt hold nothing of their own but what they
say, and no text is padded. Every pass is one row of tokens with explicit positions and a mask, as in packed scoring
(:mod:`auditor.language_models.packed`); the same check at load says for which models that is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from auditor.exceptions import ScoringError
from auditor.language_models.packed import tree_mask
from auditor.language_models.tree_attention import Blocks, MaskedSpan, attending, cut
from auditor.language_models.trie import Tokens, lay_out


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]  # the library registers subclasses untyped
    """Keys and values of one layer in a buffer with room for all that will come: nothing is copied when one grows."""

    def __init__(self, room: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.room = room
        self.held = 0
        self._buffers: tuple[Tensor, ...] = ()

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Keep keys and values; all that are held so far, as views."""
        if not self._buffers:
            self.dtype, self.device = key_states.dtype, key_states.device
            self._buffers = tuple(
                states.new_empty((*states.shape[:2], self.room, states.shape[3]))
                for states in (key_states, value_states)
            )
            self.is_initialized = True
        stop = self.held + key_states.shape[2]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, self.held : stop] = states
        self.held = stop
        keys, values = (buffer[:, :, :stop] for buffer in self._buffers)
        self.keys, self.values = keys, values
        return keys, values


class TextTree:
    """A group of prompts and the texts that follow them.

    Parameters
    ----------
    model
        A model for which packing is exact.
    prompts
        Token ids, one sequence a text; equal ones for replicates.
    growth
        How many tokens a text may grow by.
    plain_head
        The model's logits are its final states times its output matrix.
    """

    def __init__(self, model: Any, prompts: Sequence[Tokens], *, growth: int, plain_head: bool) -> None:
        self.model = model
        self.plain_head = plain_head
        layout = lay_out(prompts, pack_tokens=max(1, sum(map(len, prompts))))
        [self._pack] = layout.packs
        self._ends = [placed.indices[-1] for placed in layout.placements]
        config = model.config.get_text_config()
        self._mixed_layers = len(set(getattr(config, "layer_types", None) or ())) > 1
        held = len(self._pack.tokens)
        room = held + len(prompts) * growth
        self._layers = [RoomyLayer(room) for _ in range(int(config.num_hidden_layers))]
        self._cache = Cache(layers=list(self._layers))
        self._held = held
        self._sees: Bool[Tensor, "texts room"] = torch.zeros((len(prompts), room), dtype=torch.bool)
        for text, placed in enumerate(layout.placements):
            self._sees[text, list(placed.indices)] = True
        self._lengths = [len(prompt) for prompt in prompts]

    def read(self) -> Float[Tensor, "texts vocabulary"]:
        """Compute all prompts in one pass: the logits right after each."""
        pack = self._pack
        mask = tree_mask(pack, dtype=self.model.dtype).to(self.model.device)
        return self._forward(pack.tokens, pack.positions, mask, cut(pack, mask), wanted=self._ends)

    def grow(self, texts: Sequence[int], tokens: Sequence[int]) -> Float[Tensor, "texts vocabulary"]:
        """Add one token to some texts: the logits right after each."""
        places = range(self._held, self._held + len(texts))
        for text, place in zip(texts, places, strict=True):
            self._sees[text, place] = True
        self._held += len(texts)
        positions = [self._lengths[text] for text in texts]
        for text in texts:
            self._lengths[text] += 1
        hidden = ~self._sees[list(texts), : self._held]
        mask = torch.zeros((1, 1, *hidden.shape), dtype=self.model.dtype)
        mask = mask.masked_fill_(hidden, torch.finfo(self.model.dtype).min).to(self.model.device)
        whole = Blocks(None, (MaskedSpan(0, len(texts), slice(0, self._held), mask),))
        return self._forward(tokens, positions, mask, whole, wanted=range(len(texts)))

    def _forward(
        self, tokens: Sequence[int], positions: Sequence[int], mask: Tensor, blocks: Blocks, *, wanted: Sequence[int]
    ) -> Float[Tensor, "wanted vocabulary"]:
        device = self.model.device
        rows = torch.tensor(list(wanted), device=device)
        asked = {
            "input_ids": torch.tensor([list(tokens)], device=device),
            "position_ids": torch.tensor([list(positions)], device=device),
            "attention_mask": {"full_attention": mask, "sliding_attention": mask} if self._mixed_layers else mask,
            "past_key_values": self._cache,
            "use_cache": True,
        }
        with torch.inference_mode(), attending(self.model, blocks):
            if self.plain_head:
                states = self.model.base_model(**asked).last_hidden_state[0, rows]
                logits: Tensor = self.model.get_output_embeddings()(states)
            else:
                logits = self.model(**asked, logits_to_keep=rows).logits[0]
        for layer in self._layers:
            if layer.held != self._held:
                raise ScoringError(f"the cache holds {layer.held} positions where {self._held} were computed")
        return logits
