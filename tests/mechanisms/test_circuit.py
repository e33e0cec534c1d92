"""EAP-IG: all edges and none are the two prompts, scores add up on every family, and the known circuit is found."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import t as student

from auditor.language_models.noise import noise_floor
from auditor.language_models.sites import RESIDUAL
from auditor.mechanisms._shared.nodes import Node
from auditor.mechanisms._shared.pairs import PairRuns
from auditor.mechanisms._shared.patches import node_effects
from auditor.mechanisms.circuits import method as circuit
from auditor.mechanisms.circuits.edge_runs import circuit_margins, edge_scores
from auditor.mechanisms.circuits.edges import ANSWER, EMBEDDING, Edges, read_edges
from auditor.mechanisms.circuits.measure import FRACTIONS, Ends, area, faithfulness, weighted_share
from auditor.mechanisms.circuits.result import Judged, JudgedPair
from tests.language_models.zoo import PACKABLE, zoo_model
from tests.mechanisms.computing import CONTRAST, compute_context, conclude, of_pairs, pair, payload
from tests.mechanisms.known_circuit import (
    KNOWN,
    NAME_HEAD,
    VALUE_HEAD,
    known_circuit,
    names_exchanged,
    other_value,
    prompt,
)
from tests.mechanisms.test_known_circuit import runs_of as known_runs
from tests.mechanisms.test_patches import runs_of

MEMORY = 64 << 20


def edges_of(runs: PairRuns) -> Edges:
    edges = read_edges(runs.decoder)
    assert isinstance(edges, Edges)
    return edges


def runs_near(runs: PairRuns, share: float) -> PairRuns:
    """The same base with a donor whose embedding is a small step towards the donor's."""
    base = runs.base.states[RESIDUAL, 0]
    stream = base + share * (runs.donor.states[RESIDUAL, 0] - base)
    with torch.no_grad():
        donor = runs.decoder.run_from(0, stream, past=runs.prefix, capture=list(runs.base.states))
        margin = float(runs.decoder.margins(donor, runs.target))
    return replace(runs, donor=donor, donor_margin=margin)


@pytest.mark.parametrize("family", PACKABLE)
def test_all_edges_are_the_prompt_and_none_is_the_other_prompt(family: str) -> None:
    runs = runs_of(family)
    edges = edges_of(runs)
    ends = np.array([np.zeros(edges.count, dtype=bool), np.ones(edges.count, dtype=bool)])
    empty, full = circuit_margins(runs, edges, ends, memory=MEMORY)
    assert empty == pytest.approx(runs.donor_margin, abs=1e-4)
    assert full == pytest.approx(runs.base_margin, abs=1e-4)
    assert abs(runs.gap) > 1e-2


@pytest.mark.parametrize("family", PACKABLE)
def test_scores_of_the_embeddings_edges_sum_to_the_difference(family: str) -> None:
    runs = runs_of(family)
    found = edge_scores(runs, edges_of(runs), steps=32, memory=MEMORY)
    assert abs(found.delta) < 0.02 * abs(runs.gap) + 1e-4


@pytest.mark.parametrize("family", PACKABLE)
def test_taking_one_senders_edges_away_is_patching_its_node(family: str) -> None:
    """An independent oracle: a node patched by an edit of its state, without any edges."""
    runs = runs_of(family)
    edges = edges_of(runs)
    nodes = {edges.mlp(0): Node(0), edges.mlp(1): Node(1)}
    if edges.writers > 1:
        nodes |= {edges.before(layer) + 2: Node(layer, 2) for layer in range(2)}
    for sender, node in nodes.items():
        kept = np.ones(edges.count, dtype=bool)
        for block in edges.split(kept):
            if block.shape[1] > sender:
                block[:, sender] = False
        found = circuit_margins(runs, edges, kept[None], memory=MEMORY)[0] - runs.base_margin
        assert found == pytest.approx(float(node_effects(runs, [node])[0]), abs=2e-4)


def test_a_score_is_the_first_order_effect_of_its_edge() -> None:
    """With a donor a hair away, taking one edge away changes the margin by its score."""
    runs = runs_of("llama")
    edges = edges_of(runs)
    near = runs_near(runs, 0.02)
    scores = edge_scores(near, edges, steps=1, memory=MEMORY).values
    largest = np.argsort(-np.abs(scores))[:12]
    kept = np.ones((len(largest), edges.count), dtype=bool)
    kept[np.arange(len(largest)), largest] = False
    found = circuit_margins(near, edges, kept, memory=MEMORY) - near.base_margin
    assert found == pytest.approx(scores[largest], abs=0.1 * np.abs(scores).max())


def test_neither_chunks_nor_batches_change_a_number() -> None:
    runs = runs_of("llama")
    edges = edges_of(runs)
    whole, parts = (edge_scores(runs, edges, steps=3, memory=memory).values for memory in (MEMORY, 1))
    assert parts == pytest.approx(whole, abs=1e-5)
    circuits = np.random.default_rng(0).random((5, edges.count)) < 0.5
    together, alone = (circuit_margins(runs, edges, circuits, memory=memory) for memory in (MEMORY, 1))
    assert alone == pytest.approx(together, abs=1e-5)


def test_edges_that_lead_nowhere_carry_nothing() -> None:
    runs = runs_of("llama")
    edges = edges_of(runs)
    circuits = np.random.default_rng(1).random((6, edges.count)) < 0.15
    pruned = np.array([edges.live(each) for each in circuits])
    assert (pruned <= circuits).all()
    assert pruned.sum() < circuits.sum()
    kept = circuit_margins(runs, edges, circuits, memory=MEMORY)
    assert circuit_margins(runs, edges, pruned, memory=MEMORY) == pytest.approx(kept, abs=1e-5)


def test_the_count_of_edges_is_the_sum_over_receivers() -> None:
    edges = edges_of(runs_of("llama"))  # 4 heads in 2 groups: 8 readers a layer
    assert edges.count == 8 * 1 + 5 + 8 * 6 + 10 + 11
    assert edges.name(0) == (EMBEDDING, "layer 0 head 0 query")
    assert edges.name(edges.count - 1) == ("layer 1 MLP", ANSWER)
    assert edges_of(runs_of("gpt_neox")).blocks[1] == (1, 1)  # a parallel MLP reads what attention reads


def known_edges(edges: Edges) -> set[int]:
    """The edges that what decides can take in the trained model: by construction, all others tell nothing."""
    readers = {head: edges.readers[head[0]].reads_for(head[1], edges.heads) for head in (NAME_HEAD, VALUE_HEAD)}
    senders = {"embedding": 0, **{head: edges.before(head[0]) + head[1] for head in (NAME_HEAD, VALUE_HEAD)}}
    numbered = edges.split(np.arange(edges.count))
    found: set[int] = set()
    for sender, receiver in KNOWN:
        block = numbered[-1] if receiver == "answer" else numbered[2 * receiver[0]]
        rows = (0,) if receiver == "answer" else readers[receiver]
        found |= {int(block[row, senders[sender]]) for row in rows}
    return found


@pytest.mark.parametrize("kind", ["value", "names"])
def test_the_known_circuit_is_found_and_is_enough(kind: str) -> None:
    draw = random.Random(11)
    texts = [prompt(draw) for _ in range(16)]
    pairs = [(text, other_value(text)[0] if kind == "value" else names_exchanged(text)) for text in texts]
    runs = [known_runs(base, donor) for base, donor in pairs if donor is not None]
    edges = read_edges(known_circuit().decoder)
    assert isinstance(edges, Edges)
    half = len(runs) // 2
    scores = np.stack([edge_scores(each, edges, steps=5, memory=MEMORY).values for each in runs[:half]])
    order = np.argsort(-np.abs(weighted_share(scores, np.array([each.gap for each in runs[:half]]))))
    known = known_edges(edges)
    assert len(known) == 10
    assert {int(edge) for edge in order[:4]} <= known
    circuits = np.zeros((4, edges.count), dtype=bool)
    circuits[0, order[: len(known)]] = True
    circuits[1, sorted(known)] = True
    circuits[2] = ~circuits[1]
    circuits[3, np.random.default_rng(0).permutation(edges.count)[: len(known)]] = True
    rows = [circuit_margins(each, edges, circuits, memory=MEMORY) for each in runs[half:]]
    whole, none = ([getattr(each, end) for each in runs[half:]] for end in ("base_margin", "donor_margin"))
    ends = Ends(full=np.array(whole), empty=np.array(none))
    found, truth, rest, random_ones = faithfulness(ends, np.array(rows))
    assert truth == pytest.approx(1, abs=0.05)
    assert rest == pytest.approx(0, abs=0.05)
    # First order underrates an edge behind a saturated softmax, so the ten largest need not be all of the ten known.
    assert found > 0.5
    assert abs(random_ones) < 0.25


def test_the_test_reports_a_curve_beside_random_circuits() -> None:
    settings = circuit.Settings(resamples=20, random=2, top=4)
    rows = payload("Black", "Asian", "Black", "Asian")
    result = circuit.compute(compute_context(settings), rows)
    assert len(result.pairs) == result.scored == 2
    found = {row.id: row for row in conclude(circuit, [result])}
    curve = [row for row in found.values() if row.metric == "circuit_faithfulness"]
    assert len(curve) == 3 * len(FRACTIONS)
    ends = [row.estimate for row in curve if row.subject["share_of_edges"] == "1"]
    assert ends == pytest.approx([1, 1, 1], abs=1e-3)
    assert all(len(row.checks) == 2 for row in curve)
    metrics = {row.metric for row in found.values()}
    stable = next(row for row in found.values() if row.metric == "circuit_stability")
    assert stable.estimate is None
    assert "stability takes at least 24" in str(stable.missing_reason)
    assert all("an illustration, 2 applications" in row.method for row in curve)
    assert metrics == {
        "patch_gap", "circuit_faithfulness", "circuit_faithfulness_area", "circuit_faithfulness_distance",
        "circuit_size", "circuit_stability",
        "circuit_edge",
    }  # fmt: skip
    again = circuit.compute(compute_context(settings), rows)
    assert again == result


def test_a_circuit_is_judged_on_pairs_that_did_not_score_its_edges() -> None:
    def of(seconds: tuple[int, int]) -> Judged:
        loans = [120 + 31 * number for number in (0, seconds[0], 2, seconds[1])]
        groups = ("Black", "Black", "Asian", "Black")
        asked = of_pairs(*(pair(number, groups[number], loan=loan) for number, loan in enumerate(loans)))
        found = circuit.compute(compute_context(circuit.Settings(resamples=20, random=1, top=4)), asked)
        assert isinstance(found, Judged)
        return found

    one, other = of((1, 3)), of((5, 7))
    assert [each.id for each in one.pairs] == ["a1", "a3"]
    # Other applications to be judged on choose no other edge and move no score, and are what is judged.
    assert (one.top, one.live, one.scored_gap) == (other.top, other.live, other.scored_gap)
    assert [each.full for each in one.pairs] != [each.full for each in other.pairs]


def test_a_number_whose_check_did_not_hold_is_withheld() -> None:
    asked = payload("Black", "Asian", "Black", "Asian")
    result = circuit.compute(compute_context(circuit.Settings(resamples=20)), asked).row()
    result["completeness"] = 1e9
    rows = conclude(circuit, [result])
    assert all(row.estimate is None for row in rows if row.metric == "circuit_edge")
    assert all(row.estimate is not None for row in rows if row.metric == "circuit_faithfulness")
    result["pairs"][0]["checks"][0]["held"] = False
    assert all(row.estimate is None for row in conclude(circuit, [result]))


def test_what_cannot_be_tested_says_why() -> None:
    for settings, family, groups, reason in (
        (circuit.Settings(), "bloom", ("Black",), "needs the structure of the model"),
        (circuit.Settings(), "llama", ("Hispanic",), "different numbers of tokens"),
    ):
        rows = conclude(circuit, [circuit.compute(compute_context(settings, family), payload(*groups))])
        assert [row.estimate for row in rows] == [None]
        assert reason in str(rows[0].missing_reason)


def test_the_areas_of_a_perfect_circuit_are_one_and_nothing() -> None:
    assert area(np.ones(len(FRACTIONS))) == pytest.approx(1)
    assert area(np.abs(1 - np.ones(len(FRACTIONS)))) == 0
    assert area(np.array(FRACTIONS)) == pytest.approx((1 + 0.001) / 2)


def judged(curves: Sequence[Sequence[float]], **changes: Any) -> Judged:
    """Pairs with a difference of 1, of which a circuit of every kind leaves what its pair's curve says."""
    pairs = [
        JudgedPair(id=f"{number}", gap=-1.0, full=1.0, empty=0.0, found=curve, signed=curve, random=(curve, curve))
        for number, curve in enumerate(curves)
    ]
    about = {"scored": 1, "same": False, "edges": 100, "sizes": range(10), "live": range(1, 11), "overlap": None}
    about |= {"completeness": 0.0, "scored_gap": 1.0, "top": (), "noise": noise_floor(zoo_model("llama"))}
    return Judged(contrast=CONTRAST, pairs=tuple(pairs), **{**about, **changes})


def test_a_circuit_that_overshoots_is_not_enough() -> None:
    curve = [0, 0, 0.9, 2.1, 0.9, 0.95, 1, 1.1, 1, 1.0]
    rows = {row.metric: row for row in conclude(circuit, [judged([curve])])}
    assert rows["circuit_size"].estimate == 5
    assert rows["circuit_size"].counts["edges"] == 100


def test_faithfulness_is_a_ratio_of_sums_and_differences_that_point_opposite_ways_do_not_cancel() -> None:
    both_ways = Ends(full=np.array([3.0, -1.0]), empty=np.zeros(2))
    assert faithfulness(both_ways, np.array([[3.0], [-1.0]])) == pytest.approx([1])
    # Weighted by squares, as a slope is, the first pair alone would give 0.9.
    assert faithfulness(both_ways, np.array([[3.0], [0.0]])) == pytest.approx([0.75])
    one_way = Ends(full=np.array([3.0, 1.0]), empty=np.array([1.0, 0.0]))
    assert faithfulness(one_way, np.array([[2.5], [0.25]])) == pytest.approx([1.75 / 3])


def test_the_signed_circuit_leaves_out_what_works_against_the_difference() -> None:
    shares = np.array([0.5, -0.9, 0.3, 0.0])
    none, found, signed, *_, everything = circuit._circuits(shares, [2], np.random.default_rng(0), random=1)
    assert found.tolist() == [True, True, False, False]
    assert signed.tolist() == [True, False, True, False]
    assert not none.any()
    assert everything.all()


def test_over_enough_applications_faithfulness_has_an_interval_and_stability_a_figure() -> None:
    rng = np.random.default_rng(0)
    curves = [np.linspace(0, 1, len(FRACTIONS)) + rng.normal(0, 0.1, len(FRACTIONS)) for _ in range(24)]
    overlap = rng.uniform(0.5, 0.9, (len(FRACTIONS), 40)).tolist()
    rows = conclude(circuit, [judged(curves, scored=24, overlap=overlap)])
    curve = [row for row in rows if row.metric == "circuit_faithfulness"]
    assert all(row.low < row.estimate < row.high for row in curve)
    # All differences are 1, so faithfulness is a mean over pairs. Plain percentiles of 24 are 7 % too narrow.
    found = [row for row in curve if row.subject["circuit"] == "found"]
    spread = np.std(curves, axis=0, ddof=1)
    reach = 2 * student.ppf(0.975, 23) * spread / np.sqrt(24)
    assert np.mean([row.high - row.low for row in found] / reach) == pytest.approx(1, abs=0.03)
    assert not any("illustration" in row.method for row in rows)
    [stable] = [row for row in rows if row.metric == "circuit_stability"]
    assert 0.5 < stable.low < stable.estimate < stable.high < 0.9
