"""Training an autoencoder on states, with gradients written out over the active latents only.

A dense step costs about six products of tokens × width × latents: encoder, decoder, and two for the backward pass of
each. Here one of them is left, the encoder's forward product; all others run over lists of active latents (codes.py).
The decoder's rows keep norm 1: the part of the gradient along a row is taken away, and rows are rescaled after a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auditor.exceptions import Interrupted
from auditor.language_models.precision import device_of_doubles, in_double
from auditor.mechanisms.sae.autoencoder import Autoencoder
from auditor.mechanisms.sae.codes import Codes, batch_top_k, by_latent, decode, products, top_k
from auditor.mechanisms.sae.settings import Kind
from auditor.mechanisms.sae.states import StateRows, in_order

SHORT = 0.2
"""Length of an encoder row that starts again, beside the mean of the living ones."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train.

    Attributes
    ----------
    kind, latents, k
        Architecture, dictionary size, active latents a token (JumpReLU: the mean aimed at).
    steps, batch
        Optimiser steps and tokens a step.
    learning_rate, warm_up, decay
        Adam's rate; the share of steps over which it rises from 0, and over which it falls to 0 at the end.
    dead_after
        Tokens, over all batches, without activity after which a latent counts as dead.
    revive_every, revive_until
        Every so many steps the dead latents start again in the direction of what the others leave of badly rebuilt
        states, until this share of the steps; not for JumpReLU (docs/decisions/0013).
    norm_cap
        States whose norm is above this many medians (attention sinks) are left out; they would own the loss.
    bandwidth, sparsity_weight
        JumpReLU: width of the window in which thresholds learn, as a share of the first threshold, and the weight of
        (L0/k − 1)².
    seed
        Of the starting weights and of the shuffles.
    """

    kind: Kind = "topk"
    latents: int = 4096
    k: int = 32
    steps: int = 500
    batch: int = 2048
    learning_rate: float = 1e-3
    warm_up: float = 0.05
    decay: float = 0.3
    dead_after: int = 100_000
    revive_every: int = 20
    revive_until: float = 0.7
    norm_cap: float = 10.0
    bandwidth: float = 0.3
    sparsity_weight: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """A trained autoencoder and what it was trained on: tokens seen, rows there were, rows left out by their norm."""

    autoencoder: Autoencoder
    tokens: int
    rows: int
    left_out: int


@dataclass(frozen=True)
class Gradients:
    """Of Σ‖x − x̂‖² times a scale, with respect to every parameter, and to every entry's value."""

    encoder: Float[Tensor, "latents width"]
    encoder_bias: Float[Tensor, " latents"]
    decoder: Float[Tensor, "latents width"]
    decoder_bias: Float[Tensor, " width"]
    values: Float[Tensor, " entries"]


def gradients(
    codes: Codes,
    *,
    centred: Float[Tensor, "tokens width"],
    upstream: Float[Tensor, "tokens width"],
    encoder: Float[Tensor, "latents width"],
    decoder: Float[Tensor, "latents width"],
) -> Gradients:
    """The backward pass over the active latents.

    Parameters
    ----------
    codes
        Of the batch. Entries of value 0 get no gradient, as ReLU and the selections have it.
    centred
        x − b_d.
    upstream
        Gradient of the loss with respect to x̂.
    encoder, decoder
        The weights.
    """
    sorted_codes = by_latent(codes)
    values = products(codes, upstream, decoder)
    through = values * (codes.values > 0)
    bias = torch.zeros(codes.latents, dtype=through.dtype, device=through.device)
    bias.index_add_(0, codes.features, through)
    return Gradients(
        encoder=sorted_codes.sums(through, centred),
        encoder_bias=bias,
        decoder=sorted_codes.sums(codes.values, upstream),
        # The bias enters twice: added at the end, taken from the input before the encoder.
        decoder_bias=upstream.sum(0) - bias @ encoder,
        values=values,
    )


def train(rows: StateRows, recipe: Recipe, *, should_stop: Callable[[], bool] = lambda: False) -> Trained:
    """Train an autoencoder on ``rows``.

    Parameters
    ----------
    rows
        The states; shuffled anew over all of them for every pass.
    recipe
        How.
    should_stop
        Asked every ten steps.

    Raises
    ------
    ValueError
        If there are fewer than two rows or they do not vary, or the recipe asks for more active latents than there are.
    Interrupted
        If ``should_stop`` says so.
    """
    if not 1 <= recipe.k <= recipe.latents:
        raise ValueError(f"k = {recipe.k} active of {recipe.latents} latents")
    kept, mean, scale = _survey(rows, recipe.norm_cap)
    generator = torch.Generator().manual_seed(recipe.seed)
    state = _start(rows, kept, recipe, generator, mean=mean, scale=scale)
    batches = _shuffled(kept, recipe.batch, generator)
    for step in range(recipe.steps):
        if step % 10 == 0 and should_stop():
            raise Interrupted("stopped while training an autoencoder")
        state.step(rows.take(next(batches)) / scale, step)
    return Trained(state.finished(scale), recipe.steps * min(recipe.batch, len(kept)), len(rows), len(rows) - len(kept))


class _State:
    """Weights and counters between steps. Inputs are scaled so that ‖x − mean‖ is 1 in the mean square."""

    def __init__(self, recipe: Recipe, decoder: Tensor, mean: Tensor, first: Tensor) -> None:
        self.recipe = recipe
        self.encoder = decoder.clone().requires_grad_()
        self.decoder = decoder.clone().requires_grad_()
        self.encoder_bias = torch.zeros_like(decoder[:, 0]).requires_grad_()
        self.decoder_bias = mean.clone().requires_grad_()
        parameters = [self.encoder, self.decoder, self.encoder_bias, self.decoder_bias]
        self.pre = decoder.new_empty(min(recipe.batch, len(first)), recipe.latents)
        self.since = torch.zeros(recipe.latents, dtype=torch.int64, device=decoder.device)
        # A running mean in double precision: BatchTopK's threshold for single tokens.
        self.smallest = torch.zeros((), dtype=torch.float64, device=device_of_doubles(decoder.device))
        self.threshold: Tensor | None = None
        if recipe.kind == "jumprelu":
            start = batch_top_k(self._before_selection(first - mean), k=recipe.k).values.min()
            self.width = float(start) * recipe.bandwidth
            self.threshold = start.repeat(recipe.latents).requires_grad_()
            parameters.append(self.threshold)
        self.adam = torch.optim.Adam(parameters, lr=recipe.learning_rate, betas=(0.9, 0.999), eps=1e-10, fused=True)

    @torch.no_grad()
    def step(self, states: Tensor, number: int) -> None:
        """One batch."""
        centred = states - self.decoder_bias
        pre = self._before_selection(centred)
        codes = self._select(pre, number)
        left = decode(codes, self.decoder, self.decoder_bias).sub_(states)
        found = gradients(
            codes, centred=centred, upstream=left * (2 / len(states)), encoder=self.encoder, decoder=self.decoder
        )
        self._count(codes, len(states))
        if self.threshold is not None:
            self.threshold.grad = self._threshold_gradient(self.threshold, codes, pre, found.values)
        along = (found.decoder * self.decoder).sum(1, keepdim=True)
        found.decoder.addcmul_(along, self.decoder, value=-1)
        self.encoder.grad, self.encoder_bias.grad = found.encoder, found.encoder_bias
        self.decoder.grad, self.decoder_bias.grad = found.decoder, found.decoder_bias
        self.adam.param_groups[0]["lr"] = self.recipe.learning_rate * _share(number, self.recipe)
        self.adam.step()
        self.decoder.div_(self.decoder.norm(dim=1, keepdim=True))
        if self.threshold is not None:
            self.threshold.clamp_(min=self.width / 2)
        # JumpReLU's thresholds let latents back by themselves; there resampling raised the loss.
        every = self.recipe.revive_every if self.threshold is None else 0
        if every and number and number % every == 0 and number <= self.recipe.revive_until * self.recipe.steps:
            self._revive(left, number)

    def finished(self, scale: float) -> Autoencoder:
        """The autoencoder for states as they are: activations, biases and thresholds grow by the scale."""
        threshold = None
        if self.threshold is not None:
            threshold = self.threshold.detach() * scale
        elif self.recipe.kind == "batchtopk":
            threshold = (self.smallest * scale).to(self.encoder).repeat(self.recipe.latents)
        return Autoencoder(
            kind=self.recipe.kind,
            encoder=self.encoder.detach(),
            encoder_bias=self.encoder_bias.detach() * scale,
            decoder=self.decoder.detach(),
            decoder_bias=self.decoder_bias.detach() * scale,
            k=self.recipe.k,
            threshold=threshold,
        )

    @torch.no_grad()
    def _before_selection(self, centred: Tensor) -> Tensor:
        # Written into one buffer: a new one of this size every step costs page faults.
        out = self.pre[: len(centred)]
        return torch.addmm(self.encoder_bias.detach(), centred, self.encoder.detach().t(), out=out)

    def _select(self, pre: Tensor, number: int) -> Codes:
        if self.recipe.kind == "topk":
            return top_k(pre, k=self.recipe.k)
        if self.recipe.kind == "batchtopk":
            codes = batch_top_k(pre, k=self.recipe.k, guess=self.smallest if number else None)
            found = in_double(codes.values.min())
            self.smallest = found if number == 0 else torch.lerp(self.smallest, found, 0.01)
            return codes
        threshold = self.threshold
        if threshold is None:
            raise ValueError(f"unknown kind {self.recipe.kind!r}")
        # Values just under their threshold are listed too, at 0: the threshold learns from both sides.
        places = (pre > threshold - self.width / 2).view(-1).nonzero()[:, 0]
        features = places % self.recipe.latents
        values = pre.view(-1)[places]
        values = values * (values > threshold[features])
        counts = torch.bincount(places // self.recipe.latents, minlength=len(pre))
        return Codes(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), features, values, self.recipe.latents)

    def _threshold_gradient(self, threshold: Tensor, codes: Codes, pre: Tensor, by_value: Tensor) -> Tensor:
        """Straight-through: in a window about the threshold, a rise takes away the value and one active latent."""
        tokens = len(codes)
        own = threshold[codes.features]
        raw = pre.view(-1)[codes.tokens * self.recipe.latents + codes.features]
        near = ((raw - own).abs() < self.width / 2).to(raw.dtype) / self.width
        l0 = (codes.values > 0).sum() / tokens
        crowding = 2 * self.recipe.sparsity_weight / self.recipe.k * (l0 / self.recipe.k - 1) / tokens
        gradient = torch.zeros_like(threshold)
        return gradient.index_add_(0, codes.features, -near * (own * by_value + crowding))

    def _count(self, codes: Codes, tokens: int) -> None:
        fired = torch.zeros_like(self.since, dtype=torch.bool)
        fired[codes.features[codes.values > 0]] = True
        self.since += tokens
        self.since.masked_fill_(fired, 0)

    def _revive(self, left: Tensor, number: int) -> None:
        """Resampling (Bricken et al. 2023): dead latents start again towards states drawn by their squared loss.

        Their encoder rows are short beside the living ones', so that many at once do not take over; Adam forgets.
        """
        dead = (self.since >= self.recipe.dead_after).nonzero()[:, 0]
        weights = left.square().sum(1).cpu().double().square()
        able = min(len(dead), int((weights > 0).sum()))
        if not able or len(dead) == self.recipe.latents:
            return
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + number)
        drawn = torch.multinomial(weights / weights.sum(), able, replacement=False, generator=generator)
        dead = dead[:able]
        # ``left`` is x̂ − x.
        towards = torch.nn.functional.normalize(-left[drawn.to(left.device)], dim=1)
        alive = self.since < self.recipe.dead_after
        self.encoder[dead] = towards * (SHORT * self.encoder[alive].norm(dim=1).mean())
        self.decoder[dead] = towards
        self.encoder_bias[dead] = 0
        for parameter in (self.encoder, self.decoder, self.encoder_bias):
            for moment in ("exp_avg", "exp_avg_sq"):
                self.adam.state[parameter][moment][dead] = 0
        self.since[dead] = 0


def _survey(rows: StateRows, norm_cap: float) -> tuple[Int[Tensor, " kept"], Float[Tensor, " width"], float]:
    """Which rows to keep, their mean, and the root mean square of their distance from it."""
    if len(rows) < 2:
        raise ValueError("at least two states are needed")
    norms = torch.cat([states.norm(dim=1) for states in in_order(rows, batch=8192)])
    kept = (norms <= norm_cap * norms.median()).nonzero()[:, 0].cpu()
    total, squares = torch.zeros(rows.width, dtype=torch.float64), 0.0
    for start in range(0, len(kept), 8192):
        states = rows.take(kept[start : start + 8192]).cpu().double()
        total += states.sum(0)
        squares += float(states.square().sum())
    mean = total / len(kept)
    variance = squares / len(kept) - float(mean.square().sum())
    if not variance > 1e-12 * squares / len(kept):
        raise ValueError("the states do not vary")
    return kept, mean, variance**0.5


def _start(
    rows: StateRows, kept: Tensor, recipe: Recipe, generator: torch.Generator, *, mean: Tensor, scale: float
) -> _State:
    first = rows.take(kept[torch.randperm(len(kept), generator=generator)[: recipe.batch]]) / scale
    centre = (mean / scale).to(first)
    drawn = torch.randn(recipe.latents, rows.width, generator=generator, dtype=torch.float32).to(first)
    return _State(recipe, drawn / drawn.norm(dim=1, keepdim=True), centre, first)


def _shuffled(kept: Tensor, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    size = min(batch, len(kept))
    held = kept[:0]
    while True:
        if len(held) < size:
            held = torch.cat([held, kept[torch.randperm(len(kept), generator=generator)]])
        yield held[:size]
        held = held[size:]


def _share(number: int, recipe: Recipe) -> float:
    rising = (number + 1) / max(recipe.warm_up * recipe.steps, 1)
    falling = (recipe.steps - number) / max(recipe.decay * recipe.steps, 1)
    return min(1.0, rising, falling)
