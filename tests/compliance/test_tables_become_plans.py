"""From a messy table to a plan on its own data: mapped by the table, registered, written as a plan, previewed."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from auditor.demo_data import load_loanapp
from compliance import actions
from compliance.access.roles import Role
from compliance.exceptions import StateError
from compliance.models import DataSetVersion, Event, PlanDraft, Registration, RegistrationState, Team, default_team
from compliance.plans.checks import check_text
from compliance.registry.reading import kept_upload
from compliance.registry.registration import perform_registration
from tests.compliance.factories import ACTOR
from tests.compliance.messy import messy_csv
from tests.compliance.teams import make_person
from tests.compliance.test_officers_site import COUNTS


@pytest.fixture
def browser(client: Client, db: None, settings: LazySettings, tmp_path: Path) -> Iterator[Client]:
    settings.DATA_FOLDER = tmp_path
    client.force_login(make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER]))
    return client


def upload(browser: Client, name: str, content: bytes) -> Registration:
    form = {"team": default_team().pk, "name": "Loans", "file": SimpleUploadedFile(name, content)}
    assert browser.post("/register/data/", form).status_code == 302
    return Registration.objects.latest("pk")


def sent(page: Any, **boxes: str) -> dict[str, str]:
    """What the page's form sends, with some boxes changed; a column's name stands for its number."""
    columns = page.context["columns"]
    found = {"mapping": page.context["form"].initial.get("mapping", ""), "agreed": page.context["agreed"]}
    for row in columns.rows:
        if row.facts.unreadable:
            continue
        found |= {f"{row.box}{key}": value for key, value in row.values.items() if key not in ("controls", "segments")}
    at = {row.facts.name: row.at for row in columns.every}
    for name, value in boxes.items():
        column, _, key = name.partition("|")
        found[f"r.{at[column]}.{key}"] = value
    return found


def described(browser: Client) -> Registration:
    """The messy table with its codes said."""
    row = upload(browser, "loans.csv", messy_csv())
    address = f"/register/{row.public_id}/"
    page = browser.get(address)
    boxes = sent(
        page,
        **{
            "Race Cd|words:1": "White", "Race Cd|words:2": "Black", "Race Cd|words:3": "Asian",
            "Sex Code|words:1": "male", "Sex Code|words:2": "female", "Annual Income|controls": "on",
        },
    )  # fmt: skip
    checked = browser.post(address, {**boxes, "check": ""})
    assert checked.status_code == 200
    assert checked.context["error"] == ""
    return row


def registered(browser: Client) -> DataSetVersion:
    row = described(browser)
    address = f"/register/{row.public_id}/"
    text = browser.get(address).context["form"].initial["mapping"]
    browser.post(address, {"mapping": text, "agreed": text, "register": ""})
    perform_registration(row.pk)
    row.refresh_from_db()
    assert (row.state, row.error) == (RegistrationState.READY, "")
    assert row.data_version is not None
    return row.data_version


def test_a_messy_table_is_proposed_masked_and_says_why(browser: Client) -> None:
    row = upload(browser, "loans.csv", messy_csv())
    page = browser.get(f"/register/{row.public_id}/")
    rows = {each.facts.name: each for each in page.context["columns"].every}
    assert {name: (each.values["role"], each.values["type"]) for name, each in rows.items() if each.values["role"]} == {
        "Loan Ref": ("id", "text"),
        "Customer Name": ("protected_proxy", "text"),
        "DOB": ("protected", "text"),
        "Race Cd": ("protected", "category"),
        "Sex Code": ("protected", "category"),
        "Zip": ("proxy", "category"),
        "Annual Income": ("predictor", "number"),
        "Int Rate": ("predictor", "number"),
        "Term": ("predictor", "number"),
        "Officer Note": ("predictor", "text"),
        "Decision": ("outcome", "category"),
    }
    assert rows["SSN"].values["role"] == ""
    masked = {name for name, each in rows.items() if each.samples == ("•••",)}
    assert masked == {"Loan Ref", "Customer Name", "DOB", "SSN", "Race Cd", "Sex Code", "Zip"}
    shown = html.unescape(page.content.decode())
    for secret in ("Schmidt", "100-10-1000", "01.03.1950", "called on day"):
        assert secret not in shown
    assert "its name is that of a protected attribute" in shown
    kept = json.dumps(row.look if (row.refresh_from_db() or True) else {})
    assert "Schmidt" not in kept
    assert "100-10-1000" not in kept


def test_boxes_become_toml_and_toml_becomes_boxes(browser: Client) -> None:
    row = described(browser)
    row.refresh_from_db()
    assert '"1" = "White"' in row.mapping
    assert 'controls = ["annual_income"]' in row.mapping
    address = f"/register/{row.public_id}/"
    typed = row.mapping.replace('label = "Annual income"', 'label = "Yearly income"')
    browser.post(address, {"mapping": typed, "agreed": row.mapping, "check": ""})
    rows = {each.facts.name: each for each in browser.get(address).context["columns"].every}
    assert rows["Annual Income"].values["label"] == "Yearly income"


def test_an_error_stands_at_its_row_and_what_was_typed_stays(browser: Client) -> None:
    row = upload(browser, "loans.csv", messy_csv())
    address = f"/register/{row.public_id}/"
    boxes = sent(browser.get(address), **{"Int Rate|decimals": "two"})
    page = browser.post(address, {**boxes, "register": ""})
    (wrong,) = (each for each in page.context["columns"].every if each.error)
    assert wrong.facts.name == "Int Rate"
    assert "is 'two'; expected a whole number from 0 to 10" in wrong.error
    shown = html.unescape(page.content.decode())
    assert re.search(r'name="r\.8\.decimals"\s+value="two"', shown)
    row.refresh_from_db()
    assert row.state == RegistrationState.MAPPING
    assert 'decimals = "two"' in row.mapping


def test_what_waits_for_a_readable_toml_is_shown_and_not_lost(browser: Client) -> None:
    row = upload(browser, "loans.csv", messy_csv())
    address = f"/register/{row.public_id}/"
    boxes = sent(browser.get(address), **{"Int Rate|label": "Interest"})
    page = browser.post(address, {**boxes, "mapping": "x = [", "check": ""})
    assert page.status_code == 400
    shown = html.unescape(page.content.decode())
    assert 'value="Interest"' in shown
    assert "x = [" in shown
    mended = browser.post(address, {**sent(page, **{"Int Rate|label": "Interest"}), "mapping": page.context["agreed"],
                                    "check": ""})  # fmt: skip
    assert 'label = "Interest"' in html.unescape(mended.content.decode())


def test_two_hundred_columns_are_paged_searched_and_keep_what_was_changed(browser: Client) -> None:
    names = [f"feature_{number:03d}" for number in range(199)]
    lines = [",".join([*names, "approved"])]
    lines += [",".join([*(str((row * at) % 97) for at in range(1, 200)), str(row % 2)]) for row in range(40)]
    row = upload(browser, "wide.csv", "\n".join(lines).encode())
    address = f"/register/{row.public_id}/"
    page = browser.get(address)
    assert (len(page.context["columns"].rows), len(page.context["columns"].every)) == (20, 200)
    assert len(page.content) < 500_000
    moved = browser.post(address, {**sent(page, **{"feature_003|label": "Third"}), "go": "2", "find": ""})
    assert moved["Location"] == f"{address}?columns=2#columns"
    page = browser.get(moved["Location"])
    assert page.context["columns"].rows[0].facts.name == "feature_020"
    assert page.context["columns"].every[3].values["label"] == "Third"
    found = browser.post(address, {**sent(page), "go": "1", "find": "feature_19"})
    page = browser.get(found["Location"])
    assert [each.facts.name for each in page.context["columns"].rows][:2] == ["feature_190", "feature_191"]


def test_a_page_that_is_only_turned_says_nothing_for_anybody(browser: Client) -> None:
    row = upload(browser, "loans.csv", messy_csv())
    address = f"/register/{row.public_id}/"
    browser.post(address, {**sent(browser.get(address)), "go": "1", "find": "race"})
    row.refresh_from_db()
    assert row.mapping == ""  # nobody has said anything: everything is still masked as a proposal is


def test_a_reader_sees_the_table_without_boxes(browser: Client, client: Client) -> None:
    row = upload(browser, "loans.csv", messy_csv())
    client.force_login(make_person("validator", default_team(), [Role.VALIDATOR]))
    shown = client.get(f"/register/{row.public_id}/").content.decode()
    assert "Race Cd" in shown
    assert "<select" not in shown
    assert "Remove the file" not in shown


def test_a_file_that_failed_is_removed_with_what_was_kept_of_it(browser: Client) -> None:
    row = upload(browser, "loans.parquet", b"PAR1 and nothing that follows")
    address, path = f"/register/{row.public_id}/", kept_upload(row.file)
    page = browser.get(address).content.decode()
    assert "Remove the file" in page
    assert path.is_file()
    refused = browser.post(f"{address}remove/")
    assert refused.status_code == 400
    assert "expected a tick that the file may go" in refused.content.decode()
    answer = browser.post(f"{address}remove/", {"sure": "on"}, follow=True)
    assert "loans.parquet and what was said of its columns are removed." in html.unescape(answer.content.decode())
    assert not Registration.objects.exists()
    event = Event.objects.get(action="registration.removed")
    assert json.loads(event.payload.data_json)["file"] == "loans.parquet"


@pytest.mark.django_db(transaction=True)
def test_a_removed_file_is_gone_unless_something_else_stands_on_it(
    client: Client, settings: LazySettings, tmp_path: Path
) -> None:
    settings.DATA_FOLDER = tmp_path
    client.force_login(make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER]))
    first, second = upload(client, "a.csv", messy_csv()), upload(client, "b.csv", messy_csv())
    path = kept_upload(first.file)
    assert first.file == second.file
    client.post(f"/register/{first.public_id}/remove/", {"sure": "on"})
    assert path.is_file()
    client.post(f"/register/{second.public_id}/remove/", {"sure": "on"})
    assert not path.exists()


def test_what_is_registered_is_not_removed(browser: Client) -> None:
    registered(browser)
    row = Registration.objects.get()
    answer = browser.post(f"/register/{row.public_id}/remove/", {"sure": "on"})
    assert answer.status_code == 409
    with pytest.raises(StateError, match="expected one that is not registered and not on its way"):
        actions.remove_registration(registration=row, actor=ACTOR)
    assert Registration.objects.exists()


def test_a_plan_is_written_from_the_table_and_bound_to_it(browser: Client) -> None:
    version = registered(browser)
    newest = actions.register_data(data=load_loanapp(), actor=ACTOR)
    assert newest.pk > version.pk
    page = browser.get(f"/plans/from/{version.pk}/")
    by_field = {each.field: each for each in page.context["attributes"]}
    assert [(group.value, group.rows) for group in by_field["race"].groups] == [
        ("Asian", 40), ("Black", 40), ("White", 40),
    ]  # fmt: skip
    # Three are the largest: which of them is proposed as the reference follows from its name, and the page says so.
    assert (by_field["race"].reference, by_field["race"].tied) == ("Asian", True)
    assert "Several groups are the largest" in page.content.decode()
    assert not replace(by_field["race"], reference="").tied
    assert "20 different values" in by_field["dob"].why_not or "different values" in by_field["dob"].why_not
    form = {
        "depth": "weights", "business_use": "Approval of consumer loans", "use_case": "credit", "place": "US",
        "group-1": ["White", "Black"], "reference-1": "White", "group-2": ["male", "female"], "reference-2": "male",
        "style": "lines", "decision_role": "advisory",
    }  # fmt: skip
    proposed = browser.post(f"/plans/from/{version.pk}/", {**form, "propose": ""})
    ticked = [pack.id for pack in proposed.context["packs"] if pack.chosen]
    assert ticked == ["us-ecoa-regb"]
    assert proposed.context["packs"][0].why == "for consumer credit; protects race, sex"
    written = browser.post(f"/plans/from/{version.pk}/", {**form, "packs": ticked, "write": ""})
    draft = PlanDraft.objects.get()
    assert written["Location"] == f"/plans/drafts/{draft.pk}/?depth=weights&data={version.pk}"
    assert draft.data == version
    checked = check_text(draft.text)
    assert checked.problems == ()
    assert checked.plan is not None
    assert [(item.field, item.groups, item.reference) for item in checked.plan.attributes] == [
        ("race", ("Black", "White"), "White"), ("sex", ("female", "male"), "male"),
    ]  # fmt: skip
    assert "loan_ref" not in checked.plan.prompt.fields
    for at in (
        written["Location"],
        draft.get_absolute_url(),
    ):  # also when it is opened again
        editor = browser.get(at)
        assert editor.context["state"].data == version
        assert editor.context["state"].preview.problem is None
        assert len(editor.context["state"].preview.prompts) == 3
    assert json.loads(Event.objects.get(action="plan_draft.begun").payload.data_json)["data"] == version.event_object


def test_decisions_already_taken_become_a_plan_of_observed_outcomes(browser: Client) -> None:
    version = registered(browser)
    actions.register_data(data=load_loanapp(), actor=ACTOR)
    page = browser.get(f"/plans/from/{version.pk}/")
    assert page.context["purpose"].depth == "record"
    assert any("register the decisions as what is audited" in line for line in page.context["missing"])
    form = {"depth": "record", "business_use": "Loans", "use_case": "credit", "place": "US",
            "group-1": ["White", "Black", "Asian"], "reference-1": "White", "write": ""}  # fmt: skip
    answer = browser.post(f"/plans/from/{version.pk}/", form)
    draft = PlanDraft.objects.get()
    checked = check_text(draft.text)
    assert checked.problems == ()
    assert checked.plan is not None
    assert not checked.plan.asks
    assert checked.plan.tests.run == ("observed_rates", "observed_equal_factors", "observed_marginal")
    assert checked.plan.run.model == f"decisions:{version.name}"
    editor = browser.get(answer["Location"])
    assert editor.context["state"].data == version
    assert editor.context["state"].preview.fields
    assert "No policy pack is chosen; findings will cite no clause." in html.unescape(editor.content.decode())
    assert browser.get(draft.get_absolute_url()).context["state"].data == version


def test_missing_pieces_are_said_as_what_to_fill_in(browser: Client) -> None:
    lines = ["income,approved", *(f"{1000 + number},{number % 2}" for number in range(40))]
    row = upload(browser, "plain.csv", "\n".join(lines).encode())
    address = f"/register/{row.public_id}/"
    text = browser.get(address).context["form"].initial["mapping"]
    browser.post(address, {"mapping": text, "register": ""})
    perform_registration(row.pk)
    row.refresh_from_db()
    page = browser.get(f"/plans/from/{row.data_version_id}/")
    shown = html.unescape(page.content.decode())
    assert "The mapping names no protected attribute." in shown
    assert "choose two groups or more of a protected attribute" in shown
    answer = browser.post(f"/plans/from/{row.data_version_id}/", {"depth": "weights", "business_use": "", "write": ""})
    assert answer.status_code == 302
    editor = html.unescape(browser.get(answer["Location"]).content.decode())
    assert "Business use is empty; write what the decisions are for." in editor


def test_a_table_of_another_team_is_not_found_nor_bound(browser: Client) -> None:
    other = Team.objects.create(name="Other")
    version = actions.register_data(data=load_loanapp(), actor=ACTOR, team=other)
    assert browser.get(f"/plans/from/{version.pk}/").status_code == 404
    with pytest.raises(StateError, match="belongs to another team"):
        actions.begin_draft(team=default_team(), name="x", origin="y", text="", actor=ACTOR, data=version)


def test_the_command_that_runs_it_is_led_to_the_same_table(browser: Client) -> None:
    version = registered(browser)
    form = {"depth": "weights", "business_use": "Loans", "group-1": ["White", "Black"], "write": ""}
    browser.post(f"/plans/from/{version.pk}/", form)
    draft = PlanDraft.objects.get()
    plan = check_text(draft.text).plan
    assert plan is not None
    made = actions.register_draft(draft=draft, plan=plan, actor=ACTOR)
    person = make_person("runner", default_team(), [Role.COMPLIANCE_OFFICER], is_staff=True)
    browser.force_login(person)
    assert f"?plans={made.pk}&amp;data={version.pk}" in browser.get(made.get_absolute_url()).content.decode()


def test_a_copy_of_a_design_stays_with_the_table_that_it_was_written_from(browser: Client) -> None:
    version = registered(browser)
    actions.register_data(data=load_loanapp(), actor=ACTOR)
    form = {"depth": "weights", "business_use": "Loans", "group-1": ["White", "Black"], "write": ""}
    browser.post(f"/plans/from/{version.pk}/", form)
    draft = PlanDraft.objects.get()
    plan = check_text(draft.text).plan
    assert plan is not None
    made = actions.register_draft(draft=draft, plan=plan, actor=ACTOR)
    answer = browser.post("/plans/new/", {"team": default_team().pk, "origin": f"plan:{made.pk}"})
    copy = PlanDraft.objects.latest("pk")
    assert (copy.copy_of, copy.data) == (made, version)
    assert browser.get(answer["Location"]).context["state"].data == version
    elsewhere = Team.objects.create(name="Elsewhere")
    make_person("guest", elsewhere, [Role.COMPLIANCE_OFFICER]).memberships.create(
        team=default_team(), role=Role.COMPLIANCE_OFFICER
    )
    browser.force_login(User.objects.get(username="guest"))
    assert browser.post("/plans/new/", {"team": elsewhere.pk, "origin": f"plan:{made.pk}"}).status_code == 302
    assert PlanDraft.objects.latest("pk").data is None


@pytest.mark.parametrize("name", ["registration of a table", "plan from table"])
def test_query_counts_are_pinned(browser: Client, name: str) -> None:
    if name == "plan from table":
        address = f"/plans/from/{registered(browser).pk}/"
    else:
        address = f"/register/{described(browser).public_id}/"
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get(address)
    assert answer.status_code == 200
    assert {name: len(queries)} == {name: json.loads(COUNTS.read_text(encoding="utf-8"))[name]}
