"""Circuits known because they were planted: redundant paths, heads that work against, heads that matter elsewhere.

A tiny transformer is trained on prompts like ``S1L2R1M2>`` (:mod:`tests.mechanisms.known_circuit`) to answer with a
margin that counts two fields, ``R`` and, less, ``L``. While it trains, three heads are kept and everything else is
exchanged between prompts, so that nothing else can tell anything:

    layer 0, NAME_HEAD     at a value's position, tells which name stands before it; both fields need it
    layer 1, VALUE_HEAD    takes the value of R to the last position
    layer 1, OTHER_HEAD    takes the value of L there: exchanged on its own, the margin follows *its* prompt's L

OTHER_HEAD moves the margin and has no part in a change of ``R``: a distractor that matters. From each trained model
come variants that compute the same function with other circuits, by moving weights: VALUE_HEAD shares its work with a
copy (:data:`SHARED`), or does too much and a copy works against it (:data:`AGAINST`).

:func:`study` asks every method of localisation which nodes it names on changes of ``R``, and counts: power on the nodes
that carry it, false alarms on the distractor and on all other nodes, and false alarms where the differences are those
of other pairs, so that no node can carry them.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import t as student

from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.sites import HEADS, MLP, Edit, Site
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.direct_logits import attribute
from auditor.mechanisms._shared.nodes import all_nodes
from auditor.mechanisms._shared.pair_measures import slope
from auditor.mechanisms._shared.pairs import Pair, PairRuns, run_pair
from auditor.mechanisms._shared.patches import attribution_effects, node_effects
from auditor.mechanisms.circuits.edge_runs import edge_scores
from auditor.mechanisms.circuits.edges import Edges, read_edges
from auditor.statistics.multiplicity import holm
from tests.language_models.tiny import tiny_tokenizer
from tests.mechanisms.known_circuit import (
    ADVERSE,
    ASKED,
    FAVOURABLE,
    HEADS_A_LAYER,
    LAYERS,
    VALUES,
    KnownCircuit,
    other_value,
    prompt,
    small_llama,
)

FloatArray = npt.NDArray[np.float64]
Node = tuple[int, int | None]
HEAD_WIDTH = 8
NAME_HEAD, VALUE_HEAD, OTHER_HEAD, COPY = (0, 1), (1, 2), (1, 0), (1, 3)
OTHER = "L"
WEIGHTS = {ASKED: 3.0, OTHER: 2.0}
"""What a value 1 against a value 2 of a field is worth, in nats: half of it either way."""
ALONE, SHARED, AGAINST = "one head", "two heads that share", "one head against another"
QUARTERS = "a quarter and three quarters"
KINDS = {ALONE: (1.0, 0.0), SHARED: (0.5, 0.5), QUARTERS: (0.25, 0.75), AGAINST: (1.5, -0.5)}
"""By kind, the share of R's value that VALUE_HEAD and its copy write."""
VALUE, NAMES = "value", "names"
STEPS, BATCH = 700, 128
LEAST_SHARE = 0.1
"""Smallest share of a difference at which a node is named."""


@dataclass(frozen=True)
class Planted:
    """A model with a known circuit, and by contrast the nodes that carry it; ``either``: may or may not."""

    known: KnownCircuit
    kind: str

    def carry(self, contrast: str) -> set[Node]:
        """Nodes that carry a contrast by construction."""
        heads: set[Node] = {VALUE_HEAD} | ({COPY} if self.kind != ALONE else set())
        return heads | ({NAME_HEAD} if contrast == NAMES else set())

    def either(self, contrast: str) -> set[Node]:
        """Nodes that may or may not carry it: with another value, the name before may be read with it."""
        return {NAME_HEAD} if contrast == VALUE else set()


@lru_cache(maxsize=8)
def planted(kind: str, seed: int) -> Planted:
    """A trained model, or its variant with another circuit and the same function."""
    if kind == ALONE:
        return Planted(_trained(seed), kind)
    own = planted(ALONE, seed).known
    model = copy.deepcopy(own.model)
    attention = model.model.layers[VALUE_HEAD[0]].self_attn
    first, second = (slice(head[1] * HEAD_WIDTH, (head[1] + 1) * HEAD_WIDTH) for head in (VALUE_HEAD, COPY))
    with torch.no_grad():
        # Both heads read the same group of keys and values.
        attention.q_proj.weight[second] = attention.q_proj.weight[first]
        written = attention.o_proj.weight[:, first].clone()
        for place, share in zip((first, second), KINDS[kind], strict=True):
            attention.o_proj.weight[:, place] = share * written
    decoder = read_decoder(model)
    assert isinstance(decoder, Decoder)
    return Planted(KnownCircuit(model, own.tokenizer, decoder, own.target), kind)


def worth(text: str, field: str) -> float:
    """What a field adds to the margin, in nats."""
    return WEIGHTS[field] * (0.5 if text[text.index(field) + 1] == VALUES[0] else -0.5)


def _trained(seed: int) -> KnownCircuit:
    torch.manual_seed(seed)
    model = small_llama().eval()
    with torch.no_grad():  # COPY is a silent head until a variant gives it something to do
        place = slice(COPY[1] * HEAD_WIDTH, (COPY[1] + 1) * HEAD_WIDTH)
        model.model.layers[COPY[0]].self_attn.o_proj.weight[:, place] = 0
    tokenizer = tiny_tokenizer()
    decoder = read_decoder(model)
    assert isinstance(decoder, Decoder)
    answers = tuple(tokenizer(answer).input_ids[0] for answer in (FAVOURABLE, ADVERSE))
    known = KnownCircuit(model, tokenizer, decoder, Target(answers[:1], answers[1:]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS)
    draw = random.Random(seed)
    for _ in range(STEPS):
        texts = [prompt(draw) for _ in range(BATCH)]
        rest, other = torch.randperm(BATCH), torch.randperm(BATCH)
        run = decoder.run(known.tokens(texts), edits=_exchanged(rest, other))
        goal = [worth(text, ASKED) + worth(texts[int(place)], OTHER) for text, place in zip(texts, other, strict=True)]
        loss = torch.nn.functional.mse_loss(decoder.margins(run, known.target), torch.tensor(goal))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return known


def _exchanged(rest: torch.Tensor, other: torch.Tensor) -> dict[Site, Edit]:
    """Everything but the three heads from the prompts of ``rest``; OTHER_HEAD from those of ``other``."""

    def heads(kept: int, moved: int | None) -> Edit:
        def edit(z: torch.Tensor) -> torch.Tensor:
            parts = [
                z[:, :, head] if head == kept else z[other, :, head] if head == moved else z[rest, :, head]
                for head in range(HEADS_A_LAYER)
            ]
            return torch.stack(parts, dim=2)

        return edit

    edits: dict[Site, Edit] = {
        (HEADS, NAME_HEAD[0]): heads(NAME_HEAD[1], None),
        (HEADS, VALUE_HEAD[0]): heads(VALUE_HEAD[1], OTHER_HEAD[1]),
    }
    return edits | {(MLP, layer): lambda states: states[rest] for layer in range(LAYERS)}


def pairs_of(planted: Planted, contrast: str, *, count: int, seed: int) -> list[PairRuns]:
    """Pairs that differ in R's value, or in which name stands before it; L is left alone in both."""
    draw = random.Random(seed)
    found: list[PairRuns] = []
    while len(found) < count:
        base = prompt(draw)
        donor = other_value(base)[0] if contrast == VALUE else _names_exchanged(base)
        if donor is not None:
            found.append(runs_of(planted.known, base, donor))
    return found


def runs_of(known: KnownCircuit, base: str, donor: str) -> PairRuns:
    """Both prompts of a pair, with everything captured."""
    ids = known.tokens([base, donor]).tolist()
    first = next(place for place, (one, other) in enumerate(zip(*ids, strict=True)) if one != other)
    return run_pair(known.decoder, known.target, Pair(tuple(ids[0]), tuple(ids[1]), first, (first,)))


def _names_exchanged(text: str) -> str | None:
    """R and a name in each other's place, of another value and not L; ``None`` where there is none."""
    value = text[text.index(ASKED) + 1]
    for place in range(0, len(text) - 1, 2):
        if text[place] not in (ASKED, OTHER) and text[place + 1] != value:
            return text.replace(ASKED, "*").replace(text[place], ASKED).replace("*", text[place])
    return None


NODES = all_nodes(LAYERS, HEADS_A_LAYER)


def _patched(runs: PairRuns) -> FloatArray:
    return node_effects(runs, NODES)


def _estimated(runs: PairRuns) -> FloatArray:
    heads, mlps = attribution_effects(runs)
    return np.concatenate([[*heads[layer], mlps[layer]] for layer in range(LAYERS)])


def _direct(runs: PairRuns) -> FloatArray:
    sides = [attribute(runs.decoder, run, runs.target) for run in (runs.base, runs.donor)]
    change = [sides[1].attention - sides[0].attention, (sides[1].mlps - sides[0].mlps)[:, None]]
    return np.concatenate(change, axis=1).ravel()


def _through_edges(runs: PairRuns) -> FloatArray:
    """A node's edges together."""
    edges = read_edges(runs.decoder)
    assert isinstance(edges, Edges)
    scores = edges.split(edge_scores(runs, edges, steps=5, memory=64 << 20).values)
    sent = np.zeros(edges.senders)
    for block in scores:
        sent[: block.shape[1]] += block.sum(axis=0)
    return sent[1:]


METHODS = {
    "activation patching": _patched,
    "attribution patching": _estimated,
    "direct logit attribution": _direct,
    "edges (EAP-IG)": _through_edges,
}
DIRECT = "direct logit attribution"


def named(effects: FloatArray, gaps: FloatArray, *, alpha: float = 0.05) -> set[Node]:
    """Nodes whose share of the differences is beyond chance (Holm over nodes) and at least ``LEAST_SHARE``.

    Parameters
    ----------
    effects
        [pairs, nodes], nats.
    gaps
        [pairs], nats.
    """
    n, squares = len(gaps), gaps**2
    shares = np.array([slope(column, gaps) for column in effects.T])
    influence = (effects * gaps[:, None] - shares * squares[:, None]) / squares.mean()
    errors = influence.std(axis=0, ddof=1) / np.sqrt(n)
    sizes = np.abs(shares) / np.maximum(errors, 1e-12)
    adjusted = holm([float(2 * student.sf(size, n - 1)) for size in sizes])
    return {
        (node.layer, node.head)
        for node, share, p_value in zip(NODES, shares, adjusted, strict=True)
        if p_value is not None and p_value < alpha and abs(share) >= LEAST_SHARE
    }


@dataclass(frozen=True)
class Tally:
    """What one method named: of the nodes that carry the contrast, of the distractor, of the others, on null labels."""

    found: int
    true: int
    distractor: int
    distractors: int
    others: int
    other_nodes: int
    null: int
    null_nodes: int

    def __add__(self, more: Tally) -> Tally:
        return Tally(*(getattr(self, name) + getattr(more, name) for name in self.__dataclass_fields__))


def study(kinds: Iterable[str], seeds: Iterable[int], *, pairs: int) -> dict[tuple[str, str, str], Tally]:
    """By method, kind of circuit and contrast, what is named over all seeds."""
    tallies: dict[tuple[str, str, str], Tally] = {}
    everything = {(node.layer, node.head) for node in NODES}
    for seed in seeds:
        for kind in kinds:
            model = planted(kind, seed)
            for contrast in (VALUE, NAMES):
                runs = pairs_of(model, contrast, count=pairs, seed=1000 + seed)
                gaps = np.array([each.gap for each in runs])
                order = np.random.default_rng(seed).permutation(pairs)
                for method, explain in METHODS.items():
                    effects = np.array([explain(each) for each in runs])
                    # What NAME_HEAD tells passes VALUE_HEAD: it writes nothing into the answer itself.
                    indirect = {NAME_HEAD} if method == DIRECT else set()
                    true = model.carry(contrast) - indirect
                    false = everything - true - model.either(contrast) - {OTHER_HEAD} - indirect
                    got, null = named(effects, gaps), named(effects, gaps[order])
                    tally = Tally(
                        len(got & true), len(true), len(got & {OTHER_HEAD}), 1,
                        len(got & false), len(false), len(null), len(everything),
                    )  # fmt: skip
                    key = (method, kind, contrast)
                    tallies[key] = tallies[key] + tally if key in tallies else tally
    return tallies


def power_by_share(seeds: Iterable[int], *, pairs: int) -> dict[tuple[str, str, float], tuple[int, int]]:
    """By method, contrast and the share of R's value that a head carries: how often it is named, and of how many."""
    found: dict[tuple[str, str, float], tuple[int, int]] = {}
    for seed in seeds:
        for kind in (ALONE, SHARED, QUARTERS):
            model = planted(kind, seed)
            for contrast in (VALUE, NAMES):
                runs = pairs_of(model, contrast, count=pairs, seed=1000 + seed)
                gaps = np.array([each.gap for each in runs])
                for method, explain in METHODS.items():
                    got = named(np.array([explain(each) for each in runs]), gaps)
                    for head, share in zip((VALUE_HEAD, COPY), KINDS[kind], strict=True):
                        if share:
                            hits, of = found.get((method, contrast, share), (0, 0))
                            found[method, contrast, share] = hits + int(head in got), of + 1
    return found


def margin_error(model: Planted, *, count: int = 200) -> float:
    """Largest difference between a margin and what both fields are worth, over random prompts, in nats."""
    draw = random.Random(5)
    texts = [prompt(draw) for _ in range(count)]
    goal = torch.tensor([worth(text, ASKED) + worth(text, OTHER) for text in texts])
    return float((model.known.margins(texts) - goal).abs().max())
