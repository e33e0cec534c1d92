"""A sparse autoencoder: states to a few active latents and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from auditor.mechanisms.sae.codes import Codes, above, decode, top_k
from auditor.mechanisms.sae.settings import KINDS, Kind


@dataclass(frozen=True)
class Autoencoder:
    """f = select(W_e (x − b_d) + b_e);  x̂ = f W_d + b_d.

    TopK selects the ``k`` largest of a token. BatchTopK and JumpReLU select what lies above ``threshold``: BatchTopK's
    is one number for all latents, the running mean of the smallest value selected in training.

    Attributes
    ----------
    kind
        How latents are selected.
    encoder, encoder_bias
        W_e by latent, b_e.
    decoder, decoder_bias
        W_d by latent (rows of norm 1 where it was trained here), b_d.
    k
        TopK: active latents a token. The others: what they were trained for, or ``None`` if unknown.
    threshold
        By latent; ``None`` for TopK.
    """

    kind: Kind
    encoder: Float[Tensor, "latents width"]
    encoder_bias: Float[Tensor, " latents"]
    decoder: Float[Tensor, "latents width"]
    decoder_bias: Float[Tensor, " width"]
    k: int | None = None
    threshold: Float[Tensor, " latents"] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}; expected one of: {', '.join(KINDS)}")
        if self.kind == "topk" and (self.k is None or not 1 <= self.k <= self.latents):
            raise ValueError(f"a TopK autoencoder of {self.latents} latents cannot have k = {self.k}")
        if self.kind != "topk" and self.threshold is None:
            raise ValueError(f"a {self.kind} autoencoder needs a threshold")

    @property
    def latents(self) -> int:
        """How many latents it has."""
        return int(self.encoder.shape[0])

    @property
    def width(self) -> int:
        """Width of the states it reads."""
        return int(self.encoder.shape[1])

    def before_selection(self, states: Float[Tensor, "tokens width"]) -> Float[Tensor, "tokens latents"]:
        """W_e (x − b_d) + b_e."""
        return torch.addmm(self.encoder_bias, states - self.decoder_bias, self.encoder.t())

    def encode(self, states: Float[Tensor, "tokens width"]) -> Codes:
        """The active latents of every token."""
        pre = self.before_selection(states)
        if self.threshold is not None:
            return above(pre, threshold=self.threshold)
        return top_k(pre, k=self.k or self.latents)

    def decode(self, codes: Codes) -> Float[Tensor, "tokens width"]:
        """The states the codes stand for."""
        return decode(codes, self.decoder, self.decoder_bias)

    def reconstruct(self, states: Float[Tensor, "tokens width"]) -> Float[Tensor, "tokens width"]:
        """Encode and decode."""
        return self.decode(self.encode(states))
