"""A plan is written, previewed and started for weights, for a system that answers, and for a file of decisions."""

from __future__ import annotations

import html
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from auditor.recognition import MASK
from compliance.access.roles import Role
from compliance.execution.job import JobState
from compliance.execution.workers import work
from compliance.models import Audit, LanguageModelVersion, PlanDraft, PlanVersion, default_team
from compliance.plans.depth import Depth, depth_of_source, depth_of_text, reads, runnable_tests
from compliance.plans.editor import form_of
from compliance.plans.merge import FORM_PREFIX, DraftSides, form_values, merged, plain
from compliance.plans.shelf import ready_made
from tests.compliance.messages import keep_messages
from tests.compliance.teams import make_person
from tests.compliance.test_decision_files_on_the_site import register_data, register_decisions
from tests.compliance.test_workers_ask_listed_systems import SECRET, registered, request
from tests.systems.answering import answering


@pytest.fixture
def folder(settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    keep_messages(monkeypatch)
    settings.DATA_FOLDER, settings.MODEL_FOLDER = tmp_path, tmp_path / "store"
    settings.KEYS_FILE = tmp_path / "system-keys"
    return tmp_path


@pytest.fixture
def desk(client: Client, db: None) -> Iterator[Client]:
    client.force_login(make_person("writer", default_team(), [Role.COMPLIANCE_OFFICER], is_staff=True))
    return client


def shown_keys(key: str, depth: Depth) -> set[str]:
    text = ready_made()[key].text
    return {shown.box.key for shown in form_of(DraftSides(text=text, agreed=text), [], depth=depth).boxes}


def begun(desk: Client, key: str) -> PlanDraft:
    desk.post("/plans/new/", {"team": default_team().pk, "origin": f"ready:{key}"})
    return PlanDraft.objects.latest("pk")


def posted(row: PlanDraft, **changes: Any) -> dict[str, Any]:
    values = {
        **form_values(plain(row.agreed) or {}),
        **{key.replace("__", "."): value for key, value in changes.items()},
    }
    sent = {FORM_PREFIX + key: value for key, value in values.items()}
    for key, value in sent.items():
        if isinstance(value, list) and "tests.run" not in key and "policy_packs" not in key:
            sent[key] = "\n".join(value)
    return {**sent, "text": row.text, "agreed": row.agreed, "form": "1", "revision": row.revision}


@pytest.mark.parametrize("key", ready_made())
def test_every_ready_made_plan_opens_at_its_own_depth(key: str) -> None:
    raw = tomllib.loads(ready_made()[key].text)
    depth = depth_of_text(raw)
    assert depth is depth_of_source(raw["run"]["model"])
    assert set(raw["tests"]["run"]) <= set(runnable_tests(depth))


def test_a_form_shows_what_a_run_at_its_depth_reads() -> None:
    weights, answers = shown_keys("quick", Depth.WEIGHTS), shown_keys("mortgage-hmda-endpoint", Depth.ANSWERS)
    record = shown_keys("lending-decisions", Depth.RECORD)
    assert "limits.requests" in answers - weights
    assert {"prompt.template", "reading.readout"} <= answers & weights
    assert not {key for key in record if key.split(".")[0] in ("prompt", "placebo", "noise", "reading", "limits")}
    assert {"use.policy_packs", "thresholds.alpha", "attributes.0.field", "tests.run", "cases.seed"} <= record
    assert not any(reads(Depth.RECORD, key) for key in ("prompt.template", "reading.top", "budget.threads"))


def test_what_stands_in_a_box_is_shown_at_every_depth() -> None:
    assert "prompt.template" in shown_keys("quick", Depth.RECORD)


def test_tests_are_offered_that_a_run_at_the_depth_can_do() -> None:
    assert {"observed_rates"} <= set(runnable_tests(Depth.RECORD))
    assert "counterfactual" not in runnable_tests(Depth.RECORD)
    assert "probes" in set(runnable_tests(Depth.WEIGHTS)) - set(runnable_tests(Depth.ANSWERS))
    assert "observed_rates" not in runnable_tests(Depth.ANSWERS) + runnable_tests(Depth.WEIGHTS)


def test_reading_and_limits_are_written_from_the_form() -> None:
    text = ready_made()["mortgage-hmda-endpoint"].text
    changes = {"reading.form": "tool", "limits.requests": "500", "reading.replicates": "3"}
    both = merged(text=text, agreed=text, posted={**form_values(plain(text) or {}), **changes})
    raw = tomllib.loads(both.text)
    assert (raw["reading"]["form"], raw["reading"]["replicates"], raw["limits"]["requests"]) == ("tool", 3, 500)
    assert both.refused == {}


@pytest.mark.django_db(transaction=True)
def test_a_plan_without_a_prompt_is_written_previewed_registered_and_started(
    folder: Path, desk: Client, client: Client
) -> None:
    data = register_data(desk)
    model = register_decisions(desk)
    row = begun(desk, "lending-decisions")
    page = html.unescape(desk.get(f"/plans/drafts/{row.pk}/").content.decode())
    assert 'name="f.prompt.template"' not in page
    assert "is not a protected field of the decisions; expected one of" in page  # the plan is of another table
    text = row.text
    for start in text.split("[[attributes]]")[2:]:
        text = text.replace("[[attributes]]" + start.split("\n[tests]")[0], "")
    row.text = row.agreed = text
    changes: dict[str, Any] = {
        "attributes__0__field": "race", "attributes__0__groups": ["White", "Black"],
        "attributes__0__reference": "White", "tests__run": ["observed_rates"],
    }  # fmt: skip
    answer = desk.post(f"/plans/drafts/{row.pk}/check/", posted(row, **changes) | {"depth": "record"})
    said = html.unescape(answer.content.decode())
    assert "Nobody is asked: these are the first rows of 1,200, as the mapping reads them." in " ".join(said.split())
    assert MASK in said
    answer = desk.post(f"/plans/drafts/{row.pk}/", posted(row, **changes) | {"register": "", "depth": "record"})
    assert answer.status_code == 302, answer.content.decode()
    plan = PlanVersion.objects.get()
    assert "prompt" not in plan.design
    asked = f"/admin/compliance/audit/request/?plans={plan.pk}&models={model.pk}&data={data.pk}"
    form = desk.get(asked).context["form"]
    sent = {name: form[name].value() for name in ("token", "queue", "priority")}
    desk.post(asked, {**sent, "plans": plan.pk, "models": model.pk, "data": data.pk})
    audit = Audit.objects.get()
    work(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.error) == (JobState.DONE, "")


@pytest.mark.django_db(transaction=True)
def test_of_a_system_the_body_is_shown_that_a_run_sends(folder: Path, desk: Client) -> None:
    with answering() as server:
        found = registered(server.url)
        model: LanguageModelVersion = found["model"]
        text = ready_made()["mortgage-hmda-endpoint"].text.replace(
            'favourable = [" Approve", " approve"]', 'favourable = [" approve"]'
        ).replace('adverse = [" Deny", " deny"]', 'adverse = [" deny"]')  # fmt: skip
        row = begun(desk, "mortgage-hmda-endpoint")
        row.text = row.agreed = text
        row.save()
        address = f"/plans/drafts/{row.pk}/?depth=answers&data={found['data'].pk}&model={model.pk}"
        answer = desk.get(address)
        (shown,) = answer.context["state"].preview.requests
        assert shown.line == f"POST {server.url}/chat/completions"
        assert shown.key == f"Authorization: Bearer {MASK}"
        assert SECRET not in answer.content.decode()
        body = json.loads(shown.body)
        before = len(server.asked)
        work(request(found).pk)
        sent = next(asked.body for asked in server.asked[before:] if "Loan" in str(asked.body))
    assert {**body, "messages": 0, "seed": 0} == {**sent, "messages": 0, "seed": 0}
    (asked,), (seen,) = sent["messages"], body["messages"]
    assert asked["role"] == seen["role"]
    assert asked["content"].splitlines()[0] == seen["content"].splitlines()[0]


@pytest.mark.django_db
def test_the_depth_is_what_the_text_says_until_somebody_chooses_another(desk: Client) -> None:
    row = begun(desk, "mortgage-hmda-endpoint")
    assert desk.get(f"/plans/drafts/{row.pk}/").context["state"].depth is Depth.ANSWERS
    assert desk.get(f"/plans/drafts/{row.pk}/?depth=record").context["state"].depth is Depth.RECORD


@pytest.mark.parametrize("depth", list(Depth))
def test_the_first_steps_lead_to_a_report_at_each_depth(desk: Client, depth: Depth) -> None:
    first = desk.get(f"/first-steps/?depth={depth}").context["first"]
    assert first.depth is depth
    assert {depth_of_source(plan.run.model) for plan in first.plans.values()} == {depth}
    titles = [step.title for step in first.steps]
    expected = {
        Depth.WEIGHTS: ["Register a model", "Register data"],
        Depth.ANSWERS: ["Register a system that answers", "Register data"],
        Depth.RECORD: ["Upload the decisions", "Register them as what is audited"],
    }
    assert titles[2:4] == expected[depth]
    (plan,) = [step for step in first.steps if step.key == "plan"]
    name = next(iter(first.plans))
    assert desk.post(plan.post, {"plan": name})["Location"] == f"/first-steps/?depth={depth}"
    assert PlanVersion.objects.get().name == first.plans[name].name


def test_a_depth_there_is_not_is_refused_in_one_line(desk: Client) -> None:
    answer = desk.get("/first-steps/?depth=deep")
    assert answer.status_code == 404
    assert "depth: 'deep' is unknown; expected one of: weights" in html.unescape(answer.content.decode())
