"""From an installation with nothing in it to the first report: what each step shows, does, and refuses."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from auditor.language_models.store import ModelStore
from compliance import actions
from compliance.access.roles import Role
from compliance.dashboard.first_steps_page import FirstSteps, team_for
from compliance.governance.events import verify_chain
from compliance.models import (
    Audit,
    DataSetVersion,
    Event,
    LanguageModelVersion,
    Membership,
    PlanVersion,
    Registration,
    RegistrationState,
    Team,
    Worker,
    default_team,
)
from compliance.registry import demonstration
from compliance.registry.registration import perform_registration
from tests.compliance.factories import ACTOR, make_applications
from tests.compliance.jobs import freeze, versions
from tests.compliance.teams import make_person, make_team_audit
from tests.compliance.test_officers_site import text_of
from tests.records import NO_FILES

KEYS = ["administrator", "worker", "model", "data", "plan", "run", "report"]


@pytest.fixture
def ada(db: None, client: Client) -> Client:
    """The first administrator, who knows nothing of teams and roles."""
    client.force_login(User.objects.create_superuser("ada"))
    return client


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(key="k", host="host", queues=["audits"], seen_at=timezone.now())


def look(client: Client) -> FirstSteps:
    answer = client.get("/first-steps/")
    assert answer.status_code == 200
    first = answer.context["first"]
    assert isinstance(first, FirstSteps)
    assert [step.key for step in first.steps] == KEYS
    main = answer.content.decode().count("btn-main")
    assert main <= 1, "one primary button a page"
    return first


def stages(client: Client) -> dict[str, str]:
    return {step.key: step.stage for step in look(client).steps}


def press(client: Client, step: str, **form: str) -> None:
    assert client.post(f"/first-steps/{default_team().pk}/{step}/", form)["Location"] == "/first-steps/"


def test_the_first_administrator_is_led_from_step_to_step(ada: Client, worker: Worker) -> None:
    assert stages(ada) == dict.fromkeys(KEYS, "todo") | {"administrator": "done", "worker": "done", "model": "on"}
    press(ada, "model")
    assert (stages(ada)["model"], stages(ada)["data"]) == ("moving", "on")
    assert look(ada).moving
    press(ada, "data")
    perform_registration(Registration.objects.get(kind=Registration.DATA).pk)
    assert (stages(ada)["data"], stages(ada)["plan"]) == ("done", "on")
    press(ada, "plan", plan="quick")
    assert PlanVersion.objects.get().name == "mortgage-quick"
    assert (stages(ada)["plan"], stages(ada)["run"]) == ("done", "todo"), "the model is not there yet"
    model = Registration.objects.get(kind=Registration.MODEL).language_model
    actions.register_model(
        source="demo:underwriter", sha256="1" * 64, manifest=NO_FILES, language_model=model, actor=ACTOR
    )
    (run,) = [step for step in look(ada).steps if step.key == "run"]
    assert run.stage == "on"
    page = ada.get(run.link)
    assert page.status_code == 200
    assert len(page.context["offers"]) == 1
    assert verify_chain().problem is None


def test_what_is_pressed_twice_is_asked_for_once(ada: Client, worker: Worker) -> None:
    for _ in range(3):
        press(ada, "model")
        press(ada, "data")
        press(ada, "plan", plan="quick")
    assert sorted(Registration.objects.values_list("kind", flat=True)) == ["data", "model"]
    assert PlanVersion.objects.count() == 1


def test_the_demonstrations_data_are_entered_with_a_masked_preview(ada: Client, worker: Worker) -> None:
    press(ada, "data")
    row = Registration.objects.get()
    assert (row.state, row.requested_by) == (RegistrationState.WAITING, "ada")
    perform_registration(row.pk)
    row.refresh_from_db()
    assert (row.state, row.error) == (RegistrationState.READY, "")
    version = row.data_version
    assert version is not None
    assert (version.rows, version.source) == (1989, "demo:loanapp")
    names, first = version.preview[:2]
    assert first[names.index("black")] == "•••"
    # What the command line enters is the same row.
    data, _ = demonstration.demonstration_data()
    assert actions.register_data(data=data, actor=ACTOR).pk == version.pk


def test_what_failed_is_said_and_tried_again(ada: Client, worker: Worker) -> None:
    press(ada, "data")
    row = Registration.objects.get()
    actions.begin_registration(registration=row)
    actions.fail_registration(registration=row, error="demo:loanapp: is not installed", actor=ACTOR)
    (step,) = [step for step in look(ada).steps if step.key == "data"]
    assert step.error == "demo:loanapp: is not installed"
    assert "Try again" in ada.get(f"/register/{row.public_id}/").content.decode()
    press(ada, "data")
    row.refresh_from_db()
    assert (row.state, row.error) == (RegistrationState.WAITING, "")


def test_without_a_worker_the_page_says_what_to_start_and_looks_again(ada: Client) -> None:
    assert stages(ada)["worker"] == "on"
    answer = ada.get("/first-steps/")
    assert "None is listening. Start one with python manage.py worker" in text_of(answer.content)
    assert 'hx-get="/first-steps/"' in answer.content.decode()
    assert '<meta http-equiv="refresh" content="5; url=?again">' in answer.content.decode()


def test_a_running_audit_is_shown_and_its_report_ends_the_steps(ada: Client, worker: Worker) -> None:
    audit = actions.request_audit(**versions(), queue="audits", request_key="one", actor=ACTOR)
    assert stages(ada)["run"] == "moving"
    actions.begin_audit(audit=freeze(audit), actor=ACTOR)
    page = ada.get("/")
    assert "0 of 6 prompts scored" in text_of(page.content)
    assert 'id="first-steps"' in page.content.decode()
    make_team_audit(default_team(), name="finished")
    first = look(ada)
    assert first.complete
    assert first.steps[-1].link == "/audits/A-0002/"
    assert 'id="first-steps"' not in ada.get("/").content.decode()


def test_a_run_that_failed_is_gone_on_with(ada: Client, worker: Worker) -> None:
    audit = actions.request_audit(**versions(), queue="audits", request_key="one", actor=ACTOR)
    actions.fail_audit(audit=audit, error="no space left\nsecond line", actor=ACTOR)
    (step,) = [step for step in look(ada).steps if step.key == "run"]
    assert (step.stage, step.error, step.link) == ("on", "no space left", "/audits/A-0001/")


def test_a_plan_that_is_not_ready_made_is_refused(ada: Client) -> None:
    press(ada, "plan", plan="../../etc/passwd")
    assert "is not a ready-made plan; expected one of: quick" in text_of(ada.get("/first-steps/").content)
    assert not PlanVersion.objects.exists()


def test_ready_made_plans_are_those_for_the_demonstration_and_the_quick_one_is_proposed() -> None:
    plans = demonstration.ready_made()
    assert next(iter(plans)) == "quick"
    assert {"mortgage-hmda", "mortgage-hmda-full"} <= set(plans)
    assert "mortgage-hmda-base" not in plans, "it is for another model"


def test_somebody_without_the_role_reads_which_roles_may(client: Client, worker: Worker) -> None:
    User.objects.create_superuser("root")
    client.force_login(make_person("eve", default_team(), [Role.INTERNAL_AUDIT]))
    (step,) = [step for step in look(client).steps if step.key == "model"]
    assert (step.stage, step.button) == ("on", "")
    assert "Compliance officer, Model owner" in text_of(client.get("/first-steps/").content)
    assert client.post(f"/first-steps/{default_team().pk}/model/").status_code == 403
    assert not Registration.objects.exists()


def test_a_compliance_officer_can_press_every_button(client: Client, worker: Worker) -> None:
    client.force_login(make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER]))
    press(client, "model")
    press(client, "data")
    press(client, "plan", plan="quick")
    assert Registration.objects.count() == 2
    assert Event.objects.filter(actor="officer", team=default_team()).count() == 4


def test_an_examiner_is_not_led(db: None, client: Client) -> None:
    client.force_login(make_person("examiner", default_team(), [Role.EXAMINER]))
    assert client.get("/first-steps/").status_code == 403
    assert 'id="first-steps"' not in client.get("/").content.decode()


def test_the_team_without_a_report_comes_first(db: None) -> None:
    other = Team.objects.create(name="Cards")
    make_team_audit(default_team(), name="finished")
    person = make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER])
    assert team_for(person) == default_team()
    Membership.objects.create(team=other, user=person, role=Role.COMPLIANCE_OFFICER)
    assert team_for(User.objects.get(username="officer")) == other


def test_nothing_of_another_team_is_counted(client: Client, worker: Worker) -> None:
    other = Team.objects.create(name="Cards")
    actions.register_data(data=make_applications(), team=other, actor=ACTOR)
    client.force_login(make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER]))
    assert stages(client)["data"] == "todo"
    client.force_login(make_person("cards", other, [Role.COMPLIANCE_OFFICER]))
    assert stages(client)["data"] == "done"


def test_more_rows_cost_no_more_queries(ada: Client, worker: Worker) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            look(ada)
        return len(queries)

    versions()
    few = asked()
    for number in range(4):
        actions.register_model(source="demo:x", sha256=str(number) * 64, manifest=NO_FILES, actor=ACTOR)
        actions.request_data(team=default_team(), name="x", source="demo:loanapp", actor=ACTOR)
    assert asked() == few


@pytest.mark.model
def test_make_serve_asks_for_the_demonstration_once_and_enters_what_the_audit_command_enters(
    db: None, demo_store: ModelStore, settings: LazySettings
) -> None:
    settings.MODEL_FOLDER = demo_store.root
    said: list[str] = []
    audit = demonstration.ask_for_audit(actor=ACTOR, say=said.append)
    assert audit is not None
    assert (audit.state, audit.queue, audit.plan.name) == ("requested", "audits", "mortgage-hmda")
    assert demonstration.ask_for_audit(actor=ACTOR, say=said.append) is None
    assert len(said) == Audit.objects.count() == 1
    stored = demo_store.import_model("demo:underwriter")
    actions.register_model(source="demo:underwriter", sha256=stored.sha256, manifest=stored.manifest, actor=ACTOR)
    assert (LanguageModelVersion.objects.count(), DataSetVersion.objects.count()) == (1, 1)


def test_the_words_of_a_step_that_is_done_are_of_what_was_registered(ada: Client, worker: Worker) -> None:
    versions()  # a table and a model that are not the demonstration's
    words = {step.key: step.words for step in look(ada).steps}
    assert words["data"] == "The table that your team registered last, with the meaning of its fields."
    assert words["model"] == "What your team registered to be audited."
