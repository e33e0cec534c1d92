"""Patching arithmetic: the margin of one prompt with states of another put in, from the middle, batched by layer.

Sign: ``effect(n) = m(base | n ← donor) − m(base)``, in nats. Everything before the first differing token is the same in
both runs, so its effect is exactly 0 and is not computed. A run starts at the patched layer and the first patched
position and reads the keys and values of what came before; rows join as the layers go up, so each layer is one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from auditor.exceptions import ScoringError
from auditor.language_models.noise import noise_floor
from auditor.language_models.sites import HEADS, MLP, RESIDUAL, Edit, Site
from auditor.mechanisms._shared.nodes import Node
from auditor.mechanisms._shared.pair_rows import EffectsT, Repeats
from auditor.mechanisms._shared.pairs import PairRuns, halfway, mix, turned
from auditor.records import Check

FloatArray = npt.NDArray[np.float64]
CHECKED = 2
"""Pairs of a contrast that the proofs are computed on: they cost two whole prompts more each."""
BATCH_TOKENS = 8192
"""Tokens that go through a block at once: it bounds what a block's MLP holds, whatever the number of nodes."""


def residual_effects(
    runs: PairRuns, places: Sequence[Sequence[int]], *, layers: Sequence[int] | None = None
) -> FloatArray:
    """Effect of the stream before each block (and after the last) at sets of positions, in nats.

    Parameters
    ----------
    runs
        Both prompts.
    places
        Sets of absolute positions, each patched at once.
    layers
        Layers to patch, all by default: 0 is the embedding, ``decoder.layers`` the stream after the last block.

    Returns
    -------
    numpy array
        [sets, layers].
    """
    decoder = runs.decoder
    chosen = list(range(decoder.layers + 1)) if layers is None else sorted(layers)
    effects = np.zeros((len(places), len(chosen)))
    for number, positions in enumerate(places):
        after = [position for position in positions if position >= runs.pair.first]
        if not after:
            continue
        start = min(after)
        skip = start - runs.pair.first
        past = runs.prefix
        if skip:
            if runs.base.past is None:
                raise ScoringError("a patch behind the first difference needs the keys and values before it")
            past = runs.base.past.upto(start)
        rows: Tensor | None = None
        with torch.no_grad():
            for layer in range(decoder.layers + 1):
                if layer in chosen:
                    site = (RESIDUAL, layer)
                    new = mix(
                        runs.base.states[site][:, skip:],
                        runs.donor.states[site][:, skip:],
                        [position - start for position in after],
                    )
                    if layer == decoder.layers:
                        new = new[:, -1:]
                    rows = new if rows is None else torch.cat([rows, new])
                if rows is not None and layer < decoder.layers:
                    last = layer == decoder.layers - 1
                    rows = decoder.run_from(layer, rows, past=past, stop=layer + 1, last_only=last).final
            if rows is not None:
                margins = decoder.margin_of(rows[:, -1], runs.target)
                effects[number] = margins.cpu().double().numpy() - runs.base_margin
    return effects


def node_effects(runs: PairRuns, nodes: Sequence[Node]) -> FloatArray:
    """Effect of every node, in nats: [nodes]."""
    decoder = runs.decoder
    by_layer: dict[int, list[int]] = {}
    for index, node in enumerate(nodes):
        by_layer.setdefault(node.layer, []).append(index)
    base = runs.base.states
    most = max(1, BATCH_TOKENS // base[RESIDUAL, 0].shape[1])
    order: list[int] = []
    rows: Tensor | None = None
    with torch.no_grad():
        for layer in range(decoder.layers):

            def step(stream: Tensor, edits: dict[Site, Edit] | None = None, *, layer: int = layer) -> Tensor:
                last = layer == decoder.layers - 1
                run = decoder.run_from(layer, stream, past=runs.prefix, edits=edits, stop=layer + 1, last_only=last)
                return run.final

            held = 0 if rows is None else len(rows)
            done = [step(rows[start : start + most]) for start in range(0, held, most)] if rows is not None else []
            fresh = by_layer.get(layer, [])
            for start in range(0, len(fresh), most):
                part = fresh[start : start + most]
                edits = _edits(runs, layer, [nodes[index] for index in part])
                done.append(step(base[RESIDUAL, layer].expand(len(part), -1, -1), edits))
            order += fresh
            rows = torch.cat(done) if done else None
        effects = np.zeros(len(nodes))
        if rows is not None:
            margins = decoder.margin_of(rows[:, -1], runs.target).cpu().double().numpy()
            effects[order] = margins - runs.base_margin
    return effects


def again(
    runs: PairRuns, effects: Callable[[PairRuns], EffectsT], *, back: PairRuns | None = None
) -> Repeats[EffectsT]:
    """What localisation.py repeats a share by: the reference's states in the group's prompt, and the mean in both.

    Parameters
    ----------
    runs
        Both prompts.
    effects
        What patching moves the margin by, of a pair that way round.
    back
        The pair the other way round, where the two prompts do not share what stands before.
    """
    one, other = halfway(runs, back)
    return Repeats(turned=effects(back or turned(runs)), halfway=(effects(one), effects(other)))


def attribution_effects(runs: PairRuns) -> tuple[FloatArray, FloatArray]:
    """First-order estimate of every node's effect, from one forward and one backward: heads [layers, heads], MLPs.

    ``(a(donor) − a(base)) · ∂m/∂a`` at the base, summed over positions; for heads through z, before W_O.
    """
    decoder = runs.decoder
    sites = [(node, layer) for layer in range(decoder.layers) for node in (HEADS, MLP)]
    stream = runs.base.states[RESIDUAL, 0].detach().clone().requires_grad_()
    run = decoder.run_from(0, stream, past=runs.prefix, capture=sites)
    margin = decoder.margins(run, runs.target).sum()
    gradients = torch.autograd.grad(margin, [run.states[site] for site in sites])
    heads, mlps = [], []
    for (node, layer), gradient in zip(sites, gradients, strict=True):
        change = (runs.donor.states[node, layer] - runs.base.states[node, layer]) * gradient
        if node == HEADS:
            heads.append(change.sum(dim=(0, 1, 3)).cpu().double().numpy())
        else:
            mlps.append(float(change.sum()))
    return np.array(heads), np.array(mlps)


def patch_checks(runs: PairRuns) -> tuple[Check, ...]:
    """The proofs that go with every patched pair: whole, itself, and before the first difference."""
    decoder, pair = runs.decoder, runs.pair
    middle = decoder.layers // 2
    everything = list(range(pair.first, len(pair.base)))
    whole = residual_effects(runs, [everything], layers=[0, middle, decoder.layers])[0] - runs.gap
    itself = PairRuns(decoder, runs.target, pair, runs.prefix, runs.base, runs.base, runs.base_margin, runs.base_margin)
    nodes = [Node(middle, 0), Node(middle)]
    with torch.no_grad():
        # The same batch without a patch is the only fair peer: a batch of another size may differ in the last digit.
        stream = runs.base.states[RESIDUAL, middle].expand(len(nodes), -1, -1)
        last = decoder.run_from(middle, stream, past=runs.prefix, last_only=True).final[:, -1]
        plain = decoder.margin_of(last, runs.target)
    own = node_effects(itself, nodes) + runs.base_margin - plain.cpu().double().numpy()
    largest, moved = float(np.abs(whole).max()), float(np.abs(own).max())
    floor = noise_floor(decoder.model, runs.target)
    bound, note = floor.bound, f"nats; {floor.words}"
    return (
        Check("everything patched gives the other prompt's margin", largest <= bound, largest, bound, note),
        Check("patched with itself changes nothing", moved <= bound, moved, bound, note),
        _before(runs, middle, bound),
    )


def _before(runs: PairRuns, layer: int, bound: float) -> Check:
    """Recompute both prompts whole, unshared, and patch what stands before the first difference."""
    decoder, pair = runs.decoder, runs.pair
    name = "states before the first difference are the same"
    with torch.no_grad():
        tokens = torch.tensor([pair.base, pair.donor], device=decoder.model.device)
        run = decoder.run(tokens, capture=[(RESIDUAL, layer)])
        base, donor = run.states[RESIDUAL, layer][:1], run.states[RESIDUAL, layer][1:]
        patched = decoder.run_from(layer, torch.cat([base, mix(base, donor, range(pair.first))])).final[:, -1]
        margins = decoder.margin_of(patched, runs.target)
    moved = abs(float(margins[1] - margins[0]))
    return Check(name, moved <= bound, moved, bound, note="effect of patching them, in nats")


def _edits(runs: PairRuns, layer: int, nodes: Sequence[Node]) -> dict[Site, Edit]:
    """Row ``i`` of a batch with node ``i`` patched."""
    heads = [(row, node.head) for row, node in enumerate(nodes) if node.head is not None]
    mlps = [row for row, node in enumerate(nodes) if node.head is None]

    def put_heads(z: Tensor) -> Tensor:
        changed = z.clone()
        for row, head in heads:
            changed[row, :, head] = runs.donor.states[HEADS, layer][0, :, head]
        return changed

    def put_mlps(states: Tensor) -> Tensor:
        changed = states.clone()
        # Of the last block no more than the last position may be left.
        changed[mlps] = runs.donor.states[MLP, layer][:, -states.shape[1] :]
        return changed

    edits: dict[Site, Edit] = {}
    if heads:
        edits[HEADS, layer] = put_heads
    if mlps:
        edits[MLP, layer] = put_mlps
    return edits
