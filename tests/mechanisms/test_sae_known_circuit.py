"""In a model whose circuit is known, features find the concept it reads, and decisions turn with them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from auditor.mechanisms._shared.concepts import Placed
from auditor.mechanisms.sae.choices import FEATURES, RANDOM, STEER, Chosen, Seen, choose
from auditor.mechanisms.sae.dictionary import Dictionary
from auditor.mechanisms.sae.quality import measure
from auditor.mechanisms.sae.states import Matrix
from auditor.mechanisms.sae.training import Recipe, train
from auditor.mechanisms.sae.windows import FeatureWindow, open_window
from tests.mechanisms.known_circuit import ASKED, KnownCircuit, known_circuit, other_value, prompt

LAYER = 1
"""After the head that marks every value with its name, before the head that reads the value asked for."""

Found = tuple[Dictionary, list[FeatureWindow], Chosen]


@pytest.fixture(scope="module")
def known() -> KnownCircuit:
    return known_circuit()


@pytest.fixture(scope="module")
def found(known: KnownCircuit) -> Found:
    """A dictionary of the model's states, and the features chosen on half of some pairs that differ in R's value."""
    draw = random.Random(1)
    with torch.no_grad():
        stream = known.decoder.embed(known.tokens([prompt(draw) for _ in range(400)]))
        states = known.decoder.run_from(0, stream, stop=LAYER).final.flatten(0, 1)
    recipe = Recipe(latents=128, k=8, steps=400, batch=256, learning_rate=3e-3, dead_after=5000)
    model = train(Matrix(states), recipe).autoencoder
    dictionary = Dictionary(model, LAYER, measure(model, Matrix(states)), 0.0, 1.0, float("inf"), {})
    texts = (prompt(draw) for _ in range(1000))
    # One place of the field in all pairs, as in a template.
    bases = [text for text in texts if text.endswith(f"{ASKED}1>")][:60]
    seen, measured = Seen(reference=0), []
    for number, base in enumerate(bases):
        window = pair(known, base)
        if number % 2:
            measured.append(window)
            continue
        with torch.no_grad():
            activations = dictionary.activations(window.states) * window.there[..., None]
            seen.add(window, activations, window.slopes(0, known.target), model.decoder)
    return dictionary, measured, choose(seen, dictionary, pair=(1, 0), count=6, draws=4, seed=0)


def pair(known: KnownCircuit, base: str) -> FeatureWindow:
    other, place = other_value(base)
    placed = [Placed(tuple(known.tokens([text])[0].tolist()), place, place) for text in (base, other)]
    with torch.no_grad():
        return open_window(known.decoder, placed, layer=LAYER, depth=len(base), should_stop=lambda: False)


def margins(known: KnownCircuit, found: Found) -> dict[str, Any]:
    """By name, margins of every measured pair: [pairs, (value 1, value 2)]."""
    dictionary, windows, chosen = found
    rows: dict[str, list[list[float]]] = {}
    with torch.no_grad():
        for window in windows:
            activations = dictionary.activations(window.states) * window.there[..., None]
            changes = list(chosen.changes(window.states, activations, dictionary))
            clean, _ = window.margins([(0, None), (1, None)], known.target)
            rows.setdefault("clean", []).append(clean.tolist())
            changed, _ = window.margins([(group, change) for _, group, change in changes], known.target)
            names = [name for name, _, _ in changes]
            for name in dict.fromkeys(names):
                both = [float(value) for each, value in zip(names, changed, strict=True) if each == name]
                rows.setdefault(name, []).append(both)
    return {name: np.array(values) for name, values in rows.items()}


def gap(table: Any) -> float:
    return float((table[:, 1] - table[:, 0]).mean())


def test_a_chosen_feature_acts_on_one_value_and_not_on_the_other(found: Found) -> None:
    dictionary, windows, chosen = found
    activity = torch.stack([dictionary.activations(w.states)[:, :, chosen.features].amax(1) for w in windows])
    one, two = activity[:, 0], activity[:, 1]
    apart = [float((one[:, i, None] > two[None, :, i]).float().mean()) for i in range(len(chosen.features))]

    assert max(max(each, 1 - each) for each in apart) > 0.95, apart


def test_taking_the_features_out_takes_the_difference_away_and_random_features_do_not(
    known: KnownCircuit, found: Found
) -> None:
    table = margins(known, found)
    random_gaps = [gap(rows) for name, rows in table.items() if name.startswith(RANDOM)]

    assert gap(table["clean"]) < -4, "the model answers by R's value"
    assert abs(gap(table[FEATURES])) < 0.2 * abs(gap(table["clean"]))
    assert all(abs(each) > 0.8 * abs(gap(table["clean"])) for each in random_gaps), random_gaps


def test_putting_the_other_values_features_in_turns_decisions(known: KnownCircuit, found: Found) -> None:
    table = margins(known, found)
    steered = table[STEER + FEATURES]

    assert (table["clean"][:, 0] > 0).mean() > 0.95
    assert (steered[:, 0] < 0).mean() > 0.8
    assert (steered[:, 1] > 0).mean() > 0.8
