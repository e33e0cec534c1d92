"""Each kind of change to the register, by whoever owns the database: noticed by the log, or by a kept head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from compliance import actions
from compliance.access.roles import Role
from compliance.governance.attestation import attested, problems
from compliance.governance.events import append_event, chain_head, verify_chain
from compliance.models import (
    Audit,
    AuditChunk,
    ChunkState,
    Event,
    LanguageModel,
    Membership,
    PlanDecision,
    PlanVersion,
    Release,
    Team,
    default_team,
)
from tests.compliance.factories import ACTOR, make_plan, make_run, start
from tests.compliance.finished import finish

pytestmark = pytest.mark.django_db(transaction=True)
MEASUREMENTS, FINDINGS = "compliance_measurementrow", "compliance_findingrow"


@pytest.fixture
def audit(database: str, simulated: Path, settings: LazySettings, tmp_path: Path) -> Audit:
    """A finished audit that was released, with a design that was decided on, and a second team."""
    settings.DATA_FOLDER = tmp_path / "data"
    audit = finish(simulated)
    Team.objects.create(name="another")
    reader = User.objects.create_user("reader")
    Membership.objects.create(team=default_team(), user=reader, role=Role.EXAMINER)
    actions.release_audit(
        audit=audit, reader=reader, until=timezone.now() + timedelta(days=30), reason="as asked", actor=ACTOR
    )
    with transaction.atomic():
        decision = PlanDecision.objects.create(
            plan=audit.plan, state="approved", reason="read it", decided_by="second", decided_by_user=reader
        )
        from compliance.governance.events import Actor, append_event

        append_event(
            actor=Actor(name="second", role="approver", user=reader),
            action="plan.decided",
            object=decision.event_object,
            payload={"to": "approved", "reason": "read it", "design_sha256": audit.plan.design_sha256},
            team=audit.team,
        )
    return audit


@contextmanager
def owner() -> Iterator[Callable[..., None]]:
    """What the owner of a database can do: no trigger speaks. Everything is undone in the end."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for (name,) in cursor.fetchall():
                cursor.execute(f'DROP TRIGGER "{name}"')
            cursor.execute("PRAGMA defer_foreign_keys = ON")
        yield cursor.execute
        transaction.set_rollback(True)


def last_event_gone(execute: Callable[..., None]) -> None:
    """The newest event deleted, and the head set to the one before: a whole chain, one event shorter."""
    last, before = Event.objects.order_by("-seq")[:2]
    execute("DELETE FROM compliance_eventpayload WHERE event_id = %s", [last.pk])
    execute("DELETE FROM compliance_event WHERE id = %s", [last.pk])
    execute("UPDATE compliance_chainhead SET seq = %s, hash = %s", [before.seq, before.hash])


def swapped_events(execute: Callable[..., None]) -> None:
    execute("UPDATE compliance_event SET seq = 100000 WHERE seq = 2")
    execute("UPDATE compliance_event SET seq = 2 WHERE seq = 3")
    execute("UPDATE compliance_event SET seq = 3 WHERE seq = 100000")


def another_chunk(execute: Callable[..., None]) -> None:
    """A chunk put in: the simulated audit has none."""
    row = AuditChunk(audit=Audit.objects.get(), index=0, kind="shared", prompts=1, tokens=1, payload=b"{}")
    row.result, row.state, row.done_at = b"{}", ChunkState.DONE, timezone.now()
    AuditChunk.objects.bulk_create([row])


def deleted_audit(execute: Callable[..., None]) -> None:
    for table in (MEASUREMENTS, FINDINGS, "compliance_auditchunk", "compliance_release", "compliance_audit"):
        execute(f"DELETE FROM {table}")


def run_with_its_hash(execute: Callable[..., None]) -> None:
    from auditor.canonical import sha256_bytes

    execute("UPDATE compliance_audit SET run_json = '{}', run_sha256 = %s", [sha256_bytes(b"{}")])


def design_with_its_hash(execute: Callable[..., None]) -> None:
    from auditor.canonical import sha256_bytes

    execute("UPDATE compliance_planversion SET design_json = '{}', design_sha256 = %s", [sha256_bytes(b"{}")])


def to_another_team(execute: Callable[..., None]) -> None:
    execute("UPDATE compliance_audit SET team_id = (SELECT id FROM compliance_team WHERE name = 'another')")


def by_the_reader(execute: Callable[..., None]) -> None:
    execute("UPDATE compliance_audit SET requested_by_user_id = (SELECT id FROM auth_user WHERE username = 'reader')")


def told_anew(execute: Callable[..., None]) -> None:
    """A measurement changed, and a second event entered by the product's own code that says it was always so."""
    execute(f"UPDATE {MEASUREMENTS} SET estimate = 0 WHERE position = 3")
    audit = Audit.objects.get()
    payload = {"files": audit.files, "measurements": audit.measurements.count(), "rows": attested(audit)}
    append_event(actor=ACTOR, team=audit.team, action="audit.finished", object=audit.number, payload=payload)


def design_told_anew(execute: Callable[..., None]) -> None:
    execute("UPDATE compliance_planversion SET title = 'Harmless'")
    plan = PlanVersion.objects.get()
    payload = {"name": plan.name, "title": plan.title, "design_sha256": plan.design_sha256}
    append_event(actor=ACTOR, team=plan.team, action="plan.registered", object=plan.event_object, payload=payload)


def version_gone(execute: Callable[..., None]) -> None:
    """A design that no audit asked for, registered and then deleted."""
    version = actions.register_plan(plan=make_plan("another"), actor=ACTOR)
    execute("DELETE FROM compliance_planversion WHERE id = %s", [version.pk])


CHANGES: dict[str, tuple[str | Callable[[Callable[..., None]], None], str]] = {
    "a measurement": (f"UPDATE {MEASUREMENTS} SET estimate = 0 WHERE position = 3", "measurements are not those"),
    "a conclusion": (f"UPDATE {MEASUREMENTS} SET conclusion = 'NO_EVIDENCE'", "measurements are not those"),
    "a measurement gone": (f"DELETE FROM {MEASUREMENTS} WHERE position = 2", "measurements are not those"),
    "a finding": (f"UPDATE {FINDINGS} SET severity = 'low'", "findings are not those"),
    "a finding gone": (f"DELETE FROM {FINDINGS} WHERE position = 0", "findings are not those"),
    "governed": ("UPDATE compliance_audit SET governed = NOT governed", "governed is True, event"),
    "the requester": ("UPDATE compliance_audit SET requested_by = 'eve'", "requested by eve, event"),
    "the requester's account": (by_the_reader, "requested by account"),
    "the state": ("UPDATE compliance_audit SET state = 'failed'", "is failed in the register, and finished"),
    "the hashes of files": ("UPDATE compliance_audit SET files = '{}'", "hashes of its files are not"),
    "the frozen run": ("UPDATE compliance_audit SET run_json = '{}'", "the frozen run is not the one"),
    "the frozen run and its hash": (run_with_its_hash, "run sha256 is 44136fa3"),
    "the design": ("UPDATE compliance_planversion SET design_json = '{}'", "the design is not the one"),
    "the design and its hash": (design_with_its_hash, "design sha256 is 44136fa3"),
    "the title of a design": ("UPDATE compliance_planversion SET title = 'Harmless'", "title is Harmless, event"),
    "the team": (to_another_team, "belongs to another team"),
    "a deleted audit": (deleted_audit, "which is not in the register"),
    "a chunk": (another_chunk, "its chunks are not those"),
    "prompts": ("UPDATE compliance_audit SET prompts = prompts + 1", "its record are not those"),
    "an approval's reason": ("UPDATE compliance_plandecision SET reason = 'never read'", "reason is never read, event"),
    "who approved": ("UPDATE compliance_plandecision SET decided_by = 'eve'", "a decision: by eve"),
    "an approval gone": ("DELETE FROM compliance_plandecision", "another number of decisions"),
    "the model's approval": ("UPDATE compliance_languagemodel SET approval = 'approved'", "is approved, and no event"),
    "the model's hash": (f"UPDATE compliance_languagemodelversion SET sha256 = '{'0' * 64}'", "model sha256 is 000"),
    "the data's rows": ("UPDATE compliance_datasetversion SET rows = 7", "rows is 7, event"),
    "a release's end": ("UPDATE compliance_release SET expires_at = '2099-01-01 00:00:00'", "until is 2099"),
    "who released": ("UPDATE compliance_release SET released_by = 'eve'", "a release: by eve, event"),
    "when it was released": ("UPDATE compliance_release SET released_at = '2020-01-01 00:00:00'", "a release: of 2020"),
    "when it was approved": ("UPDATE compliance_plandecision SET decided_at = '2020-01-01 00:00:00'", "of 2020-01-01"),
    "a result told anew": (told_anew, "tells once more what is told once (audit.finished)"),
    "a design told anew": (design_told_anew, "2 events tell of it, the register holds 1"),
    "a design gone": (version_gone, "1 events tell of it, the register holds 0"),
    "a release gone": ("DELETE FROM compliance_release", "released another number of times"),
    "an event's person": ("UPDATE compliance_event SET actor = 'eve' WHERE seq = 2", "event 2 was changed"),
    "an event's account": ("UPDATE compliance_event SET actor_user_id = 4711 WHERE seq = 2", "event 2 was changed"),
    "an event's team": ("UPDATE compliance_event SET team_id = NULL WHERE seq = 2", "event 2 was changed"),
    "an event's details": ("UPDATE compliance_eventpayload SET data_json = '{}'", "the payload of event 1 was changed"),
    "an event in between gone": (
        "DELETE FROM compliance_event WHERE seq = 2",
        "event 2 is missing",
    ),
    "events in another order": (swapped_events, "event 2 does not follow event 1"),
}


def noticed(settings: LazySettings) -> list[str]:
    return [str(verify_chain().problem or ""), *problems(folder=Path(settings.DATA_FOLDER))]


def test_every_kind_of_change_is_noticed_by_its_name(audit: Audit, settings: LazySettings) -> None:
    assert noticed(settings) == [""]
    missed = {}
    for name, (change, words) in CHANGES.items():
        with owner() as execute:
            execute(change) if isinstance(change, str) else change(execute)
            lines = noticed(settings)
        if not any(words in line for line in lines):
            missed[name] = lines
    assert missed == {}
    assert noticed(settings) == [""], "every change was undone again"


@pytest.mark.parametrize("state", ["queued", "cancelled", "cancelling"])
def test_an_audit_that_failed_cannot_be_said_to_stand_elsewhere(
    database: str, settings: LazySettings, tmp_path: Path, state: str
) -> None:
    settings.DATA_FOLDER = tmp_path / "data"
    audit = start(run=make_run("fails"))
    actions.begin_audit(audit=audit, actor=ACTOR)
    actions.fail_audit(audit=audit, error="no room", actor=ACTOR)
    assert noticed(settings) == [""]
    with owner() as execute:
        execute("UPDATE compliance_audit SET state = %s", [state])
        lines = noticed(settings)
    assert any("event" in line and "says audit.failed" in line for line in lines), lines


def test_a_reader_who_is_called_otherwise_since_is_no_change(audit: Audit, settings: LazySettings) -> None:
    reader = User.objects.get(username="reader")
    reader.username = "married"
    reader.save()
    actions.withdraw_release(release=Release.objects.get(), actor=ACTOR)
    assert noticed(settings) == [""]


def test_a_withdrawal_that_is_said_of_another_release_is_noticed(audit: Audit, settings: LazySettings) -> None:
    other = User.objects.create_user("other")
    Membership.objects.create(team=default_team(), user=other, role=Role.EXAMINER)
    until = timezone.now() + timedelta(days=30)
    second = actions.release_audit(audit=audit, reader=other, until=until, reason="as asked", actor=ACTOR)
    actions.withdraw_release(release=second, actor=ACTOR)
    assert noticed(settings) == [""]
    with owner() as execute:
        execute("UPDATE compliance_release SET withdrawn_at = CASE WHEN withdrawn_at IS NULL THEN released_at END")
        lines = noticed(settings)
    assert any(f"the release to account {other.pk} until" in line for line in lines), lines


def verified(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``manage.py verify``."""
    out, err = StringIO(), StringIO()
    try:
        call_command("verify", *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_an_empty_head_is_none(database: str) -> None:
    """As from a variable of a script that was never set: nothing was looked up, and all seemed well."""
    for head in ("", " "):
        assert verified("--events", "--head", head) == (
            2,
            "",
            "verify: --head is empty; expected a head that a report prints\n",
        )
    assert verified("--head", "")[0] == 2


def test_a_folder_is_not_what_an_event_says(audit: Audit, settings: LazySettings) -> None:
    """Events name files: a folder that was made up was called *as the event that finished its audit says*."""
    folder = Path(settings.DATA_FOLDER) / "audits" / audit.number / "evidence"
    code, out, err = verified("--events", str(folder))
    assert code == 1
    assert f"event log: {folder}: is a folder, and events name files; expected the evidence.zip" in err
    assert "as the event that finished its audit says" not in out


def test_names_in_a_file_cannot_write_lines_of_their_own(database: str, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "evidence.zip", "w") as archive:
        archive.writestr("x/../\x1b[2K\rreport.pdf: unchanged\nreport.pdf: unchanged", b"")
    code, out, err = verified(str(tmp_path / "evidence.zip"))
    assert (code, out) == (1, "")
    assert "\x1b" not in err
    assert "\r" not in err
    assert len(err.splitlines()) == 1


def test_text_that_no_terminal_can_show_is_no_crash(database: str, tmp_path: Path) -> None:
    """Half a pair of surrogates is text of JSON, and none of UTF-8."""
    (tmp_path / "result.json").write_text('{"measurements": [], "audit": {"events_head": "\\ud800"}}')
    code, _, err = verified("--events", str(tmp_path / "result.json"))
    assert code == 1
    assert err.startswith("result.json: audit: found text that is not Unicode (half a pair of surrogates); expected")
    assert len(err.splitlines()) == 1
    err.encode()


def test_an_event_deleted_from_the_end_is_noticed_by_a_head_that_somebody_kept(
    audit: Audit, settings: LazySettings
) -> None:
    kept = str(chain_head())

    def verified(*arguments: str) -> tuple[int, str]:
        out, err = StringIO(), StringIO()
        try:
            call_command("verify", "--events", *arguments, stdout=out, stderr=err)
        except SystemExit as ended:
            return int(ended.code or 0), err.getvalue()
        return 0, err.getvalue()

    assert verified("--head", kept) == (0, "")
    with owner() as execute:
        last_event_gone(execute)
        assert verify_chain().problem is None, "a chain that was cut at its end is whole"
        code, said = verified("--head", kept)
    assert code == 1
    assert f"no event has the hash {kept}" in said


def test_a_changed_report_on_disk_is_noticed(audit: Audit, settings: LazySettings) -> None:
    report = Path(settings.DATA_FOLDER) / "audits" / audit.number / "report.pdf"
    report.write_bytes(report.read_bytes() + b"\n")
    assert [line for line in noticed(settings) if "report.pdf has SHA-256" in line]


def test_rows_that_the_table_does_not_change_are_there(audit: Audit) -> None:
    """A statement that meets no row would show nothing."""
    for kind in (PlanVersion, PlanDecision, Release, LanguageModel):
        assert kind.objects.exists(), kind
