"""The reported features as a model describes them in its own sentences, tried by another model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from auditor.exceptions import Interrupted, ModelError
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.corpus import Read
from auditor.mechanisms._shared.text_model import TextModel
from auditor.mechanisms.interpretation.card import ENDPOINT, LOCAL, Settings
from auditor.mechanisms.interpretation.describers import (
    LocalTextModel,
    Tried,
    describe_by_model,
    try_descriptions,
)
from auditor.mechanisms.interpretation.describing import columns_of, dense, halves, thresholds
from auditor.mechanisms.interpretation.result import Exchanged, FeatureInWords, NoModels, Told, ToldByModels
from auditor.mechanisms.interpretation.scores import HeldOut, derangements
from auditor.systems.exceptions import SystemStopped

SAID_NOTHING = "the describer said nothing"


def told_by_models(context: ComputeContext, read: Read, reported: Sequence[int]) -> ToldByModels | NoModels:
    """Sentences of a model for the reported features, tried by another model; or the reason why there are none.

    A model that cannot be had takes nothing else of this chunk with it.
    """
    try:
        return _told(context, read, reported)
    except (ModelError, SystemStopped) as error:
        settings: Settings = context.settings
        return NoModels(describer=settings.describer, scorer=settings.scorer, reason=str(error))


def _told(context: ComputeContext, read: Read, reported: Sequence[int]) -> ToldByModels:
    settings: Settings = context.settings
    first, second = halves(read)
    limits = thresholds(first.activations, strong=settings.strong)
    held = HeldOut(second.corpus, columns_of(second, limits))
    ours, columns = columns_of(first, limits), first.activations.tocsc()
    chosen = [
        latent
        for latent in reported
        if ours.indptr[latent + 1] > ours.indptr[latent]
        and held.problem(held.tokens(latent), least=settings.least) is None
    ]
    sentences: list[tuple[int, str | None]] = []
    with _text_model(context, settings.describer) as describer:
        for latent in chosen:
            if context.should_stop():
                raise Interrupted("stopped between two features; nothing of this chunk is kept")
            strength = dense(columns, latent)
            words = describe_by_model(describer, first.corpus, strength, strength >= limits[latent])
            sentences.append((latent, words))
    orders = derangements(len(chosen), rounds=1, seed=context.plan.cases.seed)
    with _text_model(context, settings.scorer) as scorer:
        tried = try_descriptions(
            scorer,
            held,
            sentences,
            order=orders[0] if orders else None,
            contexts=settings.contexts,
            seed=context.plan.cases.seed,
            should_stop=context.should_stop,
        )
    return ToldByModels(
        describer=settings.describer,
        scorer=settings.scorer,
        identities=(describer.identity, scorer.identity),
        not_tried=len(reported) - len(chosen),
        features=tuple(_row(latent, one) for (latent, _), one in zip(sentences, tried, strict=True)),
    )


def _row(latent: int, tried: Tried) -> Told:
    exchanged = tried.shuffled
    return Told(
        feature=FeatureInWords(
            latent=latent,
            words=tried.words,
            reason=None if tried.answers else SAID_NOTHING,
            answers=tried.answers,
            exchanged=Exchanged(detection=exchanged.detection, fuzzing=exchanged.fuzzing) if exchanged else None,
        ),
        asked=tried.asked,
        unparseable=tried.unparseable,
    )


def _text_model(context: ComputeContext, source: str) -> AbstractContextManager[TextModel]:
    if source.startswith(ENDPOINT):
        return context.open_endpoint(source)
    return nullcontext(LocalTextModel(context.open_model(source.removeprefix(LOCAL))))
