"""Workers and registrations ask a system for the team that listed it, and for no other."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from django.conf import LazySettings

from auditor.answering.text import TextOfEndpoint, text_of_endpoint
from auditor.exceptions import ModelError
from auditor.ledger import FolderLedger
from auditor.systems.request_store import RequestStore
from compliance import actions
from compliance.models import Team
from compliance.registry.importing import import_bounded
from compliance.registry.system_keys import site_systems
from tests.compliance.teams import listing_text
from tests.compliance.test_systems_are_listed_by_two import admin, listed
from tests.engine.small import small_plan
from tests.systems.answering import answering
from tests.systems.describing import Describing

SOURCE = "endpoint:underwriter"
SECRET = "sk-live-51H8xYqLmNoPqRsTuV"


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


@pytest.mark.django_db
def test_an_endpoint_describes_for_its_own_team_with_its_key_until_it_is_withdrawn(
    settings: LazySettings, tmp_path: Path
) -> None:
    settings.DATA_FOLDER, settings.KEYS_FILE = tmp_path, tmp_path / "system-keys"

    def opened(team: int, folder: str) -> AbstractContextManager[TextOfEndpoint]:
        ledger, systems = FolderLedger(tmp_path / folder), site_systems(team_id=team)
        return text_of_endpoint(SOURCE, ledger=ledger, plan=small_plan(), systems=systems)

    with answering(Describing()) as server:
        ann = admin("ann")
        row = listed(ann, admin("bob"), listing_text("underwriter", url=server.url))
        actions.set_system_key(listing=row, secret=SECRET, actor=ann)
        with opened(row.team_id, "own") as model:
            assert model.answers(["What do they have in common?"], tokens=9) == ["the letter B."]
        elsewhere = Team.objects.create(name="Elsewhere")
        with pytest.raises(ModelError, match="is not listed"), opened(elsewhere.pk, "elsewhere"):
            pass
        assert not (tmp_path / "elsewhere" / "requests.sqlite").exists()
        actions.withdraw_system(listing=row, reason="The contract ended.", actor=ann)
        with pytest.raises(ModelError, match="is not listed"), opened(row.team_id, "own"):
            pass
    assert [asked.headers["Authorization"] for asked in server.asked] == [f"Bearer {SECRET}"]
    assert SECRET.encode() not in (tmp_path / "own" / "requests.sqlite").read_bytes()
