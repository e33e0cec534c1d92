"""Automated interpretation: what the features of the run's dictionary respond to, in words, and how far words hold.

Descriptions are made on half of the applications and tried on the other half. By default rules make them and a matcher
that sees nothing but the description tries them (describing.py, description_scores.py); no model takes part. A model of
the store, or of an endpoint that an administrator has listed, may describe as well, and then another one tries
(describers.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from scipy.sparse import csc_matrix
from threadpoolctl import threadpool_limits

from auditor.exceptions import Interrupted, ModelError
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.bench import ComputeContext
from auditor.mechanisms._shared.corpus import Corpus, Read
from auditor.mechanisms._shared.feature_contrasts import activations_of, contrast_work, read_states
from auditor.mechanisms._shared.feature_responses import responding, tails
from auditor.mechanisms.interpretation.card import CARD, ENDPOINT, LOCAL, RULES, Settings
from auditor.mechanisms.interpretation.describers import (
    LocalTextModel,
    TextModel,
    describe_by_model,
    marked,
    try_descriptions,
)
from auditor.mechanisms.interpretation.describing import Described, Search, active_entries, describe, thresholds
from auditor.mechanisms.interpretation.measure import measures
from auditor.mechanisms.interpretation.predicates import Cells, words_of
from auditor.mechanisms.interpretation.scores import Answers, HeldOut, Question, derangements, recount
from auditor.mechanisms.sae.dictionary import speaking_dictionary
from auditor.statistics.results import FloatArray
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

RECOUNTED = 20
"""One of so many scored features is counted again by another way."""


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk."""
    settings: Settings = asked.settings
    fields = [name for name in asked.fields if asked.roles.get(name) == "predictor"]
    yield contrast_work(asked, applications=settings.applications, fields=fields, swaps=settings.changes)


def compute(bench: ComputeContext, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Read the applications, describe every feature on half of them and score it on the other half.

    Returns
    -------
    dict
        ``features``: of every feature that acts, its description and its answers, or why there is none; ``reported``:
        which are reported one by one; or the ``reason`` why there is no dictionary.
    """
    dictionary = speaking_dictionary(bench, payload["dictionary"])
    if isinstance(dictionary, NotApplicable):
        return {"reason": dictionary.reason}
    settings: Settings = bench.settings
    with threadpool_limits(bench.plan.budget.threads):
        corpus, states = read_states(bench, payload, decoder=bench.decoder(), layer=dictionary.layer)
        read = Read(corpus, activations_of(dictionary, states))
        norms = np.linalg.norm(dictionary.autoencoder.decoder.detach().cpu().numpy(), axis=1).astype(np.float64)
        features = interpret(read, settings=settings, seed=bench.plan.cases.seed)
        reported = _reported(read, payload, norms, most=settings.report)
        return {
            "reason": None,
            "layer": dictionary.layer,
            "latents": dictionary.autoencoder.latents,
            "tokens": len(corpus),
            "features": features,
            "reported": reported,
            "by_model": None if settings.describer == RULES else _by_model(bench, read, reported),
        }


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Scores of all descriptions together, of exchanged ones, and of every reported feature."""
    return measures(context, context.results.get(CARD.name, ()), test=CARD.name)


def interpret(read: Read, *, settings: Settings, seed: int) -> list[dict[str, Any]]:
    """Describe on every other application, score on the rest.

    Parameters
    ----------
    read
        Activations on a corpus.
    settings
        How.
    seed
        Of the exchanges.

    Returns
    -------
    list of dict
        For every latent that acts where it is described: ``latent``, ``words`` or ``None``, ``reason`` or ``None``,
        ``answers`` (:class:`Answers`), ``recounted`` (of some: how far detection or fuzzing are from a count context by
        context), ``shuffled`` (their means with other features' descriptions), ``active`` tokens, and an ``example``.
    """
    first, second = _halves(read)
    search = Search(strong=settings.strong, least=settings.least, floor=settings.floor)
    described = describe(first, search=search)
    held = HeldOut(second.corpus, _columns(second, thresholds(first.activations, strong=settings.strong)))
    cells = Cells(second.corpus)
    columns = first.activations.tocsc()
    rows = [_row(one, first.corpus, columns) for one in described]
    scored: list[tuple[int, Question]] = []
    for place, one in enumerate(described):
        if one.predicate is None:
            continue
        active = held.tokens(one.latent)
        problem = held.problem(active, least=settings.least)
        if problem is not None:
            rows[place]["reason"] = problem
            continue
        question = Question(held, active)
        said = cells.matches(one.predicate)
        answers = question.answered(said)
        rows[place]["answers"] = answers.row()
        if len(scored) % RECOUNTED == 0:
            again = recount(held, active, said)
            rows[place]["recounted"] = max(abs(answers.detection - again[0]), abs(answers.fuzzing - again[1]))
        scored.append((place, question))
    orders = derangements(len(scored), rounds=settings.shuffles, seed=seed)
    for position, (place, question) in enumerate(scored):
        others = [described[scored[order[position]][0]].predicate for order in orders]
        exchanged = [question.answered(cells.matches(other)) for other in others if other is not None]
        if exchanged:
            rows[place]["shuffled"] = [_mean(exchanged, "detection"), _mean(exchanged, "fuzzing")]
    return rows


def _by_model(bench: ComputeContext, read: Read, reported: Sequence[int]) -> dict[str, Any]:
    """Sentences of a model for the reported features, tried by another model; or the reason why there are none.

    A model that cannot be had takes nothing else of this chunk with it.
    """
    settings: Settings = bench.settings
    names = {"describer": settings.describer, "scorer": settings.scorer, "features": [], "not_tried": len(reported)}
    try:
        return {**names, **_described(bench, read, reported)}
    except ModelError as error:
        return {**names, "reason": str(error)}


def _described(bench: ComputeContext, read: Read, reported: Sequence[int]) -> dict[str, Any]:
    settings: Settings = bench.settings
    first, second = _halves(read)
    limits = thresholds(first.activations, strong=settings.strong)
    held = HeldOut(second.corpus, _columns(second, limits))
    ours, columns = _columns(first, limits), first.activations.tocsc()
    chosen = [
        latent
        for latent in reported
        if ours.indptr[latent + 1] > ours.indptr[latent]
        and held.problem(held.tokens(latent), least=settings.least) is None
    ]
    sentences: list[tuple[int, str | None]] = []
    with _text_model(bench, settings.describer) as describer:
        for latent in chosen:
            if bench.should_stop():
                raise Interrupted("stopped between two features; nothing of this chunk is kept")
            strength = _dense(columns, latent)
            words = describe_by_model(describer, first.corpus, strength, strength >= limits[latent])
            sentences.append((latent, words))
    orders = derangements(len(chosen), rounds=1, seed=bench.plan.cases.seed)
    with _text_model(bench, settings.scorer) as scorer:
        tried = try_descriptions(
            scorer,
            held,
            sentences,
            order=orders[0] if orders else None,
            contexts=settings.contexts,
            seed=bench.plan.cases.seed,
            should_stop=bench.should_stop,
        )
    return {
        "identities": [describer.identity, scorer.identity],
        "not_tried": len(reported) - len(chosen),
        "features": [
            {
                "latent": latent,
                "words": one.words,
                "answers": one.answers.row() if one.answers else None,
                "shuffled": [one.shuffled.detection, one.shuffled.fuzzing] if one.shuffled else None,
                "asked": one.asked,
                "unparseable": one.unparseable,
            }
            for (latent, _), one in zip(sentences, tried, strict=True)
        ],
    }


def _text_model(bench: ComputeContext, source: str) -> AbstractContextManager[TextModel]:
    if source.startswith(ENDPOINT):
        return bench.open_endpoint(source.removeprefix(ENDPOINT))
    return nullcontext(LocalTextModel(bench.open_model(source.removeprefix(LOCAL))))


def _halves(read: Read) -> tuple[Read, Read]:
    names = list(dict.fromkeys(prompt.application for prompt in read.corpus.prompts))
    return read.take(read.corpus.rows_of(names[::2])), read.take(read.corpus.rows_of(names[1::2]))


def _columns(read: Read, limits: Any) -> csc_matrix:
    return active_entries(read.activations, limits).tocsc()


def _row(one: Described, corpus: Corpus, columns: csc_matrix) -> dict[str, Any]:
    strength = _dense(columns, one.latent)
    piece = np.flatnonzero(corpus.context == corpus.context[int(strength.argmax())])
    return {
        "latent": one.latent,
        "words": words_of(one.predicate, corpus) if one.predicate is not None else None,
        "reason": one.reason,
        "active": one.active,
        "example": marked(corpus, piece, strength >= one.threshold),
    }


def _dense(columns: csc_matrix, latent: int) -> FloatArray:
    """The activation of one latent on every token."""
    found = np.zeros(columns.shape[0])
    entries = slice(columns.indptr[latent], columns.indptr[latent + 1])
    found[columns.indices[entries]] = columns.data[entries]
    return found


def _reported(read: Read, payload: Mapping[str, Any], norms: Any, *, most: int) -> list[int]:
    """Which features are reported one by one: chosen on the applications that descriptions are made from."""
    found, _ = tails(read, norms=norms).halves()
    noise = found.response(payload["placebo"]) if payload["placebo"] else np.zeros(len(found.latents))
    each = max(1, most // (2 * max(1, len(payload["attributes"]))))
    chosen: dict[int, None] = {}
    for attribute in payload["attributes"]:
        chosen.update(dict.fromkeys(responding(found.response(attribute), noise=noise, most=each)))
    filed = [row for row, changed in enumerate(found.changed) if changed is None]
    spread_out = found.values[filed, -1].std(axis=0)
    chosen.update(
        dict.fromkeys(int(latent) for latent in np.argsort(-spread_out, kind="stable") if spread_out[latent] > 0)
    )
    return [int(found.latents[latent]) for latent in list(chosen)[:most]]


def _mean(answers: Sequence[Answers], name: str) -> float:
    return float(np.mean([getattr(one, name) for one in answers]))
