"""What no text can hold is searched for and not found; PostgreSQL, which refuses to be asked for it, is not asked."""

from __future__ import annotations

import pytest
from django.test import Client

from compliance.models import default_team
from tests.compliance.teams import WORKING, make_person

LISTS = (
    "/audits/", "/data/", "/events/", "/findings/", "/models/", "/packs/", "/plans/", "/register/", "/releases/",
    "/schedules/", "/systems/", "/workers/",
)  # fmt: skip


@pytest.mark.django_db
def test_a_search_for_nul_is_one_for_nothing(client: Client) -> None:
    client.force_login(make_person("ada", default_team(), WORKING))
    for where in (*(f"{address}?q=%00" for address in LISTS), "/events/?actor=%00", "/events/?object=%00x"):
        assert client.get(where).status_code == 200, where
