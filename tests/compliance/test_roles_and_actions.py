"""Role by action: for every address that changes something, who may, as a table; the addresses come from the resolver.

One that is not in the table fails, so that nobody adds a button without saying whose it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from compliance import actions
from compliance.access.roles import Role, roles_with
from compliance.models import Audit, DataSetVersion, LanguageModel, Registration, SecondFactor, default_team
from compliance.plans.shelf import ready_made
from tests.compliance.factories import ACTOR
from tests.compliance.governed import approved_plan, version_of
from tests.compliance.jobs import request
from tests.compliance.messages import keep_messages
from tests.compliance.teams import WORKING, listing_text, make_person, rows_of
from tests.compliance.test_access_of_every_address import ADDED, LINES, REGISTERS, addresses

QUICK = ready_made()["quick"].text
MODEL = {
    "source": "demo:underwriter", "name": "Underwriter", "owner": "Ada", "purpose": "Mortgages",
    "decision_role": "advisory", "risk_tier": "1", "access": "internals",
}  # fmt: skip
RUN = {
    "plans": "{planversion.pk}", "models": "{languagemodelversion.pk}", "data": "{datasetversion.pk}",
    "queue": "audits", "priority": "0", "token": "a" * 32,
}  # fmt: skip
# Addresses at which people deal with their own account, or with none: no role is asked for.
OWN = ("notices/read/", "notices/choices/", "notices/address/", "notices/address/remove/",
       "notices/address/<str:token>/", "login/", "logout/", "password/", "account/sessions/<key:pk>/end/",
       "account/sessions/end-others/", "account/second-factor/begin/", "account/second-factor/confirm/",
       "account/second-factor/codes/", "account/second-factor/remove/", "kept/", "kept/<key:pk>/discard/",
       "views/save/", "views/<key:pk>/remove/",
       "first-run/<str:secret>/", "admin/login/", "admin/logout/", "admin/password_change/")  # fmt: skip
#: What needs an account that administers the installation: no role in a team is enough.
INSTALLATION = tuple(route for route in LINES if route.startswith("admin/auth/"))


@dataclass(frozen=True)
class Action:
    """What takes which permissions, all of them; ``form`` is filled with the rows of the team."""

    permissions: tuple[str, ...]
    form: dict[str, str] = field(default_factory=dict)


ACTIONS = {
    "first-steps/<key:team>/model/": Action(("add_languagemodel",)),
    "first-steps/<key:team>/data/": Action(("add_datasetversion",)),
    "first-steps/<key:team>/plan/": Action(("add_planversion",), {"plan": "quick"}),
    "audits/<audit:number>/stop/": Action(("cancel_audit",)),
    "audits/<audit:number>/force-stop/": Action(("cancel_audit",)),
    "audits/<audit:number>/retry/": Action(("run_audit",)),
    "findings/<finding:number>/move/": Action(("answer_findingrecord",), {"to": "acknowledged", "revision": "1"}),
    "findings/<finding:number>/reject/": Action(("validate_findingrecord",), {"reason": "It was a test."}),
    "findings/<finding:number>/rate/": Action(
        ("validate_findingrecord",), {"severity": "low", "said": "It is small.", "revision": "1"}
    ),
    # Of one that nobody proposed to reject, and one that nobody accepted: whoever may is told so.
    "findings/<finding:number>/decline/": Action(("validate_findingrecord",), {"said": "It stays.", "revision": "1"}),
    "findings/<finding:number>/end-acceptance/": Action(
        ("accept_findingrecord",), {"said": "It is needed no more.", "revision": "1"}
    ),
    "findings/<finding:number>/answer/": Action(("answer_findingrecord",), {"response": "Seen.", "revision": "1"}),
    "findings/<finding:number>/notes/": Action(("add_findingnote",), {"text": "Read.", "purpose": "comment"}),
    "findings/<finding:number>/retest/": Action(
        ("run_audit",), {"model": "{another.pk}", "token": "a" * 32}
    ),
    "audits/<audit:number>/release/": Action(
        ("add_release",), {"reader": "{reader.pk}", "until": "{day}", "reason": "asked", "confirmed": "on"}
    ),
    "released/<key:pk>/withdraw/": Action(("delete_release",), {"confirmed": "on"}),
    "notices/webhooks/": Action(
        ("add_webhook",),
        {"team": "{team.pk}", "name": "SIEM", "url": "http://127.0.0.1:9/x", "kinds": "finding_opened"},
    ),
    "notices/webhooks/<key:pk>/secret/": Action(("add_webhook",)),
    "notices/webhooks/<key:pk>/end/": Action(("delete_webhook",)),
    "people/invite/": Action(("add_membership",), {"team": "{team.pk}", "name": "x", "role": "validator"}),
    "people/<key:team>/<key:pk>/new-password/": Action(("add_membership",)),
    "people/<key:team>/<key:pk>/new-device/": Action(("add_membership",)),
    # A name that the team does not use yet makes a language model, and not only a version of one.
    "register/model/": Action(("add_languagemodelversion", "add_languagemodel"), {"team": "{team.pk}", **MODEL}),
    "register/data/": Action(("add_datasetversion",), {"team": "{team.pk}", "file": "a table"}),
    "register/data/uploads/": Action(
        ("add_datasetversion",), {"team": "{team.pk}", "file_name": "a.csv", "size": "9"}
    ),
    "register/<uuid:public_id>/": Action(("add_datasetversion",), {"mapping": "name = 'x'", "register": ""}),
    "register/<uuid:public_id>/part/": Action(("add_datasetversion",)),
    "register/<uuid:public_id>/file/": Action(("add_datasetversion",), {"file": "a table"}),
    "register/<uuid:public_id>/remove/": Action(("add_datasetversion",), {"sure": "on"}),
    "register/<uuid:public_id>/again/": Action(("add_datasetversion",)),
    "systems/propose/": Action(
        ("add_systemlisting",), {"team": "{team.pk}", "text": listing_text("another"), "reason": "asked"}
    ),
    "systems/<key:pk>/approve/": Action(("approve_systemlisting",), {"reason": "read"}),
    "systems/<key:pk>/key/": Action(("add_systemkey",), {"key": "a-key-of-a-server"}),
    "systems/<key:pk>/key/erase/": Action(("add_systemkey",)),
    "systems/<key:pk>/withdraw/": Action(("withdraw_systemlisting",), {"reason": "not needed"}),
    "plans/new/": Action(("add_planversion",), {"team": "{team.pk}", "origin": "ready:quick"}),
    "plans/from/<key:pk>/": Action(("add_planversion",), {"write": "", "business_use": "Loans"}),
    "plans/drafts/<key:pk>/": Action(("add_planversion",), {"text": QUICK, "agreed": QUICK, "revision": "1"}),
    "plans/drafts/<key:pk>/check/": Action(("add_planversion",), {"text": QUICK, "agreed": QUICK, "revision": "1"}),
    "models/<key:number>/propose/": Action(
        ("change_languagemodel",), {"propose-audits": "{governed.number}", "propose-reason": "For loans."}
    ),
    "models/<key:number>/decide/": Action(
        ("approve_languagemodel",),
        {"decide-proposal": "{versiondecision.pk}", "decide-decision": "return", "decide-reason": "Which loans?"},
    ),
    "models/<key:number>/withdraw/": Action(("approve_languagemodel",), {"withdraw-reason": "Replaced."}),
    "schedules/new/": Action(
        ("run_audit",),
        {"plan": "{approved.pk}", "language_model": "{languagemodel.pk}", "data": "{datasetversion.pk}",
         "every_months": "3", "first_on": "{day}"},
    ),
    "schedules/<key:pk>/move/": Action(("run_audit",), {"to": "paused", "revision": "1"}),
    "plans/<key:pk>/again/": Action(("add_planversion",), {"reason": "Answered."}),
    "plans/<key:pk>/decide/": Action(("approve_planversion",), {"state": "retired", "reason": "seen"}),
    "admin/compliance/audit/request/": Action(("run_audit",), RUN),
    "audits/request/": Action(("run_audit",), RUN),
    "packs/<key:pk>/review/": Action(("review_policypackversion",), {"due": "2099-01-01", "note": "read"}),
    "admin/compliance/policypackversion/<key:pk>/review/": Action(
        ("review_policypackversion",), {"due": "2099-01-01", "note": "read"}
    ),
    "admin/compliance/languagemodel/<path:object_id>/change/": Action(
        ("change_languagemodel",), {**{name: MODEL[name] for name in MODEL if name != "source"}, "name": "Renamed"}
    ),
    "admin/compliance/membership/add/": Action(
        ("add_membership",), {"team": "{team.pk}", "user": "{newcomer.pk}", "role": "validator"}
    ),
    "admin/compliance/membership/<path:object_id>/delete/": Action(("delete_membership",), {"post": "yes"}),
    "admin/compliance/release/add/": Action(
        ("add_release",),
        {"audit": "{done.pk}", "reader": "{reader.pk}", "expires_at_0": "{day}", "expires_at_1": "12:00:00",
         "reason": "asked"},
    ),
    "admin/compliance/release/<path:object_id>/delete/": Action(("delete_release",), {"post": "yes"}),
    # An action of a list; the lists of other registers have none that changes anything.
    "admin/compliance/languagemodel/": Action(
        ("approve_languagemodel",), {"action": "retire", "_selected_action": "{languagemodel.pk}"}
    ),
}  # fmt: skip


def changing() -> set[str]:
    """Addresses that may change something: all but those that answer a POST with a refusal, whoever sends it."""
    return set(addresses(get_resolver())) - set(OWN) - set(INSTALLATION)


@pytest.fixture
def rows(db: None, settings: LazySettings, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    keep_messages(monkeypatch)
    settings.DATA_FOLDER = tmp_path / "data"
    settings.KEYS_FILE = tmp_path / "data" / "system-keys"
    settings.DATA_FOLDER.mkdir()
    found = rows_of(default_team(), name="own")
    found["done"], found["audit"] = found["audit"], request()  # one that can be stopped
    Registration.objects.filter(pk=found["registration"].pk).update(state="mapping", received=9, file="data/none.csv")
    reader = make_person("another reader", default_team(), [Role.EXAMINER])
    day = (timezone.now() + timedelta(days=9)).date().isoformat()
    another = version_of(default_team(), 7)
    approved = approved_plan(default_team(), name="another")
    SecondFactor.objects.create(
        user=found["membership"].user, sealed=b"", begun_at=timezone.now(), confirmed_at=timezone.now()
    )
    governed = Audit.objects.get(governed=True, model=found["languagemodelversion"])
    beside = {"another": another, "approved": approved, "governed": governed, "newcomer": make_person("newcomer")}
    return {**found, **beside, "reader": reader, "day": day}


def filled(action: Action, rows: dict[str, Any]) -> dict[str, Any]:
    """The form of an action, with the rows it names."""
    sent: dict[str, Any] = {
        name: value.format(**rows) if value.startswith("{") and value.endswith("}") else value
        for name, value in action.form.items()
    }
    if "file" in sent:
        sent["file"] = SimpleUploadedFile("a.csv", b"a,b\n1,2\n")
    return sent


def send(client: Client, route: str, action: Action, rows: dict[str, Any]) -> int:
    """The status of a POST; what it did is taken back."""
    with transaction.atomic():
        status = int(client.post(LINES[route].path.format(**rows), filled(action, rows)).status_code)
        transaction.set_rollback(True)
    return status


def kept() -> list[Any]:
    """Every row of the application and every account."""
    models = [*apps.get_app_config("compliance").get_models(), User]
    return [list(model._default_manager.order_by("pk").values()) for model in models]


def test_every_address_that_is_not_in_the_table_changes_nothing_whoever_posts_to_it(
    client: Client, rows: dict[str, Any]
) -> None:
    client.force_login(make_person("all", default_team(), WORKING, is_staff=True))
    assert set(ACTIONS) <= changing()
    before = kept()
    for route in sorted(changing() - set(ACTIONS)):
        everything = {"post": "yes", "name": "x", "action": "delete_selected", "_selected_action": "1", "_save": ""}
        client.post(LINES[route].path.format(**rows), everything)
    assert kept() == before


@pytest.mark.parametrize("role", list(Role))
def test_a_role_does_what_its_permissions_say_and_nothing_else(
    client: Client, rows: dict[str, Any], role: Role
) -> None:
    client.force_login(make_person(f"a {role}", default_team(), [role], is_staff=True))
    wrong = []
    for route, action in ACTIONS.items():
        allowed = all(role in roles_with(name) for name in action.permissions)
        status = send(client, route, action, rows)
        refused = status in (403, 404)
        if route == "register/model/" and not allowed:
            refused = refused or status == 400  # of the teams offered none is theirs
        if route == "admin/compliance/languagemodel/":
            continue  # an action that is not theirs is not offered; the tests below look at what was changed
        if refused is allowed:
            wrong.append(f"{route}: {status}, expected {'an answer' if allowed else 'a refusal'}")
    assert wrong == []


@pytest.mark.parametrize("role", list(Role))
def test_what_is_refused_to_a_role_leaves_no_trace(client: Client, rows: dict[str, Any], role: Role) -> None:
    client.force_login(make_person(f"a {role}", default_team(), [role], is_staff=True))
    before = kept()
    for route, action in ACTIONS.items():
        if all(role in roles_with(name) for name in action.permissions):
            continue
        sent = {name: value.format(**rows) if value.endswith("}") else value for name, value in action.form.items()}
        client.post(LINES[route].path.format(**rows), sent)
    assert kept() == before


def test_an_action_of_the_table_that_is_allowed_does_change_something(client: Client, rows: dict[str, Any]) -> None:
    """Or the refusals above would prove nothing: as somebody with every role, each of these is done."""
    person = make_person("all", default_team(), WORKING, is_staff=True)
    client.force_login(person)
    idle = {"register/<uuid:public_id>/part/", "register/<uuid:public_id>/again/", "plans/drafts/<key:pk>/check/",
            "systems/<key:pk>/key/erase/", "audits/<audit:number>/force-stop/",
            "audits/<audit:number>/retry/", "plans/<key:pk>/again/", "findings/<finding:number>/decline/",
            "findings/<finding:number>/end-acceptance/"}  # fmt: skip
    before = kept()
    for route, action in ACTIONS.items():
        if route in idle:
            continue
        with transaction.atomic():
            answer = client.post(LINES[route].path.format(**rows), filled(action, rows))
            changed = kept() != before
            transaction.set_rollback(True)
        said = answer.context["adminform"].form.errors if answer.context and "adminform" in answer.context else ""
        assert changed, f"{route}: {answer.status_code} {said}"


def test_a_developer_adds_a_version_and_no_language_model(client: Client, rows: dict[str, Any]) -> None:
    client.force_login(make_person("dev", default_team(), [Role.DEVELOPER]))
    sent = {"team": rows["team"].pk, **MODEL}
    assert client.post("/register/model/", sent).status_code == 403
    assert not LanguageModel.objects.filter(name="Underwriter").exists()
    actions.open_language_model(team=rows["team"], description={"name": "Underwriter"}, actor=ACTOR)
    assert client.post("/register/model/", sent).status_code == 302
    assert DataSetVersion.objects.count() == 1


def test_the_table_of_registers_is_the_one_of_the_addresses() -> None:
    added = {f"admin/compliance/{name}/add/" for name in ADDED}
    assert added <= set(ACTIONS)
    assert {route for route in ACTIONS if route.endswith("/add/")} == added
    assert all(f"admin/compliance/{name}/" in LINES for name in REGISTERS)
