"""The page of an audit under way: what it says, which buttons it offers to whom, and that each does one thing."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from compliance import actions
from compliance.execution.job import JobState
from compliance.execution.ledger import DatabaseLedger
from compliance.models import Audit, ChunkState, Event, Worker
from tests.compliance.factories import ACTOR
from tests.compliance.jobs import freeze, person, request

pytestmark = pytest.mark.django_db
BUTTONS = {"stop": "Stop audit", "force-stop": "Stop by force", "retry": "Go on"}


@pytest.fixture
def officer(client: Client) -> User:
    user = person("ada", "view_audit", "run_audit", "cancel_audit", staff=False)
    client.force_login(user)
    return user


def running() -> Audit:
    audit = freeze(request())
    actions.begin_audit(audit=audit, actor=ACTOR)
    return audit


def score(audit: Audit, index: int) -> None:
    ledger = DatabaseLedger(audit)
    ledger.claim(index)
    ledger.complete(index, b"decisions")


def listen() -> None:
    Worker.objects.create(key="k", host="h", queues=["audits"], seen_at=timezone.now())


def buttons(page: str) -> set[str]:
    return {name for name, words in BUTTONS.items() if f">{words}</button>" in page and f"/{name}/" in page}


def test_a_requested_audit_says_that_no_worker_is_listening(client: Client, officer: User) -> None:
    request()
    page = client.get("/audits/A-0001/").content.decode()
    assert "No worker is listening" in page
    assert "counted when the run is frozen" in page
    listen()
    assert "No worker is listening" not in client.get("/audits/A-0001/").content.decode()


def test_it_shows_phases_progress_rate_and_log(client: Client, officer: User) -> None:
    listen()
    audit = running()
    for index in range(2):
        score(audit, index)
    ended = timezone.now()
    audit.chunks.filter(index=0).update(
        done_at=ended - timedelta(seconds=10), claimed_at=ended - timedelta(seconds=14), lost=1
    )
    audit.chunks.filter(index=1).update(claimed_at=ended - timedelta(seconds=10), done_at=ended)
    audit.chunks.filter(index=2).update(error="StorageError: full")
    answer = client.get("/audits/A-0001/")
    page = answer.content.decode()
    assert "4 of 6 prompts scored" in page
    assert [phase.stage for phase in answer.context["phases"]] == ["done", "on", "todo"]
    audit.chunks.filter(index=2).update(state=ChunkState.RUNNING, kind="attribution_patching")
    assert "2 of 3 chunks done; now attribution patching" in client.get("/audits/A-0001/").content.decode()
    audit.chunks.filter(index=2).update(state=ChunkState.QUEUED, kind="shared")
    assert answer.context["rate"] == pytest.approx(0.2, rel=0.1)
    assert answer.context["minutes"] == pytest.approx(7 / 60, rel=0.01)  # between 4 s and 10 s of like chunks
    assert "by 2 chunks of this run" in " ".join(page.split())
    said = [line.text for line in answer.context["log"]]
    assert said[0] == "chunk 2 was given back: StorageError: full"
    assert {"chunk 0: 2 prompts, lost 1 times before", "asked for by ada", "scoring begins"} <= set(said)


def test_without_scripts_it_reloads_itself_and_with_them_a_fragment_is_asked_for(client: Client, officer: User) -> None:
    running()
    answer = client.get("/audits/A-0001/")
    assert '<meta http-equiv="refresh" content="5; url=?again">' in answer.content.decode()
    assert 'hx-get="/audits/A-0001/live/"' in answer.content.decode()
    assert "unsafe" not in answer["Content-Security-Policy"]
    fragment = client.get("/audits/A-0001/live/")
    assert (fragment.status_code, fragment["Cache-Control"]) == (200, "private, no-store")
    assert "<html" not in fragment.content.decode()


def test_a_fragment_asked_for_after_the_session_ended_takes_the_whole_page_to_the_login(client: Client) -> None:
    running()
    asked = {"HX-Request": "true", "HX-Current-URL": "http://elsewhere.example/audits/A-0001/?tab=log"}
    answer = client.get("/audits/A-0001/live/", headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer["HX-Redirect"] == "/login/?next=/audits/A-0001/"
    assert client.get("/audits/A-0001/live/").status_code == 302  # without the script an ordinary redirect


@pytest.mark.parametrize("state", ["cancelled", "failed", "done"])
def test_the_asking_ends_with_the_work(client: Client, officer: User, state: str) -> None:
    running()
    Audit.objects.update(state=state)
    answer = client.get("/audits/A-0001/live/")
    assert (answer.status_code, answer["HX-Refresh"]) == (286, "true")


def test_the_fragment_takes_as_many_queries_for_any_number_of_chunks(client: Client, officer: User) -> None:
    audit = running()
    counts = []
    for index in range(2):
        score(audit, index)
        with CaptureQueriesContext(connection) as queries:
            client.get("/audits/A-0001/live/")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 16


def test_each_button_does_one_thing(client: Client, officer: User) -> None:
    running()
    assert buttons(client.get("/audits/A-0001/").content.decode()) == {"stop"}
    assert client.post("/audits/A-0001/stop/")["Location"] == "/audits/A-0001/"
    assert Audit.objects.get().state == JobState.CANCELLING
    assert buttons(client.get("/audits/A-0001/").content.decode()) == set()
    Audit.objects.update(stop_requested_at=timezone.now() - timedelta(minutes=2))
    assert buttons(client.get("/audits/A-0001/").content.decode()) == {"force-stop"}
    client.post("/audits/A-0001/force-stop/")
    assert Audit.objects.get().state == JobState.CANCELLED
    assert buttons(client.get("/audits/A-0001/").content.decode()) == {"retry"}
    client.post("/audits/A-0001/retry/")
    assert Audit.objects.get().state == JobState.QUEUED
    acted = Event.objects.filter(actor="ada", role="site").order_by("seq").values_list("action", flat=True)
    assert list(acted) == ["audit.stop_requested", "audit.force_stopped", "audit.resumed"]


def test_a_button_that_comes_too_late_is_told(client: Client, officer: User) -> None:
    running()
    Audit.objects.update(state="failed")
    page = client.post("/audits/A-0001/stop/", follow=True).content.decode()
    assert "A-0001: is failed; expected one of: running" in page


@pytest.mark.parametrize("name", BUTTONS)
def test_buttons_need_login_permission_and_post(client: Client, name: str) -> None:
    running()
    where = f"/audits/A-0001/{name}/"
    assert client.post(where)["Location"].startswith("/login/")
    client.force_login(person("clerk", "view_audit", staff=False))
    assert client.get(where).status_code == 405
    Audit.objects.update(state={"stop": "running", "force-stop": "cancelling", "retry": "failed"}[name])
    before = Event.objects.count()
    assert buttons(client.get("/audits/A-0001/").content.decode()) == set()
    assert client.post(where).status_code == 403
    assert Event.objects.count() == before


@pytest.mark.parametrize("name", [*BUTTONS, "live"])
def test_what_somebody_may_not_see_is_not_there_for_them(client: Client, name: str) -> None:
    running()
    client.force_login(person("clerk", "run_audit", "cancel_audit", staff=False, member=False))
    where = f"/audits/A-0001/{name}/"
    assert (client.get if name == "live" else client.post)(where).status_code == 404


def test_progress_is_in_the_list_of_the_admin(client: Client) -> None:
    client.force_login(person("boss", "view_audit"))
    audit = running()
    score(audit, 0)
    page = client.get("/admin/compliance/audit/").content.decode()
    assert '<a href="/audits/A-0001/">2 of 6</a>' in page
    assert '<progress class="slim" value="2" max="6"' in page


def timed(audit: Audit, index: int, seconds: float) -> None:
    score(audit, index)
    ended = timezone.now()
    audit.chunks.filter(index=index).update(claimed_at=ended - timedelta(seconds=seconds), done_at=ended)


def test_what_is_in_hand_is_told_before_the_first_chunk_is_done(client: Client, officer: User) -> None:
    audit = running()
    DatabaseLedger(audit).claim(0)
    audit.chunks.filter(index=0).update(claimed_at=timezone.now() - timedelta(seconds=8))
    page = " ".join(client.get("/audits/A-0001/").content.decode().split())
    assert "Chunk 0 in hand for 8 s" in page
    assert "known once a chunk of each kind is done here" in page


def test_the_time_left_begins_with_earlier_runs_of_the_model_and_goes_on_with_this_one(
    client: Client, officer: User
) -> None:
    before = running()
    for index, seconds in enumerate((20, 30, 40)):
        timed(before, index, seconds)
    Audit.objects.filter(pk=before.pk).update(state="failed")
    audit = freeze(request("two"))
    actions.begin_audit(audit=audit, actor=ACTOR)
    answer = client.get("/audits/A-0002/")
    assert answer.context["minutes"] == pytest.approx(3 * 30 / 60, rel=0.01)
    assert (answer.context["left"].low, answer.context["left"].high) == pytest.approx((66, 114), rel=0.01)
    assert "by 3 chunks of earlier runs of the model here" in " ".join(answer.content.decode().split())
    timed(audit, 0, 10)
    answer = client.get("/audits/A-0002/")
    assert answer.context["minutes"] == pytest.approx(2 * 10 / 60, rel=0.01)
    assert "by 1 chunk of this run" in " ".join(answer.content.decode().split())
    audit.chunks.filter(index=2).update(kind="probing")
    assert client.get("/audits/A-0002/").context["left"] is None  # nothing here says what such a chunk takes


def test_a_stop_is_watched_until_it_has_happened_and_says_what_was_kept(client: Client, officer: User) -> None:
    audit = running()
    score(audit, 0)
    ledger = DatabaseLedger(audit)
    ledger.claim(1)
    client.post("/audits/A-0001/stop/")
    answer = client.get("/audits/A-0001/")
    page = " ".join(answer.content.decode().split())
    assert "<strong>Stopping</strong> since" in page
    assert "1 of 3 chunks are done and kept. Chunk 1 is in hand since 0 s" in page
    assert 'hx-get="/audits/A-0001/live/"' in page
    assert client.get("/audits/A-0001/live/").status_code == 200
    ledger.give_back("stopped")
    actions.confirm_stopped(audit=audit, actor=ACTOR)
    assert client.get("/audits/A-0001/live/").status_code == 286
    page = " ".join(client.get("/audits/A-0001/").content.decode().split())
    assert re.search(r"<strong>Stopped on \d+ \w+ \d{4}, \d\d:\d\d UTC\.</strong>", page)
    assert "Kept: 1 of 3 chunks, 2 of 6 prompts." in page
