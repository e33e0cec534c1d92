"""The pages of findings: what they list, what they say, and that only buttons that work are there."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from auditor.records import Severity
from compliance import actions
from compliance.access.roles import Role
from compliance.governance.finding_states import FindingState
from compliance.models import Audit, FindingRecord, default_team
from reports.lint import forbidden_phrases
from tests.compliance.factories import ACTOR
from tests.compliance.governed import (
    EFFECT,
    FINDING,
    GONE,
    actor_of,
    approved_plan,
    asked_for,
    open_finding,
    run,
    version_of,
)
from tests.compliance.teams import WORKING, make_person
from tests.compliance.test_officers_site import COUNTS, text_of
from tests.reports.conftest import PACKS

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folder(settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA_FOLDER = tmp_path


def browser(*roles: Role, name: str = "") -> Client:
    """The browser of somebody with these roles."""
    found = Client()
    found.force_login(make_person(name or f"a {'-'.join(roles)}", default_team(), roles))
    return found


def several() -> list[FindingRecord]:
    """Three findings of one audit, of three severities; the worst is owned and overdue."""
    plan, effects, found = approved_plan(default_team()), [], []
    for group, severity in (("b", Severity.CRITICAL), ("c", Severity.MEDIUM), ("d", Severity.LOW)):
        effect = EFFECT.__class__(**{**EFFECT.row(), "id": group, "subject": {"field": "race", "group": group},
                                     "role": EFFECT.role, "checks": ()})  # fmt: skip
        effects.append(effect)
        finding = {**FINDING.row(), "severity": severity, "measurements": (group,), "title": f"About {group}"}
        found.append(FINDING.__class__(**{**finding, "id": f"F-00{len(found) + 1}"}))
    run(plan=plan, model=version_of(plan.team, 1), findings=found, measurements=effects)
    first = FindingRecord.objects.get(serial=1)
    owner = make_person("olga", default_team(), [Role.MODEL_OWNER])
    FindingRecord.objects.filter(pk=first.pk).update(owner=owner, due=timezone.now().date() - timedelta(days=3))
    return list(FindingRecord.objects.order_by("serial"))


def numbers_in(client: Client, query: str = "") -> list[str]:
    return [row.number for row in client.get(f"/findings/?{query}").context["lines"]]


def test_the_list_is_searched_narrowed_and_sorted() -> None:
    several()
    FindingRecord.objects.filter(serial=2).update(state=FindingState.ACKNOWLEDGED)
    reader = browser(Role.INTERNAL_AUDIT)
    worst = ["F-0001", "F-0002", "F-0003"]
    for query, expected in {
        "": worst,
        "q=about+c": ["F-0002"],
        "q=f-0003": ["F-0003"],
        "q=3": ["F-0003"],
        "q=demo": worst,
        "q=nothing+of+it": [],
        "state=acknowledged": ["F-0002"],
        "state=live&severity=low": ["F-0003"],
        "owner=olga": ["F-0001"],
        "owner=nobody": ["F-0002", "F-0003"],
        "overdue=yes": ["F-0001"],
        "age=30": worst,
        "age=older": [],
        "sort=number": worst[::-1],
        "sort=due": worst,
    }.items():
        assert numbers_in(reader, query) == expected, query
    page = text_of(reader.get("/findings/").content)
    assert "overdue" in page
    assert "olga" in page


def test_the_list_is_taken_away_with_its_filters_and_what_the_page_has_no_room_for() -> None:
    several()
    reader = browser(Role.INTERNAL_AUDIT)
    answer = reader.get("/findings/?severity=critical&as=csv")
    (row,) = csv.DictReader(io.StringIO(b"".join(answer).decode("utf-8-sig")))
    assert (row["finding"], row["severity"], row["state"], row["overdue"]) == ("F-0001", "critical", "Open", "true")
    assert row["owner"] == "olga"
    told = json.loads(b"".join(reader.get("/findings/?as=json")))
    assert [item["finding"] for item in told["rows"]] == ["F-0001", "F-0002", "F-0003"]


def test_the_page_says_how_it_changed_in_numbers_and_leads_to_audits_and_cases() -> None:
    record = open_finding()
    worse = EFFECT.__class__(**{**EFFECT.row(), "estimate": -0.4, "low": -0.5, "high": -0.3, "role": EFFECT.role,
                                "checks": ()})  # fmt: skip
    run(plan=record.plan, model=version_of(record.team, 2), measurements=[worse])
    answer = browser(Role.INTERNAL_AUDIT).get("/findings/F-0001/")
    text = text_of(answer.content)
    assert "larger than before: −20.0 [−26.0, −14.0] pp in A-0001, now −40.0 [−50.0, −30.0] pp" in text
    page = answer.content.decode()
    assert 'href="/audits/A-0001/"' in page
    assert html.unescape(answer.context["cases"]).startswith("/audits/A-0002/cases/?arm=race%3Da%7Crace%3Db")
    assert "seen again in A-0002 at severity high: larger than before" in text


def test_audit_home_and_model_lead_to_the_record_and_say_where_it_stands(finished: Audit) -> None:
    record = open_finding()
    reader = browser(Role.INTERNAL_AUDIT)
    FindingRecord.objects.update(state=FindingState.IN_REMEDIATION)
    model = text_of(reader.get(f"/models/{record.opened_in.model_id}/").content)
    assert "F-0001" in model
    assert "In remediation" in model
    assert reader.get("/").context["found"] == 1
    # The small audit has no evidence folder, so its page says so, and leads to the record all the same.
    audit = text_of(reader.get(f"/audits/{record.opened_in.number}/").content)
    assert "F-0001 Race changed from a to b" in audit
    assert "In remediation" in audit
    assert "Drafts" not in audit


ROLES_AND_BUTTONS = {
    (Role.MODEL_OWNER,): ["Acknowledge", "Answer", "Comment or attach"],
    (Role.VALIDATOR,): ["Propose a rejection", "Rate the severity anew", "Comment or attach"],
    (Role.APPROVER,): ["Comment or attach"],
    (Role.COMPLIANCE_OFFICER,): ["Comment or attach", "Retest"],
    (Role.INTERNAL_AUDIT,): [],
}


@pytest.mark.parametrize(("roles", "buttons"), ROLES_AND_BUTTONS.items())
def test_only_what_works_has_a_button_and_the_rest_says_who_can(roles: tuple[Role, ...], buttons: list[str]) -> None:
    record = open_finding()
    version_of(record.team, 2)
    page = browser(*roles).get("/findings/F-0001/").content.decode()
    assert re.findall(r'<form class="panel[^>]*aria-label="([^"]*)"', page) == buttons
    text = text_of(page.encode())
    assert ("Model owner: " in text) is (Role.MODEL_OWNER not in roles)
    if not buttons:
        assert "Nothing here is yours to do." in text


def test_what_is_missing_is_said_and_has_no_button() -> None:
    record = open_finding()
    owner = make_person("olga", default_team(), [Role.MODEL_OWNER])
    actions.move_finding(record=record, to=FindingState.ACKNOWLEDGED, actor=actor_of(owner))
    client = Client()
    client.force_login(owner)
    answer = client.get("/findings/F-0001/")
    assert answer.context["moves"] == []
    assert "F-0001: has no owner and no due date; expected both to be set" in text_of(answer.content)


def moved(client: Client, to: str, *, revision: int | None = None, **said: str) -> HttpResponse:
    """The form of a way, as the page that is read now sends it."""
    now = FindingRecord.objects.get(serial=1).revision
    return client.post("/findings/F-0001/move/", {"to": to, "revision": revision or now, **said})


def test_a_page_that_was_read_before_a_change_moves_nothing_and_is_then_of_what_is_shown() -> None:
    open_finding()
    owner = browser(Role.MODEL_OWNER)
    refused = moved(owner, "acknowledged", revision=7)
    assert refused.status_code == 409
    assert "F-0001: was changed in the meantime" in text_of(refused.content)
    assert b'name="revision" value="1"' in refused.content
    assert b'name="revision" value="7"' not in refused.content
    assert owner.post("/findings/F-0001/move/", {"to": "acknowledged"}).status_code == 400
    assert moved(owner, "acknowledged").status_code == 302


def test_a_finding_is_worked_off_by_forms_alone() -> None:
    record = open_finding()
    second = version_of(record.team, 2)
    owner, validator = browser(Role.MODEL_OWNER, name="olga"), browser(Role.VALIDATOR, name="vera")
    officer = browser(Role.COMPLIANCE_OFFICER, name="otto")
    at = "/findings/F-0001/"
    olga = User.objects.get(username="olga")
    day = (timezone.now() + timedelta(days=30)).date().isoformat()
    sent = {"owner": olga.pk, "due": day, "response": "Seen.", "remediation": "Another prompt.", "revision": 1}
    assert owner.post(f"{at}answer/", sent).status_code == 302
    overtaken = owner.post(f"{at}answer/", {**sent, "response": "Not yet."})  # another revision by now
    assert overtaken.status_code == 409
    both = " ".join(overtaken.content.decode().split())
    said = "<strong>Saved now:</strong> Seen. <br> <strong>Yours, not saved:</strong> Not yet."
    assert f"<dt>Response</dt> <dd> {said}" in both
    assert "<dt>Remediation plan</dt> <dd> <strong>" not in both  # there they say the same
    for state in ("acknowledged", "action_planned", "in_remediation"):
        assert moved(owner, state).status_code == 302
    refused = moved(owner, "ready_for_validation")
    assert (refused.status_code, "has no evidence of a fix" in refused.content.decode()) == (409, True)
    file = io.BytesIO(b"Changed the prompt.")
    file.name = "fix.txt"
    assert owner.post(f"{at}notes/", {"purpose": "fix", "text": "Here.", "file": file}).status_code == 302
    assert moved(owner, "ready_for_validation").status_code == 302
    assert officer.post(f"{at}retest/", {"model": second.pk, "token": "b" * 32}).status_code == 302
    retest = Audit.objects.get(serial=2)
    assert (retest.plan, retest.model, retest.governed) == (record.plan, second, True)
    from tests.compliance.governed import conclude

    conclude(retest, findings=[], measurements=[GONE])
    refused = moved(validator, "closed_validated", said="")
    assert refused.status_code == 409
    page = validator.get(at)
    assert [way.target for way, _ in page.context["moves"]] == ["closed_validated"]
    assert moved(validator, "closed_validated", said="A-0002 read.").status_code == 302
    page = text_of(validator.get(at).content)
    assert "closed after validation: A-0002 read." in page
    assert "It is settled." in page


def test_what_was_refused_keeps_what_was_written() -> None:
    open_finding()
    validator = browser(Role.VALIDATOR)
    sent = {"reason": "x" * 11_000}
    answer = validator.post("/findings/F-0001/reject/", sent)
    assert answer.status_code == 400
    assert "x" * 11_000 in answer.content.decode()
    assert "Ensure this value has at most" in answer.content.decode()


def test_the_form_of_an_answer_holds_what_is_there_so_that_saving_it_changes_nothing() -> None:
    record = open_finding()
    olga = make_person("olga", default_team(), [Role.MODEL_OWNER])
    due = timezone.now().date() + timedelta(days=30)
    actions.answer_finding(
        record=record, revision=1, owner=olga, due=due, response="Seen.", remediation="Mend.", actor=actor_of(olga)
    )
    client = Client()
    client.force_login(olga)
    page = client.get("/findings/F-0001/").content.decode()
    assert f'value="{due.isoformat()}"' in page
    form = client.get("/findings/F-0001/").context["answering"]
    sent = {name: form[name].value() for name in form.fields}
    before = FindingRecord.objects.values().get()
    assert client.post("/findings/F-0001/answer/", {**sent, "due": due.isoformat()}).status_code == 302
    assert FindingRecord.objects.values().get() == before


def test_whoever_comes_second_keeps_their_text_and_saves_it_on_top() -> None:
    open_finding()
    first, second = browser(Role.MODEL_OWNER, name="olga"), browser(Role.MODEL_OWNER, name="otto")
    assert first.post("/findings/F-0001/answer/", {"response": "Mine.", "revision": 1}).status_code == 302
    refused = second.post("/findings/F-0001/answer/", {"response": "No, mine.", "revision": 1})
    page = text_of(refused.content)
    assert (refused.status_code, "Mine." in page, "No, mine." in page) == (409, True, True)
    form = refused.context["answering"]
    sent = {name: form[name].value() or "" for name in form.fields}
    assert second.post("/findings/F-0001/answer/", sent).status_code == 302
    assert FindingRecord.objects.get().response == "No, mine."


@pytest.mark.parametrize("name", ["findings in a list", "finding"])
def test_pages_of_findings_cost_so_many_queries_and_say_no_forbidden_word(name: str) -> None:
    record = several()[0]
    version_of(record.team, 2)
    reader = browser(Role.MODEL_OWNER, Role.VALIDATOR, Role.APPROVER, Role.COMPLIANCE_OFFICER)
    with CaptureQueriesContext(connection) as queries:
        answer = reader.get("/findings/" if name.endswith("list") else "/findings/F-0001/")
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "private, no-store"
    assert not [str(hit) for hit in forbidden_phrases(text_of(answer.content), PACKS)]
    assert {name: len(queries)} == {name: json.loads(COUNTS.read_text(encoding="utf-8"))[name]}


def test_every_control_of_the_page_has_a_name_of_its_own() -> None:
    record = open_finding()
    version_of(record.team, 2)
    reader = browser(Role.MODEL_OWNER, Role.VALIDATOR, Role.APPROVER, Role.COMPLIANCE_OFFICER)
    for state in FindingState:
        rank = 3 if not state.live else None
        until = timezone.now().date() + timedelta(days=9)
        FindingRecord.objects.update(state=state, settled_rank=rank, accepted_until=until)
        page = reader.get("/findings/F-0001/").content.decode()
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert len(ids) == len(set(ids)), state
        labelled = set(re.findall(r'<label for="([^"]+)"', page))
        controls = re.findall(r"<(?:input|select|textarea)\b[^>]*>", page)
        seen = [item for item in controls if 'type="hidden"' not in item]
        assert {re.search(r'\bid="([^"]+)"', item)[1] for item in seen} <= labelled, state


def test_the_command_lists_shows_rejects_and_says_what_is_wrong_in_one_line(capsys) -> None:
    several()
    vera = make_person("vera", default_team(), [Role.VALIDATOR])
    call_command("findings", "list", "--overdue")
    (line,) = capsys.readouterr().out.strip().splitlines()
    assert line == "F-0001  critical  open, overdue  demo:x  owned by olga  About b"
    call_command("findings", "list", "--state", "live", "--severity", "low")
    assert capsys.readouterr().out.startswith("F-0003  low  open  ")
    call_command("findings", "reject", "F-0003", "--as", vera.username, "--said", "A test.")
    call_command("findings", "show", "F-0003")
    shown = capsys.readouterr().out
    assert "rejection: proposed by vera: A test." in shown
    assert "finding.rejection_proposed by vera (command line of " in shown
    for asked, code, words in (
        (["show", "F-0099"], 2, "there is no such finding"),
        (["move", "F-0001", "acknowledged", "--as", "nobody"], 2, "there is no such account"),
        (["move", "F-0001", "acknowledged", "--as", "vera"], 3, "may not answer findings"),
        (["move", "F-0001", "risk_accepted", "--as", "vera", "--until", "soon"], 2, "is not a day"),
        (["move", "F-0003", "rejected_with_rationale", "--as", "vera"], 3, "expected a second one"),
    ):
        with pytest.raises(SystemExit) as ended:
            call_command("findings", *asked)
        assert ended.value.code == code
        said = capsys.readouterr().err.strip()
        assert words in said
        assert len(said.splitlines()) == 1
    with pytest.raises(CommandError, match="choose from 'live', 'open', 'acknowledged'"):
        call_command("findings", "list", "--state", "shut")


def test_p_values_on_the_page_are_printed_as_reports_print_them() -> None:
    open_finding(condition="Approvals fall, adjusted p = 0.0001.", effect="Fewer are approved (p = 0.034).")
    text = text_of(browser(Role.INTERNAL_AUDIT).get("/findings/F-0001/").content)
    assert "adjusted p < .001" in text
    assert "(p = .034)" in text
    assert "0.0001" not in text


def test_the_page_leads_to_a_retest_that_is_under_way_or_did_not_finish() -> None:
    record = open_finding()
    reader = browser(Role.INTERNAL_AUDIT)
    german = {"Accept-Language": "de"}
    address, data = record.get_absolute_url(), record.opened_in.data
    assert "was not retested on a later version" in text_of(reader.get(address).content)

    second = asked_for(plan=record.plan, model=version_of(default_team(), 2), data=data)
    shown = reader.get(address).content.decode()
    assert f'<a href="{second.get_absolute_url()}">is being retested in A-0002</a>' in shown
    assert "was not retested" not in shown
    assert "wird in A-0002 nachgeprüft</a>" in reader.get(address, headers=german).content.decode()
    actions.fail_audit(audit=second, error="no space left on the device", actor=ACTOR)
    assert "has a retest that did not finish: A-0002" in text_of(reader.get(address).content)

    run(plan=record.plan, model=version_of(default_team(), 3))
    asked_for(plan=record.plan, model=version_of(default_team(), 4), data=data)
    shown = text_of(reader.get(address).content)
    assert "A-0003 still shows it" in shown
    assert "is being retested in A-0004" in shown
    assert "A-0002" not in shown.partition("What you can do now")[0]


def test_of_many_holders_of_a_role_a_few_are_named_and_the_others_counted(db: None) -> None:
    record = open_finding()
    for number in range(12):
        make_person(f"vera {number:02}", default_team(), [Role.VALIDATOR])
    said = text_of(browser(Role.COUNSEL).get(record.get_absolute_url()).content)
    assert re.search(r"Validator: approves Default, vera 00, vera 01 and 10 others", said), said
    assert "vera 02" not in said


def test_every_way_on_says_what_comes_of_it() -> None:
    record = open_finding()
    said = text_of(browser(*WORKING, name="all").get(record.get_absolute_url()).content)
    assert "It is then on record that somebody has read it and takes it up." in said


def test_what_is_settled_is_not_due(db: None) -> None:
    record = open_finding()
    approver = make_person("petra", default_team(), [Role.APPROVER])
    page = browser(Role.COUNSEL)
    assert "as its severity allows; no day was set" in text_of(page.get(record.get_absolute_url()).content)
    until = timezone.now().date() + timedelta(days=90)
    answers = actor_of(make_person("max", default_team(), [Role.MODEL_OWNER]))
    actions.move_finding(record=record, to=FindingState.ACKNOWLEDGED, actor=answers)
    actions.move_finding(
        record=record, to=FindingState.RISK_ACCEPTED, said="Small.", until=until, actor=actor_of(approver)
    )
    said = text_of(page.get(record.get_absolute_url()).content)
    assert "Due no day, while it is settled" in said
    assert "as its severity allows" not in said
