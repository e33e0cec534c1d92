"""From a plan to the frozen run record and its chunks. Pure: boundaries follow from the plan's token budget alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import count
from typing import Any, NamedTuple

from auditor.applications import Applications
from auditor.canonical import canonical_json
from auditor.catalogue import find_tests, looks_inside
from auditor.chat import chat_wrapper
from auditor.chunk_rows import SHARED, UNSHARED, Asked, Asking, Questions
from auditor.counterfactuals import Cluster, Selection, make_clusters, select
from auditor.exceptions import PlanError
from auditor.language_models.answers import Question, ask, refuse_unembedded
from auditor.language_models.local import embedded_tokens, read_stored_tokenizer
from auditor.language_models.safety import TRAINING_RECORD
from auditor.language_models.stored import StoredModel
from auditor.language_models.trie import distinct_tokens
from auditor.ledger import Chunk
from auditor.making import Prepared, device_kind, made_here
from auditor.mechanisms._shared.work import plan_work
from auditor.plan import Plan
from auditor.policies.packs import load_packs
from auditor.records import Case
from auditor.replicates import replicated
from auditor.run_record import (
    BoundData,
    BoundModel,
    HowGenerated,
    HowRead,
    PackPin,
    PromptFigures,
    RowCounts,
    RunMapping,
    RunRecord,
)
from auditor.testing.sampling import batches
from auditor.testing.settings import settings_of
from auditor.text_reading import how_generated


def prepare_weights(
    *, plan: Plan, model: StoredModel, data: Applications, where: str = "plan", device: str = "cpu"
) -> Prepared:
    """Bind a design to a model and data: choose applications, render and tokenise cases, cut chunks.

    Parameters
    ----------
    plan
        The design.
    model
        An imported model; only its tokenizer is used here.
    data
        The applications.
    where
        Name of the plan, for errors.
    device
        The torch device the run will be scored on. Its kind is frozen: kinds differ in the last digits.

    Raises
    ------
    InputError
        For whatever in plan, model or data does not fit together.
    """
    inside = [test for test in find_tests(plan.tests.run, where=where) if looks_inside(test)]
    tokenizer = read_stored_tokenizer(model)
    seen = training_rows(model, data)
    selection = select(plan, data, seen=seen, where=where)
    chat = plan.prompt.form == "chat"
    wrap = chat_wrapper(tokenizer, plan.prompt.system, where=where, day=plan.prompt.date) if chat else None
    how = how_generated(plan, where=where)
    clusters = make_clusters(plan, data, selection.records, chat=wrap, where=where)
    asked = replicated(clusters, 1 if how is None else how.replicates)
    questions = _questions(tokenizer, asked, plan, where=where)
    every = [question for here, again in questions for question in (*here, *again)]
    refuse_unembedded(every, rows=embedded_tokens(model), tokenizer=tokenizer, where=plan.run.model)
    growth = 0 if how is None else how.max_tokens
    longest = _longest(plan, model, asked, questions, growth=growth, where=where)
    run = frozen_record(
        plan=plan,
        model=model,
        data=data,
        selection=selection,
        clusters=clusters,
        seen=seen,
        longest=longest,
        settings={test.CARD.name: settings_of(plan, test, where=where).model_dump(mode="json") for test in inside},
        device=device,
        where=where,
        generated=how,
    )
    chunks = list(_chunks(plan, asked, questions, growth=growth))
    chunks += plan_work(
        inside, plan=plan, data=data, clusters=clusters, tokenizer=tokenizer, first=len(chunks), where=where
    )
    return Prepared(
        run=run,
        chunks=tuple(chunks),
        prompts=sum(chunk.prompts for chunk in chunks),
        tokens=sum(chunk.tokens for chunk in chunks),
    )


def frozen_record(
    *,
    plan: Plan,
    model: StoredModel,
    data: Applications,
    selection: Selection,
    clusters: Sequence[Cluster],
    seen: frozenset[str],
    longest: int | None,
    settings: dict[str, dict[str, Any]],
    device: str,
    where: str,
    reading: HowRead | None = None,
    generated: HowGenerated | None = None,
) -> RunRecord:
    """Everything that a run's numbers follow from, as it is frozen.

    Parameters
    ----------
    plan, model, data
        What is bound together.
    selection, clusters, seen
        The applications that are asked about, their cases, and the ids that the model's training record lists.
    longest
        Tokens of the longest prompt with its answer; ``None`` where nobody counts them.
    settings
        Of each test on internals.
    device
        The torch device it will be scored on.
    where
        Name of the plan, for errors.
    reading
        How the answers of a system are read; ``None`` for weights.
    generated
        How texts of weights are generated and read; ``None`` where they give log-odds.
    """
    packs = load_packs(plan.use.policy_packs, where=where)
    left_out = dict(selection.left_out)
    for attribute in plan.attributes:
        outside = sum(record.values[attribute.field] not in attribute.groups for record in selection.records)
        left_out[f"{attribute.field} in none of the plan's groups, left out of its contrasts"] = outside
    alike = _alike(clusters, plan.placebo.field if plan.placebo else None)
    # What is not given is not hashed: a run of weights has no such key, as before there was one.
    more: dict[str, Any] = {} if reading is None else {"reading": reading}
    if generated is not None:
        more["generated"] = generated
    return RunRecord(
        design=plan.design(),
        design_sha256=plan.design_sha256,
        model=BoundModel(source=plan.run.model, sha256=model.sha256, manifest=model.identity),
        data=BoundData(
            source=data.source,
            name=data.mapping.name,
            title=data.mapping.title,
            citation=data.mapping.citation,
            population=data.mapping.population,
            fingerprint=data.fingerprint,
            file_sha256=data.file_sha256,
            mapping=RunMapping.read(_plain(data.mapping.design()), where=where),
            rows=len(data.records),
            selected=tuple(record.id for record in selection.records),
            audited=len(selection.records),
            left_out=left_out,
            training_rows_known=len(seen),
            observed_rate=data.observed_rate,
            counts=RowCounts.read(_plain(asdict(data.counts)), where=where),
        ),
        prompts=PromptFigures(longest_tokens=longest, alike=alike),
        settings=settings,
        packs=tuple(PackPin(id=pack.id, version=pack.version, sha256=pack.sha256) for pack in packs),
        code=made_here(),
        device=device_kind(device),
        **more,
    )


def _alike(clusters: Sequence[Cluster], placebo: str | None) -> int:
    """Applications whose prompt as filed, but for the placebo's words, is another application's word for word.

    They may be one person's under several ids, whom every test would count several times.
    """
    times = Counter(_without(cluster.cases[0], placebo) for cluster in clusters)
    return sum(count for count in times.values() if count > 1)


def _without(case: Case, field: str | None) -> str:
    """The prompt with the words of one field taken out."""
    start, end = case.spans.get(field or "", (0, 0))
    return case.prompt[:start] + case.prompt[end:]


def training_rows(model: StoredModel, data: Applications) -> frozenset[str]:
    """Ids of this data that the model's own training records list; empty if it brings none for this data."""
    rows: set[str] = set()
    stored: StoredModel | None = model
    while stored is not None:
        record = stored.folder / TRAINING_RECORD
        if record.is_file():
            content = json.loads(record.read_text(encoding="utf-8"))
            if content.get("data_file_sha256") == data.file_sha256:
                rows |= {str(row) for row in content.get("rows", ())}
        stored = stored.base
    return frozenset(rows)


def _questions(
    tokenizer: Any, clusters: Sequence[Cluster], plan: Plan, *, where: str
) -> list[tuple[list[Question], list[Question]]]:
    """The questions of every cluster: of its cases, and of its re-ask (none or one)."""
    chat = plan.prompt.form == "chat"
    prompts = [case.prompt for cluster in clusters for case in (*cluster.cases, *_again(cluster))]
    questions = iter(ask(tokenizer, prompts, plan.prompt.answers, chat=chat, where=where))
    return [
        ([next(questions) for _ in cluster.cases], [next(questions) for _ in _again(cluster)]) for cluster in clusters
    ]


def _again(cluster: Cluster) -> tuple[Case, ...]:
    return (cluster.reask,) if cluster.reask is not None else ()


def _longest(
    plan: Plan,
    model: StoredModel,
    clusters: Sequence[Cluster],
    questions: Sequence[tuple[list[Question], list[Question]]],
    *,
    growth: int,
    where: str,
) -> int:
    """Tokens of the longest prompt with its answer or text, re-asks included; PlanError where that is too many.

    ``growth`` is how many tokens a text may have; 0 where none is generated.
    """
    context = model.root.identity.context_length
    limit = min(plan.budget.max_prompt_tokens, context or plan.budget.max_prompt_tokens)
    most = 0
    for cluster, (asked, again) in zip(clusters, questions, strict=True):
        every = (*asked, *again)
        longest = max(len(sequence) for question in every for sequence in question.sequences)
        longest = max(longest, max(len(question.prompt) for question in every) + growth)
        most = max(most, longest)
        if longest > limit:
            raise PlanError(
                f"{where}: budget.max_prompt_tokens",
                f"the prompt of application {cluster.application.id} with its answer has {longest} tokens",
                f"at most {limit} (the plan allows {plan.budget.max_prompt_tokens}, the model reads {context})",
            )
    return most


def _chunks(
    plan: Plan, clusters: Sequence[Cluster], questions: Sequence[tuple[list[Question], list[Question]]], *, growth: int
) -> Iterable[Chunk]:
    """Whole applications, in order, until the token budget is reached; then the re-asks, each prompt on its own.

    ``growth`` tokens are generated after every prompt.
    """
    shared = [
        _Piece(
            cluster,
            cluster.cases,
            distinct_tokens([each for question in asked for each in question.sequences]) + growth * len(asked),
        )
        for cluster, (asked, _) in zip(clusters, questions, strict=True)
    ]
    unshared = [
        _Piece(cluster, _again(cluster), sum(map(len, question.sequences)) + growth * len(question.prompt))
        for cluster, (_, again) in zip(clusters, questions, strict=True)
        for question in again
    ]
    index = count()
    for kind, pieces in ((SHARED, shared), (UNSHARED, unshared)):
        for batch in batches(pieces, tokens=lambda piece: piece.tokens, most=plan.budget.chunk_tokens):
            yield _chunk(next(index), kind, batch)


class _Piece(NamedTuple):
    """An application's share of a chunk: its cases, and the tokens they compute."""

    cluster: Cluster
    cases: tuple[Case, ...]
    tokens: int


def _chunk(index: int, kind: Asking, batch: Sequence[_Piece]) -> Chunk:
    cases = tuple(case for piece in batch for case in piece.cases)
    people = [piece.cluster.application for piece in batch]
    asked = tuple(Asked(id=each.id, values=dict(each.values), favourable=each.favourable) for each in people)
    payload = canonical_json(Questions(kind=kind, cases=cases, applications=asked).row())
    tokens = sum(piece.tokens for piece in batch)
    return Chunk(index=index, kind=kind, prompts=len(cases), tokens=tokens, payload=payload)


def _plain(value: Any) -> Any:
    """Tuples and mappings as lists and dicts, all the way down."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
