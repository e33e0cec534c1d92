"""Every address of the site: as anybody, without and with permission, and for another team's rows.

The addresses are taken from the resolver. One that has no line here fails, so that nobody adds a page without saying
who may see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from compliance.access.roles import Role
from compliance.models import Audit, Team, default_team
from tests.compliance.teams import WORKING, make_person, rows_of

LOGIN, MISSING, REFUSED = 302, 404, 403


@dataclass(frozen=True)
class Line:
    """What an address answers, by who asks. ``foreign`` is a row of another team, asked by somebody with permission."""

    path: str
    anybody: int = LOGIN
    without: int = REFUSED
    allowed: int = 200
    foreign: int | None = None
    method: str = "get"


SITE = {
    "": Line("/"),
    "first-steps/": Line("/first-steps/"),
    **{
        f"first-steps/<key:team>/{step}/": Line(
            f"/first-steps/{{team.pk}}/{step}/", method="post", without=MISSING, allowed=302, foreign=MISSING
        )
        for step in ("model", "data", "plan")
    },
    "findings/": Line("/findings/"),
    "findings/<finding:number>/": Line("/findings/{findingrecord.number}/", without=MISSING, foreign=MISSING),
    **{
        f"findings/<finding:number>/{button}/": Line(
            f"/findings/{{findingrecord.number}}/{button}/",
            method="post",
            without=MISSING,
            allowed=400,
            foreign=MISSING,
        )
        for button in ("move", "reject", "decline", "rate", "end-acceptance", "answer", "notes", "retest")
    },
    "findings/<finding:number>/files/<key:pk>/": Line(
        "/findings/{findingrecord.number}/files/{findingnote.pk}/", without=MISSING, foreign=MISSING
    ),
    "models/": Line("/models/"),
    "events/": Line("/events/"),
    "releases/": Line("/releases/"),
    "workers/": Line("/workers/"),
    # One's own; test_views_of_lists_are_kept.py keeps and removes some.
    "views/save/": Line("/views/save/", method="post", without=MISSING, allowed=MISSING),
    "views/<key:pk>/remove/": Line("/views/999/remove/", method="post", without=MISSING, allowed=MISSING),
    "data/": Line("/data/"),
    "data/<key:pk>/": Line("/data/{datasetversion.pk}/", without=MISSING, foreign=MISSING),
    "packs/": Line("/packs/"),
    "packs/<key:pk>/": Line("/packs/{policypackversion.pk}/", without=MISSING),
    "packs/<key:pk>/review/": Line(
        "/packs/{policypackversion.pk}/review/", method="post", without=MISSING, allowed=400
    ),
    "audits/request/": Line("/audits/request/"),
    "models/<key:number>/": Line("/models/{languagemodelversion.pk}/", without=MISSING, foreign=MISSING),
    "models/<key:number>/approval/": Line(
        "/models/{languagemodelversion.pk}/approval/", without=MISSING, foreign=MISSING
    ),
    **{
        f"models/<key:number>/{button}/": Line(
            f"/models/{{languagemodelversion.pk}}/{button}/",
            method="post",
            without=MISSING,
            allowed=400,
            foreign=MISSING,
        )
        for button in ("propose", "decide", "withdraw")
    },
    "schedules/": Line("/schedules/"),
    "schedules/new/": Line("/schedules/new/"),
    "schedules/<key:pk>/": Line("/schedules/{auditschedule.pk}/", without=MISSING, foreign=MISSING),
    "schedules/<key:pk>/move/": Line(
        "/schedules/{auditschedule.pk}/move/", method="post", without=MISSING, allowed=400, foreign=MISSING
    ),
    "audits/": Line("/audits/"),
    "audits/<audit:number>/live/": Line("/audits/{audit.number}/live/", without=MISSING, allowed=286, foreign=MISSING),
    **{
        f"audits/<audit:number>/{button}/": Line(
            f"/audits/{{audit.number}}/{button}/", method="post", without=MISSING, allowed=302, foreign=MISSING
        )
        for button in ("stop", "force-stop", "retry")
    },
    "audits/<audit:number>/release/": Line(
        "/audits/{release.audit.number}/release/", method="post", without=MISSING, allowed=400, foreign=MISSING
    ),
    "released/": Line("/released/", without=200),
    "released/<key:pk>/": Line("/released/{release.pk}/", without=MISSING, foreign=MISSING),
    "released/<key:pk>/withdraw/": Line(
        "/released/{release.pk}/withdraw/", method="post", without=MISSING, allowed=400, foreign=MISSING
    ),
    # One's own notices and choices need no role.
    "notices/": Line("/notices/", without=200),
    "notices/read/": Line("/notices/read/", method="post", without=302, allowed=302),
    "notices/choices/": Line("/notices/choices/", without=200),
    "notices/address/": Line("/notices/address/", method="post", without=400, allowed=400),
    "notices/address/remove/": Line("/notices/address/remove/", method="post", without=302, allowed=302),
    "notices/address/<str:token>/": Line("/notices/address/x/", without=200),
    "notices/webhooks/": Line("/notices/webhooks/"),
    "notices/webhooks/<key:pk>/": Line("/notices/webhooks/{webhook.pk}/", without=MISSING, foreign=MISSING),
    "notices/webhooks/<key:pk>/secret/": Line(
        "/notices/webhooks/{webhook.pk}/secret/", method="post", without=MISSING, foreign=MISSING
    ),
    "notices/webhooks/<key:pk>/end/": Line(
        "/notices/webhooks/{webhook.pk}/end/", method="post", without=MISSING, allowed=302, foreign=MISSING
    ),
    "audits/<audit:number>/": Line("/audits/{audit.number}/", without=MISSING, foreign=MISSING),
    "audits/<audit:number>/numbers/<str:name>/": Line(
        "/audits/{audit.number}/numbers/every/", without=MISSING, foreign=MISSING
    ),
    # The small audits here have no evidence folder; test_officers_site.py reads these pages of one that has.
    "audits/<audit:number>/sections/<str:name>/": Line(
        "/audits/{audit.number}/sections/limitations/", without=MISSING, allowed=MISSING, foreign=MISSING
    ),
    "audits/<audit:number>/cases/": Line(
        "/audits/{audit.number}/cases/", without=MISSING, allowed=MISSING, foreign=MISSING
    ),
    "audits/<audit:number>/cases/<path:case_id>/": Line(
        "/audits/{audit.number}/cases/x/", without=MISSING, allowed=MISSING, foreign=MISSING
    ),
    "audits/<audit:number>/<published:name>": Line(
        "/audits/{audit.number}/report.pdf", without=MISSING, allowed=MISSING, foreign=MISSING
    ),
    # A cookie and nothing else; whoever cannot log in may read the login page in German.
    "language/": Line("/language/", method="post", anybody=302, without=302, allowed=302),
    # Whoever is logged in reads the documents, whatever their role.
    "help/": Line("/help/", without=200),
    "help/<slug:name>/": Line("/help/glossary/", without=200),
    "help/pictures/<str:name>": Line("/help/pictures/home-light-1280.png", without=200),
    "login/": Line("/login/", anybody=200, without=302, allowed=302),
    "logout/": Line("/logout/", anybody=405, without=405, allowed=405),
    "password/": Line("/password/", without=200),
    "login/code/": Line("/login/code/", without=302, allowed=302),
    "session/": Line("/session/", anybody=200, without=200),
    "account/": Line("/account/", without=200),
    "account/sessions/<key:pk>/end/": Line("/account/sessions/999/end/", method="post", without=409, allowed=409),
    "account/sessions/end-others/": Line("/account/sessions/end-others/", method="post", without=302, allowed=302),
    "account/second-factor/": Line("/account/second-factor/", without=200),
    "account/second-factor/begin/": Line("/account/second-factor/begin/", method="post", without=302, allowed=302),
    **{
        f"account/second-factor/{button}/": Line(
            f"/account/second-factor/{button}/", method="post", without=400, allowed=400
        )
        for button in ("confirm", "codes", "remove")
    },
    "kept/": Line("/kept/", method="post", anybody=401, without=400, allowed=400),
    "kept/<key:pk>/discard/": Line("/kept/999/discard/", method="post", without=302, allowed=302),
    "first-run/<str:secret>/": Line("/first-run/x/", anybody=MISSING, without=MISSING, allowed=MISSING),
    "join/<str:secret>/": Line("/join/x/", anybody=MISSING, without=MISSING, allowed=MISSING),
    "people/": Line("/people/"),
    "people/invite/": Line("/people/invite/", method="post", allowed=400),
    # No link is made by these rows; test_people_join_by_a_link.py withdraws one.
    "people/links/<key:pk>/withdraw/": Line(
        "/people/links/999/withdraw/", method="post", without=MISSING, allowed=MISSING
    ),
    "people/<key:team>/<key:pk>/": Line("/people/{team.pk}/{membership.user_id}/", without=MISSING, foreign=MISSING),
    "people/<key:team>/<key:pk>/roles/": Line(
        "/people/{team.pk}/{membership.user_id}/roles/", method="post", without=MISSING, allowed=400, foreign=MISSING
    ),
    "people/<key:team>/<key:pk>/roles/<key:role>/take/": Line(
        "/people/{team.pk}/{membership.user_id}/roles/999/take/",
        method="post",
        without=MISSING,
        allowed=MISSING,
        foreign=MISSING,
    ),
    "people/<key:team>/<key:pk>/new-password/": Line(
        "/people/{team.pk}/{membership.user_id}/new-password/", method="post", without=MISSING, foreign=MISSING
    ),
    # These rows hold no second factor; test_second_factor.py lets go of one.
    "people/<key:team>/<key:pk>/new-device/": Line(
        "/people/{team.pk}/{membership.user_id}/new-device/",
        method="post",
        without=MISSING,
        allowed=409,
        foreign=MISSING,
    ),
    # Nor a lock-out; test_lock_outs_are_seen.py lifts one.
    "people/<key:team>/<key:pk>/lock-outs/<key:lock>/lift/": Line(
        "/people/{team.pk}/{membership.user_id}/lock-outs/999/lift/",
        method="post",
        without=MISSING,
        allowed=MISSING,
        foreign=MISSING,
    ),
    "register/": Line("/register/"),
    "register/model/": Line("/register/model/"),
    "register/data/": Line("/register/data/"),
    "register/data/uploads/": Line("/register/data/uploads/", method="post", allowed=400),
    "register/<uuid:public_id>/": Line("/register/{registration.public_id}/", without=MISSING, foreign=MISSING),
    "register/<uuid:public_id>/part/": Line(
        "/register/{registration.public_id}/part/", without=MISSING, foreign=MISSING
    ),
    "register/<uuid:public_id>/file/": Line(
        "/register/{registration.public_id}/file/", method="post", allowed=400, foreign=MISSING
    ),
    "register/<uuid:public_id>/remove/": Line(
        "/register/{registration.public_id}/remove/", method="post", without=MISSING, allowed=400, foreign=MISSING
    ),
    "register/<uuid:public_id>/again/": Line(
        "/register/{registration.public_id}/again/", method="post", without=MISSING, allowed=409, foreign=MISSING
    ),
    "systems/": Line("/systems/"),
    "systems/propose/": Line("/systems/propose/"),
    "systems/<key:pk>/": Line("/systems/{systemlisting.pk}/", without=MISSING, foreign=MISSING),
    **{
        f"systems/<key:pk>/{button}/": Line(
            f"/systems/{{systemlisting.pk}}/{button}/", method="post", without=MISSING, allowed=400, foreign=MISSING
        )
        for button in ("approve", "withdraw", "key")
    },
    "systems/<key:pk>/key/erase/": Line(
        "/systems/{systemlisting.pk}/key/erase/", method="post", without=MISSING, allowed=302, foreign=MISSING
    ),
    "plans/": Line("/plans/"),
    "plans/new/": Line("/plans/new/"),
    "plans/from/<key:pk>/": Line("/plans/from/{datasetversion.pk}/", without=MISSING, foreign=MISSING),
    "plans/drafts/<key:pk>/": Line("/plans/drafts/{plandraft.pk}/", without=MISSING, foreign=MISSING),
    "plans/drafts/<key:pk>/check/": Line(
        "/plans/drafts/{plandraft.pk}/check/", method="post", without=MISSING, foreign=MISSING
    ),
    "plans/<key:pk>/": Line("/plans/{planversion.pk}/", without=MISSING, foreign=MISSING),
    **{
        f"plans/<key:pk>/{button}/": Line(
            f"/plans/{{planversion.pk}}/{button}/", method="post", without=MISSING, allowed=400, foreign=MISSING
        )
        for button in ("decide", "again")
    },
    "favicon.ico": Line("/favicon.ico", anybody=302, without=302, allowed=302),
    "healthz": Line("/healthz", anybody=200, without=200),
    "readyz": Line("/readyz", anybody=200, without=200),
}
ADMIN = {
    "admin/compliance/audit/request/": Line("/admin/compliance/audit/request/"),
    "admin/": Line("/admin/", without=200),
    "admin/login/": Line("/admin/login/", without=302, allowed=302),
    "admin/logout/": Line("/admin/logout/", anybody=302, without=405, allowed=405),
    "admin/password_change/": Line("/admin/password_change/", without=200),
    "admin/password_change/done/": Line("/admin/password_change/done/", without=200),
    "admin/autocomplete/": Line("/admin/autocomplete/", allowed=REFUSED),
    "admin/jsi18n/": Line("/admin/jsi18n/", without=200),
    "admin/r/<path:rest>": Line("/admin/r/1/1/", anybody=MISSING, without=MISSING, allowed=MISSING),
    "admin/r/<path:content_type_id>/<path:object_id>/": Line(
        "/admin/r/1/1/", anybody=MISSING, without=MISSING, allowed=MISSING
    ),
    "admin/^(?P<app_label>auth|compliance)/$": Line("/admin/compliance/", without=MISSING),
    "admin/(?P<url>.*)$": Line("/admin/nothing/", without=MISSING, allowed=MISSING),
    "admin/compliance/policypackversion/<key:pk>/review/": Line(
        "/admin/compliance/policypackversion/{policypackversion.pk}/review/"
    ),
    "admin/compliance/policypackversion/<key:pk>/diff/<key:other>/": Line(
        "/admin/compliance/policypackversion/{policypackversion.pk}/diff/{policypackversion.pk}/"
    ),
}
# Accounts are the business of whoever administers the installation: roles in a team do not open them.
ACCOUNTS = {
    f"admin/auth/user/{rest}": Line(f"/admin/auth/user/{where}", without=code, allowed=code)
    for rest, where, code in (
        ("", "", REFUSED),
        ("add/", "add/", REFUSED),
        ("<id>/password/", "1/password/", REFUSED),
        ("<path:object_id>/history/", "999/history/", 302),  # to the index, as Django does for what is not there
        ("<path:object_id>/delete/", "999/delete/", REFUSED),
        ("<path:object_id>/change/", "999/change/", REFUSED),
    )
}
SHARED = ("policypackversion", "policypackreview", "worker")
ADDED = ("membership", "release")
REMOVED = ("membership", "release")
REGISTERS = (
    "team", "membership", "release", "languagemodel", "languagemodelversion", "datasetversion", "planversion",
    "plandraft", "plandecision", "registration", "policypackreview", "policypackversion", "audit", "auditchunk",
    "measurementrow", "findingrow", "findingrecord", "sighting", "findingnote", "event", "systemlisting", "worker",
    "auditschedule", "versiondecision",
)  # fmt: skip


def register_lines(name: str) -> dict[str, Line]:
    """The six addresses that Django gives a register."""
    base, row = f"/admin/compliance/{name}/", f"/admin/compliance/{name}/{{{name}.pk}}/"
    shared = name in SHARED
    foreign = None if shared else MISSING
    deletable = name in REMOVED
    return {
        "": Line(base),
        "add/": Line(f"{base}add/", allowed=200 if name in ADDED else REFUSED),
        "<path:object_id>/history/": Line(f"{row}history/", without=MISSING, foreign=foreign),
        "<path:object_id>/delete/": Line(
            f"{row}delete/", allowed=200 if deletable else REFUSED, foreign=MISSING if deletable else None
        ),
        "<path:object_id>/change/": Line(f"{row}change/", foreign=foreign),
        "<path:object_id>/": Line(row, without=302, allowed=302),
    }


LINES = {
    **SITE,
    **ADMIN,
    **ACCOUNTS,
    "admin/auth/user/<path:object_id>/": Line("/admin/auth/user/1/", without=302, allowed=302),
    **{f"admin/compliance/{name}/{rest}": line for name in REGISTERS for rest, line in register_lines(name).items()},
}


def addresses(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        else:
            yield from addresses(pattern, route)


@pytest.fixture
def own(db: None) -> dict[str, Any]:
    return rows_of(default_team(), name="own")


@pytest.fixture
def foreign(own: dict[str, Any]) -> dict[str, Any]:
    return rows_of(Team.objects.create(name="Elsewhere"), name="foreign")


def wrong(client: Client, rows: dict[str, Any], who: str) -> list[str]:
    """The addresses that answer otherwise than their line says."""
    found = []
    for route, line in LINES.items():
        expected = getattr(line, who)
        if expected is None:
            continue
        answer = getattr(client, line.method)(line.path.format(**rows))
        if answer.status_code != expected:
            found.append(f"{route}: {answer.status_code}, expected {expected}")
        if who == "anybody" and expected == LOGIN and route not in ("favicon.ico", "admin/logout/", "language/"):
            assert answer["Location"].startswith(("/login/", "/admin/login/")), route
    return found


def test_every_address_has_a_line_that_says_who_may_see_it() -> None:
    assert sorted(set(addresses(get_resolver()))) == sorted(LINES)


def test_anybody_is_sent_to_the_login(client: Client, own: dict[str, Any]) -> None:
    assert wrong(client, own, "anybody") == []


def test_an_account_without_a_role_is_refused(client: Client, own: dict[str, Any]) -> None:
    client.force_login(make_person("clerk", is_staff=True))
    assert wrong(client, own, "without") == []


def test_people_with_roles_open_what_their_team_has(client: Client, own: dict[str, Any]) -> None:
    client.force_login(make_person("officer", default_team(), WORKING, is_staff=True))
    assert wrong(client, own, "allowed") == []


def test_the_rows_of_another_team_are_not_there(client: Client, foreign: dict[str, Any]) -> None:
    client.force_login(make_person("officer", default_team(), WORKING, is_staff=True))
    assert sum(line.foreign is not None for line in LINES.values()) > 30
    assert wrong(client, foreign, "foreign") == []


@pytest.mark.parametrize("name", [name for name in REGISTERS if name not in SHARED])
def test_lists_hold_the_rows_of_ones_teams_only(
    client: Client, own: dict[str, Any], foreign: dict[str, Any], name: str
) -> None:
    client.force_login(make_person("officer", default_team(), WORKING, is_staff=True))
    listed = client.get(f"/admin/compliance/{name}/").context["cl"].queryset
    assert own[name] in listed
    assert foreign[name] not in listed


def test_an_examiner_reads_the_released_audit_and_nothing_else(
    client: Client, own: dict[str, Any], foreign: dict[str, Any]
) -> None:
    examiner = User.objects.get(username="examiner own")
    client.force_login(examiner)
    assert [row.audit for row in client.get("/").context["listed"]] == [own["audit"]]
    for name in ("audits", "models", f"models/{own['audit'].model_id}", "findings"):
        assert client.get(f"/{name}/")["Location"] == "/"
    assert client.get(f"/audits/{own['audit'].number}/").status_code == 200
    assert client.get(f"/audits/{foreign['audit'].number}/").status_code == 404
    assert client.get(f"/released/{foreign['release'].pk}/").status_code == 404
    assert client.get("/register/").status_code == 403
    assert client.get("/admin/").status_code == 302
    assert list(Audit.objects.for_user(examiner)) == [own["audit"]]


def test_a_role_given_in_one_team_gives_nothing_in_another(
    client: Client, own: dict[str, Any], foreign: dict[str, Any]
) -> None:
    person = make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER], is_staff=True)
    person.memberships.create(team=foreign["team"], role=Role.INTERNAL_AUDIT)
    client.force_login(person)
    for rows, status in ((own, 200), (foreign, 403)):
        address = f"/register/{rows['registration'].public_id}/"
        assert client.get(address).status_code == 200
        assert client.get(f"{address}part/").status_code == status
        page = f"/admin/compliance/languagemodel/{rows['languagemodel'].pk}/change/"
        assert (b'name="owner"' in client.get(page).content) is (status == 200)
        assert client.post(page, {}).status_code == status
