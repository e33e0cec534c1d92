"""The trained model does its task, and does it through its two heads alone."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from auditor.mechanisms._shared.nodes import all_nodes
from auditor.mechanisms._shared.pairs import Pair, PairRuns, run_pair
from auditor.mechanisms._shared.patches import node_effects
from tests.mechanisms.known_circuit import (
    FAVOURABLE,
    HEADS_A_LAYER,
    LAYERS,
    NAME_HEAD,
    VALUE_HEAD,
    known_circuit,
    label,
    names_exchanged,
    other_value,
    prompt,
)

NODES = all_nodes(LAYERS, HEADS_A_LAYER)


def texts(count: int) -> list[str]:
    draw = random.Random(7)
    return [prompt(draw) for _ in range(count)]


def runs_of(base: str, donor: str) -> PairRuns:
    known = known_circuit()
    ids = known.tokens([base, donor]).tolist()
    first = next(place for place, (one, other) in enumerate(zip(*ids, strict=True)) if one != other)
    return run_pair(known.decoder, known.target, Pair(tuple(ids[0]), tuple(ids[1]), first, (first,)))


def shares(pairs: list[tuple[str, str]]) -> dict[tuple[int, int | None], float]:
    """Mean share of the gap that each node carries, patched for real."""
    runs = [runs_of(base, donor) for base, donor in pairs]
    effects = np.mean([node_effects(each, NODES) / each.gap for each in runs], axis=0)
    return {(node.layer, node.head): float(effect) for node, effect in zip(NODES, effects, strict=True)}


def test_it_does_its_task() -> None:
    prompts = texts(300)
    sides = torch.tensor([1.0 if label(text) == FAVOURABLE else -1.0 for text in prompts])
    assert float((known_circuit().margins(prompts) * sides).min()) > 1


def test_patching_finds_the_head_that_reads_the_value() -> None:
    found = shares([(text, other_value(text)[0]) for text in texts(12)])
    assert found.pop(VALUE_HEAD) == pytest.approx(1, abs=0.15)
    found.pop(NAME_HEAD)  # what stands before may be read together with the value, or without it
    assert max(map(abs, found.values())) < 0.15


def test_patching_finds_the_head_that_reads_the_name_before() -> None:
    pairs = [(text, other) for text in texts(16) if (other := names_exchanged(text))]
    found = shares(pairs)
    assert found.pop(VALUE_HEAD) == pytest.approx(1, abs=0.15)
    assert found.pop(NAME_HEAD) == pytest.approx(1, abs=0.15)
    assert max(map(abs, found.values())) < 0.15
