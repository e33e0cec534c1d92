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

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from auditor.exceptions import ScoringError
from auditor.language_models.answers import Question
from auditor.language_models.families import Block, Parts, read_parts
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.positions import forget_lengths, switch_length
from auditor.language_models.residual_view import ResidualView
from auditor.language_models.rounding import rounded_otherwise

RESIDUAL, HEADS, ATTENTION, MLP = "residual", "heads", "attention", "mlp"
Site = tuple[str, int]
Edit = Callable[[Tensor], Tensor]

OTHERWISE = 1.5
"""The view's logits may differ from the model's own by so many times what other rounding moves these by.

On 14 families the view differs by 0 to .65 times as much, in single precision, float16 and bfloat16 alike.
"""


@dataclass(frozen=True)
class Past:
    """Keys and values of the positions before a run, by layer: [1 or batch, key heads, length, head width]."""

    keys: Mapping[int, Tensor]
    values: Mapping[int, Tensor]
    length: int

    def upto(self, length: int) -> Past:
        """The first ``length`` positions: a view, not a copy."""
        if length > self.length:
            raise ScoringError(f"the prefix holds {self.length} positions where {length} were asked for")
        keys = {layer: held[:, :, :length] for layer, held in self.keys.items()}
        return Past(keys, {layer: held[:, :, :length] for layer, held in self.values.items()}, length)


@dataclass(frozen=True)
class Run:
    """What a run gives: the stream after the last block [batch, n, width], what was captured, and where it starts."""

    final: Float[Tensor, "batch n width"]
    states: Mapping[Site, Tensor]
    start: int
    past: Past | None


@dataclass(frozen=True)
class Target:
    """The tokens the margin is read from, at the last position of the prompt.

    ``margin = logsumexp(favourable logits) − logsumexp(adverse logits)`` in nats. ``exact`` is false where an answer
    has several tokens: the margin of their first tokens stands in for the margin of whole answers, and ``note`` says
    so.
    """

    favourable: tuple[int, ...]
    adverse: tuple[int, ...]
    exact: bool = True
    note: str = ""

    @property
    def single(self) -> bool:
        """One spelling a side: the margin is linear in the normed state."""
        return len(self.favourable) == len(self.adverse) == 1


@dataclass(frozen=True)
class DecoderCheck:
    """Whether the view gives the model's own logits: the largest relative difference, and why it does not hold."""

    held: bool
    largest_difference: float | None
    reason: str


def target_of(question: Question) -> Target | NotApplicable:
    """The target of a question, or the reason why no single position tells its answers apart."""
    favourable = tuple(dict.fromkeys(answer[0] for answer in question.favourable))
    adverse = tuple(dict.fromkeys(answer[0] for answer in question.adverse))
    if set(favourable) & set(adverse):
        return NotApplicable(
            "a favourable and an adverse answer begin with the same token, so no single position tells them apart"
        )
    if all(len(answer) == 1 for answer in question.favourable + question.adverse):
        return Target(favourable, adverse)
    return Target(favourable, adverse, False, "answers have several tokens; the margin of their first tokens is read")


def replace(value: Tensor, positions: Any = slice(None)) -> Edit:
    """An edit that puts ``value`` at positions (an index into the run's own positions) and leaves the rest."""

    def edit(states: Tensor) -> Tensor:
        changed = states.clone()
        changed[:, positions] = value.to(changed.dtype)
        return changed

    return edit


def add(value: Tensor, positions: Any = slice(None)) -> Edit:
    """An edit that adds ``value`` at positions."""

    def edit(states: Tensor) -> Tensor:
        changed = states.clone()
        changed[:, positions] = changed[:, positions] + value.to(changed.dtype)
        return changed

    return edit


class Decoder:
    """The view. Read one with :func:`read_decoder`.

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

        extra: dict[str, Any] = {parts.layout.past_name: _KeysAndValues(self._past, self._keep)}
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


SHORT = 48
"""Tokens of the prompts that a view is checked with where no longer prompt is named."""


def read_decoder(model: Any, *, longest: int = SHORT) -> Decoder | ResidualView:
    """The view into a model: with structure where its family is known and its logits agree, else the stream only.

    Parameters
    ----------
    longest
        Tokens of the longest prompt that will be looked into. Position encodings that change with a prompt's length
        (dynamic NTK, LongRoPE) and sliding windows agree on short prompts and not on long ones, so the check goes
        that far.

    Raises
    ------
    ScoringError
        If not even the stream between blocks can be told.
    """
    parts = read_parts(model)
    reason = parts if isinstance(parts, str) else _compare(model, Decoder(model, parts), longest=longest).reason
    if isinstance(parts, Parts) and not reason:
        return Decoder(model, parts)
    return ResidualView(model, reason=reason)


def check_decoder(model: Any, *, longest: int = SHORT) -> DecoderCheck:
    """Run random prompts through the view, whole and from a shared prefix, against the model's own logits.

    ``longest`` as for `read_decoder`: both short prompts and prompts of that length are run.
    """
    parts = read_parts(model)
    if isinstance(parts, str):
        return DecoderCheck(False, None, parts)
    return _compare(model, Decoder(model, parts), longest=longest)


def _compare(model: Any, decoder: Decoder, *, longest: int) -> DecoderCheck:
    config = model.config.get_text_config()
    switch = switch_length(model)
    if switch is not None and longest > switch:
        # What the encoding keeps of the prompt before can make a check agree by chance.
        return DecoderCheck(False, None, f"its position encoding reads prompts by their length past {switch} tokens")
    most = int(getattr(config, "max_position_embeddings", None) or longest)
    largest = 0.0
    for length in sorted({min(SHORT, most), min(max(SHORT, longest), most)}):
        try:
            difference, rounding = _difference(model, decoder, length=length, vocabulary=config.vocab_size)
        except (TypeError, ValueError, RuntimeError, IndexError, KeyError, AttributeError, ScoringError) as error:
            # Any model may be handed in; what it raises on an unusual call is its answer to the check.
            return DecoderCheck(False, None, f"the block loop was refused: {error}"[:300])
        largest = max(largest, difference)
        if not difference <= OTHERWISE * rounding:
            reason = (
                f"the block loop's logits differ from the model's own by {difference:.2g} at {length} tokens, and "
                f"other rounding moves these by {rounding:.2g}"
            )
            return DecoderCheck(False, difference, reason)
    return DecoderCheck(True, largest, "")


def _difference(model: Any, decoder: Decoder, *, length: int, vocabulary: int) -> tuple[float, float]:
    """Of two prompts of ``length`` tokens the largest difference to the model's own logits, over their largest.

    Beside it the largest that the model's own logits make when every module rounds otherwise.
    """
    generator = np.random.default_rng(0)
    half = length // 2
    ids = torch.tensor(generator.integers(3, vocabulary, (2, length)), device=model.device)
    ids[1, :half] = ids[0, :half]
    with torch.inference_mode():
        forget_lengths(model)
        own = model(input_ids=ids, use_cache=False).logits
        with rounded_otherwise(model, seed=0):
            other = model(input_ids=ids, use_cache=False).logits
        whole = decoder.logits(decoder.run(ids).final)
        shared = decoder.run(ids[:1, :half], keep_past=True).past
        suffix = decoder.logits(decoder.run(ids[:, half:], past=shared).final)
    scale = max(1.0, float(own.abs().max()))
    differences = [float((whole - own).abs().max()), float((suffix - own[:, half:]).abs().max())]
    rounding = max(float((other - own).abs().max()), torch.finfo(own.dtype).eps * scale)
    return max(differences) / scale, rounding / scale


def _mask(positions: Tensor, columns: Tensor, window: int | None, dtype: torch.dtype) -> Float[Tensor, "1 1 n keys"]:
    hidden = columns[None] > positions[:, None]
    if window:
        hidden |= columns[None] <= positions[:, None] - window
    mask = torch.zeros(hidden.shape, dtype=dtype, device=positions.device)
    return mask.masked_fill_(hidden, torch.finfo(dtype).min)[None, None]


@dataclass(frozen=True)
class _KeysAndValues:
    """Stands where transformers expects a cache: gives what came before, read only, and keeps the whole if asked."""

    past: Past | None
    keep: dict[int, tuple[Tensor, Tensor]] | None = field(default=None)

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        if self.past is not None:
            before = (self.past.keys[layer], self.past.values[layer])
            rows = keys.shape[0]
            keys = torch.cat([before[0].expand(rows, -1, -1, -1), keys], dim=2)
            values = torch.cat([before[1].expand(rows, -1, -1, -1), values], dim=2)
        if self.keep is not None:
            self.keep[layer] = (keys, values)
        return keys, values
