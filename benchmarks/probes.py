"""Probes of every layer against one forward pass a layer and scikit-learn, on real prompts of about 186 tokens.

The peer runs the model once for every layer that is probed, in batches of 12 prompts sorted by length, keeps that
layer's states at the last token, and fits scikit-learn's ``LogisticRegression`` for every fold. Passes are timed for
three layers and their median is counted for all (``peer_passes_timed``); its fits are timed for all. Both sides read
whether income is above the median, in folds that keep an application's prompts together, with the same penalty and
standardisation. The peer is timed at its default tolerance, which stops short of the optimum; agreement is the largest
difference of held-out accuracy over the layers, in points, to its fits at ``TIGHT``, and ``agreement_as_timed`` that to
the timed ones: one prompt decided otherwise is a whole point.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from statistics import median
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from auditor.demo_data import load_loanapp
from auditor.language_models.activations import harvest
from auditor.language_models.decoder_check import read_decoder
from auditor.mechanisms._shared.probe_fits import assign_folds, basis_of, cross_validate
from auditor.prompts import parse_template, render
from benchmarks.models import load_demo
from benchmarks.rows import Row, seconds
from benchmarks.scoring import RACE_LAST

APPLICATIONS = 50
GROUPS = ("White", "Black")
FOLDS = 5
PENALTY = 1.0
TIGHT = 1e-9
BATCH = 12

Array = np.ndarray[Any, Any]


def run() -> Iterator[Row]:
    """Two rows: harvest and probes together, and the probes alone on the same states."""
    loaded = load_demo()
    prompts, labels, applications = _prompts(loaded.tokenizer)
    folds = assign_folds(groups=applications, labels=labels, folds=FOLDS, seed=0)
    decoder = read_decoder(loaded.model)
    kept: list[Array] = []
    ours_states = seconds(lambda: kept.append(_harvest(decoder, prompts)))
    states = kept[0]
    layers = states.shape[1]
    ours: list[Array] = []
    theirs: list[Array] = []
    ours_fits = seconds(lambda: ours.append(_ours(states, labels, folds)))
    peer_fits = seconds(lambda: theirs.append(_peer(states, labels, folds)))
    apart, passes = [], []
    for layer in (0, layers // 2, layers - 1):
        seen: list[Array] = []
        passes.append(seconds(lambda layer=layer, seen=seen: seen.append(_forward(loaded.model, prompts, layer))))  # type: ignore[misc]
        if layer < layers - 1:  # transformers gives the last one after the final norm
            apart.append(float(np.abs(seen[0] - states[:, layer]).max()))
    peer_pass = median(passes)
    as_timed = 100 * float(np.abs(ours[0] - theirs[0]).max())
    agreement = 100 * float(np.abs(ours[0] - _peer(states, labels, folds, tolerance=TIGHT)).max())
    peer = layers * peer_pass + peer_fits
    yield Row(
        name=f"probes: harvest and {FOLDS} folds of {layers} layers",
        ours=ours_states + ours_fits,
        peer=peer,
        ratio=peer / (ours_states + ours_fits),
        agreement=agreement,
        unit="s",
        n=len(prompts),
        extra={
            "peer_passes_timed": len(passes),
            "peer_fits": peer_fits,
            "ours_states": ours_states,
            "ours_fits": ours_fits,
            "peer_pass": peer_pass,
            "states_difference": max(apart),
            "best_accuracy": float(ours[0].max()),
            "agreement_as_timed": as_timed,
        },
    )
    yield Row(
        name=f"probes: {FOLDS} folds of {layers} layers, states at hand",
        ours=ours_fits,
        peer=peer_fits,
        ratio=peer_fits / ours_fits,
        agreement=agreement,
        unit="s",
        n=len(prompts),
    )


def _prompts(tokenizer: Any) -> tuple[list[tuple[int, ...]], Array, list[str]]:
    """Token ids of both groups' prompts of every application, whether its income is high, and its id."""
    data = load_loanapp()
    labels = {item.name: item.label for item in data.mapping.fields}
    template = parse_template(RACE_LAST, fields=(), labels=labels, style="lines", where="benchmark")
    records = data.records[:APPLICATIONS]
    income = np.array([float(record.values["total_income"] or 0) for record in records])
    prompts = []
    for record in records:
        words = {item.name: item.say(record.values[item.name]) for item in data.mapping.fields}
        texts = [render(template, {**words, "race": group}).text for group in GROUPS]
        prompts += [tuple(ids) for ids in tokenizer(texts).input_ids]
    high = np.repeat(income > np.median(income), len(GROUPS))
    return prompts, high, list(chain.from_iterable([record.id] * len(GROUPS) for record in records))


def _harvest(decoder: Any, prompts: list[tuple[int, ...]]) -> Array:
    """States at the last token, [prompts, layers, width]: an application's prompts share their prefix."""
    step = len(GROUPS)
    parts = [prompts[first : first + step] for first in range(0, len(prompts), step)]
    return np.concatenate([harvest(decoder, part, [[len(ids) - 1] for ids in part])[:, 0] for part in parts])


def _forward(model: Any, prompts: list[tuple[int, ...]], layer: int) -> Array:
    """The peer's pass for one layer."""
    out = np.empty((len(prompts), model.config.hidden_size), dtype=np.float32)
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            longest = max(len(prompts[row]) for row in rows)
            ids = torch.tensor([[*prompts[row], *[0] * (longest - len(prompts[row]))] for row in rows])
            states = model(input_ids=ids, output_hidden_states=True, logits_to_keep=1, use_cache=False).hidden_states
            for place, row in enumerate(rows):
                out[row] = states[layer][place, len(prompts[row]) - 1].numpy()
    return out


def _ours(states: Array, labels: Array, folds: Array) -> Array:
    found = []
    for layer in range(states.shape[1]):
        logits, _ = cross_validate(
            basis=basis_of(states[:, layer]), labels=labels[:, None], partitions=[folds], penalty=PENALTY
        )
        found.append(float(((logits[:, 0] > 0) == labels).mean()))
    return np.array(found)


def _peer(states: Array, labels: Array, folds: Array, *, tolerance: float = 1e-4) -> Array:
    found = []
    for layer in range(states.shape[1]):
        x = states[:, layer].astype(np.float64)
        spread = x.std(axis=0)
        # A feature without spread but for rounding is left out on both sides.
        varies = spread > 1e-5 * np.maximum(np.abs(x.mean(axis=0)), np.median(np.sqrt((x**2).mean(axis=0))))
        x = (x - x.mean(axis=0))[:, varies] / spread[varies] if varies.any() else np.zeros((len(x), 1))
        right = np.zeros(len(x), dtype=bool)
        for fold in range(FOLDS):
            test = folds == fold
            probe = LogisticRegression(C=1 / PENALTY, class_weight="balanced", max_iter=10_000, tol=tolerance)
            probe.fit(x[~test], labels[~test])
            right[test] = (probe.decision_function(x[test]) > 0) == labels[test]
        found.append(float(right.mean()))
    return np.array(found)
