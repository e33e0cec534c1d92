"""Whoever owns the database can drop its triggers; the event log then still says what a row or a file was."""

from __future__ import annotations

import shutil
from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.db import connection

from compliance.governance.attestation import erasures, problems
from compliance.governance.events import GENESIS, chain_head, verify_chain
from compliance.models import Audit, Event, EventPayload
from reports.publish import publish
from tests.compliance.finished import finish
from tests.compliance.test_events import append
from tests.reports.conftest import GOVERNANCE


def tamper(*statements: str) -> None:
    """What the owner of the database does."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for sql in statements:
            cursor.execute(sql)
        cursor.execute("SET session_replication_role = origin")


def found(settings: LazySettings) -> list[str]:
    return list(problems(folder=Path(settings.DATA_FOLDER)))


def test_an_audit_is_as_its_events_say(finished: Audit, settings: LazySettings) -> None:
    assert found(settings) == []


CHANGES = {
    "a measurement": ("UPDATE compliance_measurementrow SET estimate = 0 WHERE position = 3", "measurements are not"),
    "a p-value": ("UPDATE compliance_measurementrow SET p_adjusted = 0.9 WHERE position = 0", "measurements are not"),
    "a deleted measurement": ("DELETE FROM compliance_measurementrow WHERE position = 2", "measurements are not"),
    "a finding": ("UPDATE compliance_findingrow SET severity = 'low', severity_rank = 1", "findings are not"),
    "a finding's words": ("UPDATE compliance_findingrow SET title = 'nothing' WHERE position = 0", "findings are not"),
    "governed": ("UPDATE compliance_audit SET governed = true", "governed is True, event"),
    "the requester": ("UPDATE compliance_audit SET requested_by = 'eve'", "requested by eve, event"),
    "the command": ("UPDATE compliance_audit SET command = 'another'", "command is another, event"),
    "the hashes of files": ("UPDATE compliance_audit SET files = '{}'", "hashes of its files are not"),
    "the frozen run": ("UPDATE compliance_audit SET run_json = '{}'", "the frozen run is not"),
    "the frozen run with its hash": (
        "UPDATE compliance_audit SET run_json = '{}', "
        "run_sha256 = '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'",
        "run sha256 is 44136fa355b3678a",
    ),
    "a design": ("UPDATE compliance_planversion SET design_json = '{}'", "the design is not the one"),
    "a model's hash": ("UPDATE compliance_languagemodelversion SET sha256 = repeat('0', 64)", "model sha256 is 000"),
    "the time it finished": (
        "UPDATE compliance_audit SET finished_at = finished_at + interval '1 day'",
        "record are not",
    ),
    "an added measurement": (
        "INSERT INTO compliance_measurementrow (audit_id, key, position, test, metric, role, subject, unit, level, n, "
        "checks, cases, method, counts) SELECT audit_id, 'another', 9999, test, metric, role, subject, unit, level, n, "
        "checks, cases, method, counts FROM compliance_measurementrow WHERE position = 0",
        "measurements are not",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_row_is_named(finished: Audit, settings: LazySettings, change: str) -> None:
    sql, words = CHANGES[change]
    tamper(sql)
    assert any(words in line for line in found(settings)), found(settings)


def test_a_deleted_audit_is_named(finished: Audit, settings: LazySettings) -> None:
    tamper(
        "DELETE FROM compliance_measurementrow",
        "DELETE FROM compliance_findingrow",
        "DELETE FROM compliance_auditchunk",
        "DELETE FROM compliance_audit",
    )
    assert found(settings)[0].endswith(f"tells of {finished}, which is not in the register")


def test_a_made_up_audit_is_named(finished: Audit, settings: LazySettings) -> None:
    tamper("UPDATE compliance_audit SET serial = 77")
    assert any(line == "A-0077: no event tells of it" for line in found(settings))


def test_a_changed_and_a_missing_file_are_named(finished: Audit, settings: LazySettings) -> None:
    folder = Path(settings.DATA_FOLDER) / "audits" / finished.number
    (folder / "report.pdf").write_bytes(b"another")
    (folder / "result.json").unlink()
    lines = found(settings)
    assert any("report.pdf has SHA-256" in line for line in lines)
    assert any("result.json is missing" in line for line in lines)


def test_an_erased_payload_of_a_finished_audit_is_a_problem_and_is_listed(
    finished: Audit, settings: LazySettings
) -> None:
    event = Event.objects.get(action="audit.finished")
    EventPayload.objects.filter(event=event).delete()
    assert erasures() == [event.seq]
    assert any("no readable event says that it was finished" in line for line in found(settings))


@pytest.mark.parametrize("column", ["team_id = 4711", "actor_user_id = 4711", "form = 1"])
def test_team_account_and_form_of_an_event_are_hashed(db: None, column: str) -> None:
    append(3)
    tamper(f"UPDATE compliance_event SET {column} WHERE seq = 2")
    assert verify_chain().problem == "event 2 was changed"


def test_events_of_before_teams_were_hashed_still_hold(db: None) -> None:
    first = append(1)[0]
    old = Event(**{field.attname: getattr(first, field.attname) for field in Event._meta.fields})
    old.form = 1
    digest = old.computed_hash()
    tamper(
        f"UPDATE compliance_event SET form = 1, hash = '{digest}' WHERE seq = 1",
        f"UPDATE compliance_chainhead SET hash = '{digest}'",
    )
    append(1)
    assert verify_chain().problem is None


def verified(*arguments: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("verify", *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_the_command_compares_files_head_and_rows(finished: Audit, settings: LazySettings) -> None:
    folder = Path(settings.DATA_FOLDER) / "audits" / finished.number
    files = [str(folder / name) for name in ("report.pdf", "annex.pdf", "result.json", "evidence.zip")]
    code, out, err = verified(*files, "--events", "--head", str(chain_head()))
    # The run of this fixture names another engine, whose numbers this one cannot compute again.
    assert (code, err.count("\n")) == (1, 2)
    assert err.startswith("evidence.zip: was made by other code than is installed: its run names the engine")
    assert "were not computed again" in err
    seq = Event.objects.get(action="audit.finished").seq
    assert f"{files[0]}: as the event that finished its audit says ({finished.number}, report.pdf, event {seq})" in out
    assert "rows and files: as the events that finished their audits say" in out


def test_the_command_refuses_a_head_of_another_chain(finished: Audit) -> None:
    code, _, err = verified("--events", "--head", "0" * 64)
    assert code == 1
    assert "no event has the hash 0000" in err


def test_the_command_refuses_a_file_that_no_event_names(
    finished: Audit, settings: LazySettings, tmp_path: Path
) -> None:
    evidence = shutil.copytree(Path(settings.DATA_FOLDER) / "audits" / finished.number / "evidence", tmp_path / "made")
    published = publish(
        Path(evidence), GOVERNANCE.model_copy(update={"requested_by": "somebody else"}), tmp_path / "out"
    )
    code, said, _ = verified(str(published.report), str(published.evidence))
    assert f"{published.report}: equal, to the last byte, to the report that is set again from evidence.zip" in said
    assert "that these are the files that were issued is not shown" in said, "the forgery agrees with itself"
    assert "unchanged" not in said
    code, _, err = verified(str(published.report), str(published.evidence), "--events")
    assert code == 1
    assert "no event names a file of this installation" in err


def test_a_result_alone_ends_with_1_unless_an_event_names_it(finished: Audit, settings: LazySettings) -> None:
    result = Path(settings.DATA_FOLDER) / "audits" / finished.number / "result.json"
    code, out, err = verified(str(result))
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("result.json: was compared with nothing, so nothing is shown of it; expected evidence.zip or")
    assert "readable, and not compared with anything" in out
    code, out, err = verified(str(result), "--events")
    assert (code, err) == (0, "")
    assert f"{result}: as the event that finished its audit says" in out
    made = result.with_name("made.json")
    made.write_bytes(result.read_bytes().replace(b'"governed": false', b'"governed": true '))
    assert made.read_bytes() != result.read_bytes()
    code, _, err = verified(str(made), "--events")
    assert code == 1
    assert "made.json: no event names a file of this installation" in err


def written_anew() -> None:
    """What an owner can do who forges a whole chain: every event from the first on hashed again, and the head."""
    previous = GENESIS
    for event in Event.objects.order_by("seq"):
        event.ts, event.prev = event.ts.replace("20", "19", 1), previous
        previous = event.computed_hash()
        fresh = f"ts = '{event.ts}', prev = '{event.prev}', hash = '{previous}'"
        tamper(f"UPDATE compliance_event SET {fresh} WHERE seq = {event.seq}")
    tamper(f"UPDATE compliance_chainhead SET hash = '{previous}'")


def test_a_chain_written_anew_is_named_by_the_head_that_a_report_prints(
    simulated: Path, db: None, settings: LazySettings, tmp_path: Path
) -> None:
    settings.DATA_FOLDER = tmp_path / "data"
    append(2)
    base = tmp_path / "made"
    shutil.copytree(simulated / "evidence", base / "evidence")
    publish(base / "evidence", GOVERNANCE.model_copy(update={"events_head": chain_head()}), base)
    folder = settings.DATA_FOLDER / "audits" / finish(base).number
    for name in ("report.pdf", "result.json"):
        assert verified(str(folder / name), "--events")[0] == 0
    written_anew()
    assert verify_chain().problem is None
    assert verified("--events")[0] == 0, "nothing of the installation alone shows it"
    for name in ("report.pdf", "result.json"):
        code, _, err = verified(str(folder / name), "--events")
        assert code == 1
        assert f"that {name} prints: the chain is not the one that head was taken from" in err
