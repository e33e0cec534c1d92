"""Writing a plan on the site: copying, checking as it is typed, previewing, saving and registering."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from auditor.demo_data import load_loanapp
from auditor.plan import plan_from
from auditor.recognition import MASK
from compliance import actions
from compliance.access.roles import Role
from compliance.governance.events import verify_chain
from compliance.models import DataSetVersion, Event, LanguageModelVersion, PlanDraft, PlanVersion, Team, default_team
from compliance.plans.checks import check_text
from compliance.plans.merge import FORM_PREFIX, form_values, plain
from compliance.plans.preview import preview
from compliance.plans.shelf import SHELF, ready_made, written_out
from reports.lint import forbidden_phrases
from tests.compliance.factories import ACTOR, make_plan
from tests.compliance.teams import make_person
from tests.compliance.test_officers_site import COUNTS, text_of

QUICK = ready_made()["quick"].text


@pytest.fixture
def writer(db: None) -> User:
    """Somebody who may register plans, and nothing else of what is done to them."""
    return make_person("writer", default_team(), [Role.COMPLIANCE_OFFICER])


@pytest.fixture
def desk(client: Client, writer: User) -> Client:
    """The writer's browser."""
    client.force_login(writer)
    return client


@pytest.fixture
def row(desk: Client) -> PlanDraft:
    """A draft, copied from a ready-made plan on the page."""
    answer = desk.post("/plans/new/", {"team": default_team().pk, "origin": "ready:quick"})
    found = PlanDraft.objects.get()
    assert answer["Location"] == f"/plans/drafts/{found.pk}/"
    return found


@pytest.fixture
def loans(db: None) -> DataSetVersion:
    """The demonstration's applications, registered."""
    return actions.register_data(data=load_loanapp(), actor=ACTOR)


def sent(row: PlanDraft, *, text: str | None = None, button: str = "save", **changes: Any) -> dict[str, Any]:
    """What the page's form sends, with some boxes changed; ``__`` in a name is a dot."""
    row.refresh_from_db()
    values = form_values(plain(row.agreed) or {}) | row.changes
    values |= {key.replace("__", "."): value for key, value in changes.items()}
    posted = {FORM_PREFIX + key: value for key, value in values.items()}
    for key in [key for key, value in posted.items() if isinstance(value, list) and "tests" not in key]:
        if "policy_packs" not in key:
            posted[key] = "\r\n".join(posted[key])
    both = {"text": row.text if text is None else text, "agreed": row.agreed}
    lines = {name: value.replace("\n", "\r\n") for name, value in both.items()}  # as browsers send them
    return {**posted, **lines, "form": "1", "revision": row.revision, button: ""}


def test_ready_made_plans_lie_beside_the_packages_and_are_plans() -> None:
    assert set(ready_made()) >= {"mortgage-hmda", "mortgage-hmda-full", "mortgage-hmda-base", "quick", "inside"}
    assert {path.stem for path in SHELF.glob("*.toml")} == set(ready_made())
    for plan in ready_made().values():
        assert check_text(plan.text).problems == ()
        assert plan.note.endswith(".")


def test_a_registered_design_is_written_out_as_the_same_design(db: None) -> None:
    for text in [plan.text for plan in ready_made().values()]:
        version = actions.register_plan(plan=plan_from(plain(text) or {}, where="p"), actor=ACTOR)
        again = check_text(written_out(version)).plan
        assert again is not None
        assert again.design_sha256 == version.design_sha256


def test_a_draft_begins_as_a_copy_with_an_event(desk: Client, row: PlanDraft) -> None:
    assert (row.text, row.origin, row.begun_by, row.revision) == (QUICK, "plans/quick.toml", "writer", 1)
    assert Event.objects.get(action="plan_draft.begun").actor == "writer"
    version = actions.register_plan(plan=make_plan(), actor=ACTOR)
    desk.post("/plans/new/", {"team": default_team().pk, "origin": f"plan:{version.pk}"})
    assert PlanDraft.objects.first().origin == "small, version 1"
    assert desk.post("/plans/new/", {"team": default_team().pk, "origin": "ready:none"}).status_code == 400


def test_a_wrong_value_is_told_beside_its_box_without_a_script(desk: Client, row: PlanDraft) -> None:
    page = desk.post(f"/plans/drafts/{row.pk}/", sent(row, button="check", thresholds__alpha="0,05"))
    line = "plan: thresholds.alpha: '0,05': input should be a valid number"
    shown = html.unescape(page.content.decode())
    assert re.search(r'id="e-f-thresholds-alpha"[^>]*>\s*<span class="error">' + re.escape(line), shown)
    assert re.search(r'value="0,05"[^>]*aria-invalid="true"', shown)
    assert "Not saved yet" in shown
    row.refresh_from_db()
    assert (row.text, row.revision) == (QUICK, 1)


def test_what_is_typed_is_checked_and_the_other_side_follows(desk: Client, row: PlanDraft) -> None:
    address = f"/plans/drafts/{row.pk}/check/"
    from_form = desk.post(address, sent(row, thresholds__alpha="0.01"), headers={"HX-Trigger": "as-form"})
    shown = html.unescape(from_form.content.decode())
    assert "alpha = 0.01" in shown
    assert 'id="toml"' in shown
    assert 'id="f-thresholds-alpha"' not in shown  # where somebody types, nothing is replaced
    typed = QUICK.replace("alpha = 0.05", "alpha = 2")
    from_text = desk.post(address, sent(row, text=typed), headers={"HX-Trigger": "as-toml"})
    shown = html.unescape(from_text.content.decode())
    assert re.search(r'id="f-thresholds-alpha"[^>]*value="2"', shown)
    assert 'id="toml"' not in shown
    assert "plan: thresholds.alpha: 2: input should be less than 0.5" in shown
    assert PlanDraft.objects.get().revision == 1


def test_rows_of_attributes_are_numbered_anew_when_one_goes(desk: Client, row: PlanDraft) -> None:
    emptied = {"attributes__0__field": "", "attributes__0__groups": [], "attributes__0__reference": ""}
    answer = desk.post(f"/plans/drafts/{row.pk}/check/", sent(row, **emptied), headers={"HX-Trigger": "as-form"})
    shown = html.unescape(answer.content.decode())
    assert re.search(r'id="f-attributes-0-field"[^>]*value="sex"', shown)
    assert 'id="f-attributes-2-field"' in shown  # the empty row
    assert 'id="f-attributes-3-field"' not in shown


def test_a_draft_is_saved_however_wrong_it_is(desk: Client, row: PlanDraft) -> None:
    broken = QUICK.replace("alpha = 0.05", "alpha = ")
    answer = desk.post(f"/plans/drafts/{row.pk}/", sent(row, text=broken, title="Ours"))
    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.text, row.agreed, row.changes, row.revision) == (broken, QUICK, {"title": "Ours"}, 2)
    page = html.unescape(desk.get(f"/plans/drafts/{row.pk}/").content.decode())
    assert "is not valid TOML" in page
    assert 'value="Ours"' in page
    desk.post(f"/plans/drafts/{row.pk}/", sent(row, text=QUICK))
    row.refresh_from_db()
    assert 'title = "Ours"' in row.text
    assert row.changes == {}
    assert row.name == "Ours"


def test_saving_what_is_there_already_leaves_no_event(desk: Client, row: PlanDraft) -> None:
    before = Event.objects.count()
    assert desk.post(f"/plans/drafts/{row.pk}/", sent(row)).status_code == 302
    assert Event.objects.count() == before


def test_who_saves_second_is_told_and_keeps_what_they_wrote_on_the_page(desk: Client, row: PlanDraft) -> None:
    mine = sent(row, title="Mine")
    desk.post(f"/plans/drafts/{row.pk}/", sent(row, title="Theirs"))
    answer = desk.post(f"/plans/drafts/{row.pk}/", mine)
    assert answer.status_code == 409
    assert "writer saved it in the meantime" in answer.content.decode()
    assert 'value="Mine"' in answer.content.decode()
    row.refresh_from_db()
    assert 'title = "Theirs"' in row.text


def test_who_saves_second_sees_both_texts_and_saves_on_top_of_theirs_by_a_click_of_their_own(
    desk: Client, row: PlanDraft
) -> None:
    mine = sent(row, title="Mine")
    desk.post(f"/plans/drafts/{row.pk}/", sent(row, title="Theirs"))
    page = desk.post(f"/plans/drafts/{row.pk}/", mine).content.decode()
    assert "Theirs, saved" in page
    assert "-title = &quot;Theirs&quot;" in page
    assert "+title = &quot;Mine&quot;" in page
    row.refresh_from_db()
    assert f'name="revision" value="{row.revision}"' in page
    assert desk.post(f"/plans/drafts/{row.pk}/", {**mine, "revision": row.revision}).status_code == 302
    row.refresh_from_db()
    assert 'title = "Mine"' in row.text


def test_registering_makes_a_design_that_stays_and_ends_the_draft(desk: Client, row: PlanDraft) -> None:
    answer = desk.post(f"/plans/drafts/{row.pk}/", sent(row, button="register", cases__limit="90"))
    plan = PlanVersion.objects.get()
    assert answer["Location"] == f"/plans/{plan.pk}/"
    row.refresh_from_db()
    assert (row.plan, plan.design["cases"]["limit"]) == (plan, 90)
    actions_said = list(Event.objects.order_by("seq").values_list("action", "actor"))
    assert actions_said[-3:] == [
        ("plan_draft.saved", "writer"), ("plan.registered", "writer"), ("plan_draft.registered", "writer"),
    ]  # fmt: skip
    assert verify_chain().problem is None
    again = desk.post(f"/plans/drafts/{row.pk}/", sent(row, title="Later"))
    assert again.status_code == 409
    page = text_of(desk.get(answer["Location"]).content)
    assert "What differs from plans/quick.toml" in page
    assert "cases.limit 120 90" in page
    assert "nobody has decided" in page.lower()
    assert forbidden_phrases(page, ()) == []


def test_a_wrong_draft_is_kept_and_not_registered(desk: Client, row: PlanDraft) -> None:
    answer = desk.post(f"/plans/drafts/{row.pk}/", sent(row, button="register", thresholds__power="1"))
    assert answer.status_code == 422
    assert "It is saved, not registered" in answer.content.decode()
    row.refresh_from_db()
    assert "power = 1" in row.text
    assert not PlanVersion.objects.exists()


def test_the_same_design_is_not_registered_twice(desk: Client, row: PlanDraft) -> None:
    actions.register_plan(plan=plan_from(plain(QUICK) or {}, where="p"), actor=ACTOR)
    answer = desk.post(f"/plans/drafts/{row.pk}/", sent(row, button="register"))
    assert answer.status_code == 409
    assert "has this design already" in answer.content.decode()


def test_a_preview_marks_every_field_and_shows_nobody(loans: DataSetVersion) -> None:
    plan = check_text(QUICK).plan
    assert plan is not None
    shown = preview(plan, data=loans, model=None)
    assert len(shown.prompts) == 3
    said = {item.name: item for item in shown.fields}
    for prompt in shown.prompts:
        marks = {piece["field"]: piece for piece in prompt.pieces if piece.get("field")}
        assert set(marks) == set(said)
        assert "".join(piece["text"] for piece in prompt.pieces).endswith("Decision:")
        assert all(marks[name]["text"] == said[name].words[prompt.number - 1] for name in said)
        assert {name for name, mark in marks.items() if "changed" in mark["classes"]} == {
            "race", "sex", "marital_status",
        }  # fmt: skip
        assert prompt.tokens is None
    # What the plan sets is the reference group; what it does not set and would tell who somebody is, is masked.
    assert said["race"].words == ("White",) * 3
    protected = {item["name"] for item in loans.mapping["fields"] if item["role"].startswith("protected")}
    only_race = plan.model_copy(update={"attributes": plan.attributes[:1]})
    masked = preview(only_race, data=loans, model=None)
    for item in masked.fields:
        if item.name in protected - {"race"}:
            assert item.words == (MASK,) * 3


def test_a_plan_that_does_not_fit_the_data_is_told_beside_the_box(
    desk: Client, row: PlanDraft, loans: DataSetVersion
) -> None:
    changes = {"attributes__0__groups": ["White", "Martian"], "data": loans.pk}
    answer = desk.post(f"/plans/drafts/{row.pk}/", sent(row, button="check", **changes) | {"data": loans.pk})
    shown = html.unescape(answer.content.decode())
    line = "plan: attributes[0].groups: group 'Martian' is in no application; expected one of: "
    assert re.search(r'id="e-f-attributes-0-groups"[^>]*>\s*<span class="error">' + re.escape(line), shown)


def test_tokens_are_counted_with_the_tokenizer_of_a_stored_model(
    loans: DataSetVersion, settings: LazySettings, tmp_path: Path
) -> None:
    from auditor.counterfactuals import make_clusters, select
    from auditor.language_models.local import read_stored_tokenizer
    from auditor.language_models.store import ModelStore
    from tests.language_models.tiny import save_tiny

    settings.MODEL_FOLDER = tmp_path / "store"
    stored = ModelStore(tmp_path / "store").import_model(f"dir:{save_tiny(tmp_path / 'model')}")
    model = actions.register_model(source="dir:x", sha256=stored.sha256, manifest=stored.manifest, actor=ACTOR)
    plan = check_text(QUICK.replace("max_prompt_tokens = 1024", "max_prompt_tokens = 100")).plan
    assert plan is not None
    one_attribute = plan.model_copy(update={"attributes": plan.attributes[:1], "placebo": None})
    plain_template = "Loan {loan_amount}, race {race}: "
    one_attribute = one_attribute.model_copy(
        update={"prompt": plan.prompt.model_copy(update={"template": plain_template})}
    )
    shown = preview(one_attribute, data=loans, model=model)
    tokenizer = read_stored_tokenizer(stored)
    applications = load_loanapp()
    chosen = select(one_attribute, applications, seen=frozenset(), where="p").records[:3]
    clusters = make_clusters(one_attribute, applications, chosen, chat=None, where="p")
    asked = [cluster.cases[0].prompt for cluster in clusters]
    assert [prompt.tokens for prompt in shown.prompts] == [len(tokenizer(text)["input_ids"]) for text in asked]
    assert shown.too_long is None
    assert LanguageModelVersion.objects.count() == 1


def test_drafts_of_another_team_are_not_there_and_a_reader_changes_nothing(client: Client, db: None) -> None:
    foreign = actions.begin_draft(
        team=Team.objects.create(name="Elsewhere"), name="x", origin="o", text=QUICK, actor=ACTOR
    )
    own = actions.begin_draft(team=default_team(), name="x", origin="o", text=QUICK, actor=ACTOR)
    client.force_login(make_person("reader", default_team(), [Role.INTERNAL_AUDIT]))
    for method in (client.get, client.post):
        assert method(f"/plans/drafts/{foreign.pk}/").status_code == 404
    assert client.post(f"/plans/drafts/{foreign.pk}/check/").status_code == 404
    page = client.get(f"/plans/drafts/{own.pk}/").content.decode()
    assert "Register the plan" not in page
    for address in (f"/plans/drafts/{own.pk}/", f"/plans/drafts/{own.pk}/check/"):
        assert client.post(address, sent(own, title="No")).status_code == 403
    assert client.post("/plans/new/", {"team": default_team().pk, "origin": "ready:quick"}).status_code == 403
    assert client.get("/plans/").status_code == 200
    assert PlanDraft.objects.count() == 2


def test_a_draft_is_not_begun_in_a_team_where_somebody_only_reads(desk: Client, writer: User) -> None:
    other = Team.objects.create(name="Elsewhere")
    writer.memberships.create(team=other, role=Role.INTERNAL_AUDIT)
    assert desk.post("/plans/new/", {"team": other.pk, "origin": "ready:quick"}).status_code == 400
    assert not PlanDraft.objects.exists()


@pytest.mark.parametrize("name", ["plans", "plan", "plan draft", "plan check"])
def test_query_counts_are_pinned(desk: Client, row: PlanDraft, loans: DataSetVersion, name: str) -> None:
    plan = actions.register_plan(plan=make_plan(), actor=ACTOR)
    for number in range(3):
        actions.register_plan(plan=make_plan(f"more-{number}"), actor=ACTOR)
        actions.begin_draft(team=default_team(), name="x", origin="o", text=QUICK, actor=ACTOR)
    addresses = {"plans": "/plans/", "plan": f"/plans/{plan.pk}/", "plan draft": f"/plans/drafts/{row.pk}/"}
    posted = sent(row) | {"data": loans.pk}
    preview(plan_from(plain(QUICK) or {}, where="p"), data=loans, model=None)  # reads the data, which are then kept
    with CaptureQueriesContext(connection) as captured:
        get = name in addresses
        answer = desk.get(addresses[name]) if get else desk.post(f"/plans/drafts/{row.pk}/check/", posted)
    assert answer.status_code == 200
    assert len(captured) == json.loads(COUNTS.read_text(encoding="utf-8"))[name], "\n".join(
        query["sql"][:160] for query in captured
    )
