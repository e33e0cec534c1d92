"""A key is sent to the address of the version it was set for, also by a worker that opened the one before."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings

from auditor.exceptions import AuditorError
from auditor.systems.asking import Request
from auditor.systems.request_store import RequestStore
from compliance import actions
from compliance.models import SystemListing, default_team
from compliance.registry.importing import import_bounded
from compliance.registry.system_keys import site_systems
from compliance.registry.systems import listed_systems
from tests.compliance.teams import listing_text
from tests.compliance.test_systems_are_listed_by_two import admin, propose
from tests.systems.answering import answering
from tests.systems.faults import Asked, Fault

OLD, NEW = "sk-the-old-key-of-it", "sk-the-new-key-of-it"
OPENS_NOT = "endpoint:underwriter: its key was set for another address, or changed; expected it set anew"


@pytest.fixture
def _folder(settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA_FOLDER = tmp_path
    settings.KEYS_FILE = tmp_path / "system-keys"
    settings.MODEL_FOLDER = tmp_path / "models"


def _list(url: str, secret: str) -> SystemListing:
    by, second = (admin(f"{name}-{secret[7:10]}") for name in ("ann", "bob"))
    row = propose(by, listing_text("underwriter", url=url, tries=1))
    actions.set_system_key(listing=row, secret=secret, actor=by)
    actions.approve_system(listing=row, reason="Read.", actor=second)
    return row


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_folder")
def test_a_worker_that_opened_the_version_before_does_not_send_it_the_new_key(tmp_path: Path) -> None:
    superseded: list[bool] = []
    sent: list[str] = []

    def faults(asked: Asked) -> Fault | None:
        sent.append(asked.headers["Authorization"])
        return Fault(wire="status", code=401, content={"error": "expired"}) if superseded else None

    with answering(faults=faults) as server, RequestStore(tmp_path / "requests.sqlite") as store:
        _list(server.url, OLD)
        with site_systems(team_id=default_team().pk).open("endpoint:underwriter", store=store) as system:
            assert system.ask([Request(prompt="p")])[0].text  # type: ignore[list-item, union-attr]
            _list("http://127.0.0.1:9/v1", NEW)
            superseded.append(True)
            with pytest.raises(AuditorError, match=OPENS_NOT):
                system.ask([Request(prompt="q")])  # type: ignore[list-item]
    assert sent == [f"Bearer {OLD}"] * 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize("how", ["opened", "imported"])
def test_a_version_listed_between_table_and_key_gets_its_key_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    def overtaken(source: str, *, team_id: int | None) -> Path:
        file = listed_systems(source, team_id=team_id)
        if SystemListing.objects.count() == 1:
            _list("http://127.0.0.1:9/v1", NEW)
        return file

    for module in ("system_keys", "importing"):
        monkeypatch.setattr(f"compliance.registry.{module}.listed_systems", overtaken)
    with answering() as server, RequestStore(tmp_path / "requests.sqlite") as store:
        _list(server.url, OLD)

        def asked() -> None:
            with site_systems(team_id=default_team().pk).open("endpoint:underwriter", store=store) as system:
                system.ask([Request(prompt="p")])  # type: ignore[list-item]

        with pytest.raises(AuditorError, match=OPENS_NOT):
            import_bounded("endpoint:underwriter", team_id=default_team().pk) if how == "imported" else asked()
        assert server.asked == []
