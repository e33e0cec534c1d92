"""A view into a decoder: the stream between blocks, what attention and MLP add to it, every head, and the margin.

One explicit loop over the model's own modules, so that a run can start at any layer and position, read the keys and
values of what came before, and be captured, changed or differentiated at any site:

>>> decoder = read_decoder(model)                                                   # doctest: +SKIP
>>> shared = decoder.run(tokens[:, :90], keep_past=True).past                       # the prefix, once
>>> run = decoder.run(tokens[:, 90:], past=shared, capture=[(RESIDUAL, 12), (HEADS, 12)])
>>> run.states[RESIDUAL, 12].shape                                                  # [batch, n - 90, width]
>>> decoder.margins(run, target)                                                    # [batch], nats
>>> decoder.run(tokens, edits={(MLP, 12): replace(clean, slice(95, None))})         # patch what an MLP adds
>>> decoder.run(tokens, hide={12: span})         # attention knockout: where span is true, a position does not see a key

A site is ``(node, layer)``: RESIDUAL (before the block; layer ``layers`` is the stream after the last block), HEADS
(z, before W_O: [batch, n, heads, head width]), ATTENTION and MLP (what the block adds: [batch, n, width]). Positions in
captured states count from ``run.start``. Rows of different length are padded on the right: no token sees what follows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auditor.exceptions import ScoringError
from auditor.language_models.families import Block, Parts
from auditor.language_models.kv_cache import KeysAndValues, Past
from auditor.language_models.sites import ATTENTION, HEADS, MLP, RESIDUAL, Edit, Site
from auditor.language_models.targets import Target


@dataclass(frozen=True)
class Run:
    """What a run gives: the stream after the last block [batch, n, width], what was captured, and where it starts."""

    final: Float[Tensor, "batch n width"]
    states: Mapping[Site, Tensor]
    start: int
    past: Past | None


class Decoder:
    """The view. Read one with `auditor.language_models.decoder_check.read_decoder`.

    Attributes
    ----------
    layers, width, heads
        Number of blocks, width of the stream, number of query heads.
    parts
        The model's modules, by family.
    linear_heads
        What attention adds is the sum of what its heads write (false with a norm after attention, as in Gemma 2).
    """

    structured = True

    def __init__(self, model: Any, parts: Parts) -> None:
        self.model = model
        self.parts = parts
        self.layers = len(parts.blocks)
        config = model.config.get_text_config()
        self.width = int(config.hidden_size)
        self.heads = int(config.num_attention_heads)
        self.linear_heads = parts.linear_heads

    def embed(self, tokens: Int[Tensor, "batch n"], *, start: int = 0) -> Float[Tensor, "batch n width"]:
        """The stream before the first block; differentiate a margin with respect to it through :meth:`run_from`."""
        positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        return self.parts.embed(tokens, positions)

    def run(
        self,
        tokens: Int[Tensor, "batch n"],
        *,
        past: Past | None = None,
        capture: Collection[Site] = (),
        edits: Mapping[Site, Edit] | None = None,
        hide: Mapping[int, Tensor] | None = None,
        keep_past: bool = False,
    ) -> Run:
        """Run tokens that follow ``past``.

        Parameters
        ----------
        tokens
            Ids of the positions after ``past``.
        past
            Keys and values before them; a batch of one serves every row.
        capture
            Sites whose states are kept, after their edit.
        edits
            By site, a function of its states; it returns the states to go on with.
        hide
            By layer, which keys a position may not attend to beside those the model hides itself: true or false,
            [1 or batch, n, positions of ``past`` and of this run].
        keep_past
            Keep keys and values of ``past`` and of this run together.

        Raises
        ------
        ScoringError
            If a site is not in the run, or a position is left with nothing to attend to.
        """
        stream = self.embed(tokens.to(self.model.device), start=past.length if past else 0)
        return self.run_from(0, stream, past=past, capture=capture, edits=edits, hide=hide, keep_past=keep_past)

    def run_from(
        self,
        layer: int,
        stream: Float[Tensor, "batch n width"],
        *,
        past: Past | None = None,
        capture: Collection[Site] = (),
        edits: Mapping[Site, Edit] | None = None,
        hide: Mapping[int, Tensor] | None = None,
        keep_past: bool = False,
        stop: int | None = None,
        last_only: bool = False,
    ) -> Run:
        """Run from the middle: ``stream`` is the state before block ``layer`` at the positions after ``past``.

        ``stop`` ends before that block; ``final`` is then the stream before it. With ``last_only`` that is its last
        position alone: W_O and the MLP of the last block run, and their edits see, no other.
        """
        stop = self.layers if stop is None else stop
        changes = dict(edits or {})
        for node, at in [*capture, *changes]:
            if not (layer <= at < stop or (node == RESIDUAL and at == stop)):
                raise ScoringError(f"the site {node} of layer {at} is not in a run of layers {layer} to {stop}")
        stage = Stage(self, past, batch=stream.shape[0], length=stream.shape[1], like=stream, keep=keep_past, hide=hide)
        states: dict[Site, Tensor] = {}

        def visit(node: str, at: int, value: Tensor) -> Tensor:
            if (node, at) in changes:
                value = changes[node, at](value)
            if (node, at) in capture:
                states[node, at] = value
            return value

        for number in range(layer, stop):
            block = self.parts.blocks[number]
            stream = visit(RESIDUAL, number, stream)
            z = visit(HEADS, number, stage.attend(number, block.attention_norm(stream)))
            if last_only and number == stop - 1:
                z, stream = z[:, -1:], stream[:, -1:]
            attention = visit(ATTENTION, number, project(block, z))
            between = stream if self.parts.parallel else stream + attention
            mlp = visit(MLP, number, block.mlp_post_norm(block.mlp(block.mlp_norm(between))))
            stream = stream + attention + mlp if self.parts.parallel else between + mlp
        stream = visit(RESIDUAL, stop, stream)
        for site, value in states.items():
            # A capture that is silently short is how prefix sharing goes wrong elsewhere.
            if value.shape[1] != stage.length:
                raise ScoringError(f"{site} holds {value.shape[1]} positions where {stage.length} were computed")
        return Run(stream, states, stage.start, stage.past())

    def prefix(self, tokens: Int[Tensor, "1 n"]) -> Past | None:
        """Keys and values of a prefix; ``None`` for an empty one."""
        return self.run(tokens, keep_past=True).past if tokens.shape[1] else None

    def stream(
        self, tokens: Int[Tensor, "batch n"], *, layer: int, past: Past | None = None
    ) -> Float[Tensor, "batch n width"]:
        """The stream before block ``layer``, see ``StreamView``."""
        embedded = self.embed(tokens.to(self.model.device), start=past.length if past else 0)
        return self.run_from(0, embedded, past=past, stop=layer).final

    def untouched(self, tokens: Int[Tensor, "batch n"]) -> Float[Tensor, "batch n width"]:
        """States after the last block of whole prompts, see ``StreamView``."""
        return self.run(tokens).final

    def carry_on(
        self,
        layer: int,
        stream: Float[Tensor, "batch n width"],
        *,
        tokens: Int[Tensor, "batch n"],
        past: Past | None = None,
        last: Sequence[int] | Tensor | None = None,
    ) -> Float[Tensor, "batch *n width"]:
        """States after the last block, see ``StreamView``."""
        final = self.run_from(layer, stream, past=past).final
        if last is None:
            return final
        rows = torch.arange(len(final), device=final.device)
        return final[rows, torch.as_tensor(last, device=final.device)]

    def logits(self, states: Float[Tensor, "*rows width"], tokens: Sequence[int] | None = None) -> Tensor:
        """Logits [*rows, tokens] of states of the stream after the last block; all tokens by default."""
        normed = self.parts.after_norm(self.parts.final_norm(states))
        head = self.parts.head
        if tokens is None:
            logits = head(normed)
        else:
            bias = head.bias[list(tokens)] if getattr(head, "bias", None) is not None else None
            logits = torch.nn.functional.linear(normed, head.weight[list(tokens)], bias)
        cap = self.parts.soft_cap
        return torch.tanh(logits / cap) * cap if cap else logits

    def margins(
        self, run: Run, target: Target, *, last: Sequence[int] | Tensor | None = None
    ) -> Float[Tensor, " batch"]:
        """The margin of every row, in nats, at its last position (``last``: absolute positions of padded rows)."""
        if last is None:
            states = run.final[:, -1]
        else:
            index = torch.as_tensor(last, device=run.final.device) - run.start
            states = run.final[torch.arange(len(index), device=run.final.device), index]
        return self.margin_of(states, target)

    def margin_of(self, states: Float[Tensor, "*rows width"], target: Target) -> Float[Tensor, "*rows"]:
        """The margin, in nats, read from states of the stream (the logit lens, where they are of an earlier layer)."""
        logits = self.logits(states, target.favourable + target.adverse)
        cut = len(target.favourable)
        if target.single:
            return logits[..., 0] - logits[..., 1]
        return torch.logsumexp(logits[..., :cut], -1) - torch.logsumexp(logits[..., cut:], -1)


class Stage:
    """What the blocks of one run share: positions, masks, rotary angles, and the keys and values before it."""

    def __init__(
        self,
        decoder: Decoder,
        past: Past | None,
        *,
        batch: int,
        length: int,
        like: Tensor,
        keep: bool = False,
        hide: Mapping[int, Tensor] | None = None,
    ) -> None:
        self.decoder = decoder
        self.start = past.length if past else 0
        self.length = length
        self._past = past
        self._hide = hide or {}
        self._keep: dict[int, tuple[Tensor, Tensor]] | None = {} if keep else None
        positions = torch.arange(self.start, self.start + length, device=like.device)
        self._rotary = decoder.parts.rotary(like, positions)
        columns = torch.arange(self.start + length, device=like.device)
        self._masks = {
            window: _mask(positions, columns, window, like.dtype)
            for window in {block.window for block in decoder.parts.blocks}
        }

    def attend(self, number: int, states: Float[Tensor, "batch n width"]) -> Float[Tensor, "batch n heads head_width"]:
        """z of one block: what its heads read, before W_O. ``states`` are normed."""
        parts = self.decoder.parts
        block = parts.blocks[number]
        seen: list[Tensor] = []

        def catch(_: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
            seen.append(inputs[0])
            return (inputs[0][:, :0],)  # W_O is applied by the loop, after any edit of z; here it gets no rows

        extra: dict[str, Any] = {parts.layout.past_name: KeysAndValues(self._past, self._keep)}
        if self._rotary:
            extra["position_embeddings"] = self._rotary[parts.layer_types[number]]
        handle = block.output.register_forward_pre_hook(catch)
        try:
            block.attention(hidden_states=states, attention_mask=self._mask(number, block.window), **extra)
        finally:
            handle.remove()
        if len(seen) != 1:
            raise ScoringError(f"the attention of layer {number} applied W_O {len(seen)} times, once was expected")
        return seen[0].reshape(*seen[0].shape[:-1], self.decoder.heads, -1)

    def _mask(self, number: int, window: int | None) -> Tensor:
        mask = self._masks[window]
        if number not in self._hide:
            return mask
        lowest = torch.finfo(mask.dtype).min
        mask = mask.masked_fill(self._hide[number][:, None].to(mask.device), lowest)
        if bool((mask == lowest).all(-1).any()):
            # A softmax over nothing is even over everything, so what was hidden would be seen again.
            raise ScoringError(f"in layer {number} a position is left with nothing to attend to")
        return mask

    def past(self) -> Past | None:
        """Keys and values of everything up to the end of this run, if they were kept."""
        if self._keep is None:
            return None
        expected = self.start + self.length
        for keys, _ in self._keep.values():
            if keys.shape[2] != expected:
                raise ScoringError(f"the prefix holds {keys.shape[2]} positions where {expected} were computed")
        return Past(
            {layer: pair[0] for layer, pair in self._keep.items()},
            {layer: pair[1] for layer, pair in self._keep.items()},
            expected,
        )


def project(block: Block, z: Float[Tensor, "batch n heads head_width"]) -> Float[Tensor, "batch n width"]:
    """What attention adds to the stream: z through W_O and the norm after it, if there is one."""
    return block.attention_post_norm(block.output(z.flatten(-2)))


def _mask(positions: Tensor, columns: Tensor, window: int | None, dtype: torch.dtype) -> Float[Tensor, "1 1 n keys"]:
    hidden = columns[None] > positions[:, None]
    if window:
        hidden |= columns[None] <= positions[:, None] - window
    mask = torch.zeros(hidden.shape, dtype=dtype, device=positions.device)
    return mask.masked_fill_(hidden, torch.finfo(dtype).min)[None, None]
