"""Workers and registrations ask a system for the team that listed it, and for no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings

from auditor.exceptions import ModelError
from auditor.systems.request_store import RequestStore
from compliance.models import Team
from compliance.registry.importing import import_bounded
from compliance.registry.system_keys import site_systems
from tests.compliance.test_systems_are_listed_by_two import admin, listed

SOURCE = "endpoint:underwriter"


@pytest.mark.django_db
def test_another_team_opens_and_imports_nothing(settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA_FOLDER = tmp_path
    row = listed(admin("ann"), admin("bob"))
    assert site_systems(team_id=row.team_id).listed(SOURCE).url == "http://127.0.0.1:9/v1"
    elsewhere = Team.objects.create(name="Elsewhere")
    line = "'endpoint:underwriter': is not listed; expected a system of this team"
    with RequestStore(tmp_path / "requests.sqlite") as store, pytest.raises(ModelError, match=line):
        site_systems(team_id=elsewhere.pk).open(SOURCE, store=store)
    with pytest.raises(ModelError, match=line):
        import_bounded(SOURCE, team_id=elsewhere.pk)
