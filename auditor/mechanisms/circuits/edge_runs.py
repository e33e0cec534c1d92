"""Edge attribution patching with integrated gradients (EAP-IG), and runs in which only the edges of a circuit are kept.

The score of an edge is first order: ``(a_sender(donor) − a_sender(base)) · ∂m/∂input_receiver``, the gradient averaged
over points between the two prompts' embeddings, summed over positions. A circuit is judged without any approximation:
every receiver reads the donor's stream, changed by what the senders *on its own kept edges* do differently now,

    input(receiver) = donor's stream + Σ over kept edges (a_sender(now) − a_sender(donor)).

With all edges that is the base run, with none the donor's. Only positions from the first difference on are computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from auditor.language_models.decoder import Decoder, Run, Stage, project
from auditor.language_models.families import Block, output_rows
from auditor.language_models.precision import device_of_doubles, in_double
from auditor.language_models.readers import Readers, by_reader, hooked, weights_by_reader
from auditor.language_models.sites import HEADS, MLP, RESIDUAL
from auditor.mechanisms._shared.pairs import PairRuns
from auditor.mechanisms.circuits.edges import Edges

FloatArray = npt.NDArray[np.float64]
TOKENS_AT_ONCE = 1024
"""Tokens of one pass forward and backward; what the backward pass keeps grows with them."""


@dataclass(frozen=True)
class EdgeScores:
    """First-order scores of all edges [count], in nats, and by how much those of the embedding miss the gap."""

    values: FloatArray
    delta: float


def memory_of_one(runs: PairRuns, edges: Edges) -> int:
    """Bytes that one circuit's run holds at once: what every sender does differently, and one layer's inputs."""
    readers = max(len(each.names) for each in edges.readers)
    states = runs.base.final[0]
    return (edges.senders + 2 * readers) * states.numel() * states.element_size()


def circuit_margins(runs: PairRuns, edges: Edges, circuits: npt.NDArray[np.bool_], *, memory: int) -> FloatArray:
    """The margin of the base prompt where only the edges of a circuit are kept, in nats.

    Parameters
    ----------
    runs
        Both prompts: ``base`` is what is kept, ``donor`` what everything else is patched with.
    edges
        The model's edges.
    circuits
        [circuits, edges], true for an edge that is kept.
    memory
        Bytes to stay within; one circuit at a time needs :func:`memory_of_one`.
    """
    at_once = max(1, memory // memory_of_one(runs, edges))
    with torch.no_grad():
        margins = [
            _ablated(runs, edges, circuits[start : start + at_once]) for start in range(0, len(circuits), at_once)
        ]
    return np.concatenate(margins)


def _ablated(runs: PairRuns, edges: Edges, circuits: npt.NDArray[np.bool_]) -> FloatArray:
    decoder, donor = runs.decoder, runs.donor
    like = runs.base.final
    count, (length, width) = len(circuits), like.shape[1:]
    kept = [torch.from_numpy(block).to(like) for block in edges.split(circuits)]
    changes = like.new_zeros(count, edges.senders, length, width)
    changes[:, 0] = runs.base.states[RESIDUAL, 0] - donor.states[RESIDUAL, 0]
    stage = Stage(decoder, runs.prefix, batch=count, length=length, like=like)

    def read(stream: Float[Tensor, "1 n width"], block: Tensor) -> Float[Tensor, "batch receivers n width"]:
        sent = changes[:, : block.shape[-1]].flatten(2)
        summed: Tensor = torch.bmm(block, sent).reshape(*block.shape[:2], length, width)
        return stream[:, None] + summed

    for layer, block in enumerate(decoder.parts.blocks):
        stream = donor.states[RESIDUAL, layer]
        normed = block.attention_norm(read(stream, kept[2 * layer]))
        with hooked(edges.readers[layer], inputs=normed):
            z = stage.attend(layer, normed[:, 0])
        theirs = donor.states[HEADS, layer]
        first = edges.before(layer)
        changes[:, first : first + edges.writers] = written(decoder, block, z) - written(decoder, block, theirs)
        between = stream if edges.parallel else stream + project(block, theirs)
        states = read(between, kept[2 * layer + 1])[:, 0]
        mlp = block.mlp_post_norm(block.mlp(block.mlp_norm(states)))
        changes[:, edges.mlp(layer)] = mlp - donor.states[MLP, layer]
    last = donor.final[:, -1] + torch.bmm(kept[-1], changes[:, :, -1])[:, 0]
    margins: FloatArray = decoder.margin_of(last, runs.target).cpu().double().numpy()
    return margins


def edge_scores(runs: PairRuns, edges: Edges, *, steps: int, memory: int) -> EdgeScores:
    """EAP-IG scores of every edge of one pair.

    Parameters
    ----------
    runs
        Both prompts.
    edges
        The model's edges.
    steps
        Gauss-Legendre points between the two prompts' embeddings, each one pass forward and backward.
    memory
        Bytes to stay within while senders and receivers are multiplied: positions are taken in chunks.
    """
    base, end = runs.base.states[RESIDUAL, 0], runs.donor.states[RESIDUAL, 0]
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    blocks = [torch.zeros(shape, dtype=torch.float64, device=device_of_doubles(base.device)) for shape in edges.blocks]
    at_once = max(1, TOKENS_AT_ONCE // base.shape[1])
    for start in range(0, steps, at_once):
        place = _like((nodes[start : start + at_once] + 1) / 2, base)[:, None, None]
        weight = _like(weights[start : start + at_once] / 2, base)
        slopes = _slopes(runs, edges, base + place * (end - base), weight)
        readers = max(len(each.names) for each in edges.readers)
        a_position = (edges.senders + 4 * len(weight) * readers) * base.shape[2] * base.element_size()
        chunk = max(1, memory // a_position)
        for first in range(0, base.shape[1], chunk):
            _accumulate(blocks, runs, edges, slopes, slice(first, first + chunk))
    values: FloatArray = torch.cat([block.flatten() for block in blocks]).cpu().numpy()
    total = sum(float(block[:, 0].sum()) for block in blocks)
    return EdgeScores(values, total - runs.gap)


def _like(values: FloatArray, other: Tensor) -> Tensor:
    return torch.as_tensor(values, dtype=other.dtype, device=other.device)


@dataclass(frozen=True)
class _Slopes:
    """Gradients of the margin at points of the path, with their weights: by layer readers and MLP, then the answer."""

    weight: Float[Tensor, " points"]
    streams: list[Float[Tensor, "points n width"]]
    readers: list[Float[Tensor, "points n readers head_width"]]
    mlps: list[Float[Tensor, "points n width"]]
    answer: Float[Tensor, "points n width"]


def _slopes(
    runs: PairRuns, edges: Edges, points: Float[Tensor, "points n width"], weight: Float[Tensor, " points"]
) -> _Slopes:
    decoder = runs.decoder
    stream = points.detach().requires_grad_()
    stage = Stage(decoder, runs.prefix, batch=stream.shape[0], length=stream.shape[1], like=stream)
    streams, projected, branches = [], [], []
    for layer, block in enumerate(decoder.parts.blocks):
        streams.append(stream.detach())
        with hooked(edges.readers[layer]) as outputs:
            z = stage.attend(layer, block.attention_norm(stream))
        projected.append(outputs)
        attention = project(block, z)
        between = stream if edges.parallel else stream + attention
        # A copy of its own, so that its gradient is that of the MLP's input and not of the stream that goes on.
        branches.append(between.clone())
        mlp = block.mlp_post_norm(block.mlp(block.mlp_norm(branches[-1])))
        stream = stream + attention + mlp if edges.parallel else between + mlp
    margin = decoder.margin_of(stream[:, -1], runs.target).sum()
    wanted = [*(tensor for outputs in projected for tensor in outputs), *branches, stream]
    found = list(torch.autograd.grad(margin, wanted))
    per_layer = []
    for readers in edges.readers:
        taken, found = found[: len(readers.projections)], found[len(readers.projections) :]
        per_layer.append(by_reader(readers, taken))
    return _Slopes(weight, streams, per_layer, found[:-1], found[-1])


def _accumulate(blocks: list[Tensor], runs: PairRuns, edges: Edges, slopes: _Slopes, places: slice) -> None:
    """Add what some positions give to the score of every edge."""
    sent = _sent(runs, edges, places)

    def add(number: int, gradients: Float[Tensor, "receivers n width"]) -> None:
        senders = sent[: blocks[number].shape[1]]
        blocks[number] += in_double(gradients.flatten(1) @ senders.flatten(1).T)

    def averaged(gradient: Float[Tensor, "points n width"]) -> Float[Tensor, "1 n width"]:
        return torch.einsum("s,snw->nw", slopes.weight, gradient[:, places])[None]

    for layer, block in enumerate(runs.decoder.parts.blocks):
        through = _through_norm(block, edges.readers[layer], slopes, layer, places)
        with torch.no_grad():
            add(2 * layer, torch.einsum("s,srnw->rnw", slopes.weight, through))
            add(2 * layer + 1, averaged(slopes.mlps[layer]))
    add(len(blocks) - 1, averaged(slopes.answer))


def _through_norm(
    block: Block, readers: Readers, slopes: _Slopes, layer: int, places: slice
) -> Float[Tensor, "points readers n width"]:
    """Gradients with respect to what each reader reads: back through its projection and its norm."""
    gradients = torch.einsum("snrk,rkw->srnw", slopes.readers[layer][:, places], weights_by_reader(readers))
    read = slopes.streams[layer][:, None, places].expand_as(gradients).detach().requires_grad_()
    (found,) = torch.autograd.grad(block.attention_norm(read), read, gradients)
    return found


def _sent(runs: PairRuns, edges: Edges, places: slice) -> Float[Tensor, "senders n width"]:
    """What every sender writes in the donor's run minus what it writes in the base's."""
    decoder = runs.decoder
    parts = []
    with torch.no_grad():
        sides = [_states(run, RESIDUAL, 0, places) for run in (runs.donor, runs.base)]
        parts.append(sides[0] - sides[1])
        for layer, block in enumerate(decoder.parts.blocks):
            heads = [written(decoder, block, _states(run, HEADS, layer, places))[0] for run in (runs.donor, runs.base)]
            mlps = [_states(run, MLP, layer, places) for run in (runs.donor, runs.base)]
            parts += [heads[0] - heads[1], mlps[0] - mlps[1]]
    return torch.cat(parts)


def written(
    decoder: Decoder, block: Block, z: Float[Tensor, "batch n heads head_width"]
) -> Float[Tensor, "batch writers n width"]:
    """What each head writes into the stream, without b_O; where a norm follows attention, what all of them write."""
    if decoder.linear_heads:
        return torch.einsum("bnhk,hkw->bhnw", z, output_rows(block, heads=decoder.heads))
    return project(block, z)[:, None]


def _states(run: Run, node: str, layer: int, places: slice) -> Tensor:
    return run.states[node, layer][:, places]
