"""The event log: appended in one chain, never changed, and a change shows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DatabaseError, connection, transaction

from compliance.exceptions import EvidenceError
from compliance.governance.events import append_event, chain_head, verify_chain
from compliance.models import Audit, ChainHead, Event, EventPayload
from tests.compliance.factories import ACTOR, make_audit


def append(count: int = 1) -> list[Event]:
    with transaction.atomic():
        return [append_event(actor=ACTOR, action="test.done", object="A-0001", payload={"n": n}) for n in range(count)]


def tamper(sql: str) -> None:
    """What somebody with the database's own password does."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET session_replication_role = replica; {sql}; SET session_replication_role = origin")


@pytest.fixture
def chain(db: None) -> list[Event]:
    return append(4)


def test_an_untouched_chain_holds_and_its_head_is_the_last_event(chain: list[Event]) -> None:
    report = verify_chain()
    assert (report.problem, report.events, report.head) == (None, 4, chain[-1].hash)
    assert chain_head() == chain[-1].hash


def test_an_empty_chain_holds_and_has_no_head(db: None) -> None:
    assert verify_chain().problem is None
    assert chain_head() is None


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("UPDATE compliance_event SET actor = 'eve' WHERE seq = 2", "event 2 was changed"),
        ("UPDATE compliance_event SET prev = repeat('0', 64) WHERE seq = 3", "event 3 does not follow event 2"),
        ("UPDATE compliance_eventpayload SET data_json = '{}' WHERE event_id IN (SELECT id FROM compliance_event "
         "WHERE seq = 1)", "the payload of event 1 was changed"),
        ("DELETE FROM compliance_eventpayload; DELETE FROM compliance_event WHERE seq = 2", "event 2 is missing"),
        ("DELETE FROM compliance_eventpayload; DELETE FROM compliance_event WHERE seq = 4",
         "the chain ends at event 3, its head says 4"),
    ],
    ids=["actor", "link", "payload", "gap", "tail"],
)  # fmt: skip
def test_tampering_is_named(chain: list[Event], sql: str, problem: str) -> None:
    tamper(sql)
    assert verify_chain().problem == problem


def test_erasing_a_payload_leaves_the_chain_whole(chain: list[Event]) -> None:
    EventPayload.objects.filter(event=chain[1]).delete()
    report = verify_chain()
    assert (report.problem, report.erased) == (None, 1)


def test_equal_payloads_have_different_hashes(chain: list[Event]) -> None:
    first, second = append(1) + append(1)
    assert first.payload_sha256 != second.payload_sha256


def test_an_event_cannot_be_saved_again_or_deleted(chain: list[Event]) -> None:
    with pytest.raises(EvidenceError, match="evidence cannot be changed"):
        chain[0].save()
    with pytest.raises(EvidenceError, match="evidence cannot be deleted"):
        chain[0].delete()
    with pytest.raises(EvidenceError, match="events: evidence cannot be changed"):
        Event.objects.update(actor="eve")
    with pytest.raises(EvidenceError, match="events: evidence cannot be deleted"):
        Event.objects.all().delete()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE compliance_event SET actor = 'eve'",
        "DELETE FROM compliance_event",
        "DELETE FROM compliance_planversion",
        "UPDATE compliance_languagemodelversion SET sha256 = 'x'",
        "UPDATE compliance_audit SET run_json = '{}'",
        "DELETE FROM compliance_audit",
    ],
)
def test_the_database_itself_refuses_to_change_evidence(db: None, sql: str) -> None:
    make_audit()
    with (
        pytest.raises(DatabaseError, match="evidence cannot be changed or deleted"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)


def test_an_audit_cannot_be_deleted(db: None) -> None:
    audit = make_audit()
    with pytest.raises(EvidenceError, match="A-0001: a run that was started stays in the register"):
        audit.delete()
    with pytest.raises(EvidenceError, match="stays in the register"):
        Audit.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_an_event_outside_a_transaction_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"test\.done: an event is appended in the transaction of what it tells of"):
        append_event(actor=ACTOR, action="test.done", object="A-0001", payload={})


@pytest.mark.django_db(transaction=True)
def test_writers_that_race_make_one_chain() -> None:
    def write() -> None:
        try:
            for _ in range(10):
                append()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as writers:
        for future in [writers.submit(write) for _ in range(4)]:
            future.result()
    report = verify_chain()
    assert (report.problem, report.events) == (None, 40)
    assert ChainHead.objects.count() == 1
