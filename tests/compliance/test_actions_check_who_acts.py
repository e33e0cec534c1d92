"""Every action refuses by itself whoever lacks its permission: a page, the administration and a command guard nothing.

Whatever the package exports stands in one of the tables below; an action that stands in none fails.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from compliance import actions
from compliance.access.roles import Role
from compliance.governance.events import Actor
from compliance.governance.finding_states import FindingState
from compliance.models import (
    AccountLink,
    Approval,
    DesignState,
    LockOut,
    NotePurpose,
    Team,
    default_team,
)
from tests.compliance.factories import make_plan
from tests.compliance.governed import actor_of
from tests.compliance.teams import WORKING, listing_text, make_person, rows_of

Rows = dict[str, Any]
SOON = date.today() + timedelta(days=9)

#: What takes a permission in a team, as somebody would call it who found a door without a guard.
GUARDED: dict[str, Callable[[Rows, Actor], object]] = {
    "add_member": lambda r, who: actions.add_member(
        team=r["team"], user=r["person"], role=Role.VALIDATOR, actor=who
    ),
    "answer_finding": lambda r, who: actions.answer_finding(
        record=r["findingrecord"], revision=1, owner=None, due=None, response="x", remediation="", actor=who
    ),
    "approve_system": lambda r, who: actions.approve_system(listing=r["systemlisting"], reason="read", actor=who),
    "begin_draft": lambda r, who: actions.begin_draft(team=r["team"], name="x", origin="x", text="", actor=who),
    "decide_on_design": lambda r, who: actions.decide_on_design(
        plan=r["planversion"], state=DesignState.RETIRED, reason="read", actor=who
    ),
    "decide_on_language_model": lambda r, who: actions.decide_on_language_model(
        language_model=r["languagemodel"], approval=Approval.RETIRED, actor=who
    ),
    "decide_on_version": lambda r, who: actions.decide_on_version(
        proposal=r["versiondecision"], approve=False, reason="no", actor=who
    ),
    "decline_rejection": lambda r, who: actions.decline_rejection(
        record=r["findingrecord"], reason="x", actor=who
    ),
    "describe_language_model": lambda r, who: actions.describe_language_model(
        language_model=r["languagemodel"], description={"owner": "somebody else"}, actor=who
    ),
    "download_attachment": lambda r, who: actions.download_attachment(note=r["findingnote"], actor=who),
    "end_acceptance": lambda r, who: actions.end_acceptance(record=r["findingrecord"], reason="x", actor=who),
    "end_webhook": lambda r, who: actions.end_webhook(webhook=r["webhook"], actor=who),
    "erase_system_key": lambda r, who: actions.erase_system_key(listing=r["systemlisting"], actor=who),
    "export_file": lambda r, who: actions.export_file(audit=r["audit"], name="report.pdf", actor=who),
    "force_stop": lambda r, who: actions.force_stop(audit=r["audit"], actor=who),
    "invite": lambda r, who: actions.invite(team=r["team"], role=Role.VALIDATOR, name="x", actor=who),
    "keep_mapping": lambda r, who: actions.keep_mapping(
        registration=r["registration"], mapping="name = 'x'", ready=False, actor=who
    ),
    "keep_upload": lambda r, who: actions.keep_upload(registration=r["registration"], file="data/x.csv", actor=who),
    "lift_lock_out": lambda r, who: actions.lift_lock_out(lock_out=r["lock_out"], team=r["team"], actor=who),
    "make_schedule": lambda r, who: actions.make_schedule(
        plan=r["planversion"], language_model=r["languagemodel"], data=None, every_months=3, first_on=SOON, actor=who
    ),
    "move_finding": lambda r, who: actions.move_finding(
        record=r["findingrecord"], to=FindingState.ACKNOWLEDGED, actor=who
    ),
    "move_schedule": lambda r, who: actions.move_schedule(
        schedule=r["auditschedule"], to="paused", revision=1, actor=who
    ),
    "name_team": lambda r, who: actions.name_team(name="another name", team=r["team"], actor=who),
    "note_finding": lambda r, who: actions.note_finding(
        record=r["findingrecord"], text="x", purpose=NotePurpose.COMMENT, actor=who
    ),
    "offer_new_device": lambda r, who: actions.offer_new_device(team=r["team"], user=r["person"], actor=who),
    "offer_new_password": lambda r, who: actions.offer_new_password(team=r["team"], user=r["person"], actor=who),
    "open_language_model": lambda r, who: actions.open_language_model(
        team=r["team"], description={"name": "new"}, actor=who
    ),
    "propose_rejection": lambda r, who: actions.propose_rejection(record=r["findingrecord"], reason="x", actor=who),
    "propose_system": lambda r, who: actions.propose_system(
        team=r["team"], text=listing_text("y"), reason="asked", actor=who
    ),
    "propose_version": lambda r, who: actions.propose_version(
        version=r["languagemodelversion"], audits=[], reason="x", actor=who
    ),
    "rate_finding": lambda r, who: actions.rate_finding(
        record=r["findingrecord"], severity="low", reason="x", actor=who
    ),
    "register_draft": lambda r, who: actions.register_draft(draft=r["plandraft"], plan=make_plan("x"), actor=who),
    "register_plan": lambda r, who: actions.register_plan(plan=make_plan("x"), team=r["team"], actor=who),
    "release_audit": lambda r, who: actions.release_audit(
        audit=r["audit"], reader=r["person"], until=timezone.now() + timedelta(days=1), reason="x", actor=who
    ),
    "remove_member": lambda r, who: actions.remove_member(membership=r["membership"], actor=who),
    "remove_registration": lambda r, who: actions.remove_registration(registration=r["registration"], actor=who),
    "renew_webhook_secret": lambda r, who: actions.renew_webhook_secret(webhook=r["webhook"], actor=who),
    "replace_upload": lambda r, who: actions.replace_upload(
        registration=r["registration"], file_name="b.csv", size=9, actor=who
    ),
    "request_audit": lambda r, who: actions.request_audit(
        plan=r["planversion"], model=r["languagemodelversion"], data=r["datasetversion"], queue="audits",
        request_key="x", actor=who,
    ),
    "request_data": lambda r, who: actions.request_data(team=r["team"], name="x", source="demo:loanapp", actor=who),
    "request_model": lambda r, who: actions.request_model(
        language_model=r["languagemodel"], source="demo:underwriter", actor=who
    ),
    "request_upload": lambda r, who: actions.request_upload(
        team=r["team"], name="x", file_name="a.csv", size=9, actor=who
    ),
    "require_export": lambda r, who: actions.require_export(audit=r["audit"], actor=who),
    "retest_finding": lambda r, who: actions.retest_finding(
        record=r["findingrecord"], model=r["languagemodelversion"], queue="audits", request_key="x", actor=who
    ),
    "retry_audit": lambda r, who: actions.retry_audit(audit=r["audit"], queue="audits", actor=who),
    "review_pack": lambda r, who: actions.review_pack(pack=r["policypackversion"], due=SOON, note="x", actor=who),
    "save_draft": lambda r, who: actions.save_draft(
        draft=r["plandraft"], revision=1, name="x", text="x", agreed="x", changes={}, actor=who
    ),
    "set_system_key": lambda r, who: actions.set_system_key(listing=r["systemlisting"], secret="x" * 20, actor=who),
    "set_webhook": lambda r, who: actions.set_webhook(
        team=r["team"], name="x", url="http://127.0.0.1:9/x", networks=[], kinds=["finding_opened"], actor=who
    ),
    "stop_audit": lambda r, who: actions.stop_audit(audit=r["audit"], reason="x", actor=who),
    "submit_design_again": lambda r, who: actions.submit_design_again(
        plan=r["planversion"], reason="x", actor=who
    ),
    "try_again": lambda r, who: actions.try_again(registration=r["registration"], actor=who),
    "view_evidence": lambda r, who: actions.view_evidence(audit=r["audit"], what="cases", actor=who),
    "withdraw_account_link": lambda r, who: actions.withdraw_account_link(link=r["link"], actor=who),
    "withdraw_approval": lambda r, who: actions.withdraw_approval(
        version=r["languagemodelversion"], reason="x", actor=who
    ),
    "withdraw_release": lambda r, who: actions.withdraw_release(release=r["release"], actor=who),
    "withdraw_system": lambda r, who: actions.withdraw_system(listing=r["systemlisting"], reason="x", actor=who),
}  # fmt: skip
#: What people do with their own account, their own views and what they wrote themselves, or by a link they hold.
OWN = {
    "become_first_administrator", "begin_second_factor", "choose_notices", "confirm_mail_address",
    "confirm_second_factor", "end_other_sessions", "end_session", "find_account_link", "join_by_link", "keep_form",
    "let_go_of_device_by_link", "let_go_of_form", "mark_read", "remove_mail_address", "remove_second_factor",
    "remove_view", "renew_recovery_codes", "save_view", "second_factor_of", "secret_of", "set_mail_address",
    "set_password_by_link", "use_second_factor", "written_by",
}  # fmt: skip
#: What workers, the calendar and commands do: no person calls them, and none is asked for a role.
SOFTWARE = {
    "begin_audit", "begin_registration", "confirm_stopped", "end_upload", "enter_earlier_findings",
    "expire_acceptances", "fail_audit", "fail_registration", "finish_audit", "finish_registration", "follow_tiers",
    "freeze_audit", "hold_schedule", "keep_look", "load_shipped_packs", "note_lock_out", "note_received", "pause_audit",
    "register_data", "register_model", "remind", "rotate_keys", "start_scheduled_audit", "start_ungoverned_audit",
    "tell_people",
}  # fmt: skip
#: What only answers a question.
ASKS = {"may_export", "name_of"}


@pytest.fixture
def rows(db: None, settings: LazySettings, tmp_path: Any) -> Rows:
    settings.DATA_FOLDER = tmp_path / "data"
    settings.KEYS_FILE = tmp_path / "data" / "system-keys"
    settings.DATA_FOLDER.mkdir()
    team = default_team()
    found = rows_of(team, name="own")
    person = make_person("member", team, [Role.VALIDATOR])
    invites = actor_of(make_person("invites", team, [Role.ADMINISTRATOR]))
    actions.invite(team=team, role=Role.DEVELOPER, name="Dee", actor=invites)
    out = LockOut.objects.create(
        user=person, why=LockOut.Why.values[0], address="127.0.0.1", began_at=timezone.now(),
        until=timezone.now() + timedelta(hours=1),
    )  # fmt: skip
    return {**found, "person": person, "link": AccountLink.objects.get(), "lock_out": out}


def kept() -> list[Any]:
    models = [*apps.get_app_config("compliance").get_models(), User]
    return [list(model._default_manager.order_by("pk").values()) for model in models]


def test_every_action_stands_in_one_table() -> None:
    tables = [set(GUARDED), OWN, SOFTWARE, ASKS]
    assert set().union(*tables) == set(actions.__all__)
    assert sum(map(len, tables)) == len(actions.__all__)


def let_through(rows: Rows, who: Actor, names: set[str]) -> list[str]:
    """The actions that did not refuse, or that left a trace of what they refused."""
    found, before = [], kept()
    for name in sorted(names):
        try:
            GUARDED[name](rows, who)
        except PermissionDenied:
            if kept() == before:
                continue
        found.append(name)
    return found


def test_every_action_refuses_whoever_has_every_role_of_another_team(rows: Rows) -> None:
    stranger = actor_of(make_person("stranger", Team.objects.create(name="another"), WORKING))
    of_no_team = {"review_pack"}
    assert let_through(rows, stranger, set(GUARDED) - of_no_team) == []
    assert let_through(rows, actor_of(make_person("no role")), of_no_team) == []


def test_every_action_refuses_whoever_only_reads_in_the_team(rows: Rows) -> None:
    reader = actor_of(make_person("reads", default_team(), [Role.INTERNAL_AUDIT]))
    reading = {"download_attachment", "view_evidence"}
    assert let_through(rows, reader, set(GUARDED) - reading) == []
    assert let_through(rows, reader, reading) == sorted(reading)


def test_what_is_refused_above_is_done_for_whoever_may(rows: Rows) -> None:
    """Or the refusals would prove nothing: three that were guarded by their pages alone."""
    officer = actor_of(make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER]))
    actions.keep_upload(registration=rows["registration"], file="data/x.csv", actor=officer)
    actions.keep_mapping(registration=rows["registration"], mapping="name = 'x'", ready=False, actor=officer)
    actions.replace_upload(registration=rows["registration"], file_name="b.csv", size=9, actor=officer)
    assert rows["registration"].source == "b.csv"
