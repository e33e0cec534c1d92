"""Descriptions of features by rules, at scale: how many a second are described and scored, on real states.

The demonstration's applications are read through its audited model as the test ``interpretation`` reads them, a
dictionary is trained on the plan's prompts, and then every feature that acts is described on half of the applications
and scored on the other half, with the exchanged descriptions and the true tokens beside it. Timed is that last part;
reading and training are timed apart. There is no peer: published pipelines ask a language model for every description
and every answer, which takes seconds a feature on hardware that this one does without. ``agreement`` is 0 where a
second run gave the same descriptions and scores.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from auditor.conductor import prepare
from auditor.demo_data import load_loanapp
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.local import load
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.store import ModelStore
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.corpus import Read
from auditor.mechanisms._shared.feature_contrasts import activations_of, read_states
from auditor.mechanisms._shared.work import compute_context_for
from auditor.mechanisms.interpretation import method as interpretation
from auditor.mechanisms.interpretation.result import FeatureInWords, Payload
from auditor.mechanisms.sae.dictionary import Dictionary, dictionary_for
from auditor.plan import plan_from, read_plan
from benchmarks.models import demo_store
from benchmarks.rows import Row, seconds

PLAN = Path("plans/inside.toml")
EXPANSIONS = (4, 16)
STEPS, BATCH = 100, 512
REPEATS = 3


def run() -> Iterator[Row]:
    """One row a size of the dictionary."""
    store = demo_store()
    for expansion in EXPANSIONS:
        yield _row(store, expansion)


def _row(store: ModelStore, expansion: int) -> Row:
    context, payload = _context(store, expansion)
    made: list[Dictionary | NotApplicable] = []
    training = seconds(lambda: made.append(dictionary_for(context, payload.dictionary)))
    dictionary = made[0]
    if isinstance(dictionary, NotApplicable):
        raise RuntimeError(dictionary.reason)
    layer = dictionary.layer
    decoder = read_decoder(context.loaded.model)
    states: list[Any] = []
    reading = seconds(lambda: states.append(read_states(context, payload.contrasts, decoder=decoder, layer=layer)))
    corpus, rows_of_states = states[0]
    read = Read(corpus, activations_of(dictionary, rows_of_states))
    found: list[tuple[FeatureInWords, ...]] = []
    taken = seconds(
        lambda: found.append(interpretation.interpret(read, settings=context.settings, seed=0)), repeats=REPEATS
    )
    rows = found[0]
    answers = [one.answers for one in rows if one.answers is not None]
    return Row(
        name=f"interpretation: {dictionary.autoencoder.latents} latents",
        ours=len(rows) / taken,
        peer=None,
        ratio=None,
        agreement=float(any(other != rows for other in found[1:])),
        unit="features/s",
        n=len(rows),
        extra={
            "seconds": taken,
            "scored": len(answers),
            "detection": float(np.mean([one.detection for one in answers])),
            "fuzzing": float(np.mean([one.fuzzing for one in answers])),
            "tokens": len(corpus),
            "training_seconds": training,
            "reading_seconds": reading,
        },
    )


def _context(store: ModelStore, expansion: int) -> tuple[ComputeContext, Payload]:
    """The plan's own chunk of the test, with the sizes of this benchmark."""
    threads = os.cpu_count() or 1
    raw = {**read_plan(PLAN).design(), "run": {}}
    raw["tests"]["run"] = [interpretation.CARD.name]
    raw["settings"] = {"dictionary": {"expansion": expansion, "steps": STEPS, "batch": BATCH}}
    raw["budget"]["threads"] = threads
    plan = plan_from(raw, where=str(PLAN))
    model = store.import_model("demo:underwriter")
    prepared = prepare(plan=plan, model=model, data=load_loanapp())
    chunk = next(chunk for chunk in prepared.chunks if chunk.kind == interpretation.CARD.name)
    # Nothing is scored: the test reads states alone.
    scorer: Any = None
    context = compute_context_for(
        interpretation,
        plan=plan,
        run=prepared.run,
        loaded=load(model, threads=threads),
        scorer=scorer,
        should_stop=lambda: False,
    )
    return context, Payload.read(json.loads(chunk.payload)["work"])
