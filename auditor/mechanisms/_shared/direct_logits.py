"""Direct logit attribution: the margin at the last token as a sum over what the blocks wrote into the stream.

With the scale of the final norm frozen, and the weights of several spellings frozen at their values, the margin is
linear in the stream: ``m = Σ component · direction + constant``. A soft cap (Gemma 2) bends every logit ``l`` to
``cap · tanh(l / cap)``; frozen as well, it is the factor by which the answer's row is scaled, so that what is shared
out is the margin the model decides on and not the one before the cap. Where a norm follows attention (Gemma 2 and 3)
its output is the component, so attention is one component and not one a head.

Everything but the components is computed from the model's parameters, and the sum is held against a margin that comes
from none of this: the model's own forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from auditor.language_models.decoder import Decoder, Run, project
from auditor.language_models.families import frozen_scale, gain, output_bias, output_rows
from auditor.language_models.noise import summing_noise
from auditor.language_models.precision import in_double
from auditor.language_models.sites import HEADS, MLP, RESIDUAL
from auditor.language_models.targets import Target


@dataclass(frozen=True)
class Direct:
    """Contributions in nats: embedding; attention [layers, heads] ([layers, 1] where heads do not add up); MLPs.

    Attributes
    ----------
    constant
        What is no component's, from the model's parameters: biases, the final norm's offset, several spellings.
    margin
        The margin read from the stream after the last block.
    gap
        By how much components and constant together miss the model's own margin.
    direction
        Length of the direction in the stream that the margin is linear in.
    rounding
        By how much the sum of the components moves with the order they are added in.
    """

    embedding: float
    attention: npt.NDArray[np.float64]
    mlps: npt.NDArray[np.float64]
    constant: float
    margin: float
    gap: float
    direction: float
    rounding: float

    @property
    def total(self) -> float:
        """The sum of all components and the constant, in nats."""
        return self.embedding + float(self.attention.sum()) + float(self.mlps.sum()) + self.constant


def attribute(decoder: Decoder, run: Run, target: Target, *, own: float | None = None) -> Direct:
    """Attribute the margin of a run of one prompt that captured RESIDUAL 0, HEADS and MLP of every layer.

    ``own`` is the same prompt's margin from the model's own forward pass (:func:`.pairs.own_margins`), which the sum is
    held against; without it that of the run stands in.
    """
    parts = decoder.parts
    with torch.no_grad():
        final = run.final[0, -1]
        direction, constant = _direction(decoder, final, target)

        def share(component: Float[Tensor, "*rows width"]) -> npt.NDArray[np.float64]:
            values: npt.NDArray[np.float64] = (in_double(component) @ direction).cpu().numpy()
            return values

        written = [run.states[RESIDUAL, 0][0, -1]]
        attention, mlps = [], []
        for layer, block in enumerate(parts.blocks):
            z = run.states[HEADS, layer][:, -1:]
            if decoder.linear_heads:
                attention.append(share(torch.einsum("hd,hdw->hw", z[0, 0], output_rows(block, heads=decoder.heads))))
                bias = output_bias(block)
                constant += 0.0 if bias is None else float(share(bias))
            else:
                attention.append(share(project(block, z)[0]))
            mlps.append(float(share(run.states[MLP, layer][0, -1])))
            written += [project(block, z)[0, 0], run.states[MLP, layer][0, -1]]
        embedding = float(share(written[0]))
        margin = float(decoder.margin_of(final, target))
        rounding = summing_noise(written, direction)
    found = Direct(
        embedding, np.array(attention), np.array(mlps), constant, margin, 0.0, float(direction.norm()), rounding
    )
    return replace(found, gap=abs(found.total - (margin if own is None else own)))


def lens(decoder: Decoder, run: Run, target: Target) -> npt.NDArray[np.float64]:
    """The margin read from the stream before every layer and after the last: [layers + 1], nats."""
    with torch.no_grad():
        rows = torch.stack([run.states[RESIDUAL, layer][0, -1] for layer in range(decoder.layers + 1)])
        values: npt.NDArray[np.float64] = decoder.margin_of(rows, target).cpu().double().numpy()
    return values


def _direction(decoder: Decoder, final: Tensor, target: Target) -> tuple[Tensor, float]:
    """The direction in the stream that the margin is linear in, and the constant that it leaves, in nats."""
    parts, head = decoder.parts, decoder.parts.head
    tokens = list(target.favourable + target.adverse)
    cut = len(target.favourable)
    normed = in_double(parts.after_norm(parts.final_norm(final)))
    bias = in_double(head.bias[tokens]) if getattr(head, "bias", None) is not None else None
    raw = torch.nn.functional.linear(normed, in_double(head.weight[tokens]), bias)
    bent = _bent(raw, parts.soft_cap)
    logits = raw * bent
    weights = torch.cat([logits[:cut].softmax(-1), -logits[cut:].softmax(-1)])
    entropies = -(weights[:cut].xlogy(weights[:cut]).sum() - (-weights[cut:]).xlogy(-weights[cut:]).sum())
    slopes = weights * bent
    rows = in_double(head.weight[tokens])
    if getattr(parts.body, "project_out", None) is not None:
        rows = rows @ in_double(parts.body.project_out.weight)
    answer = slopes @ rows
    scale, shift, centred = gain(parts.final_norm, width=decoder.width, like=final)
    direction = answer * in_double(scale) * frozen_scale(parts.final_norm, final)
    if centred:
        direction = direction - direction.mean()
    offset = in_double(shift) @ answer + entropies
    return direction, float(offset if bias is None else offset + bias @ slopes)


def _bent(logits: Float[Tensor, " tokens"], cap: float | None) -> Float[Tensor, " tokens"]:
    """cap · tanh(l / cap) / l by token: 1 without a cap, and at 0, where it bends nothing."""
    if not cap:
        return torch.ones_like(logits)
    share = logits / cap
    return torch.where(share != 0, torch.tanh(share) / torch.where(share != 0, share, 1.0), 1.0)
