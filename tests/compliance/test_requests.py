"""Asking for audits: who may, how often, what it costs, and that nothing hashed can be changed."""

from __future__ import annotations

import json
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from auditor.demo_data import load_loanapp
from auditor.mapping_files import stored_mapping
from compliance import actions
from compliance.audits.binding import registered_data
from compliance.audits.estimates import STATED_PARAMETERS_A_SECOND, estimate, learnt_pace, seconds_inside
from compliance.execution.job import JobState
from compliance.governance.events import Actor
from compliance.models import Audit, AuditChunk, Event, Priority, Worker, default_team
from tests.compliance.factories import ACTOR
from tests.compliance.governed import version_of
from tests.compliance.jobs import freeze, person, request, versions
from tests.records import NO_FILES

ADDRESS = "/admin/compliance/audit/request/"


def form(**changes: Any) -> dict[str, Any]:
    found = versions()
    return {
        "plans": found["plan"].pk, "models": found["model"].pk, "data": found["data"].pk,
        "queue": "audits", "priority": 0, "token": "a" * 32, **changes,
    }  # fmt: skip


@pytest.mark.django_db
def test_a_request_is_a_numbered_row_that_is_not_frozen() -> None:
    audit = request()
    assert (audit.number, audit.state, audit.run_json, audit.governed) == ("A-0001", JobState.REQUESTED, "", False)
    assert Event.objects.get(action="audit.requested").object == "A-0001"


@pytest.mark.django_db
def test_the_same_request_is_one_audit_and_numbers_have_no_gap() -> None:
    assert [request("one").number, request("one").number, request("two").number] == ["A-0001", "A-0001", "A-0002"]


@pytest.mark.django_db(transaction=True)
def test_clicks_at_the_same_moment_start_one_audit() -> None:
    versions()
    line = Barrier(6)

    def click(_: int) -> int:
        try:
            line.wait(20)
            return request("one").pk
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as people:
        assert len(set(people.map(click, range(6)))) == 1
    assert list(Audit.objects.values_list("serial", flat=True)) == [1]
    assert Event.objects.filter(action="audit.requested").count() == 1


@pytest.mark.django_db
def test_a_frozen_run_stays_as_it_is() -> None:
    audit = freeze(request())
    assert audit.state == JobState.QUEUED
    with pytest.raises(DatabaseError, match="evidence cannot be changed"), transaction.atomic():
        Audit.objects.filter(pk=audit.pk).update(run_json="{}")


@pytest.mark.django_db
def test_who_asked_cannot_be_changed_even_before_the_run_is_frozen() -> None:
    audit = request()
    with pytest.raises(DatabaseError, match="evidence cannot be changed"), transaction.atomic():
        Audit.objects.filter(pk=audit.pk).update(requested_by="eve")


@pytest.mark.django_db
def test_without_permission_nothing_is_started() -> None:
    clerk = person("clerk")
    with pytest.raises(PermissionDenied):
        request(actor=Actor(name="clerk", role="site", user=clerk))
    assert not Audit.objects.exists()


@pytest.mark.django_db
def test_the_page_needs_login_and_permission(client: Client) -> None:
    assert client.get(ADDRESS).status_code == 302
    assert client.post(ADDRESS, form()).status_code == 302
    client.force_login(person("clerk", "view_audit"))
    assert client.get(ADDRESS).status_code == 403
    assert client.post(ADDRESS, form()).status_code == 403
    assert not Audit.objects.exists()


@pytest.mark.django_db
def test_the_button_leads_to_an_estimate_and_one_post_starts_it(client: Client) -> None:
    client.force_login(person("ada", "run_audit", "view_audit", "view_planversion", "view_languagemodelversion"))
    found = versions()
    for register, row in (("planversion", found["plan"]), ("languagemodelversion", found["model"])):
        page = client.get(f"/admin/compliance/{register}/{row.pk}/change/").content.decode()
        assert ADDRESS in page
    shown = client.get(ADDRESS, {"plans": found["plan"].pk})
    assert "No worker is listening" in shown.content.decode()
    assert [offer.estimate.prompts for offer in shown.context["offers"]] == [None]  # its data are not a file
    assert not Audit.objects.exists()
    token = re.search(r'name="token" value="([0-9a-f]{32})"', shown.content.decode())
    assert token is not None
    answers = [client.post(ADDRESS, form(token=token[1]))["Location"] for _ in range(2)]
    assert answers == ["/audits/A-0001/"] * 2
    assert (Audit.objects.get().requested_by, Audit.objects.get().queue) == ("ada", "audits")


@pytest.mark.django_db
def test_the_list_offers_the_same_for_several(client: Client) -> None:
    client.force_login(person("ada", "run_audit", "view_planversion"))
    keys = [versions("small")["plan"].pk, versions("other")["plan"].pk]
    answer = client.post("/admin/compliance/planversion/", {"action": "run_audits", "_selected_action": keys})
    assert answer["Location"].startswith(ADDRESS + "?plans=")
    assert len(client.get(answer["Location"]).context["offers"]) == 2
    assert client.post(ADDRESS, form(plans=keys))["Location"] == "/admin/compliance/audit/"
    assert Audit.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "value"), [("token", "short"), ("queue", "nobody"), ("data", 99), ("priority", 7)])
def test_what_cannot_be_started_is_refused(client: Client, name: str, value: object) -> None:
    client.force_login(person("ada", "run_audit"))
    assert client.post(ADDRESS, form(**{name: value})).status_code == 422
    assert not Audit.objects.exists()


@pytest.mark.django_db
def test_a_queue_that_a_worker_listens_to_can_be_chosen(client: Client) -> None:
    client.force_login(person("ada", "run_audit"))
    Worker.objects.create(key="k", host="h", queues=["gpu0"], seen_at=timezone.now())
    assert client.post(ADDRESS, form(queue="gpu0", priority=int(Priority.FIRST))).status_code == 302
    assert (Audit.objects.get().queue, Audit.objects.get().priority) == ("gpu0", Priority.FIRST)


@pytest.mark.django_db
def test_registered_data_are_read_back_with_the_mapping_that_was_kept(tmp_path: Path) -> None:
    loans = load_loanapp()
    row = actions.register_data(data=loans, actor=ACTOR)
    row.refresh_from_db()
    assert stored_mapping(row.mapping).sha256 == loans.mapping.sha256
    assert registered_data(row).fingerprint == loans.fingerprint


@pytest.mark.django_db
def test_an_estimate_counts_as_the_run_will(settings: LazySettings, tmp_path: Path) -> None:
    from auditor.conductor import prepare
    from auditor.language_models.store import ModelStore
    from auditor.plan import read_plan
    from tests.acceptance.commands import write_plan
    from tests.language_models.tiny import save_tiny

    settings.MODEL_FOLDER = tmp_path / "store"
    source = f"dir:{save_tiny(tmp_path / 'model')}"
    stored, loans = ModelStore(tmp_path / "store").import_model(source), load_loanapp()
    plan = read_plan(write_plan(tmp_path / "plan.toml", model=source))
    prepared = prepare(plan=plan, model=stored, data=loans)
    guess = estimate(
        plan=actions.register_plan(plan=plan, actor=ACTOR),
        model=actions.register_model(source=source, sha256=stored.sha256, manifest=stored.manifest, actor=ACTOR),
        data=actions.register_data(data=loans, actor=ACTOR),
    )
    assert guess.problem == ""
    assert guess.prompts == pytest.approx(prepared.prompts, rel=0.1)
    assert guess.tokens == pytest.approx(prepared.tokens, rel=0.1)
    assert not guess.measured
    assert guess.seconds is not None
    assert guess.gibibytes is not None
    assert guess.uncounted == ()
    assert (guess.low, guess.high, guess.basis) == (None, None, "stated rate, two cores: nothing was finished here yet")


def result(seconds: float) -> bytes:
    return zlib.compress(json.dumps({"seconds": seconds}).encode())


def scored(run: Audit, *seconds: float, kind: str = "shared", tokens: int = 100) -> None:
    """Chunks of a run that took so many seconds each."""
    begin = run.chunks.count()
    for index, taken in enumerate(seconds, start=begin):
        AuditChunk.objects.create(
            audit=run, index=index, kind=kind, prompts=2, tokens=tokens, payload=b"", result=result(taken),
            state="done", done_at=timezone.now(),
        )  # fmt: skip


@pytest.mark.django_db
def test_the_estimate_learns_from_runs_of_the_model_here_then_from_those_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = request()
    sizes = {run.model_id: 100}
    monkeypatch.setattr("compliance.audits.estimates._parameters", lambda model: sizes.get(model.pk, 300))
    stated = learnt_pace(run.model)
    assert stated is not None
    assert (stated.own, stated.chunks, stated.pace.middle) == (False, 0, 100 / STATED_PARAMETERS_A_SECOND)
    scored(run, 2.0, 3.0, 10.0)
    scored(run, 500.0, kind="probing")  # a test on internals says nothing about scoring
    own = learnt_pace(run.model)
    assert own is not None
    assert (own.own, own.chunks) == (True, 3)
    assert own.over(1000) == pytest.approx((30.0, 22.0, 86.0))
    other = version_of(default_team(), 9)  # three times as large
    learnt = learnt_pace(other)
    assert learnt is not None
    assert (learnt.own, learnt.chunks) == (False, 3)
    assert learnt.over(1000)[0] == pytest.approx(90.0)


@pytest.mark.django_db
def test_what_tests_on_internals_take_has_the_range_of_the_runs_of_the_design() -> None:
    first, second = request("one"), request("two")
    scored(first, 40.0, kind="probing")
    scored(second, 60.0, 5.0, kind="probing")
    scored(second, 999.0)
    Audit.objects.update(state="done")
    found = seconds_inside(first.plan)
    assert found is not None
    assert (found.seconds, found.low, found.high, found.runs) == (65.0, 40.0, 65.0, 2)


@pytest.mark.django_db
def test_an_estimate_names_the_tests_on_internals_until_a_run_of_the_design_tells_their_time(
    settings: LazySettings, tmp_path: Path
) -> None:
    from auditor.catalogue import TESTS, looks_inside, on_outputs
    from auditor.plan import read_plan
    from tests.acceptance.commands import write_plan

    assert {name for name, test in TESTS.items() if not looks_inside(test)} == set(filter(on_outputs, TESTS))
    settings.MODEL_FOLDER = tmp_path / "store"
    path = write_plan(tmp_path / "plan.toml", model="demo:smollm2")
    path.write_text(path.read_text().replace('run = ["counterfactual"', 'run = ["probes", "counterfactual"'))
    plan = actions.register_plan(plan=read_plan(path), actor=ACTOR)
    model = actions.register_model(source="demo:smollm2", sha256="a" * 64, manifest=NO_FILES, actor=ACTOR)
    guess = estimate(plan=plan, model=model, data=actions.register_data(data=load_loanapp(), actor=ACTOR))
    assert guess.uncounted == ("Probes",)
    assert seconds_inside(plan) is None
