"""Sparse codes: which latents are active on which token and how strongly, and the products that need only those.

A dictionary of thousands of latents has a few dozen active on a token. Keeping the active ones as a list turns the
decoder and every gradient into sums over short lists of rows; only the encoder's forward product stays dense. All three
architectures share this form, so they share one decoder and one backward pass.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag


@dataclass(frozen=True)
class Codes:
    """The active latents of a batch of tokens, token by token.

    Attributes
    ----------
    offsets
        Token ``t`` owns the entries ``offsets[t]`` up to ``offsets[t + 1]``.
    features
        The latent of every entry.
    values
        Its activation, 0 or more. An entry of value 0 is listed (TopK found fewer positive ones) but not active.
    latents
        How many latents there are.
    """

    offsets: Int[Tensor, " tokens_and_one"]
    features: Int[Tensor, " entries"]
    values: Float[Tensor, " entries"]
    latents: int

    def __len__(self) -> int:
        return self.offsets.shape[0] - 1

    @property
    def tokens(self) -> Int[Tensor, " entries"]:
        """The token of every entry."""
        counts = self.offsets.diff()
        rows = torch.arange(len(self), device=self.offsets.device)
        return rows.repeat_interleave(counts, output_size=self.features.shape[0])

    def dense(self) -> Float[Tensor, "tokens latents"]:
        """The same as a full matrix."""
        full = self.values.new_zeros(len(self), self.latents)
        full[self.tokens, self.features] = self.values
        return full

    def active(self) -> Int[Tensor, " latents"]:
        """On how many tokens each latent is active."""
        return torch.bincount(self.features[self.values > 0], minlength=self.latents)


def top_k(pre: Float[Tensor, "tokens latents"], *, k: int) -> Codes:
    """The ``k`` largest of every token, negative ones set to 0."""
    values, features = pre.topk(k, dim=-1, sorted=False)
    offsets = torch.arange(0, pre.shape[0] * k + 1, k, device=pre.device)
    return Codes(offsets, features.reshape(-1), values.clamp_(min=0).reshape(-1), pre.shape[1])


def batch_top_k(pre: Float[Tensor, "tokens latents"], *, k: int, guess: Tensor | None = None) -> Codes:
    """The ``k`` times tokens largest of the whole batch; a token may have more or fewer than ``k``.

    Parameters
    ----------
    pre
        Activations before selection.
    k
        Mean number of active latents a token.
    guess
        The smallest value selected last time, if any. It only saves work: values clearly below it need no sorting.
    """
    wanted = pre.shape[0] * k
    floor = None if guess is None else guess * 0.8
    candidates = (pre > floor if floor is not None else pre > 0).view(-1).nonzero()[:, 0]
    if floor is not None and candidates.shape[0] < wanted:
        candidates = (pre > 0).view(-1).nonzero()[:, 0]
    if candidates.shape[0] > wanted:
        best = pre.view(-1)[candidates].topk(wanted, sorted=False).indices
        candidates = candidates[best].sort().values
    return _listed(pre, candidates)


def above(pre: Float[Tensor, "tokens latents"], *, threshold: Float[Tensor, " latents"]) -> Codes:
    """Every positive value above its latent's threshold."""
    return _listed(pre, ((pre > threshold) & (pre > 0)).view(-1).nonzero()[:, 0])


def _listed(pre: Tensor, places: Tensor) -> Codes:
    latents = pre.shape[1]
    counts = torch.bincount(places // latents, minlength=pre.shape[0])
    return Codes(_ends(counts), places % latents, pre.reshape(-1)[places], latents)


def _ends(counts: Tensor) -> Tensor:
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def weighted_rows(
    table: Float[Tensor, "rows width"], rows: Tensor, offsets: Tensor, weights: Tensor
) -> Float[Tensor, "bags width"]:
    """For every bag, the weighted sum of its rows of ``table``."""
    # 32-bit indices halve the time of this kernel.
    return embedding_bag(
        rows.int(), table, offsets.int(), mode="sum", per_sample_weights=weights, include_last_offset=True
    )


def decode(
    codes: Codes, decoder: Float[Tensor, "latents width"], bias: Float[Tensor, " width"]
) -> Float[Tensor, "tokens width"]:
    """Σ value · decoder row, plus the bias."""
    return weighted_rows(decoder, codes.features, codes.offsets, codes.values).add_(bias)


def products(
    codes: Codes, left: Float[Tensor, "tokens width"], right: Float[Tensor, "latents width"]
) -> Float[Tensor, " entries"]:
    """For every entry, the product of its token's row of ``left`` and its latent's row of ``right``."""
    with warnings.catch_warnings():
        # Torch says once a process that its row-compressed layout is young; the tests hold its result.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support", category=UserWarning)
        pattern = torch.sparse_csr_tensor(
            codes.offsets,
            codes.features,
            torch.zeros_like(codes.values),
            size=(len(codes), codes.latents),
            check_invariants=False,
        )
        found: Tensor = torch.sparse.sampled_addmm(pattern, left, right.t(), beta=0.0).values()
    return found


@dataclass(frozen=True)
class ByLatent:
    """The entries of codes sorted by latent, for sums over the tokens of each latent."""

    order: Int[Tensor, " entries"]
    tokens: Int[Tensor, " entries"]
    offsets: Int[Tensor, " latents_and_one"]

    def sums(
        self, weights: Float[Tensor, " entries"], rows: Float[Tensor, "tokens width"]
    ) -> Float[Tensor, "latents width"]:
        """For every latent, Σ over its entries of weight · the token's row; weights in the order of the codes."""
        return weighted_rows(rows, self.tokens, self.offsets, weights[self.order])


def by_latent(codes: Codes) -> ByLatent:
    """Sort the entries of ``codes`` by latent."""
    order = torch.sort(codes.features.int(), stable=True).indices
    counts = torch.bincount(codes.features, minlength=codes.latents)
    return ByLatent(order, codes.tokens[order], _ends(counts))
