"""A scheduled audit of a system that would cross a cap does not start: it is held, and asks nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.contrib.auth.models import User
from django.utils import timezone

from compliance import actions
from compliance.execution.schedules import keep_calendar
from compliance.models import Audit, ScheduleState, default_team
from tests.compliance.factories import ACTOR
from tests.compliance.governed import actor_of, approved
from tests.compliance.test_workers_ask_listed_systems import few, folder, registered
from tests.systems.answering import answering

__all__ = ["folder"]  # a fixture


@pytest.mark.django_db
@pytest.mark.parametrize(("requests", "starts"), [(5, False), (5_000, True)])
def test_what_is_expected_to_cross_a_cap_is_held_and_nothing_is_asked(
    folder: Path, requests: int, starts: bool
) -> None:
    with answering() as server:
        found = registered(server.url)
        heard = len(server.asked)
        row = actions.make_schedule(
            plan=approved(actions.register_plan(plan=few(requests=requests), actor=ACTOR, team=default_team())),
            language_model=found["model"].language_model,
            data=found["data"],
            every_months=1,
            first_on=timezone.now().date() + timedelta(days=1),
            actor=actor_of(User.objects.get(username="olga")),
        )
        with time_machine.travel(timezone.now() + timedelta(days=2)):
            assert (keep_calendar(), keep_calendar()) == (1, 0)
        row.refresh_from_db()
        assert Audit.objects.count() == starts
        assert len(server.asked) == heard
        if starts:
            assert (row.state, row.problem) == (ScheduleState.ACTIVE, "")
        else:
            assert row.state == ScheduleState.HELD
            assert row.problem.startswith(f"{row}: about ")
            assert row.problem.endswith("requests; expected at most the cap of 5")
