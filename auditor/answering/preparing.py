"""From a plan and a system to the frozen run record and its chunks: the same cases as for weights, cut by their number.

drift start ─▶ cases ─▶ drift middle ─▶ cases ─▶ drift end
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from auditor.answering.fields import field_clusters
from auditor.answering.reading import answers_alike, how_read, takes_fields
from auditor.answering.rows import ASKED, DRIFT, SystemQuestions
from auditor.applications import Applications
from auditor.canonical import canonical_json
from auditor.catalogue import find_tests
from auditor.chunk_rows import Asked
from auditor.counterfactuals import ACTUAL, Cluster, make_clusters, select
from auditor.exceptions import ModelError
from auditor.language_models.stored import StoredModel
from auditor.ledger import Chunk
from auditor.making import Prepared
from auditor.plan import Plan
from auditor.preparation import frozen_record
from auditor.records import Case
from auditor.replicates import replicated
from auditor.systems.drift import DRIFT_CASES, Moment, fixed
from auditor.systems.prices import CHARACTERS_A_TOKEN
from auditor.testing.sampling import batches

CHUNK_REQUESTS = 100


def prepare_system(
    *, plan: Plan, model: StoredModel, data: Applications, where: str = "plan", device: str = "cpu"
) -> Prepared:
    """Bind a design to a system and data: choose applications, render cases, cut chunks. Nobody is asked.

    Parameters
    ----------
    plan
        The design. Its tests on internals are not done, and say so.
    model
        A system of the store.
    data
        The applications.
    where
        Name of the plan, for errors.
    device
        The torch device of this machine; nothing is computed on it.

    Raises
    ------
    InputError
        For whatever in plan, system or data does not fit together.
    """
    system = model.identity.system
    if system is None:
        raise ModelError(where, "is put to a model with weights", "a system that answers")
    find_tests(plan.tests.run, where=where)
    how = how_read(plan, system, deterministic=answers_alike(model.manifest), where=where)
    selection = select(plan, data, seen=frozenset(), where=where)
    if takes_fields(system):
        clusters = field_clusters(plan, data, selection.records, fields=system.asked["fields"], where=where)
    else:
        clusters = make_clusters(plan, data, selection.records, chat=None, where=where)
    chunks = tuple(_chunks(replicated(clusters, how.replicates)))
    run = frozen_record(
        plan=plan,
        model=model,
        data=data,
        selection=selection,
        clusters=clusters,
        seen=frozenset(),
        longest=None,
        settings={},
        device=device,
        where=where,
        reading=how.model_copy(update={"requests": sum(chunk.prompts for chunk in chunks)}),
    )
    return Prepared(
        run=run,
        chunks=chunks,
        prompts=sum(chunk.prompts for chunk in chunks),
        tokens=sum(chunk.tokens for chunk in chunks),
    )


def _chunks(clusters: Sequence[Cluster]) -> Iterator[Chunk]:
    """Whole applications until there are enough requests, and the control before, between and behind them."""
    actual = [case for cluster in clusters for case in cluster.cases if case.role == ACTUAL]
    again = tuple(fixed(actual, count=DRIFT_CASES))
    groups = list(batches(clusters, tokens=lambda cluster: len(_cases(cluster)), most=CHUNK_REQUESTS))
    index = count()
    yield _drift(next(index), Moment.START, again)
    for number, group in enumerate(groups):
        if number == len(groups) // 2:
            yield _drift(next(index), Moment.MIDDLE, again)
        yield _asked(next(index), group)
    yield _drift(next(index), Moment.END, again)


def _cases(cluster: Cluster) -> tuple[Case, ...]:
    return (*cluster.cases, *([cluster.reask] if cluster.reask is not None else []))


def _asked(index: int, group: Sequence[Cluster]) -> Chunk:
    people = [cluster.application for cluster in group]
    questions = SystemQuestions(
        kind=ASKED,
        cases=tuple(case for cluster in group for case in _cases(cluster)),
        applications=tuple(Asked(id=one.id, values=dict(one.values), favourable=one.favourable) for one in people),
    )
    return _chunk(index, questions)


def _drift(index: int, moment: Moment, cases: Iterable[Case]) -> Chunk:
    return _chunk(index, SystemQuestions(kind=DRIFT, moment=str(moment), cases=tuple(cases)))


def _chunk(index: int, questions: SystemQuestions) -> Chunk:
    characters = sum(len(case.prompt) for case in questions.cases)
    return Chunk(
        index=index,
        kind=questions.kind,
        prompts=len(questions.cases),
        tokens=round(characters / CHARACTERS_A_TOKEN),
        payload=canonical_json(questions.row()),
    )
