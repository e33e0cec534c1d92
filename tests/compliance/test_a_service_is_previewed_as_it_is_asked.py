"""Of a decision service the page of a plan shows the requests of a run, step by step, and no key."""

from __future__ import annotations

import html
import json
import tomllib
from pathlib import Path

import pytest
from django.test import Client

from auditor.plan import Plan, plan_from
from auditor.recognition import MASK
from auditor.systems.service_listing import read_service
from compliance import actions
from compliance.execution.job import JobState
from compliance.execution.workers import work
from compliance.models import PlanDraft
from compliance.plans.asked_preview import _steps
from tests.compliance.test_plans_at_three_depths import begun, desk, folder  # noqa: F401 - fixtures
from tests.compliance.test_systems_are_listed_by_two import admin, listed
from tests.compliance.test_workers_ask_listed_systems import SECRET, registered_as, request
from tests.systems.deciding import deciding

TABLE = """
[service.bank]
url = "{url}"
key_header = "X-Bank-Key"
key_prefix = ""

[[service.bank.steps]]
path = "/applications"
take = {{id = "$.application.id"}}

[service.bank.steps.body]
purpose = "car"
unverifiable = "{{unverifiable}}"
applicant = {{income = "{{total_income}}", race = "{{race}}"}}

[[service.bank.steps]]
method = "GET"
path = "/applications/{{id}}"
until = {{path = "$.status", is = ["DONE"]}}
every = 0.01

[service.bank.read]
choice = "$.decision"
favourable = ["APPROVED"]
adverse = ["DECLINED"]

[service.bank.example]
total_income = 5000
race = "White"
unverifiable = "no"
"""
PLAN = """schema = 2
name = "bank"
title = "Bank"

[run]
model = "service:bank"
data = "demo:loanapp"

[use]
business_use = "Loans"
decision_role = "determinative"
policy_packs = ["us-fha"]

[cases]
seed = 1
limit = 3

[[attributes]]
field = "race"
groups = ["White", "Black"]
reference = "White"

[tests]
run = ["counterfactual"]
"""


def plan() -> Plan:
    return plan_from(tomllib.loads(PLAN), where="bank.toml")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("folder")
def test_the_requests_are_shown_that_a_run_sends_with_the_key_masked(desk: Client) -> None:  # noqa: F811
    with deciding(polls=1) as server:
        row = listed(admin("ann"), admin("bob"), TABLE.format(url=server.url))
        actions.set_system_key(listing=row, secret=SECRET, actor=admin("cleo"))
        found = registered_as("service:bank", plan())
        probed = len(server.applications)
        draft: PlanDraft = begun(desk, "mortgage-hmda-endpoint")
        draft.text = draft.agreed = PLAN
        draft.save()
        at = f"/plans/drafts/{draft.pk}/?depth=answers&data={found['data'].pk}&model={found['model'].pk}"
        answer = desk.get(at)
        first, second = answer.context["state"].preview.requests
        page = html.unescape(answer.content.decode())
        assert len(server.applications) == probed  # nothing was asked for it
        audit = request(found)
        work(audit.pk)
        audit.refresh_from_db()
        assert (audit.state, audit.error) == (JobState.DONE, "")
        sent = list(server.applications.values())[probed:]
        carried = {headers.get("X-Bank-Key") for headers in server.headers}
    assert carried == {SECRET}
    assert first.line == f"POST {server.url}/applications"
    assert second.line == f"GET {server.url}/applications/%28id%20of%20the%20answer%29"
    assert (first.key, second.key, second.body) == (f"X-Bank-Key: {MASK}", f"X-Bank-Key: {MASK}", "")
    assert SECRET not in page
    assert first.line in page
    body = json.loads(first.body)
    assert body in sent


def test_a_fetched_token_is_named_by_where_it_comes_from_and_masked(tmp_path: Path) -> None:
    text = TABLE.format(url="https://bank.example/api").replace('key_header = "X-Bank-Key"\nkey_prefix = ""\n', "")
    token = '[service.bank.oauth]\ntoken_url = "https://bank.example/token"\nclient_id = "plumbline"\n'
    (tmp_path / "systems.toml").write_text(text + token, encoding="utf-8")
    service = read_service(tmp_path / "systems.toml", "bank")
    shown = _steps(service, {"total_income": 40, "race": "Black", "unverifiable": "no"})
    assert [step.key for step in shown] == [
        f"Authorization: Bearer {MASK}, a token fetched from https://bank.example/token"
    ] * 2
    assert json.loads(shown[0].body)["applicant"] == {"income": 40, "race": "Black"}
