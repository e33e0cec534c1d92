"""Scoring one chunk: the only step that touches the model. Any worker may do it, at any time, again after any crash."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial

from auditor.answering.scoring import ask_chunk
from auditor.answering.text import text_of_endpoint
from auditor.canonical import canonical_json, sha256_json
from auditor.catalogue import find_tests, looks_inside
from auditor.chunk_rows import SHARED, UNSHARED, ChunkAnswers, OwnResult, OwnWork, Questions, TextRow
from auditor.exceptions import RunError
from auditor.language_models.answers import ask, decide, refuse_unembedded
from auditor.language_models.local import LoadedModel, load
from auditor.language_models.packed import PackedScorer, PackingProbe, probe_packing
from auditor.language_models.store import ModelStore
from auditor.ledger import Ledger
from auditor.making import another_making
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.work import compute_context_for, silence
from auditor.packing import Packing
from auditor.plan import Plan
from auditor.records import Decision
from auditor.run_record import RunRecord
from auditor.testing.on_internals import OnInternals
from auditor.text_scoring import decide_by_text, decision_of

_silences: dict[str, str | None] = {}
_probes: dict[tuple[str | None, int, int], PackingProbe] = {}


def load_for(ledger: Ledger, *, store: ModelStore, device: str = "cpu") -> LoadedModel | None:
    """The model of a run, as its chunks use it; kept in memory, so that they find it loaded. ``None`` for a system.

    Called before the first chunk is taken: loading a large model may take longer than a lease lasts, and nobody renews
    it meanwhile.

    Raises
    ------
    ModelError
        If the model is not what was imported.
    """
    run = ledger.run()
    return None if run.reading is not None else _loaded(run, store, device)


def _loaded(run: RunRecord, store: ModelStore, device: str) -> LoadedModel:
    return load(store.get(run.model.sha256), threads=run.plan.budget.threads, device=device)


def run_one_chunk(ledger: Ledger, index: int, *, store: ModelStore, device: str = "cpu") -> bool:
    """Score one chunk, if it can be had.

    Parameters
    ----------
    ledger, index
        Where the chunk is kept, and which it is.
    store
        Where the model is kept, and which systems are listed.
    device
        The torch device to score on. Devices differ in the last digits: one run is scored on one kind of them.

    Returns
    -------
    bool
        False if the chunk is done or held by somebody else.

    Raises
    ------
    SystemStopped
        If a system does not answer, refuses, or a cap is reached; the chunk is given back.
    RunError
        If the model returns no numbers, the evidence cannot be stored, a stop was asked for, or the run names other
        code, libraries or another kind of device than are here; the chunk is given back.
    """
    run = ledger.run()
    if reason := another_making(run, device=device):
        raise RunError(f"{reason}; expected the same to go on with it, or a new run")
    if not ledger.claim(index):
        return False
    try:
        if run.reading is not None:
            answers = ask_chunk(ledger, index, run, systems=store.systems)
            ledger.complete(index, canonical_json(answers.row()))
            return True
        plan = run.plan
        loaded = _loaded(run, store, device)
        payload = json.loads(ledger.payload(index))
        started = time.perf_counter()
        probe = _probe(loaded, run, plan)
        scorer = PackedScorer(
            loaded.model, pack_tokens=plan.budget.pack_tokens, probe=probe, should_stop=ledger.should_stop
        )
        if payload["kind"] in (SHARED, UNSHARED):
            asked = Questions.read(payload)
            texts: tuple[TextRow, ...] = ()
            if run.generated is not None:
                texts = decide_by_text(asked, plan=plan, how=run.generated, loaded=loaded, scorer=scorer)
            decisions = tuple(map(decision_of, texts)) if texts else _score(asked, plan, loaded, scorer)
            seconds = time.perf_counter() - started
            result: ChunkAnswers | OwnResult = ChunkAnswers(
                decisions=decisions, packing=_packing(probe), seconds=seconds, texts=texts
            )
        else:
            own = OwnWork.read(payload)
            test = _model_test(own.kind)
            context = compute_context_for(
                test,
                plan=plan,
                run=run,
                loaded=loaded,
                scorer=scorer,
                should_stop=ledger.should_stop,
                store=store,
                open_endpoint=partial(text_of_endpoint, ledger=ledger, plan=plan, systems=store.systems),
            )
            reason = _silence(context, own.listened)
            work = None if reason else test.compute(context, own.work)
            result = OwnResult(work=work, not_tested=reason, seconds=time.perf_counter() - started)
        ledger.complete(index, canonical_json(result.row()))
    except BaseException as error:
        # Whatever happens, Ctrl-C included, the chunk must not stay taken.
        ledger.release(index, f"{type(error).__name__}: {error}")
        raise
    return True


def _silence(context: ComputeContext, prompts: Sequence[str]) -> str | None:
    """`silence`, asked once a model and set of prompts in this process."""
    key = sha256_json([context.loaded.digest, context.plan.design(), list(prompts)])
    if key not in _silences:
        _silences[key] = silence(context, prompts)
    return _silences[key]


def _score(payload: Questions, plan: Plan, loaded: LoadedModel, scorer: PackedScorer) -> tuple[Decision, ...]:
    prompts = [case.prompt for case in payload.cases]
    chat = plan.prompt.form == "chat"
    questions = ask(loaded.tokenizer, prompts, plan.prompt.answers, chat=chat, where="run")
    # Preparation refused it by what the files say; this is what was loaded.
    rows = loaded.model.get_input_embeddings().num_embeddings
    refuse_unembedded(questions, rows=rows, tokenizer=loaded.tokenizer, where=plan.run.model)
    decisions = decide(
        scorer,
        payload.cases,
        questions,
        mass_floor=plan.prompt.answers.mass_floor,
        natural_margin=plan.operating_point.natural_margin,
        share=payload.kind == SHARED,
    )
    return tuple(decisions)


def _packing(probe: PackingProbe) -> Packing:
    return Packing(packable=probe.packable, largest_difference=probe.largest_difference, reason=probe.reason)


def _model_test(name: str) -> OnInternals:
    test = find_tests([name], where="run")[0]
    if not looks_inside(test):
        raise RunError(f"the run has chunks of {name!r}, which has none; expected the code the run was frozen with")
    return test


def _probe(loaded: LoadedModel, run: RunRecord, plan: Plan) -> PackingProbe:
    longest = run.longest_prompt
    key = (loaded.digest, plan.budget.pack_tokens, longest)
    if key not in _probes:
        _probes[key] = probe_packing(
            loaded.model,
            vocabulary=loaded.model.config.get_text_config().vocab_size,
            longest=longest,
            pack_tokens=plan.budget.pack_tokens,
        )
    return _probes[key]
