"""How good an autoencoder is: variance left unexplained, active latents a token, latents that never act."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auditor.language_models.precision import in_double
from auditor.mechanisms.sae.autoencoder import Autoencoder
from auditor.mechanisms.sae.states import Matrix, StateRows, in_order


@dataclass(frozen=True)
class Quality:
    """Measured on one set of states.

    Attributes
    ----------
    tokens
        States measured.
    fvu
        Fraction of variance unexplained: Σ‖x − x̂‖² / Σ‖x − x̄‖², total over total.
    l0
        Mean number of active latents a token.
    dead
        Latents active on no token.
    active
        On how many tokens each latent is active.
    strength
        Mean activation of each latent over the tokens it is active on; 0 for dead ones.
    """

    tokens: int
    fvu: float
    l0: float
    dead: int
    active: Int[Tensor, " latents"]
    strength: Float[Tensor, " latents"]


def fraction_unexplained(states: Float[Tensor, "tokens width"], rebuilt: Float[Tensor, "tokens width"]) -> float:
    """Σ‖x − x̂‖² / Σ‖x − x̄‖², in double precision: 1 for the mean as the answer to everything.

    Raises
    ------
    ValueError
        If the states do not vary.
    """
    exact = in_double(states)
    total = float((exact - exact.mean(0)).square().sum())
    if total <= 0:
        raise ValueError("the states do not vary")
    return float((exact - in_double(rebuilt)).square().sum()) / total


def measure(autoencoder: Autoencoder, rows: StateRows, *, batch: int = 4096) -> Quality:
    """Measure an autoencoder on ``rows``, a batch at a time.

    Raises
    ------
    ValueError
        If there are no rows or they do not vary.
    """
    centre = in_double(autoencoder.decoder_bias)
    total = torch.zeros(rows.width, dtype=torch.float64, device=centre.device)
    squares = torch.zeros((), dtype=torch.float64, device=centre.device)
    missed = torch.zeros_like(squares)
    active = torch.zeros(autoencoder.latents, dtype=torch.int64, device=autoencoder.decoder_bias.device)
    strength = torch.zeros(autoencoder.latents, dtype=torch.float64, device=centre.device)
    for states in in_order(rows, batch=batch):
        here = states.to(autoencoder.encoder)
        codes = autoencoder.encode(here)
        missed += in_double(here - autoencoder.decode(codes)).square().sum()
        # Moments about the decoder's bias, which lies near the mean, lose no digits.
        moved = in_double(here) - centre
        total += moved.sum(0)
        squares += moved.square().sum()
        active += codes.active()
        strength.index_add_(0, codes.features.to(strength.device), in_double(codes.values))
    variance = float(squares - total.square().sum() / max(len(rows), 1))
    if variance <= 0:
        raise ValueError("the states do not vary")
    return Quality(
        tokens=len(rows),
        fvu=float(missed) / variance,
        l0=float(active.sum()) / len(rows),
        dead=int((active == 0).sum()),
        active=active,
        strength=(strength / active.clamp(min=1).to(strength.device)).to(autoencoder.encoder),
    )


@dataclass(frozen=True)
class Recomputed:
    """The fraction unexplained by another way, and by how much rounding may set the two apart."""

    fvu: float
    rounding: float


def recompute(
    autoencoder: Autoencoder, states: Float[Tensor, "tokens width"], quality: Quality, *, batch: int = 1009
) -> Recomputed:
    """The fraction unexplained again, with dense codes and a product in double precision, all states about their mean.

    The noise is measured: how far the figure moves when batches are of another size, and at least what one rounding of
    the states can do.
    """
    where = states.to(autoencoder.encoder)
    dense = in_double(autoencoder.encode(where).dense())
    rebuilt = dense @ in_double(autoencoder.decoder) + in_double(autoencoder.decoder_bias)
    exact = in_double(where)
    variance = (exact - exact.mean(0)).square().sum()
    apart = abs(measure(autoencoder, Matrix(states), batch=batch).fvu - quality.fvu)
    once = float(torch.finfo(where.dtype).eps * exact.square().sum() / variance)
    return Recomputed(fraction_unexplained(where, rebuilt), 10 * max(apart, once))
