"""A system that two people listed is registered, estimated, asked by a worker with its key, paused and gone on with."""

from __future__ import annotations

import html
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from auditor.plan import Plan, plan_from, read_plan
from compliance import actions
from compliance.access.roles import Role
from compliance.audits.estimates import estimate
from compliance.execution.job import JobState
from compliance.execution.workers import work
from compliance.governance.attestation import problems
from compliance.governance.events import Actor
from compliance.models import Audit, Event, LanguageModelVersion, PlanVersion, SystemListing, Team, default_team
from compliance.registry.registration import perform_registration
from tests.compliance.factories import ACTOR
from tests.compliance.messages import keep_messages
from tests.compliance.teams import listing_text, make_person
from tests.compliance.test_systems_are_listed_by_two import admin, listed
from tests.systems.answering import Answering, answering
from tests.systems.faults import Asked, Fault

ROOT = Path(__file__).parents[2]
PLAN = ROOT / "plans" / "mortgage-hmda-endpoint.toml"
SERVICE = ROOT / "examples" / "decision-service"
SECRET = "sk-live-51H8xYqLmNoPqRsTuV"
PRICES = '[endpoint.underwriter.prices]\ncurrency = "USD"\nprompt = 0.6\nanswer = 2.4\nrequest = 0.01\n'


def few(**limits: Any) -> Plan:
    """The ready-made plan on a dozen applications, with the words that the test server speaks."""
    raw = tomllib.loads(PLAN.read_text())
    raw["cases"]["limit"] = 12
    raw["noise"]["reask"] = 4
    raw["prompt"]["answers"] = {"favourable": [" approve"], "adverse": [" deny"], "mass_floor": 0.0}
    raw["tests"]["run"] = ["counterfactual", "arm_rates"]
    raw["limits"] = limits
    return plan_from(raw, where="few.toml")


@pytest.fixture
def folder(settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    keep_messages(monkeypatch)
    settings.DATA_FOLDER = tmp_path
    settings.MODEL_FOLDER = tmp_path / "store"
    settings.KEYS_FILE = tmp_path / "system-keys"
    return tmp_path


def registered(url: str) -> dict[str, Any]:
    """The endpoint with its key, the demonstration's applications and a plan, in the register."""
    ann, bob = admin("ann"), admin("bob")
    row = listed(ann, bob, listing_text("underwriter", url=url, rest_seconds=0.05, tries=2) + PRICES)
    actions.set_system_key(listing=row, secret=SECRET, actor=ann)
    return registered_as("endpoint:underwriter", few())


def registered_as(source: str, plan: Plan) -> dict[str, Any]:
    """What is listed, probed; the demonstration's applications; and a plan."""
    owner = Actor(name="olga", role="site", user=make_person("olga", default_team(), [Role.COMPLIANCE_OFFICER]))
    named = {"name": "Underwriter", "owner": "Olga", "purpose": "Mortgages"}
    model = actions.open_language_model(team=default_team(), description=named, actor=owner)
    asked = actions.request_model(language_model=model, source=source, actor=owner)
    data = actions.request_data(team=default_team(), name="Loans", source="demo:loanapp", actor=owner)
    for one in (asked, data):
        perform_registration(one.pk)
        one.refresh_from_db()
        assert one.error == ""
    return {
        "plan": actions.register_plan(plan=plan, actor=owner),
        "model": asked.model_version,
        "data": data.data_version,
    }


def request(found: dict[str, Any]) -> Audit:
    officer = Actor(name="otto", role="site", user=make_person("otto", default_team(), [Role.COMPLIANCE_OFFICER]))
    return actions.request_audit(**found, queue="audits", request_key="one", actor=officer)


def seen_keys(server: Answering) -> set[str | None]:
    return {asked.headers.get("Authorization") for asked in server.asked}


@pytest.mark.django_db(transaction=True)
def test_a_listed_endpoint_goes_from_its_registration_to_a_report(folder: Path, client: Client) -> None:
    broken = {"now": False}

    def faults(asked: Asked) -> Fault | None:
        return Fault(wire="status", code=400) if broken["now"] and asked.number % 3 == 2 else None

    with answering(faults=faults) as server:
        found = registered(server.url)
        probed, answered = len(server.asked), sum(server.answered.values())
        assert seen_keys(server) == {f"Bearer {SECRET}"}
        assert not any("Loan" in str(asked.body) for asked in server.asked)  # nothing of an applicant so far
        version: LanguageModelVersion = found["model"]
        assert version.described.identity.system is not None

        client.force_login(make_person("ona", default_team(), [Role.COMPLIANCE_OFFICER], is_staff=True))
        address = (
            f"/admin/compliance/audit/request/?plans={found['plan'].pk}&models={version.pk}&data={found['data'].pk}"
        )
        page = html.unescape(client.get(address).content.decode())
        guess = client.get(address).context["offers"][0].estimate
        assert guess.asked.money.startswith("USD ")
        for words in (
            guess.asked.money,
            f"at most {guess.asked.most_money}",
            "pace of the probe",
            "Money, about",
        ):
            assert words in page
        assert len(server.asked) == probed  # an estimate asks nothing

        broken["now"] = True
        audit = request(found)
        work(audit.pk)
        audit.refresh_from_db()
        assert (audit.state, audit.get_state_display()) == (JobState.PAUSED, "Paused")
        assert audit.error.startswith("endpoint:underwriter: ")
        assert "\n" not in audit.error
        assert audit.prompts == guess.prompts
        live = html.unescape(client.get(f"/audits/{audit.number}/").content.decode())
        assert audit.error in live
        assert "Go on" in live
        assert "What was answered is not asked again." in live

        broken["now"] = False
        actions.retry_audit(audit=audit, queue="audits", actor=Actor(name="otto", role="site", user=None))
        work(audit.pk)
        audit.refresh_from_db()
        assert (audit.state, audit.error) == (JobState.DONE, "")
        # The server's own count: what it answered before the pause was not asked again after it.
        assert sum(server.answered.values()) - answered == audit.prompts
    assert (folder / "audits" / audit.number / "report.pdf").stat().st_size > 10_000
    told = Event.objects.filter(object=audit.number).order_by("seq").values_list("action", flat=True)
    assert "audit.paused" in told
    assert list(problems(folder=folder)) == []
    kept = [path for path in folder.rglob("*") if path.is_file() and path.name != "system-keys"]
    assert [path for path in kept if SECRET.encode() in path.read_bytes()] == []
    system = SystemListing.objects.get()
    page = html.unescape(client.get(f"/systems/{system.pk}/").content.decode())
    assert "Underwriter, version 1" in page


@pytest.fixture
def service() -> Iterator[str]:
    """The service of the examples, whose rules stand around a score that is the same for everybody."""
    module = run_path(str(SERVICE / "decision_service.py"))
    with module["server"](lambda _: 1.0) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_a_listed_service_is_registered_estimated_by_the_request_and_audited(folder: Path, service: str) -> None:
    ann, bob = admin("ann"), admin("bob")
    text = (SERVICE / "systems.toml").read_text(encoding="utf-8").replace("http://127.0.0.1:8100", service)
    prices = '[service.origination.prices]\ncurrency = "EUR"\nrequest = 0.01\n'
    listed(ann, bob, text + prices)
    plan = read_plan(SERVICE / "plan.toml", {"cases.limit": "3", "noise.reask": "1"})
    found = registered_as("service:origination", plan)
    guess = estimate(**found)
    audit = request(found)
    work(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.error) == (JobState.DONE, "")
    assert guess.asked is not None
    assert (guess.prompts, guess.asked.cost.requests) == (audit.prompts, audit.prompts)
    assert (guess.tokens, guess.asked.money) == (None, f"EUR {audit.prompts / 100:.2f}")


@pytest.mark.django_db(transaction=True)
def test_what_was_withdrawn_meanwhile_is_neither_registered_nor_estimated_nor_asked(
    folder: Path, client: Client
) -> None:
    with answering() as server:
        found = registered(server.url)
        team: Team = default_team()
        row = team.system_listings.get()
        ann = Actor(name="ann", role="site", user=row.proposed_by_user)
        again = actions.request_model(language_model=found["model"].language_model, source=row.source, actor=ACTOR)
        audit = request(found)
        actions.withdraw_system(listing=row, reason="The contract ended.", actor=ann)
        probed = len(server.asked)
        perform_registration(again.pk)
        again.refresh_from_db()
        assert again.error == (
            "model source 'endpoint:underwriter': is not listed; "
            "expected a system of this team that two administrators listed"
        )
        work(audit.pk)
        audit.refresh_from_db()
        assert audit.state == JobState.FAILED
        assert audit.error.startswith("model source 'endpoint:underwriter': is not listed")
        assert len(server.asked) == probed
        client.force_login(make_person("ona", team, [Role.COMPLIANCE_OFFICER], is_staff=True))
        address = (
            f"/admin/compliance/audit/request/?plans={PlanVersion.objects.get().pk}"
            f"&models={found['model'].pk}&data={found['data'].pk}"
        )
        page = client.get(address)
        assert not page.context["fits"]
        assert "is not listed" in html.unescape(page.content.decode())
