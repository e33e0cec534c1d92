"""The conductor: prepare, score chunk by chunk, conclude. One path for notebooks, the command line and workers.

prepare(plan, model, data) ─▶ run record and chunks        pure; boundaries follow from the plan's token budget alone
run_one_chunk(ledger, i)   ─▶ decisions in the ledger      the only step that touches the model; any worker, any time
conclude(ledger)           ─▶ measurements, findings, controls
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from auditor import __version__
from auditor.applications import Applications
from auditor.behaviour.context import Context, Draft, State
from auditor.canonical import canonical_json, sha256_bytes, sha256_json
from auditor.catalogue import Test, find_tests, looks_inside
from auditor.conclusions import settle
from auditor.counterfactuals import Cluster, chat_wrapper, make_clusters, select
from auditor.exceptions import PlanError, RunError
from auditor.findings import find
from auditor.language_models.answers import Question, ask, decide
from auditor.language_models.local import LoadedModel, load, read_stored_tokenizer
from auditor.language_models.packed import PackedScorer, PackingProbe, probe_packing
from auditor.language_models.safety import TRAINING_RECORD
from auditor.language_models.store import ModelStore, StoredModel
from auditor.language_models.trie import distinct_tokens
from auditor.ledger import Chunk, Ledger
from auditor.mechanisms import interpretation
from auditor.mechanisms.contract import Attribution, Bench, ModelTest
from auditor.mechanisms.ladder import ladder
from auditor.mechanisms.work import NOT_TESTED, bench_for, not_tested, plan_work, settings_of, silence
from auditor.plan import Plan, plan_from
from auditor.policies.packs import PolicyPack, load_packs
from auditor.records import Case, Decision, Finding, Measurement, Outcome

SHARED = "shared"
UNSHARED = "unshared"
LIBRARIES = ("numpy", "polars", "scipy", "tokenizers", "torch", "transformers")


@dataclass(frozen=True)
class Prepared:
    """A bound design: the frozen run record and the work it makes."""

    run: dict[str, Any]
    chunks: tuple[Chunk, ...]
    prompts: int
    tokens: int


@dataclass(frozen=True)
class Conclusions:
    """Everything a finished run says. ``scoring`` says how it was computed (packing, seconds), outside the hashes."""

    cases: tuple[Case, ...]
    decisions: tuple[Decision, ...]
    measurements: tuple[Measurement, ...]
    findings: tuple[Finding, ...]
    controls: dict[str, Any]
    packs: tuple[PolicyPack, ...]
    attributions: tuple[Attribution, ...]
    scoring: dict[str, Any]


def prepare(*, plan: Plan, model: StoredModel, data: Applications, where: str = "plan") -> Prepared:
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

    Raises
    ------
    InputError
        For whatever in plan, model or data does not fit together.
    """
    packs = load_packs(plan.use.policy_packs, where=where)
    inside = [test for test in find_tests(plan.tests.run, where=where) if looks_inside(test)]
    tokenizer = read_stored_tokenizer(model)
    seen = training_rows(model, data)
    selection = select(plan, data, seen=seen, where=where)
    chat = plan.prompt.form == "chat"
    wrap = chat_wrapper(tokenizer, plan.prompt.system, where=where) if chat else None
    clusters = make_clusters(plan, data, selection.records, chat=wrap, where=where)
    questions = _questions(tokenizer, clusters, plan, where=where)
    _check_length(plan, model, clusters, questions, where=where)
    left_out = dict(selection.left_out)
    for attribute in plan.attributes:
        outside = sum(record.values[attribute.field] not in attribute.groups for record in selection.records)
        left_out[f"{attribute.field} in none of the plan's groups, left out of its contrasts"] = outside
    design = plan.design()
    run = {
        "design": design,
        "design_sha256": plan.design_sha256,
        "model": {"source": plan.run.model, "sha256": model.sha256, "manifest": model.identity},
        "data": {
            "source": data.source,
            "name": data.mapping.name,
            "title": data.mapping.title,
            "citation": data.mapping.citation,
            "population": data.mapping.population,
            "fingerprint": data.fingerprint,
            "file_sha256": data.file_sha256,
            "mapping": json.loads(canonical_json(_plain(data.mapping.design()))),
            "rows": len(data.records),
            "selected": [record.id for record in selection.records],
            "left_out": left_out,
            "training_rows_known": len(seen),
            "observed_rate": data.observed_rate,
        },
        "settings": {test.CARD.name: settings_of(plan, test, where=where).model_dump(mode="json") for test in inside},
        "packs": [{"id": pack.id, "version": pack.version, "sha256": pack.sha256} for pack in packs],
        "code": {
            "version": __version__,
            "sha256": code_sha256(),
            "libraries": {name: version(name) for name in LIBRARIES},
        },
    }
    chunks = list(_chunks(plan, clusters, questions))
    chunks += plan_work(
        inside, plan=plan, data=data, clusters=clusters, tokenizer=tokenizer, first=len(chunks), where=where
    )
    return Prepared(
        run=run,
        chunks=tuple(chunks),
        prompts=sum(chunk.prompts for chunk in chunks),
        tokens=sum(chunk.tokens for chunk in chunks),
    )


def run_sha256(run: dict[str, Any]) -> str:
    """The hash that names a frozen run."""
    return sha256_json(run)


def load_for(ledger: Ledger, *, store: ModelStore, device: str = "cpu") -> LoadedModel:
    """The model of a run, as its chunks use it; kept in memory, so that they find it loaded.

    Called before the first chunk is taken: loading a large model may take longer than a lease lasts, and nobody renews
    it meanwhile.

    Raises
    ------
    ModelError
        If the model is not what was imported.
    """
    run = ledger.run()
    plan = plan_from({**run["design"], "run": {}}, where="run")
    return load(store.get(run["model"]["sha256"]), threads=plan.budget.threads, device=device)


def run_one_chunk(ledger: Ledger, index: int, *, store: ModelStore, device: str = "cpu") -> bool:
    """Score one chunk, if it can be had.

    Parameters
    ----------
    ledger, index
        Where the chunk is kept, and which it is.
    store
        Where the model is kept.
    device
        The torch device to score on. Devices differ in the last digits: one run is scored on one kind of them.

    Returns
    -------
    bool
        False if the chunk is done or held by somebody else.

    Raises
    ------
    RunError
        If the model returns no numbers, the evidence cannot be stored, or a stop was asked for; the chunk is given
        back.
    """
    if not ledger.claim(index):
        return False
    try:
        run = ledger.run()
        plan = plan_from({**run["design"], "run": {}}, where="run")
        loaded = load_for(ledger, store=store, device=device)
        payload = json.loads(ledger.payload(index))
        started = time.perf_counter()
        probe = _probe(loaded, plan)
        scorer = PackedScorer(
            loaded.model, pack_tokens=plan.budget.pack_tokens, probe=probe, should_stop=ledger.should_stop
        )
        if payload["kind"] in (SHARED, UNSHARED):
            result: dict[str, Any] = {"decisions": _score(payload, plan, loaded, scorer), "packing": _packing(probe)}
        else:
            test = _model_test(payload["kind"])
            bench = bench_for(
                test, plan=plan, run=run, loaded=loaded, scorer=scorer, should_stop=ledger.should_stop, store=store
            )
            reason = _silence(bench, payload["listened"])
            result = {"work": {NOT_TESTED: reason} if reason else test.compute(bench, payload["work"])}
        result["seconds"] = time.perf_counter() - started
        ledger.complete(index, canonical_json(result))
    except BaseException as error:
        # Whatever happens, Ctrl-C included, the chunk must not stay taken.
        ledger.release(index, f"{type(error).__name__}: {error}")
        raise
    return True


_silences: dict[str, str | None] = {}


def _silence(bench: Bench, prompts: Sequence[str]) -> str | None:
    """`silence`, asked once a model and set of prompts in this process."""
    key = sha256_json([bench.loaded.manifest["identity"], bench.plan.design(), list(prompts)])
    if key not in _silences:
        _silences[key] = silence(bench, prompts)
    return _silences[key]


def _score(payload: dict[str, Any], plan: Plan, loaded: LoadedModel, scorer: PackedScorer) -> list[dict[str, Any]]:
    cases = [_case(row) for row in payload["cases"]]
    prompts = [case.prompt for case in cases]
    chat = plan.prompt.form == "chat"
    decisions = decide(
        scorer,
        cases,
        ask(loaded.tokenizer, prompts, plan.prompt.answers, chat=chat, where="run"),
        mass_floor=plan.prompt.answers.mass_floor,
        natural_margin=plan.operating_point.natural_margin,
        share=payload["kind"] == SHARED,
    )
    return [decision.row() for decision in decisions]


def _packing(probe: PackingProbe) -> dict[str, Any]:
    return {"packable": probe.packable, "largest_difference": probe.largest_difference, "reason": probe.reason}


def _model_test(name: str) -> ModelTest:
    test = find_tests([name], where="run")[0]
    if not looks_inside(test):
        raise RunError(f"the run has chunks of {name!r}, which has none; expected the code the run was frozen with")
    return test


def conclude(ledger: Ledger) -> Conclusions:
    """Measure and judge a run all of whose chunks are done.

    Raises
    ------
    RunError
        If a chunk is not done.
    """
    left = sum(not state.done for state in ledger.states())
    if left:
        raise RunError(f"the run has {left} chunks left to score; expected a run all of whose chunks are done")
    run = ledger.run()
    plan = plan_from({**run["design"], "run": {}}, where="run")
    packs = load_packs(plan.use.policy_packs, where="run")
    cases: list[Case] = []
    decisions: dict[str, Decision] = {}
    applications: dict[str, dict[str, Any]] = {}
    packing: dict[str, Any] = {}
    results: dict[str, list[dict[str, Any]]] = {}
    seconds = 0.0
    for state in ledger.states():
        payload = json.loads(ledger.payload(state.index))
        result = json.loads(ledger.result(state.index))
        seconds += result["seconds"]
        if state.kind not in (SHARED, UNSHARED):
            results.setdefault(state.kind, []).append(result["work"])
            continue
        cases += [_case(row) for row in payload["cases"]]
        applications.update({item["id"]: item for item in payload["applications"]})
        decisions.update({row["case_id"]: _decision(row) for row in result["decisions"]})
        packing = result["packing"]
    cases.sort(key=lambda case: case.id)
    context = Context(
        plan=plan,
        cases=cases,
        decisions=decisions,
        observed={name: item["favourable"] for name, item in applications.items()},
        values={name: item["values"] for name, item in applications.items()},
        observed_rate=run["data"]["observed_rate"],
        results=results,
    )
    drafts = [draft for test in find_tests(plan.tests.run, where="run") for draft in _drafts(test, context)]
    measurements = settle(drafts)
    # Read from measurements that are already concluded, so that no test has to know another.
    measurements = (*measurements, *ladder(measurements, plan=plan))
    measurements = (*measurements, *interpretation.described_elsewhere(measurements, context=context))
    findings = find(measurements, plan=plan, packs=packs, state=context.state)
    return Conclusions(
        cases=tuple(cases),
        decisions=tuple(decisions[case.id] for case in cases),
        measurements=measurements,
        findings=findings,
        controls=_controls(measurements, context.state, packing),
        packs=packs,
        attributions=tuple(
            Attribution(**row) for own in results.values() for work in own for row in work.get("attributions", ())
        ),
        scoring={"packing": packing, "seconds": seconds},
    )


def _drafts(test: Test, context: Context) -> Iterable[Draft]:
    """What a test measures; of one that was not done, why."""
    reason = next((work[NOT_TESTED] for work in context.results.get(test.CARD.name, ()) if NOT_TESTED in work), None)
    if reason is not None and looks_inside(test):
        return [Draft(not_tested(test, reason))]
    return test.run(context)


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


@cache
def code_sha256() -> str:
    """Hash over the engine's own source and data files, so that a run names the code it was made with."""
    root = Path(__file__).parent
    # Relative names: where the engine is installed must not decide what is hashed.
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.suffix in (".py", ".json", ".toml"))
    return sha256_json(
        {path.as_posix(): sha256_bytes((root / path).read_bytes()) for path in files if "underwriter" not in path.parts}
    )


_probes: dict[tuple[str, int, int], PackingProbe] = {}


def _probe(loaded: LoadedModel, plan: Plan) -> PackingProbe:
    key = (sha256_json(loaded.manifest["identity"]), plan.budget.pack_tokens, plan.budget.max_prompt_tokens)
    if key not in _probes:
        _probes[key] = probe_packing(
            loaded.model,
            vocabulary=loaded.model.config.vocab_size,
            longest=plan.budget.max_prompt_tokens,
        )
    return _probes[key]


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


def _check_length(
    plan: Plan,
    model: StoredModel,
    clusters: Sequence[Cluster],
    questions: Sequence[tuple[list[Question], list[Question]]],
    *,
    where: str,
) -> None:
    context = model.root.identity.get("context_length")
    limit = min(plan.budget.max_prompt_tokens, context or plan.budget.max_prompt_tokens)
    for cluster, (asked, _) in zip(clusters, questions, strict=True):
        longest = max(len(sequence) for question in asked for sequence in question.sequences)
        if longest > limit:
            raise PlanError(
                f"{where}: budget.max_prompt_tokens",
                f"the prompt of application {cluster.application.id} with its answer has {longest} tokens",
                f"at most {limit} (the plan allows {plan.budget.max_prompt_tokens}, the model reads {context})",
            )


def _chunks(
    plan: Plan, clusters: Sequence[Cluster], questions: Sequence[tuple[list[Question], list[Question]]]
) -> Iterable[Chunk]:
    """Whole applications, in order, until the token budget is reached; then the re-asks, each prompt on its own."""
    index = 0
    batch: list[tuple[Cluster, tuple[Case, ...]]] = []
    tokens = 0
    for cluster, (asked, _) in zip(clusters, questions, strict=True):
        size = distinct_tokens([sequence for question in asked for sequence in question.sequences])
        if batch and tokens + size > plan.budget.chunk_tokens:
            yield _chunk(index, SHARED, batch, tokens)
            index, batch, tokens = index + 1, [], 0
        batch.append((cluster, cluster.cases))
        tokens += size
    if batch:
        yield _chunk(index, SHARED, batch, tokens)
        index, batch, tokens = index + 1, [], 0
    for cluster, (_, again) in zip(clusters, questions, strict=True):
        for question in again:
            size = distinct_tokens(question.sequences)
            if batch and tokens + size > plan.budget.chunk_tokens:
                yield _chunk(index, UNSHARED, batch, tokens)
                index, batch, tokens = index + 1, [], 0
            batch.append((cluster, _again(cluster)))
            tokens += size
    if batch:
        yield _chunk(index, UNSHARED, batch, tokens)


def _chunk(index: int, kind: str, batch: Sequence[tuple[Cluster, tuple[Case, ...]]], tokens: int) -> Chunk:
    cases = [case for _, own in batch for case in own]
    payload = {
        "kind": kind,
        "cases": [_plain(case.row()) for case in cases],
        "applications": [
            {
                "id": cluster.application.id,
                "values": dict(cluster.application.values),
                "favourable": cluster.application.favourable,
            }
            for cluster, _ in batch
        ],
    }
    return Chunk(index=index, kind=kind, prompts=len(cases), tokens=tokens, payload=canonical_json(payload))


def _plain(value: Any) -> Any:
    """Tuples and mappings as lists and dicts, all the way down."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _case(row: dict[str, Any]) -> Case:
    spans = {name: (int(span[0]), int(span[1])) for name, span in row["spans"].items()}
    return Case(**{**row, "arms": tuple(row["arms"]), "spans": spans})


def _decision(row: dict[str, Any]) -> Decision:
    return Decision(**{**row, "outcome": Outcome(row["outcome"])})


def _controls(measurements: Sequence[Measurement], state: State, packing: dict[str, Any]) -> dict[str, Any]:
    """The controls in one place; each figure is a measurement's."""
    floors = {item.subject["change"]: item for item in measurements if item.metric == "cf_noise_floor"}

    def floor(kind: str) -> dict[str, Any] | None:
        item = floors.get(kind)
        if item is None:
            return None
        row = item.row()
        return {
            "measurement": item.id,
            "flip_rate": row["estimate"],
            "low": row["low"],
            "high": row["high"],
            "n": item.n,
            "largest_margin_difference": row["counts"].get("largest_margin_difference"),
        }

    return {
        "noise_floor": floor("reask"),
        "placebo": floor("placebo"),
        "planted_bias": None,
        "planted_bias_missing_reason": "copies of the model with a planted bias are not part of this plan",
        "degenerate": {"holds": state.degenerate, "reasons": list(state.reasons)},
        "packing": packing,
        "self_checks": [{"measurement": item.id, **check} for item in measurements for check in item.row()["checks"]],
        "power": [
            {
                "measurement": item.id,
                "contrast": f"{item.subject['group']} − {item.reference}",
                "mde": item.row()["counts"].get("mde"),
                "n": item.n,
            }
            for item in measurements
            if item.metric == "cf_net_effect"
        ],
    }
