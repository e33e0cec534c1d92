"""The conductor: prepare, score chunk by chunk, conclude. One path for notebooks, the command line and workers.

prepare(plan, model, data) ─▶ run record and chunks        pure; boundaries follow from the plan's token budget alone
run_one_chunk(ledger, i)   ─▶ decisions in the ledger      the only step that touches the model; any worker, any time
conclude(ledger)           ─▶ measurements, findings, controls
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from auditor.answering.evidence import Asking, asking_of
from auditor.answering.preparing import prepare_system
from auditor.answering.reading import takes_fields
from auditor.answering.rows import SystemAnswer
from auditor.applications import Applications
from auditor.behaviour import generated_text, same_system
from auditor.behaviour.amount_gaps import unit_of
from auditor.catalogue import Test, find_tests, looks_inside
from auditor.chunk_rows import TextRow
from auditor.conclusions import adjust_and_conclude
from auditor.controls import Controls, controls_of
from auditor.decision_audit import context_of, drafts_of
from auditor.decision_files import decisions_of
from auditor.environment import Scoring
from auditor.exceptions import PlanError, RunError
from auditor.findings import find
from auditor.gathered import gather
from auditor.language_models.stored import StoredModel
from auditor.ledger import Ledger
from auditor.making import Prepared, another_making, run_sha256
from auditor.observed.as_filed import answers_as_filed
from auditor.observed.filed_values import FiledValue, filed_values
from auditor.own_code import code_sha256
from auditor.packing import Packing
from auditor.plan import Plan
from auditor.policies.packs import PolicyPack, load_packs
from auditor.preparation import prepare_weights
from auditor.records import Case, Decision, Finding, Measurement
from auditor.replicates import application_of
from auditor.run_record import RunRecord
from auditor.scoring import load_for, run_one_chunk
from auditor.synthesis.order import SYNTHESES
from auditor.testing.asked_system import AskedSystem
from auditor.testing.attributions import Attribution, attributions_of
from auditor.testing.context import Context
from auditor.testing.factory import not_tested
from auditor.testing.unadjusted import UnadjustedMeasurement

__all__ = ["Conclusions", "Prepared", "code_sha256", "conclude", "load_for", "prepare", "run_one_chunk", "run_sha256"]

NO_INSIDE = "the run asks a system that answers: its inside cannot be seen"


@dataclass(frozen=True)
class Conclusions:
    """Everything a finished run says. ``scoring`` says how it was computed (packing, seconds), outside the hashes.

    ``asking`` holds the answers of a system, or of an endpoint that described features, with what was sent for them;
    ``None`` where nobody was asked. ``texts`` are those that decisions of weights were read from, in the order of their
    cases; empty where log-odds were read. ``filed`` is what applications as filed say in the fields that tests on
    decisions taken read; empty where the plan has no such test.
    """

    cases: tuple[Case, ...]
    decisions: tuple[Decision, ...]
    measurements: tuple[Measurement, ...]
    findings: tuple[Finding, ...]
    controls: Controls
    packs: tuple[PolicyPack, ...]
    attributions: tuple[Attribution, ...]
    scoring: Scoring
    asking: Asking | None = None
    texts: tuple[TextRow, ...] = ()
    filed: tuple[FiledValue, ...] = ()


def prepare(
    *, plan: Plan, model: StoredModel, data: Applications, where: str = "plan", device: str = "cpu"
) -> Prepared:
    """Bind a design to a model, or to a system that answers, and to data; see where each is prepared."""
    if not plan.asks and not (model.answers and takes_fields(model.identity.system)):
        what = "is missing, and a language model is asked"
        expected = "[prompt], or what takes none: run.model = decisions:FILE or service:NAME"
        raise PlanError(f"{where}: prompt", what, expected)
    bind = prepare_system if model.answers else prepare_weights
    return bind(plan=plan, model=model, data=data, where=where, device=device)


def conclude(ledger: Ledger, *, decision_file: Path | None = None) -> Conclusions:
    """Measure and judge a run all of whose chunks are done.

    Parameters
    ----------
    decision_file
        Where the decision file of a run on one lies, if not where its source says; it is read again here.

    Raises
    ------
    RunError
        If a chunk is not done, or the decision file is not the one the run was frozen with.
    """
    left = sum(not state.done for state in ledger.states())
    if left:
        raise RunError(f"the run has {left} chunks left to score; expected a run all of whose chunks are done")
    run = ledger.run()
    if reason := another_making(run, device=run.device):
        raise RunError(f"{reason}; expected the same to conclude it, or a new run")
    plan = run.plan
    packs = load_packs(plan.use.policy_packs, where="run")
    if not run.asks:
        context = context_of(plan, decisions_of(run, path=decision_file))
        drafts = drafts_of(find_tests(plan.tests.run, where="run"), context)
        return _concluded(drafts, context, run=run, packs=packs, scoring=Scoring(packing=Packing(), seconds=0.0))
    found = gather(ledger)
    tests, system = _tests(run), _system(run, found.answers)
    out_of_sight = {test.CARD.name: NO_INSIDE for test in tests if looks_inside(test)}
    context = Context(
        plan=plan,
        cases=found.cases,
        decisions=found.decisions,
        observed={name: item.favourable for name, item in found.applications.items()},
        values={name: item.values for name, item in found.applications.items()},
        observed_rate=run.data.observed_rate,
        results=found.results,
        not_done=found.silent if system is None else out_of_sight,
        several_rows=run.data.mapping.keeps_rows_apart,
        generated=run.generated,
        texts=found.texts,
        system=system,
    )
    filed: tuple[FiledValue, ...] = ()
    if any(test.CARD.needs_decision_file for test in tests):
        values = _values_as_filed(context)
        filed = filed_values(context.actual, values, run.data.mapping)
        observed = answers_as_filed(context, values=values, mapping=run.data.mapping, unit=unit_of(context))
        context = replace(context, decision_file=observed)
    drafts = [draft for test in tests for draft in _drafts(test, context)]
    scoring = Scoring(packing=found.packing, seconds=found.seconds)
    concluded = replace(_concluded(drafts, context, run=run, packs=packs, scoring=scoring), filed=filed)
    # A run on weights has a store where an endpoint was asked to describe what was found.
    asked = system is not None or ledger.requests().exists()
    answers = None if system is None else found.answers
    return replace(concluded, asking=asking_of(ledger, answers)) if asked else concluded


def _concluded(
    drafts: Sequence[UnadjustedMeasurement],
    context: Context,
    *,
    run: RunRecord,
    packs: tuple[PolicyPack, ...],
    scoring: Scoring,
) -> Conclusions:
    measurements = adjust_and_conclude(drafts)
    # Read from measurements that are already concluded, so that no test has to know another.
    for emit in SYNTHESES:
        measurements = (*measurements, *emit(measurements, context=context))
    return Conclusions(
        cases=tuple(context.cases),
        decisions=tuple(context.decisions[case.id] for case in context.cases),
        measurements=measurements,
        findings=find(measurements, plan=context.plan, packs=packs, state=context.state),
        controls=controls_of(measurements, context.state, scoring.packing, asks=run.asks),
        packs=packs,
        attributions=tuple(
            row for test, own in context.results.items() for work in own for row in attributions_of(work, test=test)
        ),
        scoring=scoring,
        texts=tuple(context.texts or ()),
    )


def _tests(run: RunRecord) -> list[Test]:
    """The plan's tests, and the control of how answers were had, whether the plan names it or not.

    Of a system that it was the same, of generated texts that they are the model's.
    """
    tests = find_tests(run.plan.tests.run, where="run")
    for holds, control in ((run.reading, same_system), (run.generated, generated_text)):
        if holds is not None and control not in tests:
            tests = [*tests, control]
    return tests


def _values_as_filed(context: Context) -> list[Mapping[str, Any]]:
    """What each application as filed says, in the order of its cases."""
    names = [application_of(case.cluster) if context.replicates > 1 else case.cluster for case in context.actual]
    return [context.values[name] for name in names]


def _system(run: RunRecord, answers: Sequence[SystemAnswer]) -> AskedSystem | None:
    identity = run.model.manifest.system
    return None if run.reading is None or identity is None else AskedSystem(identity, run.reading, answers)


def _drafts(test: Test, context: Context) -> Iterable[UnadjustedMeasurement]:
    """What a test measures; of one that was not done, why."""
    reason = context.not_done.get(test.CARD.name)
    if reason is not None and looks_inside(test):
        return [UnadjustedMeasurement(not_tested(test.CARD, reason, level=1 - context.plan.thresholds.alpha))]
    return test.measure(context)
