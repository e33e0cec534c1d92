"""Chunks of the tests that look inside the model: planned with a run, computed and kept like any other chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from auditor.applications import Applications
from auditor.canonical import canonical_json
from auditor.chat import chat_wrapper
from auditor.chunk_rows import OwnWork
from auditor.counterfactuals import Cluster, prompt_template, words_of
from auditor.exceptions import ModelError
from auditor.language_models.answers import encode
from auditor.language_models.local import LoadedModel, load
from auditor.language_models.packed import PackedScorer
from auditor.language_models.positions import switch_length
from auditor.language_models.residual_view import unseen_stream
from auditor.language_models.store import ModelStore
from auditor.ledger import Chunk
from auditor.mechanisms._shared.compute import ComputeContext, OpensEndpoint, no_endpoint
from auditor.plan import Plan
from auditor.prompts import Rendered, render
from auditor.run_record import RunRecord
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.settings import HasSettings, settings_of

LISTENED = 8
"""Applications that are asked first, whether the model answers at all."""


class Plans(HasSettings, Protocol):
    """A test that has chunks of its own."""

    def plan_chunks(self, asked: PlanContext) -> Iterable[ChunkSpec]:
        """Plan the chunks. Pure: the same run gives the same chunks."""


def plan_work(
    tests: Sequence[Plans],
    *,
    plan: Plan,
    data: Applications,
    clusters: Sequence[Cluster],
    tokenizer: Any,
    first: int,
    where: str,
) -> Iterator[Chunk]:
    """The chunks of ``tests``, in their order, numbered from ``first``.

    Raises
    ------
    PlanError
        If a test's settings do not fit the plan.
    """
    words = {cluster.application.id: words_of(plan, data, cluster.application)[0] for cluster in clusters}
    roles = {item.name: item.role for item in data.mapping.fields}
    labels = {item.name: item.label for item in data.mapping.fields}
    if plan.placebo is not None:
        roles[plan.placebo.field] = "placebo"
        labels[plan.placebo.field] = plan.placebo.label
    template = prompt_template(plan, [(item.name, item.label, item.role) for item in data.mapping.fields], where=where)
    chat = plan.prompt.form == "chat"
    listened = [cluster.cases[0].prompt for cluster in clusters[:: max(1, len(clusters) // LISTENED)][:LISTENED]]
    index = first
    for test in tests:
        asked = PlanContext(
            plan=plan,
            settings=settings_of(plan, test, where=where),
            clusters=clusters,
            words=words,
            fields=template.names,
            roles={name: roles[name] for name in template.names},
            labels={name: labels[name] for name in template.names},
            count_tokens=lambda prompt: len(encode(tokenizer, [prompt], chat=chat)[0].ids),
        )
        for work in test.plan_chunks(asked):
            yield _chunk(index, test.CARD.name, work, listened)
            index += 1


def compute_context_for(
    test: HasSettings,
    *,
    plan: Plan,
    run: RunRecord,
    loaded: LoadedModel,
    scorer: PackedScorer,
    should_stop: Callable[[], bool],
    store: ModelStore | None = None,
    open_endpoint: OpensEndpoint = no_endpoint,
) -> ComputeContext:
    """What a chunk of ``test`` works with; ``run`` is the frozen run record, whose mapping names the fields.

    ``store`` is where other models come from that the test's settings name, ``open_endpoint`` opens endpoints.
    """
    fields = [(item.name, item.label, item.role) for item in run.data.mapping.fields]
    template = prompt_template(plan, fields, where="run")
    chat = plan.prompt.form == "chat"
    prompt = plan.prompt
    wrap = chat_wrapper(loaded.tokenizer, prompt.system, where="run", day=prompt.date) if chat else None

    def rendered(words: Mapping[str, str]) -> Rendered:
        plain = render(template, words)
        whole: Rendered = wrap(plain) if wrap is not None else plain
        return whole

    def other(source: str) -> LoadedModel:
        if store is None:
            raise ModelError(source, "no model store is at hand here", "a run that brings one")
        return load(store.import_model(source), threads=plan.budget.threads)

    return ComputeContext(
        plan=plan,
        settings=settings_of(plan, test, where="run"),
        loaded=loaded,
        scorer=scorer,
        render=rendered,
        should_stop=should_stop,
        longest=run.longest_prompt,
        open_model=other,
        open_endpoint=open_endpoint,
    )


def silence(context: ComputeContext, prompts: Sequence[str]) -> str | None:
    """Why there is no decision to look into: most of some prompts leave the answers under the plan's mass floor.

    Or its states cannot be read: an encoding of positions that changes with a prompt's length, a stream that hooks do
    not reach.

    The margin of a model that does not answer compares two improbable words; where it comes from explains nothing. A
    few prompts tell before any work is done, the same ones for every chunk.
    """
    switch = switch_length(context.loaded.model)
    if switch is not None and context.longest > switch:
        # Rows of different length are padded to one, and past the switch the longest would say how all are read.
        return (
            f"past {switch} tokens the model's position encoding reads a prompt by its length, and the longest prompt "
            f"of the run has {context.longest}: states of prompts run together are not those of each alone"
        )
    if unseen := unseen_stream(context.loaded.model):
        return unseen
    floor = context.plan.prompt.answers.mass_floor
    masses = context.masses(prompts)
    silent = int((masses < floor).sum())
    if 2 * silent <= len(prompts):
        return None
    return (
        f"the model does not answer: {silent} of {len(prompts)} applications leave the planned answers less than "
        f"{floor:.0%} of the probability (their median is {float(np.median(masses)):.1%}), so there is no decision to "
        "look into"
    )


def _chunk(index: int, kind: str, work: ChunkSpec, listened: Sequence[str]) -> Chunk:
    payload = canonical_json(OwnWork(kind=kind, work=work.payload.row(), listened=tuple(listened)).row())
    return Chunk(index=index, kind=kind, prompts=work.prompts, tokens=work.tokens, payload=payload)
