"""The examiner's door: what was released, by whom, why and until when; nothing of the team beside it."""

from __future__ import annotations

import hashlib
import html
import json
import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from compliance import actions
from compliance.access.roles import Role
from compliance.exceptions import StateError
from compliance.models import Audit, Event, Membership, Release, Team, default_team
from compliance.notices.tables import HIDDEN
from tests.compliance.factories import ACTOR
from tests.compliance.governed import actor_of
from tests.compliance.teams import make_person
from tests.compliance.test_officers_site import COUNTS

REASON = "Asked for in the letter of 2 November."


@pytest.fixture
def examiner(db: None) -> User:
    return make_person("emil", default_team(), [Role.EXAMINER])


@pytest.fixture
def release(finished: Audit, examiner: User, client: Client) -> Release:
    """A release for the examiner, whose browser ``client`` is."""
    client.force_login(examiner)
    until = timezone.now() + timedelta(days=7)
    return actions.release_audit(audit=finished, reader=examiner, until=until, reason=REASON, actor=ACTOR)


def text_of(answer: object) -> str:
    content = answer.content.decode()  # type: ignore[attr-defined]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", content)).split())


def downloads() -> int:
    return Event.objects.filter(action="evidence.downloaded").count()


def test_home_is_the_list_of_releases_and_the_bar_leads_nowhere_else(client: Client, release: Release) -> None:
    page = client.get("/").content.decode()
    assert f'href="/released/{release.pk}/"' in page
    bar = page.partition('<nav aria-label="Main">')[2].partition("</nav>")[0]
    assert re.findall(r'href="([^"]+)"', bar) == ["/"]
    assert "Open findings" not in page


def test_the_cover_says_who_why_until_when_and_what_is_in_it(client: Client, release: Release) -> None:
    text = text_of(client.get(f"/released/{release.pk}/"))
    for part in (ACTOR.name, REASON, "What is in it", "What is not in it", "The weights of the model"):
        assert part in text
    assert f"{release.expires_at:%d %b %Y}".lstrip("0") in text


def test_what_the_cover_has_copied_checks_the_files_that_are_taken_away(client: Client, release: Release) -> None:
    page = html.unescape(client.get(f"/released/{release.pk}/").content.decode())
    lines = re.findall(r"^\s*(?:<pre[^>]*>)?([0-9a-f]{64})  (A-0001-\S+?)(?:</pre>)?$", page, flags=re.MULTILINE)
    assert len(lines) == len(release.audit.files) > 2
    for sha256, name in lines:
        answer = client.get(f"/audits/A-0001/{name.removeprefix('A-0001-')}")
        assert f'filename="{name}"' in answer["Content-Disposition"]
        assert hashlib.sha256(answer.getvalue()).hexdigest() == sha256
    assert f"python manage.py verify {' '.join(name for _, name in lines)}" in page


def test_the_pages_of_a_released_audit_are_read_and_lead_back_to_the_cover(client: Client, release: Release) -> None:
    page = client.get("/audits/A-0001/").content.decode()
    assert f'<a href="/released/{release.pk}/">Cover page</a>' in page
    assert 'href="/models/' not in page
    for path in ("numbers/every/", "cases/", "sections/limitations/"):
        assert client.get(f"/audits/A-0001/{path}").status_code == 200


def test_a_release_that_is_over_says_so_wherever_it_is_followed(client: Client, release: Release) -> None:
    with time_machine.travel(release.expires_at + timedelta(seconds=1)):
        client.force_login(release.reader)  # the session ended long before
        cover = client.get(f"/released/{release.pk}/")
        assert "This release is over: ended" in text_of(cover)
        assert "Read the audit" not in text_of(cover)
        assert "sha256sum" not in text_of(cover)
        for path in ("", "report.pdf", "cases/"):
            answer = client.get(f"/audits/A-0001/{path}")
            assert answer.status_code == 404
            assert "A-0001: was released to you, ended" in text_of(answer)
        assert "ended" in text_of(client.get("/"))


def test_a_withdrawn_release_ends_at_once_with_an_event(client: Client, release: Release, finished: Audit) -> None:
    approver = make_person("ava", default_team(), [Role.APPROVER])
    other = Client()
    other.force_login(approver)
    assert client.get("/audits/A-0001/").status_code == 200
    assert other.post(f"/released/{release.pk}/withdraw/").status_code == 400  # not confirmed
    said = {"confirmed": "on"}
    assert other.post(f"/released/{release.pk}/withdraw/", said)["Location"] == f"/released/{release.pk}/"
    assert client.get("/audits/A-0001/").status_code == 404
    assert client.get("/audits/A-0001/report.pdf").status_code == 404
    assert "withdrawn" in text_of(client.get(f"/released/{release.pk}/"))
    event = Event.objects.get(action="audit.release_withdrawn")
    assert (event.actor, event.object) == ("ava", finished.number)
    assert "is withdrawn already" in text_of(other.post(f"/released/{release.pk}/withdraw/", said, follow=True))


def test_the_examiner_withdraws_nothing_and_releases_nothing(client: Client, release: Release) -> None:
    assert client.post(f"/released/{release.pk}/withdraw/").status_code == 403
    assert client.post("/audits/A-0001/release/", {}).status_code == 403
    with pytest.raises(PermissionDenied):
        actions.withdraw_release(release=release, actor=actor_of(release.reader))
    with pytest.raises(PermissionDenied):
        actions.release_audit(
            audit=release.audit, reader=release.reader, until=release.expires_at, reason="x",
            actor=actor_of(release.reader),
        )  # fmt: skip


def test_looking_whether_a_file_is_there_is_no_download(client: Client, release: Release) -> None:
    assert client.head("/audits/A-0001/report.pdf").status_code == 200
    assert downloads() == 0
    assert client.head("/audits/A-0001/cases/").status_code == 200
    assert not Event.objects.filter(action="evidence.viewed").exists()
    release.audit.team.memberships.filter(user=release.reader).update(role=Role.DEVELOPER)
    Release.objects.update(withdrawn_at=timezone.now())
    assert client.head("/audits/A-0001/report.pdf").status_code == 403  # who may not have it is not told of it


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Purpose": "prefetch", "Sec-Fetch-Site": "same-origin"},
        {"Purpose": "prefetch"},
        {"Referer": "https://elsewhere.example/list"},
    ],
)
def test_a_link_from_elsewhere_takes_no_file_and_counts_as_none(
    client: Client, release: Release, headers: dict[str, str]
) -> None:
    assert client.get("/audits/A-0001/report.pdf", headers=headers)["Location"] == "/audits/A-0001/"
    assert downloads() == 0


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-origin"}, {"Referer": "http://testserver/released/1/"}],
)
def test_a_click_on_the_site_takes_the_file_and_counts(
    client: Client, release: Release, headers: dict[str, str]
) -> None:
    answer = client.get("/audits/A-0001/report.pdf", headers=headers)
    assert answer.getvalue().startswith(b"%PDF")
    assert downloads() == 1


def test_an_approver_releases_on_the_page_of_the_audit(client: Client, finished: Audit, examiner: User) -> None:
    client.force_login(make_person("ava", default_team(), [Role.APPROVER]))
    page = client.get("/audits/A-0001/").content.decode()
    assert re.search(r'<input type="date" name="until"', page)
    day = (timezone.now() + timedelta(days=3)).date()
    said = {"reader": examiner.pk, "until": day.isoformat(), "reason": REASON}
    refused = client.post("/audits/A-0001/release/", said)
    assert refused.status_code == 400  # not confirmed
    assert REASON in refused.content.decode()
    answer = client.post("/audits/A-0001/release/", {**said, "confirmed": "on"})
    made = Release.objects.get()
    assert answer["Location"] == f"/released/{made.pk}/"
    assert (made.expires_at.date(), made.released_by) == (day, "ava")
    again = client.post("/audits/A-0001/release/", {**said, "confirmed": "on"})
    assert (again.status_code, "is released to emil already" in text_of(again)) == (409, True)
    assert f'href="/released/{made.pk}/"' in client.get("/audits/A-0001/").content.decode()


def test_a_day_that_is_past_and_a_reason_of_spaces_are_refused(finished: Audit, examiner: User) -> None:
    now = timezone.now()
    with pytest.raises(StateError, match="is past; expected a date in the future"):
        actions.release_audit(audit=finished, reader=examiner, until=now, reason="x", actor=ACTOR)
    with pytest.raises(StateError, match="no reason is given"):
        actions.release_audit(audit=finished, reader=examiner, until=now + timedelta(days=1), reason="  ", actor=ACTOR)


def test_a_team_without_an_examiner_is_told_where_one_is_invited(client: Client, finished: Audit) -> None:
    client.force_login(make_person("ava", default_team(), [Role.APPROVER]))
    assert "Nobody examines this team" in text_of(client.get("/audits/A-0001/"))


def test_whoever_works_in_another_team_keeps_the_officers_pages(client: Client, release: Release) -> None:
    Membership.objects.create(team=Team.objects.create(name="Elsewhere"), user=release.reader, role=Role.VALIDATOR)
    assert client.get("/audits/").status_code == 200
    assert f'href="/released/{release.pk}/"' in client.get("/released/").content.decode()


def test_with_the_role_of_an_examiner_the_releases_are_gone(client: Client, release: Release) -> None:
    client.force_login(release.reader)
    actions.tell_people()
    assert release.audit.number in client.get("/notices/").content.decode()
    actions.remove_member(membership=Membership.objects.get(user=release.reader), actor=ACTOR)
    elsewhere = Team.objects.create(name="Elsewhere")
    Membership.objects.create(team=elsewhere, user=release.reader, role=Role.EXAMINER)
    assert client.get(f"/released/{release.pk}/").status_code == 404
    for where in ("/", "/released/", "/notices/"):
        page = text_of(client.get(where))
        assert REASON not in page
        assert release.audit.plan.title not in page
        assert release.audit.number not in page
    user = User.objects.get(pk=release.reader_id)
    with pytest.raises(PermissionDenied):
        actions.require_export(audit=release.audit, actor=actor_of(user))


def test_a_notice_of_what_is_over_tells_nothing_of_it_not_even_to_a_screen_reader(
    client: Client, release: Release
) -> None:
    actions.tell_people()
    actions.withdraw_release(release=release, actor=ACTOR)
    page = client.get("/notices/").content.decode()
    assert HIDDEN in page
    assert release.audit.number not in page


@pytest.mark.parametrize("name", ["released to me", "release"])
def test_the_pages_of_releases_cost_so_many_queries(client: Client, release: Release, name: str) -> None:
    where = "/" if name == "released to me" else f"/released/{release.pk}/"
    client.get(where)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(where).status_code == 200
    assert {name: len(queries)} == {name: json.loads(COUNTS.read_text(encoding="utf-8"))[name]}


def test_more_releases_cost_no_more_queries(client: Client, release: Release) -> None:
    for _ in range(3):
        Release.objects.create(
            audit=release.audit, reader=release.reader, reason="x", released_by="ava", expires_at=timezone.now()
        )
    client.get("/")
    with CaptureQueriesContext(connection) as queries:
        assert len(client.get("/").context["listed"]) == 4
    assert len(queries) == json.loads(COUNTS.read_text(encoding="utf-8"))["released to me"]
