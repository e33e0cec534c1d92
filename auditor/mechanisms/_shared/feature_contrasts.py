"""Applications with one field changed at a time, and the states of the model on all their distinct tokens.

What is changed is planned before a model is asked: protected attributes to every other group, the placebo to another
number, and predictor fields to what another application says there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
from auditor.mechanisms._shared.bench import ComputeContext
from auditor.mechanisms._shared.concepts import suffix_tokens
from auditor.mechanisms._shared.corpus import Corpus, CorpusBuilder, CorpusPrompt
from auditor.mechanisms.sae.dictionary import Dictionary, dictionary_payload, dictionary_tokens
from auditor.prompts import Rendered
from auditor.testing.chunks import ChunkSpec, PlanContext

States = npt.NDArray[np.float32]
ENCODED_AT_ONCE = 2048


def contrast_payload(
    asked: PlanContext, clusters: Sequence[Cluster], *, fields: Sequence[str], swaps: int | None = None
) -> dict[str, Any]:
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
        changes: list[list[Any]] = []
        for attribute in asked.plan.attributes:
            mine = asked.words[own][attribute.field]
            changes += [[attribute.field, group, group] for group in attribute.groups if group != mine]
        changes += [[case.changed, *_placebo(case.prompt, case.spans[case.changed])] for case in _placebos(cluster)]
        for turn in range(wanted):
            name = names[(number * wanted + turn) % len(names)]
            donor = donors[name].get(own)
            if donor is not None:
                changes.append([name, asked.words[donor.application.id][name], _value(asked, donor, name)])
        cases.append(
            {
                "id": own,
                "words": {name: asked.words[own][name] for name in asked.fields},
                "values": {name: _value(asked, cluster, name) for name in asked.fields},
                "changes": changes,
            }
        )
    return {"labels": {name: asked.labels[name] for name in asked.fields}, "cases": cases}


def spread(clusters: Sequence[Cluster], applications: int) -> list[Cluster]:
    """So many of the run's applications, at even steps through them."""
    count = min(applications, len(clusters))
    return [clusters[number * len(clusters) // count] for number in range(count)]


def contrast_work(
    asked: PlanContext, *, applications: int, fields: Sequence[str], swaps: int | None = None, **more: Any
) -> ChunkSpec:
    """One chunk that reads some applications with one field changed at a time, through the run's dictionary.

    ``more`` is added to the payload; the rest is as for :func:`contrast_payload`.
    """
    clusters = spread(asked.clusters, applications)
    payload = {
        **contrast_payload(asked, clusters, fields=fields, swaps=swaps),
        "attributes": [attribute.field for attribute in asked.plan.attributes],
        "placebo": asked.plan.placebo.field if asked.plan.placebo else None,
        "dictionary": dictionary_payload(asked),
        **more,
    }
    tokens = dictionary_tokens(payload["dictionary"], asked)
    for cluster, case in zip(clusters, payload["cases"], strict=True):
        tokens += asked.count_tokens(cluster.cases[0].prompt)
        tokens += sum(suffix_tokens(asked, cluster, name)[1] for name, _, _ in case["changes"])
    return ChunkSpec(prompts_of(payload), tokens, payload)


def prompts_of(payload: Mapping[str, Any]) -> int:
    """How many prompts a payload stands for."""
    return sum(1 + len(case["changes"]) for case in payload["cases"])


def read_states(
    bench: ComputeContext, payload: Mapping[str, Any], *, decoder: Decoder | ResidualView, layer: int
) -> tuple[Corpus, States]:
    """Render, tokenise and run every prompt of a payload up to one layer.

    What all prompts begin with is left out: it is the same in every application, so nothing could be held out of it.

    Parameters
    ----------
    bench
        The model.
    payload
        From :func:`contrast_payload`.
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
    applications = [_rendered(bench, case) for case in payload["cases"]]
    first = applications[0][0].rendered.spans
    builder = CorpusBuilder(tuple(sorted(first, key=lambda name: first[name])), payload["labels"])
    common = shared_length([each.encoding.ids for written in applications for each in written])
    kept: list[States] = []
    with torch.inference_mode():
        for written in applications:
            if bench.should_stop():
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


def _rendered(bench: ComputeContext, case: Mapping[str, Any]) -> list[_Written]:
    """All prompts of one application, as filed first."""
    prompts = [CorpusPrompt(case["id"], None, case["words"], case["values"])]
    for name, words, value in case["changes"]:
        prompts.append(CorpusPrompt(case["id"], name, {**case["words"], name: words}, {**case["values"], name: value}))
    rendered = [bench.render(prompt.words) for prompt in prompts]
    chat = bench.plan.prompt.form == "chat"
    encodings = encode(bench.loaded.tokenizer, [item.text for item in rendered], chat=chat)
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


def _rank(value: Any) -> tuple[int, float, str]:
    if isinstance(value, bool | int | float):
        return (0, float(value), "")
    return (1, 0.0, "" if value is None else str(value))


def _value(asked: PlanContext, cluster: Cluster, name: str) -> Any:
    """The typed value; for the placebo, which is not a field of the data, its number."""
    values = cluster.application.values
    return values[name] if name in values else _number(asked.words[cluster.application.id][name])


def _number(words: str) -> Any:
    return int(words) if words.isdigit() else words


def _placebos(cluster: Cluster) -> list[Any]:
    return [case for case in cluster.cases if case.role == PLACEBO and case.changed is not None][:1]


def _placebo(prompt: str, span: tuple[int, int]) -> tuple[str, Any]:
    words = prompt[span[0] : span[1]]
    return words, _number(words)


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
