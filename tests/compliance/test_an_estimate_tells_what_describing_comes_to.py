"""An audit of weights whose plan has endpoints describe features says before it starts what they are asked at most."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings
from django.utils import translation

from auditor.demo_data import load_loanapp
from auditor.plan import read_plan
from compliance import actions
from compliance.access.roles import Role
from compliance.audits.estimates import Estimate, estimate
from compliance.governance.events import Actor
from compliance.models import default_team
from tests.acceptance.commands import write_plan
from tests.compliance.factories import ACTOR
from tests.compliance.teams import make_person
from tests.records import NO_FILES

LISTED = """
[endpoint.writer]
dialect = "chat_completions"
url = "http://127.0.0.1:9/v1"
model = "m"
most_requests = 2
most_money = 0.001
[endpoint.writer.prices]
currency = "EUR"
prompt = 2.0
answer = 10.0
"""
DESCRIBING = """
[settings.interpretation]
report = 3
contexts = 2
describer = "endpoint:writer"
scorer = "endpoint:reader"
"""


def estimated(folder: Path, *, more: str) -> Estimate:
    path = write_plan(folder / "plan.toml", model="demo:smollm2")
    path.write_text(
        path.read_text().replace('run = ["counterfactual"', 'run = ["interpretation", "counterfactual"') + more
    )
    plan = actions.register_plan(plan=read_plan(path), actor=ACTOR)
    model = actions.register_model(source="demo:smollm2", sha256="a" * 64, manifest=NO_FILES, actor=ACTOR)
    return estimate(plan=plan, model=model, data=actions.register_data(data=load_loanapp(), actor=ACTOR))


@pytest.mark.django_db
def test_requests_tokens_money_and_caps_are_told_and_what_is_not_listed_too(
    settings: LazySettings, tmp_path: Path
) -> None:
    settings.MODEL_FOLDER = tmp_path / "store"
    first, second = (
        Actor(name=name, role="site", user=make_person(name, default_team(), [Role.ADMINISTRATOR]))
        for name in ("ann", "bob")
    )
    row = actions.propose_system(team=default_team(), text=LISTED, reason="To describe.", actor=first)
    actions.approve_system(listing=row, reason="Read.", actor=second)
    found = estimated(tmp_path, more=DESCRIBING)
    assert found.fits
    for line in (
        "to describe features endpoint:writer is asked at most 3 requests, about ",
        "; at most EUR 0.0",
        "; more than the cap of 2 requests: endpoint:writer is asked no further then, and the audit goes on; ",
        "; may reach the cap of EUR 0.0010: endpoint:writer is asked no further then, and the audit goes on; ",
        "; no features are described by endpoint:reader: model source 'endpoint:reader'",
    ):
        assert line in found.problem
    with translation.override("de"):
        assert (
            "innerer Merkmale gehen höchstens 3 Anfragen an endpoint:writer"
            in estimated(tmp_path, more=DESCRIBING).problem
        )


@pytest.mark.django_db
def test_rules_ask_nobody(settings: LazySettings, tmp_path: Path) -> None:
    settings.MODEL_FOLDER = tmp_path / "store"
    assert estimated(tmp_path, more="").problem == ""
