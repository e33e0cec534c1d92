"""Applications with one field changed at a time, and the states of the model on all their distinct tokens.

What is changed is planned before a model is asked: protected attributes to every other group, the placebo to another
number, and predictor fields to what another application says there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix, vstack

from auditor.counterfactuals import PLACEBO, Cluster
from auditor.exceptions import Interrupted, ScoringError
from auditor.language_models.activations import shared_length
from auditor.language_models.answers import Encoding, encode
from auditor.language_models.decoder import Decoder
from auditor.language_models.kv_cache import Past
from auditor.language_models.residual_view import ResidualView
from auditor.language_models.sites import RESIDUAL
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.concepts import suffix_tokens
from auditor.mechanisms._shared.contrast_rows import Change, ContrastCase, ContrastCases, FeaturesPayload, Value
from auditor.mechanisms._shared.corpus import Corpus, CorpusBuilder, CorpusPrompt
from auditor.mechanisms.sae.dictionary import Dictionary
from auditor.mechanisms.sae.planned import dictionary_payload, dictionary_tokens
from auditor.prompts import Rendered
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.rows import Row

States = npt.NDArray[np.float32]
ENCODED_AT_ONCE = 2048


def contrasts_of(
    asked: PlanContext, clusters: Sequence[Cluster], *, fields: Sequence[str], swaps: int | None = None
) -> ContrastCases:
    """What a chunk needs to render some applications, as filed and with one field changed.

    Parameters
    ----------
    asked
        What the run asks.
    clusters
        The applications, in order.
    fields
        Predictor fields that are changed to another application's words.
    swaps
        How many of them an application changes, in turns, so that all are changed somewhere; all by default.
    """
    names = [name for name in fields if name in asked.fields]
    wanted = len(names) if swaps is None else min(swaps, len(names))
    donors = {name: _donors(asked, clusters, name) for name in names}
    cases = []
    for number, cluster in enumerate(clusters):
        own = cluster.application.id
        changes: list[Change] = []
        for attribute in asked.plan.attributes:
            mine = asked.words[own][attribute.field]
            others = [group for group in attribute.groups if group != mine]
            changes += [Change(field=attribute.field, words=group, value=group) for group in others]
        changes += _placebo(cluster)
        for turn in range(wanted):
            name = names[(number * wanted + turn) % len(names)]
            donor = donors[name].get(own)
            if donor is not None:
                words = asked.words[donor.application.id][name]
                changes.append(Change(field=name, words=words, value=_value(asked, donor, name)))
        cases.append(
            ContrastCase(
                id=own,
                words={name: asked.words[own][name] for name in asked.fields},
                values={name: _value(asked, cluster, name) for name in asked.fields},
                changes=tuple(changes),
            )
        )
    return ContrastCases(labels={name: asked.labels[name] for name in asked.fields}, cases=tuple(cases))


def spread(clusters: Sequence[Cluster], applications: int) -> list[Cluster]:
    """So many of the run's applications, at even steps through them."""
    count = min(applications, len(clusters))
    return [clusters[number * len(clusters) // count] for number in range(count)]


def features_payload(
    asked: PlanContext, *, applications: int, fields: Sequence[str], swaps: int | None = None
) -> FeaturesPayload:
    """Some applications with one field changed at a time, and the dictionary they are read through.

    Parameters are as for :func:`contrasts_of`, of so many applications.
    """
    return FeaturesPayload(
        contrasts=contrasts_of(asked, spread(asked.clusters, applications), fields=fields, swaps=swaps),
        attributes=tuple(attribute.field for attribute in asked.plan.attributes),
        placebo=asked.plan.placebo.field if asked.plan.placebo else None,
        dictionary=dictionary_payload(asked),
    )


def features_work(asked: PlanContext, reading: FeaturesPayload, payload: Row) -> ChunkSpec:
    """The chunk that reads these contrasts, with ``payload``, which holds it, as its input."""
    cases = reading.contrasts.cases
    tokens = dictionary_tokens(reading.dictionary, asked)
    for cluster, case in zip(spread(asked.clusters, len(cases)), cases, strict=True):
        tokens += asked.count_tokens(cluster.cases[0].prompt)
        tokens += sum(suffix_tokens(asked, cluster, change.field)[1] for change in case.changes)
    return ChunkSpec(reading.contrasts.prompts, tokens, payload)


def read_states(
    context: ComputeContext, contrasts: ContrastCases, *, decoder: Decoder | ResidualView, layer: int
) -> tuple[Corpus, States]:
    """Render, tokenise and run every prompt up to one layer.

    What all prompts begin with is left out: it is the same in every application, so nothing could be held out of it.

    Parameters
    ----------
    context
        The model.
    contrasts
        The applications and their changes.
    decoder
        From ``read_decoder``.
    layer
        The stream before this block is kept.

    Returns
    -------
    tuple
        The corpus, and the state of every token of it, shape (tokens, width).

    Raises
    ------
    Interrupted
        If a stop was asked for.
    ScoringError
        If a state is not finite.
    """
    applications = [_rendered(context, case) for case in contrasts.cases]
    first = applications[0][0].rendered.spans
    builder = CorpusBuilder(tuple(sorted(first, key=lambda name: first[name])), contrasts.labels)
    common = shared_length([each.encoding.ids for written in applications for each in written])
    kept: list[States] = []
    with torch.inference_mode():
        for written in applications:
            if context.should_stop():
                raise Interrupted("stopped between two applications; nothing of this chunk is kept")
            base = written[0].encoding.ids
            starts = [common, *(_first_difference(base, other.encoding.ids) for other in written[1:])]
            kept += _states(decoder, [each.encoding.ids for each in written], starts, layer)
            for each, start in zip(written, starts, strict=True):
                offsets = each.encoding.offsets
                builder.add(
                    each.prompt,
                    tokens=[each.rendered.text[begin:end] for begin, end in offsets],
                    offsets=offsets,
                    spans=each.rendered.spans,
                    start=start,
                )
    states = np.concatenate(kept)
    if not np.isfinite(states).all():
        raise ScoringError("a state of the model is not a finite number")
    return builder.finished(), states


def activations_of(dictionary: Dictionary, states: States) -> csr_matrix:
    """The active latents of every state, [tokens, latents]: none where a state is beyond the dictionary's limit."""
    autoencoder = dictionary.autoencoder
    parts = []
    with torch.inference_mode():
        for start in range(0, len(states), ENCODED_AT_ONCE):
            batch = torch.from_numpy(states[start : start + ENCODED_AT_ONCE]).to(autoencoder.encoder)
            codes = autoencoder.encode(batch)
            values = codes.values * dictionary.readable(batch)[codes.tokens]
            arrays = [part.cpu().numpy() for part in (values, codes.features, codes.offsets)]
            parts.append(csr_matrix(tuple(arrays), shape=(len(codes), codes.latents)))
    whole = csr_matrix(vstack(parts))
    whole.eliminate_zeros()
    whole.sort_indices()
    return whole


@dataclass(frozen=True)
class _Written:
    """A prompt as it is read."""

    prompt: CorpusPrompt
    rendered: Rendered
    encoding: Encoding


def _rendered(context: ComputeContext, case: ContrastCase) -> list[_Written]:
    """All prompts of one application, as filed first."""
    prompts = [CorpusPrompt(case.id, None, case.words, case.values)]
    for change in case.changes:
        words, values = {change.field: change.words}, {change.field: change.value}
        prompts.append(CorpusPrompt(case.id, change.field, {**case.words, **words}, {**case.values, **values}))
    rendered = [context.render(prompt.words) for prompt in prompts]
    chat = context.plan.prompt.form == "chat"
    encodings = encode(context.loaded.tokenizer, [item.text for item in rendered], chat=chat)
    return [_Written(*parts) for parts in zip(prompts, rendered, encodings, strict=True)]


def _donors(asked: PlanContext, clusters: Sequence[Cluster], name: str) -> dict[str, Cluster]:
    """For every application one that says something else there: half the applications further on by value."""
    ranked = sorted(clusters, key=lambda each: (_rank(_value(asked, each, name)), each.application.id))
    found: dict[str, Cluster] = {}
    for place, cluster in enumerate(ranked):
        words = asked.words[cluster.application.id][name]
        for step in range(len(ranked)):
            other = ranked[(place + len(ranked) // 2 + step) % len(ranked)]
            if asked.words[other.application.id][name] != words:
                found[cluster.application.id] = other
                break
    return found


def _rank(value: Value) -> tuple[int, float, str]:
    if isinstance(value, bool | int | float):
        return (0, float(value), "")
    return (1, 0.0, "" if value is None else str(value))


def _value(asked: PlanContext, cluster: Cluster, name: str) -> Value:
    """The typed value; for the placebo, which is not a field of the data, its number."""
    values = cluster.application.values
    return values[name] if name in values else _number(asked.words[cluster.application.id][name])


def _number(words: str) -> Value:
    return int(words) if words.isdigit() else words


def _placebo(cluster: Cluster) -> list[Change]:
    """The first change of the application that means nothing; none where the plan has no placebo."""
    for case in cluster.cases:
        if case.role == PLACEBO and case.changed is not None:
            first, last = case.spans[case.changed]
            words = case.prompt[first:last]
            return [Change(field=case.changed, words=words, value=_number(words))]
    return []


def _first_difference(base: Sequence[int], other: Sequence[int]) -> int:
    pairs = zip(base, other, strict=False)
    return next((place for place, (one, two) in enumerate(pairs) if one != two), min(len(base), len(other)))


def _states(
    decoder: Decoder | ResidualView, sequences: Sequence[Sequence[int]], starts: Sequence[int], layer: int
) -> list[States]:
    """States from its start on of every sequence; what comes before is the first sequence's."""
    found: list[States] = []
    past: Past | None = None
    for ids, start in zip(sequences, starts, strict=True):
        tokens = torch.tensor([list(ids)]).to(decoder.model.device)
        if isinstance(decoder, ResidualView):
            states = decoder.run(tokens, capture=[(RESIDUAL, layer)]).states[RESIDUAL, layer][0, start:]
        elif past is None:
            run = decoder.run_from(0, decoder.embed(tokens), keep_past=True, stop=layer)
            past, states = run.past, run.final[0, start:]
        else:
            stream = decoder.embed(tokens[:, start:], start=start)
            states = decoder.run_from(0, stream, past=past.upto(start) if start else None, stop=layer).final[0]
        found.append(states.float().cpu().numpy())
    return found
