"""Automated interpretation: what the features of the run's dictionary respond to, in words, and how far words hold.

Descriptions are made on half of the applications and tried on the other half. By default rules make them and a matcher
that sees nothing but the description tries them (describing.py, scores.py); no model takes part. A model of
the store, or of an endpoint that an administrator has listed, may describe as well, and then another one tries
(by_models.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_matrix
from threadpoolctl import threadpool_limits

from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.corpus import Corpus, Read
from auditor.mechanisms._shared.feature_contrasts import (
    activations_of,
    features_payload,
    features_work,
    read_states,
)
from auditor.mechanisms._shared.feature_responses import responding, tails
from auditor.mechanisms.interpretation.answers import Answers
from auditor.mechanisms.interpretation.by_models import told_by_models
from auditor.mechanisms.interpretation.card import CARD, RULES, Settings
from auditor.mechanisms.interpretation.describers import marked
from auditor.mechanisms.interpretation.describing import (
    Described,
    Search,
    columns_of,
    dense,
    describe,
    halves,
    thresholds,
)
from auditor.mechanisms.interpretation.measure import measures
from auditor.mechanisms.interpretation.predicates import Cells, words_of
from auditor.mechanisms.interpretation.result import Exchanged, FeatureInWords, Interpreted, Payload
from auditor.mechanisms.interpretation.scores import HeldOut, Question, derangements, recount
from auditor.mechanisms.sae.dictionary import speaking_dictionary
from auditor.mechanisms.sae.rows import NoDictionary
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
    payload = features_payload(asked, applications=settings.applications, fields=fields, swaps=settings.changes)
    yield features_work(asked, payload, payload)


def compute(context: ComputeContext, payload: Payload) -> Interpreted | NoDictionary:
    """Read the applications, describe every feature on half of them and score it on the other half."""
    dictionary = speaking_dictionary(context, payload.dictionary)
    if isinstance(dictionary, NotApplicable):
        return NoDictionary(reason=dictionary.reason)
    settings: Settings = context.settings
    with threadpool_limits(context.plan.budget.threads):
        corpus, states = read_states(context, payload.contrasts, decoder=context.decoder(), layer=dictionary.layer)
        read = Read(corpus, activations_of(dictionary, states))
        norms = np.linalg.norm(dictionary.autoencoder.decoder.detach().cpu().numpy(), axis=1).astype(np.float64)
        features = interpret(read, settings=settings, seed=context.plan.cases.seed)
        reported = _reported(read, payload, norms, most=settings.report)
        return Interpreted(
            layer=dictionary.layer,
            latents=dictionary.autoencoder.latents,
            tokens=len(corpus),
            features=features,
            reported=reported,
            by_models=None if settings.describer == RULES else told_by_models(context, read, reported),
        )


def measure(context: Context, results: Sequence[Interpreted | NoDictionary]) -> Iterable[UnadjustedMeasurement]:
    """Scores of all descriptions together, of exchanged ones, and of every reported feature."""
    return measures(context, results, test=CARD.name)


@dataclass(frozen=True)
class _Score:
    """How a description was tried: what was asked, what it got right, and how far a recount is from that."""

    question: Question
    answers: Answers
    recounted: float | None


def interpret(read: Read, *, settings: Settings, seed: int) -> tuple[FeatureInWords, ...]:
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
    tuple of FeatureInWords
        One for every latent that acts where it is described.
    """
    first, second = halves(read)
    search = Search(strong=settings.strong, least=settings.least, floor=settings.floor)
    described = describe(first, search=search)
    held = HeldOut(second.corpus, columns_of(second, thresholds(first.activations, strong=settings.strong)))
    cells = Cells(second.corpus)
    problems: dict[int, str] = {}
    scored: dict[int, _Score] = {}
    for place, one in enumerate(described):
        if one.predicate is None:
            continue
        active = held.tokens(one.latent)
        problem = held.problem(active, least=settings.least)
        if problem is not None:
            problems[place] = problem
            continue
        question, said = Question(held, active), cells.matches(one.predicate)
        answers = question.answered(said)
        recounted = None
        if len(scored) % RECOUNTED == 0:
            again = recount(held, active, said)
            recounted = max(abs(answers.detection - again[0]), abs(answers.fuzzing - again[1]))
        scored[place] = _Score(question, answers, recounted)
    exchanged = _exchanged(described, scored, cells, rounds=settings.shuffles, seed=seed)
    columns = first.activations.tocsc()
    return tuple(
        FeatureInWords(
            latent=one.latent,
            words=words_of(one.predicate, first.corpus) if one.predicate is not None else None,
            reason=problems.get(place, one.reason),
            active=one.active,
            example=_example(one, first.corpus, columns),
            answers=scored[place].answers if place in scored else None,
            recounted=scored[place].recounted if place in scored else None,
            exchanged=exchanged.get(place),
        )
        for place, one in enumerate(described)
    )


def _exchanged(
    described: Sequence[Described], scored: Mapping[int, _Score], cells: Cells, *, rounds: int, seed: int
) -> dict[int, Exchanged]:
    """What every feature that was tried scores with the descriptions of others that were."""
    places = list(scored)
    orders = derangements(len(places), rounds=rounds, seed=seed)
    found: dict[int, Exchanged] = {}
    for position, place in enumerate(places):
        others = [described[places[order[position]]].predicate for order in orders]
        answers = [scored[place].question.answered(cells.matches(other)) for other in others if other is not None]
        if answers:
            found[place] = Exchanged(
                detection=float(np.mean([one.detection for one in answers])),
                fuzzing=float(np.mean([one.fuzzing for one in answers])),
            )
    return found


def _example(one: Described, corpus: Corpus, columns: csc_matrix) -> str:
    """The piece of a prompt with the strongest token."""
    strength = dense(columns, one.latent)
    piece = np.flatnonzero(corpus.context == corpus.context[int(strength.argmax())])
    return marked(corpus, piece, strength >= one.threshold)


def _reported(read: Read, payload: Payload, norms: FloatArray, *, most: int) -> tuple[int, ...]:
    """Which features are reported one by one: chosen on the applications that descriptions are made from."""
    found, _ = tails(read, norms=norms).halves()
    noise = found.response(payload.placebo) if payload.placebo else np.zeros(len(found.latents))
    each = max(1, most // (2 * max(1, len(payload.attributes))))
    chosen: dict[int, None] = {}
    for attribute in payload.attributes:
        chosen.update(dict.fromkeys(responding(found.response(attribute), noise=noise, most=each)))
    filed = [row for row, changed in enumerate(found.changed) if changed is None]
    spread_out = found.values[filed, -1].std(axis=0)
    chosen.update(
        dict.fromkeys(int(latent) for latent in np.argsort(-spread_out, kind="stable") if spread_out[latent] > 0)
    )
    return tuple(int(found.latents[latent]) for latent in list(chosen)[:most])
