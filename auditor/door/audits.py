"""One call from a plan to results: the same steps as a worker's, with the ledger in a folder."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from auditor.applications import Applications
from auditor.conductor import conclude, prepare, run_one_chunk
from auditor.decision_files import open_decisions, prepare_decisions
from auditor.decision_sources import is_decision_file
from auditor.door.results import Audited
from auditor.door.systems import STORE, System, open_data, open_system
from auditor.environment import Environment
from auditor.evidence import write_evidence
from auditor.exceptions import InputError, Interrupted, RunError
from auditor.ledger import FolderLedger
from auditor.plan import Plan
from auditor.run_record import RunRecord

LEDGER = "ledger"
STOP = "stop"


@dataclass(frozen=True)
class Progress:
    """How far an audit is: ``done`` of ``prompts`` are scored, in ``chunks_done`` of ``chunks`` pieces of work.

    ``doing`` is what the piece just done was part of: ``shared`` and ``unshared`` (the answers), ``asked`` and
    ``drift`` (those of a system), or the test on internals.
    """

    done: int
    prompts: int
    chunks_done: int
    chunks: int
    doing: str


def audit(
    plan: Plan | Path | str,
    *,
    folder: Path | str,
    model: str | None = None,
    system: System | None = None,
    data: Applications | Path | str | None = None,
    mapping: Path | str | None = None,
    store: Path | str = STORE,
    device: str = "cpu",
    progress: Callable[[Progress], None] | None = None,
) -> Audited:
    """Run an audit to its results, or go on with it where it stopped.

    Parameters
    ----------
    plan
        The design, or the path of a plan file.
    folder
        Where the run is kept, one folder a run; made if needed. Called again with the same folder, the audit goes on
        after the last chunk that was scored, also after a crash; a finished one is only concluded.
    model
        The source of the model, as `open_system` takes it, or a decision file, ``decisions:FILE``, which asks nobody;
        instead of the plan's ``run.model``.
    system
        A model that is open already, instead of ``model`` and ``store``.
    data
        Applications, or their source as `open_data` takes it, instead of the plan's ``run.data``.
    mapping
        The path of the mapping file, instead of the plan's ``run.mapping``.
    store
        The folder of imported models.
    device
        The torch device to score on. Devices differ in the last digits: a run goes on where its kind is the same.
    progress
        Called after every chunk, and once before the first. An exception that it raises stops the audit there.

    Returns
    -------
    Audited
        Measurements, findings, cases and decisions, with the evidence on disk. The run is *ungoverned*: nobody approved
        its design, and nobody can sign it.

    Raises
    ------
    InputError
        Plan, model or data cannot be used, or do not fit together; one line that says where, what and what was
        expected.
    Interrupted
        A file called ``stop`` in ``folder/ledger`` asked for it. What was scored is kept.
    RunError
        The folder holds another run, another process scores it, or the model returned what is no number.
    StorageError
        Evidence cannot be written.
    """
    where = str(plan) if isinstance(plan, Path | str) else plan.name
    if system is not None and model is not None:
        raise InputError("audit", "model and system are both given", "one of them")
    design = _bound(plan if isinstance(plan, Plan) else Plan.read(plan), where=where, model=model, system=system)
    if is_decision_file(design.run.model):
        return _audit_decisions(design, Path(folder).expanduser(), data=data, mapping=mapping, where=where)
    applications = _applications(design, data, mapping, where=where)
    opened = system or open_system(design.run.model, store=store)
    prepared = prepare(plan=design, model=opened.model, data=applications, where=where, device=device)
    home = Path(folder).expanduser()
    ledger = FolderLedger(home / LEDGER)
    ledger.freeze(prepared.run, prepared.chunks)
    # Whoever calls again wants to go on: an earlier stop is over.
    (ledger.path / STOP).unlink(missing_ok=True)
    _score(ledger, opened, device=device, progress=progress or (lambda _: None))
    return _concluded(home, ledger)


def open_audit(folder: Path | str) -> Audited:
    """Read a finished audit again, without its model: what it says is concluded anew from the decisions in its folder.

    Parameters
    ----------
    folder
        The folder that `audit` was given.

    Raises
    ------
    InputError
        If no audit is kept there.
    RunError
        If chunks are left to score, or other code or libraries are here than those the run was made with.
    """
    home = Path(folder).expanduser()
    if not (home / LEDGER / "run.json").is_file():
        raise InputError(str(home), "holds no audit", "the folder that audit(…, folder=…) was given")
    return _concluded(home, FolderLedger(home / LEDGER))


def _bound(plan: Plan, *, where: str, model: str | None, system: System | None) -> Plan:
    """The plan with the model's source that its run is to name."""
    source = system.source if system is not None else model
    if source is not None:
        plan = plan.model_copy(update={"run": plan.run.model_copy(update={"model": source})})
    if not plan.run.model:
        raise InputError(f"{where}: run.model", "is not given", "it in the plan, or model=SOURCE")
    return plan


def _audit_decisions(
    plan: Plan,
    home: Path,
    *,
    data: Applications | Path | str | None,
    mapping: Path | str | None,
    where: str,
) -> Audited:
    """The audit of decisions already taken: nothing is scored, so that freezing it is followed by concluding it."""
    if data is not None or plan.run.data:
        raise InputError(
            f"{where}: run.data", "is given beside a decision file, which is model and data at once", "none"
        )
    file = open_decisions(plan.run.model, str(plan.run.mapping if mapping is None else mapping))
    prepared = prepare_decisions(plan=plan, file=file, where=where)
    ledger = FolderLedger(home / LEDGER)
    ledger.freeze(prepared.run, prepared.chunks)
    return _concluded(home, ledger)


def _applications(
    plan: Plan, data: Applications | Path | str | None, mapping: Path | str | None, *, where: str
) -> Applications:
    if isinstance(data, Applications):
        return data
    source = plan.run.data if data is None else data
    if not source:
        raise InputError(f"{where}: run.data", "is not given", "it in the plan, or data=SOURCE")
    return open_data(source, mapping=plan.run.mapping if mapping is None else mapping)


def _score(ledger: FolderLedger, system: System, *, device: str, progress: Callable[[Progress], None]) -> None:
    """Score what is left, in order."""
    states = ledger.states()
    done = [state for state in states if state.done]
    left = [state for state in states if not state.done]
    prompts = sum(state.prompts for state in states)
    scored, chunks = sum(state.prompts for state in done), len(done)
    progress(Progress(scored, prompts, chunks, len(states), ""))
    for state in left:
        if ledger.should_stop():
            raise Interrupted(f"{ledger.path}: the run was asked to stop; call audit again to go on")
        if not run_one_chunk(ledger, state.index, store=system.store, device=device):
            raise RunError(f"{ledger.path}: another process works on this run; expected one at a time")
        scored, chunks = scored + state.prompts, chunks + 1
        progress(Progress(scored, prompts, chunks, len(states), state.kind))


def _concluded(home: Path, ledger: FolderLedger) -> Audited:
    conclusions = conclude(ledger)
    run = ledger.run()
    audited = Audited(folder=home, run=run, conclusions=conclusions)
    write_evidence(audited.evidence, run, conclusions, _environment(run))
    return audited


def _environment(run: RunRecord) -> Environment:
    """Where the numbers were concluded; kept outside the files that a repeat reproduces."""
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        machine=platform.machine(),
        cpus=os.cpu_count(),
        device=run.device,
        libraries=dict(run.code.libraries),
    )
