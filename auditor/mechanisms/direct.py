"""Direct logit attribution: the margin at the last token as a sum over what the blocks wrote into the stream.

With the scale of the final norm frozen, and the weights of several spellings frozen at their values, the margin is
linear in the stream: ``m = Σ component · direction + constant``. Where a norm follows attention (Gemma 2 and 3) its
output is the component, so attention is one component and not one a head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from auditor.language_models.decoder import HEADS, MLP, RESIDUAL, Decoder, Run, Target, project
from auditor.language_models.families import gain, output_bias, output_rows


@dataclass(frozen=True)
class Direct:
    """Contributions in nats: embedding; attention [layers, heads] ([layers, 1] where heads do not add up); MLPs.

    ``constant`` holds biases and the terms of spellings and soft cap. ``gap`` is what the sum of the linear part
    misses of the linear margin (0 up to rounding), ``direction`` the norm of the answers' direction.
    """

    embedding: float
    attention: npt.NDArray[np.float64]
    mlps: npt.NDArray[np.float64]
    constant: float
    margin: float
    gap: float
    direction: float


def attribute(decoder: Decoder, run: Run, target: Target) -> Direct:
    """Attribute the margin of a run of one prompt that captured RESIDUAL 0, HEADS and MLP of every layer."""
    parts = decoder.parts
    with torch.no_grad():
        final = run.final[0, -1]
        direction, offset = _direction(decoder, final, target)

        def share(component: Float[Tensor, "*rows width"]) -> npt.NDArray[np.float64]:
            values: npt.NDArray[np.float64] = (component.double() @ direction).cpu().numpy()
            return values

        attention, mlps, biases = [], [], 0.0
        for layer, block in enumerate(parts.blocks):
            z = run.states[HEADS, layer][:, -1:]
            if decoder.linear_heads:
                attention.append(share(torch.einsum("hd,hdw->hw", z[0, 0], output_rows(block, heads=decoder.heads))))
                bias = output_bias(block)
                biases += 0.0 if bias is None else float(share(bias))
            else:
                attention.append(share(project(block, z)[0]))
            mlps.append(float(share(run.states[MLP, layer][0, -1])))
        embedding = float(share(run.states[RESIDUAL, 0][0, -1]))
        margin = float(decoder.margin_of(final, target))
    linear = float(share(final))
    total = embedding + float(np.sum(attention)) + float(np.sum(mlps)) + biases
    # What the frozen weights, the final norm's offset, the head's bias and the soft cap add is no component's.
    constant = biases + (margin - linear)
    expected = offset if offset is not None else margin - linear
    gap = max(abs(total - linear), abs(margin - linear - expected))
    return Direct(embedding, np.array(attention), np.array(mlps), constant, margin, gap, float(direction.norm()))


def lens(decoder: Decoder, run: Run, target: Target) -> npt.NDArray[np.float64]:
    """The margin read from the stream before every layer and after the last: [layers + 1], nats."""
    with torch.no_grad():
        rows = torch.stack([run.states[RESIDUAL, layer][0, -1] for layer in range(decoder.layers + 1)])
        values: npt.NDArray[np.float64] = decoder.margin_of(rows, target).double().cpu().numpy()
    return values


def _direction(decoder: Decoder, final: Tensor, target: Target) -> tuple[Tensor, float | None]:
    """The direction in the stream that the margin is linear in, and the constant it should leave (None: soft cap)."""
    parts, head = decoder.parts, decoder.parts.head
    tokens = list(target.favourable + target.adverse)
    cut = len(target.favourable)
    logits = decoder.logits(final, tokens).double()
    weights = torch.cat([logits[:cut].softmax(-1), -logits[cut:].softmax(-1)])
    rows = head.weight[tokens].double()
    if getattr(parts.body, "project_out", None) is not None:
        rows = rows @ parts.body.project_out.weight.double()
    answer = weights @ rows
    scale, shift, centred = gain(parts.final_norm, width=decoder.width, like=final)
    epsilon = float(getattr(parts.final_norm, "eps", getattr(parts.final_norm, "variance_epsilon", 0.0)))
    state = final.double()
    state = state - state.mean() if centred else state
    direction = answer * scale.double() / (state.pow(2).mean() + epsilon).sqrt()
    if centred:
        direction = direction - direction.mean()
    if parts.soft_cap:
        return direction, None
    entropies = -(weights[:cut].xlogy(weights[:cut]).sum() - (-weights[cut:]).xlogy(-weights[cut:]).sum())
    bias = head.bias[tokens].double() @ weights if getattr(head, "bias", None) is not None else torch.zeros(())
    return direction, float(shift.double() @ answer + bias + entropies)
