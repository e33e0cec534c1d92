"""The engine is given the table that was approved: row and file are compared with its hash."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings

from auditor.exceptions import StorageError
from auditor.systems.listing import read_listed
from compliance.models import SystemListing, SystemState
from compliance.registry.systems import listed_systems
from tests.compliance.teams import listing_text
from tests.compliance.test_systems_are_listed_by_two import admin, listed

SOURCE = "endpoint:underwriter"


@pytest.mark.django_db
def test_a_file_that_was_changed_is_written_anew(settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA_FOLDER = tmp_path
    row = listed(admin("ann"), admin("bob"))
    file = listed_systems(SOURCE, team_id=row.team_id)
    file.write_text(listing_text("underwriter", url="http://127.0.0.1:10/v1"))
    assert listed_systems(SOURCE, team_id=row.team_id) == file
    assert read_listed(file, "underwriter").url == "http://127.0.0.1:9/v1"


@pytest.mark.django_db
def test_a_row_that_is_not_what_was_approved_is_not_asked(settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA_FOLDER = tmp_path
    row = listed(admin("ann"), admin("bob"))
    SystemListing.objects.create(
        team=row.team, kind="endpoint", name="other", version=1, text=listing_text("other"),
        text_sha256=row.text_sha256, reason="x",
        proposed_by="ann", proposed_by_user=row.proposed_by_user, state=SystemState.LISTED,
        approved_by="bob", approved_by_user=row.approved_by_user, approved_at=row.approved_at, approval_reason="x",
    )  # fmt: skip
    with pytest.raises(StorageError, match="endpoint:other, version 1: its table is not the one that was approved"):
        listed_systems("endpoint:other", team_id=row.team_id)
