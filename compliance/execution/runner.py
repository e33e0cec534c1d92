"""An audit from a plan file to a report, in this process: what ``manage.py audit`` does.

    read plan, model, data ─▶ prepare ─▶ register and freeze ─▶ score chunk by chunk ─▶ conclude ─▶ publish ─▶ finish

The rows hold the state between any two steps, so the same call goes on wherever an earlier one ended.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.db.models import F
from django.utils import timezone

from auditor.applications import Applications, Survey
from auditor.canonical import pretty_json, sha256_file
from auditor.data_sources import load_data
from auditor.decision_sources import PREFIX as DECISION_FILE
from auditor.decision_sources import is_decision_file
from auditor.environment import Environment
from auditor.exceptions import InputError, Interrupted, RunError, StorageError, reason_of
from auditor.making import Prepared
from auditor.model_manifest import ModelManifest
from auditor.plan import Plan, read_plan
from auditor.records import Finding, Severity
from auditor.systems.exceptions import SystemStopped
from compliance import actions
from compliance.audits.binding import data_file
from compliance.database.patience import patiently
from compliance.database.tables import ensure_tables
from compliance.exceptions import ComplianceError, StateError
from compliance.execution.job import JobState
from compliance.execution.ledger import DatabaseLedger
from compliance.execution.progress import Progress
from compliance.execution.watchdog import Watchdog
from compliance.governance.events import Actor, chain_head
from compliance.model_store import model_store
from compliance.models import Audit, LanguageModelVersion, Worker
from compliance.plans.depth import UNREAD, Depth, reads
from compliance.registry.keeping import keep
from reports.governance import COMPLETE, DesignApproval, Governance

PUBLISHED = ("report.pdf", "annex.pdf", "result.json", "evidence.zip")
INCOMPLETE = "incomplete.json"
WAIT_SECONDS = 1.0
#: How often what is not a chunk is begun without an end before a person has to ask for it once more.
MOST_ATTEMPTS = 3
ON_THE_SITE = "Run audit on the site: the same design, model and data"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What somebody asked for on the command line or from a script. ``out`` defaults to the audit's own folder."""

    plan: Path
    overrides: Mapping[str, str]
    model: str | None
    data: str | None
    out: Path | None
    command: str
    actor: Actor


@dataclass(frozen=True, kw_only=True)
class Published:
    """A finished audit: its conclusion in a few lines, its files by name, its findings."""

    audit: Audit
    summary: tuple[str, ...]
    files: dict[str, Path]
    findings: tuple[Finding, ...]

    def reaches(self, severity: Severity) -> bool:
        """Whether a finding is at or above ``severity``."""
        return any(finding.severity.rank >= severity.rank for finding in self.findings)


def run_audit(request: Request, *, progress: Progress, stop: Callable[[], bool]) -> Published:
    """Run an audit to its report, or go on with it.

    Raises
    ------
    InputError
        Plan, model, data or output folder cannot be used.
    Interrupted
        ``stop`` said so, or somebody stopped the audit in the database. Nothing that was scored is lost.
    RunError, ComplianceError
        The run could not go on.
    """
    plan = _bound(read_plan(request.plan, request.overrides), request)
    if request.out is not None:
        _writable(request.out)
    ensure_tables()
    frozen = (_decisions if is_decision_file(plan.run.model) else _asked)(plan, request, progress, stop)
    prepared, actor = frozen.prepared, request.actor
    audit = patiently(
        lambda: actions.start_ungoverned_audit(
            run=prepared.run,
            chunks=prepared.chunks,
            prompts=prepared.prompts,
            tokens=prepared.tokens,
            model=actions.register_model(
                source=plan.run.model, sha256=prepared.run.model.sha256, manifest=frozen.manifest, actor=actor
            ),
            data=actions.register_data(data=frozen.data, actor=actor),
            plan=actions.register_plan(plan=plan, actor=actor),
            actor=actor,
            command=request.command,
        )
    )
    out = request.out or audit_folder(audit)
    try:
        patiently(lambda: actions.begin_audit(audit=audit, actor=actor))
        started = time.monotonic()
        score(audit, store=model_store(), progress=progress, stop=stop)
        return finish(audit, out=out, seconds=time.monotonic() - started, actor=actor, say=progress.say)
    except SystemStopped as error:
        # As on the site: nothing is wrong with the run, and what was answered is kept.
        why = str(error)[:2000]
        with suppress(DatabaseError, ComplianceError):
            patiently(lambda: actions.pause_audit(audit=audit, error=why, actor=actor), seconds=60)
        _write_incomplete(audit, out, command=request.command)
        raise RunError(
            f"{audit}: paused with {audit.prompts_done:,} of {audit.prompts:,} prompts scored: {error}; what was "
            f"answered is kept. To go on: {request.command}"
        ) from error
    except Interrupted as error:
        patiently(partial(_settle_stop, audit, reason=str(error), actor=actor))
        _write_incomplete(audit, out, command=request.command)
        audit.refresh_from_db()
        raise Interrupted(
            f"{audit}: stopped with {audit.prompts_done:,} of {audit.prompts:,} prompts scored; they are kept, "
            f"labelled incomplete. To go on: {request.command}"
        ) from error
    except Exception as error:
        # Whatever it was, the register must say so; if the database itself is gone, the first error is the one to tell.
        said = f"{type(error).__name__}: {error}"
        with suppress(DatabaseError, ComplianceError):
            patiently(lambda: actions.fail_audit(audit=audit, error=said[:2000], actor=actor), seconds=60)
        raise


@dataclass(frozen=True, kw_only=True)
class _Frozen:
    """A bound design, and what the register is told of its model and its data."""

    prepared: Prepared
    manifest: ModelManifest
    data: Applications | Survey


def _asked(plan: Plan, request: Request, progress: Progress, stop: Callable[[], bool]) -> _Frozen:
    """The run of a model that is asked."""
    progress.say(f"Reading {plan.run.data} and {plan.run.model}")
    applications = load_data(plan.run.data, plan.run.mapping)
    for line in applications.counts.lines():
        progress.say(line)
    store = model_store()
    stored = store.import_model(plan.run.model)
    for line in stored.notes:
        progress.say(line)
    _check(stop, "the run was not frozen yet, nothing is scored")

    from auditor.answering.costing import cost_lines, describing_lines
    from auditor.conductor import prepare
    from auditor.language_models.local import load

    keep(applications)
    progress.say("Freezing the run")
    prepared = prepare(plan=plan, model=stored, data=applications, where=str(request.plan), device=settings.DEVICE)
    if stored.answers:
        listed = store.systems.listed(plan.run.model)
        for line in cost_lines(prepared.run, prepared.chunks, model=stored, listed=listed):
            progress.say(line)
        _check(stop, "the run was not entered yet, nobody was asked about an application")
    else:
        # Now, and kept for the first chunk: a model that cannot be loaded is refused before anything is entered.
        load(stored, threads=plan.budget.threads, device=settings.DEVICE)
        listed_as = store.systems.listed
        for line in describing_lines(prepared.run, prepared.chunks, listed=listed_as, where=str(request.plan)):
            progress.say(line)
    return _Frozen(prepared=prepared, manifest=stored.record, data=applications)


def _decisions(plan: Plan, request: Request, progress: Progress, stop: Callable[[], bool]) -> _Frozen:
    """The run on decisions already taken, which asks nobody."""
    from auditor.decision_files import open_decisions, prepare_decisions

    progress.say(f"Reading {plan.run.model}")
    if unread := [name for name in UNREAD[Depth.RECORD] if name in plan.model_fields_set]:
        progress.say(f"Not used, since nobody is asked: {', '.join(f'[{name}]' for name in unread)}")
    file = open_decisions(plan.run.model, plan.run.mapping)
    for line in file.counts.lines():
        progress.say(line)
    _check(stop, "the run was not frozen yet")
    progress.say("Freezing the run")
    prepared = prepare_decisions(plan=plan, file=file, where=str(request.plan))
    return _Frozen(prepared=prepared, manifest=file.manifest, data=file.survey)


def audit_folder(audit: Audit) -> Path:
    """Where an audit's evidence and files are kept."""
    return Path(settings.DATA_FOLDER) / "audits" / audit.number


def _bound(plan: Plan, request: Request) -> Plan:
    given = {key: value for key, value in (("model", request.model), ("data", request.data)) if value is not None}
    plan = plan.model_copy(update={"run": plan.run.model_copy(update=given)})
    if is_decision_file(plan.run.model):
        if plan.run.data:
            what = f"{plan.run.data!r} is given beside a decision file, which is model and data at once"
            raise InputError(f"{request.plan}: run.data", what, "none")
        for key in request.overrides:
            if not reads(Depth.RECORD, key):
                what = "is set, and nobody is asked: decisions are read as the file has them"
                raise InputError(f"{request.plan}: {key}", what, "no such key, or a model or a system to ask")
        return plan
    for key in ("model", "data"):
        if not getattr(plan.run, key):
            raise InputError(f"{request.plan}: run.{key}", "is not given", f"it in the plan, or --{key} SOURCE")
    return plan


def score(
    audit: Audit,
    *,
    store: Any,
    progress: Progress,
    stop: Callable[[], bool],
    wait: bool = True,
    watchdog: Watchdog | None = None,
) -> bool:
    """Score what is left, chunk by chunk.

    Parameters
    ----------
    store
        The model store.
    wait
        Whether to wait for chunks that another process holds, or to leave them to it.
    watchdog
        Ends this process where a step does not. Without one nobody does: on a command line a person sees it.

    Returns
    -------
    bool
        Whether every chunk is done.

    Raises
    ------
    Interrupted
        ``stop`` said so, or somebody stopped the audit in the database.
    RunError, InputError
        The run cannot go on.
    """
    ledger = DatabaseLedger(audit, stop=stop)
    if not ledger.states():  # nobody is asked: there is nothing to score, and no model to load
        return True

    from auditor.conductor import load_for, run_one_chunk

    def stopping() -> bool:
        progress.tick()
        if watchdog is not None:
            watchdog.goes_on()
        return stop()

    ledger = DatabaseLedger(audit, stop=stopping)
    states = ledger.states()
    before = sum(state.prompts for state in states if state.done)
    if before:
        progress.say(f"{audit} goes on: {before:,} prompts were scored before")
    progress.begin(name=audit.number, prompts=audit.prompts, done=before)
    waiting = False
    try:
        if before < audit.prompts:
            with _counted(audit), _watched(watchdog, what="loading the model"):
                load_for(ledger, store=store, device=settings.DEVICE)
        while left := [state for state in ledger.states() if not state.done]:
            scored = 0
            for state in left:
                if ledger.should_stop():
                    raise Interrupted("the run was asked to stop")
                progress.phase(phase_of(state.kind))
                with _watched(watchdog, chunk=state.index):
                    mine = run_one_chunk(ledger, state.index, store=store, device=settings.DEVICE)
                if mine:
                    scored += 1
                    progress.advance(state.prompts)
            if not scored:
                if not wait:
                    return False
                if not waiting:
                    progress.say("Waiting for chunks that another process holds, or held until it was ended")
                waiting = True
                time.sleep(WAIT_SECONDS)
        return True
    except BaseException as error:
        with suppress(DatabaseError):
            ledger.give_back(f"{type(error).__name__}: {error}")
        raise
    finally:
        progress.end()


def _watched(watchdog: Watchdog | None, **step: Any) -> AbstractContextManager[None]:
    return nullcontext() if watchdog is None else watchdog.watching(**step)


@contextmanager
def _counted(audit: Audit) -> Iterator[None]:
    """Loading the model, counted: what ends the process does not get to the end of this block.

    Every worker that is there may be loading it now; one more than that, and a few, were lost while they did.
    """
    row = Audit.objects.filter(pk=audit.pk)
    if audit.queue:  # a command line is repeated by a person, who sees it end
        begun = row.values_list("attempts", flat=True).get()
        if begun >= MOST_ATTEMPTS + len(Worker.objects.listening(audit.queue)):
            raise RunError(given_up(audit, "loading the model", times=begun))
        patiently(lambda: row.update(attempts=F("attempts") + 1))
    try:
        yield
    finally:
        if audit.queue:
            patiently(lambda: row.filter(attempts__gt=0).update(attempts=F("attempts") - 1))


def given_up(row: Audit, what: str, *, times: int = MOST_ATTEMPTS) -> str:
    """The line that says why something is not begun once more: what was noted when it was ended, if that was done."""
    noted = Audit.objects.filter(pk=row.pk).values_list("error", flat=True).first()
    if noted:
        return f"{row}: {noted}; it was begun {times} times and will not be tried again by itself"
    return f"{row}: {what} ended its process {times} times without a word; it will not be tried again by itself"


def phase_of(kind: str) -> str:
    """What a chunk does, in a word or two: ``scoring``, or the test on internals that it is part of."""
    from reports.wording import chunk_words

    return chunk_words(kind)


def finish(
    audit: Audit,
    *,
    out: Path,
    seconds: float,
    actor: Actor,
    say: Callable[[str], None],
    bounded: AbstractContextManager[None] | None = None,
) -> Published:
    """Conclude a run all of whose chunks are done, publish it, and enter what it says; harmless if somebody did.

    Parameters
    ----------
    out
        Where the four files go, beside the audit's own folder.
    seconds
        How long scoring took in this process; kept outside the hashed files.
    bounded
        What bounds the reading of a file that nobody vouches for, while its numbers are computed.

    Raises
    ------
    Interrupted
        Somebody stopped the audit; a stop counts until the last of it is entered.
    """
    from auditor.conductor import conclude
    from auditor.evidence import write_evidence
    from compliance.audits.summary import summarise
    from reports.publish import publish

    say("Concluding")
    title = audit.plan.title
    ledger = DatabaseLedger(audit)
    kept = audit_folder(audit)

    def go_on() -> None:
        if ledger.stopped():
            raise Interrupted("the run was asked to stop")

    with _alone(kept):
        go_on()
        begun = time.monotonic()
        # On the site the file lies where uploads do, and its source is a name; a command line names its own.
        uploaded = data_file(audit.data) if audit.queue and is_decision_file(audit.model.source) else None
        with bounded or nullcontext():
            conclusions = conclude(ledger, decision_file=uploaded)
        go_on()
        timings = {"scoring_seconds": seconds, "concluding_seconds": time.monotonic() - begun}
        audit.refresh_from_db()
        finished_at = audit.finished_at or timezone.now()
        concluded = audit.state == JobState.DONE  # by another process that shared the run; its report is the report
        if not concluded:
            # Evidence of an earlier attempt is not mixed with this one's; all of it follows from the rows.
            shutil.rmtree(kept / "evidence", ignore_errors=True)
            write_evidence(kept / "evidence", ledger.run(), conclusions, environment(timings))
            say("Writing the report")
            record = governance(audit, title=title, command=audit.command or ON_THE_SITE, finished_at=finished_at)
            publish(kept / "evidence", record, kept)
            go_on()
        files = _hand_over(kept, out)
        if not concluded:
            hashes = {name: sha256_file(path) for name, path in files.items()}
            enter = partial(
                actions.finish_audit,
                audit=audit,
                measurements=conclusions.measurements,
                findings=conclusions.findings,
                files=hashes,
                finished_at=finished_at,
                actor=actor,
            )
            try:
                patiently(enter)
            except StateError:
                # Whoever pressed Stop while it was written shall not find a report where it was handed over.
                if ledger.stopped() and out.resolve() != kept.resolve():
                    for path in files.values():
                        path.unlink(missing_ok=True)
                go_on()
                raise
    for folder in (kept, out):
        (folder / INCOMPLETE).unlink(missing_ok=True)
    summary = summarise(
        audit, title=title, measurements=conclusions.measurements, findings=conclusions.findings, runs=_runs(audit)
    )
    return Published(audit=audit, summary=summary, files=files, findings=tuple(conclusions.findings))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process of this machine at a time concludes an audit; the next one finds it concluded."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written: {reason_of(error)}; expected room and permission to write"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _hand_over(kept: Path, out: Path) -> dict[str, Path]:
    """Copy the published files to where they were asked for; the audit's own folder keeps its own."""
    from reports.publish import write_atomically

    for name in PUBLISHED:
        if not (kept / name).is_file():
            raise StorageError(f"{kept / name}: is missing; expected the files of a run concluded on this machine")
        if out.resolve() != kept.resolve():
            write_atomically(out / name, (kept / name).read_bytes())
    return {name: out / name for name in PUBLISHED}


def governance(audit: Audit, *, title: str, command: str, finished_at: datetime) -> Governance:
    """The governance record that a report prints: who asked for what, when, and under which rules."""
    # Every key is given, the empty ones too: what is not given is not written.
    return Governance(
        audit_id=audit.number,
        title=title,
        governed=audit.governed,
        status=COMPLETE,
        started_at=_utc(audit.started_at),
        finished_at=_utc(finished_at),
        requested_by=audit.requested_by,
        design_approval=_approval(audit),
        command=command,
        runs_on_this_model=_runs(audit),
        events_head=chain_head(),
        signatures=(),
    )


def _approval(audit: Audit) -> DesignApproval | None:
    """Who approved the design, when and why; ``None`` for an ungoverned run."""
    decision = audit.design_decision
    if not audit.governed or decision is None:
        return None
    return DesignApproval(by=decision.decided_by, at=_utc(decision.decided_at), reason=decision.reason)


def environment(timings: Mapping[str, float]) -> Environment:
    """Where the numbers were computed: interpreter, libraries, processor and how long it took (seconds)."""
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        machine=platform.machine(),
        cpus=os.cpu_count(),
        device=settings.DEVICE,
        libraries=dict(_libraries()),
        timings={name: round(seconds, 3) for name, seconds in timings.items()},
    )


@cache
def _libraries() -> Mapping[str, str]:
    # Read once a process: what it has loaded stays, whatever is installed later.
    packages = (item.metadata for item in distributions())
    return dict(sorted((package["Name"], package["Version"]) for package in packages))


def _runs(audit: Audit) -> int:
    # Of every team: what was tried on these files elsewhere counts too.
    return Audit.objects.filter(model__in=versions_of_the_same_files(audit.model)).count()


def versions_of_the_same_files(model: LanguageModelVersion) -> list[int]:
    """Versions of the same bytes. Of a decision file the mapping is no part of them: another one is another try."""
    rows = LanguageModelVersion.objects
    if not is_decision_file(model.source):
        return list(rows.filter(sha256=model.sha256).values_list("pk", flat=True))
    mine = _files(model)
    return [row.pk for row in rows.filter(source__startswith=DECISION_FILE) if _files(row) == mine]


def _files(model: LanguageModelVersion) -> list[str]:
    return sorted(file.sha256 for file in model.described.identity.files)


def _utc(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None


def _settle_stop(audit: Audit, *, reason: str, actor: Actor) -> None:
    audit.refresh_from_db(fields=["state"])
    # Somebody else may have stopped or failed it in the meantime; then their word stands.
    with suppress(ComplianceError):
        if audit.state == JobState.RUNNING:
            actions.stop_audit(audit=audit, reason=reason, actor=actor)
        if audit.state == JobState.CANCELLING:
            actions.confirm_stopped(audit=audit, actor=actor)


def _write_incomplete(audit: Audit, out: Path, *, command: str) -> None:
    """Leave a note where the report would have been, so that nobody takes an older one for this run's."""
    audit.refresh_from_db()
    note = {
        "audit": {"audit_id": audit.number, "status": "incomplete", "governed": audit.governed},
        "run_sha256": audit.run_sha256,
        "prompts": audit.prompts,
        "prompts_scored": audit.prompts_done,
        "resume": command,
    }
    _writable(out)
    (out / INCOMPLETE).write_text(pretty_json(note), encoding="utf-8")


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(folder), f"cannot be made: {reason_of(error)}", "a folder to write") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(str(folder), "cannot be written: permission denied", "a folder to write")


def _check(stop: Callable[[], bool], state: str) -> None:
    if stop():
        raise Interrupted(f"stopped: {state}")
